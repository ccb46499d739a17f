"""What a page holds, once it was looked at: which words count, and which places are to be recognised.

Belongs here: weighing a text layer against what is seen, and the order of text and pictures. Does not
belong here: getting at either (`layer`, `view`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import Literal, Protocol

import numpy as np

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import letters
from ingest_assets.ocr.sandbox.document import Doubt, PageContent, Picture
from ingest_assets.ocr.sandbox.pdf.fonts import CASE
from ingest_assets.ocr.sandbox.pdf.layer import Line, Word
from ingest_assets.ocr.sandbox.pdf.places import Box, around
from ingest_assets.ocr.sandbox.pdf.view import View
from ingest_assets.text import clean_text

# Recognition needs some paper around letters; in points.
_MARGIN = 6.0

# A sample of a layer: so many lines, at most so much of the page's height.
_SAMPLE_LINES, _SAMPLE_SHARE = 8, 0.25

# Shares of the words recognised on a sample that the layer has: of one and the same text most, of
# another only what is there by chance.
_SAME, _OTHER = 0.5, 0.25
_FEWEST_WORDS = 3

# By so many of its heights a line of a layer may stand beside what it means.
_BESIDE = 0.5

# So many lines can be told from those beside them.
_FEWEST_LINES = 3

# Words are alike so far, 0 to 1, where letters of one are corrected in the other.
_CORRECTED = 0.5

# What is less sure proves nothing about the layer.
_SURE = 0.7

# Of pairs of words that are recognised so surely, at least so many, a scanner's layer has 0.88 or more
# where it was read well, and less than this share where about one word in ten was misread. German, read
# as English, is less sure, and has this share of its letters with accents.
_VERY_SURE, _READ_RIGHT, _FEWEST_PAIRS, _ACCENTED = 0.91, 0.8, 20, 0.01

# A letter is another than the layer has if this share of the words with it, of so many letters or more,
# are not in the layer; where it was in doubt before, one such word will do.
_NEARLY_ALL, _LONG_WORD, _FEWEST_DOUBTED = 0.8, 4, 1
_ALIKE = "il1o0s5"

# Words without figures that are long enough to be read right.
_WORDS = re.compile(r"\b[^\W\d_]{4,}\b")

# What is in doubt where words may be in pieces.
GAPS = " "
_LIGATURES = ("ffi", "ffl", "ff", "fi", "fl", "ti", "tt", "tf", "ft", "th")

_UNCHECKED = (
    "a font may give letters for others, and what the page shows is too unsure to be compared with them"
)

# A page with so few characters, and too few letters to judge, is let pass.
FEW_CHARACTERS = 20


class Draw(Protocol):
    """Draws a page, or a place on it, for recognition."""

    def __call__(self, box: Box | None, without: Sequence[Word], *, text: bool = True) -> Picture:
        """Draw a place, or all of the page, with some words painted over, or without all its text."""
        ...


_Part = str | Callable[[], Picture]


@dataclass(frozen=True)
class Judgement:
    """One page.

    Args:
        text: its text layer as a whole.
        lines: the same, line by line.
        added: the lines that its annotations add.
        beside: text that goes at its end: form fields, comments.
        notes: what is known of it already.
        view: what it looks like.
        unseen: its words in whose places nothing is to be seen of them.
        beneath: what it looks like without the text that is drawn over its images; None where none is.
        fonts_are_there: whether all of its text can be drawn.
        doubted: the letters that its fonts may give for others.
    """

    text: str
    lines: Sequence[Line]
    added: Sequence[Line]
    beside: Sequence[str]
    notes: Sequence[Note]
    view: View
    draw: Draw
    fonts_are_there: bool
    doubted: frozenset[str] = frozenset()
    unseen: Sequence[Word] = ()
    beneath: View | None = None

    def content(self) -> PageContent:
        """Return what the page holds, or the doubt that has to be settled first."""
        lines = [*self.lines, *self.added]
        unseen = {
            word for word in self.unseen if self._is_hidden(word) or self.view.is_under_even_image(word)
        }
        notes = [*self.notes]
        if unseen:
            notes.append(
                Note(
                    "not_shown",
                    f"{len(unseen)} words that nobody sees were left out: they are outside the page, "
                    "covered, or drawn invisibly",
                )
            )
        seen = [kept for line in lines if (kept := line.without(unseen))]
        mapped = [line for line in seen if not line.is_lost]
        printed = [line for line in mapped if any(map(self._is_overprint, line.words))]
        if not printed:
            return replace(self, beneath=None)._weighed(mapped, notes)

        def settle(text: str, confidence: float | None) -> PageContent:
            # The text that is drawn over a scan may be what the scan shows in these places.
            is_same = _compare(_text(printed), text, confidence) == "same"
            return replace(self, beneath=None if is_same else self.beneath)._weighed(mapped, notes)

        sample = _sample(printed, self.view.frame.box)
        content = self._weighed(mapped, notes)
        doubt = Doubt(lambda: self.draw(sample, (), text=False), settle, at_a_glance=True)
        return replace(content, doubt=doubt)

    def _is_overprint(self, word: Word) -> bool:
        """Tell whether a word is drawn over an image in a place where that shows something."""
        return self._is_drawn_over(word) and self.beneath is not None and self.beneath.shows(word)

    def _is_drawn_over(self, word: Word) -> bool:
        return (
            self.beneath is not None
            and self.view.is_over_image(word)
            and self.view.differs(self.beneath, word)
        )

    def _weighed(self, mapped: Sequence[Line], notes: Sequence[Note]) -> PageContent:
        """Return the content if these lines are read, or the doubt whether they are what is seen."""
        suspects, is_language = self._suspects(mapped)
        trusted = self._content(mapped, notes)
        if not suspects and self.doubted and mapped:
            return self._compared(mapped, notes, trusted)
        if not suspects:
            return trusted

        def settle(text: str, confidence: float | None) -> PageContent:
            verdict = _compare(_text(suspects), text, confidence)
            are_layered = all(map(self._is_layered, suspects))
            if verdict == "same" and are_layered and _is_misread(_text(suspects), text, confidence):
                verdict = "other"
            if verdict == "same":
                return self._content(mapped, notes, list(filter(self._is_layered, suspects)))
            if verdict == "unknown" and is_language is not False:
                return trusted
            if verdict == "other" or are_layered:
                return self._content([line for line in mapped if line not in suspects], notes)
            doubt = "the text that the file gives looks like no language, and could not be checked"
            return self._content(mapped, [*notes, Note("doubtful_text", doubt)])

        sample = _sample(suspects, self.view.frame.box)
        look = Doubt(lambda: self.draw(sample, ()), settle, at_a_glance=True)
        return replace(trusted, doubt=look)

    def _compared(
        self, lines: Sequence[Line], notes: Sequence[Note], trusted: PageContent
    ) -> PageContent:
        """Return the content if single letters of these lines are in doubt."""

        def settle(text: str, confidence: float | None) -> PageContent:
            if confidence is None or confidence < _SURE:
                return replace(trusted, notes=(*trusted.notes, Note("doubtful_text", _UNCHECKED)))
            shown = _text(line for line in lines if sample.holds(line.box.middle))
            if _has_other_letters(shown, text, self.doubted):
                return self._content([], notes)
            return trusted

        sample = _sample(lines, self.view.frame.box, self.doubted)
        return replace(trusted, doubt=Doubt(lambda: self.draw(sample, ()), settle))

    def _is_hidden(self, word: Word) -> bool:
        """Tell whether a word is not seen because it is hidden, not because PDFium cannot draw it."""
        if not word.box.grown(0.1).common(self.view.frame.box).area:
            return True
        if not any(map(str.isalnum, word.text)):
            return False  # A rule of underscores has too little ink to be found.
        # Without its font it is not drawn here, but elsewhere.
        is_drawn = self.fonts_are_there or max(word.text) < "\u0250"
        return is_drawn and not self.view.is_over_image(word)

    def _is_layered(self, line: Line) -> bool:
        """Tell whether a line lies over or under an image, as a scanner's does."""
        return 2 * sum(map(self.view.is_over_image, line.words)) > len(line.words)

    def _suspects(self, lines: Sequence[Line]) -> tuple[list[Line], bool | None]:
        """Return the lines that may not say what is seen, and whether all lines are a language's."""
        text = _text(lines)
        is_language = letters.are_natural(text)
        # One font of several may be a cipher: what the others say is judged without it.
        natural = [line for line in lines if not letters.are_unnatural(line.text)]
        others = letters.are_natural(_text(natural))
        if others is False or (others is None and visible(text) >= FEW_CHARACTERS):
            return list(lines), is_language
        suspects = [
            line
            for line in lines
            if (self._is_layered(line) and not any(map(self._is_overprint, line.words)))
            or letters.are_unnatural(line.text)
        ]
        return suspects, is_language

    def _content(
        self, lines: Sequence[Line], notes: Sequence[Note], proven: Sequence[Line] = ()
    ) -> PageContent:
        """Return the content if these lines, and no others, can be trusted.

        Args:
            proven: those that are surely what an image shows about where they stand: scanners' words
                stand beside what they mean by up to half a line.
        """
        view, places_of = self.beneath or self.view, {line: line for line in lines}
        words, places = self._unread(view, lines, proven)
        if places and len(proven) >= _FEWEST_LINES:
            # By more: all of them do so together.
            places_of |= zip(proven, registered := self._registered(view, proven), strict=True)
            words, places = self._unread(view, list(places_of.values()), registered)
        if not lines:
            whole = (lambda: self.draw(None, ()),) if places else ()
            return PageContent((*whole, *self.beside), tuple(notes))
        if not places and not self.added and list(lines) == list(self.lines):
            return PageContent((self.text, *self.beside), tuple(notes))
        items: list[tuple[Box, _Part]] = []
        for line, placed in places_of.items():
            if line in self.added:
                _insert(items, placed.box, line.text)
            else:
                items.append((placed.box, line.text))
        for place in places:
            _insert(items, place, self._drawing(place.grown(_MARGIN), words))
        return PageContent((*_joined(part for _, part in items), *self.beside), tuple(notes))

    def _unread(
        self, view: View, lines: Sequence[Line], proven: Sequence[Line]
    ) -> tuple[list[Word], list[Box]]:
        """Return the words that account for what is seen, and the places where something else is."""
        words = [word for line in lines for word in line.words if not self._is_drawn_over(word)]
        words += [Word(line.text, line.box.grown(_BESIDE * line.box.height)) for line in proven]
        return words, view.unread(words)

    def _registered(self, view: View, lines: Sequence[Line]) -> list[Line]:
        """Return lines that an image surely shows where they stand on it."""
        ordered = sorted(lines, key=lambda line: line.box.top)
        sample = _sample(ordered, view.frame.box)
        (indexes,) = np.nonzero([sample.holds(line.box.middle) for line in ordered])
        if not indexes.size:
            return list(lines)  # They stick out of the page.
        words = [[word.box for word in line.words] for line in ordered]
        shifts = view.registered(words, int(indexes[0]), int(indexes[-1]) + 1)
        moved = {line: line.moved(*shift) for line, shift in zip(ordered, shifts, strict=True)}
        return [moved[line] for line in lines]

    def _drawing(self, place: Box, words: Sequence[Word]) -> Callable[[], Picture]:
        return lambda: self.draw(place, words, text=self.beneath is None)


def visible(text: str) -> int:
    """Return the number of characters of a text that are no white space."""
    return sum(map(len, text.split()))


def says_other(given: str, drawn: str) -> bool:
    """Tell whether one text has other words than another, where single letters may be corrected."""
    ours, theirs = given.split(), drawn.split()
    for _, start, end, first, last in SequenceMatcher(None, ours, theirs, False).get_opcodes():
        one, other = _letters_only("".join(ours[start:end])), _letters_only("".join(theirs[first:last]))
        if one != other and SequenceMatcher(None, one, other, False).ratio() < _CORRECTED:
            return True
    return False


def _text(lines: Iterable[Line]) -> str:
    return "\n".join(line.text for line in lines)


def _insert(items: list[tuple[Box, _Part]], box: Box, part: _Part) -> None:
    """Put a part below the nearest of those that it stands under, else before all others."""
    down = box.middle[1]
    above = [index for index, (other, _) in enumerate(items) if other.middle[1] < down]
    in_column = [
        index
        for index in above
        if items[index][0].right > box.left and items[index][0].left < box.right
    ]
    if candidates := in_column or above:
        nearest = max(candidates, key=lambda index: (items[index][0].bottom, index))
        items.insert(nearest + 1, (box, part))
    else:
        items.insert(0, (box, part))


def _joined(parts: Iterable[_Part]) -> Iterator[_Part]:
    """Yield parts, lines that follow each other as one text."""
    for is_text, run in groupby(parts, key=lambda part: isinstance(part, str)):
        if is_text:
            yield clean_text("\n".join(line for line in run if isinstance(line, str)))
        else:
            yield from run


def _sample(lines: Sequence[Line], page: Box, sought: Set[str] = frozenset()) -> Box:
    """Return the place of a few lines that stand together, where most words are.

    Args:
        sought: where most words with these letters are, if there are any.
    """
    count = {line: sum(not sought.isdisjoint(word.text) for word in line.words) for line in lines}
    if not any(count.values()):
        count = {line: len(line.words) for line in lines}
    ordered = sorted(lines, key=lambda line: line.box.top)
    best, most = ordered[:1], 0
    for first in range(len(ordered)):
        window = [
            line
            for line in ordered[first : first + _SAMPLE_LINES]
            if line.box.bottom - ordered[first].box.top <= _SAMPLE_SHARE * page.height
        ]
        if (words := sum(count[line] for line in window)) > most:
            best, most = window, words
    return around([line.box for line in best]).grown(_MARGIN).common(page)


def _compare(
    layer: str, recognised: str, confidence: float | None
) -> Literal["same", "other", "unknown"]:
    """Tell whether a layer has the words that were recognised on a part of its page."""
    words = [word for word in map(_letters_only, recognised.split()) if len(word) >= 3]
    if len(words) < _FEWEST_WORDS or confidence is None:
        return "unknown"
    known = _letters_only(layer)
    share = sum(word in known for word in words) / len(words)
    if share >= _SAME:
        return "same"
    is_sure = confidence >= _SURE and letters.are_natural(recognised) is not False
    return "other" if share < _OTHER and is_sure else "unknown"


def _is_misread(layer: str, recognised: str, confidence: float | None) -> bool:
    """Tell whether a scanner misread so many words that what was recognised is better.

    Letters of other languages may be those that are recognised as others.
    """
    if confidence is None or confidence < _VERY_SURE:
        return False
    accented = sum(character.isalpha() and not character.isascii() for character in layer)
    if accented >= _ACCENTED * len(layer):
        return False
    known = _letters_only(layer)
    words = list(filter(None, map(_letters_only, recognised.split())))
    pairs = list(map("".join, pairwise(words)))
    found = sum(pair in known for pair in pairs)
    return len(pairs) >= _FEWEST_PAIRS and found < _READ_RIGHT * len(pairs)


def _has_other_letters(layer: str, recognised: str, doubted: Set[str]) -> bool:
    """Tell whether a layer lacks nearly all words that were recognised with some letter in them.

    Where gaps are in doubt, words in pieces are lacking; where case is, words whose capitals are small.

    Figures are compared in numbers, letters in words; letters that print alike are compared only where
    they are in doubt.
    """
    known = _letters_only(layer)
    words = {_letters_only(word) for word in recognised.split()}
    if GAPS in doubted:
        ours = {_letters_only(word) for word in layer.split()}
        lacking = sum(word not in ours for word in words if len(word) >= _LONG_WORD)
        if lacking >= max(_FEWEST_WORDS, _OTHER * len(words)):
            return True
    if CASE in doubted:
        ours = set(_WORDS.findall(layer))
        capitals = {word for word in _WORDS.findall(recognised) if not word.islower()}
        known_small = {word for word in capitals if word.lower() in ours or word in ours}
        lacking = len(known_small - ours)
        if lacking and lacking >= _NEARLY_ALL * len(known_small):
            return True
    numbers = {word for word in words if word.isdecimal() and len(word) > 1}
    words = {word for word in words if word.isalpha() and len(word) >= _LONG_WORD}
    for letter in {*"".join(words), *"".join(numbers), *_LIGATURES}:
        having = [word for word in numbers if letter in word] or [w for w in words if letter in w]
        fewest = _FEWEST_DOUBTED if letter in doubted else _FEWEST_WORDS
        if letter in _ALIKE and letter not in doubted:
            continue
        lacking = sum(word not in known for word in having)
        if len(having) >= fewest and lacking >= _NEARLY_ALL * len(having):
            return True
    return False


def _letters_only(text: str) -> str:
    """Return letters and digits, without accents and case."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in folded if character.isalnum())
