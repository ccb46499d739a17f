"""A picture of a page made ready for recognition: its noise, blur, light, surroundings and skew.

Belongs here: what is judged and changed by the greys of pixels alone. Does not belong here:
recognising, and what is decided by how well a page was read (`tesseract`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from ingest_assets.ocr.sandbox.squares import extremes, spreads

# Pixels of paper around lines that are read alone.
MARGIN = 20

# The grey of bare paper, in squares of so many pixels, varies by at most 3 of 255 in a photograph, and
# by 20 and more in what looks like noise to a person.
_NOISY, _QUIET_SIDE = 12.0, 16

# A picture of fewer such squares from side to side may be letters all over, and none of them bare.
_FEWEST_SQUARES = 4

# Noise leaves no place bare, not even squares of so many pixels; of those between close letters so many
# per cent are.
_BARE_SIDE, _BARE_PLACES = 5, 5

# Radii in pixels of which noise is smoothed with the smallest that leaves less than so much of it.
_SMOOTHING, _QUIET = (1.5, 2.0, 2.5, 3.0, 4.0), 10.0

# The contrast of noise is at most 8.3 times its grain, smoothed or not; that of a page with one word on
# it is 9.5 times as large.
_ONLY_NOISE = 9.0

# The greys of neighbouring pixels correlate less than so in noise, and more in letters, however close.
_UNEVEN = 0.3

# The strongest noise has a contrast of 69, smoothed; photographs have more.
_MOST_NOISE = 80

# Shares of a picture's contrast: edges of letters that a person calls blurred are at most so steep,
# those of photographed receipts are steeper; and bare paper varies by less.
_BLURRED, _BARE = 0.3, 0.03

# Greys are counted in so many rows of a page or more, for all rows say the same.
_ENOUGH_ROWS = 500

# Slants are searched for within so many degrees, and where lines are not seen there, within more;
# turning a page by less blurs more than it helps.
_MAX_SKEW_DEGREES = 8.0
MAX_WIDE_SKEW_DEGREES = 30.0
MIN_SKEW_DEGREES = 0.2

# Lines of text stand apart so many times as sharply at their slant as they do on average.
_CLEAR_LINES = 2.0

# Share of a picture that may be the dark table around a page: less does no harm, more is a page
# printed white on black.
_MIN_SURROUND, _MAX_SURROUND = 0.02, 0.6

# In even light the darkest paper of a page is at least so light, as a share of its usual grey.
_EVEN_LIGHT = 0.7

# What is darker, of 255, is no paper.
_DARKEST_PAPER = 16

# So wide, in pixels of a page at a quarter of its size, is a place that letters do not fill.
_LETTERS = 9

# Within so many pixels of a page, 500 of them wide, the paper has one grey.
_PAPER_RADIUS = 20

# So wide, in pixels at half a page's size, are strokes of print with their edges.
_STROKES = 7

# What differs from its paper by so much, of 255, is ink, however grainy the page.
_SURELY_INK = 96.0

# Pixels of a page, 500 of them wide, that have to differ from its paper: a letter has more, dust less.
_FEWEST_INKED = 12


def ways_to_read(image: Image.Image) -> tuple[Image.Image, ...]:
    """Return a picture without noise and blur and with a margin, in the ways in which it may read best.

    Noise has to go before anything else: Tesseract takes a minute to look for words in it. Where there
    is nothing else, there is no way.
    """
    if min(image.size) < _FEWEST_SQUARES * _QUIET_SIDE:
        # A word that was cut out: Tesseract misreads letters that touch the edge.
        return (ImageOps.expand(image, MARGIN, int(np.median(np.asarray(image)))),)
    values = np.asarray(image)
    grain = _grain(values)
    if grain >= _NOISY:
        # Where there are bare places, it may be specks or close letters.
        as_it_is = (image,) if _grain(values, _BARE_SIDE, _BARE_PLACES) < _QUIET else ()
        without_specks = image.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.GaussianBlur(1))
        for radius in _SMOOTHING:
            smooth = image.filter(ImageFilter.GaussianBlur(radius))
            if _grain(np.asarray(smooth)) < _QUIET:
                break
        specked = (without_specks,) if _grain(np.asarray(without_specks)) < _QUIET else ()
        smoothed = (*specked, smooth)
        if not as_it_is and _is_uneven(values) and all(map(_is_noise, map(np.asarray, smoothed))):
            return ()
        return (*smoothed, *as_it_is)
    contrast = _contrast(values)
    # A photograph has soft edges, too, but no bare paper: sharpened it would become noise.
    if _steepest_step(values) < _BLURRED * contrast and grain < _BARE * contrast:
        return (image.filter(ImageFilter.UnsharpMask(radius=5, percent=200, threshold=0)),)
    return (image,)


def _is_uneven(values: npt.NDArray[np.uint8]) -> bool:
    """Tell whether each pixel differs from the next, as in noise; in strokes they do not."""
    rows = _some_rows(values).astype(np.float32)
    one, other = rows[:, 1:].ravel(), rows[:, :-1].ravel()
    return bool(one.std() and other.std() and np.corrcoef(one, other)[0, 1] < _UNEVEN)


def _is_noise(smoothed: npt.NDArray[np.uint8]) -> bool:
    """Tell whether a picture shows nothing but noise, after it was smoothed."""
    contrast = _contrast(smoothed)
    return contrast < _MOST_NOISE and contrast < _ONLY_NOISE * _grain(smoothed)


def _grain(values: npt.NDArray[np.uint8], side: int = _QUIET_SIDE, per_cent: int = 20) -> float:
    """Return how much the grey of a picture varies, of 255, where it is quiet: on bare paper.

    Args:
        values: the greys of all of it.
        side: that of the squares that are looked at, in pixels.
        per_cent: how many of the squares vary less.
    """
    return float(np.percentile(spreads(values, side), per_cent))


def _contrast(values: npt.NDArray[np.uint8]) -> int:
    """Return how far apart the darkest and the lightest grey of a picture are, specks aside."""
    darkest, lightest = _greys_at(_some_rows(values), 0.1, 99.9)
    return lightest - darkest


def _steepest_step(values: npt.NDArray[np.uint8]) -> int:
    """Return by how much grey changes between two pixels where it does most, specks aside.

    Letters go from ink to paper within one or two pixels, blurred ones within many.
    """
    rows, below = _some_rows(values), _some_rows(values, first=1)
    neighbours = ((rows[:, 1:], rows[:, :-1]), (rows[: len(below)], below))
    steps = (np.maximum(one, other) - np.minimum(one, other) for one, other in neighbours)
    return max(_greys_at(step, 99.95)[0] for step in steps)


def _some_rows(values: npt.NDArray[np.uint8], first: int = 0) -> npt.NDArray[np.uint8]:
    """Return every so manieth row of a picture from a first one on, enough to count its greys by."""
    return values[first :: max(1, len(values) // _ENOUGH_ROWS)]


def _counts(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Return how often each grey occurs."""
    # numpy would make eight bytes of each first.
    return np.asarray(Image.fromarray(values).histogram(), dtype=np.intp)


def _greys_at(values: npt.NDArray[np.uint8], *per_cents: float) -> list[int]:
    """Return the greys that so many per cent of some pixels are at most as light as."""
    counts = np.cumsum(_counts(values))
    return [int(np.searchsorted(counts, per_cent / 100 * counts[-1])) for per_cent in per_cents]


def skew_degrees(image: Image.Image) -> float:
    """Return by how many degrees, counter-clockwise, the lines of a grey image are turned.

    Projects the dark pixels on the left edge along slanted lines: where the slant is that of the
    text, lines and the gaps between them stand apart most sharply. Finds up to ±30° to within 0.1°.
    0.0 where no slant is better than none.
    """
    return slant(image)[0]


def slant(image: Image.Image) -> tuple[float, float]:
    """Return the skew as `skew_degrees` does, and how sharply lines and gaps stand apart at it."""
    small = np.asarray(image.reduce(max(1, max(image.size) // 1000)))
    dark = small <= otsu_threshold(small)
    if dark.mean() > 0.5:
        dark = ~dark
    ys, xs = np.nonzero(dark)
    if len(ys) < 50:
        return 0.0, 0.0
    step = len(ys) // 100_000 + 1  # A photograph has many dark pixels; these are enough.
    ys, xs = ys[::step], xs[::step] - small.shape[1] / 2
    margin = math.ceil(small.shape[1] * math.tan(math.radians(MAX_WIDE_SKEW_DEGREES + 1)))

    def sharpness(degrees: float) -> float:
        rows = (ys + xs * math.tan(math.radians(degrees))).astype(np.int64) + margin
        profile = np.bincount(rows, minlength=small.shape[0] + 2 * margin)
        return float(np.square(np.diff(profile).astype(np.float64)).sum())

    def steepest(limit: float) -> tuple[float, float]:
        slants = np.arange(-limit, limit + 0.1, 0.5)
        sharp = [sharpness(slant) for slant in slants]
        return float(slants[np.argmax(sharp)]), max(sharp) / float(np.median(sharp))

    limit = _MAX_SKEW_DEGREES
    coarse, clear = steepest(limit)
    if clear < _CLEAR_LINES or abs(coarse) >= limit:
        limit = MAX_WIDE_SKEW_DEGREES
        wide, clear = steepest(limit)
        coarse = wide if clear >= _CLEAR_LINES else coarse
    fine = max(np.arange(coarse - 0.5, coarse + 0.51, 0.1), key=sharpness)
    # Specks make some slant win by a hair, and in drawings the steepest may win.
    if sharpness(fine) < 1.05 * sharpness(0.0) or abs(fine) > limit - 0.5:
        fine = 0.0
    return float(round(fine, 1)), sharpness(fine)


def behind_print(image: Image.Image, dark: int, pale: int) -> Image.Image:
    """Return what is printed on a page in greys between two, in black, at half its size.

    Strokes of darker print are taken out with their edges, and what they interrupt is closed.
    """
    values = np.asarray(image)[: image.height // 2 * 2, : image.width // 2 * 2]
    darkest = np.minimum(
        np.minimum(values[::2, ::2], values[1::2, ::2]),
        np.minimum(values[::2, 1::2], values[1::2, 1::2]),
    )
    strokes = extremes((darkest <= dark).view(np.uint8), 3, np.maximum)
    is_pale = ((darkest <= pale) & (strokes == 0)).view(np.uint8)
    closed = extremes(extremes(is_pale, _STROKES, np.maximum), _STROKES, np.minimum)
    return Image.fromarray(255 - 255 * closed)


def has_ink(image: Image.Image) -> bool:
    """Tell whether a page shows more than its paper, with the specks and the grain of a scan."""
    small = image.reduce(max(1, min(image.size) // 500))
    values = np.asarray(small, dtype=np.float32)
    # In uneven light the paper has another grey in each place.
    paper = np.asarray(small.filter(ImageFilter.BoxBlur(_PAPER_RADIUS)), dtype=np.float32)
    grain = 1.5 * float(np.median(np.abs(values - paper)))
    off = np.abs(values - paper) > min(max(12.0, 6 * grain), _SURELY_INK)
    return int(np.count_nonzero(off)) >= _FEWEST_INKED


def straighten(image: Image.Image, skew: float) -> Image.Image:
    """Return a page turned by its skew in degrees, on white; as it is where that is next to nothing."""
    if abs(skew) < MIN_SKEW_DEGREES:
        return image
    return image.rotate(-skew, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def without_surround(image: Image.Image) -> Image.Image | None:
    """Return a page with the dark table around it painted as paper; None where there is none."""
    small = np.asarray(image.reduce(max(1, max(image.size) // 400)))
    dark = small <= otsu_threshold(small)
    surround = np.zeros_like(dark)
    for turn in range(4):  # What is dark from an edge on.
        surround |= np.rot90(np.minimum.accumulate(np.rot90(dark, turn), axis=0), -turn)
    if not _MIN_SURROUND <= surround.mean() <= _MAX_SURROUND:
        return None
    mask = Image.fromarray(surround).convert("L").filter(ImageFilter.MaxFilter(5))
    paper = image.copy()
    paper.paste(int(np.median(small[~surround])), mask=mask.resize(image.size))
    return paper


def in_even_light(image: Image.Image) -> Image.Image:
    """Return a page as if its paper were equally light all over."""
    paper = _paper(image).filter(ImageFilter.GaussianBlur(2))
    ground = np.asarray(paper.resize(image.size, Image.Resampling.BICUBIC))
    evened = np.asarray(image) * np.uint16(255)
    evened //= np.maximum(ground, _DARKEST_PAPER)
    return Image.fromarray(np.minimum(evened, 255).astype(np.uint8))


def is_in_even_light(image: Image.Image) -> bool:
    """Tell whether no part of a page lies in shadow."""
    darkest, usual = np.percentile(np.asarray(_paper(image)), (5, 50))
    return bool(darkest > _EVEN_LIGHT * usual)


def _paper(image: Image.Image) -> Image.Image:
    """Return how light the paper of a page is in each place, small."""
    # The lightest of each neighbourhood is paper, wherever letters are smaller than that.
    lightest = Image.fromarray(extremes(np.asarray(image.reduce(4)), _LETTERS, np.maximum))
    side = max(8, min(image.size) // 40)
    size = max(1, image.width // side), max(1, image.height // side)
    return lightest.resize(size, Image.Resampling.BOX)


def otsu_threshold(values: npt.NDArray[np.uint8]) -> int:
    """Return the grey value that parts dark from light best (Otsu's method)."""
    counts = _counts(_some_rows(values)).astype(np.float64)
    below = np.cumsum(counts)
    sums = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / below[-1] - sums) ** 2 / (below * above)
    return int(np.nanargmax(np.where(np.isfinite(between), between, -1.0)))
