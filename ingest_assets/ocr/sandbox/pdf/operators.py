"""Which operators there are in instructions, and in what state they show text.

Belongs here: picking operators and their operands out of the bytes, and following the state of graphics
from one to the next. Does not belong here: what the resources are that they name (`instructions`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# An area that is less high, in units of the page, covers no line; a frame that is less wide or high
# than this share of the page may cut one off.
_LINE_HEIGHT, _NEARLY_WHOLE = 4, 0.9
_CORNERS, _PATH_ENDED = (b"m", b"l"), frozenset(b"n f f* B B* S Q q cm gs".split())
_MOST_BYTES_OF_PATH = 500

# Text in a lighter colour than this, 0 black to 1 white, may be invisible on paper.
LIGHT = 0.8

_NAME_BEFORE = re.compile(rb"/([^\0\t\n\f\r ()<>\[\]{}/%]+)[\0\t\n\f\r ]+$")

# The kinds of operators that matter. Those from `FILL` on set the colour of text, and take so many
# operands at most.
(
    CURVE, LINE, INLINE, STATE, _DO, _RECTANGLE, PAINT, _CLIP, _SAVE, _RESTORE, _MODE, SHOW, FILL
) = range(1, 14)  # fmt: skip
_OPERANDS = {"g": 1, "rg": 3, "k": 4, "sc": 4, "scn": 4}
_OPERATORS = {
    CURVE: "c v y", LINE: "l", INLINE: "BI", STATE: "gs", _DO: "Do", _RECTANGLE: "re",
    PAINT: "f F f* B B* b b*", _CLIP: "W W*", _SAVE: "q", _RESTORE: "Q", _MODE: "Tr",
    SHOW: "Tj TJ ' \"",
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
_SC, _SCN = (FILL + list(_OPERANDS).index(_name) for _name in ("sc", "scn"))
_N = _BYTES[ord("n")]
_MOST_OPERANDS = dict(enumerate(_OPERANDS.values(), FILL))


@dataclass(frozen=True)
class Look:
    """How some instructions show text.

    Attributes:
        is_unseen: whether they may show some in a light colour or in a way that paints nothing.
        has_frames: whether a frame may cut off something of what they draw.
        may_be_hidden: whether text is shown in such a frame, or an area is painted after it.
    """

    is_unseen: bool
    has_frames: bool
    may_be_hidden: bool


class Operators:
    """Where in some instructions which operators are.

    Attributes:
        counts: how many there are of each kind.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
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
        self.counts: list[int] = np.bincount(self._kinds, minlength=FILL + len(_OPERANDS)).tolist()

    def names_drawn(self) -> Iterator[str]:
        """Yield the name of what each `Do` draws, with its slash."""
        for start in self._starts[self._kinds == _DO].tolist():
            if name := _NAME_BEFORE.search(self._content, max(0, start - 130), start):
                yield "/" + name[1].decode("latin-1")

    def look(self, size: tuple[float, ...], *, has_inks: bool) -> Look:
        """Tell how text is shown, as far as the first that may be unseen in itself.

        Args:
            size: width and height of the page.
            has_inks: whether a colour may be the amount of an ink, of which little is light.
        """
        (kept,) = np.nonzero(self._kinds >= _RECTANGLE)
        kinds = self._kinds[kept]
        again = kinds == SHOW
        again[1:] &= again[:-1]  # What is shown right after other text is shown in the same way.
        again[:1] = False
        kept = kept[~again]
        is_hidden = is_light = is_cut = has_text = has_frames = may_be_hidden = False
        saved: list[tuple[bool, bool, bool]] = []
        before = rectangle = 0
        for start, kind in zip(self._starts[kept].tolist(), self._kinds[kept].tolist(), strict=True):
            if kind == _RECTANGLE:
                rectangle = start
            elif kind == SHOW:
                has_text = True
                may_be_hidden |= is_cut
                if is_hidden or is_light:
                    return Look(True, has_frames, may_be_hidden)
            elif kind == _SAVE:
                saved.append((is_hidden, is_light, is_cut))
            elif kind == _RESTORE:
                is_hidden, is_light, is_cut = saved.pop() if saved else (False, False, False)
            elif kind == _MODE:
                is_hidden = self._operands(start, 1) in ((3.0,), (7.0,))
            elif kind >= FILL:
                is_light = self._is_light(start, _MOST_OPERANDS[kind])
                if has_inks and kind in (_SC, _SCN):
                    is_light |= max(self._operands(start, _MOST_OPERANDS[kind]), default=1) <= 1 - LIGHT
            elif kind == _CLIP or has_text:
                sides = self._operands(rectangle, 2) if before == _RECTANGLE else self._spanned(start)
                if kind == _CLIP:
                    is_cut |= is_smaller(sides, size)
                    has_frames |= is_cut
                else:
                    may_be_hidden |= min(map(abs, sides), default=0) >= _LINE_HEIGHT
            before = kind
        return Look(False, has_frames, may_be_hidden)

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
            return max(values) <= 1 - LIGHT
        return bool(values) and min(values) >= LIGHT

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


def is_smaller(sides: tuple[float, ...], others: tuple[float, ...]) -> bool:
    """Tell whether an area is smaller than another, which way round either may lie."""
    if len(sides) != 2 or len(others) != 2:  # One of them has no size.
        return False
    first, second = map(abs, sides)
    return min(first, second) < _NEARLY_WHOLE * min(others) or (
        max(first, second) < _NEARLY_WHOLE * max(others)
    )
