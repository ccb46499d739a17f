"""`rebuild-db`: restores rows from the bucket alone, for a database that was lost or lacks some rows.

Belongs here: making rows of what an object's key, metadata, size and ETag say. What they do not say is
reported and never made up. Does not belong here: a document's other sightings and its attempts, which
the bucket does not hold, and its text, which a backfill reads again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Connection, text

from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.failpoints import failpoint
from ingest_assets.formats import by_mime_type
from ingest_assets.operations.forget.engine import TOMBSTONES
from ingest_assets.operations.reconcile.inventory import PREFIX
from ingest_assets.store.database import Database
from ingest_assets.store.names import document_uuid_of
from ingest_assets.store.object_store import ListedObject, ObjectStore

_THREADS = 16
_TOGETHER = 1_000
_CONTRADICTIONS_NAMED = 20
_REQUIRED = ("sha256", "original-file-name", "partition-key")
_FORMS = {
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "parent-uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "partition-key": re.compile(r"[a-z0-9-]{14,61}"),
}


@dataclass
class Rebuilt:
    """What a rebuild did.

    Attributes:
        objects: how many objects have a key that names a document.
        documents: how many documents' rows were restored.
        already_there: how many documents had their rows.
        uploads: how many objects have a key that names no document; they are left alone.
        partition_keys: partitions of the restored documents, the oldest first.
        not_restored: key of each object from which no row could be made, and why.
        not_known: key of each object whose row lacks something, and what it lacks.
    """

    objects: int = 0
    documents: int = 0
    already_there: int = 0
    uploads: int = 0
    partition_keys: Sequence[str] = ()
    not_restored: list[tuple[str, str]] = field(default_factory=list)
    not_known: list[tuple[str, str]] = field(default_factory=list)


class _UnknownError(Exception):
    """The object's metadata is not enough to make a row of it."""


def rebuild(
    database: Database, objects: ObjectStore, *, batch_size: int, deep: bool = False
) -> Rebuilt:
    """Restore the rows of all objects whose metadata names the document that they hold.

    Rows that exist stay as they are, so that a second call changes nothing. All rows are restored in
    one transaction, or none.

    Args:
        batch_size: how many sources are later run together.
        deep: read each object and compare its SHA-256 with the one in its metadata.

    Raises:
        ConfigurationError: the database holds rows that contradict the bucket, so it belongs to
            another bucket.
    """
    done = Rebuilt()
    with database.engine.begin() as connection, ThreadPoolExecutor(_THREADS, "rebuild") as pool:
        connection.execute(text(_FOUND))
        forgotten = _restore_tombstones(connection, objects)
        listing = objects.listing(PREFIX)
        describe = partial(_describe, objects, deep)
        while batch := list(islice(listing, _TOGETHER)):
            ours = [listed for listed in batch if document_uuid_of(listed.key)]
            described = list(pool.map(describe, ours))
            done.objects += len(ours)
            done.uploads += len(batch) - len(ours)
            done.not_restored += [entry for entry in described if isinstance(entry, tuple)]
            found = [entry for entry in described if not isinstance(entry, tuple)]
            done.not_restored += [
                (entry["s3_key"], "It was forgotten: see ingest.forgotten_documents.")
                for entry in found
                if entry["sha256"] in forgotten
            ]
            found = [entry for entry in found if entry["sha256"] not in forgotten]
            done.not_known += [(entry["s3_key"], entry["open"]) for entry in found if entry["open"]]
            if found:
                connection.execute(text(_ADD), found)
        _refuse_contradictions(connection, objects.bucket)
        done.already_there = connection.execute(text(_FORGET_KNOWN)).rowcount
        done.not_restored += [tuple(row) for row in connection.execute(text(_FORGET_CLASHING))]
        done.not_known += [tuple(row) for row in connection.execute(text(_FORGET_CONTAINERS))]
        parameters = {"bucket": objects.bucket, "batch_size": batch_size}
        done.partition_keys = list(connection.execute(text(_SOURCES), parameters).scalars())
        done.documents = connection.execute(text(_DOCUMENTS), parameters).rowcount
        connection.execute(text(_NAME_DOCUMENTS))
        failpoint("rebuild.inserted")
    failpoint("rebuild.committed")
    unrestored = {key for key, _ in done.not_restored}
    done.not_known = [(key, what) for key, what in done.not_known if key not in unrestored]
    return done


def _restore_tombstones(connection: Connection, objects: ObjectStore) -> set[str]:
    """Restore the tombstones that the bucket keeps; returns the SHA-256 of all that was forgotten."""
    for listed in objects.listing(TOMBSTONES):
        stone = json.loads(objects.get_derived(listed.key) or b"{}")
        connection.execute(
            text("""
                INSERT INTO ingest.forgotten_documents
                    (sha256, reason, forgotten_by, begun_at, finished_at)
                VALUES (:sha256, :reason, :who, :at, :at) ON CONFLICT DO NOTHING
            """),
            {
                "sha256": listed.key.removeprefix(TOMBSTONES),
                "reason": stone.get("reason") or "unknown",
                "who": stone.get("forgotten_by") or "unknown",
                "at": listed.last_modified,
            },
        )
    return set(connection.execute(text("SELECT sha256 FROM ingest.forgotten_documents")).scalars())


def _describe(
    objects: ObjectStore, deep: bool, listed: ListedObject
) -> Mapping[str, Any] | tuple[str, str]:
    """The row that an object's metadata describes; or its key, and why it describes none."""
    try:
        return _row(objects, deep, listed)
    except _UnknownError as error:
        return listed.key, str(error)
    except ConfigurationError:
        raise
    except IngestError as error:
        return listed.key, str(error)


def _row(objects: ObjectStore, deep: bool, listed: ListedObject) -> Mapping[str, Any]:
    head = objects.head(listed.key)
    if head is None:
        raise _UnknownError("It was removed since the bucket was listed.")
    metadata = {name: unquote(value) for name, value in head.metadata.items()}
    if missing := [name for name in _REQUIRED if not metadata.get(name)]:
        raise _UnknownError(f"Its metadata lacks {', '.join(missing)}.")
    if malformed := [
        name for name, form in _FORMS.items() if name in metadata and not form.fullmatch(metadata[name])
    ]:
        raise _UnknownError(f"Its metadata is malformed: {', '.join(malformed)}.")
    if not by_mime_type(head.mime_type).read:
        raise _UnknownError(f"Its type, {head.mime_type or 'not given'}, is not an accepted one.")
    digest = head.sha256 or metadata["sha256"]
    if deep:
        digest = objects.sha256(listed.key)
    if digest != metadata["sha256"]:
        raise _UnknownError("Its bytes do not have the SHA-256 that its metadata says.")
    # Rows hold the URI of a file or upload percent-encoded, as the metadata does: it is not decoded.
    uri, version = head.metadata.get("source-uri", ""), metadata.get("source-version", "")
    container, part_path = metadata.get("parent-uuid"), metadata.get("part-path")
    if container and part_path and version:
        uri = unquote(uri) or objects.uri(listed.key)
    else:
        container = part_path = None
    unsaid = [name for name, value in (("source-uri", uri), ("source-version", version)) if not value]
    if unsaid:
        # The one place where these bytes were certainly seen is the bucket.
        uri, version = objects.uri(listed.key), head.etag
    return {
        "document_uuid": document_uuid_of(listed.key),
        "s3_key": listed.key,
        "object_name": listed.key.rpartition("/")[2],
        "etag": head.etag,
        "size_bytes": head.size_bytes,
        "mime_type": head.mime_type,
        "last_modified": head.last_modified,
        "sha256": metadata["sha256"],
        "original_file_name": metadata["original-file-name"],
        "partition_key": metadata["partition-key"],
        "source_uri": uri,
        "source_version": version,
        "object_uri": objects.uri(listed.key),
        "parent_uuid": container,
        "part_path": part_path,
        "open": f"its metadata lacks {', '.join(unsaid)}: its row names the object as its source."
        if unsaid
        else "",
    }


def _refuse_contradictions(connection: Connection, bucket: str) -> None:
    """Rows that contradict the bucket belong to another bucket; mixing the two would spoil both."""
    contradictions: Iterable[Any] = connection.execute(
        text(_CONTRADICTIONS), {"bucket": bucket, "named": _CONTRADICTIONS_NAMED}
    ).scalars()
    if named := list(contradictions):
        raise ConfigurationError(
            "database_not_of_this_bucket",
            f"The database holds documents that contradict bucket {bucket}, such as "
            f"{', '.join(map(str, named))}. Nothing was changed.",
        )


_FOUND = """
    CREATE TEMPORARY TABLE found (
        document_uuid uuid, s3_key text, object_name text, etag text, size_bytes bigint,
        mime_type text, last_modified timestamptz, sha256 text, original_file_name text,
        partition_key text, source_uri text, source_version text, object_uri text, parent_uuid uuid,
        part_path text
    ) ON COMMIT DROP
"""
_ADD = """
    INSERT INTO found VALUES (
        :document_uuid, :s3_key, :object_name, :etag, :size_bytes, :mime_type, :last_modified,
        :sha256, :original_file_name, :partition_key, :source_uri, :source_version, :object_uri,
        CAST(:parent_uuid AS uuid), :part_path
    )
"""
_CONTRADICTIONS = """
    SELECT document.document_uuid FROM ingest.source_documents AS document
    LEFT JOIN found USING (document_uuid)
    WHERE document.s3_bucket <> :bucket
       OR document.sha256 <> found.sha256 OR document.s3_key <> found.s3_key
    LIMIT :named
"""
_FORGET_KNOWN = """
    DELETE FROM found USING ingest.source_documents AS document
    WHERE document.document_uuid = found.document_uuid
"""
# Of two objects that claim the same bytes, partition or UUID, the second: the database's constraints
# would refuse it.
_FORGET_CLASHING = """
    WITH clashing AS (
        SELECT s3_key,
            CASE
                WHEN EXISTS (SELECT FROM ingest.source_documents AS document
                             WHERE document.sha256 = found.sha256)
                    OR row_number() OVER (PARTITION BY sha256 ORDER BY last_modified, s3_key) > 1
                    THEN 'Another document has the same bytes.'
                WHEN EXISTS (SELECT FROM ingest.document_sources AS source
                             WHERE source.partition_key = found.partition_key
                               AND source.document_uuid IS NOT NULL)
                    OR row_number() OVER (PARTITION BY partition_key ORDER BY last_modified, s3_key)
                        > 1
                    THEN 'Another document has the partition key ' || partition_key || '.'
                WHEN row_number() OVER (PARTITION BY document_uuid ORDER BY last_modified, s3_key) > 1
                    THEN 'Another object has the same document UUID.'
            END AS reason
        FROM found
    )
    DELETE FROM found USING clashing
    WHERE found.s3_key = clashing.s3_key AND clashing.reason IS NOT NULL
    RETURNING found.s3_key, clashing.reason
"""
# A part whose container is lost: the one place where its bytes are is the bucket.
_FORGET_CONTAINERS = """
    UPDATE found
    SET source_uri = object_uri, source_version = etag, parent_uuid = NULL, part_path = NULL
    WHERE parent_uuid IS NOT NULL
      AND NOT EXISTS (SELECT FROM found AS container WHERE container.document_uuid = found.parent_uuid)
      AND NOT EXISTS (SELECT FROM ingest.source_documents AS container
                      WHERE container.document_uuid = found.parent_uuid)
    RETURNING s3_key, 'the document that it is part of is not in the bucket: its row names the '
        || 'object as its source.'
"""
# Sources are inserted in the order in which their objects were stored, because that is nearly the
# order of their partitions in Dagster, and runs take ranges of partitions.
_SOURCES = """
    WITH ordered AS (
        SELECT *, (row_number() OVER (ORDER BY last_modified, s3_key) - 1) / :batch_size AS batch
        FROM found
    ), batches AS (
        SELECT batch, gen_random_uuid() AS batch_id FROM ordered GROUP BY batch
    ), added AS (
        INSERT INTO ingest.document_sources (
            partition_key, source_uri, kind, original_file_name, size_bytes, source_version, batch_id,
            parent_uuid, part_path
        )
        SELECT partition_key, source_uri,
               CASE WHEN parent_uuid IS NOT NULL THEN 'part'
                    -- An upload that was adopted lies below `documents/`, where no inbox may be.
                    WHEN starts_with(source_uri, 's3://' || :bucket || '/documents/') THEN 's3'
                    WHEN starts_with(source_uri, 's3://') THEN 'inbox' ELSE 'file' END,
               original_file_name, size_bytes, source_version, batch_id, parent_uuid, part_path
        FROM ordered JOIN batches USING (batch)
        ORDER BY last_modified, s3_key
        ON CONFLICT DO NOTHING
    )
    SELECT partition_key FROM ordered ORDER BY last_modified, s3_key
"""
_DOCUMENTS = """
    INSERT INTO ingest.source_documents (
        document_uuid, sha256, original_file_name, s3_bucket, object_name, s3_etag,
        file_size_bytes, mime_type, partition_key, created_at, upload_timestamp
    )
    SELECT document_uuid, sha256, original_file_name, :bucket, object_name, etag,
           size_bytes, mime_type, partition_key, last_modified, last_modified
    FROM found
"""
_NAME_DOCUMENTS = """
    UPDATE ingest.document_sources AS source SET document_uuid = found.document_uuid
    FROM found
    WHERE source.partition_key = found.partition_key AND source.document_uuid IS NULL
"""
