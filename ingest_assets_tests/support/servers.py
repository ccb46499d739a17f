"""The servers that tests work with: one private Postgres and S3, and databases and buckets on them.

Belongs here: starting, and making what a test has to itself. Does not belong here: what is put there.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psycopg2
from psycopg2 import sql
from sqlalchemy import make_url

from ingest_assets.embedded.stack import Stack, make_storage
from ingest_assets.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# Settings of a pipeline that waits for nothing.
AT_ONCE: Mapping[str, Any] = {
    "settle_seconds": 0,
    "second_look_seconds": 0,
    "in_flight_seconds": 0,
    "retry_cool_down_seconds": 0,
}


_clients: dict[tuple[str, str], S3Client] = {}


@dataclass(frozen=True)
class Services:
    """Servers that run.

    Attributes:
        settings: the settings that they were started with.
        environment: the variables with which a child process, or `monkeypatch.setenv`, finds them.
    """

    settings: Settings
    environment: dict[str, str]

    def s3_client(self) -> S3Client:
        """The client of the S3 that all tests of a process share: to make one takes 10 ms."""
        whose = self.environment["AWS_ENDPOINT_URL_S3"], self.environment["AWS_SECRET_ACCESS_KEY"]
        if whose not in _clients:
            _clients[whose] = self.new_s3_client()
        return _clients[whose]

    def new_s3_client(self, secret_access_key: str | None = None) -> S3Client:
        """A client of the caller's own, with the right secret or another."""
        return boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret_access_key or self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        )

    def settings_of(self, input_dir: Path, bucket: str, **changes: Any) -> Settings:
        """Settings of a pipeline on these servers that waits for nothing."""
        return self.settings.model_copy(
            update={
                "input_dir": input_dir,
                "s3_bucket": bucket,
                **AT_ONCE,
                "aws_region": self.environment["AWS_REGION"],
                **changes,
            }
        )


def embedded_settings(directory: Path) -> Settings:
    """Settings that embed both services below a directory, whatever the environment says."""
    return Settings(
        _env_file=None,
        data_dir=directory / "data",
        input_dir=directory / "input",
        database_url=None,
        dagster_database_url=None,
        s3="auto",
        s3_bucket="documents-store",
        aws_endpoint_url_s3=None,
        aws_region=None,
    )


@contextmanager
def running_services(directory: Path) -> Iterator[Services]:
    """One Postgres and one S3 below a directory."""
    settings = embedded_settings(directory)
    stack = Stack(settings, "services", print)
    stack.start()
    try:
        services = Services(settings, make_storage(settings))
        _spare_the_disk(services)
        yield services
    finally:
        stack.stop()


def _spare_the_disk(services: Services) -> None:
    """Let Postgres commit without the disk: tests kill processes, which the system's cache outlives.

    And let it clean up nothing: databases live for seconds.
    """
    with closing(psycopg2.connect(services.environment["INGEST_DATABASE_URL"])) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            cursor.execute(f"ALTER SYSTEM SET {setting} = off")
        cursor.execute("SELECT pg_reload_conf()")


@contextmanager
def new_database(services: Services, copy_of: str | None = None) -> Iterator[str]:
    """The URL of a new database, `postgresql://…`; dropped afterwards.

    Args:
        copy_of: URL of the database that it is a copy of, to which nothing may be connected; without
            it, it is empty.
    """
    server = make_url(services.environment["INGEST_DATABASE_URL"])
    name = f"test_{secrets.token_hex(6)}"
    template = str(make_url(copy_of).database) if copy_of else "template0"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with closing(psycopg2.connect(server.render_as_string(hide_password=False))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            cursor.execute(drop.format(sql.Identifier(name)))


def disconnect(services: Services, database_url: str) -> None:
    """End all sessions of a database, so that it can be copied."""
    with closing(psycopg2.connect(services.environment["INGEST_DATABASE_URL"])) as connection:
        connection.cursor().execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            (make_url(database_url).database,),
        )


@contextmanager
def new_bucket(services: Services, copy_of: str | None = None) -> Iterator[str]:
    """The name of a new bucket; removed afterwards with all that is in it.

    Args:
        copy_of: the bucket whose objects it begins with, with their metadata; without it, it is empty.
    """
    client = services.s3_client()
    name = f"test-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=name)
    try:
        if copy_of:
            for key in _keys(client, copy_of):
                client.copy_object(Bucket=name, Key=key, CopySource={"Bucket": copy_of, "Key": key})
        yield name
    finally:
        for upload in client.list_multipart_uploads(Bucket=name).get("Uploads", []):
            client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        for key in _keys(client, name):
            client.delete_object(Bucket=name, Key=key)
        client.delete_bucket(Bucket=name)


def _keys(client: S3Client, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]
