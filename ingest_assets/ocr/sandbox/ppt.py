"""PPT: what the slides of PowerPoint's binary presentations show, and their notes.

Belongs here: its records ([MS-PPT]). Does not belong here: the file's streams (`ole`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import check_page_count, corrupt
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.ole import OleFile, pictures_in

# Types of records, and the two lists of slides that the document has.
_SLIDE, _SLIDE_ATOM, _NOTES, _LIST, _PERSIST, _DIRECTORY = 1006, 1007, 1008, 4080, 1011, 6002
_WIDE, _NARROW, _STRING, _COMMENT, _TAGS = 4000, 4008, 4026, 12000, 5003
_OBJECT, _PACKED = 0x1011, 1
_SHAPE, _PLACEHOLDER = 0xF004, 3011
_SLIDES, _MASTERS, _NOTES_LIST = 0, 1, 2
# Properties that PowerPoint 2000 added, and of one paragraph that it is counted ([MS-PPT], 2.9.68).
_STYLES_9, _COUNTED = 4012, re.compile(rb"\0\0(?:\0\x03|\x80\x03..)\x01\0", re.DOTALL)
_ENCRYPTED = 0xF3D1C4DF
_FIELD = "*"  # Stands for a number, a date or a footer.


@dataclass(frozen=True)
class _Record:
    kind: int
    instance: int
    is_container: bool
    start: int
    end: int


def read_ppt(path: Path) -> IllustratedDocument:
    """Read a presentation: a page for each slide, in the order of the show, then its pictures."""
    with OleFile(path) as file:
        data = file.read("PowerPoint Document")
        user = file.read("Current User")
        notes = list(file.notes())
        stored = file.read("Pictures")
    pictures = pictures_in(stored)
    if any(stored_objects(data)):
        notes.append(Note("attachment_unread", "a file of another program is embedded in it"))
    if stored.strip(b"\0") and not pictures:
        notes.append(Note("image_unreadable", "pictures that were not looked at"))
    try:
        if struct.unpack_from("<I", user, 12)[0] == _ENCRYPTED:
            raise PermanentError("encrypted", "The PPT cannot be opened without its password.")
        show = _Show(data, struct.unpack_from("<I", user, 16)[0])
        pages = ["\n".join(page) for page in show.pages()]
        if show.is_counted:
            notes.append(Note("content_unreadable", "the numbers before its paragraphs"))
    except (struct.error, KeyError, RecursionError) as error:
        raise corrupt(f"the PPT's records cannot be read ({error!r:.100})") from error
    check_page_count(len(pages))
    return IllustratedDocument(pages, pictures, pictures.__getitem__, lambda: dict.fromkeys(notes))


def stored_objects(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield what other programs keep in a presentation: whether it is packed, and its bytes."""
    place = 0
    while place + 8 <= len(data):
        head, kind, length = struct.unpack_from("<HHI", data, place)
        if kind == _OBJECT and length:
            yield head >> 4 == _PACKED, data[place + 8 : place + 8 + length]
        place += 8 + length


class _Show:
    """The records of a presentation.

    Args:
        edit: where the last change of it is described.

    Attributes:
        is_counted: whether paragraphs that were read have numbers, which are not stored.
    """

    def __init__(self, data: bytes, edit: int) -> None:
        self._data = data
        self._places: dict[int, int] = {}
        self._shown: set[int] = set()
        self.is_counted = False
        document = None
        seen: set[int] = set()
        while edit not in seen and (edit or not seen):  # Earlier changes are behind later ones.
            seen.add(edit)
            before, directory, reference = struct.unpack_from("<III", data, edit + 16)
            document = reference if document is None else document
            self._read_directory(self._record(directory))
            edit = before
        self._document = self._record(self._places[document or 0])

    def pages(self) -> Iterator[list[str]]:
        """Yield the lines of each slide, with those of its notes."""
        masters, notes = dict(self._listed(_MASTERS)), dict(self._listed(_NOTES_LIST))
        for _, (place, outline) in self._listed(_SLIDES):
            slide = self._record(place)
            lines = [*outline, *self._texts(slide)]
            for record in self._inside(slide):
                if record.kind == _SLIDE_ATOM:
                    master, note = struct.unpack_from("<II", self._data, record.start + 12)
                    if master in masters and master not in self._shown:
                        self._shown.add(master)  # What stands on many slides is shown once.
                        lines += self._texts(self._record(masters[master][0]), is_behind=True)
                    if note in notes:
                        lines += self._texts(self._record(notes[note][0]))
            yield lines

    def _record(self, place: int) -> _Record:
        head, kind, length = struct.unpack_from("<HHI", self._data, place)
        end = min(len(self._data), place + 8 + length)
        is_container = head & 0xF == 0xF or kind == _TAGS
        return _Record(kind, head >> 4, is_container, place + 8, end)

    def _inside(self, record: _Record) -> Iterator[_Record]:
        place = record.start
        while place + 8 <= record.end:
            inner = self._record(place)
            yield inner
            place = inner.end

    def _read_directory(self, record: _Record) -> None:
        place = record.start
        while place + 4 <= record.end:
            head = struct.unpack_from("<I", self._data, place)[0]
            first, count = head & 0xFFFFF, head >> 20
            for index, offset in enumerate(struct.unpack_from(f"<{count}I", self._data, place + 4)):
                self._places.setdefault(first + index, offset)
            place += 4 + 4 * count

    def _listed(self, which: int) -> Iterator[tuple[int, tuple[int, list[str]]]]:
        """Yield the number of each slide, master or note, its place, and its text in the outline."""
        for found in self._inside(self._document):
            if found.kind != _LIST or found.instance != which:
                continue
            entry: tuple[int, tuple[int, list[str]]] | None = None
            for record in self._inside(found):
                if record.kind == _PERSIST:
                    if entry is not None:
                        yield entry
                    reference, *_, identifier = struct.unpack_from("<IIII", self._data, record.start)
                    entry = identifier, (self._places[reference], [])
                elif entry is not None:
                    entry[1][1].extend(self._text(record))
            if entry is not None:
                yield entry

    def _texts(self, record: _Record, *, is_behind: bool = False) -> Iterator[str]:
        """Yield the texts in a record; of what is behind a slide, fields to fill in show nothing."""
        if is_behind and record.kind == _SHAPE and self._holds(record, _PLACEHOLDER):
            return
        if record.kind == _COMMENT:
            for part in self._inside(record):
                if part.kind == _STRING and part.instance == 1:
                    yield self._data[part.start : part.end].decode("utf-16-le", "replace")
        elif record.is_container:
            for inner in self._inside(record):
                yield from self._texts(inner, is_behind=is_behind)
        else:
            yield from self._text(record)

    def _holds(self, record: _Record, kind: int) -> bool:
        return any(
            inner.kind == kind or (inner.is_container and self._holds(inner, kind))
            for inner in self._inside(record)
        )

    def _text(self, record: _Record) -> Iterator[str]:
        if record.kind == _STYLES_9:
            self.is_counted |= bool(_COUNTED.search(self._data, record.start, record.end))
        if record.kind in (_WIDE, _NARROW):
            encoding = "utf-16-le" if record.kind == _WIDE else "latin-1"
            text = self._data[record.start : record.end].decode(encoding, "replace")
            if text.strip() not in ("", _FIELD):
                yield text
