"""What a page's instructions draw, found without carrying them out.

A page is a program: `BT … Tj ET` shows text, `Do` an image or another such program, `re f` fills a
rectangle. Most pages of text do little else than show dark text, and to see that takes a fraction of
the time that drawing them takes. So the operators are picked out of the bytes, and whatever else than
plain dark text they might show is a doubt that a look at the page has to settle. Bytes of a text that
look like an operator cost that look; nothing else depends on them.

Belongs here: all that is read from instructions, and mending them where they are damaged. Does not
belong here: what annotations add to a page (`annotations`).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pikepdf

# Forms within forms, deeper than any program nests them.
_MAX_DEPTH = 12

# So many curves may be the outlines of letters; a rounded box has eight. Straight lines make letters
# too, and tables.
_MANY_CURVES, _MANY_LINES = 30, 300

# An image with shorter sides, in pixels, holds no word.
_SHORT_SIDE, _LONG_SIDE = 8, 32

# Lower ones, stacked, do.
_MANY_IMAGES = 12

# Text in a lighter colour than this, 0 black to 1 white, may be invisible on paper.
_LIGHT = 0.8

# PDF's white space and delimiters part operators (ISO 32000-1, 7.2.2), which begin with a letter or a
# quotation mark.
_PART, _START = 1, 2
_BYTES = bytes(
    _PART
    if code in b"\0\t\n\f\r ()<>[]{}/%"
    else _START
    if code in b"'\"" or chr(code).isalpha()
    else 0
    for code in range(256)
)

_NUMBER_NAME = re.compile(r"/(?:[gGcCaAiIxX]|cid|glyph|index|char)\d+")
# Sets of characters whose numbers are known to all programs.
_KNOWN_COLLECTIONS = ("Japan1", "GB1", "CNS1", "Korea1", "KR")

_NAME_BEFORE = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]+)[\0\t\n\f\r ]+$")

# The kinds of operators that matter. Those from `_FILL` on set the colour of text, and take so many
# operands at most.
_CURVE, _LINE, _INLINE, _STATE, _DO, _SAVE, _RESTORE, _MODE, _SHOW, _FILL = range(1, 11)
_OPERANDS = {"g": 1, "rg": 3, "k": 4, "sc": 4, "scn": 4}
_KINDS = np.zeros(1 << 16, dtype=np.uint8)
for _kind, _operators in (
    (_CURVE, "c v y"), (_LINE, "l"), (_INLINE, "BI"), (_STATE, "gs"), (_DO, "Do"), (_SAVE, "q"),
    (_RESTORE, "Q"), (_MODE, "Tr"), (_SHOW, "Tj TJ ' \""),
    *enumerate(_OPERANDS, _FILL),
):  # fmt: skip
    for _operator in str(_operators).split():
        # By its last two bytes: no two operators that matter share them.
        _KINDS[int.from_bytes(_operator[-2:].encode(), "big")] = _kind
_MOST_OPERANDS = dict(enumerate(_OPERANDS.values(), _FILL))


@dataclass
class Survey:
    """What the instructions of a page, or of a form on it, amount to.

    Attributes:
        is_plain: whether they draw nothing that could be read beside text in plain sight.
        shows: how often they show text.
        fonts_are_there: whether each font is in the file, so that no letters go undrawn for want of it.
        damaged: what of them cannot be read, in words for a person.
        is_empty: whether there are none at all.
    """

    is_plain: bool = True
    shows: int = 0
    fonts_are_there: bool = True
    damaged: list[str] = field(default_factory=list)
    is_empty: bool = False


class Instructions:
    """The instructions of all pages of one file. What pages share is looked at once."""

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self._pdf = pdf
        self._shared: dict[tuple[int, int], Survey] = {}
        properties = pdf.Root.get("/OCProperties")
        self._has_layers = properties is not None and bool(_get(properties, "/D", "/OFF"))

    def survey(self, number: int) -> Survey:
        """Look at a page, counted from 1."""
        page = self._pdf.pages[number - 1]
        content, damaged = _content(page.obj)
        survey = Survey(damaged=damaged, is_empty=not content.strip())
        if self._has_layers:
            survey.is_plain = False
        self._look(content, page.resources, survey, 0)
        return survey

    def _look(
        self, content: bytes, resources: pikepdf.Object | None, survey: Survey, depth: int
    ) -> None:
        operators = _Operators(content)
        if (
            operators.counts[_CURVE] >= _MANY_CURVES
            or operators.counts[_LINE] >= _MANY_LINES
            or operators.counts[_INLINE]
            or operators.shows_hidden_text()
            or _has_tiling(resources)
            or (
                operators.counts[_STATE] and any(map(_is_see_through, _values(resources, "/ExtGState")))
            )
        ):
            survey.is_plain = False
        for font in map(self._font, _values(resources, "/Font")):
            survey.is_plain &= font.is_plain
            survey.fonts_are_there &= font.fonts_are_there
        survey.shows += int(operators.counts[_SHOW])
        names = list(operators.names_drawn())
        if len(names) >= _MANY_IMAGES:
            survey.is_plain = False
        for name in set(names):
            drawn = _get(resources, "/XObject", name)
            if not isinstance(drawn, pikepdf.Stream):
                survey.damaged.append(
                    f"something that it draws ({name[1:20]}) is missing from the file"
                )
                continue
            if drawn.get("/Subtype") == "/Form":
                form = self._form(drawn, depth)
                survey.is_plain &= form.is_plain
                survey.shows += form.shows
                survey.fonts_are_there &= form.fonts_are_there
                survey.damaged += form.damaged
            elif _may_hold_letters(drawn):
                survey.is_plain = False

    def _form(self, form: pikepdf.Object, depth: int) -> Survey:
        key = form.objgen
        if key in self._shared:
            return self._shared[key]
        # Before it is looked at: it may draw itself.
        found = self._shared[key] = Survey()
        if depth >= _MAX_DEPTH:
            found.is_plain = False
            return found
        try:
            content = read_stream(form)
        except UnreadableError as error:
            found.damaged.append(str(error))
            content = error.recovered
        self._look(content, form.get("/Resources"), found, depth + 1)
        return found

    def _font(self, font: pikepdf.Object) -> Survey:
        """Look whether a font says which letters its glyphs are, and whether it is in the file."""
        key = font.objgen
        if key == (0, 0) or key not in self._shared:
            self._shared[key] = Survey(_has_letters(font), fonts_are_there=_is_embedded(font))
        return self._shared[key]


class UnreadableError(Exception):
    """A stream that cannot be unpacked, wholly or in part."""

    def __init__(self, reason: str, recovered: bytes) -> None:
        super().__init__(reason)
        self.recovered = recovered


def read_stream(stream: pikepdf.Object) -> bytes:
    """Return what a stream holds.

    Raises:
        UnreadableError: with what there is of it.
    """
    filters = stream.get("/Filter")
    if isinstance(filters, pikepdf.Array) and len(filters) == 1:
        filters = filters[0]
    if filters == "/FlateDecode" and stream.get("/DecodeParms") is None:
        return _inflated(stream.read_raw_bytes())
    try:
        return stream.read_bytes()
    except pikepdf.PdfError as error:
        names = str(filters) if isinstance(filters, pikepdf.Name) else "several"
        raise UnreadableError(
            f"it is packed in a way that cannot be unpacked ({names})", b""
        ) from error


def mended(page: pikepdf.Page) -> pikepdf.Pdf:
    """Return a document of one page, its damaged instructions replaced by what there is of them."""
    pdf = pikepdf.new()
    pdf.pages.append(page)
    copy = pdf.pages[0]
    content, _ = _content(copy.obj)
    copy.obj.Contents = pdf.make_stream(content)
    for form in _forms(copy.resources, set()):
        try:
            read_stream(form)
        except UnreadableError as error:
            form.write(error.recovered)
    return pdf


def _forms(resources: pikepdf.Object | None, seen: set[tuple[int, int]]) -> Iterator[pikepdf.Object]:
    """Yield the forms that a page may draw, at every depth."""
    for drawn in _values(resources, "/XObject"):
        is_form = isinstance(drawn, pikepdf.Stream) and drawn.get("/Subtype") == "/Form"
        if is_form and drawn.objgen not in seen:
            seen.add(drawn.objgen)
            yield drawn
            yield from _forms(drawn.get("/Resources"), seen)


def _inflated(packed: bytes) -> bytes:
    """Unpack, as far as the bytes allow."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed) + unpacker.flush()
    except zlib.error as error:
        raise UnreadableError("its content is damaged", _salvaged(packed)) from error
    if not unpacker.eof and packed:
        raise UnreadableError("its content breaks off", data)
    return data


def _salvaged(packed: bytes) -> bytes:
    """Return what can be unpacked before the damage, or after a damaged head."""
    found = b""
    for window, start in ((zlib.MAX_WBITS, 0), (-zlib.MAX_WBITS, 2), (-zlib.MAX_WBITS, 0)):
        unpacker = zlib.decompressobj(window)
        data = b""
        try:
            for at in range(start, len(packed), 256):
                data += unpacker.decompress(packed[at : at + 256])
        except zlib.error:
            pass  # What came before it counts.
        found = max(found, data, key=len)
    return found


def _content(page: pikepdf.Object) -> tuple[bytes, list[str]]:
    """Return the instructions of a page, and what of them cannot be read."""
    entry = page.get("/Contents")
    damaged = []
    parts = []
    if entry is None and "/Contents" in page.keys():  # noqa: SIM118  # No dictionary of Python.
        damaged.append("its content is missing from the file")
    streams = list(entry) if isinstance(entry, pikepdf.Array) else [entry]
    for stream in streams:
        if isinstance(stream, pikepdf.Stream):
            try:
                parts.append(read_stream(stream))
            except UnreadableError as error:
                damaged.append(str(error))
                parts.append(error.recovered)
    return b"\n".join(parts), damaged


class _Operators:
    """Where in some instructions which operators are.

    Attributes:
        counts: how many there are of each kind.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        data = np.frombuffer(b" " + content + b"    ", dtype=np.uint8)
        classes = np.frombuffer(data.tobytes().translate(_BYTES), dtype=np.uint8)
        starts = np.flatnonzero((classes[:-4] == _PART) & (classes[1:-3] == _START)) + 1
        first, second = data[starts].astype(np.uint32), data[starts + 1]
        is_one, is_two = classes[starts + 1] == _PART, classes[starts + 2] == _PART
        codes = np.where(is_one, first, first << 8 | second)
        three = ~is_one & ~is_two
        is_scn = (first == 0x73) & (second == 0x63) & (data[starts + 2] == 0x6E)
        codes[three] = np.where(is_scn & (classes[starts + 3] == _PART), 0x636E, 0)[three]
        kinds = _KINDS[codes]
        self._starts: npt.NDArray[np.intp] = starts[kinds > 0] - 1
        self._kinds: npt.NDArray[np.uint8] = kinds[kinds > 0]
        self.counts = np.bincount(self._kinds, minlength=_FILL + len(_OPERANDS))

    def names_drawn(self) -> Iterator[str]:
        """Yield the name of what each `Do` draws, with its slash."""
        for start in self._starts[self._kinds == _DO].tolist():
            if name := _NAME_BEFORE.search(self._content, max(0, start - 130), start):
                yield "/" + name[1].decode("latin-1")

    def shows_hidden_text(self) -> bool:
        """Tell whether text is shown in a light colour, or in a way that paints nothing."""
        if not (self.counts[_MODE] or self.counts[_FILL:].any()):
            return False
        kept = self._kinds >= _SAVE
        starts, kinds = self._starts[kept], self._kinds[kept]
        again = kinds == _SHOW
        again[1:] &= again[:-1]  # What is shown right after other text is shown in the same way.
        again[:1] = False
        is_hidden = is_light = False
        saved: list[tuple[bool, bool]] = []
        for start, kind in zip(starts[~again].tolist(), kinds[~again].tolist(), strict=True):
            if kind == _SAVE:
                saved.append((is_hidden, is_light))
            elif kind == _RESTORE:
                is_hidden, is_light = saved.pop() if saved else (False, False)
            elif kind == _MODE:
                is_hidden = self._operands(start, 1) in ([3.0], [7.0])
            elif kind >= _FILL:
                is_light = self._is_light(start, _MOST_OPERANDS[kind])
            elif is_hidden or is_light:
                return True
        return False

    def _is_light(self, start: int, most: int) -> bool:
        values = self._operands(start, most)
        if len(values) == 4:
            return max(values) <= 1 - _LIGHT
        return bool(values) and min(values) >= _LIGHT

    def _operands(self, start: int, most: int) -> list[float]:
        operands: list[float] = []
        for operand in reversed(self._content[max(0, start - 60) : start].split()):
            try:
                operands.append(float(operand))
            except ValueError:
                break
            if len(operands) == most:
                break
        return operands


def _get(entry: pikepdf.Object | None, *keys: str) -> pikepdf.Object | None:
    """Return what lies at the end of some keys, None where there is nothing."""
    for key in keys:
        if not isinstance(entry, pikepdf.Dictionary | pikepdf.Stream):
            return None
        entry = entry.get(key)
    return entry


def _values(resources: pikepdf.Object | None, kind: str) -> list[pikepdf.Object]:
    """Return all resources of a kind."""
    entries = _get(resources, kind)
    if not isinstance(entries, pikepdf.Dictionary):
        return []
    return [entry for entry in entries.as_dict().values() if isinstance(entry, pikepdf.Object)]


def _may_hold_letters(image: pikepdf.Object) -> bool:
    try:
        width, height = int(image.get("/Width", 0)), int(image.get("/Height", 0))
    except (TypeError, ValueError):
        return True
    return min(width, height) >= _SHORT_SIDE and max(width, height) >= _LONG_SIDE


def _has_tiling(resources: pikepdf.Object | None) -> bool:
    """Tell whether areas can be filled with a drawing of their own."""
    return any(_get(pattern, "/PatternType") == 1 for pattern in _values(resources, "/Pattern"))


def _is_see_through(state: pikepdf.Object) -> bool:
    """Tell whether a state of graphics makes what is filled next to invisible."""
    opacity = _get(state, "/ca")
    return opacity is not None and float(opacity) < 1 - _LIGHT


def _is_embedded(font: pikepdf.Object) -> bool:
    """Tell whether a font brings its glyphs."""
    descendants = _get(font, "/DescendantFonts")
    if isinstance(descendants, pikepdf.Array) and len(descendants):
        font = descendants[0]
    files = ("/FontFile", "/FontFile2", "/FontFile3")
    return _get(font, "/Subtype") == "/Type3" or any(
        _get(font, "/FontDescriptor", file) is not None for file in files
    )


def _has_letters(font: pikepdf.Object) -> bool:
    """Tell whether a font says of its glyphs which letters they are."""
    if _get(font, "/ToUnicode") is not None:
        return True
    kind, encoding = _get(font, "/Subtype"), _get(font, "/Encoding")
    if kind == "/Type0":
        if isinstance(encoding, pikepdf.Name) and not str(encoding).startswith("/Identity"):
            return True
        descendants = _get(font, "/DescendantFonts")
        ordering = None
        if isinstance(descendants, pikepdf.Array) and len(descendants):
            ordering = _get(descendants[0], "/CIDSystemInfo", "/Ordering")
        return ordering is not None and str(ordering) in _KNOWN_COLLECTIONS
    differences = _get(encoding, "/Differences")
    if isinstance(differences, pikepdf.Array):
        return not any(_NUMBER_NAME.fullmatch(str(name)) for name in differences)
    return kind != "/Type3"
