"""Forgetting: removing a document and all that was made of it, for good; and holds against that.

Belongs here: finding out what goes, removing it so that a kill at any place is made good by the next
call, and searching for what is left. Does not belong here: keeping what was forgotten from coming back
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
import mmap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, text

from ingest_assets.errors import ConfigurationError
from ingest_assets.failpoints import failpoint
from ingest_assets.operations.history import Candidates, find_one
from ingest_assets.store.database import Database, sqlalchemy_url
from ingest_assets.store.locks import Locks
from ingest_assets.store.names import s3_location, sighting_digest
from ingest_assets.store.object_store import LockedObjectError, ObjectStore

# Below it, the bucket keeps tombstones, so that `rebuild-db` knows them when the database is lost.
TOMBSTONES = "derived/forgotten/"
# The lock in Postgres under which one process at a time forgets.
LOCK = "ingest_assets forget"
_FOR_EVER = datetime(9999, 1, 1, tzinfo=timezone.utc)
# What Dagster's records say instead of a partition, a document or a file that was forgotten.
_MASK = "forgotten"
# Characters of a line that is searched for afterwards.
_LEAST_LINE = 40
# A shorter name is part of too many other words, and one that a program could have, such as
# `document_text`, is one of Dagster's own: masked, its records could not be read any more. The
# partition and the document are masked all the same.
_LEAST_NAME = 8


@dataclass(frozen=True)
class Plan:
    """What forgetting a document removes.

    Attributes:
        documents: the UUID and SHA-256 of the document and of its parts that are nobody else's.
        partition_keys: all sightings of these.
        names: file names of these sightings.
        kept: documents inside it that were also seen elsewhere, and stay: UUID and file name.
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
    files: Sequence[str]
    uploads: Sequence[str]
    held: Mapping[UUID, str]
    counts: Mapping[str, int]


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


@dataclass(frozen=True)
class Places:
    """Where a document leaves traces.

    Attributes:
        dagster: the database of Dagster's records.
        directories: local directories with logs and plans.
    """

    database: Database
    objects: ObjectStore
    dagster: Engine
    directories: Sequence[Path] = ()


@contextmanager
def opened_places(
    database: Database, objects: ObjectStore, dagster_url: str, plans: Path, home: Path
) -> Iterator[Places]:
    """The places of a deployment, with a connection to Dagster's database as long as the block lasts.

    Args:
        plans: directory of plans; logs of the services and runs lie beside it.
        home: DAGSTER_HOME.
    """
    dagster = create_engine(sqlalchemy_url(dagster_url))
    try:
        directories = [plans, plans.with_name("logs"), home / "storage", home / "logs"]
        yield Places(database, objects, dagster, directories)
    finally:
        dagster.dispose()


def plan(database: Database, wanted: str) -> Plan:
    """Find out what forgetting a document would remove; changes nothing.

    Args:
        wanted: a UUID, a partition key or a file name, as for `why`.

    Raises:
        ConfigurationError: `nothing_to_forget`.
    """
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return plan_of(connection, [_document(connection, wanted)])


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
            found = plan_of(connection, [_document(connection, wanted)])
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
    words = _words(places.database, found)
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


def hold(database: Database, wanted: str, reason: str, who: str | None = None) -> UUID:
    """Keep a document from being forgotten; returns its UUID."""
    with database.engine.begin() as connection:
        document_uuid = _document(connection, wanted)
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
        document_uuid = _document(connection, wanted)
        ended = connection.execute(
            text("DELETE FROM ingest.document_holds WHERE document_uuid = :uuid"),
            {"uuid": document_uuid},
        )
    return bool(ended.rowcount)


def _document(connection: Connection, wanted: str) -> UUID:
    found = find_one(connection, wanted)
    if isinstance(found, Candidates):
        many = "More than one document goes" if found.listed else "No document goes"
        raise ConfigurationError("nothing_to_forget", f"{many} by the name {wanted!r}.")
    document_uuid: UUID | None = connection.execute(
        text("SELECT document_uuid FROM ingest.document_sources WHERE partition_key = :key"),
        {"key": found},
    ).scalar_one()
    if document_uuid is None:
        raise ConfigurationError(
            "nothing_to_forget", f"Partition {found} has no document: nothing of it is stored."
        )
    return document_uuid


def plan_of(connection: Connection, roots: Sequence[UUID]) -> Plan:
    """What forgetting these documents together would remove; changes nothing."""
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
    kept = connection.execute(
        text("""
            SELECT document_uuid, original_file_name FROM ingest.source_documents
            WHERE document_uuid = ANY(CAST(:kept AS uuid[])) ORDER BY created_at
        """),
        {"kept": [str(uuid) for uuid in inside - going]},
    )
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
        kept=[(row.document_uuid, row.original_file_name) for row in kept],
        files=[row.source_uri for row in sources if row.kind in ("file", "inbox")],
        uploads=[s3_location(row.source_uri)[1] for row in sources if row.kind == "s3"],
        held={row.document_uuid: row.reason for row in held},
        counts=_counts(connection, uuids),
    )


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
    needles = _needles(found)
    records = _mask_records(places.dagster, found, needles)
    failpoint("forget.records")
    files = [str(path) for path in _mask_files(places.directories, needles)]
    with places.database.engine.begin() as connection:
        _delete_rows(connection, found)
        failpoint("forget.deleted")
    failpoint("forget.committed")
    left = [*_search(places, found, words, [fault.uri for fault in kept]), *map(str, kept)]
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
                # Postgres has no year 9999 in every time zone.
                "until": min(max(fault.until for fault in kept), _FOR_EVER) if kept else None,
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


def _needles(found: Plan) -> list[str]:
    """What names the documents: each is masked wherever it stands. The longest come first."""
    names = [name for name in found.names if len(name) >= _LEAST_NAME and not name.isidentifier()]
    needles = {*found.partition_keys, *map(str, found.documents), *names}
    # As they stand in JSON, too.
    needles |= {json.dumps(name)[1:-1] for name in names}
    return sorted(needles, key=len, reverse=True)


def _mask_records(dagster: Engine, found: Plan, needles: Sequence[str]) -> int:
    """Remove the events of the partitions from Dagster's database, and mask what else names them.

    Events hold previews of the text, and pictures of pages. Others (of a run, a backfill, a check) are
    about other documents as well: there the names alone are masked.
    """
    changed = 0
    with dagster.begin() as connection:
        keys = {"keys": list(found.partition_keys)}
        for table in ("event_logs", "dynamic_partitions"):
            changed += connection.execute(
                text(f"DELETE FROM {table} WHERE partition = ANY(:keys)"),  # noqa: S608
                keys,
            ).rowcount
        # What Dagster keeps of an asset's latest event, and of its partitions' states; it makes both
        # again.
        for column in ("last_materialization", "cached_status_data"):
            changed += connection.execute(
                text(f"""
                    UPDATE asset_keys SET {column} = NULL WHERE {column} LIKE ANY(:patterns)
                """),  # noqa: S608 - names of this module
                {"patterns": [f"%{_escaped(key)}%" for key in found.partition_keys]},
            ).rowcount
        for table, column, kind in _texts(connection, "public"):
            masked = f'CAST("{column}" AS text)'
            for number in range(len(needles)):
                masked = f"replace({masked}, :needle_{number}, '{_MASK}')"
            parameters: dict[str, Any] = {f"needle_{n}": needle for n, needle in enumerate(needles)}
            changed += connection.execute(
                text(f"""
                    UPDATE "{table}" SET "{column}" = CAST({masked} AS {kind})
                    WHERE CAST("{column}" AS text) LIKE ANY(:patterns)
                """),  # noqa: S608 - names of the database itself; values are parameters
                {**parameters, "patterns": [f"%{_escaped(needle)}%" for needle in needles]},
            ).rowcount
    return changed


def _texts(connection: Connection, schema: str) -> Sequence[tuple[str, str, str]]:
    """Table, name and type of each column that holds text of any length."""
    rows = connection.execute(
        text("""
            SELECT table_name, column_name, data_type FROM information_schema.columns
            JOIN information_schema.tables USING (table_schema, table_name)
            WHERE table_schema = :schema AND table_type = 'BASE TABLE'
              AND data_type IN ('text', 'character varying', 'json', 'jsonb')
              AND is_generated = 'NEVER'
            ORDER BY 1, 2
        """),
        {"schema": schema},
    )
    return [(table, column, kind) for table, column, kind in rows]


def _escaped(needle: str) -> str:
    return needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _mask_files(directories: Iterable[Path], needles: Sequence[str]) -> Iterator[Path]:
    """Mask names in local files, in place and by as many characters: a log may be open for writing."""
    encoded = [needle.encode() for needle in needles]
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.stat().st_size and _mask_file(path, encoded):
                yield path


def _mask_file(path: Path, needles: Collection[bytes]) -> bool:
    found = False
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        for needle in needles:
            place = content.find(needle)
            while place >= 0:
                content[place : place + len(needle)] = b"x" * len(needle)
                found = True
                place = content.find(needle, place)
    return found


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


def _words(database: Database, found: Plan) -> Sequence[str]:
    """A line of each document's text that no other document has, to search for afterwards."""
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("""
                SELECT (SELECT line FROM unnest(string_to_array(left(text, 100000), E'\\n')) AS line
                        ORDER BY length(line) DESC LIMIT 1) AS line
                FROM ingest.document_texts WHERE document_uuid = ANY(CAST(:uuids AS uuid[]))
            """),
            {"uuids": [str(uuid) for uuid in found.documents]},
        ).scalars()
        # A shorter line may stand anywhere: an archive's text is names of files, as others have.
        lines = [line[:120] for line in rows if line and len(line) >= _LEAST_LINE]
        return [
            line
            for line in lines
            if not connection.execute(
                text("""
                    SELECT EXISTS (SELECT FROM ingest.document_texts
                        WHERE document_uuid <> ALL(CAST(:uuids AS uuid[]))
                          AND position(:line IN text) > 0)
                """),
                {"uuids": [str(uuid) for uuid in found.documents], "line": line},
            ).scalar_one()
        ]


def _search(places: Places, found: Plan, words: Sequence[str], kept: Sequence[str]) -> Iterator[str]:
    """Where something is left: rows, Dagster's records, objects and files.

    Args:
        kept: places that S3 keeps, which the tombstone names until they are removed.
    """
    needles = [*found.partition_keys, *map(str, found.documents), *words]
    needles += [json.dumps(line)[1:-1] for line in words]
    patterns = [f"%{_escaped(needle)}%" for needle in needles]
    for engine, schema in ((places.database.engine, "ingest"), (places.dagster, "public")):
        with engine.connect() as connection:
            for table, column, _ in _texts(connection, schema):
                count: int = connection.execute(
                    text(f"""
                        SELECT count(*) FROM "{schema}"."{table}"
                        WHERE CAST("{column}" AS text) LIKE ANY(:patterns)
                    """),  # noqa: S608 - names of the database itself
                    {"patterns": patterns},
                ).scalar_one()
                if count:
                    yield f"{count} rows of {schema}.{table}, column {column}"
    for document_uuid in found.documents:
        for prefix in ("documents", "derived"):
            place = f"{prefix}/{document_uuid}/"
            if places.objects.uri(place) not in kept:
                yield from (places.objects.uri(one.key) for one in places.objects.listing(place))
    for directory in places.directories:
        for path in directory.rglob("*"):
            if path.is_file() and path.stat().st_size:
                with (
                    path.open("rb") as file,
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
                ):
                    if any(content.find(needle.encode()) >= 0 for needle in needles):
                        yield str(path)
