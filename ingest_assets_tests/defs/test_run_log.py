"""What the package logs during a run is in the run's log, where Dagit shows it."""

from __future__ import annotations

import logging
import time
from typing import Any, NoReturn

import pytest
from dagster import DagsterInstance, DagsterLogManager
from sqlalchemy.exc import OperationalError

from ingest_assets.log import get_logger
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.stages import runner
from ingest_assets.store import locks
from ingest_assets_tests.support.pipeline import Pipeline


def unavailable(*_: object) -> NoReturn:
    """As SQLAlchemy raises it where Postgres is gone."""
    raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))


def test_each_failing_heartbeat_is_in_the_log_of_its_run(
    pipeline: Pipeline, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that fail while Dagster stores an event; the documents are done all the same."""
    failed = []

    def failing(*arguments: object) -> None:
        failed.append(arguments)
        unavailable()

    store = DagsterLogManager.log_dagster_event

    def slow(*arguments: Any, **options: Any) -> None:
        time.sleep(0.2)
        store(*arguments, **options)

    monkeypatch.setattr(DagsterLogManager, "log_dagster_event", slow)
    monkeypatch.setattr(runner, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(runner, "beat", failing)
    pipeline.instance = instance
    for number in range(3):
        pipeline.put(f"{number}.txt", b"Note %d." % number)
    (request,) = pipeline.requests()
    run = pipeline.launch(request)
    assert run.success
    said = [entry.user_message for entry in instance.all_logs(run.run_id)]
    lines = [line for line in said if "heartbeat" in line]
    assert len(lines) == len(failed) > 0
    assert "attempts could not be written: Postgres is not available" in lines[0]
    assert set(pipeline.states().values()) == {"completed"}


def test_lost_locks_are_logged_and_the_work_goes_on(
    pipeline: Pipeline, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock's connection is ended once, while the first document is read."""
    recognise = LocalEngine.recognise
    ended: list[object] = []

    def ending(engine: LocalEngine, document: StoredObject) -> Recognition:
        if not ended:
            ended.extend(
                pipeline.rows(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks"
                    " WHERE locktype = 'advisory' AND database = "
                    "(SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1"
                )
            )
        return recognise(engine, document)

    monkeypatch.setattr(LocalEngine, "recognise", ending)
    monkeypatch.setattr(runner, "HEARTBEAT_SECONDS", 0.05)
    pipeline.instance = instance
    pipeline.put("note.txt", b"A note.")
    (request,) = pipeline.requests()
    run = pipeline.launch(request)
    assert run.success
    said = [entry.user_message for entry in instance.all_logs(run.run_id)]
    assert any(line.startswith("The connection that holds this run's locks is lost") for line in said)
    assert pipeline.states() == {"note.txt": "completed"}


def test_a_run_goes_on_where_dagster_cannot_store_a_line(
    pipeline: Pipeline, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails then is the line, not the thread of the heartbeats."""
    failed = []

    def failing(*arguments: object) -> None:
        failed.append(arguments)
        unavailable()

    log = DagsterLogManager.log

    def refusing(manager: DagsterLogManager, *arguments: Any, **options: Any) -> None:
        if any("heartbeat" in str(argument) for argument in arguments):
            unavailable()
        log(manager, *arguments, **options)

    monkeypatch.setattr(runner, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(runner, "beat", failing)
    monkeypatch.setattr(DagsterLogManager, "log", refusing)
    pipeline.instance = instance
    pipeline.put("note.txt", b"A note.")
    (request,) = pipeline.requests()
    assert pipeline.launch(request).success
    assert len(failed) > 1


def test_a_handler_that_raises_does_not_fail_what_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """As Dagster's does where it manages Python's root logger and its own database is gone, too."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            unavailable()

    handler = Broken()
    logging.getLogger("ingest_assets").addHandler(handler)
    try:
        get_logger(locks.__name__).warning("The lock of %s is lost.", "note-1")
    finally:
        logging.getLogger("ingest_assets").removeHandler(handler)
    shown = capsys.readouterr().err
    assert "The lock of note-1 is lost." in shown
    assert "server closed the connection unexpectedly" in shown
