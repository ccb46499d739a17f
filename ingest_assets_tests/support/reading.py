"""Reads a document in the test's own process: for what needs no recognition, and no servers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest_assets.identification import identify
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.formats import open_document


@dataclass
class Read:
    """What a reader made of a file; a page that has to be recognised is None."""

    mime_type: str
    pages: list[str | None]
    notes: tuple[Note, ...]

    @property
    def text(self) -> str:
        return "\n".join(page for page in self.pages if page)

    @property
    def kinds(self) -> set[str]:
        return {note.kind for note in self.notes}


def read(data: bytes, mime_type: str | None = None) -> Read:
    """Read a file by its content, or as a type that is given."""
    mime_type = mime_type or identify(io.BytesIO(data)).mime_type
    with TemporaryDirectory() as folder:
        path = Path(folder, "document")
        path.write_bytes(data)
        document = open_document(path, mime_type)
        try:
            pages = [document.page(number + 1).own_text for number in range(document.page_count)]
            return Read(mime_type, pages, document.notes)
        finally:
            document.close()
