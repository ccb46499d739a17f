"""Charts and diagrams: their words and numbers.

Belongs here: the parts of DrawingML that are not the document's own text. Does not belong here:
pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from ingest_assets.ocr.sandbox.docx.names import C15, CX, DGM, A, C
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.numerals import written

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_LINE_ENDS = re.compile("\r\n?|\v")
_MOST_LEVELS = 9
_HIGHEST_START = 32_767
# Kinds of numbers (ST_TextAutonumberScheme): how they are written, and what stands around them.
_FORMS = {
    **{"alphaLc": "lowerLetter", "alphaUc": "upperLetter"},
    **{"romanLc": "lowerRoman", "romanUc": "upperRoman"},
}
_BULLETS = (f"{A}buNone", f"{A}buChar", f"{A}buBlip")
EMPTY_CHART = ("object_unread", "a chart does not hold its numbers")
_ENDS = {"ParenBoth": ("(", ")"), "ParenR": ("", ")"), "Period": ("", "."), "Minus": ("", "-")}


def paragraphs(element: Element) -> Iterator[str]:
    """Yield the paragraphs of DrawingML text in an element, with the numbers that programs count."""
    counts: list[tuple[str, int] | None] = [None] * _MOST_LEVELS
    styles = element.find(f".//{A}lstStyle")
    for paragraph in element.iter(f"{A}p"):
        number = _number(paragraph, counts, styles)
        text = "".join(
            unescaped(piece.text or "") if piece.tag == f"{A}t" else "\n"
            for piece in paragraph.iter()
            if piece.tag in (f"{A}t", f"{A}br")
        )
        if text.strip():
            yield number + text


def unescaped(text: str) -> str:
    """Return a text of Excel or PowerPoint with the characters that it writes by their numbers.

    They are those that XML cannot hold, and ends of lines (ECMA-376, part 1, 22.9.2.19, `ST_Xstring`).
    """
    if "_x" not in text:
        return text
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return _LINE_ENDS.sub("\n", text)


def _number(paragraph: Element, counts: list[tuple[str, int] | None], styles: Element | None) -> str:
    """Return the number before a paragraph, with a space; `counts` has kind and last of each depth."""
    properties = paragraph.find(f"{A}pPr")
    stated = properties.get("lvl", "0") if properties is not None else "0"
    depth = min(int(stated), _MOST_LEVELS - 1) if stated.isdecimal() else 0
    counts[depth + 1 :] = [None] * (_MOST_LEVELS - depth - 1)
    numbered = properties.find(f"{A}buAutoNum") if properties is not None else None
    if numbered is None and styles is not None and not _has_bullet(properties):
        numbered = styles.find(f"{A}lvl{depth + 1}pPr/{A}buAutoNum")
    if numbered is None or not "".join(text.text or "" for text in paragraph.iter(f"{A}t")).strip():
        counts[depth] = None if numbered is None else counts[depth]
        return ""
    kind, start = numbered.get("type", ""), numbered.get("startAt", "1")
    before = counts[depth]
    first = min(int(start), _HIGHEST_START) if start.isdecimal() else 1
    count = before[1] + 1 if before is not None and before[0] == kind else first
    counts[depth] = kind, count
    form = next((form for word, form in _FORMS.items() if kind.startswith(word)), "")
    ends = next((ends for word, ends in _ENDS.items() if kind.endswith(word)), ("", ""))
    return f"{ends[0]}{written(form, count)}{ends[1]} "


def _has_bullet(properties: Element | None) -> bool:
    """Tell whether a paragraph says itself that it has another mark than a number, or none."""
    return properties is not None and any(properties.find(mark) is not None for mark in _BULLETS)


def chart(root: Element) -> list[str]:
    """Return a chart's titles and labels, its categories, and each series with its values."""
    lines = list(paragraphs(root))
    # Titles that cells of the sheet hold, and labels that do.
    lines += (point for title in root.iter(f"{C}title") for point in _points(title.find(f"{C}tx")))
    lines += ("\t".join(_points(labels)) for labels in root.iter(f"{C15}datalabelsRange"))
    categories: list[list[str]] = []
    for series in root.iter(f"{C}ser"):
        for axis in ("cat", "xVal"):
            labels = _points(series.find(f"{C}{axis}"))
            if labels and labels not in categories:
                categories.append(labels)
                lines.append("\t".join(labels))
        values = (_points(series.find(f"{C}{axis}")) for axis in ("tx", "val", "yVal", "bubbleSize"))
        lines.append("\t".join(point for points in values for point in points))
    lines += (
        "\t".join(point.text or "" for point in dimension.iter(f"{CX}pt"))
        for dimension in (*root.iter(f"{CX}strDim"), *root.iter(f"{CX}numDim"))
    )
    lines += (name.text or "" for name in root.iter(f"{CX}v"))
    return [line for line in lines if line.strip()]


def chart_of(package: Package, name: str) -> list[str]:
    """Return what a chart shows, with what was drawn on it; nothing where it is empty."""
    root = package.xml(name)
    lines = chart(root) if root is not None else []
    for drawing in package.related(name, "chartUserShapes"):
        shapes = package.xml(drawing)
        lines += paragraphs(shapes) if shapes is not None else ()
    return lines


def _points(element: Element | None) -> list[str]:
    """Return what was last known of cells of the sheet behind a chart."""
    if element is None:
        return []
    return [value.text or "" for value in element.iter(f"{C}v")]


def diagram(root: Element) -> list[str]:
    """Return the texts of a diagram's points."""
    return [text for point in root.iter(f"{DGM}pt") for text in paragraphs(point)]


def drawn_diagrams(package: Package, name: str) -> Iterator[str]:
    """Yield the words of a part's diagrams where the package has only how they are drawn."""
    for data in package.related(name, "diagramData"):
        root = package.xml(data)
        if root is not None and diagram(root):
            return
    for drawing in package.related(name, "diagramDrawing"):
        if (shapes := package.xml(drawing)) is not None:
            yield from paragraphs(shapes)
