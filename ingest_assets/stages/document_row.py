"""Stage `document_row`: the document gets its row, and with it its UUID from Postgres.

Reads the source once. A source with the content of a known document stands for that document.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert

from ingest_assets import formats, traces
from ingest_assets.errors import PermanentError
from ingest_assets.failpoints import failpoint
from ingest_assets.formats import Format
from ingest_assets.markdown import partition_link
from ingest_assets.stages.content import Content, examine
from ingest_assets.stages.source import Containers, open_source
from ingest_assets.stages.stage import (
    DOCUMENT_COLUMNS,
    Document,
    Known,
    Markdown,
    Result,
    Services,
    Source,
    known_document,
    load_document,
)
from ingest_assets.store.models import DocumentSource, ForgottenDocument, SourceDocument
from ingest_assets.store.names import object_name

NAME = "document_row"
CODE_VERSION = "1"

# Made once: to make a statement takes SQLAlchemy longer than to send it.
_INSERT = (
    insert(SourceDocument)
    .on_conflict_do_nothing(index_elements=[SourceDocument.sha256])
    .returning(*DOCUMENT_COLUMNS)
)
_NAME_SOURCES = text("""
    UPDATE ingest.document_sources AS source SET document_uuid = found.document_uuid
    FROM unnest(CAST(:keys AS text[]), CAST(:uuids AS uuid[]))
        AS found (partition_key, document_uuid)
    WHERE source.partition_key = found.partition_key
""")
_FORGOTTEN = (
    select(
        ForgottenDocument.sha256,
        ForgottenDocument.reason,
        ForgottenDocument.forgotten_by,
        ForgottenDocument.begun_at,
    )
    .where(ForgottenDocument.sha256.in_(bindparam("digests")))
    .limit(1)
)


@dataclass
class Registration:
    """A source whose content was examined, and which is to be registered.

    Attributes:
        container: the document that the source is a part of.
        sightings: number of sources with that content, this one included.
    """

    source: Source
    content: Content
    bucket: str
    known: Known
    container: Document | None = None
    sightings: int = 1

    def result(self) -> Result:
        """The document that the source was registered as."""
        assert self.known.document is not None  # noqa: S101  # `save` has set it.
        return _result(self.source, self.known.document, self.container, self.sightings)


def work(source: Source, services: Services, known: Known) -> Result | Registration:
    """Examine the source's content, unless it was registered before."""
    container = None
    if source.parent_uuid is not None:
        with services.database.engine.connect() as connection:
            container = load_document(connection, source.parent_uuid)
        traces.part_of(container.partition_key)
    if source.document_uuid is None:
        content = _examine(source, services)
        return Registration(source, content, services.objects.bucket, known, container)
    document = known_document(source, services, known)
    with services.database.engine.connect() as connection:
        # It is being removed, and the process that did it was killed.
        _refuse_forgotten(connection, {document.sha256: source.original_file_name})
        sightings = _sightings(connection, [document.document_uuid])
    return _result(source, document, container, sightings[document.document_uuid])


def save(connection: Connection, works: Sequence[Registration]) -> None:
    """Insert a row for each new content, and note in each source's row which document it is.

    Raises:
        PermanentError: `forgotten`, one of them is not to come back.
    """
    _refuse_forgotten(connection, {one.content.sha256: one.source.original_file_name for one in works})
    # In one order, so that two runs that register the same contents cannot deadlock.
    ordered = sorted(works, key=lambda one: one.content.sha256)
    inserted = connection.execute(
        _INSERT,
        [
            {
                "sha256": one.content.sha256,
                "original_file_name": one.source.original_file_name,
                "s3_bucket": one.bucket,
                "object_name": object_name(one.source.original_file_name),
                "file_size_bytes": one.content.size_bytes,
                "mime_type": one.content.format.mime_type,
                "partition_key": one.source.partition_key,
            }
            for one in ordered
        ],
    )
    documents = {row.sha256: Document(**row._mapping) for row in inserted}
    new = {document.partition_key for document in documents.values()}
    if there := {one.content.sha256 for one in works} - documents.keys():
        found = connection.execute(select(*DOCUMENT_COLUMNS).where(SourceDocument.sha256.in_(there)))
        documents |= {row.sha256: Document(**row._mapping) for row in found}
    for one in works:
        one.known.document = documents[one.content.sha256]
        one.known.is_new = one.source.partition_key in new
    connection.execute(
        _NAME_SOURCES,
        {
            "keys": [one.source.partition_key for one in works],
            "uuids": [str(documents[one.content.sha256].document_uuid) for one in works],
        },
    )
    if again := [one for one in works if not one.known.is_new]:
        uuids = [documents[one.content.sha256].document_uuid for one in again]
        sightings = _sightings(connection, uuids)
        for one, document_uuid in zip(again, uuids, strict=True):
            one.sightings = sightings[document_uuid]
    failpoint("row.inserted")


def _examine(source: Source, services: Services) -> Content:
    if source.size_bytes > services.max_file_bytes:
        raise PermanentError(
            "too_large",
            f"{source.original_file_name!r} has {source.size_bytes:,} bytes; "
            f"at most {services.max_file_bytes:,} are taken.",
        )
    containers = Containers.of(services)
    with open_source(source, services.objects, services.inbox, containers) as file:
        # Of a part the container decides: a later version may take out what an earlier one could not.
        is_part = source.kind == "part"
        size_bytes = os.fstat(file.fileno()).st_size if is_part else source.size_bytes
        content = examine(file, size_bytes)
    if content.size_bytes == 0:
        raise PermanentError("empty", f"{source.original_file_name!r} is empty (0 bytes).")
    if content.size_bytes != size_bytes:
        raise PermanentError(
            "content_changed", f"{source.original_file_name!r} changed while it was read."
        )
    if not content.format.read:
        raise _refused(source.original_file_name, content.format)
    return content


def _refused(name: str, found: Format) -> PermanentError:
    """Return the error for a file of a type that is not read."""
    if found in (formats.ENCRYPTED_OFFICE, formats.SEALED, formats.PGP_MESSAGE):
        return PermanentError("encrypted", f"{name!r} is {found.name}.")
    return PermanentError(
        "unsupported_type",
        f"{name!r} is {found.name}, which is not read (judged by its content, not by its name).",
    )


def _refuse_forgotten(connection: Connection, names: Mapping[str, str]) -> None:
    """Refuse contents that were forgotten.

    Args:
        names: file names by SHA-256.
    """
    stone = connection.execute(_FORGOTTEN, {"digests": list(names)}).one_or_none()
    if stone is not None:
        raise PermanentError(
            "forgotten",
            f"{names[stone.sha256]!r} was forgotten on {stone.begun_at:%Y-%m-%d} by "
            f"{stone.forgotten_by} ({stone.reason}).",
        )


def _sightings(connection: Connection, document_uuids: Collection[UUID]) -> Mapping[UUID, int]:
    """How many sources each of these documents has."""
    columns = DocumentSource.__table__.columns
    return dict(
        connection.execute(
            select(columns.document_uuid, func.count())
            .where(columns.document_uuid.in_(document_uuids))
            .group_by(columns.document_uuid)
        ).all()
    )


def _result(source: Source, document: Document, container: Document | None, sightings: int) -> Result:
    details: dict[str, str | int | float | None] = {
        "document_uuid": str(document.document_uuid),
        "file_name": source.original_file_name,
        "source_uri": source.source_uri,
        "part_of": Markdown(partition_link(container.partition_key, container.original_file_name))
        if container
        else None,
        "sha256": document.sha256,
        "bytes": document.file_size_bytes,
        "mime_type": document.mime_type,
        "sightings": sightings,
    }
    if document.partition_key != source.partition_key:
        details["duplicate_of"] = f"{document.original_file_name} (partition {document.partition_key})"
    return Result(document.document_uuid, document.sha256, details=details)
