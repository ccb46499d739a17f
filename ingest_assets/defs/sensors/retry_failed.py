"""Sensor `retry_failed`: documents whose fault may have passed are tried again.

Belongs here: one tick. Does not belong here: which documents are due (`operations.retry_policy`), and
the backfill (`defs.backfills`).
"""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor

from ingest_assets.defs.backfills import BY_SENSOR, request_retry, unfinished_retry
from ingest_assets.defs.resources import PostgresResource, RetryResource
from ingest_assets.defs.sensors.held import may_launch
from ingest_assets.operations.retry_policy import due, readable_again
from ingest_assets.operations.withheld import launch_again
from ingest_assets.text import counted


@sensor(
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Tries documents again whose fault may pass, after a cool-down that grows, and those "
    "that a run left unfinished, and files whose rights were mended. After a set number of "
    "failed runs they wait for a person.",
)
def retry_failed(
    context: SensorEvaluationContext,
    database: PostgresResource,
    retries: RetryResource,
) -> SkipReason:
    """Request a backfill of what is due, one at a time: what fails again is due again later."""
    failures = [
        *due(database.get(), retries.rules),
        *readable_again(database.get(), retries.rules),
    ]
    if not failures:
        launch_again(database.get(), context.sensor_name)
        return SkipReason("Nothing is due to be tried again.")
    due_now = counted(len(failures), "document")
    if running := unfinished_retry(context.instance):
        return SkipReason(f"{due_now} to try again when backfill {running} has ended.")
    if reason := may_launch(context, database.get()):
        return SkipReason(f"{due_now} to try again; held. {reason}")
    backfill_id = request_retry(context.instance, failures, BY_SENSOR)
    return SkipReason(f"Backfill {backfill_id} tries {due_now} again.")
