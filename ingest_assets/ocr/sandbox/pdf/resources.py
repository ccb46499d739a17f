"""What a page's instructions have to draw with: its fonts, colours, states and layers.

Belongs here: what matters of all resources that a page, or a form on it, names together, whether or not
it uses them. Does not belong here: which of them its instructions use (`instructions`), and whether a
font says the right letters (`fonts`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import pikepdf

from ingest_assets.ocr.sandbox.pdf import fonts
from ingest_assets.ocr.sandbox.pdf.entries import ACTUAL_TEXT, get, values
from ingest_assets.ocr.sandbox.pdf.operators import LIGHT, Operators
from ingest_assets.ocr.sandbox.pdf.optional_content import Layers
from ingest_assets.ocr.sandbox.pdf.streams import UnreadableError, read_stream

_NUMBER_NAME = re.compile(r"/(?:[gGcCaAiIxX]|cid|glyph|index|char)\d+")
# Colours by their numbers in a list, by inks of which some are white, and by lightness up to 100.
_ODD_SPACES = ("/Indexed", "/Separation", "/DeviceN", "/Lab")

# Ways to mix a colour with what is beneath that leave dark text dark on white paper.
_DARKENING = ("/Normal", "/Compatible", "/Multiply", "/Darken", "/ColorBurn", "/HardLight")

# What a glyph that is a drawing begins with if it has colours of its own (ISO 32000-1, 9.6.5).
_COLOURED_GLYPH = re.compile(rb"\bd0\b")

# Sets of characters whose numbers are known to all programs.
_KNOWN_COLLECTIONS = ("Japan1", "GB1", "CNS1", "Korea1", "KR")


class FontLook(NamedTuple):
    """What matters of a font.

    Attributes:
        number: that of its object; (0, 0) where it has none.
        doubts: what speaks against the letters that it gives.
        has_columns: whether it writes from top to bottom and is not in the file.
    """

    number: tuple[int, int]
    doubts: fonts.Doubts
    has_columns: bool


class Resources:
    """All that a page, or a form on it, names. Each look is done once, when it is first asked for.

    Args:
        layers: what the file says of its layers.
        known: the fonts of the file that were looked at, by the numbers of their objects.
    """

    def __init__(
        self,
        entries: pikepdf.Object | None,
        layers: Layers,
        known: dict[tuple[int, int], FontLook],
    ) -> None:
        self._entries = entries
        self._layers = layers
        self._known = known

    @cached_property
    def are_plain(self) -> bool:
        """Whether fonts and patterns draw nothing but letters and shades, on layers that are shown."""
        return (
            self._are_all("/Font", _is_plain_font)
            and (not self._layers.exist or self._are_all("/Properties", self._layers.show))
            and self._are_all("/Pattern", _is_shading)
        )

    @cached_property
    def are_opaque(self) -> bool:
        """Whether no state of graphics hides what is filled or gives it another shape."""
        return self._are_all("/ExtGState", _is_opaque)

    @cached_property
    def are_half_transparent(self) -> bool:
        """Whether a state of graphics lets what is beneath show through."""
        return any(
            any(0 < _opacity(state, key) < 1 for key in ("/ca", "/CA"))
            for state in values(self._entries, "/ExtGState")
        )

    @cached_property
    def add_light(self) -> bool:
        """Whether the numbers of all colours are amounts of light, or of the four usual inks."""
        return self._are_all("/ColorSpace", _adds_light)

    @cached_property
    def replace_letters(self) -> bool:
        """Whether letters are given that are to be read in place of those that are drawn."""
        properties = values(self._entries, "/Properties")
        return any(says_letters(get(each, ACTUAL_TEXT)) for each in properties)

    @cached_property
    def fonts_are_embedded(self) -> bool:
        """Whether each font is in the file."""
        return self._are_all("/Font", _is_embedded)

    @cached_property
    def fonts(self) -> list[FontLook]:
        """What matters of each font."""
        found = []
        for font in values(self._entries, "/Font"):
            number = font.objgen
            if number not in self._known or number == (0, 0):
                self._known[number] = FontLook(number, fonts.doubts(font), _has_columns(font))
            found.append(self._known[number])
        return found

    def drawn(self, name: str) -> pikepdf.Object | None:
        """Return what `Do` draws under a name; None where the file does not have it."""
        return get(self._entries, "/XObject", name)

    def _are_all(self, kind: str, are: Callable[[pikepdf.Object], bool]) -> bool:
        return all(map(are, values(self._entries, kind)))


def says_letters(text: pikepdf.Object | None) -> bool:
    """Tell whether a text that is to be read in place of another is more than spaces and hyphens."""
    return isinstance(text, pikepdf.String) and any(map(str.isalnum, str(text)))


def _has_columns(font: pikepdf.Object) -> bool:
    """Tell whether a font writes from top to bottom and is not in the file."""
    encoding = get(font, "/Encoding")
    is_vertical = isinstance(encoding, pikepdf.Name) and str(encoding).endswith(("-V", "/V"))
    return is_vertical and not _is_embedded(font)


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
