"""What a recognition engine is: the protocol of the local engine and of Amazon Textract.

Belongs here: the types that the stage `document_text` and an engine exchange. Does not belong here:
anything that one engine alone needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol
from uuid import UUID

from ingest_assets.notes import Note


@dataclass(frozen=True)
class StoredObject:
    """The document as S3 holds it, which an engine reads.

    Attributes:
        document_uuid: under it an engine keeps what it has to remember of the document.
        size_bytes: size of the object in bytes.
        mime_type: type that was found from the content, not from the file's name.
        download: writes the whole object to an open binary file, in blocks.
    """

    document_uuid: UUID
    bucket: str
    key: str
    size_bytes: int
    mime_type: str
    download: Callable[[BinaryIO], None]


@dataclass(frozen=True)
class Page:
    """One page of text.

    Attributes:
        number: counted from 1.
        text: may be empty. Lines end with ``\\n``.
        origin: `text-layer` when the document itself carries the text, `ocr` when it was recognised.
        confidence: mean confidence of the words, 0 to 1; None where nothing was recognised.
    """

    number: int
    text: str
    origin: Literal["text-layer", "ocr"]
    confidence: float | None = None


@dataclass(frozen=True)
class Recognition:
    """What an engine read in one document.

    Attributes:
        pages: in order, numbered from 1 without gaps.
        engine: name of the engine.
        engine_version: version of the engine and of its configuration; the same version reads the
            same document the same way.
        notes: what a person should know of the reading, above all what was left out.
        thumbnail: page 1 as a small JPEG (at most 12 KB), or None where there is no picture of it.
    """

    pages: tuple[Page, ...]
    engine: str
    engine_version: str
    notes: tuple[Note, ...] = ()
    thumbnail: bytes | None = None


class OcrEngine(Protocol):
    """Reads documents. Safe to call from several threads at once.

    `recognise` raises `PermanentError` if the document can never be read (corrupt, encrypted),
    `TransientError` if a later try may pass, and `ConfigurationError` if no document would. A document
    without readable text is no error: its pages are empty.

    Attributes:
        documents_at_a_time: for an engine that reads outside this machine, how many documents may wait
            there at a time; None for one that reads on this machine.
    """

    name: str
    version: str
    documents_at_a_time: int | None

    def recognise(self, document: StoredObject) -> Recognition:
        """Read all pages of one document."""
        ...

    def reads_as(self, mime_type: str) -> tuple[str, str]:
        """Return the name and the version under which it reads documents of this type.

        `Recognition.engine` is that name, and `Recognition.engine_version` ends with that version.
        """
        ...

    def let_go(self) -> None:
        """Stop waiting for documents that are read outside this machine, because the run is cancelled.

        They fail with a transient error. What was paid for is found by the next try.
        """
        ...

    def close(self) -> None:
        """End the processes and connections that the engine holds."""
        ...
