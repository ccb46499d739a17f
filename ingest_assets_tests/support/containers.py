"""Containers made by hand: ZIP archives and OLE files with the members that a test asks for."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

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


def ole_with(streams: Mapping[str, bytes]) -> bytes:
    """An OLE file with streams that hold something, at its top or one storage deep (`storage/name`).

    Each is filled up with NULs to 4096 bytes, so that it needs no sectors of the small kind.
    """
    tree: dict[str, dict[str, bytes] | bytes] = {}
    for path, content in streams.items():
        storage, _, name = path.rpartition("/")
        if storage:
            inner = tree.setdefault(storage, {})
            assert isinstance(inner, dict)
            inner[name] = content
        else:
            tree[name] = content
    # Entries of the directory: name, kind, content, first child, next sibling.
    entries: list[list[Any]] = [["Root Entry", 5, b"", 1, _FREE]]
    for name, found in tree.items():
        entries.append([name, 1 if isinstance(found, dict) else 2, found, _FREE, _FREE])
    top = len(entries)
    for number in range(1, top):
        entries[number][4] = number + 1 if number + 1 < top else _FREE
        if isinstance(inner := entries[number][2], dict):
            entries[number][2:4] = b"", len(entries)
            for place, (name, content) in enumerate(inner.items(), 1):
                following = len(entries) + 1 if place < len(inner) else _FREE
                entries.append([name, 2, content, _FREE, following])
    directory = b""
    body: list[bytes] = []
    chains: list[tuple[int, int]] = []
    for name, kind, content, child, sibling in entries:
        encoded = name.encode("utf-16-le") + b"\0\0"
        data = content.ljust(4096, b"\0") if kind == 2 else b""
        sectors = [data[place : place + 512].ljust(512, b"\0") for place in range(0, len(data), 512)]
        start = len(body) if sectors else _END
        chains += [(start, len(sectors))] if sectors else []
        body += sectors
        directory += encoded.ljust(64, b"\0") + struct.pack(
            "<HBBIII36xIQ", len(encoded), kind, 1, _FREE, sibling, child, start, len(data)
        )
    directory = directory.ljust(-(-len(directory) // 512) * 512, b"\0")
    chains.append((len(body), len(directory) // 512))
    body += [directory[place : place + 512] for place in range(0, len(directory), 512)]
    tables = -(-(len(body) + 20) // 128)
    table = [_FREE] * (128 * tables)
    for start, count in chains:
        for index in range(start, start + count):
            table[index] = index + 1 if index + 1 < start + count else _END
    places = list(range(len(body), len(body) + tables))
    for place in places:
        table[place] = 0xFFFFFFFD
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<IIIIIIII", tables, chains[-1][0], 0, 4096, _END, 0, _END, 0)
    header += struct.pack("<109I", *places, *([_FREE] * (109 - tables)))
    return header + b"".join(body) + struct.pack(f"<{len(table)}I", *table)
