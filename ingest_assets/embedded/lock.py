"""A file lock, so that one process runs the services of a data directory, and one runs Dagster.

Belongs here: the lock, which the kernel releases however its holder ends, and the note in its file that
says which process holds it. Does not belong here: what the holder does.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, TypedDict

# A process that reads the note holds a shared lock for an instant; tries go on for half a second.
_ATTEMPTS = 10
_PAUSE_SECONDS = 0.05


class Holder(TypedDict):
    """The note in a lock's file.

    `command` is the command that started the holder, `ready` whether what it runs can be used, and
    `dagit_port` the port on 127.0.0.1 where its Dagit listens, if it runs one.
    """

    pid: int
    command: Literal["dev", "services"]
    ready: bool
    dagit_port: int | None


class FileLock:
    """An exclusive lock on a file, with a note about its holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def acquire(self, command: Literal["dev", "services"]) -> bool:
        """Take the lock; False if another process has it."""
        file = self.path.open("a+")
        self.path.chmod(0o600)
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE_SECONDS)
            else:
                self._file = file
                self._write(
                    {"pid": os.getpid(), "command": command, "ready": False, "dagit_port": None}
                )
                return True
        file.close()
        return False

    def announce_ready(self, dagit_port: int | None = None) -> None:
        """Note that what the holder runs can be used from now on, and where its Dagit listens."""
        holder = self.holder()
        if self._file is None or holder is None:
            message = f"the lock {self.path} is not ours"
            raise RuntimeError(message)
        self._write({**holder, "ready": True, "dagit_port": dagit_port})

    def release(self) -> None:
        """Release the lock. Does nothing if this process does not hold it."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    def holder(self) -> Holder | None:
        """Return the note of the process that holds the lock, be it this one; None if none does."""
        try:
            file = self.path.open("r")
        except FileNotFoundError:
            return None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                # The holder may be writing the note at this moment; then it counts as absent.
                with suppress(json.JSONDecodeError):
                    holder: Holder = json.load(file)
                    return holder
            return None

    def _write(self, holder: Holder) -> None:
        assert self._file is not None  # noqa: S101  (for the type checker)
        self._file.truncate(0)
        self._file.write(json.dumps(holder))  # Opened for appending, so at the end, which is now 0.
        self._file.flush()
