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

import mmap
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pikepdf
from PIL import Image

from ingest_assets.ocr.sandbox.document import MAX_DECODED_BYTES
from ingest_assets.ocr.sandbox.pdf import fonts
from ingest_assets.ocr.sandbox.pdf.streams import UnreadableError, read_stream

# Forms within forms, deeper than any program nests them; PDFium draws some more.
_MAX_DEPTH = 25

# So many curves may be the outlines of letters; a rounded box has eight. Straight lines make letters
# too, and tables.
_MANY_CURVES, _MANY_LINES = 30, 300

# An image with shorter sides, in pixels, holds no word.
_SHORT_SIDE, _LONG_SIDE = 8, 32

_MANY_BYTES = 10_000

# Twice the end of a line.
_END_OF_FAX = 2 * "000000000001"

# Lower ones, stacked, do.
_MANY_IMAGES = 12

# What is taken for the size of an image that says none.
_UNKNOWN_SIZE = (1 << 15, 1 << 15)

# An area that is less high, in units of the page, covers no line; a frame that is less wide or high
# than this share of the page may cut one off.
_LINE_HEIGHT, _NEARLY_WHOLE = 4, 0.9
_CORNERS, _PATH_ENDED = (b"m", b"l"), frozenset(b"n f f* B B* S Q q cm gs".split())
_MOST_BYTES_OF_PATH = 500

# Text in a lighter colour than this, 0 black to 1 white, may be invisible on paper.
_LIGHT = 0.8

_NUMBER_NAME = re.compile(r"/(?:[gGcCaAiIxX]|cid|glyph|index|char)\d+")
# Sets of characters whose numbers are known to all programs.
_KNOWN_COLLECTIONS = ("Japan1", "GB1", "CNS1", "Korea1", "KR")

_WITH_KEYS = (pikepdf.Dictionary, pikepdf.Stream)

# A text to be read in place of what is drawn (ISO 32000-1, 14.9.4).
_ACTUAL_TEXT = b"/ActualText"
_REPLACEMENT = re.compile(_ACTUAL_TEXT + rb"\s*(\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f\s]*>)", re.DOTALL)

# So lines have a width, and letters are filled and have one around them.
_HAIRLINE = b"0.1 w 2 Tr\n"

_COLOURS = {"L": pikepdf.Name.DeviceGray, "CMYK": pikepdf.Name.DeviceCMYK}

_NAME_BEFORE = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]+)[\0\t\n\f\r ]+$")

# The kinds of operators that matter. Those from `_FILL` on set the colour of text, and take so many
# operands at most.
(
    _CURVE, _LINE, _INLINE, _STATE, _DO, _RECTANGLE, _PAINT, _CLIP, _SAVE, _RESTORE, _MODE, _SHOW, _FILL
) = range(1, 14)  # fmt: skip
_OPERANDS = {"g": 1, "rg": 3, "k": 4, "sc": 4, "scn": 4}
_OPERATORS = {
    _CURVE: "c v y", _LINE: "l", _INLINE: "BI", _STATE: "gs", _DO: "Do", _RECTANGLE: "re",
    _PAINT: "f F f* B B* b b*", _CLIP: "W W*", _SAVE: "q", _RESTORE: "Q", _MODE: "Tr",
    _SHOW: "Tj TJ ' \"",
    **dict(enumerate(_OPERANDS, _FILL)),
}  # fmt: skip

# PDF's white space and delimiters part operators (ISO 32000-1, 7.2.2). Here they become 0; bytes that
# one of these operators begins with get their highest bit set, and bytes that are in none become 1.
_MARK = 0x80
_LETTERS = {ord(letter) for operators in _OPERATORS.values() for letter in operators.replace(" ", "")}
_FIRST_LETTERS = {ord(name[0]) for operators in _OPERATORS.values() for name in operators.split()}
_BYTES = bytes(
    0
    if code in b"\0\t\n\f\r ()<>[]{}/%"
    else code | _MARK
    if code in _FIRST_LETTERS
    else code
    if code in _LETTERS
    else 1
    for code in range(256)
)

# The kinds of operators by their first two bytes so translated, 0 for what is none. No two that matter
# share them but `sc` and `scn`.
_KINDS = np.zeros(1 << 16, dtype=np.uint8)
for _kind, _names in _OPERATORS.items():
    for _name in _names.split():
        if _name != "scn":
            _KINDS[int.from_bytes(_name.encode().translate(_BYTES)[:2], "little")] = _kind
_SC, _SCN = (_FILL + list(_OPERANDS).index(_name) for _name in ("sc", "scn"))
_N = _BYTES[ord("n")]
_MOST_OPERANDS = dict(enumerate(_OPERANDS.values(), _FILL))


@dataclass
class Survey:
    """What the instructions of a page, or of a form on it, amount to.

    Attributes:
        is_plain: whether they draw nothing that could be read beside text in plain sight.
        may_be_hidden: whether a frame may cut off some of the text, or an area cover it.
        paints: whether they paint areas.
        shows: how often they show text.
        resources: what they name fonts, images and forms in; None if that is not known.
        damaged: what of them cannot be read, in words for a person.
        is_empty: whether there are none at all.
        replaces: whether they give letters that are to be read in place of those that they draw.
        images: what they draw that may hold letters.
        fonts: the numbers of the objects that its fonts are.
        disputed: the letters and figures that one of them may give for others.
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
    lacks_colours: bool = False
    has_columns: bool = False

    @property
    def fonts_are_there(self) -> bool:
        """Whether each font is in the file, so that no letters go undrawn for want of it."""
        return self.resources is not None and all(
            _is_embedded(font) for each in self.resources for font in _values(each, "/Font")
        )


class Instructions:
    """The instructions of all pages of one file. What pages share is looked at once.

    Attributes:
        pages: all of them, in order.
    """

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self._pdf = pdf
        # qpdf takes as long for one page as for all.
        self.pages = list(pdf.pages)
        self._shared: dict[tuple[int, int], Survey] = {}
        self._known: dict[bytes | tuple[int, int], bool] = {}
        self._disputed: dict[tuple[int, int], tuple[frozenset[str], bool]] = {}
        properties = pdf.Root.get("/OCProperties")
        self._has_layers = properties is not None and (
            bool(_get(properties, "/D", "/OFF"))
            or bool(_get(properties, "/D", "/AS"))
            or _get(properties, "/D", "/BaseState") == "/OFF"
        )

    def survey(self, number: int) -> Survey:
        """Look at a page, counted from 1."""
        page = self.pages[number - 1]
        content, damaged = _content(self._pdf, page.obj)
        survey = Survey(damaged=damaged, is_empty=not content.strip())
        if self._has_layers:
            survey.is_plain = False
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
        operators = _Operators(content)
        if survey.resources is not None:
            survey.resources.append(resources)
        survey.is_plain = (
            survey.is_plain
            and self._are_plain(resources, "/Font", _has_letters)
            and operators.counts[_CURVE] < _MANY_CURVES
            and operators.counts[_LINE] < _MANY_LINES
            and not operators.counts[_INLINE]
            and (not operators.counts[_STATE] or self._are_plain(resources, "/ExtGState", _is_opaque))
            and (
                not any(operators.counts[_FILL:]) or self._are_plain(resources, "/Pattern", _is_shading)
            )
            and not operators.draw_unseen_text(
                size, has_inks=not self._are_plain(resources, "/ColorSpace", _adds_light)
            )
        )
        survey.may_be_hidden |= operators.may_hide_text
        survey.paints |= bool(operators.counts[_PAINT])
        survey.shows += int(operators.counts[_SHOW])
        if operators.counts[_SHOW]:
            self._look_at_fonts(resources, survey)
        survey.replaces |= _replaces_letters(content, resources)
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
                is_cut = operators.have_frames or _is_smaller(_extent(drawn.get("/BBox")), size)
                survey.is_plain &= form.is_plain
                covers = bool(form.paints and operators.counts[_SHOW])
                survey.may_be_hidden |= form.may_be_hidden or bool(form.shows and is_cut) or covers
                survey.shows += form.shows
                if survey.resources is not None:
                    survey.resources += form.resources or ()
                survey.replaces |= form.replaces
                survey.damaged += form.damaged
                survey.images += form.images
                survey.fonts |= form.fonts
                survey.disputed |= form.disputed
                survey.has_columns |= form.has_columns
                survey.lacks_colours |= form.lacks_colours
            elif _may_hold_letters(drawn):
                survey.is_plain = False
                survey.images.append(drawn)
                survey.lacks_colours |= _lacks_colours(drawn)

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
        for font in _values(resources, "/Font"):
            key = font.objgen
            if key not in self._disputed or key == (0, 0):
                self._disputed[key] = fonts.disputed(font), _is_column_without_glyphs(font)
            survey.fonts.add(key)
            disputed, has_columns = self._disputed[key]
            survey.disputed |= disputed
            survey.has_columns |= has_columns

    def _are_plain(
        self,
        resources: pikepdf.Object | None,
        kind: str,
        is_plain: Callable[[pikepdf.Object], bool],
    ) -> bool:
        """Look at all resources of a kind; most pages have the same as the one before."""
        entries = _get(resources, kind)
        if not isinstance(entries, pikepdf.Dictionary):
            return True
        key = entries.unparse() if entries.objgen == (0, 0) else entries.objgen
        if key not in self._known:
            self._known[key] = all(map(is_plain, _values(resources, kind)))
        return self._known[key]


def breaks_off(image: pikepdf.Object) -> bool:
    """Tell whether the data of an image end before the image does."""
    filters = image.get("/Filter")
    if isinstance(filters, pikepdf.Array) and len(filters) == 1:
        filters = filters[0]
    packed = image.read_raw_bytes()
    if filters == "/FlateDecode":
        unpacker, size = zlib.decompressobj(), 0
        try:
            while packed and size < MAX_DECODED_BYTES:
                size += len(unpacker.decompress(packed, 1 << 20))
                packed = unpacker.unconsumed_tail
        except zlib.error:
            return True
        return not packed and not unpacker.eof
    if filters == "/DCTDecode":  # Its last marker is "end of image".
        return packed.rfind(b"\xff\xd9") < packed.rfind(b"\xff\xda")
    if filters == "/CCITTFaxDecode":
        return _is_fax_cut_off(image.get("/DecodeParms"), packed)
    if filters == "/JPXDecode":
        return packed.rfind(b"\xff\xd9") < len(packed) // 2
    return False


def _is_fax_cut_off(parameters: pikepdf.Object | None, packed: bytes) -> bool:
    """Tell whether a fax of Group 4 lacks the code that ends it (ISO 32000-1, table 11)."""
    if isinstance(parameters, pikepdf.Array) and len(parameters) == 1:
        parameters = parameters[0]
    group: object = _get(parameters, "/K")
    ends: object = _get(parameters, "/EndOfBlock")
    if not isinstance(group, int) or group >= 0 or ends is False:
        return False
    return _END_OF_FAX not in "".join(f"{byte:08b}" for byte in packed[-64:])


def sizes_with_masks(images: Iterable[pikepdf.Object]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for the size of an image that of its mask where this is finer: it decides what is seen."""
    return {_size(image): max(map(_size, masks)) for image in images if (masks := _masks(image))}


def as_drawn(page: pikepdf.Page) -> pikepdf.Pdf:
    """Return a document of one page that says nothing but what it draws."""
    pdf = mended(page)
    copy = pdf.pages[0]
    streams = (copy.obj.Contents, *_forms(copy.resources, set()))
    for stream in streams:
        stream.write(stream.read_bytes().replace(_ACTUAL_TEXT, b"/NotToBeRead"))
    for resources in (copy.resources, *(form.get("/Resources") for form in streams[1:])):
        for properties in _values(resources, "/Properties"):
            if isinstance(properties, pikepdf.Dictionary) and _ACTUAL_TEXT.decode() in properties:
                del properties[_ACTUAL_TEXT.decode()]
    return pdf


def outlined(page: pikepdf.Page) -> pikepdf.Pdf:
    """Return a document of one page that draws a hairline around its letters.

    PDFium passes over a column of text that has no width, as it is where its glyphs are missing.
    """
    pdf = mended(page)
    content = pdf.pages[0].obj.Contents
    content.write(_HAIRLINE + content.read_bytes())
    return pdf


def _is_column_without_glyphs(font: pikepdf.Object) -> bool:
    """Tell whether a font writes from top to bottom and is not in the file."""
    encoding = _get(font, "/Encoding")
    is_vertical = isinstance(encoding, pikepdf.Name) and str(encoding).endswith(("-V", "/V"))
    return is_vertical and not _is_embedded(font)


def _replaces_letters(content: bytes, resources: pikepdf.Object | None) -> bool:
    """Tell whether letters are given for what is drawn, not only spaces and hyphens."""
    replacements = _REPLACEMENT.findall(content) if _ACTUAL_TEXT in content else ()
    texts: list[pikepdf.Object | None] = [pikepdf.Object.parse(text) for text in replacements]
    texts += [
        _get(properties, _ACTUAL_TEXT.decode()) for properties in _values(resources, "/Properties")
    ]
    return any(isinstance(text, pikepdf.String) and any(map(str.isalnum, str(text))) for text in texts)


def mended(page: pikepdf.Page) -> pikepdf.Pdf:
    """Return a document of one page, its damaged instructions replaced by what there is of them."""
    pdf = pikepdf.new()
    pdf.pages.append(page)
    copy = pdf.pages[0]
    content, _ = _content(pdf, copy.obj)
    copy.obj.Contents = pdf.make_stream(content)
    forms = list(_forms(copy.resources, set()))
    for form in forms:
        try:
            read_stream(form)
        except UnreadableError as error:
            form.write(error.recovered)
    for resources in (copy.resources, *(_get(form, "/Resources") for form in forms)):
        for image in filter(_lacks_colours, _values(resources, "/XObject")):
            with (
                suppress(OSError, Image.DecompressionBombError),
                Image.open(BytesIO(image.read_raw_bytes()), formats=("JPEG",)) as opened,
            ):
                image.ColorSpace = _COLOURS.get(opened.mode, pikepdf.Name.DeviceRGB)
    return pdf


def _lacks_colours(drawn: pikepdf.Object) -> bool:
    """Tell whether an image is a JPEG that only says itself which colours it has: PDFium draws none."""
    filters: object = _get(drawn, "/Filter")
    return filters == "/DCTDecode" and "/ColorSpace" not in drawn and "/ImageMask" not in drawn


def _forms(resources: pikepdf.Object | None, seen: set[tuple[int, int]]) -> Iterator[pikepdf.Object]:
    """Yield the forms that a page may draw, at every depth."""
    for drawn in _values(resources, "/XObject"):
        is_form = isinstance(drawn, pikepdf.Stream) and drawn.get("/Subtype") == "/Form"
        if is_form and drawn.objgen not in seen:
            seen.add(drawn.objgen)
            yield drawn
            yield from _forms(drawn.get("/Resources"), seen)


def _content(pdf: pikepdf.Pdf, page: pikepdf.Object) -> tuple[bytes, list[str]]:
    """Return the instructions of a page, and what of them cannot be read."""
    entry = page.get("/Contents")
    damaged = []
    parts = []
    if entry is None and _mentions(pdf, page, b"/Contents"):  # It leads nowhere.
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


def _mentions(pdf: pikepdf.Pdf, entry: pikepdf.Object, key: bytes) -> bool:
    """Tell whether a dictionary has a key, also one that qpdf leaves out, for it leads nowhere."""
    number, generation = entry.objgen
    head = re.compile(rb"\b%d\s+%d\s+obj\b(.*?)endobj" % (number, generation), re.DOTALL)
    try:
        with (
            Path(pdf.filename).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            versions = [found[1] for found in head.finditer(data)]
    except (OSError, ValueError):
        return False  # It is a copy that was made in memory.
    if versions:
        return key in versions[-1]
    return any(
        key in _packed(stream, number)
        for stream in pdf.objects
        if isinstance(stream, pikepdf.Stream) and stream.get("/Type") == "/ObjStm"
    )


def _packed(stream: pikepdf.Object, number: int) -> bytes:
    """Return what a stream of objects has of one (ISO 32000-1, 7.5.7), nothing where it has it not."""
    try:
        data, first = stream.read_bytes(), int(stream["/First"])
        head = list(map(int, data[:first].split()))
    except (pikepdf.PdfError, KeyError, TypeError, ValueError):
        return b""
    starts = dict(zip(head[::2], head[1::2], strict=False))
    if number not in starts:
        return b""
    ends = [start for start in starts.values() if start > starts[number]]
    return data[first + starts[number] : first + min(ends, default=len(data))]


class _Operators:
    """Where in some instructions which operators are.

    Attributes:
        counts: how many there are of each kind.
        have_frames: whether any was found that may cut something off.
        may_hide_text: whether text is shown in such a frame, or an area is painted after it.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.have_frames = self.may_hide_text = False
        self._parsed: dict[tuple[bytes, ...], tuple[float, ...]] = {}
        translated = b"\0" + content.translate(_BYTES) + bytes(4)
        data = np.frombuffer(translated, dtype=np.uint8)
        first = data[1:]
        starts = np.flatnonzero((data[:-5] == 0) & (data[1:-4] >= _MARK))
        # Two bytes from each place on.
        pairs = np.ndarray((first.size - 1,), "<u2", translated, offset=1, strides=(1,))
        codes = pairs[starts]
        kinds = _KINDS.take(codes)
        found = np.flatnonzero(kinds)
        starts, codes, kinds = starts[found], codes[found], kinds[found]
        third = first[2:].take(starts)
        is_whole = (codes < 1 << 8) | (third == 0)
        if (is_sc := kinds == _SC).any():
            is_scn = is_sc & (third == _N) & (first[3:].take(starts) == 0)
            kinds[is_scn] = _SCN
            is_whole |= is_scn
        self._starts: npt.NDArray[np.intp] = starts[is_whole]
        self._kinds: npt.NDArray[np.uint8] = kinds[is_whole]
        self.counts: list[int] = np.bincount(self._kinds, minlength=_FILL + len(_OPERANDS)).tolist()

    def names_drawn(self) -> Iterator[str]:
        """Yield the name of what each `Do` draws, with its slash."""
        for start in self._starts[self._kinds == _DO].tolist():
            if name := _NAME_BEFORE.search(self._content, max(0, start - 130), start):
                yield "/" + name[1].decode("latin-1")

    def draw_unseen_text(self, size: tuple[float, ...], *, has_inks: bool) -> bool:
        """Tell whether text may be shown in a light colour or in a way that paints nothing.

        What frames may cut off, and areas that are painted later may cover, is found on the way.

        Args:
            size: width and height of the page.
            has_inks: whether a colour may be the amount of an ink, of which little is light.
        """
        (kept,) = np.nonzero(self._kinds >= _RECTANGLE)
        kinds = self._kinds[kept]
        again = kinds == _SHOW
        again[1:] &= again[:-1]  # What is shown right after other text is shown in the same way.
        again[:1] = False
        kept = kept[~again]
        is_hidden = is_light = is_cut = has_text = False
        saved: list[tuple[bool, bool, bool]] = []
        before = rectangle = 0
        for start, kind in zip(self._starts[kept].tolist(), self._kinds[kept].tolist(), strict=True):
            if kind == _RECTANGLE:
                rectangle = start
            elif kind == _SHOW:
                has_text = True
                self.may_hide_text |= is_cut
                if is_hidden or is_light:
                    return True
            elif kind == _SAVE:
                saved.append((is_hidden, is_light, is_cut))
            elif kind == _RESTORE:
                is_hidden, is_light, is_cut = saved.pop() if saved else (False, False, False)
            elif kind == _MODE:
                is_hidden = self._operands(start, 1) in ((3.0,), (7.0,))
            elif kind >= _FILL:
                is_light = self._is_light(start, _MOST_OPERANDS[kind])
                if has_inks and kind in (_SC, _SCN):
                    is_light |= (
                        max(self._operands(start, _MOST_OPERANDS[kind]), default=1) <= 1 - _LIGHT
                    )
            elif kind == _CLIP or has_text:
                sides = self._operands(rectangle, 2) if before == _RECTANGLE else self._spanned(start)
                if kind == _CLIP:
                    is_cut |= _is_smaller(sides, size)
                    self.have_frames |= is_cut
                else:
                    self.may_hide_text |= min(map(abs, sides), default=0) >= _LINE_HEIGHT
            before = kind
        return False

    def _spanned(self, start: int) -> tuple[float, ...]:
        """Return width and height of the straight lines before an operator, nothing where none are."""
        words = self._content[max(0, start - _MOST_BYTES_OF_PATH) : start].split()
        xs, ys = [], []
        for at in range(len(words) - 1, 1, -1):
            if words[at] in _PATH_ENDED:
                break
            if words[at] in _CORNERS:
                try:
                    x, y = float(words[at - 2]), float(words[at - 1])
                except ValueError:
                    break
                xs.append(x)
                ys.append(y)
        return (max(xs) - min(xs), max(ys) - min(ys)) if xs else ()

    def _is_light(self, start: int, most: int) -> bool:
        values = self._operands(start, most)
        if len(values) == 4:
            return max(values) <= 1 - _LIGHT
        return bool(values) and min(values) >= _LIGHT

    def _operands(self, start: int, most: int) -> tuple[float, ...]:
        """Return the numbers before an operator, at most so many, the last one first."""
        words = tuple(self._content[max(0, start - 60) : start].rsplit(None, most)[-most:])
        if words not in self._parsed:
            numbers = []
            for word in reversed(words):
                try:
                    numbers.append(float(word))
                except ValueError:
                    break
            self._parsed[words] = tuple(numbers)
        return self._parsed[words]


def _get(entry: pikepdf.Object | None, *keys: str) -> pikepdf.Object | None:
    """Return what lies at the end of some keys, None where there is nothing."""
    for key in keys:
        if not isinstance(entry, _WITH_KEYS):
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
    packed = image.get("/Length", 0)
    # What a small image cannot need makes it larger than it says: JPEG has its own size.
    return (isinstance(packed, int) and packed > _MANY_BYTES) or any(
        min(size) >= _SHORT_SIDE and max(size) >= _LONG_SIDE
        for size in map(_size, (image, *_masks(image)))
    )


def _masks(image: pikepdf.Object) -> list[pikepdf.Object]:
    """Return the masks of an image, which may be what shows letters: the image is their ink."""
    masks = (image.get(key) for key in ("/SMask", "/Mask"))
    return [mask for mask in masks if isinstance(mask, pikepdf.Stream)]


def _size(image: pikepdf.Object) -> tuple[int, int]:
    """Return width and height in pixels, or a large size where they are no numbers."""
    try:
        return int(image.get("/Width", 0)), int(image.get("/Height", 0))
    except (TypeError, ValueError):
        return _UNKNOWN_SIZE


def _extent(box: pikepdf.Object | None) -> tuple[float, ...]:
    """Return width and height of a box; nothing where it has none."""
    try:
        left, bottom, right, top = map(float, box or ())
    except (TypeError, ValueError):
        return ()
    return abs(right - left), abs(top - bottom)


def _is_smaller(sides: tuple[float, ...], others: tuple[float, ...]) -> bool:
    """Tell whether an area is smaller than another, which way round either may lie."""
    if len(sides) != 2 or len(others) != 2:  # One of them has no size.
        return False
    first, second = map(abs, sides)
    return min(first, second) < _NEARLY_WHOLE * min(others) or (
        max(first, second) < _NEARLY_WHOLE * max(others)
    )


def _is_shading(pattern: pikepdf.Object) -> bool:
    """Tell whether a pattern fills areas with colours, not with a drawing of its own."""
    return _get(pattern, "/PatternType") != 1


def _adds_light(space: pikepdf.Object) -> bool:
    """Tell whether a space of colours is none of inks: 0 is dark there."""
    return not isinstance(space, pikepdf.Array) or space[0] not in ("/Separation", "/DeviceN")


def _is_opaque(state: pikepdf.Object) -> bool:
    """Tell whether a state of graphics neither hides what is filled nor gives it another shape."""
    opacity = _get(state, "/ca")
    is_opaque = opacity is None or float(opacity) >= 1 - _LIGHT
    return is_opaque and not isinstance(_get(state, "/SMask"), pikepdf.Dictionary)


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
