"""The inventory: each class, told apart by what is there and not by luck with order or clocks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from uuid import UUID

import pytest

from ingest_assets.defs.inventory import markdown
from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.reconcile.inventory import CLASSES, Deep, Inventory
from ingest_assets.operations.reconcile.plan import read_plan, write_plan
from ingest_assets.store.object_store import ListedObject, ObjectStore
from ingest_assets_tests.support.bucket import (
    adopt_all,
    classes,
    execute,
    key_of,
    look,
    put,
    remove,
    upload,
)
from ingest_assets_tests.support.pipeline import Pipeline


def test_each_class_is_told_apart(pipeline: Pipeline) -> None:
    adopted = upload(pipeline, "adopted.txt", b"An upload that was adopted.")
    adopt_all(pipeline)
    for name in ("matching", "lost", "longer", "other", "elsewhere"):
        pipeline.put(f"{name}.txt", name.encode())
    pipeline.ingest()
    pipeline.put("waiting.txt", b"Registered and not stored yet.")
    pipeline.requests()
    waiting = pipeline.instance.get_dynamic_partitions("documents")[-1]
    pipeline.run_range(waiting, waiting, assets=["document_row"])
    lost, longer, other, elsewhere = (
        key_of(pipeline, f"{name}.txt") for name in ("lost", "longer", "other", "elsewhere")
    )
    remove(pipeline, lost)
    put(pipeline, longer, b"longer by far")
    put(pipeline, other, b"OTHER")
    execute(pipeline, "UPDATE ingest.source_documents SET s3_bucket = 'another' WHERE s3_key = :key",
            key=elsewhere)  # fmt: skip
    remove(pipeline, elsewhere)
    orphan = upload(pipeline, "orphan, with #%20 & é.txt", b"An upload without a row.")

    inventory, found = look(pipeline)
    assert {one.key: one.kind for one in found} == {
        adopted: "adopted",
        lost: "lost",
        longer: "differs",
        other: "differs",
        elsewhere: "unreadable",
        key_of(pipeline, "waiting.txt"): "in_flight",
        orphan: "orphan",
    }
    assert inventory.counts == {
        "matching": 1,
        "adopted": 1,
        "orphan": 1,
        "lost": 1,
        "differs": 2,
        "in_flight": 1,
        "unreadable": 1,
    }
    assert not inventory.is_clean
    assert all(one.detail for one in found)
    # A young orphan is not judged; a stored document that was replaced is.
    assert classes(pipeline, in_flight_seconds=60)[orphan] == "in_flight"
    assert classes(pipeline, in_flight_seconds=60)[longer] == "differs"


def test_an_upload_that_was_replaced_after_adoption_is_an_orphan_again(pipeline: Pipeline) -> None:
    key = upload(pipeline, "letter.txt", b"First version.")
    adopt_all(pipeline)
    assert classes(pipeline) == {key: "adopted"}
    upload(pipeline, "letter.txt", b"Second version.")
    assert classes(pipeline) == {key: "orphan"}


def synthetic(pipeline: Pipeline, count: int) -> list[ListedObject]:
    """Documents in the database, and the listing that would match them."""
    execute(
        pipeline,
        """
        INSERT INTO ingest.document_sources (partition_key, source_uri, kind, original_file_name,
                                             size_bytes, source_version, batch_id)
        SELECT 'd-' || lpad(n::text, 12, '0'), 'file:///' || n, 'file', n::text, n, n::text,
               gen_random_uuid() FROM generate_series(1, :count) AS n;
        INSERT INTO ingest.source_documents (document_uuid, sha256, original_file_name, s3_bucket,
            object_name, s3_etag, file_size_bytes, mime_type, partition_key, upload_timestamp)
        SELECT (lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000')::uuid,
               lpad(to_hex(n), 64, '0'), n::text, :bucket, 'name', n::text, n, 'text/plain',
               'd-' || lpad(n::text, 12, '0'), '2025-01-01' FROM generate_series(1, :count) AS n
        """,
        count=count,
        bucket=pipeline.objects.bucket,
    )
    then = datetime(2025, 1, 1, tzinfo=timezone.utc)
    return [
        ListedObject(
            f"documents/{UUID(int=0x4000_8000_0000_0000_0000 | n << 96)}/name", n, str(n), then
        )
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_listing_changes_nothing(pipeline: Pipeline, seed: int) -> None:
    listing = synthetic(pipeline, 2_500)
    shuffled = random.Random(seed)
    absent = set(shuffled.sample(range(len(listing)), 60))
    expected = {}
    for number in absent:
        stored = listing[number]
        expected[stored.key] = "lost"
        if number % 2:  # there, but under another name: as many orphans as lost
            listing[number] = stored._replace(key=stored.key + " moved")
            expected[listing[number].key] = "orphan"
    present = [one for one in listing if expected.get(one.key) != "lost"]
    inventory, _ = look(pipeline, listing=sorted(present))
    assert inventory.counts["matching"] == len(listing) - len(absent)
    assert classes(pipeline, listing=sorted(present)) == expected
    if seed:  # no order at all
        shuffled.shuffle(present)
        heads = {one.key: one for one in present}

        class Held(ObjectStore):
            """Says of each object of the listing that it is there."""

            def head(self, key: str) -> object:  # type: ignore[override]
                return heads.get(key)

        pipeline.objects = Held(pipeline.objects.client, pipeline.objects.bucket)
        assert classes(pipeline, listing=present) == expected


def test_a_look_in_several_parts_sees_the_same(pipeline: Pipeline) -> None:
    keys = {upload(pipeline, f"{number}.txt", b"%d" % number) for number in range(7)}
    seen: list[str] = []
    after = ""
    for _ in range(20):
        inventory, found = look(pipeline, after=after, seconds=0.0)
        seen += [one.key for one in found]
        if inventory.reached is None:
            break
        after = inventory.reached
    assert sorted(seen) == sorted(keys)


def test_reading_the_bytes_finds_what_size_and_etag_do_not(pipeline: Pipeline) -> None:
    for number in range(20):
        pipeline.put(f"{number}.txt", b"note %02d" % number)
    pipeline.ingest()
    key = key_of(pipeline, "7.txt")
    execute(pipeline, "UPDATE ingest.source_documents SET sha256 = :other WHERE s3_key = :key",
            other="0" * 64, key=key)  # fmt: skip
    assert classes(pipeline) == {}
    assert classes(pipeline, deep=Deep()) == {key: "differs"}

    inventory, _ = look(pipeline, deep=Deep(1, 4))
    part = inventory.bytes_read
    assert 0 < part < 20 * 7
    assert look(pipeline, deep=Deep(1, 4))[0].bytes_read == part  # the same ones each time
    assert inventory.counts["matching"] + inventory.counts["differs"] == 20

    keys = sorted(pipeline.object_keys())
    inventory, _ = look(pipeline, deep=Deep(resume_after=keys[14]))
    assert inventory.bytes_read == 5 * 7
    assert inventory.deep_reached == keys[-1]


@pytest.mark.parametrize("sample", ["0/5", "6/5", "half", "1/0", "1/50 "])
def test_a_share_that_is_none_is_refused(sample: str) -> None:
    with pytest.raises(ConfigurationError, match="1/50"):
        Deep.parse(sample)


def test_a_plan_holds_every_finding(pipeline: Pipeline, tmp_path: Path) -> None:
    for number in range(30):
        upload(pipeline, f"{number}.txt", b"%d" % number)
    inventory, found = look(pipeline)
    again = Inventory(pipeline.database, pipeline.objects, in_flight_seconds=0)
    plan = write_plan(again, tmp_path / "new directory" / "plan.jsonl")
    assert list(plan.findings(*CLASSES)) == found
    assert plan.complete
    assert plan.counts["orphan"] == 30
    assert read_plan(plan.path) == plan
    shown = markdown(inventory)
    assert shown.count("| orphan | No row has this key. |") == 5
    assert "reconcile apply --register" in shown
    with pytest.raises(ConfigurationError, match="is no plan"):
        read_plan(Path(__file__))


def test_an_interrupted_look_leaves_a_plan_that_says_so(pipeline: Pipeline, tmp_path: Path) -> None:
    for number in range(5):
        pipeline.put(f"{number}.txt", b"%d" % number)
    pipeline.ingest()
    keys = sorted(pipeline.object_keys())
    listing = {stored.key: stored for stored in pipeline.objects.listing("documents/")}

    def broken_off() -> Iterator[ListedObject]:
        yield from (listing[key] for key in keys)
        raise KeyboardInterrupt

    inventory = Inventory(
        pipeline.database,
        pipeline.objects,
        in_flight_seconds=0,
        listing=broken_off(),
    )
    with pytest.raises(KeyboardInterrupt):
        write_plan(inventory, tmp_path / "plan.jsonl")
    plan = read_plan(tmp_path / "plan.jsonl")
    assert not plan.complete
    assert plan.counts["matching"] == 5
