"""What lies on a page beside its own content: form fields, comments, stamps, text boxes, signatures.

Each is a dictionary in the page's list. Most have an appearance, a small drawing that a viewer puts on
the page; PDFium can merge these into the page ("flatten"), so that they are read and looked at
like all else on it. Fields are better read from their value, and a comment's words have no appearance.

Belongs here: what annotations say, and merging them into the page. Does not belong here: forms whose
values are not in annotations (`xfa`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import ParseError

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.pdf.entries import get
from ingest_assets.ocr.sandbox.pdf.optional_content import Layers
from ingest_assets.text import clean_text

# Bits of an annotation's flags (ISO 32000-1, 12.5.3) and of a field's (12.7.4).
_INVISIBLE, _HIDDEN, _NO_VIEW = 1, 1 << 1, 1 << 5
_PASSWORD, _PUSH_BUTTON = 1 << 13, 1 << 16

# A tick is one letter of a font of signs.
_FEWEST_LETTERS = 3

# Parents of a field, more than any form has.
_MAX_PARENTS = 32

_PLAYED = {"/Movie", "/Sound", "/Screen", "/RichMedia", "/3D"}
_WITHOUT_APPEARANCE = {"/Popup"}

# Of others a viewer lists the comment, wherever they lie.
_SEEN_IN_PLACE = {"/Widget", "/Link", "/FreeText", "/Stamp", "/Watermark"}


@dataclass
class Annotations:
    """What is to be made of the annotations of one page.

    Attributes:
        fields: filled-in fields, a line each.
        comments: what people wrote on the page that its drawing need not show, a line each.
        boxes: text of text boxes, which the drawing should show.
        undrawn: the places in the page's list of what is in `fields`, or is not shown.
        has_appearances: whether anything else is drawn.
        notes: what was left out; without the page.
    """

    fields: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    undrawn: list[int] = field(default_factory=list)
    has_appearances: bool = False
    notes: list[Note] = field(default_factory=list)


def annotations_of(page: pikepdf.Page, layers: Layers) -> Annotations:
    """Read the annotations of a page, as far as they are shown."""
    found = Annotations()
    entries = page.obj.get("/Annots")
    hidden = 0
    for index, entry in enumerate(entries if isinstance(entries, pikepdf.Array) else ()):
        if not isinstance(entry, pikepdf.Dictionary):
            continue
        kind = str(entry.get("/Subtype", ""))
        is_unseen = not layers.show(entry.get("/OC")) or not layers.show(get(entry, "/AP", "/N", "/OC"))
        is_unseen = is_unseen or (kind in _SEEN_IN_PLACE and not _lies_on(page, entry))
        if is_unseen or _flags(entry) & (_HIDDEN | _NO_VIEW):
            hidden += bool(kind == "/Widget" and _value(entry))
            found.undrawn.append(index)
        elif kind == "/Widget":
            if line := _field(entry):
                found.fields.append(line)
                if _shows_other_words(entry):
                    found.has_appearances = True
                else:
                    found.undrawn.append(index)
            else:
                found.has_appearances |= "/AP" in entry
                if caption := _caption(entry):
                    found.boxes.append(caption)
        elif kind == "/Link":
            found.has_appearances |= "/AP" in entry
        elif kind not in _WITHOUT_APPEARANCE:
            found.has_appearances = True
            _add_markup(found, entry, kind)
    if hidden:
        found.notes.append(
            Note("not_shown", f"{hidden} hidden form fields that are filled in were left out")
        )
    return found


def hide(page: pypdfium2.PdfPage, places: list[int]) -> None:
    """Have PDFium leave out the annotations at some places in a page's list."""
    for index in places:
        _change_flags(page, index, lambda flags, _: flags | _HIDDEN)


def merge(page: pypdfium2.PdfPage) -> bool:
    """Merge appearances into a page; tell whether it changed.

    The page has to be opened anew to see them.
    """
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        _change_flags(page, index, _as_shown)
    return bool(pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS)


def _change_flags(page: pypdfium2.PdfPage, index: int, change: Callable[[int, int], int]) -> None:
    entry = pdfium.FPDFPage_GetAnnot(page, index)
    if entry:
        flags = pdfium.FPDFAnnot_GetFlags(entry)
        pdfium.FPDFAnnot_SetFlags(entry, change(flags, pdfium.FPDFAnnot_GetSubtype(entry)))
        pdfium.FPDFPage_CloseAnnot(entry)


def _as_shown(flags: int, kind: int) -> int:
    """Return flags without the one that hides annotations of unknown kinds: PDFium heeds it on all."""
    return flags if kind == pdfium.FPDF_ANNOT_UNKNOWN else flags & ~_INVISIBLE


def _lies_on(page: pikepdf.Page, entry: pikepdf.Object) -> bool:
    """Tell whether an annotation has a place on its page; so has one whose place is not known."""
    try:
        left, bottom, right, top = _sides(entry.get("/Rect"))
        page_left, page_bottom, page_right, page_top = _sides(page.cropbox)
    except (TypeError, ValueError):
        return True
    return max(left, page_left) < min(right, page_right) and (
        max(bottom, page_bottom) < min(top, page_top)
    )


def _sides(box: pikepdf.Object | None) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a rectangle, which any two opposite corners may state."""
    x, y, other_x, other_y = map(float, box or ())
    return min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)


def _add_markup(found: Annotations, entry: pikepdf.Object, kind: str) -> None:
    contents = _string(entry.get("/Contents")) or _rich_text(entry.get("/RC"))
    if kind == "/FreeText":
        if contents:
            found.boxes.append(contents)
        return
    if kind == "/FileAttachment":
        name = _file_name(entry.get("/FS")) or "a file without a name"
        found.notes.append(
            Note("attachment_unread", f"a file attached to the page was not read: {name}")
        )
    elif kind in _PLAYED:
        found.notes.append(Note("object_unread", f"a {kind[1:]} object on the page was not read"))
    elif kind == "/Stamp" and "/AP" not in entry:
        found.boxes.append(str(entry.get("/Name", "/Draft"))[1:])
    if contents:
        author = _string(entry.get("/T"))
        found.comments.append(f"Comment ({author}): {contents}" if author else f"Comment: {contents}")


def _field(widget: pikepdf.Object) -> str:
    """Return the name and the value of a field, nothing where it is empty or says so by its drawing."""
    value = _value(widget)
    if not value:
        return ""
    name = ".".join(reversed([_string(level.get("/T")) for level in _levels(widget) if "/T" in level]))
    return clean_text(f"{name}: {value}" if name else value)


def _shows_other_words(widget: pikepdf.Object) -> bool:
    """Tell whether the drawing of a field that is filled in says what its value does not.

    It may be older than the value, or show it in another form: a sum with its currency, a list.
    """
    drawn = _letters(_drawn_strings(widget))
    return len(drawn) >= _FEWEST_LETTERS and drawn not in _letters(_value(widget))


def _drawn_strings(widget: pikepdf.Object) -> str:
    """Return the strings that a field's drawing shows; nothing where its fonts number glyphs."""
    appearance = widget.get("/AP")
    drawing = appearance.get("/N") if isinstance(appearance, pikepdf.Dictionary) else None
    state = widget.get("/AS")
    if isinstance(drawing, pikepdf.Dictionary) and isinstance(state, pikepdf.Name):
        drawing = drawing.get(str(state))
    if not isinstance(drawing, pikepdf.Stream):
        return ""
    try:
        shown = pikepdf.parse_content_stream(drawing, "Tj TJ ' \"")
    except (pikepdf.PdfError, pikepdf.PdfParsingError):
        return ""
    parts = [part for one in shown for part in getattr(one, "operands", ())]
    parts = [inner for part in parts for inner in (part if isinstance(part, pikepdf.Array) else [part])]
    strings = [bytes(part) for part in parts if isinstance(part, pikepdf.String)]
    return b"".join(strings).decode("latin-1") if not any(b"\0" in one for one in strings) else ""


def _letters(text: str) -> str:
    """Return the letters and digits of a text that all encodings have in the same places."""
    return "".join(letter for letter in text.casefold() if letter.isascii() and letter.isalnum())


def _value(widget: pikepdf.Object) -> str:
    kind = _inherited(widget, "/FT")
    flags = _integer(_inherited(widget, "/Ff"))
    value = _inherited(widget, "/V")
    if kind == "/Tx":
        if flags & _PASSWORD:
            return ""
        return _string(value) or _rich_text(_inherited(widget, "/RV"))
    if kind == "/Ch":
        shown = _options(widget)
        chosen = map(_string, value if isinstance(value, pikepdf.Array) else [value])
        return ", ".join(
            f"{shown[text]} ({text})" if text in shown else text for text in chosen if text
        )
    if kind == "/Btn" and not flags & _PUSH_BUTTON:
        state = widget.get("/AS", value)
        name = str(state)[1:] if isinstance(state, pikepdf.Name) else _string(state)
        return "" if name == "Off" else name
    return ""


def _caption(widget: pikepdf.Object) -> str:
    """Return what stands on a push button; on other buttons it is a sign, such as a tick."""
    looks = widget.get("/MK")
    if _inherited(widget, "/FT") != "/Btn" or not isinstance(looks, pikepdf.Dictionary):
        return ""
    return _string(looks.get("/CA")) if _integer(_inherited(widget, "/Ff")) & _PUSH_BUTTON else ""


def _options(widget: pikepdf.Object) -> dict[str, str]:
    """Return what a list shows for its values, where it shows something else."""
    options = _inherited(widget, "/Opt")
    shown = {}
    for option in options if isinstance(options, pikepdf.Array) else ():
        if isinstance(option, pikepdf.Array) and len(option) == 2:
            shown[_string(option[0])] = _string(option[1])
    return {value: text for value, text in shown.items() if text and text != value}


def _inherited(widget: pikepdf.Object, key: str) -> pikepdf.Object | None:
    return next((level.get(key) for level in _levels(widget) if key in level), None)


def _levels(widget: pikepdf.Object) -> Iterator[pikepdf.Object]:
    """Yield a widget and the fields above it."""
    level: pikepdf.Object | None = widget
    for _ in range(_MAX_PARENTS):
        if not isinstance(level, pikepdf.Dictionary):
            return
        yield level
        level = level.get("/Parent")


def _flags(entry: pikepdf.Object) -> int:
    return _integer(entry.get("/F"))


def _integer(entry: object) -> int:
    """Return a number as it is, 0 for all else: pikepdf's numbers are Python's."""
    return entry if isinstance(entry, int) else 0


def _file_name(specification: pikepdf.Object | None) -> str:
    if isinstance(specification, pikepdf.Dictionary):
        specification = specification.get("/UF", specification.get("/F"))
    return _string(specification)


def _string(entry: pikepdf.Object | None) -> str:
    """Return a string as text, that of a stream too; nothing where it is something else."""
    if isinstance(entry, pikepdf.Stream):
        try:
            data = entry.read_bytes()
        except pikepdf.PdfError:
            return ""
        return clean_text(str(pikepdf.String(data)))
    return clean_text(str(entry)) if isinstance(entry, pikepdf.String) else ""


def _rich_text(entry: pikepdf.Object | None) -> str:
    """Return the words of a text with its looks, which is XHTML; nothing where it is something else."""
    try:
        paragraphs = fromstring(_string(entry))
    except (ParseError, DefusedXmlException, ValueError, RecursionError):
        return ""
    return clean_text(" ".join(" ".join(paragraphs.itertext()).split()))
