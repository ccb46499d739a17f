"""The text layer of a page: what PDFium reads from its instructions, whole or word by word.

Belongs here: characters with their places, joined to words and lines. Does not belong here: whether
they can be trusted.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import re
import statistics
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pypdfium2
import pypdfium2.raw as pdfium

from ingest_assets.ocr.sandbox import letters
from ingest_assets.ocr.sandbox.pdf import answers, gutters, right_to_left, vertical
from ingest_assets.ocr.sandbox.pdf.fonts import Nameless
from ingest_assets.ocr.sandbox.pdf.places import Box, Frame, Rectangle, around
from ingest_assets.text import clean_text

# More characters than this are on no page of a document: they are read, but not looked at one by one.
MOST_CHARACTERS = 100_000

# How PDFium says "hyphen at the end of a line", and what stands for it here.
_HYPHEN_CODES = (0xFFFE, 0x02)
_LINE_HYPHEN = "\ufffe"

# Accents that old fonts have as glyphs of their own, to be drawn over a letter, and what Unicode has
# for those. A letter without its dot is there for an accent.
_ACCENTS = {
    **{"\u00a8": "\u0308", "\u00b4": "\u0301", "\u02c6": "\u0302", "\u02dc": "\u0303"},
    **{"\u02c7": "\u030c", "\u02d8": "\u0306", "\u02d9": "\u0307", "\u02da": "\u030a"},
    **{"\u02dd": "\u030b", "\u00b8": "\u0327", "\u02db": "\u0328", "\u00af": "\u0304"},
}
_ACCENT = re.compile(f"[{''.join(_ACCENTS)}]")
_REARRANGED = re.compile(f"[{''.join(_ACCENTS)}{right_to_left.LETTERS}]")
_DOTTED = {"\u0131": "i", "\u0237": "j"}

# What stands for an accent that has become part of its letter: no character.
_NOTHING = "\uffff"

# How many characters away from its letter an accent may stand.
_NEAR = 80

# The sine of the angle by which upright text is turned at most, and what part of a letter's height
# parts two words.
_UPRIGHT, _SPACE = 0.9, 0.3
_SHORT = re.compile(r"\n\S\S?\S?\r")
_END = re.compile(r"\r\n")
_FIRST_OF_LINE = re.compile(r"\S(?<=\n.)|^\S")

# Letters that may be words drawn with wide gaps within them, and words that may be several drawn with
# narrow gaps between them. By so many heights of a letter a gap between words is wider than the usual
# one between letters; where letters are far apart, so many times as wide.
# Letters and figures in cells of a form, one in each, have the same distance, at most so many heights,
# but for so much of it.
_LETTERS_APART = re.compile(r"(?<!\S)(?:[^\W_] ){3,}[^\W_](?!\S)")
_MANY_LETTERS, _MANY_FIGURES = 7, 6
_LONG_WORD = re.compile(r"[^\W\d_]{25,}")
_FEW_LETTERS = re.compile(r"[^\W\d_]{4,}")
_AS_LETTERS = bytes(
    0x61
    if chr(code).isalpha()
    else 0x20
    if chr(code).isspace()
    else 0x31
    if chr(code).isdecimal()
    else 0x2E
    for code in range(256)
)
_MANY_APART, _FIGURES_APART, _MANY_JOINED = b" a" * 4, b" 1" * _MANY_FIGURES, b"a" * 25
_ALONE, _MANY_ALONE, _SHARE_ALONE = b" a ", 3, 0.15
_PARTS_WORDS, _WIDER = 0.07, 1.5

# Cells of a table may touch where a small letter is followed by a capital, or letters by figures, or a
# number is long or has two points. So many are looked at. Letters are even if so many differ by less.
_AS_KINDS = bytes(
    0x61
    if chr(code).islower()
    else 0x41
    if chr(code).isupper()
    else 0x31
    if chr(code).isdecimal()
    else 0x2E
    if chr(code) in ".,"
    else 0x20
    for code in range(256)
)
_SEAMS = b"aA", b"a1", b".11.", b".111.", b".1111.", b"1" * 7
_MOST_LOOKS = 60
_EVEN, _MOSTLY = 0.03, 0.6
_WIDEST_CELL, _OFF_CENTRE = 1.7, 0.12

# Lines run backwards if so many of the steps from one to the next, two at least, go up.
_NEARLY_ALL, _FEWEST_STEPS = 0.8, 2
# PDFium ends each line with two characters; codes of fonts that have no letter come as they are.
_HALF_END = re.compile(r"(?<!\r)\n|\r(?!\n)")

# Characters without ink, and a glyph without a letter beside what is one. PDFium's box of what is not
# drawn may be a unit of the font high.
_LEAST_INK = 0.02
_SPACES = b"\t\n\r "
_INVISIBLE = "\xad\u200b\ufeff"
_NAMELESS_BESIDE_LETTER = re.compile("[^\\W_]\ufffd|\ufffd[^\\W_]")

# Letters one after the other that may stand in a column; so many pairs say whether they do.
_PAIR = re.compile(f"{vertical.LETTER.pattern}(?:\r\n)?(?={vertical.LETTER.pattern})")
_ENOUGH_PAIRS = 200

# Where on a page lines are looked at that may run through columns, and how many words a column's line
# has at least.
_SAMPLE_AT, _WORDS_OF_COLUMN = (0.35, 0.55, 0.75), 3
_MORE_THAN_LINES = 1.3
_SPACE_BETWEEN = re.compile(" (?! )")

_EVERYWHERE = (-1e9, -1e9, 1e9, 1e9)

_LINE = re.compile(f"[^\r\n{_LINE_HYPHEN}]+{_LINE_HYPHEN}?|{_LINE_HYPHEN}")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Word:
    """What stands between two spaces.

    Attributes:
        lost: whether the font does not say which letters these are.
        start: the index of its first character on the page.
    """

    text: str
    box: Box
    lost: bool = False
    start: int = 0


@dataclass(frozen=True)
class Line:
    """A line of words, in PDFium's order."""

    words: tuple[Word, ...]
    box: Box
    text: str

    @property
    def is_lost(self) -> bool:
        """Whether a font leaves letters of it unsaid."""
        return (
            any(word.lost for word in self.words)
            or letters.unmapped(self.text)[1]
            or not clean_text(self.text).strip()
        )

    def moved(self, right: float, down: float) -> Line:
        """Return the line so much farther to the right and down."""
        words = tuple(replace(word, box=word.box.moved(right, down)) for word in self.words)
        return replace(self, words=words, box=self.box.moved(right, down))

    def without(self, left_out: set[Word]) -> Line | None:
        """Return the line without some words, None where nothing is left."""
        words = tuple(word for word in self.words if word not in left_out)
        if len(words) == len(self.words):
            return self
        if not words:
            return None
        return replace(self, words=words, text=" ".join(word.text for word in words))


def whole_text(textpage: pypdfium2.PdfTextPage, shows: int) -> str:
    """Return all text of a page, its letters in the order in which they are read.

    Args:
        shows: how often the page shows text: where that is no more than once a line, neither cells of
            tables nor columns are looked for in it.
    """
    text = _with_whole_ends(_without_false_hyphens(textpage, textpage.get_text_range()))
    is_rearranged = not text.isascii() and _REARRANGED.search(text) is not None
    if is_rearranged and right_to_left.is_in(text):
        leftwards = right_to_left.is_most_of(text)
        codes = _codes(textpage)
        return "\n".join(
            _reading_order(textpage, first, last, leftwards=leftwards)
            if right_to_left.is_in(codes[first:last])
            else _plain(codes[first:last])
            for first, last in _spans(codes)
        )
    if _is_vertical(textpage, text):
        return "\n".join(column for _, column in _columns(textpage, _codes(textpage)))
    is_backwards = _runs_backwards(textpage, text)
    has_odd_gaps = _has_odd_gaps(text)
    has_parts = has_odd_gaps or shows > _MORE_THAN_LINES * text.count("\n")
    is_tight = has_parts and _has_tight_cells(textpage, text)
    if has_parts and _runs_through_columns(textpage, text):
        codes = _codes(textpage)
        spans = _spans_by_column(textpage, codes)
        parts = (_parted(textpage, codes[first:last], first, tight=is_tight) for first, last in spans)
        text = "\n".join(map(_plain, parts))
    elif is_rearranged or is_tight or has_odd_gaps or _breaks_turned_words(textpage, text):
        text = _parted(textpage, _codes(textpage), tight=is_tight).replace(_NOTHING, "")
    elif answers.LABELS.search(text) and _has_answers_behind(textpage, text):
        codes = _codes(textpage)
        text = "\n".join(_plain(codes[first:last]) for first, last in _with_answers(textpage, codes))
    text = letters.in_one_script(text.replace("\ufffe", "-\n"))
    return "\n".join(reversed(text.splitlines())) if is_backwards else text


def _with_whole_ends(text: str) -> str:
    """Return a text in which half an end of a line, a letter without a name, stands for no letter."""
    if not text.count("\r") == text.count("\n") == text.count("\r\n"):
        return _HALF_END.sub("\ufffd", text)
    return text


def _without_false_hyphens(textpage: pypdfium2.PdfTextPage, text: str) -> str:
    """Return a text in which what PDFium calls a hyphen, but a font calls nothing, is no letter."""
    if _LINE_HYPHEN not in text:
        return text
    index_of = pdfium.FPDFText_GetCharIndexFromTextIndex
    letters_of = list(text)
    for found in re.finditer(_LINE_HYPHEN, text):
        if pdfium.FPDFText_IsHyphen(textpage, index_of(textpage, found.start())) != 1:
            letters_of[found.start()] = "\ufffd"
    return "".join(letters_of)


def _runs_backwards(textpage: pypdfium2.PdfTextPage, text: str) -> bool:
    """Tell whether lines come from the last to the first, as on some pages that lie on their side.

    Args:
        text: as PDFium gives it.
    """
    box_of, index_of = _Boxes(textpage), pdfium.FPDFText_GetCharIndexFromTextIndex

    def is_above(first: int, second: int) -> bool:
        """Tell whether the second of two characters is higher, as the text of the first stands."""
        first, second = index_of(textpage, first), index_of(textpage, second)
        angle = pdfium.FPDFText_GetCharAngle(textpage, first)
        if pdfium.FPDFText_GetFontSize(textpage, first) < 0:
            angle += math.pi  # Letters of a negative size stand on their heads in a matrix that does.
        (left, bottom, _, top), other = box_of(first), box_of(second)
        up = math.sin(angle) * (other[0] - left) + math.cos(angle) * (other[1] - bottom)
        return up > (top - bottom) / 2

    end = len(text.rstrip())
    if not end or not is_above(0, end - 1):
        return False
    starts = [found.start() for found in _FIRST_OF_LINE.finditer(text)]
    steps = [is_above(*pair) for pair in itertools.pairwise(starts)]
    return len(steps) >= _FEWEST_STEPS and sum(steps) >= _NEARLY_ALL * len(steps)


def _is_vertical(textpage: pypdfium2.PdfTextPage, text: str, *, is_codes: bool = False) -> bool:
    """Tell whether most characters of a page are written from top to bottom.

    Args:
        is_codes: whether the text has every character of PDFium's in its place.
    """
    if text.isascii() or not vertical.LETTER.search(text):
        return False
    box_of, index_of = _Boxes(textpage), pdfium.FPDFText_GetCharIndexFromTextIndex
    down = total = 0
    for found in itertools.islice(_PAIR.finditer(text), _ENOUGH_PAIRS):
        first, second = found.start(), found.end()
        if not is_codes:
            first, second = index_of(textpage, first), index_of(textpage, second)
        if abs(math.sin(pdfium.FPDFText_GetCharAngle(textpage, first))) < 1 - _UPRIGHT:
            total += 1
            # One letter a line: they are drawn across the columns.
            down += "\n" in found[0] or vertical.runs_down(
                box_of.upright(first), box_of.upright(second)
            )
    return 2 * down > total


def shows_any(textpage: pypdfium2.PdfTextPage, text: str, nameless: Sequence[Nameless]) -> bool:
    """Tell whether some characters of a page are but the codes of glyphs that its fonts do not name.

    Args:
        text: all text of the page.
        nameless: the codes of each font that it has no letter for.
    """
    if not nameless:
        return False
    bytes_of = text.encode("latin-1", "ignore")
    # 2 stands for a hyphen at the end of a line, and elsewhere for nothing.
    is_longer = textpage.count_chars() > len(text)
    codes = b"".join(
        font.drawn
        for font in nameless
        if _are_in(bytes_of, font.codes) or (is_longer and 2 in font.codes)
    )
    if is_longer and 2 in codes:
        return True
    if not _are_in(bytes_of, codes):
        return False
    given = textpage.get_text_range().encode("latin-1", "replace")
    are_codes = given.translate(bytes(code in codes and code not in _SPACES for code in range(256)))
    page, has_error = textpage.raw, pdfium.FPDFText_HasUnicodeMapError
    index_of = pdfium.FPDFText_GetCharIndexFromTextIndex
    return any(
        has_error(page, index_of(page, place.start())) == 1 for place in re.finditer(b"\1", are_codes)
    )


def _are_in(text: bytes, codes: bytes) -> bool:
    """Tell whether any of some codes is in a text, white space aside."""
    return len(text.translate(None, codes.translate(None, _SPACES))) < len(text)


def lacks_letters(textpage: pypdfium2.PdfTextPage) -> bool:
    """Tell whether a glyph that its font has no letter for stands beside a letter or a figure.

    PDFium gives the number of such a glyph for a letter: "Quarterly" is ",uarterly". Alone it may be a
    bullet or a tick.
    """
    codes = _codes(textpage, marks_nameless=True)
    return _NAMELESS_BESIDE_LETTER.search(codes) is not None


def is_all_inside(textpage: pypdfium2.PdfTextPage, frame: Frame) -> bool:
    """Tell whether no character is wholly outside the page."""
    inside = _count(textpage, frame.rectangle)
    # PDFium may count some white space in one way and not in the other.
    return inside >= textpage.count_chars() or inside == _count(textpage, _EVERYWHERE)


def _count(textpage: pypdfium2.PdfTextPage, rectangle: Rectangle) -> int:
    left, bottom, right, top = rectangle
    return int(pdfium.FPDFText_GetBoundedText(textpage, left, top, right, bottom, None, 0))


def lines(
    textpage: pypdfium2.PdfTextPage,
    frame: Frame,
    start: int = 0,
    end: int | None = None,
    *,
    lacks_letters: bool = False,
) -> list[Line]:
    """Return the lines of a page from one character to another, with the places of their words.

    Args:
        lacks_letters: whether glyphs without a letter make the words that they stand in lost.
    """
    codes = _codes(textpage, marks_nameless=lacks_letters)
    leftwards = right_to_left.is_most_of(codes)
    box_of = _Boxes(textpage)
    if _is_vertical(textpage, codes, is_codes=True):
        return [
            Line((Word(text, box, any(_is_lost(textpage, at, at + 1) for at in column)),), box, text)
            for column, text in _columns(textpage, codes, start, end)
            for box in [around([frame.place(*box_of.upright(index)) for index in column])]
        ]
    is_tight = _has_tight_cells(textpage, codes, is_codes=True)
    found = []
    spans: Iterable[tuple[int, int]] = _spans(codes, start, end)
    if _runs_through_columns(textpage, codes, is_codes=True):
        spans = _spans_by_column(textpage, codes, start, end)
    elif answers.LABELS.search(codes):
        spans = _with_answers(textpage, codes, start, end)
    for first, last in spans:
        text = codes[first:last]
        is_reversed = right_to_left.is_in(text)
        words = []
        for match in _WORD.finditer(text):
            begin, stop = first + match.start(), first + match.end()
            # Letters in between are in between, but where a line is sorted anew.
            ends = range(begin, stop) if is_reversed else (begin, stop - 1)
            sides = [box_of.full_height(begin), *(box_of(index) for index in ends)]
            box = around([frame.place(*rectangle) for rectangle in sides])
            shown = _plain(_parted(textpage, match[0], begin, tight=is_tight))
            if is_reversed:
                shown = _reading_order(textpage, begin, stop, leftwards=True)
            is_lost = stop - begin > 1 and _is_lost(textpage, begin, stop)
            is_lost |= lacks_letters and "\ufffd" in match[0]
            words.append(Word(shown, box, is_lost, begin))
        if words:
            shown = _plain(_parted(textpage, text, first, tight=is_tight))
            if is_reversed:
                shown = _reading_order(textpage, first, last, leftwards=leftwards)
            found.append(Line(tuple(words), around([word.box for word in words]), shown))
    if start == 0 and _runs_backwards(textpage, textpage.get_text_range()):
        found.reverse()
    return found


class _Boxes:
    """Where the characters of a page are, in the PDF's plane."""

    def __init__(self, textpage: pypdfium2.PdfTextPage) -> None:
        self._page = textpage.raw
        self._sides = [ctypes.c_double() for _ in range(4)]
        self._references = [ctypes.byref(side) for side in self._sides]
        self._rectangle = pdfium.FS_RECTF()

    def __call__(self, index: int) -> Rectangle:
        pdfium.FPDFText_GetCharBox(self._page, index, *self._references)
        left, right, bottom, top = self._sides
        return left.value, bottom.value, right.value, top.value

    def origin(self, index: int) -> float:
        """Return how far to the right a character begins."""
        pdfium.FPDFText_GetCharOrigin(self._page, index, *self._references[:2])
        return self._sides[0].value

    def full_height(self, index: int) -> Rectangle:
        """Return the place of a character as high as its font's highest and lowest."""
        pdfium.FPDFText_GetLooseCharBox(self._page, index, self._rectangle)
        box = self._rectangle
        return box.left, box.bottom, box.right, box.top

    def upright(self, index: int) -> Rectangle:
        """Return the place of a character as high as its font and as wide as it is drawn."""
        left, _, right, _ = self(index)
        _, bottom, _, top = self.full_height(index)
        return left, bottom, right, top


def _codes(textpage: pypdfium2.PdfTextPage, *, marks_nameless: bool = False) -> str:
    """Return PDFium's characters one by one; a hyphen at the end of a line as `_LINE_HYPHEN`.

    Args:
        marks_nameless: whether a glyph without a letter is U+FFFD.
    """
    page, unicode_of = textpage.raw, pdfium.FPDFText_GetUnicode
    codes = [unicode_of(page, index) for index in range(textpage.count_chars())]
    text = "".join(
        chr(code)
        if code not in _HYPHEN_CODES
        else _LINE_HYPHEN
        if pdfium.FPDFText_IsHyphen(page, index) == 1
        else "\ufffd"
        for index, code in enumerate(codes)
    )
    text = _with_whole_ends(text)
    if marks_nameless:
        text = _with_nameless_marked(textpage, text)
    if not text.isascii():
        text = letters.in_one_script(_with_accents(textpage, text))
    return _with_letters_joined(textpage, _with_turned_words(textpage, text))


def _with_nameless_marked(textpage: pypdfium2.PdfTextPage, codes: str) -> str:
    """Return characters with U+FFFD for each glyph that is drawn and has no letter, or white space."""
    box_of, has_error = _Boxes(textpage), pdfium.FPDFText_HasUnicodeMapError
    marked = list(codes)
    for index, code in enumerate(codes):
        if code.isspace() or code in _INVISIBLE or has_error(textpage, index) == 1:
            (_, bottom, _, top), (_, low, _, high) = box_of(index), box_of.full_height(index)
            is_drawn = top - bottom > _LEAST_INK * (high - low)
            if is_drawn and pdfium.FPDFText_IsGenerated(textpage, index) != 1:
                marked[index] = "\ufffd"
    return "".join(marked)


def _with_letters_joined(textpage: pypdfium2.PdfTextPage, codes: str) -> str:
    """Return characters without the spaces that PDFium sees between letters drawn far apart."""
    box_of = _Boxes(textpage)
    joined = list(codes)
    for run in _LETTERS_APART.finditer(codes):
        spaces = [
            at
            for at in range(run.start() + 1, run.end(), 2)
            if pdfium.FPDFText_IsGenerated(textpage, at) == 1
        ]
        if len(spaces) < len(run[0]) // 2:
            continue  # They are in the text, and stand for themselves.
        if within := _spaces_in_cells(box_of, run[0], run.start()):
            for at in within:
                joined[at] = _NOTHING
            continue
        if len(spaces) < _MANY_LETTERS - 1 or not run[0].replace(" ", "").isalpha():
            continue
        gaps = [_gap(box_of, at - 1, at + 1) for at in spaces]
        usual = statistics.median(gaps)
        within = [at for at, gap in zip(spaces, gaps, strict=True) if 0 < gap < _WIDER * usual]
        if min(gaps) > 0 and usual < 1 and len(within) < len(spaces):  # Else they are no words.
            for at in within:
                joined[at] = _NOTHING
    return "".join(joined)


def _spaces_in_cells(box_of: _Boxes, run: str, first: int) -> list[int]:
    """Return which spaces of a run of letters and figures part the cells of a form that it fills in.

    Letters and figures that follow the alphabet, or are few figures, are more likely heads of columns.

    Args:
        first: the index of the run on the page.
    """
    signs = run[::2]
    follows = all(ord(after) - ord(before) == 1 for before, after in itertools.pairwise(signs))
    if follows or (signs.isdecimal() and len(signs) < _MANY_FIGURES):
        return []
    boxes = [box_of.full_height(first + 2 * index) for index in range(len(signs))]
    height = boxes[0][3] - boxes[0][1]
    for places in ([(left + right) / 2 for left, _, right, _ in boxes], [box[0] for box in boxes]):
        steps = [after - before for before, after in itertools.pairwise(places)]
        width = statistics.median(steps)
        cells = [step / width if width > 0 else 0 for step in steps]
        if 0 < width <= _WIDEST_CELL * height and all(
            abs(count - round(count)) <= _OFF_CENTRE and count > _OFF_CENTRE for count in cells
        ):
            return [first + 2 * at + 1 for at, count in enumerate(cells) if round(count) == 1]
    return []


def _has_odd_gaps(text: str) -> bool:
    """Tell whether letters may be far apart, or words glued together."""
    shapes = b" " + _shapes(text)
    return _MANY_JOINED in shapes or _MANY_APART in shapes or _FIGURES_APART in shapes


def _has_tight_cells(textpage: pypdfium2.PdfTextPage, text: str, *, is_codes: bool = False) -> bool:
    """Tell whether words or numbers may touch that stand side by side in a table: "Lamp oil40 gallons".

    PDFium sees no gap that is less than a sixth of a letter's height.

    Args:
        is_codes: whether the text has every character of PDFium's in its place.
    """
    kinds = text.encode("latin-1", "replace").translate(_AS_KINDS)
    box_of, index_of = _Boxes(textpage), pdfium.FPDFText_GetCharIndexFromTextIndex
    looks = 0
    for seam in _SEAMS:
        at = kinds.find(seam)
        while at >= 0 and looks < _MOST_LOOKS:
            first = at if is_codes else index_of(textpage, at)
            # Of figures all, else the two that differ.
            for step in range(seam[:1] == b".", len(seam) - 1 - (seam[-1:] == b".")):
                if _gap(box_of, first + step, first + step + 1) > _PARTS_WORDS:
                    return True
                looks += 1
            at = kinds.find(seam, at + 1)
    return False


def may_be_in_pieces(text: str) -> bool:
    """Tell whether so many letters stand alone that words may have gaps within them."""
    shapes = _shapes(text)
    alone = shapes.count(_ALONE)
    return alone >= _MANY_ALONE and alone > _SHARE_ALONE * shapes.count(b" ")


@lru_cache(maxsize=1)  # Three questions about the same page.
def _shapes(text: str) -> bytes:
    return text.encode("latin-1", "replace").translate(_AS_LETTERS)


def _parted(textpage: pypdfium2.PdfTextPage, codes: str, first: int = 0, *, tight: bool = False) -> str:
    """Return characters with spaces where words have gaps, in lines that have a long one.

    Args:
        first: the index of the first of them on the page.
        tight: whether cells of tables may touch: lines have spaces wherever letters are apart.
    """
    box_of = _Boxes(textpage)
    parts, begin = [], 0
    for line in _LINE.finditer(codes):
        seams: list[int] = []
        if tight:
            seams = _seams(box_of, codes, line.span(), first)
        elif _LONG_WORD.search(line[0]):
            # Where words of a line are glued together, short ones may be too.
            for word in _FEW_LETTERS.finditer(codes, *line.span()):
                seams += _wider_apart(box_of, range(word.start() + 1, word.end()), first)
        for at in seams:
            parts.append(codes[begin:at])
            begin = at
    return " ".join([*parts, codes[begin:]])


def _seams(box_of: _Boxes, codes: str, span: tuple[int, int], first: int) -> list[int]:
    """Return where the characters of a line are apart; nowhere if most are not as far as others."""
    places = [
        at
        for word in _WORD.finditer(codes, *span)
        for at in range(word.start() + 1, word.end())
        if _NOTHING not in codes[at - 1 : at + 1]
    ]
    return _wider_apart(box_of, places, first, even=_MOSTLY) if places else []


def _wider_apart(box_of: _Boxes, places: Sequence[int], first: int, even: float = 0.0) -> list[int]:
    """Return the places before which characters are farther apart than they usually are.

    Args:
        first: the index on the page of the characters' first.
        even: the share of gaps that have to be as usual, else there are no such places.
    """
    gaps = [_gap(box_of, first + at - 1, first + at) for at in places]
    usual = statistics.median(gaps)
    if sum(abs(gap - usual) < _EVEN for gap in gaps) < even * len(gaps):
        return []
    return [at for at, gap in zip(places, gaps, strict=True) if gap - usual > _PARTS_WORDS]


def _gap(box_of: _Boxes, before: int, after: int) -> float:
    """Return how far apart two characters of a line are, in their heights."""
    _, bottom, right, top = box_of.full_height(before)
    return (box_of.full_height(after)[0] - right) / max(top - bottom, 0.01)


def _breaks_turned_words(textpage: pypdfium2.PdfTextPage, text: str) -> bool:
    """Tell whether a line of few letters runs up or down the page: PDFium breaks many such lines."""
    index_of = pdfium.FPDFText_GetCharIndexFromTextIndex
    return any(
        _is_turned(textpage, index_of(textpage, found.start() + 1)) for found in _SHORT.finditer(text)
    )


def _is_turned(textpage: pypdfium2.PdfTextPage, index: int) -> bool:
    return abs(math.sin(pdfium.FPDFText_GetCharAngle(textpage, index))) > _UPRIGHT


def _with_turned_words(textpage: pypdfium2.PdfTextPage, codes: str) -> str:
    """Return characters without the ends of lines within what runs up or down the page."""
    box_of = _Boxes(textpage)
    joined = list(codes)
    for end in _END.finditer(codes, 1, len(codes) - 1):
        before, after = end.start() - 1, end.end()
        if not (_is_turned(textpage, before) and _is_turned(textpage, after)):
            continue
        first, second = box_of(before), box_of(after)
        width = max(first[2] - first[0], second[2] - second[0])
        gap = max(first[1] - second[3], second[1] - first[3])
        if min(first[2], second[2]) - max(first[0], second[0]) > width / 2 and gap < width:
            joined[end.start()] = " " if gap > _SPACE * width else _NOTHING
            joined[end.start() + 1] = _NOTHING
    return "".join(joined)


def _columns(
    textpage: pypdfium2.PdfTextPage, codes: str, start: int = 0, end: int | None = None
) -> Iterator[tuple[list[int], str]]:
    """Yield the characters of each column of a page, and its text, as they are read."""
    inked = [index for index, code in enumerate(codes[:end]) if index >= start and not code.isspace()]
    places = list(map(_Boxes(textpage).upright, inked))
    for column in vertical.columns(places):
        indexes = [inked[place] for place in column]
        parts = [codes[indexes[0]]]
        for before, after in itertools.pairwise(indexes):
            has_gap = before < after and any(map(str.isspace, codes[before:after]))
            if has_gap and not vertical.LETTER.search(codes[before] + codes[after]):
                parts.append(" ")  # Between Latin words; others have none.
            parts.append(codes[after])
        yield indexes, _plain("".join(parts))


def _with_accents(textpage: pypdfium2.PdfTextPage, codes: str) -> str:
    """Return characters with each accent that is drawn over the one beside it as part of that letter.

    What stood for the accent is `_NOTHING`, so that all others keep their places.
    """
    box_of = _Boxes(textpage)
    composed = list(codes)
    for match in _ACCENT.finditer(codes):
        index = match.start()
        left, bottom, right, _ = box_of(index)
        # PDFium takes the accent of a capital, which is drawn higher, for a line of its own.
        near = sorted(range(index - _NEAR, index + _NEAR), key=lambda place: abs(place - index))
        for place in near:
            letter = composed[place] if 0 <= place < len(codes) else ""
            whole = unicodedata.normalize("NFC", _DOTTED.get(letter, letter) + _ACCENTS[match[0]])
            if len(whole) > 1 or not letter.isalpha():
                continue
            begin, low, end, high = box_of(place)
            if begin < (left + right) / 2 < end and low < bottom < 2 * high - low:
                composed[index], composed[place] = _NOTHING, whole
                break
    return "".join(composed)


def _plain(codes: str) -> str:
    return codes.replace(_LINE_HYPHEN, "-").replace(_NOTHING, "")


def _spans(codes: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the first character of each line and the one after its last."""
    for match in _LINE.finditer(codes, start, len(codes) if end is None else end):
        yield match.span()


def _runs_through_columns(
    textpage: pypdfium2.PdfTextPage, text: str, *, is_codes: bool = False
) -> bool:
    """Tell whether lines may run through columns of text: two of three have a wide gap at one place.

    Args:
        is_codes: whether the text has every character of PDFium's in its place.
    """
    places = [int(share * len(text)) for share in _SAMPLE_AT]
    spans = [(text.rfind("\n", 0, at) + 1, max(text.find("\r", at), at)) for at in places]
    # The longest first: most pages have no gap there, and are not looked at further.
    spans.sort(key=lambda span: span[0] - span[1])
    box_of = _Boxes(textpage)
    first = _gutter_of(textpage, box_of, text, spans[0], is_codes=is_codes)
    return first is not None and any(
        other is not None and min(first[1], other[1]) > max(first[0], other[0])
        for span in spans[1:]
        for other in [_gutter_of(textpage, box_of, text, span, is_codes=is_codes)]
    )


def _gutter_of(
    textpage: pypdfium2.PdfTextPage,
    box_of: _Boxes,
    text: str,
    span: tuple[int, int],
    *,
    is_codes: bool,
) -> tuple[float, float] | None:
    """Return where a line has a gap as wide as a gutter between words that may be sentences."""
    starts = [span[0], *(space.end() for space in _SPACE_BETWEEN.finditer(text, *span))]
    if len(starts) < 2 * _WORDS_OF_COLUMN:
        return None
    shift = 0 if is_codes else pdfium.FPDFText_GetCharIndexFromTextIndex(textpage, span[0]) - span[0]
    lefts = [box_of.origin(start + shift) for start in starts]
    average = (lefts[-1] - lefts[0]) / (starts[-1] - starts[0])
    for word in range(_WORDS_OF_COLUMN, len(starts) - _WORDS_OF_COLUMN + 1):
        width = average * (starts[word] - starts[word - 1])
        if lefts[word] - lefts[word - 1] - width > average:  # It is a wide word, or before a wide gap.
            at = starts[word] + shift
            right, (left, _, _, _) = box_of(at - 2)[2], box_of(at)
            _, bottom, _, top = box_of.full_height(at)
            if left - right >= gutters.LEAST_GUTTER * (top - bottom):
                return right, left
    return None


def _spans_by_column(
    textpage: pypdfium2.PdfTextPage, codes: str, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield what `_spans` does, lines that run through columns cut up, column after column."""
    box_of = _Boxes(textpage)
    rows, starts, ends = [], {}, {}  # A line that is not cut up keeps the spaces around it.
    for first, last in _spans(codes, start, end):
        row = []
        for match in _WORD.finditer(codes, first, last):
            left, bottom, _, top = box_of.full_height(match.start())
            right = box_of(match.end() - 1)[2]
            row.append(gutters.Word(match[0], (left, bottom, right, top), *match.span()))
        if row:
            rows.append(row)
            starts[row[0].first], ends[row[-1].last] = first, last
    for words in gutters.column_by_column(rows):
        first, last = words[0].first, words[-1].last
        yield starts.get(first, first), ends.get(last, last)


def _has_answers_behind(textpage: pypdfium2.PdfTextPage, text: str) -> bool:
    """Tell whether lines have to be put behind labels that came before.

    Args:
        text: as PDFium gives it.
    """
    index_of = pdfium.FPDFText_GetCharIndexFromTextIndex
    spans = [line.span() for line in _LINE.finditer(text)]
    ends = [(index_of(textpage, first), index_of(textpage, last - 1) + 1) for first, last in spans]
    placed = [_placed(textpage, text[slice(*span)], *at) for span, at in zip(spans, ends, strict=True)]
    return answers.behind_labels(placed) is not None


def _with_answers(
    textpage: pypdfium2.PdfTextPage, codes: str, start: int = 0, end: int | None = None
) -> list[tuple[int, int]]:
    """Return what `_spans` yields, lines that are answers behind their labels."""
    spans = list(_spans(codes, start, end))
    placed = [_placed(textpage, codes[first:last], first, last) for first, last in spans]
    order = answers.behind_labels(placed)
    return spans if order is None else [spans[number] for number in order]


def _placed(textpage: pypdfium2.PdfTextPage, text: str, first: int, last: int) -> answers.Line:
    box_of = _Boxes(textpage)
    left, bottom, _, top = box_of.full_height(first)
    right = box_of(last - 1)[2]
    colon = text.rfind(":")
    return answers.Line(
        text.rstrip(), (left, bottom, right, top), box_of(first + colon)[2] if colon >= 0 else right
    )


def _is_lost(textpage: pypdfium2.PdfTextPage, begin: int, stop: int) -> bool:
    page, has_error = textpage.raw, pdfium.FPDFText_HasUnicodeMapError
    return any(has_error(page, index) == 1 for index in range(begin, stop))


def _reading_order(textpage: pypdfium2.PdfTextPage, first: int, last: int, *, leftwards: bool) -> str:
    box_of = _Boxes(textpage)
    characters = [
        right_to_left.Character(chr(pdfium.FPDFText_GetUnicode(textpage, index)), box_of(index))
        for index in range(first, last)
    ]
    return right_to_left.in_reading_order(characters, leftwards=leftwards)
