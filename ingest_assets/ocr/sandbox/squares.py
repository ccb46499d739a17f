"""Pages looked at in squares: which are inked as letters are, and which of these lie together.

Of a page of four million pixels everything is counted row by row of squares first, for numpy adds long
rows ten times as fast as the short ones within a square.

Belongs here: arithmetic of squares. Does not belong here: what is made of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

# Share of dark pixels in a square of half a word's height: a speck has less, a solid area more.
_MIN_INK, _MAX_INK = 0.15, 0.9

# Squares, across and down, that are near the one in their middle.
_NEAR = 5

Box = tuple[int, int, int, int]


class Group(NamedTuple):
    """Squares that lie together: how many, and the rows and columns that they are in, ends left out."""

    size: int
    left: int
    top: int
    right: int
    bottom: int

    def box(self, side: int) -> Box:
        """Return the box around them in pixels, left, top, right, bottom."""
        return self.left * side, self.top * side, self.right * side, self.bottom * side


def square_side(height: float) -> int:
    """Return the side, in pixels, of the squares in which ink of words of that height is looked for."""
    return max(4, round(height / 2))


def sums(
    values: npt.NDArray[np.generic], side: int, columns_fit: type[np.unsignedinteger[Any]] = np.uint32
) -> npt.NDArray[np.uint32]:
    """Return the sum of each square of a picture; a rest at its right and bottom is left out.

    Args:
        values: of at most 16 bits each.
        side: that of the squares, in pixels.
        columns_fit: a type that holds the sum of one column of a square; numpy adds several times as
            fast in that of the values.
    """
    rows, columns = (length // side for length in values.shape)
    whole = values[: rows * side, : columns * side].reshape(rows, side, columns * side)
    in_rows = np.add.reduce(whole, axis=1, dtype=columns_fit)
    total: npt.NDArray[np.uint32] = np.add.reduce(
        in_rows.reshape(rows, columns, side), axis=2, dtype=np.uint32
    )
    return total


def shares(flags: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.float64]:
    """Return the share of each square of a picture in which a flag is set, as `sums` does."""
    return sums(flags.view(np.uint8), side, np.uint8 if side <= 255 else np.uint32) / side**2


def spreads(values: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float64]:
    """Return the standard deviation of each square of a picture, as `sums` does."""
    mean = sums(values, side) / side**2
    squares = sums(np.square(values, dtype=np.uint16), side) / side**2
    return np.sqrt(np.maximum(squares - mean**2, 0))


def extremes(values: npt.NDArray[np.uint8], side: int, pick: np.ufunc) -> npt.NDArray[np.uint8]:
    """Return the lightest or the darkest grey of the square around each pixel.

    Pillow's filters for it take thirty times as long.

    Args:
        values: greys of a picture.
        side: that of the squares, in pixels, an odd number.
        pick: `np.maximum` or `np.minimum`.
    """
    for _ in range(2):
        values = np.pad(values, ((side // 2, side // 2), (0, 0)), mode="edge")
        reach = 1  # So many rows each row stands for.
        while reach < side:
            step = min(reach, side - reach)
            values = pick(values[:-step], values[step:])
            reach += step
        values = values.T
    return values


def inked_squares(
    dark: npt.NDArray[np.bool_], side: int, least: float = _MIN_INK
) -> npt.NDArray[np.bool_]:
    """Return which squares of a page are inked as letters are; a rest at its end is left out.

    Args:
        dark: which pixels are ink.
        side: that of the squares, in pixels.
        least: the share of ink in a square from which on it is inked.
    """
    share = shares(dark, side)
    return np.asarray((share >= least) & (share <= _MAX_INK))


def rules(dark: npt.NDArray[np.bool_], length: int, side: int) -> npt.NDArray[np.bool_]:
    """Return which pixels are ink of rules: straight, across or down, at least so long.

    Ink in and around a solid area is none: letters may be printed light on it.

    Args:
        side: that of the squares, in pixels, which a solid area fills and a rule does not.
    """
    found = np.zeros_like(dark)
    for lines, marked in ((dark, found), (dark.T, found.T)):
        # Hardly a line of a page has so much ink.
        inked = np.flatnonzero(np.add.reduce(lines.view(np.uint8), axis=1, dtype=np.uint32) >= length)
        if inked.size:
            marked[inked] |= _long_runs(lines[inked], length)
    if found.any() and (solid := shares(dark, side) > _MAX_INK).any():
        near = np.asarray(Image.fromarray(solid.view(np.uint8)).filter(ImageFilter.MaxFilter(_NEAR)))
        near = near.repeat(side, axis=0).repeat(side, axis=1)
        found[: near.shape[0], : near.shape[1]][near > 0] = False
    return found


def _long_runs(lines: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    until = np.cumsum(np.pad(lines, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    begins = until[:, length:] - until[:, :-length] == length
    around = np.zeros((len(lines), lines.shape[1] + 1), dtype=np.int32)
    around[:, : begins.shape[1]] += begins
    around[:, length:] -= begins
    return np.cumsum(around, axis=1)[:, :-1] > 0


def inked_places(dark: npt.NDArray[np.bool_], side: int, gap: int) -> Iterator[Box]:
    """Yield the boxes around ink that is spread as that of letters is, in pixels.

    Args:
        gap: squares that lie at most so far apart are one place.
    """
    spare = side // 2  # Into the squares next to them letters reach with little ink.
    for group in groups(inked_squares(dark, side), gap):
        left, top, right, bottom = group.box(side)
        left, top = max(0, left - spare), max(0, top - spare)
        ink = dark[top : bottom + spare, left : right + spare]
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        yield (
            left + int(columns[0]),
            top + int(rows[0]),
            left + int(columns[-1]) + 1,
            top + int(rows[-1]) + 1,
        )


def groups(squares: npt.NDArray[np.bool_], gap: int) -> Iterator[Group]:
    """Yield the groups of squares that lie within so many squares of each other, from top to bottom."""
    rows, columns = np.nonzero(squares)
    if not rows.size:
        return
    # Squares of one row with no wider gap between them are one run, and join others as one.
    begins = np.flatnonzero((np.diff(rows) != 0) | (np.diff(columns) > gap)) + 1
    firsts = np.concatenate(([0], begins))
    lasts = np.concatenate((begins, [rows.size])) - 1
    members: dict[int, list[int]] = {}
    group_of: list[int] = []
    runs = list(
        zip(rows[firsts].tolist(), columns[firsts].tolist(), columns[lasts].tolist(), strict=True)
    )
    near: deque[int] = deque()
    for index, (row, first, last) in enumerate(runs):
        while near and runs[near[0]][0] < row - gap:
            near.popleft()
        group_of.append(index)
        members[index] = [index]
        for other in near:
            above, start, end = runs[other]
            if above < row and start - gap <= last and first <= end + gap:
                kept, gone = sorted((group_of[other], group_of[index]))
                if kept != gone:
                    for member in members[gone]:
                        group_of[member] = kept
                    members[kept] += members.pop(gone)
        near.append(index)
    counts = (lasts - firsts + 1).tolist()
    for group in members.values():
        yield Group(
            sum(counts[index] for index in group),
            min(runs[index][1] for index in group),
            runs[group[0]][0],
            max(runs[index][2] for index in group) + 1,
            max(runs[index][0] for index in group) + 1,
        )
