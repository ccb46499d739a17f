"""Parts of documents: what is inside a document becomes sources of its own.

Belongs here: which documents are looked into, how deep, and recording what was found. Does not belong
here: taking parts out (`ocr.unpacking`), and reading a part's bytes (`source`).

A part hangs from the document that holds it, not from a sighting of that document: a container that is
seen twice is recorded once, and one that holds itself ends there. The stage `document_text` records
parts in the transaction that stores the text, so that a document with a text has its parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.errors import PermanentError
from ingest_assets.failpoints import failpoint
from ingest_assets.formats import by_mime_type
from ingest_assets.notes import Note
from ingest_assets.ocr import unpacking
from ingest_assets.ocr.engine import Contents, Page, Part, Recognition
from ingest_assets.stages.source import stored_object
from ingest_assets.stages.stage import Document, PartsOfFile, Services
from ingest_assets.store.models import DocumentContainer, DocumentSource, Message
from ingest_assets.store.names import part_key, part_uri

# Notes of readers that name what they leave to this module.
_READERS_NOTE = "attachment_unread"


class PartRow(NamedTuple):
    """One part, as it is recorded."""

    partition_key: str
    part_path: str
    size_bytes: int


@dataclass(frozen=True)
class Inside:
    """What was found inside a document, and is to be recorded.

    Attributes:
        rows: rows of `document_sources`.
        message: the headers of a mail.
    """

    document: Document
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[Note]
    message: Mapping[str, Any] | None

    @property
    def parts(self) -> Sequence[PartRow]:
        """The parts, in order."""
        return [PartRow(*(row[name] for name in PartRow._fields)) for row in self.rows]


def without_readers_notes(notes: Sequence[Note]) -> tuple[Note, ...]:
    """The notes of a reader but for those on files that became documents of their own."""
    return tuple(note for note in notes if note.kind != _READERS_NOTE)


def is_out_of_date(document: Document, unpacked_by: str | None) -> bool:
    """Whether the next run has to look again: no version, or another, has looked into it.

    Args:
        unpacked_by: what `document_containers` says of it.
    """
    holds = by_mime_type(document.mime_type).holds
    return holds in ("always", "only") and unpacked_by != unpacking.VERSION


def read_archive(document: Document, services: Services) -> tuple[Recognition, Inside]:
    """Find the parts of a document that is nothing else: its text is the list of them.

    Raises:
        PermanentError: it cannot be unpacked.
    """
    contents = _contents(document, services)
    inside = _inside(document, contents, services)
    return _listing(contents, inside.notes), inside


def look_inside(document: Document, recognition: Recognition, services: Services) -> Inside | None:
    """Find the parts of a document that was read; None where it is of a type that has to hold none.

    That it cannot be unpacked is a note: it has a text.
    """
    if not any(note.kind == _READERS_NOTE for note in recognition.notes):
        # Most mails have nothing attached: what read them need not be asked twice.
        is_container = by_mime_type(document.mime_type).holds == "always"
        return Inside(document, [], [], recognition.message) if is_container else None
    try:
        contents = _contents(document, services)
    except PermanentError as error:
        return Inside(document, [], [Note("parts_unread", error.message)], recognition.message)
    return _inside(document, contents, services, recognition.message)


def _contents(document: Document, services: Services) -> Contents:
    with services.engine.contents(stored_object(document, services.objects)) as contents:
        return contents  # A run that works on the parts finds them unpacked.


def _inside(
    document: Document,
    contents: Contents,
    services: Services,
    message: Mapping[str, Any] | None = None,
) -> Inside:
    with services.database.engine.connect() as connection:
        place = _place(connection, document)
    parts, notes = _allowed(contents, place, services.most_inside)
    # The sensor joins small batches.
    batches = [uuid4() for _ in range(0, len(parts), services.documents_per_run)]
    rows = [
        _row(document, part, place.source_uri, batches[number // services.documents_per_run])
        for number, part in enumerate(parts)
    ]
    return Inside(document, rows, notes, message)


def reads_as() -> tuple[str, str]:
    """Name and version of what reads archives."""
    return unpacking.NAME, unpacking.VERSION


def save(connection: Connection, found: Sequence[Inside]) -> None:
    """Record parts in one statement, in the caller's transaction. What is recorded stays as it is."""
    if not found:
        return
    if rows := [row for one in found for row in one.rows]:
        connection.execute(insert(DocumentSource).on_conflict_do_nothing(), rows)
    containers = insert(DocumentContainer)
    connection.execute(
        containers.on_conflict_do_update(
            index_elements=[DocumentContainer.document_uuid],
            set_={
                "part_count": containers.excluded.part_count,
                "unpacked_by": containers.excluded.unpacked_by,
            },
        ),
        [
            {
                "document_uuid": one.document.document_uuid,
                "part_count": len(one.rows),
                "unpacked_by": unpacking.VERSION,
            }
            for one in found
        ],
    )
    if messages := [
        {"document_uuid": one.document.document_uuid, **one.message} for one in found if one.message
    ]:
        connection.execute(insert(Message).on_conflict_do_nothing(), messages)
    failpoint("contents.inserted")


def recorded(connection: Connection, document_uuid: UUID) -> Sequence[PartRow]:
    """The parts of a document, in the order in which they were recorded."""
    columns = DocumentSource.__table__.columns
    rows = connection.execute(
        select(*(columns[name] for name in PartRow._fields))
        .where(columns.parent_uuid == document_uuid)
        .order_by(columns.sequence_number)
    )
    return [PartRow(*row) for row in rows]


class _Place(NamedTuple):
    """Where a document lies, and what else lies inside the file that was found.

    Attributes:
        depth: 0 for a file that was found, 1 for its parts.
        parts: how many others the file holds; `size_bytes` is their size.
    """

    depth: int
    source_uri: str
    parts: int
    size_bytes: int


# A document's depth is that of the sighting that registered it. `up` ends because that sighting was
# registered after the container that it is in.
_PLACE = """
    WITH RECURSIVE up AS (
        SELECT CAST(:uuid AS uuid) AS document_uuid, 0 AS depth
        UNION ALL
        SELECT source.parent_uuid, up.depth + 1
        FROM up
        JOIN ingest.source_documents AS document USING (document_uuid)
        JOIN ingest.document_sources AS source ON source.partition_key = document.partition_key
        WHERE source.parent_uuid IS NOT NULL AND up.depth < 1000
    ), down AS (
        (SELECT document_uuid FROM up ORDER BY depth DESC LIMIT 1)
        UNION
        SELECT part.document_uuid
        FROM down JOIN ingest.document_sources AS part ON part.parent_uuid = down.document_uuid
        WHERE part.document_uuid IS NOT NULL
    )
    SELECT (SELECT max(depth) FROM up) AS depth,
           (SELECT source.source_uri
            FROM ingest.source_documents AS document
            JOIN ingest.document_sources AS source ON source.partition_key = document.partition_key
            WHERE document.document_uuid = :uuid) AS source_uri,
           count(part.partition_key) AS parts,
           coalesce(sum(part.size_bytes), 0) AS size_bytes
    FROM down JOIN ingest.document_sources AS part ON part.parent_uuid = down.document_uuid
    WHERE down.document_uuid <> :uuid
"""


def _place(connection: Connection, document: Document) -> _Place:
    row = connection.execute(text(_PLACE), {"uuid": document.document_uuid}).one()
    return _Place(row.depth, row.source_uri, row.parts, int(row.size_bytes))


def _allowed(
    contents: Contents, place: _Place, most: PartsOfFile
) -> tuple[Sequence[Part], Sequence[Note]]:
    """The parts that become sources, and why others do not."""
    notes = list(contents.notes)
    if place.depth >= most.depth and contents.parts:
        notes.append(
            Note(
                "parts_left_out",
                f"its {len(contents.parts)} parts were not ingested: it lies {place.depth} deep inside "
                "other documents, and no more are opened",
            )
        )
        return [], notes
    parts: list[Part] = []
    count, size = place.parts, place.size_bytes
    for part in contents.parts:
        count, size = count + 1, size + part.size_bytes
        if count > most.parts or size > most.size_bytes:
            notes.append(
                Note(
                    "parts_left_out",
                    f"only the first {len(parts)} of its {len(contents.parts)} parts were ingested: "
                    f"the file that all of them are in holds more than {most.parts:,} parts or "
                    f"{most.size_bytes:,} bytes",
                )
            )
            break
        parts.append(part)
    return parts, notes


def _row(document: Document, part: Part, container_uri: str, batch_id: UUID) -> Mapping[str, Any]:
    key, version = part_key(document.sha256, part.path)
    return {
        "partition_key": key,
        "source_uri": part_uri(container_uri, part.path),
        "kind": "part",
        "original_file_name": part.path.rpartition("/")[2],
        "size_bytes": part.size_bytes,
        "source_version": version,
        "batch_id": batch_id,
        "parent_uuid": document.document_uuid,
        "part_path": part.path,
    }


def _listing(contents: Contents, notes: Sequence[Note]) -> Recognition:
    """The text of an archive: what it holds, a line each."""
    lines = [
        part.path if part.problem is None else f"{part.path} ({part.problem.sentence.rstrip('.')})"
        for part in contents.parts
    ]
    name, version = reads_as()
    return Recognition((Page(1, "\n".join(lines), "text-layer"),), name, version, tuple(notes))
