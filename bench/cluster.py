"""Documents a second by 1, 2, 4 and 8 workers, and how soon one that joins helps.

    python bench/cluster.py scale [--workers 1 --workers 8] [--documents 80]
    python bench/cluster.py join

Workers are processes of this machine, and recognition is a stand-in that sleeps for as long as each
document says (`ingest_assets_tests/support/sleeping`): 2 to 4 s, one at a time in each run, as a worker
with one core would take. What remains is the project's own: cutting the work into runs, launching them,
Postgres, S3, Dagster. These compute, so 8 workers need two cores that do nothing else.

`scale`: so many documents for each worker, all at once, and one that takes 10 s, which comes last. The
time is that from the first attempt's begin to the last one's end; efficiency is the throughput by that
of one worker, divided by the number of workers; *idle at the end* is how long a worker had nothing to
do, in the mean, before the last one ended. Memory is the proportional set size of the workers and all
that they started. `join`: a second worker is started while work waits.

The stack is `ingest-assets dev --workers` with embedded services below a temporary directory.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import psutil
from arrivals import Watched
from ingest import command, stack

PROJECT = Path(__file__).resolve().parents[1]
_SHORTEST, _LONGEST, _LONG = 2.0, 4.0, 10.0
_SAMPLE_SECONDS = 10


@contextmanager
def cluster(workers: int, **settings: str) -> Iterator[Watched]:
    """The stack with so many workers, which are there."""
    sleeping = PROJECT / "ingest_assets_tests" / "support" / "sleeping"
    variables = {
        "PYTHONPATH": f"{sleeping}:{PROJECT}",
        "INGEST_OCR_WORKERS": "1",
        "INGEST_SETTLE_SECONDS": "0",
        **settings,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "input").mkdir()
        with stack(folder, "--workers", str(workers), **variables) as (pid, environment):
            watched = Watched(folder, pid, environment)
            while watched.ask("SELECT count(*) FROM ingest.workers")[0][0] < workers:
                time.sleep(0.2)
            yield watched


def documents(folder: Path, seconds: list[float]) -> list[Path]:
    """Documents that take so long each."""
    folder.mkdir()
    paths = [folder / f"{number:05}.txt" for number in range(len(seconds))]
    for number, path in enumerate(paths):
        path.write_text(f"{seconds[number]:.2f} seconds are taken by document {number}.\n")
    return paths


def drop(running: Watched, seconds: list[float]) -> None:
    running.drop(documents(running.folder / "documents", seconds), "all")


def workers_memory(running: Watched) -> float:
    """MB that the workers and all that they started take."""
    total = 0
    for process in running.processes():
        with suppress(psutil.Error):
            if process.cmdline()[1:4] == ["-m", "ingest_assets.cli", "worker"]:
                for one in (process, *process.children(recursive=True)):
                    with suppress(psutil.Error):
                        total += one.memory_full_info().pss
    return total / 1024**2


@click.group()
def main() -> None:
    """Measure."""


@main.command()
@click.option("--workers", "numbers", multiple=True, default=(1, 2, 4, 8), show_default=True)
@click.option("--documents", "each", default=80, show_default=True, help="For each worker.")
def scale(numbers: tuple[int, ...], each: int) -> None:
    """Documents a second by more and more workers."""
    one = 0.0
    for workers in numbers:
        count = workers * each
        randomly = random.Random(workers)
        seconds = [randomly.uniform(_SHORTEST, _LONGEST) for _ in range(count)]
        with cluster(workers) as running:
            before, memory = running.meter.read(), 0.0
            drop(running, [*seconds, _LONG])
            question = "SELECT count(*) FROM ingest.document_sources WHERE reported_at IS NOT NULL"
            while running.ask(question)[0][0] <= count:
                memory = max(memory, workers_memory(running))
                time.sleep(_SAMPLE_SECONDS)
            used = sum(running.meter.read().values()) - sum(before.values())
            ((took, runs, idle),) = running.ask("""
                WITH work AS (
                    SELECT worker, run_id, attempt.started_at AS began, attempt.finished_at AS ended
                    FROM ingest.stage_attempts AS attempt JOIN ingest.run_leases USING (run_id))
                SELECT extract(epoch FROM max(ended) - min(began)), count(DISTINCT run_id),
                       (SELECT avg(extract(epoch FROM all_ended - ended)) FROM (
                            SELECT max(ended) AS ended, max(max(ended)) OVER () AS all_ended
                            FROM work GROUP BY worker) AS ends)
                FROM work""")
        rate = (count + 1) / float(took)
        one = rate if workers == 1 else one
        against = f", {rate / one:.2f} x one, efficiency {rate / one / workers:.0%}" if one else ""
        print(
            f"{workers} workers, {count + 1} documents in {runs} runs: {float(took):.0f} s, {rate:.2f} "
            f"documents/s{against}; "
            f"recognising {(sum(seconds) + _LONG) / float(took) / workers:.0%} of the time, idle at "
            f"the end {float(idle):.0f} s; {used / (count + 1):.2f} s of CPU a document, "
            f"{memory:.0f} MB",
            flush=True,
        )


@main.command()
def join() -> None:
    """A second worker while work waits."""
    with cluster(1, INGEST_MAX_DOCUMENTS_PER_RUN="2") as running:
        drop(running, [5.0] * 12)
        while not running.ask("SELECT 1 FROM ingest.run_leases"):
            time.sleep(0.2)
        began = time.monotonic()
        log = (running.folder / "joined.log").open("w+b")
        worker = subprocess.Popen(command("worker"), env=running.environment, stdout=log, stderr=log)
        there = 0.0
        while not running.ask(
            "SELECT 1 FROM ingest.run_leases WHERE worker LIKE %s", f"%-{worker.pid}"
        ):
            time.sleep(0.1)
            if not there and running.ask(
                "SELECT 1 FROM ingest.workers WHERE name LIKE %s", f"%-{worker.pid}"
            ):
                there = time.monotonic()
        took = time.monotonic()
        worker.terminate()
        worker.wait()
    print(f"there after {there - began:.1f} s, and {took - there:.1f} s later it had a run")


if __name__ == "__main__":
    main()
