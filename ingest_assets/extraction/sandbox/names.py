"""Names of organisations, people and jurisdictions, found by rule.

Belongs here: the rules. `bench/entities.py` measures them on known facts of agreements.

An organisation is a run of capitalised words that ends with a legal form (`Inc.`, `LLC`, `Bank`), or
that is followed by a description (`, a Delaware corporation`) or by a defined term (`(the "Company")`).
A person is a given name of the US census of 1990 followed by a capitalised surname. A jurisdiction is a
name of the ISO 3166 gazetteer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import names as census

from ingest_assets.extraction import normal
from ingest_assets.extraction.engine import Mention

ENGINE = "rules"


def word_set(words: str) -> frozenset[str]:
    """Return words that stand in a text as a set."""
    return frozenset(words.split())


_WORDS_IN_A_NAME = 9
_TOKEN = re.compile(r"\S{1,80}")
_EDGES = "\"'“”\u2018\u2019`\u00b4()[]{}<>*_,;:"
FORMS = word_set(
    """inc incorporated corp corporation co company companies llc lp llp lllp ltd limited plc pllc
    gmbh ag nv bv sa spa sarl oyj pte pty bank trust partners partnership holdings group
    association foundation university institute ventures fund laboratories associates pc na
    enterprises industries international technologies systems capital"""
)
# Legal forms that end a name: what follows belongs to the next.
_ENDS = word_set("inc incorporated corp llc lp llp ltd plc gmbh")
_ARTICLES = frozenset(("the", "of", "for"))
INSIDE = frozenset(("of", "the", "de", "la", "and", "&", "for", "van", "von", "del", "der"))
# Words that headings and defined terms capitalise; no name of an organisation begins with one.
_NO_NAME = word_set(
    """a an the this that these those such any each every all no said its his her their our your
    between among by with without from to in on at as is are was were be been if when where whereas
    therefore whereby hereby and or nor but not only upon under unless until agreement agreements
    confidential confidentiality disclosure nondisclosure non-disclosure mutual party parties recipient
    discloser receiving disclosing information section article exhibit schedule page date dated
    effective title name signature signed witness attention attn re dear sincerely very truly yours for
    of shall will may must can employee employer executive officer president director chairman secretary
    treasurer vice counsel manager member managing sole owner authorized signatory
    bidder buyer seller purchaser contractor consultant company affiliate affiliates subsidiary
    subsidiaries corporation partnership limited liability joint venture entity person laws law
    court courts whole entire parent acquisition transaction evaluation material materials
    employment competition noncompetition non-competition noncompete solicitation invention inventions
    proprietary trade secret secrets release separation severance letter memorandum amendment form
    other others following foregoing same own former current prior either neither both
    telephone phone fax facsimile email address suite floor street avenue road drive boulevard"""
)
# Before one of these a given name is no name: `Grant General Counsel`, `Virginia State`.
_NO_SURNAME = _NO_NAME | word_set("chief general senior new old united state states county city street")
_INITIAL = re.compile(r"[A-Z]\.?$|(?:[A-Z]\.){2,4}$")
_GENERATION = frozenset(("jr", "sr", "ii", "iii", "iv"))
_DESCRIBED = re.compile(
    r",?\s{1,3}(?:a|an)\s{1,3}(?:[A-Z][\w.]{1,20}\s{1,3}){0,3}"
    r"(?:corporation|limited\s{1,3}(?:liability\s{1,3})?(?:company|partnership)|company|partnership"
    r"|general\s{1,3}partnership|national\s{1,3}(?:banking\s{1,3})?association|business\s{1,3}trust"
    r"|banking\s{1,3}corporation|professional\s{1,3}corporation)\b"
)
_CALLED = re.compile(
    r",?\s{1,3}\((?:collectively,?\s{1,3}|hereinafter,?\s{1,3}|together\s[^()\"“”]{0,80},\s{1,3}"
    r"|referred\s{1,3}to\s{1,3}as\s{1,3}|or\s{1,3}|the\s{1,3}|each,?\s{1,3}(?:a\s{1,3})?){0,3}[\"“”]"
)


class _Word:
    """A token with its place, and the word in it without punctuation around it."""

    __slots__ = ("bare", "end", "folded", "raw", "start")

    def __init__(self, match: re.Match[str]) -> None:
        raw = match[0]
        self.raw = raw
        if raw.isalpha():  # Most are nothing but a word.
            self.bare, self.start, self.end, self.folded = raw, match.start(), match.end(), raw.lower()
            return
        stripped = raw.lstrip(_EDGES)
        self.start = match.start() + len(raw) - len(stripped)
        self.bare = stripped.rstrip(_EDGES)
        if self.bare.lower().endswith(("\u2019s", "'s")) and not self.bare[:-2].isupper():
            self.bare = self.bare[:-2]
        self.end = self.start + len(self.bare)
        self.folded = self.bare.replace(".", "").lower()

    @property
    def capitalised(self) -> bool:
        return bool(self.bare) and (self.bare[0].isupper() or self.bare[0].isdigit())

    @property
    def closes(self) -> bool:
        """Whether a name that the word is in ends with it."""
        return self.raw[-1] in ',;:)]}"”' or self.bare != self.raw.lstrip(_EDGES)

    @property
    def opens(self) -> bool:
        """Whether a name that the word is in begins with it."""
        return self.raw[0] in '([{"“'


def find(text: str) -> Iterator[Mention]:
    """Mentions of organisations, then people, then jurisdictions; they may overlap."""
    words = [word for word in map(_Word, _TOKEN.finditer(text)) if word.bare]
    yield from _organizations(text, words)
    yield from _people(text, words)
    for start, end in _places(text):
        if code := normal.jurisdiction(text[start:end]):
            yield Mention("jurisdiction", start, end, code, None, ENGINE)


def _organizations(text: str, words: Sequence[_Word]) -> Iterator[Mention]:
    by_end = {word.end: place for place, word in enumerate(words)}
    for place, word in enumerate(words):
        if word.folded in FORMS and word.capitalised:
            last = place
            following = words[place + 1] if place + 1 < len(words) else None
            if following and following.folded in FORMS and following.capitalised:
                continue  # Co., Ltd.: the last form ends the name
            first = _beginning(words, last)
            if first is not None:
                yield _organization(text, words, first, last)
    for expression in (_DESCRIBED, _CALLED):
        for match in expression.finditer(text):
            last_word = by_end.get(match.start())
            if last_word is not None and words[last_word].bare[0].isupper():
                first = _beginning(words, last_word + 1)
                if first is not None and not _is_person(words[first : last_word + 1]):
                    yield _organization(text, words, first, last_word)


def _beginning(words: Sequence[_Word], end: int) -> int | None:
    """Where the run of capitalised words before the word at `end` begins; None if there is none."""
    first = None
    place = end - 1
    while place >= max(0, end - _WORDS_IN_A_NAME):
        word = words[place]
        form_follows = place == end - 1 or words[place + 1].folded in FORMS
        listed = place + 2 < end and words[place + 2].folded in ("and", "&")  # Sears, Roebuck and Co.
        if word.folded in _ENDS and not form_follows:
            break  # of the name before this one
        if word.closes and not (word.raw[-1] == "," and (form_follows or listed)):
            break
        if word.folded in INSIDE:
            if place == end - 1 and word.folded in _ARTICLES:
                break  # the Company, of the Bank
            if word.folded == "and" and not _joins(words, place, end):
                break
        elif word.capitalised and word.folded not in _NO_NAME and any(map(str.isalpha, word.bare)):
            if _ends_a_sentence(word):
                break
            first = place
        else:
            break
        if word.opens:
            break
        place -= 1
    return first


def _ends_a_sentence(word: _Word) -> bool:
    """Whether the word ends a sentence, and is not an abbreviation such as `J.`, `St.`, `Bros.`"""
    if word.bare[-1] not in ".!?" or _INITIAL.match(word.bare):
        return False
    return len(word.bare) > 5 or not word.folded.isalpha()


def _joins(words: Sequence[_Word], place: int, end: int) -> bool:
    """Whether an `and` is inside a name: `Sears, Roebuck and Co.`, `W and L Enterprises`."""
    following = words[min(place + 1, end)].folded
    before = words[place - 1] if place else None
    return (
        before is not None
        and before.capitalised
        and not before.closes
        and before.folded not in FORMS
        and following in {"co", "company", "sons", "associates", "partners", "brothers"}
    )


def _organization(text: str, words: Sequence[_Word], first: int, last: int) -> Mention:
    start, end = words[first].start, words[last].end
    if text[end : end + 1] == "." and "." not in words[last].bare:
        end += 1
    return Mention("organization", start, end, normal.organization(text[start:end]), None, ENGINE)


def _people(text: str, words: Sequence[_Word]) -> Iterator[Mention]:
    """Mentions of people; a full stop after a surname is not part of the name."""
    place = 0
    while place < len(words) - 1:
        last = _person_end(words, place)
        if last is None:
            place += 1
            continue
        start, end = words[place].start, words[last].end
        if words[last].folded not in _GENERATION:
            end -= len(words[last].bare) - len(words[last].bare.rstrip("."))
        yield Mention("person", start, end, normal.person(text[start:end]), None, ENGINE)
        place = last + 1


def _person_end(words: Sequence[_Word], first: int) -> int | None:
    """Index of the last word of the person's name that begins at `first`; None if none does."""
    given = words[first]
    if (
        not given.capitalised
        or given.closes
        or given.folded not in _given_names()
        or given.folded in _NO_NAME
    ):
        return None
    place = first + 1
    while place < min(len(words), first + 4) and _INITIAL.match(words[place].bare):
        place += 1
    for surnames in range(2):
        if place >= len(words) or not _is_surname(words[place], given):
            return place - 1 if surnames else None
        if words[place].closes:
            break
        place += 1
        if surnames == 0 and (place >= len(words) or not _is_surname(words[place], given)):
            place -= 1
            break
    else:
        place -= 1
    following = words[place + 1] if place + 1 < len(words) else None
    if following and following.folded in _GENERATION and following.capitalised:
        return place + 1
    if following and following.folded in FORMS and not words[place].closes:
        return None  # John Hancock Company is no person
    return place


def _is_surname(word: _Word, given: _Word) -> bool:
    return (
        word.capitalised
        and not word.opens
        and len(word.folded) > 1
        and re.sub(r"[-'\u2019.]", "", word.bare).isalpha()
        and word.folded not in _NO_SURNAME
        and word.folded not in FORMS
        and word.folded not in _GENERATION
        and word.bare.isupper() == given.bare.isupper()
    )


def _is_person(words: Sequence[_Word]) -> bool:
    return _person_end(words, 0) == len(words) - 1 if len(words) > 1 else False


@lru_cache(maxsize=1)
def _given_names() -> frozenset[str]:
    """Given names of the US census of 1990, from the data of the package `names` (MIT)."""
    folder = Path(census.__file__).parent
    lines = [
        line
        for file in ("dist.male.first", "dist.female.first")
        for line in folder.joinpath(file).read_text().splitlines()
    ]
    return frozenset(line.split()[0].lower() for line in lines if line.strip()) - _NO_NAME


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Where names of the gazetteer stand, from the first on, the longest at each place."""
    end = 0
    beginnings, names_by_beginning = _gazetteer()
    for beginning in beginnings.finditer(text):
        names = names_by_beginning.get(beginning[0])
        if names and beginning.start() >= end and (match := names.match(text, beginning.start())):
            end = match.end()
            yield match.span()


@lru_cache(maxsize=1)
def _gazetteer() -> tuple[re.Pattern[str], Mapping[str, re.Pattern[str]]]:
    """Words that may begin a name of the gazetteer, and the names by the word that they begin with.

    Names are in titles or capitals, the longest first. One expression for all of them would be tried at
    each place of a text, which took a fifth of all the time that entities take.
    """
    spellings = set()
    for name in normal.gazetteer():
        titled = " ".join(
            word if word in ("of", "and", "the") else word[:1].upper() + word[1:]
            for word in name.split()
        )
        spellings |= {titled, name.upper()}
    by_beginning: dict[str, list[str]] = defaultdict(list)
    for spelling in sorted(spellings, key=lambda found: (-len(found), found)):
        by_beginning[re.split(r"\W", spelling, maxsplit=1)[0]].append(spelling)
    names = {
        beginning: re.compile(
            "(?:{})(?![\\w-])".format(
                "|".join(r"\s{1,3}".join(map(re.escape, one.split())) for one in found)
            )
        )
        for beginning, found in by_beginning.items()
    }
    letters = "".join(sorted({re.escape(beginning[0]) for beginning in names}))
    return re.compile(rf"(?<![\w-])[{letters}]\w*"), names
