"""What starts work: sensors, one module each.

Each is level-triggered: it compares what is with what should be, and keeps no memory of what it did.
Belongs here: when work starts. Does not belong here: the work.
"""

from ingest_assets.defs.sensors.input_directory import input_directory
from ingest_assets.defs.sensors.orphaned_uploads import orphaned_uploads
from ingest_assets.defs.sensors.retry_failed import retry_failed
from ingest_assets.defs.sensors.verify_after_backfill import verify_after_backfill

__all__ = ["input_directory", "orphaned_uploads", "retry_failed", "verify_after_backfill"]
