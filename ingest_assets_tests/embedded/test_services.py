"""The embedded Postgres and S3: what they keep, whom they refuse, how they end."""

from __future__ import annotations

import os
import signal
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg2
import pytest
from botocore.exceptions import ClientError

from ingest_assets.embedded import postgres
from ingest_assets.embedded.credentials import Credentials
from ingest_assets.embedded.environment import database_url
from ingest_assets.embedded.postgres import EmbeddedPostgres
from ingest_assets.embedded.processes import Privileges, is_alive
from ingest_assets.embedded.seaweedfs import EmbeddedS3, ensure_bucket, s3_client
from ingest_assets.embedded.stack import Stack
from ingest_assets.errors import ConfigurationError
from ingest_assets_tests.support.embedded import processes_of, wait_until
from ingest_assets_tests.support.servers import Services, embedded_settings
from ingest_assets_tests.test_hostile_files import unprivileged


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "data"
    (directory / "logs").mkdir(parents=True)
    yield directory
    assert wait_until(lambda: not processes_of(tmp_path))


def query(credentials: Credentials, statement: str) -> list[tuple[object, ...]]:
    url = database_url(credentials).set(database="postgres")
    connection = psycopg2.connect(url.render_as_string(hide_password=False))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_the_data_of_another_user_are_a_fault_with_a_remedy(tmp_path: Path) -> None:
    Credentials.read_or_create(tmp_path)
    Credentials.path(tmp_path).chmod(0)
    with unprivileged(), pytest.raises(ConfigurationError, match="belongs to another user") as error:
        Credentials.read(tmp_path)
    assert error.value.code == "data_dir_denied"


def test_committed_rows_survive_kill_9_of_the_postmaster(data_dir: Path) -> None:
    credentials = Credentials.read_or_create(data_dir)
    server = EmbeddedPostgres(data_dir, credentials)
    server.start()
    try:
        query(credentials, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.start()
        assert query(credentials, "SELECT count(*), sum(n) FROM t") == [(1000, 500500)]
    finally:
        server.stop()


def test_a_stale_pid_file_that_names_a_live_process_does_not_stop_postgres(data_dir: Path) -> None:
    credentials = Credentials.read_or_create(data_dir)
    server = EmbeddedPostgres(data_dir, credentials)
    server.start()
    server.stop()
    pid_file = server.directory / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{server.directory}\n0\n1\n\n127.0.0.1\n\nready\n")
    server.start()
    server.stop()


def test_a_postgres_that_its_owner_lost_is_ended_before_another_starts(data_dir: Path) -> None:
    credentials = Credentials.read_or_create(data_dir)
    lost = EmbeddedPostgres(data_dir, credentials)
    lost.start()
    lost_pid = lost.pid
    server = EmbeddedPostgres(data_dir, credentials)
    server.start()
    try:
        assert not lost.running
        assert server.pid != lost_pid
        assert query(credentials, "SELECT 1") == [(1,)]
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_service_that_does_not_start_again_at_once_is_tried_again(tmp_path: Path) -> None:
    said: list[str] = []
    settings = embedded_settings(tmp_path)
    stack = Stack(settings, "services", said.append)
    stack.start()
    try:
        (server,) = processes_of(tmp_path, "-D")
        configuration = settings.data_dir / "postgres" / "postgresql.auto.conf"
        good = configuration.read_text()
        configuration.write_text("in the way")
        server.kill()
        assert wait_until(lambda: not is_alive(server))
        stack.mend()
        assert "did not start" in said[-1]
        configuration.write_text(good)
        stack.mend()
        credentials = Credentials.read(settings.data_dir)
        assert credentials is not None
        assert query(credentials, "SELECT 1") == [(1,)]
    finally:
        stack.stop()


def test_root_falls_back_to_nobody_where_namespaces_are_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Not below pytest's directories, which are closed to everybody else.
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o711)
        data_dir = Path(directory) / "data"
        (data_dir / "logs").mkdir(parents=True)
        run_as_nobody(monkeypatch, data_dir)


def run_as_nobody(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    can_run = postgres._can_run
    reachable = can_run(Privileges(become=(65534, 65534)), Path("/"))
    monkeypatch.setattr(postgres, "_can_run", lambda who, where: not who.appear and can_run(who, where))
    credentials = Credentials.read_or_create(data_dir)
    server = EmbeddedPostgres(data_dir, credentials)
    if not reachable:
        with pytest.raises(ConfigurationError, match="INGEST_DATABASE_URL"):
            server.start()
        return
    server.start()
    try:
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().real == 65534
        assert query(credentials, "SELECT 1") == [(1,)]
    finally:
        server.stop()
    # The files stay those of the user that the server took: also when namespaces are allowed again.
    monkeypatch.undo()
    server.start()
    server.stop()


def test_text_is_utf_8_and_checksums_are_on(services: Services) -> None:
    connection = psycopg2.connect(services.environment["INGEST_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_encoding'), current_setting('data_checksums')")
        assert cursor.fetchone() == ("UTF8", "on")
        cursor.execute("SELECT lower('ÄÖ') = 'äö', to_tsvector('simple', '„Straße“ — 5') @@ 'straße'")
        assert cursor.fetchone() == (True, True)
    connection.close()


def test_postgres_refuses_a_wrong_password(services: Services) -> None:
    connection_string = services.environment["INGEST_DATABASE_URL"]
    password = services.environment["PGPASSWORD"]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(connection_string.replace(password, "wrong"))


def test_acknowledged_objects_survive_kill_9_and_a_change_of_ports(data_dir: Path) -> None:
    credentials = Credentials.read_or_create(data_dir)
    server = EmbeddedS3(data_dir, credentials)
    server.start()
    try:
        ensure_bucket(credentials, "kept")
        client = s3_client(credentials)
        for number in range(50):
            client.put_object(Bucket="kept", Key=f"{number}", Body=bytes([number]) * 10_000)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        credentials.s3.ports = type(credentials.s3.ports).choose()
        server.start()
        client = s3_client(credentials)
        for number in range(50):
            body = client.get_object(Bucket="kept", Key=f"{number}")["Body"].read()
            assert body == bytes([number]) * 10_000
    finally:
        server.stop()
    sockets = [
        f"{port + extra}"
        for port in credentials.s3.ports.model_dump().values()
        for extra in (0, 10_000)
    ]
    assert not [
        path for path in Path("/tmp").glob("seaweedfs-*.sock") if path.stem.split("-")[-1] in sockets
    ]


def test_s3_refuses_a_wrong_secret(services: Services, bucket: str) -> None:
    with pytest.raises(ClientError) as refusal:
        services.new_s3_client("wrong" * 8).put_object(Bucket=bucket, Key="a", Body=b"a")
    assert refusal.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    services.s3_client().put_object(Bucket=bucket, Key="a", Body=b"a")


def test_the_parts_of_s3_refuse_requests_without_a_token(services: Services, bucket: str) -> None:
    services.s3_client().put_object(Bucket=bucket, Key="documents/a.txt", Body=b"secret")
    credentials = Credentials.read(services.settings.data_dir)
    assert credentials is not None
    ports = credentials.s3.ports
    for method, url in (
        ("GET", f"http://127.0.0.1:{ports.filer}/buckets/{bucket}/documents/a.txt"),
        ("PUT", f"http://127.0.0.1:{ports.filer}/buckets/{bucket}/documents/b.txt"),
        ("DELETE", f"http://127.0.0.1:{ports.filer}/buckets/{bucket}/documents/a.txt"),
        ("DELETE", f"http://127.0.0.1:{ports.volume}/1,01637037d6"),
        ("GET", f"http://127.0.0.1:{ports.s3}/{bucket}/documents/a.txt"),
    ):
        request = urllib.request.Request(url, method=method, data=b"evil" if method == "PUT" else None)
        with pytest.raises(urllib.error.HTTPError, match=r"40[13]"):
            urllib.request.urlopen(request, timeout=240)
    body = services.s3_client().get_object(Bucket=bucket, Key="documents/a.txt")["Body"]
    assert body.read() == b"secret"


def test_nothing_listens_beyond_the_loopback_interface(services: Services) -> None:
    listening = [
        connection.laddr
        for process in processes_of(services.settings.data_dir.parent)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 5
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_credentials_are_readable_by_their_owner_alone(services: Services) -> None:
    data_dir = services.settings.data_dir
    assert stat.S_IMODE((data_dir / "credentials.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) & 0o066 == 0
    for directory in ("postgres", "s3", "logs"):
        assert stat.S_IMODE((data_dir / directory).stat().st_mode) == 0o700


def test_lost_credentials_are_told_before_anything_is_overwritten(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    with pytest.raises(ConfigurationError, match=r"credentials\.json is gone"):
        Credentials.read_or_create(data_dir)


def test_a_platform_without_seaweedfs_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest_assets.embedded import processes, seaweedfs

    monkeypatch.setattr(processes, "files", lambda _: None)
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL_S3"):
        seaweedfs.binary()
