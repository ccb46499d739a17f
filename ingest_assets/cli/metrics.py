"""`metrics`: what Prometheus asks, as a process of its own."""

from __future__ import annotations

import threading

import click

from ingest_assets.cli import running


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Instead of INGEST_METRICS_PORT; else 9464."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address that it listens on; it asks for no password.",
)
@click.option("--once", is_flag=True, help="Print the metrics and end.")
def metrics(port: int | None, host: str, once: bool) -> None:
    """Serve metrics for Prometheus, until a signal comes.

    All are counted from the databases, so one such process is enough for any number of machines.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    from ingest_assets.embedded.signals import StopRequested, StopSignals
    from ingest_assets.operations.metrics import DEFAULT_PORT, IngestCollector, serve

    settings = running.use_running_stack()
    databases = running.database(), running.dagster_database()
    if once:
        registry = CollectorRegistry()
        registry.register(IngestCollector(*databases))
        click.echo(generate_latest(registry).decode(), nl=False)
        return
    port = port or settings.metrics_port or DEFAULT_PORT
    with StopSignals() as signals:
        try:
            with serve(*databases, port, host):
                click.echo(f"Metrics at http://{host}:{port}/metrics")
                threading.Event().wait()
        except StopRequested:
            signals.hold()
