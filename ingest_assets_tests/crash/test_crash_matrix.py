"""A process is killed at every failpoint, and the promises hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest_assets_tests.crash.matrix import (
    CASES,
    GROUPS,
    Case,
    failpoints_in_the_code,
    run_case,
    run_cases,
)
from ingest_assets_tests.crash.site import site
from ingest_assets_tests.support.servers import Services

pytestmark = pytest.mark.usefixtures("forks")


@pytest.mark.parametrize("cases", GROUPS, ids=lambda cases: "-then-".join(map(str, cases)))
def test_the_promises_hold_after_a_kill(
    cases: Sequence[Case], services: Services, migrated_with_dagster_url: str, tmp_path: Path
) -> None:
    real = any(case.in_engine for case in cases)
    with site(services, migrated_with_dagster_url, tmp_path / "site", real_engines=real) as place:
        assert run_cases(cases, place).broken == []


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if not case.in_engine], ids=str)
def test_the_promises_hold_after_a_kill_with_the_engines_processes(
    case: Case, services: Services, migrated_with_dagster_url: str, tmp_path: Path
) -> None:
    with site(services, migrated_with_dagster_url, tmp_path / "site") as place:
        assert run_case(case, place).broken == []


def test_every_failpoint_is_in_the_matrix() -> None:
    # A letter is no effect on documents: what is killed after sending one is in `test_alerts`.
    assert {case.failpoint for case in CASES} == failpoints_in_the_code() - {"alert.sent"}


def test_every_case_is_tried_once() -> None:
    assert Counter(case for cases in GROUPS for case in cases) == Counter(CASES)
