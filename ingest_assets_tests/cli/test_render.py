"""What a person sees: on a terminal, however narrow, and where the output is piped."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from ingest_assets.cli import main
from ingest_assets.store.database import Database
from ingest_assets_tests.support.servers import Services

NAME = "agreement between two parties with long names, signed, scanned (2).pdf"
KEY = "agreement-between-two-parties-with-long-names-si-0123456789ab"
HOSTILE = "\x1b]0;owned\x07\u202efdp.\r\nexe"
HOSTILE_KEY = "exe-0123456789ab"
UUID = str(uuid4())
ATTRIBUTES = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3|4|9|10)[0-9](?:;[0-9]+)*m")

Run = Callable[..., str]


@pytest.fixture
def environment(
    services: Services, database: Database, database_url: str, tmp_path: Path
) -> dict[str, str]:
    """The variables of a stack with one completed and one rejected document."""
    with database.engine.begin() as connection:
        for key, name, place in ((KEY, NAME, KEY), (HOSTILE_KEY, HOSTILE, HOSTILE)):
            connection.execute(
                text("""
                    INSERT INTO ingest.document_sources (partition_key, source_uri, kind, batch_id,
                        original_file_name, size_bytes, source_version)
                    VALUES (:key, 'file:///' || :place, 'file', gen_random_uuid(), :name, 1, '1')
                """),
                {"key": key, "name": name, "place": place},
            )
        connection.execute(
            text("""
                INSERT INTO ingest.source_documents (document_uuid, sha256, original_file_name,
                    s3_bucket, object_name, file_size_bytes, mime_type, partition_key)
                VALUES (:uuid, repeat('0', 64), :name, 'documents-store', 'agreement.pdf', 1,
                    'application/pdf', :key);
                UPDATE ingest.document_sources SET document_uuid = :uuid WHERE partition_key = :key;
                INSERT INTO ingest.stage_attempts (partition_key, stage, attempt, run_id, status,
                    error_class, error_code, error_message, error_remedy, finished_at)
                VALUES (:hostile, 'document_row', 1, 'run', 'failed', 'permanent', 'empty',
                    :name || :message, 'Mend it.', now());
            """),
            {
                "uuid": UUID,
                "name": NAME,
                "key": KEY,
                "hostile": HOSTILE_KEY,
                "message": f" is{HOSTILE} empty.",
            },
        )
    return {
        **services.environment,
        "INGEST_DATA_DIR": str(tmp_path),
        "INGEST_DATABASE_URL": database_url,
        "TERM": "xterm-256color",
    }


@pytest.fixture
def on_terminal(environment: dict[str, str], forks: ForkServerContext) -> Run:
    """Runs a command on a terminal so many columns wide; returns what it writes there."""

    def run(columns: int, *words: str, **variables: str) -> str:
        master, slave = terminal(columns)
        process = forks.Process(
            target=command, args=(os.ttyname(slave), words, {**environment, **variables})
        )
        process.start()
        written = b""
        while master in wait([master, process.sentinel]):
            written += os.read(master, 65_536)
        process.join()
        for end in (master, slave):
            os.close(end)
        return written.decode().replace("\r\n", "\n")

    return run


@pytest.fixture
def piped(environment: dict[str, str], forks: ForkServerContext, tmp_path: Path) -> Run:
    """Runs a command whose output is no terminal; returns what it writes there."""

    def run(*words: str) -> str:
        output = tmp_path / "output"
        output.write_bytes(b"")
        process = forks.Process(target=command, args=(output, words, environment))
        process.start()
        process.join()
        assert process.exitcode == 0
        return output.read_text()

    return run


def command(place: str | Path, words: Sequence[str], environment: Mapping[str, str]) -> None:
    """What a process does that has Python and this package loaded: be `ingest-assets`.

    Args:
        place: what it reads from and writes to.
    """
    descriptor = os.open(place, os.O_RDWR | os.O_NOCTTY)
    for number in range(3):
        os.dup2(descriptor, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    main(list(words), "ingest-assets")


def terminal(columns: int) -> tuple[int, int]:
    """Both ends of a terminal: that of the person, and that of the program."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    return master, slave


def script_on_terminal(command: list[str], environment: dict[str, str]) -> str:
    master, slave = terminal(80)
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True
    ) as process:
        os.close(slave)
        written = b""
        try:
            while chunk := os.read(master, 65_536):
                written += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        finally:
            os.close(master)
        process.wait(240)
    return written.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [30, 80, pytest.param(200, marks=pytest.mark.slow)])
def test_no_terminal_is_too_narrow_for_names_keys_and_uuids(on_terminal: Run, columns: int) -> None:
    why = ATTRIBUTES.sub("", on_terminal(columns, "why", KEY))
    for whole in (f"'{NAME}'", KEY, UUID, f"s3://documents-store/documents/{UUID}/agreement.pdf"):
        assert whole in why
    # All else is broken between words: a line that is too long holds nothing beside such a name.
    for line in why.replace(NAME, "-").splitlines():
        assert len(line) <= columns or len(line.split()) <= 2, line
    assert HOSTILE_KEY in ATTRIBUTES.sub("", on_terminal(columns, "status"))
    several = ATTRIBUTES.sub("", on_terminal(columns, "why", "e"))
    assert {KEY, HOSTILE_KEY} <= set(several.split())


def test_colours_are_for_terminals_and_no_color_is_respected(on_terminal: Run, piped: Run) -> None:
    for words in (["status"], ["why", HOSTILE_KEY], ["retry", "--class", "permanent", "--dry-run"]):
        assert COLOUR.search(on_terminal(100, *words)), words
        assert not COLOUR.search(on_terminal(100, *words, NO_COLOR="1")), words
        written = piped(*words)
        assert "\x1b" not in written
        assert not any(line != line.rstrip() for line in written.splitlines())
    # And each paragraph is one line there.
    sentence = next(line for line in written.splitlines() if HOSTILE_KEY in line)
    assert sentence.startswith("  '\\x1b]0;owned")
    assert "at document_row (permanent, empty), failed runs: 1, partition" in sentence


def test_no_document_makes_the_terminal_do_anything(on_terminal: Run) -> None:
    for words in (["status"], ["why", HOSTILE_KEY], ["why", "e"]):
        written = on_terminal(100, *words)
        assert "owned" in written
        for character in ("\x1b]", "\x07", "\u202e"):
            assert character not in written, words


def test_lines_of_dev_stand_above_its_live_line(tmp_path: Path) -> None:
    script = """
from rich.text import Text
from ingest_assets.cli.render import Screen
screen = Screen(lambda: Text("1 of 2 documents done"))
screen.say("Starting [bold] …")
screen.tick()
screen.say("The embedded Postgres has ended.")
screen.close()
screen.say("Stopped.")
"""
    environment = {"HOME": str(tmp_path), "TERM": "xterm-256color"}
    command = [sys.executable, "-c", script]
    written = script_on_terminal(command, environment)
    assert "\x1b[2K" in written  # the live line is wiped before something else is written there
    lines = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).split("\n") if line]
    assert lines[0] == "Starting [bold] …"
    assert written.rstrip().endswith("Stopped.")
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1  # the cursor is back
    piped = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert piped.splitlines() == [
        "Starting [bold] …",
        "1 of 2 documents done",
        "The embedded Postgres has ended.",
        "Stopped.",
    ]
