"""What Outlook packs beside a mail as `winmail.dat` (TNEF), as the MSG that Outlook would save.

Belongs here: the stream of attributes, and the properties in it ([MS-OXTNEF]). Does not belong here:
what the properties mean (`ocr.sandbox.msg`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.msg import NAMED, STREAM
from ingest_assets.ocr.sandbox.ole import Storage
from ingest_assets.ocr.sandbox.unpacking.msg_file import (
    BINARY,
    CLASS_ID,
    FIXED,
    IN_INNER_MESSAGE,
    IN_MESSAGE,
    IN_PART,
    TEXT_OF_8_BITS,
    Property,
    message,
    properties,
)

SIGNATURE = b"\x78\x9f\x3e\x22"
_OF_ATTACHMENT = 2
_LEVELS = (b"\1", b"\2")
_PROPERTIES, _RECIPIENTS, _CODE_PAGE, _FROM, _SENT = 0x9003, 0x9004, 0x9007, 0x8000, 0x8005
_NEXT_ATTACHMENT, _ATTACHMENTS_PROPERTIES = 0x9002, 0x9005
# Attributes that say what a property says, in 8 bits: the property's number and type. Where a message
# has both, the property counts.
_AS_PROPERTIES = {
    **{0x8004: (0x0037, TEXT_OF_8_BITS), 0x8008: (0x001A, TEXT_OF_8_BITS)},
    **{0x800C: (0x1000, TEXT_OF_8_BITS), 0x8009: (0x1035, TEXT_OF_8_BITS)},
    **{0x8010: (0x3704, TEXT_OF_8_BITS), 0x800F: (0x3701, BINARY)},
}
_SUBMITTED, _CODE_PAGE_OF_MESSAGE, _NAME_OF_SENDER, _ADDRESS_OF_SENDER = 0x0039, 0x3FFD, 0x0C1A, 0x0C1F
_TIME, _NUMBER, _OBJECT = 0x40, 0x3, 0xD
_CONTENT = 0x3701  # Of an attachment.
_SEVERAL, _FIRST_NAMED = 0x1000, 0x8000
# Before the content of an attachment that is an object: which kind of object. Of these it is a message.
_A_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")
_KIND_BYTES = 16
_EPOCH = datetime(1601, 1, 1, tzinfo=timezone.utc)
_DEEPEST = 20
_INNER_MESSAGE = f"{STREAM}{_CONTENT:04X}{_OBJECT:04X}"


def message_in(data: bytes) -> Storage:
    """Return the message that a stream of TNEF holds.

    Raises:
        PermanentError: `corrupt_document`.
    """
    return _message(data, IN_MESSAGE, 0)


@dataclass
class _Attachment:
    properties: dict[int, Property] = field(default_factory=dict)
    message: bytes = b""


def _message(data: bytes, head: int, depth: int) -> Storage:
    if not data.startswith(SIGNATURE) or depth > _DEEPEST:
        raise corrupt("it is no stream of TNEF, or one that holds too many others")
    names = _Names()
    found: dict[int, Property] = {}
    recipients: list[dict[int, Property]] = []
    attachments: list[_Attachment] = []
    try:
        for level, number, value in _attributes(data):
            if number == _NEXT_ATTACHMENT:
                attachments.append(_Attachment())
            elif level == _OF_ATTACHMENT:
                if not attachments:
                    attachments.append(_Attachment())
                _read_attachment(number, value, attachments[-1], names)
            elif number == _RECIPIENTS:
                recipients += _Reader(value, names).sets()
            else:
                _read_attribute(number, value, found, names)
    except (struct.error, UnicodeDecodeError) as error:
        raise corrupt(f"the properties of its message cannot be read ({error})") from error
    storage = message(
        found.values(),
        (entries.values() for entries in recipients),
        (_attached(attachment, depth) for attachment in attachments),
        head,
    )
    return {**storage, **names.storage()}


def _attached(attachment: _Attachment, depth: int) -> Storage:
    storage: dict[str, Any] = dict(properties(attachment.properties.values(), IN_PART))
    if attachment.message:
        storage[_INNER_MESSAGE] = _message(attachment.message, IN_INNER_MESSAGE, depth + 1)
    return storage


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the attributes: level, number and value. What follows the last of them is not theirs."""
    place = 6
    while data[place : place + 1] in _LEVELS:
        level, number, length = struct.unpack_from("<BH2xI", data, place)
        value = data[place + 9 : place + 9 + length]
        if len(value) < length:
            raise corrupt("it is cut short")
        yield level, number, value
        place += 9 + length + 2  # A sum to check it by.
    if place == 6:
        raise corrupt("there is nothing in it")


def _read_attribute(number: int, value: bytes, found: dict[int, Property], names: _Names) -> None:
    if number == _PROPERTIES:
        found |= _Reader(value, names).one_set()
    elif number in _AS_PROPERTIES:
        _add(found, Property(*_AS_PROPERTIES[number], value.rstrip(b"\0")))
    elif number == _CODE_PAGE:
        _add(found, Property(_CODE_PAGE_OF_MESSAGE, _NUMBER, value[:4]))
    elif number == _SENT:
        with suppress(ValueError):
            year, month, day, hour, minute, second = struct.unpack_from("<6H", value)
            moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
            ticks = int((moment - _EPOCH).total_seconds()) * 10_000_000
            _add(found, Property(_SUBMITTED, _TIME, struct.pack("<Q", ticks)))
    elif number == _FROM:
        name, address = struct.unpack_from("<HH", value, 4)
        stated = value[8 + name : 8 + name + address].rstrip(b"\0").rpartition(b":")[2]
        _add(found, Property(_NAME_OF_SENDER, TEXT_OF_8_BITS, value[8 : 8 + name].rstrip(b"\0")))
        _add(found, Property(_ADDRESS_OF_SENDER, TEXT_OF_8_BITS, stated))


def _read_attachment(number: int, value: bytes, attachment: _Attachment, names: _Names) -> None:
    found = attachment.properties
    if number in _AS_PROPERTIES:
        _add(found, Property(*_AS_PROPERTIES[number], value))
    elif number == _ATTACHMENTS_PROPERTIES:
        stated = _Reader(value, names).one_set()
        content = stated.get(_CONTENT)
        if content is not None and content.kind == _OBJECT:
            inner = content.data[_KIND_BYTES:]
            if content.data.startswith(_A_MESSAGE):
                attachment.message = inner
            stated[_CONTENT] = Property(_CONTENT, BINARY, b"" if attachment.message else inner)
        found |= {place: one for place, one in stated.items() if one.data}


def _add(found: dict[int, Property], stated: Property) -> None:
    found.setdefault(stated.number, stated)


class _Names:
    """Numbers for the properties that have a name instead; those with a word for a name have none."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def number(self, name: int) -> int:
        """Return the number of a name that is a number itself."""
        return self._numbers.setdefault(name, _FIRST_NAMED + len(self._numbers))

    def storage(self) -> Storage:
        """Return the list of names as a message has it."""
        listed = b"".join(
            struct.pack("<IHH", name, 0, number - _FIRST_NAMED)
            for name, number in self._numbers.items()
        )
        return {NAMED: {f"{STREAM}0003{BINARY:04X}": listed}} if listed else {}


class _Reader:
    """Reads lists of properties from their bytes."""

    def __init__(self, data: bytes, names: _Names) -> None:
        self._data = data
        self._names = names
        self._place = 0

    def sets(self) -> Iterator[dict[int, Property]]:
        """Yield the lists of properties of several items."""
        for _ in range(self._integer()):
            yield self.one_set()

    def one_set(self) -> dict[int, Property]:
        """Return the properties of one item, by number."""
        found: dict[int, Property] = {}
        for _ in range(self._integer()):
            kind, number = struct.unpack("<HH", self._bytes(4))
            if number >= _FIRST_NAMED:
                number = self._named()
            values = self._values(kind)
            if number and values and not kind & _SEVERAL:
                found[number] = Property(number, kind, values[0])
        return found

    def _values(self, kind: int) -> list[bytes]:
        size = FIXED.get(kind & ~_SEVERAL) or (16 if kind & ~_SEVERAL == CLASS_ID else None)
        if size is None:
            return [self._padded(self._integer()) for _ in range(self._integer())]
        return [self._padded(size) for _ in range(self._integer() if kind & _SEVERAL else 1)]

    def _named(self) -> int:
        self._bytes(16)  # Whose name it is.
        if self._integer() == 0:
            return self._names.number(self._integer())
        self._padded(self._integer())
        return 0

    def _padded(self, length: int) -> bytes:
        data = self._bytes(length)
        self._bytes(-length % 4)
        return data

    def _integer(self) -> int:
        return int(struct.unpack("<I", self._bytes(4))[0])

    def _bytes(self, length: int) -> bytes:
        data = self._data[self._place : self._place + length]
        if len(data) < length:
            raise struct.error("it is cut short")
        self._place += length
        return data
