"""Finding new files in the input directory and recording them as sources.

New is what is on disk and not in `document_sources`. Belongs here: walking the directory, waiting until
files have settled, recording. Does not belong here: opening a file (`source`), and what happens to a
source once it is recorded.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Numeric, cast, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.errors import ConfigurationError
from ingest_assets.failpoints import failpoint
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource, ForgottenSighting, IgnoredName
from ingest_assets.store.names import (
    display_name,
    file_uri,
    partition_key,
    path_of,
    sighting_digest,
)

# How often the settle time of a file that keeps changing is doubled at most: from 5 s to 85 minutes.
_MOST_DOUBLINGS = 10
# A file that changed again after a pause of at most so many settle times waits for twice the pause next
# time: a scanner that pauses between pages does so again. After a longer one a person has edited it.
_LONGEST_PAUSE = 60
# Paths in messages are shortened to this length.
_TOLD_CHARACTERS = 300
# Further new files are left to the next look, because recording them takes time, too.
_NEW_FILES_PER_LOOK = 20_000


class Sighting(NamedTuple):
    """A file as one look saw it. A tuple, because a look may make a hundred thousand.

    Attributes:
        modified_ns: modification time in nanoseconds.
        changed_at: when content or attributes changed last, in seconds since the epoch.
    """

    path: str
    size_bytes: int
    modified_ns: int
    changed_at: float


@dataclass(frozen=True)
class Discovery:
    """What one look at the input directory did.

    Attributes:
        added: partition keys of the new sources, in the order in which they were recorded.
        unsettled: number of files that are too young or still changing; a later look records them.
        unreadable: directories and files that could not be examined, each with the reason.
        resume_after: path, relative to the input directory, behind which the next look goes on because
            time ran out; None if the whole directory was looked at.
        forgotten: number of files that are passed over because they were forgotten.
        ignored: number of files and directories that this look passed over, by the pattern that their
            name matches. What lies in an ignored directory is not counted.
    """

    added: Sequence[str]
    unsettled: int
    unreadable: Sequence[str]
    resume_after: str | None
    ignored: Mapping[str, int]
    forgotten: int = 0


class KnownFiles:
    """What looks at the input directory know of earlier ones, kept in memory.

    The sightings that `document_sources` holds: each look reads only rows that were added since the
    last. If the number in memory then differs from the table's, rows were removed, and all are read
    again. And files that cannot be judged by their times, with the look that first saw them so.
    """

    def __init__(self) -> None:
        self._versions: set[tuple[str, int, int]] = set()
        self._newest = 0
        self._forgotten: frozenset[str] = frozenset()
        self._watched: dict[str, tuple[Sighting, float]] = {}
        self._ignored: Counter[str] = Counter()
        self._ignored_of_all = False
        self._ignored_stored: Mapping[str, int] | None = None

    def __contains__(self, sighting: Sighting) -> bool:
        return sighting[:3] in self._versions

    def holds(self, entry: os.DirEntry[str]) -> bool:
        """Whether a directory entry is known; fast, because a look asks for every file.

        Raises:
            OSError: the file cannot be examined, or is gone.
        """
        status = entry.stat(follow_symlinks=False)
        return (entry.path, status.st_size, status.st_mtime_ns) in self._versions

    def is_forgotten(self, sighting: Sighting) -> bool:
        """Whether a document that was forgotten was seen as this file."""
        path, size_bytes, modified_ns, _ = sighting
        return bool(self._forgotten) and (
            sighting_digest(file_uri(path), size_bytes, str(modified_ns)) in self._forgotten
        )

    def seconds_unchanged(self, sighting: Sighting) -> float:
        """For how long looks have seen the file as it is now, by this machine's clock."""
        seen, since = self._watched.get(sighting.path, (None, 0.0))
        if seen != sighting:
            since = time.monotonic()
            self._watched[sighting.path] = sighting, since
        return time.monotonic() - since

    def forget_watched(self, sightings: Sequence[Sighting]) -> None:
        """These were recorded."""
        for sighting in sightings:
            self._watched.pop(sighting.path, None)

    def store_ignored(
        self, database: Database, ignored: Mapping[str, int], *, is_first: bool, is_last: bool
    ) -> None:
        """Store what all looks that one walk took have passed over, once it ends, and where it changed.

        Args:
            is_first: the look began the walk.
            is_last: the look ended it.
        """
        if is_first:
            self._ignored, self._ignored_of_all = Counter(), True
        self._ignored += Counter(ignored)
        if not (is_last and self._ignored_of_all and self._ignored != self._ignored_stored):
            return
        with database.engine.begin() as connection:
            connection.execute(delete(IgnoredName))
            if self._ignored:
                connection.execute(
                    insert(IgnoredName).on_conflict_do_nothing(),
                    [{"pattern": pattern, "count": count} for pattern, count in self._ignored.items()],
                )
        self._ignored_stored = dict(self._ignored)

    def refresh(self, database: Database) -> None:
        """Read the rows that were added to the table."""
        files = DocumentSource.kind == "file"
        with database.engine.connect() as connection:
            self._forgotten = frozenset(
                connection.execute(select(ForgottenSighting.__table__.c.sighting)).scalars()
            )
            self._read(connection, files)
            count = connection.execute(select(func.count()).where(files)).scalar_one()
            if count != len(self._versions):
                self._versions, self._newest = set(), 0
                self._read(connection, files)

    def _read(self, connection: Connection, files: ColumnElement[bool]) -> None:
        columns = DocumentSource.__table__.columns
        rows = connection.execution_options(yield_per=10_000).execute(
            select(
                columns.source_uri,
                columns.size_bytes,
                columns.source_version,
                columns.sequence_number,
            ).where(files, columns.sequence_number > self._newest)
        )
        for uri, size_bytes, version, sequence_number in rows:
            self._versions.add((path_of(uri), size_bytes, int(version)))
            self._newest = max(self._newest, sequence_number)


def discover(  # noqa: PLR0913  # Each is a choice of its own, given by name.
    database: Database,
    known: KnownFiles,
    input_dir: Path,
    *,
    settle_seconds: float,
    second_look_seconds: float = 1.0,
    ignore_patterns: Sequence[str],
    batch_size: int,
    resume_after: str | None = None,
    seconds: float = 40.0,
) -> Discovery:
    """Record the files that are new and settled, in batches of at most `batch_size`.

    A file has settled when neither its content nor its attributes changed for `settle_seconds`, and
    when it is the same at a second look. Where those times lie in the future (a share whose clock runs
    ahead), it has settled when looks have seen it unchanged for as long. A file that changes after it
    was recorded becomes a new source, and waits longer each time: twice as long, and twice the pause
    after which it changed. So a file that grows for ever becomes few sources, not one a minute.

    Args:
        second_look_seconds: least time between the two looks at a file.
        resume_after: what the last call returned as `resume_after`.
        seconds: time after which the walk stops; `resume_after` then says where the next goes on.

    Raises:
        ConfigurationError: there is no such directory.
    """
    root = Path(os.path.realpath(input_dir))
    if not root.is_dir():
        raise ConfigurationError(
            "input_directory_missing", f"The input directory {input_dir} does not exist."
        )
    deadline = time.monotonic() + seconds
    known.refresh(database)
    walk = _Walk(root, ignore_patterns, Path(resume_after or "").parts)
    new: list[Sighting] = []
    unsettled = forgotten = 0
    reached: str | None = None
    first_look = time.monotonic()
    for entry in walk:
        try:
            sighting = None if known.holds(entry) else _look(entry)
        except FileNotFoundError:
            sighting = None  # Removed after it was listed.
        except OSError as error:
            walk.pass_over(entry.path, error)
            sighting = None
        if sighting and known.is_forgotten(sighting):
            forgotten += 1
        elif sighting and sighting not in known:
            if _seconds_unchanged(sighting, known) < settle_seconds:
                unsettled += 1
            else:
                new.append(sighting)
        if time.monotonic() > deadline or len(new) >= _NEW_FILES_PER_LOOK:
            reached = os.path.relpath(entry.path, root)
            break
    new, restless = _less_restless(database, known, new, settle_seconds)
    settled = list(_seen_again(new, first_look + second_look_seconds))
    added = _record(database, settled, batch_size)
    known.forget_watched(settled)
    known.store_ignored(database, walk.ignored, is_first=resume_after is None, is_last=reached is None)
    return Discovery(
        added,
        unsettled + restless + len(new) - len(settled),
        walk.unreadable,
        reached,
        walk.ignored,
        forgotten,
    )


class _Walk:
    """Everything below `root` that is not a directory, in a fixed order. Links are not followed.

    Includes what is no regular file, such as a broken link or a pipe: it becomes a source that
    `document_row` rejects with a reason, because a file that is skipped in silence is a file lost.
    """

    def __init__(self, root: Path, ignore_patterns: Sequence[str], after: tuple[str, ...]) -> None:
        self._root = root
        self._after = after
        self._patterns = [
            (pattern, re.compile(fnmatch.translate(pattern), re.IGNORECASE))
            for pattern in ignore_patterns
        ]
        # One expression for all, because most names match none.
        self._any = re.compile(
            "|".join(map(fnmatch.translate, ignore_patterns)) or r"(?!)", re.IGNORECASE
        )
        self.ignored: Counter[str] = Counter()
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        # A stack of listings instead of recursion, because a tree may be deeper than Python's stack.
        stack = [self._list(str(self._root), self._after)]
        while stack:
            entry, after = next(stack[-1], (None, ()))
            if entry is None:
                stack.pop()
            elif entry.is_dir(follow_symlinks=False):
                stack.append(self._list(entry.path, after))
            else:
                yield entry

    def pass_over(self, path: str, error: OSError) -> None:
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
            self.pass_over(directory, error)
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
        if not self._any.match(name):
            return False
        if not after:  # Of a directory that two looks list, the first has counted.
            self.ignored[next(p for p, expression in self._patterns if expression.match(name))] += 1
        return True


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
    return Sighting(os.fspath(file), status.st_size, status.st_mtime_ns, changed_at)


def _target(path: Path) -> os.stat_result | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _seconds_unchanged(sighting: Sighting, known: KnownFiles) -> float:
    age = time.time() - sighting.changed_at
    # A time in the future says nothing about the file's age.
    return age if age >= 0 else known.seconds_unchanged(sighting)


def _seen_again(sightings: Sequence[Sighting], second_look: float) -> Iterator[Sighting]:
    if sightings:
        time.sleep(max(0.0, second_look - time.monotonic()))
    for sighting in sightings:
        # A file that cannot be examined counts as one that is still changing: the next look records it,
        # or notes why it cannot.
        with suppress(OSError):
            if _look(Path(sighting.path)) == sighting:
                yield sighting


def _less_restless(
    database: Database, known: KnownFiles, sightings: Sequence[Sighting], settle_seconds: float
) -> tuple[list[Sighting], int]:
    """Files that have waited for as long as their earlier versions ask for; number of the others."""
    columns = DocumentSource.__table__.columns
    with database.engine.connect() as connection:
        rows = connection.execute(
            select(
                columns.source_uri,
                func.count(),
                func.max(cast(columns.source_version, Numeric)),
            )
            .where(columns.source_uri.in_([file_uri(sighting.path) for sighting in sightings]))
            .group_by(columns.source_uri)
        )
        earlier: dict[str, tuple[int, int]] = {uri: (count, int(latest)) for uri, count, latest in rows}

    def patience(sighting: Sighting) -> float:
        count, modified_ns = earlier.get(file_uri(sighting.path), (0, 0))
        pause = (sighting.modified_ns - modified_ns) / 1e9
        doubled = settle_seconds * (1 << min(count, _MOST_DOUBLINGS))
        paused = count and pause <= _LONGEST_PAUSE * settle_seconds
        return max(doubled, 2 * pause) if paused else doubled

    settled = [one for one in sightings if _seconds_unchanged(one, known) >= patience(one)]
    return settled, len(sightings) - len(settled)


def _record(database: Database, sightings: Sequence[Sighting], batch_size: int) -> list[str]:
    """Insert sources and return their keys; those that another process has inserted are left to it."""
    rows = []
    for start in range(0, len(sightings), batch_size):
        batch_id = uuid4()
        for sighting in sightings[start : start + batch_size]:
            uri = file_uri(sighting.path)
            version = str(sighting.modified_ns)
            rows.append(
                {
                    "partition_key": partition_key(uri, sighting.size_bytes, version),
                    "source_uri": uri,
                    "kind": "file",
                    "original_file_name": display_name(Path(sighting.path).name),
                    "size_bytes": sighting.size_bytes,
                    "source_version": version,
                    "batch_id": batch_id,
                }
            )
    if not rows:
        return []
    with database.engine.begin() as connection:
        added = list(
            connection.execute(
                insert(DocumentSource).on_conflict_do_nothing().returning(DocumentSource.partition_key),
                rows,
            ).scalars()
        )
        failpoint("sources.inserted")
    failpoint("sources.committed")
    return added
