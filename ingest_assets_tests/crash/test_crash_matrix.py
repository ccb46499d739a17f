"""A process is killed at every failpoint, and the promises hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from ingest_assets_tests.conftest import Services
from ingest_assets_tests.crash.matrix import CASES, Case, Result, failpoints_in_the_code, running


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Case, Future[Result]]]:
    """The cases that were selected, on their way side by side."""
    selected = [
        case
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and hasattr(item, "callspec")
        and isinstance(case := item.callspec.params["case"], Case)
    ]
    with running(services, tmp_path_factory.mktemp("crash"), selected) as results:
        yield results


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_promises_hold_after_a_kill(case: Case, results: dict[Case, Future[Result]]) -> None:
    assert results[case].result().broken == []


def test_every_failpoint_is_in_the_matrix() -> None:
    assert {case.failpoint for case in CASES} == failpoints_in_the_code()
