"""Hostile files: each ends with a typed outcome, in bounded time, and costs no other document its."""

from __future__ import annotations

import io
import os
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

import pytest

from ingest_assets.cli import render
from ingest_assets.errors import PermanentError
from ingest_assets.operations.retry_policy import RetryRules, due, readable_again
from ingest_assets.operations.status import read_status
from ingest_assets.stages import document_row
from ingest_assets.stages.content import examine
from ingest_assets.stages.discovery import Discovery, KnownFiles, discover
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.stages.stage import Known, load_source
from ingest_assets.store.attempts import Begin, begin_attempts, fail_attempt
from ingest_assets.store.database import Database
from ingest_assets.store.names import path_of
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.evil import EVIL, make_all
from ingest_assets_tests.support.pipeline import Pipeline

_NOBODY = 65534


def look(database: Database, input_dir: Path, settle_seconds: float = 0) -> Discovery:
    return discover(
        database,
        KnownFiles(),
        Directory(input_dir, second_look_seconds=0),
        settle_seconds=settle_seconds,
        batch_size=1000,
    )


def run_all(pipeline: Pipeline) -> None:
    pipeline.requests()
    keys = pipeline.instance.get_dynamic_partitions("documents")
    pipeline.run_range(keys[0], keys[-1])


# Much computing, and within the limits of a page. A page of 200 inches and an image that is too large
# are tried in `ocr/` too, and "bomb.png" and "absurd.tif" are images of the same kind.
_LONG = {"large pages.tif", "10,000 pages.pdf", "huge pages.tif", "200 inches.pdf"}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_evil_set_ends_as_it_should_and_the_good_documents_are_done(pipeline: Pipeline) -> None:
    # What computes without an end is ended soon. What the others compute takes at most half of this.
    pipeline.use_engines_of_runs(ocr_page_seconds=2)
    ends_as_it_should(pipeline, EVIL.keys() - _LONG)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_evil_set_ends_as_it_should(pipeline: Pipeline) -> None:
    pipeline.use_engines_of_runs(ocr_page_seconds=10)
    ends_as_it_should(pipeline, EVIL)


def ends_as_it_should(pipeline: Pipeline, names: Iterable[str | bytes]) -> None:
    evil = make_all(pipeline.input_dir, names)
    good = {f"good {number}.pdf": pdf(f"Good document {number}.") for number in range(5)}
    good["good scan.png"] = picture("A GOOD SCAN")
    for name, content in good.items():
        pipeline.put(name, content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run_all(pipeline)
    pipeline.ingest()  # What is inside some of them.
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    rows = pipeline.rows("""
        SELECT progress.*, source_uri,
               (SELECT max(extract(epoch FROM finished_at - attempt.started_at))
                FROM ingest.stage_attempts AS attempt
                WHERE attempt.partition_key = progress.partition_key) AS seconds
        FROM ingest.document_progress AS progress JOIN ingest.document_sources USING (partition_key)
    """)
    root = f"{pipeline.input_dir.as_uri()}/"
    found = {path_of(row.source_uri).removeprefix(path_of(root)): row for row in rows}
    ended = {
        name: row.error_code if row.state in ("failed", "rejected") else row.state
        for name, row in found.items()
    }
    expected = {name: one.outcomes for name, one in evil.items() if "directory" not in one.outcomes}
    wrong = {
        name: (ended.get(name), sorted(outcomes))
        for name, outcomes in expected.items()
        if ended.get(name) not in outcomes
    }
    assert wrong == {}
    assert {name: ended[name] for name in good} == dict.fromkeys(good, "completed")
    assert ended["directory.pdf/inside a directory.txt"] == "completed"
    for name, row in found.items():
        if row.state in ("failed", "rejected"):
            assert row.error_class == "permanent", name
            assert row.error_message.isprintable(), name
            assert row.error_remedy, name
        # Of computing at most 10 s a page are allowed; the rest is for a machine that is busy.
        assert row.seconds < 240, name
    assert grown_mb < 500
    assert pipeline.requests() == []  # nothing is left to be asked for


def test_a_path_that_is_too_long_is_told_and_stops_no_other(pipeline: Pipeline) -> None:
    make_all(pipeline.input_dir, ["deep/file.txt"])
    pipeline.put("note.txt", b"A note.")
    found = look(pipeline.database, pipeline.input_dir)
    assert len(found.added) == 1
    (told,) = found.unreadable
    assert told.endswith("File name too long")
    assert len(told) < 400
    skipped = pipeline.tick()
    assert skipped.run_requests  # the note


@contextmanager
def unprivileged() -> Iterator[Path]:
    """As somebody who may not read everything, in a directory that everybody reaches."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(_NOBODY)
        try:
            yield Path(directory)
        finally:
            if is_root:
                os.seteuid(0)


def test_what_may_not_be_read_is_rejected_or_told(pipeline: Pipeline) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        for place, mode in (("closed.txt", 0), ("open.txt", 0o644)):
            (directory / place).write_bytes(b"content of " + place.encode())
            (directory / place).chmod(mode)
        for place, mode in (("closed", 0), ("names only", 0o444)):
            (directory / place).mkdir()
            (directory / place / "inside.txt").write_bytes(b"inside")
            (directory / place).chmod(mode)
        with unprivileged():
            found = look(pipeline.database, directory)
            assert len(found.added) == 2
            assert sorted(found.unreadable) == [
                "'closed': Permission denied",
                "'names only/inside.txt': Permission denied",
            ]
            status = read_status(pipeline.database)
            assert status.unreadable == sorted(found.unreadable)
            printed = render.plain(render.status(status))
            assert "Not looked at below INGEST_INPUT_DIR: 2. 'closed': Permission denied" in printed
            outcomes = {register(pipeline, key, directory) for key in found.added}
        assert outcomes == {"source_unreadable", "registered"}


def test_a_file_whose_rights_are_mended_is_tried_again_by_itself(pipeline: Pipeline) -> None:
    rules = RetryRules(cool_down_seconds=0, limit=3)
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        path = directory / "closed.txt"
        path.write_bytes(b"A note.")
        path.chmod(0)
        with unprivileged():
            (key,) = look(pipeline.database, directory).added
            with pipeline.database.engine.begin() as connection:
                (attempt,) = begin_attempts(connection, [Begin(key, None, "document_row")], "run")
                fault = PermanentError(register(pipeline, key, directory), "It cannot be opened.")
                fail_attempt(connection, attempt, None, fault)
            assert readable_again(pipeline.database, rules) == []
        assert "waits for the right to read" in pipeline.why("closed.txt")
        path.chmod(0o644)
        with unprivileged():
            again = readable_again(pipeline.database, rules)
        assert [failure.partition_key for failure in again] == [key]
        assert due(pipeline.database, rules) == []
        assert "tries 1 document again" in (pipeline.tick(sensor="retry_failed").skip_message or "")


def test_a_link_to_where_it_lies_ends_with_a_reason(pipeline: Pipeline) -> None:
    (pipeline.input_dir / "sub").mkdir()
    (pipeline.input_dir / "here").symlink_to(".")
    (pipeline.input_dir / "sub" / "up").symlink_to("..")
    (pipeline.input_dir / "sub" / "out").symlink_to("../..")
    run_all(pipeline)
    assert pipeline.errors() == {
        "here": "link_loop",
        "up": "link_loop",
        "out": "outside_input_directory",
    }


def register(pipeline: Pipeline, partition_key: str, directory: Path) -> str:
    """Run stage `document_row` alone; `registered`, or the error's code."""
    services = replace(pipeline.stage_services(), inbox=Directory(directory))
    with pipeline.database.engine.connect() as connection:
        source = load_source(connection, partition_key)
        try:
            registration = document_row.work(source, services, Known())
            assert isinstance(registration, document_row.Registration)
            document_row.save(connection, [registration])
        except PermanentError as error:
            return error.code
        connection.commit()
    return "registered"


def test_a_file_deleted_or_replaced_between_stages_is_told(pipeline: Pipeline) -> None:
    gone = pipeline.put("gone.txt", b"soon gone")
    replaced = pipeline.put("replaced.txt", b"before")
    swapped = pipeline.put("swapped.txt", b"a link")
    pipeline.requests()
    keys = pipeline.instance.get_dynamic_partitions("documents")
    assert pipeline.run_range(keys[0], keys[-1], assets=["document_row"]).success
    gone.unlink()
    status = replaced.stat()
    replaced.write_bytes(b"behind")  # as long as it was, and given its old time
    os.utime(replaced, ns=(status.st_atime_ns, status.st_mtime_ns))
    swapped.unlink()
    swapped.symlink_to("/etc/passwd")
    pipeline.run_range(keys[0], keys[-1])
    assert pipeline.errors() == {"gone.txt": "source_missing", "replaced.txt": "content_changed"}
    assert pipeline.states()["swapped.txt"] == "superseded"
    pipeline.ingest()  # The link, which is a version of its own.
    assert pipeline.errors() == {
        "gone.txt": "source_missing",
        "replaced.txt": "content_changed",
        "swapped.txt": "outside_input_directory",
    }
    assert pipeline.object_keys() == []


def test_a_file_that_grows_while_it_is_read_has_an_end() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

        def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
            return offset

    assert examine(cast(BinaryIO, Endless()), 5_000_000).size_bytes == 5_000_001


def test_a_file_that_grows_for_ever_becomes_few_sources(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pipeline.put("growing.log", b"first line\n")
    now = time.time

    def seen_after(seconds: float) -> tuple[int, int]:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)
        found = look(pipeline.database, pipeline.input_dir, settle_seconds=5)
        return len(found.added), found.unsettled

    assert seen_after(6) == (1, 0)
    for patience in (10, 20, 40):
        with path.open("ab") as file:
            file.write(b"another line\n")
        assert seen_after(patience - 2) == (0, 1)
        assert seen_after(patience + 1) == (1, 0)
    with path.open("ab") as file:
        file.write(b"another line\n")
    assert seen_after(60) == (0, 1)  # a line a minute, and it is never taken again
    assert seen_after(5 * 1024 + 1) == (1, 0)  # but once it rests


def test_a_file_over_the_limit_is_rejected_unread(pipeline: Pipeline) -> None:
    path = pipeline.put("large.pdf", b"%PDF-1.7\n")
    os.truncate(path, 3 << 40)  # three terabytes, and sparse
    run_all(pipeline)
    assert pipeline.errors() == {"large.pdf": "too_large"}


def test_metadata_of_the_longest_name_fits_into_what_s3_takes(pipeline: Pipeline) -> None:
    pipeline.put(b"\xff" * 251 + b".txt", b"A note.")
    run_all(pipeline)
    (key,) = pipeline.object_keys()
    head = pipeline.objects.head(key)
    assert head is not None
    assert sum(map(len, (*head.metadata, *head.metadata.values()))) <= 2048
