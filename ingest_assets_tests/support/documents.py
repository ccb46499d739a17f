"""Small documents, made on the fly."""

from __future__ import annotations

import random
from functools import cache
from io import BytesIO

import pikepdf
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont


def pdf(*pages: str) -> bytes:
    """A PDF with a text layer, one string a page."""
    document = FPDF()
    document.set_font("Helvetica", size=12)
    for page in pages:
        document.add_page()
        document.multi_cell(0, 8, page)
    return bytes(document.output())


@cache
def padded_pdf(page: str, mebibytes: int) -> bytes:
    """A PDF of that size: most of it is a stream that no page shows."""
    with pikepdf.open(BytesIO(pdf(page))) as document:
        document.Root.Padding = document.make_stream(random.Random(0).randbytes(mebibytes << 20))
        file = BytesIO()
        document.save(file)
        return file.getvalue()


def picture(*lines: str, kind: str = "PNG") -> bytes:
    """A picture of printed lines, as a scanner would make it."""
    image = Image.new("L", (1000, 120 + 60 * len(lines)), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((60, 60 + 60 * number), line, fill=0, font=ImageFont.load_default(size=32))
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()
