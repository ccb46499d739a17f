"""Search: what matches best, where it is, and what a person sees of it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from ingest_assets.cli import render
from ingest_assets.operations.search import RANKED, search
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
    # Autovacuum's statistics do not have each whole text parsed again.
    with filled.database.engine.begin() as connection:
        connection.execute(text("ANALYZE ingest.document_texts"))
    analysed = filled.rows("SELECT tablename FROM pg_stats WHERE tablename LIKE '%_texts%' GROUP BY 1")
    assert [row.tablename for row in analysed] == ["document_texts"]
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


GERMAN = """
    Der Mieter kündigt die Wohnung mit einer Frist von drei Monaten. Die Häuser des Vermieters stehen in
    Mu\u0308nchen und auf dem Land, und für den Schaden haftet er nicht. Es ist ein Ge\u00adrichts\u00ad
    stand zu vereinbaren.
"""
ENGLISH = """
    The o\ufb03ce keeps the \ufb01les of the tenant in con\ufb01dence. The obligation of confiden-
    tiality and the well-
    known rules are for all of the parties, and the zero\u200bwidth house is in the town.
"""


def test_what_is_searched_is_what_a_person_sees_in_the_documents_language(pipeline: Pipeline) -> None:
    pipeline.put("german.txt", GERMAN.encode())
    pipeline.put("english.txt", ENGLISH.encode())
    # Nothing invisible in it, but letters of another form.
    pipeline.put("wide.txt", "The \uff2f\uff52\uff43\uff48\uff49\uff44 is in bloom.".encode())
    pipeline.ingest()
    assert names(pipeline, "orchids") == ["wide.txt"]
    for words in ("office", "files", "confidentiality", "well-known", '"zerowidth house"', "parties"):
        assert names(pipeline, words) == ["english.txt"], words
    # Stems of its own language, one form of each letter, and the word that a line end parts.
    for words in ("München", "Mu\u0308nchen", "Wohnungen", "Haus", "Gerichtsstand", "Fristen"):
        assert names(pipeline, words) == ["german.txt"], words
    # What is left out is left out in each language.
    assert names(pipeline, "Haus -Vermieter") == names(pipeline, "house -office") == []
    assert "«München»" in search(pipeline.database, "München").passages[0].snippet
    # What was read is kept as it was read.
    rows = pipeline.rows("SELECT text, language::text FROM ingest.document_texts ORDER BY language")
    assert [row.language for row in rows] == ["english", "english", "german"]
    assert any("o\ufb03ce" in row.text for row in rows)


def test_the_command(filled: Pipeline, invoke: Invoke) -> None:
    result = invoke("search", "two", "ferrets")
    assert result.exit_code == 0, result.output
    assert "lease.pdf, page 2  (document " in result.output
    found = json.loads(invoke("search", "--json", "--top", "1", "ferrets", "-tenant").output)
    assert [passage["original_file_name"] for passage in found["passages"]] == ["zoo.txt"]
    result = invoke("search", "xylophone")
    assert (result.exit_code, result.output) == (1, "Nothing matches.\n")
    # A terminal obeys nothing that a document says.
    assert "\x1b" not in render.plain(render.passages(search(filled.database, "red tape"), RANKED))
