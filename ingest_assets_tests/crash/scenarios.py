"""What is going on when a process is killed, and what the next process does.

A scenario is what there is at first, work that nothing disturbs, and `act`, which is done once until
the process is killed, and once more, whole, by the next process: as a daemon that was restarted does,
or a person who repeats a command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

from dagster import AssetKey
from PIL import Image

from ingest_assets.cli import render
from ingest_assets.defs.inventory import restore_rows
from ingest_assets.defs.partitions import shown_partitions
from ingest_assets.errors import TransientError
from ingest_assets.failpoints import arm
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.operations.forget.engine import forget, resume
from ingest_assets.operations.forget.traces import Places
from ingest_assets.operations.reconcile.apply import delete_adopted, restore_lost
from ingest_assets.operations.verification.engine import verify
from ingest_assets.settings import S3Prefix
from ingest_assets.store import object_store
from ingest_assets_tests.crash.site import Site, bury_runs
from ingest_assets_tests.support.bucket import (
    adopt_all,
    contents,
    execute,
    key_of,
    look,
    remove,
    tables,
    upload,
)
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.documents import padded_pdf, pdf, picture
from ingest_assets_tests.support.packages import mail
from ingest_assets_tests.support.pipeline import STAGES, Pipeline
from ingest_assets_tests.support.scans import scan_pdf

MEBIBYTE = 1024**2
INBOX = "inbox/"
AGREEMENT = pdf("The first page of an agreement.", "Its second page.")


def _fill(site: Site) -> None:
    """Good, equal and bad documents, as many as one run takes."""
    site.put("agreement.pdf", AGREEMENT)
    site.put("copies/agreement.pdf", AGREEMENT)
    site.put("empty.pdf", b"")
    site.put("note.txt", b"A note.")
    site.put("program.exe", b"MZ\x90\x00\x03\x00\x00\x00")


FILES = {
    "agreement.pdf": ["completed", "duplicate"],
    "empty.pdf": ["rejected"],
    "note.txt": ["completed"],
    "program.exe": ["rejected"],
}


def _fill_two_runs(site: Site) -> None:
    _fill(site)
    site.put("one more.txt", b"A note for another run.")


def _ingest(pipeline: Pipeline) -> None:
    pipeline.ingest()


def _fill_scan(site: Site) -> None:
    pages = [Image.open(BytesIO(picture(f"SCANNED PAGE {number}"))) for number in (1, 2)]
    site.put("scan.pdf", scan_pdf(*pages))


def _fill_large(site: Site) -> None:
    site.put("large.pdf", padded_pdf("A large document.", 11))


def _ingest_in_parts(pipeline: Pipeline) -> None:
    # Three parts, of the smallest size that S3 takes.
    object_store.PART_BYTES = 5 * MEBIBYTE
    pipeline.ingest()


def _fill_containers(site: Site) -> None:
    inside = {
        "inside.txt": b"A text in an archive in a mail.",
        "agreement.pdf": AGREEMENT,
        "empty": b"",
    }
    site.put("outer.eml", mail("With an archive", attached={"documents.zip": zipped(inside)}))


def _put(site: Site, name: str, content: bytes) -> None:
    site.objects.client.put_object(Bucket=site.bucket, Key=f"{INBOX}{name}", Body=content)


def _fill_inbox(site: Site) -> None:
    _put(site, "note.txt", b"A note.")
    _put(site, "large.pdf", padded_pdf("A large document.", 11))


def _fill_note(site: Site) -> None:
    _put(site, "note.txt", b"A note.")


def _replace_and_ingest(pipeline: Pipeline) -> None:
    """The process that comes after the one that was killed finds another object there."""
    if pipeline.rows("SELECT FROM ingest.document_sources"):
        pipeline.objects.client.put_object(
            Bucket=pipeline.objects.bucket, Key=f"{INBOX}note.txt", Body=b"Another note."
        )
    pipeline.ingest()


def _upload(site: Site) -> None:
    upload(site, "orphan.txt", b"Uploaded without a row.")
    upload(site, "orphaned agreement.pdf", AGREEMENT)


def _upload_large(site: Site) -> None:
    upload(site, "large orphan.pdf", padded_pdf("A large orphan.", 11))


def _fill_and_upload(site: Site) -> None:
    _fill(site)
    _upload(site)


def _adopt(pipeline: Pipeline) -> None:
    """The sensor `orphaned_uploads`, then a backfill of what is missing."""
    adopt_all(pipeline)
    _backfill(pipeline)


def _adopt_in_parts(pipeline: Pipeline) -> None:
    # As for an object above 1 GiB, with parts of the smallest size that S3 takes.
    object_store.COPY_BYTES = 6 * MEBIBYTE
    object_store.COPY_PART_BYTES = 5 * MEBIBYTE
    _adopt(pipeline)


def _backfill(pipeline: Pipeline) -> None:
    missing = [
        key for key, state in pipeline.partition_states(STAGES[-1]).items() if state != "MATERIALIZED"
    ]
    if missing:
        pipeline.run_range(missing[0], missing[-1])


def _delete(pipeline: Pipeline) -> None:
    _, found = look(pipeline)
    adopted = [one for one in found if one.kind == "adopted"]
    list(delete_adopted(pipeline.database, pipeline.objects, adopted, yes=True))


def _lose_rows(pipeline: Pipeline) -> None:
    _adopt(pipeline)
    pipeline.ingest()
    execute(pipeline, "TRUNCATE ingest.document_sources CASCADE")
    for key in pipeline.instance.get_dynamic_partitions("documents"):
        pipeline.instance.delete_dynamic_partition("documents", key)
    pipeline.instance.wipe_assets([AssetKey(stage) for stage in STAGES])


def _rebuild(pipeline: Pipeline) -> None:
    """`ingest-assets rebuild-db`, then the sensor, then a backfill of what is missing."""
    restore_rows(pipeline.instance, pipeline.database, pipeline.objects, 4)
    pipeline.ingest()
    _adopt(pipeline)


def _fail(pipeline: Pipeline) -> None:
    """Recognition fails for a reason that may pass; in this process alone."""

    def throttled(self: LocalEngine, document: StoredObject) -> Recognition:
        raise TransientError("throttled", "The engine has too much to do.", "It is tried again.")

    LocalEngine.recognise = throttled  # type: ignore[method-assign]
    pipeline.ingest()


def _retry(pipeline: Pipeline) -> None:
    while pipeline.retry():
        pass


def _lose_object(pipeline: Pipeline) -> None:
    pipeline.ingest()
    remove(pipeline, key_of(pipeline, "agreement.pdf"))


def _restore(pipeline: Pipeline) -> None:
    _, found = look(pipeline)
    lost = [one for one in found if one.kind == "lost"]
    list(restore_lost(pipeline.database, pipeline.objects, pipeline.inbox, lost))


def _ingest_and_remove(pipeline: Pipeline) -> None:
    pipeline.ingest()
    (pipeline.input_dir / "note.txt").unlink()


def _forget(pipeline: Pipeline) -> None:
    """`ingest-assets forget --resume`, then `forget note.txt` where that was not begun."""
    places = Places(pipeline.database, pipeline.objects, pipeline.database.engine)
    resume(places)
    if "note.txt" in pipeline.states():
        assert forget(places, "note.txt", "asked for").left == []


@dataclass(frozen=True)
class Scenario:
    """What is going on.

    Attributes:
        what: for people.
        fill: puts files and uploads there.
        before: work on them that nothing disturbs.
        states: what becomes of the documents in the end, by file name.
        originals: whether the uploads that were adopted are still there in the end.
        changes: how the sentence begins about what the scenario itself changes.
        in_s3: whether the inbox is in S3.
    """

    what: str
    fill: Callable[[Site], None]
    act: Callable[[Pipeline], None]
    states: dict[str, list[str]] = field(default_factory=dict)
    before: Callable[[Pipeline], None] | None = None
    originals: bool = True
    changes: str | None = None
    in_s3: bool = False

    def seen_by(self, pipeline: Pipeline) -> Pipeline:
        """The pipeline, with the inbox of this scenario."""
        return pipeline.watching(S3Prefix(pipeline.objects.bucket, INBOX)) if self.in_s3 else pipeline


SCENARIOS = {
    "files": Scenario("five files", _fill, _ingest, FILES),
    "two runs": Scenario(
        "six files in two runs", _fill_two_runs, _ingest, {**FILES, "one more.txt": ["completed"]}
    ),
    "scan": Scenario("a scan of two pages", _fill_scan, _ingest, {"scan.pdf": ["completed"]}),
    "containers": Scenario(
        "a mail with an archive",
        _fill_containers,
        _ingest,
        {
            "outer.eml": ["completed"],
            "documents.zip": ["completed"],
            "inside.txt": ["completed"],
            "agreement.pdf": ["completed"],
            "empty": ["rejected"],
        },
    ),
    "large": Scenario(
        "a file in three parts", _fill_large, _ingest_in_parts, {"large.pdf": ["completed"]}
    ),
    "inbox": Scenario(
        "two objects of an inbox in S3, one in parts",
        _fill_inbox,
        _ingest_in_parts,
        {"note.txt": ["completed"], "large.pdf": ["completed"]},
        in_s3=True,
    ),
    "replaced": Scenario(
        "an object of an inbox in S3, replaced",
        _fill_note,
        _replace_and_ingest,
        {"note.txt": ["completed", "superseded"]},
        changes="G8: s3://",
        in_s3=True,
    ),
    "adopt": Scenario(
        "adopting two uploads",
        _upload,
        _adopt,
        {"orphan.txt": ["completed"], "orphaned agreement.pdf": ["completed"]},
    ),
    "adopt in parts": Scenario(
        "adopting an upload, in parts",
        _upload_large,
        _adopt_in_parts,
        {"large orphan.pdf": ["completed"]},
    ),
    "delete": Scenario(
        "removing adopted uploads",
        _upload,
        _delete,
        {"orphan.txt": ["completed"], "orphaned agreement.pdf": ["completed"]},
        before=_adopt,
        originals=False,
        changes="G8: documents/2025/",
    ),
    "rebuild": Scenario(
        "rows from the bucket alone",
        _fill_and_upload,
        _rebuild,
        {
            "agreement.pdf": ["duplicate", "duplicate"],
            "empty.pdf": ["rejected"],
            "note.txt": ["completed"],
            "orphan.txt": ["completed"],
            "orphaned agreement.pdf": ["completed"],
            "program.exe": ["rejected"],
        },
        before=_lose_rows,
    ),
    "retry": Scenario("trying again what failed", _fill, _retry, FILES, before=_fail),
    "forget": Scenario(
        "forgetting a document",
        _fill,
        _forget,
        {name: states for name, states in FILES.items() if name != "note.txt"},
        before=_ingest_and_remove,
    ),
    "restore": Scenario("restoring a lost object", _fill, _restore, FILES, before=_lose_object),
}


def prepare(site: Site, scenario: Scenario) -> None:
    """Bring the site to where `act` begins."""
    scenario.fill(site)
    if scenario.before:
        assert site.run(scenario.before) == 0, site.last_words()


def act_until_killed(pipeline: Pipeline, scenario: str, failpoint: str, passes: int) -> None:
    """Act until the failpoint. A process that comes to the end of this was not killed."""
    bury_runs(pipeline)
    pipeline = SCENARIOS[scenario].seen_by(pipeline)
    arm(failpoint, passes)
    SCENARIOS[scenario].act(pipeline)


def act_again(pipeline: Pipeline, scenario: str) -> None:
    """What the next process does, and then what must change nothing."""
    bury_runs(pipeline)
    pipeline = SCENARIOS[scenario].seen_by(pipeline)
    SCENARIOS[scenario].act(pipeline)
    look_again(pipeline)


def rehearsal(site: Site, pipeline: Pipeline) -> None:
    """Once what most cases do, for `site.rehearse`."""
    _fill(site)
    _fill_scan(site)
    pipeline.ingest()
    look_again(pipeline)


def look_again(pipeline: Pipeline) -> None:
    """One more look by each sensor: nothing is launched, registered or written any more.

    And the verification checklist is passed.
    """
    before = contents(pipeline), tables(pipeline)
    assert pipeline.requests() == []
    adopted = adopt_all(pipeline)
    assert (adopted.registered.added, adopted.partitions) == (0, [])
    assert (contents(pipeline), tables(pipeline)) == before
    shown = shown_partitions(pipeline.instance)
    found = verify(pipeline.database, pipeline.objects, shown, in_flight_seconds=0)
    assert found.passed, render.plain(render.verification(found))
