"""`why`, `search` and `retry`: questions about single documents, and trying them again."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from ingest_assets import wiring
from ingest_assets.cli import render, running
from ingest_assets.embedded.environment import dagit_url
from ingest_assets.errors import ErrorClass
from ingest_assets.operations.history import History, history
from ingest_assets.operations.retry_policy import chosen
from ingest_assets.operations.search import RANKED
from ingest_assets.operations.search import search as find
from ingest_assets.stage_names import STAGES


@click.command()
@click.argument("document")
def why(document: str) -> None:
    """Print the history of one document.

    DOCUMENT is its UUID, its partition key, the URI at which it was found, its file name or a part of
    that. The history is where it was seen and stored, what was tried, and what happens next. Exit code
    1 if no document, or more than one, goes by that name.
    """
    settings = running.use_running_stack()
    found = history(running.database(), document, wiring.retry_rules(settings))
    if isinstance(found, History):
        render.show(render.history(found, dagit_url(settings)))
    else:
        render.show(render.candidates(found, document), to_stderr=True)
        sys.exit(1)


@click.command(context_settings={"ignore_unknown_options": True})  # -without is a word
@click.argument("words", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def search(words: tuple[str, ...], top: int, as_json: bool) -> None:
    """Search the text of all documents.

    A passage has to have all WORDS; "a phrase", `or` and `-without` work as in web search engines. Exit
    code 1 if nothing matches.
    """
    running.use_running_stack()
    found = find(running.database(), " ".join(words), top)
    if as_json:
        render.show_json(found.as_json())
    else:
        render.show(render.passages(found, RANKED))
    sys.exit(0 if found.passages else 1)


@click.command()
@click.option(
    "--class",
    "error_class",
    type=click.Choice(["transient", "permanent", "configuration"]),
    default="transient",
    show_default=True,
    help="Class of the fault.",
)
@click.option("--stage", type=click.Choice(STAGES), help="The stage that failed; by default, any.")
@click.option("--since", type=click.DateTime(), help="Only those that failed then or later.")
@click.option("--dry-run", is_flag=True, help="Only say which they are.")
def retry(error_class: ErrorClass, stage: str | None, since: datetime | None, dry_run: bool) -> None:
    """Try documents that failed again.

    However often they were tried before. Requests one backfill, which Dagit shows.
    """
    settings = running.use_running_stack()
    database = running.database()
    failures = chosen(
        database,
        wiring.retry_rules(settings),
        error_class=error_class,
        stage=stage,
        since=since.astimezone() if since else None,
    )
    render.show(render.failures(failures))
    if failures and settings.ocr_engine == "textract":
        from ingest_assets.operations.reconcile.cost import estimate, unread

        waiting = unread(database, [failure.partition_key for failure in failures])
        cost = estimate(waiting, database, settings.textract_price_per_page)
        render.show(render.estimate(cost, "at most "))
    if not failures or dry_run:
        return
    from ingest_assets.defs.backfills import ON_DEMAND, request_retry
    from ingest_assets.defs.instance import current_instance

    with current_instance() as instance:
        backfill_id = request_retry(instance, failures, ON_DEMAND)
    click.echo(f"Backfill: {dagit_url(settings)}/runs/b/{backfill_id}")
