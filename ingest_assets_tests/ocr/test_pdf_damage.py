"""Damage in a PDF is healed where it can be, and said where it cannot."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine
from ingest_assets_tests.support.pages import Page, as_bytes, changed, form, image_object, scan
from ingest_assets_tests.support.scans import LINES, PDF, lines_found, stored, text_pdf

RAW = {"compress_streams": False, "stream_decode_level": pikepdf.StreamDecodeLevel.none}


def read(engine: LocalEngine, data: bytes) -> Recognition:
    return engine.recognise(stored(data, PDF))


def kinds(result: Recognition) -> list[tuple[str, int | None]]:
    return [(note.kind, note.page) for note in result.notes]


def repacked(pack: Callable[[bytes], bytes], packed_by: str = "/FlateDecode") -> bytes:
    """Two pages, the content of the second packed in a way of its own."""

    def change(pdf: pikepdf.Pdf) -> None:
        content = pdf.pages[1].obj.Contents
        content.write(pack(content.read_bytes()), filter=Name(packed_by))

    return changed(text_pdf([LINES, LINES]), change, **RAW)


def with_broken_head(content: bytes) -> bytes:
    return b"\0\0" + zlib.compress(content)[2:]


def broken_off(content: bytes) -> bytes:
    packed = zlib.compress(content)
    return packed[: len(packed) * 2 // 3]


def with_a_hole(content: bytes) -> bytes:
    packed = zlib.compress(content)
    middle = len(packed) // 2
    return packed[:middle] + b"\x55\xaa" * 8 + packed[middle + 16 :]


@pytest.mark.parametrize(
    ("pack", "least"), [(with_broken_head, len(LINES)), (broken_off, 5), (with_a_hole, 4)]
)
def test_damaged_content_is_read_as_far_as_possible_and_noted(
    engine: LocalEngine, pack: Callable[[bytes], bytes], least: int
) -> None:
    result = read(engine, repacked(pack))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert lines_found(result.pages[1].text) >= least
    assert ("content_unreadable", 2) in kinds(result)


def test_content_packed_in_an_unknown_way_is_noted(engine: LocalEngine) -> None:
    result = read(engine, repacked(lambda content: zlib.compress(content)[::-1], "/BrotliDecode"))
    assert kinds(result) == [("content_unreadable", 2)]
    assert "BrotliDecode" in result.notes[0].sentence


def test_one_of_several_streams_of_a_page_is_noted(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0].obj
        lost = pdf.make_stream(b"")
        lost.write(b"\x1b\x03\x00", filter=Name.BrotliDecode)
        page.Contents = Array([page.Contents, lost])

    result = read(engine, changed(text_pdf(), change, **RAW))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert kinds(result) == [("content_unreadable", 1)]


def test_a_damaged_form_on_a_page_is_healed(engine: LocalEngine) -> None:
    page = Page().text(LINES[:3])
    inner = form(page.pdf, "BT /F 11 Tf 60 500 Td (Words within a damaged form.) Tj ET")
    inner.Resources = Dictionary(
        Font=Dictionary(F=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
    )
    inner.write(with_broken_head(inner.read_bytes()), filter=Name.FlateDecode)
    page.draw(f"{page.add(inner)} Do")
    result = read(engine, changed(page.saved(), lambda _: None, **RAW))
    assert "Words within a damaged form." in result.pages[0].text
    assert kinds(result) == [("content_unreadable", 1)]


@pytest.mark.parametrize("mode", ["disable", "generate"])
def test_content_that_is_missing_from_the_file_is_noted(engine: LocalEngine, mode: str) -> None:
    data = changed(
        text_pdf([LINES] * 6),
        lambda _: None,
        object_stream_mode=pikepdf.ObjectStreamMode[mode],
    )
    with pikepdf.open(io.BytesIO(data)) as pdf:
        number = pdf.pages[5].obj.Contents.objgen[0]
    lost = data.replace(b"\n%d 0 obj" % number, b"\n%d 0 obj" % (number + 50))
    result = read(engine, lost)
    assert result.pages[5].text == ""
    assert kinds(result) == [("content_unreadable", 6)]


def test_a_page_without_content_is_blank(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        del pdf.pages[1].obj.Contents

    assert kinds(read(engine, changed(text_pdf([LINES] * 2), change))) == []


def test_something_drawn_that_is_missing_is_noted(engine: LocalEngine) -> None:
    result = read(engine, Page().text(LINES).draw("/Gone Do").saved())
    assert kinds(result) == [("content_unreadable", 1)]


def test_a_picture_that_cannot_be_decoded_is_noted_and_the_rest_read(engine: LocalEngine) -> None:
    page = Page().text(LINES)
    image = image_object(page.pdf, scan())
    image.write(b"\x00\x01 no JPEG 2000 at all", filter=Name.JPXDecode)
    page.draw(f"q 300 0 0 200 60 60 cm {page.add(image)} Do Q")
    result = read(engine, changed(page.saved(), lambda _: None, **RAW))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert kinds(result) == [("image_unreadable", 1)]


def test_a_page_that_is_only_a_damaged_picture_ends_with_a_note(engine: LocalEngine) -> None:
    page = Page()
    image = image_object(page.pdf, scan())
    image.write(b"\x00\x01 no JPEG 2000 at all", filter=Name.JPXDecode)
    page.draw(f"q 595 0 0 842 0 0 cm {page.add(image)} Do Q")
    result = read(engine, changed(page.saved(), lambda _: None, **RAW))
    assert result.pages[0].text == ""
    assert kinds(result) == [("image_unreadable", 1)]


def test_a_picture_that_breaks_off_is_noted(engine: LocalEngine) -> None:
    page = Page()
    image = image_object(page.pdf, scan())
    packed = zlib.compress(image.read_bytes())
    image.write(packed[: len(packed) // 2], filter=Name.FlateDecode)
    page.draw(f"q 595 0 0 842 0 0 cm {page.add(image)} Do Q")
    result = read(engine, changed(page.saved(), lambda _: None, **RAW))
    assert 0 < lines_found(result.pages[0].text) < len(LINES)
    assert ("image_unreadable", 1) in kinds(result)


def test_a_page_that_pdfium_cannot_open_is_left_out_with_a_note(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        pdf.pages[1].obj.MediaBox = Array([0, 0, 0, 0])

    result = read(engine, changed(text_pdf([LINES, LINES, LINES]), change))
    assert [lines_found(page.text) for page in result.pages][::2] == [len(LINES)] * 2


def test_pages_that_the_count_hides_are_read(engine: LocalEngine) -> None:
    data = text_pdf([LINES[:2], LINES[2:4], LINES[4:6]])
    result = read(engine, data.replace(b"/Count 3", b"/Count 1"))
    assert [lines_found(page.text) for page in result.pages] == [2, 2, 2]


def test_a_file_that_only_its_structure_reader_can_decrypt_is_read(engine: LocalEngine) -> None:
    for revision in (4, 6):
        encryption = pikepdf.Encryption(user="", owner="secret", R=revision, aes=True)
        result = read(engine, changed(text_pdf(), lambda _: None, encryption=encryption))
        assert lines_found(result.pages[0].text) == len(LINES)
        assert result.notes == ()


def test_a_single_page_that_cannot_be_read_fails_the_document(engine: LocalEngine) -> None:
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.pages[0].obj.MediaBox = Array([0, 0, 0, 0])
        data = as_bytes(pdf)
    try:
        result = read(engine, data)
    except PermanentError as error:
        assert error.code == "corrupt_document"  # noqa: PT017
    else:
        assert result.pages[0].text == ""


def test_an_addition_that_breaks_off_is_read(engine: LocalEngine) -> None:
    whole = text_pdf([LINES[:2]])
    with pikepdf.open(io.BytesIO(whole)) as pdf:
        number, content = pdf.pages[0].obj.Contents.objgen[0], pdf.pages[0].obj.Contents.read_bytes()
    shown = content.replace(LINES[0].encode(), b"The lease ends on the first of May")
    added = b"%d 0 obj\n<</Length %d>>stream\n%b\nendstream endobj\nxref\n0" % (
        number,
        len(shown),
        shown,
    )
    result = read(engine, whole + added)
    assert "The lease ends on the first of May" in result.pages[0].text
    assert ("repaired", None) in kinds(result)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"/Root ", b"/Boot "),
        (b"/Kids ", b"/Bids "),
        (b"/Type /Pages", b"/Type /Cages"),
        (b"%PDF-1.3", b""),
    ],
)
def test_pages_are_found_though_what_lists_them_is_lost(
    engine: LocalEngine, before: bytes, after: bytes
) -> None:
    data = text_pdf([LINES[:2], LINES[2:4]])
    assert before in data
    pages = read(engine, data.replace(before, after)).pages
    assert [lines_found(page.text) for page in pages] == [2, 2]


def test_a_crop_box_outside_the_page_is_none(engine: LocalEngine) -> None:
    def change(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj.CropBox = Array([2000, 2000, 2600, 2800])

    assert lines_found(read(engine, changed(text_pdf(), change)).pages[0].text) == len(LINES)


def test_content_in_runs_is_unpacked(engine: LocalEngine) -> None:
    def in_runs(content: bytes) -> bytes:
        parts = (content[at : at + 128] for at in range(0, len(content), 128))
        return b"".join(bytes([len(part) - 1]) + part for part in parts) + b"\x80"

    result = read(engine, repacked(in_runs, "/RunLengthDecode"))
    assert lines_found(result.pages[1].text) == len(LINES)
    assert result.notes == ()


def test_drawings_within_drawings_that_nothing_draws_are_noted(engine: LocalEngine) -> None:
    page = Page()
    inner = form(page.pdf, "BT ET")
    for _ in range(45):
        inner = form(page.pdf, "/X Do", Dictionary(XObject=Dictionary(X=inner)))
    page.draw(f"{page.add(inner)} Do")
    assert kinds(read(engine, page.saved())) == [("content_unreadable", 1)]
