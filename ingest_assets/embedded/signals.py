"""Ctrl-C, SIGTERM and SIGHUP, turned into one exception that starts an orderly stop.

Belongs here: the exception, and when signals no longer raise it. Does not belong here: what is stopped.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A signal asked this process to stop. `except Exception` does not catch it."""


class StopSignals:
    """A block in which the first of the signals raises `StopRequested` in the main thread.

    Later ones do nothing: a second Ctrl-C must not interrupt the stopping that the first one began.
    """

    def __init__(self) -> None:
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in _STOP_SIGNALS:
            # Under `nohup` the process ignores SIGHUP, and has to go on doing so.
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """Have signals do nothing from now on, because the stopping has begun."""
        self._held = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._held:
            self._held = True
            raise StopRequested
