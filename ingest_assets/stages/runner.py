"""Takes documents through stages, side by side, and tells of each as it finishes.

Belongs here: order, concurrency, locks, attempts, trying again within a run, and the line between one
document's fault and everybody's. Does not belong here: what a stage does, and Dagster.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
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
from ingest_assets.stages import (
    document_chunks,
    document_entities,
    document_object,
    document_row,
    document_text,
)
from ingest_assets.stages.stage import Result, Services, Source, Stage, load_source
from ingest_assets.store.attempts import beat, begin_attempt, end_attempt
from ingest_assets.store.database import database_error
from ingest_assets.store.locks import Held, Locks

_log = get_logger(__name__)

# What each stage does; `stage_names` has their order.
WORK: Mapping[str, Stage] = {
    document_row.NAME: document_row.run,
    document_object.NAME: document_object.run,
    document_text.NAME: document_text.run,
    document_chunks.NAME: document_chunks.run,
    document_entities.NAME: document_entities.run,
}
HEARTBEAT_SECONDS = 10.0
# A transient fault is tried again soon, here; what lasts longer is left to the sensor `retry_failed`.
# Each try is an attempt of its own in the history.
TRIES = 4
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 15.0


@dataclass(frozen=True)
class Outcome:
    """What became of one document at one stage: a result or an error.

    Attributes:
        seconds: wall time of the stage, without waiting for locks.
        details: traceback of an error that no stage foresaw, for the run's log.
    """

    partition_key: str
    stage: str
    seconds: float
    result: Result | None = None
    error: IngestError | None = None
    details: str = ""


class Runner:
    """One run over some documents.

    Args:
        services: what the stages work with.
        stages: names of the stages to pass, in any order.
        run_id: the run that the attempts are recorded under.
        concurrency: documents worked on at a time. Most of a document's time is spent in the
            engine's processes or waiting for a service, so more than there are cores. An engine that
            reads elsewhere may want more at a time: they wait there, and cost neither a core nor a
            connection to the database.
    """

    def __init__(
        self, services: Services, stages: Sequence[str], run_id: str, concurrency: int
    ) -> None:
        self._services = services
        self._stages = [name for name in STAGES if name in stages]
        self._run_id = run_id
        working = threading.BoundedSemaphore(concurrency)
        self._slots = dict.fromkeys(self._stages, working)
        self._threads = concurrency
        if document_text.NAME in self._slots and (wanted := services.engine.documents_at_a_time):
            self._slots[document_text.NAME] = threading.BoundedSemaphore(wanted)
            self._threads = concurrency + wanted
        self._locks = Locks(services.database)
        self._running: dict[int, None] = {}
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
        """Yield an outcome for each stage of each document, until the first error of that document.

        A configuration error is nobody's fault and everybody's: the documents that were not begun
        are left alone, and yield nothing.
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
            # Cancelled: what has begun ends, but nobody waits for what is done elsewhere.
            self._stop.set()
            self._services.engine.let_go()
            raise
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            heart.join()
            self._locks.close()

    def _pass_stages(self, partition_key: str) -> None:
        left = list(self._stages)
        try:
            if not self._stop.is_set():
                failed = self._trying(self._try_stages, partition_key, left)
                if failed is not None:
                    self._report(failed)
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost with it
            self._report(_failed(partition_key, left[0], 0.0, error))
        finally:
            self._outcomes.put(None)

    def _try_stages(self, partition_key: str, left: list[str]) -> Outcome | None:
        """Pass the stages that are left; return the outcome of the one that failed.

        What was passed is reported and taken from `left`, so that the next try goes on from there.
        """
        try:
            with self._locks.hold(partition_key) as held:
                with self._services.database.engine.connect() as connection:
                    source = load_source(connection, partition_key)
                while left:
                    if source.document_uuid:
                        # Two sightings of one content must not be stored or recognised at the same
                        # time. Before a slot is taken: its holder needs one to get any further.
                        held.add(str(source.document_uuid))
                    with self._slots[left[0]]:
                        if self._stop.is_set():
                            return None
                        outcome = self._attempt(left[0], source, held)
                    if outcome.result is None:
                        return outcome
                    self._report(outcome)
                    del left[0]
                    source = replace(source, document_uuid=outcome.result.document_uuid)
        except Exception as error:  # noqa: BLE001 - also what the connection itself raises
            return _failed(partition_key, left[0], 0.0, error)
        return None

    def _attempt(self, stage: str, source: Source, held: Held) -> Outcome:
        engine = self._services.database.engine
        held.check()
        with engine.begin() as connection:
            attempt_id = begin_attempt(
                connection, source.partition_key, source.document_uuid, stage, self._run_id
            )
            failpoint("attempt.inserted")
        failpoint("attempt.committed")
        self._running[attempt_id] = None
        started = time.monotonic()
        try:
            with engine.connect() as connection:
                result = WORK[stage](source, self._services, connection)
            held.check()
            with engine.begin() as connection:
                failpoint("attempt.ending")
                end_attempt(connection, attempt_id, result.document_uuid)
            failpoint("attempt.ended")
            return Outcome(source.partition_key, stage, time.monotonic() - started, result=result)
        except Exception as error:  # noqa: BLE001 - one document's fault must not stop the others
            outcome = _failed(source.partition_key, stage, time.monotonic() - started, error)
            self._end_failed(attempt_id, source, outcome)
            failpoint("attempt.failed")
            return outcome
        finally:
            self._running.pop(attempt_id, None)

    def _end_failed(self, attempt_id: int, source: Source, outcome: Outcome) -> None:
        try:
            with self._services.database.engine.begin() as connection:
                end_attempt(connection, attempt_id, source.document_uuid, outcome.error)
        except SQLAlchemyError as error:
            _log.warning(
                "Attempt %d (%s of %s) failed, and its end could not be written either: %s The next "
                "attempt of the document closes it as abandoned.",
                attempt_id,
                outcome.stage,
                outcome.partition_key,
                database_error(error),
            )

    def _report(self, outcome: Outcome) -> None:
        # Where Dagster itself fails, the run ends without a word to us: its resources tell.
        if isinstance(outcome.error, (ConfigurationError, RunEndedError)):
            self._stop.set()
        self._outcomes.put(outcome)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            # Locks whose connection is lost are logged where it is noticed, and the documents that
            # were worked on under them fail with `lock_lost` at their next step.
            with suppress(SQLAlchemyError):
                self._locks.check()
            if running := list(self._running):
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


def _failed(partition_key: str, stage: str, seconds: float, error: Exception) -> Outcome:
    foreseen = isinstance(error, (IngestError, DBAPIError))
    details = "" if foreseen else "".join(traceback.format_exception(error))
    return Outcome(partition_key, stage, seconds, error=_typed(error), details=details)


def _typed(error: Exception) -> IngestError:
    if isinstance(error, IngestError):
        return error
    if isinstance(error, SQLAlchemyError):
        return database_error(error)
    return PermanentError(
        "unexpected", f"An error that was not foreseen: {type(error).__name__}: {error}"
    )
