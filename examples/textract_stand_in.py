"""A stand-in for Amazon Textract's text detection, for trying the engine `textract` without an account.

    ingest-assets services start && eval "$(ingest-assets env)"
    python examples/textract_stand_in.py --port 8765 &
    export INGEST_OCR_ENGINE=textract AWS_ENDPOINT_URL_TEXTRACT=http://127.0.0.1:8765
    make run

It speaks Textract's protocol (AWS JSON 1.1) for StartDocumentTextDetection and
GetDocumentTextDetection, takes documents from the S3 that AWS_ENDPOINT_URL_S3 names, and really
recognises them, with this project's local engine. It is strict: what Amazon documents as an error is
an error here, and what it does not know it refuses:

- signatures (version 4) by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for its own region;
- requests by Amazon's own model of the service, as botocore brings it along;
- tokens, answers of at most 1,000 blocks, results for seven days, as in
  https://docs.aws.amazon.com/textract/latest/dg/api-async.html
- formats, sizes and pages, as in https://docs.aws.amazon.com/textract/latest/dg/limits-document.html
  (what it does with too many pages is not documented: here the job fails);
- quotas of calls a second and of jobs at a time;
- an object in a bucket of another region, or that is not there: InvalidS3ObjectException.

What it makes up: where on the page a line stands (the local engine does not say), and the confidence
of text that was not recognised but taken from the document (99.9).

What goes wrong is asked for: `PUT /stand-in/faults` takes a JSON object with the fields of `Faults`,
`POST /stand-in/clock` with `{"advance_seconds": …}` lets days pass, and `GET /stand-in/report` lists
all calls and jobs. These need no signature; it listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import hmac
import json
import os
import random
import re
import signal
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import boto3
import botocore.session
import click
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from ingest_assets.errors import IngestError
from ingest_assets.ocr.engine import Page, StoredObject
from ingest_assets.ocr.local import LocalEngine

_LIFETIME_SECONDS = 7 * 24 * 3600
_MOST_BLOCKS = 1000
_KEPT_TOGETHER = 250
_CLOCK_SKEW_SECONDS = 15 * 60
_PREFIX = "Textract."
_AUTHORISATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,\s*"
    r"SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})"
)
_MAGIC = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
_PICTURES = ("image/png", "image/jpeg")
_SURE = 99.9


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An error as Textract answers it.

    Args:
        code: its name in Amazon's documentation.
        status: of HTTP.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


@dataclass
class Faults:
    """What goes wrong on demand.

    Attributes:
        throttle: share of all calls that are refused, half of them with each of two errors.
        throttle_starts_after: that many starts with a token are answered, and all later ones refused.
        server_error: share of all calls that end with InternalServerError.
        fail: share of jobs that fail; `fail_message` is what they say.
        stay: jobs that nobody has seen end stay in progress.
        partial: these pages are left out, and the job ends as PARTIAL_SUCCESS.
        lose: the answers of so many of the next starts are lost, after the work.
        hold: calls that are never answered: `start` (one with a token, before the work), `started`
            (after it), `get` (the first page of results), `page` (a later one).
        deny: all calls are refused with AccessDeniedException.
    """

    throttle: float = 0.0
    throttle_starts_after: int | None = None
    server_error: float = 0.0
    fail: float = 0.0
    fail_message: str = "Internal failure"
    stay: bool = False
    partial: list[int] = field(default_factory=list)
    lose: int = 0
    hold: str = ""
    deny: bool = False


@dataclass
class Job:
    """One job and what became of it."""

    job_id: str
    key: str
    began: float
    fails: bool
    ended: bool
    work: Future[tuple[list[bytes], int, int]]


@dataclass(frozen=True)
class Settings:
    """How large the account's quotas are, and how long Textract takes."""

    region: str
    starts_per_second: float
    gets_per_second: float
    jobs_in_flight: int
    job_seconds: float
    max_pages: int
    max_file_bytes: int
    max_picture_bytes: int


class Rate:
    """So many calls a second, by a bucket of tokens that holds one second's worth of them."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second)
        self._tokens = self._most
        self._counted = time.monotonic()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = time.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._counted) * self._per_second)
        self._counted = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class StandIn:
    """Textract, as far as text detection goes. Safe to share between threads."""

    def __init__(self, settings: Settings, engine: LocalEngine, workers: int, seed: int) -> None:
        self.settings = settings
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.halted = threading.Event()
        self._engine = engine
        self._s3 = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
        self._pool = ThreadPoolExecutor(workers)
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._jobs: dict[str, Job] = {}
        self._tokens: dict[str, tuple[dict[str, Any], Job]] = {}
        self._passed = 0.0
        self._lock = threading.RLock()
        self._model = botocore.session.get_session().get_service_model("textract")
        self._rates = {
            "StartDocumentTextDetection": Rate(settings.starts_per_second),
            "GetDocumentTextDetection": Rate(settings.gets_per_second),
        }

    def answer(self, operation: str, body: bytes) -> dict[str, Any]:
        """Do one call."""
        if operation not in self._rates:
            raise Refusal("UnknownOperationException", f"Not known here: {operation}")
        with self._lock:
            if self.faults.deny:
                raise Refusal("AccessDeniedException", f"Not authorized to perform {operation}")
            if not self._rates[operation].take():
                raise Refusal("ProvisionedThroughputExceededException", "Provisioned rate exceeded")
            self._misbehave()
        request = self._parse(operation, body)
        if operation == "StartDocumentTextDetection":
            return self._start(request)
        return self._get(request)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._passed += seconds

    def report(self) -> dict[str, Any]:
        """All calls by their outcome, and all jobs."""
        with self._lock:
            return {
                "calls": dict(self.calls),
                "jobs": [
                    {
                        "job_id": job.job_id,
                        "key": job.key,
                        "status": self._status(job),
                        "token": next(
                            (token for token, (_, found) in self._tokens.items() if found is job), None
                        ),
                    }
                    for job in self._jobs.values()
                ],
            }

    def hold(self, where: str) -> None:
        """Never come back, if that was asked for."""
        if self.faults.hold == where:
            self.calls[f"held at {where}"] += 1
            self.halted.wait()

    def close(self) -> None:
        """Give up what is under way."""
        self.halted.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _now(self) -> float:
        return time.time() + self._passed

    def _misbehave(self) -> None:
        chance = self._random.random()
        if chance < self.faults.throttle / 2:
            raise Refusal("ThrottlingException", "Rate exceeded", 500)
        if chance < self.faults.throttle:
            raise Refusal("ProvisionedThroughputExceededException", "Provisioned rate exceeded")
        if chance < self.faults.throttle + self.faults.server_error:
            raise Refusal("InternalServerError", "Internal server error", 500)

    def _parse(self, operation: str, body: bytes) -> dict[str, Any]:
        try:
            request = json.loads(body)
        except ValueError as error:
            raise Refusal("SerializationException", "The body is no JSON") from error
        shape = self._model.operation_model(operation).input_shape
        for fault in _faults_of(request, shape, "request"):
            raise Refusal("InvalidParameterException", f"Request has invalid parameters: {fault}")
        return dict(request)

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        token = request.get("ClientRequestToken")
        if token:
            self.hold("start")
            if self.faults.throttle_starts_after == 0:
                raise Refusal("ThrottlingException", "Rate exceeded", 500)
            if self.faults.throttle_starts_after:
                self.faults.throttle_starts_after -= 1
        with self._lock:
            known = self._tokens.get(token) if token else None
            if known and self._now() - known[1].began < _LIFETIME_SECONDS:
                if known[0] != request:
                    raise Refusal(
                        "IdempotentParameterMismatchException",
                        "The token was used with other parameters",
                    )
                return {"JobId": known[1].job_id}
        place = request["DocumentLocation"].get("S3Object") or {}
        if "#" in place.get("Name", "#") or "Bucket" not in place:
            raise Refusal("InvalidParameterException", "Request has invalid parameters: S3Object")
        document = self._object(place)
        with self._lock:
            in_flight = sum(self._status(job) == "IN_PROGRESS" for job in self._jobs.values())
            if in_flight >= self.settings.jobs_in_flight:
                raise Refusal("LimitExceededException", "Open jobs exceed maximum concurrent job limit")
            job = Job(
                uuid4().hex * 2,
                document.key,
                self._now(),
                self._random.random() < self.faults.fail,
                False,
                self._pool.submit(self._recognise, document),
            )
            self._jobs[job.job_id] = job
            if token:
                self._tokens[token] = request, job
        return {"JobId": job.job_id}

    def _object(self, place: Mapping[str, str]) -> StoredObject:
        """The document, if Textract would take it."""
        bucket, key = place["Bucket"], place["Name"]
        version = {"VersionId": place["Version"]} if "Version" in place else {}
        try:
            region = self._s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"].get(
                "x-amz-bucket-region", os.environ.get("AWS_REGION")
            )
            head = self._s3.head_object(Bucket=bucket, Key=key, **version)
        except ClientError as error:
            raise _not_readable() from error
        if region != self.settings.region:
            raise _not_readable()
        start = b""
        if head["ContentLength"]:
            start = self._s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-1023", **version)[
                "Body"
            ].read()
        mime_type = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
        if mime_type is None and b"%PDF-" in start:
            mime_type = "application/pdf"
        if mime_type is None:
            raise Refusal("UnsupportedDocumentException", "Request has unsupported document format")
        picture = mime_type in _PICTURES
        most = self.settings.max_picture_bytes if picture else self.settings.max_file_bytes
        if head["ContentLength"] > most:
            raise Refusal("DocumentTooLargeException", f"Document is larger than {most} bytes")
        return StoredObject(
            uuid4(),
            bucket,
            key,
            head["ContentLength"],
            mime_type,
            lambda file: self._s3.download_fileobj(
                bucket, key, file, ExtraArgs=version if version else None
            ),
        )

    def _recognise(self, document: StoredObject) -> tuple[list[bytes], int, int]:
        """The document's blocks, compressed, because they are kept for a week; blocks and pages."""
        pages = self._engine.recognise(document).pages
        blocks = [
            block for page in pages if page.number not in self.faults.partial for block in _blocks(page)
        ]
        kept = [
            zlib.compress(json.dumps(blocks[start : start + _KEPT_TOGETHER]).encode(), 1)
            for start in range(0, len(blocks), _KEPT_TOGETHER)
        ]
        return kept, len(blocks), len(pages)

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        next_token = request.get("NextToken")
        with self._lock:
            job = self._jobs.get(request["JobId"])
            if job is None or self._now() - job.began > _LIFETIME_SECONDS:
                raise Refusal("InvalidJobIdException", "Request has invalid Job Id")
            status = self._status(job)
        if status != "IN_PROGRESS":
            self.hold("page" if next_token else "get")
        model = {"DetectDocumentTextModelVersion": "1.0"}
        if status == "IN_PROGRESS":
            return {"JobStatus": status, **model}
        if status == "FAILED":
            return {"JobStatus": status, "StatusMessage": self._failure(job), **model}
        kept, count, pages = job.work.result()
        first = _place(next_token, job)
        end = first + min(request.get("MaxResults", _MOST_BLOCKS), _MOST_BLOCKS)
        chunks = range(first // _KEPT_TOGETHER, min(-(-end // _KEPT_TOGETHER), len(kept)))
        blocks = [block for chunk in chunks for block in json.loads(zlib.decompress(kept[chunk]))]
        skipped = first % _KEPT_TOGETHER
        answer = {
            "JobStatus": status,
            "DocumentMetadata": {"Pages": pages},
            "Blocks": blocks[skipped : skipped + end - first],
            **model,
        }
        if status == "PARTIAL_SUCCESS":
            answer["Warnings"] = [{"ErrorCode": "INTERNAL_ERROR", "Pages": self.faults.partial}]
        if end < count:
            answer["NextToken"] = f"{job.job_id[:16]}:{end}"
        return answer

    def _status(self, job: Job) -> str:
        early = self._now() < job.began + self.settings.job_seconds
        if not job.ended and (self.faults.stay or early or not job.work.done()):
            return "IN_PROGRESS"
        job.ended = True
        if self._failure(job):
            return "FAILED"
        return "PARTIAL_SUCCESS" if self.faults.partial else "SUCCEEDED"

    def _failure(self, job: Job) -> str:
        if job.fails:
            return self.faults.fail_message
        error = job.work.exception()
        if isinstance(error, IngestError):
            return f"Invalid document: {error.message}"
        if error is not None:
            return "Internal failure"
        _, _, pages = job.work.result()
        most = self.settings.max_pages
        return f"Document exceeds the maximum of {most} pages" if pages > most else ""


def _not_readable() -> Refusal:
    return Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )


def _place(next_token: str | None, job: Job) -> int:
    if next_token is None:
        return 0
    owner, _, place = next_token.partition(":")
    if owner != job.job_id[:16] or not place.isdigit():
        raise Refusal("InvalidParameterException", "Request has invalid parameters: NextToken")
    return int(place)


def _faults_of(value: Any, shape: Any, name: str) -> Iterator[str]:
    """What is wrong with a value, by the service's own model."""
    kinds: dict[str, type] = {"structure": dict, "string": str, "integer": int}
    if not isinstance(value, kinds[shape.type_name]):
        yield f"{name} is no {shape.type_name}"
    elif shape.type_name == "structure":
        yield from (
            f"{name} has no {member}" for member in shape.required_members if member not in value
        )
        for member, inner in value.items():
            if member in shape.members:
                yield from _faults_of(inner, shape.members[member], member)
            else:
                yield f"{name} has no member {member}"
    else:
        size = len(value) if shape.type_name != "integer" else value
        if not shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size):
            yield f"{name} is too short or too long"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern.strip("^$"), value):
            yield f"{name} has characters that are not allowed"


def _blocks(page: Page) -> Iterator[dict[str, Any]]:
    """One page as PAGE, LINE and WORD blocks, each line in a row of its own."""
    lines = [line for line in page.text.split("\n") if line.strip()]
    confidence = _SURE if page.confidence is None else page.confidence * 100
    words: list[dict[str, Any]] = []
    line_blocks: list[dict[str, Any]] = []
    widest = max(map(len, lines), default=1)
    for number, line in enumerate(lines):
        top, height = (number + 0.1) / len(lines), 0.8 / len(lines)
        mine = []
        for match in re.finditer(r"\S+", line):
            left, width = match.start() / widest, len(match[0]) / widest
            mine.append(_block("WORD", page.number, confidence, match[0], (left, top, width, height)))
        left = mine[0]["Geometry"]["BoundingBox"]["Left"]
        last = mine[-1]["Geometry"]["BoundingBox"]
        box = (left, top, last["Left"] + last["Width"] - left, height)
        line_blocks.append(_block("LINE", page.number, confidence, " ".join(line.split()), box, mine))
        words += mine
    yield _block("PAGE", page.number, None, None, (0.0, 0.0, 1.0, 1.0), line_blocks)
    yield from line_blocks
    yield from words


def _block(
    kind: str,
    page: int,
    confidence: float | None,
    text: str | None,
    box: tuple[float, float, float, float],
    children: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    left, top, width, height = box
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    block: dict[str, Any] = {
        "BlockType": kind,
        "Id": str(uuid4()),
        "Page": page,
        "Geometry": {
            "BoundingBox": {"Left": left, "Top": top, "Width": width, "Height": height},
            "Polygon": [{"X": x, "Y": y} for x, y in corners],
        },
    }
    if text is not None:
        block |= {"Text": text, "Confidence": confidence}
    if kind == "WORD":
        block["TextType"] = "PRINTED"
    if children:
        block["Relationships"] = [{"Type": "CHILD", "Ids": [child["Id"] for child in children]}]
    return block


class Handler(BaseHTTPRequestHandler):
    """HTTP around the stand-in."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """A call of Textract's, or one of ours."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        stand_in = self.server.stand_in
        if self.path == "/stand-in/clock":
            stand_in.advance(json.loads(body)["advance_seconds"])
            self._send(HTTPStatus.OK, {})
            return
        operation = self.headers.get("X-Amz-Target", "").removeprefix(_PREFIX)
        try:
            self._check(body)
            answer = stand_in.answer(operation, body)
        except Refusal as refusal:
            stand_in.calls[f"{operation} {refusal.code}"] += 1
            self._send(refusal.status, {"__type": refusal.code, "Message": refusal.message})
            return
        stand_in.calls[f"{operation} OK"] += 1
        if operation == "StartDocumentTextDetection":
            stand_in.hold("started")
            if stand_in.faults.lose > 0:
                stand_in.faults.lose -= 1
                stand_in.calls[f"{operation} lost"] += 1
                self.close_connection = True
                self.connection.close()
                return
        self._send(HTTPStatus.OK, answer)

    def do_PUT(self) -> None:
        """Set what goes wrong."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/stand-in/faults":
            self._send(HTTPStatus.NOT_FOUND, {})
            return
        self.server.stand_in.faults = Faults(**json.loads(body))
        self._send(HTTPStatus.OK, {})

    def do_GET(self) -> None:
        """Tell of all that happened."""
        found = self.path == "/stand-in/report"
        self._send(
            HTTPStatus.OK if found else HTTPStatus.NOT_FOUND,
            self.server.stand_in.report() if found else {},
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Write no line a request: the report counts them."""

    def _check(self, body: bytes) -> None:
        """Refuse what is not signed as it should be."""
        match = _AUTHORISATION.fullmatch(self.headers.get("Authorization", ""))
        if match is None:
            raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
        key_id, day, region, service, signed, signature = match.groups()
        if key_id != os.environ["AWS_ACCESS_KEY_ID"]:
            raise Refusal(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        expected = self.server.stand_in.settings.region
        if (region, service) != (expected, "textract"):
            raise Refusal(
                "InvalidSignatureException",
                f"Credential should be scoped to a valid region: {expected}.",
            )
        stamp = self.headers.get("X-Amz-Date", "")
        try:
            signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        except ValueError as error:
            raise Refusal("IncompleteSignature", "X-Amz-Date is missing or wrong") from error
        skew = abs((datetime.now(timezone.utc) - signed_at).total_seconds())
        if not stamp.startswith(day) or skew > _CLOCK_SKEW_SECONDS:
            raise Refusal("InvalidSignatureException", f"Signature expired: {stamp}")
        request = AWSRequest(
            self.command,
            f"http://{self.headers['Host']}{self.path}",
            headers={name: self.headers[name] for name in signed.split(";")},
            data=body,
        )
        request.context["timestamp"] = stamp
        secret = Credentials(key_id, os.environ["AWS_SECRET_ACCESS_KEY"])
        signer = SigV4Auth(secret, service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        if not hmac.compare_digest(signer.signature(text, request), signature):
            raise Refusal("InvalidSignatureException", "The request signature does not match.", 403)

    def _send(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", str(uuid4()))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A thread a connection; none of them keeps the process alive."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.stand_in = stand_in


@click.command()
@click.option("--port", default=0, show_default=True, help="On 127.0.0.1; 0 takes a free one.")
@click.option("--region", default=lambda: os.environ.get("AWS_REGION", "us-east-1"))
@click.option("--workers", default=2, show_default=True, help="Processes that recognise.")
@click.option("--starts-per-second", default=5.0, show_default=True)
@click.option("--gets-per-second", default=25.0, show_default=True)
@click.option("--jobs-in-flight", default=100, show_default=True)
@click.option("--job-seconds", default=1.0, show_default=True, help="That a job takes at least.")
@click.option("--max-pages", default=3000, show_default=True)
@click.option("--max-file-bytes", default=500_000_000, show_default=True)
@click.option("--max-picture-bytes", default=10_000_000, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of what goes wrong by chance.")
def main(port: int, workers: int, seed: int, **settings: Any) -> None:
    """Serve until interrupted."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # A parent process may have had it ignored.
    engine = LocalEngine(workers=workers)
    stand_in = StandIn(Settings(**settings), engine, 2 * workers, seed)
    server = Server(port, stand_in)
    click.echo(f"http://127.0.0.1:{server.server_port}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        stand_in.close()
        engine.close()


if __name__ == "__main__":
    main()
