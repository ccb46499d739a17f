"""`alert`: telling people of what needs them, without Dagster's daemon."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from ingest_assets import wiring
from ingest_assets.cli import render, running
from ingest_assets.embedded.environment import dagit_url
from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.operations.alerts import engine, message, troubles
from ingest_assets.store.database import database_error


@click.command()
@click.option("--test", "is_test", is_flag=True, help="Only send a test to every address.")
def alert(is_test: bool) -> None:
    """Tell people of what needs them, without Dagster's daemon.

    Does once what the sensor `alerts` does, and says also when the daemon gives no sign of life, or
    when the documents' database cannot be asked: have cron call it. Nobody is told twice. With --test
    it needs no stack, and says for each address of INGEST_ALERT_URLS what came of it. Exit code 1 if
    something could not be sent, or if the database cannot be asked.
    """
    settings = running.load_settings()
    channels = wiring.alert_channels(settings)
    if channels is None or not channels.names:
        raise ConfigurationError("alert_url_wrong", "INGEST_ALERT_URLS is not set.")
    if is_test:
        rules = wiring.alert_rules(settings, dagit_url(settings))
        came = channels.send(dict.fromkeys(channels.names, message.trial(rules.dagit, rules.place)))
        for name, why in came.items():
            render.show(render.line(f"{name}: {why or 'sent.'}"))
        silent = channels.ping()
        if silent:
            render.show(render.line(silent))
        sys.exit(any(came.values()) or bool(silent))
    memory = Path(settings.data_dir) / "alerts.json"
    try:
        settings = running.use_running_stack()
        told = engine.evaluate(
            running.database(),
            channels,
            wiring.alert_rules(settings, dagit_url(settings)),
            troubles.in_dagster(running.dagster_database()),
            memory=_kept(memory),
        )
    except (IngestError, DBAPIError) as error:
        fault = error if isinstance(error, IngestError) else database_error(error)
        rules = wiring.alert_rules(settings, dagit_url(settings))
        told, kept = engine.tell_without_database(channels, rules, fault, _kept(memory))
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(kept)
        render.show(render.line(f"{told}."))
        raise
    memory.unlink(missing_ok=True)
    render.show(render.line(f"{told}."))
    sys.exit(bool(told.failed))


def _kept(memory: Path) -> str:
    return memory.read_text() if memory.exists() else ""
