"""Presentations, OpenDocument files, books and drawings: all that they show, or a note."""

# ruff: noqa: E501  # Markup is clearer in one line.

from __future__ import annotations

import base64
import io
import plistlib
import zipfile
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.office import (
    epub,
    open_document,
    package,
    pptx,
    related,
    shape,
    slide,
)
from ingest_assets_tests.support.reading import read, unpacked
from ingest_assets_tests.support.scans import encoded, page_image

PICTURE = encoded(page_image(), "PNG")
_FORM = "urn:oasis:names:tc:opendocument:xmlns:form:1.0"
_FIELD = "urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0"
TABLE = (
    "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>Left</a:t></a:r>"
    "</a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>Right</a:t></a:r></a:p></a:txBody></a:tc></a:tr>"
    "</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
)


def test_slides_are_pages_in_the_order_of_the_show() -> None:
    found = read(pptx(slide(shape("Second")), slide(f"<p:grpSp>{shape('First')}</p:grpSp>{TABLE}")))
    assert found.pages == ["First\nLeft\tRight", "Second"]
    assert found.notes == ()


def test_a_slide_shows_notes_comments_what_is_behind_it_charts_and_pictures() -> None:
    chart = (
        '<c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        "<c:title><a:p><a:r><a:t>Catches</a:t></a:r></a:p></c:title></c:chart>"
    )
    comments = (
        '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">'
        "<p:cm><p:text>Check this.</p:text></p:cm></p:cmLst>"
    )
    found = read(
        pptx(
            slide(shape("Herring")),
            parts={
                "ppt/slides/_rels/slide1.xml.rels": related(
                    r1="notesSlide ../notes.xml",
                    r2="comments ../comments.xml",
                    r3="slideLayout ../layout.xml",
                    r4="chart ../chart.xml",
                    r5="image ../picture.png",
                    r6="oleObject ../embedded.bin",
                    r7="video ../film.mp4",
                ),
                "ppt/notes.xml": slide(
                    shape("Speak slowly.") + shape("7", '<p:ph type="sldNum"/>'), root="notes"
                ),
                "ppt/comments.xml": comments,
                "ppt/layout.xml": slide(shape("Fishery board") + shape("Click to edit", "<p:ph/>")),
                "ppt/chart.xml": chart,
                "ppt/picture.png": PICTURE,
                "ppt/vbaProject.bin": b"",
            },
        )
    )
    text, picture = found.pages
    assert picture is None
    for expected in ("Herring", "Speak slowly.", "Check this.", "Fishery board", "Catches"):
        assert text is not None
        assert text.count(expected) == 1
    assert "Click to edit" not in found.text
    assert "7" not in found.text
    assert found.kinds == {"attachment_unread", "object_unread"}


def test_a_slide_that_the_file_has_lost_is_noted() -> None:
    data = pptx(slide(shape("Here")), "<p:sld")
    assert read(data).kinds >= {"page_unreadable"}


def paragraph(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def test_a_chart_on_a_slide_shows_what_is_drawn_on_it_and_an_empty_one_is_noted() -> None:
    names = (
        'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    )
    parts: dict[str, str | bytes] = {
        "ppt/slides/_rels/slide1.xml.rels": related(c="chart ../c.xml", d="chart ../d.xml"),
        "ppt/c.xml": f"<c:chart {names}><c:ser><c:val><c:v>42</c:v></c:val></c:ser></c:chart>",
        "ppt/_rels/c.xml.rels": related(u="chartUserShapes u.xml", i="image i.png"),
        "ppt/u.xml": f"<c:userShapes {names}><a:p><a:r><a:t>Record year</a:t></a:r></a:p></c:userShapes>",
        "ppt/i.png": PICTURE,
        "ppt/d.xml": f"<c:chart {names}/>",
    }
    found = read(pptx(slide(shape("Catch")), parts=parts))
    assert found.pages == ["Catch\n42\nRecord year", None]
    assert found.kinds == {"object_unread"}


def test_an_open_document_text_shows_its_margins_notes_tables_and_pictures() -> None:
    body = (
        "<text:tracked-changes><text:p>Deleted</text:p></text:tracked-changes>"
        "<text:h>Harbour  dues</text:h>"
        + paragraph(
            'One<text:s text:c="2"/>two<text:tab/>three<text:line-break/>four'
            "<text:note><text:note-citation>1</text:note-citation><text:note-body>"
            "<text:p>A footnote.</text:p></text:note-body></text:note> five"
            "<office:annotation><dc:creator>Ada</dc:creator><text:p>A comment.</text:p></office:annotation>"
        )
        + '<text:section text:display="none"><text:p>Hidden</text:p></text:section>'
        "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>Ship</text:p>"
        "</table:table-cell><table:table-cell><text:p>Dues</text:p></table:table-cell></table:table-row>"
        "</table:table-header-rows></table:table>"
        '<draw:frame><draw:image xlink:href="Pictures/a.png"/></draw:frame>'
        "<draw:frame><draw:text-box><text:p>In a box.</text:p></draw:text-box></draw:frame>"
        '<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>'
    )
    styles = (
        "<office:master-styles><style:master-page><style:header><text:p>Port office</text:p></style:header>"
        "<style:footer><text:p>Form 7</text:p></style:footer></style:master-page></office:master-styles>"
    )
    found = read(
        open_document("text", body, styles=styles, parts={"Pictures/a.png": PICTURE, "Basic/x.xml": ""})
    )
    assert found.pages[1:] == [None]
    assert found.pages[0] == (
        "Harbour dues\nOne  two\tthree\nfour five\nA footnote.\nAda\nA comment.\nShip\tDues\n"
        "In a box.\nPort office\nForm 7"
    ).replace("Harbour dues", "Harbour  dues")
    assert found.kinds == {"object_unread", "not_shown"}


def test_an_open_document_shows_the_numbers_of_its_lists_and_headings() -> None:
    def level(depth: int, form: str, **more: str) -> str:
        said = "".join(
            f' {key.replace("_", ":", 1).replace("_", "-")}="{value}"' for key, value in more.items()
        )
        return f'<text:list-level-style-number text:level="{depth}" style:num-format="{form}"{said}/>'

    styles = (
        '<office:styles><text:outline-style><text:outline-level-style text:level="1" style:num-format="I" '
        'style:num-suffix="."/></text:outline-style><style:style style:name="Bare" style:list-style-name=""/>'
        '<text:list-style style:name="L">'
        + level(1, "1", style_num_suffix=".", text_start_value="3")
        + level(2, "a", style_num_suffix=")", text_display_levels="2")
        + '<text:list-level-style-bullet text:level="3" text:bullet-char="o"/></text:list-style></office:styles>'
    )

    def item(*inner: str, start: str = "") -> str:
        return f"<text:list-item{start}>{''.join(inner)}</text:list-item>"

    inner = f"<text:list>{item(paragraph('deep'), '<text:list>' + item(paragraph('bullet')) + '</text:list>')}</text:list>"
    body = (
        '<text:h text:outline-level="1">Part</text:h>'
        '<text:list xml:id="a" text:style-name="L">'
        + item(paragraph("one"), paragraph("more of one"), inner)
        + item(paragraph("two"))
        + "</text:list>"
        + paragraph("between")
        + f'<text:list text:continue-list="a" text:style-name="L">{item(paragraph("three"))}</text:list>'
        + f'<text:list text:style-name="L">{item(paragraph("anew"), start=" text:start-value=" + chr(34) + "9" + chr(34))}</text:list>'
        + '<text:h text:outline-level="1" text:style-name="Bare">No number</text:h>'
        + '<text:h text:outline-level="1"><text:number>II.</text:number>Stored</text:h>'
    )
    assert read(open_document("text", body, styles=styles)).pages == [
        "I. Part\n3. one\nmore of one\n3.a) deep\nbullet\n4. two\nbetween\n5. three\n9. anew\nNo number\nII. Stored"
    ]


def test_slides_show_the_numbers_of_their_lists() -> None:
    def line(text: str, kind: str = "", depth: int = 0, start: str = "") -> str:
        number = f'<a:buAutoNum type="{kind}"{start}/>' if kind else ""
        return f'<a:p><a:pPr lvl="{depth}">{number}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>'

    lines = (
        line("one", "arabicPeriod")
        + line("under", "alphaLcParenBoth", 1)
        + line("two", "arabicPeriod")
        + line("plain")
        + line("anew", "romanUcPeriod", start=' startAt="4"')
        + "<a:p><a:pPr><a:buAutoNum type='romanUcPeriod'/></a:pPr></a:p>"
        + line("next", "romanUcPeriod")
    )
    box = f"<p:sp><p:nvSpPr><p:nvPr/></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"
    assert read(pptx(slide(box))).pages == ["1. one\n(a) under\n2. two\nplain\nIV. anew\nV. next"]


def test_a_sheet_is_its_cells_as_they_show_without_the_empty_ones() -> None:
    row = (
        '<table:table-row><table:table-cell office:value="0.25"><text:p>25 %</text:p></table:table-cell>'
        "<table:table-cell/><table:table-cell office:date-value='2024-05-03'><text:p>3 May 2024</text:p>"
        '</table:table-cell><table:table-cell table:number-columns-repeated="16000"/></table:table-row>'
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    )
    repeated = (
        '<table:table-row table:number-rows-repeated="2"><table:table-cell '
        'table:number-columns-repeated="3"><text:p>x</text:p></table:table-cell></table:table-row>'
    )
    body = "".join(
        f'<table:table table:name="{name}">{rows}</table:table>'
        for name, rows in (("May", row), ("June", repeated))
    )
    found = read(open_document("spreadsheet", body))
    assert found.pages == ["May\n25 %\t\t3 May 2024", "June\nx\tx\tx\nx\tx\tx"]


def test_the_margins_of_sheets_are_shown_but_not_fields_alone() -> None:
    styles = (
        '<office:master-styles><style:master-page><style:header><text:p><text:span text:style-name="a">'
        "Port office</text:span></text:p></style:header><style:footer><style:region-left><text:p>"
        "<text:span>Page <text:page-number>1</text:page-number></text:span></text:p></style:region-left>"
        "<style:region-right><text:p>Secret <text:page-number>1</text:page-number></text:p>"
        "</style:region-right></style:footer></style:master-page></office:master-styles>"
    )
    body = '<table:table table:name="May"/>'
    found = read(open_document("spreadsheet", body, styles=styles))
    assert found.pages == ["May\nPort office\nSecret 1"]


def test_what_stands_on_the_buttons_of_a_sheet_is_shown() -> None:
    button = f'<form:button xmlns:form="{_FORM}" form:label="Send"/>'
    body = f'<table:table table:name="May"><office:forms>{button}</office:forms></table:table>'
    assert read(open_document("spreadsheet", body)).pages == ["May\nSend"]


def test_numbers_of_a_list_have_the_signs_between_them_that_it_states() -> None:
    level = '<text:list-level-style-number text:level="{}" style:num-format="1" {}/>'
    template = 'style:num-list-format="§ %1%-%2%:" text:display-levels="2"'
    styles = f'<text:list-style style:name="L">{level.format(1, "")}{level.format(2, template)}'
    item = "<text:list-item><text:p>{}</text:p>{}</text:list-item>"
    inner = f"<text:list>{item.format('Ebb', '')}{item.format('Flow', '')}</text:list>"
    body = f'<text:list text:style-name="L">{item.format("Tides", inner)}</text:list>'
    found = read(open_document("text", body, styles=f"{styles}</text:list-style>"))
    assert found.pages == ["1 Tides\n§ 1-1: Ebb\n§ 1-2: Flow"]


def test_a_cell_without_text_shows_its_value() -> None:
    cells = (
        '<table:table-cell office:value-type="float" office:value="12.5"/>'
        '<table:table-cell office:value-type="date" office:date-value="2024-05-03"/>'
        '<table:table-cell office:value-type="boolean" office:boolean-value="true"/>'
    )
    body = f'<table:table table:name="May"><table:table-row>{cells}</table:table-row></table:table>'
    assert read(open_document("spreadsheet", body)).pages == ["May\n12.5\t2024-05-03\ttrue"]


def test_signs_choices_and_deletions_that_libreoffice_takes_over_are_shown_as_there() -> None:
    styles = (
        '<style:style style:name="a"><style:text-properties style:font-name="Symbol"/></style:style>'
        '<style:font-face style:name="W1" svg:font-family="Wingdings"/><style:style style:name="b">'
        '<style:text-properties style:font-name="W1"/></style:style>'
    ).replace("svg:", 'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" svg:', 1)
    field = f'<f:fieldmark xmlns:f="{_FIELD}" f:type="odf.field.FORM{{}}">{{}}</f:fieldmark>'
    said = '<f:param f:name="{}" f:value="{}"/>'
    entries = "".join(said.format("Dropdown_ListEntry", one) for one in ("Ebb", "Flow"))
    body = (
        '<text:tracked-changes><text:changed-region text:id="c"><text:deletion/></text:changed-region>'
        '<text:changed-region text:id="i"><text:insertion/></text:changed-region></text:tracked-changes>'
        '<text:p>Angle <text:span text:style-name="a">\uf061 b</text:span>, done '
        '<text:span text:style-name="b">\uf0fc</text:span></text:p><text:p>'
        + field.format("DROPDOWN", entries + said.format("Dropdown_Selected", "1"))
        + field.format("CHECKBOX", said.format("Checkbox_Checked", "true"))
        + field.format("CHECKBOX", "")
        + '</text:p><text:p>kept<text:change-start text:change-id="c"/> GONE</text:p><text:p>GONE '
        '<text:span>GONE</text:span><text:change-end text:change-id="c"/>'
        '<text:change-start text:change-id="i"/>new<text:change-end text:change-id="i"/></text:p>'
    )
    found = read(open_document("text", body, styles=styles))
    assert found.pages == ["Angle α β, done ✓\nFlow☒☐\nkept\nnew"]


def test_charts_and_formulas_that_are_files_of_their_own_are_read() -> None:
    chart = (
        '<chart:chart xmlns:chart="urn:oasis:names:tc:opendocument:xmlns:chart:1.0"><chart:title>'
        "<text:p>Catches</text:p></chart:title><table:table><table:table-row><table:table-cell>"
        "<text:p>Herring</text:p></table:table-cell></table:table-row></table:table></chart:chart>"
    )
    found = read(open_document("chart", chart))
    assert (found.mime_type, found.pages) == (formats.ODC.mime_type, ["Catches\nHerring"])
    math = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mrow><mi>E</mi><mo>=</mo><mi>m</mi>'
        '</mrow><annotation encoding="StarMath 5.0">E = m</annotation></semantics></math>'
    )
    found = read(open_document("formula", "", parts={"content.xml": math}))
    assert (found.mime_type, found.pages) == (formats.ODF.mime_type, ["E=m"])


def test_a_formula_without_a_result_is_shown_and_noted() -> None:
    formula = 'table:formula="of:=IF([.A1];1;&quot;&quot;)"'
    row = "<table:table table:name='May'><table:table-row>{}</table:table-row></table:table>"
    found = read(open_document("spreadsheet", row.format(f"<table:table-cell {formula}/>")))
    assert (found.pages, found.kinds) == (['May\n=IF([.A1];1;"")'], {"content_unreadable"})
    empty = f'<table:table-cell {formula} office:value-type="string" office:string-value=""/>'
    found = read(open_document("spreadsheet", row.format(empty)))
    assert (found.pages, found.kinds) == (["May"], set())


def test_a_sheet_that_repeats_a_cell_without_end_is_too_much() -> None:
    cell = f"<table:table-cell table:number-columns-repeated='16000'>{paragraph('a' * 9)}</table:table-cell>"
    body = f"<table:table><table:table-row table:number-rows-repeated='900000'>{cell}</table:table-row></table:table>"
    with pytest.raises(PermanentError, match="MB of text"):
        read(open_document("spreadsheet", body))


def test_slides_of_an_open_document_are_pages_with_notes() -> None:
    frame = "<draw:frame><draw:text-box>{}</draw:text-box></draw:frame>"
    body = "".join(
        f"<draw:page>{frame.format(paragraph(text))}<presentation:notes>{frame.format(paragraph(notes))}"
        "</presentation:notes></draw:page>"
        for text, notes in (("One", "Say one."), ("Two", "Say two."))
    )
    assert read(open_document("presentation", body)).pages == ["One\nSay one.", "Two\nSay two."]


def test_pages_of_a_drawing_are_pages_and_one_without_words_says_so() -> None:
    shape = "<draw:custom-shape><text:p>{}</text:p></draw:custom-shape>"
    pages = "".join(
        f"<draw:page><draw:g>{shape.format(said)}</draw:g></draw:page>" for said in ("Quay", "Mole")
    )
    found = read(open_document("graphics", pages))
    assert (found.mime_type, found.pages, found.notes) == (formats.ODG.mime_type, ["Quay", "Mole"], ())
    assert read(open_document("graphics", "<draw:page><draw:line/></draw:page>")).kinds == {
        "unread_ink"
    }


def test_an_open_document_with_a_password_is_encrypted() -> None:
    data = open_document(
        "text",
        "",
        parts={"META-INF/manifest.xml": "<manifest:encryption-data/>", "content.xml": b"\x01"},
    )
    with pytest.raises(PermanentError) as caught:
        read(data)
    assert caught.value.code == "encrypted"


def test_the_parts_of_a_book_are_pages_in_reading_order() -> None:
    pages = {
        "zwei.xhtml": "<html><head><title/></head><body><p>Erstes <a id='x'/>Kapitel</p></body></html>",
        "eins.xhtml": "<html><body><p>Zweites &amp; letztes</p><script>x()</script></body></html>",
    }
    found = read(epub(pages, {"cover.png": PICTURE}))
    assert found.pages == ["Erstes Kapitel", "Zweites & letztes", None]


def changed(book: bytes, member: str, old: str, new: str) -> bytes:
    """A book with something else in one of its members."""
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in members[member]
    return zipped({**members, member: members[member].replace(old.encode(), new.encode())})


def test_a_book_without_an_order_of_reading_is_read_and_one_with_a_lost_part_says_so() -> None:
    book = epub({"a.xhtml": "<p>One</p>", "b.xhtml": "<p>Two</p>"})
    found = read(changed(book, "OEBPS/book.opf", '<itemref idref="i0"/><itemref idref="i1"/>', ""))
    assert (found.pages, found.notes) == (["One", "Two"], ())
    found = read(changed(book, "OEBPS/book.opf", 'href="b.xhtml"', 'href="c.xhtml"'))
    assert (found.pages, found.kinds) == (["One"], {"page_unreadable"})


def test_a_book_may_state_the_type_of_its_xml_and_have_pictures_in_its_order() -> None:
    book = epub({"a.xhtml": "<p>One</p>"}, {"cover.png": PICTURE})
    stated = (
        '<!DOCTYPE package PUBLIC "+//ISBN 0-9673008-1-9//DTD OEB 1.2 Package//EN" "oeb.dtd"><package'
    )
    book = changed(book, "OEBPS/book.opf", '<package xmlns="http://www.idpf.org/2007/opf"', stated)
    book = changed(book, "OEBPS/book.opf", "<spine>", '<spine><itemref idref="coverpng"/>')
    found = read(book)
    assert (found.pages, found.notes) == (["One", None], ())


def test_soft_hyphens_are_no_part_of_words() -> None:
    assert read(b"<!DOCTYPE html><p>light&shy;house").text == "lighthouse"
    assert read(open_document("text", "<text:p>light\u00adhouse</text:p>")).text == "lighthouse"


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ('<div id="root"></div><script src="app.js"></script>', {"content_unreadable"}),
        ('<img src="page1.png">', {"image_unreadable"}),
        ("<p> </p>", set()),
        ('<p>Words</p><img src="logo.png"><script>count()</script>', set()),
    ],
)
def test_a_web_page_without_words_says_why(body: str, kinds: set[str]) -> None:
    assert read(f"<!DOCTYPE html><html><body>{body}</body></html>".encode()).kinds == kinds


def test_a_book_with_a_part_of_many_megabytes_is_too_much() -> None:
    with pytest.raises(PermanentError, match="MB of text"):
        read(epub({"a.xhtml": "a" * 33_000_000}))


def test_a_book_that_is_protected_says_so() -> None:
    locked = "<encryption><CipherReference URI='OEBPS/a.xhtml'/></encryption>"
    with pytest.raises(PermanentError) as caught:
        read(epub({"a.xhtml": "x"}, {"../META-INF/encryption.xml": locked}))
    assert caught.value.code == "encrypted"


@pytest.mark.parametrize("sign", ["index.apxl", "buildVersionHistory.plist", "Index/Document.iwa"])
def test_of_a_document_of_apple_the_preview_is_read_and_noted(sign: str) -> None:
    first = {"preview.jpg": encoded(page_image(["PILOT"]), "JPEG"), "preview-web.jpg": b""}
    found = read(zipped({sign: b"x", **first}))
    assert (found.mime_type, found.pages) == (formats.IWORK.mime_type, [None])
    assert found.kinds == {"content_unreadable"}
    whole = zipped({sign: b"x", "QuickLook/Preview.pdf": b"%PDF-1.4 "})
    assert read(whole).kinds == {"content_unreadable", "attachment_unread"}
    assert list(unpacked(whole).parts) == ["Preview.pdf"]
    with pytest.raises(PermanentError, match="without a preview") as caught:
        read(zipped({sign: b"x"}))
    assert (caught.value.code, "Export it to PDF" in caught.value.remedy) == ("unsupported_type", True)


def test_the_words_and_pictures_of_a_drawing_are_read() -> None:
    packed = base64.b64encode(PICTURE).decode()
    drawing = (
        '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY ns "http://x">]><svg xmlns="http://www.w3.org/2000/svg">'
        "<style>.a{}</style><metadata>by a program</metadata><path d='M0 0'/>"
        "<text x='1'><tspan x='1'>Pier</tspan><tspan x='9'>North</tspan></text><text>Crane</text>"
        f'<image href="data:image/png;base64,{packed}"/></svg>'
    ).encode()
    found = read(drawing)
    assert found.pages == ["Pier North\nCrane", None]
    assert found.notes == ()
    without_words = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9"/></svg>'
    assert read(without_words).kinds == {"unread_ink"}


def test_pictures_and_drawings_within_a_web_page_are_read() -> None:
    packed = base64.b64encode(PICTURE).decode()
    page = f"<html><p>Tides</p><svg><text>Low</text></svg><img src='data:image/png;base64,{packed}'></html>"
    assert read(page.encode()).pages == ["Tides\nLow", None]


@pytest.mark.parametrize(
    ("element", "page"),
    [
        ("<img srcset='data:image/png;base64,{picture} 2x'>", None),
        ("<p style='background: url(data:image/png;base64,{picture})'></p>", None),
        ('<img src="data:image/svg+xml,{escaped}">', "Low tide"),
        ('<img src="data:image/svg+xml;base64,{packed}">', "Low tide"),
        ("<style>p {{background: url('data:image/svg+xml;utf8,{escaped}')}}</style>", "Low tide"),
    ],
)
def test_pictures_in_the_markup_of_a_web_page_are_read(element: str, page: str | None) -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><text>Low tide</text></svg>'
    packed, escaped = base64.b64encode(drawing.encode()).decode(), quote(drawing)
    element = element.format(picture=base64.b64encode(PICTURE).decode(), packed=packed, escaped=escaped)
    found = read(f"<html><p>Tides</p>{element}</html>".encode())
    assert (found.pages, found.notes) == (["Tides", page], ())


def test_drawings_within_documents_are_their_words_or_noted() -> None:
    words, shapes = "<svg><text>Low tide</text></svg>", "<svg><path d='M0 0h9'/></svg>"
    pictures = '<draw:frame><draw:image xlink:href="{}.svg"/></draw:frame>'
    body = f"<text:p>Tides{pictures.format('a')}{pictures.format('b')}</text:p>"
    found = read(open_document("text", body, parts={"a.svg": words, "b.svg": shapes}))
    assert (found.pages, found.kinds) == (["Tides", "Low tide"], {"image_unreadable"})


def test_a_document_within_the_markup_of_a_web_page_is_noted() -> None:
    page = b"<html><p>Tides</p><embed src='data:application/pdf;base64,JVBERi0='></html>"
    assert (read(page).pages, read(page).kinds) == (["Tides"], {"attachment_unread"})


@pytest.mark.parametrize("form", [plistlib.FMT_BINARY, plistlib.FMT_XML])
def test_a_page_that_safari_saved_shows_its_frames_and_pictures(form: plistlib.PlistFormat) -> None:
    def saved(html: bytes, kind: str = "text/html") -> dict[str, object]:
        return {"WebResourceData": html, "WebResourceMIMEType": kind, "WebResourceURL": kind}

    page = saved("<p>Tides für Leith <b>Lost</b></p>".encode("cp1252"))
    archive = {
        "WebMainResource": {**page, "WebResourceTextEncodingName": "windows-1252"},
        "WebSubresources": [saved(PICTURE, "image/png"), saved(b"b {display: none}", "text/css")],
        "WebSubframeArchives": [{"WebMainResource": saved(b"<p>Low tide</p>")}, {}, "x"],
    }
    found = read(plistlib.dumps(archive, fmt=form))
    assert (found.mime_type, found.pages) == (
        formats.SAFARI.mime_type,
        ["Tides für Leith", "Low tide", None],
    )


def test_part_of_a_web_page_is_one() -> None:
    assert read(b'<h3 class="t">Accounts of <b>2020</b></h3>\n<p>All.').pages == [
        "Accounts of 2020\nAll."
    ]


MAKERS: dict[str, Callable[[], bytes]] = {
    formats.PPTX.mime_type: lambda: pptx(slide(shape("One")), slide(TABLE)),
    formats.ODT.mime_type: lambda: open_document("text", paragraph("One")),
    formats.EPUB.mime_type: lambda: epub({"a.xhtml": "<p>One</p>"}),
    formats.SVG.mime_type: lambda: b"<svg><text>One</text></svg>",
    formats.SAFARI.mime_type: lambda: plistlib.dumps(
        {"WebMainResource": {"WebResourceData": b"<p>One"}}, fmt=plistlib.FMT_BINARY
    ),
    formats.MAIL.mime_type: lambda: b"From: a\nTo: b\nSubject: c\n\nOne",
}


@pytest.mark.parametrize("mime_type", MAKERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_end_as_text_or_with_a_reason(mime_type: str, data: st.DataObject) -> None:
    whole = MAKERS[mime_type]()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    place = data.draw(st.integers(0, max(0, len(cut) - 1)))
    changed = cut[:place] + data.draw(st.binary(max_size=20)) + cut[place + 1 :]
    with suppress(PermanentError):
        assert read(changed, mime_type).pages


@pytest.mark.parametrize("mime_type", [formats.PPTX.mime_type, formats.ODT.mime_type])
def test_xml_nested_without_end_is_refused(mime_type: str) -> None:
    deep = "<a:b xmlns:a='x'>" * 100_000
    data = (
        pptx(slide(deep))
        if mime_type == formats.PPTX.mime_type
        else open_document("text", "<text:span>" * 50_000 + "</text:span>" * 50_000)
    )
    with suppress(PermanentError):
        assert read(data, mime_type).notes


def test_a_main_part_of_another_type_is_no_presentation() -> None:
    data = package(
        "ppt/presentation.xml", "presentationml.presentation", {"ppt/presentation.xml": "no"}
    )
    with pytest.raises(PermanentError) as caught:
        read(data)
    assert caught.value.code == "corrupt_document"


def test_a_page_of_xhtml_is_read_behind_its_short_elements() -> None:
    page = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/>'
        '<script src="a.js"/></head><body><p>Behind them.</p><div/></body></html>'
    )
    assert read(page.encode()).pages == ["Behind them."]


def test_a_web_page_shows_the_numbers_of_its_lists() -> None:
    page = (
        '<!doctype html><ol start="3"><li>three<ol type="a"><li>under</ol><li value="9">nine<li>ten</ol>'
        "<ul><li>dot</ul><ol style='list-style: none'><li>plain</ol>"
    )
    assert read(page.encode()).pages == ["3. three\na. under\n9. nine\n10. ten\ndot\nplain"]
