"""Processes of runs, forked from a server that has this code location loaded.

A process that starts afresh computes for four seconds before it does anything, most of it imports; on
a busy machine that is a minute. A fork is there at once.

Belongs here: the server, and the client that starts it, asks it for processes, and replaces it when
the code has changed. Does not belong here: which runs are started so (`defs.instance`).

The server has one thread and no connection, so that nothing is shared which does not bear a fork. It
ends with the process that started it; the runs that it forked go on. Why not the fork server of
`multiprocessing`: there is one in a process, and it cannot be replaced while its children live.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import IO, NamedTuple

import psutil
from dagster import DagsterInstance

import ingest_assets
from ingest_assets.defs._internals import (
    InstanceRef,
    capture_interrupts,
    deserialize_value,
    run_executor,
    serialize_value,
)
from ingest_assets.log import get_logger

_log = get_logger(__name__)

# The code location that the server loads; only its runs can be started so.
CODE_LOCATION = "ingest_assets.definitions"
# For the server to load it, on a machine that is busy; less than Dagster gives a run to start.
_START_SECONDS = 300
_PACKAGE = Path(ingest_assets.__file__).parent


class RunProcess(NamedTuple):
    """A process, told apart from a later one of the same number by when it began."""

    pid: int
    created: float

    def is_alive(self) -> bool:
        """Whether it runs still."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class RunServer:
    """The server, seen from the process that asks it. Thread-safe.

    It starts with the first run. Where it was killed, or the code has changed since it started, another
    takes its place; so a run always has the code that is on disk when it starts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._code: object = None

    def start_run(self, instance: DagsterInstance, run_id: str) -> RunProcess:
        """Start the process of a run.

        Raises:
            OSError: the server does not start, or does not answer.
        """
        request = json.dumps({"instance": serialize_value(instance.get_ref()), "run_id": run_id})
        with self._lock:
            code = _code_on_disk()
            if self._process is None or self._process.poll() is not None or code != self._code:
                self._replace(code)
            try:
                pid = self._ask(request)
            except OSError as error:
                # It was killed since the last run.
                _log.warning("The server of runs does not answer and is started again: %s", error)
                self._replace(code)
                pid = self._ask(request)
            return RunProcess(pid, psutil.Process(pid).create_time())

    def close(self) -> None:
        """End the server; what it has started goes on."""
        with self._lock:
            self._end()

    def _replace(self, code: object) -> None:
        self._end()
        self._code = code
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None

    def _ask(self, request: str) -> int:
        assert self._process is not None  # noqa: S101  # For the type checker.
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None  # noqa: S101
        assert replies is not None  # noqa: S101
        requests.write(f"{request}\n".encode())
        ready, _, _ = select.select([replies], [], [], _START_SECONDS)
        reply = replies.readline() if ready else b""
        if not reply:
            raise ConnectionResetError("it has ended, or did not start in time")
        return int(reply)


def _code_on_disk() -> object:
    """What changes when the code or its settings do."""
    files = (*_PACKAGE.rglob("*.py"), Path(".env"))
    return {path: path.stat().st_mtime_ns for path in files if path.exists()}


def serve(requests: IO[str], replies: IO[str]) -> tuple[str, str] | None:
    """Fork a process for each request; returns in that process with the request.

    Returns:
        The instance and the run's id; None in the server itself, when its client has ended.
    """
    for line in requests:
        pid = os.fork()
        if pid == 0:
            request = json.loads(line)
            return request["instance"], request["run_id"]
        replies.write(f"{pid}\n")
        replies.flush()
    return None


def main() -> None:
    """The server, and then, in each process that it forks, the run."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    # What a library prints must not end up between the replies, nor a run read requests.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runs.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for them here.
    _preload()
    gc.freeze()  # What is loaded stays shared with the forks.
    request = serve(requests, replies)
    if request is None:
        return
    requests.close()
    replies.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    execute(*request)


def execute(instance_ref: str, run_id: str) -> None:
    """Execute a run in this process."""
    with (
        capture_interrupts(),
        DagsterInstance.from_ref(deserialize_value(instance_ref, InstanceRef)) as instance,
    ):
        run_executor()(run_id, instance, lambda _event: None, set_exit_code_on_failure=False)


def _preload() -> None:
    """Load what each run would load."""
    try:
        import_module(CODE_LOCATION).defs.resolve_all_job_defs()
        run_executor()
    except Exception:  # noqa: BLE001  # The run meets the same error, and stores it.
        _log.exception("The code location %s does not load.", CODE_LOCATION)


if __name__ == "__main__":
    main()
