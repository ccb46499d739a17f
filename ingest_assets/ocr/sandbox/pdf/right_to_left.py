"""Hebrew and Arabic: letters in the order in which they are read, whatever order they were drawn in.

A PDF draws glyphs at places; in which order does not matter to what is seen. So a line is sorted by
place, and then turned into what a reader makes of it: from right to left, but numbers and Latin words
from left to right. PDFium does this too, but swaps the letters of ligatures, and
leaves vowel marks beside the wrong letter.

Belongs here: the order of one line. Does not belong here: the order of lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple

from ingest_assets.ocr.sandbox.pdf.places import Rectangle

LETTERS = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
"""As part of a regular expression: ranges of characters."""

_LETTER = re.compile(f"[{LETTERS}]")
_PRESENTATION_FORM = re.compile("[\ufb1d-\ufdff\ufe70-\ufefc]")
_MARK = ("Mn", "Me")

_LAM = "ل"
_ALEFS = "اأإآٱ"
# Ghostscript writes the two letters of a ligature as if they were one: of U+0644 U+0627 it keeps 44 27.
_MANGLED = {chr(0x4400 + ord(alef) % 0x100): _LAM + alef for alef in "آأإا"}
# Letters that stand at the end of a word only, and how many Arabic words begin and none is reversed.
_LAST_LETTERS = frozenset("ךםןףץةى")
_ARTICLE = _ALEFS[0] + _LAM

_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_WITHIN_NUMBERS = frozenset(".,:/-+%٪٫٬")


class Character(NamedTuple):
    """One character of a PDF, where its glyph is drawn."""

    text: str
    rectangle: Rectangle


# Share of a line's height that a gap between words has at least.
_GAP = 0.2

_Side = Literal["left", "right", "digit", "neutral"]
"""Towards which side a glyph is read."""


@dataclass
class _Glyph:
    """What is drawn at one place: a letter or a ligature, with its marks."""

    text: str
    left: float
    right: float
    marks: list[str] = field(default_factory=list)

    def middle(self) -> float:
        return (self.left + self.right) / 2


def is_in(text: str) -> bool:
    """Tell whether a text has letters that are read from right to left."""
    return not text.isascii() and _LETTER.search(text) is not None


def is_most_of(text: str) -> bool:
    """Tell whether most letters of a text are read from right to left: then its lines are, too."""
    return 2 * len(_LETTER.findall(text)) > sum(map(str.isalpha, text))


def in_reading_order(characters: Sequence[Character], *, leftwards: bool) -> str:
    """Return the text of one line.

    Args:
        characters: as PDFium gives them.
        leftwards: whether the line as a whole is read from right to left.
    """
    drawn = [character for character in characters if not character.text.isspace()]
    if not drawn:
        return ""
    lefts, bottoms, rights, tops = zip(*(character.rectangle for character in drawn), strict=True)
    height = max(tops) - min(bottoms)
    if height > max(rights) - min(lefts) and len(drawn) > 2:  # It runs from top to bottom.
        return "".join(character.text for character in characters)
    glyphs = _without_false_spaces(sorted(_glyphs(characters), key=_Glyph.middle), height)
    kinds = [_kind(glyph.text) for glyph in glyphs]
    # A line without a Latin letter is one of Hebrew or Arabic, whatever the rest of its page is.
    if leftwards or "right" not in kinds:
        text = _read(glyphs, kinds)
    else:
        text = "".join(
            _read(glyphs[first:last], kinds[first:last])
            if kinds[first] == "left"
            else _text(glyphs[first:last])
            for first, last in _phrases(kinds)
        )
    if _reads_backwards(text):  # Drawn from left to right, by a program that knew no better.
        text = _text(glyphs)
    return re.sub(" +", " ", text).strip()


def _glyphs(characters: Sequence[Character]) -> Iterable[_Glyph]:
    """Yield what is drawn, each ligature as one, each mark with its letter."""
    glyphs: list[_Glyph] = []
    marks: list[Character] = []
    characters = _with_spaces_in_gaps(characters)
    for rectangle, group in groupby(characters, key=lambda character: character.rectangle):
        text = "".join(character.text for character in group)
        if unicodedata.category(text[0]) in _MARK and len(text) == 1:
            marks.append(Character(text, rectangle))
            continue
        if len(text) > 1 and is_in(text):
            text = text[::-1]  # As the font has it: PDFium has turned it round with the line.
            if _LAM in text[1:] and text[0] in _ALEFS:  # It had not.
                text = text[::-1]
        text = _MANGLED.get(text, text)
        if _PRESENTATION_FORM.search(text):
            text = unicodedata.normalize("NFKC", text)
        glyphs.append(_Glyph(text, rectangle[0], rectangle[2]))
    letters = [glyph for glyph in glyphs if not glyph.text.isspace()]
    for mark in marks:
        left, _, right, _ = mark.rectangle
        if letters:
            nearest = min(letters, key=lambda glyph: abs(glyph.middle() - (left + right) / 2))
            nearest.marks.append(mark.text)
    return glyphs


def _with_spaces_in_gaps(characters: Sequence[Character]) -> list[Character]:
    """Return characters with each space that has no width in the gap that it stands for.

    Where a font's space has none, programs move on from it, or before it: it stands anywhere near.
    """
    placed = list(characters)
    for index, (text, (left, _, right, _)) in enumerate(characters):
        if not text.isspace() or left < right or not 0 < index < len(characters) - 1:
            continue
        first, second = sorted(
            (characters[index - 1].rectangle, characters[index + 1].rectangle), key=lambda side: side[0]
        )
        gap = second[0] - first[2]
        if 0 < gap < max(first[3] - first[1], second[3] - second[1]):
            placed[index] = Character(text, (first[2], first[1], second[0], first[3]))
    return placed


def _without_false_spaces(glyphs: Sequence[_Glyph], height: float) -> list[_Glyph]:
    """Return the glyphs without spaces where none is to be seen.

    PDFium adds one, without width, before a mark that goes back to its letter; programs draw some below
    other glyphs.
    """
    kept = []
    for index, glyph in enumerate(glyphs):
        beside = [*glyphs[max(0, index - 1) : index], *glyphs[index + 1 : index + 2]]
        if glyph.text.isspace() and len(beside) == 2:
            if glyph.left < glyph.right:
                is_false = any(glyph.left < other.middle() < glyph.right for other in beside)
            else:
                gap = beside[1].left - beside[0].right
                is_false = gap < _GAP * height and any(other.marks for other in beside)
            if is_false:
                continue
        kept.append(glyph)
    return kept


def _phrases(kinds: Sequence[_Side]) -> Iterable[tuple[int, int]]:
    """Yield the first glyph, and the one after the last, of what a line of Latin letters consists of.

    That is Hebrew or Arabic from its first letter to its last, with what is between them and no Latin
    letter, and by turns what is read from left to right.
    """
    initials = "".join(kind[0] for kind in kinds)
    for phrase in re.finditer("l(?:[^r]*l)?|[^l]+", initials):
        yield phrase.span()


def _read(glyphs: Sequence[_Glyph], kinds: Sequence[_Side]) -> str:
    """Return what glyphs, sorted from left to right, say to who begins at the right."""
    runs = [
        (side, [glyph for glyph, _ in run])
        for side, run in groupby(
            zip(glyphs, _resolved(glyphs, kinds), strict=True), key=lambda pair: pair[1]
        )
    ]
    return "".join(
        _balanced(_text(reversed(run))) if side == "left" else _text(run)
        for side, run in reversed(runs)
    )


def _text(glyphs: Iterable[_Glyph]) -> str:
    return "".join(glyph.text + "".join(glyph.marks) for glyph in glyphs)


def _balanced(text: str) -> str:
    """Return a text that was turned round with its brackets turned too, where they are not already."""
    mirrored = text.translate(_MIRRORED)
    return mirrored if _depth_errors(mirrored) <= _depth_errors(text) else text


def _depth_errors(text: str) -> int:
    depth = errors = 0
    for character in text:
        depth += (character in "([{«") - (character in ")]}»")
        errors += depth < 0
        depth = max(depth, 0)
    return errors + depth


def _resolved(glyphs: Sequence[_Glyph], kinds: Sequence[_Side]) -> list[_Side]:
    """Return the side towards which each glyph is read, digits and signs with what is beside them."""
    sides: list[_Side] = []
    before: _Side = "neutral"
    start = 0
    for kind, run in groupby(kinds):
        length = len(list(run))
        after = kinds[start + length] if start + length < len(kinds) else "neutral"
        side: _Side = kind
        if kind == "digit":
            side = "right"
        elif kind == "neutral":
            between = {before, after}
            in_number = length == 1 and glyphs[start].text in _WITHIN_NUMBERS
            side = "left"
            if (between == {"digit"} and in_number) or (
                between <= {"right", "digit"} and between != {"digit"}
            ):
                side = "right"
        sides += [side] * length
        before, start = kind, start + length
    return sides


def _kind(text: str) -> _Side:
    for character in text:
        bidirectional = unicodedata.bidirectional(character)
        if bidirectional in ("R", "AL"):
            return "left"
        if bidirectional == "L":
            return "right"
        if bidirectional in ("EN", "AN"):
            return "digit"
    return "neutral"


def _reads_backwards(text: str) -> bool:
    """Tell whether letters that end words begin them here."""
    score = 0
    for word in re.findall(r"[^\W\d_]+", text):
        if len(word) > 1 and _LETTER.match(word):
            score += (word[-1] in _LAST_LETTERS) - (word[0] in _LAST_LETTERS)
            score += word.startswith(_ARTICLE) - word.endswith(_ARTICLE[::-1])
    return score < 0
