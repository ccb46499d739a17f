"""What a full disk below the data directory does: to be run where that directory is a small disk.

Belongs here: the scenario, run by `test_broken_services` in a mount namespace of its own. Prints one
JSON object: what was said while the disk was full, and the states afterwards.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import boto3
from sqlalchemy import text

from ingest_assets.embedded.stack import Stack, make_storage
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.stage_names import STAGES
from ingest_assets.stages import runner
from ingest_assets.stages.discovery import KnownFiles, discover
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.stages.runner import Runner
from ingest_assets.stages.stage import Services
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.documents import padded_pdf
from ingest_assets_tests.support.engines import RulesEngine
from ingest_assets_tests.support.servers import embedded_settings


def fill(directory: Path) -> Path:
    """Take all the room that there is."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x")
    return filler


def main(directory: Path) -> None:
    """Ingest before, while and after the disk is full."""
    runner.FIRST_WAIT_SECONDS = 0.05
    settings = embedded_settings(directory / "disk")
    input_dir = directory / "input"
    input_dir.mkdir()
    inbox = Directory(input_dir, second_look_seconds=0)
    stack = Stack(settings, "services", lambda line: print(line, file=sys.stderr))
    stack.start()
    try:
        environment = make_storage(settings)
        os.environ.update(environment)
        migrate(environment["INGEST_DATABASE_URL"])
        database = Database(environment["INGEST_DATABASE_URL"])
        objects = ObjectStore(boto3.client("s3"), settings.s3_bucket)
        engine = LocalEngine(workers=1)
        services = Services(database, objects, engine, inbox, Chunker(), RulesEngine())

        def ingest(*names: str) -> list[str]:
            for name in names:
                (input_dir / name).write_bytes(padded_pdf(f"{name}: a line of text.", 1))
            discover(
                database, KnownFiles(), inbox,
                settle_seconds=0, batch_size=100,
            )  # fmt: skip
            return run()

        def run() -> list[str]:
            with database.engine.connect() as connection:
                keys = connection.execute(
                    text("SELECT partition_key FROM ingest.document_sources ORDER BY sequence_number")
                )
                found = list(Runner(services, list(STAGES), "run", 2).run(list(keys.scalars())))
            return [
                f"{one.error.error_class} {one.error.code} {one.error}" for one in found if one.error
            ]

        before = ingest("a.pdf", "b.pdf")
        for number in range(4):  # Known before the disk is full, so that a run can be asked for.
            (input_dir / f"c{number}.pdf").write_bytes(padded_pdf(f"{number}: text.", 1))
        discover(
            database, KnownFiles(), inbox,
            settle_seconds=0, batch_size=100,
        )  # fmt: skip
        filler = fill(directory / "disk")
        said = run()
        filler.unlink()
        # SeaweedFS may take minutes until it writes again, so it is started anew.
        stack.stop()
        stack.start()
        # It may refuse for a while what it has just begun to serve.
        patience = time.monotonic() + 120
        while (after := run()) and time.monotonic() < patience:
            time.sleep(1)
        with database.engine.connect() as connection:
            states = list(
                connection.execute(text("SELECT state FROM ingest.document_progress")).scalars()
            )
            stored = [
                objects.sha256(row.s3_key) == row.sha256
                for row in connection.execute(text("SELECT * FROM ingest.source_documents"))
            ]
        engine.close()
        print(
            json.dumps(
                {"before": before, "full": said, "after": after, "states": states, "stored": stored}
            )
        )
    finally:
        stack.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
