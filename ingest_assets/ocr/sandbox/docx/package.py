"""The package that holds a document: its parts, and how they refer to each other (ECMA-376, part 2).

Belongs here: getting parts out of a ZIP archive, whole or damaged. Does not belong here: what the parts
say.
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, fromstring

from ingest_assets.errors import PermanentError
from ingest_assets.identification.characters import wide_encoding
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES, corrupt
from ingest_assets.text import too_much_text

# XML that one part may unpack to, in bytes. Its tree takes about ten times as much.
_MAX_PART_BYTES = 32_000_000
# Files whose directory does not stand where it should are searched for it, in memory.
MAX_SEARCHED_BYTES = 300_000_000

# ValueError: a name that is not in the encoding that it is said to be in.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    struct.error,
    OSError,
    ValueError,
)
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")
# How OpenDocument's names and its documents began before it was a standard.
_OPEN_OFFICE_1 = re.compile(rb"http://openoffice\.org/2000/(\w+)")
_DECLARATION = re.compile(r"<\?xml[^>]*\?>")
# Control characters, as themselves or by number, which no XML may have and some programs write, and an
# ampersand that begins nothing: no text is lost with the first, nor with the second written as text.
_ILLEGAL = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|x0*(?:[0-8bcef]|1[0-9a-f]));",
    re.IGNORECASE,
)
_LONE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)")
_LOCAL_HEADER = re.compile(rb"PK\x03\x04.{26}", re.DOTALL)


@dataclass(frozen=True)
class Relation:
    """One part's reference to another.

    Attributes:
        kind: last word of its type, such as `header`.
        target: name of the part, or an address outside of the package.
        is_external: whether it leads out of the package.
    """

    kind: str
    target: str
    is_external: bool


class Package:
    """An open package. Names of parts are compared without case, as the standard wants it.

    Args:
        what: what a person calls such a document.

    Raises:
        PermanentError: `corrupt_document`, `encrypted`.

    Attributes:
        notes: what was damaged.
    """

    damaged = _DAMAGED

    def __init__(self, file: Path | bytes, what: str = "DOCX") -> None:
        self.notes: list[Note] = []
        self._what = what
        self._relations: dict[str, dict[str, Relation]] = {}
        self._archive: zipfile.ZipFile | None = None
        self._salvaged: dict[str, bytes] = {}
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file)
        except _DAMAGED:
            self._open_damaged(file)
        names = self._archive.namelist() if self._archive is not None else list(self._salvaged)
        self._names = {_normal(name): name for name in names}

    def close(self) -> None:
        """Close the file."""
        if self._archive is not None:
            self._archive.close()

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a part of that name."""
        return _normal(name) in self._names

    def names(self) -> list[str]:
        """Return the names of all parts that are files, as the archive says them."""
        return [name for name in self._names.values() if not name.endswith("/")]

    def has_folder(self, name: str) -> bool:
        """Tell whether there are parts in a folder."""
        return any(part.startswith(f"{name}/") for part in self._names)

    def read(self, name: str, most: int = MAX_DECODED_BYTES) -> bytes | None:
        """Return a part's bytes, at most so many and one more; None and a note where it is damaged."""
        member = self._names.get(_normal(name))
        if member is None:
            return None
        if self._archive is None:
            return self._salvaged[member][: most + 1]
        try:
            with self._archive.open(member) as part:
                return part.read(most + 1)  # What the directory says of its size may be a lie.
        except _DAMAGED as error:
            self._note(name, str(error))
            return None
        except RuntimeError as error:  # How zipfile says that a member is encrypted.
            raise PermanentError(
                "encrypted", f"The {self._what} cannot be opened without its password."
            ) from error

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a part that is too large for a tree. Reading it may raise what `damaged` lists."""
        data = None if self._archive is not None else self.read(name)
        try:
            with (
                io.BytesIO(data or b"")
                if self._archive is None
                else self._archive.open(self._names[_normal(name)])
            ) as part:
                yield part  # type: ignore[misc]  # an IO of bytes either way
        except RuntimeError as error:
            raise PermanentError(
                "encrypted", f"The {self._what} cannot be opened without its password."
            ) from error

    def mended(self, name: str) -> BinaryIO:
        """Return a part of XML, up to 32 MB of it, without characters that it may not have."""
        return io.BytesIO(_legal(self.read(name, _MAX_PART_BYTES) or b""))

    def xml(self, name: str) -> Element | None:
        """Return the tree of a part, as far as it can be read; None where there is none.

        Raises:
            PermanentError: `too_much_text`, or `corrupt_document` where it declares entities.
        """
        data = self.read(name, _MAX_PART_BYTES)
        if not data:
            return None
        if len(data) > _MAX_PART_BYTES:
            raise too_much_text()
        if (wide := wide_encoding(data)) is not None:
            text = data[wide[1] :].decode(wide[0], "replace")
            data = _DECLARATION.sub("", text, count=1).encode()
        if _OPEN_OFFICE_1.search(data):
            data = _OPEN_OFFICE_1.sub(rb"urn:oasis:names:tc:opendocument:xmlns:\1:1.0", data)
        # The strict form of the standard says the same in other namespaces.
        data = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", data)
        try:
            return _tree(data)
        except DefusedXmlException as error:
            raise corrupt(f"the XML in the {self._what} declares entities") from error
        except (ParseError, ValueError, LookupError) as error:
            fault = str(error)
        data = _legal(data)
        with contextlib.suppress(ParseError, ValueError, LookupError):
            return _tree(data)
        self._note(name, fault)
        return _begun(data)

    def relations(self, name: str) -> dict[str, Relation]:
        """Return what a part refers to, by the identifiers that its XML uses."""
        if name not in self._relations:
            folder, base = posixpath.split(name)
            root = self.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
            found = root.iter() if root is not None else ()
            self._relations[name] = {
                element.get("Id", ""): _relation(element, folder)
                for element in found
                if element.tag.endswith("}Relationship")
            }
        return self._relations[name]

    def related(self, name: str, kind: str) -> Iterator[str]:
        """Yield the names of the parts of one kind that a part refers to, each once."""
        seen = set()
        for relation in self.relations(name).values():
            target = relation.target
            if relation.kind == kind and not relation.is_external and target not in seen:
                seen.add(target)
                if target in self:
                    yield target

    def pictures(self, name: str) -> tuple[dict[str, None], list[Note]]:
        """Return the pictures that a part refers to, in their order, and notes of those elsewhere."""
        images = [one for one in self.relations(name).values() if one.kind == "image"]
        within = dict.fromkeys(one.target for one in images if not one.is_external)
        elsewhere = Note("image_unreadable", "a picture that is not within the file")
        return within, [elsewhere for one in images if one.is_external]

    def main_part(self) -> str:
        """Return the name of the part that is the document."""
        for name in self.related("", "officeDocument"):
            return name
        for name in ("word/document.xml", "word/document2.xml"):
            if name in self:
                return name
        raise corrupt(f"the {self._what} names no main part")

    def _note(self, name: str, why: str) -> None:
        note = Note("content_unreadable", f"the part {name} is damaged ({why[:100]})")
        if note not in self.notes:
            self.notes.append(note)

    def _open_damaged(self, file: Path | bytes) -> None:
        """Open an archive that other bytes follow, or one that has lost its directory."""
        if not isinstance(file, bytes):
            with file.open("rb") as opened:
                file = opened.read(MAX_SEARCHED_BYTES)
        end = file.rfind(b"PK\x05\x06")
        if end >= 0 and len(file) >= end + 22:
            end += 22 + struct.unpack_from("<H", file, end + 20)[0]
            with contextlib.suppress(*_DAMAGED):
                self._archive = zipfile.ZipFile(io.BytesIO(file[:end]))
                return
        self._salvaged = dict(salvaged(file))
        if not self._salvaged:
            raise corrupt(f"it is not a whole {self._what} archive")
        self.notes.append(Note("repaired", "the archive was cut short: parts of it may be missing"))


def _normal(name: str) -> str:
    return posixpath.normpath(unquote(name).replace("\\", "/")).lstrip("/").casefold()


def _relation(element: Element, folder: str) -> Relation:
    kind = element.get("Type", "").rsplit("/", 1)[-1]
    target = element.get("Target", "")
    if element.get("TargetMode") == "External":
        return Relation(kind, target, True)
    target = posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")
    return Relation(kind, target, False)


def salvaged(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the members whose headers are found, as far as their bytes go."""
    view = memoryview(data)
    place = 0
    left = MAX_DECODED_BYTES
    while (header := _LOCAL_HEADER.search(data, place)) is not None and left > 0:
        flags, method, size, name, extra = struct.unpack_from("<HH8xI4xHH", data, header.start() + 6)
        begin = header.end() + name + extra
        place = header.end()
        content = view[begin : begin + size] if size else view[begin:]
        if method == 8:
            unpacked = _inflated(content, left)
        elif method == 0 and size:
            unpacked = bytes(content[:left])
        else:
            continue
        left -= len(unpacked)
        encoding = "utf-8" if flags & 0x800 else "cp437"
        yield data[header.end() : header.end() + name].decode(encoding, "replace"), unpacked


def _inflated(data: memoryview, most: int) -> bytes:
    """Unpack as much as there is: in small steps, so that what was right before a fault is kept."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    with contextlib.suppress(zlib.error):
        for place in range(0, len(data), 4096):
            out += unpacker.decompress(data[place : place + 4096], max(1, most - len(out)))
            if unpacker.eof or len(out) >= most:
                break
    return bytes(out)


def _legal(data: bytes) -> bytes:
    """Return XML without what it may not have."""
    return _ILLEGAL.sub(b" ", _LONE_AMPERSAND.sub(b"&amp;", data))


def xml_root(data: bytes) -> Element:
    """Return the root of a document that is one XML file.

    Raises:
        PermanentError: `corrupt_document`, `too_much_text`.
    """
    if len(data) > _MAX_PART_BYTES:
        raise too_much_text()
    try:
        return _tree(data)
    except (DefusedXmlException, ParseError, ValueError, LookupError) as error:
        raise corrupt(f"its XML cannot be read ({str(error)[:100]})") from error


def _tree(data: bytes) -> Element:
    root: Element = fromstring(data)
    return root


class _Beginning(TreeBuilder):
    """Keeps its first element in sight, so that a tree that is not finished can be had."""

    root: Element | None = None

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        """Begin an element."""
        element = super().start(tag, attrs)
        if self.root is None:
            self.root = element
        return element


def _begun(data: bytes) -> Element | None:
    """Return the tree of XML that is not well-formed, up to the fault."""
    builder = _Beginning()
    parser = DefusedXMLParser(target=builder)
    with contextlib.suppress(ParseError, ValueError, LookupError):
        for place in range(0, len(data), 1024):
            parser.feed(data[place : place + 1024])
        parser.close()
    # The builder holds back text until the next tag.
    with contextlib.suppress(AssertionError, IndexError, ValueError):
        builder.close()
    return builder.root
