"""Takes the documents of a run through the stages, many at a time, and yields each outcome.

Belongs here: order, concurrency, locks, trying again within a run, and whether an error stops one
document or the run. Does not belong here: what a stage does, writing it (`writer`), and Dagster.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from structlog.contextvars import bind_contextvars, clear_contextvars
from tenacity import (
    Retrying,
    retry_if_result,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)
from tenacity.nap import sleep_using_event

from ingest_assets import traces
from ingest_assets.catalogue import outcome_of
from ingest_assets.errors import (
    ConfigurationError,
    IngestError,
    PermanentError,
    RunEndedError,
    TransientError,
)
from ingest_assets.failpoints import failpoint
from ingest_assets.log import get_logger
from ingest_assets.stage_names import STAGES
from ingest_assets.stages import document_text
from ingest_assets.stages.source import judged
from ingest_assets.stages.stage import Result, Services, Source, load_source
from ingest_assets.stages.writer import WORK, Passage, Writer
from ingest_assets.store.attempts import beat, fail_attempt, latest_error
from ingest_assets.store.database import database_error
from ingest_assets.store.locks import Locks

_log = get_logger(__name__)

HEARTBEAT_SECONDS = 10.0
# After a transient error the runner tries the document again, this often; what lasts longer is left to
# the sensor `retry_failed`. Each try is an attempt of its own in the history.
TRIES = 4
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class Outcome:
    """What became of one document at one stage: a result or an error.

    Attributes:
        seconds: wall time of the stage, without waiting for locks.
        details: traceback of an error that no stage foresaw, for the run's log.
        document_uuid: None where it is not known.
    """

    partition_key: str
    stage: str
    seconds: float
    result: Result | None = None
    error: IngestError | None = None
    details: str = ""
    document_uuid: UUID | None = None


class Runner:
    """One run over some documents.

    Args:
        services: what the stages work with.
        stages: names of the stages to pass, in any order.
        run_id: the run that the attempts are recorded under.
        leased: whether the run is a worker's, which may write only as long as it holds its lease.
        concurrency: documents worked on at a time. More than there are cores, because a document mostly
            waits for a worker process or a service. An engine outside this machine may get more at a
            time (`OcrEngine.documents_at_a_time`): those wait there without a core or a connection.
    """

    def __init__(
        self,
        services: Services,
        stages: Sequence[str],
        run_id: str,
        concurrency: int,
        *,
        leased: bool = False,
    ) -> None:
        self._services = services
        self._run_id = run_id
        self._stages = [name for name in STAGES if name in stages]
        working = threading.BoundedSemaphore(concurrency)
        self._slots = dict.fromkeys(self._stages, working)
        self._threads = concurrency
        if document_text.NAME in self._slots and (wanted := services.engine.documents_at_a_time):
            self._slots[document_text.NAME] = threading.BoundedSemaphore(wanted)
            self._threads = concurrency + wanted
        self._locks = Locks(services.database)
        self._writer = Writer(services.database, run_id, leased=leased)
        self._stop = threading.Event()
        self._trying = Retrying(
            retry=retry_if_result(_may_pass),
            stop=stop_any(stop_after_attempt(TRIES), stop_when_event_set(self._stop)),
            wait=wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS)
            + wait_random(0, FIRST_WAIT_SECONDS),
            sleep=sleep_using_event(self._stop),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        self._outcomes: SimpleQueue[Outcome | None] = SimpleQueue()

    def run(self, partition_keys: Sequence[str]) -> Iterator[Outcome]:
        """Yield an outcome for each stage of each document; a document ends with its first error.

        A configuration error would stop every document: those that have not begun yield nothing.
        """
        heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        heart.start()
        pool = ThreadPoolExecutor(self._threads, "document")
        try:
            for key in partition_keys:
                pool.submit(self._pass_stages, key)
            for _ in partition_keys:
                # Each document ends with None.
                yield from iter(self._outcomes.get, None)
        except BaseException:
            # The run is cancelled: stages that have begun end, but the engine gives up documents that
            # wait for a service.
            self._stop.set()
            self._services.engine.let_go()
            raise
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._writer.close()
            heart.join()
            self._locks.close()

    def _pass_stages(self, partition_key: str) -> None:
        left = list(self._stages)
        bind_contextvars(run=self._run_id, partition=partition_key)
        try:
            if not self._stop.is_set():
                trace = traces.of_document(partition_key)
                with traces.span("document", trace, partition=partition_key, run=self._run_id):
                    failed = self._trying(self._try_stages, partition_key, left)
                if failed is not None:
                    self._report(failed)
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost with it
            self._report(_failed(partition_key, left[0], 0.0, error))
        finally:
            clear_contextvars()
            self._outcomes.put(None)

    def _try_stages(self, partition_key: str, left: list[str]) -> Outcome | None:
        """Pass the stages in `left`; return the outcome of the one that failed, if one did.

        Each stage that was passed is reported and removed from `left`, where the next try goes on.
        """
        try:
            with self._locks.hold(partition_key) as held:
                with self._services.database.engine.connect() as connection:
                    passage = Passage(load_source(connection, partition_key), held)
                    if ended := self._ended(connection, passage.source, left):
                        return ended
                while left:
                    if passage.source.document_uuid:
                        # Two sightings of one document must not be stored or recognised at the same
                        # time. Taken before the slot: a thread that held the slot and waited for the
                        # lock would keep the lock's holder from getting the slot that it needs.
                        held.add(str(passage.source.document_uuid))
                    with self._slots[left[0]]:
                        if self._stop.is_set():
                            return None
                        failed = self._pass_some(passage, left)
                    if failed:
                        return failed
        except Exception as error:  # noqa: BLE001 - also what the connection itself raises
            return _failed(partition_key, left[0], 0.0, error)
        return None

    def _ended(self, connection: Connection, source: Source, left: Sequence[str]) -> Outcome | None:
        """The outcome of a source that is no document, where a run has its later stages only."""
        if source.document_uuid is not None or left[0] == STAGES[0]:
            return None
        error = latest_error(connection, source.partition_key)
        if error is None or outcome_of(error.code) is None:
            return None
        return Outcome(source.partition_key, left[0], 0.0, error=error)

    def _pass_some(self, passage: Passage, left: list[str]) -> Outcome | None:
        """Pass stages as long as their slot and lock are free."""
        self._writer.begin(passage, left[0])
        while passage.attempt_id is not None:
            stage = left[0]
            bind_contextvars(stage=stage, document=passage.source.document_uuid)
            started = time.monotonic()
            try:
                with traces.span(stage, partition=passage.source.partition_key):
                    work = WORK[stage].work(passage.source, self._services, passage.known)
                    result = self._writer.store(passage, stage, work, self._next(left))
                    traces.about(document=passage.source.document_uuid, run=self._run_id)
            except Exception as error:  # noqa: BLE001 - one document's fault must not stop the others
                outcome = _failed(
                    passage.source.partition_key,
                    stage,
                    time.monotonic() - started,
                    judged(passage.source, error, self._services.inbox),
                    passage.source.document_uuid,
                )
                self._end_failed(passage, outcome)
                return outcome
            seconds = time.monotonic() - started
            key, document_uuid = passage.source.partition_key, result.document_uuid
            self._report(Outcome(key, stage, seconds, result, document_uuid=document_uuid))
            del left[0]
        return None

    def _next(self, left: Sequence[str]) -> str | None:
        """The stage that can begin in the transaction that ends the first in `left`, if one can."""
        if self._stop.is_set() or len(left) == 1 or self._slots[left[0]] is not self._slots[left[1]]:
            return None
        return left[1]

    def _end_failed(self, passage: Passage, outcome: Outcome) -> None:
        attempt_id = passage.attempt_id
        assert attempt_id is not None  # noqa: S101  # For the type checker.
        assert outcome.error is not None  # noqa: S101
        try:
            with self._services.database.engine.begin() as connection:
                fail_attempt(connection, attempt_id, passage.source.document_uuid, outcome.error)
        except SQLAlchemyError as error:
            _log.warning(
                "Attempt %d (%s of %s) failed, and its end could not be written either: %s The next "
                "attempt of the document closes it as abandoned.",
                attempt_id,
                outcome.stage,
                outcome.partition_key,
                database_error(error),
            )
        self._writer.running.pop(attempt_id, None)
        failpoint("attempt.failed")

    def _report(self, outcome: Outcome) -> None:
        # RunEndedError: when Dagster ends the run from outside, its resources close the engine, and the
        # stages fail with this error; that is how the runner learns of it.
        if isinstance(outcome.error, (ConfigurationError, RunEndedError)):
            self._stop.set()
        self._outcomes.put(outcome)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            # `Locks` logs a lost connection. The documents that were worked on under its locks fail
            # with `lock_lost` at their next step.
            with suppress(SQLAlchemyError):
                self._locks.check()
            if running := list(self._writer.running):
                try:
                    with self._services.database.engine.begin() as connection:
                        beat(connection, running)
                except SQLAlchemyError as error:
                    _log.warning(
                        "The heartbeat of %d running attempts could not be written: %s The next one "
                        "follows in %.0f s.",
                        len(running),
                        database_error(error),
                        HEARTBEAT_SECONDS,
                    )


def _may_pass(outcome: Outcome | None) -> bool:
    error = outcome.error if outcome else None
    return isinstance(error, TransientError) and not isinstance(error, RunEndedError)


def _failed(
    partition_key: str,
    stage: str,
    seconds: float,
    error: Exception,
    document_uuid: UUID | None = None,
) -> Outcome:
    foreseen = isinstance(error, (IngestError, DBAPIError))
    details = "" if foreseen else "".join(traceback.format_exception(error))
    return Outcome(
        partition_key,
        stage,
        seconds,
        error=_typed(error),
        details=details,
        document_uuid=document_uuid,
    )


def _typed(error: Exception) -> IngestError:
    if isinstance(error, IngestError):
        return error
    if isinstance(error, SQLAlchemyError):
        return database_error(error)
    return PermanentError(
        "unexpected", f"An error that was not foreseen: {type(error).__name__}: {error}"
    )
