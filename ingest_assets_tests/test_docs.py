"""The documentation says what the code says, and its links lead somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ingest_assets.cli import main
from ingest_assets_tests.support.docs import PAGES, ROOT
from ingest_assets_tests.support.licences import PROJECT, is_strong, licence, needed
from ingest_assets_tests.support.planted_faults import FAULTS, Fault, planted

MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LICENCES = (ROOT / "docs/licences.md").read_text()
HOW = "Run `python -m ingest_assets_tests.support.licences docs/licences.md`."
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_generated_page_is_as_the_code_is(page: Path) -> None:
    text = page.read_text()
    assert PAGES[page](text) == text, "Run `make docs`."


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.promise.partition(":")[0])
def test_each_fault_of_docs_planted_faults_can_still_be_planted(fault: Fault) -> None:
    compile(planted(fault), fault.module, "exec")


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_each_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = page.parent / unquote(name) if name else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: no heading of {target.name} is #{anchor}"


def test_the_readme_lists_the_commands_and_options_that_there_are() -> None:
    section = (ROOT / "README.md").read_text().partition("## Commands")[2].partition("\n## ")[0]
    listed = set()
    for usage in re.findall(r"^\| `([^`]+)`", section, re.MULTILINE):
        if usage == "ingest-assets …":
            continue
        command, words = _resolve(usage.split())
        options = {name for parameter in command.params for name in parameter.opts}
        asked = set(re.findall(r"--[a-z-]+", " ".join(words)))
        assert asked <= options, f"ingest-assets {usage}: it has {sorted(options)}"
        listed.add(command)
    assert listed == set(_commands(main))


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_each_file_and_test_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"`([\w./-]*\w\.(?:py|md|toml|yaml))(?:::\w+)?`", text):
        places = (ROOT, ROOT / "ingest_assets", ROOT / "docs")
        assert any((place / name).exists() for place in places), f"{page.name} names {name}"
    for name, test in re.findall(r"`([\w/]+\.py)::(\w+)`", text):
        tree = ast.parse((ROOT / name).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert test in functions, f"{page.name} names {name}::{test}"


def test_each_constant_that_the_architecture_names_is_in_the_file_it_names() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    places = re.findall(r"`([A-Z][A-Z_]+)`\s+in\s+`([\w/]+\.py)`", text)
    assert places
    for constant, name in places:
        assert re.search(
            rf"^{constant}\b", (ROOT / "ingest_assets" / name).read_text(), re.MULTILINE
        ), name


def test_each_direct_requirement_has_its_licence_on_the_page_and_none_is_strong_copyleft() -> None:
    listed = {line.split(" ")[1] for line in LICENCES.splitlines() if line.startswith("| ")}
    packages = needed(distribution(PROJECT).requires or (), ["dev"])
    direct = {canonicalize_name(Requirement(one).name) for one in distribution(PROJECT).requires or ()}
    assert {packages[name] for name in direct if name in packages} - listed == set(), HOW
    stated = {name: licence(name) for name in packages}
    assert {name for name, words in stated.items() if is_strong(words) or not words} == set()
    assert "fpdf2 †" in LICENCES


def links(page: Path) -> list[str]:
    """The links of a page to this repository's files, and within the page."""
    text = _CODE.sub("", _FENCED.sub("", page.read_text()))
    return [link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(group: click.Group) -> Iterator[click.Command]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command)
        else:
            yield command


def _resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"There is no command {words[0]} in {command.name}"
        command, words = found, words[1:]
    return command, words
