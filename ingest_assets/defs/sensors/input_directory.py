"""Sensor `input_directory`: files become sources, partitions and runs.

Belongs here: the steps of a tick, and what Dagit shows of it. Does not belong here: finding files
(`stages.discovery`) and choosing runs (`batches`).
"""

from dagster import (
    DefaultSensorStatus,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from ingest_assets.defs.jobs import ingest_documents
from ingest_assets.defs.outcomes import report_outcomes
from ingest_assets.defs.partitions import add_partitions
from ingest_assets.defs.resources import InputDirectoryResource, PostgresResource
from ingest_assets.defs.sensors.batches import Launcher, unfinished
from ingest_assets.defs.sensors.held import may_launch
from ingest_assets.defs.worker_runs import has_broker
from ingest_assets.errors import ConfigurationError
from ingest_assets.failpoints import failpoint
from ingest_assets.operations.withheld import launch_again, withhold
from ingest_assets.store.leases import slots


@sensor(
    job=ingest_documents,
    # Dagster looks every 5 s which sensors are due; one of 5 s would miss every other time.
    minimum_interval_seconds=4,
    default_status=DefaultSensorStatus.RUNNING,
    description="Records new, settled files of the input directory (objects, where that is in S3) as "
    "sources, adds their partitions and those of parts that runs have found, and launches them in "
    "ranges.",
)
def input_directory(
    context: SensorEvaluationContext,
    database: PostgresResource,
    input_files: InputDirectoryResource,
) -> SensorResult | SkipReason:
    """Record new files, add partitions, request runs; also those that a crashed tick left out."""
    try:
        found = input_files.discover(database, context.cursor or None)
    except ConfigurationError as error:
        withhold(database.get(), context.sensor_name, error)
        return SkipReason(str(error))
    report_outcomes(context.instance, database.get())
    batches = unfinished(database.get())
    add_partitions(context.instance, (key for batch in batches for key in batch.partition_keys))
    launcher = Launcher(
        context.instance,
        database.get(),
        input_files.max_documents_per_run,
        context.log,
        slots(database.get()) if has_broker() else None,
    )
    requests = launcher.requests(batches)
    summary = (
        f"{len(found.added)} new, {found.unsettled} still changing, {len(batches)} batches unfinished"
    )
    if found.ignored:
        named = ", ".join(f"{pattern} {count:,}" for pattern, count in sorted(found.ignored.items()))
        summary += f", {sum(found.ignored.values()):,} ignored ({named})"
    if found.forgotten:
        summary += f", {found.forgotten} passed over because they were forgotten"
    if found.unreadable:
        summary += f", {len(found.unreadable)} cannot be looked at (the tick's log names them)"
    for place in found.unreadable:
        context.log.warning("It cannot be looked at and is passed over: %s", place)
    if not requests:
        launch_again(database.get(), context.sensor_name)
    elif reason := may_launch(context, database.get()):
        # A run would stop at its first document. The sources are recorded, and a later tick requests
        # it.
        return SensorResult(
            cursor=found.resume_after or "", skip_reason=SkipReason(f"{summary}; held. {reason}")
        )
    context.log.info("%s, %d launched", summary, len(requests))
    failpoint("sensor.requesting")
    return SensorResult(
        run_requests=requests,
        cursor=found.resume_after or "",
        skip_reason=None if requests else SkipReason(f"{summary}."),
    )
