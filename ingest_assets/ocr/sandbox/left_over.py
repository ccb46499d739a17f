"""What page segmentation leaves over: finding it, and putting it where it belongs.

Tesseract drops columns of short words without a sign: the numbers of a list at the margin, the
prices of a receipt. Here the ink that no word accounts for is found, pictures are made in which it is
all that is to be read, and the new words are put into the lines that they stand in. Lines keep their
order, so that two columns are never read across.

Belongs here: geometry of words. Does not belong here: recognising them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

# What is less sure than this is a stain, a frame, or a column of numbers read sideways: a new word is
# not taken, and a word that the page has gives way to a surer one in its place.
_MIN_CONFIDENCE = 0.5

# Heights of a new word, in those of the page's words: more is a picture, less is a speck.
_MIN_HEIGHT, _MAX_HEIGHT = 0.5, 2.5

# A word this many times as high as the page's others is no word, and hides what it lies over.
_HIDING_HEIGHT = 4

# By so much, in heights of a word, the box of a short word may stand beside its letters.
_MISPLACED = 0.5

# Share of dark pixels in a square of half a word's height: a speck has less, a solid area more.
_MIN_INK, _MAX_INK = 0.15, 0.9


@dataclass(frozen=True)
class Word:
    """A word where it stands: pixels from the top left corner; confidence 0 to 1."""

    text: str
    left: int
    top: int
    right: int
    bottom: int
    confidence: float

    @property
    def height(self) -> int:
        """Height of its box."""
        return self.bottom - self.top


@dataclass
class Line:
    """A line of words, from left to right."""

    words: list[Word]
    starts_paragraph: bool = False

    @property
    def bottom(self) -> int:
        """Where its lowest word ends."""
        return max(word.bottom for word in self.words)


@dataclass
class Layout:
    """The lines of a page in reading order."""

    lines: list[Line] = field(default_factory=list)

    def words(self) -> Iterator[Word]:
        """Yield all words in reading order."""
        for line in self.lines:
            yield from line.words

    def text(self) -> str:
        """Return the lines, paragraphs parted by an empty line."""
        lines = []
        for line in self.lines:
            lines += [""] if line.starts_paragraph else []
            lines.append(" ".join(word.text for word in line.words))
        return "\n".join(lines)


def unread(image: Image.Image, layout: Layout, threshold: int) -> tuple[Image.Image, ...]:
    """Return pictures of what holds ink outside the words of a grey page; none where nothing does.

    Two, because either reads what the other does not: the lines with such ink, with the words that
    are known, for a number reads better in its line; and the ink alone.

    Args:
        threshold: the lightest grey that is ink.
    """
    words = list(_covering(layout))
    if not words:
        return ()
    height = _usual_height(words)
    alone = _erased(image, words, margin=max(2, round(0.15 * height)))
    rows = _inked_rows(np.asarray(alone) <= threshold, max(4, round(height / 2)))
    if not rows.any():
        return ()
    elsewhere = [word for word in words if not rows[word.top : word.bottom].any()]
    return _erased(image, elsewhere, margin=1), alone


def add_missing(layout: Layout, found: Iterable[Word]) -> bool:
    """Put those of the found words into a layout that it lacks, the surest of each place.

    Returns:
        Whether there were any.
    """
    words = list(_covering(layout))
    height = _usual_height(words)
    missing: list[Word] = []
    for word in sorted(found, key=lambda word: -word.confidence):
        if (
            word.confidence >= _MIN_CONFIDENCE
            and any(map(str.isalnum, word.text))
            and _MIN_HEIGHT * height <= word.height <= _MAX_HEIGHT * height
            and not _is_covered(word, words, margin=round(_MISPLACED * height))
            and not _is_covered(word, missing, margin=0)
        ):
            missing.append(word)
    _drop_doubtful(layout, missing)
    for word in sorted(missing, key=lambda word: (word.top, word.left)):
        _insert(layout, word)
    return bool(missing)


def _drop_doubtful(layout: Layout, surer: Sequence[Word]) -> None:
    """Take out the words that account for no ink and that surer ones now stand in place of."""
    covering = set(_covering(layout))
    for line in layout.lines:
        line.words = [
            word
            for word in line.words
            if word in covering or not any(_is_covered(other, [word], 0) for other in surer)
        ]
    layout.lines = [line for line in layout.lines if line.words]


def _covering(layout: Layout) -> Iterator[Word]:
    """Yield the words that account for the ink in their boxes."""
    words = list(layout.words())
    if words:
        height = _usual_height(words)
        for word in words:
            if word.confidence >= _MIN_CONFIDENCE and word.height <= _HIDING_HEIGHT * height:
                yield word


def _usual_height(words: Sequence[Word]) -> float:
    return statistics.median(word.height for word in words)


def _erased(image: Image.Image, words: Iterable[Word], margin: int) -> Image.Image:
    rest = image.copy()
    draw = ImageDraw.Draw(rest)
    for word in words:
        draw.rectangle(
            (word.left - margin, word.top - margin, word.right + margin, word.bottom + margin),
            fill=255,
        )
    return rest


def _inked_rows(dark: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.bool_]:
    """Return which rows of pixels hold squares that are inked as letters are."""
    rows, columns = (length // side for length in dark.shape)
    squares = dark[: rows * side, : columns * side].reshape(rows, side, columns, side)
    share = squares.mean(axis=(1, 3))
    inked = ((share >= _MIN_INK) & (share <= _MAX_INK)).any(axis=1)
    return np.pad(np.repeat(inked, side), (0, dark.shape[0] - rows * side))


def _is_covered(word: Word, words: Sequence[Word], margin: int) -> bool:
    area = (word.right - word.left) * word.height
    return 0.3 * area < sum(
        _overlap(word.left, word.right, other.left - margin, other.right + margin)
        * _overlap(word.top, word.bottom, other.top, other.bottom)
        for other in words
    )


def _insert(layout: Layout, word: Word) -> None:
    """Put a word into the nearest line at its height, else below the nearest line above it."""
    beside = []
    for index, line in enumerate(layout.lines):
        nearest = min(line.words, key=lambda other: _gap(word, other))
        if _overlap(word.top, word.bottom, nearest.top, nearest.bottom) >= 0.5 * min(
            word.height, nearest.height
        ):
            beside.append((_gap(word, nearest), index))
    if beside:
        line = layout.lines[min(beside)[1]]
        line.words.append(word)
        line.words.sort(key=lambda other: other.left)
        return
    above = [line.bottom <= word.top + word.height / 2 for line in layout.lines]
    distances = [
        (word.top - line.bottom + min(_gap(word, other) for other in line.words), index)
        for index, line in enumerate(layout.lines)
        if above[index]
    ]
    place = 0
    if distances:
        nearest_line = layout.lines[min(distances)[1]]
        place = min(distances)[1] + 1
        # A short last line may be farther away than a long one before it.
        while place < len(above) and above[place] and _in_column(layout.lines[place], nearest_line):
            place += 1
    layout.lines.insert(place, Line([word], starts_paragraph=True))


def _in_column(line: Line, other: Line) -> bool:
    ends = line.words[0].left, line.words[-1].right
    return _overlap(*ends, other.words[0].left, other.words[-1].right) > 0


def _gap(one: Word, other: Word) -> int:
    return max(one.left - other.right, other.left - one.right, 0)


def _overlap(start: int, end: int, other_start: int, other_end: int) -> int:
    return max(0, min(end, other_end) - max(start, other_start))
