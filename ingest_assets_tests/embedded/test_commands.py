"""`services start`, `services stop` and `env`, as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ingest_assets.embedded.lock import FileLock
from ingest_assets.embedded.postgres import binaries
from ingest_assets.embedded.stack import Stack
from ingest_assets.errors import ConfigurationError
from ingest_assets_tests.support.embedded import (
    CLI,
    clean_environment,
    cli,
    processes_of,
    wait_until,
)
from ingest_assets_tests.support.servers import Services


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory on which `services start` has run."""
    directory = tmp_path_factory.mktemp("commands")
    started = cli(directory, "services", "start")
    assert started.returncode == 0, started.stderr
    yield directory
    stopped = cli(directory, "services", "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert processes_of(directory) == []


@pytest.fixture(scope="module")
def variables(directory: Path) -> Mapping[str, str]:
    """Those of a shell that has evaluated `env`."""
    result = evaluated(directory, "env -0")
    assert result.returncode == 0, result.stderr
    return dict(line.split("=", 1) for line in result.stdout.split("\0") if line)


def evaluated(directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a shell that evaluates `env` first."""
    return shell(directory, f'eval "$({" ".join(CLI)} env)"\n{script}', clean_environment(directory))


def shell(
    directory: Path, script: str, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", script],
        env=dict(variables),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_psql_works_in_a_shell_that_has_evaluated_env(
    directory: Path, variables: Mapping[str, str]
) -> None:
    psql = binaries() / "psql"
    script = f'{psql} -Atc "select 1"; {psql} -Atc "select 2" "$INGEST_DATABASE_URL"'
    result = shell(directory, script, variables)
    assert (result.stdout, result.returncode) == ("1\n2\n", 0), result.stderr


def test_boto3_works_in_a_shell_that_has_evaluated_env(
    directory: Path, variables: Mapping[str, str]
) -> None:
    script = "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    result = shell(directory, f'{CLI[0]} -c "{script}"', variables)
    assert result.stdout == "['documents-store']\n", result.stderr


def test_dagster_works_in_a_shell_that_has_evaluated_env(
    directory: Path, variables: Mapping[str, str]
) -> None:
    result = shell(directory, f"{CLI[0]} -m dagster instance info", variables)
    assert f"$DAGSTER_HOME: {directory}" in result.stdout, result.stderr


def test_commands_work_in_a_shell_that_has_evaluated_env(
    directory: Path, variables: Mapping[str, str]
) -> None:
    command = " ".join(CLI)
    result = shell(directory, f"{command} env >again; {command} services start", variables)
    assert "run already" in result.stdout, result.stderr


def test_a_second_start_uses_what_runs(directory: Path) -> None:
    before = {process.pid for process in processes_of(directory)}
    again = cli(directory, "services", "start")
    assert "run already" in again.stdout
    assert {process.pid for process in processes_of(directory)} == before


def test_a_second_supervisor_is_refused(directory: Path) -> None:
    second = subprocess.run(
        [CLI[0], "-m", "ingest_assets.embedded.supervisor"],
        env=clean_environment(directory),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert second.returncode == 1
    assert "already runs the services" in second.stdout


def test_a_killed_postgres_is_started_again_by_its_supervisor(
    directory: Path, variables: Mapping[str, str]
) -> None:
    (before,) = processes_of(directory, "-D")
    before.kill()
    assert wait_until(lambda: processes_of(directory, "-D") not in ([], [before]))
    psql = binaries() / "psql"
    assert wait_until(lambda: shell(directory, f'{psql} -c "select 1"', variables).returncode == 0)


def test_a_killed_supervisor_takes_the_services_along_and_the_next_one_starts(
    directory: Path,
) -> None:
    psql = binaries() / "psql"
    made = evaluated(directory, f'{psql} -c "create table if not exists kept as select 7 as n"')
    assert made.returncode == 0, made.stderr
    holder = FileLock(directory / "data" / "services.lock").holder()
    assert holder is not None
    os.kill(holder["pid"], signal.SIGKILL)
    assert wait_until(lambda: processes_of(directory) == [])
    nothing = cli(directory, "env")
    assert nothing.returncode == 1
    assert "Nothing is running" in nothing.stderr
    assert cli(directory, "services", "start").returncode == 0
    assert evaluated(directory, f'{psql} -Atc "select n from kept"').stdout == "7\n"


def test_env_without_a_running_stack_says_so_in_one_line(tmp_path: Path) -> None:
    result = cli(tmp_path, "env")
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


def test_a_second_stack_on_the_same_directory_is_refused(services: Services) -> None:
    with pytest.raises(ConfigurationError, match="already runs the services"):
        Stack(services.settings, "dev", print).start()


def test_a_setting_out_of_range_is_named(tmp_path: Path) -> None:
    result = cli(tmp_path, "env", INGEST_OCR_ENGINE="magic")
    assert result.returncode == 1
    assert "INGEST_OCR_ENGINE" in result.stderr
    assert "Traceback" not in result.stderr
