"""`rebuild-db`: the same documents with the same UUIDs, and nothing made up."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from ingest_assets.cli import render
from ingest_assets.defs.partitions import add_partitions
from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.reconcile.rebuild import Rebuilt, rebuild
from ingest_assets_tests.support.bucket import (
    adopt_all,
    classes,
    execute,
    key_of,
    put,
    tables,
    upload,
)
from ingest_assets_tests.support.pipeline import Pipeline

DOCUMENTS = """
    SELECT document_uuid, sha256, original_file_name, s3_bucket, s3_key, s3_etag, file_size_bytes,
           mime_type, partition_key FROM ingest.source_documents ORDER BY document_uuid
"""
SOURCES = """
    SELECT partition_key, source_uri, kind, original_file_name, size_bytes, source_version,
           document_uuid FROM ingest.document_sources WHERE partition_key IN
           (SELECT partition_key FROM ingest.source_documents) ORDER BY partition_key
"""


def drop(pipeline: Pipeline) -> None:
    execute(pipeline, "TRUNCATE ingest.document_sources CASCADE")


def restore(pipeline: Pipeline, **options: Any) -> Rebuilt:
    return rebuild(pipeline.database, pipeline.objects, batch_size=5, **options)


def fill(pipeline: Pipeline) -> str:
    """Documents of all sorts; returns the key of the one that was uploaded without a row."""
    original = upload(pipeline, "uploaded.txt", b"Uploaded without a row.")
    keys = adopt_all(pipeline).partitions
    pipeline.run_range(keys[0], keys[-1])
    for number in range(7):
        pipeline.put(f"näme {number}, 100%.txt", b"note %d" % number)
    pipeline.put("copies/same.txt", b"note 3")
    pipeline.put("empty.txt", b"")
    pipeline.ingest()
    return original


def test_the_same_documents_with_the_same_uuids(pipeline: Pipeline) -> None:
    original = fill(pipeline)
    before = pipeline.rows(DOCUMENTS), pipeline.rows(SOURCES)
    drop(pipeline)

    done = restore(pipeline)
    assert (pipeline.rows(DOCUMENTS), pipeline.rows(SOURCES)) == before
    assert done.documents == len(done.partition_keys) == 8
    assert (done.objects, done.uploads) == (8, 1)
    assert done.not_restored == done.not_known == []
    assert "8 documents restored" in render.plain(render.rebuilt(done))
    assert classes(pipeline) == {original: "adopted"}  # its copy says where it came from

    # The files are known: only the second sighting and the empty one are found anew. Text is a
    # backfill away, and nobody has to ask for that of files.
    add_partitions(pipeline.instance, done.partition_keys)
    pipeline.ingest()
    states = [row.state for row in pipeline.rows("SELECT state FROM ingest.document_progress")]
    assert sorted(states) == ["completed"] * 7 + ["discovered", "duplicate", "rejected"]
    assert pipeline.rows(DOCUMENTS) == before[0]


def test_a_second_time_changes_nothing_and_missing_rows_are_added(pipeline: Pipeline) -> None:
    fill(pipeline)
    complete = restore(pipeline)
    assert (complete.documents, complete.already_there) == (0, 8)
    before = tables(pipeline)
    restore(pipeline)
    assert tables(pipeline) == before

    execute(
        pipeline,
        """
        CREATE TEMP TABLE gone AS SELECT document_uuid FROM ingest.source_documents
            WHERE original_file_name LIKE 'näme 5%';
        DELETE FROM ingest.document_texts WHERE document_uuid IN (TABLE gone);
        DELETE FROM ingest.stage_attempts WHERE document_uuid IN (TABLE gone);
        UPDATE ingest.document_sources SET document_uuid = NULL
            WHERE document_uuid IN (TABLE gone);
        DELETE FROM ingest.source_documents WHERE document_uuid IN (TABLE gone);
        """,
    )
    documents = set(before["source_documents"])
    done = restore(pipeline)
    assert (done.documents, done.already_there) == (1, 7)
    assert len(documents) == len(tables(pipeline)["source_documents"]) == 8
    assert not any("UUID" in reason for _, reason in done.not_restored)


def test_a_database_of_something_else_is_refused(pipeline: Pipeline) -> None:
    fill(pipeline)
    execute(pipeline, "UPDATE ingest.source_documents SET sha256 = :other"
            " WHERE original_file_name LIKE 'näme 2%'", other="f" * 64)  # fmt: skip
    before = tables(pipeline)
    with pytest.raises(ConfigurationError, match="Nothing was changed"):
        restore(pipeline)
    assert tables(pipeline) == before


def test_what_an_object_does_not_say_is_reported_and_not_made_up(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    note = key_of(pipeline, "note.txt")
    head = pipeline.objects.head(note)
    assert head is not None
    metadata = dict(head.metadata)
    drop(pipeline)
    bare = put(pipeline, f"documents/{uuid4()}/bare.txt", b"Without metadata.")
    lying = put(
        pipeline,
        f"documents/{uuid4()}/lying.txt",
        b"Other bytes than it says.",
        ContentType="text/plain",
        Metadata={**metadata, "sha256": "0" * 64, "partition-key": "lying-0123456789ab"},
    )
    twin = put(
        pipeline,
        f"documents/{uuid4()}/twin.txt",
        b"A note.",
        ContentType="text/plain",
        Metadata={**metadata, "partition-key": "twin-0123456789ab"},
    )
    brief = put(
        pipeline,
        f"documents/{uuid4()}/brief.txt",
        b"No source.",
        ContentType="text/plain",
        Metadata={
            "sha256": "97c1dc4cd8b0f2f5d83a5ee3e2ad9e8f0b9a5bc2b8d9b0f9e5c9bd3a8f0cf9d1",
            "original-file-name": "brief.txt",
            "partition-key": "brief-0123456789ab",
        },
    )
    done = restore(pipeline)
    reasons = dict(done.not_restored)
    assert "lacks sha256, original-file-name, partition-key" in reasons[bare]
    same = {key for key, reason in reasons.items() if "same bytes" in reason}
    assert len(same) == 1  # the younger, and S3's clock has full seconds
    assert same < {twin, note}
    assert "source-uri" in dict(done.not_known)[brief]
    assert lying not in reasons  # believed, unless the bytes are read
    drop(pipeline)
    assert {lying, brief} < dict(restore(pipeline, deep=True).not_restored).keys()
