"""Where a document leaves traces, and what is left of one that was forgotten.

Belongs here: masking its names in Dagster's records and in local files, and searching all places for
what is left. Does not belong here: when that is done (`engine`).
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

from ingest_assets.operations.forget.plan import Plan
from ingest_assets.store.database import Database, sqlalchemy_url
from ingest_assets.store.object_store import ObjectStore

# What Dagster's records say instead of a partition, a document or a file that was forgotten.
_MASK = "forgotten"


# Characters of a line that is searched for afterwards.
_LEAST_LINE = 40


# A shorter name is part of too many other words, and one that a program could have, such as
# `document_text`, is one of Dagster's own: masked, its records could not be read any more. The
# partition and the document are masked all the same.
_LEAST_NAME = 8


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


def needles(found: Plan) -> list[str]:
    """What names the documents: each is masked wherever it stands. The longest come first."""
    names = [name for name in found.names if len(name) >= _LEAST_NAME and not name.isidentifier()]
    needles = {*found.partition_keys, *map(str, found.documents), *names}
    # As they stand in JSON, too.
    needles |= {json.dumps(name)[1:-1] for name in names}
    return sorted(needles, key=len, reverse=True)


def mask_records(dagster: Engine, found: Plan, needles: Sequence[str]) -> int:
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


def mask_files(directories: Iterable[Path], needles: Sequence[str]) -> Iterator[Path]:
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


def words_of(database: Database, found: Plan) -> Sequence[str]:
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


def search(places: Places, found: Plan, words: Sequence[str], kept: Sequence[str]) -> Iterator[str]:
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
