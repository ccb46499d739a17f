"""Processes of runs, forked from a server that has this code location loaded.

A new Python process computes for four seconds, mostly imports, before it can work on a run; on a busy
machine that takes a minute. A fork starts at once.

Belongs here: the server, and the client that starts it, asks it for processes, and replaces it when the
code has changed. Does not belong here: which runs are started in this way (`defs.instance`).

The server has one thread and no connection, because threads and connections do not survive a fork. It
ends with the process that started it; runs that it forked go on. The fork server of `multiprocessing`
does not serve here: a process has only one, and cannot replace it while its children live.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

import psutil
from dagster import AssetMaterialization, DagsterInstance, MetadataValue

import ingest_assets
from ingest_assets import wiring
from ingest_assets.defs._internals import (
    IMPORTED_BY_RUNS,
    InstanceRef,
    capture_interrupts,
    deserialize_value,
    run_executor,
    serialize_value,
)
from ingest_assets.defs.run_output import with_run_output
from ingest_assets.extraction import local as extraction
from ingest_assets.loading import loading
from ingest_assets.log import get_logger
from ingest_assets.ocr import local as ocr
from ingest_assets.settings import current_settings
from ingest_assets.stages.ignored import IgnoredNames
from ingest_assets.store import leases
from ingest_assets.workers.nursery import nursery_of

_log = get_logger(__name__)

# The code location that the server loads; it can start only runs of this one.
CODE_LOCATION = "ingest_assets.definitions"
# Time to load it on a busy machine; less than the time that Dagster gives a run to start.
_START_SECONDS = 300
_PACKAGE = Path(ingest_assets.__file__).parent
_SERVER = f"""
from ingest_assets.loading import loading
with loading():
    from {__name__} import main
main()
"""


class RunProcess(NamedTuple):
    """A process, identified by its id and by when it began, because the system reuses ids."""

    pid: int
    created: float

    def is_alive(self) -> bool:
        """Whether it still runs."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, so long at most."""
        with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            psutil.Process(self.pid).wait(seconds)


class Request(NamedTuple):
    """A run that is to be executed.

    Attributes:
        instance: the serialised reference of Dagster's instance.
        leased: whether the run has a lease, which its process renews.
    """

    instance: str
    run_id: str
    leased: bool


class RunServer:
    """The client of the server, in the process that launches runs. Thread-safe.

    The server starts with `get_ready` or the first run. A new one replaces it if it was killed, or if
    the code has changed since it started, so that a run always has the code that is on disk then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._code: object = None

    def start(self) -> None:
        """Start the server, and wait until it has the code loaded.

        Raises:
            OSError: it does not start.
        """
        with self._lock:
            self._request("")

    def get_ready(self) -> None:
        """Start the server, if it was not, and let it load the code meanwhile."""
        with self._lock:
            if self._process is None:
                self._replace(_code_on_disk())

    def start_run(self, instance: DagsterInstance, run_id: str, *, leased: bool = False) -> RunProcess:
        """Start the process of a run.

        Args:
            leased: whether the run has a lease, which its process renews.

        Raises:
            OSError: the server does not start, or does not answer.
        """
        request = {"instance": serialize_value(instance.get_ref()), "run_id": run_id, "leased": leased}
        with self._lock:
            pid = self._request(json.dumps(request))
            return RunProcess(pid, psutil.Process(pid).create_time())

    def close(self) -> None:
        """End the server; runs that it has started go on."""
        with self._lock:
            self._end()

    def _request(self, request: str) -> int:
        code = _code_on_disk()
        if self._process is None or self._process.poll() is not None or code != self._code:
            self._replace(code)
        try:
            return self._ask(request)
        except OSError as error:
            # It was killed since the last run.
            _log.warning("The server of runs does not answer and is started again: %s", error)
            self._replace(code)
            return self._ask(request)

    def _replace(self, code: object) -> None:
        self._end()
        self._code = code
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
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
    """A value that changes when the code or its settings change."""
    changed = {}
    directories = [str(_PACKAGE)]
    # `Path.rglob` takes five times as long, for each run.
    while directories:
        with os.scandir(directories.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                elif entry.name.endswith(".py"):
                    changed[entry.path] = entry.stat().st_mtime_ns
    with suppress(FileNotFoundError):
        changed[".env"] = Path(".env").stat().st_mtime_ns
    return changed


def serve(requests: IO[str], replies: IO[str]) -> Request | None:
    """Fork a process for each request, none for an empty one; returns in the new process.

    Returns:
        In the new process, what was asked for; in the server, None when its client has ended.
    """
    for line in requests:
        pid = os.fork() if line.strip() else -1
        if pid == 0:
            return Request(**json.loads(line))
        replies.write(f"{pid}\n")
        replies.flush()
    return None


def main() -> None:
    """Run the server; in each process that it forks, execute the run."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    # So that what a library prints does not get between the replies, and no run reads requests.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runs' to handle.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The system removes ended runs.
    with loading():
        _preload()
    request = serve(requests, replies)
    if request is None:
        return
    requests.close()
    replies.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        execute(request)
    except BaseException:  # noqa: BLE001  # As Python ends a process.
        traceback.print_exc()
        _leave(1)
    _leave(0)


def execute(request: Request) -> None:
    """Execute a run in this process."""
    with ExitStack() as stack:
        stack.enter_context(capture_interrupts())
        if request.leased:
            # libpq reads it: by this name the run's sessions are found and ended if its lease is lost.
            os.environ["PGAPPNAME"] = leases.session_name(request.run_id)
            stack.enter_context(leases.kept(os.environ["INGEST_DATABASE_URL"], request.run_id))
        reference = with_run_output(_with_tables(deserialize_value(request.instance, InstanceRef)))
        instance = stack.enter_context(DagsterInstance.from_ref(reference))
        run_executor()(request.run_id, instance, lambda _event: None, set_exit_code_on_failure=False)


def _with_tables(instance: InstanceRef) -> InstanceRef:
    """The same instance, whose storage does not look for its tables: the run is stored in them."""
    storage = instance.storage_data
    if storage is None or not storage.module_name.startswith(f"{ingest_assets.__name__}."):
        return instance
    config = {**storage.config_dict, "should_autocreate_tables": False}
    return instance._replace(storage_data=storage._replace(config_yaml=json.dumps(config)))


def _leave(code: int) -> NoReturn:
    """End the process of a run without taking apart what is loaded.

    Python would touch all of it, and so copy all memory that is shared with the server: 0.16 s of
    computing for each run.
    """
    atexit._run_exitfuncs()  # As `multiprocessing` ends its forks.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _preload() -> None:
    """Import the modules that each run needs."""
    try:
        for job in import_module(CODE_LOCATION).defs.resolve_all_job_defs():
            job.run_config_schema  # noqa: B018  # Made when it is first asked for.
        run_executor()
        for module in IMPORTED_BY_RUNS:
            import_module(module)
        # Dagster compiles what checks a class's fields when the first object of it is made.
        AssetMaterialization(
            "any", metadata={"a": MetadataValue.md(""), "b": 0, "c": 0.0, "d": "", "e": True}
        )
        wiring.warm_up()
        IgnoredNames(current_settings().ignore_patterns)  # Compiles them.
        for operations in (ocr.OPERATIONS, extraction.OPERATIONS):
            nursery_of(operations).start()
    except Exception:  # noqa: BLE001  # The run meets the same error, and stores it.
        _log.exception("The code location %s does not load.", CODE_LOCATION)
