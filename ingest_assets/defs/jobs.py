"""Jobs: what can be launched by name.

Belongs here: selections of assets with the way they are run, and what runs by the clock. Does not
belong here: what is run because something happened (`sensors`).
"""

from __future__ import annotations

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
    job,
)

from ingest_assets.defs.backfills import retry_documents
from ingest_assets.defs.documents import SPECS
from ingest_assets.defs.ingest_report import ingest_report
from ingest_assets.defs.inventory import (
    import_stuck_documents,
    register_orphaned_uploads,
    storage_inventory,
)

# In one process: the documents of a run share their connections and the engine's processes, and a
# second process would take longer to start than most documents take to finish.
ingest_documents = define_asset_job(
    "ingest_documents",
    selection=AssetSelection.assets(*(spec.key for spec in SPECS)),
    executor_def=in_process_executor,
    description="Takes documents through the whole graph: row, object, text, chunks, entities.",
)

reconcile = define_asset_job(
    "reconcile",
    selection=AssetSelection.assets(storage_inventory),
    executor_def=in_process_executor,
    description="Compares bucket and database in both directions. Writes nothing but a plan file.",
)


@job(
    executor_def=in_process_executor,
    description="Records the uploads that have no row as sources and adds their partitions, which "
    "then show as missing: launch their backfill from the page of an asset.",
)
def register_orphans() -> None:
    """The sensor `orphaned_uploads`, once, on demand."""
    register_orphaned_uploads()


@job(
    executor_def=in_process_executor,
    description="Tries documents again that failed, by the class of their fault, by stage and by time. "
    "With `dry_run` it only names them.",
)
def retry_failed_documents() -> None:
    """The command `ingest-assets retry`, from Dagit's launchpad."""
    retry_documents()


@job(
    name="import_stuck",
    executor_def=in_process_executor,
    description="Records the documents that a table of the earlier pipeline calls N/A_START_FAILURE "
    "as sources and adds their partitions: launch their backfill from the page of an asset.",
)
def import_stuck() -> None:
    """What `ingest-assets reconcile import-stuck` does."""
    import_stuck_documents()


verify_documents = define_asset_job(
    "verify_documents",
    selection=AssetSelection.assets(ingest_report),  # and with it its checks: the whole checklist
    executor_def=in_process_executor,
    description="Reports the status, and asks all questions of the verification checklist.",
)

# On from the start: a fault that nobody asks about stays silent, and a look costs one listing of the
# bucket (Amazon asks half a cent for a million objects) and seconds of the database. Not on the hour,
# when everybody else's schedules begin.
verify_hourly = ScheduleDefinition(
    name="verify_hourly",
    job=verify_documents,
    cron_schedule="7 * * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Asks every hour whether all is well.",
)
