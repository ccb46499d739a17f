"""The tables of schema `ingest`, as SQLAlchemy maps them.

Belongs here: columns, constraints and what they mean. Does not belong here: queries, which are in the
module of their stage, and views, which are in the migrations.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REGCONFIG, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "ingest"
_NOW = text("now()")


def _one_of(name: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{name} IN ({', '.join(repr(value) for value in values)})", name=name)


class Base(DeclarativeBase):
    """All tables live in schema `ingest`; constraints have predictable names."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map = {str: Text, datetime: DateTime(timezone=True), int: BigInteger}


class DocumentSource(Base):
    """One sighting of one file or object: one partition."""

    __tablename__ = "document_sources"
    __table_args__ = (
        CheckConstraint("partition_key ~ '^[a-z0-9-]{14,61}$'", name="partition_key"),
        _one_of("kind", ("file", "inbox", "s3", "part")),
        CheckConstraint(
            "(kind = 'part') = (parent_uuid IS NOT NULL) AND (kind = 'part') = (part_path IS NOT NULL)",
            name="part",
        ),
        CheckConstraint("size_bytes >= 0", name="size_bytes"),
        UniqueConstraint("source_uri", "size_bytes", "source_version"),
        Index(None, "document_uuid"),
        Index(None, "batch_id"),
        Index(
            "ix_document_sources_unreported",
            "sequence_number",
            postgresql_where=text("reported_at IS NULL"),
        ),
        Index(
            "uq_document_sources_parent_uuid_part_path",
            "parent_uuid",
            "part_path",
            unique=True,
            postgresql_where=text("parent_uuid IS NOT NULL"),
        ),
    )

    partition_key: Mapped[str] = mapped_column(primary_key=True)
    source_uri: Mapped[str]
    kind: Mapped[str]
    original_file_name: Mapped[str]
    size_bytes: Mapped[int]
    source_version: Mapped[str]
    discovered_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    # Sources that one look recorded together, for one run. Dagster has their partitions one after the
    # other, in the order of `sequence_number`.
    batch_id: Mapped[UUID] = mapped_column(Uuid)
    sequence_number: Mapped[int] = mapped_column(Identity(always=True), unique=True)
    document_uuid: Mapped[UUID | None] = mapped_column(
        Uuid,
        ForeignKey(
            "ingest.source_documents.document_uuid",
            name="fk_document_sources_document_uuid",
            use_alter=True,  # each of the two tables refers to the other
        ),
    )
    # When the last stage was in Dagster's event log. While it is null the sensor launches the source
    # again: a run that was killed between commit and event is followed by one that writes the event.
    reported_at: Mapped[datetime | None]
    # Of a part: the document that it is inside of, and where it is inside, which names one part.
    parent_uuid: Mapped[UUID | None] = mapped_column(
        Uuid,
        ForeignKey(
            "ingest.source_documents.document_uuid",
            name="fk_document_sources_parent_uuid",
            use_alter=True,
            deferrable=True,  # `rebuild-db` inserts sources before documents
            initially="DEFERRED",
        ),
    )
    part_path: Mapped[str | None]


class IgnoredName(Base):
    """One pattern of INGEST_IGNORE_PATTERNS, and what the latest walk passed over because of it."""

    __tablename__ = "ignored_names"
    __table_args__ = (CheckConstraint("count >= 1", name="count"),)

    pattern: Mapped[str] = mapped_column(primary_key=True)
    # Files and directories; what lies in an ignored directory is not counted.
    count: Mapped[int]
    # When the count changed last.
    looked_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class UnreadablePlace(Base):
    """A file or directory that the latest walk could not look at, and why; at most a hundred."""

    __tablename__ = "unreadable_places"

    place: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(server_default=_NOW)


class WithheldLaunches(Base):
    """A sensor that launches no runs although documents wait, and the fault that keeps it from it."""

    __tablename__ = "withheld_launches"

    sensor: Mapped[str] = mapped_column(primary_key=True)
    error_class: Mapped[str]
    error_code: Mapped[str]
    error_message: Mapped[str]
    error_remedy: Mapped[str]
    since: Mapped[datetime] = mapped_column(server_default=_NOW)


class SourceDocument(Base):
    """One content. Postgres gives it the UUID and computes its S3 key from the UUID."""

    __tablename__ = "source_documents"
    __table_args__ = (
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("starts_with(s3_key, 'documents/' || document_uuid || '/')", name="s3_key"),
        CheckConstraint("object_name ~ '^[^/]+$'", name="object_name"),
        CheckConstraint("file_size_bytes > 0", name="file_size_bytes"),
        CheckConstraint("mime_type ~ '^[a-z]+/[a-z0-9.+-]+$'", name="mime_type"),
        Index(None, "partition_key"),
    )

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, server_default=text("gen_random_uuid()")
    )
    sha256: Mapped[str] = mapped_column(unique=True)
    original_file_name: Mapped[str]
    s3_bucket: Mapped[str]
    object_name: Mapped[str]
    s3_key: Mapped[str] = mapped_column(
        Computed("'documents/' || document_uuid || '/' || object_name"), unique=True
    )
    s3_etag: Mapped[str | None]
    file_size_bytes: Mapped[int]
    file_size_mb: Mapped[Decimal] = mapped_column(
        Numeric, Computed("round(file_size_bytes / 1048576.0, 3)")
    )
    mime_type: Mapped[str]
    page_count: Mapped[int | None]
    # The sighting that registered the content; others of the same content are its duplicates.
    partition_key: Mapped[str] = mapped_column(ForeignKey("ingest.document_sources.partition_key"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    # Null until the object was read back and verified.
    upload_timestamp: Mapped[datetime | None]


class ForgottenDocument(Base):
    """The tombstone of a document that was removed for good: its bytes are not taken again."""

    __tablename__ = "forgotten_documents"
    __table_args__ = (
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
        CheckConstraint("reason <> ''", name="reason"),
    )

    sha256: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    forgotten_by: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    # Null until nothing is left of it.
    finished_at: Mapped[datetime | None]
    # Places that S3's object lock keeps, still to be removed, and until when it keeps them.
    locked: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    locked_until: Mapped[datetime | None]


class Retention(Base):
    """The one row: the number of days that the schedule `retention_daily` has seen, and when."""

    __tablename__ = "retention"
    __table_args__ = (CheckConstraint("singleton", name="singleton"),)

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    days: Mapped[int]
    # Nothing is forgotten in the first day.
    since: Mapped[datetime] = mapped_column(server_default=_NOW)
    looked_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class ForgottenSighting(Base):
    """The digest of a file's place, size and time, so that it is passed over without its name."""

    __tablename__ = "forgotten_sightings"
    __table_args__ = (
        CheckConstraint("sighting ~ '^[0-9a-f]{64}$'", name="sighting"),
        Index(None, "sha256"),
    )

    # SHA-256 of what `store.names.partition_key` makes a key of.
    sighting: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(
        ForeignKey("ingest.forgotten_documents.sha256", ondelete="CASCADE")
    )


class DocumentHold(Base):
    """A document that must not be forgotten, as a court may ask."""

    __tablename__ = "document_holds"
    __table_args__ = (CheckConstraint("reason <> ''", name="reason"),)

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("ingest.source_documents.document_uuid"), primary_key=True
    )
    reason: Mapped[str]
    held_by: Mapped[str]
    held_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class StageAttempt(Base):
    """One try of one stage. Rows are added and closed, never removed."""

    __tablename__ = "stage_attempts"
    __table_args__ = (
        _one_of("status", ("running", "succeeded", "failed")),
        _one_of("error_class", ("transient", "permanent", "configuration")),
        CheckConstraint("(status = 'failed') = (error_class IS NOT NULL)", name="failed"),
        CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="finished"),
        UniqueConstraint("partition_key", "stage", "attempt"),
        Index("ix_stage_attempts_latest", "partition_key", text("attempt_id DESC")),
        Index(
            "ix_stage_attempts_no_document",
            "partition_key",
            postgresql_where=text(
                "error_code IN ('empty', 'forgotten', 'link_loop', 'not_a_file', 'unsupported_type')"
            ),
        ),
        Index(
            "ix_stage_attempts_running",
            "heartbeat_at",
            postgresql_where=text("status = 'running'"),
        ),
    )

    attempt_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    partition_key: Mapped[str] = mapped_column(ForeignKey("ingest.document_sources.partition_key"))
    document_uuid: Mapped[UUID | None] = mapped_column(
        Uuid, ForeignKey("ingest.source_documents.document_uuid")
    )
    stage: Mapped[str]
    attempt: Mapped[int]
    status: Mapped[str] = mapped_column(server_default="running")
    error_class: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    error_remedy: Mapped[str | None]
    run_id: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    finished_at: Mapped[datetime | None]


# What `forget` has deleted of attempts, and of Textract's jobs: numbers that no counter may lose.
# Triggers write them; the views `statistics_attempts` and `statistics_textract` add them.
Table(
    "deleted_attempts",
    Base.metadata,
    Column("stage", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("error_class", Text, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("within", ARRAY(BigInteger), nullable=False),
)
Table(
    "deleted_textract_jobs",
    Base.metadata,
    Column("status", Text, nullable=False),
    Column("jobs", BigInteger, nullable=False),
    Column("pages", BigInteger, nullable=False),
    Column("cost_usd", Numeric, nullable=False),
)


class DocumentText(Base):
    """The text of one document, once."""

    __tablename__ = "document_texts"
    __table_args__ = (
        CheckConstraint("mean_confidence BETWEEN 0 AND 1", name="mean_confidence"),
        # A tsvector holds at most 1 MB; 200,000 characters stay below it whatever they are.
        Index(
            "ix_document_texts_search",
            text("ingest.search_vector(language, left(text, 200000))"),
            postgresql_using="gin",
        ),
    )

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("ingest.source_documents.document_uuid"), primary_key=True
    )
    text: Mapped[str]
    engine: Mapped[str]
    engine_version: Mapped[str]
    page_count: Mapped[int]
    char_count: Mapped[int] = mapped_column(Computed("char_length(text)"))
    mean_confidence: Mapped[float | None]
    # The text search configuration that suits it; `ingest_assets.language` finds it.
    language: Mapped[str] = mapped_column(REGCONFIG, server_default="english")
    recognised_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class DocumentNote(Base):
    """One thing to know of how a document's text was read; `ingest_assets.notes` has the kinds."""

    __tablename__ = "document_notes"
    __table_args__ = (
        CheckConstraint("page_number >= 1", name="page_number"),
        Index("ix_document_notes_leaves_out", "document_uuid", postgresql_where=text("leaves_out")),
    )

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_texts.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    # Counts the document's notes from 1.
    note_number: Mapped[int] = mapped_column(primary_key=True)
    # Null where it is true of the whole document.
    page_number: Mapped[int | None]
    kind: Mapped[str]
    sentence: Mapped[str]
    # Whether text that a person sees may be missing or wrong; the note's kind decides when it is
    # written.
    leaves_out: Mapped[bool]


class DocumentContainer(Base):
    """The fact that a document was looked into, and how many parts were found."""

    __tablename__ = "document_containers"
    __table_args__ = (CheckConstraint("part_count >= 0", name="part_count"),)

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_texts.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    part_count: Mapped[int]
    # A container that another version looked into is looked into again by the next run.
    unpacked_by: Mapped[str]
    unpacked_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Message(Base):
    """The headers of a mail. Addresses are in lower case, without names."""

    __tablename__ = "messages"
    __table_args__ = (
        Index(None, "message_id", postgresql_using="hash"),
        Index(None, "in_reply_to", postgresql_using="hash"),
        Index(None, "from_address", postgresql_using="hash"),
    )

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_containers.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    message_id: Mapped[str | None]
    in_reply_to: Mapped[str | None]
    from_address: Mapped[str | None]
    to_addresses: Mapped[list[str]] = mapped_column(ARRAY(Text))
    cc_addresses: Mapped[list[str]] = mapped_column(ARRAY(Text))
    sent_at: Mapped[datetime | None]
    subject: Mapped[str | None]


class DocumentPage(Base):
    """One page: its place in `document_texts.text`, in characters, [char_start, char_end)."""

    __tablename__ = "document_pages"
    __table_args__ = (
        CheckConstraint("page_number >= 1", name="page_number"),
        CheckConstraint("0 <= char_start AND char_start <= char_end", name="characters"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        _one_of("origin", ("text-layer", "ocr")),
    )

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_texts.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    page_number: Mapped[int] = mapped_column(primary_key=True)
    char_start: Mapped[int]
    char_end: Mapped[int]
    origin: Mapped[str]
    confidence: Mapped[float | None]


class DocumentChunking(Base):
    """The fact that a document's text was cut into chunks, and how. A text without words has none."""

    __tablename__ = "document_chunkings"

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_texts.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    text_sha256: Mapped[str]
    chunker: Mapped[str]
    chunk_count: Mapped[int]
    # Of the chunks' places and the text: what Dagster is told as the version of the data.
    digest: Mapped[str]
    chunked_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class DocumentChunk(Base):
    """One chunk: its place in `document_texts.text`, in characters, [char_start, char_end)."""

    __tablename__ = "document_chunks"
    __table_args__ = (
        CheckConstraint("chunk_index >= 0", name="chunk_index"),
        CheckConstraint(
            "0 <= char_start AND char_end - char_start = char_length(text)", name="characters"
        ),
        CheckConstraint("1 <= page_start AND page_start <= page_end", name="pages"),
        Index("ix_document_chunks_search", "search", postgresql_using="gin"),
    )

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_chunkings.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    chunk_index: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    char_start: Mapped[int]
    char_end: Mapped[int]
    page_start: Mapped[int]
    page_end: Mapped[int]
    language: Mapped[str] = mapped_column(REGCONFIG, server_default="english")
    # Stored, because ranking would otherwise parse the text of every chunk that matches.
    search: Mapped[str] = mapped_column(
        TSVECTOR, Computed("ingest.search_vector(language, text)", persisted=True)
    )


class SearchLanguage(Base):
    """One language that texts are searched in: a question is asked in each of them."""

    __tablename__ = "search_languages"

    language: Mapped[str] = mapped_column(REGCONFIG, primary_key=True)


class DocumentExtraction(Base):
    """The fact that a document's text was searched for entities, and by which engine."""

    __tablename__ = "document_extractions"

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_chunkings.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    text_sha256: Mapped[str]
    engine: Mapped[str]
    engine_version: Mapped[str]
    mention_count: Mapped[int]
    digest: Mapped[str]
    extracted_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Entity(Base):
    """One thing that documents mention. Its UUID and name follow from its names in `entity_names`."""

    __tablename__ = "entities"
    __table_args__ = (UniqueConstraint("entity_type", "name"),)

    entity_uuid: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    entity_type: Mapped[str]
    name: Mapped[str]


class EntityName(Base):
    """One normalised name of an entity. Names of one block that are nearly alike have one entity."""

    __tablename__ = "entity_names"
    __table_args__ = (
        UniqueConstraint("entity_uuid", "entity_type", "normalised"),
        Index("ix_entity_names_block", "block", postgresql_where=text("block IS NOT NULL")),
    )

    entity_type: Mapped[str] = mapped_column(primary_key=True)
    normalised: Mapped[str] = mapped_column(primary_key=True)
    # Null for a type whose entities have one name each: only equal names are the same entity.
    block: Mapped[str | None]
    entity_uuid: Mapped[UUID] = mapped_column(Uuid, ForeignKey("ingest.entities.entity_uuid"))


class EntityMention(Base):
    """One place in a text that names an entity, in characters, [char_start, char_end)."""

    __tablename__ = "entity_mentions"
    __table_args__ = (
        # When a name is moved to another entity, Postgres moves its mentions, too.
        ForeignKeyConstraint(
            ["entity_uuid", "entity_type", "normalised"],
            [f"ingest.entity_names.{name}" for name in ("entity_uuid", "entity_type", "normalised")],
            name="fk_entity_mentions_name",
            onupdate="CASCADE",
        ),
        CheckConstraint(
            "0 <= char_start AND char_end - char_start = char_length(text) AND char_end > char_start",
            name="characters",
        ),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        Index(None, "entity_uuid", "entity_type", "normalised"),
    )

    document_uuid: Mapped[UUID] = mapped_column(
        Uuid,
        ForeignKey("ingest.document_extractions.document_uuid", ondelete="CASCADE"),
        primary_key=True,
    )
    char_start: Mapped[int] = mapped_column(primary_key=True)
    char_end: Mapped[int] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    normalised: Mapped[str]
    entity_uuid: Mapped[UUID] = mapped_column(Uuid)
    page_number: Mapped[int]
    confidence: Mapped[float | None]
    engine: Mapped[str]


class TextractJob(Base):
    """One start of an Amazon Textract job; written before the call that starts it, never removed."""

    __tablename__ = "textract_jobs"
    __table_args__ = (
        CheckConstraint(
            "client_request_token = document_uuid || '-' || attempt", name="client_request_token"
        ),
        _one_of(
            "status",
            (
                "starting",
                "in_progress",
                "succeeded",
                "partial_success",
                "failed",
                "start_failed",
                "expired",
            ),
        ),
        _one_of("error_class", ("transient", "permanent", "configuration")),
        CheckConstraint(
            "(status IN ('failed', 'start_failed', 'expired')) = (error_class IS NOT NULL)",
            name="failed",
        ),
        CheckConstraint(
            "(status IN ('starting', 'in_progress')) = (finished_at IS NULL)", name="finished"
        ),
        UniqueConstraint("document_uuid", "attempt"),
        # One open job for each part of a document, so that no part is started, and billed, twice.
        Index(
            "uq_textract_jobs_open",
            "document_uuid",
            "first_page",
            unique=True,
            postgresql_where=text("status IN ('starting', 'in_progress')"),
        ),
        Index(
            "ix_textract_jobs_in_flight",
            "heartbeat_at",
            postgresql_where=text("status IN ('starting', 'in_progress')"),
        ),
    )

    # Amazon gives the same job for the same token: a start whose answer was lost is found by it.
    client_request_token: Mapped[str] = mapped_column(primary_key=True)
    document_uuid: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("ingest.source_documents.document_uuid")
    )
    # Counts the document's starts, those of its parts included.
    attempt: Mapped[int]
    # The document's page that is the job's first; another than 1 in a document that was split.
    first_page: Mapped[int]
    region: Mapped[str]
    s3_bucket: Mapped[str]
    s3_key: Mapped[str]
    s3_version: Mapped[str | None]
    job_id: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="starting")
    # As counted before the start, then as Textract answers; null where it could not be counted.
    pages: Mapped[int | None]
    warnings: Mapped[list[Any] | None] = mapped_column(JSONB)
    model_version: Mapped[str | None]
    # An estimate: pages at the price of the settings when the row was written.
    cost_usd: Mapped[Decimal | None] = mapped_column(Numeric)
    # Key of Textract's answers in S3; null until they are stored.
    raw_key: Mapped[str | None]
    error_class: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    finished_at: Mapped[datetime | None]


class AlertChannel(Base):
    """One address of INGEST_ALERT_URLS, by a name that holds nothing of it."""

    __tablename__ = "alert_channels"

    channel: Mapped[str] = mapped_column(primary_key=True)
    sent_at: Mapped[datetime | None]
    # The last daily letter.
    digest_at: Mapped[datetime | None]
    # Since when, and why, no letter goes through; null once one did.
    failed_at: Mapped[datetime | None]
    error: Mapped[str | None]


class Alert(Base):
    """One trouble that a channel was told of, and that is not over as far as it knows."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_once", "channel", "topic", text("coalesce(partition_key, '')"), unique=True),
        Index("ix_alerts_partition_key", "partition_key"),
    )

    alert_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    channel: Mapped[str] = mapped_column(
        ForeignKey("ingest.alert_channels.channel", ondelete="CASCADE")
    )
    # `documents:` with a code, `check:` with a check, or another name of what is wrong.
    topic: Mapped[str]
    # Null in the one row that is about the topic itself.
    partition_key: Mapped[str | None] = mapped_column(
        ForeignKey("ingest.document_sources.partition_key", ondelete="CASCADE")
    )
    title: Mapped[str]
    since: Mapped[datetime]
    told_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Worker(Base):
    """One `ingest-assets worker` that is there, or was a short time ago."""

    __tablename__ = "workers"
    __table_args__ = (CheckConstraint("slots >= 1", name="slots"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    queues: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # Runs that it takes at a time.
    slots: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    # The worker is gone where it has not put this off in time.
    expires_at: Mapped[datetime]


class RunLease(Base):
    """Which worker has a run. A run has one lease, ever; a run on this machine has none."""

    __tablename__ = "run_leases"
    __table_args__ = (
        Index(
            "ix_run_leases_open",
            "worker",
            postgresql_where=text("ended_at IS NULL AND lost_at IS NULL"),
        ),
    )

    run_id: Mapped[str] = mapped_column(primary_key=True)
    worker: Mapped[str]
    claimed_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime]
    cancel_requested_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # From then on the run can store nothing.
    lost_at: Mapped[datetime | None]


class TextractPace(Base):
    """How fast all runs together call one of Textract's operations, and how many jobs they have."""

    __tablename__ = "textract_pace"
    __table_args__ = (_one_of("operation", ("start", "get")),)

    region: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    # What runs may do now: less than the setting after Amazon refused a call, then growing again.
    per_second: Mapped[float]
    in_flight: Mapped[float]
    # When the next call may begin.
    next_at: Mapped[datetime] = mapped_column(server_default=_NOW)
