"""What forgetting a document removes, and holds, which keep it.

Belongs here: finding out, from the documents' rows, what goes and what must not. Does not belong here:
removing it (`engine`).
"""

from __future__ import annotations

import getpass
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.history import LISTED, find_whole
from ingest_assets.store.database import Database
from ingest_assets.store.names import s3_location


@dataclass(frozen=True)
class Plan:
    """What forgetting a document removes.

    Attributes:
        documents: the UUID and SHA-256 of the document and of its parts that are nobody else's.
        partition_keys: all sightings of these.
        names: file names of these sightings.
        kept: documents inside it that were also seen elsewhere, and stay: UUID and file name.
        holders: documents inside which one of these lies, at whatever depth, and which stay with its
            bytes: UUID and file name.
        files: URIs of files and objects of the inbox that hold one of these documents; they are left
            alone.
        uploads: keys of uploads outside `documents/{uuid}/` that hold one; they are removed.
        held: why each of these documents that is held must not be forgotten, by UUID.
        counts: rows that go, by table.
    """

    documents: Mapping[UUID, str]
    partition_keys: Sequence[str]
    names: Sequence[str]
    kept: Sequence[tuple[UUID, str]]
    holders: Sequence[tuple[UUID, str]]
    files: Sequence[str]
    uploads: Sequence[str]
    held: Mapping[UUID, str]
    counts: Mapping[str, int]


def plan(database: Database, wanted: str) -> Plan:
    """Find out what forgetting a document would remove; changes nothing.

    Args:
        wanted: a UUID, a partition key, a URI or a whole file name.

    Raises:
        ConfigurationError: `nothing_to_forget`.
    """
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return plan_of(connection, [document_of(connection, wanted)])


def hold(database: Database, wanted: str, reason: str, who: str | None = None) -> UUID:
    """Keep a document from being forgotten; returns its UUID."""
    with database.engine.begin() as connection:
        document_uuid = document_of(connection, wanted)
        connection.execute(
            text("""
                INSERT INTO ingest.document_holds (document_uuid, reason, held_by)
                VALUES (:uuid, :reason, :who)
                ON CONFLICT (document_uuid) DO UPDATE
                    SET reason = excluded.reason, held_by = excluded.held_by, held_at = now()
            """),
            {"uuid": document_uuid, "reason": reason, "who": who or getpass.getuser()},
        )
    return document_uuid


def release(database: Database, wanted: str) -> bool:
    """End the hold on a document; returns whether there was one."""
    with database.engine.begin() as connection:
        document_uuid = document_of(connection, wanted)
        ended = connection.execute(
            text("DELETE FROM ingest.document_holds WHERE document_uuid = :uuid"),
            {"uuid": document_uuid},
        )
    return bool(ended.rowcount)


def document_of(connection: Connection, wanted: str) -> UUID:
    """The one document that goes by a name: a part of its file name is none.

    Raises:
        ConfigurationError: `nothing_to_forget`.
    """
    found = find_whole(connection, wanted)
    stored = {one.document_uuid: one for one in found if one.document_uuid}
    if len(stored) == 1:
        (document_uuid,) = stored
        return document_uuid
    if stored:
        listed = [
            f"  {uuid}  {' '.join(one.source_uri.split())}"
            + f", and {one.sightings - 1} more" * (one.sightings > 1)
            for uuid, one in list(stored.items())[:LISTED]
        ]
        if len(stored) > LISTED:
            listed.append(f"  and {len(stored) - LISTED} more")
        why = "\n".join([f"{len(stored)} documents go by the name {wanted!r}:", *listed, ""])
    elif found:
        named = ", ".join(one.partition_key for one in found)
        why = f"{wanted!r} has no document: nothing of it is stored (partition {named})."
    else:
        why = f"No document goes by the name {wanted!r}; a part of a file name is not enough."
    raise ConfigurationError("nothing_to_forget", why)


def plan_of(connection: Connection, roots: Sequence[UUID]) -> Plan:
    """What forgetting these documents together would remove; changes nothing."""
    inside, going = _inside(connection, roots)
    uuids = {"uuids": [str(uuid) for uuid in going]}
    documents: dict[UUID, str] = dict(
        connection.execute(
            text("""
                SELECT document_uuid, sha256 FROM ingest.source_documents
                WHERE document_uuid = ANY(CAST(:uuids AS uuid[])) ORDER BY created_at
            """),
            uuids,
        ).all()
    )
    sources = connection.execute(
        text("""
            SELECT partition_key, original_file_name, kind, source_uri FROM ingest.document_sources
            WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))
               OR parent_uuid = ANY(CAST(:uuids AS uuid[]))
            ORDER BY sequence_number
        """),
        uuids,
    ).all()
    held = connection.execute(
        text("""
            SELECT document_uuid, reason FROM ingest.document_holds
            WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))
        """),
        uuids,
    )
    return Plan(
        documents=documents,
        partition_keys=[row.partition_key for row in sources],
        names=list(dict.fromkeys(row.original_file_name for row in sources)),
        kept=_named(connection, inside - going),
        holders=_named(connection, _around(connection, going) - going),
        files=list(dict.fromkeys(row.source_uri for row in sources if row.kind in ("file", "inbox"))),
        uploads=[s3_location(row.source_uri)[1] for row in sources if row.kind == "s3"],
        held={row.document_uuid: row.reason for row in held},
        counts=_counts(connection, uuids),
    )


def _inside(connection: Connection, roots: Sequence[UUID]) -> tuple[set[UUID], set[UUID]]:
    """Documents with all that is inside them, and those of these that go together."""
    wanted = {"roots": [str(root) for root in roots]}
    # What is inside goes with it, if all its sightings lie inside what goes.
    inside = set(
        connection.execute(
            text("""
                WITH RECURSIVE inside AS (
                    SELECT unnest(CAST(:roots AS uuid[])) AS document_uuid
                    UNION
                    SELECT source.document_uuid FROM inside
                    JOIN ingest.document_sources AS source ON source.parent_uuid = inside.document_uuid
                    WHERE source.document_uuid IS NOT NULL
                ) SELECT document_uuid FROM inside
            """),
            wanted,
        ).scalars()
    )
    going = set(inside)
    while True:
        elsewhere = set(
            connection.execute(
                text("""
                    SELECT DISTINCT document_uuid FROM ingest.document_sources
                    WHERE document_uuid = ANY(CAST(:going AS uuid[]))
                      AND document_uuid <> ALL(CAST(:roots AS uuid[]))
                      AND (parent_uuid IS NULL OR parent_uuid <> ALL(CAST(:going AS uuid[])))
                """),
                {"going": [str(uuid) for uuid in going], **wanted},
            ).scalars()
        )
        if not elsewhere:
            break
        going -= elsewhere
    return inside, going


def _around(connection: Connection, going: Collection[UUID]) -> set[UUID]:
    """The documents in which these lie, at whatever depth."""
    return set(
        connection.execute(
            text("""
                WITH RECURSIVE around AS (
                    SELECT parent_uuid FROM ingest.document_sources
                    WHERE document_uuid = ANY(CAST(:going AS uuid[])) AND parent_uuid IS NOT NULL
                    UNION
                    SELECT source.parent_uuid FROM around
                    JOIN ingest.document_sources AS source
                        ON source.document_uuid = around.parent_uuid
                    WHERE source.parent_uuid IS NOT NULL
                ) SELECT parent_uuid FROM around
            """),
            {"going": [str(uuid) for uuid in going]},
        ).scalars()
    )


def _named(connection: Connection, uuids: Collection[UUID]) -> Sequence[tuple[UUID, str]]:
    rows = connection.execute(
        text("""
            SELECT document_uuid, original_file_name FROM ingest.source_documents
            WHERE document_uuid = ANY(CAST(:uuids AS uuid[])) ORDER BY created_at
        """),
        {"uuids": [str(uuid) for uuid in uuids]},
    )
    return [(row.document_uuid, row.original_file_name) for row in rows]


def _counts(connection: Connection, uuids: Mapping[str, Any]) -> Mapping[str, int]:
    tables = (
        "document_pages", "document_notes", "document_chunks", "entity_mentions", "messages",
        "textract_jobs", "stage_attempts",
    )  # fmt: skip
    return {
        table: connection.execute(
            text(f"""
                SELECT count(*) FROM ingest.{table}
                WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))
            """),  # noqa: S608 - names of this module
            uuids,
        ).scalar_one()
        for table in tables
    }
