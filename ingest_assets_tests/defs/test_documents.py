"""The asset graph over partition ranges: who is green, who is red, and what a person is told."""

from __future__ import annotations

import json

from dagster import AssetCheckSeverity, AssetKey, DagsterEventType

from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.pipeline import STAGES, Pipeline


def test_good_documents_are_green_and_bad_ones_red_at_their_stage(pipeline: Pipeline) -> None:
    pipeline.use_engines_of_runs()
    pipeline.put("agreement.pdf", pdf("This agreement is made between two parties."))
    pipeline.put("empty.txt", b"")
    pipeline.put("broken.pdf", b"%PDF-1.7\nnot really\n")
    pipeline.put("note.txt", b"A plain note.")

    (run,) = pipeline.ingest()

    assert not run.success
    states = {asset: pipeline.partition_states(asset) for asset in STAGES}
    key = {name: key for key, name in pipeline.rows(
        "SELECT partition_key, original_file_name FROM ingest.document_sources")}  # fmt: skip
    for name in ("agreement.pdf", "note.txt"):
        assert [states[asset][key[name]] for asset in STAGES] == ["MATERIALIZED"] * len(STAGES)
    assert {states[asset][key["empty.txt"]] for asset in STAGES} == {"MATERIALIZED"}
    assert states["document_object"][key["broken.pdf"]] == "MATERIALIZED"
    assert states["document_text"][key["broken.pdf"]] == "FAILED"
    assert pipeline.states() == {
        "agreement.pdf": "completed",
        "note.txt": "completed",
        "empty.txt": "rejected",
        "broken.pdf": "failed",
    }
    failures = [e for e in run.all_events if e.event_type == DagsterEventType.STEP_FAILURE]
    (failure,) = failures
    assert failure.step_failure_data.user_failure_data is not None
    description = failure.step_failure_data.user_failure_data.description or ""
    assert description.startswith("1 of 4 documents failed; the others are done.")
    assert "empty.txt" not in description
    assert key["broken.pdf"] in description


def test_a_failure_names_twenty_documents_and_counts_the_rest(pipeline: Pipeline) -> None:
    for number in range(25):
        pipeline.put(f"{number:02}.pdf", f"%PDF-1.7\nnot really {number}\n".encode())
    requests = pipeline.requests()
    first, last = requests[0].tags, requests[-1].tags
    run = pipeline.run_range(
        first["dagster/asset_partition_range_start"], last["dagster/asset_partition_range_end"]
    )
    (failure,) = [e for e in run.all_events if e.event_type == DagsterEventType.STEP_FAILURE]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert (data.description or "").count("corrupt_document") == 20
    assert (data.description or "").endswith("… and 5 more.")


def test_materialisations_carry_what_a_person_needs(pipeline: Pipeline) -> None:
    pipeline.put("invoice.png", picture("INVOICE 2041", "Total due: 118.40"))
    pipeline.ingest()
    event = pipeline.instance.get_latest_materialization_event(AssetKey("document_text"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    (row,) = pipeline.rows("SELECT * FROM ingest.source_documents")
    assert metadata["document_uuid"].value == str(row.document_uuid)
    assert metadata["file_name"].value == "invoice.png"
    assert metadata["dagster/uri"].value == f"s3://{pipeline.objects.bucket}/{row.s3_key}"
    assert metadata["pages"].value == metadata["pages_recognised"].value == 1
    assert "118.40" in str(metadata["preview"].value)
    assert str(metadata["page_1"].value).startswith("![page 1](data:image/jpeg;base64,")
    assert len(json.dumps(str(metadata))) < 32_000
    tags = event.asset_materialization.tags or {}
    assert tags["dagster/data_version"]
    assert tags["dagster/code_version"].startswith("1; local: reading ")
    assert metadata["complete"].value is True


def test_what_was_left_out_is_a_warning_on_the_text_and_fails_no_run(pipeline: Pipeline) -> None:
    pipeline.put("scan.txt", b"A document.")
    pipeline.put("note.txt", b"A plain note.")
    (run,) = pipeline.ingest()
    checks = run.get_asset_check_evaluations()
    assert {check.check_name: check.passed for check in checks} == {
        "nothing_left_out": True,
        "files_are_documents": True,
    }
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql("""
            INSERT INTO ingest.document_notes
                (document_uuid, note_number, page_number, kind, sentence, leaves_out)
            SELECT document_uuid, 1, 7, 'unread_ink', 'a drawing | of a house', true
            FROM ingest.source_documents WHERE original_file_name = 'scan.txt'
        """)
    first, *_, last = pipeline.instance.get_dynamic_partitions("documents")
    run = pipeline.run_range(first, last)
    assert run.success
    check, others = run.get_asset_check_evaluations()
    assert others.passed
    assert (check.asset_key, check.passed) == (AssetKey("document_text"), False)
    assert check.severity == AssetCheckSeverity.WARN
    assert check.metadata["incomplete"].value == 1
    assert "scan.txt" in str(check.metadata["latest"].value)
    assert "page 7: a drawing" in str(check.metadata["latest"].value)
    # A run that reads nothing does not ask what was left out.
    (check,) = pipeline.run_range(first, last, assets=["document_row"]).get_asset_check_evaluations()
    assert check.check_name == "files_are_documents"


def test_a_partition_without_its_upstream_fails_with_a_sentence(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A plain note.")
    (request,) = pipeline.requests()
    key = request.tags["dagster/asset_partition_range_start"]

    run = pipeline.run_range(key, key, assets=["document_text"])
    assert not run.success
    (error,) = pipeline.rows(
        "SELECT error_code, error_message, error_remedy FROM ingest.stage_attempts"
    )
    assert error.error_code == "upstream_missing"
    assert "has no row" in error.error_message
    assert error.error_remedy == "Materialise document_row first."

    assert pipeline.run_range(key, key, assets=["document_row"]).success
    assert not pipeline.run_range(key, key, assets=["document_text"]).success
    (error,) = pipeline.rows(
        "SELECT error_message, error_remedy FROM ingest.document_progress WHERE state = 'failed'"
    )
    assert "has no stored object" in error.error_message
    assert error.error_remedy == "Materialise document_object first."

    assert pipeline.run_range(key, key, assets=STAGES[1:]).success
    assert pipeline.states() == {"note.txt": "completed"}


def test_running_again_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.put("agreement.pdf", pdf("One page.", "Another page."))
    (request,) = pipeline.requests()
    assert pipeline.launch(request).success
    before = pipeline.rows("SELECT * FROM ingest.source_documents")
    texts = pipeline.rows("SELECT * FROM ingest.document_texts")
    keys = pipeline.object_keys()

    assert pipeline.launch(request).success
    assert pipeline.rows("SELECT * FROM ingest.source_documents") == before
    assert pipeline.rows("SELECT * FROM ingest.document_texts") == texts
    assert pipeline.object_keys() == keys


def test_the_same_bytes_under_two_names_are_one_document(pipeline: Pipeline) -> None:
    content = pdf("The same agreement.")
    pipeline.put("first.pdf", content)
    pipeline.put("second.pdf", content)

    (run,) = pipeline.ingest()

    assert run.success
    assert sorted(pipeline.states().values()) == ["completed", "duplicate"]
    assert len(pipeline.object_keys()) == 1
    assert len(pipeline.rows("SELECT * FROM ingest.document_texts")) == 1
    for asset in STAGES:
        assert set(pipeline.partition_states(asset).values()) == {"MATERIALIZED"}


def test_a_document_without_readable_text_is_an_outcome_and_no_failure(pipeline: Pipeline) -> None:
    pipeline.put("blank.pdf", pdf(""))
    (run,) = pipeline.ingest()
    assert run.success
    assert pipeline.states() == {"blank.pdf": "no_text"}


def test_pages_are_places_in_the_text(pipeline: Pipeline) -> None:
    pages = ["First page, first words.", "Second page.", "Third page: the end."]
    pipeline.put("three.pdf", pdf(*pages))
    pipeline.ingest()
    found = pipeline.rows("""
        SELECT substr(text, char_start::int + 1, (char_end - char_start)::int) AS page, origin
        FROM ingest.document_pages JOIN ingest.document_texts USING (document_uuid)
        ORDER BY page_number
    """)
    assert [(row.page.strip(), row.origin) for row in found] == [(page, "text-layer") for page in pages]
