"""Runs are forked from a server that has the code loaded; the launcher sees and ends them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher import WorkerStatus

from ingest_assets.defs import instance as instance_module
from ingest_assets.defs import run_server
from ingest_assets.defs.instance import PROCESS_TAG, WatchedRunLauncher
from ingest_assets.store.locks import Locks
from ingest_assets_tests.defs.conftest import deployment, launch_of_a_document
from ingest_assets_tests.fixtures import NewPipeline
from ingest_assets_tests.support.embedded import wait_until
from ingest_assets_tests.support.pipeline import Pipeline, status_of
from ingest_assets_tests.support.servers import Services, new_database


# All tests have one server, which takes as long to start as they all to run.
@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployment")


@pytest.fixture(scope="module")
def pipeline(
    new_pipeline: NewPipeline, patch: pytest.MonkeyPatch, directory: Path
) -> Iterator[Pipeline]:
    with new_pipeline(directory, patch) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def instance(
    patch: pytest.MonkeyPatch,
    directory: Path,
    pipeline: Pipeline,
    services: Services,
    migrated_with_dagster_url: str,
) -> Iterator[DagsterInstance]:
    with (
        new_database(services, migrated_with_dagster_url) as url,
        deployment(pipeline, url, directory, patch) as instance,
    ):
        yield instance


@pytest.fixture(scope="module")
def launch(instance: DagsterInstance, pipeline: Pipeline) -> Callable[[], DagsterRun]:
    return launch_of_a_document(instance, pipeline)


def test_a_run_is_forked_and_does_its_work(
    instance: DagsterInstance, launch: Callable[[], DagsterRun], pipeline: Pipeline
) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    run = launch()
    assert wait_until(lambda: status_of(instance, run).value in ("SUCCESS", "FAILURE"))
    assert status_of(instance, run) == DagsterRunStatus.SUCCESS
    assert pipeline.states() == {"note.txt": "completed"}
    # What is forked from has nothing that does not bear a fork.
    assert launcher._server._process is not None
    server = psutil.Process(launcher._server._process.pid)
    assert server.num_threads() == 1
    assert [one for one in server.net_connections() if one.family.name.startswith("AF_INET")] == []


@pytest.fixture
def waiting(
    instance: DagsterInstance, launch: Callable[[], DagsterRun], pipeline: Pipeline
) -> Iterator[tuple[DagsterRun, Callable[[], None]]]:
    """A run that is under way, and waits for the document's lock; what gives the lock back."""
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    with ExitStack() as stack:
        locks = Locks(pipeline.database)
        stack.callback(locks.close)
        stack.enter_context(locks.hold(key))
        run = launch()
        assert wait_until(lambda: status_of(instance, run) == DagsterRunStatus.STARTED)
        yield run, stack.close


def test_a_run_that_is_terminated_says_that_it_was_cancelled(
    instance: DagsterInstance, waiting: tuple[DagsterRun, Callable[[], None]]
) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    run, let_go = waiting
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    assert launcher.terminate(run.run_id)
    let_go()
    assert wait_until(lambda: status_of(instance, run) == DagsterRunStatus.CANCELED)


def test_a_run_whose_process_is_killed_has_failed_at_once(
    instance: DagsterInstance, waiting: tuple[DagsterRun, Callable[[], None]]
) -> None:
    run, _ = waiting
    os.kill(int(run.tags[PROCESS_TAG].split()[1]), signal.SIGKILL)
    assert wait_until(lambda: status_of(instance, run) == DagsterRunStatus.FAILURE)
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED


def test_the_server_is_killed_and_the_run_goes_on(
    instance: DagsterInstance,
    waiting: tuple[DagsterRun, Callable[[], None]],
    launch: Callable[[], DagsterRun],
) -> None:
    launcher, (first, _) = instance.run_launcher, waiting
    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher._server._process is not None
    launcher._server._process.kill()
    another = launch()
    assert wait_until(lambda: status_of(instance, another) == DagsterRunStatus.STARTED)
    assert launcher.check_run_worker_health(first).status == WorkerStatus.RUNNING
    for run in (first, another):
        os.kill(int(run.tags[PROCESS_TAG].split()[1]), signal.SIGKILL)


def test_code_that_has_changed_gets_a_new_server(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = run_server.RunServer()
    try:
        pids = []
        for state in ("as it was", "as it was", "changed"):
            monkeypatch.setattr(run_server, "_code_on_disk", lambda state=state: state)
            server.start_run(instance, "no such run")
            assert server._process is not None
            pids.append(server._process.pid)
        assert pids[0] == pids[1] != pids[2]
    finally:
        server.close()


def test_a_run_of_another_code_location_is_started_as_dagster_does_it() -> None:
    assert not instance_module._is_ours(DagsterRun(job_name="job"))
