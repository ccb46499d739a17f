"""Stage `document_object`: S3 stores the document under the key that the database gave it.

The row exists before the object, the object is never overwritten, and the row gets its
`upload_timestamp` only after the stored object was verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from ingest_assets.errors import PermanentError, TransientError
from ingest_assets.failpoints import failpoint
from ingest_assets.stages import document_row
from ingest_assets.stages.source import Containers, open_source, source_object
from ingest_assets.stages.stage import Document, Inbox, Known, Result, Services, Source, known_document
from ingest_assets.store.names import metadata_value
from ingest_assets.store.object_store import Copied, ObjectHead, ObjectStore, Written

NAME = "document_object"
CODE_VERSION = "1"

# The most bytes that keys and values of user metadata may have together:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_MOST_METADATA = 2048
_MARK_STORED = text("""
    UPDATE ingest.source_documents AS document
    SET upload_timestamp = coalesce(upload_timestamp, now()), s3_etag = found.etag
    FROM unnest(CAST(:uuids AS uuid[]), CAST(:etags AS text[])) AS found (document_uuid, etag)
    WHERE document.document_uuid = found.document_uuid
    RETURNING document.document_uuid, upload_timestamp
""")


@dataclass
class Stored:
    """A verified object whose row is still to be updated."""

    source: Source
    document: Document
    head: ObjectHead
    already_stored: bool
    uri: str
    known: Known

    def result(self) -> Result:
        """The object's place, and how it was stored."""
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
    """Store the document's bytes, unless S3 holds them, and verify them."""
    document = known_document(source, services, known)
    head, already_stored = store(
        source,
        document,
        services.objects,
        services.inbox,
        is_new=known.is_new,
        containers=Containers.of(services),
    )
    return Stored(source, document, head, already_stored, services.objects.uri(document.s3_key), known)


def save(connection: Connection, works: Sequence[Stored]) -> None:
    """Note in each document's row that its object is stored."""
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
    inbox: Inbox,
    *,
    is_new: bool = False,
    containers: Containers | None = None,
) -> tuple[ObjectHead, bool]:
    """Store the source's bytes under the document's key, unless S3 holds them, and verify them.

    The caller holds the document's lock, and calls `mark_stored` afterwards.

    Args:
        is_new: whether this run registered the document, so that S3 cannot hold it yet and is not
            asked.
        containers: what opens a source that is part of a document.

    Returns:
        The verified object, and whether S3 held it before.
    """
    head = None if is_new else objects.head(document.s3_key)
    already_stored = head is not None
    if head is None:
        head = _upload(source, document, objects, inbox, containers)
    elif source.kind == "s3":
        # The object may be a copy, and some endpoints give a copy the original's checksum unread.
        head = replace(head, sha256=None)
    _verify(document, head, objects)
    failpoint("object.verified")
    return head, already_stored


def mark_stored(connection: Connection, etags: Mapping[UUID, str]) -> Mapping[UUID, datetime]:
    """Note, in the caller's transaction, that the objects of documents are there; since when."""
    said = connection.execute(
        _MARK_STORED,
        {"uuids": [str(uuid) for uuid in etags], "etags": list(etags.values())},
    )
    found = {row.document_uuid: row.upload_timestamp for row in said}
    failpoint("timestamp.updated")
    return found


def _how(already_stored: bool, source: Source) -> str:
    if already_stored:
        return "already there, verified"
    return f"copied from {source.source_uri}, verified" if source.kind == "s3" else "now, verified"


def _upload(
    source: Source,
    document: Document,
    objects: ObjectStore,
    inbox: Inbox,
    containers: Containers | None,
) -> ObjectHead:
    failpoint("object.storing")
    copied: Copied | None = None
    written: Written | None = None
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
        with open_source(source, objects, inbox, containers) as file:
            written = objects.put_new(
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
    if copied:
        return replace(head, sha256=copied.sha256)
    if written and written.sha256_of_parts and written.sha256_of_parts == head.sha256_of_parts:
        # S3 holds the parts whose bytes, taken together, `put_new` has compared with the digest.
        return replace(head, sha256=document.sha256)
    return head


def _metadata(source: Source, document: Document) -> dict[str, str]:
    """The object's user metadata, from which `rebuild-db` restores rows."""
    metadata = {
        "sha256": document.sha256,
        "original-file-name": metadata_value(document.original_file_name),
        "partition-key": source.partition_key,
        "source-version": source.source_version,
    }
    if source.part_path is None:
        uri = source.source_uri
    else:
        uri = metadata_value(source.source_uri)
        metadata["parent-uuid"] = str(source.parent_uuid)
        metadata["part-path"] = metadata_value(source.part_path)
    # Everything but the URI takes at most 1.8 KB: each of a name's 255 bytes becomes at most six, of a
    # part's 250 at most three.
    whole = {**metadata, "source-uri": uri}
    return whole if sum(map(len, (*whole, *whole.values()))) <= _MOST_METADATA else metadata


def _verify(document: Document, head: ObjectHead, objects: ObjectStore) -> None:
    """Compare the stored object with the row.

    Its bytes are not read again if S3 computed a checksum of the whole object, or if they were verified
    before and the ETag is still the same.
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
