"""XLSB: workbooks whose cells are binary records, in a package that is otherwise that of XLSX.

Belongs here: the records of cells, strings, styles and comments ([MS-XLSB]). Does not belong here: what
is the same in XLSX, such as drawings and charts (`xlsx`).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from xlrd.biffh import error_text_from_code

from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES, corrupt
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package
from ingest_assets.ocr.sandbox.number_format import BUILT_IN
from ingest_assets.ocr.sandbox.xlsx import Workbook, joined
from ingest_assets.text import too_much_text

# Numbers of records: [MS-XLSB], 2.3.2.
_ROW, _SHARED, _FORMAT, _STYLE, _ABOUT, _SHEET = 0, 19, 44, 47, 153, 156
_STYLES_BEGIN, _STYLES_END, _MARGINS, _COMMENT, _CALCULATION = 617, 618, 479, 637, 157
_NUMBER_IN_30_BITS, _ERROR, _TRUTH, _NUMBER, _TEXT, _TEXT_BY_NUMBER = 2, 3, 4, 5, 6, 7
_RICH_TEXT = 62
# Cells that stand right of the one before, and do not say so: some programs write them.
_BLANK = 1
_SHORT = {
    **{12: _BLANK, 13: _NUMBER_IN_30_BITS, 14: _ERROR, 15: _TRUTH, 16: _NUMBER, 17: _TEXT},
    18: _TEXT_BY_NUMBER,
}
# What a formula has shown last stands where a value would.
_OF_FORMULAS = {8: _TEXT, 9: _NUMBER, 10: _TRUTH, 11: _ERROR}
_SINCE_1904 = 1
_FLAGS_OF_CALCULATION, _WHEN_OPENED = 24, 1
_HEADERS_AND_FOOTERS = 6
_NO_TEXT = 0xFFFFFFFF
_LONGEST_RECORD = 32_000_000


def read_xlsb(path: Path) -> IllustratedDocument:
    """Open a workbook: a page for each sheet, then its pictures."""
    return read_package(Package(path, "XLSB"), _contents_of)


def _contents_of(package: Package) -> Shown:
    try:
        return _BinaryWorkbook(package).read()
    except (struct.error, ValueError, LookupError) as error:
        raise corrupt(f"the records of the XLSB cannot be read ({error!r:.100})") from error


class _BinaryWorkbook(Workbook):
    """What is shown."""

    def _sheets(self) -> list[tuple[str, str]]:
        sheets = []
        self._since_1904 = False
        for kind, data in self._records(self._main):
            if kind == _ABOUT:
                self._since_1904 = bool(struct.unpack_from("<I", data)[0] & _SINCE_1904)
            elif kind == _CALCULATION and len(data) > _FLAGS_OF_CALCULATION:
                self._is_worked_out_anew = bool(data[_FLAGS_OF_CALCULATION] & _WHEN_OPENED)
            elif kind == _SHEET:
                relation, place = _text(data, 8)
                sheets.append((_text(data, place)[0], relation))
        if not sheets:
            raise corrupt("the XLSB has no list of its sheets")
        return sheets

    def _shared_strings(self) -> list[str]:
        return [
            _text(data, 1)[0]
            for name in self._package.related(self._main, "sharedStrings")
            for kind, data in self._records(name)
            if kind == _SHARED
        ]

    def _styles(self) -> list[str]:
        """Return the number format of each style of cells."""
        codes, numbers = dict(BUILT_IN), []
        is_of_cells = False
        for name in self._package.related(self._main, "styles"):
            for kind, data in self._records(name):
                is_of_cells = (is_of_cells or kind == _STYLES_BEGIN) and kind != _STYLES_END
                if kind == _FORMAT:
                    codes[struct.unpack_from("<H", data)[0]] = _text(data, 2)[0]
                elif kind == _STYLE and is_of_cells:
                    numbers.append(struct.unpack_from("<H", data, 2)[0])
        return [codes.get(number, "") for number in numbers]

    def _rows(self, file: BinaryIO, margins: list[str]) -> Iterator[str]:
        cells: dict[int, str] = {}
        column = -1
        for kind, data in _records(file):
            if kind == _MARGINS:
                place = 2
                for _ in range(_HEADERS_AND_FOOTERS):
                    text, place = _text(data, place)
                    margins.append(text)
            elif kind == _ROW:
                if cells:
                    yield joined(cells)
                cells, column = {}, -1
            elif kind in _SHORT:
                column, style = column + 1, struct.unpack_from("<I", data)[0]
                if text := self._value(_SHORT[kind], data[4:], style & 0xFFFFFF):
                    cells[column] = text.replace("\n", " ")
            elif kind in _OF_FORMULAS or _BLANK <= kind <= _TEXT_BY_NUMBER or kind == _RICH_TEXT:
                place, style = struct.unpack_from("<II", data)
                column = place & 0x3FFF
                self._are_worked_out &= not (self._is_worked_out_anew and kind in _OF_FORMULAS)
                if text := self._value(_OF_FORMULAS.get(kind, kind), data[8:], style & 0xFFFFFF):
                    cells[column] = text.replace("\n", " ")
        if cells:
            yield joined(cells)

    def _value(self, kind: int, data: bytes, style: int) -> str:
        """Return what a cell shows."""
        if kind == _NUMBER_IN_30_BITS:
            return self._number(_unpacked(struct.unpack_from("<I", data)[0]), style)
        if kind == _NUMBER:
            return self._number(struct.unpack_from("<d", data)[0], style)
        if kind == _TRUTH:
            return "TRUE" if data[0] else "FALSE"
        if kind == _ERROR:
            return str(error_text_from_code.get(data[0], "#ERROR"))
        if kind == _TEXT_BY_NUMBER:
            number = struct.unpack_from("<I", data)[0]
            return self._strings[number] if number < len(self._strings) else ""
        return _text(data, 1 if kind == _RICH_TEXT else 0)[0] if kind != _BLANK else ""

    def _comments(self, part: str) -> Iterator[str]:
        for kind, data in self._records(part):
            if kind == _COMMENT:
                yield _text(data, 1)[0]

    def _records(self, name: str) -> Iterator[tuple[int, bytes]]:
        data = self._package.read(name) or b""
        if len(data) > MAX_DECODED_BYTES:
            raise too_much_text()
        return _records(io.BytesIO(data))


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each record, up to the end or to a place that makes no sense."""
    size = 0
    while first := file.read(1):
        kind = first[0]
        if kind & 0x80:
            kind = kind & 0x7F | (file.read(1) or b"\0")[0] << 7
        length = 0
        for step in range(4):
            byte = (file.read(1) or b"\0")[0]
            length |= (byte & 0x7F) << 7 * step
            if not byte & 0x80:
                break
        size += length
        if length > _LONGEST_RECORD or size > MAX_DECODED_BYTES:
            raise too_much_text()
        data = file.read(length)
        if len(data) < length:
            raise ValueError("it is cut short")
        yield kind, data


def _text(data: bytes, place: int) -> tuple[str, int]:
    """Return a text, which may be none, and the place behind it."""
    length = struct.unpack_from("<I", data, place)[0]
    if length == _NO_TEXT:
        return "", place + 4
    end = place + 4 + 2 * length
    if end > len(data):
        raise struct.error("a text is longer than its record")
    return data[place + 4 : end].decode("utf-16-le", "replace"), end


def _unpacked(packed: int) -> float:
    """Return a number that was packed in 30 bits (RkNumber): a whole one, or the head of another."""
    if packed & 2:
        number = float((packed >> 2) - (1 << 30 if packed & 0x80000000 else 0))
    else:
        number = float(struct.unpack("<d", struct.pack("<Q", (packed & 0xFFFFFFFC) << 32))[0])
    return number / 100 if packed & 1 else number
