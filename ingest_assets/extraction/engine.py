"""What an entity engine is: the protocol that the local engine and Amazon Comprehend both keep.

Belongs here: the types that cross the line between `document_entities` and an engine. Does not belong
here: anything that one engine alone needs, and which mentions are of one thing (`normal`, `similar`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

# The surest first. Those of the last line are found by Amazon Comprehend alone.
ENTITY_TYPES = (
    *("url", "email", "citation", "money", "percentage", "date", "phone"),
    *("organization", "person", "jurisdiction"),
    *("location", "commercial_item", "event", "title", "quantity", "other"),
)


@dataclass(frozen=True)
class Mention:
    """One place in a text that names something.

    Attributes:
        entity_type: one of `ENTITY_TYPES`.
        start: place in the text, in characters (code points): `text[start:end]` is the mention.
        normalised: what is the same wherever the same is meant, found from the mention alone: an ISO
            date, an amount with its currency, a name without its legal form. `normal` makes it.
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

    `extract` raises `PermanentError` for a text that will never pass, `TransientError` where a later
    try may, `ConfigurationError` where no text would. A text without entities is no error. The same
    version finds the same in the same text, as far as that is in the engine's hands.
    """

    name: str
    version: str

    def extract(self, text: str) -> tuple[Mention, ...]:
        """All mentions, in the order of their places; never two of one type at one place."""
        ...

    def close(self) -> None:
        """End the processes and connections that the engine holds."""
        ...
