"""`ingest-assets dev` from outside: what it shows, how it ends, what it leaves."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from ingest_assets.embedded import stack
from ingest_assets.embedded.credentials import Credentials
from ingest_assets.embedded.dev import choose_dagit_port
from ingest_assets.embedded.environment import database_url
from ingest_assets.embedded.stack import make_input_directory
from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.status import runs_not_started
from ingest_assets.settings import Settings
from ingest_assets.store.database import Database
from ingest_assets_tests.support.embedded import (
    CLI,
    PROJECT,
    clean_environment,
    cli,
    processes_of,
    wait_until,
)

START_SECONDS = 240
SLEEPING = PROJECT / "ingest_assets_tests" / "support" / "sleeping"


class Dev:
    """One `ingest-assets dev`."""

    def __init__(self, directory: Path, *words: str, **extra: str) -> None:
        self._directory = directory
        self._output = directory / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*CLI, "dev", "--port", "0", *words],
                cwd=directory,
                env=clean_environment(directory, **extra),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for_dagit(self) -> str:
        """Wait for the line with the address, and return the address."""
        wait_until(
            lambda: "Ctrl-C stops it" in self.output or self.process.poll() is not None,
            START_SECONDS,
        )
        found = re.search(r"Dagit +(http://\S+)", self.output)
        assert found, self.output
        return found.group(1)

    def wait_for_dagster(self) -> psutil.Process:
        """Wait until Dagster begins to start processes, and return the one that starts the others."""
        found: list[psutil.Process] = []

        def started() -> bool:
            for process in processes_of(self._directory):
                with suppress(psutil.NoSuchProcess):
                    if process.cmdline()[1:4] == ["-m", "dagster", "dev"] and process.children():
                        found.append(process)
            return bool(found)

        assert wait_until(started, START_SECONDS, pause=0.5), self.output
        return found[0]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for process in processes_of(tmp_path):
        process.kill()


@contextmanager
def asked(directory: Path) -> Iterator[Callable[[str], bool]]:
    """Tells whether the documents' database has a row for a query."""
    credentials = Credentials.read(directory / "data")
    assert credentials is not None
    with closing(Database(database_url(credentials).render_as_string(hide_password=False))) as database:

        def there(question: str) -> bool:
            with database.engine.connect() as connection:
                return connection.execute(text(question)).first() is not None

        yield there


@pytest.mark.long
def test_dev_runs_until_sigterm_and_leaves_no_process(directory: Path) -> None:
    (directory / "input").mkdir()
    (directory / "input" / "note.txt").write_bytes(b"A note.")
    (directory / "input" / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    dev = Dev(directory)
    url = dev.wait_for_dagit()
    with urllib.request.urlopen(f"{url}/server_info", timeout=240) as response:
        assert response.status == 200
    assert str(directory / "input") in dev.output
    second = cli(directory, "dev")
    assert second.returncode == 1
    assert f"already runs on {directory / 'data'}, in process {dev.process.pid}" in second.stderr
    assert "ingest-assets dev" in cli(directory, "services", "stop").stderr
    assert cli(directory, "env").returncode == 0
    with asked(directory) as there:
        failed = "SELECT FROM ingest.document_progress WHERE state = 'failed'"
        assert wait_until(lambda: there(failed), pause=0.5)
    assert '"failed": 1' in cli(directory, "status", "--json").stdout
    no_secret_shows(directory, dev)
    # Links lead to the Dagit that runs, whatever its port.
    assert f"{url}/runs/" in cli(directory, "why", "broken.pdf").stdout
    dev.process.send_signal(signal.SIGTERM)
    assert dev.process.wait(240) == 0
    assert processes_of(directory) == []
    assert "Stopped." in dev.output
    assert "Traceback" not in dev.output


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_that_joins_while_work_waits_helps_at_once(directory: Path) -> None:
    """Recognition sleeps: what counts is how soon the second worker has a run."""
    (directory / "input").mkdir()
    for number in range(8):
        (directory / "input" / f"{number}.txt").write_text(
            f"10 seconds are taken by document {number}."
        )
    extra = {
        "PYTHONPATH": f"{SLEEPING}:{PROJECT}",
        "INGEST_OCR_WORKERS": "1",
        "INGEST_MAX_DOCUMENTS_PER_RUN": "1",
    }
    dev = Dev(directory, "--workers", "1", **extra)
    dev.wait_for_dagit()
    assert "Workers   1, " in dev.output
    with asked(directory) as there:
        assert wait_until(lambda: there("SELECT FROM ingest.run_leases"), START_SECONDS)
        with (directory / "joined").open("wb") as output:
            joined = subprocess.Popen(
                [*CLI, "worker"],
                cwd=directory,
                env=clean_environment(directory, **extra),
                stdout=output,
                stderr=output,
            )
        name = f"%-{joined.pid}"
        came = f"SELECT FROM ingest.workers WHERE name LIKE '{name}'"
        assert wait_until(lambda: there(came), START_SECONDS), (directory / "joined").read_text()
        helps = f"SELECT FROM ingest.run_leases WHERE worker LIKE '{name}'"
        assert wait_until(lambda: there(helps))
    for process in (joined, dev.process):
        process.send_signal(signal.SIGTERM)
        process.wait(90)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ingestion_goes_on_beside_twenty_programs_that_compute(directory: Path) -> None:
    dev = Dev(directory)
    dev.wait_for_dagit()
    texts = directory / "texts"
    texts.mkdir()
    for number in range(120):  # Two runs.
        (texts / f"{number}.txt").write_text(f"This is text {number} of Acme, Inc. of May 5, 2001.")
    with busy(20):
        texts.rename(directory / "input" / "texts")
        assert wait_until(
            lambda: '"completed": 120' in cli(directory, "status", "--json").stdout, 420
        ), cli(directory, "status").stdout
    credentials = Credentials.read(directory / "data")
    assert credentials is not None
    documents = database_url(credentials)
    with closing(Database(documents.render_as_string(hide_password=False))) as database:
        with database.engine.connect() as connection:
            attempts = connection.exec_driver_sql(
                "SELECT status, count(*), count(DISTINCT run_id) FROM ingest.stage_attempts GROUP BY 1"
            ).all()
        # No document failed, and no run was cut off and its batch launched again.
        assert attempts == [("succeeded", 600, 2)]
    dagster = documents.set(database=f"{documents.database}_dagster")
    with closing(Database(dagster.render_as_string(hide_password=False))) as database:
        assert runs_not_started(database) == 0


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Processes that compute all the time, at the same priority."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def no_secret_shows(directory: Path, dev: Dev) -> None:
    """Nothing listens but on loopback, and no output, log, event, tag or row holds a password."""
    credentials = Credentials.read(directory / "data")
    assert credentials is not None
    secrets = [credentials.postgres.password, credentials.s3.secret_access_key]
    shown = {"the output of dev": dev.output.encode()}
    for process in processes_of(directory):
        with suppress(psutil.NoSuchProcess):
            shown[f"the command line of {process.pid}"] = repr(process.cmdline()).encode()
            for opened in process.net_connections():
                if opened.status == psutil.CONN_LISTEN:
                    assert ip_address(opened.laddr.ip).is_loopback, process.cmdline()
    for place in ("logs", "dagster_home", "plans"):
        for path in (directory / "data" / place).rglob("*"):
            if path.is_file():
                shown[str(path)] = path.read_bytes()
    documents = database_url(credentials)
    for database in (documents.database, f"{documents.database}_dagster"):
        url = documents.set(database=database)
        engine = create_engine(url.set(drivername="postgresql+psycopg2"))
        with engine.connect() as connection:
            tables = connection.exec_driver_sql(
                "SELECT schemaname, tablename FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).all()
            assert len(tables) > 3
            for schema, table in tables:
                rows = connection.exec_driver_sql(f'SELECT * FROM "{schema}"."{table}"').all()
                shown[f"table {database}.{schema}.{table}"] = repr(rows).encode()
        engine.dispose()
    leaks = [
        (place, number)
        for place, content in shown.items()
        for number, secret in enumerate(secrets)
        if secret.encode() in content
    ]
    assert leaks == []
    assert any(b"corrupt_document" in content for content in shown.values())  # There is much to see.


@pytest.mark.long
def test_after_kill_9_nothing_is_left_and_the_next_start_works(directory: Path) -> None:
    dev = Dev(directory)
    dev.wait_for_dagster()
    dev.process.kill()
    dev.process.wait()
    assert wait_until(lambda: processes_of(directory) == [])

    again = Dev(directory)
    # And where Dagster ends by itself, all of it ends, with a word about why.
    again.wait_for_dagster().kill()
    assert again.process.wait(240) == 1
    assert "Dagster has ended by itself" in again.output
    assert processes_of(directory) == []


def test_ctrl_c_during_the_start_leaves_no_process(directory: Path) -> None:
    dev = Dev(directory)
    assert wait_until(lambda: "Starting the services" in dev.output)
    assert wait_until(lambda: len(processes_of(directory)) > 1)
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(240) == 0
    assert processes_of(directory) == []


def test_a_port_in_use_is_told_when_asked_for_and_avoided_when_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match="--port"):
            choose_dagit_port(Settings(_env_file=None), port, print)
        with pytest.raises(ConfigurationError, match="INGEST_DAGIT_PORT"):
            choose_dagit_port(Settings(_env_file=None, dagit_port=port), None, print)
        monkeypatch.delenv("INGEST_DAGIT_PORT", raising=False)
        settings = Settings(_env_file=None)
        object.__setattr__(settings, "dagit_port", port)  # As a default, not as a choice.
        settings.model_fields_set.discard("dagit_port")
        said: list[str] = []
        assert choose_dagit_port(settings, None, said.append) != port
        assert str(port) in said[0]


def test_the_default_input_starts_with_the_samples_and_another_one_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    samples = tmp_path / "project" / "examples" / "documents"
    samples.mkdir(parents=True)
    (samples / "nda.pdf").write_bytes(b"%PDF")
    monkeypatch.setattr(stack, "PROJECT", tmp_path / "project")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INGEST_INPUT_DIR", raising=False)
    make_input_directory(Settings(_env_file=None))
    assert [path.name for path in Path("input").iterdir()] == ["nda.pdf"]
    (tmp_path / "input" / "nda.pdf").unlink()
    make_input_directory(Settings(_env_file=None))
    assert not list(Path("input").iterdir())
    make_input_directory(Settings(_env_file=None, input_dir=tmp_path / "a" / "b"))
    assert not list((tmp_path / "a" / "b").iterdir())
