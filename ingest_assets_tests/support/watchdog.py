"""What ends the processes of a test session that was killed: some are made to outlive their parents.

Belongs here: a process beside the session that notices its end. It uses the standard library and psutil
alone, so that its start costs next to nothing.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

# In the environment of all that a session starts, beside the worker processes of an engine, which the
# kernel ends with their parent.
_MARK = "TEST_SESSION"


@contextmanager
def watchdog() -> Iterator[None]:
    """End all that this process starts in the block when this process ends, even by SIGKILL."""
    before = os.environ.get(_MARK)
    os.environ[_MARK] = mark = secrets.token_hex(8)
    dog = subprocess.Popen(
        [sys.executable, __file__, mark], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        assert dog.stdin is not None
        dog.stdin.close()
        dog.wait()
        os.environ.pop(_MARK)
        if before is not None:
            os.environ[_MARK] = before


def main(mark: str) -> None:
    """Wait until the session has closed its end of the pipe, or has ended; then end what it left."""
    sys.stdin.read()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                process.kill()


if __name__ == "__main__":
    main(sys.argv[1])
