"""Services that are configured: used when right, and named in one sentence when wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from ingest_assets.embedded.configured import check_bucket, ensure_database
from ingest_assets.embedded.environment import dagit_url, dagster_home, parse_database_url
from ingest_assets.embedded.stack import make_dagster_home
from ingest_assets.errors import ConfigurationError
from ingest_assets.settings import Settings
from ingest_assets_tests.support.embedded import cli, processes_of
from ingest_assets_tests.support.servers import Services

SECRET = "sesame-9f2c"


def configured(services: Services, **changes: str) -> dict[str, str]:
    """The session's servers, as if somebody else ran them."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    environment = {name: services.environment[name] for name in names}
    environment["INGEST_DATABASE_URL"] = services.environment["INGEST_DATABASE_URL"]
    return {**environment, **changes}


def test_configured_services_are_used_and_none_is_started(
    services: Services, tmp_path: Path, database_url: str, bucket: str
) -> None:
    settings = configured(services, INGEST_DATABASE_URL=database_url, INGEST_S3_BUCKET=bucket)
    try:
        started = cli(tmp_path, "services", "start", **settings)
        assert started.returncode == 0, started.stderr
        printed = cli(tmp_path, "env", **settings).stdout
        assert services.environment["AWS_ENDPOINT_URL_S3"] in printed
        assert make_url(database_url).database in printed  # type: ignore[operator]
        assert not (tmp_path / "data" / "postgres").exists()
        assert not (tmp_path / "data" / "s3").exists()
        with psycopg2.connect(f"{database_url}_dagster"):
            pass
    finally:
        cli(tmp_path, "services", "stop")
        assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@127.0.0.1:port/db",
        f"postgresql://u:{SECRET}@{SECRET}@127.0.0.1/db",
        f"postgresql://u:{SECRET}@127.0.0.1",
        f"mysql://u:{SECRET}@127.0.0.1/db",
        SECRET,
    ],
)
def test_what_is_no_address_is_named_but_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="INGEST_DATABASE_URL") as refusal:
        parse_database_url(SecretStr(url), "INGEST_DATABASE_URL")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "wrong",
    ["password", *(pytest.param(wrong, marks=pytest.mark.slow) for wrong in ("port", "database"))],
)
def test_what_refuses_at_start_is_named_in_one_line_without_the_password(
    services: Services, tmp_path: Path, wrong: str
) -> None:
    url = make_url(services.environment["INGEST_DATABASE_URL"])
    changes = {
        "password": (url.set(password=SECRET), "password authentication failed"),
        "port": (url.set(password=SECRET, port=1), "Connection refused"),
        "database": (url.set(database="absent"), "does not exist"),
    }
    changed, reason = changes[wrong]
    address = changed.render_as_string(hide_password=False)
    result = cli(tmp_path, "services", "start", **configured(services, INGEST_DATABASE_URL=address))
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "INGEST_DATABASE_URL" in result.stderr
    assert reason in result.stderr
    for secret in (SECRET, str(url.password)):
        assert secret not in result.stderr + result.stdout
    assert processes_of(tmp_path) == []


def test_a_role_that_may_not_create_dagsters_database_is_told_what_to_set(
    services: Services, database_url: str
) -> None:
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE limited LOGIN PASSWORD '{SECRET}'")
        try:
            url = make_url(database_url).set(username="limited", password=SECRET)
            with pytest.raises(ConfigurationError, match="INGEST_DAGSTER_DATABASE_URL") as refusal:
                ensure_database(url.set(database="absent"), "INGEST_DAGSTER_DATABASE_URL", through=url)
            assert SECRET not in str(refusal.value)
        finally:
            cursor.execute("DROP ROLE limited")
    connection.close()


@pytest.mark.parametrize(
    ("changes", "bucket_name", "setting"),
    [
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "documents-store", "AWS_ENDPOINT_URL_S3"),
        ({"AWS_ACCESS_KEY_ID": "NOBODY"}, "documents-store", "AWS_ACCESS_KEY_ID"),
        ({"AWS_SECRET_ACCESS_KEY": SECRET}, "documents-store", "AWS_SECRET_ACCESS_KEY"),
        ({}, "no-such-bucket", "INGEST_S3_BUCKET"),
    ],
)
def test_what_is_wrong_with_s3_is_named(
    services: Services, changes: dict[str, str], bucket_name: str, setting: str
) -> None:
    with pytest.raises(ConfigurationError, match=setting) as refusal:
        check_bucket(bucket_name, configured(services, **changes))
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_way_to_write_the_scheme_becomes_the_one_that_psql_takes(scheme: str) -> None:
    url = parse_database_url(SecretStr(f"{scheme}://u:p%40ss@host:5433/db?sslmode=require"), "X")
    assert url.render_as_string(hide_password=False) == (
        "postgresql://u:p%40ss@host:5433/db?sslmode=require"
    )


def test_links_lead_to_the_proxy_where_one_is_named(tmp_path: Path) -> None:
    here = Settings(data_dir=tmp_path, dagit_port=3456)
    assert dagit_url(here) == "http://127.0.0.1:3456"
    behind = here.model_copy(update={"dagit_url": "https://dagit.example.org/ingest/"})
    assert dagit_url(behind) == "https://dagit.example.org/ingest"


def test_dagster_home_never_has_half_a_configuration(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    make_dagster_home(settings)
    configuration = dagster_home(settings) / "dagster.yaml"
    whole = configuration.read_bytes()
    with ThreadPoolExecutor(4) as workers:
        made = [workers.submit(make_dagster_home, settings) for _ in range(200)]
        while not all(one.done() for one in made):
            assert configuration.read_bytes() == whole
        assert [one.result() for one in made] == [None] * 200
    assert [path.name for path in configuration.parent.iterdir()] == ["dagster.yaml"]
