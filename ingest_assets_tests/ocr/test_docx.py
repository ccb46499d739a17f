from __future__ import annotations

import io
import zipfile

import docx
import pytest

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.local import LocalEngine
from ingest_assets_tests.support.scans import DOCX, stored


def test_docx_in_reading_order(engine: LocalEngine) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Harbour office"
    document.sections[0].footer.paragraphs[0].text = "Page foot"
    document.add_heading("Rules of the rock")
    document.add_paragraph("First paragraph,\twith a tab.")
    table = document.add_table(rows=2, cols=2)
    for row, cells in enumerate((("lamp", "12"), ("flag", "7"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    document.add_paragraph("After the table.")
    out = io.BytesIO()
    document.save(out)
    result = engine.recognise(stored(out.getvalue(), DOCX))
    assert [line for line in result.pages[0].text.splitlines() if line] == [
        "Harbour office",
        "Rules of the rock",
        "First paragraph,\twith a tab.",
        "lamp\t12",
        "flag\t7",
        "After the table.",
        "Page foot",
    ]


def _docx(body: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "_rels/.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="a" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
            'relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        )
        archive.writestr("word/document.xml", body)
    return out.getvalue()


def test_docx_bomb(engine: LocalEngine) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(_docx(b"<a>" + b" " * 200_000_000 + b"</a>"), DOCX))
    assert caught.value.code == "too_much_text"


def test_docx_with_entities_is_refused(engine: LocalEngine) -> None:
    body = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(_docx(body), DOCX))
    assert caught.value.code == "corrupt_document"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", _docx(b"")[:200], _docx(b"<a")])
def test_damaged_docx(engine: LocalEngine, data: bytes) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(data, DOCX))
    assert caught.value.code == "corrupt_document"


def test_unknown_type(engine: LocalEngine) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(b"Rar!", "application/vnd.rar"))
    assert caught.value.code == "unsupported_type"
