"""`verify`: whether rows, objects and partitions agree, and whether recognition is set up."""

from __future__ import annotations

import sys
from contextlib import closing

import click

from ingest_assets import wiring
from ingest_assets.cli import render, running
from ingest_assets.errors import IngestError
from ingest_assets.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--engine", "engine_only", is_flag=True, help="Only whether recognition is set up.")
def verify(as_json: bool, engine_only: bool) -> None:
    """Ask whether rows, objects and partitions agree.

    Asks the questions of the verification checklist about all documents. Exit code 1 if an answer
    is no.
    """
    settings = running.use_running_stack()
    passed = _engine(settings, as_json) if engine_only else _checklist(settings, as_json)
    sys.exit(0 if passed else 1)


def _checklist(settings: Settings, as_json: bool) -> bool:
    from ingest_assets.defs.instance import current_instance
    from ingest_assets.defs.partitions import shown_partitions
    from ingest_assets.operations.verification.engine import verify as ask

    with current_instance() as instance:
        found = ask(
            running.database(),
            wiring.object_store(settings),
            shown_partitions(instance),
            in_flight_seconds=settings.in_flight_seconds,
            inbox=lambda: wiring.inbox(settings.input_place, settings),
        )
    if as_json:
        render.show_json(found.as_json())
    else:
        render.show(render.verification(found))
    return found.passed


def _engine(settings: Settings, as_json: bool) -> bool:
    fault: IngestError | None = None
    found: list[str] = []
    try:
        found = _probe(settings)
    except IngestError as error:
        fault = error
    if as_json:
        check = {
            "name": "engine",
            "passed": fault is None,
            "failing": [fault.message] if fault else [],
            "found": found,
            "remedy": fault.remedy if fault else "",
        }
        render.show_json({"passed": fault is None, "checks": [check]})
    else:
        render.show(render.engine(found, fault, settings.ocr_engine))
    return fault is None


def _probe(settings: Settings) -> list[str]:
    """What is found when the engine is tried, a sentence each.

    Raises:
        IngestError: it cannot be used.
    """
    if settings.ocr_engine == "textract":
        return wiring.probe_ocr(settings, wiring.object_store(settings))
    with closing(wiring.local_reader(settings)) as reader:
        return [
            f"The local engine starts: {reader.version}.",
            "Processes that read documents are kept from the network and from other files by: "
            f"{reader.isolation}.",
        ]
