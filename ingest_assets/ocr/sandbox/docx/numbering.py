"""The numbers and bullets before paragraphs, which Word counts and does not store.

Belongs here: lists, and the styles that belong to lists. Does not belong here: other numbers, such as
those of pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ingest_assets.ocr.sandbox.docx.names import W
from ingest_assets.ocr.sandbox.docx.styles import Styles
from ingest_assets.ocr.sandbox.numerals import written

_PLACE = re.compile(r"%([1-9])")
_BULLET = "•"
_MOST_LEVELS = 9
_IN_WORDS = frozenset(("ordinal", "cardinalText", "ordinalText"))


@dataclass(frozen=True)
class _Level:
    form: str
    text: str
    start: int
    is_legal: bool


class Numbering:
    """Counts the paragraphs of each list, from the document's first to its last."""

    def __init__(self, root: Element | None, styles: Styles) -> None:
        self._styles = styles
        self._lists: dict[str, str] = {}
        self._levels: dict[tuple[str, int], _Level] = {}
        self._own: dict[tuple[str, int], _Level] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self._counts: dict[str, list[int | None]] = {}
        # Forms of numbers that are other words in each language.
        self.in_english: set[str] = set()
        self._begun: set[str] = set()
        self._linked: dict[str, str] = {}
        for abstract in root.findall(f"{W}abstractNum") if root is not None else ():
            self._read_abstract(abstract)
        for number in root.findall(f"{W}num") if root is not None else ():
            self._read_list(number)

    def label(self, paragraph: Element) -> str:
        """Return what stands before a paragraph, with a space; nothing before most."""
        properties = paragraph.find(f"{W}pPr")
        own = properties.find(f"{W}numPr") if properties is not None else None
        style = self._styles.of(properties)
        number, depth = _reference(own)
        if number is None or depth is None:
            of_style, depth_of_style = self._styles.numbering(style)
            number = number or of_style
            depth = depth if depth is not None else depth_of_style
        if not number or number == "0" or number not in self._lists:
            return ""
        return self._count(number, min(max(depth or 0, 0), _MOST_LEVELS - 1))

    def _read_abstract(self, abstract: Element) -> None:
        identifier = abstract.get(f"{W}abstractNumId", "")
        link = abstract.find(f"{W}numStyleLink")
        if link is not None:
            self._linked[identifier] = link.get(f"{W}val", "")
        for level in abstract.findall(f"{W}lvl"):
            self._levels[identifier, _number(level.get(f"{W}ilvl"))] = _level(level)

    def _read_list(self, number: Element) -> None:
        identifier = number.get(f"{W}numId", "")
        self._lists[identifier] = _value(number, "abstractNumId")
        for override in number.findall(f"{W}lvlOverride"):
            depth = _number(override.get(f"{W}ilvl"))
            level = override.find(f"{W}lvl")
            if level is not None:
                self._own[identifier, depth] = _level(level)
            if start := _value(override, "startOverride"):
                self._starts[identifier, depth] = _number(start)

    def _abstract(self, number: str) -> str:
        abstract = self._lists[number]
        if (style := self._linked.get(abstract)) is not None:
            of_style, _ = self._styles.numbering(style)
            return self._lists.get(of_style or "", abstract)
        return abstract

    def _count(self, number: str, depth: int) -> str:
        abstract = self._abstract(number)
        counts = self._counts.setdefault(abstract, [None] * _MOST_LEVELS)
        levels = [self._own.get((number, at)) or self._levels.get((abstract, at)) for at in range(9)]
        level = levels[depth]
        if level is None:
            return ""
        if number not in self._begun:
            self._begun.add(number)
            for (of, at), start in self._starts.items():
                if of == number:
                    counts[at] = start - 1
        before = counts[depth]
        counts[depth] = level.start if before is None else before + 1
        counts[depth + 1 :] = [None] * (_MOST_LEVELS - depth - 1)
        if level.form == "none":
            return ""
        if level.form == "bullet":
            return f"{_BULLET} "

        def one(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            other = levels[at]
            count = counts[at]
            if other is None:
                return ""
            form = "decimal" if level.is_legal else other.form
            if form in _IN_WORDS:
                self.in_english.add(form)
            return written(form, other.start if count is None else count)

        text = _PLACE.sub(one, level.text)
        return f"{text} " if text.strip() else ""


def _reference(numbering: Element | None) -> tuple[str | None, int | None]:
    if numbering is None:
        return None, None
    depth = numbering.find(f"{W}ilvl")
    return _value(numbering, "numId") or None, (
        _number(depth.get(f"{W}val")) if depth is not None else None
    )


def _level(level: Element) -> _Level:
    return _Level(
        _value(level, "numFmt") or "decimal",
        _value(level, "lvlText"),
        _number(_value(level, "start")),
        level.find(f"{W}isLgl") is not None,
    )


def _value(element: Element, name: str) -> str:
    found = element.find(f"{W}{name}")
    return found.get(f"{W}val", "") if found is not None else ""


def _number(text: str | None) -> int:
    try:
        return min(max(int(text or 0), 0), 1_000_000)
    except ValueError:
        return 0
