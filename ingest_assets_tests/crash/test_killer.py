"""The whole stack with its processes killed at random comes right by itself."""

from __future__ import annotations

import pytest

from ingest_assets_tests.crash.killer import generated, run


@pytest.mark.slow
def test_documents_survive_the_random_killer() -> None:
    files = list(generated(24))
    report = run(
        files,
        seed=1,
        kills=6,
        pause=(0.5, 3.0),
        patience=300,
        say=print,
        # The others end the stack, and it takes its time to start again.
        victims=("run", "reader", "Postgres", "S3"),
    )
    assert report.kills.total() == 6
    assert report.converged is not None, str(report)
    assert report.broken == [], str(report)
    # Two are equal to others, and one is broken.
    assert report.outcomes == {"completed": 21, "duplicate": 2, "failed": 1}, str(report)
