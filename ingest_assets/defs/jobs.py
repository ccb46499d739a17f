"""Jobs, which a person, a schedule or a sensor launches by name, and schedules.

Belongs here: selections of assets and ops with their executor, and what runs by the clock. Does not
belong here: what runs because something happened (`sensors`).
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
from ingest_assets.defs.forgetting import forget_expired, forget_one
from ingest_assets.defs.ingest_report import ingest_report
from ingest_assets.defs.inventory import (
    import_stuck_documents,
    register_orphaned_uploads,
    storage_inventory,
)
from ingest_assets.settings import Settings

# Executed in the run's own process: its documents share connections and worker processes, and a process
# for the step would take longer to start than most documents take to finish.
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
    """Do on demand, once, what the sensor `orphaned_uploads` does."""
    register_orphaned_uploads()


@job(
    executor_def=in_process_executor,
    description="Tries documents again that failed, by the class of their fault, by stage and by time. "
    "With `dry_run` it only names them.",
)
def retry_failed_documents() -> None:
    """Do what the command `ingest-assets retry` does, from Dagit's launchpad."""
    retry_documents()


@job(
    executor_def=in_process_executor,
    description="Removes a document and all that was made of it, for good, and keeps it from coming "
    "back. With `dry_run`, the default, it only says how much that is.",
)
def forget_document() -> None:
    """Do what the command `ingest-assets forget` does, from Dagit's launchpad."""
    forget_one()


@job(
    name="retention",
    executor_def=in_process_executor,
    description="Forgets documents that are older than INGEST_RETENTION_DAYS, for good. Nothing goes "
    "in the first day after that was set or lowered; `ingest-assets retention` names what would.",
)
def forget_old_documents() -> None:
    """Do once what the schedule `retention_daily` does."""
    forget_expired()


def retention_daily(settings: Settings) -> ScheduleDefinition:
    """The schedule by which old documents are forgotten; on only where INGEST_RETENTION_DAYS is set."""
    days = settings.retention_days
    return ScheduleDefinition(
        name="retention_daily",
        job=forget_old_documents,
        cron_schedule="17 3 * * *",
        default_status=DefaultScheduleStatus.RUNNING if days else DefaultScheduleStatus.STOPPED,
        run_config={"ops": {"forget_expired": {"config": {"days": days}}}} if days else None,
        should_execute=lambda _: days is not None,
        description="Forgets each night documents that are older than INGEST_RETENTION_DAYS.",
    )


@job(
    name="import_stuck",
    executor_def=in_process_executor,
    description="Records the documents that a table of the earlier pipeline calls N/A_START_FAILURE "
    "as sources and adds their partitions: launch their backfill from the page of an asset.",
)
def import_stuck() -> None:
    """Do what the command `ingest-assets reconcile import-stuck` does, from Dagit's launchpad."""
    import_stuck_documents()


verify_documents = define_asset_job(
    "verify_documents",
    selection=AssetSelection.assets(ingest_report),  # its checks, the whole checklist, run with it
    executor_def=in_process_executor,
    description="Reports the status, and asks all questions of the verification checklist.",
)

# On from the start: without it a fault shows only when a person asks. A verification costs one listing
# of the bucket (half a US cent for a million objects at Amazon) and seconds of the database. At minute
# 7, because schedules of other systems crowd the full hour.
verify_hourly = ScheduleDefinition(
    name="verify_hourly",
    job=verify_documents,
    cron_schedule="7 * * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Asks every hour whether all is well.",
)
