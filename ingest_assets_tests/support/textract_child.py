"""A run by Textract in a process of its own, so that a test can kill it.

python -m ingest_assets_tests.support.textract_child TEXTRACT_URL BUCKET INPUT_DIR PARTITION_KEY…
"""

from __future__ import annotations

import os
import sys
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


def main(url: str, bucket: str, input_dir: str, *partition_keys: str) -> None:
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


if __name__ == "__main__":
    main(*sys.argv[1:])
