"""Office documents that are one XML file each: they are read as their programs' packages are."""

# ruff: noqa: E501  # Markup is clearer in one line.

from __future__ import annotations

import base64

import pytest

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets_tests.support.office import related
from ingest_assets_tests.support.packages import flat_open_document, flat_package
from ingest_assets_tests.support.reading import read, unpacked
from ingest_assets_tests.support.scans import encoded, page_image

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PICTURE = base64.b64encode(encoded(page_image(), "PNG")).decode()
WORD_2003 = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<?mso-application progid="Word.Document"?>
<w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"
 xmlns:wx="http://schemas.microsoft.com/office/word/2003/auxHint" xmlns:v="urn:schemas-microsoft-com:vml"
 xmlns:aml="http://schemas.microsoft.com/aml/2001/core">
<w:styles><w:style w:styleId="Secret" w:type="character"><w:rPr><w:vanish/></w:rPr></w:style></w:styles>
<w:body><wx:sect>
<w:p><w:pPr><w:listPr><w:ilvl w:val="0"/><wx:t wx:val="1."/></w:listPr></w:pPr><w:r><w:t>The keel.</w:t></w:r></w:p>
<w:p><w:r><w:t>It is laid</w:t><w:footnote><w:p><w:r><w:t>In Leith.</w:t></w:r></w:p></w:footnote></w:r>
<aml:annotation w:type="Word.Deletion"><aml:content><w:r><w:delText>never</w:delText></w:r></aml:content></aml:annotation>
<aml:annotation w:type="Word.Insertion"><aml:content><w:r><w:t> in May.</w:t></w:r></aml:content></aml:annotation>
<w:r><w:rPr><w:rStyle w:val="Secret"/></w:rPr><w:t>hidden words</w:t></w:r></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Mast</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>12 m</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
<w:p><w:r><w:pict><w:binData w:name="wordml://01.png">{PICTURE}</w:binData><v:shape><v:imagedata src="wordml://01.png"/></v:shape></w:pict></w:r></w:p>
<w:sectPr><w:hdr w:type="odd"><w:p><w:r><w:t>A margin above</w:t></w:r></w:p></w:hdr><w:ftr w:type="odd"><w:p><w:r><w:t>and one below</w:t></w:r></w:p></w:ftr></w:sectPr>
</wx:sect></w:body></w:wordDocument>"""
EXCEL_2003 = """<?xml version="1.0"?>
<?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:x="urn:schemas-microsoft-com:office:excel"
 xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet" xmlns:html="http://www.w3.org/TR/REC-html40">
<Styles><Style ss:ID="Default"/><Style ss:ID="day"><NumberFormat ss:Format="Short Date"/></Style>
<Style ss:ID="late" ss:Parent="day"/><Style ss:ID="sum"><NumberFormat ss:Format="#,##0.00&quot; EUR&quot;"/></Style></Styles>
<Worksheet ss:Name="Berths"><Table>
<Row><Cell ss:MergeAcross="1"><ss:Data ss:Type="String"><html:B>Big</html:B> berth</ss:Data></Cell><Cell><Data ss:Type="String">Dues</Data><Comment ss:Author="Ada"><ss:Data>Too low</ss:Data></Comment></Cell></Row>
<Row ss:Index="4"><Cell ss:Index="2" ss:StyleID="late"><Data ss:Type="DateTime">2024-05-03T00:00:00.000</Data></Cell><Cell ss:StyleID="sum"><Data ss:Type="Number">1234.5</Data></Cell><Cell><Data ss:Type="Boolean">1</Data></Cell></Row>
</Table><x:WorksheetOptions><x:PageSetup><x:Header x:Data="&amp;CPort &amp;P"/></x:PageSetup></x:WorksheetOptions></Worksheet>
<Worksheet ss:Name="Empty"/></Workbook>"""


def test_a_word_2003_document_is_read_with_what_stands_around_its_text() -> None:
    found = read(WORD_2003.encode())
    assert found.mime_type == formats.WORD_2003.mime_type
    assert found.pages == [
        "A margin above\n1. The keel.\nIt is laid in May.\nIn Leith.\nMast\t12 m\n\nand one below",
        None,  # The picture.
    ]
    assert found.kinds == {"not_shown"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_excel_2003_workbook_shows_its_cells_as_a_person_sees_them(encoding: str) -> None:
    found = read(
        EXCEL_2003.replace('version="1.0"', f'version="1.0" encoding="{encoding}"').encode(encoding)
    )
    assert found.mime_type == formats.EXCEL_2003.mime_type
    assert found.pages == [
        "Berths\nBig berth\t\tDues\n\t2024-05-03\t1,234.50 EUR\tTRUE\n[Ada] Too low\nPort",
        "Empty",
    ]


def test_an_excel_2003_workbook_notes_formulas_without_a_result() -> None:
    cell = '<Cell ss:Formula="=7*6">{}</Cell>'
    first = '<Cell ss:MergeAcross="1">'
    found = read(EXCEL_2003.replace(first, f"{cell.format('')}{first}").encode())
    assert found.text.startswith("Berths\n=7*6\tBig berth")
    assert found.kinds == {"content_unreadable"}
    known = cell.format('<Data ss:Type="Number">42</Data>')
    assert read(EXCEL_2003.replace(first, f"{known}{first}").encode()).kinds == set()


def test_a_flat_package_is_read_as_the_document_that_it_is() -> None:
    body = f'<w:document xmlns:w="{W}"><w:body><w:p><w:r><w:t>The rudder.</w:t></w:r></w:p></w:body></w:document>'
    data = flat_package(
        {"/_rels/.rels": related(r1="officeDocument word/document.xml"), "/word/document.xml": body},
        {"/word/embeddings/list.pdf": b"%PDF-1.7 of nothing"},
    )
    found = read(data)
    assert found.mime_type == formats.FLAT_OFFICE.mime_type
    assert found.text == "The rudder."
    assert unpacked(data).parts == {"list.pdf": b"%PDF-1.7 of nothing"}


def test_flat_opendocument_is_read_with_its_pictures_and_objects() -> None:
    text = (
        "<text:p>The anchor.</text:p><text:p><draw:frame><draw:image><office:binary-data>"
        f"{PICTURE}</office:binary-data></draw:image></draw:frame></text:p>"
        "<text:p><draw:frame><draw:object-ole><office:binary-data>JVBERi0xLjc=</office:binary-data>"
        "</draw:object-ole></draw:frame></text:p>"
    )
    data = flat_open_document(
        "text",
        text,
        "<style:master-page><style:footer><text:p>Below</text:p></style:footer></style:master-page>",
    )
    found = read(data)
    assert found.mime_type == formats.FODT.mime_type
    assert found.pages == ["The anchor.\n\n\nBelow", None]
    assert found.kinds == {"attachment_unread"}
    assert list(unpacked(data).parts.values()) == [b"%PDF-1.7"]


def test_sheets_and_slides_of_flat_opendocument_are_pages() -> None:
    cell = (
        '<table:table-cell table:number-columns-repeated="2"><text:p>3,50</text:p></table:table-cell>'
    )
    sheet = f'<table:table table:name="Dues"><table:table-row>{cell}</table:table-row></table:table>'
    assert read(flat_open_document("spreadsheet", sheet)).pages == ["Dues\n3,50\t3,50"]
    slides = "".join(
        f"<draw:page><draw:frame><draw:text-box><text:p>{one}</text:p></draw:text-box></draw:frame></draw:page>"
        for one in ("Ebb", "Flow")
    )
    assert read(flat_open_document("presentation", slides)).pages == ["Ebb", "Flow"]
    assert read(flat_open_document("graphics", slides)).pages == ["Ebb", "Flow"]


@pytest.mark.parametrize("data", [WORD_2003[:900], EXCEL_2003[:700]])
def test_what_is_cut_short_has_a_reason(data: str) -> None:
    with pytest.raises(PermanentError, match="XML cannot be read"):
        read(data.encode())
