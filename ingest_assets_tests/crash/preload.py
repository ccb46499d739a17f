"""What the server that processes are forked from has loaded before it is asked for the first."""

import boto3

import ingest_assets_tests.conftest
import ingest_assets_tests.crash.scenarios  # noqa: F401

# The description of S3 alone takes a tenth of a second to read.
boto3.client("s3", region_name="us-east-1")
