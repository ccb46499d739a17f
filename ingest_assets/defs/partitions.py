"""The partitions definition `documents`: one partition is one sighting of one document.

Belongs here: adding partitions, naming ranges of them, and reading what Dagster shows of them. Does
not belong here: how a key is made (`store.names`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from dagster import AssetKey, AssetPartitionStatus, DagsterInstance, DynamicPartitionsDefinition
from sqlalchemy.exc import IntegrityError
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from ingest_assets.failpoints import failpoint
from ingest_assets.operations.verification.engine import Shown, ShownPartition
from ingest_assets.stage_names import STAGES

DOCUMENTS = DynamicPartitionsDefinition(name="documents")

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

_PAGE_OF_PARTITIONS = 1_000
# Asking for so many keys costs ten times what reading one does: as much as reading 100,000.
_MANY = 10_000

_SHOWN: Mapping[AssetPartitionStatus | None, Shown] = {
    AssetPartitionStatus.MATERIALIZED: "materialized",
    AssetPartitionStatus.FAILED: "failed",
    AssetPartitionStatus.IN_PROGRESS: "in_progress",
}


# Another process may add a key between reading the keys and inserting; the next try reads it.
@retry(retry=retry_if_exception_type(IntegrityError), stop=stop_after_attempt(3), reraise=True)
def add_partitions(instance: DagsterInstance, keys: Iterable[str]) -> list[str]:
    """Add the partitions that do not exist yet, in one call, so that no other keys come between them.

    A run over a range takes all partitions that were added between its first and its last.

    Returns:
        The keys that were added, in the order given.
    """
    wanted = list(dict.fromkeys(keys))  # Dagster refuses a call that names a key twice.
    if len(wanted) > _MANY:
        existing: Set[str] = set(instance.get_dynamic_partitions("documents"))
    else:
        existing = instance.get_existing_dynamic_partitions("documents", wanted) if wanted else set()
    missing = [key for key in wanted if key not in existing]
    if missing:
        failpoint("partitions.adding")
        instance.add_dynamic_partitions("documents", missing)
        failpoint("partitions.added")
    return missing


def places(instance: DagsterInstance, keys: Set[str]) -> Mapping[str, int]:
    """Where partitions stand in the order of adding, counted from some place before all of them.

    Reads from the newest on until it has found all, because those that are asked for are new: reading
    all of a hundred thousand takes seconds.
    """
    newest_first: list[str] = []
    missing = set(keys)
    cursor: str | None = None
    while missing:
        page = instance.get_paginated_dynamic_partitions(
            "documents", limit=_PAGE_OF_PARTITIONS, ascending=False, cursor=cursor
        )
        newest_first += page.results
        missing -= set(page.results)
        if not page.has_more:
            break
        cursor = page.cursor
    return {key: place for place, key in enumerate(reversed(newest_first)) if key in keys}


def range_tags(first: str, last: str) -> Mapping[str, str]:
    """Tags of a run over all partitions that were added from `first` to `last`, both included."""
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def shown_partitions(instance: DagsterInstance) -> Iterator[ShownPartition]:
    """What Dagit shows of each partition, read in full before the first is yielded."""
    keys = instance.get_dynamic_partitions("documents")
    found = [
        instance.get_status_by_partition(AssetKey(stage), keys, DOCUMENTS) or {} for stage in STAGES
    ]
    for key in keys:
        yield ShownPartition(key, tuple(_SHOWN.get(state.get(key)) for state in found))
