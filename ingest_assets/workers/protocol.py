"""The messages between a pool and its worker processes: eight bytes of length, then JSON.

Belongs here: the form of a message. Does not belong here: its content, and waiting for it.

JSON and not pickle, because a document may take over the worker that writes the message, and unpickling
it would run its code in the parent.
"""

from __future__ import annotations

import json
import struct
from typing import Any

_LENGTH = struct.Struct(">Q")
HEADER_BYTES = _LENGTH.size


def encode(message: Any) -> bytes:
    """Return a message as bytes for a pipe.

    A lone surrogate, which the path of a file may hold, becomes its JSON escape.
    """
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", errors="backslashreplace")
    return _LENGTH.pack(len(body)) + body


def length_of(header: bytes) -> int:
    """Return the number of bytes that follow this header of `HEADER_BYTES` bytes."""
    (length,) = _LENGTH.unpack(header)
    return int(length)


def decode(body: bytes) -> Any:
    """Return the message of a body.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(body)
