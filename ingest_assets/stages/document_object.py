"""Stage `document_object`: S3 stores the document under the name that the database gave it.

The row comes first, the object is never overwritten, and `upload_timestamp` is set only after S3 was
asked what it holds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from ingest_assets.errors import PermanentError, TransientError
from ingest_assets.failpoints import failpoint
from ingest_assets.stages import document_row
from ingest_assets.stages.source import open_source, source_object
from ingest_assets.stages.stage import Result, Services, Source, require_document
from ingest_assets.store.models import SourceDocument
from ingest_assets.store.names import metadata_value
from ingest_assets.store.object_store import Copied, ObjectHead, ObjectStore

NAME = "document_object"
CODE_VERSION = "1"

# Keys and values of user metadata together, in bytes:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_MOST_METADATA = 2048


def run(source: Source, services: Services, connection: Connection) -> Result:
    """Store the document's bytes, or find them stored; either way, verified."""
    document_uuid = require_document(source)
    with connection.begin():
        document = connection.execute(
            select(SourceDocument.__table__).where(SourceDocument.document_uuid == document_uuid)
        ).one()
    head, already_stored = store(source, document, services.objects, services.input_dir, connection)
    uri = services.objects.uri(document.s3_key)
    return Result(
        document_uuid,
        document.sha256,
        {document_row.NAME: document.sha256},
        {
            "document_uuid": str(document_uuid),
            "file_name": source.original_file_name,
            "dagster/uri": uri,
            "s3_key": document.s3_key,
            "sha256": document.sha256,
            "bytes": head.size_bytes,
            "etag": head.etag,
            "stored": _how(already_stored, source),
        },
    )


def store(
    source: Source,
    document: Row[Any],
    objects: ObjectStore,
    input_dir: Path,
    connection: Connection,
) -> tuple[ObjectHead, bool]:
    """Bring the source's bytes under the document's key, unless they are there; then say so.

    The caller holds the document's lock.

    Returns:
        What S3 holds, verified, and whether it was there already.
    """
    head = objects.head(document.s3_key)
    already_stored = head is not None
    if head is None:
        head = _upload(source, document, objects, input_dir)
    elif source.kind == "s3":
        # It may be a copy, and some endpoints take the original's checksum over unread.
        head = replace(head, sha256=None)
    _verify(document, head, objects)
    failpoint("object.verified")
    with connection.begin():
        connection.execute(
            update(SourceDocument)
            .where(SourceDocument.document_uuid == document.document_uuid)
            .values(
                upload_timestamp=func.coalesce(SourceDocument.upload_timestamp, func.now()),
                s3_etag=head.etag,
            )
        )
        failpoint("timestamp.updated")
    failpoint("timestamp.committed")
    return head, already_stored


def _how(already_stored: bool, source: Source) -> str:
    if already_stored:
        return "already there, verified"
    return f"copied from {source.source_uri}, verified" if source.kind == "s3" else "now, verified"


def _upload(source: Source, document: Row[Any], objects: ObjectStore, input_dir: Path) -> ObjectHead:
    failpoint("object.storing")
    copied: Copied | None = None
    metadata = _metadata(source, document)
    if source.kind == "s3":
        with source_object(source, objects) as key:
            copied = objects.copy_new(
                key,
                document.s3_key,
                etag=source.source_version,
                size_bytes=source.size_bytes,
                mime_type=document.mime_type,
                metadata=metadata,
            )
    else:
        with open_source(source, objects, input_dir) as file:
            objects.put_new(
                document.s3_key,
                file,
                size_bytes=document.file_size_bytes,
                sha256=document.sha256,
                mime_type=document.mime_type,
                metadata=metadata,
            )
    failpoint("object.stored")
    head = objects.head(document.s3_key)
    if head is None:
        raise TransientError(
            "object_not_visible",
            f"S3 took the object of document {document.document_uuid} and does not show it yet.",
        )
    return replace(head, sha256=copied.sha256) if copied else head


def _metadata(source: Source, document: Row[Any]) -> dict[str, str]:
    """What `rebuild-db` restores the rows from."""
    metadata = {
        "sha256": document.sha256,
        "original-file-name": metadata_value(document.original_file_name),
        "partition-key": source.partition_key,
        "source-version": source.source_version,
    }
    # All but the URI take at most 1.8 KB: of a name's 255 bytes each becomes at most six.
    whole = {**metadata, "source-uri": source.source_uri}
    return whole if sum(map(len, (*whole, *whole.values()))) <= _MOST_METADATA else metadata


def _verify(document: Row[Any], head: ObjectHead, objects: ObjectStore) -> None:
    """Compare what S3 holds with the row.

    Bytes that S3 itself put a whole-object checksum on need not be read again, and neither do those
    that were verified before and are the same by their ETag.
    """
    if head.size_bytes != document.file_size_bytes:
        found = f"{head.size_bytes} bytes instead of {document.file_size_bytes}"
    else:
        unchanged = document.upload_timestamp is not None and document.s3_etag == head.etag
        digest = head.sha256 or (document.sha256 if unchanged else None)
        digest = digest or objects.sha256(document.s3_key)
        if digest == document.sha256:
            return
        found = f"SHA-256 {digest[:12]}… instead of {document.sha256[:12]}…"
    raise PermanentError(
        "object_differs",
        f"{objects.uri(document.s3_key)} holds other bytes than document "
        f"{document.document_uuid}: {found}. It was left as it is.",
    )
