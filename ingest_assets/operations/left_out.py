"""Documents whose text is not all that a person sees on their pages, by their stored notes.

Belongs here: counting and naming them. Does not belong here: finding out that something is missing,
which is done where a document is read, and the kinds of notes (`notes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text


class IncompleteDocument(NamedTuple):
    """One document of which something was left out.

    Attributes:
        notes: how many of its notes say so.
        first_note: the first of them, in words.
    """

    partition_key: str
    document_uuid: UUID
    original_file_name: str
    notes: int
    first_note: str


@dataclass(frozen=True)
class LeftOut:
    """What the stored notes say of all documents.

    Attributes:
        incomplete: how many documents have a note that something was left out.
        noted: how many documents have any note.
        latest: the incomplete documents that were read last, the latest first.
    """

    incomplete: int
    noted: int
    latest: list[IncompleteDocument]


def left_out(connection: Connection, most: int) -> LeftOut:
    """Count all documents with notes, and name at most so many of the incomplete ones."""
    counts = connection.execute(
        text("""
            SELECT count(DISTINCT document_uuid) FILTER (WHERE leaves_out) AS incomplete,
                   count(DISTINCT document_uuid) AS noted
            FROM ingest.document_notes
        """)
    ).one()
    latest = connection.execute(
        text("""
            SELECT document.partition_key, document_uuid, document.original_file_name,
                   noted.notes, noted.first_note
            FROM (
                SELECT document_uuid, count(*) AS notes,
                       (array_agg(coalesce('page ' || page_number || ': ', '') || sentence
                                  ORDER BY note_number))[1] AS first_note
                FROM ingest.document_notes WHERE leaves_out GROUP BY document_uuid
            ) AS noted
            JOIN ingest.document_texts AS recognised USING (document_uuid)
            JOIN ingest.source_documents AS document USING (document_uuid)
            ORDER BY recognised.recognised_at DESC, document_uuid LIMIT :most
        """),
        {"most": most},
    )
    return LeftOut(counts.incomplete, counts.noted, [IncompleteDocument(*row) for row in latest])
