"""Equations (OMML), written in one line: those of DOCX, and of RTF, which has the same.

Belongs here: one function for each kind of construct that has a form of its own in one line. Does not
belong here: anything but mathematics.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

# Not those of `docx.names`: what reads DOCX reads RTF and web pages within it, which need this module.
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

_SUPERSCRIPTS = str.maketrans("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")
_SUBSCRIPTS = str.maketrans("0123456789+-=()aeox", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓ")


def linear(element: Element) -> str:
    """Return an equation, or part of one, as a person would type it in one line."""
    tag = element.tag
    if tag in (f"{M}t", f"{_W}t"):
        return element.text or ""
    if tag.endswith("Pr") or tag == f"{_W}del":
        return ""
    written = _CONSTRUCTS.get(tag.removeprefix(M)) if tag.startswith(M) else None
    return written(element) if written is not None else "".join(map(linear, element))


def _part(element: Element, name: str) -> str:
    part = element.find(f"{M}{name}")
    return linear(part) if part is not None else ""


def _property(element: Element, properties: str, name: str, otherwise: str) -> str:
    found = element.find(f"{M}{properties}/{M}{name}")
    return found.get(f"{M}val", "") if found is not None else otherwise


def _grouped(text: str) -> str:
    return text if len(text) <= 1 or text.isalnum() else f"({text})"


def _script(text: str, forms: dict[int, int], sign: str) -> str:
    if not text:
        return ""
    small = text.translate(forms)
    changed = all(letter != form for letter, form in zip(text, small, strict=True))
    return small if changed else f"{sign}{_grouped(text)}"


def _above(text: str) -> str:
    return _script(text, _SUPERSCRIPTS, "^")


def _below(text: str) -> str:
    return _script(text, _SUBSCRIPTS, "_")


def _fraction(element: Element) -> str:
    return f"{_grouped(_part(element, 'num'))}/{_grouped(_part(element, 'den'))}"


def _root(element: Element) -> str:
    degree = _part(element, "deg")
    return f"{_above(degree) if degree else ''}√{_grouped(_part(element, 'e'))}"


def _scripts(element: Element) -> str:
    return _part(element, "e") + _below(_part(element, "sub")) + _above(_part(element, "sup"))


def _scripts_before(element: Element) -> str:
    return _below(_part(element, "sub")) + _above(_part(element, "sup")) + _part(element, "e")


def _operator(element: Element) -> str:
    sign = _property(element, "naryPr", "chr", "∫")
    limits = _below(_part(element, "sub")) + _above(_part(element, "sup"))
    return f"{sign}{limits} {_part(element, 'e')}"


def _delimiters(element: Element) -> str:
    between = _property(element, "dPr", "sepChr", "|")
    inside = between.join(linear(part) for part in element.findall(f"{M}e"))
    begin, end = (
        _property(element, "dPr", f"{side}Chr", sign) for side, sign in (("beg", "("), ("end", ")"))
    )
    return f"{begin}{inside}{end}"


def _matrix(element: Element) -> str:
    rows = (row.findall(f"{M}e") for row in element.findall(f"{M}mr"))
    return "; ".join(", ".join(map(linear, row)) for row in rows)


def _lines(element: Element) -> str:
    return "; ".join(linear(part) for part in element.findall(f"{M}e"))


def _function(element: Element) -> str:
    return f"{_part(element, 'fName')} {_part(element, 'e')}"


def _limit_below(element: Element) -> str:
    return _part(element, "e") + _below(_part(element, "lim"))


def _limit_above(element: Element) -> str:
    return _part(element, "e") + _above(_part(element, "lim"))


_CONSTRUCTS: dict[str, Callable[[Element], str]] = {
    "f": _fraction,
    "rad": _root,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "sPre": _scripts_before,
    "nary": _operator,
    "d": _delimiters,
    "m": _matrix,
    "eqArr": _lines,
    "func": _function,
    "limLow": _limit_below,
    "limUpp": _limit_above,
}
