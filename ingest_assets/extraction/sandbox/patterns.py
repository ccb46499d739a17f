"""Mentions that have a form of their own: dates, amounts, addresses, numbers, citations.

Belongs here: what both engines find by rule. Does not belong here: names (`names`), and the value of a
mention (`normal`).

Texts come from untrusted files. All repetitions in the expressions are bounded, so that each takes a
time proportional to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import phonenumbers

from ingest_assets.extraction import normal
from ingest_assets.extraction.engine import Mention
from ingest_assets.extraction.sandbox import citations

ENGINE = "rules"
# Phone numbers without a country code are read as numbers of this country.
_REGION = "US"

_PERCENTAGE = r"(?<![\d.,])(?P<amount>\d{1,4}(?:\.\d{1,6})?)\s{0,2}(?:%|per\s?cent\b)"
_EMAIL = r"(?<![\w.+%-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-])"
_URL = r"(?<![\w@.])(?:https?://|www\.)[^\s<>\"'“”()\[\]{}|\\^`]{3,300}"


def find(text: str) -> Iterator[Mention]:
    """All mentions, type by type; mentions of different types may overlap."""
    for expression in (re.compile(pattern, re.IGNORECASE) for pattern in normal.DATES):
        yield from _all(text, "date", expression, normal.date_of)
    for expression in map(re.compile, normal.MONEY):
        yield from _all(text, "money", expression, normal.money_of)
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
    for citation in citations.full_citations(text):
        start, end = citation.span()
        yield _mention("citation", start, end, normal.plain(citation.corrected_citation()))


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
