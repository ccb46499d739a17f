"""Numbers as a spreadsheet shows them: dates, percentages, currencies.

Belongs here: number formats as Excel writes them (ECMA-376, part 1, 18.8.30), and what is said of
numbers that are not in the file. Does not belong here: finding out which cell has which.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache

from ingest_assets.notes import Note

# Also where results are stored: programs that fill a template leave those of the template, or write 0.
NOT_WORKED_OUT = Note(
    "content_unreadable",
    "results of formulas, which a program works out when it opens the file: what stands in their place "
    "was read, the formulas or other numbers",
)

IN_ENGLISH = Note(
    "content_unreadable",
    "names of months and days that show in another language are English here",
)

# Formats that files name by number only. Those of dates differ by country: here as ISO 8601 has them.
BUILT_IN = {
    **{1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00"},
    **{12: "# ?/?", 13: "# ??/??"},
    **{14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM"},
    **{19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm"},
    **{37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00", 41: "#,##0", 42: "#,##0"},
    **{43: "#,##0.00", 44: "#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 49: "@"},
    **{5: "#,##0", 6: "#,##0", 7: "#,##0.00", 8: "#,##0.00", 48: "##0.0E+0"},
    # Of Excel in Chinese, Japanese and Korean: some are times in one language and dates in another.
    **dict.fromkeys((*range(27, 37), *range(50, 59)), "[<1]h:mm:ss;yyyy-mm-dd"),
}
# The language of a date, by Windows' number or by its name, and what it shows of months and days.
_LANGUAGE = re.compile(r"\[\$[^\]-]*-(?:([0-9A-F]{3,8})|([A-Z]{2,3})-[A-Z-]+)[^\]]*\]", re.IGNORECASE)
_NAMES = re.compile("mmm|ddd|aaa", re.IGNORECASE)
_ENGLISH, _OF_SYSTEM = 0x09, 0xF000
_QUOTED = re.compile(
    r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[(?![hms]+\])[^\]]*\]|[\ue000-\uf8ff]',
    re.IGNORECASE,
)
_DATE = re.compile(
    r"AM/PM|A/P|上午/下午|g+|aaaa?|\[h+\]|\[m+\]|\[s+\]|yyyy|yy|e+|mmmmm|mmmm|mmm|mm|m|dddd|ddd|dd|d|hh|h|ss|s|\.0+",
    re.IGNORECASE,
)
_FRACTION = re.compile(r"(?P<whole>[#0?]+ +)?[#0?]+ */ *(?P<below>[#?0-9]+)")
_NUMBER = re.compile(r"[0#?,]+(?:\.[0#?]*,*)?(?:E[+-][0#?]+)?|\.[0#?]+")
_GENERAL = re.compile(r"general|^\s*standard\s*$", re.IGNORECASE)
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)\]")
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    **{"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    **{"=": operator.eq, "<>": operator.ne},
}
# No number has more figures.
_EXACT = Context(prec=400)
# Places for figures with something in between that is no point.
_PLACES = re.compile(r"[^0#?.,E]*[0#?]+(?:[^0#?.,E]+[0#?]+)+[^0#?.,E]*")
# In the place of a literal stands a private character of its number.
_FIRST_LITERAL, _LAST_LITERAL = 0xE000, 0xF8FF
_LITERALS = re.compile(f"[{chr(_FIRST_LITERAL)}-{chr(_LAST_LITERAL)}]")


def shown(value: float, code: str, *, since_1904: bool = False) -> str:
    """Return a number as a cell of that format shows it.

    Args:
        code: the format, such as `#,##0.00 "EUR"`; empty or `General` where there is none.
        since_1904: whether days are counted from 1904 on, and not from 1900.
    """
    if not math.isfinite(value):
        return str(value)
    sections = code.split(";") if '"' not in code else re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)
    section, value = _section(value, sections)
    if len(sections) > 1 and not section.strip():
        return ""  # So a format says that a number does not show.
    plain, literals = _without_literals(section)
    if not plain.strip("@"):
        text = _general(value) if plain.strip() or not literals else plain
    elif _GENERAL.search(plain):
        text = ("-" if value < 0 else "") + _GENERAL.sub(_general(abs(value)), plain, count=1)
    elif _is_date(plain):
        text = _date(value, plain, since_1904)
    elif fraction := _FRACTION.search(plain):
        text = _fraction(value, fraction)
    else:
        number = _in_places(value, plain) if _PLACES.fullmatch(plain) else None
        text = number or _NUMBER.sub(lambda found: _number(value, found[0], plain), plain, count=1)
        if value < 0:
            text = f"-{text}"
    return _LITERALS.sub(lambda found: literals[ord(found[0]) - _FIRST_LITERAL], text).strip()


@lru_cache(maxsize=512)
def is_in_another_language(code: str) -> bool:
    """Tell whether a format shows names of months or days that are not English, as `shown` has them."""
    language = _LANGUAGE.search(code)
    if language is None or not _NAMES.search(_without_literals(code)[0]):
        return False
    if language[2]:
        return language[2].lower() != "en"
    number = int(language[1], 16) & 0xFFFF
    return number < _OF_SYSTEM and number & 0xFF != _ENGLISH


def _section(value: float, sections: Sequence[str]) -> tuple[str, float]:
    """Return the section of a format that is for a number, and the number as it shows it."""
    conditions = [_CONDITION.search(section) for section in sections]
    if any(conditions):
        for section, condition in zip(sections, conditions, strict=True):
            if condition is None or _HOLDS[condition[1]](value, float(condition[2])):
                return section, value
    if len(sections) > 1 and value < 0:
        return sections[1], -value
    return sections[2 if len(sections) > 2 and value == 0 else 0], value


@lru_cache(maxsize=512)
def _without_literals(section: str) -> tuple[str, tuple[str, ...]]:
    """Return a format with marks in the place of what stands in it literally, and that."""
    literals: list[str] = []

    def mark(found: re.Match[str]) -> str:
        literal = next((group for group in found.groups() if group), "")
        if not literal or len(literals) > _LAST_LITERAL - _FIRST_LITERAL:
            return ""
        literals.append(literal)
        return chr(_FIRST_LITERAL + len(literals) - 1)

    return _QUOTED.sub(mark, section), tuple(literals)


@lru_cache(maxsize=512)
def _is_date(plain: str) -> bool:
    return bool(re.search(r"[ymdhs]", _LITERALS.sub("", plain), re.IGNORECASE))


def _fraction(value: float, pattern: re.Match[str]) -> str:
    """Return a number as a fraction, with the denominator that is stated or the nearest that fits."""
    stated = pattern["below"]
    sign, value = ("-" if value < 0 else ""), abs(value)
    if stated.isdecimal() and stated.strip("0"):
        above, below = round(value * int(stated)), int(stated)
    else:
        nearest = Fraction(value).limit_denominator(10 ** min(len(stated), 4) - 1)
        above, below = nearest.numerator, nearest.denominator
    whole, above = divmod(above, below) if pattern["whole"] else (0, above)
    pieces = [str(whole)] if whole or not above else []
    return sign + " ".join([*pieces, f"{above}/{below}"] if above else pieces)


def _in_places(value: float, plain: str) -> str:
    """Return a whole number, each figure in its place, as telephone numbers are shown."""
    figures = list(f"{_rounded(abs(value) * 100 ** plain.count('%'), 0):f}")
    places = [at for at, sign in enumerate(plain) if sign in "0#?"]
    pieces = list(plain)
    for at in reversed(places):
        pieces[at] = figures.pop() if figures else "0" if plain[at] == "0" else ""
    pieces[places[0]] = "".join(figures) + pieces[places[0]]
    return "".join(pieces)


def _general(value: float) -> str:
    return f"{value:.15g}" if abs(value) < 1e15 else f"{value:.6g}"


def _number(value: float, pattern: str, section: str) -> str:
    scaled = abs(value) * 100 ** section.count("%")
    mantissa, _, exponent = pattern.partition("E")
    whole, _, fraction = mantissa.partition(".")
    for _ in range(len(mantissa) - len(mantissa.rstrip(","))):  # In thousands.
        scaled /= 1000
    whole, fraction = whole.rstrip(","), fraction.rstrip(",")
    if exponent:
        return f"{scaled:.{len(fraction)}E}"
    rounded = _rounded(scaled, len(fraction))
    if not rounded and "0" not in pattern:
        return ""
    text = f"{rounded:{',' if ',' in whole else ''}f}"
    least = len(fraction.rstrip("#?"))
    while "." in text and text.endswith("0") and len(text.partition(".")[2]) > least:
        text = text[:-1]
    digits = whole.replace(",", "").lstrip("#?")
    return text.removesuffix(".").zfill(len(digits)) if "," not in whole else text.removesuffix(".")


def _rounded(value: float, places: int) -> Decimal:
    """Round as programs for spreadsheets do: of 15 figures, halves upwards."""
    exact = Decimal(f"{value:.15g}")
    return exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)


def _date(value: float, plain: str, since_1904: bool) -> str:
    start = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30)
    if not since_1904 and value < 60:  # Lotus 1-2-3 took 1900 for a leap year, and so does Excel.
        start += timedelta(days=1)
    try:
        fraction = ".0" in plain
        moment = start + timedelta(seconds=round(value * 86_400, 3 if fraction else 0))
    except OverflowError:
        return _general(value)
    tokens = _DATE.findall(plain)
    folded = [token.lower() for token in tokens]
    half_days = any(token in ("am/pm", "a/p", "上午/下午") for token in folded)
    place = -1
    # Minutes stand behind hours or before seconds; behind a day they are months, even before an hour.
    before = ("", *(token.strip("[]")[0] for token in folded))
    after = (*before[2:], "")

    def part(found: re.Match[str]) -> str:
        nonlocal place
        place += 1
        token = folded[place]
        if token in ("m", "mm") and (before[place] == "h" or after[place] == "s"):
            return f"{moment.minute:0{len(token)}d}"
        return _date_part(token, moment, value, half_days)

    return _DATE.sub(part, plain)


def _date_part(token: str, moment: datetime, value: float, half_days: bool) -> str:
    if token.startswith("["):
        seconds = value * 86_400
        unit = {"h": 3600, "m": 60, "s": 1}[token[1]]
        return f"{int(round(seconds) // unit):0{len(token) - 2}d}"
    if token.startswith("."):
        return f"{moment.microsecond / 1e6:.{len(token) - 1}f}"[1:]
    hour = (moment.hour % 12 or 12) if half_days else moment.hour
    numbers = {"y": moment.year, "m": moment.month, "d": moment.day, "h": hour, "s": moment.second}
    named = {
        **{"yyyy": f"{moment.year}", "yy": f"{moment.year % 100:02d}", "mmm": f"{moment:%b}"},
        **{"mmmm": f"{moment:%B}", "mmmmm": f"{moment:%b}"[0], "ddd": f"{moment:%a}"},
        **{"dddd": f"{moment:%A}", "am/pm": f"{moment:%p}", "a/p": f"{moment:%p}"[0]},
        **{
            "aaa": f"{moment:%a}",
            "aaaa": f"{moment:%A}",
            "上午/下午": "上下"[moment.hour // 12] + "午",
        },
    }
    if token in named:
        return named[token]
    if token.startswith("g"):  # An era; its years are shown as those of our calendar.
        return ""
    return f"{moment.year}" if token.startswith("e") else f"{numbers[token[0]]:0{len(token)}d}"
