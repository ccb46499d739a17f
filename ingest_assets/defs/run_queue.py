"""Looks at the queue of runs as soon as a run was queued or has ended.

Dagster's own looks once a second: a batch began half a second later on average, and after each run its
place stayed empty as long.

Belongs here: when Dagster's daemon looks at its queue. Does not belong here: how many runs begin
(`defs.instance`).
"""

from __future__ import annotations

import threading
from typing import Any

from ingest_assets.defs._internals import (
    DaemonIterator,
    QueuedRunCoordinatorDaemon,
    daemon_controller,
)

# Something happened that lets a run begin. One, because a process has at most one daemon. Of runs that
# another process queues, as Dagit does, the daemon learns by its interval.
look_now = threading.Event()


class PromptRunQueue(QueuedRunCoordinatorDaemon):
    """The part of Dagster's daemon that launches the runs of the queue.

    Args:
        interval_seconds: the longest time between two looks.
    """

    def __init__(self, interval_seconds: float) -> None:
        super().__init__(interval_seconds=0)  # It waits here, and not behind an iteration.
        self._longest = interval_seconds

    def run_iteration(self, *args: Any, **kwargs: Any) -> DaemonIterator:
        """Wait for a reason to look, then look once and launch what may begin."""
        look_now.wait(self._longest)
        look_now.clear()
        yield None  # A daemon that was told to end meanwhile does not go on.
        yield from super().run_iteration(*args, **kwargs)


def use() -> None:
    """Have a daemon that is started in this process look at its queue so."""
    vars(daemon_controller)["QueuedRunCoordinatorDaemon"] = PromptRunQueue
