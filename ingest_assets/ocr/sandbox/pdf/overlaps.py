"""Words of a page that lie over each other: one of them may hide the other, or be hidden itself.

A box that covers words often has words of its own on it, a mark such as "REDACTED", and layers of which
one is on have theirs in the same places. Which of two words is seen is told by drawing the page without
one of them.

Belongs here: finding such words, and what draws them. Does not belong here: drawing (`view`).
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from ingest_assets.ocr.sandbox.pdf.layer import Word

# Words of two lines that are set tightly share less of the smaller one's area.
_SHARE = 0.4

# Each word is compared with each other one: pages of text have fewer.
_MOST_WORDS = 1500

# One lies over another, seldom over two; what is left after so many drawings is taken for seen.
_MOST_GROUPS = 3


@dataclass(frozen=True)
class Drawer:
    """What draws words that lie over others.

    Attributes:
        item: PDFium's object.
    """

    item: object
    words: list[Word]


def groups(textpage: pypdfium2.PdfTextPage, words: Sequence[Word]) -> list[list[Drawer]]:
    """Return what draws words that lie over others, in groups that do not lie over themselves."""
    drawers: dict[int, Drawer] = {}
    rivals: dict[int, set[int]] = defaultdict(set)
    for pair in _pairs(words):
        items = [pdfium.FPDFText_GetTextObject(textpage, word.start) for word in pair]
        ids = [ctypes.cast(item, ctypes.c_void_p).value or 0 for item in items]
        if ids[0] == ids[1] or not all(ids):
            continue
        for word, item, (mine, other) in zip(pair, items, (ids, ids[::-1]), strict=True):
            rivals[mine].add(other)
            drawer = drawers.setdefault(mine, Drawer(item, []))
            if word not in drawer.words:
                drawer.words.append(word)
    found: list[list[Drawer]] = []
    placed: dict[int, int] = {}
    for one, others in rivals.items():
        taken = {placed.get(other) for other in others}
        number = next(free for free in range(len(rivals)) if free not in taken)
        if number < _MOST_GROUPS:
            placed[one] = number
            found += [[]] if number == len(found) else []
            found[number].append(drawers[one])
    return found


def _pairs(words: Sequence[Word]) -> Iterator[tuple[Word, Word]]:
    """Yield two words of which one lies over the other, if they say something else."""
    if not 1 < len(words) <= _MOST_WORDS:
        return
    left, top, right, bottom = np.array([word.box for word in words], dtype=np.float32).T
    across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    down = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
    areas = (right - left) * (bottom - top)
    shared = across.clip(0) * down.clip(0) > _SHARE * np.minimum.outer(areas, areas)
    for one, other in np.argwhere(np.triu(shared, 1)).tolist():
        if words[one].text != words[other].text:
            yield words[one], words[other]
