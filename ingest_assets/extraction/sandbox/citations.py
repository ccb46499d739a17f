"""Citations of cases, laws and journals, by eyecite, which is asked only where there can be one.

Belongs here: eyecite, and the question whether a text can hold a citation. Does not belong here: what a
citation is normalised to (`patterns`).

eyecite runs hundreds of expressions over each text and then divides it into words, which takes half of
all the time that entities take; one document in ten has a citation. A full citation is made of a match
of one of eyecite's expressions for citations, so a text that none of them matches has none. Most of
them want a number, a blank and the name of a reporter: which of these can match is seen from what
stands behind each number, without running one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import ahocorasick
from eyecite import get_citations, models
from eyecite.tokenizers import EXTRACTORS

FULL = (models.FullCaseCitation, models.FullJournalCitation, models.FullLawCitation)

# An expression that begins with a number, one blank and one of several literal names. Between the parts
# of a name it allows white space.
_NUMBER_AND_NAME = re.compile(
    r"\(\?:\^\|\[\^a-zA-Z0-9\]\)\(\(\?P<\w+>(?P<number>[^()]*)\) \(\?P<reporter>(?P<names>[^()]*)\)"
)
# All of these end with a digit.
_NUMBERS = {r"[1-9]\d*", r"1\d{3}|20\d{2}", r"1[789]\d{2}|20\d{2}", r"\d+", r"\d{1,3}", r"\d{1,2}"}
_LITERAL = re.compile(r"(?:\\[^a-zA-Z0-9]|[^\\.^$*+?{}\[\]|()])+")
_BEHIND_A_NUMBER = re.compile(r"\d ")


class _Expressions(NamedTuple):
    """eyecite's expressions for citations, by what a text must hold for them to match.

    Attributes:
        behind_a_number: by the name, without white space, that stands behind a number and a blank.
        longest: characters of the longest of these names.
        anywhere: finds, in a text without white space, what others want to be somewhere in it.
        always: those that say nothing of what they want.
    """

    behind_a_number: dict[str, list[Any]]
    longest: int
    anywhere: Any
    always: list[Any]


def full_citations(text: str) -> Iterator[Any]:
    """Those that name what they cite in full, in the order of their places."""
    if text and may_cite(text):
        for citation in get_citations(text):
            if isinstance(citation, FULL):
                yield citation


def may_cite(text: str) -> bool:
    """Whether an expression of eyecite's for citations matches the text."""
    known = _expressions()
    tried = set()
    for extractor in _candidates(text, known):
        if id(extractor) not in tried:
            if extractor.compiled_regex.search(text):
                return True
            tried.add(id(extractor))
    return False


def _candidates(text: str, known: _Expressions) -> Iterator[Any]:
    dense = _dense(text)
    # Where the search is in the text, and in the text without white space.
    place = dense_place = 0
    for match in _BEHIND_A_NUMBER.finditer(text):
        dense_place += len(_dense(text[place : match.end()]))
        place = match.end()
        following = dense[dense_place : dense_place + known.longest]
        for length in range(1, len(following) + 1):
            yield from known.behind_a_number.get(following[:length], ())
    for _, extractors in known.anywhere.iter(dense):
        yield from extractors
    yield from known.always


def _dense(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())


@lru_cache(maxsize=1)
def _expressions() -> _Expressions:
    behind: dict[str, list[Any]] = defaultdict(list)
    anywhere: dict[str, list[Any]] = defaultdict(list)
    always = []
    for extractor in EXTRACTORS:
        if extractor.constructor != models.CitationToken.from_match:
            continue
        if names := _names(extractor):
            for name in names:
                behind[name].append(extractor)
        elif extractor.strings:
            for string in extractor.strings:
                anywhere[_dense(string)].append(extractor)
        else:
            always.append(extractor)
    automaton = ahocorasick.Automaton()
    for string, extractors in anywhere.items():
        automaton.add_word(string, extractors)
    automaton.make_automaton()
    return _Expressions(dict(behind), max(map(len, behind)), automaton, always)


def _names(extractor: Any) -> list[str]:
    """The names that the expression wants behind its number; none where it is of another form."""
    match = _NUMBER_AND_NAME.match(extractor.regex)
    if match is None or match["number"] not in _NUMBERS or extractor.flags:
        return []
    names = [name.replace(r"\s*", "") for name in match["names"].split("|")]
    if not all(map(_LITERAL.fullmatch, names)):
        return []
    return [re.sub(r"\\(.)", r"\1", name) for name in names]
