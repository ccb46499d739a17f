"""Documents whose text flows, with pictures in it: the pages of text, then a page for each picture.

Belongs here: which pictures are worth recognising, and what is said of the others. Does not belong
here: finding the text and the pictures in one format.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from PIL import Image

from ingest_assets.errors import PermanentError
from ingest_assets.formats import PICTURES, SVG
from ingest_assets.identification import identify
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import PageContent, Picture, check_page_count, corrupt
from ingest_assets.ocr.sandbox.encodings import decode
from ingest_assets.ocr.sandbox.images import ImageDocument, nothing_shown, size_of
from ingest_assets.ocr.sandbox.web_page import svg_text
from ingest_assets.text import clean_text

# Pictures that are recognised: so many, of at least so many pixels on either side. Smaller ones are
# logos, icons and rules.
_MOST_PICTURES = 100
_LEAST_PIXELS = (160, 40)


class IllustratedDocument:
    """A document of text and pictures.

    Args:
        texts: its pages of text; where all are empty, its pictures alone are its pages.
        pictures: names of what may be a picture, each once.
        read: gives the bytes of one of them; none where it cannot be had.
        notes: called when the pictures were looked at.
        close: releases what `read` needs.
    """

    pictured = False

    def __init__(
        self,
        texts: Sequence[str],
        pictures: Iterable[str],
        read: Callable[[str], bytes | None],
        notes: Callable[[], Iterable[Note]] = tuple,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._texts = [clean_text(text) for text in texts]
        self._read = read
        self.close = close
        self._pictures, left_out = _to_look_at(pictures, read)
        if self._pictures and not any(self._texts):
            self._texts = []
        self.page_count = check_page_count(len(self._texts) + len(self._pictures))
        self.notes: tuple[Note, ...] = (*notes(), *left_out)

    def page(self, number: int) -> PageContent:
        """Return a page of text, or a picture."""
        if number <= len(self._texts):
            return PageContent((self._texts[number - 1],))
        name, words = self._pictures[number - 1 - len(self._texts)]
        return PageContent((words or (lambda: self._picture(name)),))

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Refuse: page 1 is text."""
        raise NotImplementedError

    def _picture(self, name: str) -> Picture:
        try:
            return ImageDocument(io.BytesIO(self._read(name) or b"")).picture(1)
        except PermanentError as error:  # The text around it is whole.
            return nothing_shown(Note("image_unreadable", f"a picture was not read: {error.message}"))


class Shown(NamedTuple):
    """What was found in a package.

    Attributes:
        texts: its pages of text.
        pictures: names of parts that may be pictures, each once.
        notes: beside those of the package itself.
    """

    texts: Sequence[str]
    pictures: Iterable[str]
    notes: Iterable[Note] = ()


class _Package(Protocol):
    """What text and pictures are read from, such as `docx.package.Package`."""

    notes: list[Note]

    def read(self, name: str, /) -> bytes | None: ...

    def close(self) -> None: ...


_AnyPackage = TypeVar("_AnyPackage", bound=_Package)


def read_package(package: _AnyPackage, read: Callable[[_AnyPackage], Shown]) -> IllustratedDocument:
    """Make a document of a package, which closes with it, or at once if it cannot be read.

    Raises:
        PermanentError: `corrupt_document`, and what `read` raises.
    """
    try:
        shown = read(package)
    except RecursionError as error:
        package.close()
        raise corrupt("its XML is nested too deeply") from error
    except BaseException:
        package.close()
        raise
    return IllustratedDocument(
        shown.texts,
        shown.pictures,
        package.read,
        lambda: (*package.notes, *shown.notes),
        package.close,
    )


def _to_look_at(
    names: Iterable[str], read: Callable[[str], bytes | None]
) -> tuple[list[tuple[str, str]], list[Note]]:
    """Return the pictures that may show text, with the words of drawings; and a note of the others."""
    found: list[tuple[str, str]] = []
    unread: dict[str, int] = {}
    pictures = 0
    for name in names:
        data = read(name)
        if not data:
            continue
        kind = identify(io.BytesIO(data))
        if kind == SVG and (words := svg_text(decode(data).text)):
            found.append((name, words))
        elif kind not in PICTURES:
            unread[kind.name] = unread.get(kind.name, 0) + 1
        elif not _is_small(data):
            pictures += 1
            found += [(name, "")] if pictures <= _MOST_PICTURES else []
    notes = [
        Note("image_unreadable", f"{count} of its pictures: {name} is not looked at")
        for name, count in unread.items()
    ]
    if pictures > _MOST_PICTURES:
        left_out = pictures - _MOST_PICTURES
        notes.append(Note("image_unreadable", f"{left_out} pictures after the first {_MOST_PICTURES}"))
    return found, notes


def _is_small(data: bytes) -> bool:
    """Tell whether a picture is too small for a line of text."""
    size = size_of(data)  # None where it cannot be told; the recognition says what is wrong.
    return size is not None and (size[0] < _LEAST_PIXELS[0] or size[1] < _LEAST_PIXELS[1])
