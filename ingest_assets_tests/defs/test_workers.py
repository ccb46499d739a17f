"""Runs go to workers: these are processes, through a real broker; each test has a worker of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher import WorkerStatus
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import text

from ingest_assets.defs import worker as worker_module
from ingest_assets.defs.instance import WatchedRunLauncher
from ingest_assets.defs.run_server import RunProcess
from ingest_assets.defs.worker_runs import QUEUE_TAG, WORKER_TAG, celery_launcher
from ingest_assets.embedded.credentials import Credentials
from ingest_assets.embedded.valkey import EmbeddedBroker
from ingest_assets.errors import ConfigurationError
from ingest_assets.store import leases
from ingest_assets.store.leases import LEASE_SECONDS, RENEW_SECONDS
from ingest_assets.store.locks import Locks
from ingest_assets_tests.support.embedded import CLI, wait_until
from ingest_assets_tests.support.faulty_s3 import faulty_s3
from ingest_assets_tests.support.pipeline import Pipeline, status_of
from ingest_assets_tests.support.servers import Services

pytestmark = pytest.mark.long
START_SECONDS = 120


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("broker")
    (directory / "logs").mkdir()
    credentials = Credentials()
    server = EmbeddedBroker(directory, credentials)
    server.start()
    assert credentials.broker is not None
    yield credentials.broker.url
    server.stop()


@pytest.fixture
def instance(
    broker: str, deployed: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    monkeypatch.setenv("INGEST_BROKER_URL", broker)
    yield deployed
    Redis.from_url(broker).flushall()


@pytest.fixture
def launcher(instance: DagsterInstance) -> WatchedRunLauncher:
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    return instance.run_launcher


class Worker:
    """One `ingest-assets worker`, as on a machine of its own."""

    def __init__(self, directory: Path, *words: str) -> None:
        self._output = directory / "worker.log"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*CLI, "worker", *words],
                cwd=directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def signal_machine(self, number: signal.Signals) -> None:
        """Signal the worker and all that it started."""
        os.killpg(self.process.pid, number)

    def wait_until_ready(self) -> str:
        """The line with which it says what it is connected to."""
        wait_until(lambda: "at a time" in self.output or self.process.poll() is not None, START_SECONDS)
        found = re.search(r"^Worker .* at a time.*$", self.output, re.MULTILINE)
        assert found, self.output
        return found.group()


@pytest.fixture
def new_worker(instance: DagsterInstance, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    with ExitStack() as stack:

        def start(*words: str) -> Worker:
            worker = Worker(tmp_path, *words)
            stack.callback(worker.process.wait)
            stack.callback(kill, worker)
            return worker

        def kill(worker: Worker) -> None:
            if worker.process.poll() is None:
                worker.signal_machine(signal.SIGCONT)
                worker.signal_machine(signal.SIGKILL)

        yield start


@contextmanager
def held(pipeline: Pipeline) -> Iterator[None]:
    """A block in which runs wait for the lock of the one document."""
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    locks = Locks(pipeline.database)
    try:
        with locks.hold(key):
            yield
    finally:
        locks.close()


def run_out(pipeline: Pipeline) -> None:
    """Let the leases run out now; a Postgres that has just started gives each as long as a lease."""
    assert wait_until(
        lambda: pipeline.rows(
            f"SELECT now() - pg_postmaster_start_time() > interval '{LEASE_SECONDS} s' AS is_long_ago"
        )[0][0],
        START_SECONDS,
        pause=1,
    )
    with pipeline.database.engine.begin() as connection:
        connection.execute(text("UPDATE ingest.run_leases SET expires_at = now() - interval '1 day'"))


def test_a_worker_executes_runs_and_ends_gently(
    instance: DagsterInstance,
    launcher: WatchedRunLauncher,
    launch: Callable[[], DagsterRun],
    new_worker: Callable[..., Worker],
    pipeline: Pipeline,
) -> None:
    worker = new_worker("--concurrency", "2", "--grace", "1")
    said = worker.wait_until_ready()
    assert "takes 2 runs at a time from input and dagster; broker redis://127.0.0.1:" in said
    assert pipeline.objects.bucket in said
    assert not re.search(r"://[^ /]*:[^ /]*@", said)  # no passwords
    assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 2  # type: ignore[union-attr]
    with held(pipeline):
        waiting = launch()
        assert wait_until(lambda: status_of(instance, waiting) == DagsterRunStatus.STARTED)
        assert launcher.check_run_worker_health(waiting).status == WorkerStatus.RUNNING
        assert launcher.terminate(waiting.run_id)
        time.sleep(RENEW_SECONDS + 1)  # The run sees it when it renews its lease.
    assert wait_until(lambda: status_of(instance, waiting) == DagsterRunStatus.CANCELED)
    # A run that was cancelled before a worker had it, and one whose message comes twice.
    run = launch()
    launcher.workers._send(run.run_id)
    assert wait_until(lambda: status_of(instance, run).value in ("SUCCESS", "FAILURE"))
    assert status_of(instance, run) == DagsterRunStatus.SUCCESS, worker.output
    assert pipeline.states() == {"note.txt": "completed"}
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert (found.tags[QUEUE_TAG], str(worker.process.pid) in found.tags[WORKER_TAG]) == ("input", True)
    # What does not end in its grace is interrupted, and says so.
    with held(pipeline):
        waiting = launch()
        assert wait_until(lambda: status_of(instance, waiting) == DagsterRunStatus.STARTED)
        worker.process.terminate()
        assert wait_until(lambda: "have 1 s to end" in worker.output)
        time.sleep(2)
    assert wait_until(lambda: status_of(instance, waiting) == DagsterRunStatus.FAILURE)
    assert worker.process.wait(240) == 0, worker.output
    assert pipeline.rows("SELECT * FROM ingest.workers") == []
    assert "Traceback" not in worker.output


def test_another_takes_up_what_a_lost_machine_had_in_hand(
    instance: DagsterInstance,
    launcher: WatchedRunLauncher,
    launch: Callable[[], DagsterRun],
    new_worker: Callable[..., Worker],
    pipeline: Pipeline,
) -> None:
    paused = new_worker()
    paused.wait_until_ready()
    with held(pipeline):
        first = launch()
        assert wait_until(lambda: status_of(instance, first) == DagsterRunStatus.STARTED)
        paused.signal_machine(signal.SIGSTOP)  # It is not dead: it comes back later.
    other = new_worker()
    other.wait_until_ready()
    run_out(pipeline)
    health = launcher.check_run_worker_health(first)
    assert health.status == WorkerStatus.FAILED
    assert "was not heard of for 30 s" in (health.msg or "")
    instance.report_run_failed(first, health.msg)
    second = launch()
    assert wait_until(lambda: status_of(instance, second).value in ("SUCCESS", "FAILURE"))
    assert status_of(instance, second) == DagsterRunStatus.SUCCESS, other.output
    written = pipeline.rows("SELECT run_id, count(*) FROM ingest.stage_attempts GROUP BY 1")
    assert dict(map(tuple, written)) == {second.run_id: 5}
    paused.signal_machine(signal.SIGCONT)
    assert wait_until(lambda: "has lost its lease" in paused.output), paused.output
    assert dict(
        map(tuple, pipeline.rows("SELECT run_id, count(*) FROM ingest.stage_attempts GROUP BY 1"))
    ) == {second.run_id: 5}
    # The worker itself goes on.
    assert paused.process.poll() is None


def test_a_broker_that_is_emptied_or_away_loses_nothing(
    instance: DagsterInstance,
    launcher: WatchedRunLauncher,
    launch: Callable[[], DagsterRun],
    new_worker: Callable[..., Worker],
    pipeline: Pipeline,
    broker: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ingest_assets.defs.worker_runs._SEND_AGAIN_SECONDS", -1)
    run = launch()
    cancelled = launch()
    for one in (run, cancelled):
        event = DagsterEvent(DagsterEventType.PIPELINE_STARTING.value, one.job_name)
        instance.report_dagster_event(event, one.run_id)
    assert launcher.terminate(cancelled.run_id)
    assert status_of(instance, cancelled) == DagsterRunStatus.CANCELED
    Redis.from_url(broker).flushall()
    assert launcher.workers.look_after() == []  # There is no worker that could have taken it.
    worker = new_worker()
    worker.wait_until_ready()
    assert launcher.workers.look_after() == [f"Run {run.run_id} was sent again."]
    assert wait_until(lambda: status_of(instance, run).value in ("SUCCESS", "FAILURE"))
    assert status_of(instance, run) == DagsterRunStatus.SUCCESS
    # A broker that does not answer is no fault of the run.
    with monkeypatch.context() as patch:
        patch.setenv("INGEST_BROKER_URL", "redis://127.0.0.1:1/0")
        launcher.workers.__dict__.pop("_celery").celery.close()
        away = launch()
    assert status_of(instance, away) != DagsterRunStatus.FAILURE
    events = [entry.message for entry in instance.all_logs(away.run_id)]
    assert any("The broker does not answer" in event for event in events)
    a_worker_of_another_version_ends(worker, new_worker, pipeline)


def a_worker_of_another_version_ends(
    worker: Worker, new_worker: Callable[..., Worker], pipeline: Pipeline
) -> None:
    """And the next one does not begin, so that runs on it harm nothing."""
    with pipeline.database.engine.begin() as connection:
        connection.execute(text("UPDATE ingest.alembic_version SET version_num = '9999'"))
    assert worker.process.wait(240) == 1, worker.output
    assert "and this program knows" in worker.output
    again = new_worker()
    assert again.process.wait(240) == 1
    assert "Update this machine" in again.output


def test_a_worker_that_S3_does_not_answer_gives_its_runs_up(  # noqa: N802
    instance: DagsterInstance,
    pipeline: Pipeline,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Others take them up; as soon as S3 answers, whatever it says, the worker is there again."""
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(worker_module, "_WITHOUT_S3_SECONDS", 0.5)
    monkeypatch.setattr(worker_module, "_CUT_OFF_SECONDS", 0.5)

    def there() -> int:
        return leases.slots(pipeline.database).runs

    with faulty_s3(services.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        settings = pipeline.settings.model_copy(update={"broker_url": SecretStr("redis://nowhere")})
        worker = worker_module.Worker(settings, 1, [], 0, print)
        # As a run that waits for S3 it does not end when it is interrupted.
        command = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", command]) as process:
            worker._running["a-run"] = RunProcess(
                process.pid, psutil.Process(process.pid).create_time()
            )
            seen = threading.Thread(target=worker._stay_seen, args=(pipeline.database,))
            seen.start()
            try:
                proxy.choose = lambda _method, _path: "slow down"
                assert wait_until(lambda: there() == 1, 10)
                time.sleep(1)
                assert process.poll() is None
                proxy.end()
                assert wait_until(lambda: process.poll() is not None, 30)
                assert there() == 0
                assert "other workers take up: a-run" in caplog.text
                proxy.begin()
                assert wait_until(lambda: there() == 1, 30)
            finally:
                process.kill()
                worker._stop.set()
                seen.join()


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, url, extra in (
        ("redis", "redis://127.0.0.1:1/0", "celery"),
        ("pycurl", "sqs://", "sqs"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ConfigurationError, match=f"{package} is not installed") as raised:
            celery_launcher(url)
        assert f"pip install -e '.[{extra}]'" in raised.value.remedy


def test_a_broker_that_was_never_tried_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="begins with 'amqp'") as raised:
        celery_launcher("amqp://guest:secret@127.0.0.1:5672")
    assert "sqs://" in raised.value.remedy
    assert "secret" not in str(raised.value)


def test_queues_at_amazon_are_named_after_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two deployments in one account do not take each other's runs."""
    monkeypatch.setitem(sys.modules, "pycurl", ModuleType("pycurl"))
    monkeypatch.setenv("INGEST_S3_BUCKET", "our-bucket")
    options = celery_launcher("sqs://").celery.conf.broker_transport_options
    assert options["queue_name_prefix"] == "ingest-our-bucket-"
    assert options["visibility_timeout"] <= 12 * 3600  # The most that SQS takes.
