"""A run by Textract, for a process of its own that a test can kill."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import boto3

from ingest_assets.extraction.chunks import Chunker
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.textract.calls import textract_client
from ingest_assets.ocr.textract.engine import TextractEngine
from ingest_assets.stage_names import STAGES
from ingest_assets.stages.inbox_directory import Directory
from ingest_assets.stages.runner import Runner
from ingest_assets.stages.stage import Services
from ingest_assets.store.database import Database
from ingest_assets.store.object_store import ObjectStore
from ingest_assets.store.textract_jobs import Quotas, TextractJobs
from ingest_assets_tests.support.engines import RulesEngine


def run(
    environment: Mapping[str, str], url: str, bucket: str, input_dir: Path, *partition_keys: str
) -> None:
    """Take documents through all stages, as a run of Dagster's would.

    Args:
        environment: the variables of the process.
        url: where Textract answers.
    """
    os.environ.clear()
    os.environ.update(environment)
    database = Database(os.environ["INGEST_DATABASE_URL"])
    objects = ObjectStore(boto3.client("s3"), bucket)
    quotas = Quotas(jobs_in_flight=20, starts_per_second=50, gets_per_second=100)
    engine = TextractEngine(
        textract_client("us-east-1", url),
        objects,
        TextractJobs(database, "us-east-1", quotas, 0.0015),
        LocalEngine(workers=1),
        documents_at_a_time=20,
    )
    services = Services(database, objects, engine, Directory(Path(input_dir)), Chunker(), RulesEngine())
    try:
        for outcome in Runner(services, STAGES, "child", 4).run(partition_keys):
            print(outcome.partition_key, outcome.stage, outcome.error)
    finally:
        engine.close()
