"""Words where they stand on a page: what a reading leaves over, and what another reading has of it.

Tesseract drops columns of short words without a sign: the numbers of a list at the margin, the
prices of a receipt. Here the ink that no word accounts for is found, pictures are made in which it is
all that is to be read, and the new words are put into the lines that they stand in. Lines keep their
order, so that two columns are never read across.

A page that is hard to read is read in several ways, each of which reads some of it best: `merge` takes
of each place what they are surest of.

Belongs here: geometry of words. Does not belong here: recognising them.
"""

from __future__ import annotations

import itertools
import re
import statistics
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from ingest_assets.ocr.sandbox.squares import (
    Box,
    inked_places,
    inked_squares,
    rules,
    square_side,
)

# What is less sure than this is a stain, a frame, or a column of numbers read sideways: a new word is
# not taken, and a word that the page has gives way to a surer one in its place.
_MIN_CONFIDENCE = 0.5

# Heights of a new word, in those of the page's words: more is a picture, less is a speck.
_MIN_HEIGHT, _MAX_HEIGHT = 0.5, 2.5

# A word of so many letters is wider than tall.
_SOME_LETTERS = 3

# A word this many times as high as the page's others is no word, and hides what it lies over.
_HIDING_HEIGHT = 4

# A straight run of ink this many times as long as a word is high is a rule: of a table, of a frame, of
# the axis of a chart. Words that a frame holds together were one place, as large as the page.
_RULE = 6

# Unsure words lower than this share of the height of others may be a row of dots, if they are so many
# heights long together; of a rule more than the last share is ink.
_FLAT, _SHORTEST_LEADER, _SOLID = 0.3, 8, 0.85

# What a word of the dictionary counts for more, where two readings differ.
_KNOWN_BONUS = 0.2

# What a word counts for more for each other reading that has it, too.
_VOTE_BONUS = 0.1

# What is less sure than this, and in one reading alone, is a stain.
_STAIN = 0.3

# A word of letters that no dictionary has, less sure than the first, may be misread; another reading of
# it as sure as the second is better.
_DOUBTFULLY_READ, _SURELY_READ = 0.75, 0.9

# Two words stand in one place where this share of the smaller one's box is in the other's.
_SAME_PLACE = 0.3

# Chinese and Japanese characters: no spaces stand between their words.
_NO_SPACES = re.compile("[\u3000-\u312f\u31c0-\u9fff\uf900-\ufaff\uff01-\uffee]")

# Squares, of half a word's height, that may lie between letters of one place.
_ONE_PLACE = 2

# Words that stand no farther beside a place, in heights of a word, are read with it.
_NEXT = 6

# Share of dark pixels from which on a page is printed light on dark.
_MOSTLY_DARK = 0.5

# So many times as high as it is wide is a line that was read on its side.
_COLUMN = 4

# Half the height of print of 12 points at 200 dpi, where no word says how high it is.
_ASSUMED_HEIGHT = 16

# Pixels of paper to spare around words that are cut out.
_SPARE = 8

# By so much, in heights of a word, the box of a short word may stand beside its letters.
_MISPLACED = 0.5


@dataclass(frozen=True)
class Word:
    """A word where it stands: pixels from the top left corner; confidence 0 to 1.

    `is_known` says that it is in the dictionary of the language that it was read in.
    """

    text: str
    left: int
    top: int
    right: int
    bottom: int
    confidence: float
    is_known: bool = False

    @cached_property
    def letters(self) -> int:
        """How many letters and digits it has."""
        return sum(map(str.isalnum, self.text))

    @cached_property
    def height(self) -> int:
        """Height of its box."""
        return self.bottom - self.top

    @cached_property
    def is_on_its_side(self) -> bool:
        """Whether it is taller than wide: Tesseract itself reads some lines on their side."""
        return self.letters >= _SOME_LETTERS and self.height > self.right - self.left

    def moved(self, right: int, down: int) -> Word:
        """Return the word so many pixels farther right and down."""
        return replace(
            self,
            left=self.left + right,
            top=self.top + down,
            right=self.right + right,
            bottom=self.bottom + down,
        )

    def smaller(self, times: float) -> Word:
        """Return the word as it stands in a picture that is so many times smaller."""
        return replace(
            self,
            left=int(self.left / times),
            top=int(self.top / times),
            right=int(self.right / times),
            bottom=int(self.bottom / times),
        )


@dataclass
class Line:
    """A line of words in reading order."""

    words: list[Word]
    starts_paragraph: bool = False

    @property
    def text(self) -> str:
        """Its words with spaces between them, but for scripts that have none."""
        parts = [self.words[0].text] if self.words else []
        for before, word in itertools.pairwise(self.words):
            glued = _NO_SPACES.match(before.text[-1]) and _NO_SPACES.match(word.text[0])
            parts.append(word.text if glued else f" {word.text}")
        return "".join(parts)

    def put(self, *words: Word) -> None:
        """Take in words where they belong, from left to right, from right to left, or on its side."""
        runs_down = len(self.words) > 1 and self.words[0].top < self.words[-1].top
        self.words.extend(words)
        if 2 * sum(word.is_on_its_side for word in self.words) > len(self.words):
            self.words.sort(key=lambda word: word.top, reverse=not runs_down)
            return
        letters = [unicodedata.bidirectional(letter) for word in self.words for letter in word.text]
        leftwards = sum(kind in ("R", "AL") for kind in letters) > letters.count("L")
        self.words.sort(key=lambda word: word.left, reverse=leftwards)

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

    @property
    def confidence(self) -> float:
        """Mean of its words, 0 to 1; 0 where there are none."""
        confidences = [word.confidence for word in self.words()]
        return statistics.fmean(confidences) if confidences else 0.0

    @property
    def sureness(self) -> float:
        """Sum of its words' confidences: how much was read, and how surely."""
        return sum(word.confidence for word in self.words())

    @property
    def usual_height(self) -> float:
        """Median of its words' heights in pixels; 0 where there are none."""
        heights = [word.height for word in self.words()]
        return statistics.median(heights) if heights else 0.0

    def text(self) -> str:
        """Return the lines, paragraphs parted by an empty line."""
        lines = []
        for line in self.lines:
            lines += [""] if line.starts_paragraph else []
            lines.append(line.text)
        return "\n".join(lines)


@dataclass(frozen=True)
class Cutting:
    """Places of a page as one picture, one below the other: what lies between them takes time to read.

    Attributes:
        image: the places.
        left: where they begin on the page, in pixels.
        rows: for each row of the picture that of the page.
    """

    image: Image.Image
    left: int
    rows: npt.NDArray[np.intp]

    def on_page(self, words: Iterable[Word]) -> Iterator[Word]:
        """Yield words that were read in the picture where they stand on the page."""
        for word in words:
            last = int(self.rows[min(word.bottom, len(self.rows)) - 1])
            yield replace(
                word,
                left=word.left + self.left,
                top=int(self.rows[min(word.top, len(self.rows) - 1)]),
                right=word.right + self.left,
                bottom=last + 1,
            )


def cut(values: npt.NDArray[np.uint8], places: Sequence[Box], spare: int) -> Cutting:
    """Cut places out of a page, with so many pixels to spare around them."""
    kept = np.zeros(len(values), dtype=np.bool_)
    for _, top, _, bottom in places:
        kept[max(0, top - spare) : bottom + spare] = True
    left = max(0, min(place[0] for place in places) - spare)
    right = max(place[2] for place in places) + spare
    rows = np.flatnonzero(kept)
    return Cutting(Image.fromarray(values[rows, left:right]), left, rows)


def drop_columns(layout: Layout) -> None:
    """Take out of a layout the columns of figures that were read as one line on its side."""
    layout.lines = [line for line in layout.lines if not _is_column(line.words)]


def _is_column(words: Sequence[Word]) -> bool:
    across = max(word.right for word in words) - min(word.left for word in words)
    down = max(word.bottom for word in words) - min(word.top for word in words)
    is_sure = statistics.fmean(word.confidence for word in words) >= _SURELY_READ
    return len(words) > 1 and down > _COLUMN * across and not is_sure


def unread(left: npt.NDArray[np.uint8], layout: Layout, threshold: int) -> list[Box]:
    """Return the places on a grey page where ink outside its words may be words.

    Args:
        left: what `ink_left` returns.
        threshold: the lightest grey that is ink.
    """
    words = list(_covering(layout))
    if not words:
        return []
    height = _usual_height(words)
    found = inked_places(left <= threshold, square_side(height), _ONE_PLACE)
    return [place for place in found if not _is_rule_or_speck(place, height)]


def in_its_lines(image: Image.Image, layout: Layout, found: Sequence[Box]) -> Cutting:
    """Return places of a page with the words next to them: a number reads better in its line."""
    words = list(_covering(layout))
    height = _usual_height(words)
    boxes = np.array([(word.left, word.top, word.right, word.bottom) for word in words])
    near = np.zeros(len(words), dtype=np.bool_)
    for left, top, right, bottom in found:
        beside = (boxes[:, 1] < bottom) & (boxes[:, 3] > top)
        near |= beside & (boxes[:, 0] < right + _NEXT * height) & (boxes[:, 2] > left - _NEXT * height)
    elsewhere = [word for word, is_near in zip(words, near, strict=True) if not is_near]
    beside_them = [tuple(box) for box in boxes[near].tolist()]
    return cut(without(image, elsewhere), [*found, *beside_them], round(height))


def is_surely_read(place: Box, words: Iterable[Word]) -> bool:
    """Tell whether sure words stand in a place of a page."""
    sure = [word for word in words if word.confidence >= _SURELY_READ]
    return is_covered(Word("", *place, 0.0), sure, margin=0)


def ink_left(image: Image.Image, layout: Layout, threshold: int) -> npt.NDArray[np.uint8]:
    """Return the greys of a page without the words that account for its ink, and without rules.

    Args:
        threshold: the lightest grey that is ink.
    """
    words = list(_covering(layout))
    if not words:
        return np.asarray(image)
    left = without(image, words, margin=_margin(words))
    return without_rules(left, _usual_height(words), threshold)


def without_rules(
    values: npt.NDArray[np.uint8], height: float, threshold: int
) -> npt.NDArray[np.uint8]:
    """Return the greys of a page without the rules on it.

    Args:
        height: that of a word, in pixels.
        threshold: the lightest grey that is ink.
    """
    ink = rules(values <= threshold, round(_RULE * height), square_side(height))
    return np.maximum(values, ink.view(np.uint8) * np.uint8(255)) if ink.any() else values


def _is_rule_or_speck(place: Box, height: float) -> bool:
    """Tell whether ink has not the shape of a word that is so high."""
    across, down = place[2] - place[0], place[3] - place[1]
    is_upright_rule = down > _MAX_HEIGHT * height and across < _MIN_HEIGHT * height
    return down < _MIN_HEIGHT * height or is_upright_rule


def read_share(image: Image.Image, layout: Layout, threshold: int) -> float:
    """Return the share of what looks like letters on a grey page that words account for, 0 to 1.

    Args:
        threshold: the lightest grey that is ink.
    """
    words = list(layout.words())
    side = _side(words)
    dark = np.asarray(image) <= threshold
    if dark.mean() > _MOSTLY_DARK:
        dark = ~dark  # It is printed light on dark.
    every = inked_squares(dark, side)
    rest = every.copy()
    for word in words:
        rest[word.top // side : word.bottom // side + 1, word.left // side : word.right // side + 1] = (
            False
        )
    return 1 - int(np.count_nonzero(rest)) / max(1, int(np.count_nonzero(every)))


def without(image: Image.Image, words: Iterable[Word], margin: int = 1) -> npt.NDArray[np.uint8]:
    """Return the greys of a picture without some words and so many pixels around them."""
    rest = np.array(image)
    for word in words:
        top, left = max(0, word.top - margin), max(0, word.left - margin)
        rest[top : word.bottom + margin + 1, left : word.right + margin + 1] = 255
    return rest


def without_leaders(image: Image.Image, layout: Layout, threshold: int) -> Image.Image | None:
    """Return a grey page without the rows of dots that were read as words; None where there are none.

    Args:
        threshold: the lightest grey that is ink.
    """
    heights = [word.height for word in layout.words() if word.confidence >= _DOUBTFULLY_READ]
    height = round(statistics.median(heights)) if heights else 0
    rest: npt.NDArray[np.uint8] | None = None
    for line in layout.lines:
        flat = [
            word
            for word in line.words
            if word.height < _FLAT * height and word.confidence < _MIN_CONFIDENCE
        ]
        if sum(word.right - word.left for word in flat) < _SHORTEST_LEADER * max(1, height):
            continue
        left, right = min(word.left for word in flat), max(word.right for word in flat)
        middle = round(statistics.median((word.top + word.bottom) / 2 for word in flat))
        top, bottom = max(0, middle - height // 4), middle + height // 4
        height_above = min(top, height // 2)
        ink = np.asarray(image)[top - height_above : bottom, left:right] <= threshold
        # Letters in between reach higher.
        are_low = ~ink[:height_above].any(axis=0)
        if not are_low.any() or ink[height_above:, are_low].any(axis=0).mean() > _SOLID:
            continue
        rest = np.array(image) if rest is None else rest
        rest[top:bottom, left:right][:, are_low] = 255
    return None if rest is None else Image.fromarray(rest)


def below_each_other(image: Image.Image, runs: Iterable[Sequence[Word]]) -> Image.Image:
    """Return the places of some runs of words, cut out of a page, as one picture."""
    cuts = []
    for run in runs:
        left, top = min(word.left for word in run), min(word.top for word in run)
        right, bottom = max(word.right for word in run), max(word.bottom for word in run)
        box = max(0, left - _SPARE), max(0, top - _SPARE), right + _SPARE, bottom + _SPARE
        cuts.append(image.crop((*box[:2], min(image.width, box[2]), min(image.height, box[3]))))
    size = max(piece.width for piece in cuts), sum(piece.height for piece in cuts)
    together = Image.new("L", (size[0] + 2 * _SPARE, size[1] + (len(cuts) + 1) * _SPARE), 255)
    top = _SPARE
    for piece in cuts:
        together.paste(piece, (_SPARE, top))
        top += piece.height + _SPARE
    return together


def bounds(lines: Iterable[Line], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box around some lines, with the height of a word to spare, within a picture."""
    words = [word for line in lines for word in line.words]
    spare = max(word.height for word in words)
    return (
        max(0, min(word.left for word in words) - spare),
        max(0, min(word.top for word in words) - spare),
        min(size[0], max(word.right for word in words) + spare),
        min(size[1], max(word.bottom for word in words) + spare),
    )


def add_missing(layout: Layout, found: Iterable[Word], highest: float = _MAX_HEIGHT) -> bool:
    """Put those of the found words into a layout that it lacks, the surest of each place.

    Args:
        highest: what is higher, in heights of a word, is none.

    Returns:
        Whether there were any.
    """
    likely = [word for word in found if word.confidence >= _MIN_CONFIDENCE and word.letters]
    if not likely:
        return False
    words = list(_covering(layout))
    height = _usual_height(words)
    missing: list[Word] = []
    for word in sorted(likely, key=lambda word: -word.confidence):
        if (
            _MIN_HEIGHT * height <= word.height <= highest * height
            and not is_covered(word, words, margin=round(_MISPLACED * height))
            and not is_covered(word, missing, margin=0)
        ):
            missing.append(word)
    _drop_doubtful(layout, missing)
    for word in sorted(missing, key=lambda word: (word.top, word.left)):
        _insert(layout, word)
    return bool(missing)


def merge(layout: Layout, others: Sequence[Layout]) -> None:
    """Put into a layout, for each place, what all readings of the same picture are surest of together.

    A word that several readings have alike counts for more than one that is in one of them. Words that
    hardly anything speaks for are left out.
    """
    readings = [list(reading.words()) for reading in (layout, *others)]
    votes = _votes(readings)

    def sureness(word: Word) -> float:
        return word.confidence + _VOTE_BONUS * votes[id(word)]

    for line in layout.lines:
        line.words = [word for word in line.words if votes[id(word)] or word.confidence >= _STAIN]
    layout.lines = [line for line in layout.lines if line.words]
    for theirs in readings[1:]:
        for mine, others_there in _places(list(layout.words()), theirs):
            if not mine:
                for word in others_there:
                    if sureness(word) >= _MIN_CONFIDENCE and word.letters:
                        _insert(layout, word)
            elif others_there and _mean(others_there, sureness) > _mean(mine, sureness):
                _replace(layout, mine, others_there)


def doubtful_lines(layout: Layout) -> list[Line]:
    """Return the lines that have words which may be misread, the most doubtful first."""
    lines = [
        (min(word.confidence for word in doubtful), index)
        for index, line in enumerate(layout.lines)
        if (doubtful := [word for word in line.words if _is_doubtful(word)])
    ]
    return [layout.lines[index] for _, index in sorted(lines)]


def correct(layout: Layout, found: Sequence[Word]) -> None:
    """Put into a layout what another reading has, of the dictionary and surely, for a doubtful word."""
    for mine, others in _places(list(layout.words()), found):
        if (
            len(mine) == len(others) == 1
            and _is_doubtful(mine[0])
            and others[0].is_known
            and others[0].confidence >= _SURELY_READ
        ):
            _replace(layout, mine, others)


def _is_doubtful(word: Word) -> bool:
    is_unknown = not word.is_known and word.confidence < _DOUBTFULLY_READ
    return is_unknown and word.letters >= 3 and word.text.strip(".,;:").isalpha()


def _votes(readings: Sequence[Sequence[Word]]) -> dict[int, int]:
    """Return for each word, by its identity, how many other readings have the same in its place."""
    votes = {id(word): 0 for words in readings for word in words}
    for words, others in itertools.permutations(readings, 2):
        for word, there in zip(words, _overlapping(words, others), strict=True):
            votes[id(word)] += any(others[index].text == word.text for index in there)
    return votes


def _places(
    ours: Sequence[Word], theirs: Sequence[Word]
) -> Iterator[tuple[Sequence[Word], Sequence[Word]]]:
    """Yield what two readings have of each place where either has words."""
    groups = {index: ([word], list[Word]()) for index, word in enumerate(ours)}
    place = list(groups)
    for word, overlapping in zip(theirs, _overlapping(theirs, ours), strict=True):
        joined = sorted({place[index] for index in overlapping})
        if not joined:
            yield (), [word]
            continue
        first, *rest = joined
        groups[first][1].append(word)
        for index in rest:  # The word bridges what were two places.
            mine, others = groups.pop(index)
            groups[first][0].extend(mine)
            groups[first][1].extend(others)
            place = [first if other == index else other for other in place]
    yield from groups.values()


def _overlapping(words: Sequence[Word], others: Sequence[Word]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield for each word the numbers of the others that stand in its place."""
    boxes = np.array([(word.left, word.top, word.right, word.bottom) for word in others])
    boxes = boxes.reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for word in words:
        width = np.minimum(boxes[:, 2], word.right) - np.maximum(boxes[:, 0], word.left)
        height = np.minimum(boxes[:, 3], word.bottom) - np.maximum(boxes[:, 1], word.top)
        smaller = np.minimum(areas, (word.right - word.left) * word.height)
        shared = np.clip(width, 0, None) * np.clip(height, 0, None)
        yield np.flatnonzero(shared > _SAME_PLACE * smaller)


def _mean(words: Sequence[Word], sureness: Callable[[Word], float]) -> float:
    lengths = [len(word.text) for word in words]
    scores = [sureness(word) + _KNOWN_BONUS * word.is_known for word in words]
    return float(np.average(scores, weights=lengths))


def _replace(layout: Layout, old: Sequence[Word], new: Sequence[Word]) -> None:
    """Put words in the place of others, in the line that held most of these."""
    gone = set(map(id, old))
    line = max(layout.lines, key=lambda line: sum(id(word) in gone for word in line.words))
    for other in layout.lines:
        other.words = [word for word in other.words if id(word) not in gone]
    line.put(*new)
    layout.lines = [line for line in layout.lines if line.words]


def _drop_doubtful(layout: Layout, surer: Sequence[Word]) -> None:
    """Take out the words that account for no ink and that surer ones now stand in place of."""
    covering = set(map(id, _covering(layout)))
    for line in layout.lines:
        line.words = [
            word
            for word in line.words
            if id(word) in covering or not any(is_covered(other, [word], 0) for other in surer)
        ]
    layout.lines = [line for line in layout.lines if line.words]


def _covering(layout: Layout) -> Iterator[Word]:
    """Yield the words that account for the ink in their boxes."""
    words = list(layout.words())
    if words:
        height = _usual_height(words)
        for word in words:
            is_read_so = word.is_on_its_side and word.confidence >= _SURELY_READ
            if is_read_so or (
                word.confidence >= _MIN_CONFIDENCE and word.height <= _HIDING_HEIGHT * height
            ):
                yield word


def _usual_height(words: Sequence[Word]) -> float:
    return statistics.median(word.height for word in words)


def _side(words: Sequence[Word]) -> int:
    return square_side(_usual_height(words)) if words else _ASSUMED_HEIGHT


def _margin(words: Sequence[Word]) -> int:
    """How far letters may reach out of the boxes of their words, in pixels."""
    return max(2, round(0.15 * _usual_height(words)))


def is_covered(word: Word, words: Sequence[Word], margin: int) -> bool:
    """Tell whether others stand in a word's place, with so many pixels to either side of them."""
    area = (word.right - word.left) * word.height
    return 0.3 * area < sum(
        _overlap(word.left, word.right, other.left - margin, other.right + margin)
        * _overlap(word.top, word.bottom, other.top, other.bottom)
        for other in words
        if other.top < word.bottom and word.top < other.bottom
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
        line.put(word)
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
