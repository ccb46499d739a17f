"""From Textract's blocks to pages of text.

Belongs here: which lines a page has, and in which order they are read. Does not belong here: fetching
the blocks. Blocks: https://docs.aws.amazon.com/textract/latest/dg/how-it-works-lines-words.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.engine import Page
from ingest_assets.text import MAX_TEXT_BYTES, clean_text, too_much_text

# Raise this with a change that makes another text of the same blocks.
VERSION = "order 1"

# A line of a column of running text has at least this width. Narrower ones are cells of a table, which
# is read row by row. All measures are fractions of the page's width or height.
_COLUMN_WIDTH = 0.2
_COLUMN_LINES = 5
# A page with more lines is no running text, and looking for its columns would take long.
_MOST_LINES = 1000
# A column's neighbour stands beside at least so much of it.
_SIDE_BY_SIDE = 0.5


class Line(NamedTuple):
    """A line of a page and the box around it, in fractions of the page's width and height."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


class BlockReader:
    """Collects a job's blocks, of which there may be a million; keeps only the lines in memory."""

    def __init__(self) -> None:
        self.page_count = 0
        self.warnings: list[Any] = []
        self.model_version: str | None = None
        self._lines: dict[int, list[Line]] = {}
        self._confidences: dict[int, tuple[float, int]] = {}
        self._text_bytes = 0

    def add(self, response: Mapping[str, Any]) -> None:
        """Take one response of `GetDocumentTextDetection`.

        Raises:
            PermanentError: `too_much_text`; or Textract names a page that the document does not have.
        """
        self.page_count = response["DocumentMetadata"]["Pages"]
        self.warnings += response.get("Warnings") or []
        self.model_version = response.get("DetectDocumentTextModelVersion", self.model_version)
        for block in response.get("Blocks") or []:
            number = block.get("Page", 1)  # Of an image it may not be said.
            if not 1 <= number <= self.page_count:
                raise PermanentError(
                    "textract_answer_wrong", f"Textract tells of page {number} of {self.page_count}."
                )
            if block["BlockType"] == "PAGE":
                self._lines.setdefault(number, [])
            elif block["BlockType"] == "LINE":
                self._add_line(number, block)
            elif block["BlockType"] == "WORD":
                total, count = self._confidences.get(number, (0.0, 0))
                self._confidences[number] = total + block["Confidence"] / 100, count + 1

    def pages(self, first_page: int = 1) -> list[Page]:
        """Return all pages; a page that Textract does not mention has no text.

        Args:
            first_page: number of the first page in its document.
        """
        return [self._page(number, first_page - 1) for number in range(1, self.page_count + 1)]

    def missing(self, first_page: int = 1) -> list[int]:
        """Numbers of the pages that Textract does not mention."""
        numbers = range(1, self.page_count + 1)
        return [number + first_page - 1 for number in numbers if number not in self._lines]

    def _add_line(self, number: int, block: Mapping[str, Any]) -> None:
        box = block["Geometry"]["BoundingBox"]
        text = clean_text(block["Text"]).replace("\n", " ")
        self._text_bytes += len(text.encode())
        if self._text_bytes > MAX_TEXT_BYTES:
            raise too_much_text()
        self._lines.setdefault(number, []).append(
            Line(
                text,
                box["Left"],
                box["Top"],
                box["Left"] + box["Width"],
                box["Top"] + box["Height"],
            )
        )

    def _page(self, number: int, offset: int) -> Page:
        text = "\n".join(line.text for line in in_reading_order(self._lines.get(number, [])))
        total, count = self._confidences.get(number, (0.0, 0))
        return Page(number + offset, text, "ocr", min(1.0, total / count) if count else None)


def in_reading_order(lines: Sequence[Line]) -> list[Line]:
    """Return a page's lines in the order in which a person reads them.

    Rows go from top to bottom, and lines of a row from left to right. Columns of running text are read
    one after the other, between the lines that run across them.
    """
    gutter = _gutter(lines)
    if gutter is None:
        return _in_rows(lines)
    ordered: list[Line] = []
    across = lambda line: line.left < gutter < line.right  # noqa: E731
    for runs_across, band in groupby(sorted(lines, key=attrgetter("top")), across):
        if runs_across:
            ordered += _in_rows(list(band))
        else:
            beside = list(band)
            ordered += in_reading_order([line for line in beside if line.right <= gutter])
            ordered += in_reading_order([line for line in beside if line.left >= gutter])
    return ordered


def _in_rows(lines: Sequence[Line]) -> list[Line]:
    """Order lines by rows: a line belongs to a row if it overlaps half of the row's first line."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=attrgetter("top")):
        first = rows[-1][0] if rows else None
        if first and _overlap(first, line) >= 0.5 * min(_height(first), _height(line)) > 0:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=attrgetter("left"))]


def _gutter(lines: Sequence[Line]) -> float | None:
    """Return where two columns of running text meet, or None where there are none."""
    if not 2 * _COLUMN_LINES <= len(lines) <= _MOST_LINES:
        return None
    best: tuple[int, float] | None = None
    for place in {(line.right, other) for line in lines for other in _next_to(line, lines)}:
        middle = sum(place) / 2
        left = [line for line in lines if line.right <= middle]
        right = [line for line in lines if line.left >= middle]
        across, fewer = len(lines) - len(left) - len(right), min(len(left), len(right))
        if (
            fewer >= max(_COLUMN_LINES, across)
            and min(_width(left), _width(right)) >= _COLUMN_WIDTH
            and _beside(left, right)
            and (best is None or across < best[0])
        ):
            best = across, middle
    return best[1] if best else None


def _next_to(line: Line, lines: Iterable[Line]) -> list[float]:
    """Return the left edge of the nearest line to the right of a line; None if there is none."""
    edges = [other.left for other in lines if other.left > line.right and _overlap(line, other) > 0]
    return [min(edges)] if edges else []


def _overlap(one: Line, other: Line) -> float:
    return min(one.bottom, other.bottom) - max(one.top, other.top)


def _height(line: Line) -> float:
    return line.bottom - line.top


def _width(lines: Iterable[Line]) -> float:
    return median(line.right - line.left for line in lines)


def _beside(left: Sequence[Line], right: Sequence[Line]) -> bool:
    top = max(min(line.top for line in side) for side in (left, right))
    bottom = min(max(line.bottom for line in side) for side in (left, right))
    shorter = min(
        max(line.bottom for line in side) - min(line.top for line in side) for side in (left, right)
    )
    return bottom - top >= _SIDE_BY_SIDE * shorter
