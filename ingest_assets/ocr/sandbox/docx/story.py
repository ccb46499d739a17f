"""What Word's XML shows, in reading order.

Belongs here: one place for each element that shows something, or hides what is in it. Does not belong
here: pages.
"""

from __future__ import annotations

import email
import email.policy
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets.identification import identify
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import equations, fields, symbols
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.docx import drawings
from ingest_assets.ocr.sandbox.docx.bound import Stores
from ingest_assets.ocr.sandbox.docx.names import CX, DGM, MC, W14, A, C, M, O, R, V, W
from ingest_assets.ocr.sandbox.docx.numbering import Numbering
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.docx.styles import Styles, is_on
from ingest_assets.ocr.sandbox.encodings import decode
from ingest_assets.ocr.sandbox.rtf import parse_rtf
from ingest_assets.ocr.sandbox.web_page import decode_html, html_text

_CHARACTERS = {
    f"{W}tab": "\t",
    f"{W}ptab": "\t",
    f"{W}br": "\n",
    f"{W}cr": "\n",
    f"{W}noBreakHyphen": "-",
    f"{W}softHyphen": "",
}
# What a reader of the document does not see: deleted text and how things look.
_NOT_SHOWN = {
    *(f"{W}del", f"{W}moveFrom", f"{W}delText", f"{W}delInstrText"),
    *(f"{W}pPr", f"{W}rPr", f"{W}tblPr", f"{W}tcPr", f"{W}sectPr", f"{W}sdtPr", f"{W}rubyPr"),
}
_BOXES = ("☐", "☒")
# Documents in documents that are read.
_DEEPEST = 3


@dataclass
class Shown:
    """What was found.

    Attributes:
        lines: paragraphs, and rows of tables.
        pictures: names of the parts that are pictures, each once.
    """

    lines: list[str] = field(default_factory=list)
    pictures: dict[str, None] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def add(self, kind: str, sentence: str) -> None:
        """Note something, once."""
        note = Note(kind, sentence)
        if note not in self.notes:
            self.notes.append(note)


def read_story(package: Package, depth: int = 0) -> Shown:
    """Read headers, body with its tables and drawings, notes, comments and footers of a document.

    Args:
        depth: how many documents this one stands in.
    """
    try:
        return _read(package, depth)
    except RecursionError as error:
        raise corrupt("the XML in the DOCX is nested too deeply") from error


def _read(package: Package, depth: int) -> Shown:
    main = package.main_part()
    if package.xml(main) is None:
        raise corrupt("the DOCX has no main part that can be read")
    parts = {
        kind: sorted(package.related(main, kind))
        for kind in ("header", "footnotes", "endnotes", "comments", "footer")
    }
    styles = Styles(_first(package, main, "styles"))
    numbering = Numbering(_first(package, main, "numbering"), styles)
    story = _Story(package, Stores(package, main), styles, numbering, depth)
    for name in parts["header"]:
        story.read(name)
    story.read(main)
    for kind in ("footnotes", "endnotes", "comments", "footer"):
        for name in parts[kind]:
            story.read(name)
    if numbering.in_english:
        forms = ", ".join(sorted(numbering.in_english))
        story.shown.add(
            "content_unreadable",
            f"numbers that show as words are English here, whatever the language ({forms})",
        )
    return story.shown


def _first(package: Package, main: str, kind: str) -> Element | None:
    for name in package.related(main, kind):
        return package.xml(name)
    return None


class _Story:
    """Reads parts of a document, one after the other."""

    def __init__(
        self, package: Package, stores: Stores, styles: Styles, numbering: Numbering, depth: int
    ) -> None:
        self.shown = Shown()
        self._package = package
        self._stores = stores
        self._styles = styles
        self._numbering = numbering
        self._depth = depth
        self._part = ""
        self._hidden = 0
        self._capital = ""
        self._inline: dict[str, Callable[[Element, list[str]], Iterable[str]]] = {
            f"{W}r": self._run,
            f"{W}sym": self._symbol,
            f"{W}fldChar": self._field,
            f"{W}instrText": lambda element, boxes: (fields.Mark("code", element.text or ""),),
            f"{W}fldSimple": self._simple_field,
            f"{W}ruby": self._ruby,
            f"{W}checkBox": self._check_box,
            f"{W14}checkbox": lambda element, boxes: (),
            f"{W}ddList": self._chosen,
            f"{W}txbxContent": self._box,
            f"{MC}AlternateContent": self._alternative,
            f"{M}oMath": lambda element, boxes: (equations.linear(element),),
            f"{A}blip": self._picture,
            f"{V}imagedata": self._picture,
            f"{V}fill": self._picture,
            f"{V}textpath": self._word_art,
            f"{A}txBody": lambda element, boxes: self._boxed(drawings.paragraphs(element), boxes),
            f"{C}chart": self._chart,
            f"{CX}chart": self._chart,
            f"{DGM}relIds": self._diagram,
            f"{O}OLEObject": self._object,
            f"{W}control": self._object,
            f"{W}subDoc": self._linked,
        }

    def read(self, name: str) -> None:
        """Read one part."""
        root = self._package.xml(name)
        if root is None:
            return
        self._stores.fill_in(root)
        self._part = name
        self.shown.lines += self._blocks(root)
        if self._capital:
            self.shown.lines.append(self._capital)
            self._capital = ""
        if self._hidden:
            self.shown.add("not_shown", "hidden text was left out")

    def _blocks(self, element: Element) -> Iterator[str]:
        for child in element:
            if child.tag in _NOT_SHOWN:
                continue
            if child.tag == f"{W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{W}tr":
                if not _is_deleted(child.find(f"{W}trPr")):
                    yield "\t".join(" ".join(self._cell(cell).split()) for cell in _cells(child))
            elif child.tag == f"{W}altChunk":
                yield from self._chunk(child)
            elif child.tag == f"{MC}AlternateContent":
                yield from self._first_that_shows(child, lambda part: list(self._blocks(part)))
            elif child.tag == f"{W}comment":
                text = " ".join(" ".join(self._blocks(child)).split())
                if text:
                    yield f"[{child.get(f'{W}author') or 'comment'}] {text}"
            elif child.tag in self._inline:  # Not in a paragraph, as some programs write it.
                boxes: list[str] = []
                yield "".join(self._inline[child.tag](child, boxes))
                yield from boxes
            else:
                yield from self._blocks(child)

    def _cell(self, cell: Element) -> str:
        return "\n".join(self._blocks(cell))

    def _paragraph(self, paragraph: Element) -> Iterator[str]:
        """Yield a paragraph's own text, then that of the boxes anchored in it."""
        boxes: list[str] = []
        text = "".join(fields.shown(self._pieces(paragraph, boxes)))
        label = self._numbering.label(paragraph)
        text, self._capital = f"{self._capital}{label}{text}" if text.strip() else text, ""
        if boxes or not _is_drop_cap(paragraph):
            yield text
        else:
            self._capital = text
        yield from boxes

    def _pieces(self, element: Element, boxes: list[str]) -> Iterator[str]:
        for child in element:
            tag = child.tag
            if tag in _NOT_SHOWN:
                continue
            if tag == f"{W}t":
                yield child.text or ""
            elif tag in _CHARACTERS:
                yield _CHARACTERS[tag]
            elif tag in self._inline:
                yield from self._inline[tag](child, boxes)
            elif tag in (f"{W}p", f"{W}tbl"):  # As some programs write it: a table in a run.
                boxes.extend(self._blocks(element))
                return
            else:
                yield from self._pieces(child, boxes)

    def _run(self, run: Element, boxes: list[str]) -> Iterator[str]:
        properties = run.find(f"{W}rPr")
        if self._hides(properties):
            self._hidden += any(True for _ in run.iter(f"{W}t"))
            return
        fonts = properties.find(f"{W}rFonts") if properties is not None else None
        font = fonts.get(f"{W}ascii", "") if fonts is not None else ""
        if not font or not symbols.is_of_signs(font):
            yield from self._pieces(run, boxes)
            return
        for piece in self._pieces(run, boxes):
            yield piece if isinstance(piece, fields.Mark) else symbols.signs(font, piece)

    def _hides(self, properties: Element | None) -> bool:
        if properties is None:
            return False
        if (own := is_on(properties, "vanish")) is not None:
            return own
        style = properties.find(f"{W}rStyle")
        return style is not None and self._styles.hides(style.get(f"{W}val", ""))

    def _symbol(self, element: Element, boxes: list[str]) -> Iterator[str]:
        code = element.get(f"{W}char", "")
        try:
            yield symbols.sign(element.get(f"{W}font", ""), int(code, 16))
        except (ValueError, OverflowError):
            return

    def _field(self, element: Element, boxes: list[str]) -> Iterator[str]:
        yield from self._pieces(element, boxes)  # What was chosen or ticked in a form.
        yield fields.Mark(element.get(f"{W}fldCharType", ""))

    def _simple_field(self, element: Element, boxes: list[str]) -> Iterator[str]:
        yield fields.Mark("begin")
        yield fields.Mark("code", element.get(f"{W}instr", ""))
        if len(element):
            yield fields.Mark("separate")
        yield from self._pieces(element, boxes)
        yield fields.Mark("end")

    def _ruby(self, element: Element, boxes: list[str]) -> Iterator[str]:
        base, reading = element.find(f"{W}rubyBase"), element.find(f"{W}rt")
        if base is not None:
            yield from self._pieces(base, boxes)
        if reading is not None:  # After the paragraph, so that its words stay whole.
            boxes.append("".join(self._pieces(reading, boxes)))

    def _check_box(self, element: Element, boxes: list[str]) -> Iterator[str]:
        checked = is_on(element, "checked")
        yield _BOXES[bool(is_on(element, "default") if checked is None else checked)]

    def _chosen(self, element: Element, boxes: list[str]) -> Iterator[str]:
        entries = [entry.get(f"{W}val", "") for entry in element.findall(f"{W}listEntry")]
        chosen = element.find(f"{W}result")
        number = chosen.get(f"{W}val", "0") if chosen is not None else "0"
        if number.isdecimal() and int(number) < len(entries):
            yield entries[int(number)]

    def _box(self, element: Element, boxes: list[str]) -> Iterable[str]:
        return self._boxed(list(self._blocks(element)), boxes)

    def _boxed(self, lines: Iterable[str], boxes: list[str]) -> Iterable[str]:
        boxes.extend(lines)
        return ()

    def _word_art(self, element: Element, boxes: list[str]) -> Iterable[str]:
        return self._boxed([element.get("string", "")], boxes)

    def _alternative(self, element: Element, boxes: list[str]) -> list[str]:
        def pieces(part: Element) -> list[str]:
            of_part: list[str] = []
            found = list(self._pieces(part, of_part))
            boxes.extend(of_part)
            return [*found, *([""] if of_part else [])]

        return self._first_that_shows(element, pieces)

    def _first_that_shows(self, element: Element, read: Callable[[Element], list[str]]) -> list[str]:
        """Read the first form that shows anything, of several for programs of several ages."""
        for part in element:
            pictures, notes = len(self.shown.pictures), len(self.shown.notes)
            seen = self._seen_pictures(part)
            found = read(part)
            shows_boxes = any(not piece and not isinstance(piece, fields.Mark) for piece in found)
            if "".join(found).strip() or shows_boxes:
                return found
            if len(self.shown.pictures) > pictures or len(self.shown.notes) > notes or seen:
                return found
        return []

    def _seen_pictures(self, part: Element) -> bool:
        """Tell whether a part shows a picture that was found before."""
        relations = self._package.relations(self._part)
        for picture in (*part.iter(f"{A}blip"), *part.iter(f"{V}imagedata")):
            relation = relations.get(picture.get(f"{R}embed") or picture.get(f"{R}id") or "")
            if relation is not None and relation.target in self.shown.pictures:
                return True
        return False

    def _target(self, element: Element, *names: str) -> str | None:
        """Return the part that an element refers to."""
        relations = self._package.relations(self._part)
        for name in names:
            relation = relations.get(element.get(f"{R}{name}", ""))
            if relation is None:
                continue
            if relation.is_external or relation.target not in self._package:
                self.shown.add(
                    "object_unread", f"what it refers to is not in the file ({relation.kind})"
                )
                return None
            return relation.target
        return None

    def _picture(self, element: Element, boxes: list[str]) -> Iterable[str]:
        if (name := self._target(element, "embed", "id", "link")) is not None:
            self.shown.pictures.setdefault(name)
        return ()

    def _chart(self, element: Element, boxes: list[str]) -> Iterable[str]:
        name = self._target(element, "id")
        if name is None:
            return ()
        lines = drawings.chart_of(self._package, name)
        if not lines:
            self.shown.add(*drawings.EMPTY_CHART)
        for picture in self._package.related(name, "image"):
            self.shown.pictures.setdefault(picture)
        return self._boxed(lines, boxes)

    def _diagram(self, element: Element, boxes: list[str]) -> Iterable[str]:
        name = self._target(element, "dm")
        root = self._package.xml(name) if name is not None else None
        lines = drawings.diagram(root) if root is not None else []
        for drawing in self._package.related(self._part, "diagramDrawing") if not lines else ():
            shapes = self._package.xml(drawing)
            lines += drawings.paragraphs(shapes) if shapes is not None else ()
        return self._boxed(lines, boxes)

    def _object(self, element: Element, boxes: list[str]) -> Iterable[str]:
        program = element.get("ProgID") or element.get(f"{W}name") or "another program"
        name = self._target(element, "id")
        data = self._package.read(name) if name is not None else None
        if data and element.tag == f"{O}OLEObject":
            kind = identify(io.BytesIO(data)).name
            self.shown.add("attachment_unread", f"{kind} of {program} stands in it ({name})")
        else:
            self.shown.add("object_unread", f"an object of {program} stands in it")
        return ()

    def _linked(self, element: Element, boxes: list[str]) -> Iterable[str]:
        relation = self._package.relations(self._part).get(element.get(f"{R}id", ""))
        name = relation.target if relation is not None else "another document"
        self.shown.add("object_unread", f"a linked document is part of it ({name})")
        return ()

    def _chunk(self, element: Element) -> list[str]:
        """Read another document that was put in whole, and that Word unpacks when it opens this one."""
        name = self._target(element, "id")
        data = self._package.read(name) if name is not None else None
        if not data:
            return []
        kind = identify(io.BytesIO(data))
        if kind is formats.HTML or (kind is formats.TEXT and (name or "").endswith(("htm", "html"))):
            return html_text(decode_html(data).text).splitlines()
        if kind is formats.TEXT:
            return decode(data).text.splitlines()
        if kind in (formats.MAIL, formats.WEB_ARCHIVE):
            return _web_archive(data)
        read = {formats.RTF: self._rtf, formats.DOCX: self._document}.get(kind)
        if read is not None and self._depth < _DEEPEST:
            return read(data)
        self.shown.add("attachment_unread", f"{kind.name} is part of it ({name})")
        return []

    def _rtf(self, data: bytes) -> list[str]:
        found = parse_rtf(data)
        self.shown.notes += found.notes
        if found.pictures:
            self.shown.add("image_unreadable", "pictures in a document that is part of it")
        return found.text.splitlines()

    def _document(self, data: bytes) -> list[str]:
        try:
            inner = Package(data)
            shown = read_story(inner, self._depth + 1)
        except PermanentError as error:
            self.shown.add("attachment_unread", error.message)
            return []
        self.shown.notes += (*inner.notes, *shown.notes)
        if shown.pictures:
            self.shown.add("image_unreadable", "pictures in a document that is part of it")
        return shown.lines


def _cells(row: Element) -> Iterator[Element]:
    """The cells of a row, not those of the tables in its cells."""
    for child in row:
        if child.tag == f"{W}tc":
            yield child
        elif child.tag not in _NOT_SHOWN:  # A content control, say, around a cell.
            yield from _cells(child)


def _is_drop_cap(paragraph: Element) -> bool:
    """Tell whether a paragraph is but the first letter, drawn large, of the one that follows."""
    frame = paragraph.find(f"{W}pPr/{W}framePr")
    return frame is not None and frame.get(f"{W}dropCap", "none") != "none"


def _is_deleted(properties: Element | None) -> bool:
    return properties is not None and properties.find(f"{W}del") is not None


def _web_archive(data: bytes) -> list[str]:
    """Return the text of the first page in a web page that was saved with its parts."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    for part in message.walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and part.get_content_type() in ("text/html", "text/plain"):
            text = decode_html(content).text
            return (html_text(text) if part.get_content_subtype() == "html" else text).splitlines()
    return []
