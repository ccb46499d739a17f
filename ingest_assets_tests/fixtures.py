"""Real servers and engines for every test that wants them; each process of pytest-xdist has its own.

The servers listen on ports of their own below a temporary directory, so two sessions run side by side,
and they end with the session, however that ends. No fixture leaves this process's environment changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from dagster import DagsterInstance

from ingest_assets.ocr.local import LocalEngine
from ingest_assets.store.database import Database, migrate
from ingest_assets_tests.crash.site import PROCESSES, start_server
from ingest_assets_tests.support.engines import Engines, engines_in_processes
from ingest_assets_tests.support.pipeline import (
    Pipeline,
    Snapshot,
    ephemeral_instance,
    migrated_with_dagster,
    open_pipeline,
    shipped_instance,
    snapshot,
)
from ingest_assets_tests.support.servers import (
    Services,
    new_bucket,
    new_database,
    running_services,
)
from ingest_assets_tests.support.watchdog import watchdog

NewPipeline = Callable[[Path, pytest.MonkeyPatch], AbstractContextManager[Pipeline]]
TakeSnapshot = Callable[[Path, Callable[[Pipeline], None]], AbstractContextManager[Snapshot]]


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """However the session ends."""
    with watchdog():
        yield


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One Postgres and one S3 for all tests; give each test its own `database_url` and `bucket`."""
    with running_services(tmp_path_factory.mktemp("services")) as services:
        yield services


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """The local engines, whose processes all tests share."""
    with engines_in_processes() as engines:
        yield engines


@pytest.fixture(scope="session")
def engine(engines: Engines) -> LocalEngine:
    """The one of them that reads."""
    assert isinstance(engines.ocr, LocalEngine)
    return engines.ocr


@pytest.fixture(scope="session")
def migrated_url(services: Services) -> Iterator[str]:
    """A database with the schema of documents, to be copied: migrations run once a session."""
    with new_database(services) as url:
        migrate(url)
        yield url


@pytest.fixture(scope="session")
def migrated_with_dagster_url(
    services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same with the schema of Dagster's records."""
    with migrated_with_dagster(services, tmp_path_factory.mktemp("dagster")) as url:
        yield url


@pytest.fixture(scope="session")
def forks(
    services: Services, migrated_with_dagster_url: str, tmp_path_factory: pytest.TempPathFactory
) -> ForkServerContext:
    """What starts processes that have loaded, and done once, what they are going to do."""
    start_server(services, migrated_with_dagster_url, tmp_path_factory.mktemp("forks") / "site")
    return PROCESSES


@pytest.fixture(scope="session")
def take_snapshot(services: Services, engines: Engines, migrated_with_dagster_url: str) -> TakeSnapshot:
    """What takes a `Snapshot` of some work, to be begun with by many tests."""

    def take(directory: Path, work: Callable[[Pipeline], None]) -> AbstractContextManager[Snapshot]:
        return snapshot(services, engines, directory, migrated_with_dagster_url, work)

    return take


@pytest.fixture
def database_url(services: Services, migrated_url: str) -> Iterator[str]:
    """A migrated database of the test's own, as `postgresql://…`; dropped afterwards."""
    with new_database(services, migrated_url) as url:
        yield url


@pytest.fixture
def empty_database_url(services: Services) -> Iterator[str]:
    """An empty database of the test's own, as `postgresql://…`; dropped afterwards."""
    with new_database(services) as url:
        yield url


@pytest.fixture
def bucket(services: Services) -> Iterator[str]:
    """An empty bucket of the test's own; removed afterwards with all that is in it."""
    with new_bucket(services) as name:
        yield name


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database of the test's own."""
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture(scope="session")
def new_pipeline(services: Services, engines: Engines, migrated_url: str) -> NewPipeline:
    """What makes a pipeline over an empty input directory, with all that it needs to itself."""

    @contextmanager
    def make(directory: Path, patch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
        input_dir = directory / "input"
        input_dir.mkdir()
        with (
            new_database(services, migrated_url) as url,
            new_bucket(services) as bucket,
            ephemeral_instance(directory / "dagster") as instance,
            open_pipeline(services, engines, input_dir, url, bucket, instance, patch) as pipeline,
        ):
            yield pipeline

    return make


@pytest.fixture
def pipeline(
    new_pipeline: NewPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """The whole pipeline over an empty input directory; runs happen in this process."""
    with new_pipeline(tmp_path, monkeypatch) as pipeline:
        yield pipeline


@pytest.fixture
def instance(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    services: Services,
    migrated_with_dagster_url: str,
) -> Iterator[DagsterInstance]:
    """The instance that the shipped `dagster.yaml` makes, on a database of its own."""
    with new_database(services, migrated_with_dagster_url) as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.replace("postgresql:", "postgresql+psycopg2:"))
        with shipped_instance(tmp_path / "dagster_home", url, new=True) as instance:
            yield instance
