"""`report`: how it went, as a page to look at and to send."""

from __future__ import annotations

from pathlib import Path

import click

from ingest_assets.cli import running


@click.command()
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write; one that is there is replaced.",
)
def report(html: Path) -> None:
    """Write the report as one HTML file, with pictures.

    Throughput and backlog over the last day and month, states, pages, the commonest faults, cost. The
    file needs no network and no other file. It names documents that failed.
    """
    from ingest_assets.operations.pictures import draw
    from ingest_assets.operations.report import page, read_report

    running.use_running_stack()
    found = read_report(running.database())
    html.write_text(page(found, draw(found)), encoding="utf-8")
    click.echo(f"The report is in {html}.")
