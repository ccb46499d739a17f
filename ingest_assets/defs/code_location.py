"""The code location: every asset, job, sensor and resource, assembled in one place.

Belongs here: putting the parts together, for production and tests alike. Does not belong here: the
parts, and building the code location at import, which `ingest_assets.definitions` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import Definitions, EnvVar, in_process_executor

from ingest_assets import log, wiring
from ingest_assets.defs.checks import verification
from ingest_assets.defs.documents import document_assets
from ingest_assets.defs.ingest_report import ingest_report
from ingest_assets.defs.inventory import storage_inventory
from ingest_assets.defs.jobs import (
    forget_document,
    forget_old_documents,
    import_stuck,
    ingest_documents,
    reconcile,
    register_orphans,
    retention_daily,
    retry_failed_documents,
    verify_documents,
    verify_hourly,
)
from ingest_assets.defs.resources import (
    ExtractionResource,
    InputDirectoryResource,
    ObjectStoreResource,
    OcrEngineResource,
    PostgresResource,
    ReconciliationResource,
    RetryResource,
    configured,
)
from ingest_assets.defs.run_log import have_json_console
from ingest_assets.defs.sensors import (
    alerts,
    input_directory,
    orphaned_uploads,
    retry_failed,
    verify_after_backfill,
    worker_runs,
)
from ingest_assets.settings import Settings
from ingest_assets.stages import document_chunks, document_entities, document_text


def build_defs(
    settings: Settings | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> Definitions:
    """All definitions.

    Credentials are not read here: resources name the environment variable, so that Dagit shows the
    variable's name and never its value.

    Args:
        settings: those of the environment if not given.
        resource_overrides: resources by key that replace those made from the settings. Example, to
            share one engine between runs: `build_defs(settings, {"ocr_engine": shared})`.
    """
    settings = settings or Settings()
    if settings.log_format == "json":
        log.set_up("json")
        have_json_console()
    database = PostgresResource(url=EnvVar("INGEST_DATABASE_URL"))
    object_store = configured(ObjectStoreResource, settings)
    return Definitions(
        assets=[
            document_assets(settings.max_documents_per_run, _code_versions(settings)),
            storage_inventory,
            ingest_report,
        ],
        asset_checks=[verification],
        jobs=[
            forget_document,
            forget_old_documents,
            import_stuck,
            ingest_documents,
            reconcile,
            register_orphans,
            retry_failed_documents,
            verify_documents,
        ],
        schedules=[retention_daily(settings), verify_hourly],
        sensors=[
            alerts(settings),
            input_directory,
            orphaned_uploads,
            retry_failed,
            verify_after_backfill,
            *([worker_runs] if settings.broker_url is not None else []),
        ],
        executor=in_process_executor,
        resources={
            "database": database,
            "object_store": object_store,
            "ocr_engine": configured(
                OcrEngineResource, settings, database=database, object_store=object_store
            ),
            "extraction": configured(ExtractionResource, settings),
            "input_files": configured(InputDirectoryResource, settings, path=settings.input_place),
            "reconciliation": configured(
                ReconciliationResource, settings, plans_dir=str(settings.plans_dir)
            ),
            "retries": configured(RetryResource, settings),
            **(resource_overrides or {}),
        },
    )


def _code_versions(settings: Settings) -> Mapping[str, str]:
    """Code versions of the assets whose results depend on settings and engines, too."""
    reader = settings.ocr_engine, wiring.ocr_version(settings)
    return {
        document_text.NAME: document_text.code_version(*reader),
        document_chunks.NAME: document_chunks.code_version(wiring.chunker(settings)),
        document_entities.NAME: document_entities.code_version(*wiring.entity_engine_version(settings)),
    }
