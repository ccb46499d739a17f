"""`alert`: telling people of what needs them, without Dagster's daemon."""

from __future__ import annotations

import sys

import click

from ingest_assets import wiring
from ingest_assets.cli import render, running
from ingest_assets.embedded.environment import dagit_url
from ingest_assets.errors import ConfigurationError
from ingest_assets.operations.alerts import engine, message


@click.command()
@click.option("--test", "is_test", is_flag=True, help="Only send a test to every address.")
def alert(is_test: bool) -> None:
    """Tell people of what needs them, without Dagster's daemon.

    Does once what the sensor `alerts` does, and says also when the daemon gives no sign of life: have
    cron call it. Nobody is told twice. With --test it needs no stack, and says for each address of
    INGEST_ALERT_URLS what came of it. Exit code 1 if something could not be sent.
    """
    settings = running.load_settings()
    channels = wiring.alert_channels(settings)
    if channels is None or not channels.names:
        raise ConfigurationError("alert_url_wrong", "INGEST_ALERT_URLS is not set.")
    if is_test:
        rules = wiring.alert_rules(settings, dagit_url(settings))
        came = channels.send(dict.fromkeys(channels.names, message.trial(rules.dagit, rules.place)))
        for name, fault in came.items():
            render.show(render.line(f"{name}: {fault or 'sent.'}"))
        silent = channels.ping()
        if silent:
            render.show(render.line(silent))
        sys.exit(any(came.values()) or bool(silent))
    settings = running.use_running_stack()
    dagster = running.dagster_database()
    told = engine.evaluate(
        running.database(),
        channels,
        wiring.alert_rules(settings, dagit_url(settings)),
        [*engine.failing_checks(dagster), *engine.silent_daemon(dagster)],
        unseen=[engine.INPUT_MISSING],  # It may be another machine's.
    )
    render.show(render.line(f"{told}."))
    sys.exit(bool(told.failed))
