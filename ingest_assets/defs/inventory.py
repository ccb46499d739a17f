"""Bucket against database in Dagster: the asset that compares them, and partitions for what is found.

Belongs here: the asset `storage_inventory`, and adding partitions for sources that reconciliation
registered or restored. Does not belong here: comparing, registering and restoring themselves
(`operations.reconcile`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dagster import (
    AssetExecutionContext,
    Config,
    DagsterInstance,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    asset,
    op,
)
from pydantic import Field

from ingest_assets.defs.partitions import add_partitions
from ingest_assets.defs.resources import ObjectStoreResource, PostgresResource, ReconciliationResource
from ingest_assets.markdown import table
from ingest_assets.operations.reconcile.apply import Registered, register, waiting
from ingest_assets.operations.reconcile.inventory import (
    ANOMALIES,
    CLASSES,
    Deep,
    Finding,
    Inventory,
)
from ingest_assets.operations.reconcile.legacy_import import register_stuck
from ingest_assets.operations.reconcile.plan import WHAT_TO_DO, plan_path, write_plan
from ingest_assets.operations.reconcile.rebuild import Rebuilt, rebuild
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore
from ingest_assets.text import counted

_SHOWN_PER_CLASS = 5


@dataclass(frozen=True)
class Adopted:
    """What `adopt` did: the new sources, and the partitions that were added, in their order."""

    registered: Registered
    partitions: list[str]

    def __str__(self) -> str:
        left = len(self.registered.left)
        return (
            f"{counted(self.registered.added, 'orphan')} registered, "
            f"{counted(len(self.partitions), 'partition')} added"
            + (f", {left} left alone" if left else "")
        )


def adopt(
    instance: DagsterInstance,
    database: Database,
    objects: ObjectStore,
    orphans: Iterable[Finding],
    batch_size: int,
) -> Adopted:
    """Register orphans as sources, and add the partitions that sources lack; launch nothing."""
    registered = register(database, objects, orphans, batch_size)
    return Adopted(registered, add_partitions(instance, waiting(database)))


def import_stuck(
    instance: DagsterInstance,
    database: Database,
    objects: ObjectStore,
    table_name: str,
    batch_size: int,
) -> Adopted:
    """Do the same for documents that a table of the earlier pipeline calls stuck."""
    registered = register_stuck(database, objects, table_name, batch_size)
    return Adopted(registered, add_partitions(instance, waiting(database)))


def restore_rows(
    instance: DagsterInstance,
    database: Database,
    objects: ObjectStore,
    batch_size: int,
    *,
    deep: bool = False,
) -> Rebuilt:
    """Restore rows from the bucket and add their partitions; launch nothing.

    If the process dies between the two, the sensor `input_directory` adds the partitions of restored
    files.
    """
    rebuilt = rebuild(database, objects, batch_size=batch_size, deep=deep)
    add_partitions(instance, [*rebuilt.partition_keys, *waiting(database)])
    return rebuilt


class InventoryConfig(Config):
    """How thoroughly to compare."""

    deep: bool = Field(False, description="Read stored documents and compare their SHA-256.")
    sample: str = Field("1/1", description="How many of them, such as 1/50; the same ones each time.")
    resume_after: str = Field("", description="Read only documents behind this key.")


@asset(
    group_name="storage",
    kinds={"s3", "postgres"},
    owners=["team:data-engineering"],
    description="The bucket against the database, in both directions: objects without a row, rows "
    "without an object, and what differs. Writes nothing but its plan file, which "
    "`ingest-assets reconcile apply` takes.",
)
def storage_inventory(
    context: AssetExecutionContext,
    config: InventoryConfig,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
) -> MaterializeResult[None]:
    """Compare, write the plan file, and show what was found."""
    inventory = reconciliation.inventory(
        database.get(),
        object_store.get(),
        deep=Deep.parse(config.sample, config.resume_after) if config.deep else None,
    )
    plan = write_plan(inventory, plan_path(Path(reconciliation.plans_dir)))
    context.log.info("%s", inventory)
    return MaterializeResult(
        metadata={
            "summary": str(inventory),
            "clean": inventory.is_clean,
            **{kind: inventory.counts[kind] for kind in CLASSES},
            "found": MetadataValue.md(markdown(inventory)),
            "plan": MetadataValue.path(plan.path),
            "bytes_read": inventory.bytes_read,
            "seconds": round(inventory.seconds, 3),
        }
    )


def markdown(inventory: Inventory) -> str:
    """A few keys of each class that is not `matching`, and what to do about them, as Markdown."""
    # The key is the last column, because it is long and Dagit cuts tables off at the right.
    rows = [
        (found.kind, found.detail, f"{found.size_bytes:,}", found.key)
        for kind in CLASSES
        for found in inventory.samples[kind][:_SHOWN_PER_CLASS]
    ]
    advice = [f"- **{kind}**: {WHAT_TO_DO[kind]}" for kind in ANOMALIES if inventory.counts[kind]]
    parts = [table(("class", "why", "bytes", "key"), rows)] if rows else []
    return "\n\n".join([*parts, *(["\n".join(advice)] if advice else [])]) or str(inventory)


@op(description="Records orphaned uploads as sources and adds their partitions.")
def register_orphaned_uploads(
    context: OpExecutionContext,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
) -> None:
    """Do what the sensor `orphaned_uploads` does, over the whole bucket at once."""
    objects = object_store.get()
    inventory = reconciliation.inventory(database.get(), objects)
    orphans = (found for found in inventory if found.kind == "orphan")
    adopted = adopt(
        context.instance, database.get(), objects, orphans, reconciliation.max_documents_per_run
    )
    _report(context, adopted)


class StuckConfig(Config):
    """Which table the earlier pipeline's rows are in."""

    table: str = Field(description="SCHEMA.TABLE in the documents' database.")


@op(description="Records documents that a table calls N/A_START_FAILURE, and adds their partitions.")
def import_stuck_documents(
    context: OpExecutionContext,
    config: StuckConfig,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
) -> None:
    """Do what `ingest-assets reconcile import-stuck` does, from Dagit's launchpad."""
    adopted = import_stuck(
        context.instance,
        database.get(),
        object_store.get(),
        config.table,
        reconciliation.max_documents_per_run,
    )
    _report(context, adopted)


def _report(context: OpExecutionContext, adopted: Adopted) -> None:
    context.log.info("%s", adopted)
    for left in adopted.registered.left:
        context.log.warning("%s: %s", left.key, left.detail)
    context.add_output_metadata(
        {
            "registered": adopted.registered.added,
            "partitions_added": len(adopted.partitions),
            "first": adopted.partitions[0] if adopted.partitions else "",
            "last": adopted.partitions[-1] if adopted.partitions else "",
        }
    )
