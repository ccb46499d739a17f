"""`build_defs()`: the one assembly that production, tests and the command line share.

Belongs here: putting the parts together. Does not belong here: any part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import Definitions, EnvVar, in_process_executor
from dagster_aws.s3 import S3Resource

from ingest_assets.defs.checks import verification
from ingest_assets.defs.documents import document_assets
from ingest_assets.defs.ingest_report import ingest_report
from ingest_assets.defs.inventory import storage_inventory
from ingest_assets.defs.jobs import (
    import_stuck,
    ingest_documents,
    reconcile,
    register_orphans,
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
    TextractResource,
)
from ingest_assets.defs.sensors import (
    input_directory,
    orphaned_uploads,
    retry_failed,
    verify_after_backfill,
)
from ingest_assets.extraction import comprehend, local
from ingest_assets.extraction.chunks import Chunker
from ingest_assets.ocr import local as local_ocr
from ingest_assets.ocr.textract.engine import TextractEngine
from ingest_assets.settings import Settings
from ingest_assets.stages import document_chunks, document_entities, document_text


def build_defs(
    settings: Settings | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> Definitions:
    """All definitions, for these settings (by default, those of the environment).

    Credentials are not read here: resources name the environment variable, so that Dagit shows the
    variable's name and never its value.
    """
    settings = settings or Settings()
    database = PostgresResource(url=EnvVar("INGEST_DATABASE_URL"))
    object_store = ObjectStoreResource(
        s3=S3Resource(region_name=settings.aws_region), bucket=settings.s3_bucket
    )
    return Definitions(
        assets=[
            document_assets(settings.max_documents_per_run, _code_versions(settings)),
            storage_inventory,
            ingest_report,
        ],
        asset_checks=[verification],
        jobs=[
            import_stuck,
            ingest_documents,
            reconcile,
            register_orphans,
            retry_failed_documents,
            verify_documents,
        ],
        schedules=[verify_hourly],
        sensors=[input_directory, orphaned_uploads, retry_failed, verify_after_backfill],
        executor=in_process_executor,
        resources={
            "database": database,
            "object_store": object_store,
            "ocr_engine": OcrEngineResource(
                engine=settings.ocr_engine,
                workers=settings.ocr_workers,
                page_seconds=settings.ocr_page_seconds,
                textract=TextractResource(
                    database=database,
                    object_store=object_store,
                    region_name=settings.aws_region,
                    endpoint_url=settings.aws_endpoint_url_textract,
                    jobs_in_flight=settings.textract_jobs_in_flight,
                    starts_per_second=settings.textract_starts_per_second,
                    gets_per_second=settings.textract_gets_per_second,
                    price_per_page=settings.textract_price_per_page,
                ),
            ),
            "extraction": ExtractionResource(
                chunk_characters=settings.chunk_characters,
                chunk_overlap=settings.chunk_overlap,
                engine=settings.entity_engine,
                language=settings.entity_language,
                region=settings.aws_region,
                workers=settings.ocr_workers,
            ),
            "input_files": InputDirectoryResource(
                path=str(settings.input_dir.absolute()),
                settle_seconds=settings.settle_seconds,
                ignore_patterns=list(settings.ignore_patterns),
                batch_size=settings.max_documents_per_run,
                max_file_bytes=settings.max_file_mb * 1024**2,
            ),
            "reconciliation": ReconciliationResource(
                plans_dir=str(settings.plans_dir),
                in_flight_seconds=settings.in_flight_seconds,
                batch_size=settings.max_documents_per_run,
            ),
            "retries": RetryResource(
                cool_down_seconds=settings.retry_cool_down_seconds, limit=settings.retry_limit
            ),
            **(resource_overrides or {}),
        },
    )


def _code_versions(settings: Settings) -> Mapping[str, str]:
    """Of the assets whose results depend on settings and engines as much as on our code."""
    chunker = Chunker(settings.chunk_characters, settings.chunk_overlap)
    if settings.entity_engine == "comprehend":
        engine, version = comprehend.NAME, comprehend.version(settings.entity_language)
    else:
        engine, version = local.NAME, local.VERSION
    reader = TextractEngine.version if settings.ocr_engine == "textract" else local_ocr.version()
    return {
        document_text.NAME: document_text.code_version(settings.ocr_engine, reader),
        document_chunks.NAME: document_chunks.code_version(chunker),
        document_entities.NAME: document_entities.code_version(engine, version),
    }


defs = build_defs()
