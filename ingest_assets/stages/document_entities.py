"""Stage `document_entities`: what the document's text names, and which of it is the same thing.

A document whose text this version of the engine has searched already keeps its mentions; else they are
replaced together. An engine's error is a failure; that it found nothing is a result.

Which names are of one entity depends on the names alone (`extraction.similar`), not on the order in
which documents came. A name that was seen once stays, even if a later engine finds it nowhere.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence, Set
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest_assets.errors import PermanentError
from ingest_assets.extraction.engine import EntityEngine, Mention
from ingest_assets.extraction.similar import Name, block, entity_uuid, merged
from ingest_assets.failpoints import failpoint
from ingest_assets.markdown import marked, table
from ingest_assets.stages import document_chunks
from ingest_assets.stages.document_text import page_starts, stored_text, text_sha256
from ingest_assets.stages.stage import Markdown, Result, Services, Source, require_document
from ingest_assets.store.models import (
    DocumentChunking,
    DocumentExtraction,
    DocumentText,
    EntityMention,
)

NAME = "document_entities"
CODE_VERSION = "1"

_TOP_ENTITIES = 20
_PREVIEW_CHARACTERS = 1_200
# Locks are a shared table of limited size, and a document may name thousands of blocks.
_LOCKS = 64


def run(source: Source, services: Services, connection: Connection) -> Result:
    """Find the entities, unless this engine has done so already."""
    document_uuid = require_document(source)
    engine = services.entities
    with connection.begin():
        sha256 = text_sha256(document_uuid, connection)
        _chunks_digest(document_uuid, connection)
        done = connection.execute(
            select(
                DocumentExtraction.text_sha256,
                DocumentExtraction.engine,
                DocumentExtraction.engine_version,
            ).where(DocumentExtraction.document_uuid == document_uuid)
        ).one_or_none()
        is_done = done is not None and tuple(done) == (sha256, engine.name, engine.version)
        content = "" if is_done else stored_text(document_uuid, connection)
    # Extraction may take minutes, of many documents at a time: none of them keeps a connection.
    connection.close()
    if not is_done:
        mentions = engine.extract(content) if content else ()
        failpoint("entities.found")
        with services.database.engine.begin() as writer:
            _replace(document_uuid, sha256, content, engine, mentions, writer)
            failpoint("entities.inserted")
        failpoint("entities.committed")
    with services.database.engine.connect() as reader:
        return _result(source, document_uuid, reader)


def code_version(engine_name: str, engine_version: str) -> str:
    """The version that Dagit compares: that of the stage and of its engine."""
    return f"{CODE_VERSION}; {engine_name}: {engine_version}"


def _chunks_digest(document_uuid: UUID, connection: Connection) -> str:
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


def _replace(
    document_uuid: UUID,
    sha256: str,
    content: str,
    engine: EntityEngine,
    mentions: Sequence[Mention],
    connection: Connection,
) -> None:
    """Replace the mentions in the caller's transaction."""
    entities = _resolve({(m.entity_type, m.normalised) for m in mentions}, connection)
    starts = page_starts(document_uuid, connection)
    values = {
        "text_sha256": sha256,
        "engine": engine.name,
        "engine_version": engine.version,
        "mention_count": len(mentions),
        "digest": _digest(mentions),
    }
    connection.execute(
        upsert(DocumentExtraction)
        .values(document_uuid=document_uuid, **values)
        # Whoever comes second waits here for the first, and then takes the first one's place.
        .on_conflict_do_update(
            index_elements=[DocumentExtraction.document_uuid],
            set_={**values, "extracted_at": func.now()},
        )
    )
    connection.execute(delete(EntityMention).where(EntityMention.document_uuid == document_uuid))
    if mentions:
        connection.execute(
            insert(EntityMention),
            [
                {
                    "document_uuid": document_uuid,
                    "char_start": mention.start,
                    "char_end": mention.end,
                    "entity_type": mention.entity_type,
                    "text": content[mention.start : mention.end],
                    "normalised": mention.normalised,
                    "entity_uuid": entities[mention.entity_type, mention.normalised],
                    "page_number": bisect_right(starts, mention.start),
                    "confidence": mention.confidence,
                    "engine": mention.engine,
                }
                for mention in mentions
            ],
        )


def _resolve(names: Set[Name], connection: Connection) -> Mapping[Name, UUID]:
    """The entity of each name, in the caller's transaction.

    New names are added. Where one of them shows that known names are of one entity, these and their
    mentions follow.
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
    """The entity of each known name of these blocks; nobody else changes them before we commit."""
    parameters = {"blocks": list(blocks), "locks": _LOCKS}
    connection.execute(
        text("""
            SELECT pg_advisory_xact_lock(hashtext('ingest_assets entity names'), number)
            FROM (SELECT DISTINCT abs(hashtext(block) % :locks) AS number
                  FROM unnest(CAST(:blocks AS text[])) AS block ORDER BY number) AS ordered
        """),
        parameters,
    )
    rows = connection.execute(
        text("""
            SELECT entity_type, normalised, entity_uuid FROM ingest.entity_names
            WHERE block = ANY(CAST(:blocks AS text[]))
        """),
        parameters,
    )
    return {(row.entity_type, row.normalised): row.entity_uuid for row in rows}


def _add(entities: Mapping[Name, UUID], connection: Connection) -> None:
    """Add what is not there, in one order, so that two documents never wait for each other."""
    first_names: dict[UUID, Name] = {}
    for name in sorted(entities):
        first_names.setdefault(entities[name], name)
    connection.execute(
        text("""
            INSERT INTO ingest.entities (entity_uuid, entity_type, name)
            SELECT * FROM unnest(CAST(:uuids AS uuid[]), CAST(:types AS text[]), CAST(:names AS text[]))
            ON CONFLICT DO NOTHING
        """),
        {
            "uuids": [str(uuid) for uuid in first_names],
            "types": [entity_type for entity_type, _ in first_names.values()],
            "names": [name for _, name in first_names.values()],
        },
    )
    ordered = sorted(entities)
    connection.execute(
        text("""
            INSERT INTO ingest.entity_names (entity_type, normalised, block, entity_uuid)
            SELECT * FROM unnest(CAST(:types AS text[]), CAST(:names AS text[]),
                                 CAST(:blocks AS text[]), CAST(:uuids AS uuid[]))
            ON CONFLICT (entity_type, normalised) DO NOTHING
        """),
        {
            "types": [entity_type for entity_type, _ in ordered],
            "names": [name for _, name in ordered],
            "blocks": [block(*name) for name in ordered],
            "uuids": [str(entities[name]) for name in ordered],
        },
    )


def _move(entities: Mapping[Name, UUID], connection: Connection) -> None:
    """Give known names their new entities, and remove the entities that are left without any."""
    if not entities:
        return
    connection.execute(
        text("""
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
        text("""
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


def _digest(mentions: Sequence[Mention]) -> str:
    said = [(m.entity_type, m.start, m.end, m.normalised, m.confidence) for m in mentions]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _result(source: Source, document_uuid: UUID, connection: Connection) -> Result:
    columns = EntityMention.__table__.columns
    of_document = columns.document_uuid == document_uuid
    extraction = connection.execute(
        select(DocumentExtraction.__table__).where(DocumentExtraction.document_uuid == document_uuid)
    ).one()
    counts = connection.execute(
        select(columns.entity_type, func.count())
        .where(of_document)
        .group_by(columns.entity_type)
        .order_by(func.count().desc(), columns.entity_type)
    ).all()
    top = connection.execute(
        select(columns.entity_type, func.min(columns.text), columns.normalised, func.count())
        .where(of_document)
        .group_by(columns.entity_type, columns.entity_uuid, columns.normalised)
        .order_by(func.count().desc(), columns.entity_type, columns.normalised)
        .limit(_TOP_ENTITIES)
    ).all()
    beginning = connection.execute(
        select(func.left(DocumentText.text, _PREVIEW_CHARACTERS)).where(
            DocumentText.document_uuid == document_uuid
        )
    ).scalar_one()
    marks = connection.execute(
        select(columns.char_start, columns.char_end, columns.entity_type)
        .where(of_document, columns.char_end <= _PREVIEW_CHARACTERS)
        .order_by(columns.char_start)
    )
    return Result(
        document_uuid,
        extraction.digest,
        {document_chunks.NAME: _chunks_digest(document_uuid, connection)},
        {
            "document_uuid": str(document_uuid),
            "file_name": source.original_file_name,
            "mentions": extraction.mention_count,
            "mentions_by_type": Markdown(table(("type", "mentions"), counts)),
            "top_entities": Markdown(table(("type", "text", "meaning", "mentions"), top)),
            "engine": f"{extraction.engine}: {extraction.engine_version}",
            "preview": Markdown(marked(beginning, (tuple(mark) for mark in marks))),
        },
    )
