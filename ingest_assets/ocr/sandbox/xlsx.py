"""XLSX: sheets as a person sees them.

Belongs here: SpreadsheetML. Does not belong here: how numbers show (`number_format`), and the archive
(`docx.package`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES, corrupt
from ingest_assets.ocr.sandbox.docx import drawings
from ingest_assets.ocr.sandbox.docx.names import R
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package
from ingest_assets.ocr.sandbox.number_format import (
    BUILT_IN,
    IN_ENGLISH,
    NOT_WORKED_OUT,
    is_in_another_language,
    shown,
)
from ingest_assets.ocr.sandbox.rich_values import PICTURES_IN_CELLS, shown_by_data_types
from ingest_assets.ocr.sandbox.web_page import html_text
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"  # The same in the standard's strict form.
_THREADED = "{http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments}"
_COLUMN = re.compile(r"[A-Z]{1,3}")
# Parts of a sheet, and of drawings and charts on it, that show something.
_BESIDE = (
    "comments",
    "threadedComment",
    "drawing",
    "diagramData",
    "chart",
    "chartEx",
    "chartUserShapes",
)
_BUTTONS = ("slicer", "timeline")
_MOST_COLUMNS = 16_384
# What stands on a button or in a box of the old kind.
_CAPTION = re.compile(r"<v:textbox[^>]*>(.*?)</v:textbox>", re.DOTALL)
# Codes of margins, such as &P for the page's number, with what follows some of them.
_MARGIN_CODE = re.compile(r'&(?:"[^"]*"|K[0-9A-F]{6}|\d+|[A-Z&])', re.IGNORECASE)


def read_xlsx(file: Path | bytes) -> IllustratedDocument:
    """Open a workbook: a page for each sheet, then its pictures."""
    return read_package(Package(file, "XLSX"), _contents_of)


def _contents_of(package: Package) -> Shown:
    return Workbook(package).read()


class Workbook:
    """What is shown.

    Where the parts that hold cells are not XML, another class reads those: `xlsb`.
    """

    def __init__(self, package: Package) -> None:
        self.pages: list[str] = []
        self.pictures: dict[str, None] = {}
        self.notes: list[Note] = []
        self._package = package
        self._main = package.main_part()
        self._size = 0
        # Of formulas: whether a program works them out when it opens the file, and whether all results
        # are known.
        self._is_worked_out_anew, self._are_worked_out = False, True
        self._is_in_english = False

    def read(self) -> Shown:
        """Read all sheets, in their order."""
        package, main = self._package, self._main
        sheets = self._sheets()
        self._strings = self._shared_strings()
        self._formats = self._styles()
        self._rich = shown_by_data_types(package, main)
        relations = package.relations(main)
        for name, identifier in sheets:
            relation = relations.get(identifier)
            if relation is None or relation.target not in package:
                self.notes.append(Note("page_unreadable", "a sheet that the file does not hold"))
                continue
            lines = [name, *self._sheet(relation.target)]
            self.pages.append("\n".join(lines))
        for kind in PICTURES_IN_CELLS:
            for part in package.related(main, kind):
                self._find_pictures(part)
        if not self._are_worked_out:
            self.notes.append(NOT_WORKED_OUT)
        if self._is_in_english:
            self.notes.append(IN_ENGLISH)
        if any(package.related(main, "vbaProject")):
            self.notes.append(Note("not_shown", "macros, which were not read"))
        return Shown(self.pages or [""], self.pictures, dict.fromkeys(self.notes))

    def _sheets(self) -> list[tuple[str, str]]:
        """Return name and relation of each sheet, and note from when its dates count."""
        root = self._package.xml(self._main)
        if root is None:
            raise corrupt("the XLSX has no main part that can be read")
        about = root.find(f"{S}workbookPr")
        calculation = root.find(f"{S}calcPr")
        anew = calculation.get("fullCalcOnLoad") if calculation is not None else None
        self._is_worked_out_anew = anew in ("1", "true")
        self._since_1904 = about is not None and about.get("date1904") in ("1", "true")
        return [(one.get("name", ""), one.get(f"{R}id", "")) for one in root.iter(f"{S}sheet")]

    def _shared_strings(self) -> list[str]:
        return [
            _string(item)
            for name in self._package.related(self._main, "sharedStrings")
            for item in self._all(name, "si")
        ]

    def _all(self, name: str, tag: str) -> Iterator[Element]:
        root = self._package.xml(name)
        return iter(()) if root is None else root.iter(f"{S}{tag}")

    def _styles(self) -> list[str]:
        """Return the number format of each style of cells."""
        for name in self._package.related(self._main, "styles"):
            codes = dict(BUILT_IN)
            for one in self._all(name, "numFmt"):
                codes[int(one.get("numFmtId", "0"))] = one.get("formatCode", "")
            for styles in self._all(name, "cellXfs"):
                return [codes.get(int(one.get("numFmtId", "0")), "") for one in styles]
        return []

    def _sheet(self, name: str) -> Iterator[str]:
        """Yield the rows of a sheet, then what stands beside its cells."""
        package, margins = self._package, list[str]()
        done = 0
        for is_mended in (False, True):
            margins.clear()
            try:
                with package.mended(name) if is_mended else package.open(name) as file:
                    for row in islice(self._rows(file, margins), done, None):
                        self._count(row)
                        done += 1
                        yield row
                break
            except DefusedXmlException as error:
                raise corrupt("the XML in the XLSX declares entities") from error
            except (ParseError, ValueError, LookupError, struct.error, *self._package.damaged) as error:
                if is_mended or not isinstance(error, ParseError):
                    sentence = f"a sheet is damaged and was read as far as it goes ({str(error)[:100]})"
                    self.notes.append(Note("page_unreadable", sentence))
                    break
        yield from filter(None, map(margin_text, margins))
        yield from self._beside(name)

    def _rows(self, file: BinaryIO, margins: list[str]) -> Iterator[str]:
        """Yield the rows that show something, and add what stands in the margins.

        Raises:
            PermanentError: `too_much_text`.
        """
        rows: Element | None = None
        for event, element in iterparse(file, events=("start", "end")):
            if event == "start":
                if element.tag.startswith(_STRICT):
                    element.tag = S + element.tag[len(_STRICT) :]
                rows = element if element.tag == f"{S}sheetData" else rows
            elif element.tag == f"{S}row" and rows is not None:
                if row := self._row(element):
                    yield row
                rows.clear()  # Of a million rows only one is in memory.
                if file.tell() > MAX_DECODED_BYTES:
                    raise too_much_text()
            elif element.tag == f"{S}headerFooter":
                margins += (part.text or "" for part in element)

    def _row(self, row: Element) -> str:
        cells: dict[int, str] = {}
        column = -1
        for cell in row:
            if cell.tag != f"{S}c":
                continue
            place = _COLUMN.match(cell.get("r", ""))
            column = column + 1 if place is None else _column(place[0])
            if column < _MOST_COLUMNS and (text := self._cell(cell)):
                cells[column] = text
        return joined(cells)

    def _cell(self, cell: Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return "".join(_string(text) for text in cell.iter(f"{S}is")).replace("\n", " ")
        value = cell.findtext(f"{S}v")
        if not value:
            formula = cell.find(f"{S}f")
            if formula is None or (kind == "str" and value is not None):  # Its result is an empty text.
                return ""
            self._are_worked_out = False
            return f"={formula.text}" if formula.text else ""
        if kind == "e" and (rich := self._of_data_type(cell.get("vm", ""))) is not None:
            return rich
        if self._is_worked_out_anew and cell.find(f"{S}f") is not None:
            self._are_worked_out = False
        return self._stored(kind, value, int(cell.get("s", "0")))

    def _of_data_type(self, number: str) -> str | None:
        """Return what a cell shows that has a value of a data type; None where it has no such value."""
        if not number.isdecimal() or not 0 < int(number) <= len(self._rich):
            return None
        return self._rich[int(number) - 1]

    def _stored(self, kind: str, value: str, style: int) -> str:
        """Return a stored value of some type (`ST_CellType`) as its style shows it."""
        if kind == "s":
            number = int(value)
            return self._strings[number].replace("\n", " ") if number < len(self._strings) else ""
        if kind == "n":
            return self._number(value, style)
        if kind == "d":
            return self._date(value, style)
        if kind == "b":
            return "TRUE" if value.strip() == "1" else "FALSE"
        return drawings.unescaped(value).replace("\n", " ")

    def _number(self, value: str | float, style: int) -> str:
        """Return a number as its style shows it."""
        code = self._code(style)
        self._is_in_english |= is_in_another_language(code)
        try:
            return shown(float(value), code, since_1904=self._since_1904)
        except ValueError:
            return str(value)

    def _code(self, style: int) -> str:
        return self._formats[style] if style < len(self._formats) else ""

    def _date(self, value: str, style: int) -> str:
        """Return a date that is stored in the form of ISO 8601 as its style shows it."""
        start = datetime(1904, 1, 1) if self._since_1904 else datetime(1899, 12, 30)
        try:
            moment = datetime.fromisoformat(value.rstrip("Z")).replace(tzinfo=None)
            days = (moment - start).total_seconds() / 86_400
        except ValueError:
            return value
        return self._number(days, style) if self._code(style) else value

    def _beside(self, name: str) -> Iterator[str]:
        """Yield comments, shapes, charts and diagrams of a sheet, and find its pictures."""
        self._find_pictures(name)
        for kind in _BESIDE:
            for part in self._package.related(name, kind):
                if kind == "comments":
                    yield from self._comments(part)
                    continue
                root = self._package.xml(part)
                if root is None:
                    continue
                if kind == "threadedComment":
                    yield from (text.text or "" for text in root.iter(f"{_THREADED}text"))
                elif kind == "diagramData":
                    yield from drawings.diagram(root)
                else:
                    is_chart = kind in ("chart", "chartEx")
                    yield from drawings.chart(root) if is_chart else drawings.paragraphs(root)
                    yield from self._beside(part)
        yield from drawings.drawn_diagrams(self._package, name)
        for drawing in self._package.related(name, "vmlDrawing"):
            # Programs write it as HTML more than as XML.
            markup = (self._package.read(drawing, MAX_TEXT_BYTES) or b"").decode("utf-8", "replace")
            yield from (html_text(box[1]) for box in _CAPTION.finditer(markup))
            self._find_pictures(drawing)  # Of margins, too.
        if any(self._package.related(name, "oleObject")) or any(self._package.related(name, "package")):
            self.notes.append(Note("attachment_unread", "a file of another program is embedded in it"))
        if any(part for kind in _BUTTONS for part in self._package.related(name, kind)):
            self.notes.append(
                Note("object_unread", "a slicer or timeline, whose buttons were not read")
            )

    def _find_pictures(self, part: str) -> None:
        pictures, notes = self._package.pictures(part)
        self.pictures |= pictures
        self.notes += notes

    def _comments(self, part: str) -> Iterator[str]:
        return (_string(text) for text in self._all(part, "text"))

    def _count(self, row: str) -> None:
        self._size += len(row)
        if self._size > MAX_TEXT_BYTES:
            raise too_much_text()


def margin_text(margin: str) -> str:
    """Return what a header or a footer says, without the codes of its fields and fonts."""
    said = _MARGIN_CODE.sub(lambda code: "&" if code[0] == "&&" else " ", margin)
    return " ".join(said.split())


def joined(cells: Mapping[int, str]) -> str:
    """Return a row, a tab between its cells."""
    return "\t".join(cells.get(place, "") for place in range(max(cells, default=-1) + 1))


def _string(item: Element) -> str:
    """Return a text of one format or several, without the readings beside Japanese characters."""
    pieces = [item.findtext(f"{S}t") or ""]
    pieces += (run.findtext(f"{S}t") or "" for run in item if run.tag == f"{S}r")
    return drawings.unescaped("".join(pieces))


def _column(letters: str) -> int:
    """Return the number of a column, from 0 on, of its letters."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
