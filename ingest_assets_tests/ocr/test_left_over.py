"""Nothing that stands on a page may go missing without a word."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pypdfium2
import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.languages import find_languages
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.sandbox import tesseract
from ingest_assets.ocr.sandbox.document import Picture
from ingest_assets.ocr.sandbox.grounds import levelled
from ingest_assets.ocr.sandbox.left_over import Layout, Line, Word, correct, doubtful_lines, merge
from ingest_assets.ocr.sandbox.missed import missed
from ingest_assets.ocr.sandbox.shades import has_dots, on_white
from ingest_assets_tests.support.scans import (
    LINES,
    PNG,
    encoded,
    lines_found,
    page_image,
    skewed,
    stored,
)


def _rendered(pdf: FPDF) -> Image.Image:
    document = pypdfium2.PdfDocument(bytes(pdf.output()))
    image: Image.Image = document[0].render(scale=200 / 72, grayscale=True).to_pil().copy()
    document.close()
    return image


def _page() -> FPDF:
    pdf = FPDF()
    pdf.set_auto_page_break(auto=False)
    pdf.set_font("Times", size=11)
    pdf.add_page()
    return pdf


# Each place once in `make test`. A page that stands on its head is read in `test_pdf`.
_ONCE = {(12, 0), (25, 1.6), (40, 90)}


@pytest.mark.parametrize(
    ("gap", "degrees"),
    [
        pytest.param(gap, degrees, marks=() if (gap, degrees) in _ONCE else pytest.mark.slow)
        for gap in (12, 25, 40)
        for degrees in (0, 1.6, 90, 180)
    ],
)
def test_numbers_at_the_left_and_prices_at_the_right(
    engine: LocalEngine, gap: int, degrees: float
) -> None:
    prices = [f"{3 + index * 7}.{index % 10}5" for index in range(len(LINES))]
    pdf = _page()
    for index, (line, price) in enumerate(zip(LINES, prices, strict=True)):
        top = 20 + index * 12
        pdf.text(8, top, f"{index + 1}.")
        pdf.text(8 + gap, top, line)
        pdf.text(185, top, price)
    image = _rendered(pdf)
    image = skewed(image, degrees) if degrees < 90 else image.rotate(degrees, expand=True)
    (page,) = engine.recognise(stored(encoded(image, "PNG", dpi=(200, 200)), PNG)).pages
    assert lines_found(page.text) == len(LINES)
    assert [price for price in prices if price not in page.text] == []
    numbers = [int(number) for number in re.findall(r"^(\d+)[.,] ?(?![\d])", page.text, re.M)]
    assert sorted(numbers) == sorted(set(numbers))
    unread = set(range(1, len(LINES) + 1)) - set(numbers)
    # Turning a page blurs it, and a lone blurred digit does not always read as one.
    assert len(unread) <= (2 if degrees == 1.6 else 0), unread


@pytest.mark.parametrize("grey", [175, 205])
def test_pale_print_beside_dark_print_is_read(engine: LocalEngine, grey: int) -> None:
    pdf = _page()
    for index, line in enumerate(LINES[:7]):
        pdf.set_text_color(0)
        pdf.text(12, 20 + index * 12, line)
        pdf.set_text_color(grey)
        pdf.text(170, 20 + index * 12, f"{4 + index * 7}1.{index}5")
    pdf.text(12, 120, "Subject to the approval of the harbour master")
    (page,) = engine.recognise(stored(encoded(_rendered(pdf), "PNG", dpi=(200, 200)), PNG)).pages
    flat = " ".join(page.text.split())
    for index, line in enumerate(LINES[:7]):
        assert f"{line} {4 + index * 7}1.{index}5" in flat
    assert "Subject to the approval of the harbour master" in flat


def test_list_letters_stand_in_their_lines(engine: LocalEngine) -> None:
    pdf = _page()
    top = 20.0
    for letter, index in zip("ABCDEF", range(0, 12, 2), strict=True):
        pdf.text(8, top, f"{letter}.")
        for line in (" ".join(LINES[index : index + 2]), LINES[index + 1]):
            pdf.text(15, top, line)
            top += 5
        top += 5
    pdf.text(195, top + 10, "2")
    (page,) = engine.recognise(stored(encoded(_rendered(pdf), "PNG", dpi=(200, 200)), PNG)).pages
    for letter, line in zip("ABCDEF", LINES[0:12:2], strict=True):
        assert f"{letter}. {line}" in page.text
    assert page.text.rstrip().endswith("\n2")


def test_two_columns_are_not_mixed(engine: LocalEngine) -> None:
    pdf = _page()
    pdf.set_font("Times", size=10)
    half = len(LINES) // 2
    for left, lines in ((10, LINES[:half]), (112, LINES[half:])):
        for index, line in enumerate(lines):
            pdf.text(left, 20 + index * 5, line)
    pdf.text(100, 80, "17")
    (page,) = engine.recognise(stored(encoded(_rendered(pdf), "PNG", dpi=(200, 200)), PNG)).pages
    flat = " ".join(page.text.split())
    assert [line for line in LINES if line not in flat] == []
    places = [flat.index(line) for line in LINES]
    assert places == sorted(places)
    assert "17" in flat


def test_numbers_of_two_columns_stay_in_their_column(engine: LocalEngine) -> None:
    pdf = _page()
    pdf.set_font("Times", size=10)
    half = 5
    for left, lines, first in ((10, LINES[:half], 1), (112, LINES[half:10], 1 + half)):
        for index, line in enumerate(lines):
            pdf.text(left, 20 + index * 10, f"{first + index}.")
            pdf.text(left + 6, 20 + index * 10, line)
    (page,) = engine.recognise(stored(encoded(_rendered(pdf), "PNG", dpi=(200, 200)), PNG)).pages
    flat = " ".join(page.text.split())
    places = [flat.index(line) for line in LINES[:10]]
    assert places == sorted(places)
    for number in range(1, 11):
        assert f"{number}." in flat


def test_titles_beside_rows_of_dots_are_read() -> None:
    font = ImageFont.load_default(size=36)
    titles = ("Ashby registers", "The lease of Pemberton", "Harbour dues", "Payment of the rent")
    image = Image.new("L", (1500, 320), 255)
    draw = ImageDraw.Draw(image)
    for number, title in enumerate(titles):
        dots = "." * int((1180 - draw.textlength(title, font=font)) / draw.textlength(".", font=font))
        draw.text((60, 40 + 60 * number), f"{title} {dots}", font=font, fill=0)
        draw.text((1360, 40 + 60 * number), str(11 + 7 * number), font=font, fill=0)
    reading = tesseract.recognise(Picture(image, 200), find_languages("eng", None))
    assert [part for part in (*titles, "11", "18", "25", "32") if part not in reading.text] == []
    assert reading.notes == ()


def test_page_on_a_dark_table_is_read(engine: LocalEngine) -> None:
    image = ImageOps.expand(page_image().point(lambda value: value * 3 // 4), 150, 8)
    (page,) = engine.recognise(stored(encoded(image, "PNG"), PNG)).pages
    assert lines_found(page.text) == len(LINES)


@pytest.mark.parametrize("kind", ["noise", "photograph"])
def test_page_without_text_is_read_eight_times_at_most(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # Pillow's noise depends on what the process has made before, and of some Tesseract makes words.
    grey = np.random.default_rng(0).normal(128, 150, (200, 150)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(grey)
    if kind == "noise":
        image = image.resize((600, 800), Image.Resampling.NEAREST)
    else:
        image = image.resize((600, 800), Image.Resampling.BICUBIC)
    reads = []
    read = tesseract._read

    def counted(*arguments: Any, **options: Any) -> Any:
        reads.append(1)
        return read(*arguments, **options)

    monkeypatch.setattr(tesseract, "_read", counted)
    assert tesseract.recognise(Picture(image, 200), find_languages("eng", None)).unread
    assert 1 <= len(reads) <= 8


def test_letters_without_paper_around_them_are_not_taken_for_noise() -> None:
    """What people cut out of a page, up to the edges of its letters."""
    font = ImageFont.load_default(size=26)
    block = "\n".join(["Ashby registers the lease of Pemberton"] * 6)
    for text, spacing, lines in (("Ashby", 4, 1), (block, 0, 6)):
        image = Image.new("L", (900, 400), 255)
        ImageDraw.Draw(image).multiline_text((9, 9), text, font=font, fill=0, spacing=spacing)
        image = image.crop(ImageOps.invert(image).getbbox())
        reading = tesseract.recognise(Picture(image, 200), find_languages("eng", None))
        assert reading.text.count("Ashby") == lines


def test_blurred_line_is_read_at_twice_its_size(engine: LocalEngine) -> None:
    image = page_image(LINES[:6]).crop((0, 0, 1650, 900)).filter(ImageFilter.GaussianBlur(2))
    result = engine.recognise(stored(encoded(image, "PNG", dpi=(200, 200)), PNG))
    assert lines_found(result.pages[0].text, LINES[:6]) == 6


def test_words_in_the_boxes_of_a_small_flow_chart_are_read() -> None:
    steps = ["Receive invoice", "Check amount", "Approve payment", "Reject supplier", "Archive record"]
    image = Image.new("L", (560, 200), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=13)
    for number, step in enumerate(steps):
        left, top = 40 + 180 * (number % 3), 40 + 100 * (number // 3)
        width = draw.textlength(step, font)
        draw.rounded_rectangle((left - 4, top - 3, left + width + 4, top + 18), 3, 205, 0)
        draw.text((left, top), step, 0, font)
        draw.line((left + width + 10, top + 8, left + 166, top + 8), 0)
    text = tesseract.recognise(Picture(image, 96), find_languages("eng", None)).text
    assert [step for step in steps if step not in text] == []


def test_labels_of_a_chart_are_read_beside_its_frame() -> None:
    image = Image.new("L", (640, 480), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=15)
    draw.rectangle((80, 50, 620, 440), None, 0)
    regions, numbers = ["North", "South", "East", "West"], ["10", "20", "30", "40"]
    for index, (region, number) in enumerate(zip(regions, numbers, strict=True)):
        left, top = 110 + 130 * index, 440 - 90 * (index + 1)
        draw.rectangle((left, top, left + 80, 440), 140, 0)
        draw.text((left + 20, 448), region, 0, font)
        draw.text((52, top - 8), number, 0, font)
        draw.line((74, top, 80, top), 0)
    draw.text((270, 20), "Revenue by region", 0, font)
    label = Image.new("L", (200, 24), 255)
    ImageDraw.Draw(label).text((4, 2), "Revenue in million", 0, font)
    image.paste(label.transpose(Image.Transpose.ROTATE_90), (16, 150))
    text = tesseract.recognise(Picture(image, 100), find_languages("eng", None)).text
    expected = [*regions, *numbers, "Revenue by region", "Revenue in million"]
    assert [label for label in expected if label not in text] == []


def test_a_word_that_most_readings_have_counts_more_than_the_surest_one() -> None:
    def reading(text: str, confidence: float) -> Layout:
        return Layout([Line([Word(text, 0, 0, 60, 20, confidence)])])

    layout = reading("1abel", 0.8)
    merge(layout, [reading("label", 0.75), reading("label", 0.75)])
    assert layout.text() == "label"


def test_what_one_reading_alone_hardly_sees_is_left_out() -> None:
    layout = Layout([Line([Word("oil", 0, 0, 60, 20, 0.9), Word("~j", 300, 0, 340, 20, 0.2)])])
    merge(layout, [Layout([Line([Word("oil", 0, 0, 60, 20, 0.9)])])])
    assert layout.text() == "oil"


def test_a_doubtful_word_gives_way_to_one_of_the_dictionary() -> None:
    doubtful = Word("jetter", 0, 0, 60, 20, 0.7)
    layout = Layout([Line([doubtful, Word("Okonkwo", 80, 0, 160, 20, 0.95)])])
    again = [Word("letter", 0, 0, 60, 20, 0.95, True), Word("Oknowo", 80, 0, 160, 20, 0.99, True)]
    assert doubtful_lines(layout) == layout.lines
    correct(layout, again)
    assert layout.text() == "letter Okonkwo"


def _recognised(engine: LocalEngine, image: Image.Image) -> Recognition:
    return engine.recognise(stored(encoded(image, "PNG"), PNG))


def _table(grounds: list[int], ink: int) -> Image.Image:
    """A page of rows, the first with the first line printed on the first ground, and so on."""
    pdf = _page()
    pdf.set_text_color(ink)
    for index, line in enumerate(LINES):
        pdf.set_fill_color(grounds[index % len(grounds)])
        pdf.cell(0, 8, line, fill=True, new_x="LMARGIN", new_y="NEXT")
    return _rendered(pdf)


def test_lines_that_fade_away_are_read(engine: LocalEngine) -> None:
    page = page_image(LINES[:10]).crop((0, 0, 1650, 1300))
    fading = 255 - np.linspace(1, 0.25, page.height)[:, None] * (255.0 - np.asarray(page))
    result = _recognised(engine, Image.fromarray(fading.astype(np.uint8)))
    assert lines_found(result.pages[0].text, LINES[:10]) == 10
    assert result.notes == ()


@pytest.mark.parametrize("height", [90, 150])
def test_a_pale_headline_over_small_print_is_read(engine: LocalEngine, height: int) -> None:
    page = page_image(LINES[:6]).crop((0, 0, 1650, 1000))
    font = ImageFont.load_default(height)
    ImageDraw.Draw(page).text((100, 740), "Annual Report", font=font, fill=215)
    text = _recognised(engine, page).pages[0].text
    assert lines_found(text, LINES[:6]) == 6
    assert "Annual Report" in text


def test_rules_are_not_noted_as_print(engine: LocalEngine) -> None:
    page = page_image(LINES[:6]).crop((0, 0, 1650, 1000))
    for top, thickness, grey in ((760, 3, 0), (800, 6, 120), (860, 12, 60)):
        ImageDraw.Draw(page).rectangle((60, top, 1600, top + thickness), fill=grey)
    assert _recognised(engine, page).notes == ()


def test_what_looks_like_print_and_cannot_be_read_is_noted(engine: LocalEngine) -> None:
    page = page_image(LINES[:6]).crop((0, 0, 1650, 1000))
    marks = np.random.default_rng(3).choice(np.array([195, 255], dtype=np.uint8), (6, 90))
    page.paste(Image.fromarray(marks).resize((630, 36), Image.Resampling.NEAREST), (900, 800))
    result = _recognised(engine, page)
    assert lines_found(result.pages[0].text, LINES[:6]) == 6
    (note,) = result.notes
    assert note.kind == "unread_ink"
    assert "bottom right" in note.sentence


@pytest.mark.parametrize("grey", [140, 205])
def test_dark_print_on_every_other_row_that_is_shaded(engine: LocalEngine, grey: int) -> None:
    result = engine.recognise(stored(encoded(_table([255, grey], 20), "PNG"), PNG))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert result.notes == ()


def test_a_shaded_form_whose_fields_are_white(engine: LocalEngine) -> None:
    pdf = _page()
    pdf.set_fill_color(170)
    pdf.rect(5, 5, 200, 150, style="F")
    pdf.set_fill_color(255)
    for index, line in enumerate(LINES):
        pdf.text(12, 20 + 12 * index, f"Field {index + 1}")
        pdf.rect(40, 13 + 12 * index, 155, 10, style="F")
        pdf.text(44, 20 + 12 * index, line)
    result = engine.recognise(stored(encoded(_rendered(pdf), "PNG"), PNG))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert all(f"Field {index + 1}" in result.pages[0].text for index in range(len(LINES)))


@pytest.mark.parametrize("grey", [150, 215])
def test_dark_print_on_rows_shaded_by_dots(grey: int) -> None:
    fax = _table([255, grey], ink=0).convert("1").convert("L")
    reading = tesseract.recognise(Picture(fax, 200), find_languages("eng", None))
    assert set(" ".join(LINES).split()) <= set(reading.text.split())


def test_light_print_on_a_shade_stays_light() -> None:
    page = _table([120], 255)
    assert on_white(page) is page


@pytest.mark.parametrize("darkest", [30, 110])
def test_numbers_on_a_heat_map_are_read(darkest: int) -> None:
    page = Image.new("L", (900, 620), 255)
    draw, numbers = ImageDraw.Draw(page), [f"{100 + 371 * number % 900}" for number in range(48)]
    for index, number in enumerate(numbers):
        left, top = 50 + index % 6 * 132, 50 + index // 6 * 64
        ground = darkest + (251 - darkest) * (index * 31 % 48) // 47
        draw.rectangle((left, top, left + 131, top + 63), fill=ground)
        font = ImageFont.load_default(27)
        draw.text((left + 30, top + 16), number, fill=255 if ground < 140 else 0, font=font)
    reading = tesseract.recognise(Picture(page, 200), find_languages("eng", None))
    assert sorted(reading.text.split()) == sorted(numbers)


def test_light_and_dark_print_on_tiles_beside_each_other_is_read() -> None:
    page = Image.new("L", (1300, 560), 255)
    words = ["Orders", "Returns", "Payments", "Customers", "Delivery", "Storage"]
    figures = [f"{4271 * (index + 2)}" for index in range(6)]
    draw, small, large = ImageDraw.Draw(page), ImageFont.load_default(26), ImageFont.load_default(70)
    for index, (word, ground) in enumerate(zip(words, (25, 120, 215, 90, 45, 150), strict=True)):
        left, top, fill = 50 + index % 3 * 400, 40 + index // 3 * 240, 255 if ground < 140 else 0
        draw.rectangle((left, top, left + 399, top + 239), fill=ground)
        draw.text((left + 20, top + 20), figures[index], fill=fill, font=large)
        draw.text((left + 20, top + 160), word, fill=fill, font=small)
    reading = tesseract.recognise(Picture(page, 200), find_languages("eng", None))
    assert set(words + figures) <= set(reading.text.split())


def test_a_page_in_a_shadow_has_no_shades() -> None:
    page = np.asarray(page_image(), dtype=np.float64)
    shadow = np.linspace(1, 0.5, page.shape[1])
    image = Image.fromarray((page * shadow).astype(np.uint8))
    assert on_white(image) is image


def test_close_print_is_not_taken_for_dots() -> None:
    assert not has_dots(page_image())


@pytest.mark.parametrize("size", [(1, 1), (15, 40), (33, 15), (50, 70)])
def test_small_pictures_have_no_shades(size: tuple[int, int]) -> None:
    image = Image.new("L", size, 160)
    assert on_white(image) is image
    assert not has_dots(image)
    assert levelled(image, 200) is None


def test_columns_of_lone_figures_stand_in_their_lines(engine: LocalEngine) -> None:
    page = Image.new("L", (1654, 1800), 255)
    font = ImageFont.load_default(30)
    rows = [(" ".join(LINES[row % len(LINES)].split()[:3]), f"{row % 9 + 1}") for row in range(28)]
    for row, (name, figure) in enumerate(rows):
        ImageDraw.Draw(page).text((140, 60 + 60 * row), name, font=font, fill=0)
        ImageDraw.Draw(page).text((1150, 60 + 60 * row), figure, font=font, fill=0)
    (read,) = engine.recognise(stored(encoded(page, "PNG"), PNG)).pages
    assert sum(f"{name} {figure}" in read.text for name, figure in rows) >= 26


def test_nothing_is_missed_where_no_word_says_how_high_print_is() -> None:
    page = Image.new("L", (800, 600), 255)
    ImageDraw.Draw(page).text((100, 100), LINES[0], font=ImageFont.load_default(40), fill=200)
    assert missed(page, Layout([])) == []
