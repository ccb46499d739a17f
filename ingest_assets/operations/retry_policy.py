"""Documents that failed or were left unfinished, and which of them are tried again by themselves.

Belongs here: the rules of trying again, and finding documents by them. Does not belong here: trying
again within a run (`stages.runner`) and launching runs (`retries`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from ingest_assets.errors import ErrorClass
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database

# More wait for the next look: a backfill's list of partitions is kept in one row of Dagster's.
_AT_A_TIME = 10_000
# Documents that a report names.
_NAMED = 20


@dataclass(frozen=True)
class RetryRules:
    """When a document whose fault may pass is tried again.

    Attributes:
        cool_down_seconds: from the end of the first run that failed; doubles with each further one.
        limit: runs that may fail at one stage; then the document waits for a person.
    """

    cool_down_seconds: float
    limit: int


class Failure(NamedTuple):
    """One document without a result.

    Attributes:
        error_class: of its latest attempt; `transient` where that was left unfinished.
        runs: how many runs failed at this stage since it last went well.
        due_at: when it is tried again by itself; None where it waits for a person.
    """

    partition_key: str
    original_file_name: str
    stage: str
    error_class: ErrorClass
    error_code: str
    runs: int
    due_at: datetime | None


# An attempt without an end whose process gives no sign of life is that of a process which is gone. An
# attempt that ended well, and nothing followed, is that of a run which was ended between two stages.
_FAILURES = """
    SELECT progress.partition_key, progress.original_file_name, progress.latest_stage AS stage,
           fault.error_class, coalesce(progress.error_code, 'unfinished') AS error_code, tried.runs,
           CASE WHEN fault.error_class <> 'permanent' AND tried.runs < :limit THEN
               fault.since + make_interval(secs => :cool_down * 2 ^ (tried.runs - 1))
           END AS due_at,
           fault.since, source.sequence_number
    FROM ingest.document_progress AS progress
    JOIN ingest.document_sources AS source USING (partition_key)
    CROSS JOIN LATERAL (
        SELECT coalesce(progress.error_class, 'transient') AS error_class,
               greatest(progress.heartbeat_at, progress.finished_at) AS since
    ) AS fault
    CROSS JOIN LATERAL (
        SELECT greatest(count(DISTINCT attempt.run_id), 1) AS runs
        FROM ingest.stage_attempts AS attempt
        WHERE attempt.partition_key = progress.partition_key
          AND attempt.stage = progress.latest_stage
          AND attempt.status <> 'succeeded'
          AND attempt.attempt_id > coalesce((
              SELECT max(success.attempt_id) FROM ingest.stage_attempts AS success
              WHERE success.partition_key = progress.partition_key
                AND success.stage = progress.latest_stage
                AND success.status = 'succeeded'), 0)
    ) AS tried
    WHERE progress.stage <> :last_stage
      AND (progress.state IN ('failed', 'rejected')
           OR progress.state = 'in_progress'
               AND fault.since < now() - make_interval(secs => :cool_down))
"""


def due(database: Database, rules: RetryRules) -> Sequence[Failure]:
    """The documents whose turn it is to be tried again, in the order of their partitions.

    A permanent fault is never among them: it waits for a person.
    """
    with database.engine.connect() as connection:
        return _find(connection, rules, "due_at <= now()")


def chosen(
    database: Database,
    rules: RetryRules,
    *,
    error_class: ErrorClass,
    stage: str | None = None,
    since: datetime | None = None,
) -> Sequence[Failure]:
    """The documents that a person wants tried again, however often they were tried already.

    Args:
        error_class: of the fault.
        stage: the stage that failed; any where not given.
        since: those that failed then or later.
    """
    with database.engine.connect() as connection:
        return _find(
            connection,
            rules,
            """
                error_class = :error_class
                AND (CAST(:stage AS text) IS NULL OR stage = :stage)
                AND (CAST(:since AS timestamptz) IS NULL OR since >= :since)
            """,
            error_class=error_class,
            stage=stage,
            since=since,
        )


def failure_of(connection: Connection, rules: RetryRules, partition_key: str) -> Failure | None:
    """The failure of one partition, if it has failed or was left unfinished."""
    found = _find(connection, rules, "partition_key = :partition_key", partition_key=partition_key)
    return found[0] if found else None


def report(failures: Sequence[Failure]) -> Iterator[str]:
    """Lines for people: how many, and the first of them."""
    yield f"{len(failures):,} documents."
    for failure in failures[:_NAMED]:
        yield (
            f"  {failure.original_file_name!r} at {failure.stage} ({failure.error_class}, "
            f"{failure.error_code}), failed runs: {failure.runs}, partition {failure.partition_key}"
        )
    if (more := len(failures) - _NAMED) > 0:
        yield f"  … and {more:,} more."


def _find(
    connection: Connection, rules: RetryRules, condition: str, **parameters: Any
) -> Sequence[Failure]:
    rows = connection.execute(
        text(f"""
            SELECT {", ".join(Failure._fields)} FROM ({_FAILURES}) AS failure
            WHERE {condition} ORDER BY sequence_number LIMIT {_AT_A_TIME}
        """),  # noqa: S608 - constants of this module; values are parameters
        {
            "last_stage": STAGES[-1],
            "cool_down": rules.cool_down_seconds,
            "limit": rules.limit,
            **parameters,
        },
    )
    return [Failure(*row) for row in rows]
