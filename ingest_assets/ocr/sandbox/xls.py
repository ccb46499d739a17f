"""XLS: Excel's binary workbooks, which xlrd reads.

Belongs here: cells as they show, and comments. Does not belong here: how numbers show
(`number_format`).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import xlrd
from olefile import isOleFile
from xlrd.biffh import error_text_from_code
from xlrd.book import Book
from xlrd.sheet import Cell, Sheet

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.number_format import (
    BUILT_IN,
    IN_ENGLISH,
    NOT_WORKED_OUT,
    is_in_another_language,
    shown,
)
from ingest_assets.ocr.sandbox.ole import OleFile, pictures_in
from ingest_assets.ocr.sandbox.xlsx import margin_text
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

# Numbers of records, and of kinds of objects: [MS-XLS].
_MARGINS = (0x14, 0x15)
_OBJECT, _TEXT, _DRAWINGS, _MORE = 0x5D, 0x1B6, 0xEB, 0x3C
_FORMULA, _UNCALCULATED = 0x06, 0x5E
_CHART_OBJECT, _PICTURE, _COMMENT = 5, 8, 0x19
# What programs store that work out no formula: an empty text, or 0.
_NO_RESULTS = (b"\3\0\0\0\0\0\xff\xff", bytes(8))
_CHART = Note("object_unread", "a chart, whose words were not read")


def read_xls(path: Path) -> IllustratedDocument:
    """Read a workbook: a page for each sheet, then its pictures."""
    try:
        book = xlrd.open_workbook(path, formatting_info=True, logfile=io.StringIO())
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # It raises any kind on bad bytes.
        if "encrypted" in str(error):
            raise PermanentError(
                "encrypted", "The XLS cannot be opened without its password."
            ) from error
        raise corrupt(f"the XLS cannot be read ({str(error)[:200]})") from error
    pages, size = [], 0
    codes: set[str] = set()
    for sheet in book.sheets():
        lines = [sheet.name]
        for line in _lines(book, sheet, codes):
            size += len(line)
            if size > MAX_TEXT_BYTES:
                raise too_much_text()
            lines.append(line)
        pages.append("\n".join(lines))
    # Before Excel 5 the file was the stream, with neither boxes nor pictures in it.
    texts, pictures, notes = _beside(path) if isOleFile(path) else ([], {}, [])
    if any(map(is_in_another_language, codes)):
        notes.append(IN_ENGLISH)
    if texts:  # Which sheet they stand on, they do not say.
        pages.append("\n".join(texts))
    return IllustratedDocument(pages or [""], pictures, pictures.__getitem__, lambda: notes)


def _lines(book: Book, sheet: Sheet, codes: set[str]) -> Iterator[str]:
    """Yield the rows of a sheet and its notes, and add the formats of its dates to some codes."""
    for row in sheet.get_rows():
        cells = [_shown(book, cell) for cell in row]
        codes.update(_code(book, cell) for cell in row if cell.ctype == xlrd.XL_CELL_DATE)
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield "\t".join(cells)
    for note in sheet.cell_note_map.values():
        yield note.text


def _code(book: Book, cell: Cell) -> str:
    """Return the format of a number; of those that differ by country the library knows none."""
    style = book.xf_list[cell.xf_index] if cell.xf_index is not None else None
    known = book.format_map.get(style.format_key) if style is not None else None
    return known.format_str or BUILT_IN.get(known.format_key, "") if known is not None else ""


def _shown(book: Book, cell: Cell) -> str:
    if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
        return ""
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(error_text_from_code.get(cell.value, "#ERROR"))
    if cell.ctype == xlrd.XL_CELL_TEXT:
        return str(cell.value).replace("\n", " ")
    return shown(cell.value, _code(book, cell), since_1904=bool(book.datemode))


def _string(data: bytes) -> str:
    """Return a string with its length before it, in one byte a character or two."""
    if len(data) < 3:
        return ""
    length, is_wide = struct.unpack_from("<HB", data)
    encoding = "utf-16-le" if is_wide & 1 else "latin-1"
    return data[3:].decode(encoding, "replace")[:length]


def _beside(path: Path) -> tuple[list[str], dict[str, bytes], list[Note]]:
    """Return what stands in boxes, the pictures, and notes of objects that are not read.

    The library leaves them out.
    """
    drawings, last, shown = bytearray(), 0, 0
    texts: list[str] = []
    notes: list[Note] = []
    results = set[bytes]()
    with OleFile(path) as file:
        kind = 0
        records = file.records("Workbook")
        for number, data in records:
            if number == _DRAWINGS or (number == _MORE and last == _DRAWINGS):
                drawings += data
                last = _DRAWINGS
                continue
            last = number
            if number == _OBJECT and len(data) >= 6:
                kind = struct.unpack_from("<H", data, 4)[0]
                shown += kind == _PICTURE
                notes += [_CHART] if kind == _CHART_OBJECT else []
            elif number == _FORMULA:
                results.add(data[6:14])
            elif number == _UNCALCULATED:
                notes.append(NOT_WORKED_OUT)
            elif number in _MARGINS and (margin := margin_text(_string(data))):
                texts.append(margin)
            elif number == _TEXT and kind != _COMMENT and len(data) >= 12:
                length = struct.unpack_from("<H", data, 10)[0]
                _, text = next(records, (0, b"")) if length else (0, b"")
                wide = text[:1] == b"\1"
                texts.append(text[1:].decode("utf-16-le" if wide else "latin-1", "replace")[:length])
        notes += file.notes()
    if results and results <= set(_NO_RESULTS):
        notes.append(NOT_WORKED_OUT)
    pictures = pictures_in(bytes(drawings))
    if shown and not pictures:
        notes.append(Note("image_unreadable", "pictures on its sheets that were not looked at"))
    return texts, pictures, list(dict.fromkeys(notes))
