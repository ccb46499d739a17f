"""The dashboard, judged by Grafana's own types; what its queries ask for is in test_metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

from ingest_assets_tests.operations.test_metrics import DASHBOARD

pytest.importorskip("grafana_foundation_sdk", reason="Grafana's types need Python 3.11")

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def outside_grafanas_model(dashboard: dict[str, Any]) -> list[str]:
    """What of a dashboard Grafana's own types do not know, or know as something else."""
    plugins.register_default_plugins()
    model = Dashboard.from_json(dashboard)
    again = json.loads(JSONEncoder().encode(model))
    return [*lost(dashboard, again, ""), *mistyped(model, "")]


def lost(given: Any, again: Any, place: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(again, dict):
        for key, inner in given.items():
            yield from lost(inner, again.get(key), f"{place}.{key}")
    elif isinstance(given, list) and isinstance(again, list) and len(given) == len(again):
        for number, inner in enumerate(given):
            yield from lost(inner, again[number], f"{place}[{number}]")
    elif given != again:
        yield f"{place}: {given!r} comes back as {again!r}"


def mistyped(node: Any, place: str) -> Iterator[str]:
    if isinstance(node, list):
        for number, inner in enumerate(node):
            yield from mistyped(inner, f"{place}[{number}]")
    elif type(node).__module__.startswith("grafana_foundation_sdk."):
        for name, hint in get_type_hints(type(node)).items():
            inner = getattr(node, name)
            try:
                TypeAdapter(hint, config={"arbitrary_types_allowed": True}).validate_python(inner)
            except ValidationError as error:
                yield f"{place}.{name}: {error}"
            yield from mistyped(inner, f"{place}.{name}")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda stat: None, []),
        (lambda stat: stat["options"].update(colorMode="red"), ["options.color_mode"]),
        (lambda stat: stat["options"].update(colourMode="value"), ["options.colourMode"]),
        (lambda stat: stat["targets"][0].update(expr=3), ["targets[0].expr"]),
        (lambda stat: stat["gridPos"].update(x="left"), ["grid_pos.x"]),
    ],
    ids=["the dashboard", "an unknown value", "an unknown name", "a number for a text", "a text"],
)
def test_the_dashboard_is_one_by_grafanas_own_model(
    change: Callable[[dict[str, Any]], None], found: list[str]
) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    change(dashboard["panels"][1])
    outside = outside_grafanas_model(dashboard)
    assert [fault.split(":")[0].removeprefix(".panels[1].") for fault in outside] == found, outside
