"""Whether what a font says of its letters agrees with what else is known of its glyphs.

A map (`ToUnicode`) gives each code of a font its letter, and whatever wrote the file may have mixed
them up: two letters swapped, or the figures of all amounts. The glyphs themselves have names, or
numbers that follow the alphabet, or a table of letters in the font's own program. Where these say
another letter than the map, a look at the page has to settle which is right. So it has where the map
passes over glyphs, or takes several for white space: PDFium gives their numbers for letters.

Belongs here: single fonts, without the text that they are used for. Does not belong here: what is made
of the doubt (`judgement`), and fonts without a map (`resources`).
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import pikepdf

from ingest_assets.ocr.sandbox.pdf.streams import UnreadableError, read_stream

_CHARACTERS = re.compile(rb"beginbfchar(.*?)endbfchar", re.DOTALL)
_RANGES = re.compile(rb"beginbfrange(.*?)endbfrange", re.DOTALL)
_PAIR = re.compile(rb"<\s*([0-9A-Fa-f]{1,4})\s*>\s*<([0-9A-Fa-f\s]*)>")
_RANGE = re.compile(
    rb"<\s*([0-9A-Fa-f]{1,4})\s*>\s*<\s*([0-9A-Fa-f]{1,4})\s*>\s*(?:<([0-9A-Fa-f\s]*)>|\[(.*?)\])",
    re.DOTALL,
)
_HEX = re.compile(rb"<([0-9A-Fa-f\s]*)>")

# No map of letters and figures is larger.
_MOST_BYTES = 1_000_000
_MOST_CODES = 1 << 16

# Bytes of a compressed font, below which it may be without outlines.
_SMALL_PROGRAM = 8_000

# Glyphs are in the order of the alphabet if at least so many letters and figures, and this share of
# them, are as far from each other as in ASCII.
_FEWEST_IN_ORDER, _SHARE_IN_ORDER = 10, 0.6

_FIGURES = {
    **{"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4"},
    **{"five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"},
}
_CONTOURS_OF_8 = 3
_AS_ONE_LETTER = ("ff", "fi", "fl", "ffi", "ffl")
_ASCII = {code: chr(code) for code in range(128) if chr(code).isalnum()}
_PLAIN = frozenset(_ASCII.values())
_ASCII_ENCODINGS = ("/WinAnsiEncoding", "/MacRomanEncoding", "/StandardEncoding")

# Letters and figures of nearly all fonts have codes below this; widths are in the order of the codes.
_ONE_BYTE = 256

# What reading a font raises that does not hold what it should.
_DAMAGED = (
    *(UnreadableError, pikepdf.PdfError, struct.error),
    *(ValueError, TypeError, IndexError, KeyError),
)

CASE = "Aa"
"""In doubt where capitals are given for small letters."""

_BLANK = " \t\n\r\0\xa0\xad\u200b\ufeff"

_UNICODE_TABLES = ((3, 1), (3, 10), *((0, version) for version in range(7)))


class Nameless:
    """Codes of a font, those of one byte, that have a width, and neither letter nor name.

    Attributes:
        codes: all of them: the widths may be those of more glyphs than there are.
    """

    def __init__(self, font: pikepdf.Object, codes: Iterable[int]) -> None:
        self._font = font
        self.codes = bytes(codes)

    @cached_property
    def drawn(self) -> bytes:
        """Those that show something, as far as the font says."""
        if self._font.get("/Subtype") != "/Type0":
            return self.codes
        descendant = self._font["/DescendantFonts"][0]
        program = _program(descendant)
        if program is None:
            return self.codes
        try:
            contours = _contours(read_stream(program))
            glyphs = _glyphs(descendant.get("/CIDToGIDMap"), self.codes)
            return bytes(code for code, glyph in glyphs.items() if contours(glyph))
        except _DAMAGED:
            return b""


class Doubts(NamedTuple):
    """What speaks against the letters that a font gives.

    Attributes:
        disputed: letters and figures that its map may have mixed up, both ways of reading them.
        nameless: codes that its map gives no letter for; None where there are none.
        has_false_spaces: whether its map takes several glyphs for the same space.
        is_blank: whether all of its glyphs are empty.
    """

    disputed: frozenset[str] = frozenset()
    nameless: Nameless | None = None
    has_false_spaces: bool = False
    is_blank: bool = False


def doubts(font: pikepdf.Object) -> Doubts:
    """Compare a font's map with what else is known of its glyphs."""
    cmap = font.get("/ToUnicode")
    try:
        given = _given(read_stream(cmap)) if isinstance(cmap, pikepdf.Stream) else {}
        known = _known(font, given)
        codes = _codes_without_name(font) - given.keys() - {0} if given else ()
        # Code 0 stands for what a font has not; its map may have U+0000.
        spaces = [said for code, said in given.items() if code and not said.strip(_BLANK)]
        has_false_spaces = len(set(spaces)) < len(spaces)
        if not given and font.get("/Subtype") == "/Type3":
            given = {code: chr(code) for code in known}  # So PDFium does.
        nameless = Nameless(font, codes) if codes else None
        return Doubts(_disputed(known, given), nameless, has_false_spaces, _is_blank(font))
    except _DAMAGED:
        return Doubts()  # A damaged font: whether its letters are those of a language is seen later.


def _disputed(known: Mapping[int, str], given: Mapping[int, str]) -> frozenset[str]:
    found = set()
    for code, letter in known.items():
        said = given.get(code)
        if said is not None and said != letter and _folded(said) != letter.lower():
            found |= {letter, *filter(str.isalnum, said)}
        elif letter.isupper() and said == letter.lower():
            found.add(CASE)
        elif not said and len(letter) > 1 and letter not in _AS_ONE_LETTER:
            found.add(letter)  # PDFium passes over such a name.
    # One of two glyphs of a letter may be a ligature that begins with it.
    sure = {letter for code, letter in known.items() if given.get(code) == letter}
    found |= {said for code, said in given.items() if said in sure and code not in known}
    return frozenset(found)


def _is_blank(font: pikepdf.Object) -> bool:
    """Tell whether a small TrueType font has no glyph with an outline; one with outlines is larger."""
    if font.get("/Subtype") == "/Type0":
        font = font["/DescendantFonts"][0]
    program = _program(font)
    if program is None or int(program.get("/Length", 0)) > _SMALL_PROGRAM:
        return False
    data = read_stream(program)
    profile = _table(data, b"maxp")
    if profile is None or _table(data, b"glyf") is None:
        return False
    (count,) = struct.unpack_from(">H", data, profile + 4)
    contours = _contours(data)
    return not any(map(contours, range(count)))


def _codes_without_name(font: pikepdf.Object) -> set[int]:
    """Return the codes of a byte that have a width, and no name (ISO 32000-1, 9.6.2.1 and 9.7.4.3)."""
    codes: set[int] = set()
    if font.get("/Subtype") != "/Type0":
        if "/Encoding" not in font:
            widths = enumerate(font.get("/Widths", ()), int(font.get("/FirstChar", 0)))
            codes.update(code for code, width in widths if width)
    elif font.get("/Encoding") in ("/Identity-H", "/Identity-V"):
        entries = font["/DescendantFonts"][0].get("/W", pikepdf.Array()).as_list()
        at = 0
        while at + 1 < len(entries) and (first := int(entries[at])) < _ONE_BYTE:
            second = entries[at + 1]
            if isinstance(second, pikepdf.Array):
                # A width of 0 fills a gap between the glyphs that a part of a font has.
                widths = enumerate(second.as_list(), first)
                codes.update(code for code, width in widths if width and code < _ONE_BYTE)
                at += 2
            else:
                codes.update(range(first, min(int(second) + 1, _ONE_BYTE)))
                at += 3
    return codes


def _known(font: pikepdf.Object, given: Mapping[int, str]) -> dict[int, str]:
    """Return which letters and figures the glyphs of some codes are, whatever the map says."""
    if font.get("/Subtype") in ("/Type1", "/MMType1", "/TrueType", "/Type3"):
        return _named(font.get("/Encoding"))
    if font.get("/Encoding") != "/Identity-H":
        return {}
    descendant = font["/DescendantFonts"][0]
    glyphs = _glyphs(descendant.get("/CIDToGIDMap"), given)
    steps = Counter(glyphs[code] - ord(letter) for code, letter in given.items() if letter in _PLAIN)
    total = steps.total()
    if not total:
        return {}
    ((step, count),) = steps.most_common(1)
    if count == total >= _FEWEST_IN_ORDER:
        return {}  # As the map says, for each of them.
    in_order = {}
    if count >= _FEWEST_IN_ORDER and count >= _SHARE_IN_ORDER * total:
        in_order = {
            code: _ASCII[glyph - step]
            for code, glyph in glyphs.items()
            if given[code] in _PLAIN and glyph - step in _ASCII
        }
    program = _program(descendant)
    if program is None:
        return in_order
    # In a font of few glyphs part of the alphabet may be in order, and the rest missing in between.
    data = read_stream(program)
    own = {glyph: letter for letter, glyph in _letters_of(data).items()}
    found = {code: _ASCII[own[glyph]] for code, glyph in glyphs.items() if own.get(glyph) in _ASCII}
    return found or in_order or _eights(data, glyphs, given)


def _eights(program: bytes, glyphs: Mapping[int, int], given: Mapping[int, str]) -> dict[int, str]:
    """Return which of the glyphs that a map gives for figures are an 8: no other has two holes."""
    contours = _contours(program)
    return {
        code: "8"
        for code, glyph in glyphs.items()
        if given[code] in _FIGURES.values() and contours(glyph) == _CONTOURS_OF_8
    }


def _program(font: pikepdf.Object) -> pikepdf.Object | None:
    """Return a font's TrueType program, packed; of a composite font its descendant has it."""
    program: pikepdf.Object | None = font.get("/FontDescriptor", pikepdf.Dictionary()).get("/FontFile2")
    return program


def _contours(program: bytes) -> Callable[[int], int]:
    """Return what says how many outlines a glyph of a TrueType font has; -1 if others make it up."""
    head, places, outlines = (_table(program, name) for name in (b"head", b"loca", b"glyf"))
    if head is None or places is None or outlines is None:
        return lambda _: 0
    (is_long,) = struct.unpack_from(">H", program, head + 50)
    size, layout, unit = (4, ">II", 1) if is_long else (2, ">HH", 2)

    def contours(glyph: int) -> int:
        start, end = struct.unpack_from(layout, program, places + size * glyph)
        if start == end:
            return 0
        (count,) = struct.unpack_from(">h", program, outlines + start * unit)
        return int(count)

    return contours


def _glyphs(table: pikepdf.Object | None, codes: Iterable[int]) -> dict[int, int]:
    """Return the numbers of the glyphs of some codes: the codes themselves if no table says other."""
    if not isinstance(table, pikepdf.Stream):
        return {code: code for code in codes}
    numbers = read_stream(table)
    return {code: int.from_bytes(numbers[2 * code : 2 * code + 2], "big") for code in codes}


def _named(encoding: pikepdf.Object | None) -> dict[int, str]:
    """Return the letters and figures of an encoding of glyphs by their names."""
    known = {}
    base = encoding.get("/BaseEncoding") if isinstance(encoding, pikepdf.Dictionary) else encoding
    if base in _ASCII_ENCODINGS:
        known = dict(_ASCII)
    differences = encoding.get("/Differences") if isinstance(encoding, pikepdf.Dictionary) else None
    code = 0
    for entry in differences if isinstance(differences, pikepdf.Array) else ():
        if isinstance(entry, pikepdf.Name):
            name, _, variant = str(entry)[1:].partition(".")
            known.pop(code, None)
            if letter := _named_letter(name):
                known[code] = letter.lower() if variant else letter  # It may be a small capital.
            code += 1
        else:
            code = int(entry)
    return known


def _named_letter(name: str) -> str | None:
    """Return the letter, figure or ligature that a name stands for, if it is one of these.

    A ligature may be named by its letters (`f_i`); what is but numbered has no name: a glyph called `1`
    is the first or the second of its font.
    """
    if name.isdecimal():
        return None
    if name in _PLAIN or name in _AS_ONE_LETTER:
        return name
    parts = name.split("_")
    if len(parts) > 1 and all(part in _PLAIN for part in parts):
        return "".join(parts)
    return _FIGURES.get(name)


def _given(cmap: bytes) -> dict[int, str]:
    """Return which letters a map gives for codes."""
    given: dict[int, str] = {}
    if len(cmap) > _MOST_BYTES:
        return given
    for block in _CHARACTERS.findall(cmap):
        given.update((int(code, 16), _text(text)) for code, text in _PAIR.findall(block))
    left = _MOST_CODES  # A hostile map names ranges of all codes many times.
    for block in _RANGES.findall(cmap):
        for first, last, text, texts in _RANGE.findall(block):
            codes = range(int(first, 16), int(last, 16) + 1)[:left]
            left -= len(codes)
            if texts:
                given.update(zip(codes, map(_text, _HEX.findall(texts)), strict=False))
            elif start := _text(text):
                head, tail = start[:-1], ord(start[-1])
                given.update(
                    (code, head + chr(tail + step))
                    for step, code in enumerate(codes)
                    if tail + step < _MOST_CODES
                )
    return given


def _text(hexadecimal: bytes) -> str:
    return bytes.fromhex(hexadecimal.decode("ascii")).decode("utf-16-be", errors="replace")


def _folded(letters: str) -> str:
    """Return small letters, with ligatures apart, and figures wherever they stand."""
    return unicodedata.normalize("NFKC", letters).lower()


def _letters_of(program: bytes) -> dict[int, int]:
    """Return the glyph of each letter by the table of a TrueType font's own (OpenType, `cmap`)."""
    start = _table(program, b"cmap")
    if start is None:
        return {}
    (count,) = struct.unpack_from(">H", program, start + 2)
    for index in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", program, start + 4 + 8 * index)
        (layout,) = struct.unpack_from(">H", program, start + offset)
        if (platform, encoding) in _UNICODE_TABLES and layout == 4:
            return _by_segments(program, start + offset)
        if (platform, encoding) in _UNICODE_TABLES and layout == 12:
            return _by_groups(program, start + offset)
    return {}


def _table(program: bytes, name: bytes) -> int | None:
    """Return where a table of a font begins."""
    (tables,) = struct.unpack_from(">H", program, 4)
    for at in range(12, 12 + 16 * tables, 16):
        if program[at : at + 4] == name:
            (start,) = struct.unpack_from(">I", program, at + 8)
            return int(start)
    return None


def _by_segments(program: bytes, start: int) -> dict[int, int]:
    (doubled,) = struct.unpack_from(">H", program, start + 6)
    at = start + 14
    ends, starts, steps, offsets = (
        struct.unpack_from(f">{doubled // 2}H", program, at + part * doubled + (2 if part else 0))
        for part in range(4)
    )
    offsets_at = at + 3 * doubled + 2
    glyphs = {}
    for index, (first, last) in enumerate(zip(starts, ends, strict=True)):
        for letter in range(first, min(last, 0x7F) + 1):
            if offsets[index]:
                place = offsets_at + 2 * index + offsets[index] + 2 * (letter - first)
                (glyph,) = struct.unpack_from(">H", program, place)
                glyph = glyph and (glyph + steps[index]) % 0x10000
            else:
                glyph = (letter + steps[index]) % 0x10000
            if glyph:
                glyphs[letter] = glyph
    return glyphs


def _by_groups(program: bytes, start: int) -> dict[int, int]:
    (count,) = struct.unpack_from(">I", program, start + 12)
    glyphs = {}
    for index in range(min(count, _MOST_CODES)):
        first, last, glyph = struct.unpack_from(">III", program, start + 16 + 12 * index)
        for letter in range(first, min(last, 0x7F) + 1):
            glyphs[letter] = glyph + letter - first
    return glyphs
