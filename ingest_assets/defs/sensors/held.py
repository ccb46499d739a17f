"""Whether a run could store and read documents now; sensors ask before they request one.

Belongs here: probing the services that a run needs, and recording what they answered. Does not belong
here: what a sensor does with the answer.
"""

from __future__ import annotations

from dagster import SensorEvaluationContext, build_resources

from ingest_assets.defs.resources import ObjectStoreResource, OcrEngineResource
from ingest_assets.errors import IngestError
from ingest_assets.operations.withheld import launch_again, withhold
from ingest_assets.store.database import Database


def may_launch(context: SensorEvaluationContext, database: Database) -> IngestError | None:
    """Ask for `reason_to_hold`, and record the answer for `status`, `why` and alerts."""
    reason = reason_to_hold(context)
    if reason is None:
        launch_again(database, context.sensor_name)
    else:
        withhold(database, context.sensor_name, reason)
    return reason


def reason_to_hold(context: SensorEvaluationContext) -> IngestError | None:
    """Why a run could not store or read documents now; None if it could.

    Each call writes and reads a small object in S3, and asks Textract where it is the engine: sensors
    call it only when they are about to request a run. These resources are no parameters of a sensor,
    because Dagster would make them at each tick, which takes as long as a tick that finds nothing.
    """
    assert context.repository_def is not None  # noqa: S101  # Each sensor of a code location has one.
    resources = context.repository_def.get_top_level_resources()
    needed = {name: resources[name] for name in ("object_store", "ocr_engine")}
    with build_resources(needed, context.instance) as made:
        object_store: ObjectStoreResource = made.object_store
        ocr_engine: OcrEngineResource = made.ocr_engine
        try:
            object_store.get().probe()
            ocr_engine.probe()
        except IngestError as error:
            return error
    return None
