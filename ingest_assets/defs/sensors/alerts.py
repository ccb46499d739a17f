"""Sensor `alerts`: people are told of what needs them.

Belongs here: one tick, and what only Dagster's daemon is there to see. Does not belong here: what is
wrong, and what is told of it (`operations.alerts`).
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)
from sqlalchemy.exc import DBAPIError

from ingest_assets import wiring
from ingest_assets.defs.instance import runs_not_started
from ingest_assets.defs.resources import PostgresResource
from ingest_assets.defs.sensors.held import reason_to_hold
from ingest_assets.embedded.environment import dagit_url
from ingest_assets.operations.alerts.engine import evaluate, tell_without_database
from ingest_assets.operations.alerts.troubles import in_dagster
from ingest_assets.settings import Settings
from ingest_assets.store.database import database_error
from ingest_assets.text import counted

# When this process loaded the code location. Before, nothing of it may have run.
_AWAKE_SINCE = datetime.now(timezone.utc)


def alerts(settings: Settings) -> SensorDefinition:
    """The sensor; it runs from the start where there is somebody to tell.

    Args:
        settings: the addresses among them reach no resource, whose values Dagit would show.
    """

    @sensor(
        name="alerts",
        minimum_interval_seconds=30,
        default_status=DefaultSensorStatus.RUNNING
        if settings.alert_urls or settings.alert_heartbeat_url
        else DefaultSensorStatus.STOPPED,
        description="Tells people, where INGEST_ALERT_URLS says, of what needs them and of what is "
        "over: documents that failed, a queue that stands still, checks that fail, a wrong set-up.",
    )
    def alerts(
        context: SensorEvaluationContext,
        database: PostgresResource,
    ) -> SkipReason:
        """Compare what is wrong with what was told."""
        channels = wiring.alert_channels(settings)
        if channels is None:
            return SkipReason("INGEST_ALERT_URLS is not set: nobody is told.")
        rules = wiring.alert_rules(settings, dagit_url(settings))
        url = os.environ.get("DAGSTER_POSTGRES_URL")
        found = in_dagster(PostgresResource(url=url).get()) if url else ()
        try:
            told = evaluate(
                database.get(),
                channels,
                rules,
                found,
                why_stalled=lambda: str(reason_to_hold(context) or "") or _runs_fail(context.instance),
                awake_since=_AWAKE_SINCE,
                memory=context.cursor or "",
            )
            memory = ""
        except DBAPIError as error:
            told, memory = tell_without_database(
                channels, rules, database_error(error), context.cursor or ""
            )
        if memory != (context.cursor or ""):
            context.update_cursor(memory)
        for name, why in told.failed.items():
            context.log.warning("An alert could not be sent through %s: %s", name, why)
        silent = "" if told.failed else channels.ping()
        if silent:
            context.log.warning("%s", silent)
        return SkipReason(f"{told}. {silent}".strip())

    return alerts


def _runs_fail(instance: DagsterInstance) -> str:
    """Says so where runs end before they have begun."""
    count = runs_not_started(instance)
    return (
        f"{counted(count, 'run')} of the last hour did not start; Dagit's page of each says why."
        if count
        else ""
    )
