"""The random killer: the whole stack, with any of its processes killed every few seconds.

    python -m ingest_assets_tests.crash.killer DIRECTORY_OF_DOCUMENTS --documents 200 --seed 1

It starts `ingest-assets dev` with embedded services below a temporary directory and keeps it running,
as a service manager would: Dagster's web server, its daemon and `dev` itself end the stack when they
are killed, and what ended is started again. Documents come in while it kills. Then it stops killing,
waits until every document has an outcome, and asks for the promises. The seed decides whom it kills
and when; what each is doing at that moment is the machine's affair.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.embedded.environment import stack_environment
from ingest_assets.errors import ConfigurationError
from ingest_assets.markdown import table
from ingest_assets.store.database import sqlalchemy_url
from ingest_assets_tests.crash import invariants
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.embedded import CLI, clean_environment, cli, processes_of, wait_until
from ingest_assets_tests.support.servers import Services, embedded_settings

START_SECONDS = 300
_LOOK_SECONDS = 1.0
# The killer waits so long for the kind of process that it chose; then it chooses another kind.
_VICTIM_SECONDS = 20

# Whom, and how to tell them by their command line: a run has that of the server that it was forked
# from. The weights say how often: what does the work most.
VICTIMS: Mapping[str, tuple[Callable[[str], bool], int]] = {
    "run": (lambda line: "ingest_assets.defs.run_server" in line, 6),
    "reader": (lambda line: "ingest_assets.workers" in line, 3),
    "Postgres": (lambda line: "/postgres -D" in line, 3),
    "S3": (lambda line: "weed" in line and " mini " in line, 3),
    "code server": (lambda line: "dagster api grpc" in line, 1),
    "daemon": (lambda line: "dagster._daemon" in line, 1),
    "web server": (lambda line: "dagster_webserver" in line, 1),
    "dev": (lambda line: "ingest_assets.cli dev" in line, 1),
}


@dataclass
class Report:
    """What happened.

    Attributes:
        kills: how many, by victim.
        starts: how often the stack had to be started.
        converged: seconds from the last kill until every document had an outcome; None: it never was.
        outcomes: documents by state.
        abandoned: attempts that a killed process left, and the next closed.
        failed: attempts that failed and were tried again, by code.
        broken: promises that did not hold; empty is well.
    """

    seed: int
    documents: int
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    seconds: float = 0
    converged: float | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    abandoned: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}: {self.documents} documents, {self.kills.total()} kills in "
                f"{self.seconds:.0f} s, {self.starts} starts",
                f"  killed      {_counts(self.kills)}",
                f"  converged   {f'{self.converged:.0f} s after' if self.converged else 'never'}",
                f"  outcomes    {_counts(self.outcomes)}",
                f"  abandoned   {self.abandoned} attempts",
                f"  tried again {_counts(self.failed) or 'nothing'}",
                f"  promises    {'; '.join(self.broken) or 'held'}",
            ]
        )


_HEADINGS = (
    "documents", "seed", "killed", "in s", "starts", "converged after s", "outcomes", "abandoned",
    "tried again", "promises",
)  # fmt: skip


def record(report: Report, page: Path) -> None:
    """Add the run to the table of runs, which is begun where there is none."""
    row = table(
        _HEADINGS,
        [
            (
                report.documents,
                report.seed,
                f"{report.kills.total()}: {_counts(report.kills)}",
                round(report.seconds),
                report.starts,
                round(report.converged) if report.converged else "never",
                _counts(report.outcomes),
                report.abandoned,
                _counts(report.failed),
                "; ".join(report.broken) or "held",
            )
        ],
    ).splitlines()
    if not page.exists():
        page.write_text("\n".join([*_PAGE, *row[:2], ""]))
    with page.open("a") as file:
        file.write(f"{row[2]}\n")


_PAGE = (
    "# The random killer",
    "",
    "Each row is one run of `python -m ingest_assets_tests.crash.killer`, added by its option "
    "`--record`. The whole stack works while its processes are killed, and is started again when it "
    "has ended; then every document has to come to an outcome by itself, and the promises are asked "
    "for. Seconds depend on what else the machine does.",
    "",
)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


class Stack:
    """`ingest-assets dev` below a directory, started again whenever it ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = embedded_settings(directory)
        Path(self.settings.input_place).mkdir()
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "log"

    @property
    def variables(self) -> dict[str, str]:
        return clean_environment(
            self.directory,
            INGEST_DAGIT_PORT="0",
            INGEST_SETTLE_SECONDS="1",
            INGEST_MAX_DOCUMENTS_PER_RUN="25",
            INGEST_IN_FLIGHT_SECONDS="0",
            INGEST_RETRY_COOL_DOWN_SECONDS="5",
        )

    def keep_running(self) -> None:
        """Start it if it has ended; returns at once."""
        if self._process is None or self._process.poll() is not None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*CLI, "dev"],
                    cwd=self.directory,
                    env=self.variables,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            self.starts += 1

    def is_ready(self) -> bool:
        """Whether Dagit answers since the last start."""
        self.keep_running()
        return self._log.read_text(errors="replace").count("Ctrl-C stops it") > 0

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a query; none when the database does not answer just now."""
        try:
            with self.engine().connect() as connection:
                return [tuple(row) for row in connection.execute(text(sql))]
        except (SQLAlchemyError, ConfigurationError):
            return []

    def engine(self) -> Engine:
        """The documents' database, without a connection that would outlive its server."""
        url = sqlalchemy_url(self.environment["INGEST_DATABASE_URL"])
        return create_engine(url, poolclass=NullPool)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the services as they run now."""
        return stack_environment(self.settings)

    def processes(self, victim: str) -> list[psutil.Process]:
        """The live processes of that kind, oldest first."""
        is_one, _ = VICTIMS[victim]
        found = []
        for process in processes_of(self.directory):
            try:
                # The launcher becomes what it starts; until then it is nobody.
                if is_one(" ".join(process.cmdline())) and "launch.py" not in process.cmdline():
                    found.append(process)
            except psutil.Error:
                continue
        return sorted(found, key=lambda process: process.pid)

    def stop(self) -> int:
        """Stop it; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(120)


def generated(count: int) -> Iterator[tuple[str, bytes]]:
    """Documents of all sorts: most have a text layer, some are scans, some equal, some bad."""
    agreement = b""
    for number in range(count):
        if number % 15 == 3:
            yield f"scan {number}.png", picture(f"SCANNED DOCUMENT {number}", "IN LARGE LETTERS")
        elif number % 15 == 7:
            yield f"copy {number}.pdf", agreement
        elif number % 15 == 11:
            yield f"broken {number}.pdf", b"%%PDF-1.4 broken %d" % number
        else:
            agreement = pdf(f"Agreement {number}", "Its second page.")
            yield f"agreement {number}.pdf", agreement


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="ingest-killer-"))
    try:
        yield directory
    finally:
        for process in processes_of(directory):
            process.kill()
        shutil.rmtree(directory, ignore_errors=True)


def run(
    files: Sequence[tuple[str, bytes]],
    *,
    seed: int,
    kills: int,
    pause: tuple[float, float],
    patience: float,
    say: Callable[[str], None],
    victims: Sequence[str] = tuple(VICTIMS),
) -> Report:
    """Ingest the files while killing, then wait and judge.

    Args:
        kills: how many.
        pause: least and most seconds between two.
        patience: seconds that the documents have for their outcomes after the last kill.
        victims: whom to kill.
    """
    report = Report(seed, len(files))
    with _directory() as directory:
        stack = Stack(directory)
        if not wait_until(stack.is_ready, START_SECONDS):
            raise RuntimeError("The stack did not start.")
        started = time.monotonic()
        _kill(stack, files, _Chance(seed, kills, pause, victims), report, say)
        last_kill = time.monotonic()
        report.seconds = last_kill - started
        say("No more kills.")

        def at_rest() -> bool:
            stack.keep_running()
            return _waiting(stack) == 0

        if wait_until(at_rest, patience, _LOOK_SECONDS):
            report.converged = time.monotonic() - last_kill
        _judge(stack, report)
        report.starts = stack.starts
        if stack.stop() != 0:
            report.broken.append("The stack did not stop well.")
        if left := processes_of(directory):
            report.broken.append(f"Processes are left: {[process.cmdline() for process in left]}")
    return report


@dataclass(frozen=True)
class _Chance:
    """Whom to kill, and when: the same for the same seed."""

    seed: int
    kills: int
    pause: tuple[float, float]
    victims: Sequence[str]

    def __iter__(self) -> Iterator[tuple[float, str, float]]:
        """Seconds to wait, the victim, and which of several: from 0, the oldest, to 1."""
        chance = random.Random(self.seed)
        weights = [VICTIMS[victim][1] for victim in self.victims]
        for _ in range(self.kills):
            (victim,) = chance.choices(self.victims, weights)
            yield chance.uniform(*self.pause), victim, chance.random()


def _kill(
    stack: Stack,
    files: Sequence[tuple[str, bytes]],
    chance: _Chance,
    report: Report,
    say: Callable[[str], None],
) -> None:
    """Bring the files in, one portion before each kill of the first half, and kill."""
    portion = -(-len(files) // max(1, chance.kills // 2))
    coming = iter(files)
    for number, (seconds, victim, which) in enumerate(chance, 1):
        for name, content in (entry for _, entry in zip(range(portion), coming, strict=False)):
            Path(stack.settings.input_place, name).write_bytes(content)
        moment = time.monotonic() + seconds
        while time.monotonic() < moment:
            stack.keep_running()
            time.sleep(0.1)
        found, alive = _alive(stack, victim, chance.victims)
        process = alive[int(which * len(alive))]
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        report.kills[found] += 1
        say(f"{number:>3}  {found} {process.pid}")
    for name, content in coming:
        Path(stack.settings.input_place, name).write_bytes(content)


def _alive(stack: Stack, wanted: str, victims: Sequence[str]) -> tuple[str, list[psutil.Process]]:
    """The processes of the wanted kind; after a while without one, those of any kind there is.

    A run takes its time to start, and so does the stack.
    """
    patience = time.monotonic() + _VICTIM_SECONDS
    while True:
        stack.keep_running()
        kinds = [wanted] if time.monotonic() < patience else victims
        for kind in kinds:
            if alive := stack.processes(kind):
                return kind, alive
        time.sleep(0.05)


def _waiting(stack: Stack) -> int:
    """How many files and parts have no lasting outcome yet, and runs that have not ended."""
    files = sum(1 for path in Path(stack.settings.input_place).rglob("*") if path.is_file())
    found = stack.rows("""
        SELECT count(*) FILTER (WHERE kind = 'file' AND is_done)
               - count(*) FILTER (WHERE kind = 'part' AND is_done IS NOT TRUE)
        FROM (
            SELECT document_sources.kind, state = 'rejected'
                   OR state = 'failed' AND error_class = 'permanent'
                   OR state IN ('completed', 'no_text', 'duplicate')
                   AND (reported_at IS NOT NULL OR latest_stage IS NULL) AS is_done
            FROM ingest.document_progress JOIN ingest.document_sources USING (partition_key)
        ) AS sources
    """)
    return files - int(str(found[0][0])) if found else files


def _judge(stack: Stack, report: Report) -> None:
    """Ask for the promises: directly, and by the checklist."""
    client = Services(stack.settings, stack.environment).s3_client()
    world = invariants.look(
        stack.engine(), client, stack.settings.s3_bucket, Path(stack.settings.input_place)
    )
    report.outcomes = Counter(row.state for row in world.rows["progress"])
    failed = [row for row in world.rows["attempts"] if row.status == "failed"]
    report.abandoned = sum(row.error_code == "abandoned" for row in failed)
    report.failed = Counter(
        row.error_code
        for row in failed
        if row.error_class == "transient" and row.error_code != "abandoned"
    )
    report.broken += invariants.broken_at_the_end(world)
    for row in world.rows["progress"]:
        if row.state == "failed" and row.error_class != "permanent":
            report.broken.append(f"G2: {row.partition_key} is left failed: {row.error_message}")
    checked = cli(stack.directory, "verify", "--json", INGEST_IN_FLIGHT_SECONDS="0")
    try:
        verdict = json.loads(checked.stdout)
    except ValueError:
        report.broken.append(f"`verify` says: {checked.stderr[-2000:]}")
        return
    report.broken += [
        f"{check['name']}: {check['count']}, such as {check['failing'][:2]}"
        for check in verdict["checks"]
        if not check["passed"]
    ]


@click.command()
@click.argument(
    "directory", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--documents", default=200, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--kills", default=40, show_default=True)
@click.option("--pause", nargs=2, type=float, default=(1.0, 6.0), show_default=True)
@click.option("--patience", default=900.0, show_default=True)
@click.option("--record", "page", type=click.Path(dir_okay=False, path_type=Path))
def main(
    directory: Path | None,
    documents: int,
    seed: int,
    kills: int,
    pause: tuple[float, float],
    patience: float,
    page: Path | None,
) -> None:
    """Kill at random, then converge. Without DIRECTORY, documents are made on the fly."""
    if directory:
        paths = sorted(path for path in directory.iterdir() if path.is_file())[:documents]
        files = [(path.name, path.read_bytes()) for path in paths]
    else:
        files = list(generated(documents))
    report = run(files, seed=seed, kills=kills, pause=pause, patience=patience, say=click.echo)
    click.echo(report)
    if page:
        record(report, page)
    raise SystemExit(bool(report.broken) or report.converged is None)


if __name__ == "__main__":
    main()
