"""Red means that a person is needed: what is no document, or another one now, is green and says so."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest
from dagster import AssetCheckSeverity, AssetKey, DagsterEventType

from ingest_assets.catalogue import NO_DOCUMENT, outcome_of
from ingest_assets.cli import render
from ingest_assets.defs.outcomes import report_outcomes
from ingest_assets.operations.status import read_status
from ingest_assets.stages.content import Content, examine
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import STAGES, Pipeline


def shown(pipeline: Pipeline, key: str) -> list[str]:
    """What Dagit shows of a partition, asset by asset."""
    return [pipeline.partition_states(asset)[key] for asset in STAGES]


def key_of(pipeline: Pipeline, name: str) -> list[str]:
    rows = pipeline.rows(
        "SELECT partition_key FROM ingest.document_sources WHERE original_file_name = :name"
        " ORDER BY sequence_number",
        name=name,
    )
    return [row.partition_key for row in rows]


def test_what_is_no_document_is_green_and_named(pipeline: Pipeline) -> None:
    pipeline.put("empty.txt", b"")
    pipeline.put("program", b"\x7fELF\x02\x01\x01\x00" + bytes(100))
    (pipeline.input_dir / "loop").symlink_to(".")
    pipeline.put("note.txt", b"A note.")
    (run,) = pipeline.ingest()
    assert run.success
    (key,) = key_of(pipeline, "empty.txt")
    assert shown(pipeline, key) == ["MATERIALIZED"] * len(STAGES)
    (event,) = [
        event.step_materialization_data.materialization
        for event in run.all_events
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION
        and event.partition == key
        and event.asset_key == AssetKey("document_text")
    ]
    assert event.metadata["outcome"].value == "rejected"
    assert event.metadata["reason"].value == "'empty.txt' is empty (0 bytes)."
    checks = {check.check_name: check for check in run.get_asset_check_evaluations()}
    check = checks["files_are_documents"]
    assert not check.passed
    assert check.severity == AssetCheckSeverity.WARN
    assert check.description == "Files and parts that are no documents: 3."
    assert "| program | unsupported_type |" in str(check.metadata["latest"].value)
    status = read_status(pipeline.database)
    assert status.no_documents == {"empty": 1, "link_loop": 1, "unsupported_type": 1}
    printed = render.plain(render.status(status))
    assert (
        "Files and parts that are no documents: 3 (1 empty, 1 link_loop, 1 unsupported_type)."
        in printed
    )
    assert "Latest failures" not in printed
    assert pipeline.requests() == []


def test_later_stages_alone_of_what_is_no_document_are_green(pipeline: Pipeline) -> None:
    """As in a backfill of one asset over all documents."""
    pipeline.put("empty.txt", b"")
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    keys = pipeline.instance.get_dynamic_partitions("documents")
    assert pipeline.run_range(keys[0], keys[-1], assets=["document_text", "document_chunks"]).success
    assert pipeline.states() == {"empty.txt": "rejected", "note.txt": "completed"}


def test_the_database_has_the_same_outcomes_as_the_catalogue(pipeline: Pipeline) -> None:
    (row,) = pipeline.rows("SELECT pg_get_viewdef('ingest.document_progress') AS view")
    (index,) = pipeline.rows(
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_stage_attempts_no_document'"
    )
    listed = ", ".join(f"'{code}'::text" for code in NO_DOCUMENT)
    assert f"latest.error_code = ANY (ARRAY[{listed}])" in row.view
    assert f"error_code = ANY (ARRAY[{listed}])" in index.indexdef
    assert {outcome_of(code) for code in NO_DOCUMENT} == {"rejected"}


def grow_while_it_is_read(path: Path, content: bytes, patch: pytest.MonkeyPatch) -> None:
    """Let the file change when its row is made, as a slow scanner does."""

    def examine_and_write(file: BinaryIO, size_bytes: int) -> Content:
        found = examine(file, size_bytes)
        path.write_bytes(content)
        return found

    patch.setattr("ingest_assets.stages.document_row.examine", examine_and_write)


def test_a_file_that_grows_while_it_is_read_is_superseded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pdf("All pages of the scan.")
    path = pipeline.put("scan.pdf", whole[: len(whole) // 3])
    with monkeypatch.context() as patch:
        grow_while_it_is_read(path, whole, patch)
        (request,) = pipeline.requests()
        run = pipeline.launch(request)
    assert run.success
    (first,) = key_of(pipeline, "scan.pdf")
    assert shown(pipeline, first) == ["MATERIALIZED"] * len(STAGES)
    assert "when it has settled" in pipeline.why(first)
    pipeline.ingest()
    first, second = key_of(pipeline, "scan.pdf")
    states = dict(
        map(tuple, pipeline.rows("SELECT partition_key, state FROM ingest.document_progress"))
    )
    assert states == {first: "superseded", second: "completed"}
    assert f"the file as it is now is partition {second}" in pipeline.why(first)


def test_a_failed_version_turns_green_when_the_whole_file_is_found(pipeline: Pipeline) -> None:
    whole = pdf("All pages of the scan.")
    pipeline.put("scan.pdf", b"%PDF-1.7\nhalf of it")
    (run,) = pipeline.ingest()
    assert not run.success
    (first,) = key_of(pipeline, "scan.pdf")
    assert shown(pipeline, first)[2] == "FAILED"
    pipeline.put("scan.pdf", whole)
    (request,) = pipeline.requests()
    assert pipeline.launch(request).success
    first, second = key_of(pipeline, "scan.pdf")
    assert report_outcomes(pipeline.instance, pipeline.database, quiet_seconds=0) == 1
    assert shown(pipeline, first) == ["MATERIALIZED"] * len(STAGES)
    event = pipeline.instance.get_latest_materialization_event(AssetKey("document_entities"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["outcome"].value == "superseded"
    assert second in str(event.asset_materialization.metadata["superseded_by"].value)
    assert report_outcomes(pipeline.instance, pipeline.database, quiet_seconds=0) == 0
    assert read_status(pipeline.database).by_state["failed"] == 0
    assert pipeline.retry() == []


def test_an_outcome_whose_run_was_killed_is_reported_by_the_sensor(pipeline: Pipeline) -> None:
    pipeline.put("empty.txt", b"")
    pipeline.requests()
    (key,) = key_of(pipeline, "empty.txt")
    pipeline.run_without_dagster([key])
    assert shown(pipeline, key) == ["MISSING"] * len(STAGES)
    assert report_outcomes(pipeline.instance, pipeline.database) == 0  # Its run may do it yet.
    assert report_outcomes(pipeline.instance, pipeline.database, quiet_seconds=0) == 1
    assert shown(pipeline, key) == ["MATERIALIZED"] * len(STAGES)
