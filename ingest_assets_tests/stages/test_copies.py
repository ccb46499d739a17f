"""Adopting: an object that is in the bucket already becomes the document's object, on the server."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from ingest_assets.errors import PermanentError
from ingest_assets.stages.runner import Outcome, Runner
from ingest_assets.store.object_store import Copied, ObjectStore
from ingest_assets_tests.support.bucket import adopt_all, key_of, put, remove, upload
from ingest_assets_tests.support.pipeline import STAGES, Pipeline
from ingest_assets_tests.support.servers import Services

MEBIBYTE = 1024**2
ONE, PARTS = os.urandom(100_000), os.urandom(12 * MEBIBYTE + 17)


@pytest.fixture
def objects(services: Services, bucket: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A bucket in which more than 6 MiB are copied in parts of 5."""
    monkeypatch.setattr("ingest_assets.store.object_store.COPY_BYTES", 6 * MEBIBYTE)
    monkeypatch.setattr("ingest_assets.store.object_store.COPY_PART_BYTES", 5 * MEBIBYTE)
    return ObjectStore(services.s3_client(), bucket)


def write(objects: ObjectStore, key: str, content: bytes) -> dict[str, Any]:
    """An object, and what is announced of it."""
    objects.client.put_object(
        Bucket=objects.bucket, Key=key, Body=content, Metadata={"old": "metadata"}
    )
    head = objects.head(key)
    assert head is not None
    return {
        "etag": head.etag,
        "size_bytes": len(content),
        "mime_type": "application/pdf",
        "metadata": {"sha256": hashlib.sha256(content).hexdigest()},
    }


@pytest.mark.parametrize("content", [ONE, PARTS], ids=["one request", "parts"])
def test_a_copy_has_the_bytes_and_our_metadata(objects: ObjectStore, content: bytes) -> None:
    announced = write(objects, "documents/old #1 é.pdf", content)
    copied = objects.copy_new("documents/old #1 é.pdf", "documents/x/name", **announced)
    assert copied.written
    assert objects.sha256("documents/x/name") == hashlib.sha256(content).hexdigest()
    assert copied.sha256 in (None, hashlib.sha256(content).hexdigest())
    head = objects.head("documents/x/name")
    assert head is not None
    assert (head.metadata, head.mime_type) == (announced["metadata"], "application/pdf")
    assert [one.key for one in objects.listing("derived/")] == []  # the probe cleaned up


@pytest.mark.parametrize("content", [ONE, PARTS], ids=["one request", "parts"])
@pytest.mark.parametrize("honoured", [True, False])
def test_a_copy_never_overwrites(objects: ObjectStore, content: bytes, honoured: bool) -> None:
    objects.__dict__["_copies_conditionally"] = honoured
    announced = write(objects, "documents/old", content)
    write(objects, "documents/x/name", b"already there")
    assert objects.copy_new("documents/old", "documents/x/name", **announced) == Copied(False)
    assert objects.sha256("documents/x/name") == hashlib.sha256(b"already there").hexdigest()


def test_of_copies_at_the_same_time_one_is_written(objects: ObjectStore) -> None:
    assert objects._copies_conditionally
    sources = [f"documents/old {number}" for number in range(8)]
    contents = [bytes([number]) + ONE for number in range(8)]
    announced = [write(objects, *pair) for pair in zip(sources, contents, strict=True)]
    together = Barrier(8)
    head = objects.head

    def late(key: str) -> Any:
        found = head(key)
        if key == "documents/x/name" and found is None:
            together.wait(240)  # all have looked, and none has copied
        return found

    objects.head = late  # type: ignore[method-assign]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(
            lambda pair: objects.copy_new(pair[0], "documents/x/name", **pair[1]),
            zip(sources, announced, strict=True),
        ))  # fmt: skip
    written = [number for number, copied in enumerate(results) if copied.written]
    assert len(written) == 1
    digest = hashlib.sha256(contents[written[0]]).hexdigest()
    assert objects.sha256("documents/x/name") == digest


@pytest.mark.parametrize("content", [b"A small one.", b"A large one, copied in parts. " * 500_000])
def test_twins_adopted_at_the_same_time_are_copied_once(
    pipeline: Pipeline, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """By the document's lock, whatever the endpoint makes of conditions.

    The embedded S3 completes two uploads in parts under one key now and then, when both end within
    milliseconds.
    """
    for number in range(4):
        upload(pipeline, f"twin {number}.txt", content)
    partitions = adopt_all(pipeline).partitions
    copies: list[Copied] = []
    copy_new = ObjectStore.copy_new

    def noted(self: ObjectStore, *arguments: Any, **announced: Any) -> Copied:
        copies.append(copy_new(self, *arguments, **announced))
        return copies[-1]

    monkeypatch.setattr(ObjectStore, "copy_new", noted)
    services = pipeline.stage_services()

    def run(run_id: str) -> list[Outcome]:
        return list(Runner(services, STAGES[:2], run_id, 4).run(partitions))

    with ThreadPoolExecutor(2) as pool:
        outcomes = [outcome for done in pool.map(run, ("one", "two")) for outcome in done]
    assert [outcome.error for outcome in outcomes] == [None] * 16
    assert [copied.written for copied in copies] == [True]


@pytest.mark.parametrize("content", [ONE, PARTS], ids=["one request", "parts"])
def test_another_source_than_announced_is_not_copied(objects: ObjectStore, content: bytes) -> None:
    announced = write(objects, "documents/old", content)
    write(objects, "documents/old", bytes(reversed(content)))
    with pytest.raises(PermanentError, match="was replaced"):
        objects.copy_new("documents/old", "documents/x/name", **announced)
    assert objects.head("documents/x/name") is None


def test_an_endpoint_that_ignores_the_condition_is_found_out_once(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[dict[str, Any]] = []
    copy_object = objects.client.copy_object

    def lax(**request: Any) -> Any:
        copies.append(request)
        return copy_object(**{k: v for k, v in request.items() if k != "IfNoneMatch"})

    monkeypatch.setattr(objects.client, "copy_object", lax)
    announced = write(objects, "documents/old", ONE)
    for number in range(3):
        assert objects.copy_new("documents/old", f"documents/{number}/name", **announced).written
    assert ["IfNoneMatch" in copy for copy in copies] == [True, False, False, False]


def test_a_removal_is_of_that_object_and_no_other(objects: ObjectStore) -> None:
    etag = write(objects, "documents/old", ONE)["etag"]
    write(objects, "documents/old", b"replaced")
    with pytest.raises(PermanentError, match="was replaced"):
        objects.delete("documents/old", etag)
    assert objects.head("documents/old") is not None


def test_a_copy_with_other_bytes_is_never_called_stored(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(pipeline, "note.txt", b"The bytes that were registered.")
    (partition,) = adopt_all(pipeline).partitions

    def corrupt(self: ObjectStore, source_key: str, key: str, **announced: Any) -> Copied:
        put(pipeline, key, b"The bytes that were REGISTERED.")
        return Copied(True)

    monkeypatch.setattr(ObjectStore, "copy_new", corrupt)
    pipeline.run_range(partition, partition)
    assert pipeline.errors() == {"note.txt": "object_differs"}
    (row,) = pipeline.rows("SELECT upload_timestamp FROM ingest.source_documents")
    assert row.upload_timestamp is None


def test_an_upload_that_goes_or_changes_before_it_is_read_says_so(pipeline: Pipeline) -> None:
    gone = upload(pipeline, "gone.txt", b"soon gone")
    upload(pipeline, "changed.txt", b"before")
    copied_late = upload(pipeline, "late.txt", b"gone between row and object")
    keys = adopt_all(pipeline).partitions
    pipeline.run_range(keys[0], keys[-1], assets=["document_row"])
    remove(pipeline, copied_late)
    pipeline.run_range(keys[0], keys[-1], assets=["document_object"])
    assert pipeline.errors() == {"late.txt": "source_missing"}

    upload(pipeline, "gone.txt", b"soon gone, for the second time")
    upload(pipeline, "changed.txt", b"before, for the second time")
    keys = adopt_all(pipeline).partitions
    remove(pipeline, gone)
    upload(pipeline, "changed.txt", b"after")
    pipeline.run_range(keys[0], keys[-1])
    errors = pipeline.rows("SELECT original_file_name, error_code FROM ingest.document_progress"
                           " WHERE partition_key = ANY(:keys)", keys=keys)  # fmt: skip
    assert dict(map(tuple, errors)) == {
        "gone.txt": "source_missing",
        "changed.txt": "content_changed",
    }


def test_an_upload_of_another_bucket_is_refused(pipeline: Pipeline) -> None:
    upload(pipeline, "note.txt", b"A note.")
    (partition,) = adopt_all(pipeline).partitions
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE ingest.document_sources SET source_uri = 's3://other/note.txt'"
        )
    pipeline.run_range(partition, partition)
    assert pipeline.errors() == {"note.txt": "outside_bucket"}


def test_what_is_on_a_copy_restores_its_rows(pipeline: Pipeline) -> None:
    upload(pipeline, "naïve, 100%.txt", b"note")
    (partition,) = adopt_all(pipeline).partitions
    assert pipeline.run_range(partition, partition).success
    head = pipeline.objects.head(key_of(pipeline, "naïve, 100%.txt"))
    (source,) = pipeline.rows("SELECT * FROM ingest.document_sources")
    assert head is not None
    assert head.mime_type == "text/plain"
    assert head.metadata["original-file-name"] == "na%C3%AFve,%20100%25.txt"
    assert head.metadata["source-uri"] == source.source_uri
    assert head.metadata["source-version"] == source.source_version
    assert head.metadata["partition-key"] == partition
