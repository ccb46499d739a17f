"""Failpoints: named places between two effects, at which a test kills the process.

Belongs here: marking such a place, and arming it. Does not belong here: what has to be true after the
kill, which the crash tests in `ingest_assets_tests/crash/` check.

No setting, variable or input arms a failpoint. Only a test does, by calling `arm` in the process that
it kills. A failpoint that is not armed costs one comparison.
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
    """Mark a place. Does nothing unless a test armed the failpoint of this name.

    Example: `failpoint("attempt.committed")` right after the commit.
    """
    if _armed.name is not None and name == _armed.name:
        with _armed.lock:  # other threads wait here until the process is dead
            if _armed.passes_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            _armed.passes_left -= 1


def arm(name: str, passes: int = 0) -> None:
    """Have this process end by SIGKILL when it reaches the failpoint; for tests.

    Args:
        name: the name that the place passes to `failpoint`.
        passes: how often the process passes the place before it ends there.
    """
    _armed.name, _armed.passes_left = name, passes
