"""What a stage is given and what it gives back.

Belongs here: the types that all stages share. Does not belong here: anything that one stage does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from ingest_assets.errors import PermanentError
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.engine import EntityEngine
from ingest_assets.ocr.engine import OcrEngine
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource
from ingest_assets.store.object_store import ObjectStore


class Markdown(str):
    """A value that is meant to be shown as Markdown."""

    __slots__ = ()


@dataclass(frozen=True)
class Services:
    """What stages work with; shared by all documents of a run, safe between threads.

    Attributes:
        max_file_bytes: larger files are rejected unread.
        read_again: which documents that have a text are read again: those that another engine has
            read, those that another engine or another version of it has read, or none.
    """

    database: Database
    objects: ObjectStore
    engine: OcrEngine
    input_dir: Path
    chunker: Chunker
    entities: EntityEngine
    max_file_bytes: int = sys.maxsize
    read_again: Literal["", "other-engine", "other-version"] = ""


@dataclass(frozen=True)
class Source:
    """A row of `document_sources`: one sighting, one partition."""

    partition_key: str
    source_uri: str
    kind: str
    original_file_name: str
    size_bytes: int
    source_version: str
    document_uuid: UUID | None


@dataclass(frozen=True)
class Result:
    """What a stage did.

    Attributes:
        document_uuid: the document that the partition stands for.
        data_version: changes when, and only when, the stage's result changes.
        inputs: data version of each earlier stage's result that this one was made from.
        details: what a person wants to know of it, by the name it is shown under.
        code_version: which version of the code and its programs made the result, where it is not
            the one that runs now; Dagit then shows the result as out of date.
    """

    document_uuid: UUID
    data_version: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str | int | float | None] = field(default_factory=dict)
    code_version: str | None = None


Stage = Callable[[Source, Services, Connection], Result]


def load_source(connection: Connection, partition_key: str) -> Source:
    """Read one source.

    Raises:
        PermanentError: no source has that partition key.
    """
    columns = DocumentSource.__table__.columns
    row = connection.execute(
        select(*(columns[name] for name in Source.__dataclass_fields__)).where(
            columns.partition_key == partition_key
        )
    ).one_or_none()
    if row is None:
        raise PermanentError(
            "source_unknown",
            f"Partition {partition_key} stands for no source: document_sources does not hold it.",
        )
    return Source(**row._mapping)


def mark_reported(connection: Connection, partition_keys: Collection[str]) -> None:
    """Note, in the caller's transaction, that whoever launches runs was told of the last stage."""
    columns = DocumentSource.__table__.columns
    connection.execute(
        update(DocumentSource)
        .where(columns.partition_key.in_(partition_keys), columns.reported_at.is_(None))
        .values(reported_at=func.now())
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
