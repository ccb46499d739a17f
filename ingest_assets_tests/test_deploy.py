"""What is shipped for containers names commands, settings and parts that there are."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
import yaml

from ingest_assets.cli import main
from ingest_assets.settings import Settings
from ingest_assets_tests.support.docs import ROOT, variable

KUBERNETES = ROOT / "deploy/kubernetes"
MANIFESTS = sorted(KUBERNETES.glob("*.yaml"))
COMPOSE = ROOT / "deploy/compose.yaml"
SETTINGS = {variable(name, field) for name, field in Settings.model_fields.items()}
# boto3's own.
AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def documents() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


def pods() -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in documents()
        if one["kind"] in ("Deployment", "Job")
    }


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def commands() -> dict[str, list[str]]:
    ours = {name: one["containers"][0]["args"] for name, one in pods().items()}
    composed = {f"compose {name}": one["command"] for name, one in services().items() if "build" in one}
    return {**ours, **composed}


@pytest.mark.parametrize("where", sorted(commands()))
def test_each_command_is_there(where: str) -> None:
    name, *rest = commands()[where]
    command = main.get_command(click.Context(main), name)
    assert command is not None
    if name == "exec":
        (script,) = (
            one for one in importlib.metadata.entry_points(group="console_scripts", name=rest[0])
        )
        assert callable(script.load())
        if "--workspace" in rest:
            shipped = rest[rest.index("--workspace") + 1].removeprefix("/app/")
            assert yaml.safe_load((ROOT / shipped).read_text())["load_from"]
        if "--module-name" in rest:
            assert rest[rest.index("--module-name") + 1] == "ingest_assets.definitions"
    else:
        command.make_context(name, list(rest))  # Refuses options that there are not.


def test_each_setting_is_one() -> None:
    named = {
        literal.partition("=")[0]
        for one in documents()
        if one["kind"] == "Kustomization"
        for generator in one["configMapGenerator"]
        for literal in generator["literals"]
    }
    named |= {name for one in services().values() if "build" in one for name in one["environment"]}
    text = (ROOT / "Dockerfile").read_text() + (ROOT / "docs/deploy.md").read_text()
    named |= set(re.findall(r"\bINGEST_[A-Z0-9_]+", text))
    assert named - SETTINGS - AWS == set()


def test_the_kustomization_has_each_manifest() -> None:
    (kustomization,) = (one for one in documents() if one["kind"] == "Kustomization")
    names = {path.name for path in MANIFESTS} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == names
    assert {path.name for path in (KUBERNETES / "autoscaler").iterdir()} == {
        "kustomization.yaml",
        "workers.yaml",
    }


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_pod_has_no_rights_and_limits(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == set(container["resources"])
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    assert mounted.get("input", {"readOnly": True})["readOnly"] is True
    if name == "worker":
        grace = float(container["args"][container["args"].index("--grace") + 1])
        assert pod["terminationGracePeriodSeconds"] >= grace + 90


def test_the_image_takes_what_it_copies_and_runs_as_nobody() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    allowed = {one[1:] for one in (ROOT / ".dockerignore").read_text().splitlines() if one[:1] == "!"}
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = line.split()[1:]
            assert set(sources) <= allowed
            assert all((ROOT / source).exists() for source in sources)
    user = [line for line in lines if line.startswith("USER ")][-1]
    assert int(re.findall(r"\d+", user)[0]) > 1000
