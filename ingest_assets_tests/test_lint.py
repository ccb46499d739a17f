"""What of `make lint` takes long: run as tests, it goes on beside the other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.mark.long
@pytest.mark.parametrize("command", [("mypy",), ("lint-imports", "--no-cache")], ids="".join)
def test_it_holds(command: tuple[str, ...]) -> None:
    program, *arguments = command
    # To write what a later run could read takes a sixth of the time; `make lint` writes it.
    if program == "mypy" and not (PROJECT / ".mypy_cache").exists():
        arguments.append(f"--cache-dir={os.devnull}")
    found = subprocess.run(
        [BIN / program, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, f"make lint\n{found.stdout}{found.stderr}"
