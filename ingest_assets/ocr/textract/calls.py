"""Calling Textract at the pace that all runs share, and repeating calls that were refused.

Belongs here: pace, repetition and the shape of requests. Does not belong here: which job is started,
and when it is asked for.

boto3 does not retry these calls, not even in its adaptive mode: that paces one client, but all runs
share the account's quotas. The pace is a row in the database (`TextractJobs.turn`). A refused call
slows all runs down, and each further call speeds them up again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingest_assets.errors import RunEndedError
from ingest_assets.log import get_logger
from ingest_assets.ocr.textract import faults
from ingest_assets.store.textract_jobs import Job, Operation, TextractJobs

if TYPE_CHECKING:
    from mypy_boto3_textract import TextractClient

_log = get_logger(__name__)
_Answer = TypeVar("_Answer")

# The largest page of an answer:
# https://docs.aws.amazon.com/textract/latest/dg/API_GetDocumentTextDetection.html
_MAX_RESULTS = 1000
# After this time a call that goes on being refused is given up.
PATIENCE_SECONDS = 600.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


def textract_client(
    region: str | None, endpoint_url: str | None, connections: int = 10
) -> TextractClient:
    """A client that does not retry. Safe to share between threads.

    Args:
        region: AWS region; None for that of the environment or profile.
        endpoint_url: address of Textract; None for Amazon's own.
        connections: number of connections that stay open.

    Raises:
        ConfigurationError: no region is set.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=connections,
        connect_timeout=10,
        read_timeout=60,
    )
    try:
        client: TextractClient = boto3.client(
            "textract", region_name=region, endpoint_url=endpoint_url, config=config
        )
    except BotoCoreError as error:
        raise faults.typed(error, "a call") from error
    return client


class Calls:
    """Textract's two calls, at the pace that all runs share. Safe to share between threads."""

    def __init__(self, client: TextractClient, jobs: TextractJobs) -> None:
        self._client = client
        self._jobs = jobs
        self._closed = threading.Event()

    def start(self, job: Job) -> str:
        """Start a job, or find the one that its token started before; return its id.

        The caller has waited for the job's turn (`TextractJobs.reserve`); repetitions wait for theirs
        here.

        Raises:
            BotoCoreError, ClientError: the error of the last try.
        """
        place = {"Bucket": job.s3_bucket, "Name": job.s3_key}
        if job.s3_version:
            place["Version"] = job.s3_version
        answer = self._repeat(
            "start",
            0.0,
            lambda: self._client.start_document_text_detection(
                DocumentLocation={"S3Object": place},  # type: ignore[typeddict-item]
                ClientRequestToken=job.client_request_token,
            ),
        )
        return answer["JobId"]

    def get(self, job_id: str, next_token: str | None = None) -> dict[str, Any]:
        """Fetch one page of a job's results.

        Raises:
            BotoCoreError, ClientError: the error of the last try.
        """
        delay = self._jobs.turn("get")
        return self._repeat("get", delay, lambda: self._get(job_id, next_token))

    def look(self, job_id: str) -> dict[str, Any]:
        """Ask once for a job's status, and for the first page of its results if it has any.

        Raises:
            BotoCoreError, ClientError: the error of the one call.
        """
        self.wait(self._jobs.turn("get"))
        return self._once("get", lambda: self._get(job_id, None))

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            RunEndedError: `engine_closed`; the engine was closed meanwhile.
        """
        if self._closed.wait(seconds):
            raise closed()

    def close(self) -> None:
        """Wake all threads that wait here; they raise `engine_closed`."""
        self._closed.set()

    def _get(self, job_id: str, next_token: str | None) -> dict[str, Any]:
        place = {"NextToken": next_token} if next_token else {}
        return dict(
            self._client.get_document_text_detection(JobId=job_id, MaxResults=_MAX_RESULTS, **place)
        )

    def _repeat(self, operation: Operation, delay: float, call: Callable[[], _Answer]) -> _Answer:
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self.wait(delay)
            try:
                return self._once(operation, call)
            except (BotoCoreError, ClientError) as error:
                if not faults.is_worth_repeating(error) or time.monotonic() > deadline:
                    raise
            # A random pause, so that threads which were refused together do not call together again.
            self.wait(random.uniform(pause / 2, pause))  # noqa: S311  # No secret.
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            delay = self._jobs.turn(operation)

    def _once(self, operation: Operation, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except (BotoCoreError, ClientError) as error:
            fault = faults.fault_of(error)
            if fault.kind == "throttled":
                self._jobs.refused(operation, too_many_jobs=fault.code == faults.TOO_MANY_JOBS)
            elif faults.is_worth_repeating(error):
                _log.warning(
                    "A call of Textract (%s) failed, and may be repeated: %s", operation, error
                )
            raise


def closed() -> RunEndedError:
    """Return the error for waiting that ends because the run ends."""
    return RunEndedError(
        "engine_closed",
        "Waiting for Textract was broken off, because its run ended.",
        "Its job goes on, and is collected when the document is tried again.",
    )
