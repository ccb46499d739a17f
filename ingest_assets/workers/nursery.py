"""Where worker processes come from: forked from a process that has their programs loaded.

A new Python process computes for 0.4 to 0.9 s before it can read a document or search a text; a fork
for some milliseconds. So one process, the nursery, loads the operations, takes no task itself, and
forks a worker for each request. It has none of the parent's variables with secrets, one thread, and no
connection.

Belongs here: the client, in the process that has the pools, and the nursery itself. Does not belong
here: what a worker does once it is forked (`workers.__main__`).

A request is one byte with the descriptors of the new worker's pipes. A process that was forked from one
with a nursery uses the same, so the server of runs starts them for all runs. A nursery ends when the
last process that can ask it has ended.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import closing, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO

from ingest_assets.loading import loading
from ingest_assets.log import get_logger
from ingest_assets.workers import isolation

_log = get_logger(__name__)

# Variables that a worker inherits. Credentials are not among them: no parser needs them.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "TZ")
# Seconds that a nursery may take to load its programs on a busy machine.
_START_SECONDS = 60
_NUMBER = struct.Struct("=q")


class Worker:
    """A worker process, as the process sees it that asked for it.

    Attributes:
        pid: its number; another process may get it once the worker has ended.
        requests: what it reads.
        replies: what it writes.
        returncode: as that of `subprocess.Popen`; None as long as it is not known.
    """

    def __init__(self, requests: int, replies: int, status: int, life: int) -> None:
        self.pid = 0
        self.requests = open(requests, "wb", buffering=0)  # noqa: SIM115
        self.replies = open(replies, "rb", buffering=0)  # noqa: SIM115
        self.returncode: int | None = None
        self._status = open(status, "rb", buffering=0)  # noqa: SIM115
        self._life = open(life, "wb", buffering=0)  # noqa: SIM115

    def kill(self) -> None:
        """End it at once: the system kills it when this end of the pipe is closed."""
        self._life.close()

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; returns whether it has."""
        if self.returncode is None and _readable(self._status, seconds):
            said = self._status.read(_NUMBER.size) or b""
            # A nursery that was killed does not say how the worker ended, and is started again.
            self.returncode = _NUMBER.unpack(said)[0] if said else -signal.SIGKILL
        return self.returncode is not None

    def end(self, patience_seconds: float) -> int:
        """End it, if it does not end by itself in time; returns its exit code."""
        self.requests.close()
        self.replies.close()
        if not self.wait(patience_seconds):
            self.kill()
            if not self.wait(_START_SECONDS):
                self.returncode = -signal.SIGKILL
        self._life.close()
        self._status.close()
        assert self.returncode is not None  # noqa: S101  # For the type checker.
        return self.returncode

    def has_begun(self) -> bool:
        """Wait until the nursery has forked it; returns whether it has."""
        said = self._status.read(_NUMBER.size) if _readable(self._status, _START_SECONDS) else None
        if said:
            (self.pid,) = _NUMBER.unpack(said)
        return bool(said)


class Nursery:
    """The client of one nursery. Thread-safe.

    Args:
        operations: name of the module that it loads.
    """

    def __init__(self, operations: str) -> None:
        self._operations = operations
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, if it does not run; it loads its programs meanwhile."""
        with self._lock:
            if self._socket is None:
                self._start()

    def fork(self) -> Worker | None:
        """A new worker, which waits for its configuration; None if the nursery does not start."""
        with self._lock:
            # The second time with a new one, because the first may have been killed.
            for _ in range(2):
                if self._socket is None:
                    self._start()
                assert self._socket is not None  # noqa: S101  # For the type checker.
                worker = _ask(self._socket)
                if worker is not None:
                    return worker
                self._socket.close()
                self._socket = None
                _log.warning("The process that workers of %s come from has ended.", self._operations)
        return None

    def close(self) -> None:
        """Do not ask it again: it ends, unless another process can ask it."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _start(self) -> None:
        ours, its = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # It imports this package from where this process did, whether it is installed or not.
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
        # Otherwise numpy reserves address space for a thread on each core.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        # Two workers whose OpenMP starts two threads each run at half the speed.
        environment["OMP_THREAD_LIMIT"] = "1"
        with its:
            # Not waited for: it ends when the last process that can ask it has ended.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ingest_assets.workers", self._operations],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment,
                cwd=os.sep,
            )
        self._socket = ours


@cache
def nursery_of(operations: str) -> Nursery:
    """The nursery of a module of operations, which all pools of this process share."""
    nursery = Nursery(operations)
    atexit.register(nursery.close)
    return nursery


def _readable(file: IO[bytes], seconds: float) -> bool:
    """Whether there is something to read, or the end, within that time."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _ask(nursery: socket.socket) -> Worker | None:
    requests, requests_end = os.pipe()
    replies_end, replies = os.pipe()
    status_end, status = os.pipe()
    life, life_end = os.pipe()
    worker = Worker(requests_end, replies_end, status_end, life_end)
    theirs = (requests, replies, 2, status, life)
    try:
        socket.send_fds(nursery, [b"w"], theirs)
    except OSError:  # It has ended.
        pass
    finally:
        for descriptor in (requests, replies, status, life):
            os.close(descriptor)
    if worker.has_begun():
        return worker
    worker.end(0)
    return None


def serve(operations: str) -> int | None:
    """Load the operations and fork a worker for each request; returns in the new worker.

    Returns:
        In a new worker, which reads requests from descriptor 0 and replies to descriptor 1, that of the
        pipe which is closed when the worker has to end; None in the nursery, when nobody can ask it any
        more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle.
    with loading():
        import_module(operations).warm_up()
        isolation.programs()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    statuses: dict[int, int] = {}  # Of the living workers, where to say how they end.
    with closing(socket.socket(fileno=os.dup(0))) as channel:
        while True:
            ready, _, _ = select.select([channel.fileno(), ended], [], [])
            if ended in ready:
                os.read(ended, 4096)
                _bury(statuses)
            if channel.fileno() in ready:
                message, descriptors, _, _ = socket.recv_fds(channel, 1, 5)
                if not message:
                    return None
                requests, replies, errors, status, life = descriptors
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for number, descriptor in enumerate((requests, replies, errors)):
                        os.dup2(descriptor, number)
                    for descriptor in (requests, replies, errors, status, ended, wake):
                        os.close(descriptor)
                    for descriptor in statuses.values():
                        os.close(descriptor)
                    return life
                statuses[pid] = status
                _say(status, pid)
                for descriptor in (requests, replies, errors, life):
                    os.close(descriptor)


def _bury(statuses: dict[int, int]) -> None:
    """Say of each worker that has ended how it did."""
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            descriptor = statuses.pop(pid)
            _say(descriptor, os.waitstatus_to_exitcode(status))
            os.close(descriptor)


def _say(descriptor: int, number: int) -> None:
    with suppress(BrokenPipeError):  # Who asked has ended.
        os.write(descriptor, _NUMBER.pack(number))
