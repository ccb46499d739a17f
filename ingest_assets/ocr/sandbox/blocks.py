"""Blocks of a page that are not printed as the rest of it is: turned, slanted, or light on dark.

Tesseract reads a page in one orientation, and takes a large dark area for a picture. Here light print
on an even dark ground becomes dark print on light, and what stands on a page beside the words that were
read is found, so that it can be read turned.

Belongs here: where such blocks are. Does not belong here: recognising them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ingest_assets.ocr.sandbox import belief
from ingest_assets.ocr.sandbox.left_over import (
    Layout,
    Line,
    Word,
    is_covered,
    without,
    without_rules,
)
from ingest_assets.ocr.sandbox.squares import (
    Box,
    groups,
    inked_places,
    inked_squares,
    shares,
    square_side,
)

# Sides of squares in pixels in which dark grounds are looked for: letters of small print fit into one.
_SIDE = 32

# Share of dark pixels in a square of dark ground with light letters on it.
_DARK = 0.5

# A dark ground has at least this share of a page and fills this share of the rectangle around it.
_LEAST_GROUND, _FILLED = 0.01, 0.75

# The greys of an even dark ground differ by at most so much, of 255, from their median.
_EVEN = 12

# Shares of a dark ground: at least so many pixels are of it, and so many squares have light print.
_GROUND, _PRINTED = 0.5, 0.01

# Share of light pixels in a square that has light print on it.
_LIGHT_PRINT = 0.03

# Bands are dark grounds too low for those squares, such as heads of tables. They are looked for in
# squares of so many pixels, are at most so many of these high, at least so many wide and twice as wide
# as high, and fill this share of the rectangle around them, in which they may be askew.
_BAND_SIDE, _MOST_ROWS, _FEWEST_COLUMNS, _BAND_FILLED = 16, 8, 8, 0.5

# A band's edge is ground nearly all along; between the letters of a heavy headline there is paper.
_EDGE, _INSIDE = 0.95, 2

# Side of the square, in pixels, within which the edge of a band is blurred, and the height of the rule
# that is left of it.
_EDGES, _RULED = 7, 3

# The edges of a band are those of most of so many squares side by side: letters may nearly touch it.
_SMOOTHED = 5

# A block that may be turned is at least so long, in heights of a word; what is smaller is a stain.
_LONG = 4

# A line of print has at least this share of the height of a word; what is thinner is a rule.
_THICK = 0.5

# More blocks than this are not looked at, the largest first: each takes as long as that part of a page,
# twice at most.
_MOST_BLOCKS = 8

# Slanted words reach over so many heights of a word, across and down.
_SLANTED_SIDE = 2

# Slants of words are looked for in steps of so many degrees; nearer than the second to an upright or a
# lying line, they are those of a page that is askew, or of the letters themselves.
_SLANT_STEP, _LEAST_SLANT = 3, 10

# At its slant the ink of words lies in lines, so many times closer together than upright or lying.
_IN_LINES = 1.25

# Fewer dots of ink tell no slant, more are not needed, and slants as near as this are one.
_FEWEST_DOTS, _ENOUGH_DOTS, _SAME_SLANT = 50, 5_000, 6

# The longest word of an upright line has at least so many letters.
_SOME_LETTERS = 3

# Squares, of half a word's height, that may lie between two lines of one block.
_APART = 3


def dark_on_light(image: Image.Image) -> Image.Image:
    """Return a grey page on which areas that are printed light on dark are inverted."""
    values = np.asarray(image)
    if not (dark := shares(values < 128, _SIDE) > _DARK).any():
        return image
    inverted = None
    for group in groups(dark, 1):
        left, top, right, bottom = group.box(_SIDE)
        if group.size * _SIDE**2 < max(
            _LEAST_GROUND * values.size, _FILLED * (right - left) * (bottom - top)
        ):
            continue
        place = values[top:bottom, left:right]
        if _is_printed_light(place, np.ones_like(place, dtype=np.bool_), _SIDE):
            inverted = values.copy() if inverted is None else inverted
            ground = int(np.median(place))
            left, top, right, bottom = _to_its_edges((left, top, right, bottom), values, ground)
            inverted[top:bottom, left:right] = _inverted(values[top:bottom, left:right], ground)
    return image if inverted is None else Image.fromarray(inverted)


def bands_on_light(image: Image.Image) -> Image.Image:
    """Return a grey page on which bands that are printed light on dark are inverted."""
    values = np.asarray(image)
    inverted = None
    dark = shares(values < 128, _BAND_SIDE) > _DARK
    for group in groups(dark, 1):
        across, down = group.right - group.left, group.bottom - group.top
        # What lies along the upper or lower edge of a scan is what was around the page.
        if (
            group.top == 0
            or group.bottom == len(dark)
            or down > _MOST_ROWS
            or across < max(_FEWEST_COLUMNS, 2 * down)
            or group.size < _BAND_FILLED * across * down
        ):
            continue
        left, top, right, bottom = group.box(_BAND_SIDE)
        place = (
            slice(max(0, top - _BAND_SIDE // 2), bottom + _BAND_SIDE // 2),
            slice(max(0, left - _BAND_SIDE), right + _BAND_SIDE),
        )
        band = _band(values[place])
        if band.any() and _is_printed_light(values[place], band, _BAND_SIDE):
            inverted = values.copy() if inverted is None else inverted
            # Its blurred edges become paper but for a rule below: under it Tesseract sees a table.
            around = Image.fromarray(band).convert("L").filter(ImageFilter.MaxFilter(_EDGES))
            inverted[place][np.asarray(around) > 0] = 255
            on_band = values[place][band]
            inverted[place][band] = _inverted(on_band, int(np.median(on_band)))
            rule = band.copy()
            rule[:-_RULED] &= ~band[_RULED:]
            inverted[place][rule] = 0
    return image if inverted is None else Image.fromarray(inverted)


def _band(place: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return which pixels of a place are a band across it; none where there is none."""
    dark = place < 128
    height, width = place.shape
    strips = np.add.reduceat(dark, np.arange(0, width, _BAND_SIDE), axis=1, dtype=np.uint16)
    strips = strips >= _GROUND * _BAND_SIDE
    firsts = _smoothed(np.where(strips.any(axis=0), strips.argmax(axis=0), height))
    ends = _smoothed(np.where(strips.any(axis=0), height - strips[::-1].argmax(axis=0), 0))
    # Into the strips at its sides it may reach with less than half of them.
    firsts[[0, -1]], ends[[0, -1]] = firsts[[1, -2]], ends[[1, -2]]
    strip = np.minimum(np.arange(width) // _BAND_SIDE, len(firsts) - 1)
    first, end = firsts[strip], ends[strip]
    rows = np.arange(height)[:, None]
    band = (rows > first) & (rows < end - 1)
    columns = np.flatnonzero((dark & band).sum(axis=0) > _GROUND * np.maximum(end - first, 1))
    if not columns.size:
        return np.zeros_like(band)
    band[:, : columns[0] + 1] = band[:, columns[-1] :] = False
    inner = np.arange(columns[0], columns[-1] + 1)
    edges = np.clip((first + _INSIDE, end - 1 - _INSIDE), 0, height - 1)[:, inner]
    return band if min(dark[edge, inner].mean() for edge in edges) >= _EDGE else np.zeros_like(band)


def _smoothed(edges: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    around = np.pad(edges, _SMOOTHED // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, _SMOOTHED)
    return np.asarray(np.median(windows, axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Rest:
    """What of a page no sure word accounts for.

    Attributes:
        image: the page without the words that are sure to stand where they were read, upright.
        ink: which pixels of it are ink.
        height: that of a word.
        places: the boxes around its ink.
    """

    image: Image.Image
    ink: npt.NDArray[np.bool_]
    height: float
    places: Sequence[Box]

    @classmethod
    def of(cls, image: Image.Image, layout: Layout, threshold: int) -> Rest:
        """Return what is left of a page; `threshold` is the lightest grey that is ink."""
        height = layout.usual_height
        left = without(image, accounted(layout))
        left = without_rules(left, height, threshold) if height else left
        ink = left <= threshold
        places = tuple(inked_places(ink, square_side(height), _APART)) if height else ()
        return cls(Image.fromarray(left), ink, height, places)


def unread(rest: Rest) -> list[Box]:
    """Return the places of blocks that may be turned by a quarter or upside down, the largest first."""
    sides = ((box, box[2] - box[0], box[3] - box[1]) for box in rest.places)
    long = [
        box
        for box, across, down in sides
        if max(across, down) >= _LONG * rest.height and min(across, down) >= _THICK * rest.height
    ]
    long.sort(key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))
    spare = round(rest.height / 2)
    return [
        (
            max(0, left - spare),
            max(0, top - spare),
            min(rest.image.width, right + spare),
            min(rest.image.height, bottom + spare),
        )
        for left, top, right, bottom in long[:_MOST_BLOCKS]
    ]


def slanted(rest: Rest) -> Mapping[float, list[Box]]:
    """Return the places of what may be slanted words, by their slant in degrees counter-clockwise."""
    by_slant: dict[float, list[Box]] = {}
    for box in rest.places:
        left, top, right, bottom = box
        if min(right - left, bottom - top) < _SLANTED_SIDE * rest.height:
            continue
        if (slant := slant_of_lines(rest.ink[top:bottom, left:right])) is not None:
            near = (other for other in by_slant if abs(other - slant) <= _SAME_SLANT)
            by_slant.setdefault(next(near, slant), []).append(box)
    return by_slant


def only(image: Image.Image, boxes: Iterable[Box]) -> tuple[Image.Image, int, int]:
    """Return some places of a page on white paper, and where the picture begins on the page."""
    boxes = list(boxes)
    first, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    size = max(box[2] for box in boxes) - first, max(box[3] for box in boxes) - top
    places = Image.new("L", size, 255)
    for box in boxes:
        places.paste(image.crop(box), (box[0] - first, box[1] - top))
    return places, first, top


def slant_of_lines(dark: npt.NDArray[np.bool_]) -> float | None:
    """Return by how many degrees the lines of some ink are slanted; None where they are not clearly."""
    ys, xs = np.nonzero(dark)
    if len(ys) < _FEWEST_DOTS:
        return None
    step = len(ys) // _ENOUGH_DOTS + 1
    ys, xs = ys[::step].astype(np.float64), xs[::step].astype(np.float64)
    dots = math.hypot(*dark.shape) / 200

    def closeness(degrees: float) -> float:
        angle = math.radians(degrees)
        rows = ((ys * math.cos(angle) + xs * math.sin(angle)) / max(1.0, dots)).astype(np.int64)
        return float(np.square(np.bincount(rows - rows.min()).astype(np.float64)).sum())

    slants = range(-90 + _LEAST_SLANT, 91 - _LEAST_SLANT)
    coarse = max(slants[::_SLANT_STEP], key=closeness)
    best = max(range(coarse - _SLANT_STEP + 1, coarse + _SLANT_STEP), key=closeness)
    straight = max(closeness(degrees) for degrees in range(-_LEAST_SLANT // 2, _LEAST_SLANT // 2 + 1))
    lying = max(closeness(90 + degrees) for degrees in range(-_LEAST_SLANT // 2, _LEAST_SLANT // 2 + 1))
    is_clear = closeness(best) >= _IN_LINES * max(straight, lying)
    return float(best) if is_clear and _LEAST_SLANT <= abs(best) <= 90 - _LEAST_SLANT else None


def accounted(layout: Layout) -> Iterator[Word]:
    """Yield the words that are sure to stand where they were read, upright."""
    for line in layout.lines:
        # Of lines on their side single letters come out, and some words, taller than they are wide.
        words = [word for word in line.words if not word.is_on_its_side]
        letters = max((word.letters for word in words), default=0)
        if letters >= _SOME_LETTERS and belief.is_sure_line(line):
            yield from (word for word in words if word.confidence >= belief.SURE)


def unsure_in(layout: Layout, box: Box) -> list[Word]:
    """Return the words that were read in a place, but are not sure to stand there upright."""
    sure = set(map(id, accounted(layout)))
    return [word for word in layout.words() if id(word) not in sure and _is_in(word, box)]


def put(layout: Layout, box: Box, lines: Iterable[Line]) -> None:
    """Put the lines that were read in a block in place of what is not sure there, or was the same."""
    lines = list(lines)
    found = [word for line in lines for word in line.words]
    unsure = set(map(id, unsure_in(layout, box)))
    for line in layout.lines:
        line.words = [
            word
            for word in line.words
            if id(word) not in unsure and not is_covered(word, found, margin=0)
        ]
    _insert(layout, box, lines)


def put_slanted(layout: Layout, lines: Iterable[Line]) -> None:
    """Put slanted lines into a layout in place of what is no word where they stand.

    Words stay: the boxes around slanted ones reach over others.
    """
    placed = [(_around(line), line) for line in lines]
    unsure = [word for box, _ in placed for word in unsure_in(layout, box)]
    gone = {id(word) for word in unsure if not word.is_known or word.letters < _SOME_LETTERS}
    for line in layout.lines:
        line.words = [word for word in line.words if id(word) not in gone]
    for box, line in placed:
        _insert(layout, box, [Line(line.words, starts_paragraph=True)])


def _around(line: Line) -> Box:
    return (
        min(word.left for word in line.words),
        min(word.top for word in line.words),
        max(word.right for word in line.words),
        max(word.bottom for word in line.words),
    )


def _insert(layout: Layout, box: Box, lines: Iterable[Line]) -> None:
    layout.lines = [line for line in layout.lines if line.words]
    above = [index for index, line in enumerate(layout.lines) if line.bottom <= box[1]]
    place = above[-1] + 1 if above else 0
    layout.lines[place:place] = lines


def slanted_back(word: Word, slant: float, read: tuple[int, int], before: tuple[int, int]) -> Word:
    """Return a word that was read in a picture turned clockwise by a slant, where it stood before.

    Args:
        read: width and height of the turned picture.
        before: those of the picture before.
    """
    angle = math.radians(-slant)
    corners = [
        (x - read[0] / 2, y - read[1] / 2)
        for x in (word.left, word.right)
        for y in (word.top, word.bottom)
    ]
    across = [x * math.cos(angle) - y * math.sin(angle) + before[0] / 2 for x, y in corners]
    down = [x * math.sin(angle) + y * math.cos(angle) + before[1] / 2 for x, y in corners]
    sides = round(min(across)), round(min(down)), round(max(across)), round(max(down))
    return Word(word.text, *sides, word.confidence, word.is_known)


def turned_back(word: Word, turn: int, box: Box) -> Word:
    """Return a word that was read in a block turned counter-clockwise, where it stands on the page."""
    left, top, right, bottom = box
    if turn == 90:
        sides = right - word.bottom, top + word.left, right - word.top, top + word.right
    elif turn == 270:
        sides = left + word.top, bottom - word.right, left + word.bottom, bottom - word.left
    else:
        sides = right - word.right, bottom - word.bottom, right - word.left, bottom - word.top
    return Word(word.text, *sides, word.confidence, word.is_known)


def _inverted(values: npt.NDArray[np.uint8], ground: int) -> npt.NDArray[np.uint8]:
    """Return pixels as if what is lighter than their ground were as much darker than white paper."""
    lighter = np.maximum(values, ground) - np.uint16(ground)
    return np.asarray(255 - lighter * 255 // (255 - ground), dtype=np.uint8)


def _is_printed_light(place: npt.NDArray[np.uint8], area: npt.NDArray[np.bool_], side: int) -> bool:
    """Tell whether a dark area of a place is an even ground with lighter print on it.

    A photograph is not.

    Args:
        side: that of the squares, in pixels, in which print is looked for.
    """
    ground = int(np.median(place[area]))
    is_ground = np.abs(place[area].astype(np.int16) - ground) <= _EVEN
    printed = inked_squares((place > (ground + 255) // 2) & area, side, _LIGHT_PRINT)
    return bool(ground < 128 and is_ground.mean() >= _GROUND and printed.mean() >= _PRINTED)


def _to_its_edges(box: Box, values: npt.NDArray[np.uint8], ground: int) -> Box:
    """Return a box moved to the edges of its ground, which are within a square of its own."""
    left, top, right, bottom = box[0] + _SIDE, box[1] + _SIDE, box[2] - _SIDE, box[3] - _SIDE
    if left >= right or top >= bottom:
        return box
    is_ground = np.abs(values.astype(np.int16) - ground) <= _EVEN
    for _ in range(2 * _SIDE):
        left -= left > 0 and is_ground[top:bottom, left - 1].mean() >= _GROUND
        right += right < values.shape[1] and is_ground[top:bottom, right].mean() >= _GROUND
        top -= top > 0 and is_ground[top - 1, left:right].mean() >= _GROUND
        bottom += bottom < values.shape[0] and is_ground[bottom, left:right].mean() >= _GROUND
    return int(left), int(top), int(right), int(bottom)


def _is_in(word: Word, box: Box) -> bool:
    across, down = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return box[0] <= across <= box[2] and box[1] <= down <= box[3]
