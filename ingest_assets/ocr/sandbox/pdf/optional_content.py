"""Which layers of a PDF ("optional content", ISO 32000-1, 8.11) a viewer shows when it opens the file.

Belongs here: the state of layers, and of conditions on several of them. Does not belong here: what lies
on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pikepdf

from ingest_assets.ocr.sandbox.pdf.entries import get

# Conditions within conditions, deeper than any program nests them.
_MAX_DEPTH = 8


class Layers:
    """The layers of one file.

    Attributes:
        exist: whether there are any.
        may_be_off: whether any of them may be.
    """

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self.exist = "/OCProperties" in pdf.Root
        configuration = get(pdf.Root, "/OCProperties", "/D")
        self._are_on: bool = get(configuration, "/BaseState") != "/OFF"
        self._on = {group.objgen for group in _groups(get(configuration, "/ON"))}
        self._off = {group.objgen for group in _groups(get(configuration, "/OFF"))}
        # States that depend on what the file is used for: on a screen it is viewed.
        uses = [use for use in _items(get(configuration, "/AS")) if get(use, "/Event") == "/View"]
        for group in (group for use in uses for group in _groups(get(use, "/OCGs"))):
            state = get(group, "/Usage", "/View", "/ViewState")
            if state in ("/ON", "/OFF"):
                self._off.discard(group.objgen)
                (self._on if state == "/ON" else self._off).add(group.objgen)
        self.may_be_off = bool(self._off) or not self._are_on

    def show(self, entry: pikepdf.Object | None, depth: int = 0) -> bool:
        """Tell whether what lies on a layer, or depends on a condition, is shown; None is no layer."""
        if get(entry, "/Type") != "/OCMD":
            return not isinstance(entry, pikepdf.Dictionary) or self._is_on(entry)
        expression = get(entry, "/VE")
        if isinstance(expression, pikepdf.Array) and len(expression):
            return self._holds(expression, depth)
        states = [self._is_on(group) for group in _groups(get(entry, "/OCGs"))]
        policy = get(entry, "/P")
        if not states:
            return True
        if policy == "/AllOn":
            return all(states)
        if policy == "/AnyOff":
            return not all(states)
        return not any(states) if policy == "/AllOff" else any(states)

    def _is_on(self, group: pikepdf.Object) -> bool:
        return group.objgen not in self._off and (self._are_on or group.objgen in self._on)

    def _holds(self, expression: pikepdf.Array, depth: int) -> bool:
        if depth >= _MAX_DEPTH or not len(expression):
            return True
        operator, *operands = expression
        states = [
            self._holds(operand, depth + 1)
            if isinstance(operand, pikepdf.Array)
            else self.show(operand, depth + 1)
            for operand in operands
        ]
        if operator == "/Not":
            return not all(states)
        return any(states) if operator == "/Or" else all(states)


def _items(entry: pikepdf.Object | None) -> Iterable[pikepdf.Object]:
    return entry if isinstance(entry, pikepdf.Array) else ()


def _groups(entry: pikepdf.Object | None) -> Iterator[pikepdf.Object]:
    """Yield the layers of a list; one may stand for itself."""
    for group in _items(entry) if isinstance(entry, pikepdf.Array) else (entry,):
        if isinstance(group, pikepdf.Dictionary):
            yield group
