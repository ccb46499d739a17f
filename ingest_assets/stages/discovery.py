"""Finding new files in the inbox and recording them as sources.

New is what is there and not in `document_sources`. Belongs here: waiting until files have settled,
recording. Does not belong here: what an inbox is (`inbox_directory`, `inbox_s3`), and what happens to a
source once it is recorded.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.failpoints import failpoint
from ingest_assets.stages.stage import Inbox, Look, Sighting
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource, ForgottenSighting, IgnoredName, UnreadablePlace
from ingest_assets.store.names import partition_key, sighting_digest

# How often the settle time of a file that keeps changing is doubled at most: from 5 s to 85 minutes.
_MOST_DOUBLINGS = 10
# A file that changed again after a pause of at most so many settle times waits for twice the pause next
# time: a scanner that pauses between pages does so again. After a longer one a person has edited it.
_LONGEST_PAUSE = 60
# Places that could not be looked at: a share with the wrong rights may have thousands.
_MOST_UNREADABLE = 100
# Further new files are left to the next look, because recording them takes time, too.
_NEW_FILES_PER_LOOK = 20_000


@dataclass(frozen=True)
class Discovery:
    """What one look at the inbox did.

    Attributes:
        added: partition keys of the new sources, in the order in which they were recorded.
        unsettled: number of files that are too young or still changing; a later look records them.
        unreadable: directories and files that could not be examined, each with the reason.
        resume_after: behind what the next look goes on because time ran out; None if the whole inbox
            was looked at.
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
    """What looks at one inbox know of earlier ones, kept in memory.

    The sightings that `document_sources` holds: each look reads only rows that were added since the
    last. If the number in memory then differs from the table's, rows were removed, and all are read
    again. And files that cannot be judged by their times, with the look that first saw them so.
    """

    def __init__(self) -> None:
        self._versions: set[tuple[str, int, str]] = set()
        self._newest = 0
        self._forgotten: frozenset[str] = frozenset()
        self._watched: dict[str, tuple[Sighting, float]] = {}
        self._ignored: Counter[str] = Counter()
        self._unreadable: list[str] = []
        self._of_a_whole_walk = False
        self._stored: tuple[Mapping[str, int], Sequence[str]] | None = None

    def __contains__(self, sighting: Sighting) -> bool:
        return sighting[:3] in self._versions

    def is_forgotten(self, sighting: Sighting, inbox: Inbox) -> bool:
        """Whether a document that was forgotten was seen as this file."""
        place, size_bytes, version, _ = sighting
        return bool(self._forgotten) and (
            sighting_digest(inbox.uri(place), size_bytes, version) in self._forgotten
        )

    def seconds_unchanged(self, sighting: Sighting) -> float:
        """For how long looks have seen the file as it is now, by this machine's clock."""
        seen, since = self._watched.get(sighting.place, (None, 0.0))
        if seen != sighting:
            since = time.monotonic()
            self._watched[sighting.place] = sighting, since
        return time.monotonic() - since

    def forget_watched(self, sightings: Sequence[Sighting]) -> None:
        """These were recorded."""
        for sighting in sightings:
            self._watched.pop(sighting.place, None)

    def store_passed_over(
        self, database: Database, look: Look, *, is_first: bool, is_last: bool
    ) -> None:
        """Store what all looks that one walk took have passed over, once it ends, and where it changed.

        Args:
            is_first: the look began the walk.
            is_last: the look ended it.
        """
        if is_first:
            self._ignored, self._unreadable, self._of_a_whole_walk = Counter(), [], True
        self._ignored += look.ignored
        self._unreadable = [*self._unreadable, *look.unreadable][:_MOST_UNREADABLE]
        found = dict(self._ignored), self._unreadable
        if not (is_last and self._of_a_whole_walk and found != self._stored):
            return
        with database.engine.begin() as connection:
            connection.execute(delete(IgnoredName))
            connection.execute(
                delete(UnreadablePlace).where(UnreadablePlace.place.not_in(self._unreadable))
            )
            for table, rows in (
                (IgnoredName, [{"pattern": name, "count": n} for name, n in self._ignored.items()]),
                (UnreadablePlace, [{"place": place} for place in self._unreadable]),
            ):
                if rows:
                    connection.execute(insert(table).on_conflict_do_nothing(), rows)
        self._stored = found

    def refresh(self, database: Database, inbox: Inbox) -> None:
        """Read the rows that were added to the table."""
        with database.engine.connect() as connection:
            self._forgotten = frozenset(
                connection.execute(select(ForgottenSighting.__table__.c.sighting)).scalars()
            )
            self._read(connection, inbox)
            count = connection.execute(select(func.count()).where(inbox.sources)).scalar_one()
            if count != len(self._versions):
                self._versions, self._newest = set(), 0
                self._read(connection, inbox)

    def _read(self, connection: Connection, inbox: Inbox) -> None:
        columns = DocumentSource.__table__.columns
        rows = connection.execution_options(yield_per=10_000).execute(
            select(
                columns.source_uri,
                columns.size_bytes,
                columns.source_version,
                columns.sequence_number,
            ).where(inbox.sources, columns.sequence_number > self._newest)
        )
        for uri, size_bytes, version, sequence_number in rows:
            self._versions.add((inbox.place(uri) or uri, size_bytes, version))
            self._newest = max(self._newest, sequence_number)


def discover(  # Each is a choice of its own, given by name.
    database: Database,
    known: KnownFiles,
    inbox: Inbox,
    *,
    settle_seconds: float,
    wait_seconds: float = 0.0,
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
        known: what earlier looks at the same inbox know.
        wait_seconds: where no file has settled, how long to wait for those that will have by then.
        resume_after: what the last call returned as `resume_after`.
        seconds: time after which the look stops; `resume_after` then says where the next goes on.

    Raises:
        ConfigurationError: there is no such inbox, or it may not be looked at.
        TransientError: the inbox or the database cannot be reached just now.
    """
    deadline = time.monotonic() + seconds
    look = inbox.look(resume_after or "")
    known.refresh(database, inbox)
    new: list[Sighting] = []
    young: list[Sighting] = []
    unsettled = forgotten = 0
    reached: str | None = None
    first_look = time.monotonic()
    for sighting in look:
        if sighting and sighting not in known:
            if known.is_forgotten(sighting, inbox):
                forgotten += 1
            elif _seconds_unchanged(sighting, known) < settle_seconds:
                unsettled += 1
                if unsettled <= _NEW_FILES_PER_LOOK:
                    young.append(sighting)
            else:
                new.append(sighting)
        if time.monotonic() > deadline or len(new) >= _NEW_FILES_PER_LOOK:
            reached = look.reached
            break
    unsettled += len(new)
    new = new or _settled_soon(young, known, settle_seconds, wait_seconds)
    new = _less_restless(database, known, inbox, new, settle_seconds)
    settled = list(inbox.seen_again(new, first_look))
    added = _record(database, inbox, settled, batch_size)
    known.forget_watched(settled)
    known.store_passed_over(database, look, is_first=resume_after is None, is_last=reached is None)
    return Discovery(
        added,
        unsettled - len(settled),
        look.unreadable,
        reached,
        look.ignored,
        forgotten,
    )


def _seconds_unchanged(sighting: Sighting, known: KnownFiles) -> float:
    age = time.time() - sighting.changed_at
    # A time in the future says nothing about the file's age.
    return age if age >= 0 else known.seconds_unchanged(sighting)


def _settled_soon(
    sightings: Sequence[Sighting], known: KnownFiles, settle_seconds: float, wait_seconds: float
) -> list[Sighting]:
    """Wait for the files that settle within some seconds, and return them."""
    soon = {
        sighting: left
        for sighting in sightings
        if (left := settle_seconds - _seconds_unchanged(sighting, known)) <= wait_seconds
    }
    time.sleep(max((0.0, *soon.values())))
    return list(soon)


def _less_restless(
    database: Database,
    known: KnownFiles,
    inbox: Inbox,
    sightings: Sequence[Sighting],
    settle_seconds: float,
) -> list[Sighting]:
    """Files that have waited for as long as their earlier versions ask for."""
    if not sightings:
        return []
    columns = DocumentSource.__table__.columns
    with database.engine.connect() as connection:
        rows = connection.execute(
            select(columns.source_uri, func.count(), inbox.latest_written)
            .where(columns.source_uri.in_([inbox.uri(sighting.place) for sighting in sightings]))
            .group_by(columns.source_uri)
        )
        earlier: dict[str, tuple[int, float]] = {
            uri: (count, float(latest)) for uri, count, latest in rows
        }

    def patience(sighting: Sighting) -> float:
        count, latest = earlier.get(inbox.uri(sighting.place), (0, 0.0))
        pause = inbox.written(sighting) - latest
        doubled = settle_seconds * (1 << min(count, _MOST_DOUBLINGS))
        paused = count and pause <= _LONGEST_PAUSE * settle_seconds
        return max(doubled, 2 * pause) if paused else doubled

    return [one for one in sightings if _seconds_unchanged(one, known) >= patience(one)]


def _record(
    database: Database, inbox: Inbox, sightings: Sequence[Sighting], batch_size: int
) -> list[str]:
    """Insert sources and return their keys; those that another process has inserted are left to it."""
    rows = []
    for start in range(0, len(sightings), batch_size):
        batch_id = uuid4()
        for sighting in sightings[start : start + batch_size]:
            uri = inbox.uri(sighting.place)
            rows.append(
                {
                    "partition_key": partition_key(uri, sighting.size_bytes, sighting.version),
                    "source_uri": uri,
                    "kind": inbox.kind,
                    "original_file_name": inbox.name(sighting.place),
                    "size_bytes": sighting.size_bytes,
                    "source_version": sighting.version,
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
