"""The services together: which are embedded, their environment, their start, watch and stop.

Belongs here: what `dev`, `services` and every other command need to know about the stack as a
whole. Does not belong here: one service's own ways, and Dagster's processes; see `dev.py`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from dotenv import dotenv_values
from sqlalchemy import URL

from ingest_assets.embedded import postgres, seaweedfs
from ingest_assets.embedded.configured import (
    check_bucket,
    check_database,
    ensure_database,
    parse_database_url,
)
from ingest_assets.embedded.credentials import Credentials
from ingest_assets.embedded.lock import FileLock
from ingest_assets.embedded.seaweedfs import ensure_bucket
from ingest_assets.errors import ConfigurationError
from ingest_assets.settings import Settings

Say = Callable[[str], None]

# Where `dagster.yaml`, `workspace.yaml` and `examples/` are.
PROJECT = Path(__file__).resolve().parents[2]

# A service that dies more often than this within the window will not get better by itself.
_MAX_RESTARTS = 3
_RESTART_WINDOW_SECONDS = 60


class Service(Protocol):
    """One embedded service."""

    name: str

    @property
    def running(self) -> bool:
        """Whether it was started here and has not ended."""

    def start(self) -> None:
        """Start it and wait until it can be used, recovering from any end that it had before."""

    def stop(self) -> None:
        """Stop it in good order and wait until it has ended."""


def data_directory(settings: Settings) -> Path:
    """Return INGEST_DATA_DIR, absolute."""
    return settings.data_dir.expanduser().resolve()


def make_data_directory(settings: Settings) -> Path:
    """Make INGEST_DATA_DIR, closed to others, and return it, absolute.

    Raises:
        ConfigurationError: it cannot be made or written.
    """
    data_dir = data_directory(settings)
    try:
        for directory in (data_dir, data_dir / "logs"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for lock in ("services.lock", "dev.lock"):
            (data_dir / lock).touch(0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    return data_dir


def _unusable(data_dir: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "data_dir_unusable",
        f"INGEST_DATA_DIR, {data_dir}, cannot be used: {error.filename}: {error.strerror}.",
    )


def services_lock(settings: Settings) -> FileLock:
    """Return the lock that whoever runs the embedded services holds."""
    return FileLock(data_directory(settings) / "services.lock")


def embeds_database(settings: Settings, credentials: Credentials | None) -> bool:
    """Tell whether the documents' database is the embedded one.

    It also is when INGEST_DATABASE_URL names it, as in a shell that has evaluated the output of
    `ingest-assets env`; the port there may be an old one.
    """
    if settings.database_url is None:
        return True
    url = parse_database_url(settings.database_url, "INGEST_DATABASE_URL")
    return credentials is not None and url.password == credentials.postgres.password


def embeds_s3(settings: Settings, credentials: Credentials | None) -> bool:
    """Tell whether S3 is the embedded one; see `embeds_database` about a shell that names it."""
    if settings.s3 == "aws":
        return False
    return settings.aws_endpoint_url_s3 is None or (
        credentials is not None and os.environ.get("AWS_ACCESS_KEY_ID") == credentials.s3.access_key_id
    )


def stack_environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which a process finds the running stack.

    With them `Settings()` needs nothing embedded any more, and plain `psql`, `aws` and `dagster`
    work.

    Raises:
        ConfigurationError: an embedded service is needed and does not run, or an address is wrong.
    """
    credentials = Credentials.read(data_directory(settings))
    if embeds_database(settings, credentials) or embeds_s3(settings, credentials):
        holder = services_lock(settings).holder()
        if holder is None or not holder["ready"] or credentials is None:
            raise ConfigurationError(
                "not_running",
                f"Nothing is running on INGEST_DATA_DIR, {data_directory(settings)}.",
                "Start it with `ingest-assets dev` or `ingest-assets services start`.",
            )
    return _environment(settings, credentials)


def dagster_home(settings: Settings) -> Path:
    """Return DAGSTER_HOME, absolute."""
    return data_directory(settings) / "dagster_home"


class Stack:
    """The embedded services that these settings need, and the checks of those they name.

    Args:
        settings: as the user gave them.
        command: as what it is started, for whoever finds the lock taken.
        say: takes each line meant for the user.
    """

    def __init__(self, settings: Settings, command: Literal["dev", "services"], say: Say) -> None:
        self._settings = settings
        self._command = command
        self._say = say
        self._lock = services_lock(settings)
        self._services: list[Service] = []
        self._restarts: dict[str, list[float]] = {}

    def start(self) -> None:
        """Take the lock and start what is embedded; returns when all of it can be used.

        Raises:
            ConfigurationError: another process runs them, or one cannot start.
        """
        data_dir = make_data_directory(self._settings)
        if not self._lock.acquire(self._command):
            raise ConfigurationError(
                "already_running",
                f"Process {_holder_pid(self._lock)} already runs the services on {data_dir}.",
                "Stop it, or set INGEST_DATA_DIR to another directory.",
            )
        try:
            credentials = Credentials.read_or_create(data_dir)
            if embeds_database(self._settings, credentials):
                self._services.append(postgres.EmbeddedPostgres(data_dir, credentials))
            if embeds_s3(self._settings, credentials):
                self._services.append(seaweedfs.EmbeddedS3(data_dir, credentials))
            for service in self._services:
                service.start()
            self._lock.announce_ready()
        except OSError as error:
            self.stop()
            raise _unusable(data_dir, error) from error
        except BaseException:
            self.stop()
            raise

    def mend(self) -> None:
        """Start again what has ended by itself.

        Raises:
            ConfigurationError: it ends again and again.
        """
        for service in self._services:
            if service.running:
                continue
            now = time.monotonic()
            recent = [
                moment
                for moment in self._restarts.get(service.name, [])
                if now - moment < _RESTART_WINDOW_SECONDS
            ]
            if len(recent) >= _MAX_RESTARTS:
                raise ConfigurationError(
                    "service_keeps_ending",
                    f"The embedded {service.name} ended {len(recent) + 1} times within a minute.",
                    f"Its log is in {data_directory(self._settings) / 'logs'}.",
                )
            self._restarts[service.name] = [*recent, now]
            self._say(f"The embedded {service.name} has ended; starting it again.")
            try:
                service.start()
            except ConfigurationError as error:
                # It may have been killed once more, while it recovered: the next look tries again.
                self._say(str(error))

    def stop(self) -> None:
        """Stop what was started, the last first, and give the lock back."""
        while self._services:
            self._services.pop().stop()
        self._lock.release()


def prepare(settings: Settings) -> dict[str, str]:
    """Make ready what runs on the services: databases, bucket, schema, DAGSTER_HOME, input.

    Idempotent. The services run by now.

    Returns:
        The environment of `stack_environment`.

    Raises:
        ConfigurationError: a configured service refuses; the sentence names the setting.
    """
    from ingest_assets.store.database import migrate  # noqa: PLC0415  (heavy, and not for `env`)

    environment = make_storage(settings)
    migrate(environment["INGEST_DATABASE_URL"])
    make_dagster_home(settings)
    make_input_directory(settings)
    return environment


def make_storage(settings: Settings) -> dict[str, str]:
    """Make databases and bucket where they are ours to make; make sure of those that are configured.

    Returns:
        The environment of `stack_environment`.

    Raises:
        ConfigurationError: a configured service refuses; the sentence names the setting.
    """
    environment = stack_environment(settings)
    credentials = Credentials.read(data_directory(settings))
    documents = _documents_url(settings, credentials)
    if credentials is not None and embeds_database(settings, credentials):
        maintenance = documents.set(database="postgres")
        ensure_database(documents, "INGEST_DATABASE_URL", through=maintenance)
    else:
        check_database(documents, "INGEST_DATABASE_URL")
    dagster = _dagster_url(settings, credentials)
    ensure_database(dagster, "INGEST_DAGSTER_DATABASE_URL", through=documents)
    if credentials is not None and embeds_s3(settings, credentials):
        ensure_bucket(credentials, settings.s3_bucket)
    else:
        check_bucket(settings.s3_bucket, environment)
    return environment


def make_dagster_home(settings: Settings) -> None:
    """Make DAGSTER_HOME with the project's `dagster.yaml` as it is now."""
    home = dagster_home(settings)
    home.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")


def make_input_directory(settings: Settings) -> None:
    """Make INGEST_INPUT_DIR; the default one starts with the sample documents in it.

    Raises:
        ConfigurationError: it cannot be made.
    """
    directory = settings.input_dir.expanduser()
    if directory.is_dir():
        return
    samples = PROJECT / "examples" / "documents"
    try:
        if "input_dir" not in settings.model_fields_set and samples.is_dir():
            # By way of a draft, so that a start that is cut short does not leave half of them.
            draft = directory.with_name(f".{directory.name}.new")
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(samples, draft)
            draft.rename(directory)
        else:
            directory.mkdir(parents=True)
    except OSError as error:
        raise ConfigurationError(
            "input_dir_unusable",
            f"INGEST_INPUT_DIR, {directory.absolute()}, cannot be made: {error.strerror}.",
        ) from error


def _holder_pid(lock: FileLock) -> str:
    holder = lock.holder()
    return str(holder["pid"]) if holder else "unknown"


def _documents_url(settings: Settings, credentials: Credentials | None) -> URL:
    if credentials is not None and embeds_database(settings, credentials):
        return postgres.database_url(credentials)
    assert settings.database_url is not None  # noqa: S101  (else it is embedded)
    return parse_database_url(settings.database_url, "INGEST_DATABASE_URL")


def _dagster_url(settings: Settings, credentials: Credentials | None) -> URL:
    documents = _documents_url(settings, credentials)
    beside = documents.set(database=f"{documents.database}_dagster")
    if settings.dagster_database_url is None:
        return beside
    url = parse_database_url(settings.dagster_database_url, "INGEST_DAGSTER_DATABASE_URL")
    # A shell that has evaluated `env` may name the embedded one under a port of the past.
    is_embedded = credentials is not None and url.password == credentials.postgres.password
    return beside if is_embedded else url


def _environment(settings: Settings, credentials: Credentials | None) -> dict[str, str]:
    documents = _documents_url(settings, credentials)
    dagster = _dagster_url(settings, credentials)
    environment = {
        "INGEST_DATA_DIR": str(data_directory(settings)),
        "INGEST_INPUT_DIR": str(settings.input_dir.expanduser().absolute()),
        "INGEST_S3": settings.s3,
        "INGEST_S3_BUCKET": settings.s3_bucket,
        "INGEST_DATABASE_URL": documents.render_as_string(hide_password=False),
        "INGEST_DAGSTER_DATABASE_URL": dagster.render_as_string(hide_password=False),
        "DAGSTER_POSTGRES_URL": dagster.set(drivername="postgresql+psycopg2").render_as_string(
            hide_password=False
        ),
        "DAGSTER_HOME": str(dagster_home(settings)),
        # What a run plans is written at once when it is created: three events a document.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
    }
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
        "AWS_REGION": seaweedfs.REGION,
        "AWS_DEFAULT_REGION": seaweedfs.REGION,
    }
    if "AWS_SESSION_TOKEN" in os.environ:
        # A token of other credentials would go along with ours and spoil the signature.
        environment["AWS_SESSION_TOKEN"] = ""
    return environment


def _configured_s3_environment(settings: Settings) -> dict[str, str]:
    # botocore reads no `.env`, so what stands there is handed on in the environment.
    given = {**dotenv_values(".env"), **os.environ}
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
    environment = {name: value for name in names if (value := given.get(name))}
    if settings.s3 == "auto" and settings.aws_endpoint_url_s3:
        environment["AWS_ENDPOINT_URL_S3"] = settings.aws_endpoint_url_s3
    region = settings.aws_region
    if region is None and "AWS_ENDPOINT_URL_S3" in environment:
        region = seaweedfs.REGION  # Few other object stores care, but a signature needs one.
    if region is not None:
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"] = region
    return environment
