"""What goes wrong beside the work is logged: it fails no document, and nobody would hear of it else."""

from __future__ import annotations

import hashlib
import io
import os
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from ingest_assets.errors import IngestError
from ingest_assets.store.attempts import Begin, begin_attempts, close_abandoned, end_attempts
from ingest_assets.store.database import Database
from ingest_assets.store.models import DocumentSource
from ingest_assets.store.object_store import PART_BYTES, ObjectStore
from ingest_assets_tests.support.faulty_s3 import faulty_s3
from ingest_assets_tests.support.servers import Services


def test_an_upload_that_cannot_be_taken_back(
    services: Services, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The error of the upload itself is raised; that of taking its parts back is logged."""
    content = os.urandom(2 * PART_BYTES)
    with faulty_s3(services.environment["AWS_ENDPOINT_URL_S3"]) as proxy:
        client = boto3.client(
            "s3",
            endpoint_url=proxy.url,
            aws_access_key_id=services.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=services.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=services.environment["AWS_REGION"],
            config=Config(retries={"total_max_attempts": 1}),
        )
        proxy.choose = lambda method, path: (
            "slow down" if "uploadId=" in path and method in ("PUT", "DELETE") else None
        )
        with pytest.raises(IngestError, match="SlowDown"):
            ObjectStore(client, bucket).put_new(
                "documents/x/name",
                io.BytesIO(content),
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                mime_type="text/plain",
                metadata={},
            )
    (record,) = caplog.records
    assert record.name == "ingest_assets.store.object_store"
    assert f"to s3://{bucket}/documents/x/name stay behind" in record.getMessage()
    for upload in services.s3_client().list_multipart_uploads(Bucket=bucket)["Uploads"]:
        services.s3_client().abort_multipart_upload(
            Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
        )


def test_an_attempt_that_another_run_closed(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Both runs say so: the one that took the document over, and the one that comes back too late."""
    with database.engine.begin() as connection:
        connection.execute(
            DocumentSource.__table__.insert().values(  # type: ignore[attr-defined]
                partition_key="note-0123456789ab",
                source_uri="file:///note.txt",
                kind="file",
                original_file_name="note.txt",
                size_bytes=1,
                source_version="1",
                batch_id=uuid4(),
            )
        )
        begin = Begin("note-0123456789ab", None, "document_row")
        (first,) = begin_attempts(connection, [begin], "run-1")
        assert not caplog.records
        close_abandoned(connection, [begin.partition_key])
        (second,) = begin_attempts(connection, [begin], "run-2")
        end_attempts(connection, {first: None, second: None})
    taken, late = [record.getMessage() for record in caplog.records]
    assert taken.startswith(
        f"Attempt {first} (document_row of note-0123456789ab) was left running by run run-1"
    )
    assert late.startswith(f"Attempt {first} has ended, but another run closed it")
