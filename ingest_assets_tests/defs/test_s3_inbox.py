"""Sensor `input_directory` where INGEST_INPUT_DIR is in S3: an object is one source, read as found."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_assets.cli import render
from ingest_assets.defs.worker import _queues
from ingest_assets.errors import PermanentError
from ingest_assets.operations.forget.plan import plan
from ingest_assets.operations.reconcile.apply import restore_lost
from ingest_assets.operations.reconcile.rebuild import rebuild
from ingest_assets.operations.retry_policy import RetryRules, readable_again
from ingest_assets.operations.status import read_status
from ingest_assets.settings import DEFAULT_IGNORE_PATTERNS, S3Prefix, Settings
from ingest_assets.stages import inbox_s3
from ingest_assets.stages.discovery import Discovery, KnownFiles, discover
from ingest_assets.stages.inbox_s3 import S3Inbox
from ingest_assets.stages.stage import Source
from ingest_assets.store import object_store
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.bucket import look as take_inventory
from ingest_assets_tests.support.bucket import remove
from ingest_assets_tests.support.documents import padded_pdf
from ingest_assets_tests.support.faulty_s3 import Fault, faulty_s3
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.plain_s3 import PlainS3, plain_s3
from ingest_assets_tests.support.servers import Services, new_bucket, new_database

ODD_NAMES = [
    "with space.txt",
    "comma, and; semicolon.txt",
    "hash#percent%20question?x=1&y.txt",
    "new\nline.txt",
    "emoji 📄.txt",
    "plus+plus.txt",
    "日本語.txt",
    " spaces around ",
    "no extension",
]


@pytest.fixture
def inbox(services: Services) -> Iterator[S3Prefix]:
    """An empty prefix of a bucket of its own."""
    with new_bucket(services) as bucket:
        yield S3Prefix(bucket, "in box/")


@pytest.fixture
def pipeline(pipeline: Pipeline, inbox: S3Prefix) -> Pipeline:
    """One whose INGEST_INPUT_DIR is that prefix."""
    return pipeline.watching(inbox)


def put(pipeline: Pipeline, name: str, content: bytes, *, prefix: str | None = None) -> None:
    inbox = pipeline.settings.input_dir
    assert isinstance(inbox, S3Prefix)
    key = f"{inbox.prefix if prefix is None else prefix}{name}"
    pipeline.objects.client.put_object(Bucket=inbox.bucket, Key=key, Body=content)


def objects_of(pipeline: Pipeline) -> dict[str, tuple[str, datetime]]:
    """ETag and time of all that is in the inbox's bucket."""
    inbox = pipeline.settings.input_dir
    assert isinstance(inbox, S3Prefix)
    listed = ObjectStore(pipeline.objects.client, inbox.bucket).listing("")
    return {found.key: (found.etag, found.last_modified) for found in listed}


def look(pipeline: Pipeline, inbox: S3Prefix, known: KnownFiles, **options: Any) -> Discovery:
    there = S3Inbox(
        ObjectStore(pipeline.objects.client, inbox.bucket),
        inbox.prefix,
        documents_bucket=pipeline.objects.bucket,
        ignore_patterns=DEFAULT_IGNORE_PATTERNS,
    )
    arguments = {"settle_seconds": 0.0, "batch_size": 100, **options}
    return discover(pipeline.database, known, there, **arguments)


def test_objects_become_documents_and_stay_as_they_are(pipeline: Pipeline, inbox: S3Prefix) -> None:
    contents = {name: f"The text of {name!r}.".encode() for name in ODD_NAMES}
    for name, content in contents.items():
        put(pipeline, name, content)
    put(pipeline, "deep/er/again.txt", contents["no extension"])
    put(pipeline, "empty.txt", b"")
    put(pipeline, "a folder/", b"")
    put(pipeline, "", b"")
    put(pipeline, "beside.txt", b"not in the inbox", prefix="in box")
    for name in (".git/config", ".git/objects/aa", "deep/.git/config", "a.PART", "Thumbs.db"):
        put(pipeline, name, b"litter")
    before = objects_of(pipeline)
    pipeline.ingest()
    assert pipeline.requests() == []
    assert objects_of(pipeline) == before

    assert pipeline.errors() == {"empty.txt": "empty"}
    states = pipeline.states()
    assert states.keys() == {*ODD_NAMES, "again.txt", "empty.txt"}
    assert {states[name] for name in ODD_NAMES} <= {"completed", "duplicate"}
    assert read_status(pipeline.database).ignored == {".*": 2, "*.part": 1, "Thumbs.db": 1}
    assert "below INGEST_INPUT_DIR are ignored" in render.plain(
        render.status(read_status(pipeline.database))
    )
    rows = pipeline.rows(
        "SELECT kind, source_uri, source.original_file_name, s3_key"
        " FROM ingest.document_sources AS source"
        " LEFT JOIN ingest.source_documents USING (document_uuid)"
    )
    assert {row.kind for row in rows} == {"inbox"}
    there = pipeline.inbox
    keys = {key for key in before if there.uri(key) in {row.source_uri for row in rows}}
    assert {key.removeprefix(inbox.prefix) for key in keys} == {
        *ODD_NAMES, "deep/er/again.txt", "empty.txt"
    }  # fmt: skip
    for row in rows:
        if row.original_file_name in contents:
            stored = b"".join(pipeline.objects.stream(row.s3_key))
            assert stored == contents[row.original_file_name]

    uri = f"s3://{inbox.bucket}/in%20box/plus%2Bplus.txt"
    for wanted in ("plus+plus.txt", uri, f"s3://{inbox.bucket}/in box/plus+plus.txt"):
        assert f" as {uri} (" in pipeline.why(wanted)
    found = plan(pipeline.database, "plus+plus.txt")
    assert found.files == [f"s3://{inbox.bucket}/in%20box/plus%2Bplus.txt"]
    assert found.uploads == []


def test_an_object_that_is_overwritten_is_never_mixed_with_what_it_was(pipeline: Pipeline) -> None:
    put(pipeline, "before the run.txt", b"first")
    put(pipeline, "between stages.txt", b"first, too")
    put(pipeline, "gone.txt", b"soon gone")
    pipeline.requests()
    keys = pipeline.instance.get_dynamic_partitions("documents")
    put(pipeline, "before the run.txt", b"second")
    inbox = pipeline.settings.input_dir
    assert isinstance(inbox, S3Prefix)
    pipeline.objects.client.delete_object(Bucket=inbox.bucket, Key=f"{inbox.prefix}gone.txt")
    pipeline.run_range(keys[0], keys[-1], assets=["document_row"])
    put(pipeline, "between stages.txt", b"second, too")
    pipeline.run_range(keys[0], keys[-1])
    failed = pipeline.rows("SELECT original_file_name, state, error_code FROM ingest.document_progress")
    assert {tuple(row) for row in failed} == {
        ("before the run.txt", "superseded", "superseded"),
        ("between stages.txt", "superseded", "superseded"),
        ("gone.txt", "failed", "source_missing"),
    }
    pipeline.ingest()
    texts = pipeline.rows("SELECT text FROM ingest.document_texts")
    assert {row.text.strip() for row in texts} == {"second", "second, too"}


def test_an_object_replaced_under_the_reader_ends_the_stage(
    pipeline: Pipeline, inbox: S3Prefix
) -> None:
    """Larger than what is read at once, so that it is asked for again after a seek."""
    size = 17 * 1024 * 1024
    put(pipeline, "large.bin", b"a" * size)
    there = pipeline.inbox
    (seen,) = (one for one in there.look("") if one)
    source = Source("key", there.uri(seen.place), "inbox", "large.bin", size, seen.version, None)
    with pytest.raises(PermanentError, match="replaced since"), there.open(source) as file:  # noqa: PT012
        assert file.read(10) == b"a" * 10
        put(pipeline, "large.bin", b"b" * size)
        file.seek(size // 2)
        file.read(10)
    assert there.present(source) != (size, seen.version)


def test_what_S3_does_not_give_is_named_with_what_to_do(  # noqa: N802
    pipeline: Pipeline, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("archived.txt", "denied.txt", "good.txt"):
        put(pipeline, name, name.encode())
    faults: dict[str, Fault] = {"archived.txt": "archived", "denied.txt": "denied"}

    def choose(method: str, path: str) -> Fault:
        name = path.rpartition("/")[2].partition("?")[0]
        return faults.get(name) if "in%20box" in path and method == "GET" else None

    with faulty_s3(services.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        proxy.choose = choose
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        pipeline.ingest()
        assert pipeline.errors() == {
            "archived.txt": "source_archived",
            "denied.txt": "source_unreadable",
        }
        assert "restore-object" in pipeline.why("archived.txt")
        assert "s3:GetObject" in pipeline.why("denied.txt")
        assert pipeline.states()["good.txt"] == "completed"
        faults.clear()
        # What was denied is tried again by itself.
        rules = RetryRules(cool_down_seconds=0, limit=3)
        assert [one.original_file_name for one in readable_again(pipeline.database, rules)] == [
            "denied.txt"
        ]


def test_a_bucket_that_cannot_be_listed_is_a_clear_reason_to_skip(pipeline: Pipeline) -> None:
    missing = pipeline.watching(S3Prefix("there-is-no-such-bucket", ""))
    assert "INGEST_INPUT_DIR cannot be listed" in str(missing.tick().skip_message)
    assert "Create the bucket" in str(missing.tick().skip_message)
    for prefix in ("", "documents/", "documents/2026/", "derived/"):
        overlapping = pipeline.watching(S3Prefix(pipeline.objects.bucket, prefix))
        assert "the pipeline writes below" in str(overlapping.tick().skip_message)


def test_a_prefix_beside_the_documents_may_be_the_inbox(pipeline: Pipeline) -> None:
    beside = pipeline.watching(S3Prefix(pipeline.objects.bucket, "inbox/"))
    put(beside, "note.txt", b"a note")
    beside.ingest()
    assert beside.states() == {"note.txt": "completed"}
    assert take_inventory(beside)[1] == []
    # After the loss of the tables the bucket alone holds what came from an inbox.
    with beside.database.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE ingest.source_documents, ingest.document_sources CASCADE")
    rebuild(beside.database, beside.objects, batch_size=5)
    (row,) = beside.rows("SELECT kind, source_uri FROM ingest.document_sources")
    assert tuple(row) == ("inbox", f"s3://{beside.objects.bucket}/inbox/note.txt")
    assert len(beside.requests()) == 1  # It is read again; no source is new.
    assert len(beside.rows("SELECT 1 FROM ingest.document_sources")) == 1
    (document,) = beside.rows("SELECT s3_key FROM ingest.source_documents")
    remove(beside, document.s3_key)
    lost = [one for one in take_inventory(beside)[1] if one.kind == "lost"]
    (done,) = restore_lost(beside.database, beside.objects, beside.inbox, lost)
    assert done.done, done.detail


def test_sources_of_another_inbox_are_told_apart(pipeline: Pipeline, tmp_path: Path) -> None:
    put(pipeline, "note.txt", b"a note")
    pipeline.requests()
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    elsewhere = pipeline.watching(S3Prefix(pipeline.objects.bucket, "inbox/"))
    elsewhere.run_range(key, key)
    assert elsewhere.errors() == {"note.txt": "outside_input_directory"}
    assert "INGEST_INPUT_DIR is s3://" in elsewhere.why("note.txt")


def test_objects_settle_as_files_do(pipeline: Pipeline, inbox: S3Prefix) -> None:
    known = KnownFiles()
    put(pipeline, "note.txt", b"a note")
    assert look(pipeline, inbox, known, settle_seconds=60).unsettled == 1
    assert len(look(pipeline, inbox, known).added) == 1
    # What is written again and again waits longer each time, but not for twice the time in between.
    put(pipeline, "note.txt", b"another note")
    assert look(pipeline, inbox, known, settle_seconds=30).unsettled == 1
    with pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE ingest.document_sources SET discovered_at = now() - interval '20 seconds'"
        )
    time.sleep(1.1)
    assert len(look(pipeline, inbox, known, settle_seconds=0.5).added) == 1
    # The same bytes again are the same sighting.
    put(pipeline, "note.txt", b"another note")
    assert look(pipeline, inbox, known).added == []


def test_a_look_that_runs_out_of_time_goes_on_at_the_next(pipeline: Pipeline, inbox: S3Prefix) -> None:
    for name in ("a/1.txt", "b.txt", "c/.git/1", "c/.git/2", "c/.git/3", "c/2.txt", "d.part"):
        put(pipeline, name, name.encode())
    known = KnownFiles()
    added: list[str] = []
    resume: str | None = None
    for _ in range(20):
        found = look(pipeline, inbox, known, seconds=0.0, resume_after=resume)
        added += found.added
        resume = found.resume_after
        if resume is None:
            break
    assert resume is None
    assert len(added) == len(set(added)) == 3
    assert read_status(pipeline.database).ignored == {".*": 1, "*.part": 1}


@pytest.mark.parametrize("asked_singly", [200, 0])
def test_what_is_overwritten_while_it_settles_is_read_as_it_is_then(
    pipeline: Pipeline, inbox: S3Prefix, monkeypatch: pytest.MonkeyPatch, asked_singly: int
) -> None:
    monkeypatch.setattr(inbox_s3, "_ASKED_SINGLY", asked_singly)
    known = KnownFiles()
    for name in ("kept.txt", "overwritten.txt", "removed.txt"):
        put(pipeline, name, b"first")

    def change() -> None:
        put(pipeline, "overwritten.txt", b"second")
        key = f"{inbox.prefix}removed.txt"
        pipeline.objects.client.delete_object(Bucket=inbox.bucket, Key=key)

    timer = threading.Timer(0.5, change)
    timer.start()
    found = look(pipeline, inbox, known, settle_seconds=2, wait_seconds=3)
    timer.join()
    assert (len(found.added), found.unsettled) == (1, 2)
    added = look(pipeline, inbox, known, settle_seconds=0).added
    rows = pipeline.rows("SELECT partition_key, original_file_name FROM ingest.document_sources")
    assert [row.original_file_name for row in rows if row.partition_key in added] == ["overwritten.txt"]
    assert len(rows) == 2


def test_each_overwriting_is_followed_by_what_was_written_last(
    pipeline: Pipeline, inbox: S3Prefix
) -> None:
    """Where the inbox is looked at while an object is overwritten again and again."""
    known = KnownFiles()
    for number in range(5):
        put(pipeline, "note.txt", f"version {number}".encode())
        look(pipeline, inbox, known)
    pipeline.ingest()
    states = pipeline.rows("SELECT state, count(*) FROM ingest.document_progress GROUP BY 1")
    assert dict(map(tuple, states)) == {"superseded": 4, "completed": 1}
    (row,) = pipeline.rows("SELECT text FROM ingest.document_texts")
    assert row.text.strip() == "version 4"


def test_an_object_replaced_while_it_is_copied_is_followed_by_the_other(
    pipeline: Pipeline, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, so that some of them are sent when it is replaced; the bucket keeps versions."""
    inbox = pipeline.settings.input_dir
    assert isinstance(inbox, S3Prefix)
    monkeypatch.setattr(object_store, "PART_BYTES", 5 * 1024**2)
    pipeline.objects.client.put_bucket_versioning(
        Bucket=inbox.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    first, second = (padded_pdf(f"Version {number} of it.", 11) for number in (1, 2))
    put(pipeline, "large.pdf", first)
    replaced: list[str] = []

    def choose(method: str, path: str) -> Fault:
        if method == "PUT" and "partNumber=2" in path and not replaced:
            replaced.append(path)
            put(pipeline, "large.pdf", second)
        return None

    with faulty_s3(services.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        proxy.choose = choose
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        pipeline.ingest()
        pipeline.ingest()
    assert replaced
    documents = pipeline.rows(
        "SELECT s3_key, sha256 FROM ingest.source_documents WHERE upload_timestamp IS NOT NULL"
    )
    stored = {pipeline.objects.sha256(row.s3_key) for row in documents}
    assert stored == {row.sha256 for row in documents}
    assert stored <= {hashlib.sha256(content).hexdigest() for content in (first, second)}
    texts = [row.text for row in pipeline.rows("SELECT text FROM ingest.document_texts")]
    assert any("Version 2" in text for text in texts), texts
    assert set(pipeline.states().values()) <= {"completed", "superseded"}


@pytest.fixture(scope="module")
def plain() -> Iterator[PlainS3]:
    with plain_s3() as bucket:
        yield bucket


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200).filter(
    lambda key: len(key.encode()) <= 1000
)
ODD_KEYS = ["/", "//", "/a//b", "a/../../b", "..", "./x", "a\x00b", "a/", "%2e%2e/%00", "\\", "é" * 500]


def read_all(database: Database, plain: PlainS3, keys: list[str]) -> None:
    plain.fill({key: f"content of {key!r}".encode() for key in keys})
    objects = ObjectStore(plain.client(), "any")
    inbox = S3Inbox(objects, "", documents_bucket="other")
    known = KnownFiles()
    found = discover(database, known, inbox, settle_seconds=0, batch_size=7)
    assert len(found.added) == len(set(keys))
    assert discover(database, known, inbox, settle_seconds=0, batch_size=7).added == []
    assert discover(database, KnownFiles(), inbox, settle_seconds=0, batch_size=7).added == []
    with database.engine.begin() as connection:
        rows = connection.exec_driver_sql(
            "DELETE FROM ingest.document_sources RETURNING source_uri, original_file_name, size_bytes,"
            " source_version"
        ).all()
    read = {}
    for row in rows:
        assert 1 <= len(row.original_file_name.encode()) <= 255
        source = Source("key", row[0], "inbox", row[1], row[2], row[3], None)
        assert inbox.present(source) == (row[2], row[3])
        with inbox.open(source) as file:
            read[inbox.place(row.source_uri)] = file.read()
    assert read == plain.objects


def test_odd_keys_are_read(database: Database, plain: PlainS3) -> None:
    read_all(database, plain, ODD_KEYS)


@given(keys=st.lists(KEYS, min_size=1, max_size=8, unique=True))
def test_any_key_is_recorded_once_and_read(
    migrated_database: Database, plain: PlainS3, keys: list[str]
) -> None:
    read_all(migrated_database, plain, keys)


@pytest.fixture(scope="module")
def migrated_database(services: Services, migrated_url: str) -> Iterator[Database]:
    with new_database(services, migrated_url) as url:
        database = Database(url)
        yield database
        database.close()


def test_an_address_is_taken_as_it_is_written() -> None:
    def read(value: str) -> object:
        return Settings(_env_file=None, input_dir=value).input_dir

    assert read("s3://bucket/in%20box") == S3Prefix("bucket", "in%20box/")
    assert read("s3://bucket//in//box//") == S3Prefix("bucket", "/in//box//")
    assert read("s3://bucket") == S3Prefix("bucket", "")
    assert read("input") == Path("input")
    assert Settings(_env_file=None, input_dir="s3://b/c").input_place == "s3://b/c/"
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        read("s3:///inbox")


def test_any_worker_serves_an_inbox_in_S3(tmp_path: Path) -> None:  # noqa: N802
    def queues(place: str) -> list[str]:
        return _queues(Settings(_env_file=None, input_dir=place))

    assert queues("s3://bucket/inbox/") == queues(str(tmp_path)) == ["input", "dagster"]
    assert queues(str(tmp_path / "away")) == ["dagster"]
