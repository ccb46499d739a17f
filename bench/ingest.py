"""Documents through all five stages, against bare scripts that do the same: time, and computing.

    python bench/ingest.py DIRECTORY_OF_PDFS --documents 406 [--load 20]

In one run, on the same Postgres and S3: the scripts of three and of five stages (`bench/bare.py`), and
the shipped pipeline, `ingest-assets dev` with embedded services below a temporary directory. The
pipeline's time is that from the first row of `document_sources` to the end of the last attempt. CPU is
that of all processes below `dev`, those that ended meanwhile included, and of the script itself.

The documents are distinct: of equal ones the first counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import psutil
import psycopg2

KINDS = ("run", "workers", "Postgres", "S3", "Dagster's services")
_SAMPLE_SECONDS = 0.2
# The last run ends a moment after its last event.
_REST_SECONDS = 2


class Meter:
    """CPU seconds of a process and all below it, by kind of process.

    What a process computed between the last sample and its end, and all that one computed which no
    sample saw, is in its parent's account of those that it waited for. From there it goes to the kind
    of the parent's child that ended last, or, where none was seen to end, to the parent's.
    """

    def __init__(self, root: int) -> None:
        self._root = psutil.Process(root)
        self._lock = threading.Lock()
        self._own: dict[psutil.Process, float] = {}
        self._waited_for: dict[psutil.Process, float] = {}
        # Of those that a process waits for: what is settled, and the kind of the one that ended last.
        self._counted: dict[psutil.Process, float] = {}
        self._ended: dict[psutil.Process, str] = {}
        self._parent: dict[psutil.Process, psutil.Process] = {}
        self._kind: dict[psutil.Process, str] = {}
        self._settled: dict[str, float] = dict.fromkeys(KINDS, 0.0)
        threading.Thread(target=self._watch, daemon=True).start()

    def read(self) -> dict[str, float]:
        """CPU seconds until now."""
        with self._lock:
            self._sample()
            found = dict(self._settled)
            for process, seconds in self._own.items():
                found[self._kind[process]] += seconds
            return found

    def _watch(self) -> None:
        while True:
            with self._lock, suppress(psutil.NoSuchProcess):
                self._sample()
            time.sleep(_SAMPLE_SECONDS)

    def _sample(self) -> None:
        seen = set()
        for process in (self._root, *self._root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess), process.oneshot():
                times, parent = process.cpu_times(), psutil.Process(process.ppid())
                self._kind[process] = (
                    kind_of(process, parent)
                    or self._kind.get(process)
                    or self._kind.get(parent, "Dagster's services")
                )
                self._parent[process] = parent
                self._own[process] = times.user + times.system
                self._waited_for[process] = times.children_user + times.children_system
                seen.add(process)
        # Children before their parents, whose own parents account for both.
        for process in sorted(self._own.keys() - seen, key=psutil.Process.create_time, reverse=True):
            kind, parent = self._kind.pop(process), self._parent.pop(process)
            own, below = self._own.pop(process), self._counted.pop(process, 0.0)
            del self._waited_for[process]
            self._ended.pop(process, None)
            self._settled[kind] += own
            self._counted[parent] = self._counted.get(parent, 0.0) + own + below
            self._ended[parent] = kind
        for parent, waited_for in self._waited_for.items():
            # Less than is settled where the parent has not yet waited for one that ended.
            if waited_for > (counted := self._counted.get(parent, 0.0)):
                self._settled[self._ended.get(parent, self._kind[parent])] += waited_for - counted
                self._counted[parent] = waited_for


def kind_of(process: psutil.Process, parent: psutil.Process) -> str | None:
    """Kind of a process by its command line; None if it has none, as one that is about to end."""
    try:
        line = " ".join(process.cmdline())
    except psutil.ZombieProcess:
        line = ""
    if not line:
        return None
    if "ingest_assets.workers" in line:
        return "workers"
    if "postgres" in line.partition("--")[0].rpartition("/")[2]:
        return "Postgres"
    if "weed" in line:
        return "S3"
    # A run is forked from the server of runs, and has its command line.
    if "run_server" in line and "run_server" in " ".join(parent.cmdline()):
        return "run"
    return "Dagster's services"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ingest_assets.cli", *words]


@contextmanager
def stack(directory: Path, *words: str, **settings: str) -> Iterator[tuple[int, dict[str, str]]]:
    """`ingest-assets dev` below a directory, over an input directory `input`: pid and environment."""
    variables = {
        **os.environ,
        **settings,
        "INGEST_DATA_DIR": str(directory / "data"),
        "INGEST_INPUT_DIR": str(directory / "input"),
        "INGEST_DAGIT_PORT": "0",
    }
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command("dev", *words), env=variables, stdout=output, stderr=output)
    try:
        while "Watching" not in log.read_text(errors="replace"):
            if process.poll() is not None:
                raise click.ClickException(log.read_text(errors="replace"))
            time.sleep(0.5)
        yield process.pid, read_environment(variables)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def read_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The running stack's variables."""
    lines = subprocess.run(
        [*command("env")], env=variables, check=True, capture_output=True, text=True
    ).stdout
    shell = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f"{lines}\n{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'",
        ],
        check=True,
        capture_output=True,
        text=True,
        env=variables,
    )
    environment: dict[str, str] = json.loads(shell.stdout)
    return environment


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that compute all the time, at the same priority."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def bare(
    stages: int, directory: Path, documents: int, meter: Meter, environment: Mapping[str, str]
) -> tuple[float, dict[str, float]]:
    """Wall seconds and CPU seconds of a script and of the services that it used."""
    before = meter.read()
    script = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).with_name("bare.py")), str(directory)),
            *("--stages", str(stages), "--documents", str(documents)),
        ],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(script.stdout)
    used = difference(before, meter.read())
    return found["seconds"], {
        **dict.fromkeys(KINDS, 0.0),
        "run": found["cpu_seconds"],
        "Postgres": used["Postgres"],
        "S3": used["S3"],
    }


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {kind: after[kind] - before[kind] for kind in KINDS}


def pipeline(
    directory: Path, input_dir: Path, meter: Meter, environment: Mapping[str, str]
) -> tuple[float, dict[str, float]]:
    """The same of the pipeline, and of all that it consists of."""
    documents = sum(1 for _ in directory.iterdir())
    connection = psycopg2.connect(environment["INGEST_DATABASE_URL"])
    connection.autocommit = True
    cursor = connection.cursor()

    def ask(question: str) -> float:
        cursor.execute(question)
        ((answer,),) = cursor.fetchall()
        return float(answer)

    before = meter.read()
    directory.rename(input_dir / "documents")
    outcomes = "SELECT count(*) FROM ingest.document_sources WHERE reported_at IS NOT NULL"
    while ask(outcomes) < documents:
        time.sleep(1)
    time.sleep(_REST_SECONDS)
    used = difference(before, meter.read())
    seconds = ask(
        "SELECT extract(epoch FROM max(finished_at) - (SELECT min(discovered_at)"
        " FROM ingest.document_sources)) FROM ingest.stage_attempts"
    )
    failed = ask("SELECT count(*) FROM ingest.stage_attempts WHERE status <> 'succeeded'")
    if failed:
        raise click.ClickException(f"{failed:.0f} attempts did not succeed: these are no measurements.")
    connection.close()
    return seconds, used


def distinct(directory: Path, documents: int) -> list[Path]:
    """The first files of a directory, without those that are equal to one before."""
    found: dict[bytes, Path] = {}
    for path in sorted(path for path in directory.iterdir() if path.is_file()):
        found.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
    return list(found.values())[:documents]


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--documents", default=406, show_default=True)
@click.option("--load", default=0, show_default=True, help="Busy loops beside it.")
def main(directory: Path, documents: int, load: int) -> None:
    """Measure."""
    measure(directory, documents, load)


def measure(directory: Path, documents: int, load: int) -> None:
    """Measure the documents of a directory, and print the table."""
    files = distinct(directory, documents)
    with tempfile.TemporaryDirectory() as temporary:
        staging, input_dir = Path(temporary, "staging"), Path(temporary, "input")
        staging.mkdir()
        input_dir.mkdir()
        for path in files:
            shutil.copy(path, staging)
        with stack(Path(temporary)) as (pid, environment), busy(load):
            meter = Meter(pid)
            rows = {
                "script, 3 stages": bare(3, staging, len(files), meter, environment),
                "script, 5 stages": bare(5, staging, len(files), meter, environment),
                "pipeline": pipeline(staging, input_dir, meter, environment),
            }
    report(rows, len(files), load)


def report(rows: Mapping[str, tuple[float, dict[str, float]]], documents: int, load: int) -> None:
    """Print the table: ms of CPU a document by kind, their sum, wall seconds."""
    print(f"{documents} documents, {load} busy loops beside; CPU in ms a document")
    print(f"{'':18}", *(f"{kind:>18}" for kind in (*KINDS, "all", "wall, s")))
    for name, (seconds, used) in rows.items():
        parts = [1000 * used[kind] / documents for kind in KINDS]
        print(f"{name:18}", *(f"{part:18.1f}" for part in (*parts, sum(parts), seconds)))
    (three, _), (five, floor), (all_, used) = rows.values()
    print(f"CPU   {sum(used.values()) / sum(floor.values()):.2f} x the script of five stages")
    print(f"wall  {all_ / five:.2f} x the script of five stages, {all_ / three:.2f} x that of three")


if __name__ == "__main__":
    main()
