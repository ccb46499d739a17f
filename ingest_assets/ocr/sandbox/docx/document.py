"""The document: its text in reading order, then what stands in it as pictures.

Belongs here: its pages. Does not belong here: what its XML shows (`story`).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from PIL import Image

from ingest_assets.formats import JPEG, PNG, TIFF
from ingest_assets.identification import identify
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import PageContent, Picture, check_page_count
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.docx.story import read_story
from ingest_assets.ocr.sandbox.images import ImageDocument
from ingest_assets.text import clean_text

# Pictures that are recognised: so many, of at least so many pixels on either side. Smaller ones are
# logos, icons and rules.
_MOST_PICTURES = 100
_LEAST_PIXELS = (160, 40)
_PAGES = (PNG, JPEG, TIFF)


class DocxDocument:
    """A DOCX: one page of text, and a page for each picture in it."""

    pictured = False

    def __init__(self, path: Path) -> None:
        self._package = Package(path)
        try:
            shown = read_story(self._package)
        except BaseException:
            self._package.close()
            raise
        self._text = clean_text("\n".join(shown.lines))
        self._shown = shown
        self._pictures, left_out = self._to_recognise()
        self.notes: tuple[Note, ...] = (*self._package.notes, *shown.notes, *left_out)

    @cached_property
    def page_count(self) -> int:
        """The text, unless there is none but pictures, and the pictures."""
        return check_page_count(self._first_picture + len(self._pictures) - 1)

    @property
    def _first_picture(self) -> int:
        """The number of the first page that is a picture."""
        return 2 if self._text or not self._pictures else 1

    def page(self, number: int) -> PageContent:
        """Return the text, or a picture."""
        if number < self._first_picture:
            return PageContent((self._text,))
        return PageContent((self._picture(self._pictures[number - self._first_picture]),))

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Refuse: page 1 is text."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        self._package.close()

    def _picture(self, name: str) -> Callable[[], Picture]:
        def decode() -> Picture:
            return ImageDocument(io.BytesIO(self._package.read(name) or b"")).picture(1)

        return decode

    def _to_recognise(self) -> tuple[list[str], list[Note]]:
        """Return the pictures that may show text, and a note of those that cannot be looked at."""
        found: list[str] = []
        unread: dict[str, int] = {}
        too_many = 0
        for name in self._shown.pictures:
            data = self._package.read(name)
            if not data:
                continue
            kind = identify(io.BytesIO(data))
            if kind not in _PAGES:
                unread[kind.name] = unread.get(kind.name, 0) + 1
            elif not _is_small(data):
                too_many += len(found) >= _MOST_PICTURES
                found += [name] if len(found) < _MOST_PICTURES else []
        notes = [
            Note("image_unreadable", f"{count} of its pictures: {name} is not looked at")
            for name, count in unread.items()
        ]
        if too_many:
            notes.append(
                Note("image_unreadable", f"{too_many} pictures after the first {_MOST_PICTURES}")
            )
        return found, notes


def _is_small(data: bytes) -> bool:
    """Tell whether a picture is too small for a line of text."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as image:
            width, height = image.size
    except Exception:  # noqa: BLE001  # Pillow raises any kind; the recognition says what is wrong.
        return False
    return bool(width < _LEAST_PIXELS[0] or height < _LEAST_PIXELS[1])


def read_docx(path: Path) -> DocxDocument:
    """Open a DOCX."""
    return DocxDocument(path)
