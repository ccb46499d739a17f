"""What the server that processes are forked from has loaded before it is asked for the first.

Belongs here: whatever each process would load and read again. Does not belong here: what starts a
thread or opens a connection; neither outlives a fork.
"""

import gc
import os
import threading
from importlib import import_module

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy would start a thread for each core.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # A client without credentials would ask the network.

import boto3
import psutil
from PIL import Image

from ingest_assets import wiring
from ingest_assets.settings import Settings
from ingest_assets_tests.crash.scenarios import rehearsal
from ingest_assets_tests.crash.site import assembly, rehearse

for name in (
    "ingest_assets.cli.documents",
    "ingest_assets.cli.status",
    "ingest_assets_tests.support.textract_child",
    "ingest_assets.defs.instance",
    "dagster._daemon",
    "dagster._core.instance.factory",
    "dagster._core.execution.execute_in_process",
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.execution.plan.active",
    "dagster._core.instance.runs.run_domain",
    "dagster._core.secrets.loader",
    "ingest_assets.ocr.sandbox.plain_text",
    "psycopg2.extras",
    "pure_magic_rs",
    "upath",
    "watchdog.observers.polling",
):
    import_module(name)
Image.init()

_settings = Settings(_env_file=None, aws_region="us-east-1")
# Descriptions of S3, which take a tenth of a second to read; each keeps its own.
boto3.client("s3", region_name=_settings.aws_region)
wiring.object_store(_settings)
assembly()
rehearse(rehearsal)
# Neither outlives a fork, but a lock that a thread holds does.
assert threading.active_count() == 1, threading.enumerate()
assert psutil.Process().net_connections("tcp") == [], psutil.Process().net_connections("tcp")

# What is loaded stays. A process that looked through it for garbage would take as long for that as for
# a tenth of its work, and write to every page of it. What it makes itself is gone soon, with it.
gc.collect()
gc.freeze()
gc.disable()
