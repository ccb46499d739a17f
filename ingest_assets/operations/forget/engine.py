"""Forgetting: removing a document and all that was made of it, for good.

Belongs here: removing what is planned (`plan`), so that a kill at any place is made good by the next
call. Does not belong here: keeping what was forgotten from coming back
(`stages.discovery` passes over its files, `stages.document_row` refuses its bytes).

The order: tombstone and text, objects, Dagster's records and files, the other rows. These go last,
because they say what else has to go: the next call finds a tombstone that is not finished, and does
everything again. Until then the row says, truly, that there is no text, and no object.
An object that S3 keeps, by the bucket's object lock, stays: the tombstone names its place, and
`resume` removes it once S3 lets it go.
A file or object of the inbox is left alone, as all sources are; it is named, and passed over from then
on.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from ingest_assets.errors import ConfigurationError
from ingest_assets.failpoints import failpoint
from ingest_assets.operations.forget.plan import Plan, document_of, plan_of
from ingest_assets.operations.forget.traces import (
    Places,
    mask_files,
    mask_records,
    needles,
    search,
    words_of,
)
from ingest_assets.store.database import Database
from ingest_assets.store.locks import Locks
from ingest_assets.store.names import s3_location, sighting_digest
from ingest_assets.store.object_store import FOR_EVER, LockedObjectError, ObjectStore, kept_by_lock

# Below it, the bucket keeps tombstones, so that `rebuild-db` knows them when the database is lost.
TOMBSTONES = "derived/forgotten/"


# The lock in Postgres under which one process at a time forgets.
LOCK = "ingest_assets forget"


@dataclass(frozen=True)
class Forgotten:
    """What was removed.

    Attributes:
        objects: objects and versions of objects.
        records: rows of Dagster's database that were removed or masked.
        masked_files: local files in which names were masked: logs and plans.
        left: places in which a UUID, a partition key or words of the text were found afterwards.
    """

    plan: Plan
    objects: int
    records: int
    masked_files: Sequence[str]
    left: Sequence[str]


def forget(places: Places, wanted: str, reason: str, who: str | None = None) -> Forgotten:
    """Remove a document, its parts that are nobody else's, and all that was made of them.

    Finishes first what an earlier call that was killed has begun.

    Args:
        who: the person who decides it; by default, the user of this process.

    Raises:
        ConfigurationError: `nothing_to_forget`, `held`.
    """
    who = who or getpass.getuser()
    with places.database.exclusive(LOCK):
        with places.database.engine.connect() as connection:
            found = plan_of(connection, [document_of(connection, wanted)])
        if found.held:
            named = "; ".join(f"{uuid}: {why}" for uuid, why in found.held.items())
            raise ConfigurationError("held", f"What was to be forgotten is held: {named}.")
        with _alone(places.database, found):
            return _forget(places, found, reason, who)


def forget_planned(
    places: Places, found: Plan, reason: str, who: str, is_due: Callable[[], bool]
) -> Forgotten | None:
    """Forget what was planned, unless it is held, or is not due once no run can touch it.

    The caller holds the lock of `forget`.
    """
    if found.held:
        return None
    with _alone(places.database, found):
        return _forget(places, found, reason, who) if is_due() else None


def _forget(places: Places, found: Plan, reason: str, who: str) -> Forgotten:
    words = words_of(places.database, found)
    _bury(places, found, reason, who)
    return _remove(places, found, words)


def resume(places: Places) -> Sequence[Forgotten]:
    """Finish what calls that were killed have begun, and remove objects that S3 keeps no longer."""
    with places.database.exclusive(LOCK):
        _unlock(places)
        done = []
        while True:
            with places.database.engine.connect() as connection:
                row: Any = connection.execute(
                    text("""
                        SELECT document_uuid FROM ingest.forgotten_documents AS tombstone
                        JOIN ingest.source_documents AS document USING (sha256)
                        ORDER BY begun_at, document_uuid LIMIT 1
                    """)
                ).one_or_none()
                if row is None:
                    break
                found = plan_of(connection, [row.document_uuid])
            with _alone(places.database, found):
                done.append(_remove(places, found, ()))
    with places.database.engine.begin() as connection:
        # Whose process was killed after the rows had gone.
        connection.execute(
            text("""
                UPDATE ingest.forgotten_documents SET finished_at = now()
                WHERE finished_at IS NULL AND locked IS NULL
            """)
        )
    return done


def kept_by_s3(database: Database) -> Sequence[str]:
    """What S3's object lock keeps of documents that are forgotten, a sentence each."""
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT unnest(locked) AS uri, locked_until FROM ingest.forgotten_documents
                WHERE locked IS NOT NULL ORDER BY locked_until, uri
            """)
        ).all()
    return [kept_by_lock(uri, until) for uri, until in rows]


@contextmanager
def _alone(database: Database, found: Plan) -> Iterator[None]:
    """A block in which no run works on the documents, or on their sightings."""
    locks = Locks(database)
    first, *others = (*found.partition_keys, *map(str, found.documents))
    try:
        with locks.hold(first) as held:
            for name in others:
                held.add(name)
            yield
    finally:
        locks.close()


def _bury(places: Places, found: Plan, reason: str, who: str) -> None:
    """Write the tombstones: from here on the bytes are not taken, and the rest follows."""
    stone = json.dumps({"reason": reason, "forgotten_by": who}).encode()
    for sha256 in found.documents.values():
        places.objects.put_derived(f"{TOMBSTONES}{sha256}", stone, "application/json")
    with places.database.engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO ingest.forgotten_documents (sha256, reason, forgotten_by)
                VALUES (:sha256, :reason, :who) ON CONFLICT DO NOTHING
            """),
            [{"sha256": sha256, "reason": reason, "who": who} for sha256 in found.documents.values()],
        )
        sightings = connection.execute(
            text("""
                SELECT source_uri, size_bytes, source_version, sha256
                FROM ingest.document_sources JOIN ingest.source_documents USING (document_uuid)
                WHERE document_uuid = ANY(CAST(:uuids AS uuid[])) AND kind <> 'part'
            """),
            {"uuids": [str(uuid) for uuid in found.documents]},
        ).all()
        if sightings:
            connection.execute(
                text("""
                    INSERT INTO ingest.forgotten_sightings (sighting, sha256)
                    VALUES (:sighting, :sha256) ON CONFLICT DO NOTHING
                """),
                [{"sighting": sighting_digest(*row[:3]), "sha256": row.sha256} for row in sightings],
            )
        _delete_text(connection, found)
        connection.execute(
            text("""
                UPDATE ingest.source_documents SET upload_timestamp = NULL
                WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))
            """),
            {"uuids": [str(uuid) for uuid in found.documents]},
        )
    failpoint("forget.buried")


def _remove(places: Places, found: Plan, words: Sequence[str]) -> Forgotten:
    objects, kept = _delete_objects(places.objects, found)
    if kept:  # In the tombstone of the first document: all rows go.
        _note_locked(places.database, next(iter(found.documents.values())), kept)
    failpoint("forget.objects")
    names = needles(found)
    records = mask_records(places.dagster, found, names)
    failpoint("forget.records")
    files = [str(path) for path in mask_files(places.directories, names)]
    with places.database.engine.begin() as connection:
        _delete_rows(connection, found)
        failpoint("forget.deleted")
    failpoint("forget.committed")
    left = [*search(places, found, words, [fault.uri for fault in kept]), *map(str, kept)]
    if len(left) == len(kept):
        with places.database.engine.begin() as connection:
            connection.execute(
                text("""
                    UPDATE ingest.forgotten_documents SET finished_at = now()
                    WHERE sha256 = ANY(:digests) AND finished_at IS NULL AND locked IS NULL
                """),
                {"digests": list(found.documents.values())},
            )
    return Forgotten(found, objects, records, files, left)


def _delete_objects(objects: ObjectStore, found: Plan) -> tuple[int, Sequence[LockedObjectError]]:
    """Remove all objects; those that S3 keeps are returned."""
    removed, kept = 0, []
    places = [
        (f"{prefix}/{uuid}/", True) for uuid in found.documents for prefix in ("documents", "derived")
    ]
    for place, below in [*places, *((key, False) for key in found.uploads)]:
        try:
            removed += objects.delete_all(place, below=below)
        except LockedObjectError as error:
            removed += error.removed
            kept.append(error)
    return removed, kept


def _note_locked(database: Database, sha256: str, kept: Sequence[LockedObjectError]) -> None:
    """Note what S3 keeps in a tombstone, which is finished where it keeps nothing any more."""
    with database.engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE ingest.forgotten_documents SET
                    locked = :locked, locked_until = :until,
                    finished_at = CASE WHEN CAST(:until AS timestamptz) IS NULL THEN now() END
                WHERE sha256 = :sha256
            """),
            {
                "locked": [fault.uri for fault in kept] or None,
                "until": min(max(fault.until for fault in kept), FOR_EVER) if kept else None,
                "sha256": sha256,
            },
        )


def _unlock(places: Places) -> None:
    """Try again to remove what S3 kept."""
    with places.database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT sha256, locked FROM ingest.forgotten_documents WHERE locked IS NOT NULL")
        ).all()
    for sha256, uris in rows:
        kept = []
        for uri in uris:
            place = s3_location(uri)[1]
            try:
                places.objects.delete_all(place, below=place.endswith("/"))
            except LockedObjectError as error:
                kept.append(error)
        _note_locked(places.database, sha256, kept)


def _delete_text(connection: Connection, found: Plan) -> None:
    """Delete texts with all that hangs from them, and entities that no other document names."""
    going = {"uuids": [str(uuid) for uuid in found.documents]}
    entities = list(
        connection.execute(
            text("""
                SELECT DISTINCT entity_uuid FROM ingest.entity_mentions
                WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))
            """),
            going,
        ).scalars()
    )
    connection.execute(
        text("DELETE FROM ingest.document_texts WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))"),
        going,
    )
    for statement in _DELETE_ENTITIES:
        connection.execute(text(statement), {"entities": [str(entity) for entity in entities]})


def _delete_rows(connection: Connection, found: Plan) -> None:
    _delete_text(connection, found)  # Where a run has read it again after a kill.
    going = {"uuids": [str(uuid) for uuid in found.documents], "keys": list(found.partition_keys)}
    for statement in _DELETE:
        connection.execute(text(statement), going)


_DELETE = (
    # A document that stays was registered by a sighting that goes: another one stands for it now.
    """
    UPDATE ingest.source_documents AS document SET partition_key = other.partition_key
    FROM (SELECT DISTINCT ON (document_uuid) document_uuid, partition_key
          FROM ingest.document_sources WHERE partition_key <> ALL(:keys)
          ORDER BY document_uuid, sequence_number) AS other
    WHERE document.document_uuid = other.document_uuid
      AND document.partition_key = ANY(:keys)
      AND document.document_uuid <> ALL(CAST(:uuids AS uuid[]))
    """,
    "DELETE FROM ingest.textract_jobs WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))",
    """
    DELETE FROM ingest.stage_attempts
    WHERE partition_key = ANY(:keys) OR document_uuid = ANY(CAST(:uuids AS uuid[]))
    """,
    """
    UPDATE ingest.document_sources SET document_uuid = NULL
    WHERE document_uuid = ANY(CAST(:uuids AS uuid[])) OR partition_key = ANY(:keys)
    """,
    "DELETE FROM ingest.source_documents WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))",
    # A document that stays has as many parts fewer: verification would miss them.
    """
    UPDATE ingest.document_containers AS container SET part_count = part_count - gone.parts
    FROM (SELECT parent_uuid, count(*) AS parts FROM ingest.document_sources
          WHERE partition_key = ANY(:keys) GROUP BY parent_uuid) AS gone
    WHERE container.document_uuid = gone.parent_uuid
    """,
    "DELETE FROM ingest.document_sources WHERE partition_key = ANY(:keys)",
)


# Names and entities that no other document mentions.
_DELETE_ENTITIES = (
    """
    DELETE FROM ingest.entity_names AS name
    WHERE entity_uuid = ANY(CAST(:entities AS uuid[])) AND NOT EXISTS (
        SELECT FROM ingest.entity_mentions AS mention
        WHERE mention.entity_uuid = name.entity_uuid AND mention.entity_type = name.entity_type
          AND mention.normalised = name.normalised)
    """,
    """
    DELETE FROM ingest.entities AS entity
    WHERE entity_uuid = ANY(CAST(:entities AS uuid[])) AND NOT EXISTS (
        SELECT FROM ingest.entity_names AS name WHERE name.entity_uuid = entity.entity_uuid)
    """,
)
