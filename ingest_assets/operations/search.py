"""Full-text search for people: the best passages, with their documents and pages.

Belongs here: asking and showing. Does not belong here: how it is searched, which is SQL that an
engineer can use too: `ingest.search_chunks` and `ingest.search_documents`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from ingest_assets.store.database import Database

# As many as `ingest.search_chunks` ranks.
_RANKED = 20_000


@dataclass(frozen=True)
class Passage:
    """One place that matches; page and chunk are None where only the whole document does.

    Attributes:
        rank: 0 to 1, comparable within one search only.
        snippet: some of the text, with what matched between « and ».
    """

    document_uuid: UUID
    original_file_name: str
    chunk_index: int | None
    page_start: int | None
    page_end: int | None
    rank: float
    snippet: str


@dataclass(frozen=True)
class Found:
    """The best passages, best first.

    Attributes:
        matches: how many passages match; where they are more than are ranked, that many.
    """

    passages: Sequence[Passage]
    matches: int

    def as_json(self) -> dict[str, Any]:
        """Ready for `json.dumps(…, default=str)`."""
        return asdict(self)


def search(database: Database, words: str, top: int = 10) -> Found:
    """Search passages, and whole documents where no passage has all the words.

    Args:
        words: as in web search engines: all of them, `"a phrase"`, `or`, `-without`.
    """
    parameters = {"words": words.replace("\x00", ""), "top": top}
    with database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT * FROM ingest.search_chunks(:words, :top)"), parameters
        ).all()
        if not rows:
            rows = connection.execute(
                text("""
                    SELECT document_uuid, original_file_name, NULL AS chunk_index,
                           NULL AS page_start, NULL AS page_end, rank, snippet, matches
                    FROM ingest.search_documents(:words, :top)
                """),
                parameters,
            ).all()
    passages = [Passage(*row[:-1]) for row in rows]
    return Found(passages, rows[0].matches if rows else 0)


def report(found: Found) -> Iterator[str]:
    """The passages for a terminal, each with what makes it found again."""
    for passage in found.passages:
        where = f", {_pages(passage)}" if passage.page_start else ", in the whole document"
        yield f"{_printable(passage.original_file_name)}{where}  (document {passage.document_uuid})"
        yield f"    {_printable(passage.snippet)}"
    if not found.passages:
        yield "Nothing matches."
    elif found.matches >= _RANKED:
        yield f"The best of the first {_RANKED:,} passages that match; add a word to narrow it down."
    else:
        yield f"{len(found.passages):,} of {found.matches:,} that match."


def _pages(passage: Passage) -> str:
    if passage.page_start == passage.page_end:
        return f"page {passage.page_start}"
    return f"pages {passage.page_start} to {passage.page_end}"


def _printable(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else " " for character in line)
