"""The Dagster instance of this deployment: its storage and its run launcher, named in `dagster.yaml`.

Belongs here: subclasses of Dagster's instance components, and opening the instance for a command. Does
not belong here: documents.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any, ClassVar

import psutil
from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultRunLauncher,
    EventLogEntry,
    RunsFilter,
)
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import create_pg_connection, pg_url_from_config
from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets import log, wiring
from ingest_assets.defs import run_queue
from ingest_assets.defs._internals import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterLaunchFailedError,
    LaunchRunContext,
    QueuedRunCoordinator,
    RunQueueConfig,
    SqlEventLogStorageTable,
    SubmitRunContext,
    WorkerStatus,
    server_watcher,
)
from ingest_assets.defs.run_server import CODE_LOCATION, RunProcess, RunServer
from ingest_assets.defs.worker_runs import QUEUE_TAG, WorkerRuns, goes_to_workers, has_broker
from ingest_assets.failpoints import failpoint
from ingest_assets.log import get_logger
from ingest_assets.settings import current_settings
from ingest_assets.store.database import Database, database_error, ping_where_idle
from ingest_assets.store.leases import slots

_log = get_logger(__name__)

# Web server and daemon ask the code server once a second whether it is still the same one, over a new
# connection each time: a third of what an idle stack computes. Dagit itself reloads the code at once
# where a person asks for it; the daemon has the new code up to so many seconds later.
server_watcher.WATCH_INTERVAL = 5
run_queue.use()

# A connection is replaced at this age, before a firewall or a pooler drops it as idle.
_POOL_RECYCLE_SECONDS = 600
# Connections that stay open, and those that may be opened beside them under load.
_CONNECTIONS_KEPT = 3
_MAX_OVERFLOW = 60
# Events that may wait are stored together when this many wait, or when the first has waited this long.
_MOST_WAITING_EVENTS = 200
_WAITING_SECONDS = 1.0
# How far the process table's clock and the event log's may differ.
_CLOCK_TOLERANCE_SECONDS = 5
# Of a run that was forked: its machine, its process, and when that began.
PROCESS_TAG = "ingest/process"
_LOOK_SECONDS = 5.0  # Where the system does not tell of a process's end.
# Runs that did not start are counted over this time, among so many that failed last.
_NOT_STARTED_SINCE = timedelta(hours=1)
_MOST_RUNS = 1_000
# What a person asks for goes before all batches, whose priorities are 0 to 2 (`sensors.batches`).
PRIORITY_TAG = "dagster/priority"
FIRST = "3"
_NOT_BY_A_PERSON = {"dagster/sensor_name", "dagster/schedule_name"}
# The tables that Dagster looks for to find out whether it has to create them and all others.
_FIRST_TABLES = {"event_logs", "instance_info", "jobs", "runs"}
# Dagster asks Postgres, in each process and at each look, for tables and columns that it lacked long
# before this package began; each time it reads all of a table's description.
_LATER_TABLES = {
    "asset_check_executions",
    "asset_event_tags",
    "concurrency_limits",
    "concurrency_slots",
    "dynamic_partitions",
    "pending_steps",
}
# Events that no one waits for, and that say nothing of a failure: at most so much later they are shown.
_MAY_WAIT = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.LOGS_CAPTURED,
    DagsterEventType.RESOURCE_INIT_STARTED,
    DagsterEventType.RESOURCE_INIT_SUCCESS,
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.STEP_START,
    DagsterEventType.STEP_SUCCESS,
}
_STORED_TOGETHER = {
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
}


class _EventLog(PostgresEventLogStorage):
    """Dagster's event log in Postgres, but what runs say of their usual course is stored together.

    Dagster's own class commits three times for each event, one of them for a NOTIFY that no process
    listens to any more, and with each materialisation asks on a second connection whether the table of
    tags exists.

    This class collects materialisations and the steps of a run that goes well, and stores them in one
    transaction, with their tags and assets. Any other event is stored with those collected before it,
    so that none is missing at the end of a run; `store_waiting_events` stores them where something
    else depends on them. A process that is killed loses those that it has collected.
    """

    def __init__(self, postgres_url: str, should_autocreate_tables: bool) -> None:
        super().__init__(postgres_url, should_autocreate_tables)
        self._waiting: list[EventLogEntry] = []
        self._storing = threading.RLock()  # Guards `_waiting`, and keeps events in their order.

    def has_table(self, table_name: str) -> bool:
        """Whether the table exists."""
        return table_name in _LATER_TABLES or super().has_table(table_name)

    def has_secondary_index(self, name: str) -> bool:
        """Whether the columns of assets that were added to Dagster's first have their values: yes.

        Dagster asks while it stores an event, so each run opened a second connection for it.
        """
        return True

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether assets have a column, of those that were added to Dagster's first: yes."""
        return True

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event, or let it wait for others."""
        with self._storing:
            if event.dagster_event_type in _MAY_WAIT:
                self._waiting.append(event)
                if len(self._waiting) >= _MOST_WAITING_EVENTS:
                    self.store_waiting()
                elif len(self._waiting) == 1:
                    self._store_soon()
            elif event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_waiting()
                super().store_event(event)
            else:
                self.store_waiting(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store many events together, such as those that a run plans when it is created.

        Among these are the run's checks, which Dagster's class stores; it would store all singly.
        """
        with self._storing:
            self.store_waiting()
            for together, group in groupby(
                events, lambda event: event.dagster_event_type in _STORED_TOGETHER
            ):
                if together:
                    self._store(list(group))
                else:
                    super().store_event_batch(list(group))

    def store_waiting(self, *after: EventLogEntry) -> None:
        """Store the events that wait, and others after them; after a failure the next event does."""
        with self._storing:
            events = [*self._waiting, *after]
            if not events:
                return
            kinds = {event.dagster_event_type for event in events}
            if DagsterEventType.ASSET_MATERIALIZATION in kinds:
                failpoint("events.storing")
            self._store(events)
            self._waiting = []
            if DagsterEventType.ASSET_MATERIALIZATION in kinds:
                failpoint("events.stored")

    def dispose(self) -> None:
        """Store the events that wait, then close the connections."""
        self.store_waiting()
        super().dispose()

    def _store_soon(self) -> None:
        timer = threading.Timer(_WAITING_SECONDS, self._store_late)
        timer.daemon = True
        timer.start()

    def _store_late(self) -> None:
        try:
            self.store_waiting()
        except SQLAlchemyError as error:
            # The thread of the run tries again with its next event, and the run fails if it fails too.
            _log.warning("Events of runs wait, because Postgres fails: %s", error)

    def _store(self, events: Sequence[EventLogEntry]) -> None:
        with self.index_transaction() as connection:
            ids = connection.execute(
                SqlEventLogStorageTable.insert().returning(
                    SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
                ),
                [self._event_to_row(event) for event in events],
            ).scalars()
            of_assets = [
                (event, event_id)
                for event, event_id in zip(events, ids, strict=True)
                if event.dagster_event_type in ASSET_EVENTS and event.get_dagster_event().asset_key
            ]
            if of_assets:
                self._store_asset_event_tags(connection, *zip(*of_assets, strict=True))
            # The row of an asset holds its latest event alone. Rows are updated in one order, so that
            # two runs cannot deadlock.
            latest = {event.get_dagster_event().asset_key: (event, id_) for event, id_ in of_assets}
            for _, (event, event_id) in sorted(latest.items(), key=lambda item: str(item[0])):
                self._store_asset_event(connection, event, event_id)


def store_waiting_events(instance: DagsterInstance) -> None:
    """Store what the instance's event log has collected, if there is any."""
    storage = instance.event_log_storage
    if isinstance(storage, _EventLog):
        storage.store_waiting()


class _Runs(PostgresRunStorage):
    """Dagster's storage of runs, which need not ask for columns that each database has."""

    def has_run_stats_index_cols(self) -> bool:
        """Whether runs have the times of their start and end: yes."""
        return True


class _Schedules(PostgresScheduleStorage):
    """Dagster's storage of ticks, which need not ask for tables that each database has."""

    def has_secondary_index_table(self) -> bool:
        """Whether it is recorded which data were migrated: yes."""
        return True

    def has_built_index(self, migration_name: str) -> bool:
        """Whether ticks have the columns that they are looked for by: yes."""
        return True

    def _has_instigators_table(self, conn: Connection) -> bool:
        return True

    def _has_asset_daemon_asset_evaluations_table(self, conn: Connection) -> bool:
        return True


@lru_cache(maxsize=1)
def _connections(postgres_url: str) -> Engine:
    """The pool of connections to a database, which all instances of this process share.

    Dagster makes an instance for each tick of each sensor: with a pool of its own each would open three
    connections, and each connection is a new process of Postgres.
    """
    return ping_where_idle(
        create_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            use_native_hstore=False,  # Else each new connection asks for that type.
            pool_size=_CONNECTIONS_KEPT,
            max_overflow=_MAX_OVERFLOW,
            pool_use_lifo=True,  # As in `store.database`.
            pool_recycle=_POOL_RECYCLE_SECONDS,
        )
    )


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's Postgres storage, but connections stay open, and are shared within the process.

    Dagster's own class opens a connection for each statement, except in the web server, which gives
    each storage a pool (`optimize_for_webserver`). And for each instance it opens three connections to
    ask which tables there are. No pool is shared between processes: what forks the runs (`run_server`)
    has no instance.
    """

    _with_tables: ClassVar[set[str]] = set()  # Databases whose tables this process has seen.

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        create = should_autocreate_tables and not self._has_tables(postgres_url)
        super().__init__(postgres_url, create, inst_data)
        self._run_storage = _Runs(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = _EventLog(postgres_url, should_autocreate_tables=False)
        self._schedule_storage = _Schedules(postgres_url, should_autocreate_tables=False)
        storages: tuple[Any, ...] = (self.run_storage, self.event_log_storage, self.schedule_storage)
        for storage in storages:
            storage._engine = _connections(postgres_url)

    @classmethod
    def _has_tables(cls, postgres_url: str) -> bool:
        if postgres_url not in cls._with_tables:
            with create_pg_connection(_connections(postgres_url)) as connection:
                if not _FIRST_TABLES.issubset(inspect(connection).get_table_names()):
                    return False
            cls._with_tables.add(postgres_url)
        return True

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        """Build it from `dagster.yaml`."""
        # Of this package's code Dagster's daemon and web server load this first.
        log.set_up("json" if os.environ.get("INGEST_LOG_FORMAT") == "json" else "text")
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
        )


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's local run launcher, but runs of this code location are forked from a server that has
    it loaded, and run monitoring can ask whether a run's process is alive.

    With Dagster's own class a run whose process was killed together with its code server stays
    "started" for ever, and keeps its place in the queue. The code server cannot answer: after a reload
    it does not know the runs that the code server before it started.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._server = RunServer()

    def get_ready(self) -> None:
        """Start what runs are forked from, so that the first run need not wait until it has loaded."""
        self._server.get_ready()

    @cached_property
    def workers(self) -> WorkerRuns:
        """What is done with runs that go to workers."""
        return WorkerRuns(self._instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process; one of another code location is started as Dagster does it.

        Where a broker is set, runs over documents go to workers.
        """
        run = context.dagster_run
        if has_broker() and goes_to_workers(run):
            self.workers.launch(run)
            return
        if not _is_ours(run):
            super().launch_run(context)
            return
        try:
            process = self._server.start_run(self._instance, run.run_id)
        except OSError as error:
            message = f"The server of runs does not start: {error}."
            raise DagsterLaunchFailedError(message) from error  # type: ignore[no-untyped-call]
        self._run_ids.add(run.run_id)
        tag = f"{socket.gethostname()} {process.pid} {process.created}"
        self._instance.add_run_tags(run.run_id, {PROCESS_TAG: tag})
        threading.Thread(
            target=await_end,
            args=(self._instance, run.run_id, process),
            name=f"run {run.run_id}",
            daemon=True,
        ).start()

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process, which then reports that it was cancelled."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished and QUEUE_TAG in run.tags:
            return self.workers.terminate(run)
        if run is None or run.is_finished or PROCESS_TAG not in run.tags:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        process = _process_of(run)
        if process is None or not process.is_alive():
            self._instance.report_engine_event("Its process is not on this machine any more.", run)
            return False
        os.kill(process.pid, signal.SIGINT)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether `check_run_worker_health` may be called: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Look for the process of a started run, or for its lease if a worker has it."""
        if QUEUE_TAG in run.tags:
            return self.workers.health(run)
        if PROCESS_TAG in run.tags:
            process = _process_of(run)
            if process is not None and not process.is_alive():
                return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {process.pid} has ended")
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return self._health_of_dagsters_own(run)

    def _health_of_dagsters_own(self, run: DagsterRun) -> CheckRunHealthResult:
        if "socket" not in json.loads(run.tags.get(GRPC_INFO_TAG, "{}")):
            return CheckRunHealthResult(
                WorkerStatus.RUNNING, "on another machine, whose processes cannot be seen"
            )
        for entry in self._instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
            data = entry.dagster_event.event_specific_data if entry.dagster_event else None
            pid = getattr(data, "metadata", {}).get("pid")
            if pid is not None:
                if _process_is_alive(int(pid.value), entry.timestamp):
                    return CheckRunHealthResult(WorkerStatus.RUNNING)
                return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid.value} has ended")
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no process was recorded for it")

    def dispose(self) -> None:
        """End the server; the runs go on."""
        self._server.close()
        if "workers" in self.__dict__:
            self.workers.close()
        super().dispose()


class FollowingRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue of runs, in which those that a person asked for come first.

    It lets as many begin as INGEST_MAX_CONCURRENT_RUNS says, or as the workers that are there take: a
    run that waits in the broker could not give way to an urgent one.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Queue a run; before all batches where a person launched it, or its backfill, in Dagit."""
        run = context.dagster_run
        if not run.tags.keys() & {PRIORITY_TAG, *_NOT_BY_A_PERSON}:
            self._instance.add_run_tags(run.run_id, {PRIORITY_TAG: FIRST})
        queued = super().submit_run(context)
        run_queue.look_now.set()
        return queued

    def get_run_queue_config(self) -> RunQueueConfig:
        """The limits of now; the daemon asks before each look at the queue."""
        settings = current_settings()
        if settings.broker_url is None and _is_daemon():
            launcher = self._instance.run_launcher
            if isinstance(launcher, WatchedRunLauncher):
                launcher.get_ready()
        limit = settings.max_concurrent_runs
        if settings.broker_url is not None:
            try:
                there = slots(self._database).runs
            except SQLAlchemyError as error:
                _log.warning("No run begins: %s", database_error(error))
                there = 0
            limit = there if limit is None else min(limit, there)
        config = super().get_run_queue_config()
        return config if limit is None else config._replace(max_concurrent_runs=limit)

    @cached_property
    def _database(self) -> Database:
        return wiring.database(os.environ["INGEST_DATABASE_URL"], connections=1)


def _is_daemon() -> bool:
    """Whether this process is Dagster's daemon, which launches runs."""
    return getattr(sys.modules["__main__"], "__package__", None) == "dagster._daemon"


def await_end(instance: DagsterInstance, run_id: str, process: RunProcess) -> None:
    """Wait until a run's process has ended, and say of a run that has not ended that it failed."""
    while process.is_alive():
        process.wait(_LOOK_SECONDS)
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        message = (
            f"The run's process {process.pid} has ended before the run had: it was killed, or "
            "could not begin."
        )
        instance.report_engine_event(message, run)
        instance.report_run_failed(run)
    run_queue.look_now.set()


def _is_ours(run: DagsterRun) -> bool:
    """Tell whether the run is of the code that the server of runs loads."""
    origin = run.job_code_origin.repository_origin if run.job_code_origin else None
    return (
        origin is not None
        and origin.executable_path == sys.executable
        and getattr(origin.code_pointer, "module", None) == CODE_LOCATION
    )


def _process_of(run: DagsterRun) -> RunProcess | None:
    """The process of a run that has the tag, if it is on this machine."""
    host, pid, created = run.tags[PROCESS_TAG].rsplit(" ", 2)
    return RunProcess(int(pid), float(created)) if host == socket.gethostname() else None


def current_instance() -> DagsterInstance:
    """The instance that DAGSTER_HOME names, for a command; close it, or use it in a `with` block."""
    return DagsterInstance.get()


def runs_not_started(instance: DagsterInstance) -> int:
    """How many runs failed in the last hour before they had begun: their pages in Dagit say why."""
    records = instance.get_run_records(
        RunsFilter(
            statuses=[DagsterRunStatus.FAILURE],
            created_after=datetime.now(timezone.utc) - _NOT_STARTED_SINCE,
        ),
        limit=_MOST_RUNS,
    )
    return sum(record.start_time is None for record in records)


def _process_is_alive(pid: int, started_before: float) -> bool:
    """Tell whether the process runs that had this id at that time, in seconds since the epoch."""
    try:
        process = psutil.Process(pid)
        same = bool(process.create_time() <= started_before + _CLOCK_TOLERANCE_SECONDS)
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
