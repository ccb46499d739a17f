"""Styles, as far as they decide what shows: hidden text, and numbering.

Belongs here: following a style to the one that it is based on. Does not belong here: how text looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from ingest_assets.ocr.sandbox.docx.names import W

_OFF = ("0", "false", "off", "none")


def is_on(properties: Element | None, name: str) -> bool | None:
    """Return a property that is on or off; None where nothing is said of it."""
    found = properties.find(f"{W}{name}") if properties is not None else None
    return None if found is None else found.get(f"{W}val", "1") not in _OFF


class Styles:
    """The styles of a document, by their identifiers."""

    def __init__(self, root: Element | None) -> None:
        styles = root.findall(f"{W}style") if root is not None else []
        self._styles = {style.get(f"{W}styleId", ""): style for style in styles}
        self._default = next(
            (
                style.get(f"{W}styleId", "")
                for style in styles
                if style.get(f"{W}type") == "paragraph" and style.get(f"{W}default") in ("1", "true")
            ),
            "",
        )
        self._hidden: dict[str, bool] = {}

    def of(self, properties: Element | None) -> str:
        """Return the style that a paragraph's properties name, or that of all others."""
        named = properties.find(f"{W}pStyle") if properties is not None else None
        return named.get(f"{W}val", "") if named is not None else self._default

    def hides(self, identifier: str) -> bool:
        """Tell whether text in a style is hidden."""
        if identifier not in self._hidden:
            said = (is_on(style.find(f"{W}rPr"), "vanish") for style in self._bases(identifier))
            self._hidden[identifier] = next((on for on in said if on is not None), False)
        return self._hidden[identifier]

    def numbering(self, identifier: str) -> tuple[str | None, int | None]:
        """Return the list that paragraphs in a style belong to, and how deep."""
        for style in self._bases(identifier):
            found = style.find(f"{W}pPr/{W}numPr")
            if found is not None:
                number, depth = found.find(f"{W}numId"), found.find(f"{W}ilvl")
                stated = depth.get(f"{W}val", "0") if depth is not None else "0"
                return (
                    number.get(f"{W}val") if number is not None else None,
                    int(stated) if stated.isdecimal() else 0,
                )
        return None, None

    def _bases(self, identifier: str) -> Iterator[Element]:
        """Yield a style, the one that it is based on, and so on; some are based on themselves."""
        seen = set()
        while identifier not in seen and (style := self._styles.get(identifier)) is not None:
            seen.add(identifier)
            yield style
            based = style.find(f"{W}basedOn")
            identifier = based.get(f"{W}val", "") if based is not None else ""
