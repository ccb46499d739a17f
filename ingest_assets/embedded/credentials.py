"""Passwords, keys and ports of the embedded services: generated once, kept in `credentials.json`.

Belongs here: that file. Does not belong here: credentials of configured services, which are never
written to a file.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from ingest_assets.embedded.ports import lasting_ports
from ingest_assets.errors import ConfigurationError

# The embedded S3 ignores the region, but a signature has to name one.
REGION = "us-east-1"


class PostgresCredentials(BaseModel):
    """The superuser of the embedded Postgres, and its port."""

    user: str = "ingest"
    password: str = Field(default_factory=lambda: secrets.token_hex(24))
    port: int = Field(default_factory=lambda: lasting_ports(1)[0])


class S3Ports(BaseModel):
    """The ports of SeaweedFS's servers; each server also opens the port 10,000 above its own."""

    s3: int
    master: int
    volume: int
    filer: int
    admin: int

    @classmethod
    def choose(cls) -> S3Ports:
        """Return ports that are free now."""
        names = list(cls.model_fields)
        return cls(**dict(zip(names, lasting_ports(len(names), companions=True), strict=True)))


class S3Credentials(BaseModel):
    """The one user of the embedded S3, and its ports."""

    access_key_id: str = Field(default_factory=lambda: "INGEST" + secrets.token_hex(7).upper())
    secret_access_key: str = Field(default_factory=lambda: secrets.token_hex(20))
    ports: S3Ports = Field(default_factory=S3Ports.choose)

    @property
    def endpoint_url(self) -> str:
        """The address of S3."""
        return f"http://127.0.0.1:{self.ports.s3}"


class BrokerCredentials(BaseModel):
    """The password of the embedded broker, and its port."""

    password: str = Field(default_factory=lambda: secrets.token_hex(24))
    port: int = Field(default_factory=lambda: lasting_ports(1)[0])

    @property
    def url(self) -> str:
        """The address, for INGEST_BROKER_URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


class Credentials(BaseModel):
    """What `credentials.json` holds.

    Attributes:
        broker: None where no broker is embedded.
    """

    postgres: PostgresCredentials = Field(default_factory=PostgresCredentials)
    s3: S3Credentials = Field(default_factory=S3Credentials)
    broker: BrokerCredentials | None = None

    @classmethod
    def path(cls, data_dir: Path) -> Path:
        """Return where the file is."""
        return data_dir / "credentials.json"

    @classmethod
    def read(cls, data_dir: Path) -> Credentials | None:
        """Return what the file holds; None if there is no file.

        Raises:
            ConfigurationError: the file does not hold credentials, or is another user's.
        """
        path = cls.path(data_dir)
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise ConfigurationError(
                "data_dir_denied", f"{path} belongs to another user, and may not be read."
            ) from error
        except ValidationError as error:
            raise ConfigurationError(
                "credentials_unreadable", f"{path} does not hold what it should."
            ) from error

    @classmethod
    def read_or_create(cls, data_dir: Path) -> Credentials:
        """Return what the file holds; generate and write it if there is none.

        Raises:
            ConfigurationError: the file does not hold credentials; or it is gone, but the database that
                only its password opens still exists.
        """
        credentials = cls.read(data_dir)
        if credentials is None:
            if (data_dir / "postgres").exists():
                raise ConfigurationError(
                    "credentials_missing",
                    f"{cls.path(data_dir)} is gone, but the database that it opens is still there.",
                )
            credentials = cls()
            credentials.write(data_dir)
        return credentials

    def write(self, data_dir: Path) -> None:
        """Replace the file atomically; only its owner can read it."""
        path = self.path(data_dir)
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
