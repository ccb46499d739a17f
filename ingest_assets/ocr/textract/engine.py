"""The engine: Textract reads a document in one or more jobs, and their answers become its pages.

Belongs here: the order of work on one document. Does not belong here: calling (`calls`), waiting
(`watch`), interpreting answers (`blocks`), and reading a document's bytes, which only worker processes
do (`ocr.sandbox`).

Images, too, are read by the asynchronous call. The synchronous one costs the same for each page
(https://aws.amazon.com/textract/pricing/), but takes no token: after a crash between its answer and the
commit the page would be paid for twice.

What Textract does not take (mail, Office files, web pages, other kinds of images) the local engine
reads.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError
from ingest_assets.formats import by_mime_type
from ingest_assets.log import get_logger
from ingest_assets.notes import Note
from ingest_assets.ocr.engine import Contents, Page, Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine, room_on_disk
from ingest_assets.ocr.textract import blocks, faults
from ingest_assets.ocr.textract.blocks import BlockReader
from ingest_assets.ocr.textract.calls import Calls
from ingest_assets.ocr.textract.parts import Limits, Part, Surveyor
from ingest_assets.ocr.textract.probe import probe
from ingest_assets.ocr.textract.watch import Answer, Watch
from ingest_assets.store.object_store import MissingObjectError, ObjectStore
from ingest_assets.store.textract_jobs import Job, Order, TextractJobs

if TYPE_CHECKING:
    from mypy_boto3_textract import TextractClient

_log = get_logger(__name__)

# Documents that are fetched and examined on this machine at a time, before Textract gets them.
_SURVEYED_AT_A_TIME = 8
# While there are too many jobs in flight, the limit is checked again after this time.
_FULL_SECONDS = 1.0
# After a probe that failed for a reason that may pass, the next one comes after this time.
_PROBE_AGAIN_SECONDS = 30.0


@dataclass(frozen=True)
class _Begun:
    """A part of a document and the job that reads it. `answer` is None if its answers are stored."""

    part: Part
    job: Job
    answer: Future[Answer] | None


class TextractEngine:
    """Reads documents by Amazon Textract. Thread-safe.

    The row of a job is written before the call that starts it, and the job's token finds it again.
    After a crash the next try of the document collects the job, for seven days. Textract's answers are
    kept for ever, under `derived/{uuid}/textract/`.

    Args:
        client: made by `calls.textract_client`.
        objects: the bucket that holds the documents.
        jobs: the rows of jobs; enforces the quotas.
        reader: reads what Textract does not take, and examines documents in worker processes; closed
            with this engine.
        documents_at_a_time: how many documents may wait for Textract at a time.
        job_seconds: after this time an unfinished job is left to a later try of its document.
        limits: what Textract takes in one job.
    """

    name = "textract"
    version = blocks.VERSION

    def __init__(
        self,
        client: TextractClient,
        objects: ObjectStore,
        jobs: TextractJobs,
        reader: LocalEngine,
        *,
        documents_at_a_time: int = 100,
        job_seconds: float = 3600.0,
        limits: Limits | None = None,
    ) -> None:
        self.documents_at_a_time: int | None = documents_at_a_time
        self._client = client
        self._objects = objects
        self._jobs = jobs
        self._reader = reader
        self._surveyor = Surveyor(reader, objects, limits or Limits())
        self._calls = Calls(client, jobs)
        self._watch = Watch(self._calls, jobs, job_seconds)
        self._surveying = threading.BoundedSemaphore(_SURVEYED_AT_A_TIME)
        self._starting = threading.Lock()
        self._probing = threading.Lock()
        self._probed = False
        self._fault: ConfigurationError | TransientError | None = None
        self._probe_again = 0.0

    def recognise(self, document: StoredObject) -> Recognition:
        """Read all pages of one document; see `OcrEngine`."""
        if by_mime_type(document.mime_type).local:
            return self._reader.recognise(document)
        self._probe()
        with self._surveying:
            survey = self._surveyor.survey(document)
        pages: list[Page] = []
        notes = list(survey.notes)
        versions: list[str] = []
        for part, reader in zip(survey.parts, self._read(document, survey.parts), strict=True):
            pages += reader.pages(part.first_page)
            notes += _notes(reader, part)
            versions.append(reader.model_version or "unknown")
        return Recognition(
            pages=tuple(pages),
            engine=self.name,
            engine_version=f"model {', '.join(dict.fromkeys(versions))}; {self.version}",
            notes=tuple(notes),
            thumbnail=survey.thumbnail,
        )

    def contents(self, document: StoredObject) -> AbstractContextManager[Contents]:
        """Take out what is inside a document: that is done on this machine."""
        return self._reader.contents(document)

    def reads_as(self, mime_type: str) -> tuple[str, str]:
        """Return name and version; what is text already is read by the local engine."""
        if by_mime_type(mime_type).local:
            return self._reader.reads_as(mime_type)
        return self.name, self.version

    def let_go(self) -> None:
        """End the waiting. Jobs go on at Amazon, and the next try of each document collects them."""
        self._watch.close()

    def close(self) -> None:
        """End the waiting, and the worker processes on this machine."""
        self.let_go()
        self._reader.close()

    def _probe(self) -> None:
        """Probe the set-up before the first job of this process; a fault fails all documents."""
        with self._probing:
            fault = self._fault
            if isinstance(fault, TransientError) and time.monotonic() > self._probe_again:
                fault = None
            if fault is None and not self._probed:
                try:
                    probe(self._client, self._objects)
                    self._probed = True
                except (ConfigurationError, TransientError) as error:
                    fault = error
                    self._probe_again = time.monotonic() + _PROBE_AGAIN_SECONDS
            self._fault = fault
        if fault is not None:
            raise fault

    def _read(self, document: StoredObject, parts: Sequence[Part]) -> list[BlockReader]:
        """Start the jobs of all parts, then wait for all of them; after an error, too.

        A job that was started is paid for, so its answers are stored even if another part fails.
        """
        begun: list[_Begun] = []
        readers: list[BlockReader] = []
        error: IngestError | None = None
        try:
            try:
                for part in parts:
                    begun.append(self._begin(document, part))  # noqa: PERF401  # Noted one by one.
            except IngestError as fault:
                error = fault
            for one in begun:
                try:
                    readers.append(self._finish(document, one))
                except IngestError as fault:
                    if error:
                        _log.warning("A further part of %s failed: %s", document.key, fault)
                    error = error or fault
        finally:
            for one in begun:
                self._watch.release(one.job)
        if error:
            raise error
        return readers

    def _begin(self, document: StoredObject, part: Part) -> _Begun:
        """Find the job that reads a part, or start one."""
        job = self._jobs.usable(document.document_uuid, part.first_page, part.key)
        if job and job.raw_key:
            return _Begun(part, job, None)
        if job is None:
            job = self._reserve(document, part)
        elif job.job_id is None:
            self._calls.wait(self._jobs.turn("start"))
        self._watch.hold(job)
        if job.job_id is None:
            job = self._start(document, job)
        return _Begun(part, job, self._watch.wait_for(job))

    def _reserve(self, document: StoredObject, part: Part) -> Job:
        """Write the row of a new job when the limits allow one; one thread at a time waits for that."""
        order = Order(
            document.document_uuid,
            part.first_page,
            document.bucket,
            part.key,
            part.version,
            part.page_count,
        )
        with self._starting:
            while (reserved := self._jobs.reserve(order)) is None:
                self._calls.wait(_FULL_SECONDS)
            job, delay = reserved
            self._calls.wait(delay)
            return job

    def _start(self, document: StoredObject, job: Job) -> Job:
        """Call Textract to start a job whose turn has come."""
        try:
            job_id = self._calls.start(job)
        except (BotoCoreError, ClientError) as error:
            reason = self._reason(error, document, job)
            if isinstance(reason, PermanentError) or reason.code == "textract_token_spent":
                self._jobs.failed(job, "start_failed", reason)
            else:
                # Amazon may have done an earlier try of this call whose answer was lost. So the next
                # try uses the same token, which finds the job.
                self._jobs.not_started(job, reason)
            self._watch.release(job)
            raise reason from error
        self._jobs.started(job, job_id)
        return replace(job, job_id=job_id)

    def _finish(self, document: StoredObject, begun: _Begun) -> BlockReader:
        """Wait for a part's job and read what it found."""
        while True:
            try:
                if begun.answer is None:
                    return self._read_again(begun.job)
                return self._collect(begun.job, begun.answer.result())
            except MissingObjectError:
                # The stored answers were removed from the bucket, so the part has to be read again.
                reason: IngestError = TransientError(
                    "textract_answer_missing",
                    f"{self._objects.uri(str(begun.job.raw_key))} is no longer there.",
                )
            except (BotoCoreError, ClientError) as error:
                reason = self._reason(error, document, begun.job)
                if faults.fault_of(error).code != faults.JOB_UNKNOWN:
                    raise reason from error
            finally:
                self._watch.release(begun.job)
            # Amazon no longer knows the job, or it belongs to another account: start a new one.
            self._jobs.failed(begun.job, "expired", reason)
            begun = self._begin(document, begun.part)

    def _collect(self, job: Job, answer: Answer) -> BlockReader:
        """Fetch all pages of a job's results, store them as they are, and note that in its row."""
        status = answer["JobStatus"]
        if status == "FAILED":
            error = faults.job_failed(str(job.job_id), answer.get("StatusMessage") or "")
            self._jobs.failed(job, "failed", error, warnings=answer.get("Warnings"))
            raise error
        raw_key = f"derived/{job.document_uuid}/textract/{job.client_request_token}.jsonl.gz"
        with room_on_disk(), self._reader.scratch_folder() as folder:
            path = folder / "answers"
            reader = self._take(job, answer, path)
            self._objects.put_derived_file(raw_key, path, "application/gzip")
        self._jobs.collected(
            job,
            status.lower(),
            pages=reader.page_count,
            warnings=reader.warnings,
            model_version=reader.model_version,
            raw_key=raw_key,
        )
        return reader

    def _take(self, job: Job, answer: Answer, path: Path) -> BlockReader:
        """Write all answers to a file, one in each line, and give them to the reader of blocks."""
        reader = BlockReader()
        with gzip.open(path, "wt", encoding="utf-8", compresslevel=5) as file:
            while True:
                answer.pop("ResponseMetadata", None)
                file.write(json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n")
                try:
                    reader.add(answer)
                except PermanentError as error:
                    self._jobs.failed(job, "failed", error)
                    raise
                if not (next_token := answer.get("NextToken")):
                    return reader
                answer = self._calls.get(str(job.job_id), next_token)

    def _read_again(self, job: Job) -> BlockReader:
        """Read a job's answers from where they are stored."""
        reader = BlockReader()
        with (
            room_on_disk(),
            self._reader.scratch_folder() as folder,
            (folder / "answers").open("w+b") as file,
        ):
            self._objects.download(str(job.raw_key), file)
            file.seek(0)
            with gzip.open(file, "rt", encoding="utf-8") as answers:
                for line in answers:
                    reader.add(json.loads(line))
        return reader

    def _reason(
        self, error: BotoCoreError | ClientError, document: StoredObject, job: Job
    ) -> IngestError:
        """The meaning of an error; S3 is asked whether an object exists that Textract cannot read."""
        name = self._objects.uri(job.s3_key)
        code = faults.fault_of(error).code
        if code == faults.JOB_UNKNOWN:
            return TransientError(
                "textract_job_expired", f"Textract no longer knows the job {job.job_id} of {name}."
            )
        if code != faults.OBJECT_NOT_READ:
            return faults.typed(error, f"reading {name}")
        if self._objects.head(job.s3_key) is None:
            return PermanentError(
                "object_missing",
                f"{name} of document {document.document_uuid} is not there for Textract to read.",
            )
        return ConfigurationError(
            "textract_cannot_read_object",
            f"Textract cannot read {name}, and the object is there: {error}.",
        )


def _notes(reader: BlockReader, part: Part) -> Iterator[Note]:
    for number in reader.missing(part.first_page):
        yield Note("pages_left_out", "Textract left this page out", number)
    for warning in reader.warnings:
        sentence = f"Textract warns: {warning.get('ErrorCode')}"
        for number in warning.get("Pages") or [None]:
            page = None if number is None else number + part.first_page - 1
            yield Note("pages_left_out", sentence, page)
