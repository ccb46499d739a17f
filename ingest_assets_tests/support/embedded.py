"""Run the command line as a user does, and look at processes from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

CLI = [sys.executable, "-m", "ingest_assets.cli"]
PROJECT = Path(__file__).resolve().parents[2]


def clean_environment(directory: Path, **extra: str) -> dict[str, str]:
    """Our environment without any setting of the stack, but with a data directory of its own."""
    ours = ("INGEST_", "AWS_", "PG", "DAGSTER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **kept,
        "PYTHONPATH": str(PROJECT),
        "INGEST_DATA_DIR": str(directory / "data"),
        "INGEST_INPUT_DIR": str(directory / "input"),
        **extra,
    }


def cli(directory: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run `ingest-assets` to its end."""
    return subprocess.run(
        [*CLI, *words],
        cwd=directory,
        env=clean_environment(directory, **extra),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def processes_of(directory: Path, word: str | None = None) -> list[psutil.Process]:
    """Every process that has to do with this data directory: by its command line or its variables.

    Args:
        word: what one of its arguments has to be.
    """
    data_dir = str(directory / "data")
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            command = process.cmdline()
            named = any(data_dir in argument for argument in command)
            if word in (None, *command) and (
                named or process.environ().get("INGEST_DATA_DIR", "") == data_dir
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 240, pause: float = 0.1) -> bool:
    """Wait for a condition, asked every `pause` seconds; whether it came true in time.

    Args:
        seconds: where nothing depends on how long it takes, leave this: what takes longer hangs, on
            however busy a machine.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(pause)
    return condition()
