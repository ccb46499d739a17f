"""Reads and unpacks documents in the test's own process: what needs no recognition and no servers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ingest_assets.identification import identify
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.formats import open_document
from ingest_assets.ocr.sandbox.unpacking import unpack


@dataclass
class Read:
    """What a reader made of a file; a page that has to be recognised is None."""

    mime_type: str
    pages: list[str | None]
    notes: tuple[Note, ...]
    message: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        return "\n".join(page for page in self.pages if page)

    @property
    def kinds(self) -> set[str]:
        return {note.kind for note in self.notes}


@dataclass
class Unpacked:
    """What was found inside a file: bytes by path, or the error for which there are none."""

    parts: dict[str, bytes]
    problems: dict[str, list[str]]
    notes: list[list[str]]


def unpacked(
    data: bytes, name: str = "document", mime_type: str | None = None, **limits: int
) -> Unpacked:
    """Take out what is inside a file by its content, or by a type that is given."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "document")
        path.write_bytes(data)
        found = unpack(
            str(path),
            mime_type or identify(io.BytesIO(data)).mime_type,
            name,
            folder,
            {"parts": 1000, "bytes": 1 << 30, **limits},
        )
        taken = {
            part["path"]: Path(folder, str(number)).read_bytes()
            for number, part in enumerate(found["parts"], 1)
            if part["problem"] is None
        }
    problems = {part["path"]: part["problem"] for part in found["parts"] if part["problem"]}
    return Unpacked(taken, problems, found["notes"])


def read(data: bytes, mime_type: str | None = None) -> Read:
    """Read a file by its content, or as a type that is given."""
    mime_type = mime_type or identify(io.BytesIO(data)).mime_type
    with TemporaryDirectory() as folder:
        path = Path(folder, "document")
        path.write_bytes(data)
        document = open_document(path, mime_type)
        try:
            pages = [document.page(number + 1).own_text for number in range(document.page_count)]
            message = document.message if isinstance(document, FlowingDocument) else None
            return Read(mime_type, pages, document.notes, message)
        finally:
            document.close()
