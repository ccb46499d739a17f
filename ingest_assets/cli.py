"""The command line. Belongs here: options, exit codes, printing. What a command does is a function.

Exit codes: 0 all is well, 1 the answer is no, 2 wrong usage.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

import click
from pydantic import ValidationError

from ingest_assets.errors import IngestError
from ingest_assets.settings import Settings


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

    sys.exit(run(load_settings(), say=click.echo, port=port, progress=_progress_line()))


@main.command()
def env() -> None:
    """Print the running stack's variables, for `eval "$(ingest-assets env)"`."""
    from ingest_assets.embedded.stack import stack_environment  # noqa: PLC0415  (heavy)

    for name, value in stack_environment(load_settings()).items():
        click.echo(f"export {name}={shlex.quote(value)}")


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


def _progress_line() -> Callable[[], str] | None:
    """Return what `dev` shows live; none where there is no such module."""
    try:
        status = importlib.import_module("ingest_assets.status")
    except ModuleNotFoundError:
        return None
    line: Callable[[], str] = status.progress_line
    return line


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
