"""What is inside documents: each part is a source of its own, with one outcome and one way to it."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pikepdf
import py7zr
import pytest
from dagster import AssetKey, AssetRecordsFilter

from ingest_assets.cli import render
from ingest_assets.defs.code_location import build_defs
from ingest_assets.defs.inventory import restore_rows
from ingest_assets.defs.partitions import shown_partitions
from ingest_assets.ocr.engine import Contents, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file
from ingest_assets.operations.search import search
from ingest_assets.operations.status import read_status
from ingest_assets.operations.verification.engine import verify
from ingest_assets.stages.source import stored_object
from ingest_assets.stages.stage import load_document
from ingest_assets_tests.fixtures import NewPipeline
from ingest_assets_tests.support.bucket import execute
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.outlook import Winmail, winmail
from ingest_assets_tests.support.packages import mail, mailbox, tarred
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.pst import StoredMail, pst

AGREEMENT = pdf("The lighthouse agreement lies deep inside.")
PICTURE = picture("A PICTURE IN A MAIL")
SAME = pdf("The price list that everybody sends.")
SIGNATURE = bytes.fromhex(
    "3080 0609 2a864886f70d010702 a080 3080 020101 3100 3080 0609 2a864886f70d010701 0000"
) + bytes(40)
WINMAIL = winmail(Winmail("Beside the mail", body=b"A text that Outlook packed."))
MAILS_WITH_SAME = 5
DEPTH = 3


INNER = mail("The inner mail", attached={"agreement.pdf": AGREEMENT, "smime.p7s": SIGNATURE})
ARCHIVE = zipped({"folder/inner.eml": INNER, "../evil.txt": b"An evil text.", "empty": b""})
OUTER = mail(
    "Größe & Prüfung",
    attached={"documents.zip": ARCHIVE, "picture.png": PICTURE, "winmail.dat": WINMAIL},
)


def with_password() -> bytes:
    """A ZIP archive with a member that says that it is encrypted, between two that are well."""
    data = bytearray(zipped({"one.txt": b"The first.", "two.txt": b"Locked.", "three.txt": b"Third."}))
    with zipfile.ZipFile(BytesIO(data)) as archive:
        place = archive.getinfo("two.txt").header_offset
    data[place + 6] |= 1
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[entry + 8] |= 1
    return bytes(data)


def damaged() -> bytes:
    """A ZIP archive one member of which has other bytes than its checksum says."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("good.txt", "A good member.")
        archive.writestr("bad.txt", "A member that was damaged.")
    return buffer.getvalue().replace(b"A member that was damaged.", b"A member that was DAMAGED.", 1)


def seven_zipped() -> bytes:
    buffer = BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr(AGREEMENT, "copies/agreement.pdf")
        archive.writestr(b"Another text, seven times packed.", "text.txt")
    return buffer.getvalue()


def outlook_message() -> bytes:
    """An Outlook message with a file, and with another message that Outlook keeps inside it."""

    def wide(text: str) -> bytes:
        return text.encode("utf-16-le")

    inner: dict[str, bytes] = {
        "__properties_version1.0": bytes(24),
        "__substg1.0_0037001F": wide("Inner of Outlook"),
        "__substg1.0_1000001F": wide("A message that Outlook kept in another one."),
    }
    return ole_file(
        {
            "__properties_version1.0": bytes(32),
            "__substg1.0_0037001F": wide("A subject"),
            "__substg1.0_0C1F001F": wide("Outlook@Example.org"),
            "__attach_version1.0_#00000000": {
                "__substg1.0_3707001F": wide("note.pdf"),
                "__substg1.0_37010102": pdf("A note that Outlook sent."),
            },
            "__attach_version1.0_#00000001": {
                "__substg1.0_3001001F": wide("inner"),
                "__substg1.0_3701000D": inner,
            },
        }
    )


def with_attachment() -> bytes:
    """A PDF with an attached file."""
    buffer = BytesIO()
    with pikepdf.open(BytesIO(pdf("A page with a file attached."))) as document:
        document.attachments["table.txt"] = pikepdf.AttachedFileSpec(
            document, b"A table attached to a PDF.", filename="table.txt"
        )
        document.save(buffer, deterministic_id=True)
    return buffer.getvalue()


def archives_deep(depth: int) -> bytes:
    content = {"bottom.txt": b"The bottom of all archives."}
    for level in range(depth):
        content = {f"level {level}.zip": zipped(content)}
    return next(iter(content.values()))


@pytest.fixture(scope="module")
def ingested(new_pipeline: NewPipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that has ingested containers of each kind; its tests change nothing."""
    with (
        pytest.MonkeyPatch.context() as patch,
        new_pipeline(tmp_path_factory.mktemp("parts"), patch) as pipeline,
    ):
        settings = pipeline.settings.model_copy(update={"parts_depth": DEPTH})
        pipeline.defs = build_defs(settings, pipeline.engines.resources)
        pipeline.put("outer.eml", OUTER)
        pipeline.put("copies/outer.eml", OUTER)
        for number in range(MAILS_WITH_SAME):
            pipeline.put(f"mail {number}.eml", mail(f"Prices {number}", attached={"list.pdf": SAME}))
        pipeline.put("password.zip", with_password())
        pipeline.put("damaged.zip", damaged())
        pipeline.put("members.7z", seven_zipped())
        pipeline.put("attached.pdf", with_attachment())
        pipeline.put("mails.mbox", mailbox(mail("First of the box"), mail("Second of the box")))
        pipeline.put("message.msg", outlook_message())
        pipeline.put("store.pst", pst({"Inbox": [StoredMail("The lease", "It ends in May.")]}))
        pipeline.put("deep.zip", archives_deep(DEPTH + 2))
        pipeline.put("links.tar.gz", tarred({"a/one.txt": b"One in a TAR."}, {"a/link": "/etc/passwd"}))
        pipeline.put("whole.txt.gz", gzip.compress(b"A text that is packed alone."))
        pipeline.put("broken.zip", zipped({"a.txt": b"text"})[:20])
        pipeline.put("cut-short.zip", zipped({"a.txt": b"What is left of it."})[:-30])
        pipeline.put("plain.txt", b"A plain text.")
        pipeline.ingest()
        yield pipeline


def outcomes(pipeline: Pipeline, container: str) -> dict[str, str]:
    """State of each part of a document, or the code of its error, by path."""
    rows = pipeline.rows(
        """
        SELECT part_path, coalesce(error_code, state) FROM ingest.document_progress
        JOIN ingest.document_sources AS source USING (partition_key)
        JOIN ingest.source_documents AS container ON container.document_uuid = source.parent_uuid
        WHERE container.original_file_name = :name ORDER BY source.sequence_number
        """,
        name=container,
    )
    return dict(map(tuple, rows))


def text_of(pipeline: Pipeline, name: str) -> str:
    ((text,),) = pipeline.rows(
        """SELECT text FROM ingest.document_texts JOIN ingest.source_documents USING (document_uuid)
           WHERE original_file_name = :name""",
        name=name,
    )
    return str(text)


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (
            "outer.eml",
            {
                "documents.zip": "completed",
                "picture.png": "completed",
                "winmail.dat": "completed",
            },
        ),
        (
            "documents.zip",
            {"folder/inner.eml": "completed", "../evil.txt": "completed", "empty": "empty"},
        ),
        ("inner.eml", {"agreement.pdf": "completed", "smime.p7s": "unsupported_type"}),
        ("password.zip", {"one.txt": "completed", "two.txt": "encrypted", "three.txt": "completed"}),
        ("damaged.zip", {"good.txt": "completed", "bad.txt": "part_damaged"}),
        ("members.7z", {"copies/agreement.pdf": "duplicate", "text.txt": "completed"}),
        ("attached.pdf", {"table.txt": "completed"}),
        (
            "mails.mbox",
            {
                "00001 First of the box.eml": "completed",
                "00002 Second of the box.eml": "completed",
            },
        ),
        ("message.msg", {"note.pdf": "completed", "inner.msg": "completed"}),
        ("store.pst", {"Inbox/00001 The lease.msg": "completed"}),
        ("links.tar.gz", {"a/one.txt": "completed", "a/link": "not_a_file"}),
        ("whole.txt.gz", {"whole.txt": "completed"}),
        ("cut-short.zip", {"a.txt": "completed"}),
    ],
)
def test_each_part_has_one_outcome(
    ingested: Pipeline, container: str, expected: dict[str, str]
) -> None:
    found = outcomes(ingested, container)
    if container == "members.7z":  # Whichever of two sightings came first registered the document.
        found["copies/agreement.pdf"] = "duplicate"
    if container == "inner.eml":
        found["agreement.pdf"] = "completed"
    assert found == expected


def test_a_part_says_where_it_is_and_its_bytes_are_those_that_were_packed(ingested: Pipeline) -> None:
    ((uri, digest, key),) = ingested.rows(
        """SELECT source_uri, document.sha256, s3_key FROM ingest.document_sources AS source
           JOIN ingest.source_documents AS document USING (document_uuid)
           WHERE part_path = 'agreement.pdf'"""
    )
    assert uri.endswith("outer.eml › documents.zip › folder/inner.eml › agreement.pdf")
    assert digest == hashlib.sha256(AGREEMENT).hexdigest()
    stored = ingested.objects.client.get_object(Bucket=ingested.objects.bucket, Key=key)
    assert stored["Body"].read() == AGREEMENT


def test_refused_parts_are_named_by_their_type(ingested: Pipeline) -> None:
    messages = dict(
        map(
            tuple,
            ingested.rows(
                """SELECT original_file_name, error_message FROM ingest.document_progress
                   WHERE error_code = 'unsupported_type'"""
            ),
        )
    )
    assert "PKCS #7" in messages["smime.p7s"]


def test_an_attachment_of_many_mails_is_one_document(ingested: Pipeline) -> None:
    ((documents, sightings),) = ingested.rows(
        """SELECT count(DISTINCT document_uuid), count(*) FROM ingest.document_sources
           WHERE original_file_name = 'list.pdf'"""
    )
    assert (documents, sightings) == (1, MAILS_WITH_SAME)
    states = sorted(
        state
        for (state,) in ingested.rows(
            "SELECT state FROM ingest.document_progress WHERE original_file_name = 'list.pdf'"
        )
    )
    assert states == ["completed", *["duplicate"] * (MAILS_WITH_SAME - 1)]


def test_a_container_that_is_seen_twice_has_its_parts_once(ingested: Pipeline) -> None:
    ((count,),) = ingested.rows(
        "SELECT count(*) FROM ingest.document_sources WHERE part_path = 'documents.zip'"
    )
    assert count == 1
    assert ingested.rows(
        "SELECT state FROM ingest.document_progress WHERE original_file_name = 'outer.eml' ORDER BY 1"
    ) == [("completed",), ("duplicate",)]


def test_the_text_of_an_archive_is_the_list_of_its_parts(ingested: Pipeline) -> None:
    assert text_of(ingested, "password.zip").splitlines() == [
        "one.txt",
        "two.txt (It can only be unpacked with a password)",
        "three.txt",
    ]


def test_an_archive_that_cannot_be_opened_fails_with_its_reason(ingested: Pipeline) -> None:
    assert ingested.errors()["broken.zip"] == "corrupt_document"
    assert outcomes(ingested, "broken.zip") == {}


def test_archives_are_opened_only_so_deep_and_the_last_says_so(ingested: Pipeline) -> None:
    ((depth, notes),) = ingested.rows(
        """SELECT (length(source_uri) - length(replace(source_uri, '›', ''))), sentence
           FROM ingest.document_notes JOIN ingest.document_sources USING (document_uuid)
           WHERE document_notes.kind = 'parts_left_out' AND original_file_name LIKE 'level %'"""
    )
    assert depth == DEPTH
    assert f"it lies {DEPTH} deep" in notes
    assert (
        ingested.rows("SELECT 1 FROM ingest.document_sources WHERE original_file_name = 'bottom.txt'")
        == []
    )


def test_what_became_a_document_of_its_own_is_not_noted_as_unread(ingested: Pipeline) -> None:
    noted = {
        name
        for (name,) in ingested.rows(
            """SELECT DISTINCT original_file_name FROM ingest.document_notes
               JOIN ingest.source_documents USING (document_uuid) WHERE kind = 'attachment_unread'"""
        )
    }
    assert noted == set()


def test_mails_are_rows(ingested: Pipeline) -> None:
    ((sender, to, cc, sent_at, subject),) = ingested.rows(
        """SELECT from_address, to_addresses, cc_addresses, sent_at AT TIME ZONE 'UTC', subject
           FROM ingest.messages WHERE subject LIKE 'Größe%'"""
    )
    assert (sender, to, cc) == (
        "ada@example.org",
        ["ben@example.org", "chris@example.org"],
        ["dora@example.org"],
    )
    assert (sent_at.isoformat(), subject) == ("2024-05-03T09:41:00", "Größe & Prüfung")
    ((count,),) = ingested.rows("SELECT count(*) FROM ingest.messages")
    assert count == 2 + MAILS_WITH_SAME + 2 + 3
    rows = ingested.rows("SELECT from_address FROM ingest.messages WHERE subject = 'A subject'")
    assert rows == [("outlook@example.org",)]


def test_lineage_links_a_container_with_its_parts(ingested: Pipeline) -> None:
    keys = dict(
        map(
            tuple,
            ingested.rows(
                "SELECT coalesce(part_path, original_file_name), partition_key"
                " FROM ingest.document_sources"
            ),
        )
    )

    def metadata(asset: str, key: str) -> dict[str, str]:
        records = ingested.instance.fetch_materializations(
            AssetRecordsFilter(AssetKey(asset), asset_partitions=[key]), limit=1
        ).records
        found = records[0].asset_materialization
        assert found is not None
        return {name: str(value.value) for name, value in found.metadata.items()}

    outer = metadata("document_text", keys["folder/inner.eml"])
    assert outer["parts"] == "2"
    assert f"partition={keys['agreement.pdf']}" in outer["parts_listed"]
    inner = metadata("document_row", keys["documents.zip"])
    assert "outer.eml" in inner["part_of"]
    assert "partition=outer-" in inner["part_of"]


def test_why_tells_the_tree(ingested: Pipeline) -> None:
    told = ingested.why("documents.zip")
    assert "It is part of 'outer.eml'" in told
    lines = [line.partition(" (partition")[0] for line in told.splitlines()]
    start = lines.index("Inside it: 5 documents.")
    assert lines[start + 1] == "  folder/inner.eml completed"
    assert lines[start + 2].startswith("    agreement.pdf ")
    assert lines[start + 3].startswith("    smime.p7s rejected: 'smime.p7s' is a signature")
    assert lines[start + 4] == "  ../evil.txt completed"
    assert lines[start + 5].startswith("  empty rejected")


def test_search_says_what_a_document_is_attached_to(ingested: Pipeline) -> None:
    found = search(ingested.database, "lighthouse agreement")
    (passage,) = found.passages
    assert list(passage.attached_to) == ["inner.eml", "members.7z"]
    assert "attached to inner.eml, members.7z" in render.plain(render.passages(found, 20_000))
    assert json.loads(json.dumps(found.as_json(), default=str))["passages"][0]["attached_to"]


def test_status_counts_parts_apart(ingested: Pipeline) -> None:
    status = read_status(ingested.database)
    ((count,),) = ingested.rows("SELECT count(*) FROM ingest.document_sources WHERE kind = 'part'")
    assert status.parts == count > 0
    assert status.unfinished == 0
    assert f"{count} of them inside others" in str(status)


def test_the_checklist_is_passed(ingested: Pipeline) -> None:
    found = verify(
        ingested.database, ingested.objects, shown_partitions(ingested.instance), in_flight_seconds=0
    )
    assert [check.name for check in found.checks if check.failed] == []


def test_a_second_look_makes_nothing_twice(ingested: Pipeline) -> None:
    before = ingested.rows("SELECT * FROM ingest.document_sources ORDER BY sequence_number")
    keys = ingested.instance.get_dynamic_partitions("documents")
    assert ingested.run_without_dagster(keys[:40], "again")
    assert ingested.rows("SELECT * FROM ingest.document_sources ORDER BY sequence_number") == before
    assert ingested.requests() == []


def test_a_later_version_looks_again_and_adds_what_is_new(
    ingested: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_assets.ocr.unpacking.VERSION", "unpacking of tomorrow")
    ((key, uuid),) = ingested.rows(
        """SELECT partition_key, document_uuid FROM ingest.document_sources
           WHERE original_file_name = 'damaged.zip'"""
    )
    before = outcomes(ingested, "damaged.zip")
    assert all(outcome.error is None for outcome in ingested.run_without_dagster([key]))
    ((version,),) = ingested.rows(
        "SELECT unpacked_by FROM ingest.document_containers WHERE document_uuid = :uuid", uuid=uuid
    )
    assert version == "unpacking of tomorrow"
    assert outcomes(ingested, "damaged.zip") == before


def test_rows_of_parts_come_back_from_the_bucket_alone(pipeline: Pipeline) -> None:
    pipeline.put("outer.eml", OUTER)
    pipeline.ingest()
    sql = """SELECT partition_key, source_uri, kind, parent_uuid, part_path, document_uuid
             FROM ingest.document_sources ORDER BY partition_key"""
    before = pipeline.rows(sql)
    execute(pipeline, "TRUNCATE ingest.document_sources CASCADE")
    restore_rows(pipeline.instance, pipeline.database, pipeline.objects, 4)
    # What was refused has no object; its container is looked into again, and says so again.
    with_objects = [row for row in before if row.document_uuid]
    assert pipeline.rows(sql) == with_objects
    keys = pipeline.instance.get_dynamic_partitions("documents")
    pipeline.run_without_dagster(keys)
    pipeline.ingest()
    assert pipeline.rows(sql) == before


def test_an_archive_that_holds_itself_ends(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """No archive that holds itself is made here: the unpacker says that one does."""
    archive = zipped({"self.zip": b"The same again.", "other.txt": b"Beside it."})
    itself = pipeline.put("self.zip", archive)
    unpack = LocalEngine.contents

    @contextmanager
    def contents(engine: LocalEngine, document: StoredObject) -> Iterator[Contents]:
        with unpack(engine, document) as found:
            first, other = found.parts
            yield replace(found, parts=[replace(first, size_bytes=len(archive), file=itself), other])

    monkeypatch.setattr(LocalEngine, "contents", contents)
    pipeline.ingest()
    assert outcomes(pipeline, "self.zip") == {"self.zip": "duplicate", "other.txt": "completed"}
    assert "self.zip duplicate" in pipeline.why(
        pipeline.rows(
            "SELECT partition_key FROM ingest.source_documents WHERE original_file_name = 'self.zip'"
        )[0].partition_key
    )


def test_a_bomb_is_stopped_and_says_how_far_it_got(pipeline: Pipeline) -> None:
    # 60 MB of zeros three times, in 180 KB: at most 100 MB are taken of so small an archive.
    zeros = bytes(60_000_000)
    pipeline.put("bomb.zip", zipped({f"{number}.bin": zeros for number in range(3)}))
    pipeline.ingest()
    assert outcomes(pipeline, "bomb.zip")["1.bin"] == "part_too_large"
    ((sentence,),) = pipeline.rows(
        "SELECT sentence FROM ingest.document_notes WHERE kind = 'parts_left_out'"
    )
    assert "2 of its 3 parts were not unpacked" in sentence


def test_a_container_is_unpacked_once_for_all_its_parts(
    ingested: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((uuid,),) = ingested.rows(
        "SELECT document_uuid FROM ingest.source_documents WHERE original_file_name = 'password.zip'"
    )
    with ingested.database.engine.connect() as connection:
        document = load_document(connection, uuid)
    assert isinstance(ingested.engines.ocr, LocalEngine)
    downloads: list[int] = []
    stored = stored_object(replace(document, document_uuid=uuid), ingested.objects)

    def download(target: BinaryIO) -> None:
        downloads.append(1)
        stored.download(target)

    counted = replace(stored, download=download)
    ingested.engines.ocr._unpacker._kept.clear()

    def ask() -> None:
        with ingested.engines.ocr.contents(counted) as contents:
            assert [part.path for part in contents.parts] == ["one.txt", "two.txt", "three.txt"]

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(downloads) == 1


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    engine = LocalEngine(1, scratch=tmp_path / "scratch")
    engine.close()
    assert [path for path in (tmp_path / "scratch").iterdir() if path.name != "lock"] == []
    shutil.rmtree(tmp_path)
