"""The embedded services together: starting, watching and stopping them, and preparing them for use.

Belongs here: what `dev` and `services` do to all services alike. Does not belong here: how one service
is run (`postgres`, `seaweedfs`), Dagster's processes (`dev`), and where the services are
(`environment`).
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from ingest_assets.embedded import postgres, seaweedfs, valkey
from ingest_assets.embedded.configured import check_bucket, check_database, ensure_database
from ingest_assets.embedded.credentials import Credentials
from ingest_assets.embedded.environment import (
    dagster_home,
    dagster_url,
    data_directory,
    dev_lock,
    documents_url,
    embeds_broker,
    embeds_database,
    embeds_s3,
    services_lock,
    stack_environment,
)
from ingest_assets.embedded.lock import FileLock
from ingest_assets.embedded.processes import Service
from ingest_assets.embedded.seaweedfs import ensure_bucket
from ingest_assets.errors import ConfigurationError
from ingest_assets.settings import S3Prefix, Settings

Say = Callable[[str], None]

# Where `dagster.yaml`, `workspace.yaml` and `examples/` are.
PROJECT = Path(__file__).resolve().parents[2]

# A service that ends more often than this within the window is not started again.
_MAX_RESTARTS = 3
_RESTART_WINDOW_SECONDS = 60


def make_data_directory(settings: Settings) -> Path:
    """Create INGEST_DATA_DIR, closed to other users, and return its absolute path.

    Raises:
        ConfigurationError: it cannot be created or written.
    """
    data_dir = data_directory(settings)
    try:
        for directory in (data_dir, data_dir / "logs"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for lock in (services_lock(settings), dev_lock(settings)):
            lock.path.touch(0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    return data_dir


def _unusable(data_dir: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "data_dir_unusable",
        f"INGEST_DATA_DIR, {data_dir}, cannot be used: {error.filename}: {error.strerror}.",
    )


class Stack:
    """The embedded services that these settings need.

    Args:
        settings: as the user gave them.
        command: the command that starts them, which another process finds in the lock's note.
        say: writes a line for the user.
        broker: whether workers need one.
    """

    def __init__(
        self,
        settings: Settings,
        command: Literal["dev", "services"],
        say: Say,
        *,
        broker: bool = False,
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._command = command
        self._say = say
        self._lock = services_lock(settings)
        self._services: list[Service] = []
        self._restarts: dict[str, list[float]] = {}

    def start(self) -> None:
        """Take the lock, start the services, and return when all of them can be used.

        Raises:
            ConfigurationError: another process runs them, or one cannot start.
        """
        data_dir = make_data_directory(self._settings)
        if not self._lock.acquire(self._command):
            raise ConfigurationError(
                "already_running",
                f"Process {_holder_pid(self._lock)} already runs the services on {data_dir}.",
            )
        try:
            credentials = Credentials.read_or_create(data_dir)
            if embeds_database(self._settings, credentials):
                self._services.append(postgres.EmbeddedPostgres(data_dir, credentials))
            if embeds_s3(self._settings, credentials):
                self._services.append(seaweedfs.EmbeddedS3(data_dir, credentials))
            if embeds_broker(self._settings, credentials):
                # Where the file names one, every process of the stack uses it.
                credentials.broker = None
                credentials.write(data_dir)
                if self._broker:
                    self._services.append(valkey.EmbeddedBroker(data_dir, credentials))
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
        """Start services again that have ended by themselves.

        Raises:
            ConfigurationError: one ended too often within a minute.
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
                # It may have been killed again while it recovered; the next call starts it once more.
                self._say(str(error))

    def stop(self) -> None:
        """Stop the services, the last started first, and release the lock."""
        while self._services:
            self._services.pop().stop()
        self._lock.release()


def prepare(settings: Settings) -> dict[str, str]:
    """Create what the pipeline needs: databases, bucket, schema, DAGSTER_HOME, input directory.

    Idempotent. The services have to run.

    Returns:
        The environment of `stack_environment`.

    Raises:
        ConfigurationError: a configured service refuses; the sentence names the setting.
    """
    from ingest_assets.store.database import migrate  # noqa: PLC0415  (heavy, and not for `env`)

    environment = make_storage(settings)
    migrate(environment["INGEST_DATABASE_URL"])
    make_dagster_home(settings)
    make_input(settings, environment)
    return environment


def make_storage(settings: Settings) -> dict[str, str]:
    """Create databases and bucket on embedded services; check those that are configured.

    Returns:
        The environment of `stack_environment`.

    Raises:
        ConfigurationError: a configured service refuses; the sentence names the setting.
    """
    environment = stack_environment(settings)
    credentials = Credentials.read(data_directory(settings))
    documents = documents_url(settings, credentials)
    if credentials is not None and embeds_database(settings, credentials):
        maintenance = documents.set(database="postgres")
        ensure_database(documents, "INGEST_DATABASE_URL", through=maintenance)
    else:
        check_database(documents, "INGEST_DATABASE_URL")
    dagster = dagster_url(settings, credentials)
    ensure_database(dagster, "INGEST_DAGSTER_DATABASE_URL", through=documents)
    if credentials is not None and embeds_s3(settings, credentials):
        ensure_bucket(credentials, settings.s3_bucket)
    else:
        check_bucket(settings.s3_bucket, environment)
    return environment


def make_input(settings: Settings, environment: Mapping[str, str]) -> None:
    """Create what INGEST_INPUT_DIR names: a directory, or a bucket on the embedded S3.

    A bucket of a configured S3 is checked: it has to be there.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if not isinstance(settings.input_dir, S3Prefix):
        make_input_directory(settings)
        return
    from ingest_assets.stages.inbox_s3 import require_apart  # noqa: PLC0415  (heavy, and not for `env`)

    bucket, prefix = settings.input_dir.bucket, settings.input_dir.prefix
    require_apart(bucket, prefix, settings.s3_bucket)
    credentials = Credentials.read(data_directory(settings))
    if credentials is not None and embeds_s3(settings, credentials):
        ensure_bucket(credentials, bucket)
    else:
        check_bucket(bucket, environment, "INGEST_INPUT_DIR", prefix)


def make_dagster_home(settings: Settings) -> None:
    """Create DAGSTER_HOME and copy the project's `dagster.yaml` into it."""
    if not (PROJECT / "dagster.yaml").is_file():
        raise ConfigurationError("not_editable", f"{PROJECT} has no dagster.yaml.")
    home = dagster_home(settings)
    home.mkdir(mode=0o700, exist_ok=True)
    # The workers of one machine do this at the same time. Dagster takes a file that is half written for
    # one without settings, and would look for runs in SQLite.
    draft = home / f".dagster.yaml.{os.getpid()}.{threading.get_ident()}"
    shutil.copyfile(PROJECT / "dagster.yaml", draft)
    draft.replace(home / "dagster.yaml")


def make_input_directory(settings: Settings) -> None:
    """Create INGEST_INPUT_DIR; if it is the default one, with the sample documents in it.

    Raises:
        ConfigurationError: it cannot be created.
    """
    directory = Path(settings.input_place)
    if directory.is_dir():
        return
    samples = PROJECT / "examples" / "documents"
    try:
        if "input_dir" not in settings.model_fields_set and samples.is_dir():
            # Under another name first, so that an interrupted start does not leave half of them.
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
