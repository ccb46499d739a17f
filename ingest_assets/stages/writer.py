"""Stores what the threads of a run have made, for many documents in one transaction.

Belongs here: what is written together, and when. Does not belong here: the order of stages, locks and
trying again (`runner`), and the statements, which each stage and `store.attempts` have for any number
of documents.

What a document costs the database is mostly the number of statements and commits. So the threads give
one writer what they have made and wait; it writes what waits together. Where that fails it writes each
alone, so that a fault is one document's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

from sqlalchemy import Connection

from ingest_assets.failpoints import failpoint
from ingest_assets.log import get_logger
from ingest_assets.stages import (
    document_chunks,
    document_entities,
    document_object,
    document_row,
    document_text,
)
from ingest_assets.stages.stage import Known, Result, Source, Stage, Work
from ingest_assets.store import leases
from ingest_assets.store.attempts import Begin, begin_attempts, close_abandoned, end_attempts
from ingest_assets.store.database import Database
from ingest_assets.store.locks import Held

_log = get_logger(__name__)

# What each stage does; `stage_names` has their order.
WORK: Mapping[str, Stage] = {
    module.NAME: Stage(module.work, module.save)
    for module in (document_row, document_object, document_text, document_chunks, document_entities)
}
_MOST_TOGETHER = 64
# How long the first waits for others; not at all where no other document is being worked on.
_GATHER_SECONDS = 0.12


@dataclass
class Passage:
    """One document that a thread takes through the stages, under its locks.

    Attributes:
        attempt_id: the attempt that is running; None between two.
    """

    source: Source
    held: Held
    known: Known = field(default_factory=Known)
    attempt_id: int | None = None


@dataclass
class Step:
    """What is written of one document: the end of one attempt, the beginning of another, or both.

    Attributes:
        stage: the stage that made `work`; None where no attempt is running.
        following: the stage whose attempt begins; None where none does.
    """

    passage: Passage
    stage: str | None
    work: Work | Result | None
    following: str | None
    result: Result | None = None
    begun: int | None = None
    done: Future[None] = field(default_factory=Future)


class Writer:
    """The one thread of a run that writes results. Ends with `close`.

    Args:
        leased: whether the run has a lease, without which nothing is written.

    Attributes:
        running: the attempts that are running, by id.
    """

    def __init__(self, database: Database, run_id: str, *, leased: bool = False) -> None:
        self.running: dict[int, None] = {}
        self._leased = leased
        self._database = database
        self._run_id = run_id
        self._steps: SimpleQueue[Step | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)
        self._thread.start()

    def begin(self, passage: Passage, stage: str) -> None:
        """Begin the attempt of a stage; closes what a killed process left of the document.

        Raises what storing raised, as `store` does.
        """
        self._write(Step(passage, None, None, stage))

    def store(self, passage: Passage, stage: str, work: Work | Result, following: str | None) -> Result:
        """In one transaction, store what a stage made, end its attempt and begin the next one's.

        Raises:
            IngestError, SQLAlchemyError: nothing of it is stored.
        """
        step = Step(passage, stage, work, following)
        self._write(step)
        assert step.result is not None  # noqa: S101  # For the type checker.
        return step.result

    def close(self) -> None:
        """End the thread, when it has written what waits."""
        self._steps.put(None)
        self._thread.join()

    def _write(self, step: Step) -> None:
        self._steps.put(step)
        step.done.result()

    def _serve(self) -> None:
        while (first := self._steps.get()) is not None:
            self._write_together(self._gather(first))

    def _gather(self, first: Step) -> list[Step]:
        """The first step, and those that come until none is expected."""
        group = [first]
        deadline = time.monotonic() + _GATHER_SECONDS
        with suppress(Empty):
            while len(group) < min(_MOST_TOGETHER, max(1, len(self.running))):
                step = self._steps.get(timeout=max(0.0, deadline - time.monotonic()))
                if step is None:
                    self._steps.put(None)
                    break
                group.append(step)
        return group

    def _write_together(self, group: Sequence[Step]) -> None:
        try:
            self._transact(group)
        except BaseException as error:  # noqa: BLE001  # The threads raise it.
            # Where the connection was lost the commit may have been done: each document is tried again
            # from what is stored.
            if len(group) == 1 or getattr(error, "connection_invalidated", False):
                for step in group:
                    step.done.set_exception(error)
                return
            _log.info("What %d documents store is stored singly: %s", len(group), type(error).__name__)
            for step in group:
                self._write_together([step])
        else:
            for step in group:
                step.done.set_result(None)

    def _transact(self, group: Sequence[Step]) -> None:
        begins = [step for step in group if step.stage is None]
        if len(begins) < len(group):
            failpoint("results.writing")
        for step in group:
            step.passage.held.check()
            step.result = step.begun = None
        with self._database.engine.begin() as connection:
            if self._leased:
                leases.require(connection, self._run_id)
            _save(connection, group)
            if begins:
                close_abandoned(connection, [step.passage.source.partition_key for step in begins])
            end_attempts(
                connection,
                {
                    step.passage.attempt_id: step.result.document_uuid
                    for step in group
                    if step.result is not None and step.passage.attempt_id is not None
                },
            )
            following = [step for step in group if self._may_follow(step)]
            ids = begin_attempts(connection, list(map(_begin, following)), self._run_id)
            for step, attempt_id in zip(following, ids, strict=True):
                step.begun = attempt_id
            if begins:
                failpoint("attempt.inserted")
            if len(begins) < len(group):
                failpoint("results.written")
        if len(begins) < len(group):
            failpoint("results.committed")
        if begins:
            failpoint("attempt.committed")
        for step in group:
            self._take_over(step)

    def _may_follow(self, step: Step) -> bool:
        # Before the commit shows a new document's row to other runs, so that none works on it.
        if step.result is not None and not step.passage.held.try_add(str(step.result.document_uuid)):
            step.passage.known.is_new = False
            return False
        return step.following is not None

    def _take_over(self, step: Step) -> None:
        passage = step.passage
        if step.begun is not None:
            self.running[step.begun] = None
        if passage.attempt_id is not None:
            self.running.pop(passage.attempt_id, None)
        passage.attempt_id = step.begun
        if step.result is not None:
            passage.source = replace(passage.source, document_uuid=step.result.document_uuid)


def _save(connection: Connection, group: Sequence[Step]) -> None:
    for stage in WORK:
        made = [step for step in group if step.stage == stage]
        if works := [step.work for step in made if not isinstance(step.work, Result)]:
            WORK[stage].save(connection, works)
        for step in made:
            assert step.work is not None  # noqa: S101  # For the type checker.
            step.result = step.work if isinstance(step.work, Result) else step.work.result()


def _begin(step: Step) -> Begin:
    assert step.following is not None  # noqa: S101  # For the type checker.
    source = step.passage.source
    document_uuid = step.result.document_uuid if step.result else source.document_uuid
    return Begin(source.partition_key, document_uuid, step.following)
