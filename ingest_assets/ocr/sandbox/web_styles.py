"""What the style sheets in a web page say of whether its elements show, and how.

Belongs here: the few properties on which text depends, and which rules hold on a screen. Does not
belong here: fonts, colours and places, and fetching sheets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

# By the name of a property, what it was set to; names and most values are in lower case. `before` and
# `after` are what stands beside an element.
Style = Mapping[str, str]

_STATED = re.compile(
    r"(?<![\w-])(display|visibility|list-style(?:-type)?)\s*:\s*([\w-]+)\s*(!\s*important)?",
    re.IGNORECASE,
)
# Counters that an element sets back or counts on, and what stands before or after it.
_COUNTED = re.compile(r"(?<![\w-])(counter-(?:reset|set|increment))\s*:\s*([^;}!]+)", re.IGNORECASE)
_STRING = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_CONTENT = re.compile(
    rf"""(?<![\w-])content\s*:\s*((?:{_STRING}|[^;"'])*)""", re.IGNORECASE | re.DOTALL
)
_BESIDE = re.compile(r"(?<=[\w\])*])::?(before|after)$", re.IGNORECASE)
# What stands beside an element and is not seen, as sheets end the floating of others.
_UNSEEN = re.compile(
    r"(?<![\w-])(?:display\s*:\s*none|visibility\s*:\s*hidden|(?:opacity|height|font-size)\s*:\s*0(?![.\d]*[1-9]))",
    re.IGNORECASE,
)
_PIECE = re.compile(
    rf"({_STRING})|(attr|counters?)\(\s*([\w-]+)\s*(?:,\s*({_STRING})\s*)?(?:,\s*([\w-]+)\s*)?\)"
    r"|\b(open|close)-quote\b|(/)",
    re.IGNORECASE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
# Signs of fonts that have nothing but signs.
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
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
    stated = [
        (found[1].lower().removesuffix("-type"), found[2].lower(), bool(found[3]))
        for found in _STATED.finditer(block)
    ]
    if "counter-" in block:
        stated += ((found[1].lower(), found[2].strip(), False) for found in _COUNTED.finditer(block))
    return stated


def _beside(where: str, block: str) -> list[tuple[str, str, bool]]:
    """Return what a block puts before or after an element, and the counters that it changes there."""
    if _UNSEEN.search(block):
        return [(where, "none", False)]
    counted = [
        (f"{where}-{name}", value, False) for name, value, _ in _stated(block) if "counter" in name
    ]
    found = _CONTENT.search(block)
    if found is None or not (said := found[1]).strip():
        return counted
    value, _, important = said.partition("!important")
    if not _PRIVATE.sub("", _unescaped(value)).strip("'\" "):
        return counted  # A sign, or space.
    return [*counted, (where, value.strip(), said != value or bool(important))]


def content_of(
    value: str, attributes: Mapping[str, str | None], counters: Mapping[str, list[int]]
) -> Iterator[str | tuple[str, list[int], str]]:
    """Yield the pieces that stand before or after an element: text, or numbers that are to be written.

    Args:
        value: what its sheet states as `content`.
        attributes: those of the element.
        counters: of each counter, the numbers of all depths.
    """
    for piece in _PIECE.finditer(value):
        text, kind, name, between, form, quote, slash = piece.groups()
        if slash:  # What follows is read aloud instead.
            return
        if text is not None:
            yield _PRIVATE.sub("", _unescaped(text[1:-1]))
        elif quote:
            yield "\u201c" if quote.lower() == "open" else "\u201d"
        elif kind.lower() == "attr":
            yield attributes.get(name.lower()) or ""
        else:
            numbers = counters.get(name) or [0]
            joint = _unescaped(between[1:-1]) if between else ""
            yield (
                joint,
                numbers if kind.lower() == "counters" else numbers[-1:],
                (form or "decimal").lower(),
            )


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        number = int(found[1], 16) if found[1] else 0
        return (chr(number) if 0 < number < 0x110000 else "") if found[1] else found[2].strip("\n")

    return _ESCAPED.sub(character, text)


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
            may_be_beside = stated or "content" in text.lower() or _UNSEEN.search(text)
            for selector in _BETWEEN_SELECTORS.split(selectors) if may_be_beside else ():
                element, *where = _BESIDE.split(selector.strip())[:2]
                of_it = _beside(where[0].lower(), text) if where else stated
                if of_it and element and not _PSEUDO.search(element):
                    yield element, of_it


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
