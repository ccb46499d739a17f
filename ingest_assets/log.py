"""Log lines that never fail the work that they report on.

Belongs here: the logger that every module of this package uses, and the form of lines on the process's
error output (INGEST_LOG_FORMAT). Does not belong here: the log of a run, to which lines go meanwhile
(`defs.run_log`).
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    _Adapter = logging.LoggerAdapter[logging.Logger]
    _Stream = logging.StreamHandler[Any]
else:
    _Stream = logging.StreamHandler
    _Adapter = logging.LoggerAdapter  # Python 3.10 cannot subscript them when it runs.


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


class JsonConsole(_Stream):
    """Writes each line as one JSON object to the error output, with what is being worked on.

    The keys: `timestamp` (UTC), `level`, `logger`, `event` (the sentence), `exception`, and of what is
    worked on `run`, `partition`, `document` (its UUID) and `stage`, which `stages.runner` binds.
    """

    def __init__(self) -> None:
        from structlog import contextvars, processors, stdlib  # noqa: PLC0415  (few want JSON)

        super().__init__()
        shared: list[Processor] = [
            contextvars.merge_contextvars,
            stdlib.add_log_level,
            stdlib.add_logger_name,
            _of_dagster,
            processors.TimeStamper(fmt="iso", utc=True),
            processors.format_exc_info,
        ]
        self.setFormatter(
            stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    stdlib.ProcessorFormatter.remove_processors_meta,
                    processors.JSONRenderer(ensure_ascii=False, default=str),
                ],
            )
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line, without secrets."""
        return _redacted(super().format(record))


def set_up(form: Literal["text", "json"]) -> None:
    """Have this process write its lines in a form; does nothing where it does already.

    Args:
        form: INGEST_LOG_FORMAT.
    """
    package = logging.getLogger("ingest_assets")
    if form == "json" and not any(isinstance(handler, JsonConsole) for handler in package.handlers):
        package.addHandler(JsonConsole())
        if package.level == logging.NOTSET:
            package.setLevel(logging.INFO)


def _of_dagster(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What Dagster knows of a line of a run's log."""
    meta = getattr(event["_record"], "dagster_meta", None)
    if meta:
        event["event"] = meta.get("orig_message") or event["event"]
        if meta.get("run_id"):  # The lines of a sensor's tick have none.
            event["run"] = meta["run_id"]
        happened = meta.get("dagster_event")
        if happened is not None:
            event["dagster_event"] = happened.event_type_value
            if happened.partition:
                event["partition"] = happened.partition
    return event


_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s\"]*):[^@/\s\"]+@")
_SECRET_NAMES = re.compile(r"PASSWORD|SECRET|TOKEN|ALERT_.*URL")
_SHORTEST_SECRET = 8  # A shorter value would be found in ordinary words.


def _redacted(line: str) -> str:
    """The line without passwords of addresses, and without the secrets that the environment holds."""
    for name, values in os.environ.items():
        if _SECRET_NAMES.search(name):
            for value in values.split():
                if len(value) >= _SHORTEST_SECRET:
                    line = line.replace(value, "***")
    return _PASSWORD_IN_URL.sub(r"\1:***@", line)
