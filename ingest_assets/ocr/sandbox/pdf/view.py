"""What is to be seen on a page, and which of it no word accounts for.

The page is drawn, one pixel a point, and searched for edges: letters have them on any colour of paper,
and even areas, white or not, have none. A word in whose place nothing stands out is not seen. Edges
beside all words, other than straight lines, are something that was not read.

Belongs here: pixels and words of one page, and where its images are. Does not belong here: what is
made of what was found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import check_decoded_size
from ingest_assets.ocr.sandbox.pdf import registration
from ingest_assets.ocr.sandbox.pdf.layer import Word
from ingest_assets.ocr.sandbox.pdf.overlaps import Drawer
from ingest_assets.ocr.sandbox.pdf.places import Box, Frame, around
from ingest_assets.ocr.sandbox.squares import groups

# Sides of the drawing in pixels: a page of usual size has one a point.
_MOST_PIXELS, _FEWEST_PIXELS = 1200, 600

# Grey values by which neighbours differ at an edge.
_EDGE = 20

# What stands out less is faint print, if nothing else is seen in the place of an image: at most this
# share of its pixels.
_FAINT_EDGE, _HARDLY_ANY = 8, 0.001

# So near to its sides, in points, the edges of an image are its own.
_SIDES = 2

# A straight line is at least so long, in pixels; letters are not.
_RULE = 40

# Places are found in squares of so many pixels, and joined where so many squares lie between them.
_SQUARE, _GAP = 4, 3

# Edges in a square that make it inked.
_FEW_EDGES = 3

# Share of edges in a row of pixels that has letters.
_FEW_EDGES_IN_ROW = 0.004

# Smaller places, in pixels, are dots, ticks and ends of lines.
_MIN_WIDTH, _MIN_HEIGHT = 6, 4

# More places than this are read as one.
_MOST_PLACES = 12

# Objects that are looked at for images; PDFium needs about a second for so many.
_MOST_OBJECTS = 50_000
_MAX_DEPTH = 12

# What is looked for among them, and the ways to show text that draw nothing.
_LOOKED_AT = (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_TEXT)
_NOT_DRAWN = (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)

_Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: _Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class DrawnImage:
    """An image, where it is drawn.

    Attributes:
        width, height: of the image, or of its mask where that is finer, in pixels.
        decodes: whether PDFium can show it.
    """

    box: Box
    width: int
    height: int
    decodes: bool

    @property
    def scale(self) -> float:
        """Pixels a point."""
        return max(self.width / max(self.box.width, 0.01), self.height / max(self.box.height, 0.01))


class View:
    """A page as it looks, small.

    Args:
        masked: for the size of an image that of its mask, which PDFium does not say.
        in_colour: whether it is drawn in colour, as in `rendered`.
    """

    def __init__(
        self,
        page: pypdfium2.PdfPage,
        frame: Frame,
        masked: Mapping[tuple[int, int], tuple[int, int]] | None = None,
        *,
        in_colour: bool = False,
    ) -> None:
        longest = max(frame.width, frame.height)
        self._scale = min(max(1.0, _FEWEST_PIXELS / longest), _MOST_PIXELS / longest)
        pixels = np.asarray(rendered(page, self._scale, in_colour=in_colour))
        self._drawn: npt.NDArray[np.uint8] = pixels
        self._edges: npt.NDArray[np.bool_] = _edges_of(pixels, _EDGE)
        self.frame, self.in_colour = frame, in_colour
        self._masked = masked or {}
        self.images = tuple(self._images(page))
        for image in self.images:
            self._look_closer(image.box, pixels)

    def unseen(self, words: Sequence[Word], bare: View | None = None) -> list[Word]:
        """Return the words in whose places nothing stands out from the paper.

        Off images, which have grain, a word that is hardly darker than the paper does stand out.

        Args:
            bare: the page without its text: where it looks the same, and shows no more than straight
                lines, a word is not seen either, but covered.
        """
        if not words:
            return []
        boxes = np.array([word.box for word in words])
        # Not all of it: what covers a word has edges of its own.
        across, down = 0.1 * np.ptp(boxes[:, ::2], axis=1), 0.15 * np.ptp(boxes[:, 1::2], axis=1)
        boxes += np.stack((across, down, -across, -down), axis=1)
        unseen = []
        for word, place in zip(words, self._pixels(boxes).tolist(), strict=True):
            if not self._has_edges(*place):
                is_unseen = self.is_over_image(word) or not self._is_faint(*place)
            else:
                is_unseen = bare is not None and bare._is_same_without(self, *place)
            if is_unseen:
                unseen.append(word)
        return unseen

    def without_text(self, page: pypdfium2.PdfPage) -> View | None:
        """Return what the page looks like without the text that is drawn on it, which is then hidden.

        Returns:
            None where no text is drawn, so that nothing can be beneath it.
        """
        if not hide_text(page):
            return None
        return View(page, self.frame, self._masked, in_colour=self.in_colour)

    def same_without(self, page: pypdfium2.PdfPage, group: Sequence[Drawer]) -> list[Word]:
        """Return the words of a group in whose places the page looks the same without them.

        What draws only such words is hidden from then on: of two that look the same one is seen.
        """
        for drawer in group:
            pdfium.FPDFPageObj_SetIsActive(drawer.item, 0)
        pixels = np.asarray(rendered(page, self._scale, in_colour=self.in_colour))
        same = []
        for drawer in group:
            unseen = [word for word in drawer.words if self._is_same_in(pixels, word)]
            same += unseen
            pdfium.FPDFPageObj_SetIsActive(drawer.item, len(unseen) < len(drawer.words))
        return same

    def _is_same_in(self, pixels: npt.NDArray[np.uint8], word: Word) -> bool:
        left, top, right, bottom = self._pixels(np.array([word.box]))[0].tolist()
        place = np.s_[top:bottom, left:right]
        return bool(_difference(pixels[place], self._drawn[place]).max(initial=0) < _FAINT_EDGE)

    def shows(self, word: Word) -> bool:
        """Tell whether something stands out in the place of a word, the word itself or other."""
        return not self.unseen([word])

    def differs(self, other: View, word: Word) -> bool:
        """Tell whether two views of one page differ in the place of a word."""
        left, top, right, bottom = self._pixels(np.array([word.box]))[0].tolist()
        ours, theirs = self._edges[top:bottom, left:right], other._edges[top:bottom, left:right]
        return not np.array_equal(ours, theirs)

    def is_over_image(self, word: Word) -> bool:
        """Tell whether a word stands on an image, which may show it."""
        return any(image.box.holds(word.box.middle) for image in self.images)

    def unread(self, words: Sequence[Word]) -> list[Box]:
        """Return the places, from top to bottom, where there is something that no word accounts for."""
        edges = self._edges.copy()
        if words:
            covered = np.array([word.box for word in words])
            # Accents, serifs and a line below it are the word's own.
            margin = (1.5 / self._scale + 0.1 * np.ptp(covered[:, 1::2], axis=1))[:, np.newaxis]
            covered += np.concatenate((-margin, -margin, margin, margin), axis=1)
            for left, top, right, bottom in self._pixels(covered).tolist():
                edges[top:bottom, left:right] = False
        edges &= ~_rules(edges)
        boxes = [
            Box(*(side / self._scale for side in (left, top, right, bottom)))
            for left, top, right, bottom in _places(edges)
            if right - left >= _MIN_WIDTH and bottom - top >= _MIN_HEIGHT
        ]
        if len(boxes) > _MOST_PLACES:
            boxes = [around(boxes)]
        return sorted(_joined(boxes), key=lambda box: box.top)

    def registered(
        self, lines: Sequence[Sequence[Box]], first: int, last: int
    ) -> list[tuple[float, float]]:
        """Return how far to the right and down lines have to be moved to lie on what they mean.

        Args:
            lines: the words of each, from top to bottom.
            first, last: the lines from the first of these to before the last are looked for together.
        """
        places = [self._pixels(np.array(words)) for words in lines]
        shifts = registration.shifts(self._shapes, places, first, last)
        return [(across / self._scale, down / self._scale) for across, down in shifts]

    def line_height(self, box: Box) -> float | None:
        """Return the usual height of the lines in a place, in points; None where no lines stand out."""
        left, top, right, bottom = self._pixels(np.array([box]))[0].tolist()
        edges = self._edges[top:bottom, left:right]
        inked = np.concatenate(([False], edges.mean(axis=1) >= _FEW_EDGES_IN_ROW, [False]))
        heights = np.flatnonzero(inked[:-1] & ~inked[1:]) - np.flatnonzero(~inked[:-1] & inked[1:])
        heights = heights[heights > 2]  # The rest is rules and specks.
        if heights.size < 3:
            return None
        height: float = np.median(heights) / self._scale
        return height

    def is_under_even_image(self, word: Word) -> bool:
        """Tell whether a word lies where images show nothing at all; a scan shows something."""
        images = [image for image in self.images if image.box.holds(word.box.middle)]
        return bool(images) and all(
            image.decodes and self.is_blank(image.box.grown(-_SIDES)) for image in images
        )

    def is_blank(self, box: Box) -> bool:
        """Tell whether nothing is to be seen in a place."""
        return not self._has_edges(*self._pixels(np.array([box]))[0].tolist())

    def _pixels(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
        """Return the rows of pixels, left, top, right, bottom, that boxes cover."""
        height, width = self._edges.shape
        scaled = boxes * self._scale
        scaled[:, 2:] += 1
        pixels: npt.NDArray[np.intp] = np.clip(scaled, 0, np.array([width, height] * 2)).astype(np.intp)
        return pixels

    def _look_closer(self, box: Box, pixels: npt.NDArray[np.uint8]) -> None:
        """Take what is faint for edges in a place where hardly anything stands out."""
        left, top, right, bottom = self._pixels(np.array([box]))[0].tolist()
        place = np.s_[top:bottom, left:right]
        if self._edges[place].size and self._edges[place].mean() <= _HARDLY_ANY:
            self._edges[place] |= _edges_of(pixels[place], _FAINT_EDGE)

    def _has_edges(self, left: int, top: int, right: int, bottom: int) -> bool:
        return bool(self._edges[top:bottom, left:right].any())

    def _is_same_without(self, full: View, left: int, top: int, right: int, bottom: int) -> bool:
        """Tell whether a place looks the same with the text, and shows straight lines at most."""
        place = np.s_[top:bottom, left:right]
        differences = _difference(self._drawn[place], full._drawn[place])
        return bool(differences.max(initial=0) < _FAINT_EDGE and not self._shapes[place].any())

    @cached_property
    def _shapes(self) -> npt.NDArray[np.bool_]:
        """Where edges are that belong to no straight line."""
        return self._edges & ~_rules(self._edges)

    def _is_faint(self, left: int, top: int, right: int, bottom: int) -> bool:
        return bool(_edges_of(self._drawn[top:bottom, left:right], _FAINT_EDGE).any())

    def _images(self, page: pypdfium2.PdfPage) -> Iterator[DrawnImage]:
        """Yield the images of a page, at every depth."""
        for item, kind, matrix in _objects(page):
            if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
                yield self._image(item, _times(_matrix(item), matrix))

    def _image(self, item: object, matrix: _Matrix) -> DrawnImage:
        # An image fills the unit square of its matrix.
        a, b, c, d, e, f = matrix
        xs, ys = (e, e + a, e + c, e + a + c), (f, f + b, f + d, f + b + d)
        box = self.frame.place(min(xs), min(ys), max(xs), max(ys)).common(self.frame.box)
        width, height = ctypes.c_uint(), ctypes.c_uint()
        pdfium.FPDFImageObj_GetImagePixelSize(item, width, height)
        decodes = not self.is_blank(box) or _decodes(item, width.value, height.value)
        size = width.value, height.value
        masked = self._masked.get(size, size)
        return DrawnImage(box, max(size[0], masked[0]), max(size[1], masked[1]), decodes)


def rendered(
    page: pypdfium2.PdfPage,
    scale: float,
    *,
    crop: tuple[float, float, float, float] = (0, 0, 0, 0),
    in_colour: bool = False,
) -> Image.Image:
    """Draw a page in grey.

    Args:
        scale: pixels a point.
        crop: points that are left out on the left, below, on the right and above.
        in_colour: whether PDFium draws it in colour first. Pages that show images of many greys or
            colours, and nothing else, it draws so in half the time; all else, images of two colours
            too, it draws faster in grey (`bench/ocr_speed.py`), but there what is half transparent is
            so twice.
    """
    bitmap = page.render(scale=scale, crop=crop, grayscale=not in_colour)
    try:
        image: Image.Image = bitmap.to_pil()
        # A copy, because the bitmap's memory goes with it.
        return image.convert("L") if in_colour else image.copy()
    finally:
        bitmap.close()


def hide_text(page: pypdfium2.PdfPage) -> bool:
    """Have PDFium draw a page without its text from now on; returns whether it drew any."""
    was_drawn = False
    for item, kind, _ in _objects(page):
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            mode = pdfium.FPDFTextObj_GetTextRenderMode(item)
            was_drawn |= mode not in _NOT_DRAWN
            pdfium.FPDFPageObj_SetIsActive(item, 0)
    return was_drawn


def _objects(page: pypdfium2.PdfPage) -> Iterator[tuple[object, int, _Matrix]]:
    """Yield what is drawn on a page, at every depth: the object, its kind, and what it is drawn in."""
    stack = [
        (pdfium.FPDFPage_GetObject(page, index), _IDENTITY, 0)
        for index in range(min(pdfium.FPDFPage_CountObjects(page), _MOST_OBJECTS))
    ]
    seen = len(stack)
    while stack:
        item, outer, depth = stack.pop()
        kind = pdfium.FPDFPageObj_GetType(item)
        if kind in _LOOKED_AT:
            yield item, kind, outer
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
            count = min(pdfium.FPDFFormObj_CountObjects(item), _MOST_OBJECTS - seen)
            seen += count
            inner = _times(_matrix(item), outer)
            stack += [(pdfium.FPDFFormObj_GetObject(item, at), inner, depth + 1) for at in range(count)]


def _edges_of(pixels: npt.NDArray[np.uint8], least: int) -> npt.NDArray[np.bool_]:
    """Return where a pixel differs from the next one, to the right or below, by so much."""
    edges = np.zeros(pixels.shape, dtype=np.bool_)
    edges[:, 1:] = _difference(pixels[:, :-1], pixels[:, 1:]) >= least
    edges[1:] |= _difference(pixels[:-1], pixels[1:]) >= least
    return edges


def _difference(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.maximum(one, other) - np.minimum(one, other)


def _rules(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where edges belong to long straight lines: frames, underlining, the sides of areas."""
    rules = np.zeros_like(edges)
    (rows,) = np.nonzero(np.count_nonzero(edges, axis=1) >= _RULE)
    rules[rows] = _runs(edges[rows])
    (columns,) = np.nonzero(np.count_nonzero(edges, axis=0) >= _RULE)
    rules[:, columns] |= _runs(edges[:, columns].T).T
    return rules


def _runs(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the edges in unbroken rows of `_RULE` or more."""
    height, width = edges.shape
    if not height or width < _RULE:
        return np.zeros_like(edges)
    sums = np.zeros((height, width + 1), dtype=np.int32)
    np.cumsum(edges, axis=1, out=sums[:, 1:])
    full = sums[:, _RULE:] - sums[:, :-_RULE] == _RULE
    # Each window that is full marks all its pixels.
    marks = np.zeros((height, width + 1), dtype=np.int32)
    marks[:, : width - _RULE + 1] += full
    marks[:, _RULE:] -= full
    return np.cumsum(marks, axis=1)[:, :width] > 0


def _places(edges: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes of groups of edges, in pixels."""
    height, width = (-(-length // _SQUARE) for length in edges.shape)
    padded = np.zeros((height * _SQUARE, width * _SQUARE), dtype=np.bool_)
    padded[: edges.shape[0], : edges.shape[1]] = edges
    rows_of_squares = padded.reshape(height, _SQUARE, -1).sum(axis=1, dtype=np.uint8)
    squares = rows_of_squares.reshape(height, width, _SQUARE).sum(axis=2) >= _FEW_EDGES
    for group in groups(squares, _GAP):
        left, top, right, bottom = group.box(_SQUARE)
        rows_inked = np.flatnonzero(edges[top:bottom, left:right].any(axis=1))
        columns_inked = np.flatnonzero(edges[top:bottom, left:right].any(axis=0))
        yield (
            left + int(columns_inked[0]),
            top + int(rows_inked[0]),
            left + int(columns_inked[-1]) + 1,
            top + int(rows_inked[-1]) + 1,
        )


def _joined(boxes: list[Box]) -> list[Box]:
    """Return boxes that overlap as one."""
    joined: list[Box] = []
    for box in boxes:
        merged = box
        while overlapping := [other for other in joined if merged.common(other).area]:
            joined = [other for other in joined if other not in overlapping]
            merged = around([merged, *overlapping])
        joined.append(merged)
    return joined


def _matrix(item: object) -> _Matrix:
    found = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(item, found)
    return found.a, found.b, found.c, found.d, found.e, found.f


def _times(inner: _Matrix, outer: _Matrix) -> _Matrix:
    """Return what maps as `inner` does and then as `outer` does."""
    a, b, c, d, e, f = inner
    g, h, i, j, k, m = outer
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + m,
    )


def _decodes(item: object, width: int, height: int) -> bool:
    """Tell whether PDFium can unpack an image that it drew nothing of."""
    try:
        check_decoded_size(width, height)
    except PermanentError:
        return False
    bitmap = pdfium.FPDFImageObj_GetBitmap(item)
    if bitmap:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return bool(bitmap)
