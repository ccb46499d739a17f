"""Pictures of a page, or of a place on it, at a resolution that reads well.

Belongs here: everything that decides how large and how a page is drawn. Does not belong here: what is
done with the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pypdfium2
from PIL import Image

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import MAX_PIXELS, Picture
from ingest_assets.ocr.sandbox.pdf.layer import Word
from ingest_assets.ocr.sandbox.pdf.places import Box, Frame
from ingest_assets.ocr.sandbox.pdf.view import DrawnImage, View, rendered

# 300 costs 1.3 times as much and reads no better, but on small pages, whose print is small.
_DPI, _SMALL_PAGE_DPI = 200, 300
_SMALL_PAGE_POINTS = 300

# What is finer than scans are is a sheet that was made small. Whatever size its page says it has, it is
# drawn so that lines are as high as they are in print, or, where no lines are to be seen, as a sheet of
# A4 at 200 dpi would be; but on a page of usual size at most at three times the usual resolution.
_FINE_DPI = 400
_LINE_PIXELS = 24
_SHEET_PIXELS = 2340
_MOST_TIMES = 3

# At less than this even a poster's headline is a smear; 200 inches are drawn at 30.
_MIN_DPI = 20

# Tesseract takes no longer side.
_MAX_SIDE = 32_000

# An image that has less than so much of the resolution wanted reads better enlarged smoothly than as
# PDFium draws it, and worse the more it is enlarged.
_COARSE = 0.45
_MOST_ENLARGED = 2.5

# In an image of fewer pixels a point no letter can be told from another: it is the ground of what is
# drawn on it.
_ILLEGIBLE = 0.3


def draw(
    page: pypdfium2.PdfPage,
    number: int,
    view: View,
    box: Box | None = None,
    without: Iterable[Word] = (),
) -> Picture:
    """Draw a page, or a place on it, in grey.

    Args:
        view: what the page looks like; decides the resolution, and whether it is drawn in colour first.
        box: the place; the whole page by default.
        without: words that are painted over.

    Raises:
        PermanentError: `page_too_large`.
    """
    frame = view.frame
    box = (box or frame.box).common(frame.box)
    usual = _usual_scale(frame)
    shown = [image for image in view.images if image.box.common(box).area >= 0.5 * box.area]
    line = view.line_height(box)
    wanted = max((_useful_scale(image, line, usual, frame) for image in shown), default=usual)
    scale = min(
        wanted,
        math.sqrt(MAX_PIXELS / max(box.area, 1.0)),
        _MAX_SIDE / max(box.width, box.height),
    )
    dpi = round(scale / frame.unit * 72)
    if dpi < _MIN_DPI:
        raise PermanentError(
            "page_too_large",
            f"Page {number} is {frame.width / 72:,.0f} by {frame.height / 72:,.0f} inches, too large "
            "to be drawn so that it can be read.",
        )
    notes: tuple[Note, ...] = ()
    if scale < usual:
        notes = (Note("low_resolution", f"a huge page, recognised at {dpi} dpi"),)
    coarse = [
        image.scale
        for image in shown
        if image.box.common(box).area >= 0.9 * box.area and image.scale >= _ILLEGIBLE * frame.unit
    ]
    if coarse and max(coarse) < _COARSE * scale:
        image = _drawn(page, frame, max(coarse), box, without, in_colour=view.in_colour)
        scale = min(scale, _MOST_ENLARGED * max(coarse))
        dpi = round(scale / frame.unit * 72)
        size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC)
    else:
        image = _drawn(page, frame, scale, box, without, in_colour=view.in_colour)
    return Picture(image, min(dpi, _SMALL_PAGE_DPI), notes)


def thumbnail(page: pypdfium2.PdfPage, longest_side: int) -> Image.Image:
    """Draw a page, small, in colour."""
    frame = Frame(page)
    bitmap = page.render(scale=longest_side / max(frame.width, frame.height))
    try:
        # A copy, because the bitmap's memory goes with it.
        image: Image.Image = bitmap.to_pil().convert("RGB").copy()
        return image
    finally:
        bitmap.close()


def _usual_scale(frame: Frame) -> float:
    """Return the pixels a point at which a page of such a size reads well."""
    small = max(frame.width, frame.height) * frame.unit <= _SMALL_PAGE_POINTS
    return float((_SMALL_PAGE_DPI if small else _DPI) / 72 * frame.unit)


def _useful_scale(image: DrawnImage, line: float | None, usual: float, frame: Frame) -> float:
    """Return the pixels a point at which an image shows what is in it."""
    if image.scale <= _FINE_DPI / 72 * frame.unit:
        return usual
    most = max(_MOST_TIMES * usual, _SHEET_PIXELS / max(frame.width, frame.height))
    sheet = _SHEET_PIXELS / max(image.box.width, image.box.height, 0.01)
    useful = min(sheet, _LINE_PIXELS / line) if line else sheet
    return float(max(usual, min(image.scale, useful, most)))


def _drawn(
    page: pypdfium2.PdfPage,
    frame: Frame,
    scale: float,
    box: Box,
    without: Iterable[Word],
    *,
    in_colour: bool,
) -> Image.Image:
    crop = (box.left, frame.height - box.bottom, frame.width - box.right, box.top)
    image = rendered(page, scale, crop=crop, in_colour=in_colour)
    for word in without:
        place = word.box.common(box)
        if place.area:
            sides = [
                (place.left - box.left) * scale - 1,
                (place.top - box.top) * scale - 1,
                (place.right - box.left) * scale + 1,
                (place.bottom - box.top) * scale + 1,
            ]
            _paint_over(image, [round(side) for side in sides])
    return image


def _paint_over(image: Image.Image, sides: list[int]) -> None:
    """Paint a rectangle in the colour that is usual along its edge."""
    left, top = max(0, sides[0]), max(0, sides[1])
    right, bottom = min(image.width, sides[2]), min(image.height, sides[3])
    if left >= right or top >= bottom:
        return
    pixels = np.asarray(image.crop((left, top, right, bottom)))
    edge = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    image.paste(int(np.median(edge)), (left, top, right, bottom))
