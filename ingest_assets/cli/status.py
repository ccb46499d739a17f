"""`status`: how far all documents are."""

from __future__ import annotations

import click

from ingest_assets.cli import render, running
from ingest_assets.operations.status import read_status


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Print how far all documents are.

    How many are in which state and at which stage, how fast it goes, and what failed last.
    """
    running.use_running_stack()
    found = read_status(running.database())
    if as_json:
        render.show_json(found.as_json())
    else:
        render.show(render.status(found))
