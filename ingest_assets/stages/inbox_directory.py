"""The inbox that is a directory: walking it, and opening its files.

Belongs here: what makes looking at, and reading, a directory safe that anybody may write to. Does not
belong here: which of its files are new (`discovery`), and judging their content (`content`).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

from sqlalchemy import ColumnElement, Numeric, cast, func

from ingest_assets.errors import ConfigurationError, PermanentError, TransientError
from ingest_assets.stages.ignored import IgnoredNames
from ingest_assets.stages.stage import Sighting, Source
from ingest_assets.store.models import DocumentSource
from ingest_assets.store.names import display_name, file_uri, path_of

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

# Paths in messages are shortened to this length.
_TOLD_CHARACTERS = 300


class Directory:
    """A directory with all that is below it; an `Inbox`.

    Args:
        second_look_seconds: least time between the two looks at a file.
        ignore_patterns: INGEST_IGNORE_PATTERNS.
    """

    kind: Literal["file", "inbox"] = "file"

    def __init__(
        self, path: Path, *, second_look_seconds: float = 1.0, ignore_patterns: Sequence[str] = ()
    ) -> None:
        self.path = path
        self._second_look_seconds = second_look_seconds
        self._ignored_names = IgnoredNames(ignore_patterns)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def sources(self) -> ColumnElement[bool]:
        """Of this directory, and of those that were watched before it."""
        return DocumentSource.kind == self.kind

    @property
    def latest_written(self) -> ColumnElement[Any]:
        """The latest modification time: files' versions are times."""
        return func.max(cast(DocumentSource.source_version, Numeric)) / 1_000_000_000

    def written(self, sighting: Sighting) -> float:
        """The modification time."""
        return int(sighting.version) / 1e9

    def require(self) -> None:
        """Make sure that it is there, and no share that is not mounted."""
        if not self.path.is_dir():
            raise ConfigurationError(
                "input_directory_missing", f"The input directory {self.path} does not exist."
            )

    def look(self, after: str) -> _Walk:
        """Begin a walk; `after` is a path relative to the directory."""
        self.require()
        return _Walk(Path(os.path.realpath(self.path)), self._ignored_names, after)

    def seen_again(self, sightings: Sequence[Sighting], first_look: float) -> Iterator[Sighting]:
        """Those that are the same after `second_look_seconds`."""
        if sightings:
            time.sleep(max(0.0, first_look + self._second_look_seconds - time.monotonic()))
        for sighting in sightings:
            # A file that cannot be examined counts as one that is still changing: the next look records
            # it, or notes why it cannot.
            with suppress(OSError):
                if _look(Path(sighting.place)) == sighting:
                    yield sighting

    def uri(self, place: str) -> str:
        """`file://…`."""
        return file_uri(place)

    def place(self, uri: str) -> str | None:
        """The path."""
        return path_of(uri) if uri.startswith("file://") else None

    def name(self, place: str) -> str:
        """The last part of the path."""
        return display_name(Path(place).name)

    def present(self, source: Source) -> tuple[int, str] | None:
        """Size and modification time of the file that is there now, if it is a regular one."""
        try:
            status = Path(path_of(source.source_uri)).stat()
        except OSError:
            return None
        return (status.st_size, str(status.st_mtime_ns)) if stat.S_ISREG(status.st_mode) else None

    @contextmanager
    def open(self, source: Source) -> Iterator[BinaryIO]:
        """Open a file, if its real place is inside the directory; see `Inbox.open`."""
        path = Path(path_of(source.source_uri))
        name = repr(source.original_file_name)
        try:
            with os.fdopen(_open_inside(path, self.path), "rb") as file:
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
            if not self.path.is_dir():
                raise ConfigurationError(
                    "input_directory_missing",
                    f"The input directory {self.path} is not on {socket.gethostname()}, where this "
                    "run is.",
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


class _Walk:
    """Everything below `root` that is not a directory, in a fixed order. Links are not followed.

    Includes what is no regular file, such as a broken link or a pipe: it becomes a source that
    `document_row` rejects with a reason, because a file that is skipped in silence is a file lost.
    """

    def __init__(self, root: Path, ignored_names: IgnoredNames, after: str) -> None:
        self._root = root
        self._after = after
        self._ignored_names = ignored_names
        self._at = ""
        self.ignored: Counter[str] = Counter()
        self.unreadable: list[str] = []

    @property
    def reached(self) -> str:
        """The latest entry, relative to `root`."""
        return os.path.relpath(self._at, self._root)

    def __iter__(self) -> Iterator[Sighting | None]:
        # A stack of listings instead of recursion, because a tree may be deeper than Python's stack.
        stack = [self._list(str(self._root), Path(self._after).parts)]
        while stack:
            entry, after = next(stack[-1], (None, ()))
            if entry is None:
                stack.pop()
            elif entry.is_dir(follow_symlinks=False):
                stack.append(self._list(entry.path, after))
            else:
                self._at = entry.path
                yield self._see(entry)

    def _see(self, entry: os.DirEntry[str]) -> Sighting | None:
        try:
            return _look(entry)
        except FileNotFoundError:
            return None  # Removed after it was listed.
        except OSError as error:
            self._pass_over(entry.path, error)
            return None

    def _pass_over(self, path: str, error: OSError) -> None:
        """Note that a path cannot be examined, and why."""
        told = display_name(os.path.relpath(path, self._root))
        told = told if len(told) <= _TOLD_CHARACTERS else f"{told[:_TOLD_CHARACTERS]}…"
        self.unreadable.append(f"{told!r}: {error.strerror}")

    def _list(
        self, directory: str, after: tuple[str, ...]
    ) -> Iterator[tuple[os.DirEntry[str], tuple[str, ...]]]:
        """The directory's entries, from the place on where the last walk stopped."""
        try:
            with os.scandir(directory) as listing:
                entries = [entry for entry in listing if not self._is_ignored(entry.name, after)]
        except OSError as error:
            self._pass_over(directory, error)
            return
        entries.sort(key=lambda entry: entry.name)
        for entry in entries:
            if after and entry.name < after[0]:
                continue
            if after and entry.name == after[0]:
                if after[1:]:
                    yield entry, after[1:]
                continue
            yield entry, ()

    def _is_ignored(self, name: str, after: tuple[str, ...]) -> bool:
        pattern = self._ignored_names.matching(name)
        if pattern is not None and not after:  # Of a directory that two looks list, the first counted.
            self.ignored[pattern] += 1
        return pattern is not None


def _look(file: os.DirEntry[str] | Path) -> Sighting:
    """The file as it is now. A link is seen as the file that it leads to, or as itself if to none.

    Raises:
        OSError: the file cannot be examined, or is gone.
    """
    status = file.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        status = _target(Path(file)) or status
    # A copying program may set the modification time to the original's, but not the change time: that
    # shows that the copy is still growing.
    changed_at = max(status.st_mtime, status.st_ctime)
    return Sighting(os.fspath(file), status.st_size, str(status.st_mtime_ns), changed_at)


def _target(path: Path) -> os.stat_result | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


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
