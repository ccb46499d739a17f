"""Trying documents again by a backfill.

Belongs here: requesting the backfill, and the op that does it on demand. Does not belong here: which
documents are due to be tried again (`operations.retry_policy`).
"""

import time
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from functools import cache

from dagster import AssetKey, Config, DagsterInstance, MetadataValue, OpExecutionContext, op
from pydantic import Field

from ingest_assets.defs._internals import (
    BULK_ACTION_TERMINAL_STATUSES,
    AssetGraph,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
    make_new_backfill_id,
)
from ingest_assets.defs.documents import document_assets
from ingest_assets.defs.instance import FIRST, PRIORITY_TAG
from ingest_assets.defs.partitions import add_partitions
from ingest_assets.defs.resources import PostgresResource, RetryResource
from ingest_assets.failpoints import failpoint
from ingest_assets.markdown import table
from ingest_assets.operations.retry_policy import Failure, chosen
from ingest_assets.stage_names import STAGES
from ingest_assets.text import counted

RETRY_TAG = "ingest/retry"
BY_SENSOR, ON_DEMAND = "retry_failed", "on demand"
_UNFINISHED = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
_SHOWN = 100


def request_retry(instance: DagsterInstance, failures: Sequence[Failure], asked_by: str) -> str:
    """Request a backfill of these documents; the daemon launches its runs, each over a range of them.

    A backfill rather than runs, because Dagster finds the ranges itself, a command can request it while
    the daemon is down, and Dagit shows it on one page with title, progress and runs. A stage whose
    result is stored already is skipped in the run.

    Returns:
        The backfill's id.
    """
    keys = [failure.partition_key for failure in failures]
    add_partitions(instance, keys)
    backfill_id = make_new_backfill_id()
    failpoint("retry.requesting")
    instance.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id=backfill_id,
            asset_graph=_graph(),
            partition_names=keys,
            asset_selection=[AssetKey(stage) for stage in STAGES],
            backfill_timestamp=time.time(),
            tags={RETRY_TAG: asked_by, PRIORITY_TAG: FIRST if asked_by == ON_DEMAND else "0"},
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=f"Retry of {counted(len(keys), 'document')} ({asked_by})",
            description=None,
            run_config=None,
        )
    )
    failpoint("retry.requested")
    return backfill_id


def unfinished_retry(instance: DagsterInstance) -> str | None:
    """The id of a backfill that `request_retry` requested and that has not ended yet."""
    # Filtered here and not in the query: some storages find a backfill by its tags only once it has
    # launched a run.
    unfinished = instance.get_backfills(filters=BulkActionsFilter(statuses=_UNFINISHED))
    return next((found.backfill_id for found in unfinished if RETRY_TAG in found.tags), None)


@cache
def _graph() -> AssetGraph:
    """The documents' assets, as a backfill needs them.

    How many documents one run takes does not matter here: the daemon reads it from the code location.
    """
    return AssetGraph.from_assets([document_assets(documents_per_run=1)])


class RetriedClass(Enum):
    """The class of the fault, as `stage_attempts.error_class` has it."""

    transient = "transient"
    permanent = "permanent"
    configuration = "configuration"


class RetryConfig(Config):
    """Which documents to try again."""

    error_class: RetriedClass = Field(
        RetriedClass.transient, description="Class of the fault that the latest attempt ended with."
    )
    stage: str = Field("", description="The stage that failed; any where empty.")
    since: str = Field("", description="Only those that failed then or later: ISO 8601.")
    dry_run: bool = Field(False, description="Only say which they are.")


@op(description="Requests a backfill of the documents that failed, whatever their number of tries.")
def retry_documents(
    context: OpExecutionContext,
    config: RetryConfig,
    database: PostgresResource,
    retries: RetryResource,
) -> None:
    """Do what `ingest-assets retry` does, from Dagit's launchpad."""
    failures = chosen(
        database.get(),
        retries.rules,
        error_class=config.error_class.value,
        stage=config.stage or None,
        since=datetime.fromisoformat(config.since) if config.since else None,
    )
    context.add_output_metadata(
        {"documents": len(failures), "failures": MetadataValue.md(as_table(failures[:_SHOWN]))}
    )
    if not failures or config.dry_run:
        context.log.info("%d documents would be tried again; nothing was launched.", len(failures))
        return
    backfill_id = request_retry(context.instance, failures, ON_DEMAND)
    context.log.info("%d documents are tried again by backfill %s.", len(failures), backfill_id)


def as_table(failures: Sequence[Failure]) -> str:
    """Documents, and what each failed with, as Markdown."""
    return table(
        ("file", "stage", "class", "code", "failed runs", "partition"),
        [
            (f.original_file_name, f.stage, f.error_class, f.error_code, f.runs, f.partition_key)
            for f in failures
        ],
    )
