"""Workers, and their leases of runs: which worker has a run, and whether it is alive.

Life is told by what a worker and its runs write here, not by the message broker: Celery says of a task
whose machine was lost that it is started, for ever. A run has one lease in its life, so a message that
the broker delivers twice begins it once. The lease of a run that is not renewed in time is revoked;
from then on nothing that the run makes can be stored (`require`), and others take up its documents.

Belongs here: these two tables. Does not belong here: what Dagster is told of it (`defs.worker_runs`).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Literal, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.errors import RunEndedError
from ingest_assets.log import get_logger
from ingest_assets.store.database import Database, database_error

_log = get_logger(__name__)

# How long a lease holds after it was renewed, how often it is renewed, and how long a run may take to
# begin after a worker has claimed it.
LEASE_SECONDS = 30
RENEW_SECONDS = 5.0
_BEGIN_SECONDS = 120

# After Postgres was away each worker has as long as a lease to renew: nobody could meanwhile.
_EXPIRED = "greatest(expires_at, pg_postmaster_start_time() + make_interval(secs => :lease)) < now()"
_OPEN = "ended_at IS NULL AND lost_at IS NULL"
State = Literal["held", "cancel", "gone"]


class Slots(NamedTuple):
    """What the workers that are there take.

    Attributes:
        runs: at a time, all together.
        queues: those that at least one of them takes from.
        everywhere: those that all of them take from; empty where there is no worker.
    """

    runs: int
    queues: frozenset[str]
    everywhere: frozenset[str]


class Lease(NamedTuple):
    """A run's lease.

    Attributes:
        worker: the name of the worker that has, or had, the run.
        open: neither ended nor lost.
        expired: open, but not renewed in time.
    """

    worker: str
    open: bool
    expired: bool


def session_name(run_id: str) -> str:
    """The `application_name` of a run's sessions in Postgres, by which `revoke` finds them."""
    return f"ingest_assets {run_id}"


def see_worker(database: Database, name: str, host: str, queues: Sequence[str], slots: int) -> None:
    """Note that a worker is there. One that is not seen for as long as a lease holds counts as gone."""
    with database.engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO ingest.workers (name, host, queues, slots, expires_at)
                VALUES (:name, :host, :queues, :slots, now() + make_interval(secs => :lease))
                ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at
            """),
            {
                "name": name,
                "host": host,
                "queues": list(queues),
                "slots": slots,
                "lease": LEASE_SECONDS,
            },
        )
        # Of what ended long ago only Dagster's records are kept.
        connection.execute(
            text("DELETE FROM ingest.workers WHERE expires_at < now() - interval '1 day'")
        )


def worker_leaves(database: Database, name: str) -> None:
    """Note that a worker takes no more runs."""
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM ingest.workers WHERE name = :name"), {"name": name})


def slots(database: Database) -> Slots:
    """What the workers that are there take."""
    with database.engine.connect() as connection:
        rows = connection.execute(
            text(f"SELECT slots, queues FROM ingest.workers WHERE NOT {_EXPIRED}"),  # noqa: S608
            {"lease": LEASE_SECONDS},
        ).all()
    queues = [frozenset(row.queues) for row in rows]
    return Slots(
        sum(row.slots for row in rows),
        frozenset().union(*queues),
        frozenset.intersection(*queues) if queues else frozenset(),
    )


def has_free_slot(database: Database, queue: str) -> bool:
    """Whether a worker that takes from the queue is there and has fewer runs than it takes."""
    with database.engine.connect() as connection:
        return bool(
            connection.execute(
                text(f"""
                    SELECT EXISTS (
                        SELECT FROM ingest.workers
                        WHERE :queue = ANY(queues) AND NOT {_EXPIRED} AND slots > (
                            SELECT count(*) FROM ingest.run_leases AS lease
                            WHERE lease.worker = workers.name AND {_OPEN}))
                """),  # noqa: S608
                {"queue": queue, "lease": LEASE_SECONDS},
            ).scalar_one()
        )


def claim(database: Database, run_id: str, worker: str) -> bool:
    """Take a run for a worker; False if one has, or had, it, or if it was cancelled."""
    with database.engine.begin() as connection:
        claimed = connection.execute(
            text("""
                INSERT INTO ingest.run_leases (run_id, worker, expires_at)
                VALUES (:run_id, :worker, now() + make_interval(secs => :begin))
                ON CONFLICT (run_id) DO NOTHING
            """),
            {"run_id": run_id, "worker": worker, "begin": _BEGIN_SECONDS},
        )
        return claimed.rowcount == 1


def renew(database: Database, run_id: str) -> State:
    """Renew the lease of a run; says whether it is to stop: cancelled, or the lease is gone."""
    with database.engine.begin() as connection:
        row = connection.execute(
            text(f"""
                UPDATE ingest.run_leases SET expires_at = now() + make_interval(secs => :lease)
                WHERE run_id = :run_id AND {_OPEN}
                RETURNING cancel_requested_at IS NOT NULL AS cancel
            """),  # noqa: S608
            {"run_id": run_id, "lease": LEASE_SECONDS},
        ).one_or_none()
    if row is None:
        return "gone"
    return "cancel" if row.cancel else "held"


def end(database: Database, run_id: str) -> None:
    """Note that the run's process has ended."""
    with database.engine.begin() as connection:
        connection.execute(
            text(f"UPDATE ingest.run_leases SET ended_at = now() WHERE run_id = :run_id AND {_OPEN}"),  # noqa: S608
            {"run_id": run_id},
        )


def cancel(database: Database, run_id: str) -> bool:
    """Ask the run's process to stop; False if no process has the run, and then none will."""
    with database.engine.begin() as connection:
        row = connection.execute(
            text("""
                INSERT INTO ingest.run_leases (run_id, worker, expires_at, lost_at)
                VALUES (:run_id, '', now(), now())
                ON CONFLICT (run_id) DO UPDATE SET cancel_requested_at = now()
                RETURNING ended_at IS NULL AND lost_at IS NULL AS open
            """),
            {"run_id": run_id},
        ).one()
    return bool(row.open)


def lease_of(database: Database, run_id: str) -> Lease | None:
    """The lease of a run; None if no worker has claimed it."""
    with database.engine.connect() as connection:
        row = connection.execute(
            text(f"""
                SELECT worker, {_OPEN} AS open, {_OPEN} AND {_EXPIRED} AS expired
                FROM ingest.run_leases WHERE run_id = :run_id
            """),  # noqa: S608
            {"run_id": run_id, "lease": LEASE_SECONDS},
        ).one_or_none()
    return None if row is None else Lease(*row)


def revoke(database: Database, run_id: str) -> bool:
    """Revoke an expired lease, and end the run's sessions in Postgres with the locks that they hold.

    Its process may be dead, cut off or paused: in the last two cases Postgres would keep its sessions,
    and with them the locks of its documents, for hours. Where the process comes back, it can store
    nothing, and ends.

    Returns:
        Whether the lease is lost now; False if it was renewed meanwhile.
    """
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Before the update too: a paused process may hold the lease's row, as `require` locks it.
        _end_sessions(connection, run_id)
        lost = connection.execute(
            text(f"""
                UPDATE ingest.run_leases SET lost_at = now()
                WHERE run_id = :run_id AND {_OPEN} AND {_EXPIRED}
            """),  # noqa: S608
            {"run_id": run_id, "lease": LEASE_SECONDS},
        )
        if lost.rowcount:
            _end_sessions(connection, run_id)
        return lost.rowcount == 1


def require(connection: Connection, run_id: str) -> None:
    """Make sure, until the caller's transaction ends, that the run's lease is not revoked.

    Raises:
        RunEndedError: it is: another run may be working on the documents, so this one must not write.
    """
    row = connection.execute(
        text(f"SELECT FROM ingest.run_leases WHERE run_id = :run_id AND {_OPEN} FOR SHARE"),
        {"run_id": run_id},
    ).one_or_none()
    if row is None:
        raise RunEndedError(
            "lease_lost",
            f"Run {run_id} was not heard of for too long, so its documents were given to another run.",
        )


@contextmanager
def kept(url: str, run_id: str) -> Iterator[None]:
    """Renew the lease of the run that this process executes, as long as the block lasts.

    A cancelled run is interrupted, as Ctrl-C does. Where the lease is gone, the process ends at once:
    nothing that it makes could be stored.
    """
    stop = threading.Event()
    with closing(Database(url, connections=1)) as database:
        keeper = threading.Thread(
            target=_keep, args=(database, run_id, stop), name="lease", daemon=True
        )
        keeper.start()
        try:
            yield
        finally:
            stop.set()
            keeper.join()
            with suppress(SQLAlchemyError):  # Then it expires.
                end(database, run_id)


def _keep(database: Database, run_id: str, stop: threading.Event) -> None:
    interrupted = False
    while True:
        try:
            state = renew(database, run_id)
        except SQLAlchemyError as error:
            _log.warning(
                "The lease of run %s could not be renewed: %s It is tried again in %.0f s.",
                run_id,
                database_error(error),
                RENEW_SECONDS,
            )
        else:
            if state == "gone":
                _log.error("Run %s has lost its lease; its process ends.", run_id)
                os._exit(1)
            if state == "cancel" and not interrupted:
                interrupted = True
                os.kill(os.getpid(), signal.SIGINT)
        if stop.wait(RENEW_SECONDS):
            return


def _end_sessions(connection: Connection, run_id: str) -> None:
    connection.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = :name AND pid <> pg_backend_pid()"
        ),
        {"name": session_name(run_id)},
    )
