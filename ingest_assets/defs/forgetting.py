"""Forgetting documents: one from Dagit's launchpad, and those that are old enough.

Belongs here: the ops. Does not belong here: what is removed, and in which order (`operations.forget`).
"""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from dagster import Config, OpExecutionContext, op
from pydantic import Field

from ingest_assets.defs.resources import ObjectStoreResource, PostgresResource, ReconciliationResource
from ingest_assets.operations.forget.engine import forget, resume
from ingest_assets.operations.forget.plan import plan
from ingest_assets.operations.forget.traces import Places, opened_places
from ingest_assets.operations.retention import due, expire


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
            "documents_that_hold_it": len(found.holders),
            "files_left_alone": len(found.files),
            "held": len(found.held),
            **found.counts,
        }
    )
    if config.dry_run:
        context.log.info("%d documents would be forgotten; nothing was removed.", len(found.documents))
        return
    with _places(context, database, object_store, reconciliation) as places:
        done = forget(places, config.document, config.reason, config.by or None)
    if done.left:
        raise RuntimeError(f"Something is left: {'; '.join(done.left)}.")
    context.log.info("%d documents are forgotten.", len(found.documents))


class RetentionConfig(Config):
    """How old a document may become."""

    days: int = Field(ge=1, description="INGEST_RETENTION_DAYS.")


@op(
    description="Forgets the documents that are older than a number of days. Where that number is new, "
    "it only says how many are due; the next day they go."
)
def forget_expired(
    context: OpExecutionContext,
    config: RetentionConfig,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
) -> None:
    """Do what INGEST_RETENTION_DAYS asks for. Says counts only: its record outlives the documents."""
    with _places(context, database, object_store, reconciliation) as places:
        unfinished = resume(places)
        forgotten = [*unfinished, *expire(places, config.days)]
    waiting = due(database.get(), config.days)
    context.add_output_metadata(
        {
            "forgotten": sum(len(done.plan.documents) for done in forgotten),
            "due": waiting.count,
            "held": waiting.held,
        }
    )
    if waiting.count:
        context.log.warning(
            "%d documents are older than %d days; they go from %s on.",
            waiting.count,
            config.days,
            waiting.begins_at,
        )
    left = [place for done in forgotten for place in done.left]
    if left:
        context.log.warning("Not all could be removed yet: %s", "; ".join(left))


def _places(
    context: OpExecutionContext,
    database: PostgresResource,
    object_store: ObjectStoreResource,
    reconciliation: ReconciliationResource,
) -> AbstractContextManager[Places]:
    return opened_places(
        database.get(),
        object_store.get(),
        os.environ["DAGSTER_POSTGRES_URL"],
        Path(reconciliation.plans_dir),
        Path(context.instance.root_directory),
    )
