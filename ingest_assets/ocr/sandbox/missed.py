"""Places of a page that show something with the shape of print, of which no word was read.

What is ink is told by the paper around it, not by one threshold for all of the page: the lines that
fade away, that lie in a shadow, and pale headlines are such places.

Belongs here: where they are, and the page with nothing else on it. Does not belong here: recognising
them, and print that is as dark as the rest (`left_over`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ingest_assets.ocr.sandbox.left_over import Layout
from ingest_assets.ocr.sandbox.squares import Box, extremes, groups, shares

# A page is looked at when it was made so many times smaller: its grain is nearly gone then.
_SMALLER = 4

# Print differs from what is around it by so much, of 255, and by so many times the grain.
_LEAST, _GRAINS = 16, 4

# One row in so many tells the grain.
_SOME = 8

# Share of a square that something differs in, from which on it is part of a place.
_DRAWN = 0.4

# Letters reach out of the boxes of words by so much, in heights of a word.
_AROUND = 0.4

# Heights of places in those of a word: more are pictures. A place is so many times as wide as it is
# high, and this share of its rectangle is drawn on.
_HIGHEST, _OBLONG, _FILLED = 8, 1.5, 0.6

# Print has so much of the height of a word in half of its columns; a rule and an edge have less.
_LOWEST = 0.4

# In this share of its columns print has an upright edge, of half that difference at least, and of
# edges across and down this share of the others.
_UPRIGHT, _OTHERWISE = 0.3, 0.35

# Letters of headlines stand apart as words of small print do: they are looked for in larger squares,
# too.
_SCALES = (1, 3)


def missed(image: Image.Image, layout: Layout) -> list[Box]:
    """Return the places of a grey page that may be print, of which none was read, the largest first.

    None where the layout has no words, which say how high print is.
    """
    if not (height := layout.usual_height / _SMALLER):
        return []
    small = np.asarray(image.reduce(_SMALLER))
    steps = extremes(small, 3, np.maximum) - extremes(small, 3, np.minimum)
    drawn = steps > max(_LEAST, _GRAINS * int(np.median(steps[::_SOME])))
    words = np.array([(word.left, word.top, word.right, word.bottom) for word in layout.words()])
    spare = _AROUND * np.minimum((words[:, 3:] - words[:, 1:2]) / _SMALLER, 2 * height)
    firsts = np.maximum(words[:, :2] / _SMALLER - spare, 0).astype(int).tolist()
    ends = (words[:, 2:] / _SMALLER + spare + 1).astype(int).tolist()
    for (left, top), (right, bottom) in zip(firsts, ends, strict=True):
        drawn[top:bottom, left:right] = False
    found: list[Box] = []
    for scale in _SCALES:
        side = max(1, round(scale * height / 2))
        for group in groups(shares(drawn, side) >= _DRAWN, 1):
            across, down = group.right - group.left, group.bottom - group.top
            left, top, right, bottom = box = group.box(side)
            # The step at an edge is seen on both sides of it.
            thickness = float(np.median(np.count_nonzero(drawn[top:bottom, left:right], axis=0))) - 2
            if (
                across >= _OBLONG * down
                and bottom - top <= _HIGHEST * height
                and thickness >= _LOWEST * scale * height
                and group.size >= _FILLED * across * down
                and _has_letters(small[top:bottom, left:right])
            ):
                found.append(box)
                drawn[top:bottom, left:right] = False
    found.sort(key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))
    return [
        (left * _SMALLER, top * _SMALLER, right * _SMALLER, bottom * _SMALLER)
        for left, top, right, bottom in found
    ]


def _has_letters(place: npt.NDArray[np.uint8]) -> bool:
    """Tell whether there are edges of strokes across and down; rules and bar codes have one kind."""
    greys = place.astype(np.int16)
    upright, lying = (np.abs(np.diff(greys, axis=axis)) > _LEAST / 2 for axis in (1, 0))
    fewer, more = sorted((int(np.count_nonzero(upright)), int(np.count_nonzero(lying))))
    return bool(upright.any(axis=0).mean() >= _UPRIGHT and fewer >= _OTHERWISE * more)


def alone(image: Image.Image, places: Sequence[Box], spare: int) -> Image.Image:
    """Return a page on which there are but some places, in full contrast, dark on white."""
    page = Image.new("L", image.size, 255)
    for left, top, right, bottom in places:
        box = (
            max(0, left - spare),
            max(0, top - spare),
            min(image.width, right + spare),
            min(image.height, bottom + spare),
        )
        place = ImageOps.autocontrast(image.crop(box), cutoff=(2, 20))
        page.paste(ImageOps.invert(place) if np.median(np.asarray(place)) < 128 else place, box)
    return page


def where(place: Box, size: tuple[int, int]) -> str:
    """Return in words in which part of a page a place is."""
    across = ("left", "middle", "right")[min(2, 3 * (place[0] + place[2]) // (2 * size[0]))]
    down = ("top", "middle", "bottom")[min(2, 3 * (place[1] + place[3]) // (2 * size[1]))]
    return "middle" if across == down else f"{down} {across}"
