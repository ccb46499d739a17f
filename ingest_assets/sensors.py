"""What starts work.

Belongs here: sensors, each level-triggered: it compares what is with what should be, and keeps no
memory of what it did. Does not belong here: the work.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from sqlalchemy import text

from ingest_assets.errors import ConfigurationError
from ingest_assets.jobs import ingest_documents
from ingest_assets.partitions import add_partitions, range_tags
from ingest_assets.resources import InputDirectoryResource, PostgresResource
from ingest_assets.store.database import Database

BATCH_TAG = "ingest/batch"
# Runs that wait or work at a time; further batches wait in the database, where they cost nothing.
_RUNS_IN_FLIGHT = 10
# A batch whose runs end without an outcome for all its documents is launched this often.
_LAUNCHES = 5
_ACTIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class _Batch:
    """Sources that were found together and have no outcome yet, in the order of their partitions."""

    batch_id: UUID
    partition_keys: Sequence[str]


@sensor(
    job=ingest_documents,
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Records new, settled files of the input directory as sources, adds their "
    "partitions, and launches them in ranges.",
)
def input_directory(
    context: SensorEvaluationContext,
    database: PostgresResource,
    input_files: InputDirectoryResource,
) -> SensorResult | SkipReason:
    """Whatever crashed between recording, adding and launching, the next tick completes."""
    try:
        found = input_files.discover(database, context.cursor or None)
    except ConfigurationError as error:
        return SkipReason(str(error))
    batches = _unfinished(database.get())
    add_partitions(context.instance, (key for batch in batches for key in batch.partition_keys))
    requests = _launch(context.instance, batches, context.log)
    summary = (
        f"{len(found.added)} new, {found.unsettled} still changing, {len(batches)} batches unfinished"
    )
    for directory in found.unreadable:
        context.log.warning("A directory cannot be listed and is passed over: %s", directory)
    context.log.info("%s, %d launched", summary, len(requests))
    return SensorResult(
        run_requests=requests,
        cursor=found.resume_after or "",
        skip_reason=None if requests else SkipReason(f"{summary}."),
    )


def _unfinished(database: Database) -> list[_Batch]:
    """Batches of files with documents that have neither a text nor a stored reason for having none."""
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT source.batch_id,
                       array_agg(source.partition_key ORDER BY source.sequence_number)
                FROM ingest.document_sources AS source
                LEFT JOIN ingest.document_texts AS recognised USING (document_uuid)
                WHERE source.kind = 'file' AND recognised.document_uuid IS NULL
                  AND (SELECT attempt.status FROM ingest.stage_attempts AS attempt
                       WHERE attempt.partition_key = source.partition_key
                       ORDER BY attempt.attempt_id DESC LIMIT 1) IS DISTINCT FROM 'failed'
                GROUP BY source.batch_id
                ORDER BY min(source.sequence_number)
            """)
        )
        return [_Batch(*row) for row in rows]


def _launch(
    instance: DagsterInstance, batches: Sequence[_Batch], log: logging.Logger
) -> list[RunRequest]:
    """Requests for the oldest batches that no run is working on.

    The key of a request carries the batch and how often it was launched: a tick that is repeated
    after a crash asks for the same run again, and Dagster launches it once.
    """
    if not batches:
        return []
    active = instance.get_runs(RunsFilter(job_name=ingest_documents.name, statuses=_ACTIVE))
    busy = {run.tags.get(BATCH_TAG) for run in active}
    requests: list[RunRequest] = []
    for batch in batches:
        if len(active) + len(requests) >= _RUNS_IN_FLIGHT:
            break
        batch_id = str(batch.batch_id)
        if batch_id in busy:
            continue
        launched = instance.get_runs_count(RunsFilter(tags={BATCH_TAG: batch_id}))
        if launched >= _LAUNCHES:
            log.warning(
                "%d documents from %s on have no outcome after %d runs: look at those runs, "
                "then launch these partitions by hand.",
                len(batch.partition_keys),
                batch.partition_keys[0],
                launched,
            )
            continue
        requests.append(
            RunRequest(
                run_key=f"{batch_id}-{launched + 1}",
                tags={
                    **range_tags(batch.partition_keys[0], batch.partition_keys[-1]),
                    BATCH_TAG: batch_id,
                    # The next tick asks again for what a lost run left; Dagster need not do it too.
                    "dagster/max_retries": "0",
                },
            )
        )
    return requests
