"""Writing OLE files: what an Office program keeps as a storage becomes a file of its own.

Belongs here: the container ([MS-CFB]). Does not belong here: what its streams say, and reading it
(`ocr.sandbox.ole`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest_assets.ocr.sandbox.ole import Storage

_SECTOR, _SMALL_SECTOR = 512, 64
_LEAST_LARGE = 4096  # Streams below this size stand together in one, in small sectors.
_FREE, _END, _TABLE, _TABLE_OF_TABLES = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
_IN_HEADER, _IN_SECTOR = 109, _SECTOR // 4
_ROOT, _FOLDER, _STREAM = 5, 1, 2
_MOST_CHARACTERS = 31


def ole_file(root: Storage, class_id: bytes = b"") -> bytes:
    """Return an OLE file, the same bytes each time.

    Args:
        root: streams and storages by their names, of at most 31 characters.
        class_id: 16 bytes that say which program the file is of.
    """
    entries = _entries(root, class_id)
    body, small = _Sectors(_SECTOR), _Sectors(_SMALL_SECTOR)
    for entry in entries:
        sectors = body if len(entry.content) >= _LEAST_LARGE else small
        entry.start = sectors.add(entry.content)
    entries[0].content = bytes(small.data)  # Its size; the bytes are put in here.
    entries[0].start = body.add(small.data)
    table_of_small = struct.pack(f"<{len(small.table)}I", *small.table)
    small_start = body.add(table_of_small, filler=b"\xff")
    small_count = -(-len(table_of_small) // _SECTOR)
    directory_start = body.add(b"".join(entry.packed() for entry in entries))
    tables, more = _tables_for(len(body.table))
    first_table = len(body.table)
    places = range(first_table, first_table + tables)
    body.table += [_TABLE] * tables + [_TABLE_OF_TABLES] * more
    body.table += [_FREE] * (tables * _IN_SECTOR - len(body.table))
    body.data += struct.pack(f"<{len(body.table)}I", *body.table)
    body.data += _table_of_tables(places[_IN_HEADER:], first_table + tables)
    header = struct.pack(
        "<8s16xHHHHH10xIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        *(0x3E, 3, 0xFFFE, 9, 6),
        *(tables, directory_start, 0, _LEAST_LARGE),
        *(small_start if small_count else _END, small_count),
        *(first_table + tables if more else _END, more),
    )
    shown = [*places[:_IN_HEADER], *([_FREE] * (_IN_HEADER - tables))][:_IN_HEADER]
    return header + struct.pack(f"<{_IN_HEADER}I", *shown) + bytes(body.data)


@dataclass
class _Entry:
    """An entry of the directory. `left`, `right` and `child` are numbers of others."""

    name: str
    kind: int
    content: bytes = b""
    class_id: bytes = b""
    left: int = _FREE
    right: int = _FREE
    child: int = _FREE
    start: int = _END

    def packed(self) -> bytes:
        name = self.name.encode("utf-16-le") + b"\0\0"
        return struct.pack(
            "<64sHBBIII16s20xIQ",
            name,
            *(len(name), self.kind, 1, self.left, self.right, self.child),
            *(self.class_id, self.start, len(self.content)),
        )


def _entries(root: Storage, class_id: bytes) -> list[_Entry]:
    """Return the directory: the root, then the members of each storage."""
    entries = [_Entry("Root Entry", _ROOT, class_id=class_id)]
    waiting: list[tuple[_Entry, Storage]] = [(entries[0], root)]
    for parent, storage in waiting:
        first = len(entries)
        # Names are compared by length, then without case.
        for name in sorted(storage, key=lambda name: (len(name.encode("utf-16-le")), name.upper())):
            member = storage[name]
            if isinstance(member, bytes):
                entries.append(_Entry(name[:_MOST_CHARACTERS], _STREAM, member))
            else:
                entries.append(_Entry(name[:_MOST_CHARACTERS], _FOLDER))
                waiting.append((entries[-1], member))
        parent.child = _balanced(entries, first, len(entries))
    return entries


def _balanced(entries: Sequence[_Entry], first: int, last: int) -> int:
    """Make a tree of the entries from `first` to before `last`, and return its top."""
    if first >= last:
        return _FREE
    middle = (first + last) // 2
    entries[middle].left = _balanced(entries, first, middle)
    entries[middle].right = _balanced(entries, middle + 1, last)
    return middle


@dataclass
class _Sectors:
    """Contents, one after the other, and the table in which each sector names the one after it."""

    size: int
    data: bytearray = field(default_factory=bytearray)
    table: list[int] = field(default_factory=list)

    def add(self, content: bytes | bytearray, filler: bytes = b"\0") -> int:
        """Put a content behind the others, and return its first sector."""
        if not content:
            return _END
        start = len(self.table)
        self.data += content
        self.data += filler * (-len(content) % self.size)
        count = len(self.data) // self.size - start
        self.table += [*range(start + 1, start + count), _END]
        return start


def _tables_for(sectors: int) -> tuple[int, int]:
    """Return how many sectors the table takes, itself included, and how many the list of these."""
    tables = more = 0
    while tables * _IN_SECTOR < sectors + tables + more:
        tables = -(-(sectors + tables + more) // _IN_SECTOR)
        more = max(0, -(-(tables - _IN_HEADER) // (_IN_SECTOR - 1)))
    return tables, more


def _table_of_tables(places: Sequence[int], own_place: int) -> bytes:
    """Return the sectors that list those sectors of the table for which the header has no room."""
    packed = b""
    step = _IN_SECTOR - 1
    for number, begin in enumerate(range(0, len(places), step), 1):
        shown = [*places[begin : begin + step]]
        following = own_place + number if begin + step < len(places) else _END
        packed += struct.pack(f"<{_IN_SECTOR}I", *shown, *([_FREE] * (step - len(shown))), following)
    return packed
