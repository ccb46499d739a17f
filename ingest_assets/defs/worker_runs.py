"""Runs over documents that go to workers on other machines, through Celery.

Belongs here: which runs do, which queue they wait in, sending them, and telling Dagster which of them
are lost. Does not belong here: the worker (`defs.worker`), and leases (`store.leases`), which say what
is alive: Celery only delivers, and each message may be lost or come twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets import wiring
from ingest_assets.defs._internals import (
    CheckRunHealthResult,
    LaunchRunContext,
    WorkerStatus,
    packed_run,
)
from ingest_assets.errors import ConfigurationError
from ingest_assets.log import get_logger
from ingest_assets.settings import current_settings
from ingest_assets.stage_names import STAGES
from ingest_assets.store import leases
from ingest_assets.store.database import Database, database_error

if TYPE_CHECKING:
    from celery import Celery
    from dagster_celery.launcher import CeleryRunLauncher

_log = get_logger(__name__)

# The queue of a run; dagster-celery's tag, which a person may give to a run too. `input` is for runs
# that read the input directory, `dagster` for all others: these need Postgres and S3 alone.
QUEUE_TAG = "dagster-celery/queue"
WORKER_TAG = "ingest/worker"
INPUT_QUEUE, OTHER_QUEUE = "input", "dagster"
# The stages that read the input directory.
FROM_INPUT = STAGES[:2]
# A run that no worker has begun after this time, although one is free, is sent again.
_SEND_AGAIN_SECONDS = 15

# Messages are acknowledged when the run has ended, so that a worker holds no other messages than those
# of its runs; leases see to it that one which comes again after the visibility timeout begins nothing.
CELERY_CONFIGURATION: Mapping[str, Any] = {
    "task_acks_late": True,
    "task_ignore_result": True,
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.2},
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 5,
    # The broker may be away for as long as it likes: the worker goes on trying.
    "broker_connection_max_retries": None,
}

# After this time the broker delivers a message again that was not acknowledged.
_VISIBILITY_SECONDS = 6 * 3600
_REDIS_OPTIONS: Mapping[str, Any] = {
    "visibility_timeout": _VISIBILITY_SECONDS,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
# Brokers, by the scheme of INGEST_BROKER_URL: the package that Celery needs for it, beside its own.
_BROKERS: Mapping[str, str] = {"redis": "redis", "rediss": "redis", "sqs": "pycurl"}


def has_broker() -> bool:
    """Whether INGEST_BROKER_URL is set."""
    return current_settings().broker_url is not None


def goes_to_workers(run: DagsterRun) -> bool:
    """Whether a run is over documents; all others need the data directory, and little else."""
    if run.asset_selection:
        return all(key.to_user_string() in STAGES for key in run.asset_selection)
    return run.job_name == "ingest_documents"


def queue_of(run: DagsterRun) -> str:
    """The queue that a run waits in."""
    selected = {key.to_user_string() for key in run.asset_selection or ()} or set(STAGES)
    return run.tags.get(QUEUE_TAG) or (INPUT_QUEUE if selected & set(FROM_INPUT) else OTHER_QUEUE)


def celery_launcher(broker_url: str) -> CeleryRunLauncher:
    """Dagster's launcher over Celery, with the broker alone: no result is stored.

    Nothing else is asked of the broker than to deliver: no remote control, no events and no results.

    Raises:
        ConfigurationError: `broker_unknown`, `celery_missing`.
    """
    scheme = broker_url.partition(":")[0]
    if scheme not in _BROKERS:
        raise ConfigurationError(
            "broker_unknown",
            f"INGEST_BROKER_URL begins with {scheme!r}, which is no broker known here.",
        )
    try:
        import_module(_BROKERS[scheme])
        from dagster_celery.config import TASK_EXECUTE_JOB_NAME  # noqa: PLC0415
        from dagster_celery.launcher import CeleryRunLauncher  # noqa: PLC0415
        from dagster_celery.tags import DAGSTER_CELERY_RUN_PRIORITY_TAG  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "celery_missing", f"INGEST_BROKER_URL is set, but {error.name} is not installed."
        ) from error

    class Launcher(CeleryRunLauncher):
        """The same, but it writes nothing to the run after it was sent.

        Dagster's own adds the task's id to the run's tags then, and so writes over the tags that the
        worker which has begun it adds at the same moment. And it registers its task anew with each
        run, of which Celery warns.
        """

        def launch_run(self, context: LaunchRunContext) -> None:
            run = context.dagster_run
            queue = queue_of(run)
            self.celery.send_task(
                TASK_EXECUTE_JOB_NAME,
                kwargs={"execute_job_args_packed": packed_run(run, self._instance)},
                task_id=run.run_id,
                queue=queue,
                routing_key=f"{queue}.{TASK_EXECUTE_JOB_NAME}",
                priority=int(run.tags.get(DAGSTER_CELERY_RUN_PRIORITY_TAG, 0)),
            )
            self._instance.report_engine_event(f"Sent to the workers of the queue {queue}.", run)

    options = _sqs_options(current_settings().s3_bucket) if scheme == "sqs" else _REDIS_OPTIONS
    configuration = {**CELERY_CONFIGURATION, "broker_transport_options": dict(options)}
    return Launcher(OTHER_QUEUE, broker_url, backend=None, config_source=configuration)


def _sqs_options(bucket: str) -> Mapping[str, Any]:
    """The queues' names begin with the bucket's: several deployments may share an account."""
    return {"visibility_timeout": _VISIBILITY_SECONDS, "queue_name_prefix": f"ingest-{bucket}-"}


def declare(app: Celery, queue: str) -> None:
    """Let messages with the routing keys that dagster-celery gives them reach the queue."""
    app.amqp.queues.add(queue, exchange=queue, routing_key=f"{queue}.execute_job")


class WorkerRuns:
    """What the run launcher does with runs over documents where a broker is set."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance

    def launch(self, run: DagsterRun) -> None:
        """Send a run to the workers; where the broker does not answer `look_after` sends it later."""
        if QUEUE_TAG not in run.tags:
            # Before it is sent: the tag says that the run has a lease.
            self._instance.add_run_tags(run.run_id, {QUEUE_TAG: queue_of(run)})
        self._send(run.run_id)

    def terminate(self, run: DagsterRun) -> bool:
        """Ask the run to stop. Its process sees that with its next renewal of the lease."""
        self._instance.report_run_canceling(run)
        if not leases.cancel(self._database, run.run_id):
            self._instance.report_run_canceled(run, "No worker had begun it.")
        return True

    def health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether a started run is alive, by its lease. Revokes the lease of one that is not."""
        try:
            lease = leases.lease_of(self._database, run.run_id)
            if lease and lease.expired and leases.revoke(self._database, run.run_id):
                return CheckRunHealthResult(
                    WorkerStatus.FAILED,
                    f"worker {lease.worker} was not heard of for {leases.LEASE_SECONDS} s: it was "
                    "killed, or cut off from Postgres; other workers take up the documents",
                )
        except SQLAlchemyError as error:
            # Nothing can be known now, and nobody else could take the run up.
            return CheckRunHealthResult(WorkerStatus.RUNNING, str(database_error(error)))
        if lease is not None and not lease.open:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"its process on {lease.worker} has ended")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def look_after(self) -> list[str]:
        """Send runs again whose message was lost; fail those whose worker was lost before they started.

        Returns:
            What was done, a sentence each.
        """
        done = []
        starting = self._instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.STARTING]))
        for record in starting:
            run = record.dagster_run
            if QUEUE_TAG not in run.tags:
                continue
            if leases.lease_of(self._database, run.run_id) is None:
                if self._is_late(run.run_id) and leases.has_free_slot(self._database, queue_of(run)):
                    self._instance.report_engine_event(
                        "No worker has begun it, although one is free: the broker has lost the "
                        "message, or did not answer. It is sent again.",
                        run,
                    )
                    self._send(run.run_id)
                    done.append(f"Run {run.run_id} was sent again.")
            elif (health := self.health(run)).status == WorkerStatus.FAILED:
                self._instance.report_run_failed(run, health.msg)
                done.append(f"Run {run.run_id} is lost: {health.msg}.")
        return done

    def close(self) -> None:
        """Close what was opened."""
        if "_database" in self.__dict__:
            self._database.close()
        if "_celery" in self.__dict__:
            self._celery.celery.close()

    def _send(self, run_id: str) -> None:
        from kombu.exceptions import OperationalError  # noqa: PLC0415  (an extra)

        run = self._instance.get_run_by_id(run_id)
        assert run is not None  # noqa: S101  # It was read a moment ago.
        declare(self._celery.celery, queue_of(run))
        try:
            self._celery.launch_run(LaunchRunContext(run, None))
        except OperationalError as error:
            _log.warning("The broker does not answer: %s", error)
            self._instance.report_engine_event(
                "The broker does not answer; the run is sent again when it does.", run
            )

    def _is_late(self, run_id: str) -> bool:
        latest = self._instance.all_logs(run_id)
        return not latest or time.time() - latest[-1].timestamp > _SEND_AGAIN_SECONDS

    @cached_property
    def _celery(self) -> CeleryRunLauncher:
        url = current_settings().broker_url
        assert url is not None  # noqa: S101  # Otherwise runs do not come here.
        launcher = celery_launcher(url.get_secret_value())
        launcher.register_instance(self._instance)
        return launcher

    @cached_property
    def _database(self) -> Database:
        return wiring.database(os.environ["INGEST_DATABASE_URL"], connections=1)
