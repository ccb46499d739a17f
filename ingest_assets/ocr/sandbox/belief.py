"""What of a reading can be believed: Tesseract reads letters into handwriting, photographs, and scripts
that its data do not know.

Measured: pages of scripts that the data do not know are read with a confidence of 0.02 to 0.6, letters
counting alike, and hardly a word is both sure and in the dictionary; of 40 receipts, the faintest has
0.45. English data know all words of English pages, 55 to 85 % of a receipt's, and at most 65 % of those
in other languages.

Belongs here: judging words by their confidence and the dictionary. Does not belong here: where the
words stand (`left_over`), and detecting a script (`tesseract`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from ingest_assets.language import common_language
from ingest_assets.ocr.sandbox.left_over import Layout, Line, Word
from ingest_assets.ocr.sandbox.letters import are_natural

# A page that is less sure than the first is no text, but for the words that are sure; below the second
# it is none if less than this share of it is sure: of receipts 0.4 is, of other scripts at most 0.1.
_NO_TEXT, _DOUBTFUL_TEXT = 0.5, 0.65
_SURE_SHARE = 0.15

# A word is sure from this confidence on if it is in the dictionary or has digits.
SURE = 0.7

# So is one, a name perhaps, that is so sure and has so many letters: of a page in Greek, read as
# English, one word in eighty is.
_SURE_OF_NAME, _NAME_LETTERS = 0.9, 5

# A turned reading of a place counts if it is surer than the first one by so much.
_CLEARLY_SURER = 0.1

# A line is weak if it is less sure than a word must be, and less than this share of it is sure. Weak
# lines say nothing of their script if they have less than so many letters and less than this share of a
# page's.
_WEAK = 0.4
_FEWEST_IN_LINES, _LEAST_SHARE = 12, 0.1

# Words side by side are strange if they are less sure than the first, or than the second if they are so
# many. Of clean English pages names, abbreviations and words in quotation marks are as unsure, but
# hardly ever two in a row.
_STRANGE, _STRANGE_OF_MANY, _MANY_WORDS = 0.5, 0.6, 3

# Up to this confidence, and as short as this, words belong to the strange ones beside them.
_BESIDE_STRANGE, _SHORT_WORD = 0.75, 3

# Letters, in all and of a single run of words, below which strange words say nothing of their script.
_FEWEST_LETTERS, _FEWEST_IN_RUN = 8, 6

# Words with fewer letters are in the dictionaries of many languages.
_LONG_WORD = 3
_FEWEST_LONG_WORDS = 8

# Letters of the Latin script, with and without accents.
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")

# Shares of the letters in long words that are in words of the dictionary. Below the first a page may be
# in another language, below the second it is, or it is a list of names.
_OTHER_LANGUAGE, _SURELY_OTHER_LANGUAGE = 0.75, 0.35


def confidence(words: Iterable[Word]) -> float:
    """Return the mean confidence of words, 0 to 1, each letter counting alike; 0 where none are."""
    words = list(words)
    letters = sum(word.letters for word in words)
    return sum(word.confidence * word.letters for word in words) / max(1, letters)


def unsure_share(layout: Layout) -> float:
    """Return the share of the letters that are in words below the confidence of sure ones, 0 to 1."""
    words = list(layout.words())
    unsure = sum(word.letters for word in words if word.confidence < SURE)
    return unsure / max(1, sum(word.letters for word in words))


def sure_letters(layout: Layout) -> int:
    """Return how many letters are in sure words."""
    return sum(word.letters for word in layout.words() if is_sure(word))


def is_text(layout: Layout) -> bool:
    """Tell whether what was read is sure enough to be text at all."""
    words = list(layout.words())
    least = _NO_TEXT if _sure_share(words) >= _SURE_SHARE else _DOUBTFUL_TEXT
    return confidence(words) >= least


def has_words(layout: Layout) -> bool:
    """Tell whether more was read than lone letters, which stains and pictures come out as."""
    return any(word.letters > 1 or word.text.isdigit() for word in layout.words())


def has_long_word(layout: Layout, least: float = 0.0) -> bool:
    """Tell whether a word of the dictionary was read that is too long to be there by chance.

    Args:
        least: how sure it has to be.
    """
    return any(
        word.is_known and word.letters > _LONG_WORD and word.confidence >= least
        for word in layout.words()
    )


def is_surely_text(layout: Layout, before: Iterable[Word], *, upside_down: bool) -> bool:
    """Tell whether what was read in a part of a page, turned, is text, and surer than before.

    Figures and their like are read upside down as well: a word has to be among them.
    """
    words = list(layout.words())
    letters = sum(word.letters for word in words)
    if upside_down and not has_long_word(layout):
        return False
    least = max(SURE, confidence(before) + _CLEARLY_SURER)
    is_sure_enough = confidence(words) >= least and _sure_share(words) >= _SURE_SHARE
    return letters >= _NAME_LETTERS and is_sure_enough


def is_sure_line(line: Line) -> bool:
    """Tell whether a line was read as it is printed: upside down, most look like no words at all."""
    certainty = confidence(line.words)
    return certainty >= _SURE_OF_NAME or (certainty >= SURE and any(map(is_sure, line.words)))


def is_sure(word: Word) -> bool:
    """Tell whether a word can be believed wherever it stands."""
    is_likely = word.is_known or any(map(str.isdigit, word.text))
    if word.letters >= _NAME_LETTERS and word.confidence >= _SURE_OF_NAME:
        return True
    return word.confidence >= SURE and is_likely and word.letters >= 2


def strange_runs(layout: Layout) -> list[Sequence[Word]]:
    """Return the weak lines, and runs of words in others, that may be of another script than the rest.

    None where these are too few letters to tell, or lone words only, which are misread names.
    """
    weak = _weak_lines(layout)
    strange: list[Sequence[Word]] = [line.words for line in weak]
    strange += (
        run
        for line in layout.lines
        if not any(line is other for other in weak)
        for run in _unsure_runs(line)
        if are_strange(run) and (_is_of_words(run) or not are_natural(run[0].text))
    )
    letters = sum(word.letters for run in strange for word in run)
    is_clear = letters >= _FEWEST_LETTERS and any(map(_is_of_words, strange))
    return strange if is_clear else []


def are_strange(words: Iterable[Word]) -> bool:
    """Tell whether some words are so unsure that they may be of no script that the data know."""
    words = [word for word in words if word.letters]
    return confidence(words) < (_STRANGE if len(words) < _MANY_WORDS else _STRANGE_OF_MANY)


def are_much_of(words: Iterable[Word], rest: Layout) -> bool:
    """Tell whether some words are enough of a page to say something of its script, however printed."""
    letters = sum(word.letters for word in words)
    return letters >= _LEAST_SHARE * (letters + sum(word.letters for word in rest.words()))


def without_unsure(layout: Layout) -> Layout:
    """Return the sure words of a layout."""
    return _without(layout, lambda word: not is_sure(word))


def without(layout: Layout, words: Iterable[Word]) -> Layout:
    """Return a layout without some of its words."""
    gone = set(map(id, words))
    return _without(layout, lambda word: id(word) in gone)


def foreign_language(layout: Layout) -> str | None:
    """Return the language that a text seems to be in, where its words are not in the dictionary.

    Returns:
        A name such as `german`, `another` where it cannot be told which, and None where the dictionary
        knows enough of its words, or where there are too few.
    """
    words = [word for word in layout.words() if len("".join(_LATIN.findall(word.text))) >= _LONG_WORD]
    letters = sum(word.letters for word in words)
    known = sum(word.letters for word in words if word.is_known) / max(1, letters)
    if len(words) < _FEWEST_LONG_WORDS or known >= _OTHER_LANGUAGE:
        return None
    language = common_language(layout.text(), fewest_words=_FEWEST_LONG_WORDS)
    if language is None and known < _SURELY_OTHER_LANGUAGE and confidence(words) >= SURE:
        return "another"
    return language


def _weak_lines(layout: Layout) -> list[Line]:
    weak = [
        line
        for line in layout.lines
        if 0 < confidence(line.words) < SURE and _sure_share(line.words) < _WEAK
    ]
    letters = sum(word.letters for line in weak for word in line.words)
    most = sum(word.letters for word in layout.words())
    return weak if letters >= max(_FEWEST_IN_LINES, _LEAST_SHARE * most) else []


def _unsure_runs(line: Line) -> Iterator[list[Word]]:
    """Yield the longest runs of words that are not sure, with the short words between them."""
    run: list[Word] = []
    between: list[Word] = []
    for word in line.words:
        if word.confidence < _BESIDE_STRANGE and not is_sure(word):
            run += [*between, word]
            between = []
        elif run and not between and word.letters <= _SHORT_WORD:
            between = [word]
        else:
            if run:
                yield run
            run, between = [], []
    if run:
        yield run


def _is_of_words(run: Sequence[Word]) -> bool:
    """Tell whether a run is of several words, and not of single letters."""
    letters = [word.letters for word in run if word.letters]
    return len(letters) > 1 and sum(letters) >= _FEWEST_IN_RUN


def _without(layout: Layout, is_gone: Callable[[Word], bool]) -> Layout:
    kept = [
        Line([word for word in line.words if not is_gone(word)], line.starts_paragraph)
        for line in layout.lines
    ]
    return Layout([line for line in kept if line.words])


def _sure_share(words: Sequence[Word]) -> float:
    """Return the share of the letters of some words that are in sure ones, 0 to 1."""
    letters = sum(word.letters for word in words)
    return sum(word.letters for word in words if is_sure(word)) / max(1, letters)
