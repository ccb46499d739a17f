"""A pool of worker processes that may die at any time.

Belongs here: starting workers with limits, giving them tasks, and finding out what became of a worker
that did not answer. Does not belong here: the tasks, and what a worker's fault means for a document;
each user of the pool explains that.

Why not a library's pool? Where workers share pipes and locks, one that dies can stop the others:
`concurrent.futures` fails every task when one process dies, and pebble's pool stops when a process is
killed while it holds the pool's lock or before it took a task. Here each worker has a thread and a pair
of pipes of its own. Both libraries also give workers the parent's environment with its secrets, and
unpickle what a worker sends.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Literal

import psutil

from ingest_assets import traces
from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.text import MAX_TEXT_BYTES, clean_text
from ingest_assets.workers import protocol
from ingest_assets.workers.isolation import Reach
from ingest_assets.workers.nursery import nursery_of

# Seconds that a worker may take to start on a busy machine.
_START_SECONDS = 60

# Seconds in which a worker ends that has nothing more to read.
_DYING_SECONDS = 0.5

# Characters of a worker's message that are kept, because it may quote the document.
_LONGEST_MESSAGE = 1000

_ANYTHING = Reach()

_LOST = (BrokenPipeError, ConnectionResetError, EOFError)


# does_not_start: the process ended before it took a task. timed_out: it used up the CPU time of one.
# stalled: it neither answered nor computed. killed: by SIGKILL, from outside. crashed: by another
# signal, or it exited. out_of_memory: it reached the limit, and lives. disk_full: there was no room for
# a file. answer_too_long: longer than `reply_bytes`. failed: the operation raised what it should not.
# closed: the pool was, before there was an answer. refused: the operation asked the system for a file,
# a socket or a program that the worker may not have. not_isolated: the system cannot hold workers to
# that.
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
    "refused",
    "not_isolated",
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
        slow_seconds: wall time after which a task no longer keeps others waiting: another process takes
            the next task, and the operating system shares the cores between both. At most twice as many
            processes run as there are workers.
        wall_seconds: wall time without computing; past it the task is given up (`stalled`).
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
    """The answer to a task.

    Attributes:
        value: what the operation returned.
        cpu_seconds: CPU time that it took, as the worker measured it.
    """

    value: Any
    cpu_seconds: float


@dataclass(frozen=True)
class _Task:
    request: bytes
    future: Future[Answer]
    operation: str
    trace: Any


class WorkerPool:
    """Runs operations in worker processes. Thread-safe.

    A process starts with its first task, and ends with the pool or with this process, even if this is
    killed.

    Example:
        pool = WorkerPool(2, Limits(), "ingest_assets.ocr.sandbox.operations", explain)
        pool.submit("survey", path="/tmp/a.pdf", mime_type="application/pdf").result().value

    Args:
        workers: tasks that run at a time, as long as none is slow; one a core.
        limits: what one task may use.
        operations: name of the module whose `OPERATIONS` the processes are asked for.
        explain: the error that a task fails with where its worker did not answer.
        reach: what workers are held to; by default, to nothing.

    Attributes:
        isolation: what holds them to it, for a person; empty until the first has started.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits,
        operations: str,
        explain: Callable[[WorkerError], IngestError],
        reach: Reach = _ANYTHING,
    ) -> None:
        self.isolation = ""
        self._reach = reach
        self._limits = limits
        self._operations = operations
        self._explain = explain
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._closed = False
        self._live: set[_Worker] = set()
        self._lock = threading.Lock()  # Guards the two above, and putting tasks into the queue.
        # A thread that works holds one of these. It gives it to another when its task turns out slow.
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
        task = _Task(request, Future(), operation, traces.here())
        with self._lock:
            if self._closed:
                task.future.set_exception(self._explained(WorkerError("closed")))
            else:
                self._tasks.put(task)
        return task.future

    def close(self) -> None:
        """End the workers at once; tasks that have no answer yet fail as `closed`."""
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
        """Give tasks to one worker, until the pool is closed.

        This thread starts the worker process, because Linux ends the process when the thread ends.
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
                with traces.span(f"worker {task.operation}", task.trace):
                    answer = worker.ask(task.request, when_slow=self._turns.release)
            except BaseException as error:  # noqa: BLE001  # The future raises it.
                fault = WorkerError("closed") if self._closed else error
                task.future.set_exception(self._explained(fault))
            else:
                task.future.set_result(answer)
            was_slow = worker is not None and worker.was_slow
            if worker is not None and (worker.finished or was_slow):
                # After a slow task, too, so that no more processes wait for tasks than there are
                # workers.
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
        worker = _Worker(self._limits, self._operations, self._reach)
        with self._lock:
            self._live.add(worker)
            if self._closed:
                worker.kill()
        worker.await_start()
        self.isolation = worker.isolation
        return worker

    def _dismiss(self, worker: _Worker) -> None:
        with self._lock:
            self._live.discard(worker)
        worker.end()


class _Worker:
    """One worker process, used by one thread."""

    def __init__(self, limits: Limits, operations: str, reach: Reach) -> None:
        self.isolation = ""
        self.finished = False
        self.was_slow = False
        self._computed = 0.0
        self._limits = limits
        self._config = {
            "memory_bytes": limits.memory_bytes,
            "file_bytes": limits.file_bytes,
            "task_seconds": limits.cpu_seconds,
            "reach": reach.as_message(),
        }
        worker = nursery_of(operations).fork()
        if worker is None:
            raise WorkerError("does_not_start", "an error that the log of the service shows")
        self._process = worker

    def await_start(self) -> None:
        """Give the process its limits, and wait until it has them."""
        try:
            self._process.requests.write(protocol.encode(self._config))
            reply = self._receive(time.monotonic() + _START_SECONDS)
        except (WorkerError, *_LOST) as error:
            self.end()
            raise WorkerError("does_not_start", f"code {self._process.returncode}") from error
        if "not_isolated" in reply:
            self.end()
            raise WorkerError("not_isolated", _presentable(reply["not_isolated"]))
        self.isolation = _presentable(reply["value"])

    def ask(self, request: bytes, when_slow: Callable[[], None]) -> Answer:
        """Return what the worker answers; calls `when_slow` once if that takes over `slow_seconds`.

        Raises:
            PermanentError: what the operation raised.
            WorkerError: what became of the worker.
        """
        started = time.monotonic()
        try:
            self._process.requests.write(request)
            if not self._wait(started + self._limits.slow_seconds):
                self.was_slow = True
                self._computed = self._cpu_seconds()
                when_slow()
            reply = self._receive(started + self._limits.wall_seconds)
        except _LOST as error:
            self.finished = True
            raise _cause_of_death(self._process.end(_DYING_SECONDS), self._limits) from error
        except BaseException:
            self.end()
            raise
        if reply.get("last"):
            self.end()
        if "error" in reply:
            raise PermanentError(*map(_presentable, reply["error"]))
        if "refused" in reply:
            raise WorkerError("refused", _presentable(reply["refused"]))
        if "out_of_memory" in reply:
            raise WorkerError("out_of_memory", _gibibytes(self._limits.memory_bytes))
        if "disk_full" in reply:
            raise WorkerError("disk_full", _presentable(reply["disk_full"]))
        if trace := reply.get("fault"):
            last_line = _presentable(trace.strip().splitlines()[-1])
            raise WorkerError("failed", last_line) from RuntimeError(trace)
        return Answer(reply["value"], reply["cpu_seconds"])

    def kill(self) -> None:
        """End the process from another thread; the one that uses it notices."""
        self._process.kill()

    def end(self) -> None:
        """End the process, if it has not ended by itself, and release what it holds."""
        self.finished = True
        # If it is dying, its exit code says why: wait for that for a moment.
        self._process.end(_DYING_SECONDS)

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
            return 0.0  # It has ended, or may not be inspected.
        return float(times.user + times.system)

    def _wait(self, deadline: float) -> bool:
        """Wait until the worker writes something or ends; False if it does neither in time."""
        poll = select.poll()
        poll.register(self._process.replies, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def _read(self, length: int, deadline: float) -> bytes:
        descriptor = self._process.replies.fileno()
        data = bytearray()
        while len(data) < length:
            while not self._wait(deadline):
                if self._computes():  # On a busy machine a minute of computing may take ten.
                    deadline = time.monotonic() + self._limits.wall_seconds
                    continue
                raise WorkerError("stalled", f"{self._limits.wall_seconds:.0f} s")
            chunk = os.read(descriptor, min(length - len(data), 1 << 20))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)


def _presentable(text: object) -> str:
    """A worker's message as it can be stored and shown: no control characters, not too long."""
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
