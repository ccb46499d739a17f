"""Two processes do the same at the same time: one result, nothing done twice, nobody waits for ever."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.store.database import sqlalchemy_url
from ingest_assets_tests.crash import invariants
from ingest_assets_tests.crash.matrix import recognised_too_often
from ingest_assets_tests.crash.scenarios import AGREEMENT, look_again
from ingest_assets_tests.crash.site import Site, site
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.embedded import wait_until
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.servers import Services

pytestmark = pytest.mark.usefixtures("forks")


@pytest.fixture
def place(services: Services, migrated_with_dagster_url: str, tmp_path: Path) -> Iterator[Site]:
    with site(services, migrated_with_dagster_url, tmp_path / "site", real_engines=False) as place:
        yield place


def meet(pipeline: Pipeline, count: int = 2) -> None:
    """Wait until so many processes are here."""
    meeting = pipeline.input_dir.parent / "meeting"
    with meeting.open("a") as file:
        file.write(".")
    while meeting.stat().st_size < count:
        time.sleep(0.005)


def fill(pipeline: Pipeline) -> None:
    # A PDF says in which second it was made, so a copy that is made anew may differ.
    agreements = [pdf(f"Agreement {number}.") for number in range(6)]
    for number, agreement in enumerate(agreements):
        pipeline.put(f"agreement {number}.pdf", agreement)
    pipeline.put("copy.pdf", agreements[1])
    pipeline.put("scan.png", picture("SCANNED LINE"))
    pipeline.put("empty.pdf", b"")


def discover(pipeline: Pipeline) -> None:
    pipeline.requests()


def ingest(pipeline: Pipeline) -> None:
    meet(pipeline)
    pipeline.ingest()


def run_all(pipeline: Pipeline) -> None:
    """One run of all partitions."""
    keys = pipeline.instance.get_dynamic_partitions("documents")
    meet(pipeline)
    pipeline.run_range(keys[0], keys[-1])


def run_one(pipeline: Pipeline, place_in_order: int) -> None:
    """One run of one partition."""
    key = pipeline.instance.get_dynamic_partitions("documents")[place_in_order]
    meet(pipeline)
    assert pipeline.run_range(key, key).success


def run_first_and_wait_once_it_is_read(pipeline: Pipeline) -> None:
    """Until the file `go` is there."""
    recognise = LocalEngine.recognise

    def waiting(self: LocalEngine, document: StoredObject) -> Recognition:
        recognition = recognise(self, document)
        (pipeline.input_dir.parent / "read").touch()
        while not (pipeline.input_dir.parent / "go").exists():
            time.sleep(0.01)
        return recognition

    LocalEngine.recognise = waiting  # type: ignore[method-assign]
    run_first(pipeline)


def run_first(pipeline: Pipeline) -> None:
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    pipeline.run_range(key, key)


def run_together(place: Site, *works: tuple[Any, ...]) -> None:
    """Each in a process of its own, all at once."""
    processes = [place.process(*work) for work in works]
    codes = [place.wait(process) for process in processes]
    assert codes == [0] * len(works), place.last_words()


def assert_one_result(place: Site, codes: Collection[str] = ()) -> Counter[str]:
    """The promises hold, and each document was recognised once; the states."""
    engine = create_engine(sqlalchemy_url(place.database_url))
    try:
        world = invariants.look(engine, place.services.s3_client(), place.bucket, place.input_dir)
    finally:
        engine.dispose()
    assert list(invariants.broken_at_the_end(world)) == []
    assert list(recognised_too_often(place.recognitions(), world)) == []
    assert len(world.objects) == len(world.rows["documents"])
    failed = {row.error_code for row in world.rows["attempts"] if row.status == "failed"}
    assert failed <= {"empty", *codes}
    assert place.run(look_again) == 0, place.last_words()
    return Counter(row.state for row in world.rows["progress"])


ALL = {"completed": 7, "duplicate": 1, "rejected": 1}


def test_the_same_partition_launched_twice(place: Site) -> None:
    (place.input_dir / "scan.png").write_bytes(picture("SCANNED LINE"))
    assert place.run(discover) == 0
    run_together(place, (run_one, 0), (run_one, 0))
    assert assert_one_result(place) == {"completed": 1}
    assert len(place.recognitions()) == 1


def test_two_sightings_of_one_content_in_two_runs(place: Site) -> None:
    for name in ("one.pdf", "two.pdf"):
        (place.input_dir / name).write_bytes(AGREEMENT)
    assert place.run(discover) == 0
    run_together(place, (run_one, 0), (run_one, 1))
    assert assert_one_result(place) == {"completed": 1, "duplicate": 1}
    assert len(place.recognitions()) == 1


def test_a_backfill_over_the_range_that_the_sensor_works_on(place: Site) -> None:
    assert place.run(fill) == 0
    assert place.run(discover) == 0
    run_together(place, (ingest,), (run_all,))
    assert assert_one_result(place) == ALL


def test_two_daemons_by_mistake(place: Site) -> None:
    """Both discover, add partitions and launch, from the first look on."""
    assert place.run(fill) == 0
    run_together(place, (ingest,), (ingest,))
    assert assert_one_result(place) == ALL
    with place.instance() as instance:
        keys = instance.get_dynamic_partitions("documents")
    assert len(keys) == len(set(keys)) == sum(ALL.values())


def many(pipeline: Pipeline) -> None:
    for number in range(400):
        pipeline.put(f"{number:03}.txt", b"note %d" % number)


def discover_together(pipeline: Pipeline) -> None:
    meet(pipeline)
    pipeline.requests()


def test_two_ticks_at_the_same_moment_add_each_partition_once(place: Site) -> None:
    assert place.run(many) == 0
    run_together(place, (discover_together,), (discover_together,))
    with place.instance() as instance:
        keys = instance.get_dynamic_partitions("documents")
    engine = create_engine(sqlalchemy_url(place.database_url))
    with engine.connect() as connection:
        sources = connection.execute(text("SELECT partition_key FROM ingest.document_sources"))
        assert sorted(sources.scalars()) == sorted(keys)
    engine.dispose()
    assert len(keys) == 400


def test_a_frozen_run_that_lost_its_locks_to_another(place: Site) -> None:
    """The machine stood still, and Postgres was restarted meanwhile: another run has the document."""
    (place.input_dir / "scan.png").write_bytes(picture("SCANNED LINE"))
    assert place.run(discover) == 0
    frozen = place.process(run_first_and_wait_once_it_is_read)
    assert wait_until((place.directory / "read").exists)
    assert frozen.pid is not None
    os.kill(frozen.pid, signal.SIGSTOP)
    engine = create_engine(sqlalchemy_url(place.database_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text("""
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'ingest_assets'
            """)
        )
        assert place.run(run_first) == 0
        (before,) = connection.execute(text("SELECT * FROM ingest.document_texts"))
        (place.directory / "go").touch()
        os.kill(frozen.pid, signal.SIGCONT)
        assert place.wait(frozen) == 0
        (after,) = connection.execute(text("SELECT * FROM ingest.document_texts"))
    engine.dispose()
    assert after == before
    # Whether it notices before or after it has begun the next stage.
    assert assert_one_result(place, {"abandoned", "lock_lost"}) == {"completed": 1}
