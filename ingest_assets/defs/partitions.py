"""The partitions definition `documents`: one partition is one sighting of one document.

Belongs here: adding partitions, naming ranges of them, and reading what Dagster shows of them. Does
not belong here: how a key is made (`store.names`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dagster import AssetKey, AssetPartitionStatus, DagsterInstance, DynamicPartitionsDefinition
from sqlalchemy.exc import IntegrityError
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from ingest_assets.failpoints import failpoint
from ingest_assets.operations.verification.engine import Shown, ShownPartition
from ingest_assets.stage_names import STAGES

DOCUMENTS = DynamicPartitionsDefinition(name="documents")

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

_SHOWN: Mapping[AssetPartitionStatus | None, Shown] = {
    AssetPartitionStatus.MATERIALIZED: "materialized",
    AssetPartitionStatus.FAILED: "failed",
    AssetPartitionStatus.IN_PROGRESS: "in_progress",
}


# Another process may add a key between the look and the insert; the next look sees it.
@retry(retry=retry_if_exception_type(IntegrityError), stop=stop_after_attempt(3), reraise=True)
def add_partitions(instance: DagsterInstance, keys: Iterable[str]) -> list[str]:
    """Add the partitions that are not there yet, in one call, so that they lie side by side.

    Returns:
        The keys that were added, in the order given, which is the order of ranges.
    """
    existing = set(instance.get_dynamic_partitions("documents"))
    # Dagster refuses a call that names a key twice.
    missing = [key for key in dict.fromkeys(keys) if key not in existing]
    if missing:
        failpoint("partitions.adding")
        instance.add_dynamic_partitions("documents", missing)
        failpoint("partitions.added")
    return missing


def range_tags(first: str, last: str) -> Mapping[str, str]:
    """Tags that make one run of all partitions from `first` to `last`, in the order of adding."""
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def shown_partitions(instance: DagsterInstance) -> Iterator[ShownPartition]:
    """What Dagit shows of each partition: all of it is read before the first is given out."""
    keys = instance.get_dynamic_partitions("documents")
    found = [
        instance.get_status_by_partition(AssetKey(stage), keys, DOCUMENTS) or {} for stage in STAGES
    ]
    for key in keys:
        yield ShownPartition(key, tuple(_SHOWN.get(state.get(key)) for state in found))
