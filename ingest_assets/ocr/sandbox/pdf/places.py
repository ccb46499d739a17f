"""Places on a page, as a person sees it.

Belongs here: boxes, and the way from a PDF's coordinates to them. Does not belong here: what is in
them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pypdfium2

from ingest_assets.ocr.sandbox.document import corrupt

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right, top in a PDF's own coordinates, in points."""


class Box(NamedTuple):
    """A place, in points from the top left corner of a page as it is shown."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """In square points; 0 where the box is empty."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def middle(self) -> tuple[float, float]:
        """The point in its middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def common(self, other: Box) -> Box:
        """Return what two boxes share; a box without area where that is nothing."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def holds(self, point: tuple[float, float]) -> bool:
        """Tell whether a point is inside."""
        return self.left <= point[0] <= self.right and self.top <= point[1] <= self.bottom

    def grown(self, margin: float) -> Box:
        """Return the box with so much more on each side."""
        return Box(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def moved(self, right: float, down: float) -> Box:
        """Return the box so much farther to the right and down."""
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)


def around(boxes: list[Box]) -> Box:
    """Return the smallest box around some boxes, at least one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


class Frame:
    """The part of a PDF's plane that a page shows, and which way round.

    Args:
        unit: what the page says that a unit of its plane is, in points (`UserUnit`); sizes and places
            are in these units.

    Raises:
        PermanentError: `corrupt_document` where the page has no size.
    """

    def __init__(self, page: pypdfium2.PdfPage, unit: float = 1.0) -> None:
        self.unit: float = unit
        self.rectangle: Rectangle = page.get_bbox()
        self._rotation: int = page.get_rotation()
        width, height = page.get_size()
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise corrupt("a page has no size")
        self.width, self.height = width, height

    @property
    def box(self) -> Box:
        """The whole page."""
        return Box(0, 0, self.width, self.height)

    def place(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Return where a rectangle of the PDF's plane is on the page."""
        page_left, page_bottom, page_right, page_top = self.rectangle
        if self._rotation == 90:
            return Box(bottom - page_bottom, left - page_left, top - page_bottom, right - page_left)
        if self._rotation == 180:
            return Box(page_right - right, bottom - page_bottom, page_right - left, top - page_bottom)
        if self._rotation == 270:
            return Box(page_top - top, page_right - right, page_top - bottom, page_right - left)
        return Box(left - page_left, page_top - top, right - page_left, page_top - bottom)
