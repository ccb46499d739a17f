"""The promises, each by name; what each means in detail is tested beside the code that keeps it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.errors import TransientError
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.operations.reconcile.apply import delete_adopted, restore_lost
from ingest_assets.operations.reconcile.inventory import Deep, Inventory
from ingest_assets.operations.reconcile.plan import write_plan
from ingest_assets.operations.reconcile.rebuild import rebuild
from ingest_assets.stages.runner import TRIES
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.fixtures import NewPipeline
from ingest_assets_tests.support.bucket import (
    adopt_all,
    contents,
    key_of,
    look,
    remove,
    tables,
    upload,
)
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.servers import Services as ServerFixture

OUTCOMES = {"completed", "no_text", "duplicate", "failed", "rejected", "superseded"}


def fill(pipeline: Pipeline) -> None:
    """Good, bad, equal and blank documents."""
    agreement = pdf("An agreement.", "Its second page.")
    pipeline.put("agreement.pdf", agreement)
    pipeline.put("copies/agreement.pdf", agreement)
    pipeline.put("scan.png", picture("SCANNED LINE"))
    pipeline.put("note.txt", b"A note.")
    pipeline.put("blank.pdf", pdf(""))
    pipeline.put("empty.pdf", b"")
    pipeline.put("broken.pdf", b"%PDF-1.4 broken")
    pipeline.put("program.exe", b"MZ\x90\x00\x03\x00\x00\x00")


@dataclass(frozen=True)
class Ingestion:
    """One ingestion of all of them, watched from outside.

    Attributes:
        pipeline: as it was left; only to be looked at.
        orphans: keys of objects that were put before their rows were there.
        before: the input directory before the ingestion.
    """

    pipeline: Pipeline
    orphans: list[str]
    before: dict[Path, tuple[int, int, bytes]]


@pytest.fixture(scope="module")
def ingestion(
    new_pipeline: NewPipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ingestion]:
    orphans: list[str] = []
    put_new = ObjectStore.put_new
    with (
        pytest.MonkeyPatch.context() as patch,
        new_pipeline(tmp_path_factory.mktemp("ingestion"), patch) as pipeline,
    ):

        def watched(self: ObjectStore, key: str, *arguments: Any, **options: Any) -> Any:
            # Seen from another connection, so that only what is committed counts.
            if not pipeline.rows("SELECT 1 FROM ingest.source_documents WHERE s3_key = :key", key=key):
                orphans.append(key)
            return put_new(self, key, *arguments, **options)

        fill(pipeline)
        before = files_of(pipeline)
        with pytest.MonkeyPatch.context() as watching:
            watching.setattr(ObjectStore, "put_new", watched)
            pipeline.ingest()
        yield Ingestion(pipeline, orphans, before)


def files_of(pipeline: Pipeline) -> dict[Path, tuple[int, int, bytes]]:
    files = (path for path in pipeline.input_dir.rglob("*") if path.is_file())
    return {p: (p.stat().st_mtime_ns, p.stat().st_ino, p.read_bytes()) for p in files}


# Before the tests that add to what was ingested.
def test_g9_one_bad_document_stops_no_other_and_has_a_stored_reason(ingestion: Ingestion) -> None:
    states = ingestion.pipeline.states()
    assert {name for name, state in states.items() if state not in ("failed", "rejected")} == {
        "agreement.pdf",
        "scan.png",
        "note.txt",
        "blank.pdf",
    }
    reasons = ingestion.pipeline.rows("""
        SELECT original_file_name, error_class, error_code, error_message, error_remedy
        FROM ingest.document_progress WHERE state IN ('failed', 'rejected')
    """)
    assert {(row.original_file_name, row.error_class, row.error_code) for row in reasons} == {
        ("empty.pdf", "permanent", "empty"),
        ("broken.pdf", "permanent", "corrupt_document"),
        ("program.exe", "permanent", "unsupported_type"),
    }


def test_g1_no_object_without_a_row_at_any_instant(ingestion: Ingestion) -> None:
    assert ingestion.orphans == []
    rows = ingestion.pipeline.rows("SELECT s3_key FROM ingest.source_documents")
    assert set(ingestion.pipeline.object_keys()) == {row.s3_key for row in rows}
    assert len(rows) == 5


def test_g2_every_file_ends_with_one_source_and_one_outcome(ingestion: Ingestion) -> None:
    rows = ingestion.pipeline.rows("""
        SELECT source_uri, state, error_message
        FROM ingest.document_progress JOIN ingest.document_sources USING (partition_key)
    """)
    assert sorted(row.source_uri for row in rows) == sorted(path.as_uri() for path in ingestion.before)
    assert {row.state for row in rows} == OUTCOMES - {"superseded"}  # No file changed.
    assert all(row.error_message for row in rows if row.state in ("failed", "rejected"))


def test_g3_bytes_in_are_bytes_stored(ingestion: Ingestion) -> None:
    rows = ingestion.pipeline.rows("""
        SELECT sha256, s3_key, source_uri, upload_timestamp FROM ingest.source_documents
        JOIN ingest.document_sources USING (partition_key)
    """)
    assert rows
    for row in rows:
        source = Path(row.source_uri.removeprefix("file://"))
        assert row.upload_timestamp is not None
        assert ingestion.pipeline.objects.sha256(row.s3_key) == row.sha256
        assert hashlib.sha256(source.read_bytes()).hexdigest() == row.sha256


def test_g4_a_stored_object_is_never_overwritten(pipeline: Pipeline) -> None:
    fill(pipeline)
    pipeline.ingest()
    client, bucket = pipeline.objects.client, pipeline.objects.bucket

    def written() -> dict[str, Any]:
        return {
            key: client.head_object(Bucket=bucket, Key=key)["LastModified"]
            for key in pipeline.object_keys()
        }

    before = written()
    pipeline.run_range(*_first_and_last(pipeline))
    assert written() == before


def test_g5_a_document_is_recognised_once(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(pipeline)
    recognised: list[str] = []
    recognise = LocalEngine.recognise

    def counted(self: LocalEngine, document: StoredObject) -> Recognition:
        recognised.append(document.key)
        return recognise(self, document)

    monkeypatch.setattr(LocalEngine, "recognise", counted)
    pipeline.requests()
    keys = pipeline.instance.get_dynamic_partitions("documents")
    # Two runs over the same partitions, at the same time.
    with ThreadPoolExecutor() as pool:
        outcomes = list(
            pool.map(lambda run_id: pipeline.run_without_dagster(keys, run_id), ("one", "two"))
        )
    assert [{outcome.partition_key for outcome in run} for run in outcomes] == [set(keys)] * 2
    succeeded = {row.s3_key for row in pipeline.rows(
        "SELECT s3_key FROM ingest.source_documents JOIN ingest.document_texts USING (document_uuid)"
    )}  # fmt: skip
    assert len(succeeded) == 4
    assert sorted(key for key in recognised if key in succeeded) == sorted(succeeded)
    pipeline.run_range(*_first_and_last(pipeline))
    assert sorted(key for key in recognised if key in succeeded) == sorted(succeeded)


def test_g6_reconciling_a_second_time_changes_nothing(pipeline: Pipeline) -> None:
    fill(pipeline)
    pipeline.ingest()
    upload(pipeline, "orphan.txt", b"Uploaded without a row.")
    upload(pipeline, "twin.txt", b"A note.")
    remove(pipeline, key_of(pipeline, "note.txt"))

    def reconcile() -> None:
        adopt_all(pipeline)
        _, found = look(pipeline)
        lost = [one for one in found if one.kind == "lost"]
        list(restore_lost(pipeline.database, pipeline.objects, pipeline.inbox, lost))
        rebuild(pipeline.database, pipeline.objects, batch_size=5)

    reconcile()
    partitions = pipeline.instance.get_dynamic_partitions("documents")
    pipeline.run_range(partitions[-2], partitions[-1])
    before = contents(pipeline), tables(pipeline), partitions
    assert look(pipeline)[0].is_clean
    reconcile()
    assert (contents(pipeline), tables(pipeline)) == before[:2]
    assert pipeline.instance.get_dynamic_partitions("documents") == partitions


def test_g7_a_dry_run_writes_nothing_but_its_plan(pipeline: Pipeline, tmp_path: Path) -> None:
    fill(pipeline)
    pipeline.ingest()
    upload(pipeline, "orphan.txt", b"Uploaded without a row.")
    upload(pipeline, "adopted.txt", b"A note.")
    adopt_all(pipeline)
    partitions = pipeline.instance.get_dynamic_partitions("documents")
    pipeline.run_range(partitions[-1], partitions[-1])
    upload(pipeline, "another.txt", b"Uploaded after that.")
    remove(pipeline, key_of(pipeline, "note.txt"))
    files = {path for path in tmp_path.rglob("*") if "dagster" not in path.parts}
    before = contents(pipeline), tables(pipeline)

    inventory = Inventory(pipeline.database, pipeline.objects, in_flight_seconds=0, deep=Deep())
    plan = write_plan(inventory, tmp_path / "plan.jsonl")
    removals = delete_adopted(pipeline.database, pipeline.objects, plan.findings("adopted"), yes=False)
    assert list(removals)
    assert plan.counts["orphan"] == plan.counts["lost"] == 1
    assert (contents(pipeline), tables(pipeline)) == before
    assert pipeline.instance.get_dynamic_partitions("documents") == partitions
    after = {path for path in tmp_path.rglob("*") if "dagster" not in path.parts}
    assert after - files == {plan.path}


def test_g8_source_files_are_left_as_they_are(ingestion: Ingestion) -> None:
    assert files_of(ingestion.pipeline) == ingestion.before


def test_g10_an_error_is_never_stored_as_an_empty_result(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.put("note.txt", b"A note.")

    def throttled(self: LocalEngine, document: StoredObject) -> Recognition:
        raise TransientError("throttled", "The engine has too much to do.", "It is tried again.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "recognise", throttled)
        (run,) = pipeline.ingest()
    assert not run.success
    assert pipeline.states() == {"note.txt": "failed"}
    assert pipeline.rows("SELECT * FROM ingest.document_texts") == []
    assert set(pipeline.partition_states("document_text").values()) == {"FAILED"}

    assert pipeline.run_range(*_first_and_last(pipeline)).success
    assert pipeline.states() == {"note.txt": "completed"}
    attempts = pipeline.rows("SELECT status FROM ingest.stage_attempts WHERE stage = 'document_text'")
    assert [row.status for row in attempts] == ["failed"] * TRIES + ["succeeded"]


def test_an_attempt_of_a_killed_process_is_closed_by_the_next(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    (request,) = pipeline.requests()
    key = request.tags["dagster/asset_partition_range_start"]
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id)"
            " VALUES (%s, 'document_row', 1, 'killed')",
            (key,),
        )
    assert pipeline.states() == {"note.txt": "in_progress"}
    assert len(pipeline.requests()) == 1  # nobody works on it: it is asked for again
    pipeline.launch(request)
    attempts = pipeline.rows(
        "SELECT status, error_code, attempt FROM ingest.stage_attempts"
        " WHERE stage = 'document_row' ORDER BY attempt"
    )
    assert [tuple(row) for row in attempts] == [("failed", "abandoned", 1), ("succeeded", None, 2)]
    assert pipeline.states() == {"note.txt": "completed"}


def test_a_configuration_fault_stops_the_run_at_once(
    pipeline: Pipeline, services: ServerFixture
) -> None:
    for number in range(30):
        pipeline.put(f"{number:02}.txt", b"note %d" % number)
    pipeline.requests()
    keys = pipeline.instance.get_dynamic_partitions("documents")
    wrong = ObjectStore(services.new_s3_client("not the secret"), pipeline.objects.bucket)
    outcomes = pipeline.run_without_dagster(keys, objects=wrong)
    refused = [outcome for outcome in outcomes if outcome.error]
    assert refused
    assert {outcome.error.error_class for outcome in refused if outcome.error} == {"configuration"}
    assert len(refused) <= 4  # those that were in the works


def _first_and_last(pipeline: Pipeline) -> tuple[str, str]:
    keys = pipeline.instance.get_dynamic_partitions("documents")
    return keys[0], keys[-1]
