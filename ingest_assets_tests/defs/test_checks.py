"""The checklist in Dagster and on the command line, and what makes it run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dagster import AssetCheckSeverity, AssetKey, DagsterInstance, build_sensor_context
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from ingest_assets.cli import main
from ingest_assets.defs.checks import verification
from ingest_assets.defs.sensors import verify_after_backfill
from ingest_assets.markdown import table
from ingest_assets.operations.verification.questions import CHECKS
from ingest_assets_tests.operations.verification.test_engine import add_source, change
from ingest_assets_tests.support.pipeline import STAGES, Pipeline

Invoke = Callable[..., Result]


@pytest.fixture
def healthy(pipeline: Pipeline) -> Pipeline:
    pipeline.put("good.txt", b"A good document.")
    pipeline.put("empty | <b>.txt", b"")
    pipeline.ingest()
    return pipeline


@pytest.fixture
def invoke(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """The command line against the test's pipeline, as in a shell that has evaluated `env`."""
    own = {
        "INGEST_DATA_DIR": str(tmp_path / "data"),
        "INGEST_INPUT_DIR": str(pipeline.input_dir),
        "INGEST_S3_BUCKET": pipeline.objects.bucket,
        "INGEST_IN_FLIGHT_SECONDS": "0",
        "INGEST_DAGIT_PORT": "3210",
    }
    # A copy, because commands put the stack's variables into it.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ.update(own)
    monkeypatch.setattr(DagsterInstance, "get", lambda: nullcontext(pipeline.instance))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    return run


def verify_in_dagster(pipeline: Pipeline) -> dict[str, dict[str, object]]:
    job = pipeline.defs.resolve_job_def("verify_documents")
    run = job.execute_in_process(instance=pipeline.instance)
    assert run.success  # the look went well, whatever it saw
    evaluations = run.get_asset_check_evaluations()
    assert {e.asset_key for e in evaluations} == {AssetKey("ingest_report")}
    warnings = {e.check_name for e in evaluations if e.severity == AssetCheckSeverity.WARN}
    assert warnings == {"nothing_left_out"}
    return {
        e.check_name: {"passed": e.passed, **{n: v.value for n, v in e.metadata.items()}}
        for e in evaluations
    }


def test_the_job_evaluates_every_check_and_reports(healthy: Pipeline) -> None:
    found = verify_in_dagster(healthy)
    assert set(found) == {check.name for check in CHECKS}
    assert all(check["passed"] for check in found.values())
    explained = str(found["stages_passed"]["explained"])
    assert "empty b .txt" in explained
    assert "0 bytes" in explained

    event = healthy.instance.get_latest_materialization_event(AssetKey("ingest_report"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["documents"].value == 2
    assert metadata["state_rejected"].value == 1
    assert metadata["eta_seconds"].value == 0
    assert "| completed | 1 |" in str(metadata["by_state"].value)
    assert "| document_entities | 1 |" in str(metadata["by_stage"].value)
    assert "empty b .txt" in str(metadata["latest_failures"].value)


def test_a_failing_check_names_documents_and_remedy(healthy: Pipeline) -> None:
    add_source(healthy, "forgotten", kind="s3")
    check = verify_in_dagster(healthy)["sources_have_rows"]
    assert not check["passed"]
    assert check["failing"] == 1
    assert "| forgotten | Seen at" in str(check["documents"])
    assert "materialise" in str(check["remedy"])


def test_one_check_can_be_asked_alone(healthy: Pipeline) -> None:
    job = healthy.defs.resolve_implicit_global_asset_job_def()
    key = next(iter(verification.check_keys))
    alone = job.get_subset(asset_check_selection={key})
    evaluations = alone.execute_in_process(instance=healthy.instance).get_asset_check_evaluations()
    assert [(e.check_name, e.passed) for e in evaluations] == [(key.name, True)]


def test_materialising_documents_leaves_the_checks_alone(healthy: Pipeline) -> None:
    keys = healthy.instance.get_dynamic_partitions("documents")
    job = healthy.defs.resolve_implicit_global_asset_job_def()
    run = job.execute_in_process(
        instance=healthy.instance,
        asset_selection=[AssetKey(stage) for stage in STAGES],
        partition_key=keys[0],
        raise_on_error=False,
    )
    assert {event.step_key for event in run.all_events if event.step_key} == {"documents"}


def add_backfill(
    pipeline: Pipeline, name: str, status: BulkActionStatus, ended: float | None, *assets: str
) -> None:
    pipeline.instance.add_backfill(
        PartitionBackfill(
            backfill_id=name,
            status=status,
            from_failure=False,
            tags={},
            backfill_timestamp=1.0,
            asset_selection=[AssetKey(asset) for asset in assets or STAGES],
            serialized_asset_backfill_data="{}",
            backfill_end_timestamp=ended,
        )
    )


def asked_for(pipeline: Pipeline) -> Sequence[str | None]:
    context = build_sensor_context(instance=pipeline.instance, definitions=pipeline.defs)
    result = verify_after_backfill.evaluate_tick(context)
    return [request.run_key for request in result.run_requests or ()]


def test_a_backfill_that_ended_is_verified(pipeline: Pipeline) -> None:
    assert asked_for(pipeline) == []
    add_backfill(pipeline, "working", BulkActionStatus.REQUESTED, None)
    add_backfill(pipeline, "report", BulkActionStatus.COMPLETED_SUCCESS, 9.0, "ingest_report")
    assert asked_for(pipeline) == []
    # The one that was launched last did not end last.
    add_backfill(pipeline, "later", BulkActionStatus.COMPLETED_FAILED, 5.0)
    add_backfill(pipeline, "earlier", BulkActionStatus.COMPLETED_SUCCESS, 4.0)
    assert asked_for(pipeline) == asked_for(pipeline) == ["later"]


def test_verify_says_yes_with_exit_code_0(healthy: Pipeline, invoke: Invoke) -> None:
    result = invoke("verify")
    assert result.exit_code == 0, result.output
    assert "All is well." in result.output
    found = json.loads(invoke("verify", "--json").output)
    assert found["passed"] is True
    assert [check["name"] for check in found["checks"]] == [check.name for check in CHECKS]
    assert all(check["passed"] and check["failing"] == [] for check in found["checks"])


def test_verify_says_no_with_exit_code_1(healthy: Pipeline, invoke: Invoke) -> None:
    change(healthy, "DELETE FROM ingest.document_texts")
    result = invoke("verify")
    assert result.exit_code == 1
    assert "stages_passed" in result.output
    assert "FAILED" in result.output
    assert "'good.txt'" in result.output
    assert "What to do: Launch a run of these partitions" in result.output
    result = invoke("verify", "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert found["passed"] is False
    (check,) = [check for check in found["checks"] if check["name"] == "stages_passed"]
    assert check["count"] == 1
    assert check["failing"][0]["original_file_name"] == "good.txt"
    assert check["remedy"]


def test_why_ends_with_0_for_one_document_and_1_for_none_or_several(
    healthy: Pipeline, invoke: Invoke
) -> None:
    result = invoke("why", "good.txt")
    assert result.exit_code == 0, result.output
    assert "'good.txt': completed" in result.output
    assert "http://127.0.0.1:3210/runs/" in result.output
    assert invoke("why", "nowhere").exit_code == 1
    assert invoke("why", ".txt").exit_code == 1


def test_what_a_file_is_called_breaks_no_table() -> None:
    rendered = table(("name",), [("a|b\n`c` <img src=x> [link](x)",), (None,)])
    assert rendered == "| name |\n| --- |\n| a b c img src=x link (x) |\n|  |"
