"""The stand-in for Textract in `examples/`, as tests start it, break it and ask it what happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

PROGRAM = Path(__file__).parents[2] / "examples" / "textract_stand_in.py"


class StandIn:
    """A stand-in that runs."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.process = process
        self._before: Any = {"calls": {}, "jobs": []}

    def faults(self, **faults: Any) -> None:
        """From now on this goes wrong, and nothing else."""
        self._ask("PUT", "faults", faults)

    def forget(self) -> None:
        """Count calls and list jobs from now on."""
        self._before = self._ask("GET", "report")

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ask("POST", "clock", {"advance_seconds": seconds})

    @property
    def calls(self) -> Mapping[str, int]:
        """Calls by operation and outcome, without the prefix and suffix that all share."""
        before = self._before["calls"]
        return {
            name.replace("DocumentTextDetection", "").removesuffix("Exception"): more
            for name, count in self._ask("GET", "report")["calls"].items()
            if (more := count - before.get(name, 0))
        }

    @property
    def jobs(self) -> list[Mapping[str, Any]]:
        """All jobs that were started, in their order."""
        jobs: list[Mapping[str, Any]] = self._ask("GET", "report")["jobs"]
        return jobs[len(self._before["jobs"]) :]

    def _ask(self, method: str, what: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/stand-in/{what}", data=data, method=method)
        with urlopen(request, timeout=240) as response:
            return json.load(response)


@contextmanager
def stand_in(environment: Mapping[str, str], *options: str) -> Iterator[StandIn]:
    """Run a stand-in on a free port.

    Args:
        environment: where S3 is, and the credentials.
        options: of its command line.
    """
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), "--port", "0", *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        yield StandIn(url, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]
