"""Forgetting: nothing is left of a document, it does not come back, and nobody else loses anything."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DefaultScheduleStatus, build_schedule_context
from rich.console import Console
from sqlalchemy import Row, create_engine, text

from ingest_assets.cli import render
from ingest_assets.defs.jobs import retention_daily
from ingest_assets.errors import ConfigurationError
from ingest_assets.operations import retention
from ingest_assets.operations.forget import engine as forgetting
from ingest_assets.operations.forget.plan import hold, plan, release
from ingest_assets.operations.forget.traces import Places
from ingest_assets.operations.reconcile.inventory import Inventory
from ingest_assets.operations.reconcile.rebuild import rebuild
from ingest_assets.operations.status import read_status
from ingest_assets.operations.verification.engine import verify
from ingest_assets.store.database import sqlalchemy_url
from ingest_assets_tests.fixtures import TakeSnapshot
from ingest_assets_tests.support.bucket import execute
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.packages import mail
from ingest_assets_tests.support.pipeline import Pipeline, Snapshot

SECRET = "The patient Zebulon Quartermaine of Ruritania owes Acme Holdings Inc. 4,711.00 dollars."
SHARED = b"A leaflet that everybody has, of Wholesome Foods Inc."


def fill(pipeline: Pipeline) -> None:
    inside = {"private-annex.txt": b"An annex about Zebulon.", "leaflet.txt": SHARED}
    letter = mail("A letter", SECRET, {"annexes.zip": zipped(inside)})
    pipeline.put("quartermaine-letter.eml", letter)
    pipeline.put("everybody/leaflet.txt", SHARED)
    pipeline.put("other.txt", b"Acme Holdings Inc. is also named here.")
    pipeline.ingest()
    # Of two that come together, either may be registered first, and name the document.
    pipeline.put("second copy of it.eml", letter)
    pipeline.ingest()


@pytest.fixture(scope="module")
def ingested(
    take_snapshot: TakeSnapshot, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Snapshot]:
    with take_snapshot(tmp_path_factory.mktemp("forget"), fill) as snapshot:
        yield snapshot


@pytest.fixture
def copy(ingested: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with ingested.copy(tmp_path / "dagster", monkeypatch) as pipeline:
        yield pipeline


@pytest.fixture
def places(copy: Pipeline, tmp_path: Path) -> Iterator[Places]:
    """Dagster's records are in the same database, and there is a log that names the document."""
    url = copy.database.engine.url.render_as_string(hide_password=False)
    engine = create_engine(sqlalchemy_url(url))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "run.log").write_text("Reading 'quartermaine-letter.eml' and 'other.txt'.\n")
    yield Places(copy.database, copy.objects, engine, [tmp_path / "logs"])
    engine.dispose()


def anywhere(places: Places, words: str) -> list[str]:
    """Each column of each table of any schema that holds the words, and each object and file."""
    found = []
    with places.dagster.connect() as connection:
        columns = connection.execute(
            text("""
                SELECT table_schema, table_name, column_name FROM information_schema.columns
                JOIN information_schema.tables USING (table_schema, table_name)
                WHERE table_schema IN ('public', 'ingest') AND table_type = 'BASE TABLE'
            """)
        ).all()
        for schema, table, column in columns:
            rows = connection.execute(
                text(
                    f'SELECT "{column}"::text FROM "{schema}"."{table}" '
                    f'WHERE "{column}"::text ILIKE :words'
                ),
                {"words": f"%{words}%"},
            ).all()
            found += [f"{schema}.{table}.{column}"] * len(rows)
    for listed in places.objects.listing(""):
        body = b"".join(places.objects.stream(listed.key))
        if words.encode() in body or words in listed.key:
            found.append(listed.key)
    for directory in places.directories:
        found += [str(path) for path in directory.iterdir() if words in path.read_text()]
    return found


def rows(pipeline: Pipeline, name: str) -> Sequence[Row[Any]]:
    return pipeline.rows(
        "SELECT * FROM ingest.document_sources WHERE original_file_name = :name", name=name
    )


def keys(pipeline: Pipeline, name: str) -> list[str]:
    return [row.partition_key for row in rows(pipeline, name)]


def test_nothing_is_left_and_others_lose_nothing(copy: Pipeline, places: Places) -> None:
    words = ("Quartermaine", "Zebulon", "quartermaine-letter")
    assert all(anywhere(places, one) for one in words)
    (letter,) = keys(copy, "quartermaine-letter.eml")
    before = copy.rows("SELECT count(*) AS n FROM ingest.document_texts")[0].n

    found = plan(copy.database, letter)
    assert [name for _, name in found.kept] == ["leaflet.txt"]
    assert len(found.documents) == 3  # letter, archive, annex
    assert len(found.files) == 2
    shown = render.plain(render.to_forget(found))
    assert "Stays, for it was also seen elsewhere: 'leaflet.txt'" in shown
    assert copy.rows("SELECT count(*) AS n FROM ingest.document_texts")[0].n == before

    done = forgetting.forget(places, letter, "Art. 17 GDPR", "the officer")
    assert done.left == []
    assert [place for one in words for place in anywhere(places, one)] == []
    assert (places.directories[0] / "run.log").read_text().endswith("and 'other.txt'.\n")
    states = copy.rows("SELECT original_file_name AS name, state FROM ingest.document_progress")
    assert {(row.name, row.state) for row in states} == {
        ("leaflet.txt", "completed"),
        ("other.txt", "completed"),
    }
    names = copy.rows("SELECT normalised FROM ingest.entity_names WHERE normalised LIKE 'acme%'")
    assert len(names) == 1  # Another document names it, too.
    (stone,) = copy.rows("SELECT DISTINCT reason, forgotten_by, finished_at IS NULL AS open"
                         " FROM ingest.forgotten_documents")  # fmt: skip
    assert tuple(stone) == ("Art. 17 GDPR", "the officer", False)
    assert copy.instance.get_materialized_partitions(AssetKey("document_text")).isdisjoint(
        found.partition_keys
    )


def test_it_does_not_come_back(copy: Pipeline, places: Places, tmp_path: Path) -> None:
    (letter,) = keys(copy, "quartermaine-letter.eml")
    content = (copy.input_dir / "quartermaine-letter.eml").read_bytes()
    forgetting.forget(places, letter, "Art. 17 GDPR")
    # By the sensor: its files are still there.
    tick = copy.tick()
    assert not tick.run_requests
    assert "2 passed over because they were forgotten" in (tick.skip_message or "")
    assert anywhere(places, "quartermaine") == []
    # As another file, whose sender has to be told.
    again = copy.input_dir / "came again.eml"
    try:
        again.write_bytes(content)
        copy.ingest()
        assert copy.states()["came again.eml"] == "rejected"
        assert copy.errors()["came again.eml"] == "forgotten"
        assert "(Art. 17 GDPR)" in copy.why("came again.eml")
    finally:
        again.unlink()
    # By `rebuild-db`, from a bucket that was restored, into an empty database.
    execute(copy, "TRUNCATE ingest.document_sources, ingest.forgotten_documents CASCADE")
    (key,) = [key for key in copy.object_keys() if key.endswith("other.txt")]
    stone = json.dumps({"reason": "asked for", "forgotten_by": "the officer"}).encode()
    digest = copy.objects.sha256(key)
    copy.objects.put_derived(f"{forgetting.TOMBSTONES}{digest}", stone, "application/json")
    rebuilt = rebuild(copy.database, copy.objects, batch_size=5)
    assert (key, "It was forgotten: see ingest.forgotten_documents.") in rebuilt.not_restored
    assert "other.txt" not in copy.states()


def test_what_is_held_cannot_be_forgotten(copy: Pipeline, places: Places) -> None:
    (letter,) = keys(copy, "quartermaine-letter.eml")
    hold(copy.database, "private-annex.txt", "Case 4711")
    assert "Held, so it cannot be forgotten" in render.plain(
        render.to_forget(plan(copy.database, letter))
    )
    with pytest.raises(ConfigurationError, match="Case 4711"):
        forgetting.forget(places, letter, "asked for")
    assert copy.rows("SELECT FROM ingest.forgotten_documents") == []
    assert release(copy.database, "private-annex.txt")
    assert not release(copy.database, "private-annex.txt")
    assert forgetting.forget(places, letter, "asked for").left == []


def test_all_versions_of_the_object_go(copy: Pipeline, places: Places) -> None:
    copy.objects.client.put_bucket_versioning(
        Bucket=copy.objects.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    (row,) = copy.rows("SELECT * FROM ingest.source_documents WHERE original_file_name = 'other.txt'")
    for body in (b"one", b"two"):
        copy.objects.client.put_object(Bucket=copy.objects.bucket, Key=row.s3_key, Body=body)
    assert forgetting.forget(places, str(row.document_uuid), "asked for").left == []
    answer = copy.objects.client.list_object_versions(
        Bucket=copy.objects.bucket, Prefix=f"documents/{row.document_uuid}/"
    )
    assert not answer.get("Versions")
    assert not answer.get("DeleteMarkers")


def test_a_file_named_as_an_asset_takes_nothing_of_dagster_along(
    copy: Pipeline, places: Places
) -> None:
    copy.put("document_text", b"Its name is that of an asset.")
    copy.ingest()
    before = copy.partition_states("document_text")
    (key,) = keys(copy, "document_text")
    assert forgetting.forget(places, key, "asked for", "somebody").left == []
    assert copy.partition_states("document_text") == {
        one: state for one, state in before.items() if one != key
    }


def test_of_a_part_the_documents_that_hold_it_are_named_and_miss_none(
    copy: Pipeline, places: Places
) -> None:
    found = plan(copy.database, "private-annex.txt")
    # The ZIP, and the mail around it, of which two copies are one document.
    assert sorted(name for _, name in found.holders) == ["annexes.zip", "quartermaine-letter.eml"]
    printed = StringIO()
    Console(file=printed, width=300).print(render.to_forget(found))
    ((mail_uuid, name),) = (one for one in found.holders if one[1].endswith(".eml"))
    assert f"Its bytes stay inside '{name}' (document {mail_uuid})" in printed.getvalue()
    assert plan(copy.database, "quartermaine-letter.eml").holders == []
    assert forgetting.forget(places, "private-annex.txt", "asked for").left == []
    answers = verify(copy.database, copy.objects, [], in_flight_seconds=0, only=["parts_have_outcomes"])
    assert answers.passed, answers


@pytest.mark.parametrize("wanted", ["nothing of that name", "quartermaine-letter", "%"])
def test_no_document_goes_by_that_name(copy: Pipeline, places: Places, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match="a part of a file name is not enough") as error:
        forgetting.forget(places, wanted, "asked for")
    assert error.value.code == "nothing_to_forget"


def test_one_name_of_several_documents_lists_them_and_of_one_document_names_it(
    copy: Pipeline, tmp_path: Path
) -> None:
    # Two sightings by this name, of one document.
    (shared,) = {row.document_uuid for row in rows(copy, "leaflet.txt")}
    assert plan(copy.database, "leaflet.txt").documents.keys() == {shared}
    copy.put("later/leaflet.txt", b"Another leaflet.")
    copy.put("empty/leaflet.txt", b"")
    copy.ingest()
    with pytest.raises(ConfigurationError) as error:
        hold(copy.database, "leaflet.txt", "a case")
    printed = StringIO()
    Console(file=printed, width=300).print(render.error(error.value))
    first, one, other, last = printed.getvalue().splitlines()
    assert first == "Error: 2 documents go by the name 'leaflet.txt':"
    found = {row.source_uri: str(row.document_uuid) for row in rows(copy, "leaflet.txt")}
    (first_seen,) = (uri for uri in found if "everybody/" in uri)
    (later,) = (uri for uri in found if "later/" in uri)
    assert {one, other} == {
        f"  {found[first_seen]} {first_seen}, and 1 more",
        f"  {found[later]} {later}",
    }
    assert last.startswith("Give its UUID")
    with pytest.raises(ConfigurationError, match="nothing of it is stored"):
        hold(copy.database, next(uri for uri in found if "empty/" in uri), "a case")


def test_the_job_in_dagit_does_the_same_and_keeps_no_name(
    copy: Pipeline, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = places.dagster.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    (letter,) = keys(copy, "quartermaine-letter.eml")
    job = copy.defs.resolve_job_def("forget_document")

    def run(*, dry_run: bool) -> None:
        config = {"document": letter, "reason": "asked for", "dry_run": dry_run}
        done = job.execute_in_process(
            {"ops": {"forget_one": {"config": config}}}, instance=copy.instance
        )
        assert done.success

    run(dry_run=True)
    assert "quartermaine-letter.eml" in copy.states()
    run(dry_run=False)
    assert "quartermaine-letter.eml" not in copy.states()
    assert anywhere(places, letter) == []


def age(pipeline: Pipeline, days: int, *names: str) -> None:
    """Let sightings be so many days old, of these names or of all."""
    execute(
        pipeline,
        """
        UPDATE ingest.document_sources SET discovered_at = now() - make_interval(days => :days)
        WHERE original_file_name = ANY(:names) OR CAST(:names AS text[]) = '{}'
        """,
        days=days,
        names=list(names),
    )


def let_a_day_pass(pipeline: Pipeline) -> None:
    execute(pipeline, "UPDATE ingest.retention SET since = since - interval '1 day'")


def names(pipeline: Pipeline) -> set[str]:
    return {row.original_file_name for row in pipeline.rows("SELECT * FROM ingest.document_sources")}


def test_documents_that_are_old_enough_go_and_no_others(copy: Pipeline, places: Places) -> None:
    before = names(copy)
    age(copy, 31, "quartermaine-letter.eml", "annexes.zip", "private-annex.txt", "other.txt")
    # The letter came again yesterday, as a copy.
    age(copy, 1, "second copy of it.eml")
    found = retention.due(copy.database, 30)
    assert [name for _, name, _ in found.first] == ["other.txt"]
    assert found.begins_at is None

    # The number of days is new: nobody's documents go by surprise.
    assert list(retention.expire(places, 30)) == []
    assert list(retention.expire(places, 30)) == []
    assert names(copy) == before
    found = retention.due(copy.database, 30)
    assert found.count == 1
    assert found.begins_at is not None
    shown = render.plain(render.retention(found, is_set=True, named=True))
    assert "1 document older than 30 days: The schedule `retention_daily` forgets them, from" in shown
    assert "'other.txt' last seen" in shown

    let_a_day_pass(copy)
    (done,) = retention.expire(places, 30)
    assert done.left == []
    assert names(copy) == before - {"other.txt"}
    assert (copy.input_dir / "other.txt").exists()
    assert [place for place in anywhere(places, "other.txt") if "run.log" not in place] == []
    (stone,) = copy.rows("SELECT reason, forgotten_by FROM ingest.forgotten_documents")
    assert tuple(stone) == ("Older than 30 days.", "retention")
    copy.tick()
    assert "other.txt" not in names(copy)  # Its file is passed over.

    # With all sightings old, the letter goes with what is in it, and the leaflet stays for its own.
    age(copy, 40)
    age(copy, 3, "leaflet.txt")
    (done,) = retention.expire(places, 30)
    assert len(done.plan.documents) == 3
    assert names(copy) - {"document_text"} == {"leaflet.txt"}
    assert done.left == []


def test_a_number_of_days_that_is_lowered_or_was_away_is_new(copy: Pipeline, places: Places) -> None:
    age(copy, 31)
    before = names(copy)
    list(retention.expire(places, 60))
    let_a_day_pass(copy)
    assert list(retention.expire(places, 30)) == []  # lowered
    let_a_day_pass(copy)
    execute(copy, "UPDATE ingest.retention SET looked_at = looked_at - interval '4 days'")
    assert list(retention.expire(places, 30)) == []  # taken away, and set again
    assert names(copy) == before
    assert list(retention.expire(places, 90)) == []  # raised: nothing is so old
    assert copy.rows("SELECT FROM ingest.forgotten_documents") == []


def test_what_is_held_or_worked_on_outlives_the_retention(copy: Pipeline, places: Places) -> None:
    age(copy, 31)
    list(retention.expire(places, 30))
    let_a_day_pass(copy)
    hold(copy.database, "private-annex.txt", "Case 4711")
    (other,) = keys(copy, "other.txt")
    execute(
        copy,
        """
        INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id, status)
        VALUES (:key, 'document_text', 99, 'run', 'running')
        """,
        key=other,
    )
    found = retention.due(copy.database, 30)
    assert (found.count, found.held) == (1, 1)
    assert [name for _, name, _ in found.first] == ["leaflet.txt"]
    list(retention.expire(places, 30))
    # The leaflet is in the archive, too, which stays: so it was not due by its own file alone.
    assert {"quartermaine-letter.eml", "private-annex.txt", "other.txt"} <= names(copy)


def test_the_schedule_runs_only_where_the_setting_is_set_and_its_job_keeps_no_name(
    copy: Pipeline, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = retention_daily(copy.settings)
    assert unset.default_status == DefaultScheduleStatus.STOPPED
    with build_schedule_context(instance=copy.instance) as context:
        assert unset.evaluate_tick(context).run_requests == []
    schedule = retention_daily(copy.settings.model_copy(update={"retention_days": 30}))
    assert schedule.default_status == DefaultScheduleStatus.RUNNING
    with build_schedule_context(instance=copy.instance) as context:
        (request,) = schedule.evaluate_tick(context).run_requests or ()

    url = places.dagster.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    age(copy, 31, "other.txt")
    (other,) = keys(copy, "other.txt")
    job = copy.defs.resolve_job_def("retention")
    for still_there in (True, False):
        assert job.execute_in_process(request.run_config, instance=copy.instance).success
        assert ("other.txt" in names(copy)) == still_there
        let_a_day_pass(copy)
    assert anywhere(places, other) == []


def test_what_s3_keeps_is_removed_when_it_lets_it_go(copy: Pipeline, places: Places) -> None:
    client, bucket = copy.objects.client, copy.objects.bucket
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )
    (row,) = copy.rows("SELECT * FROM ingest.source_documents WHERE original_file_name = 'other.txt'")
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    version = client.put_object(
        Bucket=bucket,
        Key=row.s3_key,
        Body=b"kept",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=tomorrow,
    )["VersionId"]

    done = forgetting.forget(places, str(row.document_uuid), "asked for")
    (left,) = done.left
    assert left.startswith(
        f"S3 keeps s3://{bucket}/documents/{row.document_uuid}/ until {tomorrow:%Y-%m-%d}"
    )
    assert "other.txt" not in names(copy)  # All else is gone.
    assert read_status(copy.database).locked == 1
    assert "1 removal not finished" in render.plain(render.status(read_status(copy.database)))
    # It is no orphan that somebody could adopt.
    assert not [
        f for f in Inventory(copy.database, copy.objects, in_flight_seconds=0) if f.kind == "orphan"
    ]
    assert forgetting.resume(places) == []
    assert read_status(copy.database).locked == 1
    (told,) = forgetting.kept_by_s3(copy.database)
    assert told.startswith(
        f"S3 keeps s3://{bucket}/documents/{row.document_uuid}/ until {tomorrow:%Y-%m-%d}"
    )

    client.put_object_retention(
        Bucket=bucket,
        Key=row.s3_key,
        VersionId=version,
        Retention={
            "Mode": "GOVERNANCE",
            "RetainUntilDate": datetime.now(timezone.utc) + timedelta(seconds=1),
        },
        BypassGovernanceRetention=True,
    )
    time.sleep(1.1)
    forgetting.resume(places)
    assert read_status(copy.database).locked == 0
    assert forgetting.kept_by_s3(copy.database) == []
    (stone,) = copy.rows("SELECT * FROM ingest.forgotten_documents")
    assert stone.finished_at is not None
    assert not client.list_object_versions(Bucket=bucket, Prefix=f"documents/{row.document_uuid}/").get(
        "Versions"
    )
