"""What a stream of a PDF holds, unpacked as far as it goes and no larger than is read.

Belongs here: unpacking, and joining the streams of a page. Does not belong here: what they mean
(`instructions`, `fonts`).
"""

from __future__ import annotations

import mmap
import re
import zlib
from pathlib import Path

import pikepdf

# Instructions of a page, unpacked, in bytes: more are an attack.
_MAX_CONTENT_BYTES = 100_000_000


class UnreadableError(Exception):
    """A stream that cannot be unpacked, wholly or in part."""

    def __init__(self, reason: str, recovered: bytes) -> None:
        super().__init__(reason)
        self.recovered = recovered


def read_stream(stream: pikepdf.Object) -> bytes:
    """Return what a stream holds.

    Raises:
        UnreadableError: with what there is of it.
    """
    filters = stream.get("/Filter")
    if isinstance(filters, pikepdf.Array) and len(filters) == 1:
        filters = filters[0]
    if filters == "/FlateDecode" and stream.get("/DecodeParms") is None:
        return _inflated(stream.read_raw_bytes())
    try:
        return stream.read_bytes(pikepdf.StreamDecodeLevel.specialized)
    except pikepdf.PdfError as error:
        names = str(filters) if isinstance(filters, pikepdf.Name) else "several"
        raise UnreadableError(
            f"it is packed in a way that cannot be unpacked ({names})", b""
        ) from error


def page_content(pdf: pikepdf.Pdf, page: pikepdf.Object) -> tuple[bytes, list[str]]:
    """Return the instructions of a page, and what of them cannot be read."""
    entry = page.get("/Contents")
    damaged = []
    parts = []
    if entry is None and _mentions(pdf, page, b"/Contents"):  # It leads nowhere.
        damaged.append("its content is missing from the file")
    streams = list(entry) if isinstance(entry, pikepdf.Array) else [entry]
    for stream in streams:
        if isinstance(stream, pikepdf.Stream):
            try:
                parts.append(read_stream(stream))
            except UnreadableError as error:
                damaged.append(str(error))
                parts.append(error.recovered)
    return b"\n".join(parts), damaged


def _inflated(packed: bytes) -> bytes:
    """Unpack, as far as the bytes allow."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, _MAX_CONTENT_BYTES)
    except zlib.error as error:
        raise UnreadableError("its content is damaged", _salvaged(packed)) from error
    if unpacker.unconsumed_tail:
        raise UnreadableError("its content is larger than is read", data)
    if packed and not unpacker.eof:
        raise UnreadableError("its content breaks off", data)
    return data


def _salvaged(packed: bytes) -> bytes:
    """Return what can be unpacked before the damage, or after a damaged head."""
    found = b""
    for window, start in ((zlib.MAX_WBITS, 0), (-zlib.MAX_WBITS, 2), (-zlib.MAX_WBITS, 0)):
        unpacker = zlib.decompressobj(window)
        data = b""
        try:
            for at in range(start, len(packed), 256):
                data += unpacker.decompress(packed[at : at + 256], _MAX_CONTENT_BYTES)
        except zlib.error:
            pass  # What came before it counts.
        found = max(found, data, key=len)
    return found


def _mentions(pdf: pikepdf.Pdf, entry: pikepdf.Object, key: bytes) -> bool:
    """Tell whether a dictionary has a key, also one that qpdf leaves out, for it leads nowhere."""
    number, generation = entry.objgen
    head = re.compile(rb"\b%d\s+%d\s+obj\b(.*?)endobj" % (number, generation), re.DOTALL)
    try:
        with (
            Path(pdf.filename).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            versions = [found[1] for found in head.finditer(data)]
    except (OSError, ValueError):
        return False  # It is a copy that was made in memory.
    if versions:
        return key in versions[-1]
    return any(
        key in _packed(stream, number)
        for stream in pdf.objects
        if isinstance(stream, pikepdf.Stream) and stream.get("/Type") == "/ObjStm"
    )


def _packed(stream: pikepdf.Object, number: int) -> bytes:
    """Return what a stream of objects has of one (ISO 32000-1, 7.5.7), nothing where it has it not."""
    try:
        data, first = stream.read_bytes(), int(stream["/First"])
        head = list(map(int, data[:first].split()))
    except (pikepdf.PdfError, KeyError, TypeError, ValueError):
        return b""
    starts = dict(zip(head[::2], head[1::2], strict=False))
    if number not in starts:
        return b""
    ends = [start for start in starts.values() if start > starts[number]]
    return data[first + starts[number] : first + min(ends, default=len(data))]
