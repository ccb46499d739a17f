"""Files within OLE objects: what another program has put into a document, as the file that it is.

Belongs here: telling a file from what Windows writes around it ([MS-OLEDS], 2.3.6). Does not belong
here: where documents keep their objects.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

import olefile

from ingest_assets import formats
from ingest_assets.identification import identify
from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES
from ingest_assets.ocr.sandbox.ole import OleFile, Storage
from ingest_assets.ocr.sandbox.unpacking.contents import Contents
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file

_NATIVE = "\x01Ole10Native"
# Streams that are a file, by the programs that write them: Office, Acrobat, LibreOffice.
_WHOLE_FILES = ("Package", "CONTENTS", "EmbeddedOdf")
_A_PACKAGED_FILE = 2
_LONGEST_NAME = 1000
_OF_WRAPPERS = "bin"  # The extension that Office gives to objects of any kind.


class Found(NamedTuple):
    """A file within an object; the name is empty where it states none."""

    name: str
    data: bytes


def file_in(storage: Storage, class_id: bytes = b"") -> Found:
    """Return the file in an object's storage; a document of an Office program is its storage itself."""
    return _wrapped_file(storage) or Found("", ole_file(storage, class_id))


def file_in_bytes(data: bytes) -> Found:
    """Return the file in an object that is an OLE file; any other file is the object itself."""
    if not data.startswith(olefile.MAGIC):
        return Found("", data)
    with OleFile(io.BytesIO(data)) as file:
        return _wrapped_file(file.storage("")) or Found("", data)


def _wrapped_file(storage: Storage) -> Found | None:
    streams = {name.casefold(): content for name, content in storage.items()}
    native = streams.get(_NATIVE.casefold())
    if isinstance(native, bytes) and native:
        return packaged_file(native)
    for name in _WHOLE_FILES:
        content = streams.get(name.casefold())
        if isinstance(content, bytes) and identify(io.BytesIO(content)) is not formats.UNKNOWN:
            return Found("", content)
    return None


def packaged_file(native: bytes) -> Found:
    """Return the file that Windows' packager put into a stream; else all that the stream holds."""
    data = native[4 : 4 + struct.unpack_from("<I", native.ljust(4, b"\0"))[0]]
    try:
        if struct.unpack_from("<H", data)[0] != _A_PACKAGED_FILE:
            return Found("", data)
        place = 2
        label, place = _string(data, place)
        path, place = _string(data, place)
        place += 4  # Flags.
        length = struct.unpack_from("<I", data, place)[0]
        place += 4 + length  # Where the file was for a time.
        size = struct.unpack_from("<I", data, place)[0]
        content = data[place + 4 : place + 4 + size]
        if len(content) < size:
            return Found("", data)
    except (struct.error, ValueError):
        return Found("", data)
    return Found(_base(_wide_name(data[place + 4 + size :]) or label or path), content)


def file_in_ole1(data: bytes) -> Found:
    """Return the file in an object as OLE 1 packs it, which RTF has kept: [MS-OLEDS], 2.2.5."""
    place, strings = 8, []
    try:
        for _ in range(3):
            length = struct.unpack_from("<I", data, place)[0]
            strings.append(data[place + 4 : place + 4 + length].rstrip(b"\0"))
            place += 4 + length
        size = struct.unpack_from("<I", data, place)[0]
    except struct.error:
        return Found("", data)
    content = data[place + 4 : place + 4 + size]
    if strings[0].lower() == b"package":
        return packaged_file(struct.pack("<I", len(content)) + content)
    return file_in_bytes(content)


def add_object(contents: Contents, title: str, blocks: Callable[[], Iterable[bytes]]) -> None:
    """Add the file in an object; an object in which none can be found is a part as it is.

    Args:
        blocks: gives the bytes of the object, anew at each call.

    Raises:
        TooManyPartsError: there are as many parts as may be.
    """
    data = bytearray()
    try:
        for block in blocks():
            data += block
            if len(data) > min(contents.left(), MAX_DECODED_BYTES):
                raise contents.too_large()
        found = file_in_bytes(bytes(data))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # What is wrong with it becomes the part's own error.
        contents.add(title, blocks())
    else:
        contents.add(title_of(found, title), [found.data])


def title_of(found: Found, otherwise: str) -> str:
    """Return what a file in an object is called: its own name, or another with its type's extension."""
    stem, dot, extension = otherwise.rpartition(".")
    if found.name or (dot and extension.lower() != _OF_WRAPPERS):
        return found.name or otherwise
    kind = identify(io.BytesIO(found.data))
    return (stem or otherwise) + kind.extension if kind.extension else otherwise


def _string(data: bytes, place: int) -> tuple[str, int]:
    """Return a string that ends with NUL, and the place behind it."""
    end = data.index(b"\0", place)
    return data[place : min(end, place + _LONGEST_NAME)].decode("cp1252", "replace"), end + 1


def _wide_name(data: bytes) -> str:
    """Return the label as Windows repeats it behind the file, in UTF-16 and after a path."""
    try:
        length = struct.unpack_from("<I", data)[0]
        label = struct.unpack_from("<I", data, 4 + 2 * length)[0]
        start = 8 + 2 * length
        return data[start : start + 2 * min(label, _LONGEST_NAME)].decode("utf-16-le")
    except (struct.error, UnicodeDecodeError):
        return ""


def _base(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
