"""How documents are ingested that come one by one, in thousands, or behind thousands.

    python bench/arrivals.py trickle DIRECTORY_OF_PDFS [--files 60 --every 10]
    python bench/arrivals.py burst [--documents 20000]
    python bench/arrivals.py behind [--documents 5000 --few 5]
    python bench/arrivals.py memory DIRECTORY_OF_PDFS [--documents 1000]

`trickle`: one file after the other; how long after it had settled its first attempt began, and the
computing of the whole stack for each, without what the stack takes while it is idle, beside that of the
script of five stages (`bare.py`). `burst`: computing for each of many small texts, beside that for each
of 400. `behind`: a few files are dropped while many are under way; seconds until they are done.
`memory`: the most that the process of one run over so many documents takes, and what its workers take.

The stack is `ingest-assets dev` with embedded services below a temporary directory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import click
import psutil
import psycopg2
from ingest import Meter, bare, difference, distinct, kind_of, stack

_SETTLE_SECONDS = 5.0  # INGEST_SETTLE_SECONDS, as `dev` has it.
_IDLE_SECONDS = 30
_REST_SECONDS = 5
_WORDS = "The quick brown fox of Acme, Inc. jumps over the lazy dog on May 5, 2001 in Delaware. "


class Watched:
    """The running stack, as these measurements see it."""

    def __init__(self, folder: Path, pid: int, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.input_dir = folder / "input"
        self.meter = Meter(pid)
        self._root = psutil.Process(pid)
        self._connection = psycopg2.connect(environment["INGEST_DATABASE_URL"])
        self._connection.autocommit = True

    def ask(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(question, values)
            return list(cursor.fetchall())

    def processes(self) -> list[psutil.Process]:
        return self._root.children(recursive=True)

    def drop(self, paths: list[Path], name: str) -> None:
        """Let files appear in the input directory all at once."""
        directory = self.folder / "staging" / name
        directory.mkdir(parents=True)
        for path in paths:
            shutil.copyfile(path, directory / path.name)
        directory.rename(self.input_dir / name)

    def await_outcomes(self, count: int, like: str = "%") -> None:
        question = (
            "SELECT count(*) FROM ingest.document_sources"
            " WHERE reported_at IS NOT NULL AND source_uri LIKE %s"
        )
        while self.ask(question, like)[0][0] < count:
            time.sleep(0.5)

    def cpu_while(self, seconds: float) -> float:
        before = self.meter.read()
        time.sleep(seconds)
        return sum(difference(before, self.meter.read()).values())


@contextmanager
def watched() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "input").mkdir()
        with stack(folder) as (pid, environment):
            yield Watched(folder, pid, environment)


def texts(folder: Path, count: int) -> list[Path]:
    """Small text files, each different."""
    folder.mkdir()
    paths = [folder / f"text {number}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(f"Document {number}. {_WORDS * 10}")
    return paths


@click.group()
def main() -> None:
    """Measure."""


@main.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--files", default=60, show_default=True)
@click.option("--every", default=10.0, show_default=True, help="Seconds.")
def trickle(directory: Path, files: int, every: float) -> None:
    """One file after the other."""
    first, *paths = distinct(directory, files + 1)
    with watched() as running:
        # The first run starts what later runs are forked from.
        running.drop([first], "first")
        running.await_outcomes(1)
        time.sleep(_REST_SECONDS)
        idle = running.cpu_while(_IDLE_SECONDS) / _IDLE_SECONDS
        began, before = time.monotonic(), running.meter.read()
        dropped = {}
        for number, path in enumerate(paths):
            time.sleep(max(0.0, began + number * every - time.monotonic()))
            dropped[path.name] = time.time()
            running.drop([path], str(number))
        running.await_outcomes(1 + files)
        time.sleep(_REST_SECONDS)
        seconds = time.monotonic() - began
        used = sum(difference(before, running.meter.read()).values()) - idle * seconds
        begun = running.ask(
            "SELECT original_file_name, extract(epoch FROM min(started_at))"
            " FROM ingest.stage_attempts JOIN ingest.document_sources USING (partition_key) GROUP BY 1"
        )
        waited = sorted(
            float(at) - dropped[name] - _SETTLE_SECONDS for name, at in begun if name in dropped
        )
        staging = running.folder / "all"
        staging.mkdir()
        for path in paths:
            shutil.copy(path, staging)
        _, floor = bare(5, staging, files, running.meter, running.environment)
        ((runs,),) = running.ask("SELECT count(DISTINCT run_id) FROM ingest.stage_attempts")
    print(f"{files} files, one every {every:g} s, in {runs - 1} runs; idle: {idle:.3f} cores")
    print(
        f"settled to first attempt: median {median(waited):.1f} s, 95 % within"
        f" {waited[int(0.95 * (len(waited) - 1))]:.1f} s, at most {waited[-1]:.1f} s"
    )
    own = sum(floor.values()) / files
    print(f"CPU a file: {used / files:.2f} s, of which the script of five stages takes {own:.2f} s")


@main.command()
@click.option("--documents", default=20_000, show_default=True)
@click.option("--few", default=400, show_default=True, help="Beside so many.")
def burst(documents: int, few: int) -> None:
    """Many small files at once."""
    cost = {}
    for count in (few, documents):
        with watched() as running:
            paths = texts(running.folder / "texts", count)
            before = running.meter.read()
            running.drop(paths, "burst")
            running.await_outcomes(count)
            time.sleep(_REST_SECONDS)
            used = difference(before, running.meter.read())
        cost[count] = 1000 * sum(used.values()) / count
        kinds = ", ".join(f"{kind} {1000 * seconds / count:.1f}" for kind, seconds in used.items())
        print(f"{count} texts: {cost[count]:.1f} ms of CPU each ({kinds})")
    print(f"{cost[documents] / cost[few]:.2f} x")


@main.command()
@click.option("--documents", default=5_000, show_default=True)
@click.option("--few", default=5, show_default=True)
def behind(documents: int, few: int) -> None:
    """A few files behind many."""
    with watched() as running:
        many = texts(running.folder / "many", documents)
        running.drop(many, "many")
        running.await_outcomes(documents // 50)
        paths = texts(running.folder / "few", few)
        for path in paths:
            path.write_text(f"{path.read_text()} And one of few.")
        began = time.monotonic()
        running.drop(paths, "few")
        running.await_outcomes(few, "%/few/%")
        seconds = time.monotonic() - began
        ((left,),) = running.ask(
            "SELECT count(*) FROM ingest.document_sources WHERE reported_at IS NULL"
        )
    print(f"{few} files behind {documents}: done after {seconds:.0f} s, {left} still to do")


@main.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--documents", default=1_000, show_default=True)
def memory(directory: Path, documents: int) -> None:
    """One run over many documents."""
    os.environ["INGEST_MAX_DOCUMENTS_PER_RUN"] = str(documents)
    originals = distinct(directory, documents)
    with watched() as running:
        paths = []
        (running.folder / "many").mkdir()
        for number in range(documents):
            # A comment behind the end makes each a document of its own.
            content = originals[number % len(originals)].read_bytes() + b"\n%% %d\n" % number
            paths.append(running.folder / "many" / f"{number}.pdf")
            paths[-1].write_bytes(content)
        running.drop(paths, "many")
        most = dict.fromkeys(("run", "workers"), 0.0)
        question = "SELECT count(*) FROM ingest.document_sources WHERE reported_at IS NOT NULL"
        while running.ask(question)[0][0] < documents:
            now = dict.fromkeys(most, 0.0)
            for process in running.processes():
                with suppress(psutil.NoSuchProcess):
                    kind = kind_of(process, psutil.Process(process.ppid()))
                    if kind in now:
                        now[kind] += process.memory_full_info().pss / 1024**2
            most = {kind: max(most[kind], now[kind]) for kind in most}
            time.sleep(1)
        ((runs,),) = running.ask("SELECT count(DISTINCT run_id) FROM ingest.stage_attempts")
    print(f"{documents} documents in {runs} runs: at most {most['run']:.0f} MB in the runs' processes,")
    print(f"{most['workers']:.0f} MB in those that read and those that they are forked from")


if __name__ == "__main__":
    main()
