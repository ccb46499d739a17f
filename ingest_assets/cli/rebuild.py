"""`rebuild-db`: the documents' rows from the bucket alone."""

from __future__ import annotations

import sys

import click

from ingest_assets import wiring
from ingest_assets.cli import render, running


@click.command()
@click.option("--deep", is_flag=True, help="Read each object and compare its SHA-256.")
def rebuild_db(deep: bool) -> None:
    """Restore documents' rows from the bucket alone.

    They get the UUIDs that they had. Exit code 1 if an object was left without a row.
    """
    from ingest_assets.defs.instance import current_instance
    from ingest_assets.defs.inventory import restore_rows

    settings = running.use_running_stack()
    objects, batch_size = wiring.object_store(settings), settings.max_documents_per_run
    with current_instance() as instance:
        rebuilt = restore_rows(instance, running.database(), objects, batch_size, deep=deep)
    render.show(render.rebuilt(rebuilt))
    sys.exit(1 if rebuilt.not_restored else 0)
