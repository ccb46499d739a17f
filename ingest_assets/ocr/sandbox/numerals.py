"""Numbers as lists show them: in digits, in letters, in Roman numerals.

Belongs here: the forms that Word names, which other formats have, too. Does not belong here: counting.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# From the digits of ASCII to those that are as wide as Chinese characters.
_FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}

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


_ONES = (
    *("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven"),
    *("Twelve", "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen"),
)
_TENS = ("Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety")
_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"},
    **{"nine": "ninth", "twelve": "twelfth"},
}


def _in_words(count: int) -> str:
    """Return a number below a million in English words, as Word does: One, Twenty-one."""
    if not 0 <= count < 1_000_000:
        return str(count)
    if count < len(_ONES):
        return _ONES[count]
    if count < 100:
        tens, rest = _TENS[count // 10 - 2], count % 10
        return f"{tens}-{_ONES[rest].lower()}" if rest else tens
    unit, name = (1000, "thousand") if count >= 1000 else (100, "hundred")
    words = f"{_in_words(count // unit)} {name}"
    return f"{words} {_in_words(count % unit).lower()}" if count % unit else words


def _ordinal_in_words(count: int) -> str:
    words = _in_words(count)
    head, last = words[: -len(re.split("[ -]", words)[-1])], re.split("[ -]", words)[-1]
    ordinal = _ORDINALS.get(last.lower(), re.sub("y$", "ie", last) + "th")
    return head + (ordinal if head else ordinal.capitalize())


def _ordinal(count: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th …"""
    last = 0 if count % 100 in (11, 12, 13) else count % 10
    return f"{count}{({1: 'st', 2: 'nd', 3: 'rd'}).get(last, 'th')}"


_FORMS: dict[str, Callable[[int], str]] = {
    "lowerLetter": _letters,
    "upperLetter": lambda count: _letters(count).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda count: _roman(count).upper(),
    "decimalZero": lambda count: f"{count:02}",
    "ordinal": _ordinal,
    "cardinalText": _in_words,
    "ordinalText": _ordinal_in_words,
    "numberInDash": lambda count: f"- {count} -",
    "hex": lambda count: f"{count:X}",
    "decimalFullWidth": lambda count: str(count).translate(_FULL_WIDTH),
    "decimalEnclosedCircle": lambda count: chr(0x245F + count) if 0 < count <= 20 else str(count),
    "decimalEnclosedParen": lambda count: chr(0x2473 + count) if 0 < count <= 20 else f"({count})",
    "decimalEnclosedFullstop": lambda count: f"{count}.",
    "chicago": lambda count: "*†‡§"[(count - 1) % 4] * ((count - 1) // 4 % 9 + 1),
    "none": lambda count: "",
}


def written(form: str, count: int) -> str:
    """Return a number in one of the forms that Word names; in digits where there is no such form."""
    return _FORMS.get(form, str)(count)
