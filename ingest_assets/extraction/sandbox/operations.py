"""The operations of the local engine's worker processes, as functions of JSON values.

Belongs here: what runs under the limits of `workers.pool`. Does not belong here: dividing a text into
pieces (`extraction.local`), and the rules themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ingest_assets.extraction.engine import apart
from ingest_assets.extraction.sandbox import headers, names, patterns


def entities(text: str) -> list[list[Any]]:
    """Find mentions by rule; returns the values of the fields of each `Mention`, in their order."""
    found = apart([*patterns.find(text), *names.find(text), *headers.find(text)], len(text))
    return [list(vars(mention).values()) for mention in found]


def warm_up() -> None:
    """Compile the expressions that the libraries compile when they are first needed."""
    entities("On May 5, 2001 John Smith of Acme, Inc. paid $5 (see 1 U.S. 1), 212-555-1234, a@b.com.")


OPERATIONS: Mapping[str, Callable[..., Any]] = {"entities": entities}
