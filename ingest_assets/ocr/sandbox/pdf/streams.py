"""What a stream of a PDF holds, unpacked as far as it goes and no larger than is read.

Belongs here: unpacking. Does not belong here: what it means (`instructions`, `fonts`).
"""

from __future__ import annotations

import zlib

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
