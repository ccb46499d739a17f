"""What happens to the workers must never cost more than one document."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import get_args

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ingest_assets.errors import IngestError, PermanentError, TransientError
from ingest_assets.extraction import local as extraction_local
from ingest_assets.ocr import local
from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.languages import find_languages
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.workers import pool
from ingest_assets.workers.nursery import Nursery
from ingest_assets.workers.pool import FaultKind, Limits, WorkerError, WorkerPool
from ingest_assets_tests.support.embedded import wait_until
from ingest_assets_tests.support.evil import slow_drawing, tiff_of_many_large_pages
from ingest_assets_tests.support.scans import (
    DOCX,
    JPEG,
    LINES,
    PDF,
    PNG,
    TEXT,
    TIFF,
    encoded,
    lines_found,
    page_image,
    scan_pdf,
    stored,
    text_pdf,
)


def _workers(pid: int | None = None) -> list[psutil.Process]:
    """The workers below a process: the children of its nurseries."""
    nurseries = [
        child
        for child in psutil.Process(pid).children()
        if child.status() != psutil.STATUS_ZOMBIE and "ingest_assets.workers" in child.cmdline()
    ]
    return [worker for nursery in nurseries for worker in nursery.children()]


def _wait_until(condition: Callable[[], bool]) -> None:
    assert wait_until(condition, pause=0.02), "waited in vain"


def _computed(worker: psutil.Process) -> float:
    """CPU seconds."""
    times = worker.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _engine_of_one_worker(limits: Limits | None = None) -> Iterator[tuple[LocalEngine, psutil.Process]]:
    """An engine and its one worker, which waits for work."""
    before = set(_workers())
    engine = LocalEngine(workers=1, limits=limits)
    try:
        (worker,) = set(_workers()) - before
        yield engine, worker
    finally:
        engine.close()


def test_killed_worker_costs_its_document_only() -> None:
    slow = scan_pdf(*[page_image()] * 8)
    with ThreadPoolExecutor() as threads, _engine_of_one_worker() as (engine, worker):
        idle = _computed(worker)
        reading = threads.submit(engine.recognise, stored(slow, PDF))
        _wait_until(lambda: _computed(worker) > idle + 0.3)
        others = [threads.submit(engine.recognise, stored(text_pdf(), PDF)) for _ in range(3)]
        worker.kill()
        with pytest.raises(TransientError) as caught:
            reading.result()
        assert caught.value.code == "worker_killed"
        for other in others:
            assert lines_found(other.result().pages[0].text) == len(LINES)


def test_endless_computing_is_a_page_timeout() -> None:
    engine = LocalEngine(workers=1, limits=Limits(cpu_seconds=0.2))
    try:
        with pytest.raises(PermanentError) as caught:
            engine.recognise(stored(encoded(Image.effect_noise((4000, 4000), 200), "PNG"), PNG))
        assert caught.value.code == "page_timeout"
        assert engine.recognise(stored(text_pdf(), PDF)).pages
    finally:
        engine.close()


def test_slow_pages_do_not_keep_others_waiting(tmp_path: Path) -> None:
    (tmp_path / "slow").write_bytes(slow_drawing())
    (tmp_path / "other").write_bytes(text_pdf())
    before = set(_workers())
    limits = Limits(cpu_seconds=1, slow_seconds=2)
    with closing(WorkerPool(1, limits, local.OPERATIONS, local._explain)) as pool:
        languages = find_languages("eng", None).files
        other = {"path": f"{tmp_path}/other", "mime_type": PDF, "first": 1, "last": 1}
        pool.submit("read", **other).result()  # A worker that was slow at this would be replaced.
        (worker,) = set(_workers()) - before
        worker.suspend()  # It takes as long as it likes, however quick this machine is.
        slow = pool.submit(
            "recognise", path=f"{tmp_path}/slow", mime_type=PDF, number=1, languages=languages
        )
        assert pool.submit("read", **other).result()
        assert not slow.done()
        worker.resume()
        with pytest.raises(PermanentError) as caught:
            slow.result()
        assert caught.value.code == "page_timeout"


def test_a_document_has_only_so_much_computing_as_its_size_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "_BASE_SECONDS", 0.0)
    monkeypatch.setattr(local, "_PAGE_SECONDS", 1.0)
    engine = LocalEngine(workers=1)
    try:
        with pytest.raises(PermanentError) as caught:
            engine.recognise(stored(tiff_of_many_large_pages(), TIFF))
        assert caught.value.code == "document_timeout"
    finally:
        engine.close()


def test_stopped_worker_is_given_up() -> None:
    engine = LocalEngine(workers=1, limits=Limits(wall_seconds=2))
    before = {worker.pid for worker in _workers()}
    try:
        for worker in _workers():
            worker.suspend()
        with pytest.raises(TransientError) as caught:
            engine.recognise(stored(text_pdf(), PDF))
        assert caught.value.code == "page_stalled"
        for worker in _workers():
            if worker.pid in before:
                worker.resume()
        assert engine.recognise(stored(text_pdf(), PDF)).pages
    finally:
        engine.close()


def test_memory_is_limited() -> None:
    engine = LocalEngine(workers=1, limits=Limits(memory_bytes=450_000_000))
    try:
        with pytest.raises(PermanentError) as caught:
            engine.recognise(stored(tiff_of_many_large_pages(), TIFF))
        assert caught.value.code in ("out_of_memory", "parser_crashed", "image_too_large")
        assert engine.recognise(stored(text_pdf(), PDF)).pages
    finally:
        engine.close()


def test_workers_hold_no_secrets(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top-secret")
    monkeypatch.setenv("INGEST_DATABASE_URL", "postgresql://x:top-secret@localhost/x")
    known = set(_workers())
    with closing(Nursery(local.OPERATIONS)) as nursery:  # One that starts now.
        monkeypatch.setattr(pool, "nursery_of", lambda _operations: nursery)
        with closing(LocalEngine(workers=1)):
            environments = [worker.environ() for worker in set(_workers()) - known]
    assert environments
    assert not any("top-secret" in str(environment) for environment in environments)


def test_workers_are_forked_from_one_process_which_is_replaced_when_it_is_killed() -> None:
    with closing(Nursery(extraction_local.OPERATIONS)) as nursery:
        first, second = nursery.fork(), nursery.fork()
        assert first is not None
        assert second is not None
        parent = psutil.Process(first.pid).parent()
        assert parent == psutil.Process(second.pid).parent()
        assert parent is not None
        parent.kill()
        parent.wait()
        third = nursery.fork()
        assert third is not None
        assert third.end(patience_seconds=30) == 0  # It has nothing more to read.
        for orphan in (first, second):
            process = psutil.Process(orphan.pid)
            orphan.kill()
            _wait_until(lambda process=process: not process.is_running())  # type: ignore[misc]
            assert orphan.end(patience_seconds=30) == -signal.SIGKILL


def test_close_ends_the_workers_and_what_they_do() -> None:
    before = {worker.pid for worker in _workers()}
    engine = LocalEngine(workers=2)
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(engine.recognise, stored(scan_pdf(*[page_image()] * 9), PDF))
        _wait_until(lambda: len({worker.pid for worker in _workers()} - before) == 2)
        engine.close()
        with pytest.raises(TransientError) as caught:
            reading.result()
        assert caught.value.code == "engine_closed"
    assert {worker.pid for worker in _workers()} <= before


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tie to the parent is Linux's")
def test_killed_parent_leaves_no_worker(tmp_path: Path) -> None:
    document = tmp_path / "scan.pdf"
    document.write_bytes(scan_pdf(*[page_image()] * 9))
    program = f"""
        from pathlib import Path
        from ingest_assets.ocr.local import LocalEngine
        from ingest_assets_tests.support.scans import PDF, stored
        LocalEngine(workers=2).recognise(stored(Path({str(document)!r}).read_bytes(), PDF))
    """
    # Not through the command line alone: the parent's main module has no name to import.
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    _wait_until(lambda: len(_workers(parent.pid)) == 2)
    workers = _workers(parent.pid)
    _wait_until(lambda: sum(map(_computed, workers)) > 1)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert not psutil.wait_procs(workers, timeout=240)[1]


def test_long_document_leaves_others_their_turn() -> None:
    long = stored(scan_pdf(*[page_image(LINES[:6])] * 16), PDF)
    with ThreadPoolExecutor() as threads, _engine_of_one_worker() as (engine, worker):
        idle = _computed(worker)
        reading = threads.submit(engine.recognise, long)
        _wait_until(lambda: _computed(worker) > idle + 0.3)
        assert engine.recognise(stored(text_pdf(), PDF)).pages
        assert not reading.done()
        engine.close()
        with pytest.raises(TransientError):
            reading.result()


@settings(suppress_health_check=list(HealthCheck))
@given(
    mime_type=st.sampled_from([PDF, PNG, JPEG, TIFF, TEXT, DOCX]),
    head=st.sampled_from([b"", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"PK"]),
    tail=st.binary(max_size=300),
)
def test_random_bytes_end_well(engine: LocalEngine, mime_type: str, head: bytes, tail: bytes) -> None:
    _ends_well(engine, head + tail, mime_type)


SAMPLES = {
    PDF: text_pdf(),
    PNG: encoded(page_image(LINES[:1]).crop((0, 0, 900, 200)), "PNG"),
    JPEG: encoded(page_image(LINES[:1]).crop((0, 0, 900, 200)), "JPEG"),
    TIFF: encoded(page_image(LINES[:1]).crop((0, 0, 900, 200)), "TIFF", compression="tiff_lzw"),
}


@settings(suppress_health_check=list(HealthCheck))
@given(
    mime_type=st.sampled_from(sorted(SAMPLES)),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_damaged_documents_end_well(
    engine: LocalEngine, mime_type: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(SAMPLES[mime_type])
    for place, value in changes:
        data[int(place * len(data))] = value
    _ends_well(engine, bytes(data), mime_type)


def _ends_well(engine: LocalEngine, data: bytes, mime_type: str) -> None:
    try:
        result = engine.recognise(stored(data, mime_type))
    except IngestError as error:
        assert error.error_class == "permanent"  # noqa: PT017
        assert error.code != "reader_failed", error.__cause__  # noqa: PT017
    else:
        assert isinstance(result, Recognition)
        assert [page.number for page in result.pages] == list(range(1, len(result.pages) + 1))


@pytest.mark.parametrize(
    ("kind", "of_reading", "of_extraction"),
    [
        ("does_not_start", "ocr_does_not_start", "extraction_does_not_start"),
        ("timed_out", "page_timeout", "extraction_timeout"),
        ("stalled", "page_stalled", "extraction_stalled"),
        ("killed", "worker_killed", "extraction_stalled"),
        ("crashed", "parser_crashed", "extraction_failed"),
        ("out_of_memory", "out_of_memory", "extraction_failed"),
        ("disk_full", "no_scratch_space", "extraction_stalled"),
        ("answer_too_long", "too_much_text", "extraction_failed"),
        ("failed", "reader_failed", "extraction_failed"),
        ("closed", "engine_closed", "engine_closed"),
    ],
)
def test_each_engine_says_what_a_workers_fault_means(
    kind: FaultKind, of_reading: str, of_extraction: str
) -> None:
    assert local._explain(WorkerError(kind, "how")).code == of_reading
    assert extraction_local._explain(WorkerError(kind, "how")).code == of_extraction


def test_no_kind_of_fault_is_forgotten() -> None:
    for kind in get_args(FaultKind):
        assert local._explain(WorkerError(kind)).message
        assert extraction_local._explain(WorkerError(kind)).message
