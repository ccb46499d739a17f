"""What a worker can be asked to do, whatever the format of the document.

Belongs here: the operations, as functions from JSON values to JSON values. Does not belong here:
formats (`formats.open_document` finds them), and the order of the operations (`ocr.local`).
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pypdfium2.version

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.languages import Languages
from ingest_assets.ocr.sandbox import tesseract
from ingest_assets.ocr.sandbox.document import Document
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.formats import open_document
from ingest_assets.ocr.sandbox.pdf import files
from ingest_assets.ocr.sandbox.pdf.document import PdfDocument
from ingest_assets.ocr.sandbox.unpacking import unpack

# A batch of pages ends after so many seconds, so that no document keeps a worker for long.
_BATCH_SECONDS = 1.0

# Notes on what a service that reads pages does not see.
_BESIDE_PAGES = ("attachment_unread", "form_unread")

# Errors of a PDF that a copy of it, written anew, may not have.
_MENDABLE = ("corrupt_document", "no_pages", "encrypted")

_THUMBNAIL_SIDE = 240
_THUMBNAIL_BYTES = 12_000


def versions(languages: list[str]) -> dict[str, Any]:
    """Return the versions of the programs in C that read documents, which shows that they load.

    Args:
        languages: the files of data of the languages that are to be recognised, which are loaded;
            none, where only the programs are.
    """
    return {
        "tesseract": tesseract.versions(Languages(tuple(languages))),
        "pdfium": pypdfium2.version.PDFIUM_INFO.build,
    }


def inspect(path: str, mime_type: str, repaired: str, *, drawn: bool = True) -> dict[str, Any]:
    """Open a document, count its pages, draw the first of them, and read those that carry their text.

    Args:
        repaired: where to write a repaired copy, if only that can be opened.
        drawn: whether page 1 is drawn.

    Returns:
        `page_count`, `notes` (kind and sentence of each), `path` (that of the repaired copy if there is
        one), `pages` as `read` returns them, `message` (the headers of a mail, None of other types),
        `thumbnail` as that operation returns it; None also where there is no picture of page 1.
    """
    notes: list[Note] = []
    try:
        document = open_document(Path(path), mime_type)
    except PermanentError as error:
        if mime_type != "application/pdf" or error.code not in _MENDABLE:
            raise
        if files.repair(Path(path), Path(repaired)):
            notes.append(Note("repaired", "repaired before reading: text may be missing or doubled"))
        path = repaired
        document = open_document(Path(path), mime_type)
    try:
        jpeg = None
        if drawn and document.pictured:
            try:
                jpeg = _jpeg(document)
            except PermanentError as error:
                notes.append(Note("no_thumbnail", f"no thumbnail: {error.message}"))
        return {
            "page_count": document.page_count,
            "notes": _plain((*document.notes, *notes)),
            "path": path,
            "pages": list(_read(document, 1, document.page_count)),
            "message": document.message if isinstance(document, FlowingDocument) else None,
            "thumbnail": jpeg,
        }
    finally:
        document.close()


def survey(path: str, mime_type: str) -> dict[str, Any]:
    """Open a document and count its pages, without reading any.

    Returns:
        `page_count`, `pictured`, and `notes`: kind and sentence of what it holds beside its pages.
    """
    with _opened(path, mime_type) as document:
        notes = [note for note in document.notes if note.kind in _BESIDE_PAGES]
        if isinstance(document, PdfDocument):
            notes += document.pinned()
        return {
            "page_count": document.page_count,
            "pictured": document.pictured,
            "notes": _plain(notes),
        }


def split(path: str, first: int, last: int, part: str) -> None:
    """Write some pages of a PDF to the file `part`, as a PDF of their own."""
    files.split(Path(path), first, last, Path(part))


def read(path: str, mime_type: str, first: int, last: int) -> list[dict[str, Any]]:
    """Read pages that carry their own text.

    Returns:
        From `first` on, at least one page and at most to `last`, as many as one second allows:
        `number` and `text`, which is None where the page has to be recognised.
    """
    with _opened(path, mime_type) as document:
        return list(_read(document, first, last))


def recognise(path: str, mime_type: str, number: int, languages: list[str]) -> dict[str, Any]:
    """Recognise what a page does not carry as text.

    Args:
        languages: the files of data of the languages that are tried.

    Returns:
        `number`, `text`, `confidence` (0 to 1 or None), `notes`, `origin`.
    """
    known = Languages(tuple(languages))
    with _opened(path, mime_type) as document:
        content = document.page(number)
        while (doubt := content.doubt) is not None:
            look = tesseract.glance if doubt.at_a_glance else tesseract.recognise
            seen = look(doubt.picture(), known)
            content = doubt.settle(seen.text, seen.confidence)
        texts, readings = [], []
        for part in content.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            reading = tesseract.recognise(part(), known)
            if len(content.parts) > 1:
                reading = _if_sure(reading)
            readings.append(reading)
            texts.append(reading.text)
    notes = [*content.notes, *(note for reading in readings for note in reading.notes)]
    if not any(texts) and any(reading.unread for reading in readings):
        notes.append(Note("unread_ink", "it shows something, of which nothing could be read as text"))
    return {
        "number": number,
        "text": "\n".join(filter(None, texts)),
        "confidence": _mean_confidence(readings),
        "notes": _plain(dict.fromkeys(notes)),
        "origin": "ocr" if readings else "text-layer",
    }


def thumbnail(path: str, mime_type: str) -> str | None:
    """Return page 1 as a JPEG of at most 12 KB, in Base64; None where it does not get that small."""
    with _opened(path, mime_type) as document:
        return _jpeg(document)


def warm_up() -> None:
    """Do nothing: what reads documents is loaded with this module."""


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (versions, inspect, survey, split, read, recognise, thumbnail, unpack)
}


def _jpeg(document: Document) -> str | None:
    """Return page 1 as a JPEG, in Base64; None where it does not get small enough."""
    image = document.thumbnail(_THUMBNAIL_SIDE)
    for quality in (70, 45, 20):
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=quality)
        if jpeg.tell() <= _THUMBNAIL_BYTES:
            return base64.b64encode(jpeg.getvalue()).decode()
    return None


def _plain(notes: Iterable[Note]) -> list[list[str]]:
    """Return the kind and the sentence of each note."""
    return [[note.kind, note.sentence] for note in notes]


def _if_sure(reading: tesseract.Reading) -> tesseract.Reading:
    """Return what was recognised beside other text; nothing, with a note, where it is unsure.

    A signature or a drawing in a page of text comes out as a few letters that are in no word.
    """
    if reading.confidence is None or reading.confidence >= tesseract.DOUBTFUL_CONFIDENCE:
        return reading
    note = Note("unread_ink", "a picture or drawing beside its text could not be read")
    return tesseract.Reading("", None, (*reading.notes, note))


def _mean_confidence(readings: Iterable[tesseract.Reading]) -> float | None:
    """Return the mean of what was recognised, long texts counting for more; None where nothing was."""
    words = total = 0.0
    for reading in readings:
        if reading.confidence is not None:
            count = len(reading.text.split())
            words += count
            total += count * reading.confidence
    return total / words if words else None


def _read(document: Document, first: int, last: int) -> Iterator[dict[str, Any]]:
    end = time.monotonic() + _BATCH_SECONDS
    for number in range(first, last + 1):
        content = document.page(number)
        yield {"number": number, "text": content.own_text, "notes": _plain(content.notes)}
        if time.monotonic() > end:
            return


@contextmanager
def _opened(path: str, mime_type: str) -> Iterator[Document]:
    document = open_document(Path(path), mime_type)
    try:
        yield document
    finally:
        document.close()
