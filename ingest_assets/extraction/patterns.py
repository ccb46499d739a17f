"""Mentions that their own form gives away: dates, amounts, addresses, numbers, citations.

Belongs here: what both engines find by rule. Does not belong here: names, which need more than a form.

Texts come from untrusted files. Each expression here takes a time proportional to the text: what
repeats is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.metadata import version

import phonenumbers

from ingest_assets.extraction import normal
from ingest_assets.extraction.engine import Mention

ENGINE = "rules"
VERSION = f"rules 1, eyecite {version('eyecite')}, phonenumbers {version('phonenumbers')}"
# Phone numbers without a country code are read as numbers of this country.
_REGION = "US"

_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?P<year>1[6-9]\d\d|20\d\d)(?!\d)"
_GAP = r"[\s_]{1,4}"
_DATES = (
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
_MONEY = (
    rf"(?P<currency>U\.?S\.?\s?\$|C\$|A\$|\$|€|£|¥|\b(?:USD|EUR|GBP|JPY|CHF|CAD|AUD)\b)\s{{0,2}}"
    rf"{_AMOUNT}(?![\d,]\d){_MAGNITUDE}",
    rf"(?<![\d.,$€£¥]){_AMOUNT}{_MAGNITUDE}\s{{1,2}}(?:U\.?S\.?\s)?(?P<currency>dollars|euros)\b",
)
_PERCENTAGE = r"(?<![\d.,])(?P<amount>\d{1,4}(?:\.\d{1,6})?)\s{0,2}(?:%|per\s?cent\b)"
_EMAIL = r"(?<![\w.+%-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-])"
_URL = r"(?<![\w@.])(?:https?://|www\.)[^\s<>\"'“”()\[\]{}|\\^`]{3,300}"


def find(text: str) -> Iterator[Mention]:
    """Mentions of all these types, type by type; those of different types may overlap."""
    from eyecite import get_citations, models  # noqa: PLC0415  (heavy)

    full = (models.FullCaseCitation, models.FullJournalCitation, models.FullLawCitation)
    for expression in (re.compile(pattern, re.IGNORECASE) for pattern in _DATES):
        yield from _all(text, "date", expression, _date)
    for expression in map(re.compile, _MONEY):
        yield from _all(text, "money", expression, _money)
    yield from _all(
        text, "percentage", re.compile(_PERCENTAGE), lambda m: normal.percentage(m["amount"])
    )
    yield from _all(text, "email", re.compile(_EMAIL), lambda m: m[0].lower())
    for match in re.finditer(_URL, text):
        if address := normal.url(match[0].rstrip(".,;:!?*")):
            yield _mention(
                "url", match.start(), match.start() + len(match[0].rstrip(".,;:!?*")), address
            )
    for number in phonenumbers.PhoneNumberMatcher(text, _REGION):
        standard = phonenumbers.format_number(number.number, phonenumbers.PhoneNumberFormat.E164)
        extension = f";ext={number.number.extension}" if number.number.extension else ""
        yield _mention("phone", number.start, number.end, standard + extension)
    for citation in get_citations(text) if text else ():
        if isinstance(citation, full):
            start, end = citation.span()  # type: ignore[no-untyped-call]
            corrected = citation.corrected_citation()  # type: ignore[no-untyped-call]
            yield _mention("citation", start, end, normal.plain(corrected))


def _mention(entity_type: str, start: int, end: int, normalised: str) -> Mention:
    return Mention(entity_type, start, end, normalised, None, ENGINE)


def _all(
    text: str,
    entity_type: str,
    expression: re.Pattern[str],
    value: Callable[[re.Match[str]], str | None],
) -> Iterator[Mention]:
    for match in expression.finditer(text):
        if normalised := value(match):
            yield _mention(entity_type, match.start(), match.end(), normalised)


def _date(match: re.Match[str]) -> str | None:
    parts = match.groupdict()
    year = normal.full_year(parts["year"])
    if "first" in parts:
        # As in the United States, unless the first number can be no month.
        month, day = int(parts["first"]), int(parts["second"])
        return normal.iso_date(year, month, day) or normal.iso_date(year, day, month)
    month_name, day_digits = parts["month"], parts.get("day")
    month = int(month_name) if month_name.isdigit() else normal.month_number(month_name)
    return normal.iso_date(year, month, int(day_digits) if day_digits else None)


def _money(match: re.Match[str]) -> str:
    currency = re.sub(r"[\s.]", "", match["currency"])
    return normal.money(currency, match["amount"], match["magnitude"])


def date_value(text: str) -> str | None:
    """The ISO date that a text is, if it is one; for engines that find dates but do not read them."""
    return _value(text, _DATES, _date, re.IGNORECASE)


def money_value(text: str) -> str | None:
    """The normalised amount of money that a text is, if it is one."""
    return _value(text, _MONEY, _money)


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
