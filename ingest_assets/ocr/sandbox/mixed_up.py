"""Letters that an English text has in the place of others, told by its commonest words.

A font that takes b for d makes "anb" of "and" and "be" of "de", all over the page, and one that has
nothing for g makes "havin" of "having". Each such word may be a name; several that all come from the
same two letters are none.

Belongs here: the commonest words and what becomes of them. Does not belong here: the letters of
languages as such (`letters`).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter, defaultdict

_COMMON_WORDS = """
the of and to in that is was for it with as his on be at by had not are but from or have an they
which one you were her all she there would their we him been has when who will more no if out so
said what up its about into than them can only other new some could time these two may then do
first any my now such like our over man me even most made after also did many before must through
back years where much your way well down should because each just those people how too little
state good very make world still own see men work long get here between both life being under
never day same another know while last might us great old year off come since against go came
right used take three himself few house use during without again place around however home small
found thought went say part once general high upon school every does got left number course war
until always away something fact though water less public put think almost hand enough far took
head yet government system better set told nothing night end why called find going look asked
later next give week second office service effect different offer final five shall agreement party
parties date page name having given question quite require request size box six gave keep kept
book ask
"""
_COMMON = frozenset(_COMMON_WORDS.split())

# What is left of common words where a ligature (ff, fi, fl) has become a space: "di erent", " rst".
_WORD_PIECES = """
rst nd nds nding ve nal nally nancial nition nitions nitive cient ciently cer cers gure gures rmed
rming lled lling xed nished speci signi erent erence ects ective orts ered ering uence uences
"""
_PIECES = frozenset(_WORD_PIECES.split())
_LIGATURES = ("ff", "fi", "fl")

# What at least each letter's share of an English text is, spaces and figures included, largest first.
_SHARES = {
    **{"e": 0.1, "t": 0.07, "a": 0.06, "o": 0.06, "i": 0.055, "n": 0.055, "s": 0.05, "r": 0.045},
    **{"h": 0.035, "d": 0.03, "l": 0.03, "c": 0.022, "u": 0.02, "m": 0.018, "f": 0.016, "p": 0.015},
    **{"g": 0.014, "y": 0.013, "w": 0.01, "b": 0.01, "v": 0.007},
}

# A text with fewer of the commonest words is not English, or too short.
_FEWEST_KNOWN = 6

# So many words have to come from the same two letters.
_FEWEST_WORDS = 4

# A letter is missing if so many were to be expected, and a twentieth of them is there.
_MANY_EXPECTED, _MISSING_SHARE = 15, 0.05


# Capitals and signs within words may stand for ligatures: "operaOons", "Educa&on", "de€nition". In
# names, such as "PalmSource", they do not: so many beginnings and ends of words have to differ. What is
# no sign of names and programs may begin a word too ("€nal"), which is one beginning.
_PROGRAMS = frozenset("&[]#$%*+<=>\\^{|}~")
_SIGNS = frozenset('!"')
_KINDS_OF_SIGNS, _APOSTROPHES = ("Sc", "Sk", "Sm", "So"), "`\xb4"
_OTHER_SCRIPTS = "\u0370", "\u1dff"
_SIGN_WITHIN = b"aaAaa"
_WITHIN = re.compile(r"([A-Za-z]?[a-z]+|(?<!\S))([^a-z\s])([a-z]{2,})")
_FEWEST_BEGINNINGS, _FEWEST_ENDS = 3, 2


def _may_stand_for_others(sign: str) -> bool:
    return sign not in _APOSTROPHES and (
        sign.isupper()
        or sign in _PROGRAMS
        or sign in _SIGNS
        or (unicodedata.category(sign) in _KINDS_OF_SIGNS and sign != "\ufffd")
        or (_OTHER_SCRIPTS[0] <= sign <= _OTHER_SCRIPTS[1] and sign.isalpha())
    )


_SHAPES = bytes(
    0x61 if 0x61 <= code <= 0x7A else 0x41 if _may_stand_for_others(chr(code)) else 0x2E
    for code in range(256)
)
# Signs that Latin-1 has not, but for dashes, quotation marks and ligatures.
_OTHER_SIGN_WITHIN = re.compile(
    r"[^\0-\u024f\u1e00-\u1fff\u2000-\u206f\ufb00-\ufb06\ufffd](?<=[a-z]{2}.)[a-z]{2}"
)


def _mixed_up() -> dict[str, list[str]]:
    """Return for what becomes of words which letters would have been taken for which."""
    found = defaultdict(list)
    for word in _COMMON:
        for letter in set(word):
            for other in ("", *string.ascii_lowercase):
                pair = letter + other if letter < other else other + letter
                if other and other in word:
                    swapped = word.translate({ord(letter): other, ord(other): letter})
                    found[swapped].append(pair)
                found[word.replace(letter, other)].append(pair)
    for word in (*_COMMON, "", *string.ascii_lowercase):
        found.pop(word, None)
    return dict(found)


_MIXED_UP = _mixed_up()
_MIXED_UP_WORDS = frozenset(_MIXED_UP)


def letters_in_doubt(text: str) -> frozenset[str]:
    """Return the letters of an English text that seem to stand for each other, or to be missing."""
    lower = text.lower()
    words = set(lower.split())
    if len(words & _COMMON) < _FEWEST_KNOWN:
        return frozenset()
    found = Counter(pair for word in words & _MIXED_UP_WORDS for pair in _MIXED_UP[word])
    doubted = {letter for pair, count in found.items() if count >= _FEWEST_WORDS for letter in pair}
    if len(words & _PIECES) >= _FEWEST_WORDS:
        doubted.update(_LIGATURES)
    for letter, share in _SHARES.items():
        expected = share * len(lower)
        if expected < _MANY_EXPECTED:
            break
        if lower.count(letter) < _MISSING_SHARE * expected:
            doubted.add(letter)
    if _SIGN_WITHIN in text.encode("latin-1", "replace").translate(_SHAPES) or (
        not text.isascii() and _OTHER_SIGN_WITHIN.search(text)
    ):
        doubted |= _signs_within(text)
    return frozenset(doubted)


def _signs_within(text: str) -> set[str]:
    """Return the capitals and signs within words that are no names."""
    beginnings, ends = defaultdict(set), defaultdict(set)
    for begin, sign, end in _WITHIN.findall(text):
        if begin or not (sign.isupper() or sign in _PROGRAMS or sign == '"'):
            beginnings[sign].add(begin)
            ends[sign].add(end)
    return {
        sign
        for sign in beginnings
        if _may_stand_for_others(sign)
        and len(beginnings[sign]) >= _FEWEST_BEGINNINGS - ("" in beginnings[sign])
        and len(beginnings[sign]) + len(ends[sign]) >= _FEWEST_BEGINNINGS + _FEWEST_ENDS
        and len(ends[sign]) >= _FEWEST_ENDS
    }
