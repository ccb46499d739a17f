"""Failpoints: named places between two effects, where a test lets the process die.

Belongs here: the one function that marks such a place, and how a test arms it. Does not belong here:
what is found afterwards; that is the crash matrix, `ingest_assets_tests/crash/`.

No setting, variable or input arms a failpoint: only code that runs in the same process and calls
`arm`, and no module of this package does. Unarmed, one costs a comparison.
"""

from __future__ import annotations

import os
import signal
import threading


class _Armed:
    """The one failpoint at which this process ends, if any."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.passes_left = 0
        self.lock = threading.Lock()


_armed = _Armed()


def failpoint(name: str) -> None:
    """Mark a place. Does nothing, unless a test armed the failpoint of this name."""
    if _armed.name is not None and name == _armed.name:
        with _armed.lock:  # whoever else comes by waits here until the process is gone
            if _armed.passes_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            _armed.passes_left -= 1


def arm(name: str, passes: int = 0) -> None:
    """Let this process end by SIGKILL where it reaches the failpoint; for tests alone.

    Args:
        name: as the place itself writes it.
        passes: how often the place is passed unharmed before.
    """
    _armed.name, _armed.passes_left = name, passes
