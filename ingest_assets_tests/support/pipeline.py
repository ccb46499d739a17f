"""The pipeline as tests drive it: real Postgres, real S3, real recognition, Dagster in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    Definitions,
    ExecuteInProcessResult,
    RunRequest,
    build_sensor_context,
)
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from sqlalchemy import make_url, text

from ingest_assets import wiring
from ingest_assets.cli import render
from ingest_assets.defs.code_location import build_defs
from ingest_assets.defs.documents import document_assets
from ingest_assets.defs.jobs import ingest_documents
from ingest_assets.defs.partitions import DOCUMENTS, range_tags
from ingest_assets.embedded.stack import PROJECT
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.ocr.engine import OcrEngine
from ingest_assets.operations.history import History, history
from ingest_assets.operations.retry_policy import RetryRules
from ingest_assets.settings import BucketSettings, S3Prefix, Settings
from ingest_assets.stage_names import STAGES as ALL_STAGES
from ingest_assets.stages import runner
from ingest_assets.stages.runner import Outcome, Runner
from ingest_assets.stages.stage import Inbox
from ingest_assets.stages.stage import Services as StageServices
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore
from ingest_assets_tests.support.engines import Engines
from ingest_assets_tests.support.servers import Services, disconnect, new_bucket, new_database

STAGES = ALL_STAGES


@dataclass
class Pipeline:
    """One input directory with a database, a bucket and a Dagster instance of its own."""

    input_dir: Path
    database: Database
    objects: ObjectStore
    instance: DagsterInstance
    defs: Definitions
    engines: Engines
    settings: Settings

    @property
    def inbox(self) -> Inbox:
        """What the settings' INGEST_INPUT_DIR names."""
        return wiring.inbox(self.settings.input_place, self.settings)

    def watching(self, place: S3Prefix) -> Pipeline:
        """The same pipeline with another INGEST_INPUT_DIR."""
        settings = self.settings.model_copy(update={"input_dir": place})
        return replace(self, settings=settings, defs=build_defs(settings, self.engines.resources))

    def use_engines_of_runs(self, **changes: Any) -> None:
        """From now on each run starts its engines and ends them, as in production.

        Args:
            changes: settings that are other than the pipeline's.
        """
        self.defs = build_defs(self.settings.model_copy(update=changes))

    def stage_services(
        self, engine: OcrEngine | None = None, objects: ObjectStore | None = None
    ) -> StageServices:
        """What stages work with, for runs without Dagster."""
        return StageServices(
            self.database,
            objects or self.objects,
            engine or self.engines.ocr,
            self.inbox,
            Chunker(),
            self.engines.entities,
        )

    def run_without_dagster(
        self, keys: Sequence[str], run_id: str = "run", objects: ObjectStore | None = None
    ) -> list[Outcome]:
        """A run of all stages, as another process would have it."""
        return list(Runner(self.stage_services(objects=objects), STAGES, run_id, 4).run(keys))

    def rebuilt(
        self,
        resources: Mapping[str, Any] | None = None,
        code_versions: Mapping[str, str] | None = None,
    ) -> Definitions:
        """The definitions with other resources or code versions."""
        return Definitions(
            assets=[document_assets(5, code_versions)],
            jobs=[ingest_documents],
            resources={**(self.defs.resources or {}), **(resources or {})},
        )

    def put(self, name: str | bytes, content: bytes) -> Path:
        """Write a file that has settled: nothing about it is younger than a second look."""
        path = self.input_dir / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def tick(self, cursor: str | None = None, sensor: str = "input_directory") -> SensorExecutionData:
        """Evaluate a sensor once."""
        definition = self.defs.resolve_sensor_def(sensor)
        resources = {
            name: (self.defs.resources or {})[name] for name in definition.required_resource_keys
        }
        with build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            definitions=self.defs,
            sensor_name=sensor,
            resources=resources,
        ) as context:
            return definition.evaluate_tick(context)

    def requests(self) -> Sequence[RunRequest]:
        """What one tick of the sensor asks for."""
        return self.tick().run_requests or []

    def launch(self, request: RunRequest) -> ExecuteInProcessResult:
        """Run what the sensor asked for."""
        return self.run_range(tags=request.tags)

    def run_range(
        self,
        first: str = "",
        last: str = "",
        tags: Mapping[str, str] | None = None,
        assets: Sequence[str] = STAGES,
    ) -> ExecuteInProcessResult:
        """One run over a range of partitions."""
        job = self.defs.resolve_job_def("ingest_documents")
        return job.execute_in_process(
            instance=self.instance,
            tags={**range_tags(first, last), **(tags or {})},
            asset_selection=[AssetKey(name) for name in assets],
            raise_on_error=False,
        )

    def ingest(self) -> list[ExecuteInProcessResult]:
        """Tick and run until the sensor asks for nothing."""
        results = []
        while requests := self.requests():
            results += [self.launch(request) for request in requests]
        return results

    def retry(self) -> list[str]:
        """Tick `retry_failed` and run the backfill it asks for, as the daemon does: range by range.

        Returns:
            The partitions of the backfill.
        """
        self.tick(sensor="retry_failed")
        requested = self.instance.get_backfills(
            filters=BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
        )
        keys: list[str] = []
        for backfill in requested:
            data = backfill.get_asset_backfill_data(self.defs.resolve_asset_graph())
            subset = data.target_subset.get_partitions_subset(AssetKey("document_row"))
            keys += subset.get_partition_keys()
            done = backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS)  # type: ignore[no-untyped-call]
            self.instance.update_backfill(done)
        for key in keys:
            self.run_range(key, key)
        return keys

    def partition_states(self, asset: str) -> dict[str, str]:
        """What Dagit shows: MATERIALIZED, FAILED or MISSING, by partition."""
        keys = self.instance.get_dynamic_partitions("documents")
        found = self.instance.get_status_by_partition(AssetKey(asset), keys, DOCUMENTS) or {}
        return {key: status.value if (status := found.get(key)) else "MISSING" for key in keys}

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        """Rows of a query."""
        with self.database.engine.connect() as connection:
            return list(connection.execute(text(sql), parameters))

    def why(self, wanted: str) -> str:
        """What `ingest-assets why` prints, with Dagit at http://dagit and three runs that may fail."""
        found = history(self.database, wanted, RetryRules(cool_down_seconds=60, limit=3))
        shown = (
            render.history(found, "http://dagit")
            if isinstance(found, History)
            else render.candidates(found, wanted)
        )
        return render.plain(shown).removesuffix("\n")

    def states(self) -> dict[str, str]:
        """State by file name, from `document_progress`."""
        return dict(
            map(tuple, self.rows("SELECT original_file_name, state FROM ingest.document_progress"))
        )

    def errors(self) -> dict[str, str]:
        """Error code by file name, of those that have one."""
        return dict(
            map(
                tuple,
                self.rows(
                    "SELECT original_file_name, error_code FROM ingest.document_progress"
                    " WHERE state IN ('failed', 'rejected')"
                ),
            )
        )

    def object_keys(self) -> list[str]:
        """All keys below `documents/` in the bucket."""
        pages = self.objects.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.objects.bucket, Prefix="documents/"
        )
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


def status_of(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    """What Dagster says of a run now."""
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


@contextmanager
def open_pipeline(
    services: Services,
    engines: Engines,
    input_dir: Path,
    database_url: str,
    bucket: str,
    instance: DagsterInstance,
    patch: pytest.MonkeyPatch,
) -> Iterator[Pipeline]:
    """The whole pipeline; its runs happen in this process, whose variables `patch` sets for it."""
    settings = services.settings_of(input_dir, bucket, max_documents_per_run=5, ocr_workers=2)
    variables = {**services.environment, "INGEST_DATABASE_URL": database_url}
    for name, value in variables.items():
        patch.setenv(name, value)
    patch.setattr(runner, "FIRST_WAIT_SECONDS", 0.01)
    patch.setattr(wiring, "object_store", _keep_clients(wiring.object_store))
    with closing(Database(database_url)) as database:
        yield Pipeline(
            input_dir,
            database,
            ObjectStore(services.s3_client(), bucket),
            instance,
            build_defs(settings, engines.resources),
            engines,
            settings,
        )


def _keep_clients(
    make: Callable[[BucketSettings], ObjectStore],
) -> Callable[[BucketSettings], ObjectStore]:
    """`wiring.object_store`, with one client for all ticks and runs on which the environment agrees."""
    kept: dict[Any, ObjectStore] = {}

    def object_store(settings: BucketSettings) -> ObjectStore:
        variables = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
        bucket = settings.s3_bucket, settings.aws_region, *variables
        if bucket not in kept:
            kept[bucket] = make(settings)
        return kept[bucket]

    return object_store


@contextmanager
def ephemeral_instance(directory: Path) -> Iterator[DagsterInstance]:
    """An instance of Dagster whose records are in memory.

    Args:
        directory: one that Dagster may use.
    """
    with pytest.MonkeyPatch.context() as patch:
        # Dagster reads its 89 migrations, twice, to write down in memory which was the last: half of
        # what a pipeline takes to be made. Nothing asks for that.
        for storage in ("event_log", "runs"):
            name = f"dagster._core.storage.{storage}.in_memory.stamp_alembic_rev"
            patch.setattr(name, lambda *_: None)
        instance = DagsterInstance.ephemeral(tempdir=str(directory))
    with instance:
        yield instance


@contextmanager
def shipped_instance(home: Path, database_url: str, *, new: bool = False) -> Iterator[DagsterInstance]:
    """The instance of the shipped `dagster.yaml`, on a Postgres database.

    `DAGSTER_POSTGRES_URL` need not be set.

    Args:
        new: whether the database may lack Dagster's tables. To ask for them takes a process as long as
            a tenth of a run.
    """
    home.mkdir(exist_ok=True)
    configuration = (PROJECT / "dagster.yaml").read_text()
    variable = "\n        env: DAGSTER_POSTGRES_URL"
    assert variable in configuration
    url = make_url(database_url).set(drivername="postgresql+psycopg2")
    address = f' "{url.render_as_string(hide_password=False)}"'
    if not new:
        address += "\n      should_autocreate_tables: false"
    (home / "dagster.yaml").write_text(configuration.replace(variable, address))
    with DagsterInstance.from_config(str(home)) as instance:
        yield instance


@contextmanager
def migrated_with_dagster(services: Services, home: Path) -> Iterator[str]:
    """The URL of a database with the schemas of documents and of Dagster's records, to be copied.

    Args:
        home: a directory that Dagster may use.
    """
    with new_database(services) as url:
        # First, because later it would take the version of our schema for that of its own.
        with shipped_instance(home, url, new=True) as instance:
            instance.get_dynamic_partitions("documents")
        migrate(url)
        disconnect(services, url)
        yield url


@dataclass(frozen=True)
class Snapshot:
    """A pipeline as some work left it, Dagster's records included: it is done once, for many tests.

    Attributes:
        input_dir: that of all copies; nothing may change in it.
        database_url: the database of documents and of Dagster; nothing is connected to it.
    """

    services: Services
    engines: Engines
    input_dir: Path
    database_url: str
    bucket: str

    @contextmanager
    def copy(self, directory: Path, patch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
        """A pipeline that goes on from there, and leaves the snapshot as it is.

        Args:
            directory: one that Dagster may use.
        """
        with (
            new_database(self.services, self.database_url) as url,
            new_bucket(self.services, self.bucket) as bucket,
            shipped_instance(directory, url) as instance,
            open_pipeline(
                self.services, self.engines, self.input_dir, url, bucket, instance, patch
            ) as pipeline,
        ):
            with pipeline.database.engine.begin() as connection:
                connection.execute(
                    text("UPDATE ingest.source_documents SET s3_bucket = :bucket"), {"bucket": bucket}
                )
            yield pipeline


@contextmanager
def snapshot(
    services: Services,
    engines: Engines,
    directory: Path,
    migrated_url: str,
    work: Callable[[Pipeline], None],
) -> Iterator[Snapshot]:
    """What some work leaves.

    Args:
        directory: an empty one.
        migrated_url: a database with the schemas of documents and of Dagster, which is copied.
    """
    input_dir = directory / "input"
    input_dir.mkdir()
    with new_database(services, migrated_url) as url, new_bucket(services) as bucket:
        with (
            pytest.MonkeyPatch.context() as patch,
            shipped_instance(directory / "dagster", url) as instance,
            open_pipeline(services, engines, input_dir, url, bucket, instance, patch) as pipeline,
        ):
            work(pipeline)
        disconnect(services, url)
        yield Snapshot(services, engines, input_dir, url, bucket)
