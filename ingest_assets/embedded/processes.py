"""Processes of this machine: starting one that ends with this process, and ending what is left over.

Belongs here: what every service needs. Does not belong here: how a service is configured, and when it
is ready.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import ClassVar

import psutil

from ingest_assets.embedded.credentials import Credentials
from ingest_assets.log import get_logger

_log = get_logger(__name__)
_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Privileges:
    """The user that a service runs as: that of this process, unless one of the two is set.

    Args:
        appear: uid and gid that the service sees itself as, in a user namespace (Linux).
        become: uid and gid that it changes to for good (if this process is root's).
    """

    appear: tuple[int, int] | None = None
    become: tuple[int, int] | None = None

    def launcher_options(self) -> list[str]:
        """Return the options of `launch.py` for this."""
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
    """Return the command that runs `command` in `directory`, and that ends when its starter ends.

    Linux sends `death_signal` when the *thread* that started it ends: start services from a thread that
    lives as long as they should.
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
    """A process that this process starts, and that ends with it.

    Args:
        stop_signal: asks it to end in good order; Linux sends it, too, if this process is killed.
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
        """Start it and return at once, whether or not it will be ready.

        It leads a session of its own, so that Ctrl-C in this process's terminal does not reach it.
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
        """Ask it to end; kill it after `timeout` seconds. Does nothing if it was not started."""
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


class Service(ABC):
    """One of the stack's services: a process with a directory below `data_dir` and a log.

    The process that starts it holds `environment.services_lock`.

    Args:
        data_dir: INGEST_DATA_DIR, absolute.
        credentials: its passwords and ports; a new port is written back to `credentials.json`.

    Attributes:
        name: for people.
        folder: name of its directory, and of its log.
        stop_signal: see `Child`.
    """

    name: ClassVar[str]
    folder: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, data_dir: Path, credentials: Credentials) -> None:
        self._data_dir = data_dir
        self._credentials = credentials
        self.directory = data_dir / self.folder
        self._child = Child(self.stop_signal, data_dir / "logs" / f"{self.folder}.log")

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether this process started it and it has not ended."""
        return self._child.running

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it can be used; it recovers from a crash first."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it in good order and wait until it has ended."""


def installed_program(package: str, name: str) -> Path | None:
    """Return the path of a program that a package brings; None if it does not, or is not installed."""
    try:
        installed = files(package) or ()
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())).resolve() for file in installed if file.name == name), None)


def last_lines(log: Path, lines: int) -> str:
    """Return the last lines of a log; empty if there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def find_processes(belongs: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Return the live processes for which `belongs` holds, except those that may not be inspected."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and belongs(process):
                found.append(process)
        except psutil.Error:  # It has just ended, or is another user's.
            continue
    return found


def end_processes(
    processes: Iterable[psutil.Process], signals: Sequence[tuple[signal.Signals, float]]
) -> None:
    """End processes: send each signal in turn to those that are left, and wait so many seconds."""
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
    """Tell whether a process still runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
