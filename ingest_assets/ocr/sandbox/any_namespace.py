"""Elements of XML by their names alone: standards have several namespaces, pages leave them out.

Belongs here: names without namespaces. Does not belong here: the names of any standard.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element


def local_name(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def named(root: Element | None, name: str) -> Iterator[Element]:
    """Yield the elements of that name in a tree, in any namespace."""
    return (one for one in root.iter() if local_name(one) == name) if root is not None else iter(())
