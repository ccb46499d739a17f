"""Log lines that never fail the work that they report on.

Belongs here: the logger that every module of this package uses. Does not belong here: where lines go.
In a run of documents they go to the run's log (`defs.run_log`); anywhere else Python writes warnings to
the process's error output.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # Python 3.10 cannot subscript it when it runs.


class _Log(_Adapter):
    """A logger whose handlers' faults end here.

    Dagster can be told to manage Python's root logger. It then writes each line to its own database,
    and raises where that does not answer: often in the same moment in which this package has a lost
    connection to report. Without this class the fault would end the thread that logged, such as the
    one that writes a run's heartbeats.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line; where that fails, write it to the error output instead."""
        try:
            super().log(level, msg, *args, **kwargs)
        except Exception:  # noqa: BLE001  # Whatever a handler raises: the line is written all the same.
            print(str(msg) % args if args else msg, file=sys.stderr)
            traceback.print_exc(limit=-1)


def get_logger(name: str) -> _Log:
    """The logger of a module.

    Args:
        name: `__name__`.
    """
    return _Log(logging.getLogger(name), {})
