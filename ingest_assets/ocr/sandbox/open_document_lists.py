"""The numbers before paragraphs of OpenDocument files, which programs count and do not store.

Belongs here: styles of lists and of headings, and counting. Does not belong here: which paragraphs are
shown (`open_document`), and how a number is written in letters (`numerals`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from ingest_assets.ocr.sandbox.numerals import written

_NAMESPACE = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
TEXT, STYLE = _NAMESPACE % "text", _NAMESPACE % "style"
# Of LibreOffice, before it was in the standard (ODF 1.4).
_LOEXT = "{urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0}"
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_MOST_LEVELS = 10
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_OUTLINE = object()


@dataclass(frozen=True)
class _Level:
    """How numbers of one depth are written; without a form none is shown."""

    form: str
    before: str
    behind: str
    start: int
    shown: int
    template: str


@dataclass
class _List:
    """A list that is being shown."""

    style: str
    counts: list[int | None] = field(default_factory=lambda: [None] * _MOST_LEVELS)


class Lists:
    """Counts the items of each list, and the headings.

    Args:
        roots: the trees in which styles are defined.
    """

    def __init__(self, roots: Iterable[Element | None]) -> None:
        self._levels: dict[tuple[object, int], _Level] = {}
        self._of_paragraphs: dict[str, tuple[str | None, str]] = {}
        self._headings: list[int | None] = [None] * _MOST_LEVELS
        self._open: list[tuple[_List, bool]] = []
        self._by_id: dict[str, _List] = {}
        self._last_of_style: dict[str, _List] = {}
        for root in roots:
            for element in root.iter() if root is not None else ():
                self._read(element)

    def begin(self, element: Element) -> None:
        """Begin a list."""
        outer = self._open[-1][0] if self._open else None
        style = element.get(f"{TEXT}style-name") or (outer.style if outer else "")
        if outer is not None:
            found = outer if outer.style == style else _List(style, outer.counts)
        elif (before := element.get(f"{TEXT}continue-list")) in self._by_id:
            found = self._by_id[before or ""]
        elif element.get(f"{TEXT}continue-numbering") == "true" and style in self._last_of_style:
            found = self._last_of_style[style]
        else:
            found = _List(style)
        if outer is None:
            self._last_of_style[style] = found
            self._by_id[element.get(_XML_ID, "")] = found
        self._open.append((found, False))

    def end(self) -> None:
        """End the list that was begun last."""
        self._open.pop()

    def item(self, element: Element) -> None:
        """Begin an item: its first paragraph has its number."""
        found, depth = self._open[-1][0], len(self._open) - 1
        start = element.get(f"{TEXT}start-value", "")
        if start.isdecimal() and depth < _MOST_LEVELS:
            found.counts[depth] = _whole(start) - 1
        self._open[-1] = found, element.tag == f"{TEXT}list-item"

    def label(self, paragraph: Element) -> str:
        """Return what stands before a paragraph, with a space; nothing before most."""
        if paragraph.find(f"{TEXT}number") is not None:
            return ""  # It is stored, and is read with the paragraph.
        if self._open:
            found, is_first = self._open[-1]
            self._open[-1] = found, False
            if not is_first:
                return ""
            style = found.style or self._style_of(paragraph) or ""
            return self._count(style, found.counts, len(self._open) - 1)
        if paragraph.tag == f"{TEXT}h" and paragraph.get(f"{TEXT}is-list-header") != "true":
            level = _whole(paragraph.get(f"{TEXT}outline-level", "1")) - 1
            if self._style_of(paragraph) != "":  # Empty: a heading that has no number.
                return self._count(_OUTLINE, self._headings, level)
        return ""

    def _count(self, style: object, counts: list[int | None], depth: int) -> str:
        level = self._levels.get((style, depth))
        if level is None or not 0 <= depth < _MOST_LEVELS:
            return ""
        before = counts[depth]
        counts[depth] = level.start if before is None else before + 1
        counts[depth + 1 :] = [None] * (_MOST_LEVELS - depth - 1)
        if not level.form:
            return ""
        if level.template:  # With numbers of any levels, as "%1%-%2%".
            parts = level.template.split("%")
            parts[1::2] = (self._number(style, counts, _whole(part) - 1) for part in parts[1::2])
            return f"{''.join(parts)} "
        above = range(max(0, depth + 1 - level.shown), depth + 1)
        numbers = (self._number(style, counts, at) for at in above)
        return f"{level.before}{'.'.join(filter(None, numbers))}{level.behind} "

    def _number(self, style: object, counts: list[int | None], depth: int) -> str:
        """Return the number that a depth has got to; nothing where none is shown."""
        level = self._levels.get((style, depth))
        if level is None or not level.form:
            return ""
        count = counts[depth] if depth < _MOST_LEVELS else None
        return written(_FORMS.get(level.form, ""), level.start if count is None else count)

    def _style_of(self, paragraph: Element) -> str | None:
        """Return the list style of a paragraph's style: None where none is named."""
        name = paragraph.get(f"{TEXT}style-name", "")
        for _ in range(_MOST_LEVELS):
            style, parent = self._of_paragraphs.get(name, (None, ""))
            if style is not None or not parent:
                return style
            name = parent
        return None

    def _read(self, element: Element) -> None:
        tag = element.tag
        if tag == f"{STYLE}style":
            self._of_paragraphs[element.get(f"{STYLE}name", "")] = (
                element.get(f"{STYLE}list-style-name"),
                element.get(f"{STYLE}parent-style-name", ""),
            )
        elif tag in (f"{TEXT}list-style", f"{TEXT}outline-style"):
            is_outline = tag == f"{TEXT}outline-style"
            name: object = _OUTLINE if is_outline else element.get(f"{STYLE}name", "")
            for level in element:
                depth = _whole(level.get(f"{TEXT}level", "1")) - 1
                self._levels[name, depth] = _level(level.attrib)


def _level(stated: Mapping[str, str]) -> _Level:
    return _Level(
        stated.get(f"{STYLE}num-format", ""),
        stated.get(f"{STYLE}num-prefix", ""),
        stated.get(f"{STYLE}num-suffix", ""),
        _whole(stated.get(f"{TEXT}start-value", "1")),
        _whole(stated.get(f"{TEXT}display-levels", "1")),
        stated.get(f"{STYLE}num-list-format", stated.get(f"{_LOEXT}num-list-format", "")),
    )


def _whole(text: str) -> int:
    return min(int(text), 1_000_000) if text.isdecimal() else 1
