"""Sensor `verify_after_backfill`: the verification checklist runs when a backfill has ended.

Belongs here: noticing that a backfill ended. Does not belong here: the checklist
(`operations.verification`).
"""

from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, SkipReason, sensor

from ingest_assets.defs._internals import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter
from ingest_assets.defs.documents import SPECS
from ingest_assets.defs.jobs import verify_documents

BACKFILL_TAG = "ingest/verified_backfill"
# The backfill that ended last is looked for among this many of the newest.
_BACKFILLS_LOOKED_AT = 20


@sensor(
    job=verify_documents,
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Runs the verification checklist when a backfill of documents has ended, however it "
    "ended.",
)
def verify_after_backfill(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """Request one verification for all backfills that ended before it, keyed by the last of them."""
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
