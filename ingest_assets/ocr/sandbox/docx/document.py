"""The document: its text in reading order, then what stands in it as pictures.

Belongs here: its pages. Does not belong here: what its XML shows (`story`).
"""

from __future__ import annotations

from pathlib import Path

from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.docx.story import read_story
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument


def read_docx(path: Path) -> IllustratedDocument:
    """Open a DOCX: one page of text, and a page for each picture in it."""
    package = Package(path)
    try:
        shown = read_story(package)
    except BaseException:
        package.close()
        raise
    return IllustratedDocument(
        ["\n".join(shown.lines)],
        shown.pictures,
        package.read,
        lambda: (*package.notes, *shown.notes),
        package.close,
    )
