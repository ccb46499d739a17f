"""Members of archives: ZIP, 7z, TAR, and files that are packed alone.

Belongs here: opening archives member by member. Does not belong here: limits and names (`contents`).
Names of members are names only: nothing is written where they say, and links are not followed.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from inflate64 import Inflater

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd  # What py7zr uses, too.

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.docx.package import MAX_SEARCHED_BYTES, salvaged
from ingest_assets.ocr.sandbox.unpacking.contents import (
    Contents,
    TooManyPartsError,
    blocks_of,
    locked,
    no_file,
)

_UTF8_NAME, _PASSWORD = 0x800, 0x1
_BROKEN = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, tarfile.TarError, zstd.ZstdError)
# Ways to pack that `zipfile` does not know, by their numbers (APPNOTE 6.3.10, 4.4.5): Deflate64, as
# Windows packs what is larger than 2 GB, Zstandard and xz.
_UNPACKERS: Mapping[int, Callable[[], Callable[[bytes], bytes]]] = {
    9: lambda: Inflater().inflate,
    93: lambda: zstd.ZstdDecompressor().decompress,
    95: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY).decompress,
}
# Unpacked in one go: few, because Zstandard makes 32,000 times as many of them at worst.
_PACKED_BYTES = 1024
_MOST_MEMORY = 256 << 20
_OPENERS: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x28\xb5\x2f\xfd": zstd.open,
}


def unpack_zip(path: Path, contents: Contents, name: str) -> None:
    """Take the members out of a ZIP archive, in the order of its directory."""
    try:
        archive = open_zip(path, "a ZIP archive")
    except PermanentError:
        if not _salvage(path, contents):
            raise
        return
    with archive, suppress(TooManyPartsError):
        for member in archive.infolist():
            if not member.filename or member.is_dir():
                continue
            shown = _zip_name(member)
            if stat.S_ISLNK(member.external_attr >> 16):
                contents.refuse(shown, no_file("a link"))
            elif member.flag_bits & _PASSWORD:
                contents.refuse(shown, locked())
            else:
                contents.add(shown, zip_blocks(archive, member), stated_bytes=member.file_size)


def _salvage(path: Path, contents: Contents) -> bool:
    """Take out what is left of an archive without its directory; tell whether there is anything."""
    count = 0
    with path.open("rb") as file, suppress(TooManyPartsError):
        for name, data in salvaged(file.read(MAX_SEARCHED_BYTES)):
            if not name.endswith("/"):
                count += 1
                contents.add(name, [data])
    if count:
        contents.note(
            "container_damaged",
            "it is cut short, or one of several files that an archive was split into: what stands in "
            f"it was taken out as far as it goes, {count} files, and more may have been in it",
        )
    return bool(count)


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name; many programs write UTF-8 and do not say so."""
    if not member.flag_bits & _UTF8_NAME:
        with suppress(UnicodeError):
            return member.filename.encode("cp437").decode()
    return member.filename


def open_zip(file: Path | BinaryIO, what: str) -> zipfile.ZipFile:
    """Open a ZIP archive.

    Raises:
        PermanentError: `corrupt_document`: it is not `what` it should be.
    """
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise corrupt(f"it is not {what} that can be opened ({error})") from error


def zip_blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack a member, block by block; what is packed as `zipfile` does not know it, too."""
    unpacker = _UNPACKERS.get(member.compress_type)
    if unpacker is None:
        with archive.open(member) as file:
            yield from blocks_of(file)
        return
    unpack, checksum = unpacker(), 0
    for packed in _as_packed(archive, member):
        block = unpack(packed)
        checksum = zlib.crc32(block, checksum)
        yield block
    if checksum != member.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")


def _as_packed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the bytes of a member as they stand in the archive (APPNOTE 6.3.10, 4.3.7)."""
    file = archive.fp
    assert file is not None  # noqa: S101  # It is open.
    file.seek(member.header_offset + 26)
    name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
    file.seek(member.header_offset + 30 + name_bytes + extra_bytes)
    left = member.compress_size
    while left and (block := file.read(min(left, _PACKED_BYTES))):
        left -= len(block)
        yield block


def unpack_tar(path: Path, contents: Contents, name: str) -> None:
    """Take the files out of a TAR archive."""
    with path.open("rb") as file:
        _take_tar(file, contents)


def unpack_compressed(path: Path, contents: Contents, name: str) -> None:
    """Take the files out of a TAR archive that is packed, or the one packed file."""
    with path.open("rb") as file:
        signature = file.read(6)
    # LZMA alone has no signature.
    opener = next(
        (opener for start, opener in _OPENERS.items() if signature.startswith(start)), lzma.open
    )
    with opener(path) as file:
        try:
            beginning = file.read(tarfile.BLOCKSIZE)
        except _BROKEN as error:
            raise corrupt(f"it cannot be unpacked ({error})") from error
    with opener(path) as file:
        if beginning[257:262] == b"ustar":
            _take_tar(file, contents)
            return
        inner = PurePosixPath(name)
        unpacked = inner.stem + {".tgz": ".tar"}.get(inner.suffix.lower(), "")
        with suppress(TooManyPartsError):
            contents.add(unpacked or "content", blocks_of(file))


def _take_tar(file: IO[bytes], contents: Contents) -> None:
    """Take files out in one pass. What stands before a damaged place is kept."""
    count = 0
    try:
        # As a stream: an archive that is packed would be unpacked anew for each step back.
        with tarfile.open(fileobj=file, mode="r|") as archive, suppress(TooManyPartsError):
            for member in archive:
                count += 1
                if member.isfile():
                    inner = archive.extractfile(member)
                    contents.add(
                        member.name, blocks_of(inner or io.BytesIO()), stated_bytes=member.size
                    )
                elif member.issym() or member.islnk():
                    contents.refuse(member.name, no_file(f"a link to {member.linkname[:200]!r}"))
                elif not member.isdir():
                    contents.refuse(member.name, no_file("a device or a pipe"))
    except _BROKEN as error:
        if not count:
            raise corrupt(f"it is not a TAR archive that can be opened ({error})") from error
        contents.note(
            "container_damaged",
            f"it is damaged behind its entry {count}, and more may be in it ({error})",
        )
