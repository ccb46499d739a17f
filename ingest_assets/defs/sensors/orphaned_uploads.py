"""Sensor `orphaned_uploads`: objects without a row become sources and partitions.

Belongs here: one tick, in the time that Dagster gives it. Does not belong here: comparing the bucket
with the database (`operations.reconcile`).
"""

from dagster import (
    DefaultSensorStatus,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from ingest_assets.defs.inventory import adopt
from ingest_assets.defs.resources import ObjectStoreResource, PostgresResource, ReconciliationResource

# Seconds of a tick for listing the bucket; Dagster ends a tick after 60.
_LOOK_SECONDS = 40.0


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
    """Register orphans. A large bucket takes several ticks; the cursor is the last key seen."""
    objects = object_store.get()
    inventory = reconciliation.inventory(
        database.get(), objects, after=context.cursor or "", seconds=_LOOK_SECONDS
    )
    orphans = (found for found in inventory if found.kind == "orphan")
    adopted = adopt(
        context.instance, database.get(), objects, orphans, reconciliation.max_documents_per_run
    )
    for left in adopted.registered.left:
        context.log.warning("%s: %s", left.key, left.detail)
    context.log.info("%s", adopted)
    return SensorResult(skip_reason=SkipReason(f"{adopted}."), cursor=inventory.reached or "")
