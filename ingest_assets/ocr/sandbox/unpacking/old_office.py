"""Files embedded in documents of the old Office formats: DOC, XLS, PPT and RTF.

Belongs here: where each of them keeps its objects. Does not belong here: what is in one (`objects`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES, corrupt
from ingest_assets.ocr.sandbox.ole import OleFile, Storage
from ingest_assets.ocr.sandbox.ppt import stored_objects
from ingest_assets.ocr.sandbox.rtf import parse_rtf
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError
from ingest_assets.ocr.sandbox.unpacking.objects import (
    Found,
    add_object,
    file_in,
    file_in_ole1,
    title_of,
)

_EQUATION = "Equation Native"


def unpack_storages(path: Path, contents: Contents, name: str) -> None:
    """Take out the objects of a DOC or an XLS, each of which has a storage of its own."""
    with OleFile(path) as file, suppress(TooManyPartsError):
        for number, place in enumerate(file.objects(), 1):
            _add(contents, number, file.storage(place), file.class_id(place))


def unpack_ppt(path: Path, contents: Contents, name: str) -> None:
    """Take out the objects of a PPT, which are OLE files in its stream, packed or not."""
    with OleFile(path) as file:
        data = file.read("PowerPoint Document")
    seen: set[bytes] = set()
    with suppress(TooManyPartsError):
        for number, (is_packed, stored) in enumerate(stored_objects(data), 1):
            if stored not in seen:  # Each change of the file may have stored it again.
                seen.add(stored)
                add_object(contents, f"object {number}", partial(_inflated, is_packed, stored))


def unpack_rtf(path: Path, contents: Contents, name: str) -> None:
    """Take out the objects of an RTF document."""
    with suppress(TooManyPartsError):
        for number, data in enumerate(parse_rtf(path.read_bytes()).objects, 1):
            _add_found(contents, number, file_in_ole1(data))


def _add(contents: Contents, number: int, storage: Storage, class_id: bytes) -> None:
    if _EQUATION in storage:
        contents.note("object_unread", "an equation, which was not read")
    else:
        _add_found(contents, number, file_in(storage, class_id))


def _add_found(contents: Contents, number: int, found: Found) -> None:
    contents.add(title_of(found, f"object {number}"), [found.data])


def _inflated(is_packed: bool, data: bytes) -> Iterator[bytes]:
    if not is_packed:
        yield data
        return
    size = struct.unpack_from("<I", data)[0]
    if size > MAX_DECODED_BYTES:
        raise corrupt("an object in it is larger than any document's")
    # A limit of 0 would be none.
    yield zlib.decompressobj().decompress(data[4:], max(1, size))
