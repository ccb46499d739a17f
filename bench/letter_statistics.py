"""The tables of `ingest_assets/ocr/sandbox/letters.py`, made anew.

    pip install langdetect && python bench/letter_statistics.py

Counts of letters and of pairs of letters come from langdetect's profiles of Wikipedia (Apache-2.0).
Each language counts alike, but English six times and German, French, Spanish, Italian, Portuguese and
Dutch twice. Prints `_PAIRS` and `_SHARES`.
"""

from __future__ import annotations

import json
import math
import string
import unicodedata
from collections import Counter
from importlib import resources

LATIN = "af ca cs cy da de en es et fi fr hr hu id it lt lv nl no pl pt ro sk sl so sq sv sw tl tr vi"
WEIGHTS = {"en": 6, "de": 2, "fr": 2, "es": 2, "it": 2, "pt": 2, "nl": 2}
OTHER_SCRIPTS = ("el", "ru uk bg mk", "he", "ar fa ur", "hi mr ne", "bn", "th", "ta", "te")
FOLDED = str.maketrans({"ß": "ss", "ø": "o", "đ": "d", "ł": "l", "\u0131": "i", "æ": "ae", "œ": "oe"})
SYMBOLS = " " + string.ascii_lowercase


def main() -> None:
    pairs: Counter[str] = Counter()
    for language in LATIN.split():
        counts: Counter[str] = Counter()
        for gram, count in profile(language).items():
            folded = fold(gram)
            for pair in (folded[at : at + 2] for at in range(len(folded) - 1)):
                if len(gram) == 2 and set(pair) <= set(SYMBOLS) and pair != "  ":
                    counts[pair] += count
        add(pairs, counts, WEIGHTS.get(language, 1))
    total = sum(pairs.values())
    print("_PAIRS = (")
    for first in SYMBOLS:
        bits = (math.log2(pairs[first + second] / total * 729 + 1e-9) for second in SYMBOLS)
        print(f'    "{"".join(chr(97 + round(2 * (min(4.0, max(-8.0, bit)) + 8))) for bit in bits)}"')
    print(")\n_SHARES = (")
    for languages in OTHER_SCRIPTS:
        letters: Counter[str] = Counter()
        for language in languages.split():
            single = {g: n for g, n in profile(language).items() if len(g) == 1 and g.isalpha()}
            add(letters, Counter({g: n for g, n in single.items() if ord(g) >= 0x370}), 1)
        total = sum(letters.values())
        common = [(g, round(1000 * n / total)) for g, n in letters.most_common()]
        print(f'    "{" ".join(f"{g}{n}" for g, n in common if n >= 2)}",')
    print(")")


def profile(language: str) -> dict[str, int]:
    path = resources.files("langdetect") / "profiles" / language
    counts: dict[str, int] = json.loads(path.read_text("utf-8"))["freq"]
    return counts


def fold(text: str) -> str:
    """Return lower-case letters without accents."""
    decomposed = unicodedata.normalize("NFKD", text.lower().translate(FOLDED))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def add(total: Counter[str], counts: Counter[str], weight: int) -> None:
    """Add shares, so that a language with more text does not count for more."""
    size = sum(counts.values())
    for key, count in counts.items():
        total[key] += weight * count / size  # type: ignore[assignment]


if __name__ == "__main__":
    main()
