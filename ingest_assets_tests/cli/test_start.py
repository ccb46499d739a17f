"""The command line answers at once: it imports what the command needs, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ingest_assets.cli import main
from ingest_assets_tests.support.embedded import CLI
from ingest_assets_tests.support.servers import Services

SLOW = ("alembic", "boto3", "botocore", "dagster", "psutil", "pydantic", "rich", "sqlalchemy")
# Ends as the command does, but says first what it imported.
ENTRY = f"""
import sys
from ingest_assets.cli import main
try:
    main()
finally:
    print(*(name for name in {SLOW} if name in sys.modules), file=sys.stderr)
"""


def imported(environment: dict[str, str], *words: str) -> set[str]:
    """The slow packages that a command imports."""
    ended = subprocess.run(
        [sys.executable, "-c", ENTRY, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ended.returncode in (0, 1), ended.stderr
    return set(ended.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_imports_nothing_slow(words: list[str], tmp_path: Path) -> None:
    assert imported({"HOME": str(tmp_path)}, *words) == set()


@pytest.mark.parametrize("words", [["status"], ["why", "nothing.pdf"], ["search", "nothing"]])
def test_questions_import_what_reads_postgres_and_prints(
    services: Services, database_url: str, tmp_path: Path, words: list[str]
) -> None:
    configured = {"INGEST_DATA_DIR": str(tmp_path), "INGEST_DATABASE_URL": database_url}
    environment = {**services.environment, **configured}
    assert imported(environment, *words) == {"pydantic", "rich", "sqlalchemy"}


def test_a_database_that_was_not_migrated_is_told_in_a_sentence(
    services: Services, empty_database_url: str, tmp_path: Path
) -> None:
    configured = {"INGEST_DATA_DIR": str(tmp_path), "INGEST_DATABASE_URL": empty_database_url}
    ended = subprocess.run(
        [*CLI, "status"],
        env={**services.environment, **configured},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert re.match(r'Error: Postgres refuses: relation "ingest\.\w+" does not exist', line)
    assert "migrations" in line


def test_help_says_of_each_command_what_the_command_says_of_itself() -> None:
    context = click.Context(main)
    listed = main.get_help(context).partition("Commands:")[2]
    commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
    assert commands
    for name, command in commands.items():
        assert command is not None
        summary = " ".join(command.get_short_help_str(limit=200).split())
        assert f"{name} {summary}" in " ".join(listed.split())
    assert main.get_command(context, "nonsense") is None
