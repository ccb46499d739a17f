"""The Dagster instance of `dagster.yaml`: pooled connections, and a launcher that sees the dead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster._core.launcher import WorkerStatus
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy import text

from ingest_assets.embedded.stack import PROJECT
from ingest_assets.instance import WatchedRunLauncher


@pytest.fixture
def instance(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str
) -> Iterator[DagsterInstance]:
    """The instance that the shipped `dagster.yaml` makes."""
    shutil.copyfile(PROJECT / "dagster.yaml", tmp_path / "dagster.yaml")
    monkeypatch.setenv(
        "DAGSTER_POSTGRES_URL", database_url.replace("postgresql:", "postgresql+psycopg2:")
    )
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def test_statements_share_one_connection_without_a_time_limit(instance: DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, PostgresEventLogStorage)
    statement = text("SELECT pg_backend_pid(), current_setting('statement_timeout')")
    seen = set()
    for _ in range(3):
        with storage._connect() as connection:
            seen.add(tuple(connection.execute(statement).one()))
    assert len({backend for backend, _ in seen}) == 1
    assert {timeout for _, timeout in seen} == {"0"}


def started_run(instance: DagsterInstance, pid: int) -> DagsterRun:
    from dagster._core.events import EngineEventData
    from dagster._core.utils import make_new_run_id

    run = DagsterRun(
        job_name="job", run_id=make_new_run_id(), tags={".dagster/grpc_info": '{"socket": "/tmp/x"}'}
    )
    instance.add_run(run)
    instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))
    return run


def test_a_started_run_is_healthy_as_long_as_its_process_lives(instance: DagsterInstance) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher.supports_check_run_worker_health
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run = started_run(instance, worker.pid)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    worker.kill()
    time.sleep(0.2)  # A zombie now: nobody has waited for it.
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED
    worker.wait()
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED


def test_another_process_with_the_old_number_is_not_the_run(
    monkeypatch: pytest.MonkeyPatch, instance: DagsterInstance
) -> None:
    run = started_run(instance, os.getpid())
    launcher = instance.run_launcher
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    monkeypatch.setattr("psutil.Process.create_time", lambda _: time.time() + 60)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED


def test_a_run_on_another_machine_is_left_alone(instance: DagsterInstance) -> None:
    run = DagsterRun(job_name="job", tags={".dagster/grpc_info": '{"host": "far", "port": 1}'})
    assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
