"""Runs as the daemon launches them, each in a process of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext
from sqlalchemy import make_url

from ingest_assets.defs import run_server
from ingest_assets.defs.partitions import range_tags
from ingest_assets.embedded.configured import ensure_database
from ingest_assets.embedded.stack import PROJECT
from ingest_assets_tests.support.pipeline import Pipeline


@contextmanager
def deployment(
    pipeline: Pipeline, directory: Path, patch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    """The instance that the shipped `dagster.yaml` makes, for processes that are started too."""
    home = directory / "home"
    home.mkdir()
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    documents = make_url(os.environ["INGEST_DATABASE_URL"])
    dagster = documents.set(database=f"{documents.database}_dagster")
    ensure_database(dagster, "INGEST_DAGSTER_DATABASE_URL", through=documents)
    url = dagster.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    patch.setenv("DAGSTER_POSTGRES_URL", url)
    patch.setenv("INGEST_DAGSTER_DATABASE_URL", dagster.render_as_string(hide_password=False))
    patch.setenv("INGEST_INPUT_DIR", str(pipeline.input_dir))
    patch.setenv("INGEST_S3_BUCKET", pipeline.objects.bucket)
    patch.setenv("INGEST_DATA_DIR", str(directory / "data"))
    with DagsterInstance.from_config(str(home)) as instance:
        yield instance


def launch_of_a_document(deployed: DagsterInstance, pipeline: Pipeline) -> Callable[[], DagsterRun]:
    """What launches a run over one document, as the daemon does."""
    pipeline.put("note.txt", b"A note.")
    pipeline.requests()
    (key,) = pipeline.instance.get_dynamic_partitions("documents")
    deployed.add_dynamic_partitions("documents", [key])
    pointer = CodePointer.from_module(run_server.CODE_LOCATION, "defs", str(PROJECT))
    job = ReconstructableRepository(pointer).get_reconstructable_job("ingest_documents")

    def run() -> DagsterRun:
        created = deployed.create_run_for_job(
            job.get_definition(), job_code_origin=job.get_python_origin(), tags=range_tags(key, key)
        )
        deployed.run_launcher.launch_run(LaunchRunContext(created, None))
        found = deployed.get_run_by_id(created.run_id)
        assert found is not None
        return found

    return run


@pytest.fixture
def deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pipeline: Pipeline
) -> Iterator[DagsterInstance]:
    with deployment(pipeline, tmp_path, monkeypatch) as instance:
        yield instance


@pytest.fixture
def launch(deployed: DagsterInstance, pipeline: Pipeline) -> Callable[[], DagsterRun]:
    return launch_of_a_document(deployed, pipeline)
