"""Which names are so nearly alike that one thing is meant: a misread letter, a plural, a hyphen.

Belongs here: the rule, which asks nothing but the two names, so that what comes of all names does not
depend on the order in which they came. Does not belong here: storing what comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from uuid import UUID, uuid5

from rapidfuzz.distance import Levenshtein

# A type and a normalised name of it.
Name = tuple[str, str]

# Made once, at random, for the UUIDs of entities.
_NAMESPACE = UUID("5a6c1b39-1f0e-4a39-8d3d-0c6e5a8d7f42")
# Shorter names differ by a letter or two and mean another.
_MIN_CHARACTERS = 10
_MAX_EDITS = 2
# What makes another thing of a name that is alike else: Fund II, Series B, North and South.
_DISTINGUISHING = re.compile(r"\b(?:\w*\d\w*|[ivxl]+|\w|north|south|east|west\w*)\b")


def entity_uuid(entity_type: str, name: str) -> UUID:
    """The UUID of the entity whose first name, in the order of code points, is this one."""
    return uuid5(_NAMESPACE, f"{entity_type}\0{name}")


def block(entity_type: str, name: str) -> str | None:
    """Names are compared within a block: organisations that begin with the same word.

    None for a name that is only ever equal to itself. All other types are: their values are exact, and
    two people whose names differ by a letter are two people.
    """
    if entity_type != "organization" or len(name) < _MIN_CHARACTERS:
        return None
    return f"{entity_type} {name.partition(' ')[0]}"


def alike(one: str, other: str) -> bool:
    """Whether two names of one block are of one thing. Symmetric."""
    if Levenshtein.distance(one, other, score_cutoff=_MAX_EDITS) > _MAX_EDITS:
        return False
    return _DISTINGUISHING.findall(one) == _DISTINGUISHING.findall(other)


def merged(known: Mapping[Name, UUID], new: Iterable[Name]) -> Mapping[Name, UUID]:
    """The entity of each name of one block, when new names have joined those that are known.

    Names that are alike, directly or by others between them, are one entity; its UUID is that of the
    first of them in the order of code points.

    Args:
        known: the entity of each name so far.
        new: names that are not among them.
    """
    entities = dict(known)
    for name in new:
        joined = {entities[other] for other in entities if alike(name[1], other[1])}
        members = [name, *(other for other in entities if entities[other] in joined)]
        entities |= dict.fromkeys(members, entity_uuid(*min(members)))
    return entities
