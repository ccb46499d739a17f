"""The Postgres and the S3 that are configured: do they answer, and if not, which setting is wrong?

Belongs here: checking a service once, before anything starts, and creating an empty database. Each
error is one sentence that names the setting and holds no secret. Does not belong here: errors in the
middle of work (`store`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import psycopg2
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from psycopg2 import errorcodes, sql
from sqlalchemy import URL

from ingest_assets.errors import ConfigurationError
from ingest_assets.store.aws_faults import classify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg2.extensions import connection as Connection  # noqa: N812

_CONNECT_SECONDS = 10


def connect(url: URL, setting: str) -> Connection:
    """Connect to a database; the caller closes the connection.

    Raises:
        ConfigurationError: Postgres refuses or does not answer; the sentence names `setting` and says
            why.
    """
    try:
        return psycopg2.connect(
            url.render_as_string(hide_password=False), connect_timeout=_CONNECT_SECONDS
        )
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        if url.password:
            reason = reason.replace(str(url.password), "***")
        raise ConfigurationError(
            "database_unreachable",
            f"{setting}, {url.render_as_string(hide_password=True)}, cannot be used: {reason}.",
        ) from None  # psycopg2's message may hold the password.


def check_database(url: URL, setting: str) -> None:
    """Make sure that a connection to a database can be made.

    Raises:
        ConfigurationError: it cannot.
    """
    connect(url, setting).close()


def ensure_database(url: URL, setting: str, *, through: URL) -> None:
    """Make sure that a database exists and can be connected to; create it if it is missing.

    Args:
        url: the database that is needed.
        setting: the variable that names it, or could.
        through: a database that exists. If it is on the same server, `url` is created over a connection
            to it; on another server `url` has to exist.

    Raises:
        ConfigurationError: it cannot be connected to, or the user may not create it.
    """
    if (url.host, url.port) != (through.host, through.port):
        check_database(url, setting)
        return
    connection = connect(through, setting)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (url.database,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(url.database))))
    except psycopg2.Error as error:
        if error.pgcode != errorcodes.DUPLICATE_DATABASE:
            raise ConfigurationError(
                "database_not_created",
                f"There is no database {url.database}, and {through.username} may not create it: "
                f"{str(error).strip().splitlines()[0]}.",
                f"Create it, or set {setting} to one that is there.",
            ) from None
    finally:
        connection.close()
    check_database(url, setting)


def check_bucket(
    bucket: str,
    environment: Mapping[str, str],
    setting: str = "INGEST_S3_BUCKET",
    prefix: str = "",
) -> None:
    """Make sure that the bucket exists and may be listed.

    Args:
        bucket: its name.
        environment: the AWS variables that Dagster's processes will get. What is not among them
            botocore finds in its own ways, such as a profile or a role.
        setting: the variable that names the bucket.
        prefix: what may be listed of it.

    Raises:
        ConfigurationError: it does not, or may not; the sentence names the setting to look at.
    """
    endpoint = environment.get("AWS_ENDPOINT_URL_S3")
    where = f"AWS_ENDPOINT_URL_S3, {endpoint}," if endpoint else "Amazon S3 (INGEST_S3=aws)"
    try:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=environment.get("AWS_REGION"),
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                retries={"mode": "standard", "total_max_attempts": 2},
            ),
        )
        client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except (BotoCoreError, ClientError) as error:
        fault = classify(error)
        if fault.status:
            raise ConfigurationError(
                "bucket_refused",
                f"{where} refuses the bucket {bucket} ({fault.code}).",
                _remedy(fault.code, setting),
            ) from error
        if fault.kind == "refused":
            raise ConfigurationError(
                "no_s3_credentials",
                f"There are no credentials for {where.removesuffix(',')}: {fault.said}",
            ) from error
        raise ConfigurationError("s3_unreachable", f"{where} does not answer: {fault.said}") from error
    except ValueError as error:
        raise ConfigurationError("s3_unreachable", f"{where} is no address: {error}") from error


def _remedy(code: str, setting: str) -> str:
    """Return which setting to look at, by S3's error code."""
    match code:
        case "NoSuchBucket" | "InvalidBucketName":
            return f"Create the bucket, or set {setting} to one that is there."
        case "InvalidAccessKeyId":
            return "Check AWS_ACCESS_KEY_ID."
        case "SignatureDoesNotMatch":
            return "Check AWS_SECRET_ACCESS_KEY."
        case "ExpiredToken" | "InvalidToken":
            return "Check AWS_SESSION_TOKEN."
        case "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraint":
            return "Check AWS_REGION: the bucket is in another region."
        case _:
            return f"Check {setting} and what AWS_ACCESS_KEY_ID is allowed to do."
