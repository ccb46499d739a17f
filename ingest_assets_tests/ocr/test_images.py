from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps
from PIL.TiffImagePlugin import AppendingTiffWriter

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets.identification import identify
from ingest_assets.ocr.languages import find_languages
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.sandbox import tesseract
from ingest_assets.ocr.sandbox.document import Picture
from ingest_assets.ocr.sandbox.images import ImageDocument, to_grey
from ingest_assets_tests.support.scans import (
    JPEG,
    LINES,
    PNG,
    TIFF,
    encoded,
    lines_found,
    page_image,
    stored,
)


def _some_lines() -> Image.Image:
    return page_image(LINES[:5]).crop((0, 0, 1650, 700))


def _two_lines() -> Image.Image:
    return page_image(LINES[:2]).crop((0, 60, 1400, 260))


def _picture(data: bytes) -> Image.Image:
    """Return the picture that is made of the first page of an image file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        document = ImageDocument(Path(file.name))
        try:
            return document.picture(1).image
        finally:
            document.close()


def _frames(*frames: tuple[Image.Image, dict[int, int]]) -> bytes:
    """Return a TIFF of frames, each with tags of its own."""
    out = io.BytesIO()
    with AppendingTiffWriter(out, new=True) as writer:
        for image, tags in frames:
            image.save(writer, "TIFF", tiffinfo=tags)
            writer.newFrame()
        return out.getvalue()


def _png_of_16_bits(values: NDArray[np.uint16], channels: int) -> bytes:
    rows = np.repeat(values[:, :, None], channels, axis=2).reshape(len(values), -1)
    header = struct.pack(
        ">IIBBBBB", values.shape[1], values.shape[0], 16, {1: 0, 3: 2}[channels], 0, 0, 0
    )
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _differs(data: bytes, expected: Image.Image) -> float:
    """By how much each pixel of the picture that a file comes to is another, of 255."""
    shown, wanted = (np.asarray(image, dtype=float) for image in (_picture(data), expected))
    return float(np.abs(shown - wanted).mean())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "F"])
def test_every_mode_comes_to_the_same_picture(mode: str) -> None:
    grey = _some_lines()
    if mode == "RGBA":  # Black letters on nothing.
        image = Image.new("RGBA", grey.size)
        image.putalpha(grey.point(lambda value: 255 - value))
    elif mode == "LAB":
        no_colour = Image.new("L", grey.size, 128)
        image = Image.merge("LAB", (grey, no_colour, no_colour))
    elif mode == "1":
        image = grey.convert(mode, dither=Image.Dither.NONE)
    else:
        image = grey.convert(mode)
    kind = "TIFF" if mode in ("CMYK", "LAB", "F") else "PNG"
    assert _differs(encoded(image, kind), grey) < 3


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [(259, 50001, "packed as WebP"), (258, 16, "floating-point numbers of 16 bits")],
)
def test_a_whole_tiff_with_pixels_of_a_kind_that_is_not_read_is_not_called_damaged(
    tag: int, value: int, said: str
) -> None:
    whole = encoded(page_image().convert("F"), "TIFF")
    place = whole.rindex(struct.pack("<HHI", tag, 3, 1)) + 8
    data = whole[:place] + struct.pack("<H", value) + whole[place + 2 :]
    with pytest.raises(PermanentError, match=said) as caught:
        _picture(data)
    assert caught.value.code == "unsupported_type"


@pytest.mark.parametrize("bits", [10, 64])
def test_a_whole_tiff_with_numbers_of_other_bits_is_not_called_damaged(bits: int) -> None:
    whole = encoded(page_image().convert("L"), "TIFF")
    place = whole.rindex(struct.pack("<HHI", 258, 3, 1)) + 8
    data = whole[:place] + struct.pack("<H", bits) + whole[place + 2 :]
    with pytest.raises(PermanentError, match=f"numbers of {bits} bits") as caught:
        _picture(data)
    assert caught.value.code == "unsupported_type"


def test_a_page_of_a_kind_that_is_not_read_is_noted_among_others(engine: LocalEngine) -> None:
    one, two = page_image(LINES[:4]), page_image(LINES[4:8])
    data = bytearray(_frames((one, {}), (two, {}), (two, {})))
    packed = struct.pack("<HHI", 259, 3, 1)
    place = data.index(packed, data.index(packed) + 1) + len(packed)
    data[place : place + 2] = struct.pack("<H", 50001)
    result = engine.recognise(stored(bytes(data), TIFF))
    assert [lines_found(page.text, LINES[:8]) for page in result.pages] == [4, 0, 4]
    [note] = result.notes
    assert (note.kind, note.page) == ("page_unreadable", 2)
    assert "packed as WebP" in note.sentence


def test_letters_on_nothing_are_read(engine: LocalEngine) -> None:
    image = Image.new("RGBA", _some_lines().size)
    image.putalpha(ImageOps.invert(_some_lines()))
    result = engine.recognise(stored(encoded(image, "PNG"), PNG))
    assert lines_found(result.pages[0].text, LINES[:5]) == 5
    assert result.pages[0].origin == "ocr"
    assert result.notes == ()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_scanners_values_in_16_bits_come_to_the_same_picture(bits: int, channels: int) -> None:
    values = np.asarray(_some_lines()).astype(np.uint32) * ((1 << bits) - 1) // 255
    assert _differs(_png_of_16_bits(values.astype(">u2"), channels), _some_lines()) < 3


def test_white_is_zero_in_16_bits_too() -> None:
    values = 65535 - np.asarray(_some_lines()).astype(np.uint16) * 257
    assert _differs(encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0}), _some_lines()) < 3


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 255, 130)])
def test_light_letters_on_nothing_are_read(engine: LocalEngine, colour: tuple[int, int, int]) -> None:
    image = Image.new("RGBA", _some_lines().size, (*colour, 0))
    image.putalpha(ImageOps.invert(_some_lines()))
    result = engine.recognise(stored(encoded(image, "PNG"), PNG))
    assert lines_found(result.pages[0].text, LINES[:5]) == 5


def test_sheet_that_lies_on_nothing_stays_white(engine: LocalEngine) -> None:
    image = Image.new("RGBA", (2600, 1100))
    image.paste(_some_lines().convert("RGBA"), (500, 200))
    result = engine.recognise(stored(encoded(image, "PNG"), PNG))
    assert lines_found(result.pages[0].text, LINES[:5]) == 5


@pytest.mark.parametrize("white_is_zero", [0, 1])
def test_fax_is_read_whatever_its_zero_means(engine: LocalEngine, white_is_zero: int) -> None:
    image = _some_lines().convert("1")
    tags = {262: white_is_zero}
    data = encoded(image, "TIFF", compression="group4", tiffinfo=tags)
    assert lines_found(engine.recognise(stored(data, TIFF)).pages[0].text, LINES[:5]) == 5


def test_tiff_of_64_bits_is_read(engine: LocalEngine) -> None:
    data = encoded(_some_lines(), "TIFF", big_tiff=True)
    assert lines_found(engine.recognise(stored(data, TIFF)).pages[0].text, LINES[:5]) == 5


def test_every_frame_of_a_tiff_is_a_page(engine: LocalEngine) -> None:
    frames = [page_image(LINES[start : start + 4]).convert("1") for start in (0, 4, 8)]
    data = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:], compression="group4")
    result = engine.recognise(stored(data, TIFF))
    assert [page.number for page in result.pages] == [1, 2, 3]
    for page, start in zip(result.pages, (0, 4, 8), strict=True):
        assert lines_found(page.text, LINES[start : start + 4]) == 4


@pytest.mark.parametrize(
    "small_tags", [{254: 1}, {255: 2}, {}], ids=["says so", "says so in the old way", "says nothing"]
)
def test_small_copy_is_no_page(engine: LocalEngine, small_tags: dict[int, int]) -> None:
    one, two = page_image(LINES[:4]), page_image(LINES[4:8])
    small = one.resize((one.width // 8, one.height // 8))
    data = _frames((one, {}), (small, small_tags), (two, {254: 2}))
    pages = engine.recognise(stored(data, TIFF)).pages
    assert [lines_found(page.text, LINES[:8]) for page in pages] == [4, 4]


def test_small_copy_before_its_page_is_no_page() -> None:
    one = page_image(LINES[:4])
    data = _frames((one.resize((200, 280)), {254: 1}), (one, {}))
    assert _picture(data).size == one.size


def test_small_page_is_a_page(engine: LocalEngine) -> None:
    one, two = page_image(LINES[:4]), page_image(LINES[4:8])
    small = two.resize((two.width // 4, two.height // 4))
    assert len(engine.recognise(stored(_frames((one, {}), (small, {})), TIFF)).pages) == 2


def test_mask_of_a_frame_is_no_page(engine: LocalEngine) -> None:
    one = page_image(LINES[:4])
    data = _frames((one, {}), (one.convert("1"), {254: 4}))
    assert len(engine.recognise(stored(data, TIFF)).pages) == 1


def test_frames_that_all_say_they_are_copies_are_pages(engine: LocalEngine) -> None:
    one, two = page_image(LINES[:4]), page_image(LINES[4:8])
    assert len(engine.recognise(stored(_frames((one, {254: 1}), (two, {254: 1})), TIFF)).pages) == 2


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", _TURNS)
def test_orientation_is_obeyed(orientation: int, kind: str) -> None:
    upright = _some_lines()
    turned = upright.transpose(_TURNS[orientation])
    if kind == "TIFF":  # Larger than is read, so that it is reduced too.
        turned = turned.resize((turned.width * 2, turned.height * 2))
        data = encoded(turned, kind, dpi=(600, 600), tiffinfo={274: orientation})
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(turned, kind, exif=exif)
    picture = _picture(data).resize(upright.size)
    assert np.abs(np.asarray(picture, dtype=int) - np.asarray(upright, dtype=int)).mean() < 4


def test_photograph_that_lies_on_its_side_is_read(engine: LocalEngine) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(page_image().rotate(90, expand=True), "JPEG", exif=exif)
    result = engine.recognise(stored(data, JPEG))
    assert lines_found(result.pages[0].text) == len(LINES)
    assert result.notes == ()
    assert result.thumbnail is not None


def test_a_photograph_in_uneven_light_is_read(engine: LocalEngine) -> None:
    sheet = np.asarray(page_image(LINES[:6]).crop((0, 0, 1654, 700)))
    shaded = (sheet * np.linspace(0.25, 1, sheet.shape[1])).astype(np.uint8)
    (page,) = engine.recognise(stored(encoded(Image.fromarray(shaded), "JPEG"), JPEG)).pages
    assert lines_found(page.text) == 6


def test_lines_in_a_shadow_as_dark_as_the_table_are_read() -> None:
    table = ImageOps.expand(page_image(LINES[:6]).crop((40, 60, 1240, 560)), 120, 110)
    light = np.linspace(1.7, 0, table.height).clip(0.45, 1)[:, None]
    shaded = Image.fromarray((np.asarray(table) * light).astype(np.uint8))
    reading = tesseract.recognise(Picture(shaded, 200), find_languages("eng", None))
    assert lines_found(reading.text) == 6


def _noisy(sheet: Image.Image, deviation: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, deviation, (sheet.height, sheet.width))
    return Image.fromarray((np.asarray(sheet) + noise).clip(0, 255).astype(np.uint8))


def _specked(sheet: Image.Image, share: float) -> Image.Image:
    chance = np.random.default_rng(1).random((sheet.height, sheet.width))
    specked = np.where(chance < share / 2, 0, np.where(chance > 1 - share / 2, 255, np.asarray(sheet)))
    return Image.fromarray(specked.astype(np.uint8))


def _blurred(sheet: Image.Image, radius: float) -> Image.Image:
    return sheet.filter(ImageFilter.GaussianBlur(radius))


@pytest.mark.parametrize(
    ("spoil", "degree"), [(_blurred, 2.5), (_noisy, 60), (_specked, 0.1), (_specked, 0.04)]
)
def test_a_blurred_or_noisy_page_is_read(
    engine: LocalEngine, spoil: Callable[[Image.Image, float], Image.Image], degree: float
) -> None:
    data = encoded(spoil(_two_lines(), degree), "PNG", dpi=(200, 200))
    result = engine.recognise(stored(data, PNG))
    assert lines_found(result.pages[0].text) == 2
    assert not any(note.leaves_out for note in result.notes)


@pytest.mark.parametrize(("spoil", "degree"), [(_blurred, 4), (_noisy, 150)])
def test_a_page_that_can_hardly_be_made_out_is_noted(
    engine: LocalEngine, spoil: Callable[[Image.Image, float], Image.Image], degree: float
) -> None:
    data = encoded(spoil(_two_lines().crop((0, 0, 700, 200)), degree), "PNG", dpi=(200, 200))
    result = engine.recognise(stored(data, PNG))
    assert lines_found(result.pages[0].text) == 0
    assert any(note.leaves_out for note in result.notes)


def _remark(*, dark: bool = False) -> Image.Image:
    image = Image.new("L", (620, 120), 255)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(("Received by counsel Pemberton", "in the town of Ashby")):
        draw.text((20, 20 + 44 * row), line, font=ImageFont.load_default(30), fill=0)
    return ImageOps.invert(image) if dark else image


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_block_that_is_turned_on_an_upright_page_is_read(engine: LocalEngine, turn: int) -> None:
    page = Image.new("L", (1650, 1400), 255)
    page.paste(_some_lines())
    page.paste(_remark().rotate(turn, expand=True), (1000, 720))
    (read,) = engine.recognise(stored(encoded(page, "PNG"), PNG)).pages
    assert lines_found(read.text) >= 5
    assert read.text.endswith("Received by counsel Pemberton\nin the town of Ashby")


@pytest.mark.parametrize("deviation", [30, 100])
def test_a_page_of_nothing_but_noise_is_said_to_be_one(engine: LocalEngine, deviation: float) -> None:
    data = encoded(_noisy(Image.new("L", (800, 1000), 128), deviation), "PNG", dpi=(200, 200))
    result = engine.recognise(stored(data, PNG))
    assert result.pages[0].text == ""
    assert [(note.kind, "noise" in note.sentence) for note in result.notes] == [("unread_ink", True)]


@pytest.mark.parametrize("dpi", [(200, 100), (100, 200)])
def test_pixels_that_are_not_square_are_stretched(engine: LocalEngine, dpi: tuple[int, int]) -> None:
    lines = _some_lines()
    fax = lines.resize(
        (lines.width * dpi[0] // 200, lines.height * dpi[1] // 200), Image.Resampling.BOX
    )
    (page,) = engine.recognise(stored(encoded(fax, "PNG", dpi=dpi), PNG)).pages
    assert lines_found(page.text) == 5
    width, height = _picture(encoded(fax, "PNG", dpi=dpi)).size
    assert width / height == pytest.approx(lines.width / lines.height, rel=0.01)


@pytest.mark.parametrize("slant", [45, -35, 60])
def test_words_that_run_at_a_slant_are_read(engine: LocalEngine, slant: int) -> None:
    page = Image.new("L", (1650, 1400), 255)
    page.paste(_some_lines())
    page.paste(
        _remark().rotate(slant, Image.Resampling.BICUBIC, expand=True, fillcolor=255), (700, 800)
    )
    result = engine.recognise(stored(encoded(page, "PNG"), PNG))
    (read,) = result.pages
    assert lines_found(read.text) >= 5
    assert "Received by counsel Pemberton" in read.text
    assert "in the town of Ashby" in read.text
    assert result.notes == ()


def test_labels_of_an_axis_that_run_at_a_slant_are_read(engine: LocalEngine) -> None:
    page = Image.new("L", (1650, 1400), 255)
    page.paste(_some_lines())
    ImageDraw.Draw(page).line((200, 1000, 1500, 1000), fill=0, width=3)
    months = ("January", "February", "September", "October", "November")
    for number, month in enumerate(months):
        label = Image.new("L", (200, 44), 255)
        ImageDraw.Draw(label).text(
            (200, 5), month, font=ImageFont.load_default(30), fill=0, anchor="ra"
        )
        turned = label.rotate(45, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
        page.paste(turned, (180 + 260 * number, 1030))
    (read,) = engine.recognise(stored(encoded(page, "PNG"), PNG)).pages
    assert lines_found(read.text) >= 5
    assert [month for month in months if month not in read.text] == []


def test_a_page_of_nothing_but_slanted_words_is_read(engine: LocalEngine) -> None:
    page = Image.new("L", (1650, 1400), 255)
    page.paste(_remark().rotate(50, Image.Resampling.BICUBIC, expand=True, fillcolor=255), (500, 500))
    result = engine.recognise(stored(encoded(page, "PNG"), PNG))
    assert "Received by counsel Pemberton" in result.pages[0].text
    assert {note.kind for note in result.notes} == {"turned"}


def test_a_pale_watermark_behind_the_print_is_read_and_the_print_too(engine: LocalEngine) -> None:
    page = page_image(LINES[:8])
    mark = Image.new("L", (1100, 200), 255)
    ImageDraw.Draw(mark).text((20, 10), "CONFIDENTIAL", font=ImageFont.load_default(150), fill=210)
    turned = mark.rotate(40, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    behind = Image.new("L", page.size, 255)
    behind.paste(turned, (100, 60))
    (read,) = engine.recognise(stored(encoded(ImageChops.darker(page, behind), "PNG"), PNG)).pages
    assert "CONFIDENTIAL" in read.text
    assert lines_found(read.text) >= 7


@pytest.mark.parametrize("turn", [0, 90])
def test_light_print_beside_dark_print_is_read(engine: LocalEngine, turn: int) -> None:
    page = Image.new("L", (1650, 1400), 255)
    page.paste(_some_lines())
    page.paste(0, (0, 700, 1650, 1400))
    page.paste(_remark(dark=True).rotate(turn, expand=True), (200, 740))
    (read,) = engine.recognise(stored(encoded(page, "PNG"), PNG)).pages
    assert lines_found(read.text) >= 5
    assert read.text.endswith("Received by counsel Pemberton\nin the town of Ashby")


@pytest.mark.parametrize(("height", "slant"), [(26, 0.0), (34, 0.7), (44, 0.0)])
def test_light_print_on_low_dark_bands_is_read(engine: LocalEngine, height: int, slant: float) -> None:
    page = Image.new("L", (1650, 1100), 255)
    page.paste(_some_lines())
    draw = ImageDraw.Draw(page)
    heads = ("Delivery address", "Payment terms", "Remarks of the carrier")
    for number, head in enumerate(heads):
        top = 730 + 110 * number
        draw.rectangle((120, top, 1520, top + height - 1), fill=40)
        font = ImageFont.load_default(height * 3 // 5 + 2)
        draw.text((136, top + height / 2), head, font=font, fill=255, anchor="lm")
    turned = page.rotate(slant, Image.Resampling.BICUBIC, fillcolor=255)
    (read,) = engine.recognise(stored(encoded(turned, "PNG", dpi=(200, 200)), PNG)).pages
    assert [head for head in heads if head not in read.text] == []
    assert lines_found(read.text) >= 5


def test_a_heavy_headline_is_no_band(engine: LocalEngine) -> None:
    page = Image.new("L", (1650, 1100), 255)
    page.paste(_some_lines())
    font = ImageFont.load_default(80)
    ImageDraw.Draw(page).text((120, 760), "INVOICE", font=font, fill=0, stroke_width=4)
    (read,) = engine.recognise(stored(encoded(page, "PNG", dpi=(200, 200)), PNG)).pages
    assert "INVOICE" in read.text


def test_scan_at_600_dpi_is_read(engine: LocalEngine) -> None:
    page = page_image(LINES[:5], dpi=600).crop((0, 0, 4950, 2100))
    data = encoded(page, "PNG", dpi=(600, 600))
    assert lines_found(engine.recognise(stored(data, PNG)).pages[0].text, LINES[:5]) == 5


def test_a_page_that_states_far_too_many_dots_an_inch_is_read(engine: LocalEngine) -> None:
    image = _some_lines()
    (read,) = engine.recognise(stored(encoded(image, "PNG", dpi=(1200, 1200)), PNG)).pages
    assert lines_found(read.text) >= 5


def test_blank_image_is_no_error(engine: LocalEngine) -> None:
    result = engine.recognise(stored(encoded(Image.new("RGB", (800, 600), "white"), "PNG"), PNG))
    assert [(page.text, page.confidence) for page in result.pages] == [("", None)]


@pytest.mark.parametrize(("kind", "mime_type"), [("PNG", PNG), ("JPEG", JPEG), ("TIFF", TIFF)])
def test_what_is_left_of_an_image_is_read(engine: LocalEngine, kind: str, mime_type: str) -> None:
    data = encoded(page_image(), kind)
    result = engine.recognise(stored(data[: len(data) * 3 // 10], mime_type))
    assert 3 <= lines_found(result.pages[0].text) < len(LINES)
    (note,) = result.notes
    assert (note.kind, note.page) == ("image_unreadable", 1)


@pytest.mark.parametrize(("kind", "mime_type"), [("PNG", PNG), ("JPEG", JPEG), ("TIFF", TIFF)])
def test_image_of_which_nothing_is_left_is_corrupt(
    engine: LocalEngine, kind: str, mime_type: str
) -> None:
    data = encoded(page_image(), kind)
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(data[:80], mime_type))
    assert caught.value.code == "corrupt_document"


def test_bytes_behind_an_image_do_no_harm(engine: LocalEngine) -> None:
    data = encoded(_some_lines(), "JPEG") + bytes(100_000)
    result = engine.recognise(stored(data, JPEG))
    assert lines_found(result.pages[0].text, LINES[:5]) == 5
    assert result.notes == ()


def test_frames_before_the_damage_are_read(engine: LocalEngine) -> None:
    data = _frames(*((page_image(LINES[start : start + 4]), {}) for start in (0, 4, 8)))
    result = engine.recognise(stored(data[: len(data) * 2 // 3], TIFF))
    assert lines_found(result.pages[0].text, LINES[:4]) == 4
    assert "page_unreadable" in {note.kind for note in result.notes}


def test_other_formats_under_a_false_name_are_refused(engine: LocalEngine) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(encoded(page_image(), "ICO"), PNG))
    assert caught.value.code == "corrupt_document"


def test_bomb_is_too_large(engine: LocalEngine) -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    bomb += _chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + _chunk(b"IEND", b"")
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(bomb, PNG))
    assert caught.value.code == "image_too_large"


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
        ("WEBP", "image/webp"),
        ("AVIF", "image/avif"),
        ("JPEG2000", "image/jp2"),
        ("PPM", "image/x-portable-anymap"),
        ("PCX", "image/vnd.zbrush.pcx"),
        ("SGI", "image/x-sgi"),
    ],
)
def test_images_of_other_kinds_come_to_the_same_picture(kind: str, mime_type: str) -> None:
    page = _some_lines()
    data = encoded(page, kind)
    assert identify(io.BytesIO(data)).mime_type == mime_type
    assert _differs(data, page) < 3


def test_an_x_bitmap_is_a_picture_and_not_the_source_text_that_it_is_written_in() -> None:
    page = _some_lines().convert("1", dither=Image.Dither.NONE)
    data = encoded(page, "XBM")
    assert identify(io.BytesIO(data)) == formats.XBM
    assert _differs(data, page.convert("L")) < 3
    source = b"#define page_width 900\n#define page_height 300\nint main() { return page_width; }\n"
    assert identify(io.BytesIO(source)) == formats.TEXT


def test_of_a_photoshop_image_its_layers_together_are_the_picture() -> None:
    page = _some_lines()
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 1, page.height, page.width, 8, 1)
    data = header + bytes(12) + bytes(2) + page.tobytes()
    assert identify(io.BytesIO(data)) == formats.PSD
    assert _differs(data, page) < 3


def test_each_picture_of_a_dcx_is_a_page() -> None:
    pages = [encoded(page_image([line]).crop((0, 0, 1650, 300)), "PCX") for line in LINES[:2]]
    places = struct.pack("<IIII", 987654321, 16, 16 + len(pages[0]), 0)
    data = places + b"".join(pages)
    assert identify(io.BytesIO(data)) == formats.DCX
    document = ImageDocument(io.BytesIO(data))
    assert document.page_count == 2
    assert document.picture(2).image.size == (1650, 300)
    document.close()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_pages_of_an_animation_are_what_differs_in_it(kind: str) -> None:
    first, second = (page_image([line]).crop((0, 0, 1650, 300)) for line in LINES[:2])
    frames = [frame.convert("RGB") for frame in (first, first, second, second, first)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    document = ImageDocument(io.BytesIO(data))
    assert document.page_count == 3
    shown = [np.asarray(document.picture(number).image, dtype=float) for number in (1, 2, 3)]
    document.close()
    assert np.abs(shown[0] - shown[2]).mean() < 3 < np.abs(shown[0] - shown[1]).mean()


def test_of_a_long_animation_it_is_said_how_much_was_looked_at() -> None:
    frames = [Image.new("L", (8, 8), 250 * (number % 2)) for number in range(130)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    document = ImageDocument(io.BytesIO(data))
    assert document.page_count == 100
    (note,) = document.notes
    document.close()
    assert "130 frames" in note.sentence
    assert note.leaves_out


def test_bytes_under_each_kind_of_image_end_with_an_error_or_a_picture() -> None:
    for kind in ("GIF", "BMP", "WEBP", "AVIF", "JPEG2000", "PPM", "PCX", "SGI"):
        data = encoded(_some_lines(), kind)
        for length in (10, 40, len(data) // 2, len(data) - 3):
            with suppress(PermanentError):
                assert _picture(data[:length]).mode == "L"


def test_letters_of_another_colour_and_the_same_grey_are_read() -> None:
    grey = to_grey(ImageOps.colorize(page_image(), (230, 0, 0), (0, 118, 0)))
    assert int(np.ptp(np.asarray(grey))) > 100
