"""Runs that sensors do not launch, because no document would pass: the set-up is wrong, or S3 is away.

Belongs here: the reason, as a row for each such sensor, from which `status`, `why` and alerts have it.
Does not belong here: finding the reason (`defs.sensors.held`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from ingest_assets.errors import IngestError
from ingest_assets.store.database import Database


@dataclass(frozen=True)
class Withheld:
    """A sensor that launches no runs although documents wait, and why.

    Attributes:
        since: when it was first kept from it by this reason.
    """

    sensor: str
    error_class: str
    error_code: str
    error_message: str
    error_remedy: str
    since: datetime

    def __str__(self) -> str:
        return (
            f"The sensor `{self.sensor}` launches no run until this is mended: {self.error_message} "
            f"What to do: {self.error_remedy}"
        )


def withhold(database: Database, sensor: str, reason: IngestError) -> None:
    """Record why the sensor launches no runs; the time stays as long as the code does."""
    with database.engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO ingest.withheld_launches AS known
                    (sensor, error_class, error_code, error_message, error_remedy)
                VALUES (:sensor, :class, :code, :message, :remedy)
                ON CONFLICT (sensor) DO UPDATE SET
                    error_class = excluded.error_class, error_code = excluded.error_code,
                    error_message = excluded.error_message, error_remedy = excluded.error_remedy,
                    since = CASE WHEN known.error_code = excluded.error_code
                            THEN known.since ELSE excluded.since END
            """),
            {
                "sensor": sensor,
                "class": reason.error_class,
                "code": reason.code,
                "message": reason.message,
                "remedy": reason.remedy,
            },
        )


def launch_again(database: Database, sensor: str) -> None:
    """Record that nothing keeps the sensor from launching runs."""
    with database.engine.begin() as connection:
        connection.execute(
            text("DELETE FROM ingest.withheld_launches WHERE sensor = :sensor"), {"sensor": sensor}
        )


def withheld_launches(connection: Connection) -> Sequence[Withheld]:
    """The sensors that launch no runs, the one that was kept from it first before the others."""
    rows = connection.execute(
        text("""
            SELECT sensor, error_class, error_code, error_message, error_remedy, since
            FROM ingest.withheld_launches ORDER BY since, sensor
        """)
    )
    return [Withheld(*row) for row in rows]
