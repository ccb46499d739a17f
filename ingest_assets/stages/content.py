"""Digest, size and type of a stream of bytes, found in one pass.

Belongs here: recognising the accepted types by their first and last bytes. Does not belong here:
parsing them, which only worker processes do (`ocr.sandbox`).
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

_HEAD_BYTES = 4096
# A zip file has its directory at its end; that of a DOCX has a few dozen entries.
_TAIL_BYTES = 256 * 1024
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"II+\x00": "image/tiff",  # BigTIFF
    b"MM\x00+": "image/tiff",
}
_NOT_PLAIN_TEXT = (b"{\\rtf", b"%!PS")
# Control characters that text may have: tab, line feed, form feed, carriage return, and escape.
_CONTROLS = frozenset(range(32)) - {9, 10, 12, 13, 27}


@dataclass(frozen=True)
class Content:
    """What one pass over the bytes found.

    Attributes:
        sha256: hex digest.
        size_bytes: number of bytes.
        mime_type: one of the accepted types, or None.
    """

    sha256: str
    size_bytes: int
    mime_type: str | None


def examine(blocks: Iterable[bytes]) -> Content:
    """Read all blocks once, in bounded memory."""
    digest = hashlib.sha256()
    size = 0
    head = tail = b""
    for block in blocks:
        digest.update(block)
        size += len(block)
        if len(head) < _HEAD_BYTES:
            head += block[: _HEAD_BYTES - len(head)]
        tail = block[-_TAIL_BYTES:] if len(block) >= _TAIL_BYTES else (tail + block)[-_TAIL_BYTES:]
    return Content(digest.hexdigest(), size, _mime_type(head, tail))


def _mime_type(head: bytes, tail: bytes) -> str | None:
    for magic, mime_type in _MAGIC.items():
        if head.startswith(magic):
            return mime_type
    if head.startswith(b"PK\x03\x04"):
        return _DOCX if b"word/document.xml" in head + tail else None
    # The header of a PDF is somewhere in its first kilobyte (PDF 1.7, implementation note 13). A file
    # without it can be repaired if it has objects and the keyword of the trailer.
    if b"%PDF-" in head[:1024] or (b" obj" in head and b"startxref" in tail[-2048:]):
        return "application/pdf"
    return "text/plain" if _is_plain_text(head) else None


def _is_plain_text(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            # An incremental decoder, because the head may end inside a character.
            decoded = codecs.getincrementaldecoder("utf-16")().decode(head)
        except UnicodeDecodeError:
            return False
        return "\x00" not in decoded
    # Text may be in any 8-bit encoding. Control characters tell it from binary formats.
    return not head.startswith(_NOT_PLAIN_TEXT) and _CONTROLS.isdisjoint(head)
