"""A place to work in, and real processes that work there.

Each process is forked from a server that has Dagster loaded already, so that a case costs its work and
not the start of Python. All have the shipped `dagster.yaml`, on a Postgres database of the place's own.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from psycopg2 import sql
from sqlalchemy import make_url

from ingest_assets.defs.code_location import build_defs
from ingest_assets.embedded.stack import PROJECT
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.stages import runner
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.pipeline import Pipeline

if TYPE_CHECKING:
    from ingest_assets_tests.conftest import Services

TEMPLATE = "crash_template"
# Generous: what takes longer hangs.
PATIENCE_SECONDS = 120

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["__main__", "ingest_assets_tests.crash.preload"])


@dataclass(frozen=True)
class Site:
    """An input directory, a database and a bucket, with the servers that they are on."""

    directory: Path
    services: Services
    database_url: str
    bucket: str

    @property
    def input_dir(self) -> Path:
        return self.directory / "input"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that works here."""
        url = make_url(self.database_url)
        return {
            **self.services.environment,
            "INGEST_DATABASE_URL": self.database_url,
            "DAGSTER_POSTGRES_URL": url.set(drivername="postgresql+psycopg2").render_as_string(
                hide_password=False
            ),
        }

    def process(self, work: Callable[..., None], *arguments: Any) -> ForkServerProcess:
        """A process that has begun `work(pipeline, *arguments)`."""
        process = _processes.Process(target=_work, args=(self, work, arguments))
        process.start()
        return process

    def run(self, work: Callable[..., None], *arguments: Any) -> int:
        """The exit code of a process that did `work(pipeline, *arguments)`."""
        return self.wait(self.process(work, *arguments))

    def wait(self, process: ForkServerProcess) -> int:
        """The exit code of a process, when it has ended."""
        process.join(PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"A process did not end.\n{self.last_words()}")
        return process.exitcode

    def last_words(self) -> str:
        """The end of what the processes wrote."""
        log = self.directory / "log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""

    def recognitions(self) -> list[str]:
        """The S3 keys of the documents that recognition was begun of, in order."""
        log = self.directory / "recognitions"
        return log.read_text().splitlines() if log.exists() else []

    @contextmanager
    def instance(self) -> Iterator[DagsterInstance]:
        """The Dagster instance, for this process; `DAGSTER_POSTGRES_URL` need not be set."""
        home = self.directory / "dagster"
        if not home.exists():
            home.mkdir()
            configuration = (PROJECT / "dagster.yaml").read_text()
            variable = "\n        env: DAGSTER_POSTGRES_URL"
            assert variable in configuration
            url = self.environment["DAGSTER_POSTGRES_URL"]
            (home / "dagster.yaml").write_text(configuration.replace(variable, f' "{url}"'))
        with DagsterInstance.from_config(str(home)) as instance:
            yield instance


@contextmanager
def template(services: Services, directory: Path) -> Iterator[None]:
    """A database with both schemas, ours and Dagster's, that each site's is copied from."""
    with _database(services, TEMPLATE, None) as url:
        site = Site(directory, services, url, "no-bucket")
        assert site.run(_make_schemas) == 0, site.last_words()
        yield


@contextmanager
def site(services: Services, directory: Path) -> Iterator[Site]:
    """An empty site; its database and bucket go away afterwards."""
    name = f"crash_{secrets.token_hex(6)}"
    client = services.s3_client()
    bucket = name.replace("_", "-")
    client.create_bucket(Bucket=bucket)
    try:
        with _database(services, name, TEMPLATE) as url:
            site = Site(directory, services, url, bucket)
            site.input_dir.mkdir()
            yield site
    finally:
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=found["Key"])
        client.delete_bucket(Bucket=bucket)
        shutil.rmtree(directory)


@contextmanager
def _database(services: Services, name: str, copy_of: str | None) -> Iterator[str]:
    server = make_url(services.environment["INGEST_DATABASE_URL"])
    with closing(psycopg2.connect(server.render_as_string(hide_password=False))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        cursor.execute(create.format(sql.Identifier(name), sql.Identifier(copy_of or "template0")))
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _work(site: Site, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """What a process does."""
    log = os.open(site.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(site.environment)
    _count_recognitions(site.directory / "recognitions")
    runner.FIRST_WAIT_SECONDS = 0.01
    settings = site.services.settings.model_copy(
        update={
            "input_dir": site.input_dir,
            "s3_bucket": site.bucket,
            "settle_seconds": 0,
            "in_flight_seconds": 0,
            "retry_cool_down_seconds": 0,
            "max_documents_per_run": 4,
            "ocr_workers": 1,
            "aws_region": site.services.environment["AWS_REGION"],
        }
    )
    objects = ObjectStore(site.services.s3_client(), site.bucket)
    with site.instance() as instance:
        work(
            Pipeline(
                site.input_dir,
                Database(site.database_url),
                objects,
                instance,
                build_defs(settings),
            ),
            *arguments,
        )
    sys.stdout.flush()


def _make_schemas(pipeline: Pipeline) -> None:
    migrate(os.environ["INGEST_DATABASE_URL"])
    pipeline.instance.get_dynamic_partitions("documents")


def _count_recognitions(log: Path) -> None:
    """Let the engine write down what it is asked for, before it begins."""
    recognise = LocalEngine.recognise

    def counted(self: LocalEngine, document: StoredObject) -> Recognition:
        with log.open("a") as file:
            file.write(f"{document.key}\n")
        return recognise(self, document)

    LocalEngine.recognise = counted  # type: ignore[method-assign]


def bury_runs(pipeline: Pipeline) -> None:
    """Mark the runs as failed whose process is gone, as Dagster's run monitoring does."""
    dead = pipeline.instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    for run in dead:
        pipeline.instance.report_run_failed(run, "Its process is gone.")
