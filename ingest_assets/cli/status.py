"""`status`: how far all documents are."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest_assets.cli import render, running
from ingest_assets.operations.status import read_status, runs_not_started

if TYPE_CHECKING:
    from ingest_assets.operations.retention import Due


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Print how far all documents are.

    How many are in which state and at which stage, how fast it goes, and what failed last.
    """
    settings = running.use_running_stack()
    found = read_status(running.database())
    # Asked only where nothing goes on: it takes another connection.
    not_started = _runs_not_started() if found.queued and not found.working else 0
    old = _old(settings.retention_days)
    if as_json:
        extra = {"runs_not_started": not_started, "retention": asdict(old) if old else None}
        render.show_json({**found.as_json(), **extra})
    else:
        render.show(render.status(found, not_started))
        if old:
            render.show(render.retention(old, is_set=True))


def _runs_not_started() -> int:
    home = os.environ.get("DAGSTER_HOME")
    if not home or not Path(home).is_dir():
        return 0  # Dagster has never run here.
    return runs_not_started(running.dagster_database())


def _old(days: int | None) -> Due | None:
    if days is None:
        return None
    from ingest_assets.operations.retention import due  # It imports what removes objects from S3.

    return due(running.database(), days)
