"""What the process of a run prints is kept where Dagit shows it, and printed as before."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ingest_assets.defs._internals import InstanceRef
from ingest_assets.defs.run_output import RunOutput, with_run_output

KEY = ["a run", "compute_logs", "a step"]


def print_in_a_process(files: Path, printed: Path, end: Callable[[], object]) -> int:
    """Fork a process that prints and then ends; returns how it did."""
    pid = os.fork()
    if pid == 0:
        for stream, descriptor in ((sys.__stdout__, 1), (sys.__stderr__, 2)):
            os.dup2(os.open(printed / str(descriptor), os.O_WRONLY | os.O_CREAT), descriptor)
            assert stream is not None
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        with RunOutput(str(files)).capture_logs(KEY):
            print("a line of a run", flush=True)
            os.write(2, b"a line of a library\n")
            end()
        print("a line after it", flush=True)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def lines(path: Path, expected: list[str]) -> list[str]:
    """What a file holds, as soon as it is what is expected, or after a while."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = path.read_text().splitlines() if path.exists() else []
        # `tee` prints the last line while the process prints the next.
        if sorted(found) == sorted(expected):
            return expected
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_run_prints_is_in_dagits_files_and_printed(tmp_path: Path, killed: bool) -> None:
    files, printed = tmp_path / "files", tmp_path / "printed"
    printed.mkdir()

    def end() -> None:
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        lines(printed / "1", ["a line of a run"])
        lines(printed / "2", ["a line of a library"])
        for process in psutil.Process().children():  # As `dev` ends all that it has started.
            process.terminate()
        print("how it ends", flush=True)

    status = print_in_a_process(files, printed, end)

    assert (status == signal.SIGKILL) is killed
    logs = RunOutput(str(files))
    last, after = ([], []) if killed else (["how it ends"], ["a line after it"])
    for name, descriptor, kept, later in (
        ("out", "1", ["a line of a run", *last], after),
        ("err", "2", ["a line of a library"], []),
    ):
        assert lines(Path(logs.get_captured_local_path(KEY, name)), kept) == kept
        assert lines(printed / descriptor, [*kept, *later]) == [*kept, *later]
    assert logs.is_capture_complete(KEY) is not killed


def test_the_instance_of_a_run_has_it(tmp_path: Path) -> None:
    instance = with_run_output(InstanceRef.from_dir(str(tmp_path)))
    assert isinstance(instance.compute_log_manager, RunOutput)
