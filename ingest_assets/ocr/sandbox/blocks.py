"""Blocks of a page that are not printed as the rest of it is: turned, or light on dark.

Tesseract reads a page in one orientation, and takes a large dark area for a picture. Here light print
on an even dark ground becomes dark print on light, and what stands on a page beside the words that were
read is found, so that it can be read turned.

Belongs here: where such blocks are. Does not belong here: recognising them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from ingest_assets.ocr.sandbox import belief
from ingest_assets.ocr.sandbox.left_over import (
    Layout,
    Line,
    Word,
    is_covered,
    without,
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

# A block that may be turned is at least so long, in heights of a word; what is smaller is a stain.
_LONG = 4

# A line of print has at least this share of the height of a word; what is thinner is a rule.
_THICK = 0.5

# More blocks than this are not looked at, the largest first: each takes as long as that part of a page,
# twice at most.
_MOST_BLOCKS = 8

# The longest word of an upright line has at least so many letters; with so many it is wider than tall.
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
        if _is_printed_light(place):
            inverted = values.copy() if inverted is None else inverted
            ground = int(np.median(place))
            left, top, right, bottom = _to_its_edges((left, top, right, bottom), values, ground)
            lighter = np.maximum(values[top:bottom, left:right], ground) - np.uint16(ground)
            inverted[top:bottom, left:right] = 255 - lighter * 255 // (255 - ground)
    return image if inverted is None else Image.fromarray(inverted)


def unread(image: Image.Image, layout: Layout, threshold: int) -> list[Box]:
    """Return the places, left, top, right, bottom, of blocks of ink that no sure word accounts for.

    Args:
        threshold: the lightest grey that is ink.
    """
    height = layout.usual_height
    if not height:
        return []
    side = square_side(height)
    rest = np.asarray(without(image, accounted(layout))) <= threshold
    found = ((box, box[2] - box[0], box[3] - box[1]) for box in inked_places(rest, side, _APART))
    long = [
        box
        for box, across, down in found
        if max(across, down) >= _LONG * height and min(across, down) >= _THICK * height
    ]
    long.sort(key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))
    spare = round(height / 2)
    return [
        (
            max(0, left - spare),
            max(0, top - spare),
            min(image.width, right + spare),
            min(image.height, bottom + spare),
        )
        for left, top, right, bottom in long[:_MOST_BLOCKS]
    ]


def accounted(layout: Layout) -> Iterator[Word]:
    """Yield the words that are sure to stand where they were read, upright."""
    for line in layout.lines:
        # Of lines on their side single letters come out, and some words, taller than they are wide.
        words = [word for word in line.words if not _is_tall(word)]
        letters = max((word.letters for word in words), default=0)
        if letters >= _SOME_LETTERS and belief.is_sure_line(line):
            yield from (word for word in words if word.confidence >= belief.SURE)


def unsure_in(layout: Layout, box: Box) -> list[Word]:
    """Return the words that were read in a place, but are not sure to stand there upright."""
    sure = set(map(id, accounted(layout)))
    return [word for word in layout.words() if id(word) not in sure and _is_in(word, box)]


def _is_tall(word: Word) -> bool:
    """Tell whether a word is taller than wide: Tesseract itself reads some lines on their side."""
    return word.letters >= _SOME_LETTERS and word.height > word.right - word.left


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
    layout.lines = [line for line in layout.lines if line.words]
    above = [index for index, line in enumerate(layout.lines) if line.bottom <= box[1]]
    place = above[-1] + 1 if above else 0
    layout.lines[place:place] = lines


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


def _is_printed_light(place: npt.NDArray[np.uint8]) -> bool:
    """Tell whether a dark place is an even ground with lighter print on it; a photograph is not."""
    ground = int(np.median(place))
    is_ground = np.abs(place.astype(np.int16) - ground) <= _EVEN
    printed = inked_squares(place > (ground + 255) // 2, _SIDE, _LIGHT_PRINT)
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
