"""Opening the bytes of a source: a file of the inbox, an upload, or a part of a document.

Belongs here: which of these a source is. Does not belong here: what is in an inbox (`inbox_directory`,
`inbox_s3`), finding parts (`parts`) and judging their content (`content`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.engine import OcrEngine, StoredObject
from ingest_assets.stages.stage import Document, Inbox, Services, Source, load_document
from ingest_assets.store.database import Database
from ingest_assets.store.names import s3_location
from ingest_assets.store.object_store import MissingObjectError, ObjectStore


@dataclass(frozen=True)
class Containers:
    """What takes parts out of the stored objects of the documents that hold them."""

    database: Database
    objects: ObjectStore
    engine: OcrEngine

    @classmethod
    def of(cls, services: Services) -> Containers:
        """Those of a run."""
        return cls(services.database, services.objects, services.engine)

    @contextmanager
    def open(self, source: Source) -> Iterator[BinaryIO]:
        """Open a part.

        Raises:
            PermanentError: `part_missing`, or why it could not be taken out.
        """
        assert source.parent_uuid is not None  # noqa: S101  # A constraint says so.
        with self.database.engine.connect() as connection:
            container = load_document(connection, source.parent_uuid)
        with self.engine.contents(stored_object(container, self.objects)) as contents:
            part = contents.part(source.part_path)
            if part is None:
                raise PermanentError(
                    "part_missing",
                    f"{source.part_path!r} was not found again in {container.original_file_name!r}.",
                )
            if part.problem is not None:
                raise PermanentError(
                    part.problem.code,
                    f"{source.part_path!r} in {container.original_file_name!r}: "
                    f"{part.problem.sentence}",
                )
            assert part.file is not None  # noqa: S101  # Where there is no problem.
            with part.file.open("rb") as file:
                yield file


def judged(source: Source, error: Exception, inbox: Inbox) -> Exception:
    """The error of a source as it has to be told: that the file is another one now, where it is.

    What was found of a file that was still being written is damaged more often than not. That is no
    fault of the document, which is read when the file has settled.
    """
    if source.kind != inbox.kind or not isinstance(error, PermanentError):
        return error
    if inbox.present(source) in (None, (source.size_bytes, source.source_version)):
        return error
    read = "" if error.code == "content_changed" else f" What was found of it: {error.message}"
    superseded = PermanentError(
        "superseded",
        f"{source.original_file_name!r} was replaced or went on growing after it was found.{read}",
    )
    superseded.__cause__ = error
    return superseded


def stored_object(document: Document, objects: ObjectStore) -> StoredObject:
    """A document as engines take it."""
    return StoredObject(
        document_uuid=document.document_uuid,
        bucket=document.s3_bucket,
        key=document.s3_key,
        size_bytes=document.file_size_bytes,
        mime_type=document.mime_type,
        download=lambda target: objects.download(document.s3_key, target),
        file_name=document.original_file_name,
    )


@contextmanager
def open_source(
    source: Source, objects: ObjectStore, inbox: Inbox, containers: Containers | None
) -> Iterator[BinaryIO]:
    """Open a source for reading from beginning to end, if it is unchanged since it was discovered.

    Args:
        containers: what opens a part; without it none is opened.

    Raises:
        PermanentError: the source is gone, changed, unreadable, no regular file, or lies outside the
            inbox, directly or by a link, or outside the bucket; a part cannot be taken out.
        TransientError: the disk, share or object store does not answer just now.
    """
    opened: AbstractContextManager[BinaryIO]
    if source.kind == "s3":
        opened = _open_object(source, objects)
    elif source.kind == inbox.kind:
        opened = inbox.open(source)
    elif source.kind != "part":
        raise PermanentError(
            "outside_input_directory",
            f"{source.original_file_name!r} was found at {source.source_uri}, and INGEST_INPUT_DIR is "
            f"{inbox} now.",
            "Put it there too, or set INGEST_INPUT_DIR to where it was and retry it.",
        )
    elif containers is not None:
        opened = containers.open(source)
    else:
        raise PermanentError(
            "source_missing",
            f"{source.original_file_name!r} is part of document {source.parent_uuid}, and is taken out "
            "of it only by a run.",
            f"Materialise document_object of partition {source.partition_key}.",
        )
    with opened as file:
        yield file


@contextmanager
def source_object(source: Source, objects: ObjectStore) -> Iterator[str]:
    """A block that reads or copies a source that is an object; gives its key.

    Raises:
        PermanentError: the object is in another bucket, or the block found that it is gone.
    """
    bucket, key = s3_location(source.source_uri)
    if bucket != objects.bucket:
        raise PermanentError(
            "outside_bucket",
            f"{source.original_file_name!r} lies in bucket {bucket}, not in {objects.bucket}.",
            f"Copy it to {objects.bucket}, where it is found as a new source.",
        )
    try:
        yield key
    except MissingObjectError as error:
        raise PermanentError(
            "source_missing",
            f"{source.original_file_name!r} is no longer at {source.source_uri}.",
            "Bring the object back with the same bytes, or leave it.",
        ) from error


@contextmanager
def _open_object(source: Source, objects: ObjectStore) -> Iterator[BinaryIO]:
    with (
        source_object(source, objects) as key,
        objects.open(key, etag=source.source_version) as body,
    ):
        yield body
