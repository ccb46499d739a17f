"""How a pool and a worker process speak: a message is JSON behind its length in eight bytes.

Belongs here: the form of a message. Does not belong here: what it says, and waiting for it.

Never pickle: the pool reads what a process wrote that a document may have taken over.
"""

from __future__ import annotations

import json
import struct
from typing import Any

_LENGTH = struct.Struct(">Q")
HEADER_BYTES = _LENGTH.size


def encode(message: Any) -> bytes:
    """Return the message as it goes through a pipe.

    A lone surrogate, as the path of a file may hold, becomes its JSON escape.
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
        ValueError: it is no JSON.
    """
    return json.loads(body)
