"""Each code that the package raises is in the catalogue, with its class, and each there is raised."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import ingest_assets
from ingest_assets.catalogue import FAULTS, SECTIONS
from ingest_assets.errors import ConfigurationError, PermanentError, RunEndedError, TransientError
from ingest_assets.store.object_store import MissingObjectError

PACKAGE = Path(ingest_assets.__file__).parent
# Codes that are written into rows, without an exception, for work that a killed process left behind.
WRITTEN = {"abandoned": {"transient"}}


CLASSES: dict[str, str] = {
    kind.__name__: kind.error_class
    for kind in (TransientError, RunEndedError, PermanentError, ConfigurationError)
}
SOURCES = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
CLASSES |= {
    kind: CLASSES[base]
    for source in SOURCES.values()
    for kind, base in re.findall(r"^class (\w+)\((\w+)\):", source, re.MULTILINE)
    if base in CLASSES
}


class Raised:
    """The codes that one module gives to errors, each with the classes it gives them."""

    def __init__(self, source: str) -> None:
        self.codes: dict[str, set[str]] = defaultdict(set)
        self.unclear: list[str] = []
        tree = ast.parse(source)
        tables = {
            name.id: [entry.value for entry in node.value.values if isinstance(entry, ast.Constant)]
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
            for name in node.targets
            if isinstance(name, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = ast.unparse(node.func).rpartition(".")[2]
                if name in CLASSES:
                    self._note(node.args[0], CLASSES[name], tables)

    def _note(self, code: ast.expr, error_class: str, tables: dict[str, list[Any]]) -> None:
        match code:
            case ast.Constant(value=str(literal)):
                self.codes[literal].add(error_class)
            case ast.Subscript(value=ast.Name(id=name)) if name in tables:
                for literal in tables[name]:
                    self.codes[literal].add(error_class)
            case (
                ast.Attribute(attr="code") | ast.Starred() | ast.Subscript(value=ast.Name(id="report"))
            ):
                pass  # Passed on: another process or function gave it.
            case _:
                self.unclear.append(f"line {code.lineno}: {ast.unparse(code)}")


def _raised() -> dict[str, set[str]]:
    codes = defaultdict(set, {code: set(classes) for code, classes in WRITTEN.items()})
    for path, source in SOURCES.items():
        raised = Raised(source)
        assert not raised.unclear, f"{path}: write the code as a literal: {raised.unclear}"
        for code, classes in raised.codes.items():
            codes[code] |= classes
    return codes


def test_the_catalogue_holds_each_code_that_is_raised_with_its_class() -> None:
    catalogued = {code: set(fault.error_class.split(" or ")) for code, fault in FAULTS.items()}
    raised = _raised()
    assert raised.keys() - catalogued.keys() == set(), "Say in the catalogue what they mean."
    assert catalogued.keys() - raised.keys() == set(), "Nothing raises them any more."
    assert catalogued == raised


def test_a_code_that_cannot_be_read_off_the_source_is_noticed() -> None:
    raised = Raised(
        "_TABLE = {'A': 'from_a_table'}\n"
        "raise PermanentError('literal', 'A sentence.')\n"
        "raise TransientError(_TABLE['A'], 'A sentence.')\n"
        "raise ConfigurationError(code, 'A sentence.')\n"
    )
    assert raised.codes == {"literal": {"permanent"}, "from_a_table": {"transient"}}
    assert raised.unclear == ["line 4: code"]


def test_a_code_stands_in_one_section_and_says_what_it_means_and_what_to_do() -> None:
    assert len(FAULTS) == sum(map(len, SECTIONS.values()))
    for code, fault in FAULTS.items():
        assert code == code.lower()
        assert fault.meaning.endswith(".")
        assert fault.remedy.endswith(".")


def test_an_error_has_the_catalogues_remedy_unless_it_brings_its_own() -> None:
    assert PermanentError("empty", "'a.pdf' is empty.").remedy == FAULTS["empty"].remedy
    assert PermanentError("empty", "'a.pdf' is empty.", "Fill it.").remedy == "Fill it."
    assert str(PermanentError("empty", "It is empty.", "")) == "It is empty."
    assert str(MissingObjectError("object_missing", "Gone.")) == "Gone. Materialise document_object."
    with pytest.raises(KeyError):
        PermanentError("no_such_code", "A sentence.")
