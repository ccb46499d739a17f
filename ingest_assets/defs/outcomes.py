"""What Dagster shows of a source that ended without a result and asks nothing of a person.

Belongs here: its events. Does not belong here: which faults are such outcomes (`catalogue`), and
finding those that Dagster was not told of (`operations.outcomes`).

Dagster knows no outcome between materialised and failed, and a backfill calls a partition failed that
its run leaves out. So all assets of the partition are materialised, and say `rejected` or `superseded`
where others have a data version: green, with the reason first in the metadata. What is stored of them
is told by the database alone.
"""

from collections.abc import Iterator, Sequence

from dagster import AssetMaterialization, DagsterInstance, MetadataValue

from ingest_assets.catalogue import Outcome
from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.markdown import partition_link
from ingest_assets.operations.outcomes import unreported
from ingest_assets.stage_names import STAGES
from ingest_assets.stages.stage import mark_reported
from ingest_assets.store.database import Database

# Seconds in which a run reports what it has ended.
_QUIET_SECONDS = 60.0
# Each takes Dagster some 50 ms, of the minute that a tick has.
_AT_A_TIME = 100


def materializations(
    partition_key: str,
    outcome: Outcome,
    error: IngestError,
    stages: Sequence[str] = STAGES,
    superseded_by: str | None = None,
) -> Iterator[AssetMaterialization]:
    """The events of one partition, for these of its assets.

    Args:
        superseded_by: the partition of the file's next version, where it was found already.
    """
    metadata: dict[str, str | MetadataValue] = {
        "outcome": outcome,
        "reason": error.message,
        "code": error.code,
    }
    if outcome == "rejected" and error.remedy:
        metadata["if_it_should_be_a_document"] = error.remedy
    if superseded_by:
        metadata["superseded_by"] = MetadataValue.md(str(partition_link(superseded_by)))
    for stage in stages:
        place = STAGES.index(stage)
        # Dagit would call the asset out of sync with the one before it.
        inputs = {
            f"dagster/input_data_version/{before}": outcome
            for before in STAGES[max(0, place - 1) : place]
        }
        yield AssetMaterialization(
            asset_key=stage,
            partition=partition_key,
            metadata=metadata,
            tags={
                "dagster/data_version": outcome,
                **inputs,
                **{name.replace("data_version", "event_pointer"): "NULL" for name in inputs},
            },
        )


def report_outcomes(
    instance: DagsterInstance, database: Database, quiet_seconds: float = _QUIET_SECONDS
) -> int:
    """Tell Dagster of outcomes that no run will report; returns how many."""
    with database.engine.connect() as connection:
        found = unreported(connection, quiet_seconds, _AT_A_TIME)
    for ended in found:
        error = PermanentError(*ended.fault)
        events = materializations(
            ended.partition_key, ended.state, error, superseded_by=ended.superseded_by
        )
        for event in events:
            instance.report_runless_asset_event(event)
    if found:
        with database.engine.begin() as connection:
            mark_reported(connection, [ended.partition_key for ended in found])
    return len(found)
