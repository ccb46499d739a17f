"""Documents for the tests, made on the fly."""

from __future__ import annotations

import io
from collections.abc import Sequence
from uuid import uuid4

import pypdfium2
from fpdf import FPDF
from PIL import Image

from ingest_assets.ocr.engine import StoredObject

PDF = "application/pdf"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
TEXT = "text/plain"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

LINES = (
    "The lighthouse keeper shall record the weather every morning.",
    "Lamps are to be trimmed before sunset and inspected at midnight.",
    "Visitors must be announced to the harbour office in advance.",
    "The boat house remains locked while the tide is falling.",
    "Supplies arrive on the first Tuesday of each month.",
    "Any damage to the lens has to be reported without delay.",
    "The keeper may appoint a deputy for at most three weeks.",
    "Coal is stored behind the north wall and never indoors.",
    "The fog signal is tested on Fridays at noon precisely.",
    "Repairs above ninety crowns require written permission.",
    "The log book belongs to the district and stays on the rock.",
    "Birds that strike the lantern are counted and described.",
)


def text_pdf(pages: Sequence[Sequence[str]] = (LINES,)) -> bytes:
    pdf = FPDF()
    pdf.set_auto_page_break(auto=False)
    pdf.set_font("Times", size=12)
    for lines in pages:
        pdf.add_page()
        for line in lines:
            pdf.cell(text=line, new_x="LMARGIN", new_y="NEXT", h=9)
    return bytes(pdf.output())


def page_image(lines: Sequence[str] = LINES, dpi: int = 200) -> Image.Image:
    pdf = pypdfium2.PdfDocument(text_pdf([lines]))
    image: Image.Image = pdf[0].render(scale=dpi / 72, grayscale=True).to_pil().copy()
    pdf.close()
    return image


def skewed(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def scan_pdf(*images: Image.Image, dpi: int = 200) -> bytes:
    first, *others = images
    return encoded(first, "PDF", save_all=True, append_images=others, resolution=dpi)


def stored(data: bytes, mime_type: str) -> StoredObject:
    def download(file: io.BufferedIOBase) -> None:
        file.write(data)

    return StoredObject(uuid4(), "bucket", "key", len(data), mime_type, download)  # type: ignore[arg-type]


def lines_found(text: str, lines: Sequence[str] = LINES) -> int:
    """Count the lines that are in the text, spacing and capitals aside."""
    flat = "".join(text.split()).lower()
    return sum("".join(line.split()).lower() in flat for line in lines)
