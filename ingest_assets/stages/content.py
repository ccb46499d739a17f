"""What a file is: its digest, its size and its type.

Belongs here: one pass over the bytes, and the question after the type. Does not belong here: how a
type is recognised (`identification`), and reading text, which `ocr` does in a process with limits.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import BinaryIO

from ingest_assets.formats import Format
from ingest_assets.identification import identify

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Content:
    """What was found.

    Attributes:
        sha256: hex digest.
        size_bytes: number of bytes that were read.
        format: the type, by content; perhaps none that is read.
    """

    sha256: str
    size_bytes: int
    format: Format


def examine(file: BinaryIO, size_bytes: int) -> Content:
    """Read a file once, in bounded memory, and look at some places again.

    Args:
        size_bytes: as it was when the file was found. One byte more is read if there is one: what grows
            while it is read has no end.
    """
    digest = hashlib.sha256()
    size = 0
    while size <= size_bytes and (block := file.read(min(_BLOCK_BYTES, size_bytes + 1 - size))):
        digest.update(block)
        size += len(block)
    file.seek(0, io.SEEK_SET)
    return Content(digest.hexdigest(), size, identify(file))
