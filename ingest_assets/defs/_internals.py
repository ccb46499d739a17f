"""Every import of Dagster's private modules, so that an upgrade of Dagster is checked in one place.

Belongs here: what `dagster` does not export in 1.13.27 and this package cannot do without. Does not
belong here: anything that `dagster` exports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dagster import DagsterInstance, DagsterRun
from dagster import _loggers as dagster_loggers
from dagster._core.definitions import instigation_logger
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.execution.backfill import (
    BULK_ACTION_TERMINAL_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.execution.compute_logs import redirect_stream
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import (
    QueuedRunCoordinator,
    RunQueueConfig,
)
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.utils import make_new_backfill_id
from dagster._daemon import controller as daemon_controller
from dagster._daemon.daemon import DaemonIterator
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._grpc import server_watcher
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import (
    ConfigurableClassData,
    deserialize_value,
    pack_value,
    serialize_value,
    unpack_value,
)
from dagster._utils.interrupts import capture_interrupts

# What Dagster imports when a run begins, and not before.
IMPORTED_BY_RUNS = (
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "dagster._utils.test.definitions",
    "encodings.idna",
    "ingest_assets.defs.instance",
    "psycopg2.extras",
    "upath.implementations.local",
)

__all__ = [
    "ASSET_CHECK_EVENTS",
    "ASSET_EVENTS",
    "BULK_ACTION_TERMINAL_STATUSES",
    "GRPC_INFO_TAG",
    "IMPORTED_BY_RUNS",
    "IO_TYPE_EXTENSION",
    "AssetGraph",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CapturedLogContext",
    "CheckRunHealthResult",
    "ComputeIOType",
    "ConfigurableClassData",
    "DaemonIterator",
    "DagsterLaunchFailedError",
    "InstanceRef",
    "LaunchRunContext",
    "LocalComputeLogManager",
    "PartitionBackfill",
    "QueuedRunCoordinator",
    "QueuedRunCoordinatorDaemon",
    "RunQueueConfig",
    "SqlEventLogStorageTable",
    "SubmitRunContext",
    "WorkerStatus",
    "capture_interrupts",
    "daemon_controller",
    "dagster_loggers",
    "deserialize_value",
    "instigation_logger",
    "make_new_backfill_id",
    "packed_run",
    "redirect_stream",
    "run_executor",
    "serialize_value",
    "server_watcher",
    "unpack_run_id",
]


def packed_run(run: DagsterRun, instance: DagsterInstance) -> object:
    """What dagster-celery's launcher says of a run to the worker that executes it."""
    assert run.job_code_origin is not None  # noqa: S101  # Each run that is launched has one.
    return pack_value(ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref(), True))


def unpack_run_id(execute_job_args: Mapping[str, Any]) -> str:
    """The run that a message of dagster-celery's launcher is about."""
    return unpack_value(execute_job_args, ExecuteRunArgs).run_id


def run_executor() -> Callable[..., int]:
    """What `dagster api execute_run` calls: executes a run, and stores its events and its end."""
    from dagster._cli.api import _execute_run_command_body  # noqa: PLC0415  (heavy)

    return _execute_run_command_body
