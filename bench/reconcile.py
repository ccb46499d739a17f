"""Reconciling a synthetic bucket with as many rows, against a bare listing of the same bucket.

    python bench/reconcile.py --objects 1000000

Needs `INGEST_DATABASE_URL`; works in a database of its own there, which it drops. The rows are real.
The bucket is not: boto3 lists it, but each page of 1,000 comes from this process, so neither network
nor server is in the measurement, and the listing is as fast as it can be. Memory is the peak of the
process that looks.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import boto3
import click
import psycopg2
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from sqlalchemy import make_url

from ingest_assets.operations.reconcile.inventory import PREFIX, Inventory
from ingest_assets.operations.reconcile.plan import write_plan
from ingest_assets.store.database import Database, migrate
from ingest_assets.store.object_store import ObjectStore

BUCKET = "synthetic"
_PAGE = 1_000
_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2025-06-05T03:14:15.000Z</LastModified>"
    "<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
# One in so many objects has no row, and one in so many rows has no object; the two never meet.
_ANOMALY_EVERY = 10_000
_FILL = """
    INSERT INTO ingest.document_sources
        (partition_key, source_uri, kind, original_file_name, size_bytes, source_version, batch_id)
    SELECT 'document-' || lpad(to_hex(n), 12, '0'), 'file:///input/document ' || n || '.pdf', 'file',
           'document ' || n || '.pdf', 1000 + n, n::text, '00000000-0000-0000-0000-000000000000'
    FROM generate_series(0, %(count)s - 1) AS n;
    INSERT INTO ingest.source_documents
        (document_uuid, sha256, original_file_name, s3_bucket, object_name, s3_etag, file_size_bytes,
         mime_type, partition_key, created_at, upload_timestamp)
    SELECT (lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000')::uuid,
           lpad(to_hex(n), 64, '0'), 'document ' || n || '.pdf', %(bucket)s, 'document_' || n || '.pdf',
           lpad(to_hex(n), 32, '0'), 1000 + n, 'application/pdf',
           'document-' || lpad(to_hex(n), 12, '0'), '2025-06-05', '2025-06-05'
    FROM generate_series(0, %(count)s - 1) AS n WHERE n %% %(every)s <> 1;
    ANALYZE ingest.source_documents;
"""


def key_of(number: int) -> str:
    return f"{PREFIX}{UUID(f'{number:08x}-0000-4000-8000-000000000000')}/document_{number}.pdf"


def answer(count: int, request: Any, **_: Any) -> AWSResponse:
    """What S3 would answer to this request of boto3."""
    if request.method == "HEAD":
        return AWSResponse(request.url, 404, HTTPHeaders(), _Raw(b""))
    query = request.url.partition("continuation-token=")[2].partition("&")[0]
    first = int(query or 0)
    numbers = range(first, min(first + _PAGE, count))
    entries = "".join(
        _ENTRY.format(key=key_of(n), etag=f"{n:032x}", size=1000 + n)
        for n in numbers
        if n % _ANOMALY_EVERY != 2
    )
    more = first + _PAGE < count
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix>{PREFIX}</Prefix><MaxKeys>1000</MaxKeys>"
        f"<KeyCount>{len(numbers)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
        + (f"<NextContinuationToken>{first + _PAGE}</NextContinuationToken>" if more else "")
        + f"{entries}</ListBucketResult>"
    )
    return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(body.encode()))


class _Raw:
    """A response's body, as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def synthetic_bucket(count: int) -> ObjectStore:
    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    client.meta.events.register("before-send.s3", cast(Any, partial(answer, count)))
    return ObjectStore(client, BUCKET)


def measure(what: str, count: int, url: str) -> dict[str, Any]:
    """In a process of its own, because memory is its peak."""
    objects = synthetic_bucket(count)
    started = time.perf_counter()
    if what == "listing":
        counts = {"objects": sum(1 for _ in objects.listing(PREFIX))}
    else:
        inventory = Inventory(Database(url), objects, in_flight_seconds=60)
        write_plan(inventory, Path(os.environ["BENCH_PLAN"]))
        counts = inventory.counts
    return {
        "seconds": time.perf_counter() - started,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "counts": counts,
    }


@click.command()
@click.option("--objects", "count", default=1_000_000, show_default=True, help="Objects and rows.")
@click.option("--rounds", default=3, show_default=True, help="Measurements; the best is printed.")
@click.option("--only", hidden=True)
def main(count: int, rounds: int, only: str | None) -> None:
    """Measure."""
    if only:
        print(json.dumps(measure(only, count, os.environ["INGEST_DATABASE_URL"])))
        return
    server = make_url(os.environ["INGEST_DATABASE_URL"])
    name = f"bench_{secrets.token_hex(4)}"
    admin = psycopg2.connect(server.render_as_string(hide_password=False))
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {name}")
    url = server.set(database=name).render_as_string(hide_password=False)
    plan = Path(tempfile.gettempdir(), f"{name}.jsonl")
    try:
        migrate(url)
        with psycopg2.connect(url) as filling:
            filling.cursor().execute(_FILL, {"count": count, "bucket": BUCKET, "every": _ANOMALY_EVERY})
        filling.close()
        environment = {**os.environ, "INGEST_DATABASE_URL": url, "BENCH_PLAN": str(plan)}
        best: dict[str, dict[str, Any]] = {}
        for _ in range(rounds):
            for what in ("listing", "reconcile"):
                command = [sys.executable, __file__, "--objects", str(count), "--only", what]
                found = json.loads(subprocess.check_output(command, env=environment))
                if what not in best or found["seconds"] < best[what]["seconds"]:
                    best[what] = found
    finally:
        admin.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
        plan.unlink(missing_ok=True)
    bare = best["listing"]["seconds"]
    for what, found in best.items():
        print(
            f"{what:<10} {found['seconds']:8.1f} s  {found['seconds'] / bare:5.2f} x  "
            f"{found['peak_mb']:6.0f} MB  {found['counts']}"
        )


if __name__ == "__main__":
    main()
