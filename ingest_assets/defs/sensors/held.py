"""Whether a run could store and read documents now; sensors ask before they request one.

Belongs here: probing the services that a run needs. Does not belong here: what a sensor does with the
answer.
"""

from ingest_assets.defs.resources import ObjectStoreResource, OcrEngineResource
from ingest_assets.errors import IngestError


def reason_to_hold(object_store: ObjectStoreResource, ocr_engine: OcrEngineResource) -> str:
    """Why a run could not store or read documents now; empty if it could.

    Each call writes and reads a small object in S3, and asks Textract where it is the engine: sensors
    call it only when they are about to request a run.
    """
    try:
        object_store.get().probe()
        ocr_engine.probe()
    except IngestError as error:
        return str(error)
    return ""
