"""Stage `document_row`: the database names the document.

Reads the source once and inserts the content's row; Postgres gives it its UUID. The same content seen
again is the same document.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from ingest_assets.errors import PermanentError
from ingest_assets.failpoints import failpoint
from ingest_assets.stages.content import Content, examine
from ingest_assets.stages.source import open_source
from ingest_assets.stages.stage import Result, Services, Source
from ingest_assets.store.models import DocumentSource, SourceDocument
from ingest_assets.store.names import object_name

NAME = "document_row"
CODE_VERSION = "1"


def run(source: Source, services: Services, connection: Connection) -> Result:
    """Register the source's content, unless that was done already."""
    if source.document_uuid is None:
        content = _examine(source, services)
        with connection.begin():
            _register(source, content, services, connection)
            failpoint("row.inserted")
        failpoint("row.committed")
    with connection.begin():
        return _result(source, connection)


def _examine(source: Source, services: Services) -> Content:
    if source.size_bytes > services.max_file_bytes:
        raise PermanentError(
            "too_large",
            f"{source.original_file_name!r} has {source.size_bytes:,} bytes; "
            f"at most {services.max_file_bytes:,} are taken.",
        )
    with open_source(source, services.objects, services.input_dir) as file:
        content = examine(_blocks(file, source.size_bytes))
    if content.size_bytes == 0:
        raise PermanentError("empty", f"{source.original_file_name!r} is empty (0 bytes).")
    if content.size_bytes != source.size_bytes:
        raise PermanentError(
            "content_changed", f"{source.original_file_name!r} changed while it was read."
        )
    if content.mime_type is None:
        raise PermanentError(
            "unsupported_type",
            f"{source.original_file_name!r} is of no type that is read "
            "(judged by its content, not by its name).",
        )
    return content


def _blocks(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """The file, and one byte more if there is one: what grows while it is read has no end."""
    left = size_bytes + 1
    while left and (block := file.read(min(left, io.DEFAULT_BUFFER_SIZE * 128))):
        left -= len(block)
        yield block


def _register(source: Source, content: Content, services: Services, connection: Connection) -> None:
    inserted = connection.execute(
        insert(SourceDocument)
        .values(
            sha256=content.sha256,
            original_file_name=source.original_file_name,
            s3_bucket=services.objects.bucket,
            object_name=object_name(source.original_file_name),
            file_size_bytes=content.size_bytes,
            mime_type=content.mime_type,
            partition_key=source.partition_key,
        )
        .on_conflict_do_nothing(index_elements=[SourceDocument.sha256])
        .returning(SourceDocument.document_uuid)
    ).scalar_one_or_none()
    document_uuid = (
        inserted
        or connection.execute(
            select(SourceDocument.document_uuid).where(SourceDocument.sha256 == content.sha256)
        ).scalar_one()
    )
    connection.execute(
        update(DocumentSource)
        .where(DocumentSource.partition_key == source.partition_key)
        .values(document_uuid=document_uuid)
    )


def _result(source: Source, connection: Connection) -> Result:
    sighting = aliased(DocumentSource)
    row = connection.execute(
        select(
            SourceDocument.document_uuid,
            SourceDocument.sha256,
            SourceDocument.original_file_name,
            SourceDocument.file_size_bytes,
            SourceDocument.mime_type,
            SourceDocument.partition_key,
            select(func.count())
            .select_from(sighting)
            .where(sighting.document_uuid == SourceDocument.document_uuid)
            .scalar_subquery()
            .label("sightings"),
        )
        .join(DocumentSource, DocumentSource.document_uuid == SourceDocument.document_uuid)
        .where(DocumentSource.partition_key == source.partition_key)
    ).one()
    details: dict[str, str | int | float | None] = {
        "document_uuid": str(row.document_uuid),
        "file_name": source.original_file_name,
        "source_uri": source.source_uri,
        "sha256": row.sha256,
        "bytes": row.file_size_bytes,
        "mime_type": row.mime_type,
        "sightings": row.sightings,
    }
    if row.partition_key != source.partition_key:
        details["duplicate_of"] = f"{row.original_file_name} (partition {row.partition_key})"
    return Result(row.document_uuid, row.sha256, details=details)
