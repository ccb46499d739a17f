"""What holds for every process of a test session; the fixtures are in `fixtures`."""

from __future__ import annotations

from ingest_assets_tests.support import garbage

# isort: split
import os
import sys
from importlib import import_module

import hypothesis
import pytest

# Of properties `make test` asks a few examples, always the same ones; `make test-all` many, each time
# others.
hypothesis.settings.register_profile("few", max_examples=25, deadline=None, derandomize=True)
hypothesis.settings.register_profile("many", max_examples=1000, deadline=None)
hypothesis.settings.load_profile("few")


def pytest_configure(config: pytest.Config) -> None:
    # The process that only hands out tests to others would import for three seconds, while they wait.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.register(import_module("ingest_assets_tests.fixtures"))


def pytest_collection(session: pytest.Session) -> None:
    """Share what pytest does to tests before it imports them.

    It writes each module anew, for its messages about what failed, which takes longer than all imports.
    Where each process of a whole session begins with other modules, it finds the rest done.
    """
    config = session.config
    if hasattr(config, "workerinput") and config.args == config.getini("testpaths"):
        sys.dont_write_bytecode = False
        number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        for path in sorted(config.rootpath.glob("ingest_assets_tests/**/test_*.py"))[number::count]:
            import_module(".".join(path.relative_to(config.rootpath).with_suffix("").parts))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests in the order in which they take the least time.

    Each process begins with as large a part of them, and takes over the last tests of another when it
    has no more. So what takes long stands first in the part of the second; and first in that of the
    first stand the tests that want a server to fork from, which takes as long to start as many of them.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    short = [item for item in items if not item.get_closest_marker("long")]
    short.sort(key=lambda item: "forks" not in getattr(item, "fixturenames", ()))
    part = len(items) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [*short[:part], *long, *short[part:]]


def pytest_collection_finish() -> None:
    garbage.collect_seldom()
