"""One look at an inbox of many known files, against a bare walk or listing of it.

    python bench/sensor_tick.py --files 100000
    python bench/sensor_tick.py --files 100000 --s3

With `--s3` the inbox is in a stand-in for S3, which is a process of its own: what is measured is this
process's computing, not how fast a bucket answers.
Needs `INGEST_DATABASE_URL`; works in a database of its own there, which it drops.
"""

from __future__ import annotations

import os
import resource
import secrets
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import Process, Queue
from pathlib import Path

import click
import psycopg2
from sqlalchemy import event, make_url

from ingest_assets.settings import DEFAULT_IGNORE_PATTERNS
from ingest_assets.stages.discovery import KnownFiles, discover
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.stages.inbox_s3 import S3Inbox
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.plain_s3 import PlainS3, plain_s3


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


def serve(files: int, told: Queue[str]) -> None:
    with plain_s3() as bucket:
        bucket.page_size = 1000
        bucket.fill(
            {
                f"inbox/{number // 1000:03}/document {number:06}.pdf": b"%d" % number
                for number in range(files)
            }
        )
        told.put(bucket.url)
        signal.pause()


def measure_s3(database: Database, files: int, rounds: int) -> None:
    """Looks at as many objects, and what they take of this process and of Postgres."""
    told: Queue[str] = Queue()
    server = Process(target=serve, args=(files, told), daemon=True)
    server.start()
    client = PlainS3(told.get()).client()
    inbox = S3Inbox(
        ObjectStore(client, "inbox"),
        "inbox/",
        documents_bucket="documents",
        ignore_patterns=DEFAULT_IGNORE_PATTERNS,
    )
    statements: Counter[str] = Counter()
    event.listen(database.engine, "before_cursor_execute", lambda *_args: statements.update(["look"]))
    known = KnownFiles()

    def look() -> None:
        resume: str | None = None
        while True:  # A look on a busy machine may end for want of time.
            found = discover(
                database, known, inbox, settle_seconds=0, batch_size=100, resume_after=resume
            )
            resume = found.resume_after
            if resume is None:
                return

    def bare_listing() -> None:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="inbox", Prefix="inbox/")
        seen = sum(len(page["Contents"]) for page in pages)
        assert seen == files

    def cpu(action: Callable[[], None]) -> float:
        began = time.process_time()
        action()
        return time.process_time() - began

    print(f"all {files} new objects recorded: {cpu(look):.2f} s of CPU")
    before = peak_mb()
    bare, quiet = [], []
    for _ in range(rounds):
        bare.append(cpu(bare_listing))
        statements.clear()
        quiet.append(cpu(look))
    listing, nothing_new = statistics.median(bare), statistics.median(quiet)
    print(f"bare listing (boto3)         {listing:.2f} s of CPU")
    print(f"look, nothing new            {nothing_new:.2f} s of CPU   {nothing_new / listing:.2f} x")
    print(f"statements of a look         {statements['look']}")
    print(f"memory                       {before} MB at the most, {peak_mb()} MB after the looks")
    server.terminate()


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@click.command()
@click.option("--files", default=100_000, show_default=True, help="Files in the inbox.")
@click.option("--s3", "in_s3", is_flag=True, help="Objects instead of files.")
@click.option("--rounds", default=5, show_default=True, help="Measurements; medians are printed.")
def main(files: int, in_s3: bool, rounds: int) -> None:
    """Measure."""
    server = make_url(os.environ["INGEST_DATABASE_URL"])
    name = f"bench_{secrets.token_hex(4)}"
    admin = psycopg2.connect(server.render_as_string(hide_password=False))
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {name}")
    url = server.set(database=name).render_as_string(hide_password=False)
    migrate(url)
    database = Database(url)
    if in_s3:
        measure_s3(database, files, rounds)
        database.close()
        admin.cursor().execute(f"DROP DATABASE {name}")
        return
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
