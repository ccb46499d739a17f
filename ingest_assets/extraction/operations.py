"""What a worker process of the local engine can be asked to do, as functions of JSON values.

Belongs here: what runs under the limits of `ocr.pool`. Does not belong here: dividing a text into
pieces (`local`), and the rules themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ingest_assets.extraction import names, patterns
from ingest_assets.extraction.engine import ENTITY_TYPES, Mention

# Of mentions that overlap the one of the earlier type stays: a town in a bank's name is no mention.
_RANK = {entity_type: rank for rank, entity_type in enumerate(ENTITY_TYPES)}


def entities(text: str) -> list[list[Any]]:
    """Find by rule: the fields of each `Mention`, in their order."""
    found = apart([*patterns.find(text), *names.find(text)], len(text))
    return [list(vars(mention).values()) for mention in found]


def apart(mentions: Iterable[Mention], characters: int) -> list[Mention]:
    """Those mentions that overlap no better one, in the order of their places.

    Better is the type that comes earlier, then the longer, then the one that begins earlier.

    Args:
        characters: length of the text.
    """
    taken = bytearray(characters)
    kept = []
    for mention in sorted(
        mentions, key=lambda m: (_RANK[m.entity_type], m.start - m.end, m.start, m.normalised)
    ):
        if mention.start < mention.end and not any(taken[mention.start : mention.end]):
            taken[mention.start : mention.end] = b"\1" * (mention.end - mention.start)
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


OPERATIONS: Mapping[str, Callable[..., Any]] = {"entities": entities}
