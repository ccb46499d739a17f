"""What is going on when a process is killed, and what whoever comes next does.

A scenario is two functions of a pipeline: `prepare`, which nothing disturbs, and `act`, which is done
once until the process is killed, and once more, whole, by the next process: as a daemon that was
restarted does, or a person who repeats a command.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO

import pikepdf
from dagster import AssetKey
from PIL import Image

from ingest_assets.defs.inventory import restore_rows
from ingest_assets.errors import TransientError
from ingest_assets.failpoints import arm
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.operations.reconcile.apply import delete_adopted, restore_lost
from ingest_assets.store import object_store
from ingest_assets_tests.crash.site import bury_runs
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
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.pipeline import STAGES, Pipeline
from ingest_assets_tests.support.scans import scan_pdf

MEBIBYTE = 1024**2
AGREEMENT = pdf("The first page of an agreement.", "Its second page.")


def padded_pdf(page: str, mebibytes: int) -> bytes:
    """A PDF of that size: most of it is a stream that no page shows."""
    with pikepdf.open(BytesIO(pdf(page))) as document:
        document.Root.Padding = document.make_stream(random.Random(0).randbytes(mebibytes * MEBIBYTE))
        file = BytesIO()
        document.save(file)
        return file.getvalue()


def _fill(pipeline: Pipeline) -> None:
    """Good, equal and bad documents, in more than one run."""
    pipeline.put("agreement.pdf", AGREEMENT)
    pipeline.put("copies/agreement.pdf", AGREEMENT)
    pipeline.put("empty.pdf", b"")
    pipeline.put("note.txt", b"A note.")
    pipeline.put("program.exe", b"MZ\x90\x00\x03\x00\x00\x00")


FILES = {
    "agreement.pdf": ["completed", "duplicate"],
    "empty.pdf": ["rejected"],
    "note.txt": ["completed"],
    "program.exe": ["rejected"],
}


def _ingest(pipeline: Pipeline) -> None:
    pipeline.ingest()


def _fill_scan(pipeline: Pipeline) -> None:
    pages = [Image.open(BytesIO(picture(f"SCANNED PAGE {number}"))) for number in (1, 2)]
    pipeline.put("scan.pdf", scan_pdf(*pages))


def _fill_large(pipeline: Pipeline) -> None:
    # Three parts of 16 MiB.
    pipeline.put("large.pdf", padded_pdf("A large document.", 33))


def _fill_orphans(pipeline: Pipeline) -> None:
    upload(pipeline, "orphan.txt", b"Uploaded without a row.")
    upload(pipeline, "orphaned agreement.pdf", AGREEMENT)


def _fill_large_orphan(pipeline: Pipeline) -> None:
    upload(pipeline, "large orphan.pdf", padded_pdf("A large orphan.", 11))


def _adopt(pipeline: Pipeline) -> None:
    """The sensor `orphaned_uploads`, then a backfill of what is missing."""
    adopt_all(pipeline)
    _backfill(pipeline)


def _adopt_in_parts(pipeline: Pipeline) -> None:
    # As for an object above 5 GiB, with parts of the smallest size that S3 takes.
    object_store.COPY_BYTES = 6 * MEBIBYTE
    object_store.COPY_PART_BYTES = 5 * MEBIBYTE
    _adopt(pipeline)


def _backfill(pipeline: Pipeline) -> None:
    missing = [
        key for key, state in pipeline.partition_states(STAGES[-1]).items() if state != "MATERIALIZED"
    ]
    if missing:
        pipeline.run_range(missing[0], missing[-1])


def _fill_adopted(pipeline: Pipeline) -> None:
    _fill_orphans(pipeline)
    _adopt(pipeline)


def _delete(pipeline: Pipeline) -> None:
    _, found = look(pipeline)
    adopted = [one for one in found if one.kind == "adopted"]
    list(delete_adopted(pipeline.database, pipeline.objects, adopted, yes=True))


def _fill_and_lose_rows(pipeline: Pipeline) -> None:
    _fill_adopted(pipeline)
    _fill(pipeline)
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


def _fill_and_fail(pipeline: Pipeline) -> None:
    """Recognition fails for a reason that may pass; in this process alone."""

    def throttled(self: LocalEngine, document: StoredObject) -> Recognition:
        raise TransientError("throttled", "The engine has too much to do.", "It is tried again.")

    LocalEngine.recognise = throttled  # type: ignore[method-assign]
    _fill(pipeline)
    pipeline.ingest()


def _retry(pipeline: Pipeline) -> None:
    while pipeline.retry():
        pass


def _fill_and_lose_object(pipeline: Pipeline) -> None:
    _fill(pipeline)
    pipeline.ingest()
    remove(pipeline, key_of(pipeline, "agreement.pdf"))


def _restore(pipeline: Pipeline) -> None:
    _, found = look(pipeline)
    lost = [one for one in found if one.kind == "lost"]
    list(restore_lost(pipeline.database, pipeline.objects, pipeline.input_dir, lost))


@dataclass(frozen=True)
class Scenario:
    """What is going on.

    Attributes:
        what: for people.
        states: what becomes of the documents in the end, by file name.
        originals: whether the uploads that were adopted are still there in the end.
    """

    what: str
    prepare: Callable[[Pipeline], None]
    act: Callable[[Pipeline], None]
    states: dict[str, list[str]] = field(default_factory=dict)
    originals: bool = True


SCENARIOS = {
    "files": Scenario("five files", _fill, _ingest, FILES),
    "scan": Scenario("a scan of two pages", _fill_scan, _ingest, {"scan.pdf": ["completed"]}),
    "large": Scenario("a file of 33 MiB", _fill_large, _ingest, {"large.pdf": ["completed"]}),
    "adopt": Scenario(
        "adopting two uploads",
        _fill_orphans,
        _adopt,
        {"orphan.txt": ["completed"], "orphaned agreement.pdf": ["completed"]},
    ),
    "adopt in parts": Scenario(
        "adopting an upload, in parts",
        _fill_large_orphan,
        _adopt_in_parts,
        {"large orphan.pdf": ["completed"]},
    ),
    "delete": Scenario(
        "removing adopted uploads",
        _fill_adopted,
        _delete,
        {"orphan.txt": ["completed"], "orphaned agreement.pdf": ["completed"]},
        originals=False,
    ),
    "rebuild": Scenario(
        "rows from the bucket alone",
        _fill_and_lose_rows,
        _rebuild,
        {
            "agreement.pdf": ["duplicate", "duplicate"],
            "empty.pdf": ["rejected"],
            "note.txt": ["completed"],
            "orphan.txt": ["completed"],
            "orphaned agreement.pdf": ["completed"],
            "program.exe": ["rejected"],
        },
    ),
    "retry": Scenario("trying again what failed", _fill_and_fail, _retry, FILES),
    "restore": Scenario("restoring a lost object", _fill_and_lose_object, _restore, FILES),
}


def prepare(pipeline: Pipeline, scenario: str) -> None:
    SCENARIOS[scenario].prepare(pipeline)


def act_until_killed(pipeline: Pipeline, scenario: str, failpoint: str, passes: int) -> None:
    """Act until the failpoint. A process that comes to the end of this was not killed."""
    arm(failpoint, passes)
    SCENARIOS[scenario].act(pipeline)


def act_again(pipeline: Pipeline, scenario: str) -> None:
    """What the next process does, and then what must change nothing."""
    bury_runs(pipeline)
    SCENARIOS[scenario].act(pipeline)
    look_again(pipeline)


def look_again(pipeline: Pipeline) -> None:
    """One more look by each sensor: nothing is launched, registered or written any more."""
    before = contents(pipeline), tables(pipeline)
    assert pipeline.requests() == []
    adopted = adopt_all(pipeline)
    assert (adopted.registered.added, adopted.partitions) == (0, [])
    assert (contents(pipeline), tables(pipeline)) == before
