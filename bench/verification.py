"""What is asked about all documents: the checklist, status, report, alerts, a scrape of metrics.

    python bench/verification.py --documents 1000000

Prints seconds for each, and the seconds of CPU that Postgres took for all but the checklist, where it
runs on this machine: those say something on a busy machine, too. Peak memory is that of the checklist.

Needs `INGEST_DATABASE_URL`; works in a database of its own there, which it drops. Rows, texts and three
attempts a document are real; every document has its partition, which Dagster shows as materialised. The
questions on the bucket are left out: `bench/reconcile.py` measures the inventory that answers them.
"""

from __future__ import annotations

import json
import math
import os
import resource
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import cast

import click
import psutil
import psycopg2
from sqlalchemy import make_url, text

from ingest_assets.operations.alerts.channels import Channels
from ingest_assets.operations.alerts.engine import AlertRules, evaluate
from ingest_assets.operations.metrics import IngestCollector
from ingest_assets.operations.report import read_report
from ingest_assets.operations.retry_policy import RetryRules
from ingest_assets.operations.status import read_status
from ingest_assets.operations.verification.engine import ShownPartition, verify
from ingest_assets.operations.verification.questions import CHECKS
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore

# One in so many documents failed for good, and so did not get its text; one in so many never began.
_FAILED_EVERY = 100
_FILL = """
    INSERT INTO ingest.document_sources (partition_key, source_uri, kind, original_file_name,
        size_bytes, source_version, discovered_at, reported_at, batch_id)
    SELECT 'document-' || lpad(to_hex(n), 12, '0'), 'file:///input/document ' || n || '.pdf', 'file',
           'document ' || n || '.pdf', 1000 + n, n::text, '2025-06-05',
           CASE WHEN (1000 + n) %% %(every)s <> 0 THEN timestamptz '2025-06-05' END,
           '00000000-0000-0000-0000-000000000000'
    FROM generate_series(0, %(count)s - 1) AS n;
    INSERT INTO ingest.source_documents (document_uuid, sha256, original_file_name, s3_bucket,
        object_name, file_size_bytes, mime_type, partition_key, created_at, upload_timestamp)
    SELECT (lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000')::uuid,
           lpad(to_hex(n), 64, '0'), 'document ' || n || '.pdf', 'bucket', 'document_' || n || '.pdf',
           1000 + n, 'application/pdf', 'document-' || lpad(to_hex(n), 12, '0'),
           '2025-06-05', '2025-06-05'
    FROM generate_series(0, %(count)s - 1) AS n;
    UPDATE ingest.document_sources AS source SET document_uuid = document.document_uuid
    FROM ingest.source_documents AS document WHERE document.partition_key = source.partition_key;
    INSERT INTO ingest.stage_attempts (partition_key, document_uuid, stage, attempt, status, run_id,
        error_class, error_code, error_message, started_at, heartbeat_at, finished_at)
    SELECT partition_key, document_uuid, stage, 1, CASE WHEN failed THEN 'failed' ELSE 'succeeded' END,
           'run', CASE WHEN failed THEN 'permanent' END, CASE WHEN failed THEN 'corrupt_document' END,
           CASE WHEN failed THEN 'The document is damaged.' END,
           '2025-06-05', '2025-06-05', '2025-06-05'
    FROM ingest.source_documents
    CROSS JOIN unnest(%(stages)s) AS stages (stage)
    CROSS JOIN LATERAL (
        SELECT stage = 'document_text' AND file_size_bytes %% %(every)s = 0 AS failed) AS outcome
    WHERE file_size_bytes %% %(every)s <> 0
       OR stage IN ('document_row', 'document_object', 'document_text');
    INSERT INTO ingest.document_texts (document_uuid, text, engine, engine_version, page_count)
    SELECT document_uuid, 'The text of ' || original_file_name, 'bench', '1', 1
    FROM ingest.source_documents WHERE file_size_bytes %% %(every)s <> 0;
    INSERT INTO ingest.document_chunkings (document_uuid, text_sha256, chunker, chunk_count, digest)
    SELECT document_uuid, '', 'bench', 0, '' FROM ingest.document_texts;
    INSERT INTO ingest.document_extractions (document_uuid, text_sha256, engine, engine_version,
        mention_count, digest)
    SELECT document_uuid, '', 'bench', '1', 0, '' FROM ingest.document_texts;
    ANALYZE;
"""


def fill(url: str, documents: int) -> None:
    """Fill a migrated database with documents of which all but one in a hundred passed every stage."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_FILL, {"count": documents, "every": _FAILED_EVERY, "stages": list(STAGES)})
    connection.close()


def shown(documents: int, partitions: int) -> Iterator[ShownPartition]:
    """The newest documents' partitions, as Dagster shows them."""
    for number in range(documents - partitions, documents):
        failed = (1000 + number) % _FAILED_EVERY == 0
        yield ShownPartition(
            f"document-{number:012x}",
            ("materialized", "materialized", "failed", None, None)
            if failed
            else tuple("materialized" for _ in STAGES),
        )


def overviews(database: Database) -> Mapping[str, Mapping[str, float]]:
    """Seconds of what operators look at, and of the sensor `alerts`, at the second time of asking."""
    with database.engine.connect() as connection:
        server = psutil.Process(
            connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        ).parent()
    asked: Mapping[str, Callable[[], object]] = {
        "status": lambda: read_status(database),
        "report": lambda: read_report(database),
        "alerts": lambda: evaluate(database, cast(Channels, _Nobody()), _RULES),
        "scrape": lambda: list(IngestCollector(database, database).collect()),
    }
    seconds = {}
    for name, ask in asked.items():
        ask()
        began, cpu = time.perf_counter(), _cpu(server)
        ask()
        seconds[name] = {
            "seconds": round(time.perf_counter() - began, 2),
            "postgres_cpu": round(_cpu(server) - cpu, 2),
        }
    return seconds


class _Nobody:
    """Channels of which there are none to send through, but one that was told."""

    names = ("nobody",)

    def send(self, letters: Mapping[str, object]) -> Mapping[str, str]:
        return dict.fromkeys(letters, "")


_RULES = AlertRules(RetryRules(60, 5), 15, 10, None, "http://127.0.0.1:3000", "bench")


def _cpu(server: psutil.Process | None) -> float:
    """Seconds of CPU of a server and its processes; NaN if it is not on this machine."""
    if server is None:
        return math.nan
    total = 0.0
    for process in [server, *server.children()]:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
            if process == server:
                total += times.children_user + times.children_system
    return total


@click.command()
@click.option("--documents", default=1_000_000, show_default=True)
@click.option("--partitions", type=int, help="By default, as many as documents.")
def main(documents: int, partitions: int | None) -> None:
    """Fill a database, ask, and drop it."""
    partitions = documents if partitions is None else min(partitions, documents)
    server = make_url(os.environ["INGEST_DATABASE_URL"])
    name = f"bench_{secrets.token_hex(4)}"
    connection = psycopg2.connect(server.render_as_string(hide_password=False))
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(f"CREATE DATABASE {name}")
    url = server.set(database=name).render_as_string(hide_password=False)
    try:
        migrate(url)
        fill(url, documents)
        database = Database(url)
        no_bucket = cast(ObjectStore, None)
        questions = [check.name for check in CHECKS if not check.needs_inventory]
        seconds = {}
        for only in ([], questions, *([name] for name in questions)):
            started = time.perf_counter()
            found = verify(
                database, no_bucket, shown(documents, partitions), in_flight_seconds=60, only=only
            )
            label = only[0] if len(only) == 1 else "all" if only else "preparing alone"
            seconds[label] = round(time.perf_counter() - started, 2)
            if label == "all":
                answers = {check.name: check.answer.count for check in found.checks}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        looked_at = overviews(database)
        database.close()
    finally:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.close()
    click.echo(
        json.dumps(
            {
                "documents": documents,
                "partitions": partitions,
                "failing": answers,
                "seconds": seconds,
                "overviews": looked_at,
                "peak_mb": peak,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
