"""Documents by the engine `textract` against its stand-in, which refuses and fails as it is told to.

    python bench/textract.py DIRECTORY_OF_PDFS --documents 406 --starts-per-second 2 \\
        --throttle 0.1 --fail 0.02

Row, object and text of each document, in one run without Dagster, over embedded services below a
temporary directory. Prints what was called, what was started against what was read, and the CPU that
the run's process took while the jobs were Textract's to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import click
from sqlalchemy import text

from ingest_assets.embedded.stack import Stack, prepare
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.local import LocalEngine as EntityEngine
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.textract.calls import textract_client
from ingest_assets.ocr.textract.engine import TextractEngine
from ingest_assets.settings import Settings
from ingest_assets.stages.discovery import KnownFiles, discover
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.stages.runner import Runner
from ingest_assets.stages.stage import Services
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore
from ingest_assets.store.textract_jobs import Quotas, TextractJobs

PROGRAM = Path(__file__).parents[1] / "examples" / "textract_stand_in.py"

_STAGES = ("document_row", "document_object", "document_text")


def faults(url: str, **wanted: Any) -> None:
    """From now on this goes wrong."""
    body = json.dumps(wanted).encode()
    urlopen(Request(f"{url}/stand-in/faults", data=body, method="PUT")).close()


def wait_and_count(url: str, jobs: int, seconds: float, then: dict[str, float]) -> None:
    """Keep all jobs in progress for a while, and say what this process uses meanwhile."""
    while len(json.load(urlopen(f"{url}/stand-in/report"))["jobs"]) < jobs:
        time.sleep(0.5)
    time.sleep(2)
    began, cpu = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    cores = (time.process_time() - cpu) / (time.perf_counter() - began)
    click.echo(f"{jobs} jobs wait: {cores:.3f} cores")
    faults(url, **then)


def measure(url: str, database: Database, settings: Settings, quotas: Quotas) -> None:
    """One run over all documents, and what it took."""
    inbox = Directory(Path(settings.input_place))
    found = discover(
        database,
        KnownFiles(),
        inbox,
        settle_seconds=0,
        batch_size=1000,
    )
    objects = ObjectStore(boto3.client("s3"), settings.s3_bucket)
    engine = TextractEngine(
        textract_client("us-east-1", url),
        objects,
        TextractJobs(database, "us-east-1", quotas, 0.0015),
        LocalEngine(workers=2),
        documents_at_a_time=quotas.jobs_in_flight,
    )
    entities = EntityEngine(workers=2)
    services = Services(database, objects, engine, inbox, Chunker(), entities)
    began, cpu = time.perf_counter(), time.process_time()
    ends = Counter(
        f"{outcome.stage} {outcome.error.code if outcome.error else 'succeeded'}"
        for outcome in Runner(services, _STAGES, "bench", 8).run(found.added)
    )
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    engine.close()
    entities.close()
    click.echo(f"{took:.0f} s; {cpu:.1f} s of CPU in the run's process, {cpu / took:.2f} cores")
    click.echo(f"outcomes: {dict(ends)}")
    with database.engine.connect() as connection:
        jobs = connection.execute(
            text("""
                SELECT status, count(*) AS jobs, count(DISTINCT document_uuid) AS documents,
                       sum(pages) AS pages, sum(cost_usd) AS cost
                FROM ingest.textract_jobs GROUP BY status ORDER BY status
            """)
        ).all()
        (read,) = connection.execute(
            text("SELECT count(*) FROM ingest.document_texts WHERE engine = 'textract'")
        ).scalars()
    for row in jobs:
        click.echo(
            f"rows {row.status}: {row.jobs} of {row.documents} documents, {row.pages} pages, "
            f"${row.cost}"
        )
    report = json.load(urlopen(f"{url}/stand-in/report"))
    click.echo(f"documents read: {read}; jobs at Textract: {len(report['jobs'])}")
    for name, count in sorted(report["calls"].items()):
        click.echo(f"  {name}: {count}")


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--documents", default=60, show_default=True)
@click.option("--starts-per-second", default=2.0, show_default=True)
@click.option("--gets-per-second", default=10.0, show_default=True)
@click.option("--jobs-in-flight", default=100, show_default=True)
@click.option("--job-seconds", default=5.0, show_default=True)
@click.option("--throttle", default=0.1, show_default=True)
@click.option("--fail", default=0.02, show_default=True)
@click.option("--wait", default=0.0, show_default=True, help="Seconds for which jobs are kept waiting.")
def main(
    directory: Path,
    documents: int,
    job_seconds: float,
    throttle: float,
    fail: float,
    wait: float,
    **limits: Any,
) -> None:
    quotas = Quotas(**limits)
    with tempfile.TemporaryDirectory() as folder:
        input_dir = Path(folder, "input")
        input_dir.mkdir()
        for path in sorted(directory.glob("*.pdf"))[:documents]:
            (input_dir / path.name).write_bytes(path.read_bytes())
        settings = Settings(_env_file=None, data_dir=Path(folder, "data"), input_dir=input_dir)
        stack = Stack(settings, "services", click.echo)
        stack.start()
        try:
            os.environ.update(prepare(settings))
            process = subprocess.Popen(
                [
                    *(sys.executable, str(PROGRAM), "--job-seconds", str(job_seconds)),
                    *("--starts-per-second", str(quotas.starts_per_second)),
                    *("--gets-per-second", str(quotas.gets_per_second)),
                    *("--jobs-in-flight", str(quotas.jobs_in_flight)),
                ],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            chances = {"throttle": throttle, "fail": fail}
            faults(url, **chances, stay=wait > 0)
            if wait:
                jobs = min(documents, quotas.jobs_in_flight)
                arguments = url, jobs, wait, chances
                threading.Thread(target=wait_and_count, args=arguments, daemon=True).start()
            measure(url, Database(os.environ["INGEST_DATABASE_URL"]), settings, quotas)
            process.terminate()
            process.wait()
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
