"""Services that fail: it is typed and transient, nothing is lost, and running again completes."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.embedded.credentials import Credentials
from ingest_assets.embedded.environment import database_url
from ingest_assets.embedded.postgres import EmbeddedPostgres
from ingest_assets.stages import runner
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.faulty_s3 import Fault, FaultyS3, faulty_s3
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.servers import Services


@pytest.fixture
def s3(pipeline: Pipeline, services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """The S3 that the pipeline's runs see; the tests themselves see the real one."""
    with faulty_s3(services.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy


def fill(pipeline: Pipeline, count: int) -> None:
    for number in range(count):
        pipeline.put(f"{number}.pdf", pdf(f"Document {number} of a bad night."))


def keys(pipeline: Pipeline) -> tuple[str, str]:
    pipeline.requests()
    partitions = pipeline.instance.get_dynamic_partitions("documents")
    return partitions[0], partitions[-1]


def assert_all_is_well(pipeline: Pipeline, count: int) -> None:
    """Every document has its text, and its object has the bytes of its file."""
    assert list(pipeline.states().values()) == ["completed"] * count
    rows = pipeline.rows("SELECT sha256, s3_key FROM ingest.source_documents")
    assert sorted(pipeline.object_keys()) == sorted(row.s3_key for row in rows)
    assert all(pipeline.objects.sha256(row.s3_key) == row.sha256 for row in rows)
    assert set(pipeline.partition_states("document_text").values()) == {"MATERIALIZED"}


def assert_no_fault_but_transient(pipeline: Pipeline, *codes: str) -> None:
    failures = pipeline.rows("""
        SELECT DISTINCT error_class, error_code FROM ingest.stage_attempts WHERE status = 'failed'
    """)
    assert {row.error_class for row in failures} <= {"transient"}
    assert {row.error_code for row in failures} <= {*codes, "abandoned"}


def every_other(fault: Fault) -> Callable[[str, str], Fault]:
    turns = itertools.cycle((fault, None))
    return lambda _method, _path: next(turns)


def test_half_of_the_requests_are_told_to_slow_down(pipeline: Pipeline, s3: FaultyS3) -> None:
    fill(pipeline, 6)
    first, last = keys(pipeline)
    s3.choose = every_other("slow down")
    assert pipeline.run_range(first, last).success
    assert s3.faults >= 6
    assert_all_is_well(pipeline, 6)
    assert_no_fault_but_transient(pipeline, "object_store_unavailable")


def test_every_answer_takes_a_second(pipeline: Pipeline, s3: FaultyS3) -> None:
    fill(pipeline, 4)
    first, last = keys(pipeline)
    s3.choose = lambda _method, _path: "delay"
    assert pipeline.run_range(first, last).success
    assert_all_is_well(pipeline, 4)
    assert_no_fault_but_transient(pipeline)


def test_connections_are_closed_in_the_middle_of_a_body(pipeline: Pipeline, s3: FaultyS3) -> None:
    fill(pipeline, 4)
    first, last = keys(pipeline)
    seen: set[tuple[str, str]] = set()

    def cut_first(method: str, path: str) -> Fault:
        """The first request of each kind for each document."""
        if "/documents/" not in path or method not in ("PUT", "GET") or (method, path) in seen:
            return None
        seen.add((method, path))
        return "cut request" if method == "PUT" else "cut answer"

    s3.choose = cut_first
    assert pipeline.run_range(first, last).success
    assert {method for method, _ in seen} == {"PUT", "GET"}
    assert_all_is_well(pipeline, 4)
    assert_no_fault_but_transient(pipeline, "object_store_unavailable")
    broken = pipeline.rows("SELECT error_message FROM ingest.stage_attempts WHERE status = 'failed'")
    assert all("documents/" in row.error_message for row in broken)  # It says which object.


def test_s3_is_away_and_comes_back(
    pipeline: Pipeline, s3: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(runner, "TRIES", 1)
    fill(pipeline, 4)
    first, last = keys(pipeline)
    s3.end()
    run = pipeline.run_range(first, last)
    assert not run.success
    assert list(pipeline.states().values()) == ["failed"] * 4
    reasons = pipeline.rows("""
        SELECT error_class, error_code, error_message, error_remedy FROM ingest.document_progress
    """)
    assert {(r.error_class, r.error_code) for r in reasons} == {
        ("transient", "object_store_unavailable")
    }
    assert all(s3.url in row.error_message for row in reasons)  # It says where.
    s3.begin()
    assert pipeline.run_range(first, last).success
    assert_all_is_well(pipeline, 4)


class KeptPostgres:
    """A Postgres of the test's own.

    A thread of its own starts it, because a server ends with the thread that started it.
    """

    def __init__(self, directory: Path) -> None:
        self._server = EmbeddedPostgres(directory, Credentials.read_or_create(directory))
        self._thread = ThreadPoolExecutor(1, "postgres")
        self._thread.submit(self._server.start).result()

    def break_down(self) -> None:
        """Stop it now."""
        self._thread.submit(self._server.stop).result()

    def come_back(self) -> None:
        """Start it again."""
        self._thread.submit(self._server.start).result()

    def close(self) -> None:
        self._thread.submit(self._server.stop).result()
        self._thread.shutdown()


@pytest.fixture
def kept_postgres(tmp_path: Path) -> Iterator[tuple[KeptPostgres, str]]:
    directory = tmp_path / "postgres-data"
    (directory / "logs").mkdir(parents=True)
    server = KeptPostgres(directory)
    credentials = Credentials.read(directory)
    assert credentials is not None
    url = database_url(credentials).set(database="postgres")
    try:
        yield server, url.render_as_string(hide_password=False)
    finally:
        server.close()


def test_postgres_is_away_and_comes_back(
    pipeline: Pipeline, kept_postgres: tuple[KeptPostgres, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, url = kept_postgres
    migrate(url)
    monkeypatch.setenv("INGEST_DATABASE_URL", url)
    broken = replace(pipeline, database=Database(url))
    fill(broken, 12)
    first, last = keys(broken)
    put_new = ObjectStore.put_new
    stored = itertools.count(1)

    def breaking(self: ObjectStore, *arguments: Any, **options: Any) -> Any:
        written = put_new(self, *arguments, **options)
        if next(stored) == 3:  # Between an object and the row that is to say that it is there.
            server.break_down()
        return written

    monkeypatch.setattr(ObjectStore, "put_new", breaking)
    assert not broken.run_range(first, last).success  # Tests wait next to nothing between tries.
    server.come_back()
    assert broken.run_range(first, last).success
    assert_all_is_well(broken, 12)
    assert_no_fault_but_transient(broken, "database_unavailable", "locks_lost")
    broken.database.close()


_SCRATCH_FULL = """
import sys
from ingest_assets.errors import TransientError
from ingest_assets.ocr.local import LocalEngine
from ingest_assets_tests.support.scans import TEXT, stored
engine = LocalEngine(workers=1)
try:
    engine.recognise(stored(b"too much for the disk\\n" * 100_000, TEXT))
except TransientError as error:
    print(error.code, error)
print(len(engine.recognise(stored(b"little enough", TEXT)).pages), "page")
engine.close()
"""


def _can_mount() -> bool:
    return (
        os.geteuid() == 0
        and shutil.which("unshare") is not None
        and subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
        ).returncode
        == 0
    )


def on_a_small_disk(directory: Path, size: str, *command: str, **environment: str) -> str:
    """Run a command where a directory is a disk of so many bytes, which ends with it; its output."""
    directory.mkdir()
    mounted = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, str(directory), sys.executable, *command],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


needs_mount = pytest.mark.skipif(not _can_mount(), reason="needs the right to mount")


@needs_mount
def test_a_full_disk_for_temporary_files_is_no_document_s_fault(tmp_path: Path) -> None:
    small = tmp_path / "small"
    said = on_a_small_disk(small, "256k", "-c", _SCRATCH_FULL, TMPDIR=str(small))
    assert "no_scratch_space" in said
    assert "No space left on device" in said
    assert "1 page" in said


@pytest.mark.long
@needs_mount
def test_a_full_disk_for_the_services_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    found = json.loads(
        on_a_small_disk(disk, "160m", "-m", "ingest_assets_tests.support.disk_full", str(tmp_path))
    )
    assert found["before"] == found["after"] == []
    assert found["full"]
    codes = {tuple(sentence.split()[:2]) for sentence in found["full"]}
    assert codes <= {
        ("transient", "database_unavailable"),
        ("transient", "object_store_unavailable"),
        ("transient", "locks_lost"),
    }
    assert found["states"] == ["completed"] * 6
    assert found["stored"] == [True] * 6
