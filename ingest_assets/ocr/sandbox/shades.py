"""Shaded rows, boxes and fields of a page, on which something dark is printed, made white.

To one threshold for all of a page, a shade is ink, and so is what is printed on it: Tesseract takes a
dark area for a picture.

Belongs here: where such grounds are, by their greys. Does not belong here: light print on dark grounds
(`blocks`), and shadows (`cleaning`).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ingest_assets.ocr.sandbox.squares import Group, extremes, groups, shares, spreads, sums

_Value = TypeVar("_Value", bound=np.generic)

# Shaded grounds are looked for in cells of so many pixels, on a page reduced by so much, where no
# stroke of a letter is so wide.
_CELL, _COARSE, _STROKES = 16, 4, 7

# Paper is as light as so many per cent of a page. What is darker than a shade is ink, whose print is
# light; so few cells of a shade hold no word.
_PAPER, _DARKEST_SHADE, _LEAST_SHADE = 90, 90, 8

# So many cells around a shade have another grey, nearly all of them.
_RING, _SHARP, _LIGHTER = 3, 0.8, 0.3

# Shares of a shade's grey, which ink and the darkest ink are darker than.
_INK, _BLACK = 0.7, 0.35

# Shares: of a shade's pixels that are ink; and of a cell's that are ink or its lightest, where no print
# is light.
_INKED, _OWN = 0.005, 0.5

# Greys of one ground differ by at most so much, of 255.
_EVEN = 12

# In squares of so many pixels a ground of dots has some of them everywhere, so many squares down and
# across; in close print there are bare ones between words and lines.
_DOTS, _DOTS_DOWN, _DOTS_ACROSS = 8, 5, 24


def on_white(image: Image.Image) -> Image.Image:
    """Return a grey page whose even grey grounds are white where something dark is printed on them."""
    # The lightest of each neighbourhood, back within its edges: letters are gone, and grounds stay.
    small: npt.NDArray[np.uint8] = np.asarray(image.reduce(_COARSE))
    ground = extremes(extremes(small, _STROKES, np.maximum), _STROKES, np.minimum)
    paper = int(np.percentile(ground, _PAPER))
    side = _CELL // _COARSE
    ground = ground[: image.height // _CELL * side, : image.width // _CELL * side]
    greys = (sums(ground, side) // side**2).astype(np.uint8)
    is_even = spreads(ground, side) <= _EVEN / 2
    shaded = is_even & (greys >= _DARKEST_SHADE) & (greys <= paper - 2 * _EVEN)
    if not shaded.any():
        return image
    values = np.asarray(image)
    shaded &= ~_are_printed_light(values, greys)
    whitened = None
    for group in groups(shaded, 1):
        if group.size < _LEAST_SHADE:
            continue
        shade = _Shade(group, greys, shaded)
        if shade.is_area() and shade.is_printed(values):
            whitened = values.copy() if whitened is None else whitened
            shade.whiten(whitened)
    return image if whitened is None else Image.fromarray(whitened)


def has_dots(image: Image.Image) -> bool:
    """Tell whether part of a grey page is shaded by dots: a fax, a newspaper, a drawing of two colours.

    Args:
        image: greys; what is darker than the middle one is a dot.
    """
    dark = sums((np.asarray(image) < 128).view(np.uint8), _DOTS, np.uint8)
    dotted = np.pad((dark > 0) & (dark < _DOTS**2), ((1, 0), (1, 0)))
    counts = dotted.cumsum(axis=0, dtype=np.int32).cumsum(axis=1)
    if min(counts.shape) <= _DOTS_ACROSS:
        return False
    down = counts[_DOTS_DOWN:] - counts[:-_DOTS_DOWN]
    across = down[:, _DOTS_ACROSS:] - down[:, :-_DOTS_ACROSS]
    return bool((across == _DOTS_DOWN * _DOTS_ACROSS).any())


def _are_printed_light(
    page: npt.NDArray[np.uint8], greys: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    """Tell in which cells most pixels are darker than the lightest around them, and are no ink."""
    rows, columns = greys.shape
    page = page[: _CELL * rows, : _CELL * columns]
    own = shares(page >= _as_pixels(greys - np.minimum(greys, 2 * _EVEN)), _CELL)
    return np.asarray(own + shares(_are_below(page, greys, _BLACK), _CELL) < _OWN)


def _are_below(
    page: npt.NDArray[np.uint8], greys: npt.NDArray[np.uint8], share: float
) -> npt.NDArray[np.bool_]:
    """Tell which pixels are darker than a share of the grey of their cell."""
    # Greys are whole numbers, so a limit rounded up parts them alike, in an eighth of the memory.
    return np.asarray(page < _as_pixels(np.ceil(share * greys).astype(np.uint8)))


class _Shade:
    """An area of a page, in cells of `_CELL` pixels, whose ground may be shaded.

    Args:
        group: where it is.
        greys: those of the grounds of all cells of the page.
        shaded: which of them are darker than paper.
    """

    def __init__(
        self, group: Group, greys: npt.NDArray[np.uint8], shaded: npt.NDArray[np.bool_]
    ) -> None:
        self._left, self._top = max(0, group.left - _RING), max(0, group.top - _RING)
        place = slice(self._top, group.bottom + _RING), slice(self._left, group.right + _RING)
        self._greys, self._cells = greys[place], shaded[place]
        grounds = Image.fromarray(np.where(self._cells, self._greys, 0).astype(np.uint8))
        self._near = np.asarray(grounds.filter(ImageFilter.MaxFilter(3))) > 0
        self._around = np.asarray(grounds.filter(ImageFilter.MaxFilter(2 * _RING + 1)))

    def is_area(self) -> bool:
        """Tell whether it ends all at once, and mostly at lighter paper; a shadow fades away."""
        ring = (self._around > 0) & ~self._near
        if not ring.any():
            return False
        steps = self._greys[ring].astype(np.int16) - self._around[ring]
        is_sharp, is_lighter = np.abs(steps) > 2 * _EVEN, steps > 2 * _EVEN
        return bool(is_sharp.mean() >= _SHARP and is_lighter.mean() >= _LIGHTER)

    def is_printed(self, page: npt.NDArray[np.uint8]) -> bool:
        """Tell whether there is darker print on it."""
        inked = shares(_are_below(self._pixels(page), self._greys, _INK), _CELL)[self._cells]
        return bool(inked.mean() >= _INKED)

    def whiten(self, page: npt.NDArray[np.uint8]) -> None:
        """Make it white, and what is darker on it as dark as on white paper."""
        place = self._pixels(page)
        ground = _as_pixels(np.where(self._cells, self._greys, self._around))
        white = np.maximum(ground, _DARKEST_SHADE) - np.uint8(_EVEN)
        # Of what is dark in the cells around it nobody knows whether it is printed on it.
        mask = _as_pixels(self._cells) | (_as_pixels(self._near) & (place >= white - np.uint8(_EVEN)))
        lighter = np.minimum(place, white) * np.uint16(255) // white
        place[mask] = lighter[mask]

    def _pixels(self, page: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        rows, columns = self._near.shape
        left, top = _CELL * self._left, _CELL * self._top
        return page[top : top + _CELL * rows, left : left + _CELL * columns]


def _as_pixels(cells: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
    return cells.repeat(_CELL, axis=0).repeat(_CELL, axis=1)
