"""What happens after a failure: tried again within the run, by the sensor, on demand, or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

from ingest_assets.cli import main, running
from ingest_assets.defs.code_location import build_defs
from ingest_assets.defs.resources import ObjectStoreResource
from ingest_assets.embedded.lock import FileLock
from ingest_assets.errors import ConfigurationError, IngestError, TransientError
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.operations.retry_policy import RetryRules, chosen, due
from ingest_assets.operations.status import read_status
from ingest_assets.settings import Settings
from ingest_assets.stages.runner import TRIES, Runner
from ingest_assets.store.attempts import Begin, begin_attempts, close_abandoned
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import STAGES, Pipeline
from ingest_assets_tests.support.servers import Services as ServerFixture

NOW = RetryRules(cool_down_seconds=0, limit=3)


@pytest.fixture
def engine_fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[IngestError, int], list[str]]:
    """Make recognition fail so often, then go well; returns the keys that it was asked for."""
    recognise = LocalEngine.recognise

    def install(error: IngestError, times: int) -> list[str]:
        asked: list[str] = []

        def failing(self: LocalEngine, document: StoredObject) -> Recognition:
            asked.append(document.key)
            if len(asked) <= times:
                raise error
            return recognise(self, document)

        monkeypatch.setattr(LocalEngine, "recognise", failing)
        return asked

    return install


def throttled() -> TransientError:
    return TransientError("throttled", "The engine has too much to do.", "It is tried again.")


def attempts(pipeline: Pipeline, stage: str = "document_text") -> list[tuple[str, str | None]]:
    rows = pipeline.rows(
        "SELECT status, error_code FROM ingest.stage_attempts WHERE stage = :stage ORDER BY attempt_id",
        stage=stage,
    )
    return [tuple(row) for row in rows]


def test_a_transient_fault_is_tried_again_within_the_run(
    pipeline: Pipeline, engine_fails: Callable[[IngestError, int], list[str]]
) -> None:
    asked = engine_fails(throttled(), TRIES - 1)
    pipeline.put("note.txt", b"A note.")
    (run,) = pipeline.ingest()
    assert run.success
    assert len(asked) == TRIES
    assert attempts(pipeline) == [("failed", "throttled")] * (TRIES - 1) + [("succeeded", None)]
    # What had gone well was not done again.
    assert attempts(pipeline, "document_row") == [("succeeded", None)]
    assert attempts(pipeline, "document_object") == [("succeeded", None)]
    assert pipeline.states() == {"note.txt": "completed"}


def test_the_sensor_tries_again_what_may_pass_and_leaves_the_rest(
    pipeline: Pipeline, engine_fails: Callable[[IngestError, int], list[str]]
) -> None:
    engine_fails(throttled(), TRIES)
    pipeline.put("a note.txt", b"A note.")
    pipeline.put("broken.bin", bytes(range(8)))
    pipeline.ingest()
    assert pipeline.states() == {"a note.txt": "failed", "broken.bin": "rejected"}

    (key,) = pipeline.retry()
    assert key.startswith("a-note-")
    assert pipeline.states() == {"a note.txt": "completed", "broken.bin": "rejected"}
    assert attempts(pipeline, "document_row").count(("failed", "unsupported_type")) == 1
    assert pipeline.partition_states("document_text")[key] == "MATERIALIZED"
    assert pipeline.retry() == []


def test_a_second_tick_asks_for_nothing_more(
    pipeline: Pipeline, engine_fails: Callable[[IngestError, int], list[str]]
) -> None:
    engine_fails(throttled(), TRIES)
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    first = pipeline.tick(sensor="retry_failed").skip_message or ""
    second = pipeline.tick(sensor="retry_failed").skip_message or ""
    (backfill,) = pipeline.instance.get_backfills()
    assert backfill.title == "Retry of 1 document (retry_failed)"
    assert first == f"Backfill {backfill.backfill_id} tries 1 document again."
    assert second == f"1 document to try again when backfill {backfill.backfill_id} has ended."


def test_runs_that_were_killed_do_not_count_until_there_are_too_many(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    pipeline.requests()
    ((key,),) = pipeline.rows("SELECT partition_key FROM ingest.document_sources")
    counted = []
    for run in range(6):
        with pipeline.database.engine.begin() as connection:
            close_abandoned(connection, [key])
            begin_attempts(connection, [Begin(key, None, "document_row")], f"killed {run}")
        (failure,) = chosen(pipeline.database, NOW, error_class="transient")
        counted.append((failure.runs, failure.due_at is None))
    assert counted == [(1, False)] * 4 + [(2, False), (3, True)]


def test_the_cool_down_grows_and_ends_with_a_person(
    pipeline: Pipeline, engine_fails: Callable[[IngestError, int], list[str]]
) -> None:
    engine_fails(throttled(), 1_000)
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    rules = RetryRules(cool_down_seconds=60, limit=3)

    def age(seconds: int) -> None:
        with pipeline.database.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE ingest.stage_attempts SET finished_at = now() - make_interval(secs => %s),"
                " heartbeat_at = now() - make_interval(secs => %s)",
                (seconds, seconds),
            )

    assert due(pipeline.database, rules) == []
    age(61)
    (failure,) = due(pipeline.database, rules)
    assert (failure.error_code, failure.runs) == ("throttled", 1)
    (key,) = pipeline.retry()
    age(119)
    assert due(pipeline.database, rules) == []
    age(121)
    assert [failure.runs for failure in due(pipeline.database, rules)] == [2]
    pipeline.retry()
    age(100_000)
    assert due(pipeline.database, rules) == []
    # A person may ask for it all the same.
    (failure,) = chosen(pipeline.database, rules, error_class="transient", stage="document_text")
    assert (failure.partition_key, failure.runs, failure.due_at) == (key, 3, None)
    assert chosen(pipeline.database, rules, error_class="transient", stage="document_row") == []
    assert chosen(pipeline.database, rules, error_class="permanent") == []


def test_what_a_killed_run_left_unfinished_is_picked_up(pipeline: Pipeline) -> None:
    """An adopted upload is nobody's batch: no other sensor would finish it."""
    pipeline.objects.client.put_object(
        Bucket=pipeline.objects.bucket, Key="documents/old/report.txt", Body=b"A report."
    )
    pipeline.tick(sensor="orphaned_uploads")
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    assert pipeline.retry() == []  # Nobody has begun it: it waits for a backfill.
    assert pipeline.run_range(key, key, assets=["document_row"]).success
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO ingest.stage_attempts (partition_key, document_uuid, stage, attempt, run_id)"
            " SELECT partition_key, document_uuid, 'document_object', 1, 'killed'"
            " FROM ingest.document_sources"
        )
    assert pipeline.retry() == [key]
    assert pipeline.states() == {"report.txt": "completed"}
    assert attempts(pipeline, "document_object") == [("failed", "abandoned"), ("succeeded", None)]


def test_runs_are_held_while_the_set_up_is_wrong(
    pipeline: Pipeline, services: ServerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing fails, nothing is lost, and all goes on when it is mended."""
    wrong = ObjectStore(services.new_s3_client("not the secret"), pipeline.objects.bucket)
    for number in range(7):
        pipeline.put(f"{number}.txt", b"note %d" % number)
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStoreResource, "get", lambda _self: wrong)
        tick = pipeline.tick()
        assert not tick.run_requests
        assert "7 new" in (tick.skip_message or "")
        assert "held. S3 refuses" in (tick.skip_message or "")
        assert "SignatureDoesNotMatch" in (tick.skip_message or "")
        assert pipeline.tick().run_requests == []
    assert set(pipeline.states().values()) == {"discovered"}
    assert all(run.success for run in pipeline.ingest())
    assert set(pipeline.states().values()) == {"completed"}


def test_a_configuration_fault_is_tried_again_when_it_is_mended(
    pipeline: Pipeline, services: ServerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ObjectStore(services.new_s3_client("not the secret"), pipeline.objects.bucket)
    for number in range(4):
        pipeline.put(f"{number}.txt", b"note %d" % number)
    (request,) = pipeline.requests()
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStoreResource, "get", lambda _self: wrong)
        run = pipeline.launch(request)
        assert not run.success
        assert "failed" in pipeline.states().values()
        message = pipeline.tick(sensor="retry_failed").skip_message or ""
        assert "to try again; held. S3 refuses" in message
        assert pipeline.instance.get_backfills() == []
    pipeline.retry()
    pipeline.ingest()
    assert set(pipeline.states().values()) == {"completed"}


def test_a_run_that_dagster_breaks_off_ends_and_holds_nothing(pipeline: Pipeline) -> None:
    """Its resources close while nobody listens to its outcomes any more; another run takes over."""
    for number in range(40):
        pipeline.put(f"{number:02}.pdf", pdf(f"Page of document {number}."))
    pipeline.tick()
    keys = pipeline.instance.get_dynamic_partitions("documents")
    engine = LocalEngine(workers=1)
    services = pipeline.stage_services(engine)
    before = threading.active_count()
    outcomes = Runner(services, STAGES, "broken off", 4).run(keys)
    next(outcomes)
    engine.close()
    deadline = time.monotonic() + 240
    while any(thread.name.startswith("document_") for thread in threading.enumerate()):
        # Only the threads that wait for work are left, and they have none.
        if not pipeline.rows("SELECT 1 FROM ingest.stage_attempts WHERE status = 'running'"):
            break
        assert time.monotonic() < deadline, "threads of the broken run go on for ever"
        time.sleep(0.1)
    begun = len(pipeline.rows("SELECT DISTINCT partition_key FROM ingest.stage_attempts"))
    assert begun < len(keys)
    # `outcomes` is still held, as a traceback would hold it; nobody waits for its locks.
    again = pipeline.run_without_dagster(keys, "another")
    assert [outcome.error for outcome in again if outcome.error] == []
    assert set(pipeline.states().values()) == {"completed"}
    del outcomes
    assert threading.active_count() <= before + 1


def test_status_tells_stalled_from_queued(pipeline: Pipeline) -> None:
    for name in ("queued", "working", "stalled"):
        pipeline.put(f"{name}.txt", name.encode())
    pipeline.tick()
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id, heartbeat_at)"
            " SELECT partition_key, 'document_row', 1, 'run', now() - CASE original_file_name"
            " WHEN 'working.txt' THEN interval '1 s' ELSE interval '5 min' END"
            " FROM ingest.document_sources WHERE original_file_name <> 'queued.txt'"
        )
    found = read_status(pipeline.database)
    assert (found.queued, found.working, found.stalled) == (1, 1, 1)
    assert found.unfinished == 3


@pytest.fixture
def command(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = Settings(_env_file=None, retry_limit=3, data_dir=tmp_path / "data")
    monkeypatch.setattr(running, "use_running_stack", lambda: settings)
    monkeypatch.setattr(DagsterInstance, "get", staticmethod(lambda: nullcontext(pipeline.instance)))
    return lambda *words: CliRunner().invoke(main, words, catch_exceptions=False)


def test_retry_on_the_command_line(
    pipeline: Pipeline,
    tmp_path: Path,
    engine_fails: Callable[[IngestError, int], list[str]],
    command: Any,
) -> None:
    engine_fails(ConfigurationError("engine_refused", "The engine refuses.", "Mend it."), 1)
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    pipeline.put("broken.pdf", b"%PDF-1.4 broken")
    pipeline.ingest()
    permanent = command("retry", "--class", "permanent", "--dry-run")
    assert permanent.exit_code == 0
    assert permanent.output.startswith("1 document.\n  'broken.pdf' at document_text (permanent,")
    assert pipeline.instance.get_backfills() == []
    assert command("retry").output == "0 documents.\n"
    assert command("retry", "--stage", "nonsense").exit_code == 2
    with pytest.raises(ConfigurationError, match="no stage 'nonsense'"):
        chosen(pipeline.database, NOW, error_class="transient", stage="nonsense")
    assert command("retry", "--class", "permanent", "--since", "2999-01-01").output == "0 documents.\n"

    # The link leads to the Dagit that runs, and not to the port that the settings ask for.
    (tmp_path / "data").mkdir()
    lock = FileLock(tmp_path / "data" / "dev.lock")
    assert lock.acquire("dev")
    lock.announce_ready(dagit_port=45678)
    asked = command("retry", "--class", "configuration", "--stage", "document_text")
    lock.release()
    assert "'note.txt' at document_text (configuration, engine_refused)" in asked.output
    (backfill,) = pipeline.instance.get_backfills()
    assert asked.output.endswith(f"http://127.0.0.1:45678/runs/b/{backfill.backfill_id}\n")
    assert backfill.tags["dagster/priority"] == "3"
    (key,) = pipeline.retry()
    assert key.startswith("note-")
    assert pipeline.states() == {"note.txt": "completed", "broken.pdf": "failed"}


def test_retry_as_a_job(
    pipeline: Pipeline, engine_fails: Callable[[IngestError, int], list[str]]
) -> None:
    engine_fails(throttled(), TRIES)
    pipeline.put("agreement.pdf", pdf("An agreement."))
    pipeline.ingest()

    def run(**config: object) -> Any:
        job = pipeline.defs.resolve_job_def("retry_failed_documents")
        return job.execute_in_process(
            instance=pipeline.instance, run_config={"ops": {"retry_documents": {"config": config}}}
        )

    with pytest.raises(ConfigurationError, match="no stage 'nonsense'"):
        run(stage="nonsense")
    assert run(dry_run=True).success
    assert pipeline.instance.get_backfills() == []
    assert run(error_class="permanent").success
    assert pipeline.instance.get_backfills() == []
    assert run(stage="document_text").success
    assert len(pipeline.instance.get_backfills()) == 1
    assert len(pipeline.retry()) == 1
    assert pipeline.states() == {"agreement.pdf": "completed"}


def test_the_sensor_is_on_and_status_is_told_to_programs(pipeline: Pipeline) -> None:
    sensor = build_defs().resolve_sensor_def("retry_failed")
    assert sensor.default_status.value == "RUNNING"
    found = json.loads(json.dumps(read_status(pipeline.database).as_json(), default=str))
    assert {"queued", "working", "stalled", "total", "by_state", "by_stage"} <= set(found)
