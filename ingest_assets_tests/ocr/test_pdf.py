from __future__ import annotations

import io
from contextlib import closing

import pikepdf
import pytest
from fpdf import FPDF

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.workers.pool import Limits
from ingest_assets_tests.support.evil import zero_pages
from ingest_assets_tests.support.pages import changed
from ingest_assets_tests.support.scans import (
    LINES,
    PDF,
    encoded,
    lines_found,
    page_image,
    scan_pdf,
    skewed,
    stored,
    text_pdf,
)


def test_text_layer_is_taken_page_by_page(engine: LocalEngine) -> None:
    pages = [[f"This is page {number}.", *LINES] for number in range(1, 151)]
    result = engine.recognise(stored(text_pdf(pages), PDF))
    assert [page.number for page in result.pages] == list(range(1, 151))
    assert all(page.origin == "text-layer" and page.confidence is None for page in result.pages)
    for page in result.pages:
        assert page.text.splitlines()[0] == f"This is page {page.number}."
        assert lines_found(page.text) == len(LINES)
    assert result.engine == "local"
    assert result.engine_version == engine.version
    assert result.notes == ()


def test_version_names_what_decides_how_a_document_reads(engine: LocalEngine) -> None:
    assert "tesserocr" in engine.version
    assert "pypdfium2" in engine.version


@pytest.mark.parametrize("degrees", [0, pytest.param(2, marks=pytest.mark.slow), -1.6, 5])
def test_scan_askew_loses_no_line(engine: LocalEngine, degrees: float) -> None:
    result = engine.recognise(stored(scan_pdf(skewed(page_image(), degrees)), PDF))
    (page,) = result.pages
    assert page.origin == "ocr"
    assert page.confidence is not None
    assert page.confidence > 0.85
    assert lines_found(page.text) == len(LINES)


@pytest.mark.parametrize("degrees", [90, 180, pytest.param(270, marks=pytest.mark.slow)])
def test_scan_that_lies_turned_is_put_upright(engine: LocalEngine, degrees: int) -> None:
    result = engine.recognise(stored(scan_pdf(page_image().rotate(degrees, expand=True)), PDF))
    assert lines_found(result.pages[0].text) == len(LINES)


def test_rotate_entry_of_a_page_is_obeyed(engine: LocalEngine) -> None:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(scan_pdf(page_image().rotate(90, expand=True)))) as pdf:
        pdf.pages[0].rotate(90, relative=False)
        pdf.save(out)
    result = engine.recognise(stored(out.getvalue(), PDF))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert result.notes == ()


def test_mixed_document_recognises_only_what_has_no_text(engine: LocalEngine) -> None:
    pdf = FPDF()
    pdf.set_font("Times", size=12)
    pdf.add_page()
    pdf.multi_cell(0, text=" ".join(LINES))
    pdf.add_page()
    pdf.image(page_image(), x=0, y=0, w=pdf.w)
    pdf.cell(text="Case 12-3456, filed 1 April")  # A stamp over a scan.
    pdf.add_page()
    result = engine.recognise(stored(bytes(pdf.output()), PDF))
    assert [page.origin for page in result.pages] == ["text-layer", "ocr", "text-layer"]
    assert lines_found(result.pages[1].text) >= len(LINES) - 1  # The stamp may hide one.
    assert result.pages[2].text == ""


def test_blank_pages_are_no_error(engine: LocalEngine) -> None:
    result = engine.recognise(stored(text_pdf([[], []]), PDF))
    assert [page.text for page in result.pages] == ["", ""]
    scanned = engine.recognise(stored(scan_pdf(page_image([])), PDF))
    assert [(page.text, page.confidence) for page in scanned.pages] == [("", None)]


def test_form_fields_are_read(engine: LocalEngine) -> None:
    with pikepdf.open(io.BytesIO(text_pdf())) as pdf:
        field = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot,
            Subtype=pikepdf.Name.Widget,
            FT=pikepdf.Name.Tx,
            T=pikepdf.String("Keeper"),
            V=pikepdf.String("Ottilie Brandt"),
            Rect=[100, 20, 300, 40],
        )
        widget = pdf.make_indirect(field)
        pdf.pages[0].Annots = pikepdf.Array([widget])
        pdf.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([widget]))
        out = io.BytesIO()
        pdf.save(out)
    result = engine.recognise(stored(out.getvalue(), PDF))
    assert result.pages[0].text.endswith("Keeper: Ottilie Brandt")


def test_thumbnail_is_a_small_jpeg(engine: LocalEngine) -> None:
    thumbnail = engine.recognise(stored(text_pdf(), PDF)).thumbnail
    assert thumbnail is not None
    assert thumbnail.startswith(b"\xff\xd8")
    assert len(thumbnail) <= 12_000


def test_a_page_that_takes_too_long_to_draw_is_read_all_the_same() -> None:
    def shade(pdf: pikepdf.Pdf) -> None:
        brightness = pdf.make_stream(
            b"{ " + 20 * b"sin cos exch sin cos exch " + b"pop abs }",
            FunctionType=4,
            Domain=[0, 612, 0, 792],
            Range=[0, 1],
        )
        shading = pikepdf.Dictionary(
            ShadingType=1,
            ColorSpace=pikepdf.Name.DeviceGray,
            Domain=[0, 612, 0, 792],
            Function=brightness,
        )
        pdf.pages[0].resources.Shading = pikepdf.Dictionary(S=shading)
        pdf.pages[0].contents_add(1000 * b"/S sh\n", prepend=True)

    with closing(LocalEngine(1, Limits(cpu_seconds=1))) as engine:
        result = engine.recognise(stored(changed(text_pdf(), shade), PDF))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert [note.kind for note in result.notes] == ["no_thumbnail"]
    assert result.thumbnail is None


def _encrypted(user: str, owner: str) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(text_pdf())) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(user=user, owner=owner))
    return out.getvalue()


def test_user_password_is_a_permanent_error(engine: LocalEngine) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(_encrypted("secret", "secret"), PDF))
    assert caught.value.code == "encrypted"
    assert caught.value.remedy


def test_an_encrypted_document_leaves_no_trace_on_the_next() -> None:
    engine = LocalEngine(workers=1)
    try:
        with pytest.raises(PermanentError, match="password"):
            engine.recognise(stored(_encrypted("secret", "secret"), PDF))
        with pytest.raises(PermanentError) as caught:
            engine.recognise(stored(zero_pages(), PDF))
        assert caught.value.code == "no_pages"
    finally:
        engine.close()


def test_owner_password_alone_does_not_matter(engine: LocalEngine) -> None:
    result = engine.recognise(stored(_encrypted("", "secret"), PDF))
    assert lines_found(result.pages[0].text) == len(LINES)


def test_truncated_pdf_is_repaired_and_says_so(engine: LocalEngine) -> None:
    data = text_pdf([LINES, LINES, LINES])
    result = engine.recognise(stored(data[: data.rindex(b"xref") - 40], PDF))
    assert [note.kind for note in result.notes] == ["repaired"]
    assert all(lines_found(page.text) == len(LINES) for page in result.pages)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"no PDF at all", b"%PDF-1.4\n" + b"\0" * 999])
def test_what_is_no_pdf_is_a_permanent_error(engine: LocalEngine, data: bytes) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(data, PDF))
    assert caught.value.code in ("corrupt_document", "no_pages")


def test_pdf_without_pages(engine: LocalEngine) -> None:
    out = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.save(out)
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(out.getvalue(), PDF))
    assert caught.value.code == "no_pages"


def test_page_of_200_inches(engine: LocalEngine) -> None:
    image = page_image()
    data = scan_pdf(image, dpi=round(image.height / 200))
    result = engine.recognise(stored(data, PDF))
    assert [note.kind for note in result.notes] == ["low_resolution"]
    assert lines_found(result.pages[0].text) >= len(LINES) - 1


def test_loop_in_the_page_tree_ends(engine: LocalEngine) -> None:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(text_pdf())) as pdf:
        pdf.Root.Pages.Kids.append(pdf.Root.Pages)
        pdf.Root.Pages.Count = 2
        pdf.save(out)
    result = engine.recognise(stored(out.getvalue(), PDF))
    assert [lines_found(page.text) for page in result.pages] == [len(LINES)]


def test_image_bomb_in_a_pdf_costs_one_document(engine: LocalEngine) -> None:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(scan_pdf(page_image()))) as pdf:
        image = next(iter(pdf.pages[0].get_images().values()))
        image.Width = image.Height = 60_000
        pdf.save(out)
    try:
        engine.recognise(stored(out.getvalue(), PDF))
    except PermanentError as error:
        assert error.code in ("parser_crashed", "out_of_memory", "corrupt_document")  # noqa: PT017
    result = engine.recognise(stored(encoded(page_image(), "PNG"), "image/png"))
    assert lines_found(result.pages[0].text) == len(LINES)
