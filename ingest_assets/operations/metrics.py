"""Metrics for Prometheus, counted from Postgres each time that they are asked for.

Nothing is counted in the processes that work: so any process can serve all metrics, and none is lost
when one restarts. The numbers come from the views `ingest.statistics_…`, which a person can query too.

Belongs here: names and meanings of metrics, and serving them. Does not belong here: how the numbers
come about (the migration that makes the views).
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.catalogue import SECTIONS
from ingest_assets.errors import ConfigurationError
from ingest_assets.log import get_logger
from ingest_assets.operations.report import read_pages
from ingest_assets.operations.status import SIGN_OF_LIFE_SECONDS, STATES, runs_not_started
from ingest_assets.store.database import Database, database_error
from ingest_assets.store.leases import LEASE_SECONDS

_log = get_logger(__name__)

# The one that OpenTelemetry gives to exporters for Prometheus.
DEFAULT_PORT = 9464
# Several Prometheus servers, or a person beside them, get the same numbers for so long.
_FRESH_SECONDS = 5.0
# A statement that takes longer is ended: the numbers are for people to look at, and must never keep
# Postgres from its work.
_STATEMENT_SECONDS = 15
# The ticks of sensors that are looked at: the latest of all sensors together, over half an hour.
_TICKS = 2000

_SERVICES = {"The object store": "s3", "The database": "postgres", "Amazon Textract": "textract"}
_SERVICE_OF = {
    code: service for heading, service in _SERVICES.items() for code in SECTIONS.get(heading, {})
}


class IngestCollector(Collector):
    """What Prometheus's client asks for the metrics.

    Args:
        database: of the documents.
        dagster: Dagster's own, for ticks, runs and the daemon's signs of life.
    """

    def __init__(self, database: Database, dagster: Database) -> None:
        self._database = database
        self._dagster = dagster
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._counted_at = -_FRESH_SECONDS

    def collect(self) -> Iterable[Metric]:
        """The metrics, at most five seconds old. Where Postgres does not answer, `ingest_up` is 0."""
        with self._lock:
            if time.monotonic() - self._counted_at >= _FRESH_SECONDS:
                self._metrics = list(self._count())
                self._counted_at = time.monotonic()
            return self._metrics

    def _count(self) -> Iterator[Metric]:
        started = time.monotonic()
        found: list[Metric] = []
        try:
            for database, groups in ((self._database, _DOCUMENTS), (self._dagster, _DAGSTER)):
                with database.engine.connect().execution_options(
                    isolation_level="REPEATABLE READ"
                ) as reader:
                    reader.execute(text(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s'"))
                    for group in groups:
                        found.extend(group(reader))
            found.append(
                _gauge("ingest_runs_not_started", _NOT_STARTED, runs_not_started(self._dagster))
            )
        except SQLAlchemyError as error:
            _log.warning("The metrics cannot be counted: %s", database_error(error))
            yield _gauge("ingest_up", _UP, 0)
            return
        yield _gauge("ingest_up", _UP, 1)
        yield from found
        yield _gauge(
            "ingest_scrape_seconds", "How long it took to count all this.", time.monotonic() - started
        )


@contextmanager
def serve(database: Database, dagster: Database, port: int, address: str) -> Iterator[None]:
    """Serve `/metrics` in a thread of this process as long as the block lasts.

    Args:
        database, dagster: the documents' database and Dagster's own.
        port, address: where it listens.

    Raises:
        ConfigurationError: `port_in_use`, or the address is not one of this machine.
    """
    registry = CollectorRegistry()
    registry.register(IngestCollector(database, dagster))
    try:
        server, _ = start_http_server(port, address, registry)
    except OSError as error:
        raise ConfigurationError(
            "port_in_use",
            f"Metrics cannot be served on {address}:{port}: {error.strerror}.",
            "Give INGEST_METRICS_PORT, or `--port`, another one.",
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


_UP = "1 where Postgres answers; 0 where it does not, and then there is no other metric."
_NOT_STARTED = "Runs that failed in the last hour before they had begun: their pages in Dagit say why."


def _number(limit: float) -> str:
    """The limit of a bucket as Prometheus writes it."""
    return "+Inf" if limit == float("inf") else str(limit)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(
    name: str, meaning: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[Any], float]]
) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, number in rows:
        family.add_metric([str(value) for value in values], number)
    return family


def _states(reader: Connection) -> Iterator[Metric]:
    counted = dict.fromkeys(STATES, 0)
    counted.update(reader.execute(text("SELECT state, documents FROM ingest.statistics_states")).all())
    yield _gauges(
        "ingest_documents",
        "Documents by state; each sighting of a file or an upload counts.",
        ["state"],
        (([state], number) for state, number in counted.items()),
    )
    yield _gauges(
        "ingest_documents_failed",
        "Documents that have failed, by the fault that each waits for.",
        ["class", "code", "stage"],
        (
            ([row.error_class, row.error_code, row.stage], row.documents)
            for row in reader.execute(text("SELECT * FROM ingest.statistics_faults"))
        ),
    )


def _waiting(reader: Connection) -> Iterator[Metric]:
    rows = reader.execute(
        text("""
            SELECT kind, coalesce(documents, 0) AS documents,
                coalesce(extract(epoch FROM now() - oldest), 0)::float AS seconds
            FROM unnest(ARRAY['file', 'inbox', 'part', 's3']) AS kinds (kind)
            LEFT JOIN ingest.statistics_waiting USING (kind)
        """)
    ).all()
    yield _gauges(
        "ingest_queue_documents",
        "Documents that no run has begun with; those of kind s3 wait for a person's backfill.",
        ["kind"],
        (([row.kind], row.documents) for row in rows),
    )
    yield _gauges(
        "ingest_queue_age_seconds",
        "How long ago the oldest of them was found; 0 where there is none.",
        ["kind"],
        (([row.kind], row.seconds) for row in rows),
    )


def _attempts(reader: Connection) -> Iterator[Metric]:
    by_stage: dict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
    errors = CounterMetricFamily(
        "ingest_errors",
        "Attempts that failed, by fault; service is the one that answered so: s3, postgres, textract.",
        labels=["service", "class", "code", "stage"],
    )
    for row in reader.execute(
        text("SELECT * FROM ingest.statistics_attempts ORDER BY at_most_seconds, stage, error_code")
    ):
        by_stage[row.stage, row.status].append(row)
        if row.status == "failed" and row.at_most_seconds == float("inf"):
            service = _SERVICE_OF.get(row.error_code, "")
            errors.add_metric([service, row.error_class, row.error_code, row.stage], row.attempts)
    seconds = HistogramMetricFamily(
        "ingest_stage_seconds", "How long attempts took.", labels=["stage", "status"]
    )
    for labels, rows in sorted(by_stage.items()):
        within: dict[float, int] = defaultdict(int)
        for row in rows:
            within[row.at_most_seconds] += row.attempts
        buckets = [(_number(limit), count) for limit, count in sorted(within.items())]
        seconds.add_metric(labels, buckets, sum(row.seconds for row in rows))
    yield seconds
    yield errors
    running, stalled = reader.execute(
        text("""
            SELECT count(*), count(*) FILTER (
                WHERE heartbeat_at <= now() - make_interval(secs => :silence))
            FROM ingest.stage_attempts WHERE status = 'running'
        """),
        {"silence": SIGN_OF_LIFE_SECONDS},
    ).one()
    yield _gauge("ingest_attempts_running", "Attempts that have not ended.", running)
    yield _gauge(
        "ingest_attempts_stalled",
        "Those of them whose run has given no sign of life for a minute.",
        stalled,
    )


def _pages(reader: Connection) -> Iterator[Metric]:
    pages = read_pages(reader)
    yield _gauges(
        "ingest_pages",
        "Pages whose text is stored, by its origin.",
        ["origin"],
        (([origin], count) for origin, count in pages.by_origin.items()),
    )
    confidence = GaugeHistogramMetricFamily(
        "ingest_ocr_confidence", "Recognised pages by the engine's confidence, from 0 to 1."
    )
    within = list(accumulate(pages.by_confidence.values()))
    buckets = list(zip(map(_number, pages.by_confidence), within, strict=True))
    confidence.add_metric([], [*buckets, ("+Inf", within[-1])], pages.confidence)
    yield confidence


def _textract(reader: Connection) -> Iterator[Metric]:
    rows = reader.execute(text("SELECT * FROM ingest.statistics_textract ORDER BY status")).all()
    jobs = CounterMetricFamily("ingest_textract_jobs", "Jobs that have ended.", labels=["status"])
    for row in rows:
        jobs.add_metric([row.status], row.jobs)
    yield jobs
    yield CounterMetricFamily(
        "ingest_textract_pages", "Pages of these jobs.", value=sum(row.pages for row in rows)
    )
    yield CounterMetricFamily(
        "ingest_textract_dollars",
        "What they cost, estimated with INGEST_TEXTRACT_PRICE_PER_PAGE.",
        value=float(sum(row.cost_usd for row in rows)),
    )
    yield _gauge(
        "ingest_textract_jobs_in_flight",
        "Jobs that have not ended.",
        reader.execute(
            text(
                "SELECT count(*) FROM ingest.textract_jobs WHERE status IN ('starting', 'in_progress')"
            )
        ).scalar_one(),
    )


def _workers(reader: Connection) -> Iterator[Metric]:
    rows = reader.execute(
        text("""
            SELECT name, slots, expires_at > now() AS alive,
                extract(epoch FROM now() - expires_at)::float + :lease AS silent
            FROM ingest.workers ORDER BY name
        """),
        {"lease": LEASE_SECONDS},
    ).all()
    yield _gauge("ingest_workers", "Workers that are there.", sum(row.alive for row in rows))
    yield _gauge(
        "ingest_worker_slots",
        "Runs that they take at a time, together.",
        sum(row.slots for row in rows if row.alive),
    )
    yield _gauges(
        "ingest_worker_heartbeat_age_seconds",
        "How long ago a worker gave a sign of life; one that was lost stays for a day.",
        ["worker"],
        (([row.name], max(0.0, row.silent)) for row in rows),
    )


def _dagster(reader: Connection) -> Iterator[Metric]:
    # Dagster makes its tables at its first start.
    there: bool = reader.execute(
        text("SELECT count(to_regclass(name)) = 3 FROM unnest(:names) AS name"),
        {"names": ["runs", "job_ticks", "daemon_heartbeats"]},
    ).scalar_one()
    ticks, beats, runs = [], [], []
    if there:
        ticks = list(
            reader.execute(
                text("""
                    SELECT DISTINCT ON (sensor) sensor, ended - began AS seconds,
                        extract(epoch FROM now())::float - ended AS age
                    FROM (
                        SELECT tick ->> 'job_name' AS sensor,
                            (tick ->> 'timestamp')::float AS began,
                            (tick ->> 'end_timestamp')::float AS ended
                        FROM (SELECT tick_body::json AS tick FROM job_ticks
                              WHERE type = 'SENSOR' AND status <> 'STARTED'
                                AND id > (SELECT max(id) FROM job_ticks) - :latest) AS latest
                    ) AS ticks
                    WHERE ended IS NOT NULL ORDER BY sensor, ended DESC
                """),
                {"latest": _TICKS},
            )
        )
        beats = list(
            reader.execute(
                text("""
                    SELECT daemon_type AS daemon,
                        extract(epoch FROM (now() AT TIME ZONE 'UTC') - max(timestamp))::float AS age
                    FROM daemon_heartbeats GROUP BY 1
                """)
            )
        )
        runs = list(reader.execute(text("SELECT status, count(*) AS runs FROM runs GROUP BY 1")))
    yield _gauges(
        "ingest_sensor_tick_seconds",
        "How long the latest tick of a sensor took.",
        ["sensor"],
        (([row.sensor], row.seconds) for row in ticks),
    )
    yield _gauges(
        "ingest_sensor_tick_age_seconds",
        "How long ago it ended.",
        ["sensor"],
        (([row.sensor], max(0.0, row.age)) for row in ticks),
    )
    yield _gauges(
        "ingest_daemon_heartbeat_age_seconds",
        "How long ago a part of Dagster's daemon gave a sign of life.",
        ["daemon"],
        (([row.daemon.lower()], max(0.0, row.age)) for row in beats),
    )
    yield _gauges(
        "ingest_runs",
        "Runs that Dagster has a record of, by their state.",
        ["status"],
        (([row.status.lower()], row.runs) for row in runs),
    )


_DOCUMENTS = (_states, _waiting, _attempts, _pages, _textract, _workers)
_DAGSTER = (_dagster,)
