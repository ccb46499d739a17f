"""The document: its text in reading order, then what stands in it as pictures.

Belongs here: its pages. Does not belong here: what its XML shows (`story`).
"""

from __future__ import annotations

from pathlib import Path

from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.docx.story import read_story
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package


def read_docx(file: Path | bytes) -> IllustratedDocument:
    """Open a DOCX: one page of text, and a page for each picture in it."""
    return read_package(Package(file), _contents_of)


def _contents_of(package: Package) -> Shown:
    shown = read_story(package)
    return Shown(["\n".join(shown.lines)], shown.pictures, shown.notes)
