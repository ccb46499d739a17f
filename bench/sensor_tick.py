"""One look at an input directory of many known files, against a bare walk of it.

    python bench/sensor_tick.py --files 100000

Needs `INGEST_DATABASE_URL`; works in a database of its own there, which it drops.
"""

from __future__ import annotations

import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import psycopg2
from sqlalchemy import make_url

from ingest_assets.settings import DEFAULT_IGNORE_PATTERNS
from ingest_assets.stages.discovery import KnownFiles, discover
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.store.database import Database, migrate


def bare_walk(directory: str) -> int:
    """What any program must do that looks at each file's size and time."""
    seen = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                seen += bare_walk(entry.path)
            else:
                entry.stat(follow_symlinks=False)
                seen += 1
    return seen


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


@click.command()
@click.option("--files", default=100_000, show_default=True, help="Files in the directory.")
@click.option("--rounds", default=5, show_default=True, help="Measurements; medians are printed.")
def main(files: int, rounds: int) -> None:
    """Measure."""
    server = make_url(os.environ["INGEST_DATABASE_URL"])
    name = f"bench_{secrets.token_hex(4)}"
    admin = psycopg2.connect(server.render_as_string(hide_password=False))
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {name}")
    url = server.set(database=name).render_as_string(hide_password=False)
    migrate(url)
    database = Database(url)
    with tempfile.TemporaryDirectory() as directory:
        for number in range(files):
            path = Path(directory, f"{number // 1000:03}", f"document {number:06}.pdf")
            path.parent.mkdir(exist_ok=True)
            path.touch()
        known = KnownFiles()

        def look() -> int:
            found = discover(
                database,
                known,
                Directory(Path(directory), ignore_patterns=DEFAULT_IGNORE_PATTERNS),
                settle_seconds=0,
                batch_size=100,
            )
            return len(found.added)

        started = time.perf_counter()
        while look():
            pass
        print(f"all {files} new files recorded: {time.perf_counter() - started:.2f} s")
        walks, looks, news = [], [], []
        for attempt in range(rounds):
            walks.append(seconds(lambda: bare_walk(directory)))
            looks.append(seconds(look))
            for number in range(10):
                Path(directory, f"new {attempt} {number}.pdf").touch()
            news.append(seconds(look))
    database.close()
    admin.cursor().execute(f"DROP DATABASE {name}")
    walk, quiet, new = map(statistics.median, (walks, looks, news))
    print(f"bare walk                    {walk:.3f} s")
    print(f"look, nothing new            {quiet:.3f} s   {quiet / walk:.2f} x")
    print(f"look, 10 new                 {new:.3f} s   of which 1 s until the second look")


if __name__ == "__main__":
    main()
