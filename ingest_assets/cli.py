"""The command line. Belongs here: options, exit codes, printing. What a command does is a function.

Exit codes: 0 all is well, 1 the answer is no, 2 wrong usage.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import IngestError
from ingest_assets.settings import Settings

if TYPE_CHECKING:
    from ingest_assets.store.database import Database


class _Commands(click.Group):
    """A group whose commands end with one sentence and exit code 1 on a fault of ours."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except IngestError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


def load_settings() -> Settings:
    """Return the settings; end with a sentence that names the wrong one, but not its value."""
    try:
        return Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in fault["loc"]).upper()
            name = name if name.startswith("AWS_") else f"INGEST_{name}"
            click.echo(f"Error: {name}: {fault['msg']}.", err=True)
        sys.exit(1)


@click.group(cls=_Commands)
@click.version_option(package_name="ingest_assets")
def main() -> None:
    """Documents to database rows, stored objects and text, in that order."""


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of Dagit on 127.0.0.1.")
def dev(port: int | None) -> None:
    """Run services, Dagit and daemon; Ctrl-C stops them all."""
    from ingest_assets.embedded.dev import dev as run  # noqa: PLC0415  (heavy)

    sys.exit(run(load_settings(), say=click.echo, port=port, progress=_progress()))


@main.command()
def env() -> None:
    """Print the running stack's variables, for `eval "$(ingest-assets env)"`."""
    from ingest_assets.embedded.stack import stack_environment  # noqa: PLC0415  (heavy)

    for name, value in stack_environment(load_settings()).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Print how far all documents are, how fast it goes, and what failed last."""
    from ingest_assets.status import read_status, report  # noqa: PLC0415  (heavy)

    found = read_status(_database())
    click.echo(json.dumps(found.as_json(), default=str, indent=2) if as_json else report(found))


@main.group()
def services() -> None:
    """The embedded Postgres and S3 alone, without Dagster."""


@services.command()
def start() -> None:
    """Start them in the background, and prepare databases and bucket."""
    from ingest_assets.embedded.supervisor import start_services  # noqa: PLC0415  (heavy)

    start_services(load_settings(), click.echo)


@services.command()
def stop() -> None:
    """Stop them and wait until they have ended."""
    from ingest_assets.embedded.supervisor import stop_services  # noqa: PLC0415  (heavy)

    stop_services(load_settings(), click.echo)


def _progress() -> Callable[[], str]:
    """Return what `dev` shows live. Called first when the stack's variables are set."""
    from ingest_assets.status import progress_line, read_status  # noqa: PLC0415  (heavy)
    from ingest_assets.store.database import Database  # noqa: PLC0415  (heavy)

    @cache
    def database() -> Database:
        return Database(os.environ["INGEST_DATABASE_URL"], connections=1)

    def line() -> str:
        try:
            return progress_line(read_status(database()))
        except SQLAlchemyError:
            return "The database does not answer; trying again."

    return line


def _database() -> Database:
    """Return the running stack's database."""
    from ingest_assets.store.database import Database  # noqa: PLC0415  (heavy)

    use_running_stack()
    return Database(os.environ["INGEST_DATABASE_URL"], connections=1)


def use_running_stack() -> Settings:
    """Put the running stack's variables into our environment and return the settings with them.

    Raises:
        ConfigurationError: nothing is running.
    """
    from ingest_assets.embedded.stack import stack_environment  # noqa: PLC0415  (heavy)

    os.environ.update(stack_environment(load_settings()))
    return load_settings()


if __name__ == "__main__":
    main()
