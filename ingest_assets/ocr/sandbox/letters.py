"""Whether letters look like those of a language, whichever it is.

Fonts in PDFs may say of each glyph that it is another letter, or nothing at all, and scanners store
what they misread. Such text is valid, and wrong: what gives it away is that its letters follow each
other as in no language.

Belongs here: statistics of letters. Does not belong here: where the text comes from, and what to do
about text that fails; a list of part numbers fails too.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter

import numpy as np
import numpy.typing as npt

# How likely one letter is to follow another, in half bits above chance (`q` is chance): rows are the
# first letter, columns the second, in the order space, a to z. `bench/letter_statistics.py` makes these
# tables.
_PAIRS = (
    "axuvxwuttvsuuvvvvotwvtutkrq"
    "ysqrtporqsprvtxnqjvuurqmmqp"
    "nsjfesaaargcpahqaaqjfqafanb"
    "qtalasaatsionektacnkpoabalk"
    "uthdowehmuijljmsdapnkqjjalm"
    "yqprtrnrnsoquswnpiwvuppmmno"
    "rpaaepmeaqfblafraaqhmnadaia"
    "tsfcisclmrjioimqeaqmkpdjamd"
    "stbaguaaarhikilrcgngophjala"
    "wtotrunrmopstrwtpjsvunqjinp"
    "nracgsbaaoaicfjpaaalfpgaaba"
    "rtegdraakrflnmksaaoopqhjama"
    "uvmjoukljumnsnlsjaeppqliaof"
    "tupegufjfsjjjojrpaimjqajajd"
    "xvjruulunumoljptcejsupkjapm"
    "wnpqrnrqmoopttvqqevtqrrogkn"
    "otafasfenqfcpbfsmaslmpbddga"
    "eiaadiaaahaaaaagaaaaapaaaca"
    "vvnoqvlplvjoopqulgorsrnkaom"
    "xtkqiuhiqtjronlsqejqvrmjamn"
    "vvkhavghtuikmjltdatqqsllaoj"
    "tpoopqkolpmnrrumoessrnljjjm"
    "psadetaaasfejalqaakjdlcaalg"
    "osafepabkpaagclnaajjahaaama"
    "mladdiaackaaabaegaaaigaaaaa"
    "tqimnnjihlgkmmonjamnljijaeg"
    "oqhfjpagfqdhiimnfafijlihakh"
)

# The letters of other scripts with their shares, in thousandths: Greek, Cyrillic, Hebrew, Arabic,
# Devanagari, Thai.
_SHARES = (
    "α91 ο85 τ78 ι67 ν60 ε55 ρ45 κ40 ς40 σ38 η37 υ34 π31 μ31 λ29 ί27 ό22 ά18 γ17 ή16 έ15 δ14 "
    "ω14 ύ10 χ10 θ9 φ7 ώ7 β6 Α5 Ο3 ζ3 Π3 Κ3 Σ3 Μ3 Τ3 ξ3 Ε3 Η2 Β2 Γ2 Δ2",
    "а103 о92 и82 н76 е75 т60 р55 с47 в40 к37 л36 д30 м24 п23 у22 і18 г17 з16 я14 б12 ч10 й10 "
    "ц9 ь8 х7 ж6 ј5 ф5 ш4 ы4 ъ4 ю4 С4 П3 щ3 К3 А2 М2 ї2 В2 Б2 Р2 Д2 Н2 Т2",
    "י120 ו114 ה84 ר63 ל60 ב56 ת56 מ54 א51 ש42 נ38 ד26 ק25 ע24 ם24 פ23 ס22 ח21 כ18 ט17 ג17 "
    "ן13 צ13 ז9 ך3 ף2",
    "ا139 ي97 ر68 و57 ل57 م57 ن55 ت43 د40 س38 ب35 ک33 ه30 ش20 ع20 ف18 ہ17 ے15 ج15 ق15 ة13 ز12 "
    "ح11 خ7 ص7 ط7 ں7 ك7 پ7 گ6 أ6 آ5 ئ4 ھ4 غ3 ض3 ث3 إ2 چ2 ذ2 ى2 ظ2 ء2 ٹ2",
    "र110 क92 न68 त66 स61 य54 म53 ह49 ल48 प48 व41 द30 ज25 ग21 च19 श19 ट17 ब16 भ16 अ13 ए13 ण12 "
    "ध12 ष11 थ11 आ10 ड10 ख7 उ7 इ6 छ6 फ4 ठ4 ई3 ळ3 घ3 औ2",
    "า84 น77 ร71 อ56 เ53 ก51 ง49 ม42 ย35 ว33 ล33 ท30 ส28 ด28 ต27 ป26 ะ24 ห23 บ21 ค21 แ19 พ17 "
    "จ17 ช15 ข14 ใ13 โ11 ศ10 ไ9 ำ8 ซ6 ษ6 ถ6 ภ6 ธ5 ณ5 ผ4 ญ3 ฟ3 ฐ2",
)

# Bits a pair above chance. Pages in 31 languages have 1.0 to 2.0, ciphers -4 to 0, bad recognition 0 to
# 0.6. Ten letters vary by more than a page does.
_NATURAL_BITS = 0.7
_NATURAL_BITS_OF_FEW = 0.5
_UNNATURAL_BITS = -0.3

# Bits a letter by which shares may differ from the usual ones: a language has up to 0.6, another order
# of the alphabet 1.0 and more.
_UNUSUAL_BITS = 0.8

# Shares of the letters: those that stand alone, as in text whose letters were taken in any order, and
# those that are one and the same.
_MOST_ALONE, _MOST_OF_ONE = 0.5, 0.7

# Fewer letters than this say nothing.
_ENOUGH_LETTERS = 8

# Letters of scripts that the tables of pairs do not know.
_OTHER_LETTERS = re.compile(
    "[\u0370-\u1fff\u2c00-\ud7ff\uf900-\ufdff\ufe70-\ufefe\U00010000-\U0001ffff]"
)

# Not within a word of Latin letters: capitals that a few languages have at the beginning of words, and
# scripts that put spaces between words. Fonts call their ligatures so: "acƟon", "oᎴcial".
_CAPITALS = "".join(filter(str.isupper, map(chr, range(0x180, 0x250))))
_SPACED = "\u0530-\u058f\u10a0-\u10ff\u1200-\u18af"
_STRANGE_INSIDE = re.compile(f"[a-z][{_CAPITALS}{_SPACED}]|[{_SPACED}][a-z]{{2}}")
_STRANGE = re.compile(f"[{_CAPITALS}{_SPACED}]")

# No letters of a word, but within one: a font has nothing for a letter there. Beside a word they are
# bullets, which other fonts have elsewhere, and alone between two letters signs of mathematics.
_LOST = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ue000-\uf01f\uf021-\uf09f\uf0a1-\uf8ff\ufffd"
_LETTER = r"[^\W\d_]"
_LOST_INSIDE = re.compile(
    rf"{_LETTER}{{2}}[{_LOST}]{_LETTER}|{_LETTER}[{_LOST}]{_LETTER}{{2}}|\d[{_LOST}]\d"
    "|[\x00-\x08\x0e-\x1f\ue000-\uefff\ufffd][a-z]{2}"
)

# Letters of other scripts that look like Latin ones, Cyrillic first, then Greek.
_LOOK_ALIKES = dict(
    zip(
        "аеорсухіјѕАВЕКМНОРСТУХІЈЅονΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxijsABEKMHOPCTYXIJSovABEZHIKMNOPTYX",
        strict=True,
    )
)
_GREEK_OR_CYRILLIC = re.compile("[\u0391-\u0458]")
_MIXED = re.compile(f"[A-Za-z][{''.join(_LOOK_ALIKES)}]|[{''.join(_LOOK_ALIKES)}][A-Za-z]")
_LETTERS = re.compile(r"[^\W\d_]+")

# What has digits, or a dot or such within it.
_CODE = re.compile(r"\S*[\d_@/]\S*|\w+[.:]\w\S*")

_FIRST_SURROGATE = "\ud800"
_PRINTED = bytes(
    code for code in range(256) if code in (0x09, 0x0A, 0x0D) or 0x20 <= code <= 0x7E or code >= 0xA0
)

_ACCENTED = "àáâãäåçèéêëìíîïñòóôõöøùúûüýÿß"
_PLAIN = "aaaaaaceeeeiiiinoooooouuuuyys"


def _byte_classes() -> bytes:
    """Return for each byte of Latin-1 the number of its letter, 1 to 26; 0 for all else."""
    classes = bytearray(256)
    for letters, plain in ((string.ascii_lowercase, string.ascii_lowercase), (_ACCENTED, _PLAIN)):
        for letter, base in zip(letters, plain, strict=True):
            for case in {letter, letter.upper()} - {"SS", "Ÿ"}:
                classes[ord(case)] = ord(base) - 96
    return bytes(classes)


def _pair_values() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return what each pair of letters counts for, and whether it is one of two that differ.

    The first letter of a pair is the low byte of its place, the second the high byte. A value has two
    numbers, so that one sum adds up both: half bits from `_COUNT_BITS` on, and below it 1, for a pair;
    two signs that are no letters count for nothing.
    """
    values = np.zeros((27, 256), dtype=np.int64)
    cells = np.array([ord(cell) - ord("q") for cell in _PAIRS]).reshape(27, 27)
    values[:, :27] = (cells.T << _COUNT_BITS) + 1
    values[0, 0] = 0
    differ = np.zeros((27, 256), dtype=bool)
    differ[1:, 1:27] = ~np.eye(26, dtype=bool)
    return values.ravel(), differ.ravel()


_COUNT_BITS = 32
_COUNT = (1 << _COUNT_BITS) - 1
_TO_LATIN = str.maketrans(_LOOK_ALIKES)
_TO_CYRILLIC = str.maketrans(
    {latin: other for other, latin in _LOOK_ALIKES.items() if other > "\u03ff"}
)
_CLASSES = _byte_classes()
_VALUES, _DIFFER = _pair_values()
_KNOWN_SHARES = tuple(
    {entry[0]: int(entry[1:]) / 1000 for entry in script.split()} for script in _SHARES
)


def are_natural(text: str) -> bool | None:
    """Tell whether the letters of a text are those of some language; None where they are too few."""
    return judge(text)[0]


def are_unnatural(line: str) -> bool:
    """Tell whether the letters of a line, twenty or more, are surely those of no language."""
    return judge(line)[1]


def judge(text: str) -> tuple[bool | None, bool]:
    """Tell what `are_natural` does of a text, and whether `are_unnatural` holds for a line of it.

    Names of files, references and numbers of accounts are no words: a text is judged without them if
    it looks like no language with them.
    """
    verdict = _judge(text)
    if verdict[0] is False or verdict[1]:
        return _judge(_CODE.sub("", text))
    return verdict


def _judge(text: str) -> tuple[bool | None, bool]:
    encoded = text.encode("latin-1", errors="replace")
    if len(encoded) < 2:
        return None, False
    classes = encoded.translate(_CLASSES)
    pairs_of = np.ndarray((len(classes) - 1,), "<u2", classes, strides=(1,))
    # What follows the end of a line begins the next one.
    starts = np.flatnonzero(np.frombuffer(encoded, dtype=np.uint8)[:-2] == 0x0A) + 1
    lines = np.add.reduceat(_VALUES.take(pairs_of), np.concatenate(([0], starts)))
    line_bits, line_pairs = (lines >> _COUNT_BITS) / 2, lines & _COUNT
    has_odd_line = bool(((line_pairs >= 20) & (line_bits < _UNNATURAL_BITS * line_pairs)).any())
    total = int(lines.sum())
    bits, pairs = (total >> _COUNT_BITS) / 2, total & _COUNT
    others = _OTHER_LETTERS.findall(text) if 3 * pairs < 2 * len(text) else []
    if len(others) > pairs:
        return _others_are_natural(others), has_odd_line
    if pairs < _ENOUGH_LETTERS:
        return None, has_odd_line
    # In scattered letters so many pairs cannot be. To count them takes less than to look.
    letters = np.frombuffer(classes, dtype=np.uint8)
    joined, many = np.count_nonzero(_DIFFER.take(pairs_of)), np.count_nonzero(letters)
    if joined <= 2 * (1 - _MOST_OF_ONE) * many + 1 and _are_scattered(letters):
        return None, has_odd_line
    least = _NATURAL_BITS if pairs >= 25 else _NATURAL_BITS_OF_FEW
    return bits / pairs >= least, has_odd_line


def _are_scattered(letters: npt.NDArray[np.uint8]) -> bool:
    """Tell whether most letters are no part of a word, or nearly all are the same one."""
    counts = np.bincount(letters, minlength=27)
    are_letters = letters != 0
    alone = np.count_nonzero(are_letters[1:-1] & ~are_letters[:-2] & ~are_letters[2:])
    many = int(counts[1:].sum())
    return many >= 3 * _ENOUGH_LETTERS and bool(
        alone > _MOST_ALONE * many or counts[1:].max() > _MOST_OF_ONE * many
    )


def unmapped(text: str) -> tuple[float, bool]:
    """Tell how much of a text stands for no character: controls, private use, "no such character".

    Returns:
        The share of such characters, 0 to 1, and whether a word is lost: two stand side by side, where
        one alone is a bullet or a tick, one stands within a word, or a letter is one that no such word
        has.
    """
    latin_1 = text.encode("latin-1", "ignore")
    if len(latin_1) == len(text) and not latin_1.translate(None, _PRINTED):
        return 0.0, False  # So it is for most texts.
    codes = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32)
    others = set(map(chr, codes[codes > 0xFF].tolist())) if len(latin_1) < len(text) else set()
    if any(map(_STRANGE.match, others)) and _STRANGE_INSIDE.search(text):
        return 0.0, True
    if max(others, default="") < _FIRST_SURROGATE and not latin_1.translate(None, _PRINTED):
        return 0.0, False
    lost = ((codes < 0x20) & ~((codes >= 0x09) & (codes <= 0x0D))) | ((codes >= 0x7F) & (codes <= 0x9F))
    if codes.size and codes.max() >= 0xE000:
        lost |= (codes >= 0xE000) & (codes <= 0xF8FF) | (codes == 0xFFFD) | (codes >= 0xF0000)
    if not lost.any():
        return 0.0, False
    word_is_lost = bool((lost[:-1] & lost[1:]).any()) or _LOST_INSIDE.search(text) is not None
    return float(lost.mean()), word_is_lost


def in_one_script(text: str) -> str:
    """Return a text whose words are in one script each, letter by letter as long as before.

    Fonts, and people, take letters of another script for those that look the same: nobody sees it, and
    no search finds such a word.
    """
    if text.isascii() or not _GREEK_OR_CYRILLIC.search(text) or not _MIXED.search(text):
        return text
    others = [letter for letter in text if letter > "\u036f" and letter.isalpha()]
    is_latin = all(letter in _LOOK_ALIKES for letter in others)
    return _LETTERS.sub(lambda word: _in_one_script(word[0], is_all_latin=is_latin), text)


def _in_one_script(word: str, *, is_all_latin: bool) -> str:
    if word.isascii() or (len(word) < 3 and not is_all_latin):
        return word
    if all(letter < "\u0250" or letter in _LOOK_ALIKES for letter in word):
        is_mixed = any(letter < "\u0250" for letter in word)
        return word.translate(_TO_LATIN) if is_mixed or is_all_latin else word
    if all(letter > "\u03ff" or letter in _LOOK_ALIKES.values() for letter in word):
        return word.translate(_TO_CYRILLIC)
    return word


def _others_are_natural(letters: list[str]) -> bool | None:
    ideographs = [letter for letter in letters if "\u3400" <= letter <= "\u9fff"]
    if len(ideographs) > len(letters) / 2:
        return _share_of_common(ideographs) >= 0.7 if len(ideographs) >= _ENOUGH_LETTERS else None
    counts = Counter("".join(letters).lower())
    shares = max(_KNOWN_SHARES, key=lambda known: sum(counts[letter] for letter in known))
    known = sum(counts[letter] for letter in shares)
    if known < 0.5 * len(letters) or len(letters) < 30:
        return None  # Kana, Hangul, Georgian: nothing is known of them here.
    unusual = sum(
        count / len(letters) * math.log2(count / len(letters) / shares.get(letter, 0.001))
        for letter, count in counts.items()
    )
    # Of few letters the shares differ by chance.
    return unusual - (len(counts) - 1) / (2 * len(letters) * math.log(2)) <= _UNUSUAL_BITS


def _share_of_common(ideographs: list[str]) -> float:
    """Return the share of those that China, Taiwan or Japan count among the commoner half.

    Their character sets list the commoner ideographs first; numbers of glyphs, and letters with their
    bytes swapped, fall anywhere.
    """
    common = 0
    for ideograph in ideographs:
        for encoding, first, last in (
            ("gb2312", 0xB0, 0xD7),
            ("big5", 0xA4, 0xC6),
            ("shift_jis", 0x88, 0x97),
        ):
            code = ideograph.encode(encoding, errors="ignore")
            if code and first <= code[0] <= last:
                common += 1
                break
    return common / len(ideographs)
