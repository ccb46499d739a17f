"""What the package logs during a run of documents, in the run's log, where Dagit shows it.

Belongs here: passing log lines on to Dagster. Does not belong here: what is logged.

Why not Dagster's `managed_python_loggers`? Dagster listens to them only while the code of the op runs
in its main thread, and not while it stores an event. The threads of a run report heartbeats and locks
at any time: in a test Dagster got 63 of 146 of their lines.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dagster import DagsterLogManager

from ingest_assets.defs._internals import dagster_loggers, instigation_logger
from ingest_assets.log import JsonConsole

_PACKAGE = logging.getLogger("ingest_assets")


class _RunLog(logging.Handler):
    """Hands each line to the run's log, from whichever thread it comes."""

    def __init__(self, run_log: DagsterLogManager) -> None:
        super().__init__(logging.INFO)
        self._run_log = run_log

    def createLock(self) -> None:  # noqa: N802  # The base class names it so.
        """Have no lock: Dagster's log has one, and with two of them threads could deadlock."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Log the line; where Dagster cannot store it, `handleError` writes it to the error output."""
        try:
            self._run_log.log(record.levelno, record.getMessage())
        except Exception:  # noqa: BLE001  # Dagster's database is gone: no reason to end what logged.
            self.handleError(record)


@contextmanager
def package_lines(run_log: DagsterLogManager) -> Iterator[None]:
    """For the length of the block, have the run's log hold what the package logs.

    Args:
        run_log: `context.log` of the run.
    """
    handler = _RunLog(run_log)
    # The run's log writes to the error output itself: each line would be there twice.
    consoles = [one for one in _PACKAGE.handlers if isinstance(one, JsonConsole)]
    _PACKAGE.addHandler(handler)
    for console in consoles:
        _PACKAGE.removeHandler(console)
    try:
        yield
    finally:
        _PACKAGE.removeHandler(handler)
        for console in consoles:
            _PACKAGE.addHandler(console)


def have_json_console() -> None:
    """From now on, have runs and ticks of this process write their log to the error output as JSON.

    Dagster takes the loggers of a run from its run config alone, and runs of backfills have none.
    """

    def console(name: str, level: str | int) -> logging.Logger:
        made = logging.Logger(name, level)
        made.addHandler(JsonConsole())
        return made

    for module in (dagster_loggers, instigation_logger):  # Of runs, and of ticks.
        vars(module)["create_console_logger"] = console
