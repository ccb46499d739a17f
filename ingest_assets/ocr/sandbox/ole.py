"""Files of old Microsoft programs: streams in a file, and records in a stream.

Belongs here: what DOC, XLS, PPT and MSG have in common. Does not belong here: what a stream says.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import olefile

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES, corrupt

_MACROS = ("_VBA_PROJECT_CUR", "Macros", "VBA")
_EMBEDDED = ("ObjectPool", "MBD")
# The head of a picture as programs of Office store it: [MS-ODRAW], 2.2.23.
_PICTURE = re.compile(rb"..[\x1d\x1e\x2a]\xf0(....)", re.DOTALL)
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def pictures_in(data: bytes) -> dict[str, bytes]:
    """Return the JPEG and PNG pictures in a stream, each once, by names."""
    found: dict[bytes, None] = {}
    place = 0
    while (head := _PICTURE.search(data, place)) is not None:
        place = head.start() + 1
        for before in (17, 33):  # One identifier or two, and a byte.
            start = head.end() + before
            if data.startswith(_SIGNATURES, start):
                end = head.end() + struct.unpack("<I", head[1])[0]
                found[data[start:end]] = None
                place = max(place, min(end, len(data)))
                break
    return {str(number): picture for number, picture in enumerate(found)}


class OleFile:
    """An open file.

    Raises:
        PermanentError: `corrupt_document`.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = olefile.OleFileIO(path)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:  # It raises any kind on bad bytes.
            raise corrupt(f"its streams cannot be found ({str(error)[:200]})") from error

    def __enter__(self) -> OleFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def names(self) -> list[tuple[str, ...]]:
        """Return the paths of all streams."""
        return [tuple(path) for path in self._file.listdir()]

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a stream, whose path has slashes."""
        return bool(self._file.exists(name))

    def read(self, name: str) -> bytes:
        """Return a stream; empty where there is none, and cut short where it is damaged."""
        if not self._file.exists(name):
            return b""
        try:
            if self._file.get_size(name) > MAX_DECODED_BYTES:
                raise corrupt(f"its stream {name} is larger than any document's")
            with self._file.openstream(name) as stream:
                return bytes(stream.read())
        except (OSError, ValueError, IndexError, struct.error, TypeError) as error:
            raise corrupt(f"its stream {name} cannot be read ({str(error)[:100]})") from error

    def records(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Yield the records of a stream of Excel's: number and content."""
        data = self.read(name)
        place = 0
        while place + 4 <= len(data):
            number, length = struct.unpack_from("<HH", data, place)
            yield number, data[place + 4 : place + 4 + length]
            place += 4 + length

    def notes(self) -> Iterator[Note]:
        """Yield notes of what the file holds besides its own streams: macros and embedded files."""
        tops = {path[0] for path in self.names() if len(path) > 1}
        if any(top in _MACROS for top in tops):
            yield Note("not_shown", "macros, which were not read")
        if any(top.startswith(_EMBEDDED) for top in tops):
            yield Note("attachment_unread", "a file of another program is embedded in it")
