"""People are told of what needs them: once, in one letter, and when it is over; and never a secret."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner
from dagster import DagsterRunStatus
from pydantic import SecretStr
from sqlalchemy import insert, text

from ingest_assets.cli import main, render, running
from ingest_assets.defs.code_location import build_defs
from ingest_assets.defs.resources import PostgresResource
from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError
from ingest_assets.operations.alerts import channels as sending
from ingest_assets.operations.alerts import engine, troubles
from ingest_assets.operations.alerts.channels import Channels
from ingest_assets.operations.alerts.engine import AlertRules, evaluate
from ingest_assets.operations.retry_policy import RetryRules
from ingest_assets.operations.status import read_status
from ingest_assets.operations.withheld import launch_again, withhold
from ingest_assets.store.attempts import Begin, begin_attempts, fail_attempt
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource, UnreadablePlace
from ingest_assets_tests.support.embedded import cli
from ingest_assets_tests.support.letters import PASSWORD, TOKEN, Hook, Mailbox
from ingest_assets_tests.support.pipeline import Pipeline

DAGIT = "https://dagit.example.com"
AT_ONCE = AlertRules(
    RetryRules(cool_down_seconds=60, limit=3),
    stalled_minutes=15,
    pause_minutes=0,
    digest_hour=None,
    dagit=DAGIT,
    place="Machine scanner, bucket documents-store.",
)
ENCRYPTED = PermanentError("encrypted", "It cannot be opened without its password.")
REFUSED = ConfigurationError("object_store_refused", "S3 refuses the credentials.")
THROTTLED = TransientError("object_store_unavailable", "S3 has too much to do.")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox().open() as mailbox:
        yield mailbox


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook().open() as hook:
        yield hook


def key(name: str) -> str:
    return f"{name.partition('.')[0].replace(' ', '-')}-0123456789ab"


def found(database: Database, *names: str) -> None:
    """Files that were found, and that no run has begun."""
    sources = [
        {
            "partition_key": key(name),
            "source_uri": f"file:///input/{name}",
            "kind": "file",
            "original_file_name": name,
            "size_bytes": 4,
            "source_version": "1",
            "batch_id": uuid4(),
        }
        for name in names
    ]
    with database.engine.begin() as connection:
        connection.execute(insert(DocumentSource), sources)


def fail(database: Database, error: IngestError, *names: str, run: str = "run") -> None:
    """A run in which they fail."""
    with database.engine.begin() as connection:
        begun = begin_attempts(
            connection, [Begin(key(name), None, "document_row") for name in names], run
        )
        for attempt in begun:
            fail_attempt(connection, attempt, None, error)


def begin(database: Database, *names: str) -> None:
    """A run that works on them."""
    with database.engine.begin() as connection:
        begin_attempts(connection, [Begin(key(name), None, "document_row") for name in names], "again")


def settle(database: Database, *names: str) -> None:
    """A run for which they are no documents, so that they need no person."""
    fail(database, PermanentError("empty", "It has 0 bytes."), *names, run="settled")


def test_what_cannot_be_looked_at_is_told_unless_it_passes(database: Database, hook: Hook) -> None:
    def wrong() -> Sequence[str]:
        return evaluate(database, Channels(hook.url), AT_ONCE).wrong

    with database.engine.begin() as connection:
        connection.execute(insert(UnreadablePlace), {"place": "'closed': Permission denied"})
    assert wrong() == []
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE ingest.unreadable_places SET since = now() - interval '3 min'"))
    assert wrong() == ["Something in the inbox cannot be looked at."]
    assert "'closed': Permission denied. What to do: give the user" in hook.posts[0]["message"]


def test_a_hundred_documents_are_one_mail_and_their_recovery_another(
    database: Database, mailbox: Mailbox
) -> None:
    names = [f"contract {number:03}.pdf" for number in range(100)]
    found(database, *names, "note.txt")
    fail(database, ENCRYPTED, *names)
    fail(database, THROTTLED, "note.txt")  # It is tried again by itself.
    told = evaluate(database, Channels(mailbox.url), AT_ONCE)
    assert told.sent == ["1 E-Mail"]
    assert not told.failed
    (mail,) = mailbox.mails
    assert mail["Subject"] == "[ingest_assets] 100 documents failed: encrypted"
    assert mail["To"] == "ops@example.com"
    assert mailbox.texts[0].strip() == (
        "100 documents failed: encrypted.\n"
        "The document cannot be opened without its password. What to do: Save a copy without a "
        "password and ingest that.\n"
        + "".join(
            f"- contract {number:03}.pdf\n"
            f"  {DAGIT}/assets/document_row?view=partitions"
            f"&partition=contract-{number:03}-0123456789ab\n"
            for number in range(5)
        )
        + "- and 95 more\n\n"
        f"Everything: {DAGIT}/assets/ingest_report, or `ingest-assets status` and `why NAME`.\n"
        "Machine scanner, bucket documents-store."
    )

    # As after a restart, and by another daemon.
    with closing(Database(database.engine.url.render_as_string(hide_password=False))) as other:
        assert evaluate(other, Channels(mailbox.url), AT_ONCE).sent == []
    assert len(mailbox.mails) == 1

    settle(database, *names[1:])
    assert evaluate(database, Channels(mailbox.url), AT_ONCE).sent == []  # One still fails.
    settle(database, names[0])
    evaluate(database, Channels(mailbox.url), AT_ONCE)
    assert [mail["Subject"] for mail in mailbox.mails][1:] == ["[ingest_assets] All clear"]
    assert "Over:\n- 100 documents failed: encrypted (since " in mailbox.texts[1]
    assert "Nothing needs a person now." in mailbox.texts[1]
    assert evaluate(database, Channels(mailbox.url), AT_ONCE).sent == []


def test_when_those_that_failed_are_forgotten_it_is_over(database: Database, hook: Hook) -> None:
    channels = Channels(hook.url)
    found(database, "a.pdf")
    fail(database, ENCRYPTED, "a.pdf")
    evaluate(database, channels, AT_ONCE)
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM ingest.stage_attempts"))
        connection.execute(text("DELETE FROM ingest.document_sources"))
    evaluate(database, channels, AT_ONCE)
    assert hook.posts[1]["title"] == "[ingest_assets] All clear"
    assert "- documents failed: encrypted (since" in hook.posts[1]["message"]


def test_only_what_is_new_is_told_beside_what_lasts(database: Database, hook: Hook) -> None:
    channels = Channels(hook.url)
    found(database, "a.pdf", "b.pdf", "c.pdf", "d.pdf")
    fail(database, ENCRYPTED, "a.pdf", "b.pdf")
    evaluate(database, channels, AT_ONCE)
    fail(database, ENCRYPTED, "c.pdf")
    fail(database, REFUSED, "d.pdf")
    evaluate(database, channels, AT_ONCE)
    first, second = hook.posts
    assert first["title"] == "[ingest_assets] 2 documents failed: encrypted"
    assert second["title"] == "[ingest_assets] 1 document failed: encrypted, and 1 more"
    body = second["message"]
    assert "c.pdf" in body
    assert "a.pdf" not in body
    assert "1 document failed: object_store_refused." in body
    settle(database, "d.pdf")
    evaluate(database, channels, AT_ONCE)
    assert hook.posts[2]["title"] == "[ingest_assets] Over: 1 document failed: object_store_refused"
    assert "Still so:\n- 3 documents failed: encrypted (since " in hook.posts[2]["message"]


def test_a_part_is_named_with_its_container(database: Database, hook: Hook) -> None:
    found(database, "papers.zip", "b.txt")
    with database.engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO ingest.source_documents (sha256, original_file_name, s3_bucket, object_name,
                    file_size_bytes, mime_type, partition_key)
                VALUES (repeat('0', 64), 'papers.zip', 'b', 'papers.zip', 4, 'application/zip', :zip);
                UPDATE ingest.document_sources SET kind = 'part', part_path = 'b.txt', parent_uuid = (
                    SELECT document_uuid FROM ingest.source_documents)
                WHERE partition_key = :part
            """),
            {"zip": key("papers.zip"), "part": key("b.txt")},
        )
    fail(database, ENCRYPTED, "b.txt")
    evaluate(database, Channels(hook.url), AT_ONCE)
    assert "\n- b.txt in papers.zip\n" in hook.posts[0]["message"]


def test_what_is_tried_again_by_itself_is_told_once_it_waits_for_a_person(
    database: Database, hook: Hook
) -> None:
    channels = Channels(hook.url)
    found(database, "note.txt")
    for run in range(AT_ONCE.retries.limit):
        assert evaluate(database, channels, AT_ONCE).wrong == []
        fail(database, THROTTLED, "note.txt", run=f"run {run}")
    evaluate(database, channels, AT_ONCE)
    assert [post["title"] for post in hook.posts] == [
        "[ingest_assets] 1 document failed: object_store_unavailable"
    ]
    # Somebody tries it again: it is no news while that lasts, nor when it fails as before.
    begin(database, "note.txt")
    assert evaluate(database, channels, AT_ONCE).sent == []
    fail(database, THROTTLED, "note.txt", run="last")
    assert evaluate(database, channels, AT_ONCE).sent == []


def test_documents_that_fail_one_after_the_other_are_told_together(
    database: Database, hook: Hook
) -> None:
    channels = Channels(hook.url)
    rules = replace(AT_ONCE, pause_minutes=10)

    def ago(seconds: int, name: str) -> None:
        with database.engine.begin() as connection:
            connection.execute(
                text("""
                    UPDATE ingest.stage_attempts SET
                        started_at = now() - make_interval(secs => :ago),
                        heartbeat_at = now() - make_interval(secs => :ago),
                        finished_at = now() - make_interval(secs => :ago)
                    WHERE partition_key = :key
                """),
                {"ago": seconds, "key": key(name)},
            )

    found(database, "a.pdf", "b.pdf", "c.pdf")
    fail(database, ENCRYPTED, "a.pdf", "b.pdf", "c.pdf")
    ago(300, "a.pdf")
    ago(100, "b.pdf")
    assert evaluate(database, channels, rules).sent == []  # c failed just now: more may come
    ago(70, "c.pdf")
    assert evaluate(database, channels, rules).sent == ["1 JSON"]
    # The next letter waits for the pause.
    settle(database, "a.pdf", "b.pdf", "c.pdf")
    assert evaluate(database, channels, rules).sent == []
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE ingest.alert_channels SET sent_at = sent_at - interval '11 minutes'")
        )
    assert evaluate(database, channels, rules).sent == ["1 JSON"]
    assert len(hook.posts) == 2


def test_a_queue_that_stands_still_is_told_with_what_hinders_it(database: Database, hook: Hook) -> None:
    channels = Channels(hook.url)
    found(database, "a.pdf", "b.pdf")

    def look(awake_since: datetime | None = None) -> Sequence[str]:
        return evaluate(database, channels, AT_ONCE, (), lambda: "S3 is away.", awake_since).wrong

    assert look() == []
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE ingest.document_sources SET discovered_at = now() - interval '16 minutes'")
        )
    assert look(datetime.now(timezone.utc)) == []  # The pipeline has only just started.
    assert look() == ["Documents wait, and none is worked on."]
    (post,) = hook.posts
    assert "2 documents in all; none was worked on since " in post["message"]
    assert "S3 is away." in post["message"]
    begin(database, "a.pdf")
    assert look() == []
    assert hook.posts[1]["title"] == "[ingest_assets] All clear"


def test_an_address_that_fails_holds_up_no_other_and_is_told_later_what_is_wrong_then(
    database: Database, mailbox: Mailbox, hook: Hook
) -> None:
    channels = Channels(f"{hook.url} {mailbox.url}")
    hook.status = 503
    found(database, "a.pdf", "b.pdf")
    fail(database, ENCRYPTED, "a.pdf")
    told = evaluate(database, channels, AT_ONCE)
    assert told.sent == ["2 E-Mail"]
    assert "503" in told.failed["1 JSON"]
    (untold,) = read_status(database).untold
    assert untold.channel == "1 JSON"
    assert "Alerts do not arrive at address 1 JSON since" in render.plain(
        render.status(read_status(database))
    )
    fail(database, ENCRYPTED, "b.pdf")
    hook.status = 200
    evaluate(database, channels, AT_ONCE)
    assert [post["title"] for post in hook.posts] == ["[ingest_assets] 2 documents failed: encrypted"]
    assert [mail["Subject"] for mail in mailbox.mails] == [
        "[ingest_assets] 1 document failed: encrypted"
    ] * 2
    assert read_status(database).untold == []


def test_an_address_that_does_not_answer_is_given_up_after_a_time(
    database: Database, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.3)
    hook.answers.clear()
    found(database, "a.pdf")
    fail(database, ENCRYPTED, "a.pdf")
    # The hook goes on waiting: who waited for its answer would not come back.
    told = evaluate(database, Channels(hook.url), AT_ONCE)
    assert not hook.answers.is_set()
    assert hook.posts == []
    # What apprise itself says when it gives up, four seconds later, is another sentence.
    assert told.failed == {"1 JSON": "It gave no answer in 0 seconds."}
    assert not told.sent


def test_what_is_killed_between_sending_and_recording_sends_once_more(
    database: Database, database_url: str, hook: Hook
) -> None:
    found(database, "a.pdf")
    fail(database, ENCRYPTED, "a.pdf")
    lines = (
        "from ingest_assets.failpoints import arm",
        "from ingest_assets.operations.alerts.channels import Channels",
        "from ingest_assets.operations.alerts.engine import evaluate",
        "from ingest_assets.store.database import Database",
        "from ingest_assets_tests.operations.test_alerts import AT_ONCE",
        "arm('alert.sent')",
        f"evaluate(Database({database_url!r}), Channels({hook.url!r}), AT_ONCE)",
    )
    assert (
        subprocess.run([sys.executable, "-c", "; ".join(lines)], check=False).returncode
        == -signal.SIGKILL
    )
    assert len(hook.posts) == 1
    for _ in range(3):
        evaluate(database, Channels(hook.url), AT_ONCE)
    assert [post["title"] for post in hook.posts] == [
        "[ingest_assets] 1 document failed: encrypted"
    ] * 2


def test_two_daemons_send_one_letter(database: Database, database_url: str, hook: Hook) -> None:
    found(database, "a.pdf")
    fail(database, ENCRYPTED, "a.pdf")

    def daemon() -> None:
        with closing(Database(database_url)) as own:
            evaluate(own, Channels(hook.url), AT_ONCE)

    threads = [threading.Thread(target=daemon) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hook.posts) == 1


def test_two_sensors_that_one_fault_keeps_from_launching_are_one_trouble(
    database: Database, hook: Hook
) -> None:
    channels = Channels(hook.url)
    withhold(database, "input_directory", THROTTLED)
    assert evaluate(database, channels, AT_ONCE).wrong == []  # It may pass.
    for sensor in ("input_directory", "retry_failed"):
        withhold(database, sensor, REFUSED)
    assert evaluate(database, channels, AT_ONCE).wrong == ["The set-up is wrong: object_store_refused."]
    launch_again(database, "input_directory")
    evaluate(database, channels, AT_ONCE)
    assert len(hook.posts) == 1
    launch_again(database, "retry_failed")
    evaluate(database, channels, AT_ONCE)
    assert hook.posts[1]["title"] == "[ingest_assets] All clear"


def test_the_daily_letter_comes_once_a_day(database: Database, hook: Hook) -> None:
    channels = Channels(hook.url)
    found(database, "a.pdf", "b.pdf")
    fail(database, ENCRYPTED, "a.pdf")
    rules = replace(AT_ONCE, digest_hour=0)
    for _ in range(2):
        evaluate(database, channels, rules)
    (post,) = hook.posts
    assert post["title"] == "[ingest_assets] Daily: one thing needs a person"
    assert "In the last 24 hours: 1 failed." in post["message"]
    assert "All: 1 of 2 documents done" in post["message"]
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE ingest.alert_channels SET digest_at = digest_at - interval '1 day'")
        )
    evaluate(database, channels, rules)
    assert len(hook.posts) == 2
    assert "Needs a person:\n- 1 document failed: encrypted (since " in hook.posts[1]["message"]


@pytest.mark.parametrize(
    ("urls", "heartbeat"),
    [
        (f"foo://{TOKEN}", ""),
        (f"json://localhost/x slack://{TOKEN}", ""),
        (TOKEN, ""),
        (f"mailtos://writer:{PASSWORD}@", ""),
        ("", TOKEN),
    ],
)
def test_a_wrong_address_is_an_error_of_configuration_without_the_secret(
    urls: str, heartbeat: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigurationError) as raised:
        Channels(urls, heartbeat)
    said = f"{raised.value} {raised.value!r} {caplog.text} {''.join(capfd.readouterr())}"
    assert TOKEN not in said
    assert PASSWORD not in said
    assert raised.value.code == "alert_url_wrong"


def test_a_wrong_address_keeps_dev_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_ALERT_URLS", f"json://localhost/x foo://{TOKEN}")
    for command in (["dev"], ["services", "start"], ["migrate"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert "Address 2 of INGEST_ALERT_URLS" in result.output
        assert TOKEN not in result.output


def test_a_test_is_sent_to_each_address_and_says_what_came_of_it(
    mailbox: Mailbox, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("COLUMNS", "1000")
    wrong = mailbox.url.replace(PASSWORD, f"not-{PASSWORD}")
    monkeypatch.setenv("INGEST_ALERT_URLS", f"{mailbox.url}, {hook.url},{wrong}")
    monkeypatch.setenv("INGEST_ALERT_HEARTBEAT_URL", f"http://{hook.address}")
    result = CliRunner().invoke(main, ["alert", "--test"])
    assert result.exit_code == 1
    first, second, third = result.output.splitlines()
    assert (first, second) == ("1 E-Mail: sent.", "2 JSON: sent.")
    assert third.startswith("3 E-Mail: ")
    assert "Authentication" in third
    assert [mail["Subject"] for mail in mailbox.mails] == ["[ingest_assets] Test"]
    assert hook.posts[0]["title"] == "[ingest_assets] Test"
    assert hook.gets == [f"/{TOKEN}"]
    for secret in (PASSWORD, TOKEN, "writer"):
        assert secret not in result.output
        assert secret not in caplog.text


def test_no_secret_is_in_what_is_stored_or_said_of_a_failure(
    database: Database, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 404
    nobody = "http://127.0.0.1:1"
    channels = Channels(
        f"{hook.url}?+x={PASSWORD} jsons://user:{PASSWORD}@127.0.0.1:1/{TOKEN}", f"{nobody}/{TOKEN}"
    )
    found(database, "a.pdf")
    fail(database, ENCRYPTED, "a.pdf")
    told = evaluate(database, channels, AT_ONCE)
    assert len(told.failed) == 2
    with database.engine.connect() as connection:
        stored = connection.execute(text("SELECT CAST(c AS text) FROM ingest.alert_channels AS c"))
        said = f"{told} {channels.ping()} {list(stored.scalars())} {caplog.text}"
    said += str(read_status(database).as_json())
    assert "404" in said
    assert "could not be asked for: URLError" in said
    assert PASSWORD not in said
    assert TOKEN not in said


def tell(pipeline: Pipeline, hook: Hook) -> None:
    """From now on the pipeline sends the hook its alerts."""
    settings = pipeline.settings.model_copy(
        update={
            "alert_urls": SecretStr(hook.url),
            "alert_heartbeat_url": SecretStr(f"http://{hook.address}"),
            "alert_pause_minutes": 0,
            "dagit_url": f"{DAGIT}/",
        }
    )
    pipeline.defs = build_defs(settings, pipeline.engines.resources)


def test_the_sensor_tells_and_then_asks_for_the_address_that_watches_it(
    pipeline: Pipeline, hook: Hook
) -> None:
    assert "INGEST_ALERT_URLS is not set" in (pipeline.tick(sensor="alerts").skip_message or "")
    tell(pipeline, hook)
    pipeline.put("broken.pdf", b"%PDF-1.7 broken")
    pipeline.ingest()
    tick = pipeline.tick(sensor="alerts")
    assert tick.skip_message == "One thing needs a person; told through 1 JSON."
    (post,) = hook.posts
    assert "- broken.pdf" in post["message"]
    assert f"{DAGIT}/assets/document_text?view=partitions&partition=broken-" in post["message"]
    assert hook.gets == [f"/{TOKEN}"]
    hook.status = 500
    pipeline.input_dir.rename(pipeline.input_dir.with_name("elsewhere"))
    pipeline.tick()
    assert "NOT told through 1 JSON" in (pipeline.tick(sensor="alerts").skip_message or "")
    assert len(hook.gets) == 1  # The watcher has to hear nothing where people are not told.


def test_a_wrong_set_up_is_told_at_once_and_when_it_is_mended(pipeline: Pipeline, hook: Hook) -> None:
    """Nothing is launched with it, so no document fails by it."""
    wrong = pipeline.settings.model_copy(update={"ocr_languages": "eng+tlh"})
    defs = pipeline.defs
    pipeline.defs = build_defs(wrong)
    pipeline.put("note.txt", b"A note.")
    assert "held. " in (pipeline.tick().skip_message or "")
    (withheld,) = read_status(pipeline.database).withheld
    assert (withheld.sensor, withheld.error_code) == ("input_directory", "ocr_language_missing")
    tell(pipeline, hook)
    pipeline.tick(sensor="alerts")
    assert hook.posts[0]["title"] == "[ingest_assets] The set-up is wrong: ocr_language_missing"
    status = render.plain(render.status(read_status(pipeline.database)))
    for told in (hook.posts[0]["message"], pipeline.why("note.txt"), status):
        sentence = " ".join(told.split())
        assert "The sensor `input_directory` launches no run until this is mended: " in sentence
        assert "tlh" in sentence
        assert "INGEST_OCR_LANGUAGES" in sentence

    pipeline.defs = defs
    assert all(run.success for run in pipeline.ingest())
    assert read_status(pipeline.database).withheld == []
    assert "nothing; it is done." in pipeline.why("note.txt")
    tell(pipeline, hook)
    pipeline.tick(sensor="alerts")
    assert hook.posts[1]["title"] == "[ingest_assets] All clear"


def test_where_runs_do_not_start_the_letter_on_the_queue_says_so(
    pipeline: Pipeline, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(pipeline, hook)
    long_ago = datetime.now(timezone.utc) - timedelta(hours=2)
    sensor = import_module("ingest_assets.defs.sensors.alerts")
    monkeypatch.setattr(sensor, "_AWAKE_SINCE", long_ago)
    pipeline.put("note.txt", b"A note.")
    (request,) = pipeline.requests()
    job = pipeline.defs.resolve_job_def("ingest_documents")
    pipeline.instance.create_run_for_job(job, tags=request.tags, status=DagsterRunStatus.FAILURE)
    with pipeline.database.engine.begin() as connection:
        connection.execute(
            text("UPDATE ingest.document_sources SET discovered_at = now() - interval '1 hour'")
        )
    pipeline.tick(sensor="alerts")
    assert hook.posts[0]["title"] == "[ingest_assets] Documents wait, and none is worked on"
    assert "1 run of the last hour did not start" in hook.posts[0]["message"]


def tick(dagster: Database, name: str, status: str, minutes_ago: float, kind: str = "SENSOR") -> None:
    """A tick as Dagster stores it."""
    cause = {"message": "psycopg2.OperationalError: no route to the host\nat line 1", "cause": None}
    body = {"job_name": name, "error": {"message": "Error in a sensor", "cause": cause}}
    with dagster.engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body)
                VALUES (:name, :name, :status, :kind,
                        (now() AT TIME ZONE 'UTC') - make_interval(secs => 60 * :ago), :body)
            """),
            {
                "name": name,
                "status": status,
                "kind": kind,
                "ago": minutes_ago,
                "body": json.dumps(body),
            },
        )


def test_sensors_whose_ticks_fail_are_found_in_dagsters_database(
    migrated_with_dagster_url: str,
) -> None:
    with closing(Database(migrated_with_dagster_url)) as dagster:
        assert list(troubles.failing_sensors(dagster)) == []
        with dagster.engine.begin() as connection:
            connection.execute(
                text("""
                    INSERT INTO instigators (selector_id, status, instigator_type)
                    VALUES ('lasting', 'DECLARED_IN_CODE', 'SENSOR'), ('short', 'RUNNING', 'SENSOR'),
                           ('mended', 'RUNNING', 'SENSOR'), ('off', 'STOPPED', 'SENSOR'),
                           ('nightly', 'RUNNING', 'SCHEDULE')
                """)
            )
        try:
            for name in ("lasting", "off"):
                tick(dagster, name, "SKIPPED", 5)
            tick(dagster, "short", "SKIPPED", 1)
            for minutes in (4, 3, 0.5):
                for name in ("lasting", "off", "mended"):
                    tick(dagster, name, "FAILURE", minutes)
            for _ in range(3):
                tick(dagster, "short", "FAILURE", 0.5)
            tick(dagster, "lasting", "STARTED", 0)
            tick(dagster, "mended", "SUCCESS", 0.2)
            tick(dagster, "nightly", "FAILURE", 600, "SCHEDULE")
            failing = troubles.failing_sensors(dagster)
        finally:
            with dagster.engine.begin() as connection:
                connection.execute(text("TRUNCATE instigators, job_ticks"))
    assert [trouble.title for trouble in failing] == [
        "The schedule nightly fails.",
        "The sensor lasting fails.",
    ]
    assert failing[1].detail.startswith("OperationalError: no route to the host Until it is mended")
    assert failing[1].since is not None


def test_a_database_that_cannot_be_asked_is_told_once_and_when_it_is_over(
    database: Database, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = Channels(hook.url)
    away = ConfigurationError("database_refused", "Postgres refuses: no such user.")
    told, memory = engine.tell_without_database(channels, AT_ONCE, away, "")
    assert told.sent == []  # Postgres may be restarting.
    monkeypatch.setattr(engine, "MAY_PASS", timedelta(0))
    hook.status = 503
    told, memory = engine.tell_without_database(channels, AT_ONCE, away, memory)
    assert "503" in told.failed["1 JSON"]
    hook.status = 200
    for _ in range(2):
        _, memory = engine.tell_without_database(channels, AT_ONCE, away, memory)
    (post,) = hook.posts
    assert post["title"] == "[ingest_assets] The documents' database cannot be asked"
    assert "Postgres refuses: no such user. What to do: " in post["message"]
    evaluate(database, channels, AT_ONCE, memory=memory)
    assert hook.posts[1]["title"] == "[ingest_assets] All clear"
    assert "- The documents' database cannot be asked. (since " in hook.posts[1]["message"]
    assert evaluate(database, channels, AT_ONCE).sent == []


def test_the_sensor_tells_of_a_database_that_cannot_be_asked(
    pipeline: Pipeline, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAY_PASS", timedelta(0))
    tell(pipeline, hook)
    title = "[ingest_assets] The documents' database cannot be asked"
    with monkeypatch.context() as patch:
        patch.delenv("DAGSTER_POSTGRES_URL", raising=False)
        patch.setattr(PostgresResource, "get", lambda _: Database("postgresql://u@127.0.0.1:1/none"))
        first = pipeline.tick(sensor="alerts")
        assert "told through 1 JSON" in (first.skip_message or "")
        second = pipeline.tick(sensor="alerts", cursor=first.cursor)
    assert [post["title"] for post in hook.posts] == [title]
    pipeline.tick(sensor="alerts", cursor=second.cursor)
    assert hook.posts[1]["title"] == "[ingest_assets] All clear"


def test_the_command_tells_of_a_stack_that_does_not_run(hook: Hook, tmp_path: Path) -> None:
    memory = tmp_path / "data" / "alerts.json"
    memory.parent.mkdir()
    memory.write_text('{"since": "2026-01-01T00:00:00+00:00", "told": []}')  # An earlier call's.
    result = cli(tmp_path, "alert", INGEST_ALERT_URLS=hook.url)
    assert result.returncode == 1
    assert result.stdout == "One thing needs a person; told through 1 JSON.\n"
    (post,) = hook.posts
    assert post["title"] == "[ingest_assets] The documents' database cannot be asked"
    assert "ingest-assets dev" in post["message"]
    assert json.loads(memory.read_text())["told"] == ["1 JSON"]


def test_a_failing_check_and_a_silent_daemon_are_found_in_dagsters_database(
    database: Database, migrated_with_dagster_url: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Database(migrated_with_dagster_url)) as dagster:
        assert list(troubles.failing_checks(dagster)) == []
        with dagster.engine.begin() as connection:
            connection.execute(
                text("""
                    INSERT INTO asset_check_executions
                        (asset_key, check_name, execution_status, evaluation_event_timestamp)
                    SELECT '["ingest_report"]', name, status, now() AT TIME ZONE 'UTC'
                    FROM (VALUES ('objects_have_rows', 'SUCCEEDED'), ('objects_have_rows', 'FAILED'),
                                 ('objects_have_rows', 'PLANNED'), ('rows_have_objects', 'FAILED'),
                                 ('rows_have_objects', 'SUCCEEDED')) AS check_ (name, status)
                """)
            )
            connection.execute(
                text("""
                    INSERT INTO daemon_heartbeats (daemon_type, daemon_id, timestamp, body)
                    SELECT part, 'x', (now() - age) AT TIME ZONE 'UTC', '{}'
                    FROM (VALUES ('SENSOR', interval '6 minutes'), ('BACKFILL', interval '1 minute'),
                                 ('ASSET', interval '9 days')) AS beat (part, age)
                """)
            )
        try:
            checks = troubles.failing_checks(dagster)
            assert [check.topic for check in checks] == ["check:objects_have_rows"]
            monkeypatch.setenv("INGEST_ALERT_URLS", hook.url)
            monkeypatch.setattr(running, "use_running_stack", running.load_settings)
            monkeypatch.setattr(running, "database", lambda: database)
            monkeypatch.setattr(running, "dagster_database", lambda: dagster)
            result = CliRunner().invoke(main, ["alert"])
        finally:
            with dagster.engine.begin() as connection:
                connection.execute(text("TRUNCATE asset_check_executions, daemon_heartbeats"))
    assert result.output == "2 things need a person; told through 1 JSON.\n"
    (post,) = hook.posts
    assert "The check objects_have_rows fails." in post["message"]
    assert "Dagster's daemon gives no sign of life.\nSilent: sensor; the first since" in post["message"]
