"""Numbers as lists show them: in digits, in letters, in Roman numerals.

Belongs here: the forms that Word names, which other formats have, too. Does not belong here: counting.
"""

from __future__ import annotations

from collections.abc import Callable

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


def _letters(count: int) -> str:
    """Return a, b … z, aa, bb … as Word does."""
    return chr(ord("a") + (count - 1) % 26) * min((count - 1) // 26 + 1, 30) if count > 0 else ""


def _roman(count: int) -> str:
    written = ""
    for value, letters in _ROMAN if count < 100_000 else ():
        times, count = divmod(count, value)
        written += letters * times
    return written


_FORMS: dict[str, Callable[[int], str]] = {
    "lowerLetter": _letters,
    "upperLetter": lambda count: _letters(count).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda count: _roman(count).upper(),
    "decimalZero": lambda count: f"{count:02}",
    "none": lambda count: "",
}


def written(form: str, count: int) -> str:
    """Return a number in one of the forms that Word names; in digits where there is no such form."""
    return _FORMS.get(form, str)(count)
