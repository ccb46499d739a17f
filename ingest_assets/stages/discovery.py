"""From a directory to sources: what is on disk less what `document_sources` holds.

Belongs here: walking, settling, recording. Does not belong here: opening a file (`source`), and what
is done with a source once it is recorded.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.errors import ConfigurationError
from ingest_assets.stages.source import file_version
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource
from ingest_assets.store.names import display_name, file_uri, partition_key, path_of

# The second look at a file comes at least this long after the first.
_SECOND_LOOK_SECONDS = 1.0
_ROWS_PER_INSERT = 1000


@dataclass(frozen=True)
class Sighting:
    """A file as one look saw it. `version` is its modification time in nanoseconds."""

    path: str
    size_bytes: int
    version: str
    changed_at: float


@dataclass(frozen=True)
class Discovery:
    """What one look at the input directory did.

    Attributes:
        added: partition keys of the new sources, in the order in which they were recorded.
        unsettled: files that are too young or still changing; a later look takes them.
        unreadable: directories that could not be listed.
        resume_after: where the next look goes on when time ran out, relative to the input directory;
            None when the whole directory was looked at.
    """

    added: Sequence[str]
    unsettled: int
    unreadable: Sequence[str]
    resume_after: str | None


class KnownFiles:
    """The sightings that `document_sources` holds, kept in memory between looks.

    It is read again whenever the table's count or its newest entry are not those that were left
    there, so that rows written or removed by others are noticed.
    """

    def __init__(self) -> None:
        self._versions: dict[str, set[tuple[int, str]]] = {}
        self._state: object = None

    def __contains__(self, sighting: Sighting) -> bool:
        versions = self._versions.get(sighting.path)
        return versions is not None and (sighting.size_bytes, sighting.version) in versions

    def refresh(self, database: Database) -> None:
        """Read the table, if it is not the one that was read last."""
        files = DocumentSource.kind == "file"
        with database.engine.connect() as connection:
            state = connection.execute(
                select(func.count(), func.max(DocumentSource.sequence_number)).where(files)
            ).one()
            if state == self._state:
                return
            self._versions = {}
            rows = connection.execution_options(yield_per=10_000).execute(
                select(
                    DocumentSource.source_uri,
                    DocumentSource.size_bytes,
                    DocumentSource.source_version,
                ).where(files)
            )
            for uri, size_bytes, version in rows:
                self._versions.setdefault(str(path_of(uri)), set()).add((size_bytes, version))
            self._state = state


def discover(
    database: Database,
    known: KnownFiles,
    input_dir: Path,
    *,
    settle_seconds: float,
    ignore_patterns: Sequence[str],
    batch_size: int,
    resume_after: str | None = None,
    seconds: float = 40.0,
) -> Discovery:
    """Record the files that are new and settled, in batches of at most `batch_size`.

    A file has settled when neither its content nor its attributes changed for `settle_seconds` and
    two looks at least a second apart see the same. A changed file is a new source.

    Args:
        resume_after: as the last look returned it.
        seconds: time after which the walk stops and says where to go on.

    Raises:
        ConfigurationError: there is no such directory.
    """
    root = Path(os.path.realpath(input_dir))
    if not root.is_dir():
        raise ConfigurationError(
            "input_directory_missing",
            f"The input directory {input_dir} does not exist.",
            "Create it, or set INGEST_INPUT_DIR.",
        )
    deadline = time.monotonic() + seconds
    known.refresh(database)
    walk = _Walk(root, ignore_patterns, Path(resume_after or "").parts)
    new: list[Sighting] = []
    unsettled = 0
    reached: str | None = None
    first_look = time.monotonic()
    for sighting in walk:
        if sighting not in known:
            if _is_young(sighting, settle_seconds):
                unsettled += 1
            else:
                new.append(sighting)
        if time.monotonic() > deadline:
            reached = os.path.relpath(sighting.path, root)
            break
    settled = list(_seen_again(new, first_look))
    added = _record(database, settled, batch_size)
    return Discovery(added, unsettled + len(new) - len(settled), walk.unreadable, reached)


class _Walk:
    """All that is not a directory below `root`, in a fixed order, links not followed.

    Whatever is no regular file is seen too: it becomes a source that `document_row` rejects with a
    reason, because a file that is silently passed over is a file lost.
    """

    def __init__(self, root: Path, ignore_patterns: Sequence[str], after: tuple[str, ...]) -> None:
        self._root = root
        self._after = after
        self._ignored = re.compile("|".join(map(fnmatch.translate, ignore_patterns)) or r"(?!)")
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[Sighting]:
        # A stack of listings, not recursion: a tree may be deeper than Python's stack.
        stack = [self._list(str(self._root), self._after)]
        while stack:
            entry, after = next(stack[-1], (None, ()))
            if entry is None:
                stack.pop()
            elif entry.is_dir(follow_symlinks=False):
                stack.append(self._list(entry.path, after))
            elif (sighting := _look(entry)) is not None:
                yield sighting

    def _list(
        self, directory: str, after: tuple[str, ...]
    ) -> Iterator[tuple[os.DirEntry[str], tuple[str, ...]]]:
        """The directory's entries behind the place where the last walk stopped."""
        try:
            with os.scandir(directory) as listing:
                entries = [entry for entry in listing if not self._ignored.match(entry.name)]
        except OSError as error:
            self.unreadable.append(f"{display_name(directory)}: {error.strerror}")
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


def _look(entry: os.DirEntry[str] | str) -> Sighting | None:
    """The file as it is now; a link as what it leads to, or as itself when it leads to no file."""
    path = entry if isinstance(entry, str) else entry.path
    try:
        status = os.lstat(path) if isinstance(entry, str) else entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            status = _target(path) or status
    except FileNotFoundError:
        return None
    # The change time cannot be set by a program that copies: a copy which keeps the original's
    # modification time is seen to be growing all the same.
    changed_at = max(status.st_mtime, status.st_ctime)
    return Sighting(path, status.st_size, file_version(status), changed_at)


def _target(path: str) -> os.stat_result | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _is_young(sighting: Sighting, settle_seconds: float) -> bool:
    # A time in the future says nothing about the age: the second look has to do.
    return 0 <= time.time() - sighting.changed_at < settle_seconds


def _seen_again(sightings: Sequence[Sighting], first_look: float) -> Iterator[Sighting]:
    if sightings:
        time.sleep(max(0.0, first_look + _SECOND_LOOK_SECONDS - time.monotonic()))
    return (sighting for sighting in sightings if _look(sighting.path) == sighting)


def _record(database: Database, sightings: Sequence[Sighting], batch_size: int) -> list[str]:
    """Insert sources; those that somebody else inserted in the meantime are theirs."""
    rows = []
    for start in range(0, len(sightings), batch_size):
        batch_id: UUID = uuid4()
        for sighting in sightings[start : start + batch_size]:
            path = Path(sighting.path)
            uri = file_uri(path)
            rows.append(
                {
                    "partition_key": partition_key(uri, sighting.size_bytes, sighting.version),
                    "source_uri": uri,
                    "kind": "file",
                    "original_file_name": display_name(path.name),
                    "size_bytes": sighting.size_bytes,
                    "source_version": sighting.version,
                    "batch_id": batch_id,
                }
            )
    added: list[str] = []
    with database.engine.begin() as connection:
        for start in range(0, len(rows), _ROWS_PER_INSERT):
            added += connection.execute(
                insert(DocumentSource)
                .values(rows[start : start + _ROWS_PER_INSERT])
                .on_conflict_do_nothing()
                .returning(DocumentSource.partition_key)
            ).scalars()
    return added
