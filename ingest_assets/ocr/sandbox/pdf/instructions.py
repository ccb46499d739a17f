"""What a page's instructions draw, found without carrying them out.

A page is a program: `BT … Tj ET` shows text, `Do` an image or another such program, `re f` fills a
rectangle. Most pages of text do little else than show dark text, and to see that takes a fraction of
the time that drawing them takes. So the operators are picked out of the bytes, and whatever else than
plain dark text they might show is a doubt that a look at the page has to settle. Bytes of a text that
look like an operator cost that look; nothing else depends on them.

Belongs here: the doubts about a page, and what has to be known to settle them. Does not belong here:
telling operators apart (`operators`), what annotations add to a page (`annotations`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pikepdf

from ingest_assets.ocr.sandbox.pdf import fonts
from ingest_assets.ocr.sandbox.pdf.entries import ACTUAL_TEXT, get, values
from ingest_assets.ocr.sandbox.pdf.images import lacks_colours, may_hold_letters
from ingest_assets.ocr.sandbox.pdf.operators import (
    CURVE,
    INLINE,
    LIGHT,
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
from ingest_assets.ocr.sandbox.pdf.streams import UnreadableError, page_content, read_stream

# Forms within forms, deeper than any program nests them; PDFium draws some more.
_MAX_DEPTH = 25

# So many curves may be the outlines of letters; a rounded box has eight. Straight lines make letters
# too, and tables.
_MANY_CURVES, _MANY_LINES = 30, 300

# Lower ones, stacked, do.
_MANY_IMAGES = 12

_NUMBER_NAME = re.compile(r"/(?:[gGcCaAiIxX]|cid|glyph|index|char)\d+")
# Colours by their numbers in a list, by inks of which some are white, and by lightness up to 100.
_ODD_SPACES = ("/Indexed", "/Separation", "/DeviceN", "/Lab")

# Ways to mix a colour with what is beneath that leave dark text dark on white paper.
_DARKENING = ("/Normal", "/Compatible", "/Multiply", "/Darken", "/ColorBurn", "/HardLight")

# What a glyph that is a drawing begins with if it has colours of its own (ISO 32000-1, 9.6.5).
_COLOURED_GLYPH = re.compile(rb"\bd0\b")

# Sets of characters whose numbers are known to all programs.
_KNOWN_COLLECTIONS = ("Japan1", "GB1", "CNS1", "Korea1", "KR")

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
        resources: what they name fonts, images and forms in; None if that is not known.
        damaged: what of them cannot be read, in words for a person.
        is_empty: whether there are none at all.
        replaces: whether they give letters that are to be read in place of those that they draw.
        images: what they draw that may hold letters.
        fonts: the numbers of the objects that its fonts are.
        disputed: the letters and figures that one of them may give for others.
        nameless: the codes that one of them may show, and gives no letter for.
        has_false_spaces: whether one of them may take letters for spaces.
        lacks_colours: whether a JPEG on it does not say which colours it has.
        has_columns: whether one of them writes from top to bottom and is not in the file.
    """

    is_plain: bool = True
    may_be_hidden: bool = False
    paints: bool = False
    shows: int = 0
    resources: list[pikepdf.Object | None] | None = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    is_empty: bool = False
    replaces: bool = False
    images: list[pikepdf.Object] = field(default_factory=list)
    fonts: set[tuple[int, int]] = field(default_factory=set)
    disputed: set[str] = field(default_factory=set)
    nameless: set[int] = field(default_factory=set)
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
        self.nameless |= form.nameless
        self.has_false_spaces |= form.has_false_spaces
        self.lacks_colours |= form.lacks_colours
        self.has_columns |= form.has_columns

    @property
    def is_half_transparent(self) -> bool:
        """Whether anything may be drawn so that what is beneath shows through."""
        return self.resources is None or any(
            any(0 < _opacity(state, key) < 1 for key in ("/ca", "/CA"))
            for each in self.resources
            for state in values(each, "/ExtGState")
        )

    @property
    def fonts_are_there(self) -> bool:
        """Whether each font is in the file, so that no letters go undrawn for want of it."""
        return self.resources is not None and all(
            _is_embedded(font) for each in self.resources for font in values(each, "/Font")
        )


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
        self._known: dict[bytes | tuple[int, int], bool] = {}
        self._fonts: dict[tuple[int, int], tuple[fonts.Doubts, bool]] = {}
        self.layers = Layers(pdf)

    def survey(self, number: int) -> Survey:
        """Look at a page, counted from 1."""
        page = self.pages[number - 1]
        content, damaged = page_content(self._pdf, page.obj)
        survey = Survey(damaged=damaged, is_empty=not content.strip())
        survey.is_plain = not self.layers.may_be_off
        survey.may_be_hidden = self.layers.may_be_off
        size = _extent(page.cropbox)
        self._look(content, page.resources, survey, 0, size)
        return survey

    def _look(
        self,
        content: bytes,
        resources: pikepdf.Object | None,
        survey: Survey,
        depth: int,
        size: tuple[float, ...],
    ) -> None:
        operators = Operators(content)
        if survey.resources is not None:
            survey.resources.append(resources)
        drawn = self._look_at_drawn(operators, resources, survey, depth, size)
        look = operators.look(
            size, drawn, has_odd_colours=not self._are_plain(resources, "/ColorSpace", _adds_light)
        )
        survey.is_plain = (
            survey.is_plain
            and self._are_plain(resources, "/Font", _is_plain_font)
            and (not self.layers.exist or self._are_plain(resources, "/Properties", self.layers.show))
            and self._are_plain(resources, "/Pattern", _is_shading)
            and operators.counts[CURVE] < _MANY_CURVES
            and operators.counts[LINE] < _MANY_LINES
            and not operators.counts[INLINE]
            and (not operators.counts[STATE] or self._are_plain(resources, "/ExtGState", _is_opaque))
            and not look.is_unseen
        )
        survey.may_be_hidden |= look.is_unseen or look.may_be_hidden
        survey.paints |= bool(operators.counts[PAINT] or operators.counts[SHADE] or drawn.images)
        survey.shows += int(operators.counts[SHOW])
        if operators.counts[SHOW]:
            self._look_at_fonts(resources, survey)
        survey.replaces |= _replaces_letters(content, resources)

    def _look_at_drawn(
        self,
        operators: Operators,
        resources: pikepdf.Object | None,
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
            drawn = get(resources, "/XObject", name)
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
        self._look(content, form.get("/Resources"), found, depth + 1, size)
        return found

    def _look_at_fonts(self, resources: pikepdf.Object | None, survey: Survey) -> None:
        for font in values(resources, "/Font"):
            key = font.objgen
            if key not in self._fonts or key == (0, 0):
                self._fonts[key] = fonts.doubts(font), _is_column_without_glyphs(font)
            survey.fonts.add(key)
            doubts, has_columns = self._fonts[key]
            survey.disputed |= doubts.disputed
            survey.nameless |= doubts.nameless
            survey.has_false_spaces |= doubts.has_false_spaces
            survey.has_columns |= has_columns

    def _are_plain(
        self,
        resources: pikepdf.Object | None,
        kind: str,
        is_plain: Callable[[pikepdf.Object], bool],
    ) -> bool:
        """Look at all resources of a kind; most pages have the same as the one before."""
        entries = get(resources, kind)
        if not isinstance(entries, pikepdf.Dictionary):
            return True
        key = entries.unparse() if entries.objgen == (0, 0) else entries.objgen
        if key not in self._known:
            self._known[key] = all(map(is_plain, values(resources, kind)))
        return self._known[key]


def _is_column_without_glyphs(font: pikepdf.Object) -> bool:
    """Tell whether a font writes from top to bottom and is not in the file."""
    encoding = get(font, "/Encoding")
    is_vertical = isinstance(encoding, pikepdf.Name) and str(encoding).endswith(("-V", "/V"))
    return is_vertical and not _is_embedded(font)


def _replaces_letters(content: bytes, resources: pikepdf.Object | None) -> bool:
    """Tell whether letters are given for what is drawn, not only spaces and hyphens."""
    replacements = _REPLACEMENT.findall(content) if ACTUAL_TEXT.encode() in content else ()
    texts: list[pikepdf.Object | None] = [pikepdf.Object.parse(text) for text in replacements]
    texts += [get(properties, ACTUAL_TEXT) for properties in values(resources, "/Properties")]
    return any(isinstance(text, pikepdf.String) and any(map(str.isalnum, str(text))) for text in texts)


def _extent(box: pikepdf.Object | None) -> tuple[float, ...]:
    """Return width and height of a box; nothing where it has none."""
    try:
        left, bottom, right, top = map(float, box or ())
    except (TypeError, ValueError):
        return ()
    return abs(right - left), abs(top - bottom)


def _is_shading(pattern: pikepdf.Object) -> bool:
    """Tell whether a pattern fills areas with colours, not with a drawing of its own."""
    return get(pattern, "/PatternType") != 1


def _adds_light(space: pikepdf.Object) -> bool:
    """Tell whether the numbers of a colour are amounts of light, or of the four usual inks."""
    return not isinstance(space, pikepdf.Array) or space[0] not in _ODD_SPACES


def _is_opaque(state: pikepdf.Object) -> bool:
    """Tell whether a state of graphics neither hides what is filled nor gives it another shape."""
    blending = get(state, "/BM")
    is_opaque = _opacity(state, "/ca") >= 1 - LIGHT
    is_dark = blending is None or blending in _DARKENING
    return is_opaque and is_dark and not isinstance(get(state, "/SMask"), pikepdf.Dictionary)


def _opacity(state: pikepdf.Object, key: str) -> float:
    opacity: object = get(state, key)
    return float(opacity) if isinstance(opacity, int | float | Decimal) else 1.0


def _is_embedded(font: pikepdf.Object) -> bool:
    """Tell whether a font brings its glyphs."""
    descendants = get(font, "/DescendantFonts")
    if isinstance(descendants, pikepdf.Array) and len(descendants):
        font = descendants[0]
    files = ("/FontFile", "/FontFile2", "/FontFile3")
    return get(font, "/Subtype") == "/Type3" or any(
        get(font, "/FontDescriptor", file) is not None for file in files
    )


def _is_plain_font(font: pikepdf.Object) -> bool:
    """Tell whether a font says which letters its glyphs are, and draws them in the text's colour."""
    return _has_letters(font) and (get(font, "/Subtype") != "/Type3" or _has_shapes(font))


def _has_shapes(font: pikepdf.Object) -> bool:
    """Tell whether most glyphs of a font of drawings show any, and none has colours of its own."""
    glyphs = [glyph for glyph in values(font, "/CharProcs") if isinstance(glyph, pikepdf.Stream)]
    drawn = 0
    for glyph in glyphs:
        try:
            content = read_stream(glyph)
        except UnreadableError:
            return False
        if _COLOURED_GLYPH.search(content):
            return False
        drawn += Operators(content).draw
    return 2 * drawn > len(glyphs)


def _has_letters(font: pikepdf.Object) -> bool:
    """Tell whether a font says of its glyphs which letters they are."""
    if get(font, "/ToUnicode") is not None:
        return True
    kind, encoding = get(font, "/Subtype"), get(font, "/Encoding")
    if kind == "/Type0":
        if isinstance(encoding, pikepdf.Name) and not str(encoding).startswith("/Identity"):
            return True
        descendants = get(font, "/DescendantFonts")
        ordering = None
        if isinstance(descendants, pikepdf.Array) and len(descendants):
            ordering = get(descendants[0], "/CIDSystemInfo", "/Ordering")
        return ordering is not None and str(ordering) in _KNOWN_COLLECTIONS
    differences = get(encoding, "/Differences")
    if isinstance(differences, pikepdf.Array):
        return not any(_NUMBER_NAME.fullmatch(str(name)) for name in differences)
    return kind != "/Type3"
