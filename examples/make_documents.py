"""Make the sample documents in `examples/documents`: one of each kind that the pipeline reads.

Usage: python examples/make_documents.py [FOLDER]

Everything in them is invented. The files are committed, so that a first run needs no tools; run
this again only to change them.
"""

from __future__ import annotations

import datetime
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import docx
import pypdfium2
from fpdf import FPDF
from PIL import Image, ImageFilter

MADE_ON = datetime.datetime(2024, 3, 1, 12, 0, tzinfo=datetime.timezone.utc)

AGREEMENT = {
    "Charter of the Skerry Light": (
        "This charter is made on 1 March 2024 between the Harbour Trust of Northwick (the Trust) "
        "and Ottilie Brandt, keeper of the Skerry Light (the Keeper).",
        "The Keeper shall light the lamp half an hour before sunset and tend it until sunrise, in "
        "all weathers, and shall record each lighting in the log.",
        "The Trust shall deliver oil, coal and letters on the first Tuesday of every month, or on "
        "the next day on which a boat can land.",
    ),
    "Duties": (
        "The lens is to be cleaned daily. Damage to it has to be reported by signal flag on the "
        "same day, and in writing with the next boat.",
        "Visitors are welcome between ten and four. They may climb the tower in groups of five, "
        "accompanied by the Keeper or by the deputy.",
        "The fog signal is tested on Fridays at noon. The Trust's office on Quay Street is to be "
        "told of any test that fails.",
    ),
    "Pay and term": (
        "The Keeper receives 640 crowns a month, paid on the last working day, and ten crowns for "
        "every night on which the fog signal has been sounded.",
        "This charter holds for two years and is renewed for one year at a time unless either side "
        "ends it in writing, three months ahead.",
        "Signed in two copies at Northwick: Ottilie Brandt; Jonas Hale, for the Trust.",
    ),
}

LETTER = (
    "Harbour Trust of Northwick",
    "14 Quay Street",
    "",
    "9 April 2024",
    "",
    "Dear Ms Brandt,",
    "",
    "Thank you for your report of 2 April. The cracked pane in the",
    "lantern room will be replaced by Dray & Sons, who arrive with",
    "the supply boat on Tuesday, 7 May. Please have the ladder ready.",
    "",
    "The Trust has also agreed to your request for a second stove.",
    "It costs 118 crowns and will be delivered before winter.",
    "",
    "With kind regards,",
    "Jonas Hale, Secretary",
)

RECEIPT = (
    "DRAY & SONS, CHANDLERS",
    "3 Rope Walk, Northwick",
    "",
    "Lamp oil, 20 l        46.00",
    "Wick, 6 pieces         9.30",
    "Brass polish           4.75",
    "Rope, 30 m            21.60",
    "",
    "TOTAL                 81.65",
    "Paid in cash, 18 April 2024",
    "Thank you!",
)

LOG = tuple(
    tuple(
        f"{day:02} {month}  {weather}, wind {force} from the {quarter}. Lamp lit at {hour}."
        for day, weather, force, quarter, hour in (
            (3, "Clear", 2, "west", "18:40"),
            (4, "Rain", 5, "south-west", "18:30"),
            (5, "Fog until noon", 1, "east", "16:10"),
            (6, "Clear", 3, "north", "18:45"),
            (7, "Gale", 8, "south-west", "17:55"),
        )
    )
    for month in ("March", "April", "May")
)

NOTICE = """NOTICE TO MARINERS

From 1 May 2024 the Skerry Light shows two white flashes every ten seconds,
visible for 14 miles. The old red sector towards the Calf Rocks is gone.

Ships shall keep east of the green buoy.

Harbour Trust of Northwick
"""


def main() -> None:
    """Write all documents to the folder."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("documents")
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "charter with text layer.pdf": _charter(),
        "letter, scanned askew.pdf": _pdf(_askew(_page(LETTER, size=13), 1.7).convert("L")),
        "letter.png": _encoded(_page(LETTER, size=13).quantize(8), "PNG", optimize=True),
        "receipt photograph.jpg": _encoded(_photograph(_receipt()), "JPEG", quality=60),
        "log book.tif": _tiff([_page((*lines,), size=13) for lines in LOG]),
        "supplies.docx": _supplies(),
        "notice to mariners.txt": NOTICE.encode(),
        "blank page.pdf": _blank(),
    }
    for name, data in documents.items():
        (folder / name).write_bytes(data)
        print(f"{len(data):8} bytes  {folder / name}")


def _new_pdf() -> FPDF:
    pdf = FPDF()
    pdf.set_creation_date(MADE_ON)  # The same bytes each time.
    return pdf


def _charter() -> bytes:
    pdf = _new_pdf()
    for heading, paragraphs in AGREEMENT.items():
        pdf.add_page()
        pdf.set_font("Times", style="B", size=18)
        pdf.cell(text=heading, new_x="LMARGIN", new_y="NEXT", h=16)
        pdf.set_font("Times", size=12)
        for paragraph in paragraphs:
            pdf.multi_cell(0, text=paragraph, h=7, new_x="LMARGIN", new_y="NEXT")
            pdf.ln(4)
    return bytes(pdf.output())


def _blank() -> bytes:
    pdf = _new_pdf()
    pdf.add_page()
    return bytes(pdf.output())


def _page(lines: Sequence[str], *, size: int, font: str = "Times", width: int = 210) -> Image.Image:
    """Return lines of text as a scanner at 150 dpi would see them."""
    pdf = FPDF(format=(width, 40 + 7 * len(lines) if width < 210 else 297))
    pdf.set_auto_page_break(auto=False)
    pdf.add_page()
    pdf.set_font(font, size=size)
    for line in lines:
        pdf.cell(text=line or " ", new_x="LMARGIN", new_y="NEXT", h=7)
    rendered = pypdfium2.PdfDocument(bytes(pdf.output()))
    image: Image.Image = rendered[0].render(scale=150 / 72, grayscale=True).to_pil().copy()
    rendered.close()
    return image


def _receipt() -> Image.Image:
    return _page(RECEIPT, size=12, font="Courier", width=95)


def _askew(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)


def _photograph(paper: Image.Image) -> Image.Image:
    """Lay the paper, a little turned, on a dark table, in uneven light."""
    table = Image.new("L", (paper.width + 160, paper.height + 160), 70)
    sheet = paper.point(lambda value: 40 + value * 190 // 255)
    mask = Image.new("L", sheet.size, 255)
    turned = sheet.rotate(1.2, Image.Resampling.BICUBIC, expand=True)
    table.paste(turned, (80, 80), mask.rotate(1.2, expand=True))
    light = Image.linear_gradient("L").resize(table.size).point(lambda value: 255 - value // 4)
    shaded = Image.composite(table, Image.new("L", table.size, 0), light)
    return shaded.filter(ImageFilter.GaussianBlur(0.6)).convert("RGB")


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _pdf(image: Image.Image) -> bytes:
    moment = MADE_ON.timetuple()
    return _encoded(image, "PDF", resolution=150, quality=50, creationDate=moment, modDate=moment)


def _tiff(pages: Sequence[Image.Image]) -> bytes:
    first, *others = (page.convert("1", dither=Image.Dither.NONE) for page in pages)
    return _encoded(
        first, "TIFF", save_all=True, append_images=others, compression="group4", dpi=(150, 150)
    )


def _supplies() -> bytes:
    document = docx.Document()
    document.core_properties.author = "Harbour Trust of Northwick"
    document.core_properties.created = MADE_ON
    document.sections[0].header.paragraphs[0].text = "Harbour Trust of Northwick"
    document.add_heading("Supplies for the Skerry Light", level=1)
    document.add_paragraph("To be landed on Tuesday, 7 May 2024, weather permitting.")
    table = document.add_table(rows=1, cols=3)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Item", "Quantity"
    table.rows[0].cells[2].text = "Crowns"
    for item, quantity, price in (
        ("Lamp oil", "200 litres", "460"),
        ("Coal", "12 sacks", "96"),
        ("Window pane", "1", "74"),
        ("Stove", "1", "118"),
    ):
        for cell, text in zip(table.add_row().cells, (item, quantity, price), strict=True):
            cell.text = text
    document.add_paragraph("Ordered by Jonas Hale.")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


if __name__ == "__main__":
    main()
