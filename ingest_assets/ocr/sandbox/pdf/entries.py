"""What lies at the keys of a PDF's dictionaries, which may be missing or something else than expected.

Belongs here: getting at it. Does not belong here: what it means.
"""

from __future__ import annotations

import pikepdf

_WITH_KEYS = (pikepdf.Dictionary, pikepdf.Stream)

# The key of a text to be read in place of what is drawn (ISO 32000-1, 14.9.4).
ACTUAL_TEXT = "/ActualText"


def get(entry: pikepdf.Object | None, *keys: str) -> pikepdf.Object | None:
    """Return what lies at the end of some keys, None where there is nothing."""
    for key in keys:
        if not isinstance(entry, _WITH_KEYS):
            return None
        entry = entry.get(key)
    return entry


def values(resources: pikepdf.Object | None, kind: str) -> list[pikepdf.Object]:
    """Return all resources of a kind."""
    entries = get(resources, kind)
    if not isinstance(entries, pikepdf.Dictionary):
        return []
    return [entry for entry in entries.as_dict().values() if isinstance(entry, pikepdf.Object)]
