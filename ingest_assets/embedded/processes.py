"""Processes of this machine: start one that cannot outlive us, end what is left, find free ports.

Belongs here: what every service needs alike. Does not belong here: how one service is configured or
how one knows that it is ready.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_LAUNCHER = Path(__file__).with_name("launch.py")

# Below the range from which Linux and macOS take the ports of outgoing connections, so that a port
# is still free at the next start; SeaweedFS opens each port plus this offset as well.
_PORTS = range(10_000, 22_000)
COMPANION_OFFSET = 10_000


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


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that only waits for its parent to look does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen at this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """Return a port for a server that need not have the same one the next time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def lasting_ports(count: int, *, companions: bool = False) -> list[int]:
    """Return free ports that will probably be free at the next start too.

    Args:
        count: how many.
        companions: whether the port `COMPANION_OFFSET` above each must be free as well.
    """
    ports: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(ports) == count:
            break
        if port_is_free(port) and (not companions or port_is_free(port + COMPANION_OFFSET)):
            ports.append(port)
    return ports
