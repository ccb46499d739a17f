"""The stand-in refuses what Textract refuses, so that what passes with it deserves to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ingest_assets_tests.ocr.textract.conftest import OPTIONS
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.servers import Services
from ingest_assets_tests.support.stand_in import StandIn, stand_in

if TYPE_CHECKING:
    from mypy_boto3_textract import TextractClient

WEEK = 7 * 24 * 3600


@pytest.fixture(scope="module")
def strict(services: Services) -> Iterator[StandIn]:
    """A stand-in with small limits, in which one job is allowed at a time."""
    options = (*OPTIONS, "--jobs-in-flight", "1", "--max-pages", "2", "--max-picture-bytes", "2000")
    with stand_in(services.environment, *options) as running:
        yield running


def client(strict: StandIn, services: Services, **other: Any) -> TextractClient:
    """Real boto3, which does not try again."""
    environment = services.environment
    settings = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": "us-east-1",
        **other,
    }
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    made: TextractClient = boto3.client("textract", endpoint_url=strict.url, config=config, **settings)
    return made


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    code: str = error.value.response["Error"]["Code"]
    return code


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"aws_access_key_id": "nobody"}, "UnrecognizedClientException"),
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"region_name": "eu-west-1"}, "InvalidSignatureException"),
    ],
    ids=["key", "secret", "region"],
)
def test_signatures_are_checked(
    strict: StandIn, services: Services, other: dict[str, str], code: str
) -> None:
    calls = client(strict, services, **other)
    assert refused(calls.get_document_text_detection, JobId="0") == code


def test_requests_are_checked(strict: StandIn, services: Services, bucket: str) -> None:
    calls = client(strict, services)
    place = {"S3Object": {"Bucket": bucket, "Name": "there-is-none.pdf"}}
    start = calls.start_document_text_detection
    assert refused(start, DocumentLocation=place) == "InvalidS3ObjectException"
    for wrong in (
        {},
        {"DocumentLocation": {"S3Object": {"Bucket": bucket, "Name": "a#b.pdf"}}},
        {"DocumentLocation": place, "ClientRequestToken": "x" * 65},
        {"DocumentLocation": place, "ClientRequestToken": "a.b"},
        {"DocumentLocation": {"S3Object": {"Bucket": "x", "Name": "y"}}},
    ):
        assert refused(start, **wrong) == "InvalidParameterException"
    assert refused(calls.get_document_text_detection, JobId="0") == "InvalidJobIdException"
    image = {"Bytes": b"x"}
    assert refused(calls.detect_document_text, Document=image) == "UnknownOperationException"


def test_documents_are_checked(strict: StandIn, services: Services, bucket: str) -> None:
    calls, s3 = client(strict, services), services.s3_client()
    found = {}
    for name, content in {
        "note.txt": b"A note.",
        "large.png": picture(*"ABCDEFGH"),
        "long.pdf": pdf(*"ABC"),
    }.items():
        s3.put_object(Bucket=bucket, Key=name, Body=content)
        place = {"S3Object": {"Bucket": bucket, "Name": name}}
        try:
            job = calls.start_document_text_detection(DocumentLocation=place)["JobId"]  # type: ignore[arg-type]
            found[name] = _result(calls, job).get("StatusMessage", "")
        except ClientError as error:
            found[name] = error.response["Error"]["Code"]
    assert found == {
        "note.txt": "UnsupportedDocumentException",
        "large.png": "DocumentTooLargeException",
        "long.pdf": "Document exceeds the maximum of 2 pages",
    }


def test_tokens_jobs_and_results_live_for_a_week(
    strict: StandIn, services: Services, bucket: str
) -> None:
    calls, s3 = client(strict, services), services.s3_client()
    for name in ("one.pdf", "two.pdf"):
        s3.put_object(Bucket=bucket, Key=name, Body=pdf("A few words."))
    one, two = (
        {"DocumentLocation": {"S3Object": {"Bucket": bucket, "Name": f"{name}.pdf"}}}
        for name in ("one", "two")
    )
    start, get = calls.start_document_text_detection, calls.get_document_text_detection
    job = start(**one, ClientRequestToken="t")["JobId"]  # type: ignore[arg-type]
    strict.faults(stay=True)
    assert refused(start, **two) == "LimitExceededException"
    assert start(**one, ClientRequestToken="t")["JobId"] == job  # type: ignore[arg-type]
    assert refused(start, **two, ClientRequestToken="t") == "IdempotentParameterMismatchException"
    assert get(JobId=job)["JobStatus"] == "IN_PROGRESS"
    strict.faults()
    _result(calls, job)
    blocks = []
    next_token: dict[str, str] = {}
    while True:
        answer = get(JobId=job, MaxResults=2, **next_token)
        assert len(answer["Blocks"]) <= 2
        blocks += answer["Blocks"]
        if "NextToken" not in answer:
            break
        next_token = {"NextToken": answer["NextToken"]}
    assert [(b["BlockType"], b.get("Text")) for b in blocks] == [
        ("PAGE", None),
        ("LINE", "A few words."),
        ("WORD", "A"),
        ("WORD", "few"),
        ("WORD", "words."),
    ]
    assert refused(get, JobId=job, NextToken="made-up") == "InvalidParameterException"
    strict.advance(WEEK + 1)
    assert refused(get, JobId=job) == "InvalidJobIdException"
    assert start(**one, ClientRequestToken="t")["JobId"] != job  # type: ignore[arg-type]


def _result(calls: TextractClient, job: str) -> dict[str, Any]:
    while (answer := calls.get_document_text_detection(JobId=job))["JobStatus"] == "IN_PROGRESS":
        pass
    return dict(answer)
