"""Copies of single pages that PDFium reads or draws better than the page itself.

Belongs here: what is changed in such a copy. Does not belong here: when one is needed (`instructions`
has the doubts, `document` settles them).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO

import pikepdf
from PIL import Image

from ingest_assets.ocr.sandbox.pdf.entries import ACTUAL_TEXT, get, values
from ingest_assets.ocr.sandbox.pdf.images import lacks_colours
from ingest_assets.ocr.sandbox.pdf.streams import UnreadableError, page_content, read_stream

# So lines have a width, and letters are filled and have one around them.
_HAIRLINE = b"0.1 w 2 Tr\n"

_COLOURS = {"L": pikepdf.Name.DeviceGray, "CMYK": pikepdf.Name.DeviceCMYK}


def as_drawn(page: pikepdf.Page) -> pikepdf.Pdf:
    """Return a document of one page that says nothing but what it draws."""
    pdf = mended(page)
    copy = pdf.pages[0]
    streams = (copy.obj.Contents, *_forms(copy.resources, set()))
    for stream in streams:
        stream.write(stream.read_bytes().replace(ACTUAL_TEXT.encode(), b"/NotToBeRead"))
    for resources in (copy.resources, *(form.get("/Resources") for form in streams[1:])):
        for properties in values(resources, "/Properties"):
            if isinstance(properties, pikepdf.Dictionary) and ACTUAL_TEXT in properties:
                del properties[ACTUAL_TEXT]
    return pdf


def outlined(page: pikepdf.Page) -> pikepdf.Pdf:
    """Return a document of one page that draws a hairline around its letters.

    PDFium passes over a column of text that has no width, as it is where its glyphs are missing.
    """
    pdf = mended(page)
    content = pdf.pages[0].obj.Contents
    content.write(_HAIRLINE + content.read_bytes())
    return pdf


def mended(page: pikepdf.Page) -> pikepdf.Pdf:
    """Return a document of one page, its damaged instructions replaced by what there is of them."""
    pdf = pikepdf.new()
    pdf.pages.append(page)
    copy = pdf.pages[0]
    content, _ = page_content(pdf, copy.obj)
    copy.obj.Contents = pdf.make_stream(content)
    forms = list(_forms(copy.resources, set()))
    for form in forms:
        try:
            read_stream(form)
        except UnreadableError as error:
            form.write(error.recovered)
    for resources in (copy.resources, *(get(form, "/Resources") for form in forms)):
        for image in filter(lacks_colours, values(resources, "/XObject")):
            with (
                suppress(OSError, Image.DecompressionBombError),
                Image.open(BytesIO(image.read_raw_bytes()), formats=("JPEG",)) as opened,
            ):
                image.ColorSpace = _COLOURS.get(opened.mode, pikepdf.Name.DeviceRGB)
    return pdf


def _forms(resources: pikepdf.Object | None, seen: set[tuple[int, int]]) -> Iterator[pikepdf.Object]:
    """Yield the forms that a page may draw, at every depth."""
    for drawn in values(resources, "/XObject"):
        is_form = isinstance(drawn, pikepdf.Stream) and drawn.get("/Subtype") == "/Form"
        if is_form and drawn.objgen not in seen:
            seen.add(drawn.objgen)
            yield drawn
            yield from _forms(drawn.get("/Resources"), seen)
