"""`forget`, `retention`, `hold` and `release`: removing documents for good, and what keeps them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ingest_assets import wiring
from ingest_assets.cli import render, running
from ingest_assets.embedded.environment import dagster_home, data_directory
from ingest_assets.operations.forget import engine, plan, traces
from ingest_assets.operations.retention import due

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ingest_assets.settings import Settings


@click.command()
@click.argument("document", required=False)
@click.option("--reason", help="Why; the tombstone keeps it.")
@click.option("--by", "who", help="Who decided it; by default, the user who runs this.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--resume", is_flag=True, help="Finish what a call that was killed has begun.")
def forget(
    document: str | None, reason: str | None, who: str | None, dry_run: bool, yes: bool, resume: bool
) -> None:
    """Remove a document and all that was made of it, for good.

    DOCUMENT is its UUID, its partition key, its URI or its whole file name. Its object goes with all
    versions, with text, chunks, mentions, entities that only it names, its parts that are nobody
    else's, Dagster's events with their previews, and its name in logs. A tombstone with the SHA-256 of
    its bytes keeps it from coming back. Files of the input directory are named and left alone. Exit
    code 1 if nothing was removed, or something is left.
    """
    settings = running.use_running_stack()
    if resume:
        with _places(settings) as places:
            done = engine.resume(places)
        for one in done:
            render.show(render.forgotten(one))
        render.show(render.line(f"Documents that were still to be forgotten: {len(done)}."))
        kept = engine.kept_by_s3(running.database())
        for sentence in kept:
            render.show(render.line(sentence))
        sys.exit(bool(kept) or any(one.left for one in done))
    if not document:
        raise click.UsageError("Name a DOCUMENT, or use --resume.")
    if not reason and not dry_run:
        raise click.UsageError("Give a --reason: the tombstone keeps it.")
    found = plan.plan(running.database(), document)
    render.show(render.to_forget(found))
    if dry_run:
        return
    if found.held or not (yes or (sys.stdin.isatty() and click.confirm("Remove it for good?"))):
        if not found.held:
            render.show(render.line("Nothing was removed. With --yes it is."))
        sys.exit(1)
    with _places(settings) as places:
        done_now = engine.forget(places, document, reason or "", who)
    render.show(render.forgotten(done_now))
    sys.exit(bool(done_now.left))


@click.command()
@click.option("--days", type=click.IntRange(1), help="Another number than INGEST_RETENTION_DAYS.")
def retention(days: int | None) -> None:
    """Say which documents INGEST_RETENTION_DAYS would have forgotten.

    Removes nothing: that does the schedule `retention_daily` each night, where the setting is set. How
    many documents are older, the oldest of them, and when the first go.
    """
    settings = running.use_running_stack()
    wanted = days or settings.retention_days
    if wanted is None:
        render.show(render.line("INGEST_RETENTION_DAYS is not set: nothing goes. Try --days."))
        return
    is_set = wanted == settings.retention_days
    render.show(render.retention(due(running.database(), wanted), is_set=is_set, named=True))


@click.command()
@click.argument("document")
@click.option("--reason", required=True, help="Why, such as the name of a case.")
@click.option("--by", "who", help="Who decided it; by default, the user who runs this.")
def hold(document: str, reason: str, who: str | None) -> None:
    """Keep a document from being forgotten.

    As long as it is held, `forget` refuses it, and all that it is part of.
    """
    running.use_running_stack()
    held = plan.hold(running.database(), document, reason, who)
    render.show(render.line(f"Document {held} is held: {reason}"))


@click.command()
@click.argument("document")
def release(document: str) -> None:
    """End the hold on a document.

    Exit code 1 if there was none.
    """
    running.use_running_stack()
    was_held = plan.release(running.database(), document)
    render.show(render.line("Released." if was_held else "It was not held."))
    sys.exit(not was_held)


def _places(settings: Settings) -> AbstractContextManager[traces.Places]:
    return traces.opened_places(
        running.database(),
        wiring.object_store(settings),
        os.environ["DAGSTER_POSTGRES_URL"],
        data_directory(settings) / "plans",
        dagster_home(settings),
    )
