"""Files on disk in the shape in which an engine gets its documents."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from ingest_assets.ocr.engine import StoredObject

MIME_TYPES = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".tif": "image/tiff",
    ".txt": "text/plain",
}


def stored_file(path: Path) -> StoredObject:
    def download(target: BinaryIO) -> None:
        with path.open("rb") as source:
            shutil.copyfileobj(source, target)

    return StoredObject(
        uuid4(), "local", path.name, path.stat().st_size, MIME_TYPES[path.suffix.lower()], download
    )


def stored_bytes(data: bytes, mime_type: str) -> StoredObject:
    def download(target: BinaryIO) -> None:
        shutil.copyfileobj(io.BytesIO(data), target)

    return StoredObject(uuid4(), "memory", "document", len(data), mime_type, download)
