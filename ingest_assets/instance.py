"""How Dagster's own storage and run launcher behave in this deployment; named in `dagster.yaml`.

Belongs here: small subclasses of Dagster's instance components. Does not belong here: documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import psutil
from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

# Postgres's 0 is "no limit": a long statement is legitimate in the daemon and in runs.
_NO_STATEMENT_TIMEOUT_MS = 0
# Shorter than what firewalls and poolers usually allow an idle connection.
_POOL_RECYCLE_SECONDS = 600
# Beyond the one connection that stays open, under load, in each of the three storages.
_MAX_OVERFLOW = 20
# How far the clocks of the process table and of the event log may be apart.
_CLOCK_TOLERANCE_SECONDS = 5


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's Postgres storage, but connections stay open.

    The original opens a connection for each statement, except in the web server, where
    `optimize_for_webserver` gives each storage a pool. Here every process calls it. The pools are
    made anew in each process: Dagster spawns its workers and does not fork them.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        for storage in (self.run_storage, self.event_log_storage, self.schedule_storage):
            storage.optimize_for_webserver(
                statement_timeout=_NO_STATEMENT_TIMEOUT_MS,
                pool_recycle=_POOL_RECYCLE_SECONDS,
                max_overflow=_MAX_OVERFLOW,
            )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        """Build it from `dagster.yaml`."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
        )


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's local run launcher, but run monitoring can ask whether a run's process is alive.

    Without it a run whose process was killed together with its code server stays "started" and
    keeps its place in the queue for ever. The code server itself cannot be asked: after a reload it
    knows nothing of the runs that the previous one still executes.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether `check_run_worker_health` may be called: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Look for the process of a started run, if it was started on this machine."""
        if "socket" not in json.loads(run.tags.get(GRPC_INFO_TAG, "{}")):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "on a machine that we cannot see")
        for entry in self._instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
            data = entry.dagster_event.event_specific_data if entry.dagster_event else None
            pid = getattr(data, "metadata", {}).get("pid")
            if pid is not None:
                if _process_is_alive(int(pid.value), entry.timestamp):
                    return CheckRunHealthResult(WorkerStatus.RUNNING)
                return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {pid.value} has ended")
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no process was recorded for it")


def _process_is_alive(pid: int, started_before: float) -> bool:
    """Tell whether the process runs that had this id at that time, in seconds since the epoch."""
    try:
        process = psutil.Process(pid)
        same = bool(process.create_time() <= started_before + _CLOCK_TOLERANCE_SECONDS)
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
