"""What the style sheets in a web page say of whether its elements show, and how.

Belongs here: the few properties on which text depends, and which rules hold on a screen. Does not
belong here: fonts, colours and places, and fetching sheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

# By the name of a property, what it was set to; names and values are in lower case.
Style = Mapping[str, str]

_STATED = re.compile(
    r"(?<![\w-])(display|visibility|list-style(?:-type)?)\s*:\s*([\w-]+)\s*(!\s*important)?",
    re.IGNORECASE,
)
_REMARK = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
# Part of a sheet: what stands before a brace.
_UP_TO_BRACE = re.compile(r"([^{}]*)([{}])")
_BETWEEN_SELECTORS = re.compile(r",(?![^(]*\))")
# Of what shows, classes that need a person's hands, such as `:hover`, and parts of elements, such as
# `::before`, say nothing.
_PSEUDO = re.compile(
    r":(?!(?:not|is|where|has|root|empty|lang|(?:first|last|only|nth)[\w-]*)\b)|-(?:line|letter)\b"
)
_WIDTH = re.compile(r"\(\s*(min|max)-width\s*:\s*(\d+(?:\.\d+)?)(px|r?em)\s*\)")
_WINDOW, _PIXELS_PER_EM = 1280, 16
_IN_ALL_CASES = ("@supports", "@layer")
_SPECIFIC = (re.compile(r"#"), re.compile(r"[.\[]|:(?!not|is|has)"), re.compile(r"(?:^|[\s>+~(])[a-z]"))
# Each is looked for in the whole page. A page with more has sheets for a whole site.
_MOST_SELECTORS = 1000


def stated_styles(page: LexborHTMLParser, sheets: Iterable[str]) -> dict[int, dict[str, str]]:
    """Return what a page's sheets say, by `mem_id` of elements; "!" is behind what is important."""
    rules: list[tuple[tuple[int, ...], int, str, list[tuple[str, str, bool]]]] = []
    for sheet in (*sheets, *_sheets_within(page)):
        for selector, stated in _rules(sheet):
            weight = tuple(len(pattern.findall(selector)) for pattern in _SPECIFIC)
            rules.append((weight, len(rules), selector, stated))
    styles: dict[int, dict[str, str]] = {}
    for _, _, selector, stated in sorted(rules[:_MOST_SELECTORS]):
        with suppress(SelectolaxError):
            for node in page.css(selector):
                style = styles.setdefault(node.mem_id, {})
                for name, value, is_important in stated:
                    if is_important or not style.get(name, "").endswith("!"):
                        style[name] = f"{value}!" if is_important else value
    return styles


def _sheets_within(page: LexborHTMLParser) -> Iterator[str]:
    for sheet in page.css("style"):
        kind, medium = (sheet.attributes.get(name) or "" for name in ("type", "media"))
        if kind.lower() in ("", "text/css") and _holds(medium):
            yield sheet.text() or ""


def style_of(node: LexborNode, styles: Mapping[int, Style]) -> Style:
    """Return what an element's own attribute and the sheets say of it."""
    own, sheets = node.attributes.get("style"), styles.get(node.mem_id, {})
    if not own and not sheets:
        return {}
    own_style = {
        name: value
        for name, value, is_important in _stated(own or "")
        if is_important or not sheets.get(name, "").endswith("!")
    }
    return {**{name: value.rstrip("!") for name, value in sheets.items()}, **own_style}


def _stated(block: str) -> list[tuple[str, str, bool]]:
    """Return the properties that a block sets: name, value, whether it is important."""
    return [
        (found[1].lower().removesuffix("-type"), found[2].lower(), bool(found[3]))
        for found in _STATED.finditer(block)
    ]


def _rules(sheet: str) -> Iterator[tuple[str, list[tuple[str, str, bool]]]]:
    """Yield the selectors of a sheet that hold on a screen, and what they set."""
    around: list[str | None] = []  # Of each block: its selectors; None where it is not read.
    for part in _UP_TO_BRACE.finditer(_REMARK.sub(" ", sheet)):
        text, brace = part[1].strip(), part[2]
        if brace == "{":
            text = text.rpartition(";")[2].strip()
            is_read = not around or around[-1] == ""
            if text.startswith("@"):
                at, _, condition = text.lower().partition(" ")
                holds = at in _IN_ALL_CASES or (at == "@media" and _holds(condition))
                around.append("" if is_read and holds else None)
            else:
                around.append(text if is_read else None)
        elif around and (selectors := around.pop()):
            stated = _stated(text)
            for selector in _BETWEEN_SELECTORS.split(selectors) if stated else ():
                if selector.strip() and not _PSEUDO.search(selector):
                    yield selector.strip(), stated


def _holds(medium: str) -> bool:
    """Tell whether a condition on the medium is true of a window on a desk."""
    return not medium.strip() or any(_is_fulfilled(one.strip()) for one in medium.lower().split(","))


def _is_fulfilled(condition: str) -> bool:
    for kind, number, unit in _WIDTH.findall(condition):
        width = float(number) * (1 if unit == "px" else _PIXELS_PER_EM)
        if (width > _WINDOW) if kind == "min" else (width < _WINDOW):
            return False
    rest = _WIDTH.sub("", condition)
    words = set(re.findall(r"[\w-]+", rest)) - {"and", "only"}
    return "(" not in rest and words <= {"screen", "all"}
