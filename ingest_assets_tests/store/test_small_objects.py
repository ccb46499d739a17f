"""Small objects are written and read without boto3, with the same result."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from botocore.credentials import Credentials

from ingest_assets.errors import ConfigurationError, PermanentError
from ingest_assets.store.object_store import PART_BYTES, ObjectStore
from ingest_assets_tests.support.servers import Services

CONTENT = b"some bytes"
ANNOUNCED: dict[str, Any] = {
    "size_bytes": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "mime_type": "application/pdf",
    "metadata": {"original-file-name": "a%20name.pdf", "source-uri": "file:///in/a%20name.pdf"},
}
# Of AWS's safe characters, those that other software escapes.
KEY = "documents/3fa9/it's (a) *name*!.pdf"


@pytest.fixture
def calls() -> list[str]:
    """Names of boto3's calls."""
    return []


@pytest.fixture
def make(services: Services, bucket: str, calls: list[str]) -> Callable[..., ObjectStore]:
    environment = services.environment

    def make(secret: str | None = None) -> ObjectStore:
        credentials = Credentials(
            environment["AWS_ACCESS_KEY_ID"], secret or environment["AWS_SECRET_ACCESS_KEY"]
        )
        client = services.new_s3_client(secret)
        client.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
        return ObjectStore(client, bucket, credentials)

    return make


def test_it_is_as_boto3_would_have_written_it(
    make: Callable[..., ObjectStore], services: Services, bucket: str, calls: list[str]
) -> None:
    objects, slow = make(), ObjectStore(services.s3_client(), bucket)
    assert objects.put_new(KEY, io.BytesIO(CONTENT), **ANNOUNCED)
    assert not objects.put_new(KEY, io.BytesIO(CONTENT), **ANNOUNCED)
    assert calls == []
    assert slow.put_new("documents/other", io.BytesIO(CONTENT), **ANNOUNCED)
    written, expected = slow.head(KEY), slow.head("documents/other")
    assert objects.head(KEY) == written
    assert calls == []
    assert written is not None
    assert expected is not None
    # Both carry the digest that S3 has computed, and the metadata that rows are restored from.
    assert written.sha256 == expected.sha256 == ANNOUNCED["sha256"]
    assert written.metadata == expected.metadata == ANNOUNCED["metadata"]
    assert written.mime_type == expected.mime_type == "application/pdf"
    calls.clear()
    target = io.BytesIO()
    objects.download(KEY, target)
    assert target.getvalue() == CONTENT
    assert calls == []
    assert [found.key for found in slow.listing("documents/3fa9")] == [KEY]


def test_results_are_overwritten(make: Callable[..., ObjectStore], calls: list[str]) -> None:
    objects = make()
    for body in (b"first", b"second"):
        objects.put_derived("derived/3fa9/thumbnail.jpg", body, "image/jpeg")
    assert calls == []
    assert objects.get_derived("derived/3fa9/thumbnail.jpg") == b"second"


def test_what_is_unusual_has_boto3s_errors(
    make: Callable[..., ObjectStore], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PermanentError, match="no such object"):
        make().download("documents/none", io.BytesIO())
    wrong = make("not the secret")
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigurationError):
        wrong.put_new(KEY, io.BytesIO(CONTENT), **ANNOUNCED)
    assert "boto3's client does it again" in caplog.text
    with pytest.raises(ConfigurationError):
        wrong.head(KEY)
    assert make().head(KEY) is None


def test_a_large_object_is_read_in_pieces(make: Callable[..., ObjectStore], calls: list[str]) -> None:
    objects = make()
    content = bytes(PART_BYTES + 1)
    objects.put_derived("derived/large", content, "text/plain")
    target = io.BytesIO()
    objects.download("derived/large", target)
    assert target.getvalue() == content
    assert calls == ["GetObject"]
