"""Calendars and contacts (iCalendar, vCard): their lines, as a person reads them.

Belongs here: what is folded, escaped and encoded in them (RFC 5545, RFC 6350, vCard 2.1). Does not
belong here: what the properties mean; they keep their names.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from pathlib import Path

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.encodings import Decoded, decode, decode_stated
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.text import MAX_TEXT_BYTES, clean_text, too_much_text

_FOLDED = re.compile(r"\r?\n[ \t]")
_CONTENT = re.compile(r"((?:[\w-]+\.)?[A-Za-z][\w-]*)((?:;(?:\"[^\"]*\"|[^\":;])*)*):(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\([nN,;:\\])")
_QUOTED = re.compile(r";(?:ENCODING=)?QUOTED-PRINTABLE\b", re.IGNORECASE)
_CHARSET = re.compile(r";CHARSET=\"?([\w.:-]+)\"?", re.IGNORECASE)
_BINARY = re.compile(r";(?:ENCODING=)?(?:B|BASE64)\b", re.IGNORECASE)
_DATA = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


def read_cards(path: Path) -> FlowingDocument:
    """Read a calendar or contacts as one page of text."""
    if path.stat().st_size > 2 * MAX_TEXT_BYTES:
        raise too_much_text()
    decoded = decode(path.read_bytes())
    found = cards_text(decoded.text)
    return FlowingDocument((clean_text(found.text),), (*decoded.notes, *found.notes))


def cards_text(text: str) -> Decoded:
    """Return the text of a calendar or of contacts, without the pictures and files in it."""
    files: list[str] = []
    lines: list[str] = []
    for line in _lines(text):
        found = _CONTENT.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        name, stated, value = found.groups()
        if _BINARY.search(stated) or _DATA.match(value):
            files.append(name)
        elif _QUOTED.search(stated):
            lines.append(f"{name}{_kept(stated)}: {_unquoted(value, stated)}")
        else:
            value = _ESCAPED.sub(lambda one: "\n" if one[1] in "nN" else one[1], value)
            lines.append(f"{name}{_kept(stated)}: {value}")
    notes = [Note("content_unreadable", f"files within it: {', '.join(dict.fromkeys(files))}")]
    return Decoded("\n".join(lines), tuple(notes if files else ()))


def _lines(text: str) -> Iterator[str]:
    """Yield the lines as they were before they were folded."""
    whole = ""
    for line in _FOLDED.sub("", text).splitlines():
        whole += line
        head = whole.partition(":")[0]
        if _QUOTED.search(head) and whole.endswith("="):  # vCard 2.1 folds these in its own way.
            whole = whole[:-1]
            continue
        yield whole
        whole = ""
    if whole:
        yield whole


def _kept(stated: str) -> str:
    """Return what is stated of a value but for how it is encoded."""
    return _CHARSET.sub("", _QUOTED.sub("", stated))


def _unquoted(value: str, stated: str) -> str:
    data = quopri.decodestring(value.encode())
    charset = _CHARSET.search(stated)
    known = decode_stated(data, charset[1]) if charset else None
    return decode(data).text if known is None else known
