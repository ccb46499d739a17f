"""Tables in Markdown, for Dagit's metadata.

Belongs here: escaping and layout. Does not belong here: what is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_BREAKS_A_CELL = re.compile(r"[|`<>\[\]\s]+")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table. What a file is called, or an error says, is shown and never rendered."""
    lines = [_line(headings), _line(["---"] * len(headings))]
    lines += [_line([_cell(value) for value in row]) for row in rows]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    return _BREAKS_A_CELL.sub(" ", "" if value is None else str(value)).strip()
