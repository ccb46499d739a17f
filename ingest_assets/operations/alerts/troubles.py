"""What is wrong in Dagster and is no document's fault.

Belongs here: finding it in Dagster's own database. Does not belong here: what `engine` finds in the
documents' database, and telling of any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from sqlalchemy import Connection, text

from ingest_assets.operations.verification.questions import CHECKS
from ingest_assets.store.database import Database

# A daemon that lives writes a heartbeat each 30 s.
_DAEMON_SILENCE = timedelta(minutes=5)
# A service that restarts is away for some ticks of a sensor.
MAY_PASS = timedelta(minutes=2)
# Characters of an exception's text: it may hold a statement with all its parameters.
_LONGEST = 500


class Trouble(NamedTuple):
    """Something that needs a person and is no document.

    Attributes:
        topic: what it is called among the rows; the same as long as it lasts.
        title: one sentence, with no name of a document.
        detail: what more is known, and what to do.
        since: when it began; now if not known.
    """

    topic: str
    title: str
    detail: str = ""
    since: datetime | None = None


def in_dagster(dagster: Database) -> Sequence[Trouble]:
    """What Dagster's own database shows to be wrong: checks, sensors and schedules, and its daemon.

    Args:
        dagster: Dagster is not asked, because it takes seconds to load.
    """
    return [*failing_checks(dagster), *failing_sensors(dagster), *silent_daemon(dagster)]


def failing_checks(dagster: Database) -> Sequence[Trouble]:
    """The checks of the checklist whose latest answer is no; not those that merely warn."""
    checks = {check.name: check for check in CHECKS if not check.warns}
    with dagster.engine.connect() as connection:
        if not _has_table(connection, "asset_check_executions"):
            return []
        rows = connection.execute(
            text("""
                SELECT DISTINCT ON (check_name) check_name, execution_status,
                       evaluation_event_timestamp AT TIME ZONE 'UTC' AS since
                FROM asset_check_executions
                WHERE asset_key = '["ingest_report"]' AND check_name = ANY(:names)
                  AND execution_status IN ('SUCCEEDED', 'FAILED')
                ORDER BY check_name, id DESC
            """),
            {"names": list(checks)},
        ).all()
    return [
        Trouble(
            f"check:{row.check_name}",
            f"The check {row.check_name} fails.",
            f"{checks[row.check_name].question} No. What to do: {checks[row.check_name].remedy} "
            "`ingest-assets verify` names the documents.",
            row.since,
        )
        for row in rows
        if row.execution_status == "FAILED"
    ]


def silent_daemon(dagster: Database) -> Sequence[Trouble]:
    """The parts of Dagster's daemon that have been silent for five minutes.

    The sensor `alerts` runs in one of them and finds the others; where all are silent, only another
    process can tell. A part that has been silent for a day longer than the rest was turned off.
    """
    with dagster.engine.connect() as connection:
        if not _has_table(connection, "daemon_heartbeats"):
            return []
        rows = connection.execute(
            text("""
                SELECT daemon_type AS part, last AT TIME ZONE 'UTC' AS last
                FROM (SELECT daemon_type, max(timestamp) AS last,
                             max(max(timestamp)) OVER () - interval '1 day' AS in_use
                      FROM daemon_heartbeats GROUP BY 1) AS beats
                WHERE last > in_use
                  AND last < (now() AT TIME ZONE 'UTC') - CAST(:silence AS interval)
                ORDER BY last, part
            """),
            {"silence": _DAEMON_SILENCE},
        ).all()
    if not rows:
        return []
    named = ", ".join(row.part.lower().replace("_", " ") for row in rows)
    return [
        Trouble(
            "daemon_silent",
            "Dagster's daemon gives no sign of life.",
            f"Silent: {named}; the first since {rows[0].last:%Y-%m-%d %H:%M %Z}. Until the daemon runs "
            "again files are not found, or runs are not launched or not tried again: start it anew "
            "(`ingest-assets dev`, or the service that runs `dagster-daemon`).",
            rows[0].last,
        )
    ]


def failing_sensors(dagster: Database) -> Sequence[Trouble]:
    """The sensors whose ticks have failed for two minutes, and schedules whose latest tick has.

    One that was turned off, and a sensor that has not ticked for a day, are not judged.
    """
    with dagster.engine.connect() as connection:
        if not _has_table(connection, "instigators"):
            return []
        rows = connection.execute(
            text("""
                SELECT lower(type) AS kind, tick ->> 'job_name' AS name, good.last AS since,
                       coalesce(tick #>> '{error,cause,message}', tick #>> '{error,message}', '')
                           AS error
                FROM instigators
                CROSS JOIN LATERAL (
                    SELECT max(type) AS type, count(*) AS failed, min(timestamp) AS first,
                           max(timestamp) AS latest, bool_and(status = 'FAILURE') AS all_failed,
                           (array_agg(tick_body ORDER BY timestamp DESC))[1]::json AS tick
                    FROM (SELECT * FROM job_ticks AS tick
                          WHERE tick.selector_id = instigators.selector_id AND status <> 'STARTED'
                          ORDER BY timestamp DESC
                          LIMIT CASE instigator_type WHEN 'SENSOR' THEN 3 ELSE 1 END) AS latest
                ) AS ticks
                LEFT JOIN LATERAL (
                    SELECT timestamp AS last FROM job_ticks AS tick
                    WHERE all_failed AND tick.selector_id = instigators.selector_id
                      AND status IN ('SKIPPED', 'SUCCESS')
                    ORDER BY timestamp DESC LIMIT 1
                ) AS good ON true
                WHERE instigators.status <> 'STOPPED' AND all_failed AND
                    CASE type WHEN 'SENSOR' THEN
                        failed = 3 AND latest > (now() AT TIME ZONE 'UTC') - interval '1 day'
                        AND coalesce(good.last, first)
                            < (now() AT TIME ZONE 'UTC') - CAST(:lasts AS interval)
                    ELSE true END
                ORDER BY kind, name
            """),
            {"lasts": MAY_PASS},
        ).all()
    return [
        Trouble(
            f"{row.kind}:{row.name}",
            f"The {row.kind} {row.name} fails.",
            f"{_first_line(row.error)} Until it is mended, what it does is not done. Dagit shows its "
            "ticks under Automation.",
            row.since and row.since.replace(tzinfo=timezone.utc),
        )
        for row in rows
    ]


def _first_line(message: str) -> str:
    """The first line of an exception's text that says something, without its class's module."""
    first = next(
        (line.strip() for line in message.splitlines() if line.strip()), "It does not say why."
    )
    return re.sub(r"^(?:\w+\.)+(?=\w+: )", "", first)[:_LONGEST]


def _has_table(connection: Connection, name: str) -> bool:
    found = connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar_one()
    return found is not None
