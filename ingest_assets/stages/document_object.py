"""Stage `document_object`: S3 stores the document under the name that the database gave it.

The row comes first, the object is never overwritten, and `upload_timestamp` is set only after S3 was
asked what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, text

from ingest_assets.errors import PermanentError, TransientError
from ingest_assets.failpoints import failpoint
from ingest_assets.stages import document_row
from ingest_assets.stages.source import open_source, source_object
from ingest_assets.stages.stage import Document, Known, Result, Services, Source, known_document
from ingest_assets.store.names import metadata_value
from ingest_assets.store.object_store import Copied, ObjectHead, ObjectStore

NAME = "document_object"
CODE_VERSION = "1"

# Keys and values of user metadata together, in bytes:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_MOST_METADATA = 2048


@dataclass
class Stored:
    """A document's object, which S3 holds and was verified; the row does not say so yet."""

    source: Source
    document: Document
    head: ObjectHead
    already_stored: bool
    uri: str
    known: Known

    def result(self) -> Result:
        """Where it is, and how it came there."""
        document = self.document
        return Result(
            document.document_uuid,
            document.sha256,
            {document_row.NAME: document.sha256},
            {
                "document_uuid": str(document.document_uuid),
                "file_name": self.source.original_file_name,
                "dagster/uri": self.uri,
                "s3_key": document.s3_key,
                "sha256": document.sha256,
                "bytes": self.head.size_bytes,
                "etag": self.head.etag,
                "stored": _how(self.already_stored, self.source),
            },
        )


def work(source: Source, services: Services, known: Known) -> Stored:
    """Store the document's bytes, or find them stored; either way, verified."""
    document = known_document(source, services, known)
    head, already_stored = store(
        source, document, services.objects, services.input_dir, is_new=known.is_new
    )
    return Stored(source, document, head, already_stored, services.objects.uri(document.s3_key), known)


def save(connection: Connection, works: Sequence[Stored]) -> None:
    """Say of each document that its object is there."""
    said = mark_stored(connection, {one.document.document_uuid: one.head.etag for one in works})
    for one in works:
        one.known.document = replace(
            one.document,
            s3_etag=one.head.etag,
            upload_timestamp=said[one.document.document_uuid],
        )


def store(
    source: Source,
    document: Document,
    objects: ObjectStore,
    input_dir: Path,
    *,
    is_new: bool = False,
) -> tuple[ObjectHead, bool]:
    """Bring the source's bytes under the document's key, unless they are there, and verify them.

    The caller holds the document's lock, and then says that they are there (`mark_stored`).

    Args:
        is_new: the document was named just now, so that S3 need not be asked whether it has it.

    Returns:
        What S3 holds, verified, and whether it was there already.
    """
    head = None if is_new else objects.head(document.s3_key)
    already_stored = head is not None
    if head is None:
        head = _upload(source, document, objects, input_dir)
    elif source.kind == "s3":
        # It may be a copy, and some endpoints take the original's checksum over unread.
        head = replace(head, sha256=None)
    _verify(document, head, objects)
    failpoint("object.verified")
    return head, already_stored


def mark_stored(connection: Connection, etags: Mapping[UUID, str]) -> Mapping[UUID, datetime]:
    """Note, in the caller's transaction, that the objects of documents are there; since when."""
    said = connection.execute(
        text("""
            UPDATE ingest.source_documents AS document
            SET upload_timestamp = coalesce(upload_timestamp, now()), s3_etag = found.etag
            FROM unnest(CAST(:uuids AS uuid[]), CAST(:etags AS text[])) AS found (document_uuid, etag)
            WHERE document.document_uuid = found.document_uuid
            RETURNING document.document_uuid, upload_timestamp
        """),
        {"uuids": [str(uuid) for uuid in etags], "etags": list(etags.values())},
    )
    found = {row.document_uuid: row.upload_timestamp for row in said}
    failpoint("timestamp.updated")
    return found


def _how(already_stored: bool, source: Source) -> str:
    if already_stored:
        return "already there, verified"
    return f"copied from {source.source_uri}, verified" if source.kind == "s3" else "now, verified"


def _upload(source: Source, document: Document, objects: ObjectStore, input_dir: Path) -> ObjectHead:
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


def _metadata(source: Source, document: Document) -> dict[str, str]:
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


def _verify(document: Document, head: ObjectHead, objects: ObjectStore) -> None:
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
