"""The verification checklist: all is well on a healthy pipeline, and each planted fault is named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from ingest_assets.cli import render
from ingest_assets.defs.partitions import shown_partitions
from ingest_assets.operations.status import read_status
from ingest_assets.operations.verification.engine import (
    CheckResult,
    ShownPartition,
    Verification,
    verify,
)
from ingest_assets.operations.verification.questions import CHECKS, NAMED
from ingest_assets.settings import S3Prefix
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.fixtures import TakeSnapshot
from ingest_assets_tests.support.pipeline import STAGES, Pipeline, Snapshot
from ingest_assets_tests.support.servers import Services

GREEN = ("materialized",) * len(STAGES)
OTHER = "gen_random_uuid()"
ATTEMPT_OF_GOOD = """
    partition_key = (SELECT partition_key FROM ingest.document_sources
                     WHERE original_file_name = 'good.txt')
"""


def change(pipeline: Pipeline, *statements: str) -> None:
    """Do to the database what nobody should."""
    with pipeline.database.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def judge(
    pipeline: Pipeline,
    in_flight_seconds: float = 0,
    shown: Iterable[ShownPartition] | None = None,
    only: Collection[str] | None = None,
) -> Verification:
    return verify(
        pipeline.database,
        pipeline.objects,
        shown_partitions(pipeline.instance) if shown is None else shown,
        in_flight_seconds=in_flight_seconds,
        only=only,
        inbox=lambda: pipeline.inbox,
    )


def report(verification: Verification) -> str:
    return render.plain(render.verification(verification))


def failed(verification: Verification) -> dict[str, CheckResult]:
    return {check.name: check for check in verification.checks if not check.passed}


def key_of(pipeline: Pipeline, name: str) -> str:
    (row,) = pipeline.rows(
        "SELECT partition_key FROM ingest.document_sources WHERE original_file_name = :name", name=name
    )
    return str(row.partition_key)


def add_source(pipeline: Pipeline, name: str, *, age: str = "1 day", kind: str = "file") -> str:
    """A source that nobody has worked on, with its partition."""
    key = f"{name}-0123456789ab"
    change(
        pipeline,
        f"""INSERT INTO ingest.document_sources (partition_key, source_uri, kind, original_file_name,
                size_bytes, source_version, discovered_at, batch_id)
            VALUES ('{key}', '{kind}:///{name}', '{kind}', '{name}', 1, '1',
                    now() - interval '{age}', {OTHER})""",
    )
    pipeline.instance.add_dynamic_partitions("documents", [key])
    return key


def ingest_all_outcomes(pipeline: Pipeline) -> None:
    """Documents with every kind of outcome that a text file can have."""
    pipeline.put("good.txt", b"A good document.")
    pipeline.put("other.txt", b"Another document.")
    pipeline.put("one.txt", b"Seen twice.")
    pipeline.put("two.txt", b"Seen twice.")
    pipeline.put("empty.txt", b"")
    pipeline.put("broken.pdf", b"%PDF-1.4 broken")
    pipeline.ingest()


@pytest.fixture(scope="module")
def ingested(
    take_snapshot: TakeSnapshot, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Snapshot]:
    with take_snapshot(tmp_path_factory.mktemp("healthy"), ingest_all_outcomes) as snapshot:
        yield snapshot


@pytest.fixture
def healthy(ingested: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A copy of the test's own."""
    with ingested.copy(tmp_path / "dagster", monkeypatch) as pipeline:
        yield pipeline


def test_a_healthy_pipeline_passes_every_check(healthy: Pipeline) -> None:
    found = judge(healthy)
    assert failed(found) == {}
    assert found.passed
    assert found.in_flight == 0
    assert len(found.checks) == len(CHECKS)
    stages = next(check for check in found.checks if check.name == "stages_passed")
    assert {
        (named.original_file_name, "corrupt" in named.why) for named in stages.answer.explained
    } == {
        ("empty.txt", False),
        ("broken.pdf", True),
    }
    assert report(found).endswith("All is well.\n")


def test_what_was_left_out_is_named_and_fails_nothing(healthy: Pipeline) -> None:
    change(
        healthy,
        """INSERT INTO ingest.document_notes
               (document_uuid, note_number, page_number, kind, sentence, leaves_out)
           SELECT document_uuid, number, number, 'unread_ink', 'a drawing', true
           FROM ingest.source_documents, generate_series(1, 3) AS number
           WHERE original_file_name = 'good.txt'""",
    )
    found = judge(healthy)
    assert found.passed
    (check,) = [check for check in found.checks if not check.passed]
    assert (check.name, check.failed, check.answer.count) == ("nothing_left_out", False, 1)
    assert check.answer.failing[0].why == "page 1: a drawing (and 2 more)"
    assert report(found).endswith("All is well.\n")
    status = read_status(healthy.database)
    assert (status.incomplete, status.noted) == (1, 1)


def test_an_empty_pipeline_passes_every_check(pipeline: Pipeline) -> None:
    assert failed(judge(pipeline)) == {}


@dataclass(frozen=True)
class Fault:
    """What is planted, which checks it fails, and what they must say."""

    plant: Callable[[Pipeline], object]
    fails: set[str]
    named: str
    why: str


def delete_partition(pipeline: Pipeline) -> None:
    pipeline.instance.delete_dynamic_partition("documents", key_of(pipeline, "good.txt"))


def rewrite_key(pipeline: Pipeline) -> None:
    change(
        pipeline,
        "ALTER TABLE ingest.source_documents DROP CONSTRAINT ck_source_documents_s3_key",
        "ALTER TABLE ingest.source_documents ALTER COLUMN s3_key DROP EXPRESSION",
        "UPDATE ingest.source_documents SET s3_key = 'documents/2025/06/05/0123abcd_good.txt'"
        " WHERE original_file_name = 'good.txt'",
    )


def delete_object(pipeline: Pipeline) -> None:
    ((key,),) = pipeline.rows(
        "SELECT s3_key FROM ingest.source_documents WHERE original_file_name = 'good.txt'"
    )
    pipeline.objects.client.delete_object(Bucket=pipeline.objects.bucket, Key=key)


def overwrite_object(pipeline: Pipeline) -> None:
    ((key,),) = pipeline.rows(
        "SELECT s3_key FROM ingest.source_documents WHERE original_file_name = 'good.txt'"
    )
    pipeline.objects.client.put_object(Bucket=pipeline.objects.bucket, Key=key, Body=b"Other bytes.")


def upload_without_row(pipeline: Pipeline) -> None:
    pipeline.objects.client.put_object(
        Bucket=pipeline.objects.bucket, Key="documents/2025/06/05/0123abcd_lost.pdf", Body=b"%PDF-1.4"
    )


FAULTS = {
    "a source that nobody works on": Fault(
        lambda pipeline: add_source(pipeline, "forgotten"),
        {"sources_have_rows"},
        "forgotten",
        "nothing has worked on it",
    ),
    "a registered upload that nobody works on": Fault(
        lambda pipeline: add_source(pipeline, "upload", kind="s3"),
        {"sources_have_rows"},
        "upload",
        "nothing has worked on it",
    ),
    "an attempt with another UUID": Fault(
        lambda pipeline: change(
            pipeline,
            f"""UPDATE ingest.stage_attempts SET document_uuid = (
                    SELECT document_uuid FROM ingest.source_documents
                    WHERE original_file_name = 'other.txt')
                WHERE stage = 'document_object' AND {ATTEMPT_OF_GOOD}""",
        ),
        {"one_uuid"},
        "good.txt",
        "Attempt 1 at document_object names document",
    ),
    "a key with another name": Fault(
        rewrite_key,
        {"one_uuid", "objects_have_rows", "rows_have_objects"},
        "good.txt",
        "Its key is documents/2025/06/05/0123abcd_good.txt",
    ),
    "a row that its own sighting does not name": Fault(
        lambda pipeline: change(
            pipeline,
            """UPDATE ingest.source_documents SET partition_key = (
                    SELECT partition_key FROM ingest.document_sources
                    WHERE original_file_name = 'empty.txt')
               WHERE original_file_name = 'other.txt'""",
        ),
        {"one_uuid"},
        "other.txt",
        "names document none",
    ),
    "an attempt that found no document": Fault(
        lambda pipeline: change(
            pipeline,
            f"""INSERT INTO ingest.stage_attempts (partition_key, document_uuid, stage, attempt, run_id,
                    status, error_class, error_code, error_message, finished_at)
                SELECT partition_key, document_uuid, 'document_text', 2, 'run', 'failed', 'permanent',
                       'object_missing', 'S3 has no such object.', now()
                FROM ingest.document_sources WHERE {ATTEMPT_OF_GOOD}""",
        ),
        {"no_document_not_found"},
        "good.txt",
        "Attempt 2 ended with object_missing: S3 has no such object.",
    ),
    "an attempt with an unknown UUID": Fault(
        lambda pipeline: change(
            pipeline,
            "ALTER TABLE ingest.stage_attempts DROP CONSTRAINT fk_stage_attempts_document_uuid",
            f"""UPDATE ingest.stage_attempts SET document_uuid = {OTHER}
                WHERE stage = 'document_text' AND {ATTEMPT_OF_GOOD}""",
        ),
        {"known_uuids", "one_uuid"},
        "good.txt",
        "Attempt 1 at document_text names a document that has no row.",
    ),
    "a part that is not recorded": Fault(
        lambda pipeline: change(
            pipeline,
            """INSERT INTO ingest.document_containers (document_uuid, part_count, unpacked_by)
               SELECT document_uuid, 1, '' FROM ingest.source_documents
               WHERE original_file_name = 'other.txt'""",
        ),
        {"parts_have_outcomes"},
        "other.txt",
        "1 parts were found in it, and 0 are recorded",
    ),
    "a text that is gone": Fault(
        lambda pipeline: change(
            pipeline,
            """DELETE FROM ingest.document_texts USING ingest.source_documents AS document
               WHERE document_texts.document_uuid = document.document_uuid
                 AND original_file_name = 'other.txt'""",
        ),
        {"stages_passed", "partitions_agree"},
        "other.txt",
        "Its document_entities ended well",
    ),
    "a text without a verified object": Fault(
        lambda pipeline: change(
            pipeline,
            """UPDATE ingest.source_documents SET upload_timestamp = NULL
               WHERE original_file_name = 'good.txt'""",
        ),
        {"stages_passed"},
        "good.txt",
        "its object was never verified",
    ),
    "a chunk with other words": Fault(
        lambda pipeline: change(
            pipeline,
            """UPDATE ingest.document_chunks SET text = replace(text, 'good', 'evil')
               FROM ingest.source_documents WHERE original_file_name = 'good.txt'
                 AND document_chunks.document_uuid = source_documents.document_uuid""",
        ),
        {"places_fit"},
        "good.txt",
        "Its chunk at characters 0 to 16 does not say what the text says there.",
    ),
    "an upload without a row": Fault(
        upload_without_row,
        {"objects_have_rows"},
        "documents/2025/06/05/0123abcd_lost.pdf",
        "No row has this key.",
    ),
    "an object that is gone": Fault(
        delete_object, {"rows_have_objects"}, "good.txt", "now there is none"
    ),
    "an object with other bytes": Fault(
        overwrite_object, {"rows_have_objects"}, "good.txt", "12 bytes; its row says 16."
    ),
    "a failure without a sentence": Fault(
        lambda pipeline: change(
            pipeline, "UPDATE ingest.stage_attempts SET error_message = NULL WHERE error_code = 'empty'"
        ),
        {"failures_have_reasons"},
        "empty.txt",
        "failed without a code and a sentence",
    ),
    "a failure that only Dagster knows": Fault(
        lambda pipeline: change(
            pipeline, "DELETE FROM ingest.stage_attempts WHERE error_code = 'corrupt_document'"
        ),
        {"failures_have_reasons", "stages_passed"},
        "broken.pdf",
        "Dagster shows it failed at document_text; the database knows no reason.",
    ),
    "an outcome that only Dagster knows": Fault(
        lambda pipeline: change(
            pipeline, "DELETE FROM ingest.stage_attempts WHERE error_code = 'empty'"
        ),
        {"partitions_agree", "sources_have_rows"},
        "empty.txt",
        "Dagster calls its document_entities materialised; the database does not hold it.",
    ),
    "a document that was to be forgotten": Fault(
        lambda pipeline: change(
            pipeline,
            "INSERT INTO ingest.forgotten_documents (sha256, reason, forgotten_by)"
            " SELECT sha256, 'asked for', 'the officer' FROM ingest.source_documents"
            " WHERE original_file_name = 'good.txt'",
        ),
        {"forgotten_is_gone"},
        "good.txt",
        "and its rows are there.",
    ),
    "a partition without a source": Fault(
        lambda pipeline: pipeline.instance.add_dynamic_partitions("documents", ["by hand, 'odd'\t"]),
        {"partitions_agree"},
        "by hand, 'odd'\t",
        "It is a partition without a source.",
    ),
    "an inbox in S3 that is not there": Fault(
        lambda pipeline: setattr(
            pipeline,
            "settings",
            pipeline.settings.model_copy(update={"input_dir": S3Prefix("there-is-none", "")}),
        ),
        {"inbox_can_be_listed"},
        "",
        "NoSuchBucket",
    ),
    "a source without a partition": Fault(
        delete_partition, {"partitions_agree"}, "good.txt", "It has no partition."
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named_with_what_to_do(healthy: Pipeline, fault: Fault) -> None:
    fault.plant(healthy)
    found = judge(healthy)
    assert set(failed(found)) == fault.fails
    failing = [
        (str(named), named.why) for check in failed(found).values() for named in check.answer.failing
    ]
    assert any(repr(fault.named)[1:-1] in name or fault.named in name for name, why in failing
               if fault.why in why), failing  # fmt: skip
    printed = report(found)
    for check in failed(found).values():
        assert check.remedy
        assert check.remedy in printed
        assert f"{check.question} No: {check.answer.count}." in printed


def test_every_check_has_a_fault_that_fails_it() -> None:
    assert set().union(*(fault.fails for fault in FAULTS.values())) == {
        check.name for check in CHECKS if not check.warns
    }


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ((*GREEN[1:], "failed"), "Dagster shows it failed at document_entities"),
        ((*GREEN[1:], None), "Dagster does not show its document_entities"),
        ((*GREEN[1:], "in_progress"), ""),
    ],
)
def test_a_stored_text_is_shown_as_done(
    healthy: Pipeline, states: tuple[str | None, ...], why: str
) -> None:
    key = key_of(healthy, "good.txt")
    shown = [
        ShownPartition(key, states) if partition.partition_key == key else partition  # type: ignore[arg-type]
        for partition in shown_partitions(healthy.instance)
    ]
    (check,) = judge(healthy, shown=shown, only=["partitions_agree"]).checks
    assert [named.original_file_name for named in check.answer.failing] == (["good.txt"] if why else [])
    assert all(why in named.why for named in check.answer.failing)


def test_what_is_in_flight_is_not_judged(healthy: Pipeline) -> None:
    young = add_source(healthy, "young", age="1 second")
    old = add_source(healthy, "old")
    assert set(failed(judge(healthy))) == {"sources_have_rows"}
    # Both were found after the last that got its turn, which was only just now: the documents of this
    # test may have been ingested some time before it.
    change(healthy, "UPDATE ingest.stage_attempts SET heartbeat_at = now(), finished_at = now()")
    waiting = judge(healthy, in_flight_seconds=60)
    assert (failed(waiting), waiting.in_flight) == ({}, 2)
    # Nothing moves any more; one is young, the other is in a run that Dagster knows of.
    change(
        healthy,
        "UPDATE ingest.stage_attempts SET heartbeat_at = heartbeat_at - interval '1 hour',"
        " finished_at = finished_at - interval '1 hour'",
    )
    check = failed(judge(healthy, in_flight_seconds=60))["sources_have_rows"]
    assert [named.partition_key for named in check.answer.failing] == [old]
    shown = [
        partition._replace(states=tuple("in_progress" for _ in STAGES))
        if partition.partition_key in (old, young)
        else partition
        for partition in shown_partitions(healthy.instance)
    ]
    assert failed(judge(healthy, shown=shown)) == {}


def test_an_attempt_that_gives_signs_of_life_is_in_flight(healthy: Pipeline) -> None:
    key = add_source(healthy, "working")
    change(
        healthy,
        f"""INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id, started_at)
            VALUES ('{key}', 'document_row', 1, 'run', now() - interval '1 day')""",
    )
    assert failed(judge(healthy, in_flight_seconds=60)) == {}
    change(healthy, "UPDATE ingest.stage_attempts SET heartbeat_at = now() - interval '2 minutes'")
    (check,) = failed(judge(healthy, in_flight_seconds=60)).values()
    assert "the last sign of life was at" in check.answer.failing[0].why


def test_a_document_that_was_not_found_counts_until_it_was_tried_again(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    pipeline.requests()
    key = key_of(pipeline, "note.txt")
    pipeline.run_range(key, key, assets=["document_text"])
    assert "no_document_not_found" in failed(judge(pipeline))
    pipeline.run_range(key, key)
    found = judge(pipeline)
    assert failed(found) == {}
    assert "Once ended so, and tried again since: 1 document." in report(found)


def test_twenty_are_named_and_all_are_counted(pipeline: Pipeline) -> None:
    for number in range(NAMED + 5):
        add_source(pipeline, f"forgotten{number:02}")
    (check,) = failed(judge(pipeline)).values()
    assert (check.answer.count, len(check.answer.failing)) == (NAMED + 5, NAMED)
    assert "… and 5 more." in report(judge(pipeline))


def test_a_bucket_that_does_not_answer_is_no_yes(healthy: Pipeline, services: Services) -> None:
    refused = ObjectStore(services.new_s3_client("not the secret"), healthy.objects.bucket)
    found = verify(healthy.database, refused, shown_partitions(healthy.instance), in_flight_seconds=0)
    assert set(failed(found)) == {"objects_have_rows", "rows_have_objects"}
    assert "S3 refuses" in report(found)


def test_only_the_questions_asked_for_are_asked(healthy: Pipeline) -> None:
    assert [check.name for check in judge(healthy, only=["one_uuid"]).checks] == ["one_uuid"]
