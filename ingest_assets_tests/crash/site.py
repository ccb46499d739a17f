"""A place to work in, and real processes that work there.

Each process is forked from a server that has loaded Dagster and has worked in a place of its own. So a
case costs its work, and not the start of Python, nor what Dagster, SQLAlchemy and botocore load and
work out when they are first used, which is more than the work. All have the shipped `dagster.yaml`, on
a Postgres database of the place's own.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRunStatus, Definitions, EnvVar, RunsFilter
from sqlalchemy import Engine

from ingest_assets.defs.code_location import build_defs
from ingest_assets.defs.resources import InputDirectoryResource, configured
from ingest_assets.ocr.engine import Recognition, StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.settings import Settings
from ingest_assets.stages import runner
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.engines import Engines, engines_in_this_process
from ingest_assets_tests.support.pipeline import Pipeline, shipped_instance
from ingest_assets_tests.support.servers import AT_ONCE, Services, new_bucket, new_database

# Generous: what takes longer hangs.
PATIENCE_SECONDS = 120

_SETTINGS: dict[str, Any] = {"max_documents_per_run": 5, "ocr_workers": 1}
_INPUT_DIR = "SITE_INPUT_DIR"
_REHEARSAL = "SITE_REHEARSAL"

# Of processes that are forked from one that has loaded what they need.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "ingest_assets_tests.crash.preload"])


@dataclass(frozen=True)
class Site:
    """An input directory, a database and a bucket, with the servers that they are on.

    Attributes:
        real_engines: whether runs start the processes of the engines, as in production.
    """

    directory: Path
    services: Services
    database_url: str
    bucket: str
    real_engines: bool

    @property
    def input_dir(self) -> Path:
        return self.directory / "input"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that works here."""
        return {**self.services.environment, "INGEST_DATABASE_URL": self.database_url}

    def process(self, work: Callable[..., None], *arguments: Any) -> ForkServerProcess:
        """A process that has begun `work(pipeline, *arguments)`."""
        process = PROCESSES.Process(target=_work, args=(self, work, arguments))
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
        """The Dagster instance, for this process."""
        with shipped_instance(self.directory / "dagster", self.database_url) as instance:
            yield instance

    @property
    def objects(self) -> ObjectStore:
        """The bucket, for this process."""
        return ObjectStore(self.services.s3_client(), self.bucket)

    def put(self, name: str, content: bytes) -> None:
        """Write a file of the input directory."""
        path = self.input_dir / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


@contextmanager
def site(
    services: Services, migrated_url: str, directory: Path, *, real_engines: bool = True
) -> Iterator[Site]:
    """An empty site; its database and bucket go away afterwards.

    Args:
        migrated_url: a database with the schemas of documents and of Dagster, which is copied.
        directory: is made, and removed.
    """
    with new_database(services, migrated_url) as url, new_bucket(services) as bucket:
        site = Site(directory, services, url, bucket, real_engines)
        site.input_dir.mkdir(parents=True)
        yield site
    shutil.rmtree(directory)


def start_server(services: Services, migrated_url: str, directory: Path) -> None:
    """Start the server that processes are forked from, unless it runs, and wait until it can serve.

    Args:
        migrated_url: as that of `site`.
        directory: is made, and removed.
    """
    with site(services, migrated_url, directory, real_engines=False) as place:
        (directory / "site").write_bytes(pickle.dumps(place))
        os.environ[_REHEARSAL] = str(directory / "site")
        try:
            forkserver.ensure_running()
            assert place.run(_nothing) == 0, place.last_words()
        finally:
            del os.environ[_REHEARSAL]


def _nothing(pipeline: Pipeline) -> None:
    """There is no work."""


def rehearse(work: Callable[[Site, Pipeline], None]) -> None:
    """Do some work in the server itself, before it forks, at the site that `start_server` has made.

    Without that, there is no work: a server that nobody has started in this way serves as well.
    """
    place = os.environ.pop(_REHEARSAL, None)
    if place is None:
        return
    site: Site = pickle.loads(Path(place).read_bytes())
    kept = [os.dup(number) for number in (1, 2)]
    environment, recognise = dict(os.environ), LocalEngine.recognise
    try:
        _work(site, lambda pipeline: work(site, pipeline), ())
    finally:
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)
        os.environ.clear()
        os.environ.update(environment)
        LocalEngine.recognise = recognise  # type: ignore[method-assign]
    # A connection that processes shared would be read by all of them.
    for engine in [found for found in gc.get_objects() if isinstance(found, Engine)]:
        engine.dispose()
    # A timer of Dagster's event log looks once more, a second later, whether events wait.
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join(PATIENCE_SECONDS)
    site.services.s3_client().close()


def _work(site: Site, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """What a process does."""
    log = os.open(site.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.update(site.environment)
    os.environ[_INPUT_DIR] = str(site.input_dir)
    _count_recognitions(site.directory / "recognitions")
    runner.FIRST_WAIT_SECONDS = 0.01
    settings = site.services.settings_of(site.input_dir, site.bucket, **_SETTINGS)
    if site.real_engines:
        engines, defs = engines_in_this_process(), build_defs(settings)
    else:
        objects, engines, defs = assembly()
        objects.held = site.objects
    with site.instance() as instance, closing(Database(site.database_url)) as database:
        pipeline = Pipeline(site.input_dir, database, site.objects, instance, defs, engines, settings)
        work(pipeline, *arguments)
    sys.stdout.flush()


@dataclass
class _Objects:
    """In the place of `ObjectStoreResource`: the bucket of the process, once it has one."""

    held: ObjectStore | None = None

    def get(self) -> ObjectStore:
        assert self.held
        return self.held


@cache
def assembly() -> tuple[_Objects, Engines, Definitions]:
    """The definitions without the engines' processes.

    They are the same for each site, so that the server that processes are forked from makes them and
    has Dagster resolve them, which takes as long as two runs.
    """
    objects, engines = _Objects(), engines_in_this_process()
    settings = Settings(_env_file=None).model_copy(update={**AT_ONCE, **_SETTINGS})
    input_files = configured(InputDirectoryResource, settings, path=EnvVar(_INPUT_DIR))
    overrides = {**engines.resources, "object_store": objects, "input_files": input_files}
    defs = build_defs(settings, overrides)
    defs.get_repository_def().get_all_jobs()
    return objects, engines, defs


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
