"""What a recognition engine is: the protocol of the local engine and of Amazon Textract.

Belongs here: the types that the stage `document_text` and an engine exchange. Does not belong here:
anything that one engine alone needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol
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
        file_name: the original file's; what is packed alone is called after it.
    """

    document_uuid: UUID
    bucket: str
    key: str
    size_bytes: int
    mime_type: str
    download: Callable[[BinaryIO], None]
    file_name: str = ""


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
        message: the headers of a mail, by the names of the columns of `messages`; None of other types.
    """

    pages: tuple[Page, ...]
    engine: str
    engine_version: str
    notes: tuple[Note, ...] = ()
    thumbnail: bytes | None = None
    message: Mapping[str, Any] | None = None


class Problem(NamedTuple):
    """Why a part cannot be taken out.

    Attributes:
        code: one of `catalogue.FAULTS`.
    """

    code: str
    sentence: str


@dataclass(frozen=True)
class Part:
    """One document inside another: an attachment, a member of an archive, an embedded file.

    Attributes:
        path: where it is inside, for a person; no two parts of a document have the same.
        size_bytes: 0 where it could not be taken out.
        problem: why it could not be taken out.
        file: where it lies while it is used; None where it could not be taken out.
    """

    path: str
    size_bytes: int
    problem: Problem | None
    file: Path | None


@dataclass(frozen=True)
class Contents:
    """What is inside a document.

    Attributes:
        parts: in the order of the file, the same each time.
        notes: what a person should know, above all what was left out.
    """

    parts: Sequence[Part]
    notes: Sequence[Note] = ()

    def part(self, path: str | None) -> Part | None:
        """Return the part at a path; None where there is none."""
        return self._by_path.get(path or "")

    @cached_property
    def _by_path(self) -> Mapping[str, Part]:
        # A container of ten thousand parts is asked for each of them.
        return {part.path: part for part in self.parts}


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

    def contents(self, document: StoredObject) -> AbstractContextManager[Contents]:
        """Take out what is inside a document; the files are there as long as the block lasts.

        Raises as `recognise` does. One part that cannot be taken out is no error: it says so itself.
        """
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
