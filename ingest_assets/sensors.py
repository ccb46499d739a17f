"""What starts work.

Belongs here: sensors, each level-triggered: it compares what is with what should be, and keeps no
memory of what it did. Does not belong here: the work.
"""

import logging
import time
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
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter
from sqlalchemy import text

from ingest_assets.assets import SPECS
from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.failpoints import failpoint
from ingest_assets.failures import due
from ingest_assets.jobs import ingest_documents, verify_documents
from ingest_assets.partitions import add_partitions, range_tags
from ingest_assets.reconciliation import adopt
from ingest_assets.resources import (
    InputDirectoryResource,
    ObjectStoreResource,
    OcrEngineResource,
    PostgresResource,
    ReconciliationResource,
    RetryResource,
)
from ingest_assets.retries import BY_SENSOR, retry, unfinished_retry
from ingest_assets.store.database import Database

BATCH_TAG = "ingest/batch"
BACKFILL_TAG = "ingest/verified_backfill"
# Runs that wait or work at a time; further batches wait in the database, where they cost nothing.
_RUNS_IN_FLIGHT = 10
# The newest backfills, among which the one that ended last is looked for.
_BACKFILLS_LOOKED_AT = 20
# Seconds of a tick that go into looking at the bucket; a tick has 60.
_LOOK_SECONDS = 40.0
# A batch whose runs end without an outcome for all its documents is launched so often at once, then
# only so long after the last: a document that kills its run must not take all there is.
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
    object_store: ObjectStoreResource,
    ocr_engine: OcrEngineResource,
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
    if found.unreadable:
        summary += f", {len(found.unreadable)} cannot be looked at (the tick's log names them)"
    for place in found.unreadable:
        context.log.warning("It cannot be looked at and is passed over: %s", place)
    if requests and (reason := _held(object_store, ocr_engine)):
        # The runs would stop at their first documents; the sources are recorded and wait.
        return SensorResult(
            cursor=found.resume_after or "", skip_reason=SkipReason(f"{summary}; held. {reason}")
        )
    context.log.info("%s, %d launched", summary, len(requests))
    failpoint("sensor.requesting")
    return SensorResult(
        run_requests=requests,
        cursor=found.resume_after or "",
        skip_reason=None if requests else SkipReason(f"{summary}."),
    )


@sensor(
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.STOPPED,
    description="Records uploads below documents/ that have no row as sources and adds their "
    "partitions. Launches nothing: they show as missing, and a backfill of them adopts them.",
)
def orphaned_uploads(
    context: SensorEvaluationContext,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
) -> SensorResult:
    """A bucket too large for one tick is looked at in several; the cursor says where to go on."""
    objects = object_store.get()
    inventory = reconciliation.inventory(
        database.get(), objects, after=context.cursor or "", seconds=_LOOK_SECONDS
    )
    orphans = (found for found in inventory if found.kind == "orphan")
    adopted = adopt(context.instance, database.get(), objects, orphans, reconciliation.batch_size)
    for left in adopted.registered.left:
        context.log.warning("%s: %s", left.key, left.detail)
    context.log.info("%s", adopted)
    return SensorResult(skip_reason=SkipReason(f"{adopted}."), cursor=inventory.reached or "")


@sensor(
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Tries documents again whose fault may pass, after a cool-down that grows, and those "
    "that a run left unfinished. After a set number of failed runs they wait for a person.",
)
def retry_failed(
    context: SensorEvaluationContext,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    ocr_engine: OcrEngineResource,
    retries: RetryResource,
) -> SkipReason:
    """One backfill at a time: what it does not heal is due again later."""
    failures = due(database.get(), retries.rules)
    if not failures:
        return SkipReason("Nothing is due to be tried again.")
    if running := unfinished_retry(context.instance):
        return SkipReason(f"{len(failures)} documents wait until backfill {running} has ended.")
    if reason := _held(object_store, ocr_engine):
        return SkipReason(f"{len(failures)} documents are not tried again yet. {reason}")
    backfill_id = retry(context.instance, failures, BY_SENSOR)
    return SkipReason(f"{len(failures)} documents are tried again by backfill {backfill_id}.")


@sensor(
    job=verify_documents,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Runs the verification checklist when a backfill of documents has ended, however it "
    "ended.",
)
def verify_after_backfill(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """One verification answers for all backfills that ended before it; the last asks for it."""
    documents = {spec.key for spec in SPECS}
    ended = [
        backfill
        for backfill in context.instance.get_backfills(
            filters=BulkActionsFilter(statuses=BULK_ACTION_TERMINAL_STATUSES),
            limit=_BACKFILLS_LOOKED_AT,
        )
        if not documents.isdisjoint(backfill.asset_selection or ())
    ]
    if not ended:
        return SkipReason("No backfill of documents has ended.")
    last = max(ended, key=lambda found: found.backfill_end_timestamp or found.backfill_timestamp)
    return RunRequest(run_key=last.backfill_id, tags={BACKFILL_TAG: last.backfill_id})


def _held(object_store: ObjectStoreResource, ocr_engine: OcrEngineResource) -> str:
    """Why no run could store or read a document now; empty if one could.

    Asked only before one is launched.
    """
    try:
        object_store.get().probe()
        ocr_engine.probe()
    except IngestError as error:
        return str(error)
    return ""


def _unfinished(database: Database) -> list[_Batch]:
    """Batches of files with documents that have no outcome, or one that Dagster was not told of."""
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
        # Rows that were restored from the bucket may stand in another order than their partitions.
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
                    # The next tick asks again for what a lost run left; Dagster need not do it too.
                    "dagster/max_retries": "0",
                },
            )
        )
    return requests
