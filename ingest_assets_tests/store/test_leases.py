"""Leases of runs: one worker has a run, and one that is lost can write nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ingest_assets.errors import ConfigurationError, RunEndedError
from ingest_assets.store import leases
from ingest_assets.store.database import Database, newest_schema, require_schema
from ingest_assets.store.locks import Locks


@pytest.fixture(autouse=True)
def _long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres has just been started for these tests, after which a lease has a respite."""
    monkeypatch.setattr(leases, "_EXPIRED", "expires_at < now() AND :lease > 0")


@pytest.fixture
def lost(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The connections of a run whose worker is paused, or cut off."""
    monkeypatch.setenv("PGAPPNAME", leases.session_name("run"))
    with closing(Database(database_url)) as database:
        monkeypatch.delenv("PGAPPNAME")
        yield database


def run_out(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE ingest.run_leases SET expires_at = now() - interval '1 s'"))


def test_a_run_is_claimed_once_however_often_its_message_comes(database: Database) -> None:
    assert leases.lease_of(database, "run") is None
    assert leases.claim(database, "run", "a")
    assert not leases.claim(database, "run", "b")
    assert leases.renew(database, "run") == "held"
    leases.end(database, "run")
    assert not leases.claim(database, "run", "b")
    assert leases.lease_of(database, "run") == leases.Lease("a", open=False, expired=False)


def test_a_lease_that_is_renewed_is_not_revoked(database: Database) -> None:
    leases.claim(database, "run", "a")
    assert not leases.revoke(database, "run")
    run_out(database)
    assert leases.lease_of(database, "run") == leases.Lease("a", open=True, expired=True)
    assert leases.renew(database, "run") == "held"
    assert not leases.revoke(database, "run")


def test_who_lost_the_lease_loses_the_locks_and_can_write_nothing(
    database: Database, lost: Database
) -> None:
    leases.claim(database, "run", "a")
    locks, others = Locks(lost), Locks(database)
    with closing(locks), closing(others), lost.engine.connect() as writing:
        assert locks.acquire("document")
        run_out(database)
        leases.require(writing, "run")  # It is paused in the middle of writing.
        assert not others.try_acquire("document")
        assert leases.revoke(database, "run")
        assert others.try_acquire("document")
        with pytest.raises(DBAPIError):
            writing.execute(text("SELECT 1"))
        assert leases.renew(database, "run") == "gone"
        with lost.engine.begin() as again, pytest.raises(RunEndedError, match="given to another run"):
            leases.require(again, "run")


def test_a_run_that_was_cancelled_before_it_began_never_begins(database: Database) -> None:
    assert not leases.cancel(database, "run")
    assert not leases.claim(database, "run", "a")
    leases.claim(database, "other", "a")
    assert leases.cancel(database, "other")
    assert leases.renew(database, "other") == "cancel"


def test_what_workers_take_together(database: Database) -> None:
    assert leases.slots(database) == leases.Slots(0, frozenset(), frozenset())
    leases.see_worker(database, "a", "here", ["input", "dagster"], 1)
    leases.see_worker(database, "b", "there", ["dagster"], 2)
    assert leases.slots(database) == leases.Slots(
        3, frozenset({"input", "dagster"}), frozenset({"dagster"})
    )
    assert leases.has_free_slot(database, "input")
    leases.claim(database, "run", "a")
    assert not leases.has_free_slot(database, "input")
    assert leases.has_free_slot(database, "dagster")
    leases.worker_leaves(database, "b")
    assert leases.slots(database).runs == 1
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE ingest.workers SET expires_at = now() - interval '1 s'"))
    assert leases.slots(database).runs == 0


@pytest.mark.parametrize(("version", "code"), [("9999", "schema_newer"), ("0001", "schema_older")])
def test_another_schema_is_refused(database: Database, version: str, code: str) -> None:
    require_schema(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE ingest.alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(
        ConfigurationError, match=f"version {version} .* knows {newest_schema()}"
    ) as raised:
        require_schema(database)
    assert raised.value.code == code
