"""`reconcile`: comparing bucket and database in both directions, and mending what differs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest_assets import wiring
from ingest_assets.cli import render, running
from ingest_assets.operations.reconcile.apply import delete_adopted, restore_lost
from ingest_assets.operations.reconcile.inventory import Deep
from ingest_assets.operations.reconcile.plan import WHAT_TO_DO, plan_path, read_plan, write_plan
from ingest_assets.settings import Settings

if TYPE_CHECKING:
    from ingest_assets.operations.reconcile.apply import Done
    from ingest_assets.operations.reconcile.cost import Estimate, Unread


@click.group()
def reconcile() -> None:
    """Compare bucket and database, and mend them.

    `plan` finds uploads without a row and rows without an object; `apply` does what you ask about them.
    """


@reconcile.command()
@click.option("--deep", is_flag=True, help="Read stored documents and compare their SHA-256.")
@click.option("--sample", default="1/1", show_default=True, help="With --deep: how many, as 1/50.")
@click.option("--resume-after", default="", metavar="KEY", help="With --deep: read those after KEY.")
@click.option("--count-pages", is_flag=True, help="Fetch what Textract is to read; count its pages.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The plan file.")
def plan(deep: bool, sample: str, resume_after: str, count_pages: bool, output: Path | None) -> None:
    """Compare, and write nothing but a plan file. Exit code 1 if something is to be mended."""
    reach = Deep.parse(sample, resume_after) if deep else None
    settings = running.use_running_stack()
    database, objects = running.database(), wiring.object_store(settings)
    inventory = wiring.inventory(settings, database, objects, deep=reach)
    path = output or plan_path(settings.plans_dir)
    try:
        found = write_plan(inventory, path)
    except BaseException:
        if inventory.deep_reached:
            click.echo(f"To go on: --resume-after {shlex.quote(inventory.deep_reached)}", err=True)
        raise
    render.show(render.inventory(inventory, WHAT_TO_DO))
    if settings.ocr_engine == "textract":
        from ingest_assets.operations.reconcile.cost import orphaned, unread

        waiting = chain(unread(database), orphaned(found.findings("orphan")))
        render.show(render.estimate(_estimate(waiting, settings, count_pages)))
    click.echo(f"Plan: {path}")
    sys.exit(0 if inventory.is_clean else 1)


@reconcile.command("import-stuck")
@click.argument("table", metavar="SCHEMA.TABLE")
def import_stuck_rows(table: str) -> None:
    """Record documents that a TABLE of the earlier pipeline calls N/A_START_FAILURE; add partitions."""
    from ingest_assets.defs.instance import current_instance
    from ingest_assets.defs.inventory import import_stuck

    settings = running.use_running_stack()
    objects, batch_size = wiring.object_store(settings), settings.max_documents_per_run
    with current_instance() as instance:
        adopted = import_stuck(instance, running.database(), objects, table, batch_size)
    render.show(render.done(adopted.registered.left), render.line(f"{adopted}."))
    sys.exit(1 if adopted.registered.left else 0)


@reconcile.command("apply")
@click.argument("plan_file", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--register", "to_register", is_flag=True, help="Record orphans; add partitions.")
@click.option("--restore-lost", "to_restore", is_flag=True, help="Upload lost objects again.")
@click.option("--delete-adopted", "to_delete", is_flag=True, help="Remove originals of copies.")
@click.option("--yes", is_flag=True, help="With --delete-adopted: do it, do not only say it.")
def apply_plan(
    plan_file: Path | None, to_register: bool, to_restore: bool, to_delete: bool, yes: bool
) -> None:
    """Do what the flags name, and nothing else. Without PLAN_FILE, a plan is made first."""
    if not (to_register or to_restore or to_delete):
        raise click.UsageError("Say what to do: --register, --restore-lost or --delete-adopted.")
    if to_delete and plan_file is None:
        raise click.UsageError("--delete-adopted needs a plan file that somebody has read.")
    settings = running.use_running_stack()
    database, objects = running.database(), wiring.object_store(settings)
    found = (
        read_plan(plan_file)
        if plan_file
        else write_plan(wiring.inventory(settings, database, objects), plan_path(settings.plans_dir))
    )
    found.require_bucket(objects.bucket)
    done: list[Done] = []
    if to_register:
        from ingest_assets.defs.instance import current_instance
        from ingest_assets.defs.inventory import adopt

        with current_instance() as instance:
            batch_size = settings.max_documents_per_run
            adopted = adopt(instance, database, objects, found.findings("orphan"), batch_size)
        render.show(render.line(f"{adopted}."))
        done += adopted.registered.left
    if to_restore:
        done += restore_lost(
            database, objects, wiring.inbox(settings.input_place, settings), found.findings("lost")
        )
    if to_delete:
        done += delete_adopted(database, objects, found.findings("adopted"), yes=yes)
    render.show(render.done(done))
    sys.exit(0 if all(one.done for one in done) else 1)


def _estimate(documents: Iterable[Unread], settings: Settings, count: bool) -> Estimate:
    """What Textract would cost for documents, with their pages counted if `count` is set."""
    from ingest_assets.operations.reconcile.cost import count_pages, estimate

    database, price = running.database(), settings.textract_price_per_page
    if not count:
        return estimate(documents, database, price)
    objects, workers = wiring.object_store(settings), settings.ocr_workers
    with closing(wiring.local_reader(settings)) as reader:
        return estimate(count_pages(documents, objects, reader, workers), database, price)
