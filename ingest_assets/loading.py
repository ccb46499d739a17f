"""Loads code without looking for garbage in it, because what is loaded stays.

Belongs here: nothing more. It imports the standard library alone, and so little of it that it can come
before all else.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """A block in which Python looks for no garbage; what is there at its end, it never looks at again.

    To import Dagster and this package takes a quarter less computing so. Processes that are forked
    later go on sharing the memory of what was loaded: a look for garbage writes to all that it sees.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
