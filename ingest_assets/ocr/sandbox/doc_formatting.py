"""What binary Word documents say of their characters: which are hidden or signs, which numbers counted.

Belongs here: properties of characters and paragraphs, styles and lists ([MS-DOC], 2.4.6, 2.9). Does not
belong here: the characters themselves (`doc`).
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from ingest_assets.ocr.sandbox import symbols
from ingest_assets.ocr.sandbox.numerals import written

# Where the head says places and lengths in the table stream.
_STYLES, _CHARACTERS, _PARAGRAPHS, _FONTS, _LISTS, _USES = 0xA2, 0xFA, 0x102, 0x112, 0x2E2, 0x2EA
_PAGE = 512
# Properties: [MS-DOC], 2.6. Their upper bits say how long their values are; 0 where the value says it.
_DELETED, _HIDDEN, _LIST, _DEPTH = 0x0800, 0x083C, 0x460B, 0x260A
_SYMBOL, _FONT = 0x6A09, 0x4A4F
# Where the name of a font stands behind its length: [MS-DOC], 2.9.86.
_NAME_OF_FONT = 40
_SIZES = (1, 1, 2, 4, 2, 2, 0, 3)
_TABLE, _TABS = 0xD608, 0xC615
_PARAGRAPH_STYLE = 1
_MOST_LEVELS = 9
_NO_STYLE = 0xFFF
_FORMS = {1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter", 22: "decimalZero"}
_BULLET, _NOTHING = 23, 255
_ENDS = re.compile("[\r\x07\x0c]")
_MADE_OF = _FORMS.keys() | {0, 5, 6, 7}
_BROKEN = (struct.error, IndexError, ValueError)


class Piece(NamedTuple):
    """Characters that stand together in the file: from `start` on, `width` bytes each at `offset`."""

    start: int
    end: int
    offset: int
    width: int


class _Other(NamedTuple):
    """Characters that show as others.

    Attributes:
        font: has signs for them; empty where they do not show at all.
        code: the sign that each of them stands for; None where it is their own.
    """

    start: int
    end: int
    font: str
    code: int | None

    def shown(self, text: str) -> str:
        if self.code is not None:
            return symbols.sign(self.font, self.code) * len(text)
        return symbols.signs(self.font, text) if self.font else ""


class _Paragraph(NamedTuple):
    style: int
    use: int | None
    depth: int | None


class _Level(NamedTuple):
    start: int
    form: int
    text: str


@dataclass
class _Counts:
    numbers: list[int | None] = field(default_factory=lambda: [None] * _MOST_LEVELS)


class Formatting:
    """The properties of all characters of a document; what is damaged of them is passed over.

    Args:
        head: the stream `WordDocument`.
        table: the stream with the tables.
    """

    def __init__(self, head: bytes, table: bytes, pieces: list[Piece]) -> None:
        self._head, self._table = head, table
        self._pieces = pieces
        self._starts = [piece.start for piece in pieces]
        self._fonts: list[str] = []
        with suppress(*_BROKEN):
            self._read_fonts()
        self._others = sorted(self._other_characters(), key=lambda other: other[:2])
        self._other_starts = [other.start for other in self._others]
        self._ends: list[int] = []
        self._paragraphs: list[_Paragraph] = []
        self._styles: dict[int, tuple[int, _Paragraph]] = {}
        self._levels: dict[tuple[int, int], _Level] = {}
        self._lists: list[int] = []
        self._counts: dict[int, _Counts] = {}
        with suppress(*_BROKEN):
            self._read_lists()
        if self._lists:
            with suppress(*_BROKEN):
                self._read_styles()
            with suppress(*_BROKEN):
                self._read_paragraphs()

    def shown(self, raw: str, start: int, end: int) -> str:
        """Return the characters between two places as they show: numbered, without what is hidden."""
        pieces: list[str] = []
        begin = start
        for mark in _ENDS.finditer(raw, start, end):
            pieces += (self._label(mark.start()), self._seen(raw, begin, mark.end()))
            begin = mark.end()
        pieces.append(self._seen(raw, begin, end))
        return "".join(pieces)

    def _seen(self, raw: str, start: int, end: int) -> str:
        """Return characters as they show."""
        kept = ""
        at = max(0, bisect_right(self._other_starts, start) - 1)
        while at < len(self._others) and self._others[at].start < end:
            other = self._others[at]
            if other.end > start:
                first, last = max(start, other.start), min(end, other.end)
                kept += raw[start:first] + other.shown(raw[first:last])
                start = max(start, last)
            at += 1
        return kept + raw[start:end]

    def _other_characters(self) -> Iterator[_Other]:
        """Yield characters that are deleted or hidden, and those that are signs."""
        with suppress(*_BROKEN):
            for first, last, page, at in self._runs(_CHARACTERS, 1):
                place = 2 * page[at]
                values = dict(_properties(page[place + 1 : place + 1 + page[place]] if place else b""))
                is_hidden = any(values.get(one, b"\0")[:1] == b"\1" for one in (_DELETED, _HIDDEN))
                font, code = ("", None) if is_hidden else self._sign(values)
                if not is_hidden and not font:
                    continue
                for piece in self._pieces:
                    begin = max(first, piece.offset)
                    end = min(last, piece.offset + (piece.end - piece.start) * piece.width)
                    if begin < end:
                        yield _Other(
                            piece.start + (begin - piece.offset) // piece.width,
                            piece.start + (end - piece.offset) // piece.width,
                            font,
                            code,
                        )

    def _sign(self, values: Mapping[int, bytes]) -> tuple[str, int | None]:
        """Return the font of characters that are signs, and the sign if they stand for one."""
        number, code = None, None
        if len(stated := values.get(_SYMBOL, b"")) == 4:  # The character is "(" for all signs.
            number, code = struct.unpack("<HH", stated)
        elif len(stated := values.get(_FONT, b"")) == 2:
            number = struct.unpack("<H", stated)[0]
        font = self._fonts[number] if number is not None and number < len(self._fonts) else ""
        return (font, code) if code is not None or symbols.is_of_signs(font) else ("", None)

    def _read_fonts(self) -> None:
        place, length = struct.unpack_from("<II", self._head, _FONTS)
        table = self._table[place : place + length]
        place = 4
        for _ in range(struct.unpack_from("<H", table)[0]):
            font = table[place : place + 1 + table[place]]
            name = font[_NAME_OF_FONT : len(font) & ~1].decode("utf-16-le", "replace")
            self._fonts.append(name.partition("\0")[0])
            place += len(font)

    def _runs(self, where: int, size: int) -> Iterator[tuple[int, int, bytes, int]]:
        """Yield runs of bytes with the same properties: first, last, their page, the place in it.

        Args:
            size: of what the page says of each run, in bytes.
        """
        place, length = struct.unpack_from("<II", self._head, where)
        listed = self._table[place : place + length]
        count = (len(listed) - 4) // 8
        for number in struct.unpack_from(f"<{count}I", listed, 4 * (count + 1)):
            page = self._head[(number & 0x3FFFFF) * _PAGE :][:_PAGE]
            runs = page[_PAGE - 1]
            ends = struct.unpack_from(f"<{runs + 1}I", page)
            for index in range(runs):
                yield ends[index], ends[index + 1], page, 4 * (runs + 1) + size * index

    def _read_paragraphs(self) -> None:
        found = []
        for _, last, page, at in self._runs(_PARAGRAPHS, 13):
            place = 2 * page[at]
            length = 2 * page[place] - 1 if page[place] else 2 * page[place + 1]
            place += 1 if page[place] else 2
            found.append((last, _paragraph(page[place : place + length])))
        found.sort(key=lambda one: one[0])
        self._ends = [end for end, _ in found]
        self._paragraphs = [paragraph for _, paragraph in found]

    def _read_styles(self) -> None:
        place, length = struct.unpack_from("<II", self._head, _STYLES)
        sheet = self._table[place : place + length]
        about = struct.unpack_from("<H", sheet)[0]
        count, base = struct.unpack_from("<HH", sheet, 2)
        place = 2 + about
        for number in range(count):
            length = struct.unpack_from("<H", sheet, place)[0]
            style = sheet[place + 2 : place + 2 + length]
            place += 2 + length
            if length <= base or struct.unpack_from("<H", style, 2)[0] & 0xF != _PARAGRAPH_STYLE:
                continue
            name = struct.unpack_from("<H", style, base)[0]
            at = base + 2 + 2 * name + 2
            size = struct.unpack_from("<H", style, at)[0]
            parent = struct.unpack_from("<H", style, 2)[0] >> 4
            self._styles[number] = parent, _paragraph(style[at + 2 : at + 2 + size])

    def _read_lists(self) -> None:
        place, length = struct.unpack_from("<II", self._head, _LISTS)
        if not length:
            return
        count = struct.unpack_from("<H", self._table, place)[0]
        entries = [self._table[place + 2 + 28 * index :][:28] for index in range(count)]
        place += length
        for entry in entries:
            identifier = struct.unpack_from("<i", entry)[0]
            for depth in range(1 if entry[26] & 1 else _MOST_LEVELS):
                start, form = struct.unpack_from("<iB", self._table, place)
                sizes = self._table[place + 24] + self._table[place + 25]
                place += 28 + sizes
                characters = struct.unpack_from("<H", self._table, place)[0]
                text = self._table[place + 2 :][: 2 * characters].decode("utf-16-le", "replace")
                place += 2 + 2 * characters
                self._levels[identifier, depth] = _Level(start, form, text)
        place, length = struct.unpack_from("<II", self._head, _USES)
        count = min(struct.unpack_from("<I", self._table, place)[0], length // 16)
        self._lists = [
            struct.unpack_from("<i", self._table, place + 4 + 16 * index)[0] for index in range(count)
        ]

    def _label(self, mark: int) -> str:
        """Return what Word shows before the paragraph that ends with a mark at a place."""
        if not self._ends:
            return ""
        at = bisect_right(self._starts, mark) - 1
        piece = self._pieces[at] if at >= 0 else None
        if piece is None or mark >= piece.end:
            return ""
        offset = piece.offset + (mark - piece.start) * piece.width
        index = bisect_right(self._ends, offset)
        if index >= len(self._paragraphs):
            return ""
        paragraph = self._paragraphs[index]
        use, depth, style = paragraph.use, paragraph.depth, paragraph.style
        for _ in range(_MOST_LEVELS):
            if use is not None and depth is not None:
                break
            parent, own = self._styles.get(style, (_NO_STYLE, _Paragraph(0, None, None)))
            use = own.use if use is None else use
            depth = own.depth if depth is None else depth
            style = parent
        if not use or use > len(self._lists) or (depth or 0) >= _MOST_LEVELS:
            return ""
        return self._count(self._lists[use - 1], depth or 0)

    def _count(self, identifier: int, depth: int) -> str:
        level = self._levels.get((identifier, depth))
        if level is None:
            return ""
        numbers = self._counts.setdefault(identifier, _Counts()).numbers
        before = numbers[depth]
        numbers[depth] = level.start if before is None else before + 1
        numbers[depth + 1 :] = [None] * (_MOST_LEVELS - depth - 1)
        if level.form not in _MADE_OF:
            return ""
        label = ""
        for character in level.text:
            at = ord(character)
            if at < _MOST_LEVELS:
                other = self._levels.get((identifier, at), level)
                count = numbers[at]
                label += written(_FORMS.get(other.form, ""), other.start if count is None else count)
            else:
                label += character
        return f"{label} " if label.strip() else ""


def _paragraph(data: bytes) -> _Paragraph:
    """Read what is said of a paragraph: its style, then its properties."""
    values = dict(_properties(data[2:]))
    use, depth = values.get(_LIST), values.get(_DEPTH)
    return _Paragraph(
        struct.unpack_from("<H", data)[0] if len(data) > 1 else 0,
        struct.unpack("<H", use)[0] if use else None,
        depth[0] if depth else None,
    )


def _properties(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 2 < len(data):
        number = struct.unpack_from("<H", data, place)[0]
        place += 2
        size = _SIZES[number >> 13]
        if not size and number == _TABLE:
            size, place = (
                struct.unpack_from("<H", data.ljust(place + 2, b"\0"), place)[0] - 1,
                place + 2,
            )
        elif not size:
            if number == _TABS and data[place] == 255:
                return  # Its length is not said.
            size, place = data[place], place + 1
        yield number, data[place : place + size]
        place += max(size, 0)
