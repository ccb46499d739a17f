"""XPS: pages of glyphs, with the characters that they stand for.

Belongs here: FixedPage markup (ECMA-388, and XPS before it, which differs in the namespace), and its
runs as lines. Does not belong here: the archive (`docx.package`).
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.any_namespace import local_name, named
from ingest_assets.ocr.sandbox.document import check_page_count, corrupt
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

_UPRIGHT = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
# In sizes of the font: how wide a character is that does not say it, how far two runs of a line may
# stand off it, and which gaps between them are a space and a tab.
_USUAL_WIDTH, _OFF_LINE, _SPACE, _TAB = 0.5, 0.4, 0.2, 1.5
# What is drawn with curves, in the short form of a path or as elements, may be letters.
_CURVES = re.compile("[ACQS]", re.IGNORECASE)
_CURVED = ("ArcSegment", "PolyBezierSegment", "PolyQuadraticBezierSegment")
_SHAPES = Note("unread_ink", "shapes with curves beside its words, which may be letters, were not read")
_UNNAMED = Note("content_unreadable", "glyphs for which the file has no characters")


class _Run(NamedTuple):
    """Characters in one line: where they begin, where the next one would, and their font's size."""

    text: str
    start: tuple[float, float]
    end: tuple[float, float]
    size: float


def read_xps(path: Path) -> IllustratedDocument:
    """Open an XPS: its pages, then its pictures."""
    return read_package(Package(path, "XPS"), _contents_of)


def _contents_of(package: Package) -> Shown:
    pages: list[str] = []
    pictures: dict[str, None] = {}
    notes: list[Note] = []
    size = 0
    for name in _pages(package):
        root = package.xml(name)
        if root is None:
            notes.append(Note("page_unreadable", "a page that is lost or damaged"))
            continue
        glyphs = [*_glyphs(root, _UPRIGHT)]
        found = dict.fromkeys(
            _target(name, element.get("ImageSource", "")) for element in named(root, "ImageBrush")
        )
        pictures |= found
        pages.append(_lines([run for run in glyphs if run is not None]))
        size += len(pages[-1])
        if size > MAX_TEXT_BYTES:
            raise too_much_text()
        if None in glyphs:
            notes.append(_UNNAMED)
        if not glyphs and not found and next(named(root, "Path"), None) is not None:
            notes.append(Note("unread_ink", "a page without words; its shapes were not read"))
        elif glyphs and any(map(_has_curves, named(root, "Path"))):
            notes.append(_SHAPES)
    if not pages and not notes:
        raise corrupt("the XPS has no list of its pages")
    return Shown(pages or [""], pictures, dict.fromkeys(notes))


def _pages(package: Package) -> list[str]:
    """Return the names of the pages, in their order."""
    pages: list[str] = []
    for sequence in package.related("", "fixedrepresentation"):
        for document in named(package.xml(sequence), "DocumentReference"):
            part = _target(sequence, document.get("Source", ""))
            pages += (
                _target(part, page.get("Source", ""))
                for page in named(package.xml(part), "PageContent")
            )
    check_page_count(max(1, len(pages)))
    return pages


def _has_curves(path: Element) -> bool:
    geometries = [
        path.get("Data", ""),
        *(one.get("Figures", "") for one in named(path, "PathGeometry")),
    ]
    return any(map(_CURVES.search, geometries)) or any(
        local_name(one) in _CURVED for one in path.iter()
    )


def _glyphs(element: Element, around: tuple[float, ...]) -> Iterator[_Run | None]:
    """Yield the runs of characters; None for glyphs that stand for none."""
    placed = _within(around, element)
    if local_name(element) == "Glyphs":
        text = element.get("UnicodeString", "").removeprefix("{}")
        if text:
            yield _run(element, text, placed)
        elif element.get("Indices"):
            yield None
    for child in element:
        yield from _glyphs(child, placed)


def _run(glyphs: Element, text: str, placed: tuple[float, ...]) -> _Run:
    size = _number(glyphs.get("FontRenderingEmSize", ""))
    x, y = (_number(glyphs.get(f"Origin{axis}", "")) for axis in "XY")
    advances = [one.split(",") for one in glyphs.get("Indices", "").split(";")]
    widths = [_number(one[1]) / 100 if len(one) > 1 and one[1] else _USUAL_WIDTH for one in advances]
    widths += [_USUAL_WIDTH] * (len(text) - len(widths))
    right_to_left = glyphs.get("BidiLevel", "0") in ("1", "3", "5")
    width = sum(widths) * size * (-1 if right_to_left else 1)
    a, b, *_ = placed
    return _Run(text, _moved(placed, x, y), _moved(placed, x + width, y), size * math.hypot(a, b))


def _lines(runs: list[_Run]) -> str:
    """Put runs together that follow each other in a line."""
    text = ""
    last: _Run | None = None
    for run in runs:
        if last is not None:
            text += _between(last, run)
        text += run.text
        last = run
    return text


def _between(last: _Run, run: _Run) -> str:
    along = last.end[0] - last.start[0], last.end[1] - last.start[1]
    length = math.hypot(*along) or 1.0
    step = run.start[0] - last.end[0], run.start[1] - last.end[1]
    size = max(last.size, run.size) or 1.0
    gap = (step[0] * along[0] + step[1] * along[1]) / length / size
    off = abs(step[0] * along[1] - step[1] * along[0]) / length / size
    if off > _OFF_LINE or gap < -2 * _TAB:
        return "\n"
    if last.text.endswith(" ") or run.text.startswith(" ") or gap < _SPACE:
        return ""
    return "\t" if gap > _TAB else " "


def _within(around: tuple[float, ...], element: Element) -> tuple[float, ...]:
    """Return where an element's own places lie: by its `RenderTransform`, then by what is around it."""
    stated = element.get("RenderTransform", "")
    for child in element:
        if local_name(child).endswith(".RenderTransform"):
            stated = next((one.get("Matrix", "") for one in named(child, "MatrixTransform")), stated)
    numbers = [_number(one) for one in stated.replace(" ", ",").split(",") if one]
    if len(numbers) != len(_UPRIGHT):
        return around
    a, b, c, d, x, y = numbers
    e, f, g, h, *_ = around
    return (
        *(a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h),
        *_moved(around, x, y),
    )


def _moved(placed: tuple[float, ...], x: float, y: float) -> tuple[float, float]:
    a, b, c, d, right, down = placed
    return a * x + c * y + right, b * x + d * y + down


def _number(stated: str) -> float:
    try:
        return float(stated)
    except ValueError:
        return 0.0


def _target(part: str, source: str) -> str:
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(part), source)).lstrip("/")
