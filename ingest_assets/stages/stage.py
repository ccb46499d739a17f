"""What stages take and return: the types that they share, and reading sources and documents.

Belongs here: what several stages need. Does not belong here: anything that one stage does.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, bindparam, select, text

from ingest_assets.errors import PermanentError
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.engine import EntityEngine
from ingest_assets.language import search_language
from ingest_assets.ocr.engine import OcrEngine
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource, SourceDocument
from ingest_assets.store.object_store import ObjectStore


class Markdown(str):
    """A value that Dagit shows as Markdown."""

    __slots__ = ()


class PartsOfFile(NamedTuple):
    """How much may be inside one file that was found.

    Attributes:
        depth: how deep parts may lie; 1 for those of the file itself.
        parts: how many there may be in all; `size_bytes` is what they may have together.
    """

    depth: int = 10
    parts: int = 100_000
    size_bytes: int = 16 << 30


class Sighting(NamedTuple):
    """A file or object as one look saw it. A tuple, because a look may make a hundred thousand.

    Attributes:
        place: path of the file, or key of the object.
        version: modification time in nanoseconds (file), or ETag (object).
        changed_at: when content or attributes changed last, in seconds since the epoch.
    """

    place: str
    size_bytes: int
    version: str
    changed_at: float


class Look(Protocol):
    """One look at an inbox, in a fixed order.

    Attributes:
        ignored: number of files and directories that were passed over, by the pattern that their name
            matches. What lies in an ignored directory is not counted.
        unreadable: directories and files that could not be examined, each with the reason.
        reached: behind what the next look has to go on, if this one ends here.
    """

    ignored: Counter[str]
    unreadable: list[str]

    @property
    def reached(self) -> str:
        """See above."""
        ...

    def __iter__(self) -> Iterator[Sighting | None]:
        """What is there; None where something was passed over: the caller looks at its clock."""
        ...


class Inbox(Protocol):
    """Where documents come from: what INGEST_INPUT_DIR names. Nothing in it is changed or removed.

    Attributes:
        kind: of its sources, in `document_sources`.
    """

    kind: Literal["file", "inbox"]

    def __str__(self) -> str:
        """Its place, for a person."""
        ...

    @property
    def sources(self) -> ColumnElement[bool]:
        """Which rows of `document_sources` may be of it."""
        ...

    @property
    def latest_written(self) -> ColumnElement[Any]:
        """When the latest of the versions in a group of rows was written, as far as is known."""
        ...

    def written(self, sighting: Sighting) -> float:
        """When this version was written, by the same clock; both in seconds since the epoch."""
        ...

    def require(self) -> None:
        """Make sure that it can be looked at.

        Raises:
            ConfigurationError: there is no such place, or it may not be looked at.
            TransientError: it cannot be reached just now.
        """
        ...

    def look(self, after: str) -> Look:
        """Begin a look, behind the place that an earlier one reached.

        Raises:
            ConfigurationError: there is no such place, or it may not be looked at.
            TransientError: it cannot be reached just now.
        """
        ...

    def seen_again(self, sightings: Sequence[Sighting], first_look: float) -> Iterator[Sighting]:
        """Those that a second look sees unchanged.

        Args:
            first_look: when the first one began, by `time.monotonic`.
        """
        ...

    def uri(self, place: str) -> str:
        """The URI of a file or object, as `document_sources` has it."""
        ...

    def place(self, uri: str) -> str | None:
        """Back from the URI; None where it is certain that it is not of this inbox."""
        ...

    def name(self, place: str) -> str:
        """The file's name as Postgres can hold it."""
        ...

    def open(self, source: Source) -> AbstractContextManager[BinaryIO]:
        """Open a source for reading, if it is unchanged since it was discovered.

        Raises:
            PermanentError: it is gone, changed, unreadable, no regular file, or not of this inbox.
            TransientError: it cannot be read just now.
            ConfigurationError: the inbox cannot be reached at all.
        """
        ...

    def present(self, source: Source) -> tuple[int, str] | None:
        """Size and version of what is at the source's place now; None if nothing is, or is unknown."""
        ...


@dataclass(frozen=True)
class Services:
    """What stages work with. All documents of a run share it; safe to share between threads.

    Attributes:
        max_file_bytes: larger files are rejected unread.
        documents_per_run: parts are recorded in batches of at most so many.
        read_again: which documents that have a text are read again: those that another engine has
            read, those that another engine or another version of it has read, or none.
        most_inside: how much may be inside one file.
    """

    database: Database
    objects: ObjectStore
    engine: OcrEngine
    inbox: Inbox
    chunker: Chunker
    entities: EntityEngine
    max_file_bytes: int = sys.maxsize
    documents_per_run: int = 100
    read_again: Literal["", "other-engine", "other-version"] = ""
    most_inside: PartsOfFile = field(default_factory=PartsOfFile)


@dataclass(frozen=True)
class Source:
    """A row of `document_sources`: one sighting, one partition.

    Attributes:
        parent_uuid: of a part, the document that it is inside of; `part_path` is where.
    """

    partition_key: str
    source_uri: str
    kind: str
    original_file_name: str
    size_bytes: int
    source_version: str
    document_uuid: UUID | None
    parent_uuid: UUID | None = None
    part_path: str | None = None


@dataclass(frozen=True)
class Document:
    """A row of `source_documents`: one content."""

    document_uuid: UUID
    sha256: str
    original_file_name: str
    s3_bucket: str
    s3_key: str
    s3_etag: str | None
    file_size_bytes: int
    mime_type: str
    partition_key: str
    upload_timestamp: datetime | None


@dataclass(frozen=True)
class Text:
    """A document's text as it is stored.

    Attributes:
        sha256: hex digest of the text in UTF-8; the data version of `document_text`.
        page_starts: where each page begins, in characters, ascending: that of page 1 comes first.
            `bisect_right(page_starts, place)` is the number of the page that a character is on.
    """

    content: str
    sha256: str
    page_starts: Sequence[int]

    @cached_property
    def language(self) -> str:
        """The language that it is searched in."""
        return search_language(self.content)


@dataclass
class Known:
    """What a run knows of a document, read or made under the document's lock.

    A stage takes from here what an earlier stage of the run left, and reads the rest from the database.

    Attributes:
        is_new: whether this run registered the document; then nothing else of it is stored yet.
        chunks_digest: data version of `document_chunks`.
    """

    is_new: bool = False
    document: Document | None = None
    text: Text | None = None
    chunks_digest: str | None = None


@dataclass(frozen=True)
class Result:
    """What a stage did.

    Attributes:
        document_uuid: the document that the partition stands for.
        data_version: changes when, and only when, the stage's result changes.
        inputs: data version of each earlier stage's result that this one was made from.
        details: what Dagit shows of it, by label.
        code_version: which version of the code and its programs made the result, where it is not
            the one that runs now; Dagit then shows the result as out of date.
    """

    document_uuid: UUID
    data_version: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str | int | float | None] = field(default_factory=dict)
    code_version: str | None = None


DOCUMENT_COLUMNS = [SourceDocument.__table__.columns[column.name] for column in fields(Document)]
# Made once: to make a statement takes SQLAlchemy longer than to send it.
_SOURCE = select(*(DocumentSource.__table__.columns[column.name] for column in fields(Source))).where(
    DocumentSource.partition_key == bindparam("key")
)


class Work(Protocol):
    """What a stage has made of one document, and is still to store."""

    def result(self) -> Result:
        """The stage's result; called once it is stored."""
        ...


class Stage(NamedTuple):
    """One stage.

    Attributes:
        work: reads, computes and calls services, without a transaction. Returns the stage's result if
            that is stored already, otherwise what has to be stored.
        save: stores what `work` returned for several documents, in the caller's transaction, which also
            ends their attempts.
    """

    work: Callable[[Source, Services, Known], Result | Work]
    save: Callable[[Connection, Sequence[Any]], None]


def load_source(connection: Connection, partition_key: str) -> Source:
    """Read one source.

    Raises:
        PermanentError: no source has that partition key.
    """
    row = connection.execute(_SOURCE, {"key": partition_key}).one_or_none()
    if row is None:
        raise PermanentError(
            "source_unknown",
            f"Partition {partition_key} stands for no source: document_sources does not hold it.",
        )
    return Source(**row._mapping)


def load_document(connection: Connection, document_uuid: UUID) -> Document:
    """Read the row of a document; it has to exist."""
    row = connection.execute(
        select(*DOCUMENT_COLUMNS).where(SourceDocument.document_uuid == document_uuid)
    ).one()
    return Document(**row._mapping)


def mark_reported(connection: Connection, partition_keys: Collection[str]) -> None:
    """Note, in the caller's transaction, that Dagster's event log has the last stage of sources."""
    connection.execute(
        text("""
            UPDATE ingest.document_sources SET reported_at = now()
            WHERE partition_key = ANY(:keys) AND reported_at IS NULL
        """),
        {"keys": list(partition_keys)},
    )


def require_document(source: Source) -> UUID:
    """The document that the source was registered as.

    Raises:
        PermanentError: it was not registered yet.
    """
    if source.document_uuid is None:
        raise PermanentError(
            "upstream_missing",
            f"Document {source.partition_key} ({source.original_file_name}) has no row.",
            "Materialise document_row first.",
        )
    return source.document_uuid


def known_document(source: Source, services: Services, known: Known) -> Document:
    """The row of the source's document: from `known`, or read from the database.

    Raises:
        PermanentError: the source was not registered yet.
    """
    document_uuid = require_document(source)
    if known.document is None:
        with services.database.engine.connect() as connection:
            known.document = load_document(connection, document_uuid)
    return known.document
