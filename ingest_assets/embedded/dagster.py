"""Dagster's processes, seen from outside: web server, daemon, code server, runs.

Belongs here: starting `dagster dev`, and ending all that it started, whichever way that ends. A
guard process stands between, because `dagster dev` leaves the runs in flight behind, and a killed
parent cannot clean up. Does not belong here: importing Dagster, or what it loads.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from ingest_assets.embedded.processes import Child, end_processes, find_processes, launch_command
from ingest_assets.embedded.signals import StopRequested, StopSignals

_START_SECONDS = 300
# For the web server and the daemon; then for the runs, which record that they were interrupted.
_STOP_SECONDS = 30
_RUNS_STOP_SECONDS = 10
_WATCH_SECONDS = 0.2


class Dagster:
    """`dagster dev` and all that it starts, behind a guard that ends with us.

    Args:
        data_dir: INGEST_DATA_DIR, absolute.
        home: DAGSTER_HOME, absolute.
        workspace: the workspace file.
        port: where Dagit listens on 127.0.0.1.
    """

    def __init__(self, data_dir: Path, home: Path, workspace: Path, port: int) -> None:
        self._home = home
        self._workspace = workspace
        self._port = port
        # The guard leads a session; the file lets the next start find what outlived a SIGKILL.
        self._session_file = data_dir / "dagster.session"
        self._guard = Child(signal.SIGTERM, data_dir / "logs" / "dagster.log")
        self.url = f"http://127.0.0.1:{port}"
        self.log = self._guard.log

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._guard.running

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it; returns at once. The log of the last time is kept as `dagster.log.1`."""
        self._end_leftovers()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        self._guard.start(
            [
                *(sys.executable, "-m", "ingest_assets.embedded.dagster"),
                *(sys.executable, "-m", "dagster", "dev"),
                *("--workspace", self._workspace),
                *("--host", "127.0.0.1", "--port", str(self._port)),
            ],
            directory=Path.cwd(),
            environment=environment,
        )
        self._session_file.write_text(str(self._guard.pid))

    def wait_until_ready(self) -> bool:
        """Wait until Dagit answers; false if it ended instead, or takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):  # noqa: S310
                    return True
            except (urllib.error.URLError, OSError):
                time.sleep(_WATCH_SECONDS)
        return False

    def last_words(self) -> str:
        """Return the end of its log."""
        return self._guard.last_words(20)

    def stop(self) -> None:
        """Stop all of it and wait until it has ended."""
        self._guard.stop(_STOP_SECONDS + _RUNS_STOP_SECONDS + 10)
        self._end_leftovers()

    def _end_leftovers(self) -> None:
        """End what is left where the guard itself was killed."""
        if self._session_file.exists():
            end_session(int(self._session_file.read_text()), self._home)
            self._session_file.unlink()


def end_session(session: int, home: Path) -> None:
    """End the processes of a session, but not the one that calls.

    Only those with our DAGSTER_HOME: after a restart of the machine the number may be anybody's.
    """

    def belongs(process: psutil.Process) -> bool:
        return (
            os.getsid(process.pid) == session
            and process.pid != os.getpid()
            and process.environ().get("DAGSTER_HOME") == str(home)
        )

    end_processes(find_processes(belongs), [(signal.SIGTERM, _RUNS_STOP_SECONDS), (signal.SIGKILL, 5)])


def guard(command: list[str]) -> int:
    """Run a command until it ends, a signal comes or our parent ends; then end all it started.

    Returns:
        The exit code: 0 after a signal, else 1, for the command is not meant to end by itself.
    """
    parent = os.getppid()
    # In our session and with our output; if we are killed, Linux interrupts it.
    launch = launch_command(command, directory=Path.cwd(), death_signal=signal.SIGINT)
    with StopSignals() as signals, subprocess.Popen(launch) as process:
        try:
            # Linux also signals us when the parent ends; other systems only let us see it.
            while process.poll() is None and os.getppid() == parent:
                time.sleep(_WATCH_SECONDS)
        except StopRequested:
            return 0
        else:
            return 1
        finally:
            signals.hold()
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            # What has not ended then is ended with the session, which logs it.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            end_session(os.getsid(0), Path(os.environ["DAGSTER_HOME"]))


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
