"""AWS's errors have one meaning, whichever service answers with them."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
)
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from ingest_assets.errors import IngestError
from ingest_assets.extraction import comprehend
from ingest_assets.ocr.textract import faults
from ingest_assets.store import object_store
from ingest_assets.store.aws_faults import Kind, classify


def answer(code: str, status: int = 400) -> ClientError:
    """As boto3 raises what a service answers."""
    return ClientError(
        {"Error": {"Code": code, "Message": "Why."}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Operation",
    )


@pytest.mark.parametrize(
    "code",
    [
        *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,  # type: ignore[attr-defined]
        *TransientRetryableChecker._TRANSIENT_ERROR_CODES,  # type: ignore[attr-defined]
    ],
)
def test_what_boto3_repeats_may_pass(code: str) -> None:
    """An upgrade of boto3 that repeats more fails here."""
    assert classify(answer(code)).may_pass


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (answer("SlowDown", 503), "throttled", "SlowDown"),
        (answer("Unheard", 429), "throttled", "Unheard"),
        (answer("Unheard", 503), "unavailable", "Unheard"),
        (answer("InternalServerException"), "unavailable", "InternalServerException"),
        (answer("ExpiredToken"), "refused", "ExpiredToken"),
        (answer("403", 403), "refused", "403"),
        (answer("Unheard"), "rejected", "Unheard"),
        (NoCredentialsError(), "refused", "NoCredentialsError"),
        (ProfileNotFound(profile="x"), "refused", "ProfileNotFound"),
        (EndpointConnectionError(endpoint_url="http://x"), "unavailable", "EndpointConnectionError"),
        (ConnectTimeoutError(endpoint_url="http://x"), "unavailable", "ConnectTimeoutError"),
    ],
)
def test_code_and_status_decide(error: BotoCoreError | ClientError, kind: Kind, code: str) -> None:
    fault = classify(error)
    assert (fault.kind, fault.code) == (kind, code)


def test_codes_of_one_service_go_first() -> None:
    assert classify(answer("InvalidObjectState", 403)).kind == "refused"
    assert classify(answer("InvalidObjectState", 403), {"InvalidObjectState": "rejected"}).kind == (
        "rejected"
    )


def of_s3(error: BotoCoreError | ClientError) -> IngestError:
    with pytest.raises(IngestError) as raised, object_store._typed("reading s3://bucket/key"):
        raise error
    return raised.value


def of_comprehend(error: BotoCoreError | ClientError) -> IngestError:
    with pytest.raises(IngestError) as raised, comprehend._typed():
        raise error
    return raised.value


def of_textract(error: BotoCoreError | ClientError) -> IngestError:
    return faults.typed(error, "a call")


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (answer("ThrottlingException"), ["unavailable", "unavailable", "throttled"]),
        (answer("InternalFailure", 500), ["unavailable"] * 3),
        (EndpointConnectionError(endpoint_url="http://x"), ["unavailable"] * 3),
        (answer("ExpiredToken", 400), ["refused"] * 3),
        (NoCredentialsError(), ["refused"] * 3),
        (answer("MalformedXML"), ["rejected"] * 3),
    ],
)
def test_each_service_gives_the_same_fault_its_own_code(
    error: BotoCoreError | ClientError, ends: list[str]
) -> None:
    codes = [of_s3(error).code, of_comprehend(error).code, of_textract(error).code]
    services = ["object_store", "comprehend", "textract"]
    assert codes == [f"{service}_{end}" for service, end in zip(services, ends, strict=True)]
