"""The promises, asked of files, bucket and database directly: with SQL and S3's own operations.

Belongs here: looking, and naming what breaks a promise, without any of the code that keeps it. Does
not belong here: making things happen.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Engine, text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OUTCOMES = {"completed", "no_text", "duplicate", "failed", "rejected", "superseded"}
_OURS = re.compile(r"documents/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[^/]+")


class File(NamedTuple):
    """A file or object of the inbox, with all that ingestion must not change.

    Attributes:
        version: time of change in ns, or ETag.
        inode: 0 of an object.
    """

    size_bytes: int
    version: str
    inode: int
    sha256: str


class Stored(NamedTuple):
    """An object, with all that changes when it is overwritten."""

    sha256: str
    etag: str
    last_modified: Any


@dataclass(frozen=True)
class World:
    """All there is at one moment.

    Attributes:
        files: by `file://` or `s3://` URI.
        objects: by key, of those under `documents/`.
        uploads: keys of uploads in parts that were begun and not ended.
        rows: all rows, by table.
    """

    files: Mapping[str, File]
    objects: Mapping[str, Stored]
    uploads: Sequence[str]
    rows: Mapping[str, Sequence[Any]]


_QUERIES = {
    "sources": "SELECT * FROM ingest.document_sources ORDER BY sequence_number",
    "documents": "SELECT * FROM ingest.source_documents ORDER BY document_uuid",
    "texts": "SELECT * FROM ingest.document_texts ORDER BY document_uuid",
    "pages": "SELECT * FROM ingest.document_pages ORDER BY document_uuid, page_number",
    "extractions": """
        SELECT document_uuid, chunk_count, mention_count,
               (SELECT count(*) FROM ingest.document_chunks AS chunk
                WHERE chunk.document_uuid = extraction.document_uuid) AS chunks,
               (SELECT count(*) FROM ingest.entity_mentions AS mention
                WHERE mention.document_uuid = extraction.document_uuid) AS mentions
        FROM ingest.document_extractions AS extraction
        JOIN ingest.document_chunkings USING (document_uuid) ORDER BY document_uuid
    """,
    "containers": """
        SELECT document_uuid, part_count,
               (SELECT count(*) FROM ingest.document_sources AS source
                WHERE source.parent_uuid = container.document_uuid) AS parts
        FROM ingest.document_containers AS container ORDER BY document_uuid
    """,
    "forgotten": "SELECT sha256, finished_at FROM ingest.forgotten_documents ORDER BY sha256",
    "attempts": "SELECT * FROM ingest.stage_attempts ORDER BY attempt_id",
    "progress": "SELECT * FROM ingest.document_progress ORDER BY partition_key",
}


def look(engine: Engine, client: S3Client, bucket: str, input_dir: Path) -> World:
    """Read everything, every byte of it."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        rows = {name: connection.execute(text(sql)).all() for name, sql in _QUERIES.items()}
    objects = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="documents/"):
        for found in page.get("Contents", []):
            body = client.get_object(Bucket=bucket, Key=found["Key"])["Body"]
            digest = hashlib.sha256()
            for block in body.iter_chunks(1 << 20):
                digest.update(block)
            objects[found["Key"]] = Stored(digest.hexdigest(), found["ETag"], found["LastModified"])
    files = {}
    for path in sorted(input_dir.rglob("*")):
        if path.is_file():
            status = path.stat()
            digest = hashlib.sha256(path.read_bytes())
            files[path.as_uri()] = File(
                status.st_size, str(status.st_mtime_ns), status.st_ino, digest.hexdigest()
            )
    for found in client.list_objects_v2(Bucket=bucket, Prefix="inbox/").get("Contents", []):
        content = client.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
        files[f"s3://{bucket}/{found['Key']}"] = File(
            found["Size"], found["ETag"].strip('"'), 0, hashlib.sha256(content).hexdigest()
        )
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return World(files, objects, [upload["Key"] for upload in uploads], rows)


def broken_at_any_instant(world: World) -> Iterator[str]:
    """What must not be even when a process was killed a moment ago."""
    yield from _broken_objects(world)
    yield from _twice(world)
    yield from _broken_progress(world)
    for row in world.rows["containers"]:
        if row.parts != row.part_count:
            yield f"G12: {row.document_uuid} holds {row.part_count} parts; {row.parts} are recorded."
    yield from _recognised_again(world)


def _broken_objects(world: World) -> Iterator[str]:
    keys = {row.s3_key for row in world.rows["documents"]}
    for key in world.objects:
        if _OURS.fullmatch(key) and key not in keys:
            yield f"G1: object {key} has no row."
    for row in world.rows["documents"]:
        stored_as = world.objects.get(row.s3_key)
        if stored_as is not None and stored_as.sha256 != row.sha256:
            yield f"G3: {row.s3_key} holds other bytes than were registered."
        if row.upload_timestamp is not None and stored_as is None:
            yield f"G10: {row.s3_key} is said to be stored, and is not."


def _twice(world: World) -> Iterator[str]:
    sightings = Counter((row.source_uri, row.source_version) for row in world.rows["sources"])
    for (uri, _), count in sightings.items():
        if count > 1:
            yield f"G2: {uri} has {count} sources."
    digests = Counter(row.sha256 for row in world.rows["documents"])
    for digest, count in digests.items():
        if count > 1:
            yield f"G2: {count} documents have SHA-256 {digest[:12]}."


def _broken_progress(world: World) -> Iterator[str]:
    verified = {row.document_uuid for row in world.rows["documents"] if row.upload_timestamp}
    pages = Counter(row.document_uuid for row in world.rows["pages"])
    for row in world.rows["texts"]:
        if row.document_uuid not in verified:
            yield f"G10: {row.document_uuid} has a text, and its object was not verified."
        if pages[row.document_uuid] != row.page_count:
            yield f"G10: {row.document_uuid} has {pages[row.document_uuid]} of {row.page_count} pages."
    counted = {row.document_uuid: row for row in world.rows["extractions"]}
    for row in counted.values():
        if (row.chunks, row.mentions) != (row.chunk_count, row.mention_count):
            yield (
                f"G10: {row.document_uuid} has {row.chunks} of {row.chunk_count} chunks and "
                f"{row.mentions} of {row.mention_count} mentions."
            )
    for row in world.rows["progress"]:
        finished = row.state in ("completed", "no_text", "duplicate")
        if finished != (row.document_uuid in counted):
            yield f"G10: {row.partition_key} is {row.state}; done: {row.document_uuid in counted}."
        if row.state in ("failed", "rejected") and not (row.error_code and row.error_message):
            yield f"G9: {row.partition_key} is {row.state} without a reason."


def _recognised_again(world: World) -> Iterator[str]:
    """A text that is younger than the first success of its stage took the place of another."""
    succeeded: dict[Any, Any] = {}
    for row in world.rows["attempts"]:
        if row.stage == "document_text" and row.status == "succeeded":
            earliest = succeeded.setdefault(row.document_uuid, row.finished_at)
            succeeded[row.document_uuid] = min(earliest, row.finished_at)
    for row in world.rows["texts"]:
        if row.document_uuid in succeeded and row.recognised_at > succeeded[row.document_uuid]:
            yield f"G5: {row.document_uuid} was recognised again after it had a text."


def broken_at_the_end(world: World) -> Iterator[str]:
    """What must not be when things have come to rest."""
    yield from broken_at_any_instant(world)
    yield from _broken_sources(world)
    for row in world.rows["progress"]:
        if row.state not in OUTCOMES:
            yield f"G2: {row.partition_key} has no outcome; it is {row.state}."
    for row in world.rows["attempts"]:
        if row.status == "running":
            yield f"G10: attempt {row.attempt} of {row.partition_key} at {row.stage} never ended."
    for row in world.rows["documents"]:
        if row.upload_timestamp is None:
            yield f"G2: {row.document_uuid} was registered and never stored."
    yield from _not_gone(world)
    for key in world.uploads:
        yield f"G2: parts sent to {key} are left behind."


def _not_gone(world: World) -> Iterator[str]:
    stones = {row.sha256 for row in world.rows["forgotten"]}
    for row in world.rows["forgotten"]:
        if row.finished_at is None:
            yield f"G13: forgetting {row.sha256[:12]} has not ended."
    for row in world.rows["documents"]:
        if row.sha256 in stones:
            yield f"G13: {row.document_uuid} was forgotten, and is there."
    for key, stored in world.objects.items():
        if stored.sha256 in stones:
            yield f"G13: {key} was forgotten, and is there."


def _broken_sources(world: World) -> Iterator[str]:
    sources = Counter(
        (row.source_uri, row.size_bytes, row.source_version) for row in world.rows["sources"]
    )
    for uri, file in world.files.items():
        count = sources[(uri, file.size_bytes, file.version)]
        if count != 1:
            yield f"G2: {uri} has {count} sources."
    digests = {row.document_uuid: row.sha256 for row in world.rows["documents"]}
    for row in world.rows["sources"]:
        known = world.files.get(row.source_uri)
        if row.document_uuid and known and digests[row.document_uuid] != known.sha256:
            yield f"G3: {row.source_uri} was registered with other bytes than it has."


def broken_between(before: World, after: World) -> Iterator[str]:
    """What must not have changed, but for documents that were forgotten."""
    stones = {row.sha256 for row in after.rows["forgotten"]}
    forgotten = {row.document_uuid for row in before.rows["documents"] if row.sha256 in stones}
    for uri, file in before.files.items():
        if after.files.get(uri) != file:
            yield f"G8: {uri} was changed or removed."
    for key, stored in before.objects.items():
        if stored.sha256 in stones:
            continue
        if key not in after.objects:
            yield f"G8: {key} was removed."
        elif after.objects[key] != stored:
            yield f"G4: {key} was overwritten."
    texts = {row.document_uuid: row for row in after.rows["texts"]}
    for row in before.rows["texts"]:
        if texts.get(row.document_uuid) != row and row.document_uuid not in forgotten:
            yield f"G5: the text of {row.document_uuid} was replaced."
    names = {row.sha256: row.document_uuid for row in after.rows["documents"]}
    for row in before.rows["documents"]:
        if names.get(row.sha256) != row.document_uuid and row.document_uuid not in forgotten:
            yield f"G2: document {row.document_uuid} has another UUID now."
