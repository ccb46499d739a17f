"""Real servers for every test that wants them: one private Postgres and S3 for the whole session.

They listen on ports of their own below a temporary directory, so two sessions run side by side, and
they end with the session, however that ends. No fixture here changes this process's environment.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import psycopg2
import pytest
from dagster import DagsterInstance
from psycopg2 import sql
from sqlalchemy import make_url

from ingest_assets.defs.code_location import build_defs
from ingest_assets.embedded.stack import PROJECT, Stack, make_storage
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.settings import Settings
from ingest_assets.stages import runner
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.pipeline import Pipeline

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Services:
    """The session's servers.

    Attributes:
        settings: the settings that they were started with.
        environment: the variables with which a child process, or `monkeypatch.setenv`, finds them.
    """

    settings: Settings
    environment: dict[str, str]

    def s3_client(self, secret_access_key: str | None = None) -> S3Client:
        """A client of the session's S3, with the right secret or another."""
        return boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret_access_key or self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        )


def embedded_settings(directory: Path) -> Settings:
    """Settings that embed both services below a directory, whatever the environment says."""
    return Settings(
        _env_file=None,
        data_dir=directory / "data",
        input_dir=directory / "input",
        database_url=None,
        dagster_database_url=None,
        s3="auto",
        s3_bucket="documents-store",
        aws_endpoint_url_s3=None,
        aws_region=None,
    )


@contextmanager
def running_services(directory: Path) -> Iterator[Services]:
    """One Postgres and one S3 below a directory."""
    settings = embedded_settings(directory)
    stack = Stack(settings, "services", print)
    stack.start()
    try:
        yield Services(settings, make_storage(settings))
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One Postgres and one S3 for all tests; give each test its own `database_url` and `bucket`."""
    with running_services(tmp_path_factory.mktemp("services")) as services:
        yield services


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    """The local engine, whose processes all tests share."""
    engine = LocalEngine(workers=2)
    yield engine
    engine.close()


@contextmanager
def empty_database(services: Services) -> Iterator[str]:
    """An empty database, as `postgresql://…`; dropped afterwards."""
    server = make_url(services.environment["INGEST_DATABASE_URL"])
    name = f"test_{secrets.token_hex(6)}"
    connection = psycopg2.connect(server.render_as_string(hide_password=False))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            yield server.set(database=name).render_as_string(hide_password=False)
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        connection.close()


@pytest.fixture
def database_url(services: Services) -> Iterator[str]:
    """An empty database of the test's own, as `postgresql://…`; dropped afterwards."""
    with empty_database(services) as url:
        yield url


@pytest.fixture
def bucket(services: Services) -> Iterator[str]:
    """An empty bucket of the test's own; removed afterwards with all that is in it."""
    client = services.s3_client()
    name = f"test-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=name)
    yield name
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for found in page.get("Contents", []):
            client.delete_object(Bucket=name, Key=found["Key"])
    client.delete_bucket(Bucket=name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database of the test's own."""
    migrate(database_url)
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def pipeline(
    tmp_path: Path,
    services: Services,
    database_url: str,
    database: Database,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Pipeline]:
    """The whole pipeline over an empty input directory; runs happen in this process."""
    for name, value in {**services.environment, "INGEST_DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(runner, "FIRST_WAIT_SECONDS", 0.01)
    input_dir = tmp_path / "input"
    input_dir.mkdir()
    settings = services.settings.model_copy(
        update={
            "input_dir": input_dir,
            "s3_bucket": bucket,
            "settle_seconds": 0,
            "in_flight_seconds": 0,
            "retry_cool_down_seconds": 0,
            "max_documents_per_run": 5,
            "ocr_workers": 2,
            "ocr_page_seconds": 10,
            "aws_region": services.environment["AWS_REGION"],
        }
    )
    with DagsterInstance.ephemeral(tempdir=str(tmp_path / "dagster")) as instance:
        yield Pipeline(
            input_dir,
            database,
            ObjectStore(services.s3_client(), bucket),
            instance,
            build_defs(settings),
        )


@pytest.fixture
def instance(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, services: Services
) -> Iterator[DagsterInstance]:
    """The instance that the shipped `dagster.yaml` makes, on a database of its own."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    with empty_database(services) as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.replace("postgresql:", "postgresql+psycopg2:"))
        with DagsterInstance.from_config(str(home)) as instance:
            yield instance
