"""Sensor `input_directory`: every settled file becomes one source, whatever it is called."""

from __future__ import annotations

import logging
import os
import socket
import time
import unicodedata
from pathlib import Path

import pytest
from dagster import DagsterRun, DagsterRunStatus, RunRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_assets.cli import render
from ingest_assets.defs.partitions import add_partitions
from ingest_assets.defs.sensors import batches
from ingest_assets.defs.worker_runs import queue_of
from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.status import read_status
from ingest_assets.stages.discovery import Discovery, KnownFiles, discover
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.store.attempts import Begin, begin_attempts
from ingest_assets.store.leases import Slots
from ingest_assets.store.names import path_of
from ingest_assets_tests.support.pipeline import STAGES, Pipeline

ODD_NAMES: list[str | bytes] = [
    "with space.txt",
    "comma, and; semicolon.txt",
    'quote\'s "double".txt',
    "hash#percent%20question?.txt",
    "new\nline.txt",
    "emoji 📄.txt",
    unicodedata.normalize("NFD", "décomposé.txt"),
    unicodedata.normalize("NFC", "décomposé.txt"),
    b"latin-1 \xe9\xff.txt",
    "日本語.txt",
    "-dash.txt",
    "a" * 200 + ".txt",
    "back\\slash.txt",
    "no extension",
]


def look(pipeline: Pipeline, **options: object) -> Discovery:
    arguments = {
        "settle_seconds": 0.0,
        "batch_size": 100,
        **options,
    }
    known = arguments.pop("known", None) or KnownFiles()
    ignored = arguments.pop("ignore_patterns", [".*", "*.part"])
    inbox = Directory(pipeline.input_dir, second_look_seconds=0, ignore_patterns=ignored)  # type: ignore[arg-type]
    return discover(pipeline.database, known, inbox, **arguments)  # type: ignore[arg-type]


def test_a_second_tick_asks_for_nothing_new(pipeline: Pipeline) -> None:
    for number in range(12):
        pipeline.put(f"{number:02}.txt", b"note %d" % number)
    first = pipeline.requests()
    assert len(first) == 3  # of at most five documents each
    again = pipeline.requests()
    assert [request.run_key for request in again] == [request.run_key for request in first]
    assert [request.tags for request in again] == [request.tags for request in first]
    assert len(pipeline.rows("SELECT 1 FROM ingest.document_sources")) == 12
    assert len(pipeline.instance.get_dynamic_partitions("documents")) == 12

    for request in first:
        assert len(pipeline.launch(request).get_asset_materialization_events()) in (
            len(STAGES) * 5,
            len(STAGES) * 2,
        )
    assert pipeline.requests() == []
    assert set(pipeline.states().values()) == {"completed"}


def test_what_crashed_between_the_steps_is_completed_by_the_next_tick(pipeline: Pipeline) -> None:
    for number in range(7):
        pipeline.put(f"{number}.txt", b"note %d" % number)
    look(pipeline, batch_size=5)  # crash after recording: no partition, no request
    assert pipeline.instance.get_dynamic_partitions("documents") == []
    requests = pipeline.requests()
    assert len(requests) == 2
    assert len(pipeline.instance.get_dynamic_partitions("documents")) == 7

    # Crash in the middle of a run: one document done, the others not begun.
    key = pipeline.instance.get_dynamic_partitions("documents")[1]
    pipeline.run_range(key, key)
    for request in pipeline.requests():
        pipeline.launch(request)
    assert set(pipeline.states().values()) == {"completed"}
    assert pipeline.requests() == []


def test_a_batch_that_a_run_works_on_is_left_alone(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    (request,) = pipeline.requests()
    job = pipeline.defs.resolve_job_def("ingest_documents")
    pipeline.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTED)
    assert pipeline.requests() == []


def test_a_batch_that_kills_its_runs_is_launched_more_and_more_slowly(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never takes all there is, and never waits for ever."""
    pipeline.put("note.txt", b"A note.")
    job = pipeline.defs.resolve_job_def("ingest_documents")
    keys = []
    for _ in range(5):
        (request,) = pipeline.requests()
        keys.append(request.run_key)
        pipeline.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.FAILURE)
    assert len(set(keys)) == 5
    assert pipeline.requests() == []
    monkeypatch.setattr(batches, "_SLOW_LAUNCH_SECONDS", 0)
    (request,) = pipeline.requests()
    assert request.run_key not in keys
    assert pipeline.launch(request).success


def files(pipeline: Pipeline, prefix: str, count: int) -> None:
    for number in range(count):
        pipeline.put(f"{prefix} {number:03}.txt", f"{prefix} {number}".encode())


def requests(pipeline: Pipeline, most: int, workers: Slots | None = None) -> list[RunRequest]:
    """What the next tick asks for where a run takes so many documents."""
    log = logging.getLogger("tick")
    launcher = batches.Launcher(pipeline.instance, pipeline.database, most, log, workers)
    found = batches.unfinished(pipeline.database)
    add_partitions(pipeline.instance, [key for batch in found for key in batch.partition_keys])
    return launcher.requests(found)


def test_files_that_came_one_by_one_are_one_run(pipeline: Pipeline) -> None:
    for number in range(3):
        pipeline.put(f"{number}.txt", b"note %d" % number)
        look(pipeline)
    assert len(batches.unfinished(pipeline.database)) == 3
    (request,) = requests(pipeline, most=100)
    assert requests(pipeline, most=100)[0].run_key == request.run_key
    assert pipeline.launch(request).success
    assert list(pipeline.states().values()) == ["completed"] * 3
    # What is under way is not joined with what comes later.
    pipeline.put("3.txt", b"note 3")
    look(pipeline)
    (later,) = requests(pipeline, most=100)
    job = pipeline.defs.resolve_job_def("ingest_documents")
    pipeline.instance.create_run_for_job(job, tags=later.tags, status=DagsterRunStatus.STARTED)
    pipeline.put("4.txt", b"note 4")
    look(pipeline)
    (last,) = requests(pipeline, most=100)
    assert last.tags[batches.BATCH_TAG] != later.tags[batches.BATCH_TAG]


def test_who_does_not_see_the_input_directory_gets_what_needs_none(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.put("note.txt", b"A note.")
    look(pipeline)
    both, other = frozenset({"input", "dagster"}), frozenset({"dagster"})
    (whole,) = requests(pipeline, 100, Slots(2, both, both))
    assert whole.asset_selection is None
    assert requests(pipeline, 100, Slots(2, other, other)) == []
    assert "no worker takes from the queue `input`" in caplog.text
    selected, queues = [], []
    for _ in range(2):
        (request,) = requests(pipeline, 100, Slots(2, both, other))
        assert request.asset_selection
        names = [key.to_user_string() for key in request.asset_selection]
        run = DagsterRun("ingest_documents", asset_selection=frozenset(request.asset_selection))
        queues.append(queue_of(run))
        selected.append(names)
        assert pipeline.run_range(tags=request.tags, assets=names).success
    assert selected == [list(STAGES[:2]), list(STAGES[2:])]
    assert queues == ["input", "dagster"]
    assert pipeline.states() == {"note.txt": "completed"}
    assert requests(pipeline, 100, Slots(2, both, other)) == []


def test_what_was_cut_off_comes_first_then_a_few_files_then_many(pipeline: Pipeline) -> None:
    files(pipeline, "many", 30)
    look(pipeline, batch_size=10)
    files(pipeline, "few", 2)
    look(pipeline, batch_size=10)
    files(pipeline, "cut off", 10)
    look(pipeline, batch_size=10)
    names = dict(
        map(
            tuple,
            pipeline.rows("SELECT partition_key, original_file_name FROM ingest.document_sources"),
        )
    )
    cut_off = next(key for key, name in names.items() if name == "cut off 004.txt")
    with pipeline.database.engine.begin() as connection:
        begin_attempts(connection, [Begin(cut_off, None, "document_row")], "killed")
    asked = requests(pipeline, most=10)
    firsts = [names[one.tags["dagster/asset_partition_range_start"]] for one in asked]
    assert firsts == ["cut off 000.txt", "few 000.txt", "many 000.txt", "many 010.txt", "many 020.txt"]
    assert [one.tags["dagster/priority"] for one in asked] == ["2", "1", "0", "0", "0"]


def test_a_few_files_do_not_wait_until_thousands_are_launched(pipeline: Pipeline) -> None:
    files(pipeline, "many", 120)
    look(pipeline, batch_size=10)
    job = pipeline.defs.resolve_job_def("ingest_documents")
    for request in requests(pipeline, most=10):
        pipeline.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.STARTED)
    assert requests(pipeline, most=10) == []
    files(pipeline, "few", 2)
    look(pipeline, batch_size=10)
    (request,) = requests(pipeline, most=10)
    assert request.tags["dagster/priority"] == "1"


def test_runs_for_workers_get_smaller_towards_the_end(pipeline: Pipeline) -> None:
    """No worker has much to do when the others have nothing left; each document is in one run."""
    files(pipeline, "many", 48)
    look(pipeline)
    everywhere = frozenset({"input", "dagster"})
    asked = requests(pipeline, 48, Slots(2, everywhere, everywhere))
    counts = "SELECT CAST(batch_id AS text), count(*) FROM ingest.document_sources GROUP BY 1"
    of_batch = dict(map(tuple, pipeline.rows(counts)))
    sizes = [of_batch[one.tags[batches.BATCH_TAG]] for one in asked]
    assert sizes == [12, 9, 7, 5, 4, 3, 2, 2, 2, 2]
    assert {one.tags["dagster/priority"] for one in asked} == {"0"}
    # A tick that is repeated because there is no run yet finds the same documents once.
    again = requests(pipeline, 48, Slots(2, everywhere, everywhere))
    assert again[0].run_key == asked[0].run_key
    of_batch = dict(map(tuple, pipeline.rows(counts)))
    assert [of_batch[one.tags[batches.BATCH_TAG]] for one in again] == sizes
    assert sum(of_batch.values()) == 48
    # One machine works on a run with all its cores.
    (whole,) = requests(pipeline, 48)
    assert whole.run_key == asked[0].run_key


def test_odd_names_go_through(pipeline: Pipeline) -> None:
    for number, name in enumerate(ODD_NAMES):
        pipeline.put(name, b"note %d" % number)
    results = pipeline.ingest()
    assert all(result.success for result in results)
    states = pipeline.rows("SELECT state FROM ingest.document_progress")
    assert [row.state for row in states] == ["completed"] * len(ODD_NAMES)
    uris = {row.source_uri for row in pipeline.rows("SELECT * FROM ingest.document_sources")}
    assert {os.fsencode(Path(path_of(uri)).name) for uri in uris} == set(map(os.fsencode, ODD_NAMES))
    assert len(pipeline.object_keys()) == len(ODD_NAMES)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.binary(min_size=1, max_size=100).filter(lambda b: not {0, 47} & set(b)))
def test_any_name_that_a_file_can_have_is_recorded_once(pipeline: Pipeline, name: bytes) -> None:
    if name in (b".", ".."):
        return
    path = pipeline.put(name, b"content")
    try:
        before = len(pipeline.rows("SELECT 1 FROM ingest.document_sources"))
        added = look(pipeline, ignore_patterns=[]).added
        assert len(added) == 1
        assert look(pipeline, ignore_patterns=[]).added == []
        assert len(pipeline.rows("SELECT 1 FROM ingest.document_sources")) == before + 1
    finally:
        path.unlink()


def test_files_that_may_still_change_wait(pipeline: Pipeline) -> None:
    path = pipeline.put("growing.txt", b"first line\n")
    assert look(pipeline, settle_seconds=60).unsettled == 1
    # A copy that keeps its original's old modification time is no older for it.
    os.utime(path, (0, 0))
    assert look(pipeline, settle_seconds=60).unsettled == 1
    assert pipeline.rows("SELECT 1 FROM ingest.document_sources") == []


def test_a_look_that_finds_only_young_files_waits_for_them(
    pipeline: Pipeline,
) -> None:
    pipeline.put("first.txt", b"dropped a moment ago\n")
    began = time.monotonic()
    assert look(pipeline, settle_seconds=60, wait_seconds=1).unsettled == 1
    assert time.monotonic() - began < 1
    found = look(pipeline, settle_seconds=1.0, wait_seconds=2.0)
    assert (len(found.added), found.unsettled) == (1, 0)


def test_a_file_that_changes_while_a_look_waits_for_it_is_not_recorded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pipeline.put("growing.txt", b"first line\n")

    def wait(seconds: float) -> None:
        path.write_bytes(b"first line\nsecond line\n")

    monkeypatch.setattr(time, "sleep", wait)
    found = look(pipeline, settle_seconds=60, wait_seconds=60)
    assert (found.added, found.unsettled) == ([], 1)


def test_settled_files_do_not_wait_for_young_ones(pipeline: Pipeline) -> None:
    pipeline.put("old.txt", b"dropped before\n")
    time.sleep(2.1)
    pipeline.put("young.txt", b"dropped a moment ago\n")
    found = look(pipeline, settle_seconds=2.0, wait_seconds=5.0)
    assert (len(found.added), found.unsettled) == (1, 1)


def test_a_file_from_the_future_is_judged_by_what_two_looks_see(pipeline: Pipeline) -> None:
    """As on a share whose clock runs ahead."""
    path = pipeline.put("growing.txt", b"first line\n")
    future = time.time() + 1e6
    known = KnownFiles()

    def settled() -> bool:
        os.utime(path, (future, future))
        return bool(look(pipeline, known=known, settle_seconds=0.2).added)

    assert not settled()
    time.sleep(0.3)
    path.write_bytes(b"first line\nsecond line\n")
    assert not settled()  # It has changed since the first look.
    assert not settled()
    time.sleep(0.3)
    assert settled()


def test_a_file_that_went_on_after_a_pause_waits_for_twice_the_pause(pipeline: Pipeline) -> None:
    """A scanner that pauses between pages is not taken for done at its next pause."""
    path = pipeline.put("scan.txt", b"page 1\n")
    now = time.time()
    known = KnownFiles()
    os.utime(path, (now - 100, now - 100))
    assert look(pipeline, known=known).added
    path.write_bytes(b"page 1\npage 2\n")
    os.utime(path, (now - 60, now - 60))  # 40 s later: it waits for 80 s.
    # The change time is now.
    assert look(pipeline, known=known, settle_seconds=1).unsettled == 1
    # A person who edits a file a day later does not have to wait for two days.
    os.utime(path, (now + 86_400, now + 86_400))
    look(pipeline, known=known, settle_seconds=0.01)
    time.sleep(0.05)
    assert look(pipeline, known=known, settle_seconds=0.01).added


def test_a_file_that_changes_between_two_looks_waits(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pipeline.put("growing.txt", b"first line\n")
    monkeypatch.setattr(
        "ingest_assets.stages.inbox_directory.time.sleep", lambda _: path.write_bytes(b"more\n" * 9)
    )
    found = look(pipeline)
    assert (found.added, found.unsettled) == ([], 1)


def test_hidden_temporary_and_partial_files_are_passed_over(pipeline: Pipeline) -> None:
    for name in (
        ".hidden", "a.pdf.part", ".git/config", "~$open.docx", "x.CRDownload", "THUMBS.DB",
        "@eadir/a.pdf", "@eaDir/b.pdf", "#Recycle/a.pdf", "@Recycle/a.pdf", "$recycle.bin/a.pdf",
        "System Volume Information/a", ".Trash-1000/a.pdf", "LOST+FOUND/a", "__MACOSX/a.pdf",
        "Desktop.ini", "Icon\r", ".DS_Store", "a.!ut", "a.aria2__temp", ".stfolder/a",
    ):  # fmt: skip
        pipeline.put(name, b"content")
    kept = {"kept.txt", "Icons.txt", "kept.sync-conflict-20260101-101010-ABCDEFG.txt"}
    for name in kept:
        pipeline.put(f"sub/directory/{name}", name.encode())
    tick = pipeline.tick()
    rows = pipeline.rows("SELECT original_file_name FROM ingest.document_sources")
    assert {row.original_file_name for row in rows} == kept
    assert "20 ignored (" in (tick.skip_message or "") or tick.run_requests
    ignored = read_status(pipeline.database).ignored
    # Both are one directory where the file system does not tell letters' cases apart.
    assert ignored["@eaDir"] in (1, 2)
    assert (ignored[".*"], ignored["Thumbs.db"], ignored["Icon\r"], ignored["*.aria2*"]) == (5, 1, 1, 1)
    (pipeline.input_dir / "Icon\r").unlink()
    tick = pipeline.tick()
    assert "Icon\r" not in read_status(pipeline.database).ignored
    assert "THUMBS" not in render.plain(render.status(read_status(pipeline.database)))
    assert "Thumbs.db 1" in render.plain(render.status(read_status(pipeline.database)))


def test_what_a_walk_of_several_looks_ignores_is_counted_together(pipeline: Pipeline) -> None:
    for name in ("a/x.part", "a/1.txt", "b/x.part", "b/2.txt", "c.part", "d.txt"):
        pipeline.put(name, name.encode())
    known = KnownFiles()
    resume: str | None = None
    for _ in range(9):
        resume = look(pipeline, known=known, seconds=0.0, resume_after=resume).resume_after
        if resume is None:
            break
        assert read_status(pipeline.database).ignored == {}
    assert read_status(pipeline.database).ignored == {"*.part": 3}


def test_what_is_no_file_is_rejected_with_a_reason(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_bytes(b"not for ingestion")
    inside = pipeline.put("real.txt", b"a real file")
    root = pipeline.input_dir
    (root / "link inside.txt").symlink_to(inside)
    (root / "link outside.txt").symlink_to(outside)
    (root / "dangling.txt").symlink_to(root / "nothing")
    (root / "loop.txt").symlink_to(root / "loop.txt")
    (root / "directory.pdf").mkdir()
    (root / "link to directory").symlink_to(root / "directory.pdf")
    os.mkfifo(root / "pipe.pdf")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(root)  # A socket's address has 107 characters at most.
        server.bind("socket.pdf")
        pipeline.ingest()
    assert pipeline.errors() == {
        "link outside.txt": "outside_input_directory",
        "dangling.txt": "source_missing",
        "loop.txt": "link_loop",
        "link to directory": "not_a_file",
        "pipe.pdf": "not_a_file",
        "socket.pdf": "not_a_file",
    }
    assert sorted(pipeline.states()[name] for name in ("real.txt", "link inside.txt")) == [
        "completed",
        "duplicate",
    ]
    assert len(pipeline.object_keys()) == 1


def test_a_changed_file_is_a_new_source(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"first version")
    pipeline.ingest()
    pipeline.put("note.txt", b"second version")
    pipeline.ingest()
    states = pipeline.rows("SELECT state, document_uuid FROM ingest.document_progress")
    assert [row.state for row in states] == ["completed", "completed"]
    assert len({row.document_uuid for row in states}) == 2


def test_a_missing_directory_is_a_clear_reason_to_skip(pipeline: Pipeline) -> None:
    pipeline.input_dir.rmdir()
    tick = pipeline.tick()
    assert "does not exist" in (tick.skip_message or "")
    assert "INGEST_INPUT_DIR" in (tick.skip_message or "")
    (withheld,) = read_status(pipeline.database).withheld
    assert withheld.error_code == "input_directory_missing"
    pipeline.input_dir.mkdir()
    pipeline.tick()
    assert read_status(pipeline.database).withheld == []
    pipeline.input_dir.rmdir()
    with pytest.raises(ConfigurationError):
        look(pipeline)


def test_a_tick_that_runs_out_of_time_goes_on_at_the_next(pipeline: Pipeline) -> None:
    names = [f"{a}/{b}.txt" for a in "abc" for b in "12"] + ["d.txt"]
    for name in names:
        pipeline.put(name, name.encode())
    seen: list[str] = []
    resume: str | None = None
    for _ in range(2 * len(names)):
        found = look(pipeline, seconds=0.0, resume_after=resume)
        seen += found.added
        resume = found.resume_after
        if resume is None:
            break
    assert len(seen) == len(set(seen)) == len(names)


@pytest.mark.parametrize("many", [0, 10_000])
def test_partitions_are_added_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr("ingest_assets.defs.partitions._MANY", many)
    assert add_partitions(pipeline.instance, ["a", "b", "a"]) == ["a", "b"]
    assert add_partitions(pipeline.instance, ["b", "c"]) == ["c"]
    assert pipeline.instance.get_dynamic_partitions("documents") == ["a", "b", "c"]
