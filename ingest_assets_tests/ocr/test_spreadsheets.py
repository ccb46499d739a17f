"""Workbooks: cells as a person sees them, and what stands beside them."""

from __future__ import annotations

import io
import re
import struct
from contextlib import suppress
from datetime import date
from functools import cache

import openpyxl
import openpyxl.chart
import openpyxl.comments
import openpyxl.drawing.image
import pytest
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.number_format import shown
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.office import MAIN, RELATIONS, package, related
from ingest_assets_tests.support.reading import read
from ingest_assets_tests.support.scans import encoded, page_image

_SHEETS = MAIN.format("spreadsheetml")


def xlsx(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def xls(book: xlwt.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        (0.256, "0%", "26%"),
        (1234.5, "#,##0.00", "1,234.50"),
        (-1234.5, "#,##0.00;(#,##0.00)", "(1,234.50)"),
        (0, '0;-0;"-"', "-"),
        (1234.5, '"€" #,##0.00', "€ 1,234.50"),
        (1234.5, "#,##0.00 [$€-407]", "1,234.50 €"),
        (0.1 + 0.2, "General", "0.3"),
        (1e20, "", "1e+20"),
        (12, "0000", "0012"),
        (3.1, "0.0#", "3.1"),
        (-5, "0", "-5"),
        (1234567, '0.0,,"M"', "1.2M"),
        (12345.678, "0.00E+00", "1.23E+04"),
        (0.5, "# ?/?", "1/2"),
        (5, '0" Stück"', "5 Stück"),
        (45415, "yyyy-mm-dd", "2024-05-03"),
        (45415, "[$-407]d. mmmm yyyy", "3. May 2024"),
        (45415.404, "dd.mm.yyyy hh:mm", "03.05.2024 09:41"),
        (45415.904, "h:mm AM/PM", "9:41 PM"),
        (45415.404, "dd.mm. hh:mm", "03.05. 09:41"),
        (45415.404, "m/d h:mm:ss", "5/3 9:41:46"),
        (45415.904, '上午/下午h"时"mm"分"', "下午9时41分"),
        (45415, '[$-411]ggge"年"m"月"d"日" aaaa', "2024年5月3日 Friday"),
        (1.5, "[h]:mm:ss", "36:00:00"),
        (59, "yyyy-mm-dd", "1900-02-28"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (1e99, "yyyy", "1e+99"),
        (float("inf"), "0.00", "inf"),
        (5551234567, "(000) 000-0000", "(555) 123-4567"),
        (5551234567, "[<=9999999]###-####;(###) ###-####", "(555) 123-4567"),
        (2, '[=1]"one";[=2]"two";0', "two"),
        (-7, '[=1]"one";[=2]"two";0', "-7"),
        (0, '_-* #,##0.00_-;-* #,##0.00_-;_-* "-"??_-;_-@_-', "-"),
        (2.5, "0", "3"),
        (1.005, "0.00", "1.01"),
        (1e300, "0", f"1{300 * '0'}"),
        (-5, "General;-General", "-5"),
        (5, 'General" oars"', "5 oars"),
        (1234567, r"###\-####", "123-4567"),
        (7, "000-00-0000", "000-00-0007"),
        (1205551234567, "+0 (000) 000-0000", "+120 (555) 123-4567"),
    ],
)
def test_numbers_show_as_their_format_says(value: float, code: str, expected: str) -> None:
    assert shown(value, code) == expected


@pytest.mark.parametrize(
    ("code", "is_noted"),
    [
        ("[$-407]d. mmmm yyyy", True),
        ("[$-fr-FR]dddd d", True),
        ("[$-409]d mmm yyyy", False),
        ("[$-F800]dddd, d mmmm yyyy", False),
        ("[$-407]dd.mm.yyyy", False),
        ('[$-407]dd.mm."mmm"', False),
    ],
)
def test_months_that_show_in_another_language_are_noted(code: str, is_noted: bool) -> None:
    new, old = openpyxl.Workbook(), xlwt.Workbook()
    new.active["A1"], new.active["A1"].number_format = 45415, code
    old.add_sheet("May").write(0, 0, 45415, xlwt.easyxf(num_format_str=code))
    for data in (xlsx(new), xls(old)):
        assert read(data).kinds == ({"content_unreadable"} if is_noted else set())


def test_days_may_be_counted_from_1904() -> None:
    assert shown(43953, "yyyy-mm-dd", since_1904=True) == "2024-05-03"


@given(st.floats(), st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_format_shows_something(value: float, code: str) -> None:
    assert isinstance(shown(value, code), str)


def test_a_workbook_shows_its_cells_and_what_stands_beside_them() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Catches"
    sheet.append(["Day", None, "Herring", "Cod"])
    sheet.append([date(2024, 5, 3), None, 0.25, True])
    sheet["C2"].number_format = "0.0%"
    sheet["A2"].number_format = "dd.mm.yyyy"
    sheet["D900"] = "far\naway"
    sheet["C1"].comment = openpyxl.comments.Comment("By weight.", "Ada")
    sheet.oddFooter.center.text = "Page &P of the harbour"
    sheet.add_image(openpyxl.drawing.image.Image(io.BytesIO(encoded(page_image(), "PNG"))), "F1")
    chart = openpyxl.chart.BarChart()
    chart.title = "Shares"
    chart.add_data(openpyxl.chart.Reference(sheet, min_col=3, min_row=1, max_row=2))
    sheet.add_chart(chart, "F40")
    book.create_sheet("Empty")

    first, second, picture = read(xlsx(book)).pages

    assert first is not None
    assert first.startswith("Catches\nDay\t\tHerring\tCod\n03.05.2024\t\t25.0%\tTRUE\n\t\t\tfar away\n")
    for beside in ("By weight.", "Page of the harbour", "Shares"):
        assert beside in first
    assert second == "Empty"
    assert picture is None


def test_a_sheet_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    book = openpyxl.Workbook()
    for number in range(3000):
        book.active.append([number, f"a row of its own {number}"])
    parts = read_parts(xlsx(book))
    sheet = parts.pop("xl/worksheets/sheet1.xml")
    data = zipped({**parts, "xl/worksheets/sheet1.xml": sheet})
    found = read(data[: len(data) * 2 // 3], formats.XLSX.mime_type)
    assert "a row of its own 7" in found.text
    assert found.kinds == {"repaired", "page_unreadable"}


def test_an_old_workbook_shows_its_cells() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Fänge")
    sheet.write(0, 0, "Tag")
    sheet.write(1, 0, date(2024, 5, 3), xlwt.easyxf(num_format_str="DD.MM.YYYY"))
    sheet.write(1, 2, 0.256, xlwt.easyxf(num_format_str="0.0%"))
    sheet.write(2, 1, True)
    found = read(xls(book))
    assert found.mime_type == formats.XLS.mime_type
    assert found.pages == ["Fänge\nTag\n03.05.2024\t\t25.6%\n\tTRUE"]
    assert found.notes == ()


@cache
def small_workbooks() -> list[tuple[bytes, str]]:
    old = xlwt.Workbook()
    old.add_sheet("a").write(0, 0, "text")
    new = openpyxl.Workbook()
    new.active.append(["text", 1.5])
    return [(xls(old), formats.XLS.mime_type), (xlsx(new), formats.XLSX.mime_type)]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_bytes_of_a_workbook_end_as_text_or_with_a_reason(data: st.DataObject) -> None:
    whole, kind = data.draw(st.sampled_from(small_workbooks()))
    place = data.draw(st.integers(0, len(whole)))
    changed = whole[:place] + data.draw(st.binary(max_size=20)) + whole[place + 1 :]
    with suppress(PermanentError):
        assert read(changed, kind).pages


def test_a_gigabyte_of_zeros_in_a_sheet_ends_soon() -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    book = openpyxl.Workbook()
    parts = read_parts(xlsx(book))
    row = b"<row><c><v>" + b"0" * 100_000_000 + b"</v></c></row>"
    parts["xl/worksheets/sheet1.xml"] = b'<worksheet xmlns="%s"><sheetData>%s' % (main.encode(), row)
    with suppress(PermanentError):
        assert len(read(zipped(parts)).text) < 1000


def read_parts(data: bytes) -> dict[str, bytes | str]:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_cells_without_a_stored_result_and_margins_are_read() -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active["A1"] = "=SUM(B1:B9)"
    found = read(xlsx(book))
    assert found.pages == ["Sheet\n=SUM(B1:B9)"]
    assert found.kinds == {"content_unreadable"}
    old = xlwt.Workbook()
    sheet = old.add_sheet("Dues")
    sheet.write(0, 0, "Ship")
    sheet.header_str, sheet.footer_str = b"&CHarbour && quay &D", b"Page &P"
    assert read(xls(old)).pages == ["Dues\nShip", "Harbour & quay\nPage"]


def sheet_of(cells: str, *, namespace: str = _SHEETS, anew: str = "") -> bytes:
    """A workbook of one row; its style 1 is a date that Excel in East Asia calls by number only."""
    workbook = f'<sheets><sheet name="Dues" r:id="s"/></sheets><calcPr fullCalcOnLoad="{anew}"/>'
    names = f'xmlns="{namespace}" xmlns:r="{RELATIONS}"'
    rows = f"<sheetData><row>{cells}</row></sheetData>"
    styles = '<cellXfs><xf/><xf numFmtId="57"/></cellXfs>'
    return package(
        "xl/workbook.xml",
        "spreadsheetml.sheet",
        {
            "xl/workbook.xml": f"<workbook {names}>{workbook}</workbook>",
            "xl/_rels/workbook.xml.rels": related(s="worksheet sheet.xml", t="styles styles.xml"),
            "xl/sheet.xml": f'<worksheet xmlns="{namespace}">{rows}</worksheet>',
            "xl/styles.xml": f'<styleSheet xmlns="{namespace}">{styles}</styleSheet>',
        },
    )


@pytest.mark.parametrize(
    ("begin", "label"),
    [
        (struct.pack("<HHHH", 9, 4, 2, 16), struct.pack("<HHHH3sB", 4, 15, 0, 0, b"", 7)),
        (struct.pack("<HHHHH", 0x209, 6, 0, 16, 0), struct.pack("<HHHHHH", 0x204, 15, 0, 0, 0, 7)),
        (struct.pack("<HHHHH", 0x409, 6, 0, 16, 0), struct.pack("<HHHHHH", 0x204, 15, 0, 0, 0, 7)),
    ],
)
def test_workbooks_of_excel_2_to_4_are_read(begin: bytes, label: bytes) -> None:
    found = read(begin + label + b"Herring" + struct.pack("<HH", 10, 0))
    assert (found.mime_type, found.text) == (formats.XLS.mime_type, "Sheet 1\nHerring")


_RICH = {
    "xl/metadata.xml": (
        '<metadata><futureMetadata><rvb i="1"/><rvb i="0"/><rvb i="2"/></futureMetadata><valueMetadata>'
        '<rc t="1" v="0"/><rc t="1" v="1"/><rc t="1" v="2"/></valueMetadata></metadata>'
    ),
    "xl/rv.xml": (
        '<rvData><rv s="0"><v>0</v></rv><rv s="1"><v>en</v><v>Leith</v></rv>'
        '<rv s="2"><v>8</v></rv></rvData>'
    ),
    "xl/kinds.xml": (
        '<rvStructures><s t="_localImage"><k n="_rvRel:LocalImageIdentifier"/></s><s t="_linkedentity">'
        '<k n="%EntityCulture"/><k n="_DisplayString"/></s>'
        '<s t="_error"><k n="errorType"/></s></rvStructures>'
    ),
}


def test_cells_with_values_of_data_types_show_them_and_pictures_are_found_wherever_they_are() -> None:
    names = f'xmlns="{_SHEETS}" xmlns:r="{RELATIONS}"'
    cells = "".join(f'<c t="e" vm="{number}"><v>#VALUE!</v></c>' for number in (1, 2, 3, 9))
    pictures = {
        f"{name}.png": encoded(page_image(["PILOT"]), "PNG") for name in ("cell", "margin", "back")
    }
    parts: dict[str, str | bytes] = {
        "xl/workbook.xml": f'<workbook {names}><sheet name="Ports" r:id="s"/></workbook>',
        "xl/_rels/workbook.xml.rels": related(
            s="worksheet sheet.xml",
            m="sheetMetadata metadata.xml",
            v="rdRichValue rv.xml",
            k="rdRichValueStructure kinds.xml",
            p="richValueRel pictures.xml",
        ),
        "xl/sheet.xml": f"<worksheet {names}><sheetData><row>{cells}</row></sheetData></worksheet>",
        "xl/_rels/sheet.xml.rels": related(
            v="vmlDrawing margin.vml", p="image back.png", b="slicer slicer.xml"
        ),
        "xl/margin.vml": "<xml/>",
        "xl/slicer.xml": "<slicers/>",
        "xl/_rels/margin.vml.rels": related(p="image margin.png"),
        "xl/pictures.xml": "<richValueRels/>",
        "xl/_rels/pictures.xml.rels": related(p="image cell.png"),
        **_RICH,
        **{f"xl/{name}": data for name, data in pictures.items()},
    }
    found = read(package("xl/workbook.xml", "spreadsheetml.sheet", parts))
    assert found.pages == ["Ports\nLeith\t\t#VALUE!\t#VALUE!", None, None, None]
    assert found.kinds == {"object_unread"}


@pytest.mark.parametrize("zone", ["", "Z", "+02:00"])
def test_a_workbook_in_the_strict_form_shows_its_cells(zone: str) -> None:
    date = f'<c t="d" s="1"><v>2024-05-03T00:00:00{zone}</v></c>'
    cells = f'<c t="inlineStr"><is><t>Ship</t></is></c>{date}'
    strict = "http://purl.oclc.org/ooxml/spreadsheetml/main"
    assert read(sheet_of(cells, namespace=strict)).pages == ["Dues\nShip\t2024-05-03"]


def test_dates_that_a_workbook_of_east_asia_calls_by_number_only_are_dates() -> None:
    assert read(sheet_of('<c s="1"><v>45415</v></c>')).pages == ["Dues\n2024-05-03"]
    old = xlwt.Workbook()
    old.add_sheet("Dues").write(0, 0, 45415, xlwt.easyxf(num_format_str="0.0000"))
    data = xls(old)
    # The number of a format stands in each XF record ([MS-XLS], 2.4.353).
    named = re.sub(rb"(?s)(\xe0\x00\x14\x00..)[\xa4\xa5]\x00", b"\\g<1>9\0", data)
    assert named != data
    assert read(named).pages == ["Dues\n2024-05-03"]


@pytest.mark.parametrize("illegal", ["&#x1F;", "&#0;", "\x03"])
def test_characters_that_xml_may_not_have_lose_no_cell(illegal: str) -> None:
    text = "<c t='inlineStr'><is><t>{}</t></is></c>"
    cells = text.format("Ship") + "</row><row>" + text.format(f"Oil{illegal}& coal")
    found = read(sheet_of(f"{cells}</row><row>{text.format('Dues')}"))
    assert (found.pages, found.notes) == (["Dues\nShip\nOil & coal\nDues"], ())


@pytest.mark.parametrize(
    ("cell", "anew", "shows", "kinds"),
    [
        ('<c t="str"><f>IF(B1="","",1)</f><v></v></c><c><v>1</v></c>', "", "\t1", set()),
        ("<c><f>B1*2</f><v></v></c><c><v>1</v></c>", "", "=B1*2\t1", {"content_unreadable"}),
        ("<c><f>B1*2</f><v>0</v></c><c><v>1</v></c>", "1", "0\t1", {"content_unreadable"}),
        ("<c><f>B1*2</f><v>2</v></c><c><v>1</v></c>", "0", "2\t1", set()),
    ],
)
def test_of_formulas_what_is_not_known_to_show_is_noted(
    cell: str, anew: str, shows: str, kinds: set[str]
) -> None:
    found = read(sheet_of(cell, anew=anew))
    assert (found.pages, found.kinds) == ([f"Dues\n{shows}"], kinds)


def test_an_old_workbook_whose_formulas_were_not_worked_out_says_so() -> None:
    old = xlwt.Workbook()
    old.add_sheet("Dues").write(0, 0, xlwt.Formula("7*6"))
    data = xls(old)
    no_result = b"\3\0\0\0\0\0\xff\xff"
    assert read(data).kinds == {"content_unreadable"}
    assert read(data.replace(no_result, bytes(8))).kinds == {"content_unreadable"}
    found = read(data.replace(no_result, struct.pack("<d", 42)))
    assert (found.pages, found.kinds) == (["Dues\n42"], set())


def test_characters_that_a_workbook_writes_by_their_numbers_are_read() -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active["A1"] = "Oil_x000D_\nand_x0009_coal"
    book.active["A2"] = "Form_x005F_x0041_"
    assert read(xlsx(book)).pages == ["Sheet\nOil and\tcoal\nForm_x0041_"]


def record(number: int, data: bytes = b"") -> bytes:
    """A record of a binary workbook."""
    head = bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])
    length, size = b"", len(data)
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return head + length + bytes([size]) + data


def words(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def cell(kind: int, column: int, value: bytes, style: int = 0) -> bytes:
    return record(kind, struct.pack("<II", column, style) + value)


@cache
def xlsb(flags_of_calculation: int = 0) -> bytes:
    """A binary workbook with a sheet, its styles, its shared strings, a comment and a footer."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

    def relations(**targets: str) -> str:
        listed = "".join(
            f'<Relationship Id="r{number}" Type="{office}/{kind}" Target="{target}"/>'
            for number, (kind, target) in enumerate(targets.items())
        )
        return (
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f"{listed}</Relationships>"
        )

    dates = struct.pack("<HH", 0, 164) + bytes(12)
    rows = (
        record(0, struct.pack("<I", 0) + bytes(13))
        + cell(7, 0, struct.pack("<I", 0))
        + cell(6, 2, words("Grüße\nzwei"))
        + record(0, struct.pack("<I", 4) + bytes(13))
        + cell(2, 0, struct.pack("<I", 1234 << 2 | 3))
        + cell(5, 1, struct.pack("<d", 45415.0), style=1)
        + cell(4, 2, b"\1")
        + cell(3, 3, b"\x07")
        + cell(9, 4, struct.pack("<d", 0.5) + bytes(8))
        + cell(8, 5, words("made") + bytes(8))
        + cell(1, 6, b"")
        # Cells that stand beside the one before.
        + record(0, struct.pack("<I", 5) + bytes(13))
        + record(18, bytes(4) + struct.pack("<I", 0))
        + record(12, bytes(4))
        + record(16, struct.pack("<Id", 1, 45415.0))
        + record(13, bytes(4) + struct.pack("<I", 1234 << 2 | 3))
        + record(479, bytes(2) + words("&CPage &P of the harbour") + b"\xff\xff\xff\xff" * 5)
    )
    return zipped(
        {
            "[Content_Types].xml": (
                '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                f'<Override PartName="/xl/workbook.bin" ContentType="{formats.XLSB.mime_type}.main"/>'
                "</Types>"
            ),
            "_rels/.rels": relations(officeDocument="xl/workbook.bin"),
            "xl/workbook.bin": record(156, bytes(8) + words("r0") + words("Dues"))
            + record(157, bytes(24) + bytes([flags_of_calculation, 0])),
            "xl/_rels/workbook.bin.rels": relations(
                worksheet="sheet1.bin", styles="styles.bin", sharedStrings="strings.bin"
            ),
            "xl/strings.bin": record(19, b"\0" + words("Ship")),
            "xl/styles.bin": record(44, struct.pack("<H", 164) + words("dd.mm.yyyy"))
            + record(617)
            + record(47, bytes(16))
            + record(47, dates)
            + record(618),
            "xl/sheet1.bin": rows,
            "xl/_rels/sheet1.bin.rels": relations(comments="comments.bin"),
            "xl/comments.bin": record(637, b"\0" + words("Look at this.")),
        }
    )


def test_a_binary_workbook_shows_its_cells_as_its_styles_say_comments_and_margins() -> None:
    found = read(xlsb())
    assert (found.mime_type, found.kinds) == (formats.XLSB.mime_type, set())
    assert found.pages == [
        "Dues\nShip\t\tGrüße zwei\n12.34\t03.05.2024\tTRUE\t#DIV/0!\t0.5\tmade\n"
        "Ship\t\t03.05.2024\t12.34\n"
        "Page of the harbour\nLook at this."
    ]


def test_a_binary_workbook_that_is_worked_out_when_it_is_opened_says_so() -> None:
    assert read(xlsb(flags_of_calculation=1)).kinds == {"content_unreadable"}


def test_a_damaged_sheet_of_a_binary_workbook_is_read_as_far_as_it_goes() -> None:
    cut = xlsb().replace(b"sheet1.bin", b"sheet9.bin")
    assert "page_unreadable" in read(cut).kinds
