"""Every import of Dagster's private modules, so that an upgrade of Dagster is checked in one place.

Belongs here: what `dagster` does not export in 1.13.27 and this package cannot do without. Does not
belong here: anything that `dagster` exports.
"""

from __future__ import annotations

from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.execution.backfill import (
    BULK_ACTION_TERMINAL_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.utils import make_new_backfill_id
from dagster._serdes import ConfigurableClassData

__all__ = [
    "ASSET_CHECK_EVENTS",
    "ASSET_EVENTS",
    "BULK_ACTION_TERMINAL_STATUSES",
    "GRPC_INFO_TAG",
    "AssetGraph",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CheckRunHealthResult",
    "ConfigurableClassData",
    "PartitionBackfill",
    "SqlEventLogStorageTable",
    "WorkerStatus",
    "make_new_backfill_id",
]
