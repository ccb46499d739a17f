"""Ctrl-C, SIGTERM and SIGHUP, turned into one orderly stop.

Belongs here: the one exception that they raise, and when they no longer do. Does not belong here:
what is stopped.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked us to stop. Like KeyboardInterrupt, no `except Exception` catches it."""


class StopSignals:
    """While entered, the first of the signals raises `StopRequested` in the main thread.

    It raises once: what follows is the stopping itself, which a second Ctrl-C must not cut short.
    """

    def __init__(self) -> None:
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in _STOP_SIGNALS:
            # `nohup` has us ignore SIGHUP, and means it.
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
        """Raise no more: the stopping has begun."""
        self._held = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._held:
            self._held = True
            raise StopRequested
