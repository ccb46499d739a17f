"""Containers made by hand: ZIP archives and OLE files with the members that a test asks for."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

_FREE = 0xFFFFFFFF
_END = 0xFFFFFFFE


def zipped(members: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def ole(*streams: str, inside: str = "", sectors_before: int = 0) -> bytes:
    """An OLE file with empty streams at its top, and one in a storage.

    Args:
        sectors_before: how many sectors of other data lie before the directory's second.
    """
    names = ["Root Entry", *streams, *(["ObjectPool", inside] if inside else [])]
    top = len(streams) + (1 if inside else 0)
    entries = []
    for number, name in enumerate(names):
        kind = 5 if number == 0 else 1 if name == "ObjectPool" else 2
        sibling = number + 1 if 1 <= number < top else _FREE
        child = 1 if number == 0 else number + 1 if name == "ObjectPool" else _FREE
        encoded = name.encode("utf-16-le") + b"\0\0"
        entries.append(
            encoded.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(encoded), kind, 1, _FREE, sibling, child)
            + bytes(36)
            + struct.pack("<IQ", _END, 0)
        )
    while len(entries) % 4:
        entries.append(bytes(128))
    sectors = [b"".join(entries[place : place + 4]) for place in range(0, len(entries), 4)]
    # Sector 0 is the table; the directory begins in sector 1 and goes on behind the other data.
    places = [1, *(2 + sectors_before + index for index in range(len(sectors) - 1))]
    table = [_FREE] * 128
    table[0] = 0xFFFFFFFD
    for place, following in zip(places, [*places[1:], _END], strict=True):
        table[place] = following
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<IIIIIIII", 1, 1, 0, 4096, _END, 0, _END, 0)
    header += struct.pack("<109I", 0, *([_FREE] * 108))
    return (
        header
        + struct.pack("<128I", *table)
        + sectors[0]
        + bytes(512 * sectors_before)
        + b"".join(sectors[1:])
    )
