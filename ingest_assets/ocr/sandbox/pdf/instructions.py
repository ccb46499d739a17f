"""What a page's instructions draw, found without carrying them out.

A page is a program: `BT … Tj ET` shows text, `Do` an image or another such program, `re f` fills a
rectangle. Most pages of text do little else than show dark text, and to see that takes a fraction of
the time that drawing them takes. So the operators are picked out of the bytes, and whatever else than
plain dark text they might show is a doubt that a look at the page has to settle. Bytes of a text that
look like an operator cost that look; nothing else depends on them.

Belongs here: the doubts about a page, and what has to be known to settle them. Does not belong here:
telling operators apart (`operators`), what the resources are that they name (`resources`), what
annotations add to a page (`annotations`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import pikepdf

from ingest_assets.ocr.sandbox.pdf.entries import ACTUAL_TEXT
from ingest_assets.ocr.sandbox.pdf.fonts import Nameless
from ingest_assets.ocr.sandbox.pdf.images import lacks_colours, may_hold_letters
from ingest_assets.ocr.sandbox.pdf.operators import (
    CURVE,
    INLINE,
    LINE,
    PAINT,
    SHADE,
    SHOW,
    STATE,
    Drawn,
    Operators,
    is_smaller,
)
from ingest_assets.ocr.sandbox.pdf.optional_content import Layers
from ingest_assets.ocr.sandbox.pdf.resources import FontLook, Resources, says_letters
from ingest_assets.ocr.sandbox.pdf.streams import UnreadableError, page_content, read_stream

# Forms within forms, deeper than any program nests them; PDFium draws some more.
_MAX_DEPTH = 25

# So many curves may be the outlines of letters; a rounded box has eight. Straight lines make letters
# too, and tables.
_MANY_CURVES, _MANY_LINES = 30, 300

# Lower ones, stacked, do.
_MANY_IMAGES = 12

_REPLACEMENT = re.compile(
    ACTUAL_TEXT.encode() + rb"\s*(\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f\s]*>)", re.DOTALL
)


@dataclass
class Survey:
    """What the instructions of a page, or of a form on it, amount to.

    Attributes:
        is_plain: whether they draw nothing that could be read beside text in plain sight.
        may_be_hidden: whether some of the text may be drawn unseen, cut off by a frame, or covered.
        paints: whether they paint areas.
        shows: how often they show text.
        resources: what they have to draw with; None if that is not known.
        damaged: what of them cannot be read, in words for a person.
        is_empty: whether there are none at all.
        replaces: whether they give letters that are to be read in place of those that they draw.
        images: what they draw that may hold letters.
        fonts: the numbers of the objects that its fonts are.
        disputed: the letters and figures that one of them may give for others.
        nameless: the codes that they may show, and give no letter for, font by font.
        has_false_spaces: whether one of them may take letters for spaces.
        lacks_colours: whether a JPEG on it does not say which colours it has.
        has_columns: whether one of them writes from top to bottom and is not in the file.
    """

    is_plain: bool = True
    may_be_hidden: bool = False
    paints: bool = False
    shows: int = 0
    resources: list[Resources] | None = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    is_empty: bool = False
    replaces: bool = False
    images: list[pikepdf.Object] = field(default_factory=list)
    fonts: set[tuple[int, int]] = field(default_factory=set)
    disputed: set[str] = field(default_factory=set)
    nameless: list[Nameless] = field(default_factory=list)
    has_false_spaces: bool = False
    lacks_colours: bool = False
    has_columns: bool = False

    def add(self, form: Survey) -> None:
        """Count in what a form on the page amounts to."""
        self.is_plain &= form.is_plain
        self.may_be_hidden |= form.may_be_hidden
        self.paints |= form.paints
        self.shows += form.shows
        if self.resources is not None:
            self.resources += form.resources or ()
        self.damaged += form.damaged
        self.replaces |= form.replaces
        self.images += form.images
        self.fonts |= form.fonts
        self.disputed |= form.disputed
        self.nameless += form.nameless
        self.has_false_spaces |= form.has_false_spaces
        self.lacks_colours |= form.lacks_colours
        self.has_columns |= form.has_columns

    def add_fonts(self, fonts: Iterable[FontLook]) -> None:
        """Count in the fonts that text may be shown in."""
        for font in fonts:
            self.fonts.add(font.number)
            self.disputed |= font.doubts.disputed
            self.has_false_spaces |= font.doubts.has_false_spaces
            self.has_columns |= font.has_columns
            self.may_be_hidden |= font.doubts.is_blank
            if font.doubts.nameless is not None:
                self.nameless.append(font.doubts.nameless)

    @property
    def is_half_transparent(self) -> bool:
        """Whether anything may be drawn so that what is beneath shows through."""
        return self.resources is None or any(each.are_half_transparent for each in self.resources)

    @property
    def fonts_are_there(self) -> bool:
        """Whether each font is in the file, so that no letters go undrawn for want of it."""
        return self.resources is not None and all(each.fonts_are_embedded for each in self.resources)


class Instructions:
    """The instructions of all pages of one file. What pages share is looked at once.

    Attributes:
        pages: all of them, in order.
        layers: what the file says of them.
    """

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self._pdf = pdf
        # qpdf takes as long for one page as for all.
        self.pages = list(pdf.pages)
        self._shared: dict[tuple[int, int], Survey] = {}
        self._resources: dict[bytes, Resources] = {}
        self._fonts: dict[tuple[int, int], FontLook] = {}
        self.layers = Layers(pdf)

    def survey(self, number: int) -> Survey:
        """Look at a page, counted from 1."""
        page = self.pages[number - 1]
        content, damaged = page_content(self._pdf, page.obj)
        survey = Survey(damaged=damaged, is_empty=not content.strip())
        survey.is_plain = not self.layers.may_be_off
        survey.may_be_hidden = self.layers.may_be_off
        size = _extent(page.cropbox)
        self._look(content, self._named(page.resources), survey, 0, size)
        return survey

    def _look(
        self,
        content: bytes,
        resources: Resources,
        survey: Survey,
        depth: int,
        size: tuple[float, ...],
    ) -> None:
        operators = Operators(content)
        if survey.resources is not None:
            survey.resources.append(resources)
        drawn = self._look_at_drawn(operators, resources, survey, depth, size)
        look = operators.look(size, drawn, has_odd_colours=not resources.add_light)
        survey.is_plain = (
            survey.is_plain
            and resources.are_plain
            and operators.counts[CURVE] < _MANY_CURVES
            and operators.counts[LINE] < _MANY_LINES
            and not operators.counts[INLINE]
            and (not operators.counts[STATE] or resources.are_opaque)
            and not look.is_unseen
        )
        survey.may_be_hidden |= look.is_unseen or look.may_be_hidden
        survey.paints |= bool(operators.counts[PAINT] or operators.counts[SHADE] or drawn.images)
        survey.shows += int(operators.counts[SHOW])
        if operators.counts[SHOW]:
            survey.add_fonts(resources.fonts)
        survey.replaces |= resources.replace_letters or _replace_letters(content)

    def _look_at_drawn(
        self,
        operators: Operators,
        resources: Resources,
        survey: Survey,
        depth: int,
        size: tuple[float, ...],
    ) -> Drawn:
        """Look at the images and forms that are drawn; returns which of them matter to text."""
        found = Drawn()
        names = list(operators.names_drawn())
        if len(names) >= _MANY_IMAGES:
            survey.is_plain = False
        for name in set(names):
            drawn = resources.drawn(name)
            if not isinstance(drawn, pikepdf.Stream):
                survey.damaged.append(
                    f"something that it draws ({name[1:20]}) is missing from the file"
                )
                continue
            survey.is_plain &= self.layers.show(drawn.get("/OC"))
            if drawn.get("/Subtype") == "/Form":
                form = self._form(drawn, depth)
                survey.add(form)
                survey.may_be_hidden |= bool(form.shows) and is_smaller(
                    _extent(drawn.get("/BBox")), size
                )
                if form.shows:
                    found.texts.add(name)
                if form.paints:
                    found.areas.add(name)
            elif may_hold_letters(drawn):
                survey.is_plain = False
                survey.images.append(drawn)
                survey.lacks_colours |= lacks_colours(drawn)
            else:
                found.images.add(name)
        return found

    def _form(self, form: pikepdf.Object, depth: int) -> Survey:
        key = form.objgen
        if key in self._shared:
            return self._shared[key]
        # Before it is looked at: it may draw itself.
        found = self._shared[key] = Survey()
        if depth >= _MAX_DEPTH:
            found.damaged.append(f"it has drawings within drawings, more than {_MAX_DEPTH} deep")
            return found
        try:
            content = read_stream(form)
        except UnreadableError as error:
            found.damaged.append(str(error))
            content = error.recovered
        size = _extent(form.get("/BBox"))
        self._look(content, self._named(form.get("/Resources")), found, depth + 1, size)
        return found

    def _named(self, entries: pikepdf.Object | None) -> Resources:
        """Return resources as they are looked at; most pages have the same as the one before."""
        key = b"" if entries is None else entries.unparse()
        if key not in self._resources:
            self._resources[key] = Resources(entries, self.layers, self._fonts)
        return self._resources[key]


def _replace_letters(content: bytes) -> bool:
    """Tell whether instructions give letters that are to be read in place of those that they draw."""
    replacements = _REPLACEMENT.findall(content) if ACTUAL_TEXT.encode() in content else ()
    return any(says_letters(pikepdf.Object.parse(text)) for text in replacements)


def _extent(box: pikepdf.Object | None) -> tuple[float, ...]:
    """Return width and height of a box; nothing where it has none."""
    try:
        left, bottom, right, top = map(float, box or ())
    except (TypeError, ValueError):
        return ()
    return abs(right - left), abs(top - bottom)
