"""Locks of a run: one connection holds them all, and each keeps everybody else out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ingest_assets.errors import TransientError
from ingest_assets.store.database import Database
from ingest_assets.store.locks import Locks


@pytest.fixture
def runs(database: Database) -> Iterator[tuple[Locks, Locks]]:
    """The locks of two runs."""
    one, other = Locks(database), Locks(database)
    yield one, other
    one.close()
    other.close()


def sessions(database: Database) -> list[int]:
    """Process ids of the sessions that hold an advisory lock."""
    with database.engine.connect() as connection:
        return list(
            connection.execute(
                text("""
                    SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                """)
            ).scalars()
        )


def waits(work: Callable[[], None]) -> threading.Thread:
    """A thread that has begun the work and is not done half a second later."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    return thread


@pytest.mark.parametrize("same_run", [True, False])
def test_a_name_is_held_by_one(runs: tuple[Locks, Locks], same_run: bool) -> None:
    order: list[str] = []

    def second() -> None:
        with runs[0 if same_run else 1].hold("another") as held:
            held.add("document")
            order.append("second")

    with runs[0].hold("partition") as held:
        held.add("document")
        held.add("document")
        waiting = waits(second)
        order.append("first")
    waiting.join(240)
    assert order == ["first", "second"]


def test_a_hundred_locks_take_one_connection(database: Database, runs: tuple[Locks, Locks]) -> None:
    with ExitStack() as stack:
        for number in range(100):
            stack.enter_context(runs[0].hold(f"partition {number}"))
        assert len(sessions(database)) == 1
    assert sessions(database) == []


def test_a_lock_falls_with_its_connection_and_its_holder_is_told(
    database: Database, runs: tuple[Locks, Locks]
) -> None:
    with runs[0].hold("document") as held:
        held.check()
        (session,) = sessions(database)
        with database.engine.begin() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:session)"), {"session": session})
        with runs[1].hold("document") as other:
            other.check()
            with pytest.raises(OperationalError):  # As the heartbeat finds out.
                runs[0].check()
            with pytest.raises(TransientError, match="lock was lost"):
                held.check()
            with runs[0].hold("another") as new:  # Taken on a new connection.
                new.check()
                with pytest.raises(TransientError, match="lock was lost"):
                    held.check()
    with runs[0].hold("document") as held:
        held.check()
