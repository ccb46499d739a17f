"""Checking that Textract can be used: before the first job, and for `verify --engine`.

Belongs here: checks that cost nothing. Does not belong here: anything about a document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from ingest_assets.errors import ConfigurationError, IngestError, PermanentError
from ingest_assets.ocr.textract import faults
from ingest_assets.store.object_store import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_textract import TextractClient

# Each probe overwrites it, so that no right to remove objects is needed.
_PROBE_KEY = "derived/textract-probe"
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def probe(client: TextractClient, objects: ObjectStore) -> list[str]:
    """Make sure that Textract can be called, and can read the bucket. Nothing is billed.

    Textract is asked to start a job on an object that is no document, `derived/textract-probe`. It
    answers "unsupported document" if it knows the caller, lets it start jobs, and has read the object.

    Returns:
        What was found, a sentence each.

    Raises:
        ConfigurationError: what is wrong, and which setting to look at.
        TransientError: Textract or S3 does not answer just now.
    """
    region = client.meta.region_name
    found = [_endpoints(client, objects), _region(region, objects)]
    key = _PROBE_KEY
    objects.put_derived(key, b"No document: does Textract read this bucket?\n", "text/plain")
    try:
        client.start_document_text_detection(
            DocumentLocation={"S3Object": {"Bucket": objects.bucket, "Name": key}}
        )
    except ClientError as error:
        fault = faults.fault_of(error)
        if fault.code == faults.OBJECT_NOT_READ:
            raise ConfigurationError(
                "textract_cannot_read_bucket",
                f"Textract in {region} lets us call it, but cannot read {objects.uri(key)}, which we "
                f"have just written: {error}.",
            ) from error
        if fault.kind == "throttled":
            # It knows the caller. Whether it can read the bucket, only the first job will show.
            return [*found, f"Textract knows the caller, but is busy ({fault.code})."]
        if fault.code != faults.NOT_TAKEN:
            raise _typed(error) from error
    except BotoCoreError as error:
        raise _typed(error) from error
    return [*found, f"Textract in {region} lets the caller start jobs, and reads {objects.bucket}."]


def _typed(error: BotoCoreError | ClientError) -> IngestError:
    typed = faults.typed(error, "a probe before the first job")
    if isinstance(typed, PermanentError):  # There is no document that could be at fault.
        return ConfigurationError(typed.code, typed.message, typed.remedy)
    return typed


def _endpoints(client: TextractClient, objects: ObjectStore) -> str:
    """Make sure that Textract can reach the bucket: Amazon's Textract reads Amazon's S3 only."""
    textract, s3 = (urlsplit(one.meta.endpoint_url).hostname or "" for one in (client, objects.client))
    if textract.endswith(_AMAZON) and not s3.endswith(_AMAZON):
        raise ConfigurationError(
            "textract_cannot_read_bucket",
            f"The documents are in an S3 at {s3}, which Amazon's Textract cannot read.",
            "Set INGEST_S3=aws and INGEST_S3_BUCKET to a bucket of Amazon's, or set "
            "AWS_ENDPOINT_URL_TEXTRACT to a stand-in.",
        )
    return f"Textract is at {textract}, S3 at {s3}."


def _region(region: str, objects: ObjectStore) -> str:
    bucket_region = objects.region()
    if bucket_region is None:
        return f"The S3 endpoint does not say in which region {objects.bucket} lies."
    if bucket_region != region:
        raise ConfigurationError(
            "textract_in_another_region",
            f"Bucket {objects.bucket} lies in {bucket_region}, but Textract is called in {region}.",
            f"Set AWS_REGION to {bucket_region}.",
        )
    return f"Bucket {objects.bucket} lies in {region}, too."
