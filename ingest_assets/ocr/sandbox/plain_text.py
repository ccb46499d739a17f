"""Plain text, with what printers and terminals make of it.

Belongs here: pages, and control characters that show as something. Does not belong here: encodings.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from ingest_assets.ocr.sandbox.document import check_page_count
from ingest_assets.ocr.sandbox.encodings import decode
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.text import MAX_TEXT_BYTES, clean_text, too_much_text

# What a terminal obeys and does not show: colours, cursor movements, titles of windows.
_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)|\x1b[()][0-9A-B]"
)
# A backspace, and what is printed over the character before it.
_OVERSTRUCK = re.compile(r"([^\x08\n])\x08([^\x08\n])")
_ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", '"': "\u0308", ",": "\u0327"}
# Separators of files, groups, records and units, in data; more than one NUL fills a field.
_SEPARATORS = re.compile(r"[\x1c-\x1e]|\x1f|\x00\x00+")


def read_plain_text(path: Path) -> FlowingDocument:
    """Read a text file in whatever encoding; form feeds part its pages."""
    if path.stat().st_size > 4 * MAX_TEXT_BYTES:  # UTF-32 is the widest.
        raise too_much_text()
    decoded = decode(path.read_bytes())
    if len(decoded.text) > MAX_TEXT_BYTES:
        raise too_much_text()
    text = as_printed(decoded.text).strip("\f\0\x1a")
    check_page_count(text.count("\f") + 1)  # Before there are millions of strings.
    return FlowingDocument(tuple(map(clean_text, text.split("\f"))), decoded.notes)


def as_printed(text: str) -> str:
    """Return what a printer or terminal shows of a text with control characters."""
    if "\x1b" in text:
        text = _TERMINAL.sub("", text)
    while "\b" in text:
        shorter = _OVERSTRUCK.sub(_over, text)
        if len(shorter) == len(text):
            break
        text = shorter
    return _SEPARATORS.sub(_separated, text)


def _over(pair: re.Match[str]) -> str:
    """Return one character for two in one place: underlined, bold, with an accent, or both."""
    under, over = pair.groups()
    if under in (over, "_", " "):
        return over
    if over in "_ ":
        return under
    for letter, accent in ((under, over), (over, under)):
        composed = unicodedata.normalize("NFC", letter + _ACCENTS.get(accent, ""))
        if accent in _ACCENTS and len(composed) == 1:
            return composed
    return under + over


def _separated(separator: re.Match[str]) -> str:
    return {"\x1f": "\t", "\x00": " "}.get(separator[0][0], "\n")
