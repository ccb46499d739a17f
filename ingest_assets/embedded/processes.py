"""Processes of this machine: start one that cannot outlive us, and end what is left.

Belongs here: what every service needs alike. Does not belong here: how one service is configured or
how one knows that it is ready.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ingest_assets.log import get_logger

_log = get_logger(__name__)
_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Privileges:
    """As whom a service runs: as ourselves, unless one of the two is set.

    Args:
        appear: the uid and gid to have in a user namespace, while staying who we are (Linux).
        become: the uid and gid to drop to (for root).
    """

    appear: tuple[int, int] | None = None
    become: tuple[int, int] | None = None

    def launcher_options(self) -> list[str]:
        """Return the options of `launch.py` that bring this about."""
        if self.appear:
            return ["--appear", *map(str, self.appear)]
        if self.become:
            return ["--become", *map(str, self.become)]
        return []


def launch_command(
    command: Sequence[str | Path],
    *,
    directory: Path,
    death_signal: signal.Signals,
    privileges: Privileges = Privileges(),
) -> list[str]:
    """Return the command that runs `command` in `directory`, ended by `death_signal` with us.

    "Us" is the thread that starts it: start services from a thread that lives as long as they do.
    """
    return [
        sys.executable,
        *("-I", "-S", str(_LAUNCHER)),
        *("--parent", str(os.getpid())),
        *("--death-signal", str(int(death_signal))),
        *("--directory", str(directory)),
        *privileges.launcher_options(),
        "--",
        *map(str, command),
    ]


class Child:
    """A process that we started and that ends with us.

    Args:
        stop_signal: what asks it to end in good order; also sent by Linux if we are killed.
        log: file that takes its output, emptied at each start.
    """

    def __init__(self, stop_signal: signal.Signals, log: Path) -> None:
        self.log = log
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        command: Sequence[str | Path],
        *,
        directory: Path,
        environment: Mapping[str, str],
        privileges: Privileges = Privileges(),
    ) -> None:
        """Start it; returns at once, whether or not it comes up.

        It leads a session of its own, so that Ctrl-C in our terminal does not reach it.
        """
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                launch_command(
                    command,
                    directory=directory,
                    death_signal=self._stop_signal,
                    privileges=privileges,
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def stop(self, timeout: float) -> None:
        """Ask it to end, and kill it after `timeout` seconds. Does nothing if it has ended."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            _log.warning(
                "Process %d did not end within %.0f s of %s and is killed; its log is %s.",
                self._process.pid,
                timeout,
                self._stop_signal.name,
                self.log,
            )
            self._process.kill()
            self._process.wait()
        self._process = None

    def last_words(self, lines: int = 5) -> str:
        """Return the last lines of its log."""
        return last_lines(self.log, lines)


def last_lines(log: Path, lines: int) -> str:
    """Return the last lines of a log; empty if there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def find_processes(belongs: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Return the live processes for which `belongs` holds, leaving out what we may not look at."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and belongs(process):
                found.append(process)
        except psutil.Error:  # Ended meanwhile, or another user's.
            continue
    return found


def end_processes(
    processes: Iterable[psutil.Process], signals: Sequence[tuple[signal.Signals, float]]
) -> None:
    """End processes: each signal in turn, with the seconds that it has, to those that are left."""
    left = list(processes)
    for number, timeout in signals:
        for process in left:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        _, left = psutil.wait_procs(left, timeout)
        left = [process for process in left if is_alive(process)]
        if left:
            _log.warning("%d processes live on %.0f s after %s.", len(left), timeout, number.name)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that only waits for its parent to look does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
