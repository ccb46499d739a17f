"""People and organisations in the headers of mails, whose names no list has to know.

Belongs here: headers as readers of mails write them, and as programs quote them in answers. Does not
belong here: names in sentences (`names`), and addresses (`patterns`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest_assets.extraction import normal
from ingest_assets.extraction.engine import Mention
from ingest_assets.extraction.sandbox.names import ENGINE, FORMS, INSIDE, word_set

_HEADERS = re.compile(r"^From: .*(?:\n[A-Z][A-Za-z-]{1,20}: .*){1,20}", re.MULTILINE)
_OF_PEOPLE = re.compile(r"^(?:From|Sender|Reply-To|To|Cc|Bcc): (.*)", re.MULTILINE)
# A name and, in angle brackets, its address. A name with a comma in it has quotes around it.
_NAMED = re.compile(
    r"(?:\"([^\"<>@]{2,100})\"|([^\"<>@,;:]{2,100}?))\s{1,3}<[^<>\s@]{1,200}@[^<>\s@]{1,200}>"
)
_OF_GROUPS = FORMS | word_set(
    """accounts admin administration board center centre club college committee council court customer
    department desk director hr info legal library list magazine mail media ministry news newsletter
    notification notifications office online post sales school service services shop staff store support
    team times university"""
)
_MOST_WORDS = 5
_LONGEST_WORD = 30


def find(text: str) -> Iterator[Mention]:
    """Mentions of people and organisations in all headers in a text."""
    for block in _HEADERS.finditer(text):
        for line in _OF_PEOPLE.finditer(text, block.start(), block.end()):
            for named in _NAMED.finditer(text, line.start(1), line.end(1)):
                group = 1 if named[1] else 2
                start, end = named.span(group)
                start += len(named[group]) - len(named[group].lstrip())
                end -= len(named[group]) - len(named[group].rstrip())
                if found := _meant(text[start:end]):
                    yield Mention(found[0], start, end, found[1], None, ENGINE)


def _meant(name: str) -> tuple[str, str] | None:
    """Return what a name in a header is of, and its normalised form; None where that is not clear."""
    words = name.replace(",", " ").split()
    if not words or len(words) > 2 * _MOST_WORDS or max(map(len, words)) > _LONGEST_WORD:
        return None
    if any(word.strip(".()").replace(".", "").lower() in _OF_GROUPS for word in words):
        return "organization", normal.organization(name)
    if not 2 <= len(words) <= _MOST_WORDS or any(digit.isdigit() for digit in name):
        return None
    if not all(word[0].isupper() or word in INSIDE for word in words):
        return None
    last, comma, first = name.partition(",")
    return "person", normal.person(f"{first.strip()} {last.strip()}" if comma else name)
