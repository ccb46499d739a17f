from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.textract.calls import textract_client
from ingest_assets.ocr.textract.engine import TextractEngine
from ingest_assets.ocr.textract.parts import Limits
from ingest_assets.stages.runner import Outcome, Runner
from ingest_assets.store.textract_jobs import Quotas, TextractJobs
from ingest_assets_tests.support.pipeline import STAGES, Pipeline
from ingest_assets_tests.support.servers import Services
from ingest_assets_tests.support.stand_in import StandIn, stand_in

FAST = Quotas(jobs_in_flight=20, starts_per_second=50, gets_per_second=100)
OPTIONS = ("--job-seconds", "0.2", "--starts-per-second", "100", "--gets-per-second", "500")


@pytest.fixture(scope="session")
def shared_stand_in(services: Services) -> Iterator[StandIn]:
    with stand_in(services.environment, *OPTIONS) as running:
        yield running


class _Reader(LocalEngine):
    """A local engine that outlives the engines that it reads for: starting one takes seconds."""

    def close(self) -> None:
        """Left to the fixture."""

    def end(self) -> None:
        super().close()


@pytest.fixture(scope="session")
def reader() -> Iterator[_Reader]:
    reader = _Reader(workers=1)
    yield reader
    reader.end()


@pytest.fixture
def textract(shared_stand_in: StandIn) -> Iterator[StandIn]:
    """A stand-in in which nothing goes wrong but what a test asks for, and nothing happened yet."""
    shared_stand_in.faults()
    shared_stand_in.forget()
    yield shared_stand_in
    shared_stand_in.faults()


class Runs:
    """Runs of the pipeline by Textract, without Dagster, as other processes would have them."""

    def __init__(
        self, pipeline: Pipeline, stand_in: StandIn, reader: LocalEngine, stack: ExitStack
    ) -> None:
        self.pipeline = pipeline
        self._reader = reader
        self._stand_in = stand_in
        self._stack = stack

    def engine(
        self,
        quotas: Quotas = FAST,
        limits: Limits | None = None,
        region: str = "us-east-1",
        **options: float,
    ) -> TextractEngine:
        """An engine that ends with the test."""
        jobs = TextractJobs(self.pipeline.database, region, quotas, 0.0015)
        engine = TextractEngine(
            textract_client(region, self._stand_in.url),
            self.pipeline.objects,
            jobs,
            self._reader,
            documents_at_a_time=quotas.jobs_in_flight,
            limits=limits,
            **options,
        )
        self._stack.callback(engine.close)
        return engine

    def outcomes(
        self, engine: TextractEngine | None = None, *, read_again: bool = False
    ) -> Generator[Outcome, None, None]:
        """One run over all partitions, as it goes."""
        self.pipeline.requests()
        keys: Sequence[str] = self.pipeline.instance.get_dynamic_partitions("documents")
        services = self.pipeline.stage_services(engine or self.engine())
        services = replace(services, read_again="other-engine" if read_again else "")
        yield from Runner(services, STAGES, "run", 8).run(keys)

    def run(self, engine: TextractEngine | None = None, *, read_again: bool = False) -> list[Outcome]:
        """One run over all partitions: what became of them at `document_text`."""
        outcomes = self.outcomes(engine, read_again=read_again)
        return [outcome for outcome in outcomes if outcome.stage == "document_text"]

    def jobs(self) -> list[dict[str, Any]]:
        """The rows of all jobs, in the order of their starts."""
        rows = self.pipeline.rows("SELECT * FROM ingest.textract_jobs ORDER BY created_at, attempt")
        return [dict(row._mapping) for row in rows]

    def texts(self) -> dict[str, Any]:
        """What was read, by file name."""
        rows = self.pipeline.rows("""
            SELECT original_file_name, document_texts.* FROM ingest.document_texts
            JOIN ingest.source_documents USING (document_uuid)
        """)
        return {row.original_file_name: row for row in rows}


@pytest.fixture
def runs(pipeline: Pipeline, textract: StandIn, reader: _Reader) -> Iterator[Runs]:
    with ExitStack() as stack:
        yield Runs(pipeline, textract, reader, stack)
