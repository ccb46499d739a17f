"""`why`: the story of one document, whatever became of it."""

from __future__ import annotations

import pytest

from ingest_assets.errors import TransientError
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.operations.history import Candidates, History, history
from ingest_assets.operations.retry_policy import RetryRules
from ingest_assets_tests.operations.verification.test_engine import add_source, change
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline

RULES = RetryRules(cool_down_seconds=60, limit=3)


def story(pipeline: Pipeline, wanted: str) -> str:
    """What `why` prints of one document."""
    assert isinstance(history(pipeline.database, wanted, RULES), History)
    return pipeline.why(wanted)


def no_story(pipeline: Pipeline, wanted: str) -> str:
    """What `why` prints where it finds no document, or several."""
    assert isinstance(history(pipeline.database, wanted, RULES), Candidates)
    return pipeline.why(wanted)


def test_a_completed_document(pipeline: Pipeline) -> None:
    path = pipeline.put("agreement.pdf", pdf("Between two parties.", "Signed."))
    (run,) = pipeline.ingest()
    (row,) = pipeline.rows("SELECT * FROM ingest.source_documents")
    told = story(pipeline, "agreement.pdf")
    assert told.startswith("'agreement.pdf': completed")
    assert path.as_uri() in told
    assert f"It is document {row.document_uuid}, application/pdf, registered at" in told
    assert f"Its object is s3://{row.s3_bucket}/{row.s3_key}, verified at" in told
    assert "2 pages, " in told
    assert " characters" in told
    for stage in ("document_row", "document_object", "document_text"):
        assert f"{stage}, attempt 1: succeeded" in told
    assert f"http://dagit/runs/{run.run_id}" in told
    assert told.endswith("What happens next: nothing; it is done.")
    # By any of its names.
    assert story(pipeline, str(row.document_uuid)) == told
    assert story(pipeline, row.partition_key) == told
    assert story(pipeline, "GREEMENT") == told


def test_a_duplicate(pipeline: Pipeline) -> None:
    pipeline.put("first.txt", b"The same.")
    pipeline.ingest()
    pipeline.put("second.txt", b"The same.")
    pipeline.ingest()
    told = story(pipeline, "second.txt")
    assert told.startswith("'second.txt': duplicate")
    assert "It is a duplicate: 'first.txt' (partition first-" in told
    assert told.endswith("nothing; it is done.")
    (row,) = pipeline.rows("SELECT * FROM ingest.source_documents")
    # The document's own story is that of the sighting that registered it.
    told = story(pipeline, str(row.document_uuid))
    assert told.startswith("'first.txt': completed")
    assert "The same bytes were seen elsewhere, too (1):" in told
    assert "second.txt (partition second-" in told


def test_a_failed_document(pipeline: Pipeline) -> None:
    pipeline.put("broken.pdf", b"%PDF-1.4 broken")
    pipeline.ingest()
    told = story(pipeline, "broken.pdf")
    assert told.startswith("'broken.pdf': failed")
    assert "document_text, attempt 1: failed (permanent, corrupt_document)" in told
    assert "What to do: Get an undamaged copy" in told
    assert "It has no text yet." in told
    assert "What happens next: it waits for a person" in told


def test_a_rejected_document(pipeline: Pipeline) -> None:
    pipeline.put("empty.pdf", b"")
    pipeline.ingest()
    told = story(pipeline, "empty.pdf")
    assert told.startswith("'empty.pdf': rejected")
    assert "document   none yet" in told
    assert "failed (permanent, empty)" in told
    assert "'empty.pdf' is empty (0 bytes)." in told
    assert "What happens next: nothing; it is no document." in told


def test_a_document_that_may_pass_later(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(self: LocalEngine, document: StoredObject) -> Recognition:
        raise TransientError("throttled", "The engine has too much to do.", "It is tried again.")

    monkeypatch.setattr(LocalEngine, "recognise", throttled)
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    told = story(pipeline, "note.txt")
    assert "failed (transient, throttled)" in told
    assert "tries it again after " in told
    assert "(runs that failed: 1)" in told

    # The third of three runs, an hour ago.
    (row,) = pipeline.rows("SELECT * FROM ingest.document_sources")
    for run in ("second", "third"):
        change(
            pipeline,
            "INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id, status,"
            " error_class, error_code, error_message, finished_at) SELECT partition_key, stage,"
            f" max(attempt) + 1, '{run}', 'failed', 'transient', 'throttled', 'Again.', now()"
            " FROM ingest.stage_attempts WHERE stage = 'document_text' GROUP BY 1, 2",
        )
    told = story(pipeline, row.partition_key)
    assert "it waits for a person: 3 runs failed at its document_text" in told


def test_a_document_that_waits_or_is_worked_on(pipeline: Pipeline) -> None:
    key = add_source(pipeline, "waiting")
    assert "it waits for the next run that the sensor" in story(pipeline, key)
    assert "it waits until a person launches a backfill" in story(
        pipeline, add_source(pipeline, "upload", kind="s3")
    )
    change(
        pipeline,
        "INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id)"
        f" VALUES ('{key}', 'document_row', 1, 'run')",
    )
    assert "a run is working on it (document_row)" in story(pipeline, key)
    change(pipeline, "UPDATE ingest.stage_attempts SET heartbeat_at = now() - interval '1 hour'")
    told = story(pipeline, key)
    assert "Last sign of life 3600 s ago." in told
    assert "it was left unfinished; the sensor `retry_failed` tries it again now" in told
    change(
        pipeline,
        "UPDATE ingest.stage_attempts SET status = 'succeeded', finished_at = now(),"
        " heartbeat_at = now()",
    )
    assert "its document_row is done; its run goes on with document_object" in story(pipeline, key)


def test_several_are_listed_and_none_is_said(pipeline: Pipeline) -> None:
    for number in range(22):
        add_source(pipeline, f"memo{number:02}")
    told = no_story(pipeline, "memo")
    assert told.startswith("More than 20 documents have 'memo' in their file name")
    assert len(told.splitlines()) == 21
    told = no_story(pipeline, "memo1")
    assert told.startswith("10 documents")
    assert "memo13-0123456789ab  discovered" in told
    assert "No document has 'nowhere'" in no_story(pipeline, "nowhere")


@pytest.mark.parametrize("wanted", ["%", "_", "\\", "m%o", "'; DROP SCHEMA ingest --", "a\x00b", "é"])
def test_what_is_asked_for_is_taken_literally(pipeline: Pipeline, wanted: str) -> None:
    add_source(pipeline, "memo")
    no_story(pipeline, wanted)
    assert story(pipeline, "memo")
