"""Stage `document_chunks`: the document's text is cut into chunks, each a place in the text.

A document whose text was cut the same way already keeps its chunks; else they are replaced together.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest_assets.extraction.chunks import Chunk, Chunker
from ingest_assets.failpoints import failpoint
from ingest_assets.markdown import table
from ingest_assets.stages import document_text
from ingest_assets.stages.document_text import (
    known_language,
    page_starts,
    stored_text,
    text_sha256,
)
from ingest_assets.stages.stage import Markdown, Result, Services, Source, require_document
from ingest_assets.store.models import DocumentChunk, DocumentChunking

NAME = "document_chunks"
CODE_VERSION = "1"

_SHOWN = 5
_SHOWN_CHARACTERS = 160


def run(source: Source, services: Services, connection: Connection) -> Result:
    """Cut the text, unless these chunks are there already."""
    document_uuid = require_document(source)
    chunker = services.chunker
    with connection.begin():
        sha256 = text_sha256(document_uuid, connection)
        done = connection.execute(
            select(DocumentChunking.text_sha256, DocumentChunking.chunker).where(
                DocumentChunking.document_uuid == document_uuid
            )
        ).one_or_none()
    if done is None or tuple(done) != (sha256, code_version(chunker)):
        with connection.begin():
            _replace(document_uuid, chunker, connection)
            failpoint("chunks.inserted")
        failpoint("chunks.committed")
    with connection.begin():
        return _result(source, document_uuid, services, connection)


def code_version(chunker: Chunker) -> str:
    """The version that Dagit compares: that of the stage and of what it is set to."""
    return f"{CODE_VERSION}; {chunker.version}"


def _replace(document_uuid: UUID, chunker: Chunker, connection: Connection) -> None:
    """Replace the chunks in the caller's transaction."""
    sha256 = text_sha256(document_uuid, connection)
    text = stored_text(document_uuid, connection)
    starts = page_starts(document_uuid, connection)
    chunks = list(chunker.split(text))
    values = {
        "text_sha256": sha256,
        "chunker": code_version(chunker),
        "chunk_count": len(chunks),
        "digest": _digest(sha256, chunks),
    }
    connection.execute(
        upsert(DocumentChunking)
        .values(document_uuid=document_uuid, **values)
        # What was extracted from the same text stays.
        .on_conflict_do_update(
            index_elements=[DocumentChunking.document_uuid],
            set_={**values, "chunked_at": func.now()},
        )
    )
    connection.execute(delete(DocumentChunk).where(DocumentChunk.document_uuid == document_uuid))
    if chunks:
        language = known_language(text, connection)
        connection.execute(
            insert(DocumentChunk),
            [
                {
                    "document_uuid": document_uuid,
                    "chunk_index": index,
                    "text": text[chunk.start : chunk.end],
                    "language": language,
                    "char_start": chunk.start,
                    "char_end": chunk.end,
                    # The pages of its first and of its last character.
                    "page_start": bisect_right(starts, chunk.start),
                    "page_end": bisect_left(starts, chunk.end),
                }
                for index, chunk in enumerate(chunks)
            ],
        )


def _digest(sha256: str, chunks: Sequence[Chunk]) -> str:
    return hashlib.sha256(repr((sha256, [tuple(chunk) for chunk in chunks])).encode()).hexdigest()


def _result(source: Source, document_uuid: UUID, services: Services, connection: Connection) -> Result:
    chunking = connection.execute(
        select(DocumentChunking.__table__).where(DocumentChunking.document_uuid == document_uuid)
    ).one()
    first = connection.execute(
        select(
            DocumentChunk.chunk_index,
            DocumentChunk.page_start,
            DocumentChunk.page_end,
            func.char_length(DocumentChunk.text).label("characters"),
            func.left(DocumentChunk.text, _SHOWN_CHARACTERS).label("beginning"),
        )
        .where(DocumentChunk.document_uuid == document_uuid)
        .order_by(DocumentChunk.chunk_index)
        .limit(_SHOWN)
    ).all()
    return Result(
        document_uuid,
        chunking.digest,
        {document_text.NAME: chunking.text_sha256},
        {
            "document_uuid": str(document_uuid),
            "file_name": source.original_file_name,
            "chunks": chunking.chunk_count,
            "characters_at_most": services.chunker.characters,
            "overlap_at_most": services.chunker.overlap,
            "chunker": chunking.chunker,
            "first_chunks": Markdown(
                table(("chunk", "first page", "last page", "characters", "beginning"), first)
            ),
        },
    )
