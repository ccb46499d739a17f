"""`ingest-assets dev`: services, schema, Dagit and daemon as long as the command runs.

Belongs here: the order in which they start and stop, and the lines that a person gets meanwhile. Does
not belong here: the services (`stack`), Dagster's processes (`dagster`), and the terminal
(`cli.render`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from ingest_assets.embedded.dagster import Dagster, Workers
from ingest_assets.embedded.environment import (
    dagster_home,
    data_directory,
    dev_lock,
    services_lock,
)
from ingest_assets.embedded.lock import FileLock
from ingest_assets.embedded.ports import any_free_port, port_is_free
from ingest_assets.embedded.signals import StopRequested, StopSignals
from ingest_assets.embedded.stack import PROJECT, Say, Stack, make_data_directory, prepare
from ingest_assets.errors import ConfigurationError
from ingest_assets.settings import Settings
from ingest_assets.store.database import Database

_WATCH_SECONDS = 0.5


class Screen(Protocol):
    """What `dev` writes to."""

    def say(self, text: str) -> None:
        """Write a line. Never raises: a closed terminal must not keep `dev` from stopping all."""

    def tick(self) -> None:
        """Show how far the documents are; called twice a second, with the stack's variables set.

        Raises:
            StopRequested: the terminal was closed.
        """

    def close(self) -> None:
        """Remove what `tick` shows. Never raises."""


def choose_dagit_port(settings: Settings, port: int | None, say: Say) -> int:
    """Return the port for Dagit: the one that is configured, else 3000, else any that is free.

    Args:
        settings: INGEST_DAGIT_PORT.
        port: from the command line; goes before the setting.
        say: writes a line for the user.

    Raises:
        ConfigurationError: the configured port is in use.
    """
    asked = port if port is not None else settings.dagit_port
    if asked == 0:
        return any_free_port()
    if port_is_free(asked):
        return asked
    if port is None and "dagit_port" not in settings.model_fields_set:
        say(f"Port {asked} is in use; Dagit takes another one.")
        return any_free_port()
    name = "INGEST_DAGIT_PORT" if port is None else "--port"
    raise ConfigurationError("port_in_use", f"{name} is {asked}, but something else listens there.")


def dev(
    settings: Settings,
    screen: Screen,
    *,
    port: int | None = None,
    workers: int = 0,
    workspace: Path = PROJECT / "workspace.yaml",
) -> int:
    """Run everything until a signal stops it.

    Args:
        settings: as the user gave them.
        screen: shows what happens.
        port: port of Dagit; goes before INGEST_DAGIT_PORT.
        workers: workers that runs over documents go to; with none they are processes of Dagster.
        workspace: what Dagster loads.

    Returns:
        The exit code: 0 after a signal, 1 if Dagster ended by itself.

    Raises:
        ConfigurationError: it cannot start here; the sentence says why.
    """
    data_dir = make_data_directory(settings)
    lock = _locked(settings)
    say = screen.say
    # What has been started is stopped in the opposite order, also where it did not get ready.
    with StopSignals() as signals, ExitStack() as ending:
        ending.callback(say, "Stopped.")
        ending.callback(screen.close)
        ending.callback(lock.release)
        try:
            dagit_port = choose_dagit_port(settings, port, say)
            stack = _own_services(settings, say, ending, broker=workers > 0)
            os.environ.update(prepare(settings))
            if workers and "INGEST_BROKER_URL" not in os.environ:
                raise ConfigurationError("broker_missing", "These services have no broker.")
            ending.enter_context(_metrics_served(settings.metrics_port, say))
            home, json_logs = dagster_home(settings), settings.log_format == "json"
            staff = Workers(data_dir, home, workers)
            ending.callback(staff.stop)
            dagster = Dagster(data_dir, home, workspace, dagit_port, json_logs=json_logs)
            ending.callback(dagster.stop)
            say("Starting Dagster …")
            dagster.start_dagster(os.environ)
            staff.mend(os.environ)
            if dagster.wait_until_ready():
                lock.announce_ready(dagit_port)
                _introduce(settings, dagster, workers, say)
                _watch(dagster, stack, staff, screen)
            signals.hold()
            screen.close()
            say(f"Dagster has ended by itself. Its log {dagster.log} ends:")
            say(dagster.last_words())
        except StopRequested:
            screen.close()
            say("Stopping …")
            return 0
        else:
            return 1
        finally:
            signals.hold()


def _locked(settings: Settings) -> FileLock:
    """The lock under which one `dev` at a time runs on a data directory."""
    lock = dev_lock(settings)
    if not lock.acquire("dev"):
        holder = lock.holder()
        raise ConfigurationError(
            "dev_already_running",
            f"`ingest-assets dev` already runs on {data_directory(settings)}"
            + (f", in process {holder['pid']}." if holder else "."),
        )
    return lock


def _own_services(settings: Settings, say: Say, ending: ExitStack, *, broker: bool) -> Stack | None:
    """Start the services until `ending` closes; None where another process runs them."""
    holder = services_lock(settings).holder()
    if holder is not None and holder["ready"]:
        say(f"Using the services that process {holder['pid']} runs.")
        return None
    say("Starting the services …")
    stack = Stack(settings, "dev", say, broker=broker)
    ending.callback(stack.stop)
    stack.start()
    return stack


@contextmanager
def _metrics_served(port: int | None, say: Say) -> Iterator[None]:
    """Serve the metrics on the loopback interface as long as the block lasts, where a port is set."""
    if port is None:
        yield
        return
    from ingest_assets.operations.metrics import serve  # noqa: PLC0415  (few have them served)

    urls = os.environ["INGEST_DATABASE_URL"], os.environ["DAGSTER_POSTGRES_URL"]
    documents, dagster = (Database(url, connections=1) for url in urls)
    with serve(documents, dagster, port, "127.0.0.1"):
        say(f"Metrics at http://127.0.0.1:{port}/metrics")
        yield


def _watch(dagster: Dagster, stack: Stack | None, staff: Workers, screen: Screen) -> None:
    while dagster.running:
        if stack is not None:
            stack.mend()
        staff.mend(os.environ)
        screen.tick()
        time.sleep(_WATCH_SECONDS)


def _introduce(settings: Settings, dagster: Dagster, workers: int, say: Say) -> None:
    say("")
    say(f"  Dagit     {dagster.url}")
    say(f"  Watching  {os.environ['INGEST_INPUT_DIR']}")
    if workers:
        say(f"  Workers   {workers}, as if on other machines: Dagit says of each run which had it")
    say(f"  Logs      {data_directory(settings) / 'logs'}")
    say("")
    say("  Ctrl-C stops it; the next start goes on from there.")
    say("")
