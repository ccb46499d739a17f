"""Text in the form in which it is stored, whatever engine it comes from, and numbers in sentences.

Belongs here: rules that need nothing but the text. Does not belong here: reading documents.
"""

from __future__ import annotations

import re

from ingest_assets.errors import PermanentError

# Text that one document may hold, in bytes: over ten thousand closely printed pages.
MAX_TEXT_BYTES = 32_000_000

# It shows only where a line is broken at it, which no line of a stored text is.
SOFT_HYPHEN = "\u00ad"

_LINE_BREAKS = re.compile("[\r\x0b\x0c\x85\u2028\u2029]")

# Control characters except tab and newline, lone surrogates, which have no UTF-8 form, and code points
# that are never characters. Postgres refuses NUL; the others are invisible.
_UNREADABLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)

# To look once for both takes half as long as to replace each; nearly all texts have none of them.
_EITHER = re.compile(f"[{_LINE_BREAKS.pattern[1:-1]}{_UNREADABLE.pattern[1:-1]}]")


def counted(number: int, noun: str) -> str:
    """Return a number of things: "1 document", "1,200 documents"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def clean_text(text: str) -> str:
    """Return the text with `\\n` as its only line break and without unreadable characters.

    The result is valid UTF-8 that Postgres takes; lines have no trailing spaces, and the text
    neither starts nor ends with empty lines.
    """
    text = text.replace("\r\n", "\n")  # The pattern would take ten times as long for it.
    if _EITHER.search(text):
        text = _UNREADABLE.sub("", _LINE_BREAKS.sub("\n", text))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def too_much_text() -> PermanentError:
    """Return the error for a document whose text is longer than `MAX_TEXT_BYTES`."""
    return PermanentError(
        "too_much_text", f"The document holds more than {MAX_TEXT_BYTES // 1_000_000} MB of text."
    )
