"""Full-text search: the best passages, with their documents and pages.

Belongs here: calling the two SQL functions that search, `ingest.search_chunks` and
`ingest.search_documents`; an engineer can call them from SQL just as well. Does not belong here: how
they rank, which stands in the migration that makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from ingest_assets.store.database import Database

# `ingest.search_chunks` ranks at most this many of the passages that match.
RANKED = 20_000


_HOLDERS_NAMED = 3
_HOLDERS = """
    SELECT part.document_uuid,
           array_agg(DISTINCT container.original_file_name ORDER BY container.original_file_name)
    FROM ingest.document_sources AS part
    JOIN ingest.source_documents AS container ON container.document_uuid = part.parent_uuid
    WHERE part.document_uuid = ANY(:uuids)
    GROUP BY part.document_uuid
"""


@dataclass(frozen=True)
class Passage:
    """One chunk that matches, or one document of which no single chunk has all the words.

    Attributes:
        chunk_index: None for a document; so are the pages.
        page_start: first page of the chunk, from 1; `page_end` is its last.
        rank: 0 to 1; ranks of two searches cannot be compared.
        snippet: an excerpt of the text in which each match stands between « and ».
        attached_to: file names of documents that hold this one, at most three, in alphabetical order.
    """

    document_uuid: UUID
    original_file_name: str
    chunk_index: int | None
    page_start: int | None
    page_end: int | None
    rank: float
    snippet: str
    attached_to: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """The best passages, the best first.

    Attributes:
        matches: how many passages match; `RANKED` if there are as many or more.
    """

    passages: Sequence[Passage]
    matches: int

    def as_json(self) -> dict[str, Any]:
        """Ready for `json.dumps(…, default=str)`."""
        return asdict(self)


def search(database: Database, words: str, top: int = 10) -> Found:
    """Search the chunks; if no chunk has all the words, search whole documents.

    Args:
        words: in the syntax of web search engines: `two words` finds what has both,
            `"a phrase"`, `this or that`, `-without`.
        top: how many passages to return.

    Example:
        >>> search(database, '"irreparable harm" delaware', top=3).passages[0].page_start
        4
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
        holders: Mapping[UUID, Sequence[str]] = dict(
            connection.execute(text(_HOLDERS), {"uuids": [row.document_uuid for row in rows]}).all()
        )
    passages = [
        replace(Passage(*row[:-1]), attached_to=holders.get(row.document_uuid, ())[:_HOLDERS_NAMED])
        for row in rows
    ]
    return Found(passages, rows[0].matches if rows else 0)
