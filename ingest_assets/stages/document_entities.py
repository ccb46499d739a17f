"""Stage `document_entities`: what the document's text mentions, and which mentions are the same thing.

A document whose text this version of the engine has searched keeps its mentions; otherwise all are
replaced. An engine's error is a failure of the stage; finding nothing is a result.

Which names belong to one entity depends on the names alone (`extraction.similar`), not on the order of
documents. A name that was found once stays, even if no later engine finds it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest_assets.errors import PermanentError
from ingest_assets.extraction.engine import EntityEngine, Mention
from ingest_assets.extraction.similar import Name, block, entity_uuid, merged
from ingest_assets.failpoints import failpoint
from ingest_assets.markdown import marked, table
from ingest_assets.stages import document_chunks, document_text
from ingest_assets.stages.stage import (
    Known,
    Markdown,
    Result,
    Services,
    Source,
    Text,
    require_document,
)
from ingest_assets.store.models import DocumentChunking, DocumentExtraction, EntityMention

NAME = "document_entities"
CODE_VERSION = "1"

_TOP_ENTITIES = 20
_PREVIEW_CHARACTERS = 1_200
# Blocks share this many locks: a document may have thousands of blocks, and Postgres's table of locks
# is limited.
_LOCKS = 64

# Made once: to make a statement takes SQLAlchemy longer than to send it.
_UPSERT = upsert(DocumentExtraction)
# If another transaction stores mentions of the same document, this one waits here until the other ends,
# and then replaces its mentions.
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=[DocumentExtraction.document_uuid],
    set_={
        name: _UPSERT.excluded[name]
        for name in (
            "text_sha256", "engine", "engine_version", "mention_count", "digest", "extracted_at"
        )
    },
)  # fmt: skip
_DELETE = delete(EntityMention).where(EntityMention.document_uuid.in_(bindparam("documents")))
_INSERT = insert(EntityMention)
_LOCK_BLOCKS = sql("""
    SELECT pg_advisory_xact_lock(hashtext('ingest_assets entity names'), number)
    FROM (SELECT DISTINCT abs(hashtext(block) % :locks) AS number
          FROM unnest(CAST(:blocks AS text[])) AS block ORDER BY number) AS ordered
""")
_NAMES_OF_BLOCKS = sql("""
    SELECT entity_type, normalised, entity_uuid FROM ingest.entity_names
    WHERE block = ANY(CAST(:blocks AS text[]))
""")
_ADD_ENTITIES = sql("""
    INSERT INTO ingest.entities (entity_uuid, entity_type, name)
    SELECT * FROM unnest(CAST(:uuids AS uuid[]), CAST(:types AS text[]), CAST(:names AS text[]))
    ON CONFLICT DO NOTHING
""")
_ADD_NAMES = sql("""
    INSERT INTO ingest.entity_names (entity_type, normalised, block, entity_uuid)
    SELECT * FROM unnest(CAST(:types AS text[]), CAST(:names AS text[]),
                         CAST(:blocks AS text[]), CAST(:uuids AS uuid[]))
    ON CONFLICT (entity_type, normalised) DO NOTHING
""")


@dataclass(frozen=True)
class Extracted:
    """A text and its new mentions, which are to be stored."""

    source: Source
    document_uuid: UUID
    text: Text
    chunks_digest: str
    engine: EntityEngine
    mentions: Sequence[Mention]

    @cached_property
    def digest(self) -> str:
        """Digest of the mentions: the version of the data."""
        said = [(m.entity_type, m.start, m.end, m.normalised, m.confidence) for m in self.mentions]
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def rows(self, entities: Mapping[Name, UUID]) -> Iterator[dict[str, Any]]:
        """The rows of `entity_mentions`."""
        for mention in self.mentions:
            yield {
                "document_uuid": self.document_uuid,
                "char_start": mention.start,
                "char_end": mention.end,
                "entity_type": mention.entity_type,
                "text": self.text.content[mention.start : mention.end],
                "normalised": mention.normalised,
                "entity_uuid": entities[mention.entity_type, mention.normalised],
                "page_number": bisect_right(self.text.page_starts, mention.start),
                "confidence": mention.confidence,
                "engine": mention.engine,
            }

    def result(self) -> Result:
        """The entities that are mentioned, and how often."""
        mentions = [(m.entity_type, m.start, m.end, m.normalised) for m in self.mentions]
        return _result(self.source, self.text, self.chunks_digest, self.engine, self.digest, mentions)


def work(source: Source, services: Services, known: Known) -> Result | Extracted:
    """Find the entities, unless this version of the engine has searched the text before."""
    text = document_text.known_text(source, services, known)
    chunks_digest = known.chunks_digest or _chunks_digest(require_document(source), services)
    if not known.is_new and (result := _there(source, text, chunks_digest, services)):
        return result
    engine = services.entities
    mentions = engine.extract(text.content) if text.content else ()
    failpoint("entities.found")
    return Extracted(source, require_document(source), text, chunks_digest, engine, mentions)


def save(connection: Connection, works: Sequence[Extracted]) -> None:
    """Replace the mentions of these documents."""
    names = {(m.entity_type, m.normalised) for one in works for m in one.mentions}
    entities = _resolve(names, connection)
    connection.execute(
        _UPSERT,
        [
            {
                "document_uuid": one.document_uuid,
                "text_sha256": one.text.sha256,
                "engine": one.engine.name,
                "engine_version": one.engine.version,
                "mention_count": len(one.mentions),
                "digest": one.digest,
            }
            for one in works
        ],
    )
    connection.execute(_DELETE, {"documents": [one.document_uuid for one in works]})
    if rows := [row for one in works for row in one.rows(entities)]:
        connection.execute(_INSERT, rows)
    failpoint("entities.inserted")


def code_version(engine_name: str, engine_version: str) -> str:
    """The code version that Dagit compares: that of the stage and of its engine."""
    return f"{CODE_VERSION}; {engine_name}: {engine_version}"


def _chunks_digest(document_uuid: UUID, services: Services) -> str:
    with services.database.engine.connect() as connection:
        digest: str | None = connection.execute(
            select(DocumentChunking.digest).where(DocumentChunking.document_uuid == document_uuid)
        ).scalar_one_or_none()
    if digest is None:
        raise PermanentError(
            "upstream_missing",
            f"Document {document_uuid} has no chunks.",
            f"Materialise {document_chunks.NAME} first.",
        )
    return digest


def _there(source: Source, text: Text, chunks_digest: str, services: Services) -> Result | None:
    """The result if this version of the engine has searched the same text before; None if not."""
    document_uuid = require_document(source)
    engine = services.entities
    columns = EntityMention.__table__.columns
    with services.database.engine.connect() as connection:
        extraction = connection.execute(
            select(DocumentExtraction.__table__).where(
                DocumentExtraction.document_uuid == document_uuid
            )
        ).one_or_none()
        made_so = (text.sha256, engine.name, engine.version)
        if (
            extraction is None
            or (extraction.text_sha256, extraction.engine, extraction.engine_version) != made_so
        ):
            return None
        mentions = connection.execute(
            select(columns.entity_type, columns.char_start, columns.char_end, columns.normalised)
            .where(columns.document_uuid == document_uuid)
            .order_by(columns.char_start)
        ).all()
    return _result(source, text, chunks_digest, engine, extraction.digest, mentions)


def _resolve(names: Set[Name], connection: Connection) -> Mapping[Name, UUID]:
    """The entity of each name, in the caller's transaction.

    New names are added. If a new name joins names of several entities, these become one entity, and
    their mentions are moved to it.
    """
    entities = {name: entity_uuid(*name) for name in names if block(*name) is None}
    blocks = {of for name in names if (of := block(*name))}
    known = _lock_blocks(blocks, connection)
    members: dict[str | None, dict[Name, UUID]] = {of: {} for of in blocks}
    for name, uuid in known.items():
        members[block(*name)][name] = uuid
    new: dict[str | None, list[Name]] = {of: [] for of in blocks}
    for name in names - known.keys() - entities.keys():
        new[block(*name)].append(name)
    for of in blocks:
        entities |= merged(members[of], new[of])
    _add(entities, connection)
    _move({name: entities[name] for name in known if known[name] != entities[name]}, connection)
    return entities


def _lock_blocks(blocks: Collection[str], connection: Connection) -> dict[Name, UUID]:
    """The entity of each known name of these blocks; locks them until the transaction ends."""
    parameters = {"blocks": list(blocks), "locks": _LOCKS}
    connection.execute(_LOCK_BLOCKS, parameters)
    rows = connection.execute(_NAMES_OF_BLOCKS, parameters)
    return {(row.entity_type, row.normalised): row.entity_uuid for row in rows}


def _add(entities: Mapping[Name, UUID], connection: Connection) -> None:
    """Add entities and names that are new, in one order, so that two transactions cannot deadlock."""
    first_names: dict[UUID, Name] = {}
    for name in sorted(entities):
        first_names.setdefault(entities[name], name)
    connection.execute(
        _ADD_ENTITIES,
        {
            "uuids": [str(uuid) for uuid in first_names],
            "types": [entity_type for entity_type, _ in first_names.values()],
            "names": [name for _, name in first_names.values()],
        },
    )
    ordered = sorted(entities)
    connection.execute(
        _ADD_NAMES,
        {
            "types": [entity_type for entity_type, _ in ordered],
            "names": [name for _, name in ordered],
            "blocks": [block(*name) for name in ordered],
            "uuids": [str(entities[name]) for name in ordered],
        },
    )


def _move(entities: Mapping[Name, UUID], connection: Connection) -> None:
    """Move known names to their new entities, and remove entities that have no names any more."""
    if not entities:
        return
    connection.execute(
        sql("""
            WITH moved AS (
                SELECT * FROM unnest(CAST(:types AS text[]), CAST(:names AS text[]),
                                     CAST(:uuids AS uuid[])) AS moved (entity_type, normalised, uuid)
            )
            UPDATE ingest.entity_names AS known SET entity_uuid = moved.uuid FROM moved
            WHERE known.entity_type = moved.entity_type AND known.normalised = moved.normalised
        """),
        {
            "types": [entity_type for entity_type, _ in entities],
            "names": [name for _, name in entities],
            "uuids": [str(uuid) for uuid in entities.values()],
        },
    )
    connection.execute(
        sql("""
            DELETE FROM ingest.entities AS entity
            USING unnest(CAST(:types AS text[]), CAST(:names AS text[])) AS moved (entity_type, name)
            WHERE entity.entity_type = moved.entity_type AND entity.name = moved.name
              AND NOT EXISTS (SELECT FROM ingest.entity_names AS known
                              WHERE known.entity_uuid = entity.entity_uuid)
        """),
        {
            "types": [entity_type for entity_type, _ in entities],
            "names": [name for _, name in entities],
        },
    )


def _result(
    source: Source,
    text: Text,
    chunks_digest: str,
    engine: EntityEngine,
    digest: str,
    mentions: Sequence[tuple[str, int, int, str]],
) -> Result:
    """The result, from type, first and last place and normalised name of each mention."""
    document_uuid = require_document(source)
    counts = Counter(mention[0] for mention in mentions).items()
    by_type = sorted(counts, key=lambda counted: (-counted[1], counted[0]))
    by_name: Counter[Name] = Counter()
    written: dict[Name, str] = {}
    for entity_type, start, end, normalised in mentions:
        name = entity_type, normalised
        by_name[name] += 1
        words = text.content[start:end]
        written[name] = min(written.get(name, words), words)
    top = sorted(by_name, key=lambda name: (-by_name[name], name))[:_TOP_ENTITIES]
    return Result(
        document_uuid,
        digest,
        {document_chunks.NAME: chunks_digest},
        {
            "document_uuid": str(document_uuid),
            "file_name": source.original_file_name,
            "mentions": len(mentions),
            "mentions_by_type": Markdown(table(("type", "mentions"), by_type)),
            "top_entities": Markdown(
                table(
                    ("type", "text", "meaning", "mentions"),
                    [(name[0], written[name], name[1], by_name[name]) for name in top],
                )
            ),
            "engine": f"{engine.name}: {engine.version}",
            "preview": Markdown(
                marked(
                    text.content[:_PREVIEW_CHARACTERS],
                    (
                        (start, end, entity_type)
                        for entity_type, start, end, _ in mentions
                        if end <= _PREVIEW_CHARACTERS
                    ),
                )
            ),
        },
    )
