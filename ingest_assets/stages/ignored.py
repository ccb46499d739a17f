"""Names that no look takes in: the patterns of INGEST_IGNORE_PATTERNS.

Belongs here: matching a name. Does not belong here: what is counted, which differs by inbox.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence


class IgnoredNames:
    """Shell patterns, whatever the case of letters.

    Example:
        >>> IgnoredNames(["*.part", ".*"]).matching(".git")
        '.*'
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [
            (pattern, re.compile(fnmatch.translate(pattern), re.IGNORECASE)) for pattern in patterns
        ]
        # One expression for all, because most names match none.
        self._any = re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)", re.IGNORECASE)

    def matching(self, name: str) -> str | None:
        """The first pattern that a name matches; None if it matches none."""
        if not self._any.match(name):
            return None
        return next(pattern for pattern, expression in self._patterns if expression.match(name))
