"""XFA forms: what people filled in, where the pages do not show it.

Such a form is XML inside a PDF; Adobe Reader lays it out, other programs show the pages that are there
for them, which may say no more than "please wait". Values are in its `datasets`, labels in its
`template`.

Belongs here: all that knows XFA. Does not belong here: ordinary form fields (`annotations`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

import pikepdf
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ingest_assets.text import clean_text

# XML that is read, in bytes. Its tree takes about ten times as much.
_MAX_BYTES = 16_000_000

_MAX_FIELDS = 20_000


@dataclass(frozen=True)
class Form:
    """What an XFA form adds to its pages.

    Attributes:
        lines: labels and values that the pages do not have.
        is_left_out: whether its pages are laid out by Adobe Reader alone, or it cannot be read.
    """

    lines: tuple[str, ...] = ()
    is_left_out: bool = False


def read(pdf: pikepdf.Pdf) -> Form:
    """Read the form of a document; an empty one where it has none."""
    form = pdf.Root.get("/AcroForm")
    packets = form.get("/XFA") if isinstance(form, pikepdf.Dictionary) else None
    if packets is None or form is None:
        return Form()
    fields = form.get("/Fields")
    has_fields = isinstance(fields, pikepdf.Array) and len(fields) > 0
    is_dynamic = bool(pdf.Root.get("/NeedsRendering", False)) or not has_fields
    try:
        root = _parsed(_packets(packets))
    except (ParseError, DefusedXmlException, pikepdf.PdfError, ValueError, RecursionError):
        return Form(is_left_out=True)
    known = set(_field_values(fields)) if has_fields and fields is not None else set()
    lines: list[str] = []
    if is_dynamic:
        lines += _labels(root)
    lines += [f"{name}: {value}" for name, value in _values(root) if _squeezed(value) not in known]
    return Form(tuple(map(clean_text, lines)), is_dynamic)


def _parsed(parts: list[bytes]) -> Element:
    """Return the form's XML: its packets make one document together, or each is one by itself."""
    try:
        return fromstring(b"".join(parts))
    except ParseError:
        if len(parts) < 2:
            raise
        root = Element("xdp")
        root.extend(map(fromstring, parts))
        return root


def _packets(packets: pikepdf.Object) -> list[bytes]:
    """Return the parts of the XML: one stream, or names and streams in turn."""
    streams = list(packets)[1::2] if isinstance(packets, pikepdf.Array) else [packets]
    parts = []
    size = 0
    for stream in streams:
        if isinstance(stream, pikepdf.Stream):
            parts.append(stream.read_bytes())
            size += len(parts[-1])
            if size > _MAX_BYTES:
                raise ValueError("too large a form")
    return parts


def _labels(root: Element) -> Iterator[str]:
    """Yield the text that the form shows beside its fields."""
    for template in _named(root, "template"):
        for value in (*_named(template, "draw"), *_named(template, "caption")):
            text = " ".join(" ".join(value.itertext()).split())
            if text:
                yield text


def _values(root: Element) -> Iterator[tuple[str, str]]:
    """Yield name and value of each field that is filled in."""
    for data in _named(root, "data"):
        for element in data.iter():
            value = (element.text or "").strip()
            if value and len(element) == 0 and element is not data:
                yield _local(element), value


def _named(root: Element, name: str) -> Iterator[Element]:
    return (element for element in root.iter() if _local(element) == name)


def _local(element: Element) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""


def _field_values(fields: pikepdf.Object) -> Iterator[str]:
    """Yield the values of ordinary fields, at every depth, without white space."""
    rest = list(fields)
    for _ in range(_MAX_FIELDS):
        if not rest:
            return
        field = rest.pop()
        if isinstance(field, pikepdf.Dictionary):
            value = field.get("/V")
            if isinstance(value, pikepdf.String | pikepdf.Name):
                yield _squeezed(str(value).lstrip("/"))
            kids = field.get("/Kids")
            rest += list(kids) if isinstance(kids, pikepdf.Array) else []


def _squeezed(text: str) -> str:
    return "".join(text.split())
