"""Batches of files that have no outcome yet, and the runs that work on them.

Belongs here: which batches the sensor `input_directory` launches, and how often. Does not belong
here: how files become sources (`stages.discovery`).
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from dagster import DagsterInstance, DagsterRunStatus, RunRequest, RunsFilter
from sqlalchemy import text

from ingest_assets.defs.jobs import ingest_documents
from ingest_assets.defs.partitions import range_tags
from ingest_assets.store.database import Database

BATCH_TAG = "ingest/batch"
# Runs that are queued or work at a time; further batches wait in the database, where they cost nothing.
_RUNS_IN_FLIGHT = 10
# A run may end without an outcome for all documents of its batch, because its process was killed. The
# batch is then launched again at once, this many times; after that only this long after its last run,
# so that a document which kills its run does not take the place of others.
_LAUNCHES = 5
_SLOW_LAUNCH_SECONDS = 600
_ACTIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Batch:
    """Sources that one look found together and that have no outcome yet, in the order of recording."""

    batch_id: UUID
    partition_keys: Sequence[str]


def unfinished(database: Database) -> list[Batch]:
    """Batches with files that have no outcome yet, or one that is not in Dagster's event log."""
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT source.batch_id,
                       array_agg(source.partition_key ORDER BY source.sequence_number)
                FROM ingest.document_sources AS source
                WHERE source.kind = 'file' AND source.reported_at IS NULL
                  AND (SELECT attempt.status FROM ingest.stage_attempts AS attempt
                       WHERE attempt.partition_key = source.partition_key
                       ORDER BY attempt.attempt_id DESC LIMIT 1) IS DISTINCT FROM 'failed'
                GROUP BY source.batch_id
                ORDER BY min(source.sequence_number)
            """)
        )
        return [Batch(*row) for row in rows]


def requests_for(
    instance: DagsterInstance, batches: Sequence[Batch], log: logging.Logger
) -> list[RunRequest]:
    """Requests for runs of the oldest batches that no run is working on.

    The key of a request is made of the batch and the number of its launches. A tick that is repeated
    after a crash requests the same key again, and Dagster launches it once.
    """
    if not batches:
        return []
    active = instance.get_runs(RunsFilter(job_name=ingest_documents.name, statuses=_ACTIVE))
    busy = {run.tags.get(BATCH_TAG) for run in active}
    requests: list[RunRequest] = []
    order: dict[str, int] = {}
    for batch in batches:
        if len(active) + len(requests) >= _RUNS_IN_FLIGHT:
            break
        batch_id = str(batch.batch_id)
        if batch_id in busy:
            continue
        launched = instance.get_runs_count(RunsFilter(tags={BATCH_TAG: batch_id}))
        if launched >= _LAUNCHES:
            log.warning(
                "%d documents from %s on have no outcome after %d runs: look at those runs. They are "
                "launched again every %d s.",
                len(batch.partition_keys),
                batch.partition_keys[0],
                launched,
                _SLOW_LAUNCH_SECONDS,
            )
            (last,) = instance.get_run_records(RunsFilter(tags={BATCH_TAG: batch_id}), limit=1)
            if time.time() - last.update_timestamp.timestamp() < _SLOW_LAUNCH_SECONDS:
                continue
        # Rows that `rebuild-db` restored may be in another order than their partitions, and a range
        # goes by the order of partitions.
        order = order or {
            key: place for place, key in enumerate(instance.get_dynamic_partitions("documents"))
        }
        keys = sorted(batch.partition_keys, key=lambda key: order.get(key, 0))
        requests.append(
            RunRequest(
                run_key=f"{batch_id}-{launched + 1}",
                tags={
                    **range_tags(keys[0], keys[-1]),
                    BATCH_TAG: batch_id,
                    # Dagster must not retry the run, because the next tick requests what it left.
                    "dagster/max_retries": "0",
                },
            )
        )
    return requests
