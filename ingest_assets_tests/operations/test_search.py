"""Search: what matches best, where it is, and what a person sees of it."""

from __future__ import annotations

import json

import pytest

from ingest_assets.operations.search import report, search
from ingest_assets_tests.defs.test_checks import Invoke, invoke
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline

__all__ = ["invoke"]


@pytest.fixture
def filled(pipeline: Pipeline) -> Pipeline:
    filler = "The parties agree on many a thing. " * 60
    pipeline.put("lease.pdf", pdf("A cover page.", f"{filler} The tenant keeps two ferrets. {filler}"))
    pipeline.put("zoo.txt", f"Ferrets. Ferrets and otters. {filler} Otters bite the keeper.".encode())
    pipeline.put("other.txt", b"Nothing of that kind.\x1b[31m Red tape.")
    pipeline.ingest()
    return pipeline


def names(pipeline: Pipeline, words: str) -> list[str]:
    return [p.original_file_name for p in search(pipeline.database, words).passages]


def test_what_is_found(filled: Pipeline) -> None:
    found = search(filled.database, "ferret")
    assert [passage.original_file_name for passage in found.passages] == ["zoo.txt", "lease.pdf"]
    assert (found.matches, found.passages[1].page_start) == (2, 2)
    assert "«ferrets»" in found.passages[1].snippet
    # Phrases and exclusions.
    assert names(filled, '"two ferrets"') == ["lease.pdf"]
    assert names(filled, "ferrets -otters") == ["lease.pdf"]
    assert set(names(filled, "tenant or kind")) == {"lease.pdf", "other.txt"}
    assert names(filled, "xylophone") == names(filled, "") == names(filled, "the") == []
    # No passage has both words, but a document has.
    (passage,) = search(filled.database, "ferrets keeper").passages
    assert (passage.original_file_name, passage.page_start) == ("zoo.txt", None)
    # Only so many are ranked.
    rows = filled.rows("SELECT * FROM ingest.search_chunks('ferrets', 10, 1)")
    assert [row.matches for row in rows] == [1]
    # Whatever is asked for is words, and never syntax.
    for words in ("'; DROP SCHEMA ingest --", "a & | ! ( ) <-> :*", "\x00", '"', "%s"):
        search(filled.database, words)
    assert names(filled, "ferrets")


def test_the_command(filled: Pipeline, invoke: Invoke) -> None:
    result = invoke("search", "two", "ferrets")
    assert result.exit_code == 0, result.output
    assert "lease.pdf, page 2  (document " in result.output
    found = json.loads(invoke("search", "--json", "--top", "1", "ferrets", "-tenant").output)
    assert [passage["original_file_name"] for passage in found["passages"]] == ["zoo.txt"]
    result = invoke("search", "xylophone")
    assert (result.exit_code, result.output) == (1, "Nothing matches.\n")
    # A terminal obeys nothing that a document says.
    assert "\x1b" not in "\n".join(report(search(filled.database, "red tape")))
