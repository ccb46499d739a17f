"""Which language a text is written in, as far as search has to know: by its commonest words.

Belongs here: the languages that Postgres can search by the stems of their words, and telling them
apart. Does not belong here: recognising letters (`ocr`), and searching.

A third of the words of running text in any of these languages are among its twenty commonest. A
language identifier from PyPI (py3langid) tells ninety apart; it takes 0.7 CPU seconds to load in each
process, which is what reading four documents takes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

# By the name of Postgres's text search configuration. Words that several of them share decide nothing.
_COMMON_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "english": "the of and to in is that for it with as be by this are or was not from which shall",
        "german": "der die und den das von zu mit sich des auf für ist im dem nicht ein eine als wird",
        "french": "le la les des et du en une que est pour dans qui par sur pas au plus ne ce aux sont",
        "spanish": "el la los las de que y en un una por con para es del se no al lo como su más",
        "italian": "il di che la per un una del della non con sono le gli nel dei alla delle anche si",
        "portuguese": "o que do da em um para com não uma os no se na por mais as dos ao das são pelo",
        "dutch": "de het een van en in is dat op te zijn met voor niet aan door ook bij naar wordt",
        "danish": "og at det en den til er som på de med af for ikke der har et om var blev eller",
        "swedish": "och att det en som på är av för med den till inte har de ett om var men sig eller",
        "norwegian": "og det er som på en til av for med at ikke den har de et om ble eller fra skal",
        "finnish": "ja on ei se että oli joka ovat mutta kuin hän myös sen tai jos ole niin voi ovat",
        "hungarian": "a az és hogy nem is egy azt van meg csak de ha vagy mint már volt ezt kell",
        "romanian": "și de la în a cu nu pe din care sau este pentru un o prin se mai sunt fi",
        "turkish": "ve bir bu da de için ile olarak olan çok daha gibi kadar sonra ne veya her ise",
        # ruff: noqa: RUF001 - letters that look like Latin ones are meant
        "russian": "и в не на что с по как это из у от за для его но к так же или при был",
        "greek": "και το της του να η την τον με για που στο από των είναι στην οι δεν τα σε",
        "arabic": "في من على إلى أن عن هذا هذه التي الذي كان ما لا مع كل بعد بين أو ذلك هو",
        "indonesian": "yang dan di dari untuk dengan ini itu pada dalam tidak adalah akan oleh atau",
        "catalan": "el la de que i en un una per amb del els les no es al dels com més ha aquest",
    }.items()
}
# Stems of another language do no harm as long as text and question are cut by the same rules.
UNKNOWN = "english"

# Fewer words than this say nothing of their language.
_FEWEST_WORDS = 20
# Share of the words that has to be common ones: lists and tables of any language have fewer.
_LEAST_SHARE = 0.12
# The beginning and the middle of a long text are enough.
_SAMPLE_CHARACTERS = 4_000

_WORD = re.compile(r"[^\W\d_]+")


def common_language(text: str, fewest_words: int = _FEWEST_WORDS) -> str | None:
    """Return the language, as Postgres names it, whose commonest words a text is full of, if any.

    Args:
        fewest_words: of a text with fewer words it is not told.
    """
    words = Counter(_WORD.findall(text.lower()))
    total = words.total()
    if total < fewest_words:
        return None
    shares = {
        language: sum(words[word] for word in common) / total
        for language, common in _COMMON_WORDS.items()
    }
    best = max(shares, key=lambda language: shares[language])
    return best if shares[best] >= _LEAST_SHARE else None


def search_language(text: str) -> str:
    """Return the name of the Postgres text search configuration that suits a text.

    `english` where the language is none of those known here, or cannot be told.
    """
    half = len(text) // 2
    sample = text[:_SAMPLE_CHARACTERS]
    if half > _SAMPLE_CHARACTERS:
        sample += " " + text[half : half + _SAMPLE_CHARACTERS]
    return common_language(sample) or UNKNOWN
