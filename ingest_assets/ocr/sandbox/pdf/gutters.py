"""Columns of text that a program drew row by row, straight through all of them.

A person reads one column after the other. Tables look the same, and are read row by row: so rows are
cut up only where both sides of a gutter are running text, whose lines are about as wide as the column,
and often begin in the middle of a sentence.

Belongs here: rows of words with their places. Does not belong here: finding rows and words (`layer`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from ingest_assets.ocr.sandbox.pdf.places import Rectangle

LEAST_GUTTER = 0.9
"""The width of a gutter in heights of a line, at least; a gap between words is narrower."""

# What is left of a gutter that is common to several rows, and how far the next row is below at most
# where it has words on one side only; in heights of a line.
_LEAST_COMMON, _NEAR = 0.5, 2.5

# Running text: so many rows, words a line, and shares of the lines that begin with a small letter, and
# that have so much of the column's width.
_FEWEST_ROWS, _FEWEST_WORDS = 4, 3
_SMALL_LETTERS, _FULL_LINES, _FULL = 0.35, 0.5, 0.75


class Word(NamedTuple):
    """A word of a page, where it is drawn, and which of its characters it is."""

    text: str
    rectangle: Rectangle
    first: int
    last: int


_Row = Sequence[Word]
_Gutter = tuple[float, float]


def column_by_column(rows: Sequence[_Row]) -> list[_Row]:
    """Return rows of words, those that run through columns of text cut up, column after column."""
    found: list[_Row] = []
    block: list[_Row] = []
    gutter: _Gutter | None = None
    for row in rows:
        narrowed = _narrowed(gutter, row, block[-1]) if gutter is not None else None
        if narrowed is None:
            found += _cut(block, gutter)
            block = []
            narrowed = _widest_gap(row)
        gutter = narrowed
        if gutter is None:
            found.append(row)
        else:
            block.append(row)
    return found + _cut(block, gutter)


def _widest_gap(row: _Row) -> _Gutter | None:
    gaps = [(before.rectangle[2], after.rectangle[0]) for before, after in itertools.pairwise(row)]
    widest = max(gaps, key=lambda gap: gap[1] - gap[0], default=(0.0, 0.0))
    return widest if widest[1] - widest[0] >= LEAST_GUTTER * _height(row) else None


def _narrowed(gutter: _Gutter, row: _Row, above: _Row) -> _Gutter | None:
    """Return what a row leaves of a gutter; None where it crosses it, or is far below."""
    middle = sum(gutter) / 2
    left, right = _sides(row, middle)
    start = max([gutter[0], *(word.rectangle[2] for word in left)])
    end = min([gutter[1], *(word.rectangle[0] for word in right)])
    is_far = above[0].rectangle[1] - row[0].rectangle[1] > _NEAR * _height(row)
    if end - start < _LEAST_COMMON * _height(row) or (is_far and not (left and right)):
        return None
    return start, end


def _cut(rows: Sequence[_Row], gutter: _Gutter | None) -> list[_Row]:
    if gutter is None:
        return list(rows)
    halves = [_sides(row, sum(gutter) / 2) for row in rows]
    columns = [[half for half in side if half] for side in zip(*halves, strict=True)]
    both = sum(bool(left and right) for left, right in halves)
    if both < _FEWEST_ROWS or not all(map(_is_running_text, columns)):
        return list(rows)
    return [row for column in columns for row in column_by_column(column)]


def _is_running_text(rows: Sequence[_Row]) -> bool:
    widths = [row[-1].rectangle[2] - row[0].rectangle[0] for row in rows]
    full = sum(width >= _FULL * max(widths) for width in widths)
    small = sum(row[0].text[0].islower() for row in rows)
    return (
        sum(map(len, rows)) >= _FEWEST_WORDS * len(rows)
        and small >= _SMALL_LETTERS * len(rows)
        and full >= _FULL_LINES * len(rows)
    )


def _sides(row: _Row, middle: float) -> tuple[_Row, _Row]:
    left = [word for word in row if sum(word.rectangle[::2]) / 2 < middle]
    return left, row[len(left) :]


def _height(row: _Row) -> float:
    _, bottom, _, top = row[0].rectangle
    return top - bottom
