"""The parts of a document, one for each job: the whole document, or ranges of pages of a large one.

Belongs here: fetching a document, and having worker processes count its pages and split it. Does not
belong here: reading its bytes, which only worker processes do (`ocr.sandbox`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.engine import StoredObject
from ingest_assets.ocr.local import LocalEngine, room_on_disk
from ingest_assets.store.object_store import ObjectStore

_PDF = "application/pdf"
_PICTURES = ("image/png", "image/jpeg")
# Faults that are final without asking Textract, which would find them, too, but later or for money.
_FOR_GOOD = ("encrypted", "too_many_pages", "content_changed")
# Parts are planned for this fraction of the limit in bytes, because pages differ in size.
_FILL = 0.9


@dataclass(frozen=True)
class Limits:
    """What Textract takes in one asynchronous job.

    https://docs.aws.amazon.com/textract/latest/dg/limits-document.html

    Attributes:
        file_bytes: size of a PDF or TIFF.
        picture_bytes: size of a JPEG or PNG.
        pages: number of pages of a PDF or TIFF.
    """

    file_bytes: int = 500 * 1000 * 1000
    picture_bytes: int = 10 * 1000 * 1000
    pages: int = 3000


@dataclass(frozen=True)
class Part:
    """An object that one job reads.

    Attributes:
        first_page: number of the object's first page in the document.
        page_count: number of its pages; None if they could not be counted.
        version: id of the object's version, where the bucket keeps versions.
    """

    key: str
    first_page: int
    page_count: int | None
    version: str | None = None


@dataclass(frozen=True)
class Survey:
    """What worker processes found out about a document before Textract gets it."""

    parts: tuple[Part, ...]
    thumbnail: bytes | None
    notes: tuple[Note, ...] = ()


class Surveyor:
    """Looks at documents on this machine. Thread-safe; needs the document's size on disk, twice that
    where it is split.
    """

    def __init__(self, reader: LocalEngine, objects: ObjectStore, limits: Limits) -> None:
        self._reader = reader
        self._objects = objects
        self._limits = limits

    def survey(self, document: StoredObject) -> Survey:
        """Count a document's pages, and split it if it is larger than Textract takes.

        A document that cannot be opened here is given to Textract all the same, if it is small enough.

        Raises:
            PermanentError: `object_missing`, `encrypted`, `textract_too_large`; if the document has to
                be split, also what keeps it from being split.
        """
        head = self._objects.head(document.key)
        if head is None:
            raise PermanentError("object_missing", f"{self._objects.uri(document.key)} is not there.")
        if document.mime_type in _PICTURES and document.size_bytes > self._limits.picture_bytes:
            raise _too_large(document, self._limits)
        with room_on_disk(), self._reader.scratch_folder() as folder:
            path = folder / "document"
            with path.open("wb") as file:
                document.download(file)
            pages, thumbnail, notes = self._look(path, document)
            if document.size_bytes <= self._limits.file_bytes and (pages or 0) <= self._limits.pages:
                whole = Part(document.key, 1, pages, head.version)
                return Survey((whole,), thumbnail, notes)
            if document.mime_type != _PDF or pages is None:
                raise _too_large(document, self._limits)
            parts = self._parts(document, path, pages)
        split = Note("split", f"split into {len(parts)} parts for Textract")
        return Survey(parts, thumbnail, (*notes, split))

    def _look(
        self, path: Path, document: StoredObject
    ) -> tuple[int | None, bytes | None, tuple[Note, ...]]:
        arguments = {"path": str(path), "mime_type": document.mime_type}
        try:
            found = self._reader.ask("survey", **arguments)
        except PermanentError as error:
            if error.code in _FOR_GOOD or document.size_bytes > self._limits.file_bytes:
                raise
            uncounted = f"its pages could not be counted beforehand: {error.message}"
            return None, None, (Note("no_thumbnail", uncounted),)
        notes = tuple(Note(kind, sentence) for kind, sentence in found["notes"])
        try:
            jpeg = self._reader.ask("thumbnail", **arguments) if found["pictured"] else None
        except IngestError as error:
            # A document does not fail because it has no thumbnail.
            none = Note("no_thumbnail", f"no thumbnail: {error.message}")
            return found["page_count"], None, (*notes, none)
        return found["page_count"], base64.b64decode(jpeg) if jpeg else None, notes

    def _parts(self, document: StoredObject, path: Path, pages: int) -> tuple[Part, ...]:
        """The parts of a document. Parts of an earlier try are used again, because jobs may read them.

        `parts.json`, which is written last, lists the parts when all of them are stored.
        """
        prefix = f"derived/{document.document_uuid}/parts"
        made = self._objects.get_derived(f"{prefix}/parts.json")
        if made is not None:
            return tuple(Part(**part) for part in json.loads(made))
        parts = tuple(
            part
            for first, last in self._ranges(document, pages)
            for part in self._write(path, first, last, prefix)
        )
        listed = json.dumps([asdict(part) for part in parts]).encode()
        self._objects.put_derived(f"{prefix}/parts.json", listed, "application/json")
        return parts

    def _ranges(self, document: StoredObject, pages: int) -> Iterator[tuple[int, int]]:
        """Ranges of equal length that keep to the limit of pages, and on average to that of bytes."""
        by_bytes = -(-document.size_bytes // int(self._limits.file_bytes * _FILL))
        count = min(pages, max(-(-pages // self._limits.pages), by_bytes))
        for number in range(count):
            yield number * pages // count + 1, (number + 1) * pages // count

    def _write(self, path: Path, first: int, last: int, prefix: str) -> Iterator[Part]:
        """Write a range of pages as one part, or as several if one has too many bytes."""
        part = path.with_name("part")
        self._reader.ask("split", path=str(path), first=first, last=last, part=str(part))
        size = part.stat().st_size
        if size <= self._limits.file_bytes:
            key = f"{prefix}/{first:05}-{last:05}.pdf"
            self._objects.put_derived_file(key, part, _PDF)
            yield Part(key, first, last - first + 1)
        elif first < last:
            middle = (first + last) // 2
            yield from self._write(path, first, middle, prefix)
            yield from self._write(path, middle + 1, last, prefix)
        else:
            raise PermanentError(
                "textract_too_large",
                f"Page {first} of the document alone has {size:,} bytes; Textract takes "
                f"{self._limits.file_bytes:,}.",
                "Save it with images of a lower resolution and ingest that.",
            )


def _too_large(document: StoredObject, limits: Limits) -> PermanentError:
    picture = document.mime_type in _PICTURES
    most = limits.picture_bytes if picture else limits.file_bytes
    return PermanentError(
        "textract_too_large",
        f"Textract takes {document.mime_type} up to {most:,} bytes and {limits.pages:,} pages; this "
        f"document has {document.size_bytes:,} bytes, and only a PDF that can be opened is split.",
    )
