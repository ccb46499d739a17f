"""The connection to Postgres: engine, migrations, a lock, and what its errors mean.

Belongs here: what every query needs. Does not belong here: queries; those of a stage are in its module.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError, TransientError
from ingest_assets.log import get_logger

_log = get_logger(__name__)

# A connection that was used within this time is not asked whether it lives.
_IDLE_SECONDS = 1.0

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = "ingest_assets migrations"

# Classes of errors that may pass: connection, transaction rollback, resources, object in use, operator
# intervention, system error (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_TRANSIENT_SQLSTATES = ("08", "40", "53", "55", "57", "58")
# Syntax error or access rule violation, invalid authorization, invalid catalog or schema name.
_CONFIGURATION_SQLSTATES = ("42", "28", "3D", "3F")
_REFUSED_AT_CONNECT = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "could not translate host name",
    "permission denied",
)


# A machine that is cut off gets no answer and no error: after these times, in seconds (the last in ms),
# a statement that waits for Postgres fails; the system would have it wait for 15 minutes, or for ever.
_NOTICE_LOSS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


def sqlalchemy_url(url: str) -> str:
    """The URL with psycopg2 named as its driver: SQLAlchemy 2.1 reads `postgresql://` as psycopg 3.

    Raises:
        ConfigurationError: it is not the URL of a Postgres database.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise ConfigurationError(
            "database_url_invalid", "INGEST_DATABASE_URL is not a database URL."
        ) from error
    if parsed.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "database_url_invalid",
            f"INGEST_DATABASE_URL names a {parsed.drivername} database; only Postgres is supported.",
        )
    return parsed.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def ping_where_idle(engine: Engine) -> Engine:
    """Have the engine's pool ask whether a connection lives before it gives out one that lay idle.

    SQLAlchemy's `pool_pre_ping` asks each time, which is one of four statements of a short transaction.
    A connection that has ended, as after a restart of Postgres, is replaced with all others.
    """

    @event.listens_for(engine, "checkin")
    def note_use(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        used = record.info.get("used")
        if used is not None and time.monotonic() - used > _IDLE_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error

    return engine


class Database:
    """A pool of connections to the documents' database. Safe to share between threads.

    Args:
        url: `postgresql://…`; any driver named in it is replaced by psycopg2.
        connections: connections that stay open; under load up to three times as many are open.
    """

    def __init__(self, url: str, connections: int = 5) -> None:
        self.engine: Engine = ping_where_idle(
            create_engine(
                sqlalchemy_url(url),
                pool_size=connections,
                max_overflow=2 * connections,
                # The connection that was used last has in its caches what statements need.
                pool_use_lifo=True,
                use_native_hstore=False,  # Else each new connection asks for that type.
                connect_args={
                    "connect_timeout": 10,
                    # A run on another machine has a name of its own there (`leases`).
                    "application_name": os.environ.get("PGAPPNAME", "ingest_assets"),
                    **_NOTICE_LOSS,
                },
            )
        )

    @contextmanager
    def exclusive(self, name: str) -> Iterator[Connection]:
        """A connection that holds the lock of that name; waits while another session holds it.

        For one piece of work; a run, which holds many locks, uses `locks.Locks`. The lock belongs to
        the session: it survives commits, and Postgres releases it when the process or connection ends.
        A pooler in transaction mode would break it, so the URL has to be that of Postgres itself.
        """
        with self.engine.connect() as connection:
            try:
                connection.execute(select(func.pg_advisory_lock(func.hashtextextended(name, 0))))
                connection.commit()
                yield connection
            finally:
                _unlock_all(connection)

    def close(self) -> None:
        """Close all idle connections."""
        self.engine.dispose()


def _unlock_all(connection: Connection) -> None:
    try:
        connection.rollback()
        connection.execute(select(func.pg_advisory_unlock_all()))
        connection.commit()
    except SQLAlchemyError as error:
        # It must not go back to the pool with a lock: closing it releases all that it holds.
        _log.warning(
            "A lock could not be released: %s Its connection is closed.", database_error(error)
        )
        connection.invalidate()


def migrate(url: str) -> None:
    """Bring schema `ingest` to the newest version. Idempotent; a second caller waits for the first.

    Raises:
        ConfigurationError: the database cannot be reached or refuses, in a sentence without secrets.
    """
    from alembic import command  # noqa: PLC0415  (0.2 s that no other function needs)
    from alembic.config import Config  # noqa: PLC0415

    database = Database(url, connections=1)
    try:
        with database.exclusive(_MIGRATION_LOCK) as connection:
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        typed = database_error(error)
        raise ConfigurationError(typed.code, typed.message, typed.remedy) from error
    finally:
        database.close()


def newest_schema() -> str:
    """The version of the schema that this program was written for."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def require_schema(database: Database) -> None:
    """Make sure that the database has the schema that this program was written for.

    `dev` and `migrate` bring it there. A worker does not: others may be older than it, or newer.

    Raises:
        ConfigurationError: it has another: `schema_newer`, `schema_older`.
    """
    with database.engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM ingest.alembic_version")).scalar_one()
    known = newest_schema()
    if found == known:
        return
    sentence = f"The database has version {found} of the schema, and this program knows {known}."
    if found > known:
        raise ConfigurationError("schema_newer", sentence)
    raise ConfigurationError("schema_older", sentence)


def database_error(error: SQLAlchemyError) -> IngestError:
    """Return a database error as one that says whether it may pass, or document or set-up is at fault.

    The message is the first line of Postgres's own: SQLAlchemy's holds the statement's parameters.
    """
    if isinstance(error, PoolTimeoutError):
        return TransientError("database_unavailable", f"No connection to Postgres is free: {error}.")
    if not isinstance(error, DBAPIError):
        return PermanentError("unexpected", f"{type(error).__name__}: {error}")
    sqlstate = getattr(error.orig, "pgcode", None) or ""
    sentence = str(error.orig).strip().partition("\n")[0] or type(error.orig).__name__
    if sqlstate.startswith(_CONFIGURATION_SQLSTATES) or (
        not sqlstate and any(words in sentence for words in _REFUSED_AT_CONNECT)
    ):
        return ConfigurationError("database_refused", f"Postgres refuses: {sentence}.")
    if error.connection_invalidated or not sqlstate or sqlstate.startswith(_TRANSIENT_SQLSTATES):
        return TransientError("database_unavailable", f"Postgres is not available: {sentence}.")
    return PermanentError("database_rejected", f"Postgres rejects the row: {sentence}.")
