"""Opening the bytes of a source: a file of the input directory, an upload, or a part of a document.

Belongs here: what makes reading an untrusted directory safe. Does not belong here: finding files
(`discovery`), finding parts (`parts`) and judging their content (`content`).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ingest_assets.errors import ConfigurationError, PermanentError, TransientError
from ingest_assets.ocr.engine import OcrEngine, StoredObject
from ingest_assets.stages.stage import Document, Services, Source, load_document
from ingest_assets.store.database import Database
from ingest_assets.store.names import path_of, s3_location
from ingest_assets.store.object_store import MissingObjectError, ObjectStore

_KINDS = {
    stat.S_IFDIR: "a directory or a link to one",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}
# Errors of a disk or a network share that may pass.
_MAY_PASS = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.EAGAIN)
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


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


def judged(source: Source, error: Exception) -> Exception:
    """The error of a source as it has to be told: that the file is another one now, where it is.

    What was found of a file that was still being written is damaged more often than not. That is no
    fault of the document, which is read when the file has settled.
    """
    if source.kind != "file" or not isinstance(error, PermanentError):
        return error
    try:
        status = Path(path_of(source.source_uri)).stat()
    except OSError:
        return error
    known = source.size_bytes, source.source_version
    if not stat.S_ISREG(status.st_mode) or (status.st_size, str(status.st_mtime_ns)) == known:
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
    source: Source, objects: ObjectStore, input_dir: Path, containers: Containers | None
) -> Iterator[BinaryIO]:
    """Open a source for reading from beginning to end, if it is unchanged since it was discovered.

    Args:
        containers: what opens a part; without it none is opened.

    Raises:
        PermanentError: the source is gone, changed, unreadable, no regular file, or lies outside the
            input directory, directly or by a link, or outside the bucket; a part cannot be taken out.
        TransientError: the disk, share or object store does not answer just now.
    """
    if source.kind == "s3":
        opened = _open_object(source, objects)
    elif source.kind == "file":
        opened = _open_file(source, input_dir)
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


@contextmanager
def _open_file(source: Source, input_dir: Path) -> Iterator[BinaryIO]:
    path = Path(path_of(source.source_uri))
    name = repr(source.original_file_name)
    try:
        with os.fdopen(_open_inside(path, input_dir), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):  # Replaced between the check and the open.
                raise _not_a_file(name, status.st_mode)
            if (status.st_size, str(status.st_mtime_ns)) != (
                source.size_bytes,
                source.source_version,
            ):
                raise PermanentError("content_changed", f"{name} changed since it was discovered.")
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        if not input_dir.is_dir():
            raise ConfigurationError(
                "input_directory_missing",
                f"The input directory {input_dir} is not on {socket.gethostname()}, where this run is.",
                "Mount it there at the same path, or start its worker with `--queues dagster`.",
            ) from error
        raise PermanentError(
            "source_missing",
            f"{name} is no longer there, or is a link to nothing.",
            "Bring the file back with the same name and modification time, or leave it.",
        ) from error
    except OSError as error:
        if error.errno in _MAY_PASS:
            raise TransientError(
                "source_unavailable", f"{name} cannot be read just now: {error.strerror}."
            ) from error
        if error.errno == errno.ELOOP:
            raise _link_loop(name) from error
        raise PermanentError(
            "source_unreadable", f"{name} cannot be opened: {error.strerror}."
        ) from error


def _open_inside(path: Path, input_dir: Path) -> int:
    """Open a path whose real place is inside the input directory.

    Links are resolved first. Then each directory of the real path is opened without following links, so
    that a link which is put there meanwhile is not followed.
    """
    root = Path(os.path.realpath(input_dir, strict=True))
    real = Path(os.path.realpath(path, strict=True))
    try:
        steps = real.relative_to(root).parts
    except ValueError as error:
        raise PermanentError(
            "outside_input_directory",
            f"{path.name!r} lies outside the input directory, or is a link that leads out of it.",
        ) from error
    if real in path.parents:
        raise _link_loop(repr(path.name))
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps[:-1]:
            inner = os.open(step, _OPEN | os.O_DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = inner
        # Checked before it is opened, because opening a device can have an effect.
        mode = os.stat(steps[-1], dir_fd=directory, follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode):
            raise _not_a_file(repr(path.name), mode)
        return os.open(steps[-1], _OPEN, dir_fd=directory)
    finally:
        os.close(directory)


def _link_loop(name: str) -> PermanentError:
    return PermanentError(
        "link_loop",
        f"{name} is a link that leads to itself or to a directory that it lies in, or its directory "
        "became one.",
    )


def _not_a_file(name: str, mode: int) -> PermanentError:
    return PermanentError(
        "not_a_file", f"{name} is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}."
    )
