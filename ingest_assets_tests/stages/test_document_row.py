"""`document_row`: what is a document, by content and never by name."""

from __future__ import annotations

from ingest_assets_tests.support.containers import ole
from ingest_assets_tests.support.documents import picture
from ingest_assets_tests.support.pipeline import Pipeline


def test_a_picture_called_pdf_is_a_picture(pipeline: Pipeline) -> None:
    pipeline.put("scan.pdf", picture("LEDGER 1881"))
    pipeline.ingest()
    (row,) = pipeline.rows("SELECT mime_type, s3_key FROM ingest.source_documents")
    assert row.mime_type == "image/png"
    assert pipeline.states() == {"scan.pdf": "completed"}


def test_rejections_have_reasons(pipeline: Pipeline) -> None:
    pipeline.put("empty.pdf", b"")
    pipeline.put("program", b"\x7fELF\x02\x01\x01\x00" + bytes(100))
    pipeline.put("disk.docx", b"\x1f\x9d\x90" + bytes(range(256)))  # Packed by compress.
    pipeline.ingest()
    assert pipeline.errors() == {
        "empty.pdf": "empty",
        "program": "unsupported_type",
        "disk.docx": "unsupported_type",
    }
    assert set(pipeline.states().values()) == {"rejected"}
    assert pipeline.object_keys() == []


def test_a_refusal_names_the_type(pipeline: Pipeline) -> None:
    pipeline.put("holiday.pdf", b"Rar!\x1a\x07\x01\x00" + bytes(range(256)))
    pipeline.put("secret.docx", ole("EncryptedPackage", "EncryptionInfo"))
    pipeline.ingest()
    assert pipeline.states() == {"holiday.pdf": "rejected", "secret.docx": "failed"}
    rows = pipeline.rows(
        "SELECT original_file_name AS name, error_code, error_message FROM ingest.document_progress"
    )
    assert {(row.name, row.error_code) for row in rows} == {
        ("holiday.pdf", "unsupported_type"),
        ("secret.docx", "encrypted"),
    }
    messages = {row.name: row.error_message for row in rows}
    assert "is a RAR archive, which is not read" in messages["holiday.pdf"]
    assert "opens only with a password" in messages["secret.docx"]


def test_a_run_where_the_input_directory_is_not_says_so_and_harms_nothing(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    (request,) = pipeline.requests()
    away = pipeline.input_dir.rename(pipeline.input_dir.with_name("elsewhere"))
    pipeline.launch(request)
    assert pipeline.errors() == {"note.txt": "input_directory_missing"}
    assert "start its worker with `--queues dagster`" in pipeline.why("note.txt")
    away.rename(pipeline.input_dir)
    pipeline.retry()
    assert pipeline.states() == {"note.txt": "completed"}


def test_a_file_that_goes_or_changes_before_it_is_read_says_so(pipeline: Pipeline) -> None:
    gone = pipeline.put("gone.txt", b"soon gone")
    changed = pipeline.put("changed.txt", b"before")
    requests = pipeline.requests()
    gone.unlink()
    changed.write_bytes(b"after, and longer")
    for request in requests:
        pipeline.launch(request)
    assert pipeline.errors() == {"gone.txt": "source_missing"}
    assert pipeline.states() == {"gone.txt": "failed", "changed.txt": "superseded"}
    assert "found as a new source when it has settled" in pipeline.why("changed.txt")
    pipeline.ingest()  # what it changed into is a document
    assert len(pipeline.object_keys()) == 1
