"""Runs as the daemon launches them, each in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext

from ingest_assets.defs import run_server
from ingest_assets.defs.partitions import range_tags
from ingest_assets.embedded.stack import PROJECT
from ingest_assets_tests.support.pipeline import Pipeline
from ingest_assets_tests.support.servers import Services, new_database


@contextmanager
def deployment(
    pipeline: Pipeline, dagster_url: str, directory: Path, patch: pytest.MonkeyPatch
) -> Iterator[DagsterInstance]:
    """The instance that the shipped `dagster.yaml` makes, for processes that are started too.

    Args:
        dagster_url: a database with the tables of Dagster.
    """
    home = directory / "home"
    home.mkdir()
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    patch.setenv("DAGSTER_POSTGRES_URL", dagster_url.replace("postgresql:", "postgresql+psycopg2:"))
    patch.setenv("INGEST_DAGSTER_DATABASE_URL", dagster_url)
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
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    pipeline: Pipeline,
    services: Services,
    migrated_with_dagster_url: str,
) -> Iterator[DagsterInstance]:
    with (
        new_database(services, migrated_with_dagster_url) as url,
        deployment(pipeline, url, tmp_path, monkeypatch) as instance,
    ):
        yield instance


@pytest.fixture
def launch(deployed: DagsterInstance, pipeline: Pipeline) -> Callable[[], DagsterRun]:
    return launch_of_a_document(deployed, pipeline)
