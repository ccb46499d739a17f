"""Fields of Word: a code, which is not shown, and what Word made of it when it last looked.

Belongs here: what of the pieces of a paragraph is shown, where some are the code of a field. Does not
belong here: working fields out anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ingest_assets.ocr.sandbox import symbols

# Fields that show what their code says after a first word.
_BUTTONS = {"MACROBUTTON", "GOTOBUTTON"}

# How a word stands below its reading in smaller letters.
_READING = re.compile(r"\\o *\\a[a-z] *\( *\\s *\\up *\d+ *\(([^()]*)\) *, *([^()]*)\)", re.IGNORECASE)

# A switch of a code, such as \o or \*.
_SWITCH = re.compile(r"\\\* *(\"[^\"]*\"|\w+) ?|\\[a-z*#@!]*", re.IGNORECASE)

# A character by its number in a font; words that a field says itself.
_SYMBOL = re.compile(r"\s*SYMBOL\s+(0x[0-9a-f]{1,6}|\d{1,7})\b(.*)", re.IGNORECASE | re.DOTALL)
_ITS_FONT = re.compile(r"\\f\s+(?:\"([^\"]*)\"|(\S+))", re.IGNORECASE)
_IN_UNICODE = re.compile(r"\\u\b", re.IGNORECASE)
_QUOTE = re.compile(r"\s*QUOTE\s+\"([^\"]*)\"", re.IGNORECASE)
_LAST_CHARACTER = 0x10FFFF


class Mark(str):
    """A place between pieces of text where a field or its result begins or ends, or some of its code.

    It is an empty text, so that nothing is shown for it where fields are not looked at.

    Attributes:
        kind: `begin`, `separate`, `end` as Word says it, or `code`.
        code: the piece of code.
    """

    kind: str
    code: str

    def __new__(cls, kind: str, code: str = "") -> Mark:
        """Make an empty text that says what it stands for."""
        mark = super().__new__(cls)
        mark.kind, mark.code = kind, code
        return mark


@dataclass
class _Field:
    code: str = ""
    held: list[str] = field(default_factory=list)
    in_code: bool = True


def shown(pieces: Iterable[str]) -> Iterator[str]:
    """Yield what a paragraph shows: text, and results of fields, but not results within codes.

    Of a code that does not end in its paragraph what looks like text is shown after all.
    """
    fields: list[_Field] = []
    for piece in pieces:
        if not isinstance(piece, Mark):
            yield from _put(piece, fields)
        elif piece.kind == "begin":
            fields.append(_Field())
        elif piece.kind == "code":
            if fields:
                fields[-1].code += piece.code
            else:  # As some programs write it.
                yield without_result(piece.code)
        elif fields and piece.kind == "separate":
            fields[-1].in_code = False
        elif fields and piece.kind == "end":
            ended = fields.pop()
            if ended.in_code:
                yield from _put(without_result(ended.code), fields)
    for unended in fields:
        yield from unended.held


def _put(piece: str, fields: list[_Field]) -> Iterator[str]:
    """Yield a piece, or keep it as part of the code that it stands in."""
    around = next((outer for outer in reversed(fields) if outer.in_code), None)
    if around is None:
        yield piece
    else:
        around.code += piece
        around.held.append(piece)


def without_result(code: str) -> str:
    """Return what a field shows for which Word stores no result."""
    name, _, rest = code.strip().partition(" ")
    if (symbol := _SYMBOL.match(code)) is not None:
        return _sign(symbol[1], symbol[2])
    if (quoted := _QUOTE.match(code)) is not None:
        return quoted[1]
    if name.upper() in _BUTTONS:
        return rest.strip().partition(" ")[2]
    return _SWITCH.sub("", _READING.sub(r"\2(\1)", rest)).strip() if name.upper() == "EQ" else ""


def _sign(stated: str, switches: str) -> str:
    """Return the character that a field names by its number: of Unicode, of its font, or of cp1252."""
    number = int(stated, 0) if stated[:2].lower() == "0x" else int(stated)
    if number > _LAST_CHARACTER:
        return ""
    font = _ITS_FONT.search(switches)
    name = "" if font is None else font[1] or font[2] or ""
    if number < 256 and not symbols.is_of_signs(name) and not _IN_UNICODE.search(switches):
        return bytes((number,)).decode("cp1252", "replace")
    return symbols.sign(name, number)
