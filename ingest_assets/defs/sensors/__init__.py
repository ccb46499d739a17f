"""Sensors, one module each: they notice that there is work, and request it.

Each is level-triggered: it compares what exists with what should exist, and does not rely on what an
earlier tick did. Belongs here: when work starts. Does not belong here: the work.
"""

from ingest_assets.defs.sensors.alerts import alerts
from ingest_assets.defs.sensors.input_directory import input_directory
from ingest_assets.defs.sensors.orphaned_uploads import orphaned_uploads
from ingest_assets.defs.sensors.retry_failed import retry_failed
from ingest_assets.defs.sensors.verify_after_backfill import verify_after_backfill
from ingest_assets.defs.sensors.worker_runs import worker_runs

__all__ = [
    "alerts",
    "input_directory",
    "orphaned_uploads",
    "retry_failed",
    "verify_after_backfill",
    "worker_runs",
]
