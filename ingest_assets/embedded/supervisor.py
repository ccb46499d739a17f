"""The process behind `ingest-assets services start`: it runs the embedded services until it is stopped.

Belongs here: that process, and starting and stopping it from a terminal. Does not belong here: the
services that it runs (`stack`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil

from ingest_assets import log
from ingest_assets.embedded.environment import services_lock
from ingest_assets.embedded.processes import is_alive
from ingest_assets.embedded.signals import StopRequested, StopSignals
from ingest_assets.embedded.stack import (
    Say,
    Stack,
    make_data_directory,
    prepare,
)
from ingest_assets.errors import ConfigurationError
from ingest_assets.settings import Settings

_WATCH_SECONDS = 0.5
_STOP_SECONDS = 90


def start_services(settings: Settings, say: Say) -> None:
    """Start the embedded services in a process of their own; return when they can be used.

    If they run already, only databases and bucket are prepared.

    Raises:
        ConfigurationError: they cannot start, or a configured service refuses.
    """
    data_dir = make_data_directory(settings)
    holder = services_lock(settings).holder()
    if holder is not None and holder["ready"]:
        prepare(settings)
        say(f"The services on {data_dir} run already, in process {holder['pid']}.")
    else:
        pid = _spawn(settings)
        try:
            prepare(settings)
        except BaseException:
            stop_services(settings, lambda _: None)
            raise
        say(f"The services on {data_dir} run, in process {pid}.")
    say('Type `eval "$(ingest-assets env)"` for psql, aws and dagster to find them.')


def stop_services(settings: Settings, say: Say) -> None:
    """Stop what `start_services` has started, and wait until all of it has ended.

    Raises:
        ConfigurationError: `ingest-assets dev` runs them, or they do not end.
    """
    holder = services_lock(settings).holder()
    if holder is None:
        say("No services run.")
        return
    if holder["command"] == "dev":
        raise ConfigurationError(
            "run_by_dev", f"The services belong to `ingest-assets dev`, process {holder['pid']}."
        )
    try:
        supervisor = psutil.Process(holder["pid"])
        supervisor.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return  # It ended after the lock was read.
    deadline = time.monotonic() + _STOP_SECONDS
    while is_alive(supervisor):
        if time.monotonic() > deadline:
            raise ConfigurationError(
                "services_do_not_stop",
                f"Process {supervisor.pid} has not ended after {_STOP_SECONDS} s.",
            )
        time.sleep(0.05)
    say("The services have stopped.")


def _spawn(settings: Settings) -> int:
    """Start the supervisor and wait for the one line that it writes: all is ready, or an error."""
    log = make_data_directory(settings) / "logs" / "services.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest_assets.embedded.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None  # noqa: S101  (for the type checker)
    with process.stdout:
        line = process.stdout.readline()
    if not line:
        raise ConfigurationError("supervisor_ended", f"The services did not start; {log} says why.", "")
    report = json.loads(line)
    if report["error"]:
        process.wait()
        raise ConfigurationError(report["error"], report["message"], report["remedy"])
    return process.pid


def _report(error: ConfigurationError | None) -> None:
    """Write the line that `_spawn` waits for; nobody reads this process's output after it."""
    report = {
        "error": error.code if error else None,
        "message": error.message if error else "",
        "remedy": error.remedy if error else "",
    }
    print(json.dumps(report), flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def supervise() -> int:
    """Run the services until a signal comes; return the exit code."""

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with StopSignals() as signals:
        try:
            settings = Settings()
            log.set_up(settings.log_format)
            stack = Stack(settings, "services", say)
            stack.start()
        except ConfigurationError as error:
            _report(error)
            return 1
        except StopRequested:
            return 0
        try:
            _report(None)
            while True:
                stack.mend()
                time.sleep(_WATCH_SECONDS)
        except StopRequested:
            return 0
        except ConfigurationError as error:
            say(str(error))
            return 1
        finally:
            signals.hold()
            stack.stop()


if __name__ == "__main__":
    sys.exit(supervise())
