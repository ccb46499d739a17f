"""Dagster's wrapping of the plain clients: configuration in, client out.

Belongs here: where a client's settings come from. Does not belong here: what a client does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from dagster import ConfigurableResource, InitResourceContext
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from ingest_assets.extraction import comprehend
from ingest_assets.extraction import local as rules
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.engine import EntityEngine
from ingest_assets.ocr.engine import OcrEngine
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.textract.calls import textract_client
from ingest_assets.ocr.textract.engine import TextractEngine
from ingest_assets.ocr.textract.probe import probe
from ingest_assets.operations.reconcile.inventory import Deep, Inventory
from ingest_assets.operations.retry_policy import RetryRules
from ingest_assets.stages.discovery import Discovery, KnownFiles, discover
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore
from ingest_assets.store.textract_jobs import Quotas, TextractJobs
from ingest_assets.workers.pool import Limits

# One pool of connections and one memory of known files a process, however many ticks it serves.
_database = lru_cache(maxsize=4)(Database)
_known_files = lru_cache(maxsize=4)(lambda _url: KnownFiles())


class PostgresResource(ConfigurableResource[Any]):
    """The documents' database."""

    url: str = Field(description="postgresql://user:password@host:port/database")

    def get(self) -> Database:
        """The pool of connections, shared within the process."""
        return _database(self.url)


class ObjectStoreResource(ConfigurableResource[Any]):
    """The bucket that holds the documents."""

    s3: S3Resource
    bucket: str = Field(description="Name of the bucket.")

    def get(self) -> ObjectStore:
        """A client of that bucket; safe to share between threads."""
        return ObjectStore(self.s3.get_client(), self.bucket)


class TextractResource(ConfigurableResource[Any]):
    """Amazon Textract: where it is, what it may be asked, and what it costs."""

    database: PostgresResource
    object_store: ObjectStoreResource
    region_name: str | None = Field(None, description="That of the bucket.")
    endpoint_url: str | None = Field(None, description="Amazon's own where it is not set.")
    jobs_in_flight: int = Field(description="Jobs at a time, of all runs together.")
    starts_per_second: float = Field(description="Calls that start a job, of all runs together.")
    gets_per_second: float = Field(description="Calls that ask for results, of all runs together.")
    price_per_page: float = Field(description="US dollars, for estimates.")

    def probe(self) -> list[str]:
        """Make sure that Textract can be used; `ocr.textract.probe.probe` says how."""
        return probe(textract_client(self.region_name, self.endpoint_url), self.object_store.get())

    def make_engine(self, reader: LocalEngine) -> TextractEngine:
        """An engine that ends `reader` with itself."""
        client = textract_client(self.region_name, self.endpoint_url)
        quotas = Quotas(self.jobs_in_flight, self.starts_per_second, self.gets_per_second)
        jobs = TextractJobs(self.database.get(), client.meta.region_name, quotas, self.price_per_page)
        return TextractEngine(
            client,
            self.object_store.get(),
            jobs,
            reader,
            documents_at_a_time=self.jobs_in_flight,
        )


class OcrEngineResource(ConfigurableResource[Any]):
    """Who reads the documents. What the engine holds on this machine ends with the run."""

    engine: Literal["local", "textract"] = Field(
        description="`local`: Tesseract in processes of this machine; `textract`: Amazon Textract."
    )
    workers: int = Field(description="Processes that parse and recognise; one a core.")
    page_seconds: float = Field(60, description="Computing that one page may take.")
    textract: TextractResource

    _engine: OcrEngine | None = PrivateAttr(None)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[OcrEngineResource]:
        """Hold the engine for the length of a run."""
        try:
            yield self
        finally:
            if self._engine is not None:
                self._engine.close()

    def get(self) -> OcrEngine:
        """The engine, made when it is first asked for; safe to share between threads."""
        if self._engine is None:
            self._engine = self._make()
        return self._engine

    def probe(self) -> None:
        """Make sure that an engine could work here, as cheaply as that can be done.

        Raises:
            ConfigurationError: it could not; the sentence says which setting is wrong.
            TransientError: it does not answer just now.
        """
        if self.engine == "textract":
            self.textract.probe()

    def _make(self) -> OcrEngine:
        local = LocalEngine(self.workers, Limits(cpu_seconds=self.page_seconds))
        try:
            return self.textract.make_engine(local) if self.engine == "textract" else local
        except BaseException:
            local.close()
            raise


class ExtractionResource(ConfigurableResource[Any]):
    """How texts are cut, and who finds entities in them. Its processes end with the run."""

    chunk_characters: int = Field(description="The most characters of a chunk.")
    chunk_overlap: int = Field(description="The most characters that two chunks share.")
    engine: Literal["local", "comprehend"] = Field(
        description="`local`: rules in processes of this machine; `comprehend`: Amazon Comprehend."
    )
    language: str = Field(description="Language of the documents, as Amazon Comprehend names it.")
    region: str | None = Field(description="AWS region of Amazon Comprehend.")
    workers: int = Field(description="Processes that find entities by rule; one a core.")

    _engine: EntityEngine = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[ExtractionResource]:
        """Hold the engine for the length of a run."""
        local = rules.LocalEngine(self.workers)
        self._engine = local
        try:
            if self.engine == "comprehend":
                self._engine = comprehend.ComprehendEngine(self.region, self.language, local)
            yield self
        finally:
            self._engine.close()
            local.close()

    def chunker(self) -> Chunker:
        """What cuts texts into chunks."""
        return Chunker(self.chunk_characters, self.chunk_overlap)

    def get(self) -> EntityEngine:
        """The engine; safe to share between threads."""
        return self._engine


class InputDirectoryResource(ConfigurableResource[Any]):
    """The directory that is watched, and what counts as a file in it."""

    path: str = Field(description="Directory, looked at recursively.")
    settle_seconds: float = Field(description="Seconds without a change before a file is taken.")
    ignore_patterns: list[str] = Field(description="Names that are passed over: shell patterns.")
    batch_size: int = Field(description="Files that are recorded, and later run, together.")
    max_file_bytes: int = Field(description="Larger files are rejected unread.")

    def discover(self, database: PostgresResource, resume_after: str | None) -> Discovery:
        """Record the files that are new and settled; `stages.discovery.discover` says how."""
        return discover(
            database.get(),
            _known_files(database.url),
            Path(self.path),
            settle_seconds=self.settle_seconds,
            ignore_patterns=self.ignore_patterns,
            batch_size=self.batch_size,
            resume_after=resume_after,
        )


class RetryResource(ConfigurableResource[Any]):
    """When documents whose fault may pass are tried again by themselves."""

    cool_down_seconds: float = Field(
        description="From the end of the first run that failed; doubles with each further one."
    )
    limit: int = Field(description="Runs that may fail; then the document waits for a person.")

    @property
    def rules(self) -> RetryRules:
        """The same, as `failures` takes it."""
        return RetryRules(self.cool_down_seconds, self.limit)


class ReconciliationResource(ConfigurableResource[Any]):
    """How bucket and database are compared."""

    plans_dir: str = Field(description="Directory that plan files are written to.")
    in_flight_seconds: float = Field(description="Younger objects and rows are not judged.")
    batch_size: int = Field(description="Orphans that are recorded together.")

    def inventory(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        deep: Deep | None = None,
        after: str = "",
        seconds: float | None = None,
    ) -> Inventory:
        """A look that has not begun; `reconcile.inventory.Inventory` says what the arguments are."""
        return Inventory(
            database,
            objects,
            in_flight_seconds=self.in_flight_seconds,
            deep=deep,
            after=after,
            seconds=seconds,
        )
