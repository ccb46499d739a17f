"""Forms that were filled in later: all labels come first, and then all answers.

A person reads each answer beside its label. Columns of text and of tables look alike, and are read one
after the other: so an answer is put behind its label only where nearly all lines from the first label
on are labels, and nearly all from the first answer on are answers.

Belongs here: lines with their places. Does not belong here: finding them (`layer`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ingest_assets.ocr.sandbox.pdf.places import Rectangle

LABELS = re.compile(r":[ _.\u2026]*\r\n[^\r\n]{1,40}:[ _.\u2026]*\r\n")
"""What a text has where labels, perhaps with rules to write on, stand one after the other."""

_LABEL = re.compile(r"[^\r\n:]{1,40}:[ _.\u2026]*$")

_FEWEST, _NEARLY_ALL = 3, 0.7

# Each line is compared with each other one: forms have fewer.
_MOST_LINES = 500


class Line(NamedTuple):
    """A line of a page, where it is drawn, and where its last colon ends."""

    text: str
    rectangle: Rectangle
    colon: float


def behind_labels(lines: Sequence[Line]) -> list[int] | None:
    """Return the numbers of lines in the order in which they are read; None if that is as they come."""
    if len(lines) > _MOST_LINES:
        return None
    labels = [number for number, line in enumerate(lines) if _LABEL.match(line.text)]
    answer_of = {
        label: answer for label in labels if (answer := _answer(lines, label, set(labels))) is not None
    }
    # Nothing is put elsewhere if answers follow their labels already, or are those of several.
    numbers = set(answer_of.values())
    if len(numbers) < max(_FEWEST, len(answer_of)) or min(numbers) < max(answer_of):
        return None
    between = range(min(answer_of), max(answer_of) + 1)
    behind = range(min(numbers), max(numbers) + 1)
    if len(set(labels).intersection(between)) < _NEARLY_ALL * len(between) or len(
        numbers
    ) < _NEARLY_ALL * len(behind):
        return None
    order = []
    for number in range(len(lines)):
        if number not in numbers:
            order += [number, *([answer_of[number]] if number in answer_of else [])]
    return order


def _answer(lines: Sequence[Line], label: int, labels: set[int]) -> int | None:
    """Return the number of the next line to the right of a label; None where that is a label, too."""
    _, bottom, _, top = lines[label].rectangle
    beside = [
        number
        for number, line in enumerate(lines)
        if line.rectangle[0] >= lines[label].colon
        and min(top, line.rectangle[3]) - max(bottom, line.rectangle[1]) > (top - bottom) / 2
    ]
    nearest = min(beside, key=lambda number: lines[number].rectangle[0], default=None)
    return None if nearest is None or nearest in labels or nearest < label else nearest
