"""`dev`, `env` and `services`: running the stack, and finding it from a shell."""

from __future__ import annotations

import shlex
import sys
from functools import cache

import click
from rich.console import RenderableType
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.cli import render, running
from ingest_assets.embedded.environment import stack_environment
from ingest_assets.operations.status import read_status


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of Dagit on 127.0.0.1.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    help="Workers that runs over documents go to, with a broker of their own: as on other machines.",
)
def dev(port: int | None, workers: int) -> None:
    """Run services, Dagit and daemon; Ctrl-C stops them all."""
    from ingest_assets.embedded import dev as stack

    settings = running.startable_settings()
    database = cache(running.database)  # first called when the services have started

    def progress() -> RenderableType:
        try:
            return render.Progress(read_status(database()))
        except SQLAlchemyError:
            return render.line("The database does not answer; trying again.")

    sys.exit(stack.dev(settings, render.Screen(progress), port=port, workers=workers))


@click.command()
def env() -> None:
    """Print the running stack's variables, for a shell to evaluate.

    Type eval "$(ingest-assets env)"; then psql, aws and dagster find the stack.
    """
    for name, value in stack_environment(running.load_settings()).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.group()
def services() -> None:
    """Run the embedded Postgres and S3 alone.

    For work without Dagit and daemon; `dev` runs all of them.
    """


@services.command()
def start() -> None:
    """Start them in the background, and prepare databases and bucket."""
    from ingest_assets.embedded.supervisor import start_services

    start_services(running.startable_settings(), click.echo)


@services.command()
def stop() -> None:
    """Stop them and wait until they have ended."""
    from ingest_assets.embedded.supervisor import stop_services

    stop_services(running.load_settings(), click.echo)
