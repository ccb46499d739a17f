"""What becomes of hostile files, one by one, and what they cost the good ones beside them.

    python -m bench.hostile_files [DIRECTORY …] [--write docs/hostile-files.md]

Needs nothing running: starts a Postgres and an S3 of its own. Makes the evil set of the tests, takes
each of its files (and those of the directories) through all stages alone, and then measures twenty good
documents alone against the same twenty among the whole set.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import click
from sqlalchemy import text

from ingest_assets.defs.documents import DOCUMENTS_AT_A_TIME
from ingest_assets.embedded.stack import Stack, make_storage
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.local import LocalEngine as EntityEngine
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.settings import Settings
from ingest_assets.stage_names import STAGES
from ingest_assets.stages.discovery import KnownFiles, discover
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.stages.runner import Outcome, Runner
from ingest_assets.stages.stage import Services
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore
from ingest_assets.workers.pool import Limits
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.evil import EVIL, Evil, make_all
from ingest_assets_tests.support.servers import Services as ServerFixture

_GOOD = 20


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    name: str
    state: str
    reason: str
    seconds: float


class Bench:
    """One database, one bucket, one engine; a directory of its own for each look."""

    def __init__(self, database: Database, objects: ObjectStore, scratch: Path) -> None:
        self._database = database
        self._objects = objects
        self._scratch = scratch
        settings = Settings()
        self._entities = EntityEngine(settings.ocr_workers)
        self._engine = LocalEngine(settings.ocr_workers, Limits(cpu_seconds=settings.ocr_page_seconds))

    def directory(self) -> Path:
        """An empty input directory."""
        path = self._scratch / f"input-{uuid4()}"
        path.mkdir()
        return path

    def run(self, directory: Path, concurrency: int) -> Iterator[tuple[str, Outcome]]:
        """Take all files of a directory through all stages; file name and each outcome."""
        found = discover(
            self._database,
            KnownFiles(),
            Directory(directory),
            settle_seconds=0,
            batch_size=10_000,
        )
        for directory_error in found.unreadable:
            click.echo(f"Not listed: {directory_error}", err=True)
        with self._database.engine.connect() as connection:
            names: dict[str, str] = dict(
                connection.execute(
                    text(
                        "SELECT partition_key, original_file_name FROM ingest.document_sources"
                        " WHERE partition_key = ANY(:keys)"
                    ),
                    {"keys": list(found.added)},
                ).all()
            )
        services = Services(
            self._database,
            self._objects,
            self._engine,
            Directory(directory),
            Chunker(),
            self._entities,
            Settings().max_file_mb * 1024**2,
        )
        for outcome in Runner(services, list(STAGES), "bench", concurrency).run(found.added):
            yield names[outcome.partition_key], outcome

    def state(self, partition_key: str) -> tuple[str, str]:
        """The document's state and, if it has one, its reason."""
        with self._database.engine.connect() as connection:
            row = connection.execute(
                text("""
                    SELECT progress.*, ARRAY(
                        SELECT sentence FROM ingest.document_notes AS note
                        WHERE note.document_uuid = progress.document_uuid ORDER BY note_number
                    ) AS notes
                    FROM ingest.document_progress AS progress
                    WHERE partition_key = :key
                """),
                {"key": partition_key},
            ).one()
        if row.error_code and row.state in ("failed", "rejected"):
            reason = f"`{row.error_code}` ({row.error_class}): {row.error_message} {row.error_remedy}"
            return row.state, reason
        return row.state, "; ".join(row.notes or ())

    def close(self) -> None:
        """End the engines' processes."""
        self._engine.close()
        self._entities.close()


def one_by_one(bench: Bench, files: Iterable[tuple[str, Path | Evil]]) -> Iterator[Row]:
    """Each file in a directory of its own."""
    for name, source in files:
        directory = bench.directory()
        if isinstance(source, Path):
            shutil.copyfile(source, directory / name)
        elif not make_all(directory, [_key(name)]):
            continue
        seconds: dict[str, float] = {}
        keys: dict[str, str] = {}
        for shown, outcome in bench.run(directory, 1):
            seconds[shown] = seconds.get(shown, 0.0) + outcome.seconds
            keys[shown] = outcome.partition_key
        what = source.what if isinstance(source, Evil) else ""
        if not keys:
            yield Row(what, name, "no source", "a directory that cannot be listed", 0.0)
        for shown, key in keys.items():
            state, reason = bench.state(key)
            yield Row(what, shown, state, reason, seconds[shown])
        shutil.rmtree(directory, ignore_errors=True)


def _key(name: str) -> str | bytes:
    return name if name in EVIL else os.fsencode(name)


def fill_with_good(directory: Path, salt: str) -> None:
    """Twenty documents as they should be: a text layer or a scan each."""
    for number in range(_GOOD):
        words = f"Good document {number} of {salt}."
        if number % 2:
            (directory / f"good {number}.png").write_bytes(picture(words.upper()))
        else:
            (directory / f"good {number}.pdf").write_bytes(pdf(words))


def until_good_are_done(bench: Bench, *, among_evil: bool) -> tuple[float, int]:
    """Seconds until the last good document has its text, and how many good ones have."""
    directory = bench.directory()
    fill_with_good(directory, str(uuid4()))
    if among_evil:
        make_all(directory)
    started = time.monotonic()
    last, done = 0.0, 0
    for name, outcome in bench.run(directory, DOCUMENTS_AT_A_TIME):
        if name.startswith("good ") and outcome.stage == "document_text" and outcome.result:
            last, done = time.monotonic() - started, done + 1
    shutil.rmtree(directory, ignore_errors=True)
    return last, done


@contextmanager
def services(scratch: Path) -> Iterator[tuple[Database, ObjectStore]]:
    """A Postgres and an S3 below a directory."""
    settings = Settings(_env_file=None, data_dir=scratch / "data", input_dir=scratch, s3="auto")
    stack = Stack(settings, "services", click.echo)
    stack.start()
    try:
        environment = make_storage(settings)
        migrate(environment["INGEST_DATABASE_URL"])
        client = ServerFixture(settings, environment).s3_client()
        yield Database(environment["INGEST_DATABASE_URL"]), ObjectStore(client, settings.s3_bucket)
    finally:
        stack.stop()


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown."""
    yield "| file | what it is | outcome | reason | seconds |"
    yield "|---|---|---|---|---|"
    for row in rows:
        name = ascii(row.name)[1:-1]
        name = name if len(name) <= 48 else f"{name[:32]}…"
        cells = (f"`{name}`", row.what, row.state, row.reason, f"{row.seconds:.1f}")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


@click.command()
@click.argument("directories", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Markdown file.")
@click.option("--only", help="Only files whose name contains this; without the measurement.")
def main(directories: Sequence[Path], write: Path | None, only: str | None) -> None:
    """Run all, print the table, and write it where told."""
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        with services(scratch) as (database, objects):
            bench = Bench(database, objects, scratch)
            try:
                evil = [(os.fsdecode(name), one) for name, one in EVIL.items()]
                parts: list[str] = []
                groups: list[tuple[str, Iterable[tuple[str, Path | Evil]]]] = [("The evil set", evil)]
                for directory in directories:
                    files = sorted(path for path in directory.iterdir() if path.is_file())
                    groups.append((f"`{directory.name}/`", [(path.name, path) for path in files]))
                for title, group in groups:
                    chosen = [(name, one) for name, one in group if not only or only in name]
                    rows = list(_shown(one_by_one(bench, chosen)))
                    parts += [f"## {title}", "", *table(rows), ""]
                if not only:
                    parts += _measured(bench)
            finally:
                bench.close()
                database.close()
    if write:
        write.write_text("\n".join([_HEAD, *parts]))


def _shown(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        click.echo(f"{row.seconds:7.1f}  {row.state:<10} {row.name!a:<40.40} {row.reason[:300]}")
        yield row


def _measured(bench: Bench) -> list[str]:
    alone, done_alone = until_good_are_done(bench, among_evil=False)
    among, done_among = until_good_are_done(bench, among_evil=True)
    sentence = (
        f"{_GOOD} good documents: {done_alone} completed in {alone:.1f} s alone, "
        f"{done_among} in {among:.1f} s among the {len(EVIL)} files of the evil set, in one run "
        f"({Settings().ocr_workers} workers, {DOCUMENTS_AT_A_TIME} documents at a time)."
    )
    click.echo(sentence)
    return ["## What they cost the others", "", sentence, ""]


_HEAD = """# Hostile files

Made by `python -m bench.hostile_files DIRECTORY … --write docs/hostile-files.md`; the files are made by
`ingest_assets_tests/support/evil.py`, and `ingest_assets_tests/test_hostile_files.py` runs them with
every change. Each file went through all stages alone; seconds are by the clock, of a busy machine with
two cores, and include storing it. A page may compute for 60 s, the default.
"""

if __name__ == "__main__":
    main()
