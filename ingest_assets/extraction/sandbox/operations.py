"""The operations of the local engine's worker processes, as functions of JSON values.

Belongs here: what runs under the limits of `workers.pool`. Does not belong here: dividing a text into
pieces (`extraction.local`), and the rules themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ingest_assets.extraction.engine import apart
from ingest_assets.extraction.sandbox import names, patterns


def entities(text: str) -> list[list[Any]]:
    """Find mentions by rule; returns the values of the fields of each `Mention`, in their order."""
    found = apart([*patterns.find(text), *names.find(text)], len(text))
    return [list(vars(mention).values()) for mention in found]


OPERATIONS: Mapping[str, Callable[..., Any]] = {"entities": entities}
