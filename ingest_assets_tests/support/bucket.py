"""Buckets and databases that disagree, and looks at them."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from sqlalchemy import text

from ingest_assets.defs.inventory import Adopted, adopt
from ingest_assets.operations.reconcile.inventory import Finding, Inventory
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.pipeline import Pipeline


class HasBucket(Protocol):
    """A pipeline, or a place for one."""

    @property
    def objects(self) -> ObjectStore: ...


def upload(place: HasBucket, name: str, content: bytes) -> str:
    """Upload as the earlier pipeline did: an object, and no row."""
    digest = hashlib.md5(name.encode()).hexdigest()
    return put(place, f"documents/2025/06/05/{digest[:8]}_{name}", content)


def put(place: HasBucket, key: str, content: bytes, **options: Any) -> str:
    place.objects.client.put_object(Bucket=place.objects.bucket, Key=key, Body=content, **options)
    return key


def remove(pipeline: Pipeline, key: str) -> None:
    pipeline.objects.client.delete_object(Bucket=pipeline.objects.bucket, Key=key)


def look(pipeline: Pipeline, **options: Any) -> tuple[Inventory, list[Finding]]:
    """A whole look, and what it found."""
    inventory = Inventory(pipeline.database, pipeline.objects, **{"in_flight_seconds": 0, **options})
    return inventory, list(inventory)


def classes(pipeline: Pipeline, **options: Any) -> dict[str, str]:
    """Class by key, of all that is not matching."""
    return {found.key: found.kind for found in look(pipeline, **options)[1]}


def adopt_all(pipeline: Pipeline) -> Adopted:
    """Register all orphans and add their partitions."""
    _, found = look(pipeline)
    orphans = (one for one in found if one.kind == "orphan")
    return adopt(pipeline.instance, pipeline.database, pipeline.objects, orphans, 5)


def execute(pipeline: Pipeline, sql: str, **parameters: Any) -> None:
    with pipeline.database.engine.begin() as connection:
        connection.execute(text(sql), parameters)


def key_of(pipeline: Pipeline, name: str) -> str:
    """The S3 key of an ingested document."""
    (row,) = pipeline.rows(
        "SELECT s3_key FROM ingest.source_documents WHERE original_file_name = :name", name=name
    )
    return str(row.s3_key)


def contents(pipeline: Pipeline) -> dict[str, tuple[str, Any]]:
    """ETag and time of every object in the bucket, whatever its prefix."""
    found = pipeline.objects.listing("")
    return {stored.key: (stored.etag, stored.last_modified) for stored in found}


def tables(pipeline: Pipeline) -> dict[str, list[Any]]:
    """Everything that the database holds."""
    names = pipeline.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'ingest' ORDER BY tablename"
    )
    return {name: sorted(map(repr, pipeline.rows(f"SELECT * FROM ingest.{name}"))) for (name,) in names}
