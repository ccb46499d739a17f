"""The command line.

Belongs here: the list of commands, and how a command ends. Each group of commands is a module, which
holds options and exit codes; what it prints is made in `render`; what it does is a function of
`operations`, which Dagit's assets and jobs call too.

Exit codes: 0 all is well, 1 the answer is no, 2 wrong usage.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import click

from ingest_assets.errors import IngestError
from ingest_assets.loading import loading


class _Command(NamedTuple):
    """Where a command is defined, and what `--help` says of it without importing that."""

    module: str
    function: str
    summary: str


# The summary is the first sentence of the command's own help.
_COMMANDS = {
    "alert": _Command("alert", "alert", "Tell people of what needs them, without Dagster's daemon."),
    "dev": _Command("services", "dev", "Run services, Dagit and daemon; Ctrl-C stops them all."),
    "env": _Command("services", "env", "Print the running stack's variables, for a shell to evaluate."),
    "exec": _Command(
        "workers",
        "execute",
        "Run a command with the stack's variables, as `dagster-daemon run` in a container.",
    ),
    "forget": _Command("forget", "forget", "Remove a document and all that was made of it, for good."),
    "hold": _Command("forget", "hold", "Keep a document from being forgotten."),
    "metrics": _Command("metrics", "metrics", "Serve metrics for Prometheus, until a signal comes."),
    "migrate": _Command(
        "workers", "migrate", "Bring databases and schema to this version; check the bucket."
    ),
    "rebuild-db": _Command("rebuild", "rebuild_db", "Restore documents' rows from the bucket alone."),
    "reconcile": _Command("reconcile", "reconcile", "Compare bucket and database, and mend them."),
    "release": _Command("forget", "release", "End the hold on a document."),
    "report": _Command("report", "report", "Write the report as one HTML file, with pictures."),
    "retention": _Command(
        "forget", "retention", "Say which documents INGEST_RETENTION_DAYS would have forgotten."
    ),
    "retry": _Command("documents", "retry", "Try documents that failed again."),
    "search": _Command("documents", "search", "Search the text of all documents."),
    "services": _Command("services", "services", "Run the embedded Postgres and S3 alone."),
    "status": _Command("status", "status", "Print how far all documents are."),
    "verify": _Command("verify", "verify", "Ask whether rows, objects and partitions agree."),
    "why": _Command("documents", "why", "Print the history of one document."),
    "worker": _Command(
        "workers",
        "worker",
        "Take runs from the broker that INGEST_BROKER_URL names, until a signal comes.",
    ),
}


class _Commands(click.Group):
    """A group that imports a command's module only when that command is run.

    So `--help` imports none of them, and no command waits for the imports of another.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        command = _COMMANDS[cmd_name]
        with loading():
            module = import_module(f"{__name__}.{command.module}")
        found: click.Command = getattr(module, command.function)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands for `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a fault ends it with a sentence on standard error and exit code 1."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            fault = _fault(error)
            if fault is None:
                raise
            from ingest_assets.cli import render

            render.show(render.error(fault), to_stderr=True)
            ctx.exit(1)


def _fault(error: Exception) -> IngestError | None:
    """The fault that an error stands for; None if it stands for none: it is a defect, or click's."""
    if isinstance(error, IngestError):
        return error
    if type(error).__module__ != "sqlalchemy.exc":
        return None
    from sqlalchemy.exc import DBAPIError

    from ingest_assets.store.database import database_error

    return database_error(error) if isinstance(error, DBAPIError) else None


@click.group(cls=_Commands)
@click.version_option(package_name="ingest_assets")
def main() -> None:
    """Documents to database rows, stored objects and text, in that order."""
