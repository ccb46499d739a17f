"""Tables and marked text in Markdown, for Dagit's metadata.

Belongs here: escaping and layout. Does not belong here: what is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Markdown lets a backslash stand before any of them.
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_BREAKS_A_CELL = re.compile(r"[|`<>\[\]\s]+")


class Link(NamedTuple):
    """A link in a cell of a table.

    Attributes:
        address: of a page; relative to Dagit's where it begins with a slash.
    """

    text: str
    address: str

    def __str__(self) -> str:
        return f"[{_cell(self.text)}]({self.address})"


def partition_link(partition_key: str, text: str = "", stage: str = "document_row") -> Link:
    """A link to what Dagit shows of a document's partition, by default at the first stage."""
    return Link(text or partition_key, f"/assets/{stage}?view=partitions&partition={partition_key}")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table. Markdown in a cell, such as in a file's name, is shown and not rendered."""
    lines = [_line(headings), _line(["---"] * len(headings))]
    lines += [_line([_cell(value) for value in row]) for row in rows]
    return "\n".join(lines)


def marked(text: str, marks: Iterable[tuple[int, int, str]]) -> str:
    """The text with these places in bold, each with its label. Markdown in the text is not rendered.

    Args:
        marks: start, end and label of each place, in order, without overlaps.
    """
    parts, done = [], 0
    for start, end, label in marks:
        parts += [_escaped(text[done:start]), f"**{_escaped(text[start:end])}** ({_escaped(label)})"]
        done = end
    return "".join([*parts, _escaped(text[done:])])


def _escaped(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\g<0>", re.sub(r"\s+", " ", text))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if isinstance(value, Link):
        return str(value)
    return _BREAKS_A_CELL.sub(" ", "" if value is None else str(value)).strip()
