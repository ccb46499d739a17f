"""The Dagster instance of `dagster.yaml`: pooled connections, and a launcher that sees the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetSpec,
    BackfillPolicy,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    Definitions,
    DynamicPartitionsDefinition,
    EventLogEntry,
    Failure,
    RunsFilter,
    define_asset_job,
    multi_asset,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.launcher import WorkerStatus
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.run_coordinator import SubmitRunContext
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy import event, text

from ingest_assets.defs.instance import WatchedRunLauncher, runs_not_started, store_waiting_events
from ingest_assets.defs.partitions import range_tags
from ingest_assets.embedded.stack import PROJECT
from ingest_assets.operations import status
from ingest_assets.store.database import Database
from ingest_assets.store.leases import see_worker, worker_leaves
from ingest_assets_tests.support.embedded import wait_until
from ingest_assets_tests.support.pipeline import Pipeline

# Of a run that waits in the queue.
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__"), "ingest_documents"
)


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


def test_an_event_is_stored_over_one_connection(instance: DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, PostgresEventLogStorage)
    in_use: list[int] = [0]

    def taken(*_: object) -> None:
        in_use.append(in_use[-1] + 1)

    def returned(*_: object) -> None:
        in_use.append(in_use[-1] - 1)

    event.listen(storage._engine, "checkout", taken)
    event.listen(storage._engine, "checkin", returned)
    try:
        instance.report_runless_asset_event(AssetMaterialization("any", partition="a"))
        store_waiting_events(instance)
    finally:
        event.remove(storage._engine, "checkout", taken)
        event.remove(storage._engine, "checkin", returned)
    assert max(in_use) == 1
    assert instance.get_latest_materialization_event(AssetKey("any")) is not None


def test_events_are_stored_as_dagster_stores_them(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same run through Dagster's own event log and through ours leaves the same."""

    def left(instance: DagsterInstance) -> object:
        keys = DynamicPartitionsDefinition(name=f"keys_{type(instance.event_log_storage).__name__}")
        instance.add_dynamic_partitions(str(keys.name), ["a", "b", "c"])

        specs = [AssetSpec(f"{name}_{keys.name}", skippable=True, partitions_def=keys) for name in "xy"]

        @multi_asset(specs=specs, backfill_policy=BackfillPolicy.single_run())
        def both() -> Iterator[AssetMaterialization]:
            for partition in "ab":
                for key in (spec.key for spec in specs):
                    yield AssetMaterialization(
                        key, partition=partition, tags={"dagster/data_version": partition}
                    )
            raise Failure("c is not made", allow_retries=False)

        result = (
            define_asset_job("job", [both])
            .resolve(asset_graph=Definitions([both]).resolve_asset_graph())
            .execute_in_process(instance=instance, raise_on_error=False, tags=range_tags("a", "c"))
        )
        found = []
        for spec in specs:
            states = instance.get_status_by_partition(spec.key, ["a", "b", "c"], keys) or {}
            shown = sorted((key, str(state)) for key, state in states.items())
            latest = instance.get_latest_materialization_event(spec.key)
            (record,) = instance.get_asset_records([spec.key])
            assert latest is not None
            assert record.asset_entry.last_run_id == result.run_id
            assert latest.run_id == result.run_id
            tagged = instance.event_log_storage.get_event_tags_for_asset(
                spec.key, filter_tags={"dagster/data_version": "b"}
            )
            assert latest.asset_materialization is not None
            found.append((shown, latest.asset_materialization.partition, len(tagged)))
        kinds = [entry.dagster_event_type for entry in instance.all_logs(result.run_id)]
        return found, sorted(str(kind) for kind in kinds)

    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "dagster.yaml").write_text(
        "storage: {postgres: {postgres_url: {env: DAGSTER_POSTGRES_URL}}}\n"
        "telemetry: {enabled: false}\n"
    )
    with DagsterInstance.from_config(str(plain)) as theirs:
        assert type(theirs.event_log_storage) is PostgresEventLogStorage
        assert type(instance.event_log_storage) is not PostgresEventLogStorage
        assert left(instance) == left(theirs)


def started_run(instance: DagsterInstance, pid: int) -> DagsterRun:
    from dagster._core.events import EngineEventData
    from dagster._core.utils import make_new_run_id

    run = DagsterRun(
        job_name="job", run_id=make_new_run_id(), tags={".dagster/grpc_info": '{"socket": "/tmp/x"}'}
    )
    instance.add_run(run)
    instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))
    return run


def test_runs_that_did_not_start_are_counted(instance: DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, PostgresEventLogStorage)
    url = storage.postgres_url

    def count() -> int:
        with closing(Database(url)) as dagster:
            found = status.runs_not_started(dagster)
        assert found == runs_not_started(instance)
        return found

    before = count()
    failed, begun = started_run(instance, os.getpid()), started_run(instance, os.getpid())
    instance.report_run_failed(failed, "It did not start in time.")
    instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_START.value, "job"), begun.run_id)
    instance.report_run_failed(begun, "It failed.")
    assert count() - before == 1


def test_what_a_person_asks_for_is_queued_before_all_batches(
    deployed: DagsterInstance, pipeline: Pipeline
) -> None:
    job = pipeline.defs.resolve_job_def("ingest_documents")
    by_batch = {"dagster/sensor_name": "input_directory", "dagster/priority": "2"}
    asked: Mapping[str, Mapping[str, str]] = {
        "batch": by_batch,
        "verification": {"dagster/schedule_name": "verify_hourly"},
        "retry": {"ingest/retry": "retry_failed", "dagster/backfill": "a", "dagster/priority": "0"},
        "backfill": {"dagster/backfill": "b"},
        "launchpad": {},
        "chosen": {"dagster/backfill": "c", "dagster/priority": "-5"},
    }
    name = {}
    for what, tags in asked.items():
        run = deployed.create_run_for_job(
            job, tags=tags, status=DagsterRunStatus.NOT_STARTED, remote_job_origin=ORIGIN
        )
        deployed.run_coordinator.submit_run(SubmitRunContext(run, None))  # type: ignore[arg-type]
        name[run.run_id] = what
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    queued = deployed.get_runs(RunsFilter(statuses=[DagsterRunStatus.QUEUED]), ascending=True)
    order = [name[run.run_id] for run in daemon._priority_sort(queued)]
    assert order == ["backfill", "launchpad", "batch", "verification", "retry", "chosen"]


def test_as_many_runs_begin_as_the_workers_take_that_are_there(
    deployed: DagsterInstance, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait in Dagster's queue, where an urgent one can pass them."""
    job = pipeline.defs.resolve_job_def("ingest_documents")
    monkeypatch.setenv("INGEST_BROKER_URL", "redis://127.0.0.1:1/0")
    for _ in range(5):
        deployed.create_run_for_job(job, status=DagsterRunStatus.QUEUED, remote_job_origin=ORIGIN)
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def beginning() -> int:
        return len(daemon._get_runs_to_dequeue(deployed, deployed.get_concurrency_config(), None))

    assert beginning() == 0
    see_worker(pipeline.database, "a", "host-a", ["input", "dagster"], 1)
    assert beginning() == 1
    see_worker(pipeline.database, "b", "host-b", ["input", "dagster"], 2)
    assert beginning() == 3
    monkeypatch.setenv("INGEST_MAX_CONCURRENT_RUNS", "2")
    assert beginning() == 2
    worker_leaves(pipeline.database, "b")
    assert beginning() == 1


def test_a_started_run_is_healthy_as_long_as_its_process_lives(instance: DagsterInstance) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher.supports_check_run_worker_health
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run = started_run(instance, worker.pid)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    worker.kill()
    # Nobody has waited for it.
    assert wait_until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_ZOMBIE)
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


def test_a_dagster_yaml_of_the_release_before_goes_on_working_and_says_what_to_change(
    tmp_path: Path, empty_database_url: str
) -> None:
    shipped = (PROJECT / "dagster.yaml").read_text()
    former = shipped.replace(
        "ingest_assets.defs.instance\n  class: FollowingRunCoordinator",
        "dagster.core.run_coordinator\n  class: QueuedRunCoordinator",
    ).replace("ingest_assets.defs.instance", "ingest_assets.instance")
    assert former.count("module: ingest_assets.instance") == 2
    (tmp_path / "dagster.yaml").write_text(former)
    url = empty_database_url.replace("postgresql:", "postgresql+psycopg2:")
    shown = subprocess.run(
        [sys.executable, "-m", "dagster", "instance", "info"],
        env={**os.environ, "DAGSTER_HOME": str(tmp_path), "DAGSTER_POSTGRES_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "class: WatchedRunLauncher" in shown.stdout
    assert "event_log_storage: _EventLog" in shown.stdout
    assert "write ingest_assets.defs.instance in its place" in shown.stderr


def test_what_a_run_plans_is_stored_together_with_checks_among_it(instance: DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, PostgresEventLogStorage)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    check = DagsterEvent(
        DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
        "job",
        event_specific_data=AssetCheckEvaluationPlanned(
            asset_key=AssetKey("planned"), check_name="check"
        ),
    )
    planned = [
        DagsterEvent.build_asset_materialization_planned_event(
            "job", "step", AssetMaterializationPlannedData(AssetKey("planned"), partition=str(number))
        )
        for number in range(50)
    ]
    run = started_run(instance, os.getpid())
    entries = [
        EventLogEntry(None, 10, "", run.run_id, time.time(), "step", "job", one)  # type: ignore[no-untyped-call]
        for one in (*planned[:25], check, *planned[25:])
    ]
    event.listen(storage._engine, "before_cursor_execute", note)
    try:
        storage.store_event_batch(entries)
    finally:
        event.remove(storage._engine, "before_cursor_execute", note)
    assert len(statements) < len(entries)
    kinds = Counter(entry.dagster_event_type for entry in instance.all_logs(run.run_id))
    assert kinds[DagsterEventType.ASSET_MATERIALIZATION_PLANNED] == 50
    assert kinds[DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED] == 1
