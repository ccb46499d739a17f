"""Members of 7z archives, which py7zr unpacks all in one go.

Belongs here: what py7zr asks of those who take its output. Does not belong here: limits and names.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path

from py7zr import SevenZipFile
from py7zr.exceptions import ArchiveError, PasswordRequired
from py7zr.helpers import get_sanitized_output_path
from py7zr.io import Py7zIO, WriterFactory

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.unpacking.contents import (
    Contents,
    TooManyPartsError,
    blocks_of,
    damaged,
    locked,
    no_file,
)

_BROKEN = (ArchiveError, EOFError, ValueError, TypeError, LookupError, struct.error, lzma.LZMAError)


def unpack_7z(path: Path, contents: Contents, name: str) -> None:
    """Take the members out of a 7z archive, in its order."""
    try:
        # Given as an open file, it is unpacked by one thread, and so in one order.
        with path.open("rb") as file, SevenZipFile(file) as archive:
            _take(archive, contents)
    except PasswordRequired as error:
        raise PermanentError(
            "encrypted", "The archive does not say what is in it without its password."
        ) from error
    except _BROKEN as error:
        raise corrupt(f"it is not a 7z archive that can be opened ({error})") from error


def _take(archive: SevenZipFile, contents: Contents) -> None:
    members = [member for member in archive.files if not member.is_directory]
    needs_password = archive.needs_password()
    refused = {
        member.id: reason
        for member in members
        if (reason := _reason_to_refuse(member.filename, member.is_symlink, needs_password))
    }
    files = _Files(contents)
    contents.seconds = inf  # Each step would unpack all of it.
    fault = ""
    if len(refused) < len(members):
        try:
            archive.extract(
                targets={member.filename for member in members if member.id not in refused},
                factory=files,
            )
        except (*_BROKEN, OSError) as error:
            fault = f"{type(error).__name__}: {error}"
    with suppress(TooManyPartsError):
        for member in members:
            if member.id in refused:
                contents.refuse(member.filename, refused[member.id])
            else:
                contents.add(member.filename, files.blocks(member.filename, member.uncompressed, fault))


def _reason_to_refuse(name: str, is_link: bool, needs_password: bool) -> PermanentError | None:
    if is_link:
        return no_file("a link")
    if needs_password:
        return locked()
    try:
        get_sanitized_output_path(name, None)
    except (ArchiveError, ValueError):
        return damaged("It is not unpacked, because its name leads out of the archive.")
    return None


class _Files(WriterFactory):
    """Has each member written to a file of its own; members of one name come in their order."""

    def __init__(self, contents: Contents) -> None:
        self.left = contents.left()
        self._contents = contents
        self._members: dict[str, _Member] = {}
        self._seen: dict[str, int] = {}

    def create(self, filename: str) -> Py7zIO:
        """Return what a member is written to."""
        member = _Member(self, self._contents.scratch(len(self._members)))
        self._members[filename] = member
        return member

    def blocks(self, name: str, stated_bytes: int, fault: str) -> Iterator[bytes]:
        """Yield what was written of a member, or raise what stood against it."""
        count = self._seen.get(name, 0)
        self._seen[name] = count + 1
        # py7zr's names for members that are called alike.
        written_as = get_sanitized_output_path(name if not count else f"{name}_{count - 1}", None)
        member = self._members.get(written_as.as_posix())
        if member is None or not member.closed:
            if stated_bytes or fault:
                raise ArchiveError(fault or "it is not in the archive")
            return
        if member.overflowed:
            raise self._contents.too_large()
        with member.path.open("rb") as file:
            yield from blocks_of(file)
        member.path.unlink()


class _Member(Py7zIO):
    """Where py7zr writes one member. Past the limit it is dropped, so that the others live."""

    def __init__(self, files: _Files, path: Path) -> None:
        self.path = path
        self.closed = self.overflowed = False
        self._files = files
        self._size = 0
        self._file = path.open("wb")

    def write(self, data: bytes | bytearray) -> int:
        """Take the next bytes."""
        self._size += len(data)
        if not self.overflowed and len(data) > self._files.left:
            self.overflowed = True
            self._files.left += self._file.tell()
            self._file.truncate(0)
        elif not self.overflowed:
            self._files.left -= len(data)
            self._file.write(data)
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        """Return nothing: it is only written."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay where the next bytes go."""
        return 0

    def flush(self) -> None:
        """Leave that to the end."""

    def size(self) -> int:
        """Return how many bytes were taken."""
        return self._size

    def close(self) -> None:
        """End the file: the member is whole."""
        self._file.close()
        self.closed = True
