"""The engine against the stand-in: what is read, what is written down, and what each fault leads to."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pikepdf
import pytest
from PIL import Image

from ingest_assets.errors import ConfigurationError
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.textract.parts import Limits
from ingest_assets.stages.runner import TRIES
from ingest_assets.store.textract_jobs import Quotas
from ingest_assets_tests.ocr.textract.conftest import Runs
from ingest_assets_tests.support.bucket import execute
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.stand_in import StandIn

TWO_PAGES = pdf("An agreement of two pages.", "Its second page.")
TWO_PAGES_TEXT = "An agreement of two pages.\n\nIts second page."


def test_pages_are_read_and_the_answers_kept(runs: Runs, textract: StandIn) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    runs.pipeline.put("scan.png", picture("A PRINTED LINE", "AND A SECOND LINE"))
    runs.pipeline.put("note.txt", b"A note.")
    assert [outcome.error for outcome in runs.run()] == [None] * 3
    texts = runs.texts()
    assert texts["agreement.pdf"].text == TWO_PAGES_TEXT
    assert texts["scan.png"].text == "A PRINTED LINE\nAND A SECOND LINE"
    assert texts["agreement.pdf"].engine == "textract"
    assert texts["agreement.pdf"].engine_version == "model 1.0; order 1"
    assert 0.5 < texts["scan.png"].mean_confidence <= 1
    assert texts["note.txt"].engine == "local"  # nothing to recognise, so nothing to pay for
    assert {job["token"] for job in textract.jobs} == {
        job["client_request_token"] for job in runs.jobs()
    }
    assert sorted((job["status"], job["pages"], job["cost_usd"]) for job in runs.jobs()) == [
        ("succeeded", 1, Decimal("0.0015")),
        ("succeeded", 2, Decimal("0.0030")),
    ]
    for job in runs.jobs():
        raw = runs.pipeline.objects.get_derived(job["raw_key"])
        assert raw is not None
        answers = [json.loads(line) for line in gzip.decompress(raw).decode().splitlines()]
        kinds = {block["BlockType"] for answer in answers for block in answer["Blocks"]}
        assert kinds == {"PAGE", "LINE", "WORD"}


def test_files_attached_to_a_pdf_become_parts_with_any_engine(runs: Runs) -> None:
    attached, pinned = io.BytesIO(), io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf("A page with a file attached."))) as document:
        document.attachments["table.txt"] = pikepdf.AttachedFileSpec(document, b"A table.")
        document.save(attached)
    with pikepdf.open(io.BytesIO(pdf("A page with a file pinned to it."))) as document:
        spec = pikepdf.AttachedFileSpec(document, b"A pin.", filename="pin.txt")
        pin = pikepdf.Dictionary(Type=pikepdf.Name.Annot, Rect=[0, 0, 9, 9], FS=spec.obj)
        pin.Subtype = pikepdf.Name.FileAttachment
        document.pages[0].Annots = [document.make_indirect(pin)]
        document.save(pinned)
    runs.pipeline.put("attached.pdf", attached.getvalue())
    runs.pipeline.put("pinned.pdf", pinned.getvalue())
    runs.run()
    rows = runs.pipeline.rows("SELECT part_path FROM ingest.document_sources WHERE kind = 'part'")
    assert sorted(path for (path,) in rows) == ["pin.txt", "table.txt"]


def test_the_version_is_read_that_was_stored(runs: Runs, textract: StandIn) -> None:
    client, bucket = runs.pipeline.objects.client, runs.pipeline.objects.bucket
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        runs.pipeline.put("agreement.pdf", TWO_PAGES)
        assert [outcome.error for outcome in runs.run()] == [None]
        (job,) = runs.jobs()
        head = client.head_object(Bucket=bucket, Key=job["s3_key"])
        assert job["s3_version"] == head["VersionId"] != "null"
    finally:
        for version in client.list_object_versions(Bucket=bucket)["Versions"]:
            client.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def test_answers_of_several_pages_are_put_together_as_the_local_engine_reads(runs: Runs) -> None:
    lines = [f"Line {number} of a long document with ten words in it." for number in range(300)]
    runs.pipeline.put("long.pdf", pdf("\n".join(lines)))
    runs.run()
    (job,) = runs.jobs()
    answers = gzip.decompress(runs.pipeline.objects.get_derived(job["raw_key"]) or b"").splitlines()
    assert len(answers) == 4  # 1,000 blocks each
    text = runs.texts()["long.pdf"].text
    assert text.replace("\n\n", "\n").splitlines() == lines
    assert job["pages"] == runs.texts()["long.pdf"].page_count > 5


def test_what_is_refused_for_now_is_asked_again_and_billed_once(runs: Runs, textract: StandIn) -> None:
    for number in range(6):
        runs.pipeline.put(f"{number}.pdf", pdf(f"Document {number}."))
    textract.faults(throttle=0.3, server_error=0.1)
    assert [outcome.error for outcome in runs.run()] == [None] * 6
    assert len(textract.jobs) == len(runs.jobs()) == 6
    assert sum(count for name, count in textract.calls.items() if not name.endswith("OK")) > 3


def test_a_start_whose_answer_is_lost_is_found_by_its_token(runs: Runs, textract: StandIn) -> None:
    for number in range(3):
        runs.pipeline.put(f"{number}.pdf", pdf(f"Document {number}."))
    textract.faults(lose=3)
    assert [outcome.error for outcome in runs.run()] == [None] * 3
    assert textract.calls["Start lost"] == 3
    assert textract.calls["Start OK"] == 6
    assert len(textract.jobs) == 3


def test_a_start_that_is_given_up_keeps_its_reason_and_its_token(
    runs: Runs, textract: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is lost, and then Textract refuses until patience ends."""
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    engine = runs.engine()
    engine._probe()
    monkeypatch.setattr("ingest_assets.ocr.textract.calls.PATIENCE_SECONDS", 1.0)
    textract.faults(lose=1, throttle_starts_after=1)
    (outcome,) = runs.run(engine)
    assert outcome.error is not None
    assert outcome.error.code == "textract_throttled"
    (job,) = runs.jobs()
    assert (job["status"], job["error_code"]) == ("starting", "textract_throttled")
    story = runs.pipeline.why("agreement.pdf")
    assert "Textract, start 1: starting" in story
    textract.faults()
    assert [outcome.error for outcome in runs.run()] == [None]
    assert len(textract.jobs) == len(runs.jobs()) == 1


def test_a_failed_job_keeps_its_reason_and_is_started_anew(runs: Runs, textract: StandIn) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    textract.faults(fail=1.0)
    (outcome,) = runs.run()
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.error.code) == ("transient", "textract_job_failed")
    textract.faults()
    assert [outcome.error for outcome in runs.run()] == [None]
    *failed, succeeded = runs.jobs()
    assert [(job["status"], job["error_code"]) for job in failed] == [
        ("failed", "textract_job_failed")
    ] * TRIES
    assert all("Internal failure" in job["error_message"] for job in failed)
    assert (succeeded["status"], succeeded["attempt"]) == ("succeeded", TRIES + 1)
    assert len({job["job_id"] for job in runs.jobs()}) == TRIES + 1
    story = runs.pipeline.why("agreement.pdf")
    assert "Textract, start 1: failed, 2 pages, about $0.0030" in story
    assert "Internal failure" in story


def test_a_document_that_textract_will_never_read_is_told_so(runs: Runs, textract: StandIn) -> None:
    big_tiff = io.BytesIO()
    Image.new("L", (50, 50), 255).save(big_tiff, "TIFF", big_tiff=True)
    runs.pipeline.put("big.tif", big_tiff.getvalue())
    runs.pipeline.put("password.pdf", _encrypted(TWO_PAGES))
    runs.pipeline.put("broken.pdf", b"%PDF-1.4 broken")
    runs.run()
    assert runs.pipeline.errors() == {
        "big.tif": "textract_unsupported",
        "password.pdf": "encrypted",
        "broken.pdf": "textract_job_failed",
    }
    found = {(job["status"], job["error_class"], job["error_code"]) for job in runs.jobs()}
    assert found == {
        ("start_failed", "permanent", "textract_unsupported"),
        ("failed", "permanent", "textract_job_failed"),
    }
    assert "Request has unsupported document format" in str(
        [job["error_message"] for job in runs.jobs()]
    )


def test_nothing_is_recognised_here_when_textract_is_refused(
    runs: Runs, textract: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        runs.pipeline.put(f"{number}.pdf", pdf(f"Document {number}."))
    recognised: list[object] = []
    monkeypatch.setattr(LocalEngine, "recognise", lambda self, document: recognised.append(document))
    textract.faults(deny=True)
    outcomes = runs.run()
    assert {outcome.error.code for outcome in outcomes if outcome.error} == {"textract_refused"}
    assert all(isinstance(outcome.error, ConfigurationError) for outcome in outcomes)
    assert textract.calls == {"Start AccessDenied": 1}  # asked once, for all
    assert recognised == runs.jobs() == []


def test_an_object_that_is_gone_is_ours_and_no_fault_of_the_set_up(runs: Runs) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    runs.pipeline.put("kept.pdf", pdf("Kept."))
    engine = runs.engine()
    survey = engine._surveyor.survey

    def gone(document: object) -> object:
        found = survey(document)  # type: ignore[arg-type]
        if found.parts[0].page_count == 2:
            key = found.parts[0].key
            runs.pipeline.objects.client.delete_object(Bucket=runs.pipeline.objects.bucket, Key=key)
        return found

    engine._surveyor.survey = gone  # type: ignore[method-assign, assignment]
    runs.run(engine)
    assert runs.pipeline.errors() == {"agreement.pdf": "object_missing"}
    assert runs.pipeline.states()["kept.pdf"] == "completed"


def test_what_a_partial_success_leaves_out_is_said(runs: Runs, textract: StandIn) -> None:
    runs.pipeline.put("agreement.pdf", pdf("First page.", "Second page.", "Third page."))
    textract.faults(partial=[2])
    assert [outcome.error for outcome in runs.run()] == [None]
    text = runs.texts()["agreement.pdf"]
    assert text.text == "First page.\n\n\n\nThird page."
    assert text.page_count == 3
    notes = runs.pipeline.rows(
        "SELECT kind, page_number, sentence FROM ingest.document_notes ORDER BY 3"
    )
    assert [tuple(note) for note in notes] == [
        ("pages_left_out", 2, "Textract left this page out"),
        ("pages_left_out", 2, "Textract warns: INTERNAL_ERROR"),
    ]
    (progress,) = runs.pipeline.rows("SELECT complete FROM ingest.document_progress")
    assert progress.complete is False
    (job,) = runs.jobs()
    assert job["status"] == "partial_success"
    assert job["warnings"] == [{"ErrorCode": "INTERNAL_ERROR", "Pages": [2]}]


def test_more_pages_than_textract_takes_go_in_parts(runs: Runs, textract: StandIn) -> None:
    pages = [f"This is page {number}." for number in range(1, 8)]
    runs.pipeline.put("long.pdf", pdf(*pages))
    textract.faults(fail=1.0)
    runs.run(runs.engine(limits=Limits(pages=3)))
    keys = [found.key for found in runs.pipeline.objects.listing("derived/")]
    textract.faults()
    assert [outcome.error for outcome in runs.run(runs.engine(limits=Limits(pages=3)))] == [None]
    text = runs.texts()["long.pdf"]
    assert text.text == "\n\n".join(pages)
    notes = runs.pipeline.rows("SELECT sentence FROM ingest.document_notes")
    assert [note.sentence for note in notes] == ["split into 3 parts for Textract"]
    parts = [key.rpartition("/")[2] for key in keys if "/parts/" in key]
    assert parts == ["00001-00002.pdf", "00003-00004.pdf", "00005-00007.pdf", "parts.json"]
    done = [job for job in runs.jobs() if job["status"] == "succeeded"]
    assert [(job["first_page"], job["pages"]) for job in done] == [(1, 2), (3, 2), (5, 3)]
    numbers = runs.pipeline.rows("SELECT page_number FROM ingest.document_pages ORDER BY 1")
    assert [row.page_number for row in numbers] == list(range(1, 8))


def test_parts_are_small_enough_whatever_their_pages_weigh(runs: Runs, textract: StandIn) -> None:
    heavy = io.BytesIO()
    with pikepdf.new() as whole, pikepdf.open(io.BytesIO(pdf(*"ABCDEF"))) as light:
        whole.pages.extend(light.pages)
        for page in whole.pages[:2]:
            page.Weight = whole.make_stream(bytes(range(256)) * 300)
        whole.save(heavy, compress_streams=False)
    runs.pipeline.put("heavy.pdf", heavy.getvalue())
    limits = Limits(file_bytes=100_000)
    assert [outcome.error for outcome in runs.run(runs.engine(limits=limits))] == [None]
    assert runs.texts()["heavy.pdf"].text == "\n\n".join("ABCDEF")
    sizes = [
        found.size_bytes
        for found in runs.pipeline.objects.listing("derived/")
        if found.key.endswith(".pdf")
    ]
    assert len(sizes) >= 2
    assert max(sizes) <= 100_000


def test_a_picture_that_is_too_large_is_never_sent(runs: Runs, textract: StandIn) -> None:
    runs.pipeline.put("scan.png", picture("A LINE"))
    runs.run(runs.engine(limits=Limits(picture_bytes=100)))
    assert runs.pipeline.errors() == {"scan.png": "textract_too_large"}
    assert textract.jobs == []


@pytest.mark.parametrize("asked", [True, False], ids=["Textract says so", "we know"])
def test_a_job_that_textract_forgot_is_recorded_and_started_anew(
    runs: Runs, textract: StandIn, asked: bool
) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    textract.faults(stay=True)
    (outcome,) = runs.run(runs.engine(job_seconds=0.5))
    assert outcome.error is not None
    assert outcome.error.code == "textract_job_slow"
    (job,) = runs.jobs()
    assert job["status"] == "in_progress"
    textract.faults()
    if not asked:
        execute(
            runs.pipeline,
            "UPDATE ingest.textract_jobs SET created_at = created_at - interval '8 days'",
        )
    textract.advance(8 * 24 * 3600)
    before = textract.calls.get("Get InvalidJobId", 0)
    assert [outcome.error for outcome in runs.run()] == [None]
    assert textract.calls.get("Get InvalidJobId", 0) - before == asked
    assert [job["status"] for job in runs.jobs()] == ["expired", "succeeded"]
    assert len(textract.jobs) == 2


def test_what_was_answered_is_read_again_and_not_paid_again(runs: Runs, textract: StandIn) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    runs.run()
    with runs.pipeline.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM ingest.document_texts")
    textract.advance(30 * 24 * 3600)
    assert [outcome.error for outcome in runs.run()] == [None]
    assert runs.texts()["agreement.pdf"].text == TWO_PAGES_TEXT
    assert len(textract.jobs) == 1


def test_what_another_engine_read_is_left_alone_unless_asked(runs: Runs, textract: StandIn) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    runs.pipeline.put("note.txt", b"A note.")
    runs.pipeline.ingest()
    assert {text.engine for text in runs.texts().values()} == {"local"}
    runs.run()
    assert {text.engine for text in runs.texts().values()} == {"local"}
    assert textract.jobs == []
    for _ in range(2):  # Asked twice, done once.
        runs.run(read_again=True)
        assert {name: text.engine for name, text in runs.texts().items()} == {
            "agreement.pdf": "textract",
            "note.txt": "local",
        }
    assert len(textract.jobs) == 1


def test_two_runs_over_the_same_documents_start_each_once(runs: Runs, textract: StandIn) -> None:
    for number in range(8):
        runs.pipeline.put(f"{number}.pdf", pdf(f"Document {number}."))
    runs.pipeline.requests()
    engines = runs.engine(), runs.engine()
    with ThreadPoolExecutor(2) as pool:
        outcomes = [outcome for done in pool.map(runs.run, engines) for outcome in done]
    assert [outcome.error for outcome in outcomes] == [None] * 16
    assert len(textract.jobs) == 8


def test_two_runs_share_the_quotas(runs: Runs, textract: StandIn) -> None:
    for number in range(10):
        runs.pipeline.put(f"{number}.pdf", pdf(f"Document {number}."))
    runs.pipeline.requests()
    quotas = Quotas(jobs_in_flight=2, starts_per_second=4, gets_per_second=100)
    most, done = [0], threading.Event()

    def count() -> None:
        while not done.wait(0.05):
            open_jobs = sum(job["status"] in ("starting", "in_progress") for job in runs.jobs())
            most[0] = max(most[0], open_jobs)

    watching = threading.Thread(target=count)
    watching.start()
    began = time.monotonic()
    engines = runs.engine(quotas), runs.engine(quotas)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(runs.run, engines))
    took = time.monotonic() - began
    done.set()
    watching.join()
    assert len(textract.jobs) == 10
    assert most[0] == 2
    assert took > 9 / 4


def test_a_hundred_that_wait_take_neither_cores_nor_connections(runs: Runs, textract: StandIn) -> None:
    for number in range(25):  # More than there may be connections.
        runs.pipeline.put(f"{number}.pdf", pdf(f"Document {number}."))
    textract.faults(stay=True)
    engine = runs.engine(Quotas(jobs_in_flight=100, starts_per_second=50, gets_per_second=20))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(runs.run, engine)
        while len(textract.jobs) < 25:
            assert not run.done()
            time.sleep(0.1)
        time.sleep(1)
        began, cpu = time.monotonic(), time.process_time()
        time.sleep(3)
        cores = (time.process_time() - cpu) / (time.monotonic() - began)
        (sessions,) = runs.pipeline.rows("""
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'ingest_assets'
        """)
        textract.faults()
        assert [outcome.error for outcome in run.result(120)] == [None] * 25
    assert cores < 0.2
    assert sessions.count <= 17  # the pool, however many documents wait, and the locks


def test_a_cancelled_run_waits_for_nothing_and_loses_nothing(runs: Runs, textract: StandIn) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    textract.faults(stay=True)
    run = runs.outcomes()
    for outcome in run:
        if outcome.stage == "document_object":
            break
    while not any(job["status"] == "in_progress" for job in runs.jobs()):
        time.sleep(0.05)
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < 60  # The jobs stay for ever.
    assert runs.pipeline.errors() == {"agreement.pdf": "engine_closed"}
    textract.faults()
    assert [outcome.error for outcome in runs.run()] == [None]
    assert len(textract.jobs) == 1


@pytest.mark.parametrize("spoiled", ["region", "bucket", "secret"])
def test_a_wrong_set_up_is_found_before_the_first_job(
    runs: Runs, textract: StandIn, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    runs.pipeline.put("agreement.pdf", TWO_PAGES)
    words = {
        "region": "Set AWS_REGION to us-east-1",
        "bucket": "s3:GetObject",
        "secret": "InvalidSignatureException",
    }
    region = "us-east-1"
    objects = runs.pipeline.objects
    if spoiled == "region":
        region = "eu-west-1"
        monkeypatch.setattr(type(objects), "region", lambda self: "us-east-1")
    elif spoiled == "bucket":
        put_derived = objects.put_derived
        monkeypatch.setattr(
            objects, "put_derived", lambda key, body, kind: put_derived(f"{key}-x", body, kind)
        )
    else:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    (outcome,) = runs.run(runs.engine(region=region))
    assert isinstance(outcome.error, ConfigurationError)
    assert words[spoiled] in str(outcome.error)
    assert runs.jobs() == textract.jobs == []


def _encrypted(document: bytes) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(document)) as pdf_document:
        pdf_document.save(out, encryption=pikepdf.Encryption(owner="owner", user="user"))
    return out.getvalue()
