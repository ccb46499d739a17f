"""What Outlook writes beside a mail: `winmail.dat`, in the form of [MS-OXTNEF]."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

TEXT, BINARY, OBJECT, NUMBER, TIME = 0x1F, 0x102, 0xD, 0x3, 0x40
_MESSAGE_ID = bytes.fromhex("0703020000000000c000000000000046")


@dataclass
class Winmail:
    """A message to pack; `named` are properties with a number for a name."""

    subject: str
    properties: Mapping[int, tuple[int, bytes]] = field(default_factory=dict)
    named: Mapping[int, tuple[int, bytes]] = field(default_factory=dict)
    recipients: Iterable[str] = ()
    attached: Mapping[str, bytes | Winmail] = field(default_factory=dict)
    body: bytes = b""


def winmail(message: Winmail) -> bytes:
    """The bytes of `winmail.dat`."""
    out = struct.pack("<IH", 0x223E9F78, 1)
    out += _attribute(1, 0x9006, 0x8, struct.pack("<I", 0x10000))
    out += _attribute(1, 0x9007, 0x6, struct.pack("<II", 1252, 0))
    out += _attribute(1, 0x8004, 0x1, message.subject.encode("cp1252") + b"\0")
    out += _attribute(1, 0x8005, 0x3, struct.pack("<7H", 2024, 5, 3, 9, 41, 0, 5))
    if message.body:
        out += _attribute(1, 0x800C, 0x2, message.body + b"\0")
    people = [{0x3001: (TEXT, _wide(one)), 0x0C15: (NUMBER, b"\1\0\0\0")} for one in message.recipients]
    if people:
        rows = b"".join(map(_properties, people))
        out += _attribute(1, 0x9004, 0x6, struct.pack("<I", len(people)) + rows)
    out += _attribute(1, 0x9003, 0x6, _properties(message.properties, message.named))
    for name, content in message.attached.items():
        out += _attribute(2, 0x9002, 0x6, bytes(14))
        out += _attribute(2, 0x8010, 0x1, name.encode("cp1252", "replace") + b"\0")
        stated = {0x3707: (TEXT, _wide(name))}
        if isinstance(content, Winmail):
            stated[0x3701] = (OBJECT, _MESSAGE_ID + winmail(content))
        else:
            out += _attribute(2, 0x800F, 0x6, content)
        out += _attribute(2, 0x9005, 0x6, _properties(stated))
    return out


def _wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def _attribute(level: int, number: int, kind: int, data: bytes) -> bytes:
    head = struct.pack("<BHHI", level, number, kind, len(data))
    return head + data + struct.pack("<H", sum(data) & 0xFFFF)


def _properties(
    numbered: Mapping[int, tuple[int, bytes]], named: Mapping[int, tuple[int, bytes]] | None = None
) -> bytes:
    named = named or {}
    out = struct.pack("<I", len(numbered) + len(named))
    for number, (kind, data) in numbered.items():
        out += struct.pack("<HH", kind, number) + _value(kind, data)
    for place, (name, (kind, data)) in enumerate(named.items()):
        out += struct.pack("<HH", kind, 0x8000 + place) + bytes(16) + struct.pack("<II", 0, name)
        out += _value(kind, data)
    return out


def _value(kind: int, data: bytes) -> bytes:
    if kind in (NUMBER, TIME):
        return data
    return struct.pack("<II", 1, len(data)) + data + bytes(-len(data) % 4)
