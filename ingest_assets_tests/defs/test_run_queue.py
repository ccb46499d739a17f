"""Dagster's daemon looks at the queue of runs when there is a reason to, not a second later."""

from __future__ import annotations

import subprocess
import sys
import threading

import psutil
import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.controller import create_daemon_of_type
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from ingest_assets.defs.instance import await_end
from ingest_assets.defs.run_queue import look_now
from ingest_assets.defs.run_server import RunProcess
from ingest_assets_tests.support.embedded import wait_until

# A run of a code location that there is not: that it cannot begin is found when the queue is looked at.
NOWHERE = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("nowhere"), "__repository__"), "job"
)
# Longer than the test waits, so that it does not see a look that came by the clock.
LONG_SECONDS = 3_600


@pytest.fixture(autouse=True)
def nothing_happened_yet() -> None:
    look_now.clear()


def test_a_run_that_was_queued_begins_at_once(deployed: DagsterInstance) -> None:
    daemon = create_daemon_of_type(QueuedRunCoordinatorDaemon.daemon_type(), deployed)
    assert isinstance(daemon, QueuedRunCoordinatorDaemon)
    stop = threading.Event()

    def serve() -> None:
        with WorkspaceProcessContext(deployed, EmptyWorkspaceTarget()) as context:
            for _ in type(daemon)(interval_seconds=LONG_SECONDS).core_loop(context, stop):
                if stop.is_set():
                    return

    def has_begun() -> bool:
        run = DagsterRun(
            "job", make_new_run_id(), status=DagsterRunStatus.NOT_STARTED, remote_job_origin=NOWHERE
        )
        deployed.add_run(run)
        deployed.run_coordinator.submit_run(SubmitRunContext(run, None))  # type: ignore[arg-type]
        return wait_until(lambda: _status(deployed, run) is not DagsterRunStatus.QUEUED)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        assert has_begun()
        assert has_begun()
    finally:
        stop.set()
        look_now.set()
        thread.join()


def test_the_end_of_a_run_is_noticed_at_once(deployed: DagsterInstance) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    run = DagsterRun("job", make_new_run_id(), status=DagsterRunStatus.STARTED)
    deployed.add_run(run)
    of_run = RunProcess(process.pid, psutil.Process(process.pid).create_time())
    thread = threading.Thread(target=await_end, args=(deployed, run.run_id, of_run), daemon=True)
    thread.start()
    assert not look_now.wait(0.2)
    process.kill()
    # Of its own accord the thread looks after five seconds.
    assert look_now.wait(4)
    process.wait()
    assert _status(deployed, run) is DagsterRunStatus.FAILURE


def _status(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status
