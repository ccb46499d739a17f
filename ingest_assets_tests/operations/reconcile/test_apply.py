"""What is done about findings: only what was asked for, and nothing twice."""

from __future__ import annotations

import hashlib

from ingest_assets.operations.reconcile.apply import Done, delete_adopted, register, restore_lost
from ingest_assets_tests.support.bucket import (
    adopt_all,
    classes,
    contents,
    execute,
    key_of,
    look,
    put,
    remove,
    tables,
    upload,
)
from ingest_assets_tests.support.pipeline import Pipeline


def adopt_and_run(pipeline: Pipeline) -> None:
    keys = adopt_all(pipeline).partitions
    pipeline.run_range(keys[0], keys[-1])


def removals(pipeline: Pipeline, yes: bool) -> list[Done]:
    return list(delete_adopted(pipeline.database, pipeline.objects, look(pipeline)[1], yes=yes))


def restored(pipeline: Pipeline) -> list[Done]:
    lost = [one for one in look(pipeline)[1] if one.kind == "lost"]
    return list(restore_lost(pipeline.database, pipeline.objects, pipeline.inbox, lost))


def test_the_name_of_an_upload_is_recovered(pipeline: Pipeline) -> None:
    names = [
        "plain.pdf",
        "with space, comma & 'quote'.pdf",
        "0123abcd_twice.pdf",
        "é 📄.pdf",
        "100%.pdf",
    ]
    for name in names:
        upload(pipeline, name, name.encode())
    put(pipeline, "documents/loose.txt", b"loose")
    put(pipeline, "documents/2025/", b"")
    adopt_all(pipeline)
    rows = pipeline.rows("SELECT * FROM ingest.document_sources")
    assert sorted(row.original_file_name for row in rows) == sorted([*names, "loose.txt", "2025"])
    assert {row.kind for row in rows} == {"s3"}


def test_registering_twice_changes_nothing(pipeline: Pipeline) -> None:
    for number in range(12):
        upload(pipeline, f"{number}.txt", b"%d" % number)
    _, orphans = look(pipeline)
    first = register(pipeline.database, pipeline.objects, orphans, 5)
    before = tables(pipeline)
    again = register(pipeline.database, pipeline.objects, orphans, 5)
    assert (first.added, again.added) == (12, 0)
    assert tables(pipeline) == before


def test_an_old_plan_does_no_harm(pipeline: Pipeline) -> None:
    gone = upload(pipeline, "gone.txt", b"gone")
    replaced = upload(pipeline, "replaced.txt", b"first")
    _, orphans = look(pipeline)
    remove(pipeline, gone)
    upload(pipeline, "replaced.txt", b"second")
    done = register(pipeline.database, pipeline.objects, orphans, 5)
    assert done.added == 0
    assert {one.key for one in done.left} == {gone, replaced}


def test_an_object_of_ours_without_its_row_is_left_to_rebuild_db(pipeline: Pipeline) -> None:
    pipeline.put("note.txt", b"A note.")
    pipeline.ingest()
    key = key_of(pipeline, "note.txt")
    execute(pipeline, "TRUNCATE ingest.document_sources CASCADE")
    adopted = adopt_all(pipeline)
    assert adopted.registered.added == 0
    (left,) = adopted.registered.left
    assert left.key == key
    assert "rebuild-db" in left.detail


def test_lost_objects_come_back_from_their_source(pipeline: Pipeline) -> None:
    original = upload(pipeline, "uploaded.txt", b"Uploaded without a row.")
    adopt_and_run(pipeline)
    pipeline.put("note.txt", b"A note.")
    pipeline.put("changed.txt", b"As it was.")
    pipeline.put("again.txt", b"Found twice.")
    pipeline.put("copies/again.txt", b"Found twice.")
    pipeline.ingest()
    names = ("note.txt", "changed.txt", "again.txt", "uploaded.txt")
    lost = {name: key_of(pipeline, name) for name in names}
    stored = {key: pipeline.objects.sha256(key) for key in lost.values()}
    for key in lost.values():
        remove(pipeline, key)
    pipeline.put("changed.txt", b"As it is.")
    first = pipeline.rows(
        "SELECT source_uri FROM ingest.document_sources JOIN ingest.source_documents"
        " USING (partition_key) WHERE sha256 = :sha256", sha256=stored[lost["again.txt"]]
    )[0].source_uri  # fmt: skip
    pipeline.input_dir.joinpath(first.removeprefix("file://")).unlink()
    rows = pipeline.rows("SELECT document_uuid FROM ingest.source_documents ORDER BY 1")

    done = {one.key: one for one in restored(pipeline)}
    assert {name for name, key in lost.items() if done[key].done} == set(names) - {"changed.txt"}
    assert "changed since it was discovered" in done[lost["changed.txt"]].detail
    assert classes(pipeline) == {lost["changed.txt"]: "lost", original: "adopted"}
    for name in set(names) - {"changed.txt"}:
        assert pipeline.objects.sha256(lost[name]) == stored[lost[name]]
    assert pipeline.rows("SELECT document_uuid FROM ingest.source_documents ORDER BY 1") == rows


def test_originals_are_removed_only_when_their_copy_has_the_same_bytes(pipeline: Pipeline) -> None:
    good = upload(pipeline, "good.txt", b"A good copy.")
    tampered = upload(pipeline, "tampered.txt", b"Copied, then tampered with.")
    lost = upload(pipeline, "lost.txt", b"Copied, then lost.")
    rejected = upload(pipeline, "rejected.bin", bytes(100))
    adopt_and_run(pipeline)
    waiting = upload(pipeline, "waiting.txt", b"Registered only.")
    adopt_all(pipeline)
    remove(pipeline, key_of(pipeline, "lost.txt"))
    put(pipeline, key_of(pipeline, "tampered.txt"), b"copied, THEN tampered with.")

    before = contents(pipeline), tables(pipeline)
    said = removals(pipeline, yes=False)
    assert (contents(pipeline), tables(pipeline)) == before
    did = removals(pipeline, yes=True)
    assert [one.key for one in said if one.done] == [one.key for one in did if one.done] == [good]
    assert {one.key for one in did if not one.done} >= {tampered, lost, rejected, waiting}
    assert good not in contents(pipeline)
    assert {tampered, lost, rejected, waiting} < set(contents(pipeline))
    assert tables(pipeline) == before[1]
    copy = key_of(pipeline, "good.txt")
    assert pipeline.objects.sha256(copy) == hashlib.sha256(b"A good copy.").hexdigest()
    assert good not in classes(pipeline)
