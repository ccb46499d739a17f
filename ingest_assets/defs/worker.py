"""The worker: it takes runs over documents from the broker, and executes them on its machine.

Belongs here: `ingest-assets worker`, one process, which Celery drives: a thread a run, which has the
run forked from a server that has the code loaded, and waits for its end. The run's process keeps its
own lease, so it goes on where the worker is killed. Does not belong here: which runs come
(`worker_runs`).
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from dagster import DagsterInstance
from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets import wiring
from ingest_assets.defs._internals import unpack_run_id
from ingest_assets.defs.instance import await_end
from ingest_assets.defs.run_server import RunProcess, RunServer
from ingest_assets.defs.worker_runs import (
    INPUT_QUEUE,
    OTHER_QUEUE,
    WORKER_TAG,
    celery_launcher,
    declare,
)
from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.log import get_logger
from ingest_assets.settings import S3Prefix, Settings
from ingest_assets.store import leases
from ingest_assets.store.database import Database, database_error, require_schema

_log = get_logger(__name__)

# After the grace runs are interrupted, and record it; what has not ended then is killed.
_INTERRUPTED_SECONDS = 60
# A worker that S3 has not answered for so long gives its runs up; it asks each time that it is seen.
# Its runs wait for answers of S3, so they get little time to record that they were interrupted.
_WITHOUT_S3_SECONDS = 20
_CUT_OFF_SECONDS = 10


class Worker:
    """One worker, from its start to its end.

    Args:
        concurrency: runs at a time.
        queues: those that it takes from; where there are none, all that it can serve.
        grace: seconds that runs get to end after a signal to stop.
        say: writes a line for the user.
    """

    def __init__(
        self,
        settings: Settings,
        concurrency: int,
        queues: Sequence[str],
        grace: float,
        say: Callable[[str], None],
    ) -> None:
        if settings.broker_url is None:
            raise ConfigurationError("broker_missing", "INGEST_BROKER_URL is not set.")
        self._settings = settings
        self._broker = settings.broker_url.get_secret_value()
        self._concurrency = concurrency
        self._queues = list(queues) or _queues(settings)
        self._grace = grace
        self._say = say
        self._host = socket.gethostname()
        self.name = f"{self._host}-{os.getpid()}"
        self._server = RunServer()
        self._running: dict[str, RunProcess] = {}
        self._stop = threading.Event()
        self._s3_answers = threading.Event()
        self._s3_answers.set()
        self._fault: IngestError | None = None

    def work(self) -> None:
        """Take runs until a signal comes.

        Raises:
            ConfigurationError: it cannot begin, or cannot go on: the schema of the database changed.
        """
        url = os.environ["INGEST_DATABASE_URL"]
        with (
            closing(self._server),
            closing(wiring.database(url, connections=2)) as database,
            DagsterInstance.get() as instance,
        ):
            require_schema(database)
            self._server.get_ready()  # It loads while this process does.
            app = celery_launcher(self._broker).celery
            self._server.start()
            self._be_seen(database)
            seen = threading.Thread(target=self._stay_seen, args=(database,), name="seen", daemon=True)
            seen.start()
            try:
                self._serve(app, database, instance)
            finally:
                self._stop.set()
                seen.join()
                self._leave(database)
        if self._fault is not None:
            raise self._fault

    def _serve(self, app: Any, database: Database, instance: DagsterInstance) -> None:
        from celery import signals  # noqa: PLC0415  (an extra)
        from dagster_celery.config import TASK_EXECUTE_JOB_NAME  # noqa: PLC0415  (an extra)

        def execute(execute_job_args_packed: Mapping[str, Any]) -> None:
            self._execute(database, instance, unpack_run_id(execute_job_args_packed))

        def ready(**_: Any) -> None:
            self._say(self._introduction())

        def stopping(**_: Any) -> None:
            self._stop.set()
            self._say(
                f"Worker {self.name} ends; {len(self._running)} runs have {self._grace:.0f} s to end."
            )
            threading.Thread(
                target=self._end_runs, args=(self._grace,), name="grace", daemon=True
            ).start()

        app.task(name=TASK_EXECUTE_JOB_NAME)(execute)
        app.conf.task_queues = []
        for queue in self._queues:
            declare(app, queue)
        signals.worker_ready.connect(ready, weak=False)
        signals.worker_shutting_down.connect(stopping, weak=False)
        worker = app.Worker(
            hostname=f"ingest@{self.name}",
            pool="threads",
            concurrency=self._concurrency,
            queues=self._queues,
            quiet=True,
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()

    def _execute(self, database: Database, instance: DagsterInstance, run_id: str) -> None:
        """Execute one run; does nothing if another worker has it, or had it."""
        # The message is kept: as it is not claimed, the run is sent again to a worker that is free.
        while not self._s3_answers.wait(1):
            if self._stop.is_set():
                return
        if not leases.claim(database, run_id, self.name):
            _log.info("Run %s is, or was, another worker's, or was cancelled.", run_id)
            return
        try:
            instance.add_run_tags(run_id, {WORKER_TAG: self.name})
            process = self._server.start_run(instance, run_id, leased=True)
            self._running[run_id] = process
            await_end(instance, run_id, process)
        finally:
            self._running.pop(run_id, None)
            leases.end(database, run_id)

    def _be_seen(self, database: Database) -> None:
        require_schema(database)
        if self._s3_answers.is_set():
            leases.see_worker(database, self.name, self._host, self._queues, self._concurrency)
        # For probes of the machine that it runs on.
        (self._settings.data_dir / "worker.seen").touch()

    def _stay_seen(self, database: Database) -> None:
        answered = time.monotonic()
        objects = wiring.probed_object_store(self._settings)
        while not self._stop.wait(leases.RENEW_SECONDS):
            if objects.answers():
                answered = time.monotonic()
                self._s3_answers.set()
            elif self._s3_answers.is_set() and time.monotonic() - answered > _WITHOUT_S3_SECONDS:
                self._give_up(database)
            try:
                self._be_seen(database)
            except SQLAlchemyError as error:
                _log.warning("Postgres does not answer: %s It is asked again.", database_error(error))
            except ConfigurationError as error:
                # Each run asks the same before it begins, so none that has come meanwhile does harm.
                self._fault = error
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _give_up(self, database: Database) -> None:
        """Take no runs as long as S3 does not answer, and have others take up the documents in hand."""
        self._s3_answers.clear()
        _log.error(
            "S3 has not answered worker %s for %d s: it takes no run until S3 does, and ends its own, "
            "whose documents other workers take up: %s.",
            self.name,
            _WITHOUT_S3_SECONDS,
            ", ".join(self._running) or "it has none",
        )
        self._leave(database)
        self._end_runs(0.0, _CUT_OFF_SECONDS)

    def _leave(self, database: Database) -> None:
        try:
            leases.worker_leaves(database, self.name)
        except SQLAlchemyError as error:
            _log.warning(
                "Worker %s could not be taken off the list: %s", self.name, database_error(error)
            )

    def _end_runs(self, grace: float, interrupted: float = _INTERRUPTED_SECONDS) -> None:
        """Interrupt its runs after the grace, and kill those that have not ended some seconds later."""
        for number, seconds in ((signal.SIGINT, grace), (signal.SIGKILL, interrupted)):
            time.sleep(seconds)
            for process in list(self._running.values()):
                if process.is_alive():
                    os.kill(process.pid, number)

    def _introduction(self) -> str:
        database = make_url(os.environ["INGEST_DATABASE_URL"])
        runs = "1 run" if self._concurrency == 1 else f"{self._concurrency} runs"
        endpoint = self._settings.aws_endpoint_url_s3 or "Amazon"
        return (
            f"Worker {self.name} takes {runs} at a time from {' and '.join(self._queues)}; "
            f"broker {_place(self._broker)}, database {database.host}:{database.port or 5432}/"
            f"{database.database}, bucket {self._settings.s3_bucket} at {endpoint}."
        )


def _queues(settings: Settings) -> list[str]:
    """The queues that a worker can serve here: the first needs the input directory, if it is one."""
    sees_input = isinstance(settings.input_dir, S3Prefix) or settings.input_dir.is_dir()
    return [INPUT_QUEUE, OTHER_QUEUE] if sees_input else [OTHER_QUEUE]


def _place(url: str) -> str:
    """The URL of a broker without user and password."""
    parsed = make_url(url)
    return str(
        URL.create(parsed.drivername, host=parsed.host, port=parsed.port, database=parsed.database)
    )
