"""Where the running stack is: the variables with which a process finds it, and where Dagit listens.

Belongs here: what each command needs to know before it does anything; so this module imports nothing
that is slow to load. Does not belong here: starting anything (`stack`, `dev`), and whether a service
answers (`configured`).
"""

from __future__ import annotations

import os
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ingest_assets.embedded.credentials import REGION, Credentials
from ingest_assets.embedded.lock import FileLock
from ingest_assets.errors import ConfigurationError
from ingest_assets.settings import Settings


def data_directory(settings: Settings) -> Path:
    """Return INGEST_DATA_DIR, absolute."""
    return settings.data_dir.expanduser().resolve()


def dagster_home(settings: Settings) -> Path:
    """Return DAGSTER_HOME, absolute."""
    return data_directory(settings) / "dagster_home"


def services_lock(settings: Settings) -> FileLock:
    """Return the lock of the process that runs the embedded services: a `dev` or a supervisor."""
    return FileLock(data_directory(settings) / "services.lock")


def dev_lock(settings: Settings) -> FileLock:
    """Return the lock of the process that runs Dagit and Dagster's daemon: a `dev`."""
    return FileLock(data_directory(settings) / "dev.lock")


def dagit_url(settings: Settings) -> str:
    """Return Dagit's address: INGEST_DAGIT_URL, or that of the `dev` that runs, or INGEST_DAGIT_PORT's.

    They differ where `dev` was given `--port`, or found port 3000 taken.
    """
    if settings.dagit_url:
        return settings.dagit_url.rstrip("/")
    holder = dev_lock(settings).holder()
    port = holder.get("dagit_port") if holder else None
    return f"http://127.0.0.1:{port or settings.dagit_port}"


def embeds_database(settings: Settings, credentials: Credentials | None) -> bool:
    """Tell whether the documents' database is the embedded one.

    It is where INGEST_DATABASE_URL is not set, and where it names the embedded one, as in a shell that
    has evaluated the output of `ingest-assets env`. The port there may be that of an earlier start, so
    the password is compared.
    """
    if settings.database_url is None:
        return True
    url = parse_database_url(settings.database_url, "INGEST_DATABASE_URL")
    return credentials is not None and url.password == credentials.postgres.password


def embeds_s3(settings: Settings, credentials: Credentials | None) -> bool:
    """Tell whether S3 is the embedded one, in the same way as `embeds_database`."""
    if settings.s3 == "aws":
        return False
    return settings.aws_endpoint_url_s3 is None or (
        credentials is not None and os.environ.get("AWS_ACCESS_KEY_ID") == credentials.s3.access_key_id
    )


def embeds_broker(settings: Settings, credentials: Credentials | None) -> bool:
    """Tell whether INGEST_BROKER_URL is not set, or names the embedded broker."""
    if settings.broker_url is None:
        return True
    broker = None if credentials is None else credentials.broker
    return broker is not None and f":{broker.password}@" in settings.broker_url.get_secret_value()


def stack_environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which a process finds the running stack.

    In a process that has them, `Settings()` names every service, and plain `psql`, `aws` and `dagster`
    work on the stack.

    Raises:
        ConfigurationError: an embedded service is needed and does not run, or an address is wrong.
    """
    credentials = Credentials.read(data_directory(settings))
    if embeds_database(settings, credentials) or embeds_s3(settings, credentials):
        holder = services_lock(settings).holder()
        if holder is None or not holder["ready"] or credentials is None:
            raise ConfigurationError(
                "not_running", f"Nothing is running on INGEST_DATA_DIR, {data_directory(settings)}."
            )
    return _environment(settings, credentials)


def parse_database_url(value: SecretStr, setting: str) -> URL:
    """Return a database's address in the plain form that libpq and `psql` take too.

    Raises:
        ConfigurationError: it is no address, or not that of a Postgres database.
    """
    try:
        url = make_url(value.get_secret_value())
    except (ArgumentError, ValueError):
        # The error and its cause are not shown: a mistyped URL may have its password anywhere.
        url = None
    # After a password with an unencoded "@" a part of the password is read as the host's name.
    if url is None or "@" in (url.host or "") or not url.database:
        raise ConfigurationError(
            "database_url_malformed", f"{setting} is not the address of a database."
        )
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "database_not_postgres", f"{setting} is not the address of a Postgres."
        )
    return url.set(drivername="postgresql")


def database_url(credentials: Credentials) -> URL:
    """Return the address of the documents' database on the embedded Postgres."""
    return URL.create(
        "postgresql",
        username=credentials.postgres.user,
        password=credentials.postgres.password,
        host="127.0.0.1",
        port=credentials.postgres.port,
        database="ingest",
    )


def documents_url(settings: Settings, credentials: Credentials | None) -> URL:
    """Return the address of the documents' database.

    Raises:
        ConfigurationError: INGEST_DATABASE_URL is not the address of a Postgres database.
    """
    if credentials is not None and embeds_database(settings, credentials):
        return database_url(credentials)
    assert settings.database_url is not None  # noqa: S101  (else it is embedded)
    return parse_database_url(settings.database_url, "INGEST_DATABASE_URL")


def dagster_url(settings: Settings, credentials: Credentials | None) -> URL:
    """Return the address of Dagster's own database.

    Raises:
        ConfigurationError: INGEST_DAGSTER_DATABASE_URL is not the address of a Postgres database.
    """
    documents = documents_url(settings, credentials)
    beside = documents.set(database=f"{documents.database}_dagster")
    if settings.dagster_database_url is None:
        return beside
    url = parse_database_url(settings.dagster_database_url, "INGEST_DAGSTER_DATABASE_URL")
    # A shell that has evaluated `env` may name the embedded one with the port of an earlier start.
    is_embedded = credentials is not None and url.password == credentials.postgres.password
    return beside if is_embedded else url


def _environment(settings: Settings, credentials: Credentials | None) -> dict[str, str]:
    documents = documents_url(settings, credentials)
    dagster = dagster_url(settings, credentials)
    environment = {
        "INGEST_DATA_DIR": str(data_directory(settings)),
        "INGEST_INPUT_DIR": settings.input_place,
        "INGEST_LOG_FORMAT": settings.log_format,
        "INGEST_S3": settings.s3,
        "INGEST_S3_BUCKET": settings.s3_bucket,
        "INGEST_DATABASE_URL": documents.render_as_string(hide_password=False),
        "INGEST_DAGSTER_DATABASE_URL": dagster.render_as_string(hide_password=False),
        "DAGSTER_POSTGRES_URL": dagster.set(drivername="postgresql+psycopg2").render_as_string(
            hide_password=False
        ),
        "DAGSTER_HOME": str(dagster_home(settings)),
        # When a run is created Dagster writes an event for each document and stage: this many together.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
    }
    if not embeds_broker(settings, credentials):
        assert settings.broker_url is not None  # noqa: S101  (else it is embedded)
        environment["INGEST_BROKER_URL"] = settings.broker_url.get_secret_value()
    elif credentials is not None and credentials.broker is not None:
        environment["INGEST_BROKER_URL"] = credentials.broker.url
    libpq = {
        "PGHOST": documents.host,
        "PGPORT": documents.port,
        "PGUSER": documents.username,
        "PGPASSWORD": documents.password,
        "PGDATABASE": documents.database,
        "PGSSLMODE": documents.query.get("sslmode"),
    }
    environment.update({name: str(value) for name, value in libpq.items() if value is not None})
    if credentials is not None and embeds_s3(settings, credentials):
        environment.update(_embedded_s3_environment(credentials))
    else:
        environment.update(_configured_s3_environment(settings))
    return environment


def _embedded_s3_environment(credentials: Credentials) -> dict[str, str]:
    environment = {
        "AWS_ENDPOINT_URL_S3": credentials.s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": credentials.s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.s3.secret_access_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
    if "AWS_SESSION_TOKEN" in os.environ:
        # A session token in this environment belongs to other credentials: with it the embedded S3
        # would refuse every signature.
        environment["AWS_SESSION_TOKEN"] = ""
    return environment


def _configured_s3_environment(settings: Settings) -> dict[str, str]:
    # botocore does not read `.env`: what it holds is passed on in the environment.
    given = {**dotenv_values(".env"), **os.environ}
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
    environment = {name: value for name in names if (value := given.get(name))}
    if settings.s3 == "auto" and settings.aws_endpoint_url_s3:
        environment["AWS_ENDPOINT_URL_S3"] = settings.aws_endpoint_url_s3
    region = settings.aws_region
    if region is None and "AWS_ENDPOINT_URL_S3" in environment:
        region = REGION  # Most object stores ignore it, but a signature needs one.
    if region is not None:
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"] = region
    return environment
