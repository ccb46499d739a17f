"""The whole stack with its processes killed at random comes right by itself."""

from __future__ import annotations

import pytest

from ingest_assets_tests.crash.killer import generated, run
from ingest_assets_tests.support.packages import mail


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


@pytest.mark.slow
def test_mails_and_what_is_attached_to_them_survive_kills() -> None:
    mails = 200
    same = b"The price list that everybody sends."
    files = [
        (
            f"mail {number}.eml",
            mail(
                f"Dues {number}",
                attached={"note.txt": b"Note %d of the harbour." % number, "list.txt": same},
            ),
        )
        for number in range(mails)
    ]
    victims = ("run", "reader", "Postgres")
    report = run(files, seed=2, kills=6, pause=(1, 4), patience=500, say=print, victims=victims)
    assert report.kills.total() == 6
    assert report.converged is not None, str(report)
    assert report.broken == [], str(report)
    # Of each mail its own note is a document; the list is one for all.
    assert report.outcomes == {"completed": 2 * mails + 1, "duplicate": mails - 1}, str(report)
