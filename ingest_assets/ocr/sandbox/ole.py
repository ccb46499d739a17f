"""Files of old Microsoft programs: streams in a file, and records in a stream.

Belongs here: what DOC, XLS, PPT and MSG have in common. Does not belong here: what a stream says.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias, Union

import olefile

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES, corrupt

Storage: TypeAlias = Mapping[str, Union[bytes, "Storage"]]

_MACROS = ("_VBA_PROJECT_CUR", "Macros", "VBA")
_POOL, _OF_A_SHEET = "ObjectPool", "MBD"
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
    """An open file, given by its path or its bytes.

    Raises:
        PermanentError: `corrupt_document`.
    """

    def __init__(self, file: Path | BinaryIO) -> None:
        try:
            self._file = olefile.OleFileIO(file)
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

    def storage(self, name: str) -> Storage:
        """Return all streams and storages in a storage, by their names; none where there is none."""
        root: dict[str, Any] = {}
        steps = name.split("/") if name else []
        for path in self.names():
            if [step.casefold() for step in path[: len(steps)]] == [step.casefold() for step in steps]:
                inside = root
                for step in path[len(steps) : -1]:
                    inside = inside.setdefault(step, {})
                if len(path) > len(steps):
                    inside[path[-1]] = self.read("/".join(path))
        return root

    def objects(self) -> list[str]:
        """Return the storages in which other programs keep what is embedded in the document."""
        found: dict[str, None] = {}
        for path in self.names():
            if len(path) > 2 and path[0] == _POOL:
                found[f"{path[0]}/{path[1]}"] = None
            elif len(path) > 1 and path[0].startswith(_OF_A_SHEET):
                found[path[0]] = None
        return list(found)

    def class_id(self, name: str) -> bytes:
        """Return which program a storage is of; empty where it does not say."""
        stated = self._file.getclsid(name)
        return uuid.UUID(stated).bytes_le if stated else b""

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
        if self.objects():
            yield Note("attachment_unread", "a file of another program is embedded in it")
