"""RTF: its text, with margins, notes and pictures.

Belongs here: RTF 1.9.1. Does not belong here: pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import equations, fields, symbols
from ingest_assets.ocr.sandbox.equations import M
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])"
    rb"|([^\\{}\r\n]+)|[\r\n]+|\\"
)
_BREAKS = dict.fromkeys(("par", "line", "row", "nestrow", "sect", "page", "column", "softline"), "\n")
_SYMBOLS = {
    **_BREAKS,
    **{"tab": "\t", "cell": "\t", "nestcell": "\t", "emdash": "—", "endash": "–", "bullet": "•"},
    **{
        "lquote": "‘",
        "rquote": "’",
        "ldblquote": "“",
        "rdblquote": "”",
        "emspace": " ",
        "enspace": " ",
    },
}
_STRUCTURE = frozenset((*_BREAKS, "tab", "cell", "nestcell"))
_CONTROL_SYMBOLS = {b"~": " ", b"_": "-", b"\n": "\n", b"\r": "\n", b"\\": "\\", b"{": "{", b"}": "}"}
# Places in a file that say how, not what. Others that begin with `\*` are passed over as well.
_NOT_SHOWN = frozenset(
    (
        *("colortbl", "stylesheet", "info", "objclass", "nonshppict", "xe", "tc", "mmathPict"),
        *(
            "upr",
            "filetbl",
            "rxe",
            "txe",
            "pntxta",
            "pntxtb",
            "template",
            "listname",
            "themedata",
            "comment",
        ),
    )
)
_SHOWN = frozenset(
    ("annotation", "atnauthor", "shpinst", "shppict", "shptxt", "footnote", "ud", "do", "fldinst")
)
# Of fonts: the code page of each character set of Windows.
_CODE_PAGES = {
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030"},
    **{136: "big5hkscs", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256"},
    **{186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850"},
}


_FONT_OF_SIGNS = re.compile(rb"(Symbol|Wingdings(?: [23])?|Webdings)\s*;\s*$")
_SYMBOLIC = 2  # The character set of fonts whose letters are signs.
# Fields of forms: kinds, and the number that stands for their default.
_TICK, _LIST, _UNTOUCHED = 1, 2, 25

# The words of a shape that is WordArt.
_WORD_ART = b"gtextUNICODE"
# Equations are those of DOCX, where each element is a pair of braces with an "m" before its name.
_TOO_DEEP = Note("content_unreadable", "an equation that is nested too deeply")
_EQUATION, _RUN = "moMath", f"{M}r"


@dataclass
class _State:
    """What holds within a pair of braces.

    Attributes:
        twice: of a web page that was made RTF ([MS-OXRTFEX]): whether it is what RTF says in place of a
            tag of the page; only its ends of lines are read.
        signs: the font, where its letters are signs.
        equation: within one, what this pair of braces is of it.
    """

    shown: bool = True
    hidden: bool = False
    twice: bool = False
    skipped: int = 1
    encoding: str = ""
    signs: str = ""
    place: str = ""
    packed: bytearray | None = None
    equation: Element | None = None


@dataclass
class Rtf:
    """What was read.

    Attributes:
        objects: of other programs, as OLE 1 packs them ([MS-OLEDS], 2.2.5).
    """

    text: str = ""
    pictures: list[bytes] = field(default_factory=list)
    objects: list[bytes] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def read_rtf(path: Path) -> IllustratedDocument:
    """Read an RTF document as one page of text, and a page for each picture."""
    if path.stat().st_size > 10 * MAX_TEXT_BYTES:
        raise too_much_text()
    found = parse_rtf(path.read_bytes())
    pictures = {str(number): data for number, data in enumerate(found.pictures)}
    return IllustratedDocument([found.text], pictures, pictures.__getitem__, lambda: found.notes)


def parse_rtf(data: bytes) -> Rtf:
    """Return what an RTF text shows."""
    reader = _Reader()
    place = 0
    while (token := _TOKEN.match(data, place)) is not None:
        place = token.end()
        if count := reader.take(token):
            reader.raw(data[place : place + count])
            place += count
    return reader.result()


class _Reader:
    """Takes a text piece by piece."""

    def __init__(self) -> None:
        self._state = _State()
        self._stack: list[_State] = []
        self._pieces: list[str] = []
        self._bytes = bytearray()
        self._to_skip = 0
        self._is_optional = False
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._fonts_of_signs: dict[int, str] = {}
        self._font_name: bytearray | None = None
        # Of a form's field: its properties, and the choices that it gives.
        self._form: dict[str, int] = {}
        self._choices: list[bytearray] = []
        # Of lists: whether some are counted, any are used, and their numbers stand in the text.
        self._counts = self._lists = self._numbers_stand = False
        self._code_from = 0  # Of a field: the first piece of its code.
        self._property = bytearray()  # The name of a shape's property.
        self._found = Rtf()

    def result(self) -> Rtf:
        """Return all that was taken."""
        self._flush()
        self._found.text = "".join(self._pieces)
        # Two halves of a character beyond U+FFFF.
        halves = self._found.text.encode("utf-16-le", "surrogatepass")
        self._found.text = halves.decode("utf-16-le", "replace")
        if self._counts and self._lists and not self._numbers_stand:
            self._found.notes.append(Note("content_unreadable", "the numbers before its paragraphs"))
        self._found.notes = list(dict.fromkeys(self._found.notes))
        return self._found

    def take(self, token: re.Match[bytes]) -> int:
        """Take one piece; return how many bytes of data follow it, for `raw`."""
        word, number, hexadecimal, symbol, brace, text = token.groups()
        if word is not None:
            name = word.decode().casefold() if word.isupper() else word.decode()
            is_in_equation = name == _EQUATION or self._state.equation is not None
            if not (is_in_equation and name.startswith("m")):
                return self._word(name, number)
            self._heed_equation(name)
        elif hexadecimal is not None:
            self._characters(bytes.fromhex(hexadecimal.decode()))
        elif symbol == b"*":
            self._is_optional = True
        elif symbol is not None and symbol in _CONTROL_SYMBOLS:
            self._show(_CONTROL_SYMBOLS[symbol])
        elif brace == b"{":
            self._flush()
            self._stack.append(self._state)
            self._state = replace(self._state)
            self._to_skip = 0
        elif brace == b"}":
            self._close()
        elif text is not None:
            self._characters(text)
        return 0

    def raw(self, data: bytes) -> None:
        """Take bytes that stand in the file as they are."""
        if self._state.packed is not None:
            self._state.packed += data.hex().encode()

    def _close(self) -> None:
        self._flush()
        outer = self._stack[-1].place if self._stack else ""
        if self._state.packed is not None and outer != self._state.place:
            digits = re.sub(rb"[^0-9a-fA-F]", b"", self._state.packed)
            data = bytes.fromhex(digits[: len(digits) & ~1].decode())
            if data and self._state.place == "objdata":
                self._found.objects.append(data)
            elif data and self._state.shown:
                self._found.pictures.append(data)
        if self._state.place == "art" and outer != "art":
            self._show("\n")
        if self._state.place == "fldinst" and outer != "fldinst":
            code = "".join(self._pieces[self._code_from :])
            self._pieces[self._code_from :] = [fields.without_result(code) or self._filled_in()]
        equation = self._state.equation
        if self._stack:
            self._state = self._stack.pop()
        if equation is not None and self._state.equation is None:
            try:
                self._show(equations.linear(equation))
            except RecursionError:
                self._found.notes.append(_TOO_DEEP)
        self._to_skip = 0

    def _filled_in(self) -> str:
        """Return what a field of a form shows, of which programs store no result."""
        kind, form = self._form.get("fftype"), self._form
        chosen = form.get("ffres", _UNTOUCHED)
        chosen = form.get("ffdefres", 0) if chosen == _UNTOUCHED else chosen
        choices = [bytes(choice).decode(self._encoding, "replace").strip() for choice in self._choices]
        if kind == _TICK:
            return "☒" if chosen else "☐"
        return choices[chosen] if kind == _LIST and 0 <= chosen < len(choices) else ""

    def _word(self, word: str, number: bytes | None) -> int:
        value = int(number) if number else None
        is_optional, self._is_optional = self._is_optional, False
        if self._to_skip and word in _SYMBOLS and word not in _STRUCTURE:
            self._to_skip -= 1  # It stands for the character before it, for programs that know less.
            return 0
        if word == "bin":
            return max(0, value or 0)
        if word == "u" and value is not None:
            self._show(chr(value & 0xFFFF))
            self._to_skip = self._state.skipped
        elif word in _SYMBOLS:
            self._show(_SYMBOLS[word])
        elif word in _NOT_SHOWN or (is_optional and word not in (*_SHOWN, "objdata", "ffl")):
            self._flush()
            self._state.shown = False
        elif word in ("sn", "ffl"):
            self._state.place, self._state.shown = word, False
            self._property.clear()
            self._choices += [bytearray()] * (word == "ffl")
        elif word == "pict":
            self._state.place, self._state.packed = "pict", bytearray()
        elif word == "objdata":
            self._state.place, self._state.packed, self._state.shown = "objdata", bytearray(), False
        elif word == "fonttbl":
            self._state.place, self._state.shown = "fonttbl", False
        elif word == "object":
            self._found.notes.append(
                Note("attachment_unread", "a file of another program is embedded in it")
            )
        elif word in ("footnote", "annotation", "header", "footer", "headerf", "footerf", "shptxt"):
            self._show("\n")
        else:
            self._format(word, value)
            self._heed_lists(word, value)
            self._heed_forms(word, value)
        return 0

    def _heed_equation(self, word: str) -> None:
        """Begin an element of an equation with the first word of its braces."""
        self._is_optional = False
        outer = self._stack[-1].equation if self._stack else None
        if self._state.equation is outer:
            self._flush()
            element = Element(M + word[1:])
            if outer is not None:
                outer.append(element)
            self._state.equation = element

    def _put(self, text: str) -> None:
        """Show characters; within an equation they are those of a run, or the value of a property."""
        element = self._state.equation
        if element is None:
            self._pieces.append(text)
        elif element.tag == _RUN:
            SubElement(element, f"{M}t").text = text
        else:
            element.set(f"{M}val", element.get(f"{M}val", "") + text)

    def _heed_lists(self, word: str, value: int | None) -> None:
        """Heed words by which it is known whether numbers are missing."""
        if word in ("listtext", "pntext"):
            self._numbers_stand = True
        elif word == "levelnfc":
            self._counts |= value not in (23, 255)  # A bullet; nothing.
        elif word == "ls":
            self._lists |= bool(value)

    def _heed_forms(self, word: str, value: int | None) -> None:
        """Heed what a field of a form is filled in with."""
        if word in ("fftype", "ffres", "ffdefres"):
            self._form[word] = value or 0

    def _format(self, word: str, value: int | None) -> None:
        """Heed a word that changes how what follows is read."""
        if word == "fldinst" and self._state.place != word:  # Not in the code of another field.
            self._flush()
            self._state.place, self._code_from = word, len(self._pieces)
            self._form, self._choices = {}, []
        elif word == "sv" and self._property == _WORD_ART:
            self._show("\n")
            self._state.place = "art"
        elif word in ("v", "deleted", "sv"):  # The last: a property of a shape, perhaps a picture.
            self._flush()
            self._state.hidden = value != 0
        elif word == "ud":  # Between it and the text around are what it replaces, and its own braces.
            self._state.shown = len(self._stack) < 2 or self._stack[-2].shown
        elif word == "plain":
            self._flush()
            self._state.hidden = False
        elif word == "htmlrtf":
            self._flush()
            self._state.twice = value != 0
        elif word == "uc":
            self._state.skipped = max(0, min(value or 0, 8))
        elif word == "ansicpg" and value:
            self._encoding = f"cp{value}" if value not in (65001, 10000) else "utf-8"
        elif word in ("mac", "pc", "pca"):
            self._encoding = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}[word]
        elif word == "f" and value is not None:
            self._flush()
            self._font = value
            self._state.encoding = self._fonts.get(value, "")
            self._state.signs = self._fonts_of_signs.get(value, "")
            self._font_name = None
        elif self._state.place == "fonttbl":
            self._heed_character_set(word, value)

    def _heed_character_set(self, word: str, value: int | None) -> None:
        """Heed what a font's entry says of how its bytes are characters."""
        if word == "cpg":
            self._fonts.setdefault(self._font, f"cp{value}")
        elif word == "fcharset":
            self._font_name = bytearray() if value == _SYMBOLIC else None
            if value in _CODE_PAGES:
                self._fonts[self._font] = _CODE_PAGES[value]

    def _characters(self, data: bytes) -> None:
        if self._state.packed is not None:
            self._state.packed += data
            return
        if self._state.place == "sn":
            self._property += data
        elif self._state.place == "ffl":
            self._choices[-1] += data
        elif self._state.place == "fonttbl" and self._font_name is not None:
            self._font_name += data
            if (found := _FONT_OF_SIGNS.search(self._font_name)) is not None:
                self._fonts_of_signs[self._font] = found[1].decode()
        skipped = min(self._to_skip, len(data))
        self._to_skip -= skipped
        if self._state.shown and not (self._state.hidden or self._state.twice):
            self._bytes += data[skipped:]
            if len(self._bytes) > MAX_TEXT_BYTES:
                raise too_much_text()

    def _show(self, text: str) -> None:
        self._flush()
        if self._state.signs and "\uf000" <= text <= "\uf0ff":
            text = symbols.sign(self._state.signs, ord(text))
        if self._state.shown and not self._state.hidden and self._state.packed is None:
            self._put(text)

    def _flush(self) -> None:
        if not self._bytes:
            return
        if self._state.signs:
            signs = (
                chr(code) if code == 0x20 else symbols.sign(self._state.signs, code)
                for code in self._bytes
            )
            self._put("".join(signs))
            self._bytes.clear()
            return
        try:
            text = self._bytes.decode(self._state.encoding or self._encoding, "replace")
        except LookupError:
            text = self._bytes.decode("cp1252", "replace")
        self._bytes.clear()
        self._put(text)
