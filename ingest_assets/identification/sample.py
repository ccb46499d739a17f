"""The bytes of a file that its type is judged by.

Belongs here: reading at places, a bounded number of bytes. Does not belong here: what they mean.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cached_property
from typing import BinaryIO

_BYTES = 65_536
# Places between head and tail that are looked at.
_PLACES = 14


class Sample:
    """Parts of a file.

    Attributes:
        size: of the file, in bytes.
        head: its first 64 KiB.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self.head = self.at(0, _BYTES)

    @cached_property
    def tail(self) -> bytes:
        """Its last 64 KiB."""
        return self.head if self.size <= _BYTES else self.at(self.size - _BYTES, _BYTES)

    def at(self, start: int, length: int) -> bytes:
        """Return the bytes from a place on; fewer, or none, where the file has no more."""
        if start < 0 or start >= self.size:
            return b""
        self._file.seek(start)
        data = bytearray()
        while len(data) < length and (block := self._file.read(length - len(data))):
            data += block
        return bytes(data)

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Yield the head, parts from all over the file, and the tail, each with its place.

        All of a file of up to 128 KiB, 1 MiB of a larger one. Places are multiples of 4, as
        characters of two and four bytes need.
        """
        yield 0, self.head
        left = self.size - 2 * _BYTES
        if left > 0:
            step = max(_BYTES, left // _PLACES)
            for place in range(_BYTES, self.size - _BYTES, step):
                yield place & ~3, self.at(place & ~3, min(_BYTES, self.size - _BYTES - place))
        if self.size > _BYTES:
            place = max(_BYTES, self.size - _BYTES) & ~3
            yield place, self.at(place, _BYTES + 3)
