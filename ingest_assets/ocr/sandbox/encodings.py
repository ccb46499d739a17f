"""From the bytes of a text file to its characters.

Belongs here: finding out the encoding, by all of the file. Does not belong here: what the characters
say.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from dataclasses import dataclass

import chardet

from ingest_assets.identification.characters import is_ebcdic, wide_encoding
from ingest_assets.notes import Note

# Of a long text its lines that are more than ASCII are enough, and so many bytes of them.
_GUESS_BYTES = 100_000
_SHORT_BYTES = 30_000
_NOT_ASCII_LINE = re.compile(rb"[^\r\n]*[\x80-\xff\x1b][^\r\n]*[\r\n]*")
# Escapes of ISO-2022 (Japanese, Korean, Chinese) and HZ: texts of ASCII bytes that are not ASCII.
_ESCAPES = re.compile(rb"\x1b\$|\x1b\([BIJ]|~\{")
# What programs write under the name of a smaller encoding.
_WIDER = {
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso2022_jp": "iso2022_jp_3",
}
# Names of encodings that mails and pages state, and Python does not know.
_NAMES = {
    **{"x-sjis": "cp932", "windows-31j": "cp932", "ks_c_5601-1987": "cp949", "ks_c_5601": "cp949"},
    **{"iso-8859-8-i": "cp1255", "iso-8859-8-e": "cp1255", "iso-8859-6-i": "iso8859-6"},
    **{"x-gbk": "gb18030", "gb_2312-80": "gb18030", "x-euc-jp": "euc_jp", "x-euc-kr": "cp949"},
    **{"x-mac-roman": "mac_roman", "x-mac-cyrillic": "mac_cyrillic", "macintosh": "mac_roman"},
    **{
        "unicode-1-1-utf-7": "utf-7",
        "x-big5": "big5hkscs",
        "x-x-big5": "big5hkscs",
        "tis-620": "cp874",
    },
    **{"dos-720": "cp720", "dos-862": "cp862", "x-user-defined": "cp1252", "cn-gb": "gb18030"},
}
_OF_8_BITS = ("ascii", "iso8859", "cp125", "koi8", "mac")
# Two or three characters of GBK may happen to be UTF-8, and a few of UTF-16 to be ASCII. Those that
# have so many bytes behind the first of each in UTF-8, or are so many in ASCII, are not. In UTF-16
# spaces and Latin letters have a NUL, punctuation has other controls.
_FEWEST_UTF_8, _FEWEST_NOT_WIDE = 4, 16
# Fewer do not happen to be letters with accents within words, punctuation, signs and emoji.
_WESTERN = re.compile(
    "(?<=[a-z])[À-ɏ]|[À-ɏ](?=[a-z])|[\u00a0-\u00bf\u2010-\u203a€™\U0001f300-\U0001faff]"
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_SHIFTS = re.compile(rb"\x1b(\$[@B]|\([BIJ])")
# Quotation marks, dashes and signs of cp1252, in places where other encodings' letters do not stand.
_TYPOGRAPHIC = re.compile(
    rb"(?<![A-Za-z])[\x82\x84\x91\x93\xab]"
    rb"|(?<=[A-Za-z])\x92"
    rb"|[\x85\x94\xbb](?![A-Za-z])"
    rb"|(?<![A-Za-z])[\x80\x95-\x97\xa0\xa3\xa7\xa9\xae\xb0](?![A-Za-z])"
)
_NOT_LATIN = re.compile("[\u0370-\u06ff]")
_MIXED = re.compile("[A-Za-z][\u0370-\u06ff]|[\u0370-\u06ff][A-Za-z]")
_IN_WORDS = re.compile(r"[a-z][^\x00-\x7f](?=[a-z]|\b)")
_IN_BASE64, _FEW_IN_BASE64 = re.compile(rb"\+[A-Za-z0-9+/]{3,}-"), 3
_NEAR = 0.6
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_RARE = (
    "MacTurkish",
    "MacIceland",
    "MacLatin2",
    "MacCyrillic",
    "iso8859-4",
    "hp-roman8",
    "cp720",
    "cp858",
    "cp1006",
)
_UNGUESSED = "cp1252"
_HIGH, _FEW = bytes(range(128, 256)), 8
_REPLACEMENT = "\ufffd"
_WITH_SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")


@dataclass(frozen=True)
class Decoded:
    """The characters of a text.

    Attributes:
        notes: what was guessed, and what could not be decoded.
    """

    text: str
    notes: tuple[Note, ...] = ()


def decode(data: bytes) -> Decoded:
    """Decode a whole text; bytes that are no characters in its encoding stand as U+FFFD."""
    if wide := wide_encoding(data):
        encoding, mark = wide
        text = data[mark:].decode(encoding, "replace")
        return Decoded(text, _replaced(text, encoding) if mark else _guessed(encoding, text))
    if is_ebcdic(data):
        encoding = _guess(data[:_GUESS_BYTES], "cp500")
        encoding = encoding if encoding.startswith("cp") and b"A".decode(encoding) != "A" else "cp500"
        return _decoded(data, encoding)
    escaped = _ESCAPES.search(data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _not_quite_utf_8(data)
    if escaped and text.isascii():
        encoding = _guess(_telling(data), "ascii")
        if encoding not in ("ascii", "utf-8", _UNGUESSED):
            return _decoded(data, encoding)
    return _utf_7(data) or Decoded(text)


def decode_stated(data: bytes, stated: str) -> str | None:
    """Decode a text in the encoding that is stated for it; None where that is not true of its bytes.

    What programs write under the name of a smaller encoding is read: cp1252 where ISO-8859-1 is stated.
    So is UTF-8 under any name, which programs write for what they have converted.
    """
    name = stated.strip().strip("\"'").lower()
    try:
        codec = codecs.lookup(_NAMES.get(name, name)).name
        if (text := _as_utf_8(data, codec)) is not None:
            return text
        for encoding in dict.fromkeys((codec, _WIDER.get(codec, codec))):
            if encoding != "iso8859-1" and (codec != "ascii" or encoding == "ascii"):
                with contextlib.suppress(UnicodeDecodeError):
                    return data.decode(encoding)
        if codec == "iso8859-1":
            return data.decode("iso8859-1")
        return _iso_2022_jp(data) if codec == "iso2022_jp" else None
    except (LookupError, ValueError):  # Some codecs are none of text.
        return None


def _as_utf_8(data: bytes, codec: str) -> str | None:
    """Decode what is stated to be in another encoding as UTF-8; None where it may be what is stated."""
    is_wide = codec.startswith(("utf-16", "utf-32"))
    if codec == "utf-8" or (_CONTROL.search(data) if is_wide else data.isascii()):
        return None
    with contextlib.suppress(UnicodeDecodeError):
        text = data.decode()
        if codec.startswith(_OF_8_BITS):
            return text  # No text in such an encoding happens to be UTF-8.
        if is_wide:
            return text if len(data) >= _FEWEST_NOT_WIDE else None
        continued = len(data) - len(text)
        if continued >= _FEWEST_UTF_8 or len(_NOT_ASCII.findall(text)) == len(_WESTERN.findall(text)):
            return text
    return None


def _iso_2022_jp(data: bytes) -> str:
    """Decode Japanese with the characters that Windows has added to the standard."""
    start, *pieces = _SHIFTS.split(data)
    text = start.decode("ascii")
    for shift, piece in zip(pieces[::2], pieces[1::2], strict=True):
        high = bytes(byte | 0x80 if byte > 0x20 else byte for byte in piece)
        if shift.startswith(b"$"):
            text += high.decode("euc_jis_2004")
        else:
            text += high.decode("cp932") if shift == b"(I" else piece.decode("ascii")
    return text


def _not_quite_utf_8(data: bytes) -> Decoded:
    if _WITH_SURROGATES.search(data):  # Two halves, as Java and Oracle write what is beyond U+FFFF.
        data = _WITH_SURROGATES.sub(_joined, data)
    text = data.decode("utf-8", "replace")
    bad = text.count(_REPLACEMENT)
    good = sum(len(run) for run in re.findall(r"[^\x00-\x7f\ufffd]+", text))
    if good >= 3 * bad or (good and bad == 1):
        return Decoded(text, _replaced(text, "UTF-8"))
    lines = data.splitlines(keepends=True)
    others = [line for line in lines if not _is_utf_8(line)]
    well_formed = sum(not line.isascii() for line in lines) - len(others)
    if well_formed < max(3, len(others) / 10):
        return _decoded(data, _guess_8_bit(_telling(data)))
    # Two files were joined: each line is read in the encoding that it is in.
    encoding = _guess_8_bit(b"".join(others)[:_GUESS_BYTES])
    text = "".join(
        line.decode("utf-8") if _is_utf_8(line) else line.decode(encoding, "replace") for line in lines
    )
    return Decoded(text, _guessed(f"UTF-8, and {_name(encoding)} in some lines", text))


def _utf_7(data: bytes) -> Decoded | None:
    """Decode a text whose letters with accents all stand in base64 between "+" and "-"."""
    if len(_IN_BASE64.findall(data)) < _FEW_IN_BASE64:
        return None
    try:
        text = data.decode("utf-7")
    except UnicodeDecodeError:
        return None  # So it is of nearly all text with such signs in it.
    others = [character for character in text if not character.isascii()]
    if 5 * sum(map(str.isalpha, others)) < 4 * len(others):
        return None
    return Decoded(text, _guessed("utf-7", text))


def _joined(halves: re.Match[bytes]) -> bytes:
    pair = halves[0].decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
    return pair.decode("utf-16-le").encode()


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _telling(data: bytes) -> bytes:
    """Return the part of a text that tells its encoding."""
    if len(data) <= _SHORT_BYTES:
        return data
    telling, size = [], 0
    for line in _NOT_ASCII_LINE.finditer(data):
        telling.append(line[0][:_SHORT_BYTES])
        size += len(telling[-1])
        if size > _GUESS_BYTES:
            break
    return b"".join(telling) or data[:_GUESS_BYTES]


def _guess(data: bytes, otherwise: str) -> str:
    """Return the encoding that the statistics of letters point to."""
    guesses = chardet.detect_all(data, ignore_threshold=True)
    found = guesses[0]["encoding"]
    if found in _RARE:  # Of a few letters several encodings make words.
        near = (0 if _has_few(data) else _NEAR) * guesses[0]["confidence"]
        common = (one for one in guesses if one["encoding"] == "Windows-1252")
        found = next((one["encoding"] for one in common if one["confidence"] >= near), found)
    try:
        return codecs.lookup(found).name if found else otherwise
    except LookupError:  # It knows encodings that Python does not.
        return otherwise


def _guess_8_bit(data: bytes) -> str:
    """Return the encoding of what is no UTF-8."""
    if _TYPOGRAPHIC.sub(b"", data).isascii():
        return "cp1252"  # Statistics of letters take a few such bytes for letters of any language.
    encoding = _guess(data, _UNGUESSED)
    text = data.decode(encoding, "replace")
    # Greek, Cyrillic, Hebrew and Arabic letters do not stand within words of Latin ones.
    are_mixed = 0 < len(_NOT_LATIN.findall(text)) <= 2 * len(_MIXED.findall(text))
    if encoding in ("utf-8", "ascii") or are_mixed or (_has_few(data) and _is_odd(text)):
        return _UNGUESSED
    return encoding


def _has_few(data: bytes) -> bool:
    """Tell whether a text has so few letters beyond ASCII that statistics of them say little."""
    return len(data) - len(data.translate(None, _HIGH)) < _FEW


def _is_odd(text: str) -> bool:
    """Tell whether capitals or signs stand within or behind small letters, as in cafÈ and naÔve."""
    return any(pair[1].isupper() or not pair[1].isalpha() for pair in _IN_WORDS.findall(text))


def _decoded(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, "replace")
    wider = _WIDER.get(encoding)
    if wider and _REPLACEMENT in text:
        other = data.decode(wider, "replace")
        if other.count(_REPLACEMENT) < text.count(_REPLACEMENT):
            text, encoding = other, wider
    return Decoded(text, _guessed(_name(encoding), text))


def _guessed(encoding: str, text: str) -> tuple[Note, ...]:
    return Note("encoding_guessed", f"decoded as {encoding}"), *_replaced(text, encoding)


def _replaced(text: str, encoding: str) -> tuple[Note, ...]:
    count = text.count(_REPLACEMENT)
    if not count:
        return ()
    line = text.count("\n", 0, text.index(_REPLACEMENT)) + 1
    places = f"{count} places, first in line {line}" if count > 1 else f"one place, in line {line}"
    return (Note("bytes_replaced", f"bytes that are no characters in {encoding}, in {places}"),)


def _name(encoding: str) -> str:
    return encoding.replace("iso8859", "iso-8859")
