"""Workbooks of Excel 2003 as XML, which many programs write for their reports.

Belongs here: that form of SpreadsheetML. Does not belong here: how numbers show (`number_format`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.docx.package import xml_root
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.number_format import NOT_WORKED_OUT, shown
from ingest_assets.ocr.sandbox.xlsx import joined, margin_text
from ingest_assets.text import clean_text

_S = "{urn:schemas-microsoft-com:office:spreadsheet}"
_X = "{urn:schemas-microsoft-com:office:excel}"
# Formats that files call by a name.
_NAMED = {
    **{"General Number": "", "Currency": "#,##0.00", "Euro Currency": "#,##0.00 €", "Fixed": "0.00"},
    **{
        "Standard": "#,##0.00",
        "Percent": "0.00%",
        "Scientific": "0.00E+00",
        "Short Date": "yyyy-mm-dd",
    },
    **{"General Date": "yyyy-mm-dd h:mm", "Long Date": "d mmmm yyyy", "Medium Date": "d-mmm-yy"},
    **{"Short Time": "h:mm", "Medium Time": "h:mm AM/PM", "Long Time": "h:mm:ss"},
}
_MOST_COLUMNS = 16_384
_START = datetime(1899, 12, 30)


def read_spreadsheet_2003(path: Path) -> FlowingDocument:
    """Open a workbook: a page for each sheet.

    Raises:
        PermanentError: `corrupt_document`, `too_much_text`.
    """
    root = xml_root(path.read_bytes())
    codes = dict(_codes(root))
    sheets = [
        clean_text("\n".join([sheet.get(f"{_S}Name", ""), *_lines(sheet, codes)]))
        for sheet in root.iter(f"{_S}Worksheet")
    ]
    notes: tuple[Note, ...] = () if _are_worked_out(root) else (NOT_WORKED_OUT,)
    return FlowingDocument(tuple(sheets) or ("",), notes)


def _are_worked_out(root: Element) -> bool:
    """Tell whether the results of all formulas are stored."""
    cells = root.iter(f"{_S}Cell")
    return all(cell.get(f"{_S}Formula") is None or cell.find(f"{_S}Data") is not None for cell in cells)


def _codes(root: Element) -> Iterator[tuple[str, str]]:
    """Yield the number format of each style of cells."""
    codes: dict[str, str] = {}
    for style in root.iter(f"{_S}Style"):
        stated = style.find(f"{_S}NumberFormat")
        code = stated.get(f"{_S}Format") if stated is not None else None
        name = style.get(f"{_S}ID", "")
        codes[name] = _NAMED.get(code, code) if code else codes.get(style.get(f"{_S}Parent", ""), "")
        yield name, codes[name]


def _lines(sheet: Element, codes: dict[str, str]) -> Iterator[str]:
    """Yield the rows that show something, then comments and margins."""
    beside: list[str] = []
    for row in sheet.iter(f"{_S}Row"):
        if line := _row(row, codes, beside):
            yield line
    margins = (*sheet.iter(f"{_X}Header"), *sheet.iter(f"{_X}Footer"))
    beside += (margin_text(margin.get(f"{_X}Data", "")) for margin in margins)
    yield from filter(None, beside)


def _row(row: Element, codes: dict[str, str], beside: list[str]) -> str:
    cells: dict[int, str] = {}
    column = 0
    for cell in row.iter(f"{_S}Cell"):
        column = _number(cell, "Index", column + 1)
        for comment in cell.findall(f"{_S}Comment"):
            author = comment.get(f"{_S}Author")
            text = " ".join("".join(one.itertext()) for one in comment.findall(f"{_S}Data"))
            beside.append(" ".join(f"[{author}] {text}".split()) if author else " ".join(text.split()))
        style = cell.get(f"{_S}StyleID") or row.get(f"{_S}StyleID") or "Default"
        if column <= _MOST_COLUMNS and (text := _cell(cell, codes.get(style, ""))):
            cells[column - 1] = text
        column += _number(cell, "MergeAcross", 0)
    return joined(cells)


def _cell(cell: Element, code: str) -> str:
    data = cell.find(f"{_S}Data")
    if data is None:
        return cell.get(f"{_S}Formula", "")
    text = " ".join("".join(data.itertext()).split("\n")).strip()
    kind = data.get(f"{_S}Type", "String")
    if kind == "Boolean":
        return "TRUE" if text == "1" else "FALSE"
    with suppress(ValueError):
        if kind == "Number":
            return shown(float(text), code)
        if kind == "DateTime":
            since = datetime.fromisoformat(text.rstrip("Z")) - _START
            return shown(since.total_seconds() / 86_400, code) if code else text
    return text


def _number(element: Element, name: str, otherwise: int) -> int:
    stated = element.get(f"{_S}{name}", "")
    return int(stated) if stated.isdecimal() and len(stated) < 8 else otherwise
