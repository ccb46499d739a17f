"""The inbox that is in S3, below a prefix of a bucket: listing it, and opening its objects.

Belongs here: which objects are documents, and what S3's answers mean for one of them. Does not belong
here: which of them are new (`discovery`), and calls of S3 (`store.object_store`).

An object is written as a whole, so no look sees half of one; and what is read is the object that was
listed, because each read names its ETag.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Literal, cast

from sqlalchemy import ColumnElement, literal

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError
from ingest_assets.log import get_logger
from ingest_assets.stages.ignored import IgnoredNames
from ingest_assets.stages.stage import Sighting, Source
from ingest_assets.store.models import DocumentSource
from ingest_assets.store.names import s3_location
from ingest_assets.store.object_store import (
    PART_BYTES,
    ArchivedObjectError,
    DeniedError,
    MissingObjectError,
    ObjectStore,
)

_log = get_logger(__name__)

# What the pipeline itself writes in the documents' bucket.
_OWN_PREFIXES = ("documents/", "derived/")
# A key's last part may have 1,024 bytes; a file's name has at most this many, and S3's user metadata,
# which hold it, have little room.
_NAME_BYTES = 255
_READ_BYTES = 1024 * 1024
# Up to so many new objects are asked for one by one whether they are still the same. More of them take
# another look, which is left out if a look, with the time that objects needed to settle, takes longer.
_ASKED_SINGLY = 200
_LONGEST_SECOND_LOOK = 20.0


def require_apart(bucket: str, prefix: str, documents_bucket: str) -> None:
    """Make sure that the pipeline does not find in the inbox what it writes itself.

    Raises:
        ConfigurationError: `inbox_overlaps`.
    """
    for own in _OWN_PREFIXES if bucket == documents_bucket else ():
        if own.startswith(prefix) or prefix.startswith(own):
            raise ConfigurationError(
                "inbox_overlaps",
                f"INGEST_INPUT_DIR is s3://{bucket}/{prefix}, and the pipeline writes below "
                f"s3://{bucket}/{own}.",
            )


class S3Inbox:
    """The objects whose keys begin with a prefix; an `Inbox`.

    Args:
        objects: the bucket.
        prefix: empty for the whole bucket, otherwise it ends with a slash.
        documents_bucket: INGEST_S3_BUCKET.
        ignore_patterns: INGEST_IGNORE_PATTERNS, for each part of a key between slashes.

    Raises:
        ConfigurationError: `inbox_overlaps`, what the pipeline writes would be found there.
    """

    kind: Literal["file", "inbox"] = "inbox"

    def __init__(
        self,
        objects: ObjectStore,
        prefix: str,
        *,
        documents_bucket: str,
        ignore_patterns: Sequence[str] = (),
    ) -> None:
        self._objects = objects
        self._prefix = prefix
        self._ignored_names = IgnoredNames(ignore_patterns)
        require_apart(objects.bucket, prefix, documents_bucket)

    def __str__(self) -> str:
        return f"s3://{self._objects.bucket}/{self._prefix}"

    @property
    def sources(self) -> ColumnElement[bool]:
        """Of this bucket and prefix."""
        return (DocumentSource.kind == self.kind) & DocumentSource.source_uri.startswith(
            self._objects.uri(self._prefix), autoescape=True
        )

    @property
    def latest_written(self) -> ColumnElement[Any]:
        """Long ago: an object is written as a whole, and a pause of who writes it says nothing."""
        return literal(0.0)

    def written(self, sighting: Sighting) -> float:
        """When S3 took it."""
        return sighting.changed_at

    def require(self) -> None:
        """Make sure that S3 lists it."""
        next(iter(self.look("")), None)

    def look(self, after: str) -> _Listing:
        """Begin a listing; `after` is a key."""
        return _Listing(self._objects, self._prefix, self._ignored_names, after)

    def seen_again(self, sightings: Sequence[Sighting], first_look: float) -> Iterator[Sighting]:
        """Those that are the same now: who waits for an object to settle sees it overwritten, too.

        A few are asked for one by one, many by another look if that is quick. What is overwritten
        after it becomes a source all the same, and so does what it is overwritten with.
        """
        if len(sightings) <= _ASKED_SINGLY:
            yield from (sighting for sighting in sightings if self._is_there(sighting))
        elif time.monotonic() - first_look > _LONGEST_SECOND_LOOK:
            yield from sightings
        else:
            there = {found[:3] for found in self.look("") if found}
            yield from (sighting for sighting in sightings if sighting[:3] in there)

    def _is_there(self, sighting: Sighting) -> bool:
        try:
            head = self._objects.head(sighting.place)
        except IngestError:
            return True  # It was listed; the run that reads it says what is wrong.
        return head is not None and (head.size_bytes, head.etag) == sighting[1:3]

    def uri(self, place: str) -> str:
        """`s3://…`, the key percent-encoded."""
        return self._objects.uri(place)

    def place(self, uri: str) -> str | None:
        """The key; None of another bucket or prefix."""
        if not uri.startswith("s3://"):
            return None
        bucket, key = s3_location(uri)
        return key if bucket == self._objects.bucket and key.startswith(self._prefix) else None

    def name(self, place: str) -> str:
        """The last part of the key, of at most 255 bytes."""
        name = place.rstrip("/").rpartition("/")[2] or place
        # Postgres cannot hold NUL.
        data = name.replace("\x00", "\\0").encode(errors="backslashreplace")
        if len(data) > _NAME_BYTES:
            data = data[: _NAME_BYTES // 2] + "…".encode() + data[-_NAME_BYTES // 3 :]
        return data.decode(errors="ignore")

    @contextmanager
    def open(self, source: Source) -> Iterator[BinaryIO]:
        """Open the object that was found, and no other that has taken its place; see `Inbox.open`."""
        name = repr(source.original_file_name)
        key = self.place(source.source_uri)
        if key is None:
            raise PermanentError(
                "outside_input_directory",
                f"{name} was found at {source.source_uri}, and INGEST_INPUT_DIR is {self} now.",
                "Put it there too, or set INGEST_INPUT_DIR to where it was and retry it.",
            )
        with ExitStack() as stack:
            # What is raised once it is open is about what the caller does with it.
            try:
                body = stack.enter_context(self._objects.open(key, etag=source.source_version))
            except MissingObjectError as error:
                raise PermanentError(
                    "source_missing",
                    f"{name} is no longer at {source.source_uri}.",
                    "Bring the object back with the same bytes, or leave it.",
                ) from error
            except ArchivedObjectError as error:
                raise PermanentError(
                    "source_archived", f"{name} is archived: {error.message}"
                ) from error
            except DeniedError as error:
                raise PermanentError(
                    "source_unreadable",
                    f"{name} may not be read: {error.message}",
                    "Give the pipeline's credentials s3:GetObject on it, and kms:Decrypt on its key "
                    "where it is encrypted with one; it is tried again by itself.",
                ) from error
            buffered = io.BufferedReader(cast(io.RawIOBase, body), _READ_BYTES)
            # Of a small one S3 is asked once; of a large one each time that the reader goes elsewhere.
            small = source.size_bytes <= PART_BYTES
            yield cast(
                BinaryIO, io.BytesIO(buffered.read(source.size_bytes + 1)) if small else buffered
            )

    def present(self, source: Source) -> tuple[int, str] | None:
        """Size and ETag of the object that is there now."""
        key = self.place(source.source_uri)
        try:
            head = None if key is None else self._objects.head(key)
        except IngestError as error:
            _log.warning("What is at %s now is not known: %s", source.source_uri, error)
            return None
        return None if head is None else (head.size_bytes, head.etag)


class _Listing:
    """One look: the objects in the order in which S3 lists them, page by page."""

    def __init__(
        self, objects: ObjectStore, prefix: str, ignored_names: IgnoredNames, after: str
    ) -> None:
        self._objects = objects
        self._prefix = prefix
        self._ignored_names = ignored_names
        self.ignored: Counter[str] = Counter()
        self.unreadable: list[str] = []
        self.reached = after
        self._passed = ""
        if after.startswith(prefix) and self._is_ignored(after):
            self.ignored.clear()  # The look that stopped in this ignored directory has counted it.

    def __iter__(self) -> Iterator[Sighting | None]:
        try:
            for found in self._objects.listing(self._prefix, self.reached):
                self.reached = found.key
                # Consoles make an empty object of a folder.
                is_folder = found.size_bytes == 0 and f"/{found.key}".endswith("/")
                if is_folder or self._is_ignored(found.key):
                    yield None
                else:
                    changed_at = found.last_modified.timestamp()
                    yield Sighting(found.key, found.size_bytes, found.etag, changed_at)
        except ConfigurationError as error:
            raise ConfigurationError(
                "inbox_refused", f"INGEST_INPUT_DIR cannot be listed. {error.message}"
            ) from error

    def _is_ignored(self, key: str) -> bool:
        if self._passed and key.startswith(self._passed):
            return True
        end = len(self._prefix)
        for name in key[end:].split("/"):
            end += len(name) + 1
            if pattern := self._ignored_names.matching(name):
                self.ignored[pattern] += 1
                self._passed = key[:end] if end <= len(key) else ""
                return True
        return False
