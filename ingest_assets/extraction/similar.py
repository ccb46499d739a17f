"""Which names are so nearly alike that they mean one thing: a misread letter, a plural, a hyphen.

Belongs here: the rule. It looks only at the two names, so the entities do not depend on the order in
which names are found. Does not belong here: storing entities.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from uuid import UUID, uuid5

from rapidfuzz.distance import Levenshtein

# An entity type, and a normalised name of that type.
Name = tuple[str, str]

# Generated once, at random; the UUIDs of entities are derived from it.
_NAMESPACE = UUID("5a6c1b39-1f0e-4a39-8d3d-0c6e5a8d7f42")
# Shorter names that differ by a letter or two mostly mean different things.
_MIN_CHARACTERS = 10
_MAX_EDITS = 2
# Words in which names that are otherwise alike must agree: Fund II and Fund III are two funds.
_DISTINGUISHING = re.compile(r"\b(?:\w*\d\w*|[ivxl]+|\w|north|south|east|west\w*)\b")


def entity_uuid(entity_type: str, name: str) -> UUID:
    """The UUID of the entity whose first name, in the order of code points, is this one."""
    return uuid5(_NAMESPACE, f"{entity_type}\0{name}")


def block(entity_type: str, name: str) -> str | None:
    """The block in which a name is compared with others: organisations that begin with the same word.

    None for a name that is not compared: a short one, or one of another type. Values of other types are
    exact, and two people whose names differ by a letter are two people.
    """
    if entity_type != "organization" or len(name) < _MIN_CHARACTERS:
        return None
    return f"{entity_type} {name.partition(' ')[0]}"


def alike(one: str, other: str) -> bool:
    """Whether two names of one block mean one thing. Symmetric."""
    if Levenshtein.distance(one, other, score_cutoff=_MAX_EDITS) > _MAX_EDITS:
        return False
    return _DISTINGUISHING.findall(one) == _DISTINGUISHING.findall(other)


def merged(known: Mapping[Name, UUID], new: Iterable[Name]) -> Mapping[Name, UUID]:
    """The entity of each name of one block, after new names were added to the known ones.

    Names that are alike are one entity, and so are names that others connect: a is like b, b is like c.
    The entity has the UUID of its first name in the order of code points.

    Args:
        known: the entity of each name so far.
        new: names that are not in `known`.
    """
    entities = dict(known)
    for name in new:
        joined = {entities[other] for other in entities if alike(name[1], other[1])}
        members = [name, *(other for other in entities if entities[other] in joined)]
        entities |= dict.fromkeys(members, entity_uuid(*min(members)))
    return entities
