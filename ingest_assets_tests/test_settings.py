"""The settings of now are those that `.env` and the variables have now."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest_assets.settings import current_settings


def test_settings_are_read_anew_where_a_variable_or_the_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INGEST_MAX_CONCURRENT_RUNS", "3")
    before = current_settings()
    assert before.max_concurrent_runs == 3
    monkeypatch.setenv("DAGSTER_RUN", "a variable of another program")
    assert current_settings() is before
    monkeypatch.setenv("INGEST_MAX_CONCURRENT_RUNS", "4")
    assert current_settings().max_concurrent_runs == 4
    monkeypatch.delenv("INGEST_MAX_CONCURRENT_RUNS")
    Path(".env").write_text("INGEST_MAX_CONCURRENT_RUNS=5\n")
    assert current_settings().max_concurrent_runs == 5
    Path(".env").write_text("INGEST_MAX_CONCURRENT_RUNS=12\n")
    assert current_settings().max_concurrent_runs == 12
