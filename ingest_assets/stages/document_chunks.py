"""Stage `document_chunks`: the document's text is cut into chunks, each a place in the text.

A document whose text was cut in the same way before keeps its chunks; otherwise all are replaced.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest_assets.extraction.chunks import Chunk, Chunker
from ingest_assets.failpoints import failpoint
from ingest_assets.markdown import table
from ingest_assets.stages import document_text
from ingest_assets.stages.stage import (
    Known,
    Markdown,
    Result,
    Services,
    Source,
    Text,
    require_document,
)
from ingest_assets.store.models import DocumentChunk, DocumentChunking

NAME = "document_chunks"
CODE_VERSION = "1"

_SHOWN = 5
_SHOWN_CHARACTERS = 160

# Made once: to make a statement takes SQLAlchemy longer than to send it.
_UPSERT = upsert(DocumentChunking)
# The row is updated, not replaced: the entities of the same text depend on it, and stay.
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[DocumentChunking.document_uuid],
    set_={
        name: _UPSERT.excluded[name]
        for name in ("text_sha256", "chunker", "chunk_count", "digest", "chunked_at")
    },
)
_DELETE = delete(DocumentChunk).where(DocumentChunk.document_uuid.in_(bindparam("documents")))
_INSERT = insert(DocumentChunk)


@dataclass(frozen=True)
class Chunked:
    """A text and its new chunks, which are to be stored."""

    source: Source
    document_uuid: UUID
    text: Text
    chunker: Chunker
    chunks: Sequence[Chunk]
    known: Known

    @cached_property
    def digest(self) -> str:
        """Digest of the chunks' places and of the text: the version of the data."""
        said = (self.text.sha256, [tuple(chunk) for chunk in self.chunks])
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of `document_chunks`."""
        starts = self.text.page_starts
        for index, chunk in enumerate(self.chunks):
            yield {
                "document_uuid": self.document_uuid,
                "chunk_index": index,
                "text": self.text.content[chunk.start : chunk.end],
                "language": self.text.language,
                "char_start": chunk.start,
                "char_end": chunk.end,
                # The pages of its first and of its last character.
                "page_start": bisect_right(starts, chunk.start),
                "page_end": bisect_left(starts, chunk.end),
            }

    def result(self) -> Result:
        """The number of chunks, and the beginnings of the first."""
        first = [
            (row["chunk_index"], row["page_start"], row["page_end"], row["text"])
            for row in islice(self.rows(), _SHOWN)
        ]
        return _result(
            self.source, self.chunker, self.text.sha256, self.digest, len(self.chunks), first
        )


def work(source: Source, services: Services, known: Known) -> Result | Chunked:
    """Cut the text, unless it was cut in the same way before."""
    text = document_text.known_text(source, services, known)
    if not known.is_new and (result := _there(source, text, services)):
        known.chunks_digest = result.data_version
        return result
    chunks = list(services.chunker.split(text.content))
    return Chunked(source, require_document(source), text, services.chunker, chunks, known)


def save(connection: Connection, works: Sequence[Chunked]) -> None:
    """Replace the chunks of these documents."""
    connection.execute(
        _UPSERT,
        [
            {
                "document_uuid": one.document_uuid,
                "text_sha256": one.text.sha256,
                "chunker": code_version(one.chunker),
                "chunk_count": len(one.chunks),
                "digest": one.digest,
            }
            for one in works
        ],
    )
    connection.execute(_DELETE, {"documents": [one.document_uuid for one in works]})
    document_text.note_languages(connection, [one.text for one in works])
    if rows := [row for one in works for row in one.rows()]:
        connection.execute(_INSERT, rows)
    for one in works:
        one.known.chunks_digest = one.digest
    failpoint("chunks.inserted")


def code_version(chunker: Chunker) -> str:
    """The code version that Dagit compares: that of the stage and of its settings."""
    return f"{CODE_VERSION}; {chunker.version}"


def _there(source: Source, text: Text, services: Services) -> Result | None:
    """The result if the same text was cut in the same way before; None if it was not."""
    document_uuid = require_document(source)
    columns = DocumentChunk.__table__.columns
    with services.database.engine.connect() as connection:
        chunking = connection.execute(
            select(DocumentChunking.__table__).where(DocumentChunking.document_uuid == document_uuid)
        ).one_or_none()
        made_so = (text.sha256, code_version(services.chunker))
        if chunking is None or (chunking.text_sha256, chunking.chunker) != made_so:
            return None
        first = connection.execute(
            select(columns.chunk_index, columns.page_start, columns.page_end, columns.text)
            .where(columns.document_uuid == document_uuid)
            .order_by(columns.chunk_index)
            .limit(_SHOWN)
        ).all()
    return _result(source, services.chunker, text.sha256, chunking.digest, chunking.chunk_count, first)


def _result(
    source: Source,
    chunker: Chunker,
    text_sha256: str,
    digest: str,
    count: int,
    first: Sequence[Sequence[Any]],
) -> Result:
    rows = [
        (number, first_page, last_page, len(text), text[:_SHOWN_CHARACTERS])
        for number, first_page, last_page, text in first
    ]
    document_uuid = require_document(source)
    return Result(
        document_uuid,
        digest,
        {document_text.NAME: text_sha256},
        {
            "document_uuid": str(document_uuid),
            "file_name": source.original_file_name,
            "chunks": count,
            "characters_at_most": chunker.characters,
            "overlap_at_most": chunker.overlap,
            "chunker": code_version(chunker),
            "first_chunks": Markdown(
                table(("chunk", "first page", "last page", "characters", "beginning"), rows)
            ),
        },
    )
