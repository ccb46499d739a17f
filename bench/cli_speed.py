"""Seconds until a command has answered, with many documents, beside a Python that does nothing.

    eval "$(ingest-assets env)"; python bench/cli_speed.py --documents 1000

Needs a running Postgres; works in a database of its own there, which it drops. The runs of all commands
take turns, so that a busy moment of the machine does not fall on one of them alone; the first turn is
not counted, because it compiles what was not compiled yet. What a command would take on a quiet machine
is the time without its waits for a core, as Linux counts them. `--against` measures the command line of
another checkout beside this one, by the Python of its virtual environment.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import psycopg2
from sqlalchemy import make_url
from verification import fill

_CHUNKS = """
    INSERT INTO ingest.document_chunks
        (document_uuid, chunk_index, text, char_start, char_end, page_start, page_end)
    SELECT document_uuid, 0, text, 0, char_length(text), 1, 1 FROM ingest.document_texts;
    ANALYZE ingest.document_chunks;
"""
_COMMANDS = (
    ("--help",),
    ("status",),
    ("status", "--json"),
    ("why", "document 7.pdf"),
    ("search", "text"),
    ("retry", "--class", "permanent", "--dry-run"),
)
_MIGRATE = "import sys; from ingest_assets.store.database import migrate; migrate(sys.argv[1])"


class Seconds(NamedTuple):
    """Attributes:
    wall: from the start of the process to its end.
    unhindered: the same without the time that it waited for a core which another process had.
    cpu: of the process itself, not of Postgres.
    """

    wall: float
    unhindered: float
    cpu: float


def run(command: Sequence[str], environment: Mapping[str, str]) -> Seconds:
    """One run."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall = time.perf_counter() - started
        # https://docs.kernel.org/scheduler/sched-stats.html: the second number, in nanoseconds.
        waited = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and process.stderr:
            raise click.ClickException(f"{' '.join(command)}: {process.stderr.read()}")
    return Seconds(wall, wall - waited, usage.ru_utime + usage.ru_stime)


def show(title: str, seconds: Sequence[Seconds]) -> None:
    medians = (statistics.median(column) for column in zip(*seconds, strict=True))
    print(f"{title:<60}" + "".join(f"{1000 * median:>12.0f}" for median in medians))


@click.command()
@click.option("--documents", default=1_000, show_default=True)
@click.option("--repeats", default=9, show_default=True)
@click.option("--against", type=click.Path(exists=True, dir_okay=False), help="Another venv's python.")
def main(documents: int, repeats: int, against: str | None) -> None:
    """Fill a database for each command line, run the commands, and drop the databases."""
    server = make_url(os.environ["INGEST_DATABASE_URL"])
    admin = psycopg2.connect(server.render_as_string(hide_password=False))
    admin.autocommit = True
    pythons = {"this": sys.executable, **({"other": against} if against else {})}
    names = {label: f"bench_{label}_{secrets.token_hex(4)}" for label in pythons}
    seconds: dict[tuple[str, str], list[Seconds]] = {}
    # As in a user's shell, bytecode is kept; the stack is configured, not that of INGEST_DATA_DIR.
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    with tempfile.TemporaryDirectory(prefix="bench-cli-") as directory:
        try:
            environments = {}
            for label, python in pythons.items():
                admin.cursor().execute(f"CREATE DATABASE {names[label]}")
                url = server.set(database=names[label]).render_as_string(hide_password=False)
                subprocess.run([python, "-c", _MIGRATE, url], env=kept, cwd=directory, check=True)
                fill(url, documents)
                with psycopg2.connect(url) as connection:
                    connection.cursor().execute(_CHUNKS)
                connection.close()
                environments[label] = {
                    **kept,
                    "INGEST_DATABASE_URL": url,
                    "INGEST_DATA_DIR": str(Path(directory, "data")),
                }
            for turn in range(repeats + 1):
                for label, python in pythons.items():
                    for words, command in (
                        ("python -c pass", [python, "-c", "pass"]),
                        *(
                            (" ".join(words), [str(Path(python).with_name("ingest-assets")), *words])
                            for words in _COMMANDS
                        ),
                    ):
                        once = run(command, environments[label])
                        if turn:
                            seconds.setdefault((label, words), []).append(once)
        finally:
            for name in names.values():
                admin.cursor().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            admin.close()
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"{documents:,} documents, {repeats} turns, load {load}; milliseconds")
    print(f"{'':<60}{'wall':>12}{'unhindered':>12}{'CPU':>12}")
    for (label, words), measured in seconds.items():
        name = "" if words.startswith("python") else "ingest-assets "
        show(f"{name}{words}{' (other)' if label == 'other' else ''}", measured)


if __name__ == "__main__":
    main()
