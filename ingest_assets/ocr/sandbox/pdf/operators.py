"""Which operators there are in instructions, and in what state they show text.

Belongs here: picking operators and their operands out of the bytes, and following the state of graphics
from one to the next. Does not belong here: what the resources are that they name (`instructions`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# An area that is less high, in units of the page, covers no line; a frame that is less wide or high
# than this share of the page may cut one off.
_LINE_HEIGHT, _NEARLY_WHOLE = 4, 0.9

# Images that are less wide and high are bullets.
_ICON = 16
_PATH_ENDED = frozenset(b"n f f* B B* S Q q cm gs".split())

# How many numbers, two a point, these parts of a path take.
_POINTS = {b"m": 2, b"l": 2, b"v": 4, b"y": 4, b"c": 6}
_MOST_BYTES_OF_PATH, _MOST_WORDS_OF_PATH, _MOST_BYTES_OF_NUMBERS = 500, 70, 90

# Text in a lighter colour than this, 0 black to 1 white, may be invisible on paper.
LIGHT = 0.8

# Text is hard to see on an area that differs less from it, 0 to 1.
_ALIKE = 0.1

# The ways to show text that fill it.
_FILLED = ((0.0,), (2.0,))

_NAME_BEFORE = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]+)[\0\t\n\f\r ]+$")

# The kinds of operators that matter. Those from `_INLINE` on are followed one by one; those from `FILL`
# on set the colour of text, and take so many operands at most.
(
    CURVE, LINE, STATE, INLINE, _DO, _RECTANGLE, PAINT, _STROKE, SHADE, _CLIP, _SAVE, _RESTORE, _MATRIX,
    _WIDTH, _MODE, SHOW, FILL
) = range(1, 18)  # fmt: skip

# What may be of light colours: areas, and shadings, from some of which text in one colour stands out.
_PALE = (PAINT, SHADE)
_OPERANDS = {"g": 1, "rg": 3, "k": 4, "cs": 0, "sc": 4, "scn": 4}
_OPERATORS = {
    CURVE: "c v y", LINE: "l", STATE: "gs", INLINE: "BI", _DO: "Do", _RECTANGLE: "re",
    PAINT: "f F f* B B* b b*", _STROKE: "S s", SHADE: "sh", _CLIP: "W W*", _SAVE: "q", _RESTORE: "Q",
    _MATRIX: "cm", _WIDTH: "w", _MODE: "Tr", SHOW: "Tj TJ ' \"",
    **dict(enumerate(_OPERANDS, FILL)),
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
_CS, _SC, _SCN = (FILL + list(_OPERANDS).index(_name) for _name in ("cs", "sc", "scn"))
_N = _BYTES[ord("n")]
_MOST_OPERANDS = dict(enumerate(_OPERANDS.values(), FILL))


@dataclass(frozen=True)
class Look:
    """How some instructions show text.

    Attributes:
        is_unseen: whether they may show some in a light colour or in a way that does not fill it.
        may_be_hidden: whether a frame may cut off text, an area cover it, or have its colour.
    """

    is_unseen: bool
    may_be_hidden: bool


@dataclass(frozen=True)
class Drawn:
    """The names of what `Do` draws.

    Attributes:
        texts: forms that show text.
        areas: forms that paint.
        images: small images, which hold no letters.
    """

    texts: set[str] = field(default_factory=set)
    areas: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)


# Where the last `cm` is, and the same of those before it.
_Matrices = tuple[int, "_Matrices"] | None


class Operators:
    """Where in some instructions which operators are.

    Attributes:
        counts: how many there are of each kind.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._parsed: dict[tuple[bytes, ...], tuple[float, ...]] = {}
        self._matrices: dict[int, tuple[float, float, float, float]] = {}
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
        self.counts: list[int] = np.bincount(self._kinds, minlength=FILL + len(_OPERANDS)).tolist()

    def names_drawn(self) -> Iterator[str]:
        """Yield the name of what each `Do` draws, with its slash."""
        for start in self._starts[self._kinds == _DO].tolist():
            if name := self._name(start):
                yield name

    @property
    def draw(self) -> bool:
        """Whether they draw anything."""
        return any(self.counts[kind] for kind in (PAINT, _STROKE, SHADE, INLINE, _DO, SHOW))

    def look(self, size: tuple[float, ...], drawn: Drawn, *, has_odd_colours: bool) -> Look:
        """Tell how text is shown.

        Args:
            size: width and height of the page.
            has_odd_colours: whether the numbers of a colour may be no amounts of light.
        """
        (kept,) = np.nonzero(self._kinds >= INLINE)
        kinds = self._kinds[kept]
        again = kinds == SHOW
        again[1:] &= again[:-1]  # What is shown right after other text is shown in the same way.
        again[:1] = False
        kept = kept[~again]
        is_hidden = is_cut = has_text = is_unseen = may_be_hidden = False
        lightness, width = 0.0, 0
        matrices: _Matrices = None
        beginning = is_hidden, is_cut, lightness, width, matrices
        saved: list[tuple[bool, bool, float, int, _Matrices]] = []
        grounds: set[float] = set()
        before = rectangle = 0
        for start, kind in zip(self._starts[kept].tolist(), self._kinds[kept].tolist(), strict=True):
            if kind == _RECTANGLE:
                rectangle = start
            elif kind == SHOW or (kind == _DO and self._name(start) in drawn.texts):
                has_text = True
                may_be_hidden |= is_cut or bool(grounds and _has_like(grounds, lightness))
                is_unseen |= is_hidden or lightness >= LIGHT
            elif kind == _SAVE:
                saved.append((is_hidden, is_cut, lightness, width, matrices))
            elif kind == _RESTORE:
                is_hidden, is_cut, lightness, width, matrices = saved.pop() if saved else beginning
            elif kind == _MATRIX:
                matrices = start, matrices
            elif kind == _WIDTH:
                width = start
            elif kind == _MODE:
                is_hidden = self._operands(start, 1) not in _FILLED
            elif kind >= FILL:
                lightness = self._lightness(start, kind, has_odd_colours=has_odd_colours)
            elif kind == _CLIP:
                is_cut = (
                    is_cut
                    or may_be_hidden
                    or is_smaller(self._path(before, rectangle, start, matrices), size)
                )
            elif not may_be_hidden and (
                has_text or kind not in _PALE or (kind == PAINT and lightness < LIGHT)
            ):
                # Light areas after text may be strips that cover it together; tables have dark ones.
                covers = (
                    (has_text and lightness >= LIGHT)
                    or _is_high(self._path(before, rectangle, start, matrices))
                    if kind == PAINT
                    else self._covers(kind, start, drawn, width, matrices)
                )
                if covers:
                    may_be_hidden = has_text
                    grounds.add(lightness if kind == PAINT else math.nan)
            before = kind
        return Look(is_unseen, may_be_hidden)

    def _path(self, before: int, rectangle: int, start: int, matrices: _Matrices) -> tuple[float, ...]:
        """Return width and height of the path that an operator ends."""
        sides = self._operands(rectangle, 2) if before == _RECTANGLE else self._spanned(start)
        return sides if matrices is None else self._scaled(sides, matrices)

    def _covers(self, kind: int, start: int, drawn: Drawn, width: int, matrices: _Matrices) -> bool:
        """Tell whether what an operator draws that fills no path may cover a word."""
        if kind == _STROKE:
            thickness = self._operands(width, 1) or (1.0,)
            return _is_high(self._scaled(2 * thickness, matrices))
        name = self._name(start) if kind == _DO else ""
        if kind == INLINE or name in drawn.images:
            sides = self._scaled((1.0, 1.0), matrices)
            return _is_high(sides) and max(map(abs, sides)) >= _ICON
        return kind == SHADE or name in drawn.areas

    def _name(self, start: int) -> str:
        """Return the name before an operator, with its slash; nothing where there is none."""
        name = _NAME_BEFORE.search(self._content, max(0, start - 130), start)
        return "/" + name[1].decode("latin-1") if name else ""

    def _lightness(self, start: int, kind: int, *, has_odd_colours: bool) -> float:
        """Return how light a colour may be, 0 black to 1 white."""
        if kind == _CS or (has_odd_colours and kind >= _CS):
            return float(has_odd_colours)
        values = self._operands(start, _MOST_OPERANDS[kind])
        if len(values) == 4:
            return 1 - max(values)
        return min(values, default=1.0)  # A pattern has a name.

    def _scaled(self, sides: tuple[float, ...], matrices: _Matrices) -> tuple[float, ...]:
        """Return sides as long as they are on the page; nothing where they are not two."""
        if matrices is None or len(sides) != 2:
            return sides[:2]
        a, b, c, d = self._matrix(matrices)
        return sides[0] * math.hypot(a, b), sides[1] * math.hypot(c, d)

    def _matrix(self, matrices: _Matrices) -> tuple[float, float, float, float]:
        """Return what several matrices amount to, but for where they move things."""
        if matrices is None:
            return 1.0, 0.0, 0.0, 1.0
        start, outer = matrices
        if (known := self._matrices.get(start)) is None:
            e, f, g, h = self._matrix(outer)
            numbers = self._operands(start, 6)
            d, c, b, a = numbers[2:] if len(numbers) == 6 else (1.0, 0.0, 0.0, 1.0)
            known = a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h
            self._matrices[start] = known
        return known

    def _spanned(self, start: int) -> tuple[float, ...]:
        """Return width and height of the path before an operator, nothing where none is."""
        words = self._content[max(0, start - _MOST_BYTES_OF_PATH) : start].rsplit(
            None, _MOST_WORDS_OF_PATH
        )
        xs: list[float] = []
        ys: list[float] = []
        for at in range(len(words) - 1, 1, -1):
            if words[at] in _PATH_ENDED:
                break
            if count := _POINTS.get(words[at]):
                try:
                    numbers = list(map(float, words[max(0, at - count) : at]))
                except ValueError:
                    break
                xs += numbers[-2::-2]
                ys += numbers[-1::-2]
        return (max(xs) - min(xs), max(ys) - min(ys)) if xs else ()

    def _operands(self, start: int, most: int) -> tuple[float, ...]:
        """Return the numbers before an operator, at most so many, the last one first."""
        words = tuple(
            self._content[max(0, start - _MOST_BYTES_OF_NUMBERS) : start].rsplit(None, most)[-most:]
        )
        if words not in self._parsed:
            numbers = []
            for word in reversed(words):
                try:
                    numbers.append(float(word))
                except ValueError:
                    break
            self._parsed[words] = tuple(numbers)
        return self._parsed[words]


def _is_high(sides: tuple[float, ...]) -> bool:
    """Tell whether an area is as high and wide as a line of text, or more."""
    return len(sides) == 2 and abs(sides[0]) >= _LINE_HEIGHT <= abs(sides[1])


def _has_like(grounds: set[float], lightness: float) -> bool:
    """Tell whether a ground is about as light as text, or may be so: nan is not known."""
    return any(not abs(ground - lightness) >= _ALIKE for ground in grounds)


def is_smaller(sides: tuple[float, ...], others: tuple[float, ...]) -> bool:
    """Tell whether an area is smaller than another, which way round either may lie."""
    if len(sides) != 2 or len(others) != 2:  # One of them has no size.
        return False
    first, second = map(abs, sides)
    return min(first, second) < _NEARLY_WHOLE * min(others) or (
        max(first, second) < _NEARLY_WHOLE * max(others)
    )
