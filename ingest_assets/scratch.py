"""A directory for documents while they are read, which is removed even after a kill.

Belongs here: a directory of this process's own, closed to other users, and removing directories of
processes that were killed. Does not belong here: what is written there.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ingest_assets.log import get_logger

_log = get_logger(__name__)

_PREFIX = "ingest-"


class Scratch:
    """A directory for files that hold unencrypted documents. Thread-safe.

    The process holds a lock on it, which the system releases when the process ends. A directory whose
    lock is free was left by a process that was killed, and the next process removes it.

    Args:
        parent: where the directory is created; created, too, if it does not exist, closed to other
            users. None: the system's directory for temporary files, in which nothing of others is
            removed.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, parent: Path | None = None) -> None:
        if parent is None:
            self._make(Path(tempfile.gettempdir()))
            return
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Of two processes that start at once, neither takes the other's directory for one that was
        # left, before its lock is held.
        with (parent / "lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            _remove_left(parent)
            self._make(parent)

    @property
    def path(self) -> Path:
        """This process's own directory."""
        return self._path

    def _make(self, parent: Path) -> None:
        self._path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = (self._path / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for one piece of work, which goes with it.

        Raises:
            OSError: there is no room, or no right to write.
        """
        with tempfile.TemporaryDirectory(dir=self._path) as name:
            yield Path(name)

    def close(self) -> None:
        """Remove the directory, with all that is in it."""
        shutil.rmtree(self._path, ignore_errors=True)
        self._lock.close()


def _remove_left(parent: Path) -> None:
    for left in parent.glob(f"{_PREFIX}*"):
        with suppress(BlockingIOError, FileNotFoundError, NotADirectoryError):
            with (left / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            _log.info("Removed %s, which a process that was killed had left.", left)
