"""OpenDocument: texts, spreadsheets, presentations and drawings (ODT, ODS, ODP, ODG).

Belongs here: everything that knows OpenDocument's XML (ISO/IEC 26300), which gives cells as they show.
Does not belong here: the archive (`docx.package`), and pages.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import mathml, symbols
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package
from ingest_assets.ocr.sandbox.number_format import NOT_WORKED_OUT
from ingest_assets.ocr.sandbox.open_document_lists import Lists
from ingest_assets.text import MAX_TEXT_BYTES, SOFT_HYPHEN, too_much_text

_NAMESPACE = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
TEXT, TABLE, DRAW, OFFICE, STYLE, PRESENTATION = (
    _NAMESPACE % name for name in ("text", "table", "drawing", "office", "style", "presentation")
)
HREF = "{http://www.w3.org/1999/xlink}href"
_MATH = "{http://www.w3.org/1998/Math/MathML}"
_SVG = _NAMESPACE % "svg-compatible"
_FORM = _NAMESPACE % "form"
_FO = _NAMESPACE % "xsl-fo-compatible"
# Fields of forms as LibreOffice takes them over from Word.
_FIELD = "{urn:openoffice:names:experimental:ooo-ms-interop:xmlns:field:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"

# What a reader of the document does not see.
_NOT_SHOWN = {
    *(f"{TEXT}tracked-changes", f"{TEXT}sequence-decls", f"{TEXT}variable-decls"),
    *(f"{TEXT}user-field-decls", f"{OFFICE}scripts", f"{TABLE}calculation-settings"),
    *(f"{TABLE}content-validations", f"{TABLE}named-expressions", f"{TABLE}database-ranges"),
    *(f"{TEXT}hidden-text", f"{OFFICE}event-listeners", f"{TABLE}tracked-changes"),
    *(f"{_DC}date", f"{TEXT}note-citation", f"{DRAW}glue-point", f"{TEXT}bibliography-configuration"),
}
# What a line may consist of that is no field.
_NO_FIELDS = frozenset(f"{TEXT}{name}" for name in ("p", "span", "a", "s", "tab", "line-break"))
_WORD = re.compile(r"\w+")
# Words of "Page 1 of 9", as LibreOffice writes it in the languages that it speaks most.
_PAGE_OF_PAGES = (
    "page of seite von página de pagina di van sur sida av side af sivu oldal strona z ze strana "
    "страница сторінка из з σελίδα από sayfa trang halaman dari 页 第 共 頁 ページ 페이지"
)
_OF_PAGE_NUMBERS = frozenset(_PAGE_OF_PAGES.split())
# Of presentations: what stands in the margins of the slides that name it.
_DECLARED = ("header", "footer", "date-time")
_DECLARATIONS = {f"{PRESENTATION}{kind}-decl": kind for kind in _DECLARED}
_LINES = {f"{TEXT}p", f"{TEXT}h"}
_CHARACTERS = {f"{TEXT}tab": "\t", f"{TEXT}tab-stop": "\t", f"{TEXT}line-break": "\n"}
# Places that hold text of their own within a line: it goes on the lines after it.
_ASIDE = {f"{TEXT}note", f"{OFFICE}annotation"}
_ROWS = {
    *(
        f"{TABLE}table-row-group",
        f"{TABLE}table-header-rows",
        f"{TABLE}table-rows",
        f"{TEXT}soft-page-break",
    ),
}
# Of cells for which the program that wrote them has stored no text.
_VALUES = [f"{OFFICE}{kind}value" for kind in ("string-", "date-", "time-", "boolean-", "")]
_VECTORS = (".svg", ".svm", ".wmf", ".emf")
_MOST_SPACES = 1000
_DEEPEST = 3


def read_open_document(file: Path | bytes) -> IllustratedDocument:
    """Open an OpenDocument file: its sheets, its slides or all of its text, then its pictures."""
    return read_package(Package(file, "OpenDocument file"), _contents_of)


def _contents_of(package: Package) -> Shown:
    story = _Story(package)
    story.read()
    return Shown(story.pages(), story.pictures, dict.fromkeys(story.notes))


class _Story:
    """What is shown."""

    def __init__(self, package: Package, folder: str = "", depth: int = 0) -> None:
        self.pictures: dict[str, None] = {}
        self.notes: list[Note] = []
        self._package = package
        self._folder = folder
        self._depth = depth
        self._pages: list[list[str]] = [[]]
        self._sheets: list[Element] = []
        self._hidden: set[str] = set()
        self._of_signs: dict[str, str] = {}
        # Of changes: those that delete, and in which of them the text stands that is being read.
        self._deletions: set[str | None] = set()
        self._within: set[str | None] = set()
        self._handlers: Mapping[str, Callable[[Element], None]] = {
            f"{TEXT}list": self._list,
            f"{TABLE}table": self._table,
            f"{DRAW}page": self._slide,
            f"{DRAW}frame": self._frame,
            **dict.fromkeys((f"{DRAW}object", f"{DRAW}object-ole"), self._object),
            **dict.fromkeys((f"{_SVG}title", f"{_SVG}desc", f"{_DC}creator"), self._title),
            f"{TEXT}ruby-text": self._title,
            **dict.fromkeys(_DECLARATIONS, self._declare),
            f"{OFFICE}forms": self._form,
        }
        self._declared: dict[tuple[str, str | None], str] = {}
        self._size = 0

    def read(self) -> None:
        """Read the document, with what stands in the margins of its pages."""
        _check_open(self._package, self._folder)
        root = self._package.xml(posixpath.join(self._folder, "content.xml"))
        if root is None:
            raise corrupt("the OpenDocument file has no content that can be read")
        if root.tag == f"{_MATH}math":
            self._show(mathml.linear(root))
            return
        body = root.find(f"{OFFICE}body")
        styles = self._package.xml(posixpath.join(self._folder, "styles.xml"))
        self._lists = Lists((styles, root))
        self._hidden = set(_hidden_styles((styles, root)))
        self._of_signs = dict(_styles_of_signs((styles, root)))
        self._deletions = {
            region.get(f"{TEXT}id")
            for region in root.iter(f"{TEXT}changed-region")
            if region.find(f"{TEXT}deletion") is not None
        }
        self._sheets = root.findall(f"{OFFICE}body/{OFFICE}spreadsheet/{TABLE}table")
        if root.get(f"{OFFICE}class") == "spreadsheet":  # Of OpenOffice 1.
            self._sheets = root.findall(f"{OFFICE}body/{TABLE}table")
        self._element(body if body is not None else root)
        for master in styles.iter(f"{STYLE}master-page") if styles is not None else ():
            self._margins(master)
        if root.find(f"{OFFICE}body/{OFFICE}drawing") is not None and not (self._size or self.pictures):
            self.notes.append(
                Note("unread_ink", "a drawing without words; its shapes were not looked at")
            )
        if self._package.has_folder("basic"):
            self.notes.append(Note("not_shown", "macros, which were not read"))

    def pages(self) -> list[str]:
        """Return the text of each sheet or slide."""
        return ["\n".join(page) for page in self._pages if any(page)] or [""]

    def _margins(self, master: Element) -> None:
        """Show what stands on each page: headers, footers, and what slides have behind them."""
        for part in master:
            if part.get(f"{STYLE}display") == "false":
                continue
            if part.tag.startswith(STYLE) and not self._sheets:
                self._element(part)
            elif part.tag.startswith(STYLE):
                # LibreOffice writes fields into the margins of every sheet, which only a printer shows.
                for line in part.iter(f"{TEXT}p"):
                    if not _words_beside_fields(line) <= _OF_PAGE_NUMBERS or not any(
                        map(_is_field, line.iter())
                    ):
                        self._element(line)
            elif part.tag.startswith(DRAW) and part.get(f"{PRESENTATION}class") is None:
                self._element(part)

    def _show(self, line: str) -> None:
        self._size += len(line)
        if self._size > MAX_TEXT_BYTES:
            raise too_much_text()
        self._pages[-1].append(line.replace(SOFT_HYPHEN, ""))

    def _element(self, element: Element) -> None:
        """Show what an element shows, in lines of their own."""
        tag = element.tag
        if tag in _NOT_SHOWN or element.get(f"{TEXT}display") == "none":
            return
        if tag in _LINES:
            if self._is_hidden(element):
                return
            aside: list[Element] = []
            self._show(self._lists.label(element) + self._line(element, aside))
            for one in aside:
                self._element(one)
        else:
            self._handlers.get(tag, self._children)(element)

    def _slide(self, page: Element) -> None:
        self._pages.append([])
        self._children(page)
        for kind in _DECLARED:  # What stands in the margins of slides is shown once.
            name = page.get(f"{PRESENTATION}use-{kind}-name")
            if declared := self._declared.pop((kind, name), ""):
                self._show(declared)

    def _declare(self, declaration: Element) -> None:
        name = declaration.get(f"{PRESENTATION}name")
        self._declared[_DECLARATIONS[declaration.tag], name] = declaration.text or ""

    def _title(self, element: Element) -> None:
        self._show("".join(element.itertext()))

    def _is_hidden(self, element: Element) -> bool:
        """Tell whether a paragraph or characters do not show."""
        return element.get(f"{TEXT}style-name") in self._hidden or any(
            mark.get(f"{TEXT}is-hidden") == "true" for mark in element.iter(f"{TEXT}hidden-paragraph")
        )

    def _is_unseen(self, piece: Element) -> bool:
        """Tell whether characters or a field in a line do not show."""
        return piece.get(f"{TEXT}style-name") in self._hidden or piece.get(f"{TEXT}display") == "none"

    def _form(self, form: Element) -> None:
        """Show what stands on the fields and buttons of a form, and what was filled in."""
        for control in form.iter():
            if control.tag != f"{_FORM}hidden":
                said = [control.get(f"{_FORM}{name}", "") for name in ("label", "current-value")]
                if line := " ".join(filter(None, said)):
                    self._show(line)

    def _children(self, element: Element) -> None:
        for child in element:
            self._element(child)

    def _list(self, element: Element) -> None:
        self._lists.begin(element)
        for item in element:
            self._lists.item(item)
            self._element(item)
        self._lists.end()

    def _line(self, element: Element, aside: list[Element]) -> str:
        """Return the text of a paragraph; what has lines of its own goes aside."""
        pieces = ["" if self._within else element.text or ""]
        for child in element:
            if child.tag == f"{TEXT}change-start":
                self._within |= self._deletions & {child.get(f"{TEXT}change-id")}
            elif child.tag == f"{TEXT}change-end":
                self._within.discard(child.get(f"{TEXT}change-id"))
            elif child.tag in _CHARACTERS:
                pieces.append(_CHARACTERS[child.tag])
            elif child.tag == f"{TEXT}s":
                pieces.append(" " * _count(child, f"{TEXT}c", _MOST_SPACES))
            elif child.tag == f"{TEXT}number":
                pieces.append(f"{self._line(child, aside)} ")
            elif child.tag in _ASIDE or child.tag.startswith(DRAW):
                aside.append(child)
            elif child.tag == f"{_FIELD}fieldmark":
                pieces.append(_chosen(child))
            elif child.tag == f"{TEXT}ruby":
                # The reading is shown after the paragraph, so that its words stay whole.
                aside += (part for part in child if part.tag == f"{TEXT}ruby-text")
                pieces += (self._line(part, aside) for part in child if part.tag == f"{TEXT}ruby-base")
            elif child.tag not in _NOT_SHOWN and not self._is_unseen(child):
                line = self._line(child, aside)
                font = self._of_signs.get(child.get(f"{TEXT}style-name", ""))
                pieces.append(symbols.signs(font, line) if font else line)
            pieces.append("" if self._within else child.tail or "")
        return "".join(pieces)

    def _table(self, table: Element) -> None:
        """Show a table a row a line; a sheet of a spreadsheet is a page with its name."""
        name = table.get(f"{TABLE}name")
        if table in self._sheets:
            self._pages.append([name or ""])
        aside = [part for part in table if part.tag in (f"{TABLE}shapes", f"{OFFICE}forms")]
        for row in _rows(table):
            cells: list[str] = []
            for cell in row:
                if cell.tag not in (f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
                    continue
                lines = self._cell(cell, aside)
                # Thousands of empty cells and rows stand behind what a sheet holds.
                repeated = _count(cell, f"{TABLE}number-columns-repeated", 1 << 14)
                if lines or len(cells) < _MOST_SPACES:
                    if len(lines) * repeated > MAX_TEXT_BYTES:
                        raise too_much_text()
                    cells += [lines] * (repeated if lines else min(repeated, _MOST_SPACES))
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                for _ in range(_count(row, f"{TABLE}number-rows-repeated", 1 << 20)):
                    self._show("\t".join(cells))
        for one in aside:
            self._element(one)

    def _cell(self, cell: Element, aside: list[Element]) -> str:
        lines: list[str] = []
        for part in cell:
            if part.tag == f"{TEXT}list":
                lines += self._listed(part, aside)
            elif part.tag in _LINES:
                lines.append(self._line(part, aside))
            elif part.tag == f"{TABLE}table" or part.tag in _ASIDE or part.tag.startswith(DRAW):
                aside.append(part)
            else:
                lines += (self._line(line, aside) for line in part.iter() if line.tag in _LINES)
        if text := " ".join(lines) or next(filter(None, map(cell.get, _VALUES)), ""):
            return text
        formula = cell.get(f"{TABLE}formula", "")
        if not formula or cell.get(f"{OFFICE}value-type"):  # It may have worked out as an empty text.
            return ""
        self.notes.append(NOT_WORKED_OUT)
        return formula.removeprefix("of:")

    def _listed(self, element: Element, aside: list[Element]) -> Iterator[str]:
        """Yield the lines of a list within a cell."""
        self._lists.begin(element)
        for item in element:
            self._lists.item(item)
            for part in item:
                if part.tag in _LINES:
                    yield self._lists.label(part) + self._line(part, aside)
                elif part.tag == f"{TEXT}list":
                    yield from self._listed(part, aside)
        self._lists.end()

    def _frame(self, frame: Element) -> None:
        """Show one of a frame's forms of the same: a picture only where there is no other."""
        images = [child for child in frame if child.tag == f"{DRAW}image"]
        others = [child for child in frame if child not in images]
        if not any(child.tag.startswith((DRAW, TABLE)) for child in others):
            bitmaps = [one for one in images if not one.get(HREF, "").lower().endswith(_VECTORS)]
            for image in (bitmaps or images)[:1]:
                self._picture(image)
        for child in others:
            self._element(child)

    def _picture(self, image: Element) -> None:
        target = image.get(HREF, "").removeprefix("#")
        name = posixpath.normpath(posixpath.join(self._folder, target))
        if name in self._package:
            self.pictures[name] = None
        elif target and name not in self._package:
            self.notes.append(
                Note("image_unreadable", f"a picture outside of the file: {target[:100]}")
            )
        self._children(image)

    def _object(self, element: Element) -> None:
        """Show an embedded document: a chart, an equation, a sheet."""
        folder = posixpath.normpath(posixpath.join(self._folder, element.get(HREF, "")))
        math = element.find(f".//{_MATH}math")
        if math is not None:
            self._show(mathml.linear(math))
        elif f"{folder}/content.xml" in self._package and self._depth < _DEEPEST:
            self._embedded(folder)
        elif folder in self._package:
            self.notes.append(Note("attachment_unread", "a file of another program is embedded in it"))
        else:
            self.notes.append(Note("object_unread", "an embedded object of another program"))

    def _embedded(self, folder: str) -> None:
        inner = _Story(self._package, folder, self._depth + 1)
        try:
            inner.read()
        except PermanentError as error:
            self.notes.append(Note("object_unread", f"an embedded object: {error.message}"))
            return
        for page in inner.pages():
            self._show(page)
        self.pictures |= inner.pictures
        self.notes += inner.notes


def _rows(table: Element) -> Iterator[Element]:
    """Yield the rows of a table, without those of tables in it."""
    for part in table:
        if part.tag == f"{TABLE}table-row":
            yield part
        elif part.tag in _ROWS:
            yield from _rows(part)


def _is_field(piece: Element) -> bool:
    return piece.tag.startswith(TEXT) and piece.tag not in _NO_FIELDS


def _words_beside_fields(line: Element) -> set[str]:
    """Return the words of a line that no field says, in small letters."""
    said = (
        (piece.text or "" if not _is_field(piece) else "") + (piece.tail or "") for piece in line.iter()
    )
    return set(_WORD.findall("".join(said).casefold()))


def _hidden_styles(roots: Iterable[Element | None]) -> Iterator[str]:
    """Yield the names of the styles of hidden text."""
    for root in roots:
        for style in root.iter(f"{STYLE}style") if root is not None else ():
            properties = style.find(f"{STYLE}text-properties")
            if properties is not None and properties.get(f"{TEXT}display") == "none":
                yield style.get(f"{STYLE}name", "")


def _styles_of_signs(roots: Iterable[Element | None]) -> Iterator[tuple[str, str]]:
    """Yield the names of the styles whose fonts have signs for letters, each with its font."""
    fonts: dict[str, str] = {}
    for root in roots:
        for one in root.iter() if root is not None else ():
            if one.tag == f"{STYLE}font-face":
                fonts[one.get(f"{STYLE}name", "")] = one.get(f"{_SVG}font-family", "").strip("'")
            elif one.tag == f"{STYLE}style":
                properties = one.find(f"{STYLE}text-properties")
                stated = {} if properties is None else properties.attrib
                name = stated.get(f"{STYLE}font-name", "")
                font = fonts.get(name) or stated.get(f"{_FO}font-family", "").strip("'") or name
                if symbols.is_of_signs(font):
                    yield one.get(f"{STYLE}name", ""), font


def _chosen(mark: Element) -> str:
    """Return what is chosen in a list or a box of a form."""
    if mark.get(f"{_FIELD}type", "").endswith("FORMCHECKBOX"):
        return "☒" if any(one.get(f"{_FIELD}value") == "true" for one in mark) else "☐"
    stated = [(one.get(f"{_FIELD}name"), one.get(f"{_FIELD}value", "")) for one in mark]
    entries = [value for name, value in stated if name == "Dropdown_ListEntry"]
    number = next((value for name, value in stated if name == "Dropdown_Selected"), "")
    return entries[int(number)] if number.isdecimal() and int(number) < len(entries) else ""


def _count(element: Element, attribute: str, most: int) -> int:
    """Return how many times something stands there."""
    stated = element.get(attribute, "")
    return min(int(stated), most) if stated.isdecimal() and len(stated) < 10 else 1


def _check_open(package: Package, folder: str) -> None:
    """Refuse what opens with a password only."""
    manifest = package.read("META-INF/manifest.xml", MAX_TEXT_BYTES) or b""
    if not folder and b"encryption-data" in manifest:
        raise PermanentError(
            "encrypted", "The OpenDocument file cannot be opened without its password."
        )
