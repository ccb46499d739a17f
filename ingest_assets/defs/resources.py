"""What runs and sensors work with, as Dagster's resources: configuration in, part out.

Belongs here: how long a part lives and who shares it within a process. Does not belong here: which
part is made of which settings (`wiring`), what a part does, and the settings' meaning: a resource
takes its fields from the class of `settings` that it inherits from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from dagster import ConfigurableResource, InitResourceContext
from pydantic import Field, PrivateAttr

from ingest_assets import wiring
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.engine import EntityEngine
from ingest_assets.ocr.engine import OcrEngine
from ingest_assets.operations.reconcile.inventory import Deep, Inventory
from ingest_assets.operations.retry_policy import RetryRules
from ingest_assets.settings import (
    BucketSettings,
    ChunkSettings,
    EntitySettings,
    InboxSettings,
    OcrSettings,
    ReconciliationSettings,
    RetrySettings,
    Settings,
)
from ingest_assets.stages.discovery import Discovery, KnownFiles, discover
from ingest_assets.stages.stage import Inbox
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore

_Resource = TypeVar("_Resource", bound=ConfigurableResource[Any])

# A tick that finds only files which settle within this time waits for them: the next would be later.
_WAIT_SECONDS = 6.0

# A code server serves one tick of a sensor after the other: all ticks share one pool of connections and
# one memory of known files.
_database = lru_cache(maxsize=4)(wiring.database)
_known_files = lru_cache(maxsize=4)(lambda _url, _path: KnownFiles())
# To make a client of S3 takes as much computing as a tick, so ticks share it; but only so long, so that
# credentials that are changed on disk count soon.
_CLIENT_SECONDS = 60


@lru_cache(maxsize=4)
def _object_store(settings: str, *_for: object) -> ObjectStore:
    return wiring.object_store(BucketSettings.model_validate_json(settings))


@lru_cache(maxsize=4)
def _inbox(place: str, settings: str, *_for: object) -> Inbox:
    return wiring.inbox(place, InboxSettings.model_validate_json(settings))


def _now() -> tuple[object, ...]:
    """What a client of S3 is kept for: a time, and the variables that botocore reads."""
    variables = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
    return int(time.monotonic() / _CLIENT_SECONDS), *variables


def configured(resource: type[_Resource], settings: Settings, **others: Any) -> _Resource:
    """A resource whose fields are the settings of the same names.

    Args:
        resource: its class.
        settings: where the values come from.
        others: its fields that are no settings.
    """
    return resource(**settings.model_dump(include=set(resource.model_fields)), **others)


class _Part(ConfigurableResource[Any]):
    """Dagster's resource, but where Dagster copies it unchanged it does not make its schema anew.

    Dagster copies a resource three times for each run and each tick: it gives it the values that it
    has, or the resources that it is made of, which are no part of its schema.
    """

    def _with_updated_values(self, values: Mapping[str, Any] | None) -> Any:
        values = values or {}
        if all(
            isinstance(value, ConfigurableResource) or getattr(self, name) == value
            for name, value in values.items()
        ):
            return self.model_copy(update=values)
        return super()._with_updated_values(values)


class PostgresResource(_Part):
    """The documents' database."""

    url: str = Field(description="postgresql://user:password@host:port/database")

    def get(self) -> Database:
        """The pool of connections, shared within the process."""
        return _database(self.url)


class ObjectStoreResource(BucketSettings, _Part):
    """The bucket that holds the documents."""

    def get(self) -> ObjectStore:
        """A client of that bucket, shared within the process; safe to share between threads."""
        return _object_store(self.model_dump_json(include=set(BucketSettings.model_fields)), *_now())


class OcrEngineResource(OcrSettings, _Part):
    """The engine that reads documents. Its worker processes end with the run."""

    database: PostgresResource
    object_store: ObjectStoreResource

    _engine: OcrEngine | None = PrivateAttr(None)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[OcrEngineResource]:
        """Close the engine at the end of the run."""
        try:
            yield self
        finally:
            if self._engine is not None:
                self._engine.close()

    def get(self) -> OcrEngine:
        """The engine, made when it is first asked for; safe to share between threads."""
        if self._engine is None:
            self._engine = wiring.ocr_engine(self, self.database.get, self.object_store.get)
        return self._engine

    def probe(self) -> None:
        """Make sure that the engine can be used; starts no process and costs no page.

        Raises:
            ConfigurationError: it cannot; the sentence says which setting is wrong.
            TransientError: Textract or S3 does not answer just now.
        """
        wiring.probe_ocr(self, self.object_store.get())


class ExtractionResource(ChunkSettings, EntitySettings, _Part):
    """How texts are cut, and the engine that finds entities. Its worker processes end with the run."""

    _engine: EntityEngine | None = PrivateAttr(None)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[ExtractionResource]:
        """Close the engine at the end of the run."""
        try:
            yield self
        finally:
            if self._engine is not None:
                self._engine.close()

    def chunker(self) -> Chunker:
        """What cuts texts into chunks."""
        return wiring.chunker(self)

    def get(self) -> EntityEngine:
        """The engine, made when it is first asked for; safe to share between threads."""
        if self._engine is None:
            self._engine = wiring.entity_engine(self)
        return self._engine


class InputDirectoryResource(InboxSettings, _Part):
    """What is watched, a directory or a part of a bucket, and what counts as a file in it."""

    path: str = Field(description="INGEST_INPUT_DIR as an absolute path, or as s3://bucket/prefix/.")

    @property
    def max_file_bytes(self) -> int:
        """INGEST_MAX_FILE_MB in bytes."""
        return self.max_file_mb * 1024**2

    def get(self) -> Inbox:
        """What is watched; safe to share between threads."""
        settings = self.model_dump_json(include=set(InboxSettings.model_fields))
        return _inbox(self.path, settings, *_now())

    def discover(self, database: PostgresResource, resume_after: str | None) -> Discovery:
        """Record the files that are new and settled, as `stages.discovery.discover` describes."""
        return discover(
            database.get(),
            _known_files(database.url, self.path),
            self.get(),
            settle_seconds=self.settle_seconds,
            wait_seconds=_WAIT_SECONDS,
            batch_size=self.max_documents_per_run,
            resume_after=resume_after,
        )


class RetryResource(RetrySettings, _Part):
    """When documents that failed are tried again without being asked."""

    @property
    def rules(self) -> RetryRules:
        """The settings in the form that `operations.retry_policy` takes."""
        return wiring.retry_rules(self)


class ReconciliationResource(ReconciliationSettings, _Part):
    """How bucket and database are compared."""

    plans_dir: str = Field(description="Directory that plan files are written to.")

    def inventory(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        deep: Deep | None = None,
        after: str = "",
        seconds: float | None = None,
    ) -> Inventory:
        """A comparison that has not begun; `Inventory` says what the arguments are."""
        return wiring.inventory(self, database, objects, deep=deep, after=after, seconds=seconds)
