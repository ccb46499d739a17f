"""`document_object`: verified, never overwritten, and only after the row."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials

from ingest_assets.errors import ConfigurationError, PermanentError, TransientError
from ingest_assets.store import object_store
from ingest_assets.store.object_store import PART_BYTES, ObjectHead, ObjectStore
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.servers import Services


@pytest.fixture
def objects(services: Services, bucket: str) -> ObjectStore:
    return ObjectStore(services.s3_client(), bucket, credentials_of(services))


def credentials_of(services: Services, secret: str | None = None) -> Credentials:
    environment = services.environment
    return Credentials(environment["AWS_ACCESS_KEY_ID"], secret or environment["AWS_SECRET_ACCESS_KEY"])


def announce(content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {
        "size_bytes": len(content),
        "sha256": digest,
        "mime_type": "text/plain",
        "metadata": {"sha256": digest},
    }


SMALL, LARGE = b"small", os.urandom(2 * PART_BYTES + 17)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["one request", "parts"])
def test_an_object_is_never_overwritten(objects: ObjectStore, content: bytes) -> None:
    assert objects.put_new("documents/x/name", io.BytesIO(content), **announce(content))
    other = bytes(reversed(content))
    assert not objects.put_new("documents/x/name", io.BytesIO(other), **announce(other))
    assert objects.sha256("documents/x/name") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["one request", "parts"])
@pytest.mark.parametrize("change", [b"", b"longer"], ids=["other bytes", "grown"])
def test_other_bytes_than_announced_are_never_stored(
    objects: ObjectStore, content: bytes, change: bytes
) -> None:
    changed = bytes(reversed(content)) + change
    with pytest.raises(PermanentError, match="not those that were registered"):
        objects.put_new("documents/x/name", io.BytesIO(changed), **announce(content))
    assert objects.head("documents/x/name") is None
    assert "Uploads" not in objects.client.list_multipart_uploads(Bucket=objects.bucket)


def test_s3_says_which_parts_it_holds(objects: ObjectStore) -> None:
    written = objects.put_new("documents/x/name", io.BytesIO(LARGE), **announce(LARGE))
    head = objects.head("documents/x/name")
    assert head is not None
    assert head.sha256 is None
    assert written is not None
    assert written.sha256_of_parts == head.sha256_of_parts
    digests = (
        hashlib.sha256(LARGE[start : start + PART_BYTES]).digest()
        for start in range(0, len(LARGE), PART_BYTES)
    )
    whole = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    assert head.sha256_of_parts == f"{whole}-3"


@pytest.mark.parametrize("told", ["right", "other", None])
def test_a_large_object_is_read_again_only_if_s3_does_not_say_which_parts_it_holds(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    read: list[str] = []
    ask, sha256 = ObjectStore.head, ObjectStore.sha256

    def head(self: ObjectStore, key: str) -> ObjectHead | None:
        found = ask(self, key)
        return found if found is None or told == "right" else replace(found, sha256_of_parts=told)

    def reading(self: ObjectStore, key: str) -> str:
        read.append(key)
        return sha256(self, key)

    monkeypatch.setattr(object_store, "PART_BYTES", 5 << 20)
    monkeypatch.setattr(ObjectStore, "head", head)
    monkeypatch.setattr(ObjectStore, "sha256", reading)
    pipeline.put("large.txt", b"A line of a large text.\n" * 250_000)
    (request,) = pipeline.requests()
    key = request.tags["dagster/asset_partition_range_start"]
    assert pipeline.run_range(key, key, assets=["document_row", "document_object"]).success
    (row,) = pipeline.rows("SELECT s3_key, upload_timestamp FROM ingest.source_documents")
    assert row.upload_timestamp is not None
    assert read == ([] if told == "right" else [row.s3_key])


def test_errors_have_classes(services: Services, objects: ObjectStore, bucket: str) -> None:
    wrong = ObjectStore(services.new_s3_client("not the secret"), bucket)
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL_S3") as refused:
        wrong.put_new("documents/x/name", io.BytesIO(SMALL), **announce(SMALL))
    assert "not the secret" not in str(refused.value)
    with pytest.raises(PermanentError, match="no such object"):
        list(objects.stream("documents/x/nothing"))
    nobody = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:1",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}),
    )
    with pytest.raises(TransientError, match="not reached"):
        ObjectStore(nobody, bucket).head("documents/x/name")


def test_an_object_that_is_there_with_the_right_bytes_is_a_success(pipeline: Pipeline) -> None:
    content = b"written by a process that was killed before it could say so"
    pipeline.put("note.txt", content)
    (request,) = pipeline.requests()
    key = request.tags["dagster/asset_partition_range_start"]
    assert pipeline.run_range(key, key, assets=["document_row"]).success
    (row,) = pipeline.rows("SELECT s3_key FROM ingest.source_documents")
    pipeline.objects.put_new(row.s3_key, io.BytesIO(content), **announce(content))

    assert pipeline.launch(request).success
    assert pipeline.object_keys() == [row.s3_key]


def test_an_object_with_other_bytes_is_an_error_and_stays(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"the registered bytes")
    (request,) = pipeline.requests()
    key = request.tags["dagster/asset_partition_range_start"]
    assert pipeline.run_range(key, key, assets=["document_row"]).success
    (row,) = pipeline.rows("SELECT s3_key FROM ingest.source_documents")
    other = b"not the registered by"
    pipeline.objects.client.put_object(Bucket=pipeline.objects.bucket, Key=row.s3_key, Body=other)

    pipeline.launch(request)
    assert pipeline.errors() == {"note.txt": "object_differs"}
    assert pipeline.objects.sha256(row.s3_key) == hashlib.sha256(other).hexdigest()
    (row,) = pipeline.rows("SELECT upload_timestamp FROM ingest.source_documents")
    assert row.upload_timestamp is None


def test_a_file_that_changed_since_registration_is_an_error(pipeline: Pipeline) -> None:
    path = pipeline.put("note.txt", b"the registered bytes")
    (request,) = pipeline.requests()
    key = request.tags["dagster/asset_partition_range_start"]
    pipeline.run_range(key, key, assets=["document_row"])
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(b"the registered BYTES")  # same size, and the time put back
    os.utime(path, ns=times)

    pipeline.launch(request)
    assert pipeline.errors() == {"note.txt": "content_changed"}
    assert pipeline.object_keys() == []


def test_what_the_bucket_needs_to_restore_the_rows_is_on_the_object(pipeline: Pipeline) -> None:
    path = pipeline.put("naïve, 100%.txt", b"note")
    pipeline.ingest()
    (key,) = pipeline.object_keys()
    head = pipeline.objects.head(key)
    (source,) = pipeline.rows("SELECT * FROM ingest.document_sources")
    assert head is not None
    assert head.metadata == {
        "sha256": hashlib.sha256(b"note").hexdigest(),
        "original-file-name": "na%C3%AFve,%20100%25.txt",
        "source-uri": source.source_uri,
        "partition-key": source.partition_key,
        "source-version": source.source_version,
    }
    assert Path(path).read_bytes() == b"note"
