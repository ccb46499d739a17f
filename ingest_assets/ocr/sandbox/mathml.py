"""MathML, written in one line.

Belongs here: making it the equations of DOCX, whose lines are made elsewhere (`equations`). Does not
belong here: finding it in a page or a document.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from ingest_assets.ocr.sandbox import equations
from ingest_assets.ocr.sandbox.any_namespace import local_name
from ingest_assets.ocr.sandbox.equations import M

# Of constructs: how DOCX calls them, and their parts in MathML's order.
_CONSTRUCTS = {
    **{"mfrac": ("f", ("num", "den")), "mroot": ("rad", ("e", "deg")), "msup": ("sSup", ("e", "sup"))},
    **{"msub": ("sSub", ("e", "sub")), "munder": ("limLow", ("e", "lim"))},
    **dict.fromkeys(("msubsup", "munderover"), ("sSubSup", ("e", "sub", "sup"))),
}
_WORDS = ("mi", "mn", "mtext", "ms")
_TOKENS = (*_WORDS, "mo")
# What a program keeps of an equation in another language.
_NOT_SHOWN = ("annotation", "annotation-xml")


def linear(math: Element) -> str:
    """Return an equation as a person would type it in one line.

    Raises:
        RecursionError: it is nested too deeply.
    """
    root = Element(f"{M}oMath")
    _add(root, math)
    return equations.linear(root)


def _add(outer: Element, element: Element) -> None:
    """Add what an element of MathML is in DOCX."""
    name = local_name(element)
    children = list(element)
    kind, parts = _CONSTRUCTS.get(name, ("", ()))
    if name in _TOKENS:
        _say(outer, " ".join("".join(element.itertext()).split()))
    elif kind and len(children) == len(parts):
        construct = SubElement(outer, f"{M}{kind}")
        for part, child in zip(parts, children, strict=True):
            _add(SubElement(construct, f"{M}{part}"), child)
    elif name == "mfenced":
        _add_fenced(SubElement(outer, f"{M}d"), element)
    elif name not in _NOT_SHOWN:
        inside = {"mtable": "m", "mtr": "mr", "mtd": "e"}.get(name)
        if name == "msqrt":
            inner = SubElement(SubElement(outer, f"{M}rad"), f"{M}e")
        else:
            inner = outer if inside is None else SubElement(outer, f"{M}{inside}")
        before = ""
        for child in children:
            at = local_name(child)
            if before in _WORDS and at in _WORDS:
                _say(inner, " ")
            _add(inner, child)
            before = at


def _say(outer: Element, text: str) -> None:
    SubElement(SubElement(outer, f"{M}r"), f"{M}t").text = text


def _add_fenced(construct: Element, element: Element) -> None:
    properties = SubElement(construct, f"{M}dPr")
    for name, stated, usual in (
        ("beg", "open", "("),
        ("end", "close", ")"),
        ("sep", "separators", ","),
    ):
        SubElement(properties, f"{M}{name}Chr", {f"{M}val": element.get(stated, usual)})
    for child in element:
        _add(SubElement(construct, f"{M}e"), child)
