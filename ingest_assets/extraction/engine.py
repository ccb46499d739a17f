"""What an entity engine is: the protocol of the local engine and of Amazon Comprehend.

Belongs here: the types that the stage `document_entities` and an engine exchange, and which of two
overlapping mentions is kept. Does not belong here: anything that one engine alone needs, and which
mentions are of one thing (`normal`, `similar`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

# Those that are found most surely come first. Only Amazon Comprehend finds those of the last line.
ENTITY_TYPES = (
    *("url", "email", "citation", "money", "percentage", "date", "phone"),
    *("organization", "person", "jurisdiction"),
    *("location", "commercial_item", "event", "title", "quantity", "other"),
)
# Of two mentions that overlap, the one of the earlier type is kept: the organisation Bank of Boston,
# and not the place Boston in it.
_RANK = {entity_type: rank for rank, entity_type in enumerate(ENTITY_TYPES)}


@dataclass(frozen=True)
class Mention:
    """One place in a text that names something.

    Attributes:
        entity_type: one of `ENTITY_TYPES`.
        start: place in the text, in characters (code points): `text[start:end]` is the mention.
        normalised: a value that all mentions of the same thing share, made from the mention alone: an
            ISO date, an amount with its currency, a name without its legal form. `normal` makes it.
        confidence: 0 to 1, as the engine reports it; None where it reports none.
        engine: name of the engine, or the part of it, that found the mention.
    """

    entity_type: str
    start: int
    end: int
    normalised: str
    confidence: float | None
    engine: str


class EntityEngine(Protocol):
    """Finds entities in texts. Safe to call from several threads at once.

    `extract` raises `PermanentError` if this text will never pass, `TransientError` if a later try may,
    and `ConfigurationError` if no text would. A text without entities is no error. The same version
    finds the same in the same text, unless a service behind it changes.
    """

    name: str
    version: str

    def extract(self, text: str) -> tuple[Mention, ...]:
        """All mentions, in the order of their places; never two of one type at one place."""
        ...

    def close(self) -> None:
        """End the processes and connections that the engine holds."""
        ...


def apart(mentions: Iterable[Mention], characters: int) -> list[Mention]:
    """The mentions without those that overlap a better one, in the order of their places.

    Of two, the better is the one of the earlier type, then the longer, then the one that begins first.

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
