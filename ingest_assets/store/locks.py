"""The locks of one run. Each has a name, which one thread of one run holds at a time.

Belongs here: holding many of Postgres's advisory locks on one connection, so that a document that waits
for its turn needs no connection. Does not belong here: what is done under a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import TransientError
from ingest_assets.log import get_logger
from ingest_assets.store.database import Database, database_error

_log = get_logger(__name__)

# Between two tries to take a lock that another process holds.
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_PING = text("SELECT 1")
_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_UNLOCK = text("""
    SELECT count(pg_advisory_unlock(hashtextextended(name, 0)))
    FROM unnest(CAST(:names AS text[])) AS name
""")


class Locks:
    """All locks of one run, on a connection of their own. Safe to share between threads.

    The locks belong to the connection's session: they survive commits, and Postgres releases them when
    the process or the connection ends. A pooler in transaction mode would break them, so the URL has to
    be that of Postgres itself.

    A stage writes over other connections, which do not notice when the locks are lost. So the runner
    calls `check` with each heartbeat, and `Held.check` before and after each stage.

    Example:
        with locks.hold("a partition's key") as held:
            held.add("a document's UUID")
            ...
            held.check()  # raises where a lock was lost meanwhile
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: set[str] = set()  # What threads of this process hold, or ask Postgres for.
        self._freed = threading.Condition()
        self._connection: Connection | None = None
        self._session = 0  # Counts connections: a lock is lost with the one it was taken on.
        self._mutex = threading.Lock()  # Guards the two above.

    @contextmanager
    def hold(self, name: str) -> Iterator[Held]:
        """Hold the lock of that name, and those that are added; waits while others hold them.

        Raises:
            SQLAlchemyError: Postgres does not answer.
        """
        held = Held(self)
        try:
            held.add(name)
            yield held
        finally:
            held.release()

    def check(self) -> None:
        """Make sure that the connection which holds the locks still works.

        Raises:
            SQLAlchemyError: it does not, and all locks are lost.
        """
        with self._mutex:
            if self._connection is not None:
                self._ask(_PING)

    def close(self) -> None:
        """Release all locks."""
        with self._mutex:
            self._drop()

    def acquire(self, name: str) -> int:
        """Take one lock, waiting for it; returns the number of the session that it was taken in."""
        with self._freed:
            self._freed.wait_for(lambda: name not in self._names)
            self._names.add(name)
        pause = _FIRST_PAUSE_SECONDS
        try:
            while not (session := self._try(name)):
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        except BaseException:
            self._free(name)
            raise
        return session

    def try_acquire(self, name: str) -> int:
        """Take one lock if it is free; returns the number of the session, or 0 if it is not."""
        with self._freed:
            if name in self._names:
                return 0
            self._names.add(name)
        session = 0
        try:
            session = self._try(name)
        finally:
            if not session:
                self._free(name)
        return session

    def release(self, sessions: Mapping[str, int]) -> None:
        """Release locks.

        Args:
            sessions: by the lock's name, the number of the session that it was taken in.
        """
        # If the connection is lost, Postgres has released the locks; `_ask` has logged the loss.
        with self._mutex, suppress(SQLAlchemyError):
            if names := [name for name, session in sessions.items() if not self.lost(session)]:
                self._ask(_UNLOCK, names=names)
        self._free(*sessions)

    def lost(self, session: int) -> bool:
        """Whether locks that were taken in that session are lost, as far as `check` has noticed."""
        return session != self._session or self._connection is None

    def _free(self, *names: str) -> None:
        with self._freed:
            self._names.difference_update(names)
            self._freed.notify_all()

    def _try(self, name: str) -> int:
        with self._mutex:
            if self._connection is None:
                self._connection = self._database.engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                )
                self._connection.detach()  # So that closing it ends the session and frees the locks.
                self._session += 1
            taken = self._ask(_LOCK, name=name)
            return self._session if taken else 0

    def _ask(self, question: TextClause, **parameters: object) -> object:
        assert self._connection is not None  # noqa: S101  # For the type checker.
        try:
            return self._connection.execute(question, parameters).scalar_one()
        except SQLAlchemyError as error:
            _log.warning(
                "The connection that holds this run's locks is lost, and with it %d locks: %s",
                len(self._names),
                database_error(error),
            )
            self._drop()
            raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # Closing one that is lost fails, and changes nothing.
                connection.close()


class Held:
    """The locks that one thread holds for one piece of work."""

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self._sessions: dict[str, int] = {}

    def add(self, name: str) -> None:
        """Take a further lock, waiting for it; does nothing if it is held already."""
        if name not in self._sessions:
            self._sessions[name] = self._locks.acquire(name)

    def try_add(self, name: str) -> bool:
        """Take a further lock if it is free; returns whether it is held now."""
        if name not in self._sessions and (session := self._locks.try_acquire(name)):
            self._sessions[name] = session
        return name in self._sessions

    def check(self) -> None:
        """Make sure that none is lost, as far as is known.

        Raises:
            TransientError: one is, so another run may be working on the document.
        """
        if any(map(self._locks.lost, self._sessions.values())):
            raise TransientError(
                "lock_lost", "The connection to Postgres that held the document's lock was lost."
            )

    def release(self) -> None:
        """Release all of them."""
        sessions, self._sessions = self._sessions, {}
        if sessions:
            self._locks.release(sessions)
