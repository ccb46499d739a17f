"""Documents that failed or were left unfinished, and when another run tries them again.

Belongs here: the rules by which the sensor `retry_failed` tries documents again, and finding the
documents for that sensor and for `ingest-assets retry`. Does not belong here: trying again within one
run (`stages.runner`), and requesting the backfill (`defs.backfills`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from ingest_assets.errors import ConfigurationError, ErrorClass
from ingest_assets.operations.status import WITHOUT_RESULT
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database
from ingest_assets.store.names import path_of

# The code of the fault that passes when a person changes a file's rights.
UNREADABLE = "source_unreadable"
# The most documents of one backfill, whose list of partitions Dagster keeps in a single row. The
# sensor, or a second `ingest-assets retry`, finds the rest once these have been tried.
_AT_A_TIME = 10_000


@dataclass(frozen=True)
class RetryRules:
    """When the sensor `retry_failed` tries a document again that failed for a reason that may pass.

    Attributes:
        cool_down_seconds: how long it waits after the first run that failed; it waits twice as long
            after each further one.
        limit: how many runs may fail at one stage; after that the document waits for a person.
    """

    cool_down_seconds: float
    limit: int


class Failure(NamedTuple):
    """One document without a result.

    Attributes:
        stage: the stage of its latest attempt.
        error_class: that of its latest attempt; `transient` if that attempt was left unfinished.
        error_code: that of its latest attempt; `unfinished` if that attempt was left unfinished.
        runs: how many runs failed at this stage since the stage last succeeded; at least 1. A run that
            was killed does not count, because a document that it was working on is seldom at fault;
            but those above the limit do.
        due_at: when the sensor `retry_failed` tries it again; None if it waits for a person.
    """

    partition_key: str
    original_file_name: str
    stage: str
    error_class: ErrorClass
    error_code: str
    runs: int
    due_at: datetime | None


# A document that is in progress, but whose latest attempt has written no heartbeat for the cool-down,
# was left unfinished: its process was killed during the attempt, or its run ended between two stages.
_FAILURES = f"""
    SELECT progress.partition_key, progress.original_file_name, progress.latest_stage AS stage,
           fault.error_class, coalesce(progress.error_code, 'unfinished') AS error_code, tried.runs,
           CASE WHEN fault.error_class <> 'permanent' AND tried.runs < :limit THEN
               fault.since + make_interval(secs => :cool_down * 2 ^ (tried.runs - 1))
           END AS due_at,
           fault.since, source.sequence_number, source.parent_uuid, progress.state
    FROM ingest.document_progress AS progress
    JOIN ingest.document_sources AS source USING (partition_key)
    CROSS JOIN LATERAL (
        SELECT coalesce(progress.error_class, 'transient') AS error_class,
               greatest(progress.heartbeat_at, progress.finished_at) AS since
    ) AS fault
    CROSS JOIN LATERAL (
        SELECT greatest(
            count(DISTINCT attempt.run_id) FILTER (WHERE attempt.error_code <> 'abandoned')
            + greatest(0, count(DISTINCT attempt.run_id) FILTER (
                WHERE attempt.error_code IS NULL OR attempt.error_code = 'abandoned') - :limit),
            1) AS runs
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
    WHERE progress.partition_key = ANY(coalesce(CAST(:keys AS text[]), {WITHOUT_RESULT}))
      AND progress.stage <> :last_stage
      AND (progress.state IN ('failed', 'rejected')
           OR progress.state = 'in_progress'
               AND fault.since < now() - make_interval(secs => :cool_down))
"""  # noqa: S608 - a constant of status


def due(database: Database, rules: RetryRules) -> Sequence[Failure]:
    """The documents that the sensor `retry_failed` has to try again now, in the order of registering.

    Documents with a permanent fault are never among them: they wait for a person, or for what
    `readable_again` finds.
    """
    with database.engine.connect() as connection:
        return _find(connection, rules, "due_at <= now()")


def readable_again(database: Database, rules: RetryRules) -> Sequence[Failure]:
    """The files that could not be read for want of rights, and can be now; of objects, all.

    One that a run still cannot read waits twice as long each time, as a transient fault does.
    """
    with database.engine.connect() as connection:
        failures = _find(
            connection,
            rules,
            """
                error_code = :unreadable
                AND since + make_interval(secs => :cool_down * 2 ^ (least(runs, 16) - 1)) <= now()
            """,
            unreadable=UNREADABLE,
        )
        places: dict[str, str] = dict(
            connection.execute(
                text("""
                    SELECT partition_key, source_uri FROM ingest.document_sources
                    WHERE kind IN ('file', 'inbox') AND partition_key = ANY(:keys)
                """),
                {"keys": [failure.partition_key for failure in failures]},
            ).all()
        )
    return [
        failure
        for failure in failures
        if (uri := places.get(failure.partition_key))
        and (uri.startswith("s3://") or _may_read(path_of(uri)))
    ]


def _may_read(path: str) -> bool:
    return os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def chosen(
    database: Database,
    rules: RetryRules,
    *,
    error_class: ErrorClass,
    stage: str | None = None,
    since: datetime | None = None,
) -> Sequence[Failure]:
    """The documents that a person asks to try again, whatever the rules say about when and how often.

    Args:
        error_class: class of the fault that the latest attempt ended with.
        stage: only documents that failed at this stage; by default, at any.
        since: only documents that failed at this time or later.

    Raises:
        ConfigurationError: there is no such stage.
    """
    if stage is not None and stage not in STAGES:
        raise ConfigurationError("stage_unknown", f"There is no stage {stage!r}.")
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


def needing_a_person(rules: RetryRules) -> tuple[str, dict[str, Any]]:
    """A query of the documents that will not pass by themselves, and its parameters.

    These have a permanent fault, or one of configuration, or have been tried as often as the rules say.
    What is no document is not among them. Columns: `partition_key`, `name` (of a part with that of its
    container), `stage`, `error_code`, `since`.
    """
    query = f"""
        SELECT failure.partition_key, stage, error_code, since,
               failure.original_file_name || coalesce(' in ' || container.original_file_name, '')
                   AS name
        FROM ({_FAILURES}) AS failure
        LEFT JOIN ingest.source_documents AS container ON container.document_uuid = parent_uuid
        WHERE state IN ('failed', 'in_progress') AND (due_at IS NULL OR error_class = 'configuration')
    """  # noqa: S608 - constants of this module; values are parameters
    return query, _parameters(rules)


def failure_of(connection: Connection, rules: RetryRules, partition_key: str) -> Failure | None:
    """The failure of one partition; None unless it failed or was left unfinished."""
    found = _find(connection, rules, "true", keys=[partition_key])
    return found[0] if found else None


def _find(
    connection: Connection, rules: RetryRules, condition: str, **parameters: Any
) -> Sequence[Failure]:
    rows = connection.execute(
        text(f"""
            SELECT {", ".join(Failure._fields)} FROM ({_FAILURES}) AS failure
            WHERE {condition} ORDER BY sequence_number LIMIT {_AT_A_TIME}
        """),  # noqa: S608 - constants of this module; values are parameters
        {**_parameters(rules), **parameters},
    )
    return [Failure(*row) for row in rows]


def _parameters(rules: RetryRules) -> dict[str, Any]:
    return {
        "last_stage": STAGES[-1],
        "cool_down": rules.cool_down_seconds,
        "limit": rules.limit,
        "keys": None,
    }
