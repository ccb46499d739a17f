"""Mail stores of Outlook (PST), made by hand: folders, messages, recipients, attachments ([MS-PST])."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_STORE, _NAMES, _ROOT_FOLDER = 0x21, 0x61, 0x122
_FOLDER, _MESSAGE, _ATTACHMENT = 2, 4, 5  # Types of nodes, in the low bits of their numbers.
_FOLDERS_IN_IT, _MESSAGES_IN_IT, _HIDDEN_IN_IT = 0xD, 0xE, 0xF
_RECIPIENTS, _ATTACHMENTS = 0x692, 0x671
_TEXT, _BINARY, _NUMBER, _TIME, _OBJECT = 0x1F, 0x102, 0x3, 0x40, 0xD
_ROW, _ROW_VERSION = 0x67F2, 0x67F3
_NODES_PAGE, _BLOCKS_PAGE = 0x81, 0x80
_LARGEST_IN_HEAP = 3000


@dataclass(frozen=True)
class StoredMail:
    """A message; what is attached is a file by its name, or a message."""

    subject: str
    body: str = ""
    to: str = "Ben <ben@example.org>"
    sender: str = "Ada <ada@example.org>"
    attached: Mapping[str, bytes | StoredMail] = field(default_factory=dict)


def pst(folders: Mapping[str, Sequence[StoredMail]]) -> bytes:
    """A mail store with folders below its root."""
    store = _Store()
    store.node(_STORE, _properties({0x3001: "Store"}))
    # One property with a name: the place of an appointment.
    named = {0x0002: bytes(16), 0x0003: struct.pack("<IHH", 0x8208, 6, 0), 0x0004: bytes(4)}
    store.node(_NAMES, _properties({0x0001: 251, **named}))
    store.node(_ROOT_FOLDER, _properties({0x3001: "Root"}), parent=_ROOT_FOLDER)
    number = 0x400
    numbers = []
    for name, messages in folders.items():
        folder = (number := number + 1) << 5 | _FOLDER
        numbers.append(folder)
        store.node(folder, _properties({0x3001: name, 0x3602: len(messages)}), parent=_ROOT_FOLDER)
        inside = []
        for message in messages:
            inside.append((number := number + 1) << 5 | _MESSAGE)
            data, nodes = store.message(message)
            store.node(inside[-1], data, nodes, parent=folder)
        store.tables(folder, [], inside)
    store.tables(_ROOT_FOLDER, numbers, [])
    return store.written()


class _Store:
    def __init__(self) -> None:
        self._blocks: list[tuple[int, bytes]] = []
        self._nodes: list[tuple[int, int, int, int]] = []

    def node(self, number: int, data: bytes, inside: int = 0, parent: int = 0) -> None:
        self._nodes.append((number, self.block(data), inside, parent))

    def tables(self, folder: int, folders: Sequence[int], messages: Sequence[int]) -> None:
        """Say what is in a folder."""
        for kind, rows in ((_FOLDERS_IN_IT, folders), (_MESSAGES_IN_IT, messages), (_HIDDEN_IN_IT, [])):
            self.node(folder & ~0x1F | kind, _table(rows, {}))

    def block(self, data: bytes, internal: int = 0) -> int:
        identifier = 4 * (len(self._blocks) + 1) + internal
        self._blocks.append((identifier, data))
        return identifier

    def message(self, mail: StoredMail) -> tuple[bytes, int]:
        """The properties of a message, and the block that lists the nodes in it."""
        name, address = mail.sender.rstrip(">").split(" <")
        inner = [(_RECIPIENTS, self.block(_recipients(mail.to)), 0)]
        listed = []
        for place, (title, content) in enumerate(mail.attached.items()):
            number = (0x401 + place) << 5 | _ATTACHMENT
            listed.append(number)
            values: dict[int, object] = {0x3707: title, 0x3705: 1}
            within: list[tuple[int, int, int]] = []
            if isinstance(content, StoredMail):
                message = 0x501 << 5 | _MESSAGE
                data, inside = self.message(content)
                within.append((message, self.block(data), inside))
                values |= {0x3705: 5, 0x3701: (message, len(data))}
            else:
                values[0x3701] = content
            inner.append(
                (number, self.block(_properties(values)), self._nodes_in(within) if within else 0)
            )
        if listed:
            inner.append((_ATTACHMENTS, self.block(_table(listed, {})), 0))
        data = _properties(
            {
                0x001A: "IPM.Note",
                0x0037: "\1\1" + mail.subject,
                0x0039: 133_592_028_600_000_000 if mail.subject else 0,  # 2024-05-03 09:41 UTC
                0x0C1A: name,
                0x0C1F: address,
                0x0E07: 1,
                0x0E08: 100,
                0x1000: mail.body,
                0x1035: f"<{mail.subject.encode().hex()}@example.org>",
            }
        )
        return data, self._nodes_in(inner)

    def _nodes_in(self, nodes: list[tuple[int, int, int]]) -> int:
        packed = b"".join(struct.pack("<QQQ", *node) for node in sorted(nodes))
        return self.block(struct.pack("<BBHI", 2, 0, len(nodes), 0) + packed, internal=2)

    def written(self) -> bytes:
        out = bytearray(0x4600)  # The header, and the map of what is free.
        places = []
        for identifier, data in self._blocks:
            place = len(out)
            size = -(-(len(data) + 16) // 64) * 64
            out += data.ljust(size - 16, b"\0")
            out += struct.pack("<HHIQ", len(data), _mark(place, identifier), _crc(data), identifier)
            places.append((identifier, struct.pack("<QQHHI", identifier, place, len(data), 2, 0)))
        out += bytes(-len(out) % 512)
        nodes = [(node[0], struct.pack("<QQQII", *node, 0)) for node in sorted(self._nodes)]
        tops = [_tree(out, _NODES_PAGE, nodes), _tree(out, _BLOCKS_PAGE, sorted(places))]
        header = struct.pack("<2sHHBB8xQQI", b"SM", 23, 19, 1, 1, 0, 0x1000, 1)
        header += struct.pack("<32I", *([0x400] * 32)) + bytes(8)
        header += struct.pack(
            "<IQQQQQQQQBBHI", 0, len(out), 0x4400, 0, 0, *tops[0], *tops[1], 2, 0, 0, 0
        )
        header += b"\xff" * 256 + struct.pack("<BBHQ", 0x80, 0, 0, 4 * len(self._blocks) + 4)
        out[:564] = (
            struct.pack("<4sI", b"!BDN", _crc(header[:471]))
            + header
            + struct.pack("<I", _crc(header[:516]))
            + bytes(36)
        )
        return bytes(out)


def _tree(out: bytearray, kind: int, entries: list[tuple[int, bytes]]) -> tuple[int, int]:
    """Write a tree of pages; returns number and place of its top."""
    level, most = 0, 15
    while True:
        above = []
        for begin in range(0, len(entries), most):
            page = entries[begin : begin + most]
            place, number = len(out), len(out) // 512
            size = len(page[0][1])
            body = b"".join(entry for _, entry in page).ljust(488, b"\0")
            body += struct.pack("<BBBBI", len(page), 488 // size, size, level, 0)
            out += body + struct.pack("<BBHIQ", kind, kind, _mark(place, number), _crc(body), number)
            above.append((page[0][0], struct.pack("<QQQ", page[0][0], number, place)))
        if len(above) == 1:
            return number, place
        entries, level = above, level + 1


def _properties(values: Mapping[int, object]) -> bytes:
    heap = _Heap(0xBC)
    records = b""
    for number, value in sorted(values.items()):
        if isinstance(value, str):
            kind, stored = _TEXT, heap.add(value.encode("utf-16-le"))
        elif isinstance(value, bytes):
            assert len(value) < _LARGEST_IN_HEAP
            kind, stored = _BINARY, heap.add(value)
        elif isinstance(value, tuple):
            kind, stored = _OBJECT, heap.add(struct.pack("<II", *value))
        elif isinstance(value, int) and value > 0xFFFFFFFF:
            kind, stored = _TIME, heap.add(struct.pack("<Q", value))
        else:
            assert isinstance(value, int)
            kind, stored = _NUMBER, value
        records += struct.pack("<HHI", number, kind, stored)
    root = heap.add(records)
    heap.root = heap.add(struct.pack("<BBBBI", 0xB5, 2, 6, 0, root))
    return heap.written()


def _recipients(people: str) -> bytes:
    name, address = people.rstrip(">").split(" <")
    return _table([1], {0x3001: name, 0x3003: address, 0x0C15: 1})


def _table(rows: Sequence[int], values: Mapping[int, str | int]) -> bytes:
    """A table whose rows have these numbers, and all the same values."""
    heap = _Heap(0x7C)
    cells = {_ROW: 0, _ROW_VERSION: 1, **values}
    columns = [
        (0x67F2, 0),
        (0x67F3, 4),
        *((number, 8 + 4 * i) for i, number in enumerate(sorted(values))),
    ]
    described = []
    stored: dict[int, int] = {}
    for bit, (number, place) in enumerate(columns):
        value = cells[number]
        kind = _TEXT if isinstance(value, str) else _NUMBER
        stored[number] = heap.add(value.encode("utf-16-le")) if isinstance(value, str) else value

        described.append(struct.pack("<HHHBB", kind, number, place, 4, bit))
    # By the number of the property.
    described.sort(key=lambda one: struct.unpack_from("<HH", one)[::-1])
    width = 4 * len(columns)
    filled = int("1" * len(columns), 2) << (8 * -(-len(columns) // 8) - len(columns))
    bits = filled.to_bytes(-(-len(columns) // 8), "big")
    matrix = b""
    for row in rows:
        line = {**stored, _ROW: row}
        matrix += b"".join(struct.pack("<I", line[number]) for number, _ in columns) + bits
    index = heap.add(b"".join(struct.pack("<II", row, place) for place, row in enumerate(rows)))
    tree = heap.add(struct.pack("<BBBBI", 0xB5, 4, 4, 0, index))
    lines = heap.add(matrix)
    ends = (width, width, width, width + len(bits))
    head = struct.pack("<BB4HIII", 0x7C, len(columns), *ends, tree, lines, 0)
    heap.root = heap.add(head + b"".join(described))
    return heap.written()


class _Heap:
    """Pieces of data in one block, each with a number."""

    def __init__(self, client: int) -> None:
        self.root = 0
        self._client = client
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> int:
        if not piece:
            return 0
        self._pieces.append(piece)
        return len(self._pieces) << 5

    def written(self) -> bytes:
        data, places = b"", [12]
        for piece in self._pieces:
            data += piece
            places.append(12 + len(data))
        data += bytes(len(data) % 2)
        head = struct.pack("<HBBII", 12 + len(data), 0xEC, self._client, self.root, 0)
        return head + data + struct.pack(f"<HH{len(places)}H", len(self._pieces), 0, *places)


def _crc(data: bytes) -> int:
    return zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _mark(place: int, number: int) -> int:
    mixed = place ^ number
    return (mixed >> 16 ^ mixed) & 0xFFFF
