"""Content controls that are bound to data in the package: Word shows the data, not what it stored last.

Belongs here: finding the value that a control is bound to (ECMA-376, part 1, 17.5.2.6, `dataBinding`).
Does not belong here: what a control shows beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement

from ingest_assets.ocr.sandbox.docx.names import W
from ingest_assets.ocr.sandbox.docx.package import Package

_STORE = "{http://schemas.openxmlformats.org/officeDocument/2006/customXml}"
# The properties of the package, which are no data store of their own (MS-OI29500, 2.1.500).
_PROPERTIES = {
    "{6C3C8BC8-F283-45AE-878A-BAB7291924A1}": "core-properties",
    "{6668398D-A668-4E3E-A5EB-62B41D839F1D}": "extended-properties",
}
_PREFIX = re.compile(r"""xmlns:([\w.-]+)\s*=\s*(["'])(.*?)\2""")
_PATH = re.compile(
    r"(?:/(?:[\w.-]+:)?[\w.-]+(?:\[\d+\])?)+(?:/@(?:[\w.-]+:)?[\w.-]+|/text\(\)(?:\[1\])?)?"
)


class Stores:
    """The data that controls of a document may be bound to.

    Args:
        main: name of the part that is the document.
    """

    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._main = main
        self._roots: dict[str, Element] | None = None

    def fill_in(self, root: Element) -> None:
        """Put the values of bound controls in place of what a part has stored for them."""
        for control in root.iter(f"{W}sdt"):
            properties, content = control.find(f"{W}sdtPr"), control.find(f"{W}sdtContent")
            if properties is None or content is None:
                continue
            binding = properties.find(f"{W}dataBinding")
            if binding is not None and (value := self._value(binding)) is not None:
                _put(_as_shown(value, properties), content)

    def _value(self, binding: Element) -> str | None:
        path = binding.get(f"{W}xpath", "")
        if _PATH.fullmatch(path) is None:
            return None
        prefixes = {
            found[1]: found[3] for found in _PREFIX.finditer(binding.get(f"{W}prefixMappings", ""))
        }
        for root in self._stated(binding.get(f"{W}storeItemID", "").upper()):
            if (value := _at(root, path, prefixes)) is not None:
                return value
        return None

    def _stated(self, identifier: str) -> Iterator[Element]:
        """Yield the stores that a binding may mean: the one that it names, or each."""
        if self._roots is None:
            self._roots = dict(self._all())
        if identifier in self._roots:
            yield self._roots[identifier]
        elif not identifier:
            yield from self._roots.values()

    def _all(self) -> Iterator[tuple[str, Element]]:
        for identifier, kind in _PROPERTIES.items():
            for name in self._package.related("", kind):
                if (root := self._package.xml(name)) is not None:
                    yield identifier, root
        for name in self._package.related(self._main, "customXml"):
            root = self._package.xml(name)
            for about in self._package.related(name, "customXmlProps"):
                properties = self._package.xml(about)
                if root is not None and properties is not None:
                    yield properties.get(f"{_STORE}itemID", "").upper(), root


def _at(root: Element, path: str, prefixes: dict[str, str]) -> str | None:
    """Return the value at a path of elements, each with its number or the first."""
    steps = path.split("/")[1:]
    last = steps[-1]
    if last.startswith(("@", "text()")):
        steps.pop()
    # Of a document ElementTree finds what is below its root only.
    around = Element("document")
    around.append(root)
    try:
        place = around.find("/".join(steps), prefixes)
    except SyntaxError:  # A prefix is not mapped, or an element has the number 0.
        return None
    if place is None:
        return None
    if not last.startswith("@"):
        return "".join(place.itertext())
    prefix, _, name = last[1:].rpartition(":")
    if prefix and prefix not in prefixes:
        return None
    return place.get(f"{{{prefixes[prefix]}}}{name}" if prefix else name)


def _as_shown(value: str, properties: Element) -> str | None:
    """Return what a control shows for a value; None where it shows it in another way."""
    for kind in ("dropDownList", "comboBox"):
        if (choices := properties.find(f"{W}{kind}")) is not None:
            for item in choices.findall(f"{W}listItem"):
                if item.get(f"{W}value") == value:
                    return item.get(f"{W}displayText") or value
            return value
    return value if properties.find(f"{W}text") is not None else None


def _put(value: str | None, content: Element) -> None:
    """Make a control's content show a value; an empty one shows what was stored, as a hint."""
    texts = list(content.iter(f"{W}t"))
    if (
        not value
        or not value.strip()
        or "".join(text.text or "" for text in texts).split() == value.split()
    ):
        return
    if not texts:
        inner = next(content.iter(f"{W}p"), content)
        texts = [SubElement(SubElement(inner, f"{W}r"), f"{W}t")]
    texts[0].text = value
    for text in texts[1:]:
        text.text = ""
