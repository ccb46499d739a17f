"""Sensor `worker_runs`: runs whose message the broker has lost are sent again.

Belongs here: one tick. Does not belong here: what is lost and what is done then (`defs.worker_runs`).
"""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor

from ingest_assets.defs.instance import WatchedRunLauncher
from ingest_assets.defs.worker_runs import has_broker


@sensor(
    minimum_interval_seconds=10,
    default_status=DefaultSensorStatus.RUNNING,
    description="Sends runs again that no worker has begun although one is free, because the broker "
    "was away or was emptied, and fails those whose worker was lost before they had started.",
)
def worker_runs(context: SensorEvaluationContext) -> SkipReason:
    """Look after the runs that were sent to workers."""
    launcher = context.instance.run_launcher
    if not has_broker() or not isinstance(launcher, WatchedRunLauncher):
        return SkipReason("INGEST_BROKER_URL is not set: all runs are on this machine.")
    done = launcher.workers.look_after()
    return SkipReason(" ".join(done) or "No run was lost.")
