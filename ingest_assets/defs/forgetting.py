"""Forgetting a document from Dagit's launchpad.

Belongs here: the op. Does not belong here: what is removed, and in which order (`operations.forget`).
"""

import os
from pathlib import Path

from dagster import Config, OpExecutionContext, op
from pydantic import Field

from ingest_assets.defs.resources import ObjectStoreResource, PostgresResource, ReconciliationResource
from ingest_assets.operations.forget import forget, opened_places, plan


class ForgetConfig(Config):
    """Which document, and why."""

    document: str = Field(description="Its UUID or its partition key.")
    reason: str = Field(description="Why; the tombstone keeps it.")
    by: str = Field("", description="Who decided it; the user of the process where empty.")
    dry_run: bool = Field(True, description="Only say how much would be removed.")


@op(description="Removes a document and all that was made of it, for good. First with `dry_run`.")
def forget_one(
    context: OpExecutionContext,
    config: ForgetConfig,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
) -> None:
    """Do what `ingest-assets forget` does. Says counts only: its record outlives the document."""
    found = plan(database.get(), config.document)
    context.add_output_metadata(
        {
            "documents": len(found.documents),
            "partitions": len(found.partition_keys),
            "stay_for_others": len(found.kept),
            "files_left_alone": len(found.files),
            "held": len(found.held),
            **found.counts,
        }
    )
    if config.dry_run:
        context.log.info("%d documents would be forgotten; nothing was removed.", len(found.documents))
        return
    with opened_places(
        database.get(),
        object_store.get(),
        os.environ["DAGSTER_POSTGRES_URL"],
        Path(reconciliation.plans_dir),
        Path(context.instance.root_directory),
    ) as places:
        done = forget(places, config.document, config.reason, config.by or None)
    if done.left:
        raise RuntimeError(f"Something is left: {'; '.join(done.left)}.")
    context.log.info("%d documents are forgotten.", len(found.documents))
