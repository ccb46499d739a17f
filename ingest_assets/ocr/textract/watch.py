"""Waiting for all jobs of a run: one thread asks Textract, and the documents' threads sleep.

Belongs here: when each job is asked for. Does not belong here: the calls (`calls`), and what is done
with an answer.

Textract is polled, although Amazon recommends notifications
(https://docs.aws.amazon.com/textract/latest/dg/api-async.html): those need a topic, a queue and a role
in each account, and two installations that share a queue take each other's messages. The longer a job
takes the more seldom it is asked for, and all jobs together at the pace that the quota allows.
"""

from __future__ import annotations

import heapq
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import TransientError
from ingest_assets.log import get_logger
from ingest_assets.ocr.textract import faults
from ingest_assets.ocr.textract.calls import PATIENCE_SECONDS, Calls, closed
from ingest_assets.store.database import database_error
from ingest_assets.store.textract_jobs import Job, TextractJobs

_log = get_logger(__name__)

_FIRST_LOOK_SECONDS = 1.0
_LESS_OFTEN = 1.5
_LONGEST_PAUSE_SECONDS = 15.0
_HEARTBEAT_SECONDS = 10.0

Answer = dict[str, Any]


@dataclass(order=True)
class _Watched:
    due: float
    number: int
    job: Job = field(compare=False)
    future: Future[Answer] = field(compare=False)
    since: float = field(compare=False)
    answered: float = field(compare=False)
    pause: float = field(compare=False, default=_FIRST_LOOK_SECONDS)


class Watch:
    """Watches jobs from one thread. Safe to share between threads.

    Args:
        job_seconds: after this time a job that is still in progress is no longer waited for.
    """

    def __init__(self, calls: Calls, jobs: TextractJobs, job_seconds: float) -> None:
        self._calls = calls
        self._jobs = jobs
        self._job_seconds = job_seconds
        self._watched: list[_Watched] = []
        self._held: dict[str, Job] = {}
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="textract-watch", daemon=True)
        self._thread.start()

    def hold(self, job: Job) -> None:
        """Write the job's heartbeat from now on, so that it counts as in flight."""
        with self._changed:
            self._held[job.client_request_token] = job

    def release(self, job: Job) -> None:
        """Write it no longer."""
        with self._changed:
            self._held.pop(job.client_request_token, None)

    def wait_for(self, job: Job) -> Future[Answer]:
        """Return a future of the job's first answer that is not "in progress".

        It fails with what a call raises, or with `TransientError`: `textract_job_slow`,
        `engine_closed`.
        """
        future: Future[Answer] = Future()
        now = time.monotonic()
        with self._changed:
            if self._closed:
                raise closed()
            self._count += 1
            heapq.heappush(
                self._watched,
                _Watched(now + _FIRST_LOOK_SECONDS, self._count, job, future, now, now),
            )
            self._changed.notify_all()
        return future

    def close(self) -> None:
        """End the waiting: all futures fail with `engine_closed`. The jobs go on at Amazon."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._calls.close()
        self._thread.join()

    def _run(self) -> None:
        last_beat = time.monotonic()
        while True:
            with self._changed:
                soon = self._watched[0].due if self._watched else float("inf")
                pause = min(soon, last_beat + _HEARTBEAT_SECONDS) - time.monotonic()
                if pause > 0 and not self._closed:
                    self._changed.wait(pause)
                if self._closed:
                    break
                now = time.monotonic()
                due = self._watched and self._watched[0].due <= now
                watched = heapq.heappop(self._watched) if due else None
                held = list(self._held.values()) if now > last_beat + _HEARTBEAT_SECONDS else None
            if held is not None:
                self._beat(held)
                last_beat = now
            if watched:
                self._look(watched)
        for watched in self._watched:
            watched.future.set_exception(closed())

    def _look(self, watched: _Watched) -> None:
        job = watched.job
        try:
            answer = self._calls.look(str(job.job_id))
        except BaseException as error:  # noqa: BLE001  # The future raises it.
            refused = isinstance(error, (BotoCoreError, ClientError)) and faults.is_worth_repeating(
                error
            )
            if refused and time.monotonic() - watched.answered < PATIENCE_SECONDS:
                self._look_later(watched)
            else:
                watched.future.set_exception(error)
            return
        watched.answered = time.monotonic()
        if answer["JobStatus"] != "IN_PROGRESS":
            watched.future.set_result(answer)
        elif watched.answered - watched.since > self._job_seconds:
            watched.future.set_exception(
                TransientError(
                    "textract_job_slow",
                    f"Textract's job {job.job_id} is still in progress after "
                    f"{self._job_seconds / 60:.0f} minutes.",
                )
            )
        else:
            watched.pause = min(watched.pause * _LESS_OFTEN, _LONGEST_PAUSE_SECONDS)
            self._look_later(watched)

    def _look_later(self, watched: _Watched) -> None:
        watched.due = time.monotonic() + watched.pause
        with self._changed:
            heapq.heappush(self._watched, watched)

    def _beat(self, jobs: list[Job]) -> None:
        try:
            self._jobs.beat(jobs)
        except SQLAlchemyError as error:
            _log.warning(
                "The heartbeat of %d Textract jobs could not be written: %s The next one follows in "
                "%.0f s.",
                len(jobs),
                database_error(error),
                _HEARTBEAT_SECONDS,
            )
