"""`document_row`: what is a document, by content and never by name."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_assets.stages.content import examine
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.pipeline import Pipeline

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def word() -> bytes:
    file = BytesIO()
    document = docx.Document()
    document.add_paragraph("A paragraph.")
    document.save(file)
    return file.getvalue()


def zipped() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "only a zip file")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (pdf("text"), "application/pdf"),
        (b"\n\n" + pdf("leading junk"), "application/pdf"),
        (pdf("no header").replace(b"%PDF-1.3", b"XXXX-XXX"), "application/pdf"),
        (picture("text"), "image/png"),
        (picture("text", kind="JPEG"), "image/jpeg"),
        (picture("text", kind="TIFF"), "image/tiff"),
        (word(), DOCX),
        (b"plain", "text/plain"),
        ("ünïcödé\r\n".encode(), "text/plain"),
        ("latin-1: é".encode("latin-1"), "text/plain"),
        ("sixteen".encode("utf-16"), "text/plain"),
        (zipped(), None),
        (b"\x7fELF\x02\x01\x01\x00", None),
        (b"GIF89a\x00\x00", None),
        (b"{\\rtf1 rich}", None),
        (bytes(range(256)), None),
    ],
)
def test_types_are_found_by_content(content: bytes, expected: str | None) -> None:
    assert examine([content]).mime_type == expected


@given(content=st.binary(max_size=2000), cut=st.integers(0, 2000))
def test_how_the_bytes_are_cut_does_not_matter(content: bytes, cut: int) -> None:
    assert examine([content[:cut], content[cut:]]) == examine([content])


def test_a_picture_called_pdf_is_a_picture(pipeline: Pipeline) -> None:
    pipeline.put("scan.pdf", picture("LEDGER 1881"))
    pipeline.ingest()
    (row,) = pipeline.rows("SELECT mime_type, s3_key FROM ingest.source_documents")
    assert row.mime_type == "image/png"
    assert pipeline.states() == {"scan.pdf": "completed"}


def test_rejections_have_reasons(pipeline: Pipeline) -> None:
    pipeline.put("empty.pdf", b"")
    pipeline.put("program", b"\x7fELF\x02\x01\x01\x00" + bytes(100))
    pipeline.put("archive.docx", zipped())
    pipeline.ingest()
    assert pipeline.errors() == {
        "empty.pdf": "empty",
        "program": "unsupported_type",
        "archive.docx": "unsupported_type",
    }
    assert set(pipeline.states().values()) == {"rejected"}
    assert pipeline.object_keys() == []


def test_a_file_that_goes_or_changes_before_it_is_read_says_so(pipeline: Pipeline) -> None:
    gone = pipeline.put("gone.txt", b"soon gone")
    changed = pipeline.put("changed.txt", b"before")
    requests = pipeline.requests()
    gone.unlink()
    changed.write_bytes(b"after, and longer")
    for request in requests:
        pipeline.launch(request)
    assert pipeline.errors() == {"gone.txt": "source_missing", "changed.txt": "content_changed"}
    pipeline.ingest()  # what it changed into is a document
    assert len(pipeline.object_keys()) == 1
