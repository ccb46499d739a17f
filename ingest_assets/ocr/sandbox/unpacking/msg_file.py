"""Properties of messages as Outlook writes them to a file ([MS-OXMSG], 2.4).

Belongs here: what makes a MSG of a message that was kept in another way. Does not belong here: where
its properties come from (`pst`, `tnef`), and what they mean (`ocr.sandbox.msg`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from ingest_assets.ocr.sandbox.msg import ATTACHMENT, PROPERTIES, RECIPIENT, STREAM
from ingest_assets.ocr.sandbox.ole import Storage

# Types of values that stand in the list of properties, by their size; others are streams of their own.
FIXED = {0x2: 2, 0x3: 4, 0x4: 4, 0x5: 8, 0x6: 8, 0x7: 8, 0xA: 4, 0xB: 2, 0x14: 8, 0x40: 8}
TEXT, TEXT_OF_8_BITS, BINARY, CLASS_ID = 0x1F, 0x1E, 0x102, 0x48
# Bytes before the properties of a message, of one within another, and of recipients and attachments.
IN_MESSAGE, IN_INNER_MESSAGE, IN_PART = 32, 24, 8
_STREAMS = (TEXT, TEXT_OF_8_BITS, BINARY, CLASS_ID)
_OF_BOTH = 6  # Flags of a property: it may be read, and written.


class Property(NamedTuple):
    """One property: its number, the type of its value, and the bytes of that."""

    number: int
    kind: int
    data: bytes


def properties(found: Iterable[Property], head: int) -> Storage:
    """Return the list of properties, and the streams of those that are long.

    Args:
        head: bytes before the first of them, such as `IN_MESSAGE`.
    """
    listed = bytearray(head)
    storage: dict[str, bytes] = {}
    for number, kind, data in found:
        if size := FIXED.get(kind):
            value = data[:size].ljust(8, b"\0")
        elif kind in _STREAMS and data:
            value = struct.pack("<II", len(data), 0)
            storage[f"{STREAM}{number:04X}{kind:04X}"] = data
        else:
            continue
        listed += struct.pack("<HHI", kind, number, _OF_BOTH) + value
    storage[PROPERTIES] = bytes(listed)
    return storage


def message(
    found: Iterable[Property],
    recipients: Iterable[Iterable[Property]],
    attachments: Iterable[Storage],
    head: int = IN_MESSAGE,
) -> Storage:
    """Return a message: its properties, those of each recipient, and the storages of attachments."""
    storage: dict[str, Any] = dict(properties(found, head))
    for number, entries in enumerate(recipients):
        storage[f"{RECIPIENT}#{number:08X}"] = properties(entries, IN_PART)
    for number, attachment in enumerate(attachments):
        storage[f"{ATTACHMENT}#{number:08X}"] = attachment
    return storage
