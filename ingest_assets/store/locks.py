"""The locks of one run: names that no other run, and no other thread of this one, holds meanwhile.

Belongs here: holding many of Postgres's advisory locks on one connection, so that a document which
only waits costs no connection. Does not belong here: what is done under a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import TransientError
from ingest_assets.log import get_logger
from ingest_assets.store.database import Database, database_error

_log = get_logger(__name__)

# Between two tries for a lock that another process holds.
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


class Locks:
    """All locks of one run, on a connection of their own. Safe to share between threads.

    The locks are the session's, so they survive commits, and fall with the process or its connection.
    A pooler in transaction mode would break them: connect to Postgres itself.

    Whoever works under a lock writes over other connections, so `check` says whether the lock has
    fallen meanwhile: the runner asks before each stage and with each heartbeat.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: set[str] = set()  # What threads of this process hold, or wait for Postgres for.
        self._freed = threading.Condition()
        self._connection: Connection | None = None
        self._session = 0  # Counts the connections; a lock is as good as the one it was taken on.
        self._mutex = threading.Lock()  # Over the two above.

    @contextmanager
    def hold(self, name: str) -> Iterator[Held]:
        """Hold the lock of that name, and those that are added to it; waits for whoever holds it now.

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
        """Ask whether the connection that holds the locks is there; whoever is told no has lost them.

        Raises:
            SQLAlchemyError: it is not.
        """
        with self._mutex:
            if self._connection is not None:
                self._ask(select(1))

    def close(self) -> None:
        """Let go of all of them."""
        with self._mutex:
            self._drop()

    def acquire(self, name: str) -> int:
        """Take one lock; returns the session that it was taken in."""
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
        """Take one lock if nobody holds it; returns the session that it was taken in, else 0."""
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

    def release(self, name: str, session: int) -> None:
        """Give one lock back."""
        # A connection that is lost has let go of the lock; `_ask` has logged the loss.
        with self._mutex, suppress(SQLAlchemyError):
            if session == self._session and self._connection is not None:
                self._ask(select(func.pg_advisory_unlock(_key(name))))
        self._free(name)

    def lost(self, session: int) -> bool:
        """Whether locks that were taken in that session have fallen, as far as is known."""
        return session != self._session or self._connection is None

    def _free(self, name: str) -> None:
        with self._freed:
            self._names.discard(name)
            self._freed.notify_all()

    def _try(self, name: str) -> int:
        with self._mutex:
            if self._connection is None:
                self._connection = self._database.engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                )
                self._connection.detach()  # Closing it has to end the session, and the locks with it.
                self._session += 1
            taken = self._ask(select(func.pg_try_advisory_lock(_key(name))))
            return self._session if taken else 0

    def _ask(self, question: object) -> object:
        assert self._connection is not None  # noqa: S101  # For the type checker.
        try:
            return self._connection.execute(question).scalar_one()  # type: ignore[call-overload]
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
        """Hold this one, too; nothing happens if it is held already."""
        if name not in self._sessions:
            self._sessions[name] = self._locks.acquire(name)

    def try_add(self, name: str) -> bool:
        """The same, unless somebody else holds it now; whether it is held."""
        if name not in self._sessions and (session := self._locks.try_acquire(name)):
            self._sessions[name] = session
        return name in self._sessions

    def check(self) -> None:
        """Make sure that none has fallen, as far as is known.

        Raises:
            TransientError: one has, so that another run may be working on the same.
        """
        if any(map(self._locks.lost, self._sessions.values())):
            raise TransientError(
                "lock_lost", "The connection to Postgres that held the document's lock was lost."
            )

    def release(self) -> None:
        """Give all of them back, the last first."""
        while self._sessions:
            self._locks.release(*self._sessions.popitem())


def _key(name: str) -> object:
    return func.hashtextextended(name, 0)
