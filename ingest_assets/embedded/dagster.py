"""Dagster's processes, seen from outside: web server, daemon, code server, runs, workers.

Belongs here: starting `dagster dev`, and ending all that it started, even if `ingest-assets dev` is
killed. A guard process, the parent of `dagster dev`, does that: `dagster dev` leaves runs behind when
it ends, and a killed process cannot clean up. Does not belong here: importing Dagster.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from ingest_assets.embedded.processes import Child, end_processes, find_processes, launch_command
from ingest_assets.embedded.signals import StopRequested, StopSignals

_START_SECONDS = 300
# What the web server and the daemon have to end; and then the runs, which record that they were
# interrupted.
_STOP_SECONDS = 30
_RUNS_STOP_SECONDS = 10
_WATCH_SECONDS = 0.2
_START_WORKERS_SECONDS = 10


class Guarded:
    """A command and all that it starts, under a guard process that ends with this process.

    Args:
        name: that of its log, and of the file that its session is noted in.
        data_dir: INGEST_DATA_DIR, absolute.
        home: DAGSTER_HOME, absolute.
    """

    def __init__(self, name: str, data_dir: Path, home: Path) -> None:
        self._home = home
        # The guard leads a session. Its number in a file lets the next start find processes that lived
        # on after the guard was killed.
        self._session_file = data_dir / f"{name}.session"
        self._guard = Child(signal.SIGTERM, data_dir / "logs" / f"{name}.log")
        self.log = self._guard.log

    @property
    def running(self) -> bool:
        """Whether the guard was started and has not ended."""
        return self._guard.running

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Start the guard and return at once. The log before is kept as `NAME.log.1`."""
        self._end_leftovers()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        self._guard.start(
            [sys.executable, "-m", "ingest_assets.embedded.dagster", *command],
            directory=Path.cwd(),
            environment=environment,
        )
        self._session_file.write_text(str(self._guard.pid))

    def last_words(self) -> str:
        """Return the last lines of the log."""
        return self._guard.last_words(20)

    def stop(self) -> None:
        """Stop all of it and wait until it has ended."""
        self._guard.stop(_STOP_SECONDS + _RUNS_STOP_SECONDS + 10)
        self._end_leftovers()

    def _end_leftovers(self) -> None:
        """End processes of an earlier start whose guard was killed."""
        if self._session_file.exists():
            end_session(int(self._session_file.read_text()), self._home)
            self._session_file.unlink()


class Dagster(Guarded):
    """`dagster dev` and all that it starts.

    Args:
        data_dir: INGEST_DATA_DIR, absolute.
        home: DAGSTER_HOME, absolute.
        workspace: the workspace file.
        port: where Dagit listens on 127.0.0.1.
        json_logs: whether Dagster's processes write their lines as JSON.
    """

    def __init__(
        self, data_dir: Path, home: Path, workspace: Path, port: int, *, json_logs: bool = False
    ) -> None:
        super().__init__("dagster", data_dir, home)
        self._command: Sequence[str | Path] = [
            *(sys.executable, "-m", "dagster", "dev"),
            *("--workspace", workspace),
            *("--host", "127.0.0.1", "--port", str(port)),
            *(("--log-format", "json") if json_logs else ()),
        ]
        self.url = f"http://127.0.0.1:{port}"

    def start_dagster(self, environment: Mapping[str, str]) -> None:
        """Start it and return at once."""
        self.start(self._command, environment)

    def wait_until_ready(self) -> bool:
        """Wait until Dagit answers; False if its process ended instead, or five minutes have passed."""
        deadline = time.monotonic() + _START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):  # noqa: S310
                    return True
            except (urllib.error.URLError, OSError):
                time.sleep(_WATCH_SECONDS)
        return False


class Workers:
    """Workers of this machine, each as if it were on another: `ingest-assets worker`."""

    def __init__(self, data_dir: Path, home: Path, count: int) -> None:
        self._workers = [Guarded(f"worker-{number}", data_dir, home) for number in range(1, count + 1)]
        self._next_start = 0.0

    def mend(self, environment: Mapping[str, str]) -> None:
        """Start those that do not run; not at once, because one that cannot begin ends at once."""
        if time.monotonic() < self._next_start or all(worker.running for worker in self._workers):
            return
        self._next_start = time.monotonic() + _START_WORKERS_SECONDS
        for worker in self._workers:
            if not worker.running:
                command = (sys.executable, "-m", "ingest_assets.cli", "worker", "--grace", "5")
                worker.start(command, environment)

    def stop(self) -> None:
        """Stop all of them, at the same time."""
        with ThreadPoolExecutor(max(1, len(self._workers))) as pool:
            list(pool.map(Guarded.stop, self._workers))


def end_session(session: int, home: Path) -> None:
    """End the processes of a session, except the calling one.

    Only those whose DAGSTER_HOME is `home`: after a restart of the machine another program's session
    may have the number.
    """

    def belongs(process: psutil.Process) -> bool:
        return (
            os.getsid(process.pid) == session
            and process.pid != os.getpid()
            and process.environ().get("DAGSTER_HOME") == str(home)
        )

    end_processes(find_processes(belongs), [(signal.SIGTERM, _RUNS_STOP_SECONDS), (signal.SIGKILL, 5)])


def guard(command: list[str]) -> int:
    """Run a command until it ends, a signal comes or the guard's parent ends; then end all it started.

    Returns:
        The guard's exit code: 0 after a signal, else 1, because the command should not end by itself.
    """
    parent = os.getppid()
    # In the guard's session and with its output; Linux sends it SIGINT if the guard is killed.
    launch = launch_command(command, directory=Path.cwd(), death_signal=signal.SIGINT)
    with StopSignals() as signals, subprocess.Popen(launch) as process:
        try:
            # When the parent ends Linux sends the guard a signal; elsewhere only the parent's id
            # changes.
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
            # If it has not ended by then, `end_session` ends it, and logs that.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            end_session(os.getsid(0), Path(os.environ["DAGSTER_HOME"]))


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
