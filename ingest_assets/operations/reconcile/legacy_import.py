"""Documents that the earlier pipeline stored, but whose recognition it could not start.

It marked such a row of its own table with `N/A_START_FAILURE`, in the column meant for the id of
Textract's job. Belongs here: reading such a table, and finding the objects that it names. Does not
belong here: recording them as sources (`apply`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import MetaData, String, Table, cast, or_, select
from sqlalchemy.exc import NoSuchTableError

from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.operations.reconcile.apply import Done, Registered, register
from ingest_assets.operations.reconcile.inventory import Finding
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore

STUCK = "N/A_START_FAILURE"
_COLUMNS = ("s3_bucket", "s3_key", "original_file_name", "document_uuid")
_THREADS = 8


@dataclass(frozen=True)
class _Found:
    finding: Finding | None
    name: str
    reason: str = ""


def register_stuck(
    database: Database, objects: ObjectStore, table_name: str, batch_size: int
) -> Registered:
    """Record the objects of all rows marked `N/A_START_FAILURE` as sources; known ones stay as is.

    Args:
        table_name: `schema.table` in the documents' database. A row counts whichever of its text
            columns holds the mark.
        batch_size: how many sources are recorded, and later run, together.

    Raises:
        ConfigurationError: there is no such table, or it lacks a column that is needed.
    """
    added = 0
    left: list[Done] = []
    rows = _rows(database, _table(database, table_name))
    with ThreadPoolExecutor(_THREADS, "stuck") as pool:
        while batch := list(islice(rows, batch_size)):
            looked = list(pool.map(partial(_look, objects), batch))
            left += [
                Done(row.s3_key or "", False, found.reason)
                for row, found in zip(batch, looked, strict=True)
                if found.finding is None
            ]
            names = {found.finding.key: found.name for found in looked if found.finding}
            findings = [found.finding for found in looked if found.finding]
            registered = register(database, objects, findings, batch_size, names)
            added += registered.added
            left += registered.left
    return Registered(added, left)


def _table(database: Database, name: str) -> Table:
    schema, _, table_name = name.rpartition(".")
    try:
        table = Table(table_name, MetaData(), schema=schema or None, autoload_with=database.engine)
    except NoSuchTableError as error:
        raise ConfigurationError(
            "table_missing", f"There is no table {name} in the documents' database."
        ) from error
    if missing := [column for column in _COLUMNS if column not in table.columns]:
        raise ConfigurationError(
            "table_of_another_shape", f"Table {name} has no column {', '.join(missing)}."
        )
    return table


def _rows(database: Database, table: Table) -> Iterator[Any]:
    """The marked rows, in the order of their keys, read from the server as they are needed."""
    texts = [column for column in table.columns if isinstance(column.type, String)]
    with database.engine.connect() as connection:
        yield from connection.execution_options(yield_per=1_000).execute(
            select(*(cast(table.columns[name], String).label(name) for name in _COLUMNS))
            .where(or_(*(column == STUCK for column in texts)))
            .order_by(table.columns.s3_key)
        )


def _look(objects: ObjectStore, row: Any) -> _Found:
    name = row.original_file_name or (row.s3_key or "").rpartition("/")[2]
    old = f"Row {row.document_uuid}"
    if not row.s3_key:
        return _Found(None, name, f"{old} names no object.")
    if row.s3_bucket and row.s3_bucket != objects.bucket:
        return _Found(
            None, name, f"{old} names bucket {row.s3_bucket}: copy it to {objects.bucket} first."
        )
    try:
        head = objects.head(row.s3_key)
    except ConfigurationError:
        raise
    except IngestError as error:
        return _Found(None, name, f"{old}: {error}")
    if head is None:
        return _Found(None, name, f"{old} names an object that is not there.")
    return _Found(Finding("orphan", row.s3_key, head.size_bytes, head.etag, head.last_modified), name)
