"""Whether runs could do anything now: asked by each sensor before it launches one.

Belongs here: the probes of the services that a run needs. Does not belong here: what a sensor does
with the answer.
"""

from ingest_assets.defs.resources import ObjectStoreResource, OcrEngineResource
from ingest_assets.errors import IngestError


def reason_to_hold(object_store: ObjectStoreResource, ocr_engine: OcrEngineResource) -> str:
    """Why no run could store or read a document now; empty if one could.

    Sensors ask only when they are about to launch one: the probes call the services.
    """
    try:
        object_store.get().probe()
        ocr_engine.probe()
    except IngestError as error:
        return str(error)
    return ""
