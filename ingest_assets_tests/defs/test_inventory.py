"""Orphans in Dagster: seen, registered, adopted by a range run, and gone for the next look."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dagster import (
    AssetKey,
    DagsterInstance,
    DefaultSensorStatus,
)

from ingest_assets.cli import main, running
from ingest_assets.operations.reconcile.inventory import Inventory
from ingest_assets.settings import Settings
from ingest_assets.stages.runner import Runner
from ingest_assets_tests.support.bucket import (
    adopt_all,
    classes,
    contents,
    key_of,
    look,
    remove,
    tables,
    upload,
)
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import STAGES, Pipeline
from ingest_assets_tests.support.servers import Services as ServerFixture


def seed(pipeline: Pipeline) -> set[str]:
    """Uploads without rows, among them twins and one that is no document."""
    keys = {upload(pipeline, f"agreement {n}.pdf", pdf(f"Agreement {n}.")) for n in range(6)}
    twin = pipeline.objects.client.get_object(Bucket=pipeline.objects.bucket, Key=min(keys))
    keys.add(upload(pipeline, "twin.pdf", twin["Body"].read()))
    keys.add(upload(pipeline, "core.dump", bytes(500)))
    return keys


def killed(*_: object) -> None:
    raise OSError("killed")


def tick(pipeline: Pipeline, cursor: str | None = None) -> Any:
    return pipeline.tick(cursor, "orphaned_uploads")


def run_job(pipeline: Pipeline, name: str, **options: Any) -> Any:
    return pipeline.defs.resolve_job_def(name).execute_in_process(instance=pipeline.instance, **options)


def test_orphans_are_adopted_by_a_backfill(pipeline: Pipeline) -> None:
    keys = seed(pipeline)
    pipeline.put("ingested before.pdf", (twin := pdf("Ingested from the input directory.")))
    pipeline.ingest()
    keys.add(upload(pipeline, "uploaded after.pdf", twin))
    before = contents(pipeline)
    assert classes(pipeline) == dict.fromkeys(keys, "orphan")

    tick(pipeline)
    partitions = pipeline.instance.get_dynamic_partitions("documents")[1:]
    assert len(partitions) == len(keys)
    run = pipeline.run_range(partitions[0], partitions[-1])

    assert run.success  # one of them is no document, which is no failure
    assert pipeline.errors() == {"core.dump": "unsupported_type"}
    states = pipeline.states()
    assert states.pop("core.dump") == "rejected"
    assert sorted(states.values()) == ["completed"] * 7 + ["duplicate"] * 2
    assert states["uploaded after.pdf"] == "duplicate"
    for asset in STAGES:
        assert set(pipeline.partition_states(asset).values()) == {"MATERIALIZED"}
    assert len(pipeline.rows("SELECT 1 FROM ingest.source_documents")) == 7

    assert {key: contents(pipeline)[key] for key in before} == before
    inventory, _ = look(pipeline)
    assert inventory.is_clean
    assert (inventory.counts["matching"], inventory.counts["adopted"]) == (7, len(keys))
    assert pipeline.requests() == []  # the other sensor does not launch them


def test_the_sensor_registers_and_launches_nothing(pipeline: Pipeline) -> None:
    sensor = pipeline.defs.resolve_sensor_def("orphaned_uploads")
    assert sensor.default_status == DefaultSensorStatus.STOPPED
    seed(pipeline)
    first = tick(pipeline)
    assert not first.run_requests
    assert "8 orphans registered, 8 partitions added" in (first.skip_message or "")
    rows = pipeline.rows("SELECT partition_key FROM ingest.document_sources ORDER BY sequence_number")
    assert pipeline.instance.get_dynamic_partitions("documents") == [row[0] for row in rows]

    before = tables(pipeline)
    assert "0 orphans registered, 0 partitions added" in (tick(pipeline).skip_message or "")
    assert tables(pipeline) == before
    assert pipeline.requests() == []


def test_what_crashed_between_registering_and_adding_is_completed(pipeline: Pipeline) -> None:
    seed(pipeline)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest_assets.defs.inventory.add_partitions", killed)
        with pytest.raises(OSError, match="killed"):
            tick(pipeline)
    assert pipeline.instance.get_dynamic_partitions("documents") == []
    tick(pipeline)
    assert len(pipeline.instance.get_dynamic_partitions("documents")) == 8


def test_the_job_does_what_the_sensor_does(pipeline: Pipeline) -> None:
    seed(pipeline)
    assert run_job(pipeline, "register_orphans").success
    assert len(pipeline.instance.get_dynamic_partitions("documents")) == 8
    before = tables(pipeline)
    assert run_job(pipeline, "register_orphans").success
    assert tables(pipeline) == before


def test_the_asset_shows_what_was_found(pipeline: Pipeline) -> None:
    seed(pipeline)
    config = {"ops": {"storage_inventory": {"config": {"deep": True, "sample": "1/2"}}}}
    assert run_job(pipeline, "reconcile", run_config=config).success
    event = pipeline.instance.get_latest_materialization_event(AssetKey("storage_inventory"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["orphan"].value == 8
    assert metadata["matching"].value == 0
    found = str(metadata["found"].value)
    assert found.count("| orphan | No row has this key. |") == 5
    assert "- **orphan**: `ingest-assets reconcile apply --register`" in found
    plan = Path(str(metadata["plan"].value)).read_text().splitlines()
    assert json.loads(plan[0])["counts"]["orphan"] == 8
    assert len(plan) == 9
    assert float(str(metadata["seconds"].value)) > 0


def test_a_look_during_ingestion_flags_and_adopts_nothing(pipeline: Pipeline) -> None:
    old = seed(pipeline)
    adopt_all(pipeline)
    seen: dict[str, str] = {}
    looks: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for found in Inventory(pipeline.database, pipeline.objects, in_flight_seconds=0):
                seen[found.key + " " + found.kind] = found.kind
            adopt_all(pipeline)
            looks.append(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(25):
            pipeline.put(f"{number}.txt", b"note %d" % number)
        pipeline.ingest()
        partitions = pipeline.instance.get_dynamic_partitions("documents")
        pipeline.run_range(partitions[0], partitions[7])
    finally:
        done.set()
        watcher.join()
    assert len(looks) > 5
    assert set(seen.values()) <= {"adopted", "in_flight"}
    assert {key.rpartition(" ")[0] for key, kind in seen.items() if kind == "adopted"} == old
    sources = pipeline.rows("SELECT kind, count(*) FROM ingest.document_sources GROUP BY 1 ORDER BY 1")
    assert list(map(tuple, sources)) == [("file", 25), ("s3", 8)]
    assert len(pipeline.instance.get_dynamic_partitions("documents")) == 33
    inventory, _ = look(pipeline)
    assert inventory.counts["matching"] == len(pipeline.rows("SELECT 1 FROM ingest.source_documents"))
    assert inventory.is_clean


def test_a_backfill_that_was_killed_half_way_ends_the_same(pipeline: Pipeline) -> None:
    seed(pipeline)
    partitions = adopt_all(pipeline).partitions
    services = pipeline.stage_services()
    # Some are done, some have a row, some an object that nobody verified; one attempt is open.
    list(Runner(services, STAGES, "killed", 2).run(partitions[:2]))
    list(Runner(services, STAGES[:1], "killed", 2).run(partitions[2:5]))
    stage = "ingest_assets.stages.document_object._verify"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, killed)
        list(Runner(services, STAGES[:2], "killed", 2).run(partitions[3:4]))
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id)"
            " VALUES (%s, 'document_object', 1, 'killed')",
            (partitions[4],),
        )
    uuids = {row.sha256: row.document_uuid for row in pipeline.rows(
        "SELECT sha256, document_uuid FROM ingest.source_documents")}  # fmt: skip

    pipeline.run_range(partitions[0], partitions[-1])
    assert sorted(pipeline.states().values()) == ["completed"] * 6 + ["duplicate", "rejected"]
    rows = pipeline.rows("SELECT sha256, document_uuid FROM ingest.source_documents")
    assert len(rows) == 6
    assert uuids.items() <= {row.sha256: row.document_uuid for row in rows}.items()
    assert look(pipeline)[0].is_clean


@pytest.fixture
def command(
    pipeline: Pipeline, services: ServerFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The command line against this pipeline."""
    settings: Settings = services.settings.model_copy(
        update={
            "data_dir": tmp_path / "data",
            "input_dir": pipeline.input_dir,
            "s3_bucket": pipeline.objects.bucket,
            "in_flight_seconds": 0,
        }
    )
    monkeypatch.setattr(running, "use_running_stack", lambda: settings)

    class Held:
        def __enter__(self) -> DagsterInstance:
            return pipeline.instance

        def __exit__(self, *_: object) -> None:
            """The fixture closes it."""

    monkeypatch.setattr(DagsterInstance, "get", Held)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


def test_the_story_on_the_command_line(pipeline: Pipeline, command: Any, tmp_path: Path) -> None:
    keys = seed(pipeline)
    plan = str(tmp_path / "plan.jsonl")
    planned = command("reconcile", "plan", "--output", plan)
    assert planned.exit_code == 1, planned.output
    assert "8 orphan" in planned.output
    assert plan in planned.output
    assert "8 partitions added" in command("reconcile", "apply", plan, "--register").output
    partitions = pipeline.instance.get_dynamic_partitions("documents")
    pipeline.run_range(partitions[0], partitions[-1])

    again = command("reconcile", "plan", "--deep", "--output", plan)
    assert again.exit_code == 0, again.output
    assert "6 matching, 8 adopted" in again.output
    lost = key_of(pipeline, "agreement 3.pdf")
    remove(pipeline, lost)
    assert command("reconcile", "apply", "--restore-lost").exit_code == 0
    assert classes(pipeline) == dict.fromkeys(keys, "adopted")

    said = command("reconcile", "apply", plan, "--delete-adopted")
    assert said.output.count("Would be removed") == 7
    assert keys <= set(contents(pipeline))
    did = command("reconcile", "apply", plan, "--delete-adopted", "--yes")
    assert did.output.count("Removed:") == 7
    assert did.exit_code == 1  # what is no document was kept
    assert list(classes(pipeline).values()) == ["adopted"]


def test_wrong_usage_is_told(pipeline: Pipeline, command: Any, tmp_path: Path) -> None:
    assert command("reconcile", "apply").exit_code == 2
    assert command("reconcile", "apply", "--delete-adopted", "--yes").exit_code == 2
    no_plan = tmp_path / "no plan"
    no_plan.write_text("{}\n")
    refused = command("reconcile", "apply", str(no_plan), "--register")
    assert (refused.exit_code, "is no plan" in refused.output) == (1, True)
    upload(pipeline, "note.txt", b"A note.")
    plan = tmp_path / "plan"
    command("reconcile", "plan", "--output", str(plan))
    plan.write_text(plan.read_text().replace(pipeline.objects.bucket, "another"))
    refused = command("reconcile", "apply", str(plan), "--register")
    assert (refused.exit_code, "plan of bucket another" in refused.output) == (1, True)
    assert pipeline.rows("SELECT 1 FROM ingest.document_sources") == []
    bad_sample = command("reconcile", "plan", "--deep", "--sample", "2")
    assert (bad_sample.exit_code, "1/50" in bad_sample.output) == (1, True)


def test_rebuild_db_on_the_command_line(pipeline: Pipeline, command: Any) -> None:
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    uuids = pipeline.rows("SELECT document_uuid FROM ingest.source_documents")
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE ingest.document_sources CASCADE")
    rebuilt = command("rebuild-db", "--deep")
    assert rebuilt.exit_code == 0, rebuilt.output
    assert "1 document restored" in rebuilt.output
    assert pipeline.rows("SELECT document_uuid FROM ingest.source_documents") == uuids
    pipeline.ingest()
    assert pipeline.states() == {"note.txt": "completed"}
