"""`textract_jobs` and `textract_pace`: jobs at Amazon Textract, and how fast runs may call it.

Belongs here: writing the rows, and the limits that all runs share. Does not belong here: calling
Textract (`ocr.textract`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, insert, select, text, update

from ingest_assets.errors import IngestError
from ingest_assets.store.database import Database
from ingest_assets.store.models import TextractJob

Operation = Literal["start", "get"]

# Amazon keeps a job's results and its token for seven days. The last hour is left for collecting them.
# https://docs.aws.amazon.com/textract/latest/dg/api-async.html
LIFETIME_SECONDS = 7 * 24 * 3600
_TOO_LATE_SECONDS = LIFETIME_SECONDS - 3600
# A job whose heartbeat is older belongs to a run that died, and does not count as in flight.
_ALIVE_SECONDS = 60

# The pace grows by one factor with each call and shrinks by the other with each refusal. Where the
# account's quota is smaller than the setting, the pace settles where Amazon refuses one call in four;
# where one call in six is refused by chance, it still reaches the setting.
_FASTER = 1.03
_SLOWER = 0.9
_SLOWEST = 0.05

_JOBS = TextractJob.__table__.columns
_OPEN = _JOBS.status.in_(("starting", "in_progress"))


@dataclass(frozen=True)
class Quotas:
    """What the account may do in its region, for all runs together.

    Attributes:
        jobs_in_flight: jobs that exist at a time.
        starts_per_second: calls of `StartDocumentTextDetection`.
        gets_per_second: calls of `GetDocumentTextDetection`.
    """

    jobs_in_flight: int = 100
    starts_per_second: float = 1.0
    gets_per_second: float = 5.0


@dataclass(frozen=True)
class Job:
    """A row of `textract_jobs`, as far as work with it needs."""

    client_request_token: str
    document_uuid: UUID
    first_page: int
    s3_bucket: str
    s3_key: str
    s3_version: str | None
    job_id: str | None
    status: str
    pages: int | None
    raw_key: str | None
    created_at: datetime


@dataclass(frozen=True)
class Order:
    """What a new job is to read.

    Attributes:
        first_page: which page of the document is the object's first.
        pages: how many there are, where that is known.
    """

    document_uuid: UUID
    first_page: int
    s3_bucket: str
    s3_key: str
    s3_version: str | None
    pages: int | None


class TextractJobs:
    """The jobs of one region. Safe to share between threads; no call keeps a connection.

    Args:
        price_per_page: in US dollars, for the estimate in each row.
    """

    def __init__(self, database: Database, region: str, quotas: Quotas, price_per_page: float) -> None:
        self._engine = database.engine
        self._region = region
        self._quotas = quotas
        self._price = Decimal(str(price_per_page))

    def usable(self, document_uuid: UUID, first_page: int, s3_key: str) -> Job | None:
        """The job that reads, or has read, this part of a document; None if one has to be started.

        It may be one whose start was not answered: calling again with its token finds the job.
        """
        young = _JOBS.created_at > func.now() - _seconds(_TOO_LATE_SECONDS)
        with self._engine.connect() as connection:
            row = connection.execute(
                select(*_columns())
                .where(
                    _JOBS.document_uuid == document_uuid,
                    _JOBS.first_page == first_page,
                    _JOBS.s3_key == s3_key,
                    _JOBS.status.in_(("starting", "in_progress", "succeeded", "partial_success")),
                    young | _JOBS.raw_key.is_not(None),
                )
                .order_by(_JOBS.attempt.desc())
                .limit(1)
            ).one_or_none()
        return Job(**row._mapping) if row else None

    def reserve(self, order: Order) -> tuple[Job, float] | None:
        """Write the row of a new job, if the limits allow one more in flight.

        Returns:
            The job, and in how many seconds its start may be called; None if there are too many jobs.
        """
        with self._engine.begin() as connection:
            delay = self._turn(connection, "start", adding=1)
            if delay is None:
                return None
            # Older open jobs of this part have expired at Amazon (else `usable` had found them).
            connection.execute(
                update(TextractJob)
                .where(
                    _JOBS.document_uuid == order.document_uuid,
                    _JOBS.first_page == order.first_page,
                    _OPEN,
                )
                .values(
                    status="expired",
                    error_class="transient",
                    error_code="textract_job_expired",
                    error_message="No run collected it while Textract kept it.",
                    finished_at=func.now(),
                )
            )
            attempt = connection.execute(
                select(func.coalesce(func.max(_JOBS.attempt), 0) + 1).where(
                    _JOBS.document_uuid == order.document_uuid
                )
            ).scalar_one()
            row = connection.execute(
                insert(TextractJob)
                .values(
                    client_request_token=f"{order.document_uuid}-{attempt}",
                    attempt=attempt,
                    region=self._region,
                    cost_usd=self._cost(order.pages),
                    **vars(order),
                )
                .returning(*_columns())
            ).one()
        return Job(**row._mapping), delay

    def turn(self, operation: Operation) -> float:
        """In how many seconds this caller may call; takes its place in the queue of all runs."""
        with self._engine.begin() as connection:
            return self._turn(connection, operation) or 0.0

    def refused(self, operation: Operation, *, too_many_jobs: bool = False) -> None:
        """Note that Amazon refused a call: all runs go slower, or with fewer jobs at a time."""
        with self._engine.begin() as connection:
            if too_many_jobs:
                connection.execute(
                    text("""
                        UPDATE ingest.textract_pace
                        SET in_flight = greatest(1, :slower * least(in_flight, :now_in_flight))
                        WHERE region = :region AND operation = :operation
                    """),
                    {
                        "region": self._region,
                        "operation": operation,
                        "slower": _SLOWER,
                        "now_in_flight": self._in_flight(connection),
                    },
                )
            else:
                connection.execute(
                    text("""
                        UPDATE ingest.textract_pace
                        SET per_second = greatest(:slowest * :ceiling, :slower * per_second)
                        WHERE region = :region AND operation = :operation
                    """),
                    {
                        "region": self._region,
                        "operation": operation,
                        "slower": _SLOWER,
                        "slowest": _SLOWEST,
                        "ceiling": self._ceiling(operation),
                    },
                )

    def started(self, job: Job, job_id: str) -> None:
        """Note that Textract took the job and named it."""
        self._update(
            job,
            job_id=job_id,
            status="in_progress",
            started_at=func.now(),
            error_code=None,
            error_message=None,
        )

    def not_started(self, job: Job, error: IngestError) -> None:
        """Note that the start failed and may pass; the next try uses the same token."""
        self._update(job, error_code=error.code, error_message=error.message)

    def collected(
        self,
        job: Job,
        status: str,
        *,
        pages: int,
        warnings: list[Any],
        model_version: str | None,
        raw_key: str,
    ) -> None:
        """Note that Textract did the job, and that its answers are in S3."""
        self._update(
            job,
            status=status,
            pages=pages,
            warnings=warnings or None,
            model_version=model_version,
            cost_usd=self._cost(pages),
            raw_key=raw_key,
            finished_at=func.now(),
        )

    def failed(self, job: Job, status: str, error: IngestError, **values: Any) -> None:
        """Note that the job, or its start, failed for good, and why."""
        self._update(
            job,
            status=status,
            error_class=error.error_class,
            error_code=error.code,
            error_message=error.message,
            finished_at=func.now(),
            **values,
        )

    def beat(self, jobs: Collection[Job]) -> None:
        """Write the heartbeat of jobs that this run waits for."""
        with self._engine.begin() as connection:
            connection.execute(
                update(TextractJob)
                .where(_JOBS.client_request_token.in_([job.client_request_token for job in jobs]))
                .values(heartbeat_at=func.now())
            )

    def _update(self, job: Job, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                update(TextractJob)
                .where(_JOBS.client_request_token == job.client_request_token)
                .values(heartbeat_at=func.now(), **values)
            )

    def _turn(self, connection: Connection, operation: Operation, *, adding: int = 0) -> float | None:
        """Take the next place in the queue of calls, which is one database row for all runs.

        Args:
            adding: jobs that the call starts; returns None while they would be too many.
        """
        ceiling, in_flight = self._ceiling(operation), self._quotas.jobs_in_flight
        parameters = {"region": self._region, "operation": operation}
        connection.execute(
            text("""
                INSERT INTO ingest.textract_pace (region, operation, per_second, in_flight)
                VALUES (:region, :operation, :per_second, :in_flight) ON CONFLICT DO NOTHING
            """),
            {**parameters, "per_second": ceiling, "in_flight": in_flight},
        )
        pace = connection.execute(
            text("""
                SELECT per_second, in_flight FROM ingest.textract_pace
                WHERE region = :region AND operation = :operation FOR UPDATE
            """),
            parameters,
        ).one()
        allowed = min(pace.in_flight, in_flight)
        if adding and self._in_flight(connection) + adding > max(1.0, allowed):
            return None
        per_second = min(ceiling, pace.per_second * _FASTER)
        delay: float = connection.execute(
            text("""
                UPDATE ingest.textract_pace
                SET per_second = :per_second,
                    in_flight = least(:in_flight, in_flight * :faster),
                    next_at = greatest(next_at, clock_timestamp()) + make_interval(secs => :pause)
                WHERE region = :region AND operation = :operation
                RETURNING extract(epoch FROM next_at - clock_timestamp()) - :pause
            """),
            {
                **parameters,
                "per_second": per_second,
                "pause": 1 / per_second,
                "in_flight": in_flight,
                "faster": _FASTER,
            },
        ).scalar_one()
        return max(0.0, float(delay))

    def _in_flight(self, connection: Connection) -> int:
        count: int = connection.execute(
            select(func.count()).where(
                _OPEN,
                _JOBS.region == self._region,
                _JOBS.heartbeat_at > func.now() - _seconds(_ALIVE_SECONDS),
            )
        ).scalar_one()
        return count

    def _ceiling(self, operation: Operation) -> float:
        quotas = self._quotas
        return quotas.starts_per_second if operation == "start" else quotas.gets_per_second

    def _cost(self, pages: int | None) -> Decimal | None:
        return None if pages is None else self._price * pages


def _columns() -> Iterator[ColumnElement[Any]]:
    return (_JOBS[name] for name in Job.__dataclass_fields__)


def _seconds(seconds: float) -> ColumnElement[Any]:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)
