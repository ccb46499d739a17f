"""Charts and diagrams: their words and numbers.

Belongs here: the parts of DrawingML that are not the document's own text. Does not belong here:
pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from ingest_assets.ocr.sandbox.docx.names import CX, DGM, A, C


def paragraphs(element: Element) -> Iterator[str]:
    """Yield the paragraphs of DrawingML text in an element."""
    for paragraph in element.iter(f"{A}p"):
        text = "".join(
            piece.text or "" if piece.tag == f"{A}t" else "\n"
            for piece in paragraph.iter()
            if piece.tag in (f"{A}t", f"{A}br")
        )
        if text.strip():
            yield text


def chart(root: Element) -> list[str]:
    """Return a chart's titles and labels, its categories, and each series with its values."""
    lines = list(paragraphs(root))
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


def _points(element: Element | None) -> list[str]:
    """Return what was last known of cells of the sheet behind a chart."""
    if element is None:
        return []
    return [value.text or "" for value in element.iter(f"{C}v")]


def diagram(root: Element) -> list[str]:
    """Return the texts of a diagram's points."""
    return [text for point in root.iter(f"{DGM}pt") for text in paragraphs(point)]
