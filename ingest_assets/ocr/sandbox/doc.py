"""DOC: the text of Word's binary documents, with their notes, headers and boxes.

Belongs here: where Word keeps characters ([MS-DOC], 2.4.1). Does not belong here: the file's streams
(`ole`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import fields
from ingest_assets.ocr.sandbox.doc_formatting import Formatting, Piece
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.ole import OleFile, pictures_in
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

_WORD_97 = 193
_ENCRYPTED, _OTHER_TABLE = 0x0100, 0x0200
# The lengths, in characters, of the texts that follow each other, from the body to boxes in margins.
_LENGTHS, _TEXTS = 0x4C, 8
# Where the pieces of the text are: place and length in the table stream.
_PIECES = 0x01A2
_COMPRESSED = 0x4000_0000
# A field: what it is made of, what it shows, its end.
_FIELD = re.compile("\x13([^\x13\x14\x15]*)(?:\x14([^\x13\x14\x15]*))?\x15")
_CHARACTERS = str.maketrans("\r\x0b\x0c\x0e\x07\x1e", "\n\n\n\n\t-", "\1\2\5\x08\x13\x14\x15\x1f")
_PICTURE, _DRAWN = "\x01", "\x08"


def read_doc(path: Path) -> IllustratedDocument:
    """Read a DOC as one page of text, and a page for each picture."""
    with OleFile(path) as file:
        raw = _text(file)
        notes = list(file.notes())
        pictures = pictures_in(file.read("Data") + file.read("WordDocument"))
    if raw.count(_PICTURE) + raw.count(_DRAWN) > len(pictures):
        notes.append(Note("image_unreadable", "pictures or drawings that were not looked at"))
    while _FIELD.search(raw):
        raw = _FIELD.sub(lambda field: field[2] or fields.without_result(field[1]), raw)
    # The last cell of a row ends with two marks.
    text = raw.replace("\x07\x07", "\n").translate(_CHARACTERS)
    return IllustratedDocument([text], pictures, pictures.__getitem__, lambda: dict.fromkeys(notes))


def _text(file: OleFile) -> str:
    """Return the characters of all texts, one after the other."""
    head = file.read("WordDocument")
    try:
        version, flags = struct.unpack_from("<H6xH", head, 2)
        if flags & _ENCRYPTED:
            raise PermanentError("encrypted", "The DOC cannot be opened without its password.")
        if version < _WORD_97:
            return _before_97(head)
        table = file.read("1Table" if flags & _OTHER_TABLE else "0Table")
        lengths = struct.unpack_from(f"<{_TEXTS}i", head, _LENGTHS)
        place, length = struct.unpack_from("<II", head, _PIECES)
        pieces = list(_pieces(head, table[place : place + length]))
    except (struct.error, IndexError) as error:
        raise corrupt(f"the DOC's tables cannot be read ({error})") from error
    raw = "".join(characters.ljust(piece.end - piece.start, "\0") for piece, characters in pieces)
    formatting = Formatting(head, table, [piece for piece, _ in pieces])
    texts, start = [], 0
    for length in lengths:
        end = min(start + max(0, length), len(raw))
        texts.append(formatting.shown(raw, start, end))
        start = end
    return "\r".join(filter(None, texts))


def _pieces(head: bytes, pieces: bytes) -> Iterator[tuple[Piece, str]]:
    """Yield the pieces of the text in their order (a Clx: properties, then the table of pieces)."""
    place, size = 0, 0
    while pieces[place] == 1:
        place += 3 + struct.unpack_from("<H", pieces, place + 1)[0]
    length = struct.unpack_from("<I", pieces, place + 1)[0]
    entries = pieces[place + 5 : place + 5 + length]
    count = (len(entries) - 4) // 12
    starts = struct.unpack_from(f"<{count + 1}I", entries, 0)
    for index in range(count):
        offset = struct.unpack_from("<I", entries, 4 * (count + 1) + 8 * index + 2)[0]
        characters = max(0, starts[index + 1] - starts[index])
        size += characters
        if size > MAX_TEXT_BYTES:
            raise too_much_text()
        width = 1 if offset & _COMPRESSED else 2
        begin = (offset & ~_COMPRESSED) // 2 if offset & _COMPRESSED else offset
        data = head[begin : begin + width * characters]
        # Each half of a character beyond U+FFFF counts; they are put together at the end.
        text = (
            data.decode("cp1252", "replace")
            if width == 1
            else data.decode("utf-16-le", "surrogatepass")
        )
        yield Piece(size - characters, size, begin, width), text


def _before_97(head: bytes) -> str:
    """Return the text of a document of Word 6 or 95, which lies in one piece."""
    begin, end = struct.unpack_from("<II", head, 0x18)
    return head[begin:end].decode("cp1252", "replace")
