"""What it costs a worker process to give up its rights: `python -m bench.isolation [--times N]`.

Forks processes as the nursery does, with the readers' programs loaded, and has each call
`workers.isolation.isolate`. Beside it stands a fork that calls nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import struct
import sys
import tempfile
import time
from importlib import import_module

from ingest_assets.ocr.languages import find_languages
from ingest_assets.ocr.local import OPERATIONS
from ingest_assets.workers import isolation
from ingest_assets.workers.isolation import Mode


def in_a_fork(mode: Mode, documents: str, data: tuple[str, ...]) -> tuple[float, float]:
    """Milliseconds of CPU and by the clock that a worker spends on it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        cpu, clock = time.process_time(), time.perf_counter()
        isolation.isolate(mode, [documents], data)
        spent = time.process_time() - cpu, time.perf_counter() - clock
        os.write(writing, struct.pack("dd", *spent))
        os._exit(0)
    os.waitpid(pid, 0)
    cpu, clock = struct.unpack("dd", os.read(reading, 16))
    os.close(reading)
    os.close(writing)
    return 1000 * cpu, 1000 * clock


def main() -> None:
    """Measure, interleaved, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    times = parser.parse_args().times
    import_module(OPERATIONS).warm_up()
    isolation.programs()
    data = find_languages("eng", None).files
    modes: tuple[Mode, ...] = ("off", "required")
    spent: dict[Mode, list[tuple[float, float]]] = {mode: [] for mode in modes}
    with tempfile.TemporaryDirectory() as documents:
        for _ in range(times):
            for mode in modes:
                spent[mode].append(in_a_fork(mode, documents, data))
    for mode in modes:
        cpu, clock = (statistics.median(column) for column in zip(*spent[mode], strict=True))
        sys.stdout.write(f"{mode:9} {cpu:.2f} ms of CPU, {clock:.2f} ms by the clock\n")


if __name__ == "__main__":
    main()
