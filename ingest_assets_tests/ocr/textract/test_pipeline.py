"""Textract as the pipeline's engine: Dagster's runs, the command line, and what was left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from dagster import DagsterInstance

from ingest_assets.cli import main, running
from ingest_assets.defs.code_location import build_defs
from ingest_assets.defs.documents import READ_AGAIN_TAG
from ingest_assets.settings import Settings
from ingest_assets_tests.support.bucket import execute, upload
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.stand_in import StandIn

Command = Callable[..., Result]


@pytest.fixture
def settings(pipeline: Pipeline, textract: StandIn, tmp_path: Path) -> Settings:
    """Those of `pipeline`, with the engine `textract`."""
    return pipeline.settings.model_copy(
        update={
            "data_dir": tmp_path / "data",
            "ocr_workers": 1,
            "ocr_engine": "textract",
            "textract_starts_per_second": 20.0,
            "textract_gets_per_second": 50.0,
            "aws_endpoint_url_textract": textract.url,
        }
    )


@pytest.fixture
def command(pipeline: Pipeline, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line against this pipeline."""
    monkeypatch.setattr(running, "use_running_stack", lambda: settings)

    class Held:
        def __enter__(self) -> DagsterInstance:
            return pipeline.instance

        def __exit__(self, *_: object) -> None:
            """The fixture closes it."""

    monkeypatch.setattr(DagsterInstance, "get", Held)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def engines(pipeline: Pipeline) -> set[str]:
    return {row.engine for row in pipeline.rows("SELECT engine FROM ingest.document_texts")}


def test_switching_the_engine_and_asking_to_read_again(
    pipeline: Pipeline, settings: Settings, textract: StandIn
) -> None:
    pipeline.put("agreement.pdf", pdf("An agreement."))
    pipeline.ingest()
    pipeline.defs = build_defs(settings)
    pipeline.put("later.pdf", pdf("A later one."))
    pipeline.ingest()
    (old, new) = pipeline.instance.get_dynamic_partitions("documents")
    assert engines(pipeline) == {"local", "textract"}
    assert pipeline.run_range(old, new).success
    assert engines(pipeline) == {"local", "textract"}
    assert pipeline.run_range(old, new, tags={READ_AGAIN_TAG: "other-engine"}).success
    assert engines(pipeline) == {"textract"}
    assert len(textract.jobs) == 2


def test_the_engine_is_verified_before_anything_is_paid(
    command: Command, textract: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = command("verify", "--engine")
    assert well.exit_code == 0, well.output
    assert "lets the caller start jobs" in well.output
    textract.faults(deny=True)
    denied = command("verify", "--engine", "--json")
    assert denied.exit_code == 1
    (check,) = json.loads(denied.output)["checks"]
    assert "AccessDeniedException" in check["failing"][0]
    assert textract.jobs == []


def test_no_run_is_launched_while_textract_refuses(
    pipeline: Pipeline, settings: Settings, textract: StandIn
) -> None:
    pipeline.defs = build_defs(settings)
    pipeline.put("agreement.pdf", pdf("An agreement."))
    textract.faults(deny=True)
    tick = pipeline.tick()
    assert not tick.run_requests
    assert "AccessDeniedException" in str(tick.skip_message)
    textract.faults()
    assert [run.success for run in pipeline.ingest()] == [True]
    assert pipeline.states() == {"agreement.pdf": "completed"}


def test_what_was_stuck_is_imported_and_finished(
    pipeline: Pipeline, settings: Settings, command: Command, textract: StandIn
) -> None:
    keys = [upload(pipeline, f"agreement {n}.pdf", pdf(f"Agreement {n}.")) for n in range(3)]
    execute(pipeline, "CREATE SCHEMA old")
    execute(
        pipeline,
        """CREATE TABLE old.source_documents (document_uuid uuid DEFAULT gen_random_uuid(),
           original_file_name varchar, s3_bucket text, s3_key text, textract_job_id text)""",
    )
    rows = [(f"Agreement No. {n}.pdf", key, "N/A_START_FAILURE") for n, key in enumerate(keys)]
    rows += [("done.pdf", "documents/done.pdf", "0a1b"), ("gone.pdf", "gone", "N/A_START_FAILURE")]
    for name, key, job in rows:
        execute(
            pipeline,
            """INSERT INTO old.source_documents (original_file_name, s3_bucket, s3_key, textract_job_id)
               VALUES (:name, :bucket, :key, :job)""",
            name=name,
            bucket=pipeline.objects.bucket,
            key=key,
            job=job,
        )
    first = command("reconcile", "import-stuck", "old.source_documents")
    assert first.exit_code == 1  # because of the one that is gone
    assert "3 orphans registered, 3 partitions added, 1 left alone" in first.output
    assert "names an object that is not there" in first.output
    config = {"ops": {"import_stuck_documents": {"config": {"table": "old.source_documents"}}}}
    pipeline.defs = build_defs(settings)
    again = pipeline.defs.resolve_job_def("import_stuck")
    assert again.execute_in_process(instance=pipeline.instance, run_config=config).success
    partitions = pipeline.instance.get_dynamic_partitions("documents")
    assert len(partitions) == 3
    counted = command("reconcile", "plan", "--count-pages").output
    assert "Textract: 3 documents, 3 pages, about $0.00." in counted
    assert pipeline.run_range(partitions[0], partitions[-1]).success
    assert pipeline.states() == {f"Agreement No. {n}.pdf": "completed" for n in range(3)}
    assert len(textract.jobs) == 3
    assert "no column" in command("reconcile", "import-stuck", "ingest.document_pages").output
    assert "no table" in command("reconcile", "import-stuck", "old.nothing").output


def test_the_cost_is_told_before_it_is_spent(pipeline: Pipeline, command: Command) -> None:
    for number in range(4):
        upload(pipeline, f"{number}.pdf", pdf(*"ABC"))
    upload(pipeline, "note.txt", b"Nothing to recognise.")
    pipeline.put("two.pdf", pdf(*"AB"))
    pipeline.requests()
    estimated = command("reconcile", "plan").output
    assert "Textract: 5 documents, 5 pages, about $0.01 (the pages of 5 are estimated" in estimated
    counted = command("reconcile", "plan", "--count-pages").output
    assert "Textract: 5 documents, 13 pages, about $0.02 (the pages of 1 are estimated" in counted
    pipeline.ingest()
    counted = command("reconcile", "plan", "--count-pages").output
    assert "Textract: 4 documents, 12 pages, about $0.02." in counted
    assert pipeline.rows("SELECT * FROM ingest.textract_jobs") == []
