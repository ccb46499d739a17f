"""Chinese, Japanese and Korean written from top to bottom: the columns of a page, as they are read.

PDFium looks for lines that run across: it takes columns for lines, several of them for one, or each
letter for a line, and orders what begins at one height from left to right. Columns are read from right
to left; where a page has rows of columns, row by row.

Belongs here: columns of letters that stand upright. Does not belong here: lines that are turned as a
whole (`layer`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest_assets.ocr.sandbox.pdf.places import Rectangle

LETTER = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
"""A character that may be written from top to bottom."""

# In heights of a letter: how far aside the next one of a column stands at most, and how far below.
_ASIDE, _BELOW = 0.5, 2.2


def runs_down(first: Rectangle, second: Rectangle) -> bool:
    """Tell whether the second of two characters stands below the first, in one column."""
    (left, bottom, right, top), (other_left, _, other_right, other_top) = first, second
    height, below = top - bottom, top - other_top
    aside = abs(left + right - other_left - other_right) / 2
    return aside < _ASIDE * height < below < _BELOW * height


def columns(places: Sequence[Rectangle]) -> list[list[int]]:
    """Return the columns that characters stand in, in the order in which they are read.

    Args:
        places: of each character, as high as its font.

    Returns:
        Of each column the indexes of its characters, from top to bottom.
    """
    found: list[list[int]] = []
    for index in sorted(range(len(places)), key=lambda index: (-places[index][3], places[index][0])):
        above = [column for column in found if _continues(places[column[-1]], places[index])]
        if above:
            nearest = min(above, key=lambda column: places[column[-1]][3])
            nearest.append(index)
        else:
            found.append([index])
    rows: list[list[list[int]]] = []
    lowest = 0.0
    for column in found:  # The highest first.
        top, bottom = places[column[0]][3], places[column[-1]][1]
        if rows and top > lowest:
            rows[-1].append(column)
            lowest = min(lowest, bottom)
        else:
            rows.append([column])
            lowest = bottom
    return [column for row in rows for column in _across(row, places)]


def _continues(last: Rectangle, place: Rectangle) -> bool:
    """Tell whether a character stands in a column: below its last one, or beside it as in "12"."""
    (left, bottom, right, top), (other_left, _, other_right, other_top) = last, place
    height = top - bottom
    aside = abs(left + right - other_left - other_right) / 2
    return aside < _ASIDE * height and top - other_top < _BELOW * height


def _across(row: list[list[int]], places: Sequence[Rectangle]) -> list[list[int]]:
    """Return a row of columns from right to left; a line of single letters from left to right."""
    if all(len(column) == 1 for column in row):
        return [sorted((index for (index,) in row), key=lambda index: places[index][0])]
    return sorted(row, key=lambda column: -places[column[0]][2])
