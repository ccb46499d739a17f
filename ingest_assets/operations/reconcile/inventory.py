"""The comparison of the objects under `documents/` with the rows of `source_documents`, both ways.

Belongs here: finding what differs, and to which class each difference belongs, in bounded memory. Does
not belong here: writing the findings down (`plan`), and doing something about them (`apply`,
`rebuild`).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Text, cast, collate, func, select, text

from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource, SourceDocument
from ingest_assets.store.object_store import ListedObject, ObjectStore

PREFIX = "documents/"
Class = Literal["matching", "orphan", "lost", "differs", "in_flight", "adopted", "unreadable"]
CLASSES: tuple[Class, ...] = (
    "matching",  # object and row agree
    "adopted",  # no row has this key, but a source names the object
    "orphan",  # an object without a row
    "lost",  # a row without its object
    "differs",  # size, ETag or, if the bytes were read, SHA-256 is not the row's
    "in_flight",  # too young to be judged, or a row whose object is not stored yet
    "unreadable",  # S3 did not answer for it, or its row names another bucket
)
# The classes that are empty if all is well.
ANOMALIES: tuple[Class, ...] = ("orphan", "lost", "differs", "unreadable")

_ROWS_AT_A_TIME = 5_000
_LOOKED_UP_TOGETHER = 1_000
_THREADS = 8
_SAMPLES = 20

# A row of some query on documents, with at least `_COLUMNS`.
_Row = Any
_DOCUMENTS = SourceDocument.__table__.columns
_COLUMNS = (
    _DOCUMENTS.s3_key,
    _DOCUMENTS.file_size_bytes,
    _DOCUMENTS.s3_etag,
    _DOCUMENTS.upload_timestamp,
    # As text: making a UUID of each would take half of the time that the rows take.
    cast(_DOCUMENTS.document_uuid, Text).label("document_uuid"),
    _DOCUMENTS.sha256,
)


class Finding(NamedTuple):
    """One key, the class it belongs to, and why.

    Attributes:
        size_bytes: the object's; the row's if there is no object.
        etag: the object's, without quotes; None if there is no object.
        document_uuid: that of the row, or of the source that names the object.
        detail: a sentence that says why it is in this class.
    """

    kind: Class
    key: str
    size_bytes: int
    etag: str | None = None
    last_modified: datetime | None = None
    document_uuid: UUID | None = None
    detail: str = ""


@dataclass(frozen=True)
class Deep:
    """Which stored documents are read, to compare their SHA-256 with their row's.

    Attributes:
        share: how many of each `of` documents are read. A document's key decides, so that each
            inventory reads the same ones.
        resume_after: read only documents whose key comes after this one.

    Example:
        >>> Deep.parse("1/50").share, Deep.parse("1/50").of
        (1, 50)
    """

    share: int = 1
    of: int = 1
    resume_after: str = ""

    @classmethod
    def parse(cls, sample: str, resume_after: str = "") -> Deep:
        """Parse a share such as `1/50`.

        Raises:
            ConfigurationError: it is not a share of two whole numbers.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", sample)
        if not match or not 0 < int(match[1]) <= int(match[2]):
            raise ConfigurationError("sample_invalid", f"{sample!r} is no share of the documents.")
        return cls(int(match[1]), int(match[2]), resume_after)

    def wants(self, key: str) -> bool:
        """Whether this document's bytes are to be read."""
        if key <= self.resume_after:
            return False
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of < self.share


class Inventory:
    """One comparison of bucket and database. Iterate it once: it yields all keys but the matching ones.

    A document that is being ingested is never taken for an orphan, whatever the clocks say. The
    snapshot of the rows is taken before the listing begins, so a row that calls its object stored has
    it in the listing. A listed object without a row in the snapshot is looked up in the database
    again, and a run commits the row before it stores the object. `in_flight_seconds` protects the
    uploads of other programs.

    Args:
        in_flight_seconds: objects and rows younger than this are not judged.
        deep: which documents' bytes are read; by default, none.
        listing: the objects, in the order of their keys; by default, those of the bucket. Objects out
            of order are looked up one by one: an S3 that sorts in another way costs time, and no
            finding is wrong.
        after: compare only keys that come after this one.
        seconds: after this time the comparison stops early.

    Attributes:
        counts: how many keys of each class, so far.
        samples: the first twenty findings of each class.
        reached: the last key of the listing, if the comparison stopped early; else None.
        deep_reached: the last key whose bytes were compared.
        bytes_read: how many bytes were read to compare them.

    Example:
        >>> inventory = Inventory(database, objects, in_flight_seconds=60)
        >>> [finding.key for finding in inventory if finding.kind == "orphan"]
        ['documents/2025/06/05/0123abcd_lost.pdf']
        >>> inventory.counts["matching"]
        406
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        in_flight_seconds: float,
        deep: Deep | None = None,
        listing: Iterable[ListedObject] | None = None,
        after: str = "",
        seconds: float | None = None,
    ) -> None:
        self.bucket = objects.bucket
        self.counts: dict[str, int] = dict.fromkeys(CLASSES, 0)
        self.samples: dict[str, list[Finding]] = {kind: [] for kind in CLASSES}
        self.reached: str | None = None
        self.deep_reached = deep.resume_after if deep else ""
        self.bytes_read = 0
        self.started = time.monotonic()
        self._database = database
        self._objects = objects
        self._in_flight = timedelta(seconds=in_flight_seconds)
        self._deep = deep
        self._listing = objects.listing(PREFIX, after) if listing is None else listing
        self._after = after
        self._deadline = None if seconds is None else self.started + seconds
        self._reading: deque[tuple[_Pair, Future[str]]] = deque()

    def __str__(self) -> str:
        """One line: how many keys of each class."""
        named = [f"{count:,} {kind.replace('_', ' ')}" for kind, count in self.counts.items() if count]
        return ", ".join(named) or "nothing in the bucket, nothing in the database"

    @property
    def seconds(self) -> float:
        """Seconds since the comparison began."""
        return time.monotonic() - self.started

    @property
    def is_clean(self) -> bool:
        """Whether no key that was compared is an anomaly."""
        return not any(self.counts[kind] for kind in ANOMALIES)

    def __iter__(self) -> Iterator[Finding]:
        with (
            self._database.engine.connect() as connection,
            ThreadPoolExecutor(_THREADS, "inventory") as pool,
        ):
            self._pool = pool
            self._cutoff = connection.execute(select(func.now())).scalar_one() - self._in_flight
            try:
                for finding in chain(self._compare_all(connection), self._elsewhere()):
                    self.counts[finding.kind] += 1
                    if len(self.samples[finding.kind]) < _SAMPLES:
                        self.samples[finding.kind].append(finding)
                    yield finding
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _compare_all(self, connection: Connection) -> Iterator[Finding]:
        """Go through the sorted listing and the sorted rows side by side."""
        key = collate(_DOCUMENTS.s3_key, "C")
        rows = iter(
            connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(
                select(*_COLUMNS)
                .where(_DOCUMENTS.s3_bucket == self.bucket, key > self._after)
                .order_by(key)
            )
        )
        row = next(rows, None)
        unknown = _Gathered(self._look_up)
        absent = _Gathered(self._look_for)
        highest = ""
        for stored in self._listing:
            if stored.key < highest:
                yield from unknown.add(stored)
                continue
            highest = stored.key
            while row is not None and row[0] < highest:
                yield from absent.add(row)
                row = next(rows, None)
            if row is not None and row[0] == highest:
                # By far the most common case, so it is decided here: a call would cost more.
                if row[1] == stored[1] and row[2] == stored[2] and row[3] and not self._deep:
                    self.counts["matching"] += 1
                else:
                    yield from self._compare(stored, row)
                row = next(rows, None)
            else:
                yield from unknown.add(stored)
            if self._deadline and time.monotonic() > self._deadline:
                self.reached = highest
                break
        else:
            while row is not None:
                yield from absent.add(row)
                row = next(rows, None)
        yield from absent.flush()
        yield from unknown.flush()
        while self._reading:
            yield from self._compared()

    def _compare(self, stored: ListedObject, row: _Row) -> Iterator[Finding]:
        """Compare an object with the row that has its key."""
        if stored.size_bytes != row.file_size_bytes:
            detail = f"{stored.size_bytes} bytes; its row says {row.file_size_bytes}."
        elif row.s3_etag and row.s3_etag != stored.etag:
            detail = f"ETag {stored.etag}; its row says {row.s3_etag}."
        elif row.upload_timestamp is None:
            yield _finding("in_flight", stored, row, "Its row does not say yet that it was verified.")
            return
        else:
            if self._deep and self._deep.wants(stored.key):
                self._reading.append(
                    ((stored, row), self._pool.submit(self._objects.sha256, stored.key))
                )
                while len(self._reading) > 2 * _THREADS:
                    yield from self._compared()
            else:
                self.counts["matching"] += 1
            return
        young = row.upload_timestamp is None and stored.last_modified > self._cutoff
        yield _finding("in_flight" if young else "differs", stored, row, detail)

    def _compared(self) -> Iterator[Finding]:
        """Wait for the object whose reading began first, and compare its SHA-256."""
        (stored, row), read = self._reading.popleft()
        try:
            digest = read.result()
        except ConfigurationError:
            raise
        except IngestError as error:
            yield _finding("unreadable", stored, row, str(error))
        else:
            self.bytes_read += stored.size_bytes
            if digest == row.sha256:
                self.counts["matching"] += 1
            else:
                detail = f"SHA-256 {digest[:12]}…; its row says {row.sha256[:12]}…."
                yield _finding("differs", stored, row, detail)
        self.deep_reached = max(self.deep_reached, stored.key)

    def _look_up(self, unknown: Sequence[ListedObject]) -> Iterator[Finding]:
        """Classify objects without a row in the snapshot: ask for their rows again, and for sources."""
        # Postgres cannot store NUL, so no row has a key with one.
        keys = [stored.key for stored in unknown if "\x00" not in stored.key]
        uris = [self._objects.uri(stored.key) for stored in unknown]
        sources = DocumentSource.__table__.columns
        with self._database.engine.connect() as fresh:
            rows = {
                row.s3_key: row
                for row in fresh.execute(
                    select(*_COLUMNS).where(
                        _DOCUMENTS.s3_key.in_(keys), _DOCUMENTS.s3_bucket == self.bucket
                    )
                )
            }
            named = {
                (source.source_uri, source.source_version): source
                for source in fresh.execute(
                    select(
                        sources.source_uri,
                        sources.source_version,
                        sources.partition_key,
                        sources.document_uuid,
                    ).where(sources.source_uri.in_(uris))
                )
            }
            kept = tuple(
                fresh.execute(text("SELECT unnest(locked) FROM ingest.forgotten_documents")).scalars()
            )
        for stored in unknown:
            row = rows.get(stored.key)
            source = named.get((self._objects.uri(stored.key), stored.etag))
            if row is not None:
                yield from self._compare(stored, row)
            elif source is not None:
                detail = f"Source of partition {source.partition_key}."
                yield _finding("adopted", stored, source, detail)
            elif kept and self._objects.uri(stored.key).startswith(kept):
                yield _finding("in_flight", stored, None, "Forgotten; S3's object lock keeps it.")
            elif stored.last_modified > self._cutoff:
                yield _finding("in_flight", stored, None, "No row yet, and written only just now.")
            else:
                yield _finding("orphan", stored, None, "No row has this key.")

    def _look_for(self, absent: Sequence[_Row]) -> Iterator[Finding]:
        """Classify rows whose objects are not in the listing: ask S3 for each object."""
        # A row that does not call its object stored may have none; S3 need not be asked.
        claims = [row for row in absent if row.upload_timestamp is not None]
        heads = dict(
            zip((row.s3_key for row in claims), self._pool.map(self._head, claims), strict=True)
        )
        for row in absent:
            found = heads.get(row.s3_key)
            if isinstance(found, ListedObject):
                yield from self._compare(found, row)
            elif found is not None:
                yield _missing("unreadable", row, str(found))
            elif row.upload_timestamp is None:
                yield _missing("in_flight", row, "Its object is not stored yet.")
            elif row.upload_timestamp > self._cutoff:
                yield _missing("in_flight", row, "Stored only just now, and not listed yet.")
            else:
                detail = f"Verified at {row.upload_timestamp:%Y-%m-%d %H:%M:%S%z}; now there is none."
                yield _missing("lost", row, detail)

    def _head(self, row: _Row) -> ListedObject | IngestError | None:
        try:
            head = self._objects.head(row.s3_key)
        except ConfigurationError:
            raise
        except IngestError as error:
            return error
        if head is None:
            return None
        return ListedObject(row.s3_key, head.size_bytes, head.etag, head.last_modified)

    def _elsewhere(self) -> Iterator[Finding]:
        """Rows of another bucket, whose objects this inventory does not list."""
        if self.reached:
            return
        with self._database.engine.connect() as connection:
            for row in connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(
                select(*_COLUMNS, _DOCUMENTS.s3_bucket).where(_DOCUMENTS.s3_bucket != self.bucket)
            ):
                yield _missing("unreadable", row, f"Its row names another bucket: {row.s3_bucket}.")


_Pair = tuple[ListedObject, _Row]


class _Gathered:
    """Collects things, and classifies a thousand of them at a time: each question is a round trip."""

    def __init__(self, ask: Callable[[Sequence[Any]], Iterator[Finding]]) -> None:
        self._ask = ask
        self._things: list[Any] = []

    def add(self, thing: object) -> Iterator[Finding]:
        self._things.append(thing)
        if len(self._things) >= _LOOKED_UP_TOGETHER:
            yield from self.flush()

    def flush(self) -> Iterator[Finding]:
        things, self._things = self._things, []
        if things:
            yield from self._ask(things)


def _finding(kind: Class, stored: ListedObject, row: _Row | None, detail: str) -> Finding:
    return Finding(
        kind,
        stored.key,
        stored.size_bytes,
        stored.etag,
        stored.last_modified,
        _uuid(row) if row is not None else None,
        detail,
    )


def _missing(kind: Class, row: _Row, detail: str) -> Finding:
    return Finding(kind, row.s3_key, row.file_size_bytes, document_uuid=_uuid(row), detail=detail)


def _uuid(row: _Row) -> UUID | None:
    return UUID(str(row.document_uuid)) if row.document_uuid else None
