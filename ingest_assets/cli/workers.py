"""`worker`, `exec` and `migrate`: what runs on machines that have no stack of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ingest_assets.cli import running


@click.command()
@click.option("--concurrency", type=click.IntRange(1), default=1, help="Runs at a time.")
@click.option(
    "--queues",
    default="",
    help="Queues that it takes runs from, separated by commas: `input`, for runs that read the input "
    "directory, and `dagster`, for all others. Without it both, or the second where INGEST_INPUT_DIR "
    "is neither in S3 nor a directory here.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30.0,
    help="Seconds that runs get to end after SIGTERM; then they are interrupted, and others take up "
    "their documents.",
)
def worker(concurrency: int, queues: str, grace: float) -> None:
    """Take runs from the broker that INGEST_BROKER_URL names, until a signal comes."""
    from ingest_assets.defs.worker import Worker
    from ingest_assets.embedded.stack import make_dagster_home, make_data_directory

    settings = running.use_running_stack()
    make_data_directory(settings)
    make_dagster_home(settings)
    names = [name.strip() for name in queues.split(",") if name.strip()]
    Worker(settings, concurrency, names, grace, click.echo).work()


# Commands of Dagster whose lines can be JSON.
_TAKE_LOG_FORMAT = {("dagster", "api"), ("dagster", "dev"), ("dagster-daemon", "run")}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(command: tuple[str, ...]) -> None:
    """Run a command with the stack's variables, as `dagster-daemon run` in a container.

    DAGSTER_HOME is made where it is missing.
    """
    from ingest_assets.embedded.stack import make_dagster_home, make_data_directory

    settings = running.use_running_stack()
    make_data_directory(settings)
    make_dagster_home(settings)
    # Dagster's commands are beside this one, whether or not its virtual environment is active.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if settings.log_format == "json" and (
        command[0] == "dagster-webserver" or command[:2] in _TAKE_LOG_FORMAT
    ):
        command = (*command, "--log-format", "json")
    try:
        os.execvp(command[0], command)  # noqa: S606  (what the user asks for)
    except OSError as error:
        click.echo(f"Error: {command[0]}: {error.strerror}.", err=True)
        sys.exit(1)


@click.command()
def migrate() -> None:
    """Bring databases and schema to this version; check the bucket.

    `dev` and `services start` do it by themselves.
    """
    from ingest_assets.embedded.stack import make_data_directory, prepare
    from ingest_assets.store.database import newest_schema

    settings = running.startable_settings()
    make_data_directory(settings)
    prepare(settings)
    click.echo(f"The database has version {newest_schema()} of the schema.")
