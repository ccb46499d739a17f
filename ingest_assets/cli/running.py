"""The running stack that a command works on: its settings and its database.

Belongs here: finding it. Does not belong here: starting it (`embedded`), and making the parts that a
command needs of its settings (`wiring`).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from ingest_assets import log, wiring
from ingest_assets.embedded.environment import stack_environment
from ingest_assets.settings import Settings

if TYPE_CHECKING:
    from ingest_assets.store.database import Database


def load_settings() -> Settings:
    """Return the settings; end with a sentence that names a wrong one, but not its value."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in fault["loc"]).upper()
            name = name if name.startswith("AWS_") else f"INGEST_{name}"
            click.echo(f"Error: {name}: {fault['msg']}.", err=True)
        sys.exit(1)
    log.set_up(settings.log_format)
    return settings


def startable_settings() -> Settings:
    """Return the settings for a command that starts something, whose faults are found then.

    Raises:
        ConfigurationError: an address for alerts is wrong.
    """
    settings = load_settings()
    wiring.alert_channels(settings)
    return settings


def use_running_stack() -> Settings:
    """Put the running stack's variables into this process's environment; return the settings with them.

    Raises:
        ConfigurationError: nothing is running.
    """
    os.environ.update(stack_environment(load_settings()))
    return load_settings()


def database() -> Database:
    """Return the running stack's database; `use_running_stack` has been called before."""
    return wiring.database(os.environ["INGEST_DATABASE_URL"], connections=1)


def dagster_database() -> Database:
    """Return the database of the running stack's Dagster, for what would take seconds by Dagster."""
    return wiring.database(os.environ["DAGSTER_POSTGRES_URL"], connections=1)
