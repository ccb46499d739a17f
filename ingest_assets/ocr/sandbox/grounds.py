"""A page of many grounds beside each other, dark and light: heat maps, calendars, coloured tables.

Each has one grey, and what is printed on it is darker or lighter. To one threshold, and to what looks
for one shade or one dark area, neighbours of two greys are one; here each pixel is compared with the
ground of its own place.

Belongs here: which grey the ground has in each place of such a page, and the page as if all of it were
printed dark on white. Does not belong here: single dark areas (`blocks`), shades of dark print
(`shades`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from ingest_assets.ocr.sandbox.squares import extremes

# Grounds are looked for in cells, of which so many are an inch of a page: 12 pixels of 200 dpi.
_CELLS_AN_INCH = 17

# Darker than so, in the mean of a square of so many pixels, is hardly any print on paper.
_SQUARE, _SHADED = 32, 190

# So many of these squares, of all, are shaded on a page that has such grounds.
_FEWEST_SHADED = 0.02

# Greys of one ground differ by at most so much, of 255; at least so much of a cell is of its ground.
_EVEN, _GROUND = 12, 0.5

# Paper is as light as so many per cent of a page.
_PAPER = 95

# Print differs from its ground by so much, of 255, and is this share of a cell that it is on.
_PRINT, _PRINTED = 40, 0.03

# A page has such grounds if something is printed lighter on so many of their cells, and this share; in
# a shadow there are some at its edge, and a headline and a stain have a few.
_FEWEST_PRINTED, _LEAST_PRINTED = 30, 0.01

# However dark or light a ground is, less contrast than this is not stretched.
_LEAST_CONTRAST = 64

# Cells are no smaller, in pixels, on pictures of a few dots an inch.
_LEAST_SIDE = 8

# A ground is so many cells wide or high, of nearly one grey; what is smaller are strokes of letters.
_FEWEST_ALONG, _SAME = 5, 4

# Grounds blend into one another over so many pixels.
_SEAM = 5


def levelled(image: Image.Image, dpi: int) -> Image.Image | None:
    """Return a grey page as if all of it were printed dark on white, whatever its grounds.

    None where no light print stands on an even ground that is darker than paper.
    """
    means = np.asarray(image.reduce(_SQUARE))
    if np.count_nonzero(means < _SHADED) < _FEWEST_SHADED * means.size:
        return None
    side = max(_LEAST_SIDE, 2 * round(dpi / _CELLS_AN_INCH / 2))
    length, width = image.height, image.width
    values = np.pad(np.asarray(image), ((0, -length % side), (0, -width % side)), mode="edge")
    cells = values.reshape(values.shape[0] // side, side, -1, side)
    some = cells[:, ::2, :, ::2].swapaxes(1, 2).reshape(len(cells), cells.shape[2], -1)
    grounds = _without_strokes(np.median(some, axis=2).astype(np.uint8))
    if not _is_printed_light(cells, grounds):
        return None
    in_rows = _up_to_edges(values.T, grounds.T.repeat(side, axis=1))[:, ::side].T
    ground = _up_to_edges(values, in_rows)
    return Image.fromarray(_dark_on_white(values, ground)[:length, :width])


def _are_one(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Tell where two greys are of one ground."""
    return np.asarray(np.maximum(one, other) - np.minimum(one, other) <= _EVEN)


def _without_strokes(grounds: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the greys of cells with those that strokes of letters fill as the grounds next to them."""
    across, down = _run_lengths(grounds), _run_lengths(grounds.T).T
    longer, shorter = np.maximum(across, down), np.minimum(across, down)
    is_ground = (longer >= _FEWEST_ALONG) & (shorter >= 2)
    # At the edges of a page its ground may be narrow.
    is_ground[[0, -1]] = is_ground[:, [0, -1]] = True
    nearest = grounds.copy()
    distance = np.where(is_ground, 0, max(grounds.shape))
    for turn in range(4):
        turned, known = np.rot90(grounds, turn), np.rot90(is_ground, turn)
        columns = np.arange(turned.shape[1])
        before = np.maximum.accumulate(np.where(known, columns, 0), axis=1)
        far, found = np.rot90(columns - before, -turn), np.take_along_axis(turned, before, axis=1)
        nearest = np.where(far < distance, np.rot90(found, -turn), nearest)
        distance = np.minimum(distance, far)
    return np.asarray(nearest)


def _run_lengths(grounds: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Return for each cell how many of one grey lie side by side with it in its row."""
    steps = np.abs(np.diff(grounds.astype(np.int16), axis=1)) > _SAME
    ends = np.pad(steps, ((0, 0), (1, 1)), constant_values=True)
    last_column = grounds.shape[1] - 1
    columns = np.arange(last_column + 1)
    first = np.maximum.accumulate(np.where(ends[:, :-1], columns, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends[:, 1:], columns, last_column)[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(last - first + 1)


def _is_printed_light(cells: npt.NDArray[np.uint8], grounds: npt.NDArray[np.uint8]) -> bool:
    """Tell whether there are cells within a ground, darker than paper, with lighter print on them."""
    paper = np.percentile(grounds, _PAPER)
    is_within = _are_one(extremes(grounds, 3, np.maximum), extremes(grounds, 3, np.minimum))
    is_within &= grounds <= paper - _PRINT
    within = cells.swapaxes(1, 2)[is_within].reshape(-1, cells.shape[1] ** 2).astype(np.int16)
    above = within - grounds[is_within][:, None].astype(np.int16)
    is_even = (np.abs(above) <= _EVEN).mean(axis=1) >= _GROUND
    printed = is_even & ((above >= _PRINT).mean(axis=1) >= _PRINTED)
    return int(np.count_nonzero(printed)) >= max(_FEWEST_PRINTED, _LEAST_PRINTED * len(within))


def _up_to_edges(
    values: npt.NDArray[np.uint8], grounds: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Return the grey of the ground of each pixel, where that of each row of cells is known.

    Two grounds that lie one below the other meet where most pixels of both are on their own side.

    Args:
        values: the greys of a page of whole cells.
        grounds: for each row of cells that of each column of pixels.
    """
    side = len(values) // len(grounds)
    cells = values.reshape(len(grounds), side, -1, side)
    own = grounds.reshape(len(grounds), 1, -1, side)
    differ = ~_are_one(own[:-1], own[1:])
    meets = np.zeros((len(grounds) + 1, 1, own.shape[2], 1), dtype=np.int16)
    above, across = np.nonzero(differ.any(axis=(1, 3)))
    two = np.concatenate((cells[above, :, across], cells[above + 1, :, across]), axis=1)
    weights = differ[above, :, across]
    upper = (_are_one(two, own[above, :, across]) & weights).sum(axis=2)
    lower = (_are_one(two, own[above + 1, :, across]) & weights).sum(axis=2)
    on_own_side = np.cumsum(np.pad(upper - lower, ((0, 0), (1, 0))), axis=1)
    meets[above + 1, 0, across, 0] = on_own_side.argmax(axis=1) - side
    rows = np.arange(side, dtype=np.int16)[:, None, None]
    before, after = np.concatenate((own[:1], own[:-1])), np.concatenate((own[1:], own[-1:]))
    found = np.where(rows < meets[:-1], before, np.where(rows >= meets[1:] + side, after, own))
    return np.asarray(found.reshape(values.shape))


def _dark_on_white(
    values: npt.NDArray[np.uint8], ground: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Return how much pixels differ from their ground, as dark print on white paper."""
    off = np.maximum(values, ground) - np.minimum(values, ground)
    contrast = np.where(values > ground, 255 - ground, ground)
    ink = np.maximum(off, _EVEN) - np.uint16(_EVEN)
    ink = ink * np.uint16(255) // np.maximum(contrast, _LEAST_CONTRAST)
    result: npt.NDArray[np.uint8] = 255 - np.minimum(ink, 255).astype(np.uint8)
    result[extremes(ground, _SEAM, np.maximum) - extremes(ground, _SEAM, np.minimum) > _EVEN] = 255
    return result
