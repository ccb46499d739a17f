"""A pool of worker processes that may die at any time.

Belongs here: starting workers with limits, handing them tasks, and finding out what became of a worker
that did not answer. Does not belong here: what the tasks are, and what such a fault means for the
document; whoever uses the pool says that.

Why not a library's pool: workers that share pipes and locks share their fate. `concurrent.futures`
fails every task when one process dies; in pebble, one that is killed while it holds the pool's lock
or before it took a task stops the pool. Here each worker has a thread and a pair of pipes of its
own, so that nothing is shared. Both also inherit the parent's environment, secrets included, and
unpickle whatever a worker sends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import psutil

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.text import MAX_TEXT_BYTES, clean_text
from ingest_assets.workers import protocol

# What a worker gets of the environment: no credentials, which no parser has any need of.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "TZ")

# Seconds for a worker to start, on a machine that is busy.
_START_SECONDS = 60

# Characters of a worker's sentence that are kept: it may be made of what a document holds.
_LONGEST_MESSAGE = 1000

_LOST = (BrokenPipeError, ConnectionResetError, EOFError)


# does_not_start: the process ended before it took a task. timed_out: it used up the CPU time of one.
# stalled: it neither answered nor computed. killed: by SIGKILL, from outside. crashed: by another
# signal, or it exited. out_of_memory: it reached the limit, and lives. disk_full: there was no room for
# a file. answer_too_long: longer than `reply_bytes`. failed: the operation raised what it should not.
# closed: the pool was, before there was an answer.
FaultKind = Literal[
    "does_not_start",
    "timed_out",
    "stalled",
    "killed",
    "crashed",
    "out_of_memory",
    "disk_full",
    "answer_too_long",
    "failed",
    "closed",
]


class WorkerError(Exception):
    """Why a task has no answer.

    Args:
        kind: what happened to the worker.
        detail: how, for a person: an exit code, the limit that was reached, the worker's last words.
    """

    def __init__(self, kind: FaultKind, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class Limits:
    """What one task may use.

    Attributes:
        cpu_seconds: CPU time; past it the kernel ends the worker (`timed_out`).
        slow_seconds: time by the clock after which a task no longer keeps others waiting: another
            process takes its turn, and the operating system shares the cores between them. So at
            most twice as many processes run as there are workers.
        wall_seconds: time by the clock without computing; past it the task is given up (`stalled`).
        memory_bytes: address space of a worker. Linux only.
        file_bytes: size of a file that a worker writes.
        reply_bytes: size of an answer.
    """

    cpu_seconds: float = 60
    slow_seconds: float = 10
    wall_seconds: float = 300
    memory_bytes: int = 1 << 30
    file_bytes: int = 1 << 30
    reply_bytes: int = 2 * MAX_TEXT_BYTES


@dataclass(frozen=True)
class Answer:
    """What a task came to.

    Attributes:
        value: what the operation returned.
        cpu_seconds: what it took to compute, as the worker says.
    """

    value: Any
    cpu_seconds: float


@dataclass(frozen=True)
class _Task:
    request: bytes
    future: Future[Answer]


class WorkerPool:
    """Runs operations in so many processes. Thread-safe.

    Processes start with their first task, and end with the pool or with this process, even if it is
    killed.

    Args:
        workers: tasks that run at a time, as long as none is slow; one a core.
        limits: what one task may use.
        operations: name of the module whose `OPERATIONS` the processes are asked for.
        explain: the error that a task fails with where its worker did not answer.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits,
        operations: str,
        explain: Callable[[WorkerError], IngestError],
    ) -> None:
        self._limits = limits
        self._operations = operations
        self._explain = explain
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._closed = False
        self._live: set[_Worker] = set()
        self._lock = threading.Lock()  # Over the two above, and what is put into the queue.
        # A thread keeps its turn from task to task, and gives it away when a task turns out slow.
        self._turns = threading.Semaphore(workers)
        self._threads = [
            threading.Thread(target=self._serve, name=f"worker-{index}", daemon=True)
            for index in range(2 * workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, operation: str, **arguments: Any) -> Future[Answer]:
        """Queue one operation; its answer holds a JSON value.

        It fails with the `PermanentError` that the operation raised, or with what `explain` made of a
        `WorkerError`.
        """
        request = protocol.encode({"do": operation, "with": arguments})
        task = _Task(request, Future())
        with self._lock:
            if self._closed:
                task.future.set_exception(self._explained(WorkerError("closed")))
            else:
                self._tasks.put(task)
        return task.future

    def close(self) -> None:
        """End the workers at once; tasks not done fail as `closed`."""
        with self._lock:
            self._closed = True
            for worker in self._live:
                worker.kill()
        for _ in self._threads:
            self._tasks.put(None)
            self._turns.release()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """Keep one worker and feed it.

        This thread starts the process, and the kernel ends the process when this thread ends.
        """
        worker: _Worker | None = None
        self._turns.acquire()
        while (task := self._tasks.get()) is not None:
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                if self._closed:
                    raise WorkerError("closed")
                worker = worker or self._hire()
                answer = worker.ask(task.request, when_slow=self._turns.release)
            except BaseException as error:  # noqa: BLE001  # Whoever waits for the task gets it.
                fault = WorkerError("closed") if self._closed else error
                task.future.set_exception(self._explained(fault))
            else:
                task.future.set_result(answer)
            was_slow = worker is not None and worker.was_slow
            if worker is not None and (worker.finished or was_slow):
                # After a slow task too: no more processes wait for work than there are turns.
                self._dismiss(worker)
                worker = None
            if was_slow:
                self._turns.acquire()
        if worker is not None:
            self._dismiss(worker)

    def _explained(self, error: BaseException) -> BaseException:
        if not isinstance(error, WorkerError):
            return error
        explained = self._explain(error)
        explained.__cause__ = error.__cause__ or error
        return explained

    def _hire(self) -> _Worker:
        worker = _Worker(self._limits, self._operations)
        with self._lock:
            self._live.add(worker)
            if self._closed:
                worker.kill()
        worker.await_start()
        return worker

    def _dismiss(self, worker: _Worker) -> None:
        with self._lock:
            self._live.discard(worker)
        worker.end()


class _Worker:
    """One process, seen from the thread that feeds it."""

    def __init__(self, limits: Limits, operations: str) -> None:
        self.finished = False
        self.was_slow = False
        self._computed = 0.0
        self._limits = limits
        config = {
            "operations": operations,
            "parent_pid": os.getpid(),
            "memory_bytes": limits.memory_bytes,
            "file_bytes": limits.file_bytes,
            "task_seconds": limits.cpu_seconds,
        }
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # The worker finds this package wherever the parent did, installed or not.
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
        # numpy would reserve address space for a thread on each core.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ingest_assets.workers", json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=os.sep,
            bufsize=0,
        )

    def await_start(self) -> None:
        """Wait until the process has loaded its programs."""
        try:
            self._receive(time.monotonic() + _START_SECONDS)
        except (WorkerError, *_LOST) as error:
            self.end()
            raise WorkerError("does_not_start", f"code {self._process.returncode}") from error

    def ask(self, request: bytes, when_slow: Callable[[], None]) -> Answer:
        """Return what the worker answers; calls `when_slow` once if that takes over `slow_seconds`.

        Raises:
            PermanentError: what the operation raised.
            WorkerError: what became of the worker.
        """
        started = time.monotonic()
        try:
            assert self._process.stdin is not None  # noqa: S101  # For the type checker.
            self._process.stdin.write(request)
            if not self._wait(started + self._limits.slow_seconds):
                self.was_slow = True
                self._computed = self._cpu_seconds()
                when_slow()
            reply = self._receive(started + self._limits.wall_seconds)
        except _LOST as error:
            self.end()
            raise _cause_of_death(self._process.returncode, self._limits) from error
        except BaseException:
            self.end()
            raise
        if reply.get("last"):
            self.end()
        if "error" in reply:
            raise PermanentError(*map(_presentable, reply["error"]))
        if "out_of_memory" in reply:
            raise WorkerError("out_of_memory", _gibibytes(self._limits.memory_bytes))
        if "disk_full" in reply:
            raise WorkerError("disk_full", _presentable(reply["disk_full"]))
        if trace := reply.get("fault"):
            last_line = _presentable(trace.strip().splitlines()[-1])
            raise WorkerError("failed", last_line) from RuntimeError(trace)
        return Answer(reply["value"], reply["cpu_seconds"])

    def kill(self) -> None:
        """End the process from another thread; the one that feeds it sees it die."""
        self._process.kill()

    def end(self) -> None:
        """End the process, if it has not ended by itself, and release what it holds."""
        self.finished = True
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            # One that died tells why by its exit code, so give it a moment to do so.
            self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive(self, deadline: float) -> dict[str, Any]:
        length = protocol.length_of(self._read(protocol.HEADER_BYTES, deadline))
        if length > self._limits.reply_bytes:
            raise WorkerError("answer_too_long", f"{self._limits.reply_bytes:,} bytes")
        reply: dict[str, Any] = protocol.decode(self._read(length, deadline))
        return reply

    def _computes(self) -> bool:
        """Tell whether the worker has computed for a second or more since this was last asked."""
        before, self._computed = self._computed, self._cpu_seconds()
        return self._computed - before >= 1

    def _cpu_seconds(self) -> float:
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0  # It has ended, or we may not look.
        return float(times.user + times.system)

    def _wait(self, deadline: float) -> bool:
        """Wait for the worker to say something or to end; false if it did neither in time."""
        assert self._process.stdout is not None  # noqa: S101  # For the type checker.
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def _read(self, length: int, deadline: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  # For the type checker.
        descriptor = self._process.stdout.fileno()
        data = bytearray()
        while len(data) < length:
            while not self._wait(deadline):
                if self._computes():  # On a busy machine what needs a minute may take ten.
                    deadline = time.monotonic() + self._limits.wall_seconds
                    continue
                raise WorkerError("stalled", f"{self._limits.wall_seconds:.0f} s")
            chunk = os.read(descriptor, min(length - len(data), 1 << 20))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)


def _presentable(text: object) -> str:
    """What a worker says, fit to be stored and shown: no controls, no NUL, and not too long."""
    return clean_text(str(text))[:_LONGEST_MESSAGE]


def _cause_of_death(code: int, limits: Limits) -> WorkerError:
    """Return the fault of a worker that ended with a code (negative: by that signal)."""
    if code == -signal.SIGXCPU:
        return WorkerError("timed_out", f"{limits.cpu_seconds:.0f} s")
    if code == -signal.SIGKILL:
        return WorkerError("killed")
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return WorkerError("crashed", f"{how}, or more than {_gibibytes(limits.memory_bytes)} of memory")


def _gibibytes(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
