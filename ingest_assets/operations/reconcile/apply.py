"""What can be done about an inventory's findings: each thing only when a person asks for it by name.

Belongs here: registering orphans, restoring lost objects, removing originals whose copy was verified.
Does not belong here: finding (`inventory`), and restoring rows (`rebuild`). A plan may be days old, so
each function looks at the object and its row again before it changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, exists, select
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.failpoints import failpoint
from ingest_assets.operations.reconcile.inventory import Finding
from ingest_assets.stages import document_object
from ingest_assets.stages.stage import DOCUMENT_COLUMNS, Document, Inbox, Source
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource, SourceDocument, StageAttempt
from ingest_assets.store.names import document_uuid_of, partition_key, uploaded_name
from ingest_assets.store.object_store import ObjectStore

_THREADS = 8

_SOURCES = DocumentSource.__table__.columns
_DOCUMENTS = SourceDocument.__table__.columns


@dataclass(frozen=True)
class Done:
    """What was done about one finding.

    Attributes:
        key: the object's.
        done: whether it was done; in a dry run, whether it would be.
        detail: a sentence: what was done, or why not.
    """

    key: str
    done: bool
    detail: str


@dataclass(frozen=True)
class Registered:
    """What `register` did.

    Attributes:
        added: how many sources are new.
        left: orphans that were not registered, and why.
    """

    added: int
    left: Sequence[Done]


def register(
    database: Database,
    objects: ObjectStore,
    orphans: Iterable[Finding],
    batch_size: int,
    names: Mapping[str, str] | None = None,
) -> Registered:
    """Record orphans as sources; an orphan that is a source already stays as it is.

    An object that this pipeline stored and whose row was lost is not registered, because that would
    make a second document of it: `ingest-assets rebuild-db` restores the row that it had.

    Args:
        batch_size: how many sources are recorded, and later run, together.
        names: original file names by object key; by default the name is taken from the key.
    """
    added = 0
    left: list[Done] = []
    remaining = iter(orphans)
    with ThreadPoolExecutor(_THREADS, "register") as pool:
        while batch := list(islice(remaining, batch_size)):
            reasons = list(pool.map(partial(_reason_to_leave, objects, database), batch))
            left += [
                Done(found.key, False, reason)
                for found, reason in zip(batch, reasons, strict=True)
                if reason
            ]
            added += _record(
                database,
                objects,
                [found for found, reason in zip(batch, reasons, strict=True) if not reason],
                names or {},
            )
    return Registered(added, left)


def waiting(database: Database) -> list[str]:
    """Partition keys of registered uploads that no run has worked on, in the order of registering.

    All of them, not only those that were registered last: a process may have been killed after it
    registered uploads or restored their rows, and before it added their partitions. The next caller
    adds them.
    """
    tried = exists().where(StageAttempt.partition_key == DocumentSource.partition_key)
    with database.engine.connect() as connection:
        return list(
            connection.execute(
                select(DocumentSource.partition_key)
                .where(DocumentSource.kind == "s3", ~tried)
                .order_by(DocumentSource.sequence_number)
            ).scalars()
        )


def restore_lost(
    database: Database, objects: ObjectStore, inbox: Inbox, lost: Iterable[Finding]
) -> Iterator[Done]:
    """Store lost objects again, each from a source that still has the same bytes; change no row."""
    for found in lost:
        # A run holds this lock while it stores the document, so that only one of the two does.
        with database.exclusive(str(found.document_uuid)) as connection:
            yield _restore(found, objects, inbox, connection)


def delete_adopted(
    database: Database, objects: ObjectStore, adopted: Iterable[Finding], *, yes: bool
) -> Iterator[Done]:
    """Remove original uploads whose stored copy has the same bytes; both are read and compared now.

    Args:
        yes: whether to remove them; if false, say which would be removed.
    """

    def one(found: Finding) -> Done:
        try:
            return _delete(found, database, objects, yes)
        except ConfigurationError:
            raise
        except IngestError as error:
            return Done(found.key, False, f"Kept: {error}")

    with ThreadPoolExecutor(_THREADS, "delete") as pool:
        remaining = iter(adopted)
        while batch := list(islice(remaining, 100 * _THREADS)):
            yield from pool.map(one, batch)


def _reason_to_leave(objects: ObjectStore, database: Database, found: Finding) -> str:
    """Why an orphan must not be registered; empty if it may be."""
    head = objects.head(found.key)
    if head is None:
        return "It is no longer there."
    if head.etag != found.etag:
        return "It was replaced since it was found: make a new plan."
    if document_uuid_of(found.key) is None or "sha256" not in head.metadata:
        return ""
    with database.engine.connect() as connection:
        row = connection.execute(
            select(_DOCUMENTS.s3_key).where(
                (_DOCUMENTS.sha256 == head.metadata["sha256"]) | (_DOCUMENTS.s3_key == found.key)
            )
        ).first()
    if row is None:
        return "It is a stored document that lost its row: `ingest-assets rebuild-db` restores that."
    return "It has a row by now." if row.s3_key == found.key else ""


def _record(
    database: Database,
    objects: ObjectStore,
    orphans: Sequence[Finding],
    names: Mapping[str, str],
) -> int:
    if not orphans:
        return 0
    batch_id = uuid4()
    rows = [_source(found, objects.uri(found.key), names.get(found.key), batch_id) for found in orphans]
    with database.engine.begin() as connection:
        added = connection.execute(
            insert(DocumentSource).on_conflict_do_nothing().returning(DocumentSource.partition_key),
            rows,
        )
        failpoint("orphans.inserted")
        count = len(added.all())
    failpoint("orphans.committed")
    return count


def _source(found: Finding, uri: str, name: str | None, batch_id: object) -> Mapping[str, Any]:
    version = found.etag or ""
    return {
        "partition_key": partition_key(uri, found.size_bytes, version),
        "source_uri": uri,
        "kind": "s3",
        "original_file_name": (name or uploaded_name(found.key)).replace("\x00", "\\0"),
        "size_bytes": found.size_bytes,
        "source_version": version,
        "batch_id": batch_id,
    }


def _restore(found: Finding, objects: ObjectStore, inbox: Inbox, connection: Connection) -> Done:
    with connection.begin():
        rows = connection.execute(
            select(*DOCUMENT_COLUMNS).where(_DOCUMENTS.document_uuid == found.document_uuid)
        )
        document = next((Document(**row._mapping) for row in rows), None)
        sources = connection.execute(
            select(*(_SOURCES[name] for name in Source.__dataclass_fields__))
            .where(_SOURCES.document_uuid == found.document_uuid)
            .order_by(_SOURCES.sequence_number)
        ).all()
    if document is None:
        return Done(found.key, False, "It has no row any more.")
    reasons = []
    for row in sources:
        source = Source(**row._mapping)
        try:
            head, was_there = document_object.store(source, document, objects, inbox)
            with connection.begin():
                document_object.mark_stored(connection, {document.document_uuid: head.etag})
        except ConfigurationError:
            raise
        except IngestError as error:
            reasons.append(str(error))
        else:
            how = "It is there." if was_there else f"Stored again from {source.source_uri}."
            return Done(found.key, not was_there, how)
    return Done(found.key, False, " ".join(reasons) or "No source is known.")


def _delete(found: Finding, database: Database, objects: ObjectStore, yes: bool) -> Done:
    with database.engine.connect() as connection:
        document = connection.execute(
            select(_DOCUMENTS.s3_key, _DOCUMENTS.sha256)
            .join(DocumentSource, _SOURCES.document_uuid == _DOCUMENTS.document_uuid)
            .where(
                _SOURCES.source_uri == objects.uri(found.key),
                _SOURCES.source_version == found.etag,
                _DOCUMENTS.upload_timestamp.is_not(None),
            )
        ).one_or_none()
        taken = connection.execute(select(exists().where(_DOCUMENTS.s3_key == found.key))).scalar()
    if taken:
        return Done(found.key, False, "Kept: a row has this key.")
    if document is None:
        return Done(found.key, False, "Kept: no stored document was made from it.")
    head = objects.head(found.key)
    if head is None:
        return Done(found.key, False, "It is gone already.")
    if head.etag != found.etag:
        return Done(found.key, False, "Kept: it was replaced since it was adopted.")
    for key in (found.key, document.s3_key):
        digest = objects.sha256(key)
        if digest != document.sha256:
            detail = f"Kept: {key} has SHA-256 {digest[:12]}…, its row {document.sha256[:12]}…."
            return Done(found.key, False, detail)
    if yes:
        failpoint("original.deleting")
        objects.delete(found.key, head.etag)
        failpoint("original.deleted")
    how = "Removed" if yes else "Would be removed"
    return Done(found.key, True, f"{how}: {document.s3_key} has the same bytes.")
