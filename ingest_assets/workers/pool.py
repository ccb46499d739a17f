"""A pool of worker processes that may die at any time.

Belongs here: starting workers with limits, handing them tasks, and naming what became of a worker
that did not answer. Does not belong here: what the tasks are.

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
from typing import Any

import psutil

from ingest_assets.errors import (
    ConfigurationError,
    IngestError,
    PermanentError,
    RunEndedError,
    TransientError,
)
from ingest_assets.text import MAX_TEXT_BYTES, clean_text, too_much_text
from ingest_assets.workers import protocol

# What a worker gets of the environment: no credentials, which no parser has any need of.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH", "TZ")

# Seconds for a worker to start, on a machine that is busy.
_START_SECONDS = 60

# Characters of a worker's sentence that are kept: it may be made of what a document holds.
_LONGEST_MESSAGE = 1000

_LOST = (BrokenPipeError, ConnectionResetError, EOFError)


@dataclass(frozen=True)
class Limits:
    """What one task, of at most one page or one second of short pages, may use.

    Attributes:
        cpu_seconds: CPU time; past it the document fails for good (`page_timeout`).
        slow_seconds: time by the clock after which a task no longer keeps others waiting: another
            process takes its turn, and the operating system shares the cores between them. So at
            most twice as many processes run as there are workers.
        wall_seconds: time by the clock without computing; past it the task is given up for now
            (`page_stalled`), because that is the machine's fault.
        memory_bytes: address space of a worker, of which its programs take 170 MB, the largest page
            630 MB and the largest image 870 MB. Linux only.
        file_bytes: size of a file that a worker writes (a repaired PDF).
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
        operations: name of the module whose `OPERATIONS` the processes are asked for.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits,
        operations: str = "ingest_assets.ocr.sandbox.operations",
    ) -> None:
        self._limits = limits
        self._operations = operations
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._closed = False
        self._live: set[_Worker] = set()
        self._lock = threading.Lock()  # Over the two above, and what is put into the queue.
        # A thread keeps its turn from task to task, and gives it away when a task turns out slow.
        self._turns = threading.Semaphore(workers)
        self._threads = [
            threading.Thread(target=self._serve, name=f"ocr-worker-{index}", daemon=True)
            for index in range(2 * workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, operation: str, **arguments: Any) -> Future[Answer]:
        """Queue one operation; its answer holds a JSON value, its errors are `IngestError`s.

        Beside those of the operation: `parser_crashed`, `out_of_memory`, `page_timeout`,
        `too_much_text`, `reader_failed` (permanent), `page_stalled`, `worker_killed`,
        `engine_closed` (transient), `ocr_does_not_start` (configuration).
        """
        request = protocol.encode({"do": operation, "with": arguments})
        task = _Task(request, Future())
        with self._lock:
            if self._closed:
                task.future.set_exception(_closed())
            else:
                self._tasks.put(task)
        return task.future

    def close(self) -> None:
        """End the workers at once; tasks not done fail with `engine_closed`."""
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
                    raise _closed()
                worker = worker or self._hire()
                answer = worker.ask(task.request, when_slow=self._turns.release)
            except BaseException as error:  # noqa: BLE001  # Belongs to whoever waits for the task.
                task.future.set_exception(_closed() if self._closed else error)
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
        except (IngestError, *_LOST) as error:
            self.end()
            raise ConfigurationError(
                "ocr_does_not_start",
                f"The process that reads documents ended at its start, with code "
                f"{self._process.returncode}.",
            ) from error

    def ask(self, request: bytes, when_slow: Callable[[], None]) -> Answer:
        """Return what the worker answers, or raise what became of it or of the document.

        Calls `when_slow` once where the answer is not there after `slow_seconds`.
        """
        started = time.monotonic()
        self._computed = self._cpu_seconds()
        try:
            assert self._process.stdin is not None  # noqa: S101  # For the type checker.
            self._process.stdin.write(request)
            if not self._wait(started + self._limits.slow_seconds):
                self.was_slow = True
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
            raise _out_of_memory(self._limits)
        if "disk_full" in reply:
            raise no_scratch_space(_presentable(reply["disk_full"]))
        if "fault" in reply:
            raise _reader_failed(reply["fault"])
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
            raise too_much_text()
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
                raise TransientError(
                    "page_stalled", f"Reading a page stood still for {self._limits.wall_seconds:.0f} s."
                )
            chunk = os.read(descriptor, min(length - len(data), 1 << 20))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)


def _presentable(text: object) -> str:
    """What a worker says, fit to be stored and shown: no controls, no NUL, and not too long."""
    return clean_text(str(text))[:_LONGEST_MESSAGE]


def no_scratch_space(reason: object) -> TransientError:
    """Return the error for want of room on the disk: it is no document's fault."""
    return TransientError(
        "no_scratch_space", f"The document cannot be put on the disk to be read: {reason}."
    )


def _cause_of_death(code: int, limits: Limits) -> IngestError:
    """Return the error for a worker that ended with a code (negative: by that signal)."""
    if code == -signal.SIGXCPU:
        return PermanentError(
            "page_timeout", f"Reading one page took more than {limits.cpu_seconds:.0f} s of computing."
        )
    if code == -signal.SIGKILL:
        return TransientError(
            "worker_killed",
            "The process that read the document was killed from outside, perhaps because the "
            "machine was out of memory.",
        )
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return PermanentError(
        "parser_crashed",
        f"The document made its parser crash ({how}), or need more than "
        f"{limits.memory_bytes / (1 << 30):.1f} GiB of memory.",
    )


def _out_of_memory(limits: Limits) -> PermanentError:
    return PermanentError(
        "out_of_memory",
        f"Reading one page needs more than {limits.memory_bytes / (1 << 30):.1f} GiB of memory.",
    )


def _reader_failed(trace: str) -> PermanentError:
    error = PermanentError(
        "reader_failed",
        f"The program that reads documents failed on this one: "
        f"{_presentable(trace.strip().splitlines()[-1])}",
    )
    error.__cause__ = RuntimeError(trace)
    return error


def _closed() -> RunEndedError:
    return RunEndedError("engine_closed", "Reading the document was broken off, because its run ended.")
