"""Engines that outlive runs: to start their processes takes longer than most runs of the tests.

Belongs here: engines, and the resources that hand them to Dagster. Tests of how a run starts and ends
its engines take the resources of `build_defs` instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ingest_assets.errors import PermanentError
from ingest_assets.extraction import local as rules
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.engine import EntityEngine, Mention
from ingest_assets.extraction.sandbox.operations import entities
from ingest_assets.ocr.engine import OcrEngine
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.workers.isolation import Reach
from ingest_assets.workers.pool import Answer, Limits, WorkerPool

PAGE_SECONDS = 10


@dataclass(frozen=True)
class Engines:
    """An engine that reads, and one that finds entities."""

    ocr: OcrEngine
    entities: EntityEngine

    @property
    def resources(self) -> Mapping[str, Any]:
        """For `build_defs`: the engines as resources that a run does not end."""
        return {"ocr_engine": _KeptOcr(self.ocr), "extraction": _KeptExtraction(self.entities)}


@contextmanager
def engines_in_processes() -> Iterator[Engines]:
    """The local engines, each with two worker processes, as production has them."""
    engines = Engines(LocalEngine(2, Limits(cpu_seconds=PAGE_SECONDS)), rules.LocalEngine(2))
    try:
        yield engines
    finally:
        engines.ocr.close()
        engines.entities.close()


def engines_in_this_process() -> Engines:
    """The local engines without worker processes: for documents that the test made, and trusts."""
    return Engines(_Reader(workers=1), RulesEngine())


class RulesEngine:
    """The local entity engine's rules in this process, so that nothing has to be closed."""

    name = rules.NAME
    version = rules.VERSION

    def extract(self, text: str) -> tuple[Mention, ...]:
        return tuple(Mention(*fields) for fields in entities(text))

    def close(self) -> None:
        """There is nothing to end."""


class _ThisProcess(WorkerPool):
    """A pool that does each task at once, in the process that asks."""

    def __init__(self, operations: str) -> None:
        self._tasks_of = import_module(operations).OPERATIONS
        self._turn = threading.Lock()  # PDFium bears no threads.

    def submit(self, operation: str, **arguments: Any) -> Future[Answer]:
        future: Future[Answer] = Future()
        try:
            with self._turn:
                future.set_result(Answer(self._tasks_of[operation](**arguments), 0.0))
        except PermanentError as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """There is nothing to end."""


class _Reader(LocalEngine):
    def start_pool(self, workers: int, limits: Limits, reach: Reach) -> WorkerPool:
        return _ThisProcess("ingest_assets.ocr.sandbox.operations")


@dataclass(frozen=True)
class _KeptOcr:
    """In the place of `OcrEngineResource`."""

    engine: OcrEngine

    def get(self) -> OcrEngine:
        return self.engine

    def probe(self) -> None:
        """It works."""


@dataclass(frozen=True)
class _KeptExtraction:
    """In the place of `ExtractionResource`."""

    engine: EntityEngine

    def get(self) -> EntityEngine:
        return self.engine

    def chunker(self) -> Chunker:
        return Chunker()
