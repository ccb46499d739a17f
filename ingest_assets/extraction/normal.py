"""The normalised value of a mention: the same for all mentions of one thing, made from its words alone.

`Acme, Inc.` and `THE ACME CO.` both become `acme`, and `$2.5 million` becomes `USD 2500000`. Belongs
here: a function for each type. It sees neither the document nor other mentions, so the order of
ingestion cannot change a value. Does not belong here: finding mentions, and names that are nearly alike
(`similar`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache

import pycountry
from cleanco import basename

# Values are indexed: an entry of a Postgres index has at most 2,704 bytes, and a character up to four.
MAX_CHARACTERS = 400

_SPACES = re.compile(r"\s+")
_NO_WORD = re.compile(r"[^\w\s&]|_")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CURRENCIES = {
    **{"$": "USD", "US$": "USD", "U.S.$": "USD", "DOLLARS": "USD", "C$": "CAD", "A$": "AUD"},
    **{"€": "EUR", "EUROS": "EUR", "£": "GBP", "¥": "JPY"},
}
_MAGNITUDES = {
    **{"hundred": 100, "thousand": 1_000, "k": 1_000},
    **{"million": 10**6, "m": 10**6, "mm": 10**6, "mn": 10**6},
    **{"billion": 10**9, "b": 10**9, "bn": 10**9, "trillion": 10**12},
}
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?P<year>1[6-9]\d\d|20\d\d)(?!\d)"
_GAP = r"[\s_]{1,4}"
# Dates, as expressions with groups: day, month and year, or first, second and year.
DATES = (
    rf"\b{_MONTH}{_GAP}{_DAY}(?:st|nd|rd|th)?\s{{0,2}},?\s{{0,4}}{_YEAR}",
    rf"\b{_DAY}\s{{0,2}}(?:st|nd|rd|th)?{_GAP}(?:day{_GAP}of{_GAP}|of{_GAP})?"
    rf"{_MONTH}\s{{0,2}},?\s{{0,4}}{_YEAR}",
    rf"\b{_MONTH},?{_GAP}(?:of{_GAP})?{_YEAR}",
    rf"(?<![\d/.-]){_YEAR}-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])(?![\d-])",
    r"(?<![\d/.-])(?P<first>\d{1,2})(?P<between>[/-])(?P<second>\d{1,2})(?P=between)"
    r"(?P<year>(?:19|20)\d\d|\d\d)(?![\d/-])",
)
_MAGNITUDE = r"(?:\s{0,2}-?(?P<magnitude>hundred|thousand|million|billion|trillion|mm|mn|bn|[kmb])\b)?"
_AMOUNT = r"(?P<amount>\d{1,3}(?:,\d{3}){1,6}(?:\.\d{1,4})?|\d{1,15}(?:\.\d{1,4})?)"
# Amounts of money, as expressions with the groups currency, amount and magnitude.
MONEY = (
    rf"(?P<currency>U\.?S\.?\s?\$|C\$|A\$|\$|€|£|¥|\b(?:USD|EUR|GBP|JPY|CHF|CAD|AUD)\b)\s{{0,2}}"
    rf"{_AMOUNT}(?![\d,]\d){_MAGNITUDE}",
    rf"(?<![\d.,$€£¥]){_AMOUNT}{_MAGNITUDE}\s{{1,2}}(?:U\.?S\.?\s)?(?P<currency>dollars|euros)\b",
)
_TITLES = frozenset(("mr", "mrs", "ms", "miss", "dr", "prof", "sir", "hon", "esq"))


def plain(text: str) -> str:
    """The text on one line, in Unicode's form NFKC, case folded: without layout and case."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()[:MAX_CHARACTERS]


def _words(text: str) -> list[str]:
    # Full stops and apostrophes are removed, other punctuation divides words: L.L.C. is llc, Bj's is
    # bjs.
    together = re.sub(r"[.'\u2019`\u00b4]", "", plain(text))
    return _NO_WORD.sub(" ", together).replace("&", " and ").split()


@lru_cache(maxsize=20_000)
def organization(text: str) -> str:
    """A name without its legal form, article and punctuation: `The Acme Co., Inc.` is `acme`."""
    name = _SPACES.sub(" ", text).strip()
    while (shorter := basename(name).strip(" ,;")) and shorter != name:
        name = shorter
    words = _words(name) or _words(text) or [plain(text)]
    if words[0] == "the":
        words = words[1:] or words
    while len(words) > 1 and words[-1] == "and":
        words.pop()
    return " ".join(words)[:MAX_CHARACTERS]


@lru_cache(maxsize=20_000)
def person(text: str) -> str:
    """A name without titles and middle initials: `Mr. John J. Donahoe II` is `john donahoe ii`."""
    words = [word for word in _words(text) if word not in _TITLES] or [plain(text)]
    kept = [word for place, word in enumerate(words) if place in (0, len(words) - 1) or len(word) > 1]
    return " ".join(kept)[:MAX_CHARACTERS]


def date_of(match: re.Match[str]) -> str | None:
    """The ISO date of a match of `DATES`: `2001-04-18`, or `2001-04` if it names no day.

    None for a date that does not exist, such as February 30.
    """
    parts = match.groupdict()
    year = _full_year(parts["year"])
    if "first" in parts:
        # Month first, as in the United States, unless the first number cannot be a month.
        month, day = int(parts["first"]), int(parts["second"])
        return _iso_date(year, month, day) or _iso_date(year, day, month)
    month_name, day_digits = parts["month"], parts.get("day")
    month = int(month_name) if month_name.isdigit() else _MONTHS.index(month_name[:3].lower()) + 1
    return _iso_date(year, month, int(day_digits) if day_digits else None)


def date_value(text: str) -> str | None:
    """The ISO date in a text, if there is one; for engines that find dates without reading them."""
    return _value(text, DATES, date_of, re.IGNORECASE)


def _iso_date(year: int, month: int, day: int | None) -> str | None:
    try:
        return date(year, month, day or 1).isoformat()[: 10 if day else 7]
    except ValueError:
        return None


def _full_year(digits: str) -> int:
    """The year of two or four digits; 69 to 99 are of the 20th century, as in POSIX."""
    year = int(digits)
    return year if len(digits) > 2 else year + (1900 if year >= 69 else 2000)


def money_of(match: re.Match[str]) -> str:
    """The amount of a match of `MONEY`: `USD 2500000` for `$2.5 million`; cents are kept."""
    currency = re.sub(r"[\s.]", "", match["currency"]).upper()
    magnitude = _MAGNITUDES.get((match["magnitude"] or "").lower(), 1)
    digits = f"{Decimal(match['amount'].replace(',', '')) * magnitude:f}"
    code = _CURRENCIES.get(currency, currency)
    return f"{code} {digits.rstrip('0').rstrip('.') if '.' in digits else digits}"


def money_value(text: str) -> str | None:
    """The amount of money in a text, as `money_of` writes it, if there is one."""
    return _value(text, MONEY, money_of)


def _value(
    text: str,
    patterns: tuple[str, ...],
    value: Callable[[re.Match[str]], str | None],
    flags: int = 0,
) -> str | None:
    for pattern in patterns:
        if match := re.search(pattern, text, flags):
            return value(match)
    return None


def percentage(amount: str) -> str:
    """The number without trailing zeros: `5.5` for `5.50 %`."""
    digits = f"{Decimal(amount):f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def url(text: str) -> str:
    """The address without scheme and `www.`, its host in lower case: `acme.com/Terms`."""
    address = re.sub(r"^https?://", "", text.strip(), flags=re.IGNORECASE)
    host, slash, path = address.partition("/")
    return (host.lower().removeprefix("www.") + slash + path).rstrip("/")[:MAX_CHARACTERS]


@lru_cache(maxsize=1)
def gazetteer() -> Mapping[str, str]:
    """ISO 3166 codes of countries, and of states of the US, Canada and the UK, by plain name.

    Georgia is the American state, which agreements mostly mean.
    """
    places: dict[str, str] = {}
    for country in pycountry.countries:
        for name in (country.name, getattr(country, "common_name", None)):
            if name and "," not in name:
                places[plain(name)] = country.alpha_2
    for country_code in ("GB", "CA", "US"):
        for division in pycountry.subdivisions.get(country_code=country_code):  # type: ignore[no-untyped-call]
            if country_code != "GB" or division.type == "Country":
                places[plain(division.name.partition(",")[0])] = division.code
    # Spellings that ISO does not list; and names that mostly mean something else, which are left out.
    places |= {"northern ireland": "GB-NIR", "washington, d.c.": "US-DC", "u.s.a.": "US"}
    places |= {"united states of america": "US", "great britain": "GB", "russia": "RU"}
    for ambiguous in ("guam", "chad", "jordan", "reunion", "province"):
        places.pop(ambiguous, None)
    return places


def jurisdiction(text: str) -> str | None:
    """The ISO 3166 code of a state or country (`US-DE`, `GB`); None if the gazetteer lacks it."""
    name = re.sub(r"^(the )?(state|commonwealth|republic|province) of ", "", plain(text))
    return gazetteer().get(name)
