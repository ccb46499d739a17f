"""The history of one document: where it was seen and stored, what was tried, and what happens next.

Belongs here: finding the document that a person means, and reading all that the database holds of it.
Does not belong here: how it is printed (`cli.render`), and judging all documents (`verification`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from ingest_assets.operations.retry_policy import UNREADABLE, Failure, RetryRules, failure_of
from ingest_assets.operations.status import SIGN_OF_LIFE_SECONDS
from ingest_assets.operations.withheld import withheld_launches
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database
from ingest_assets.store.names import s3_uri

LISTED = 20
INNER_LISTED = 100


class Sighting(NamedTuple):
    """One file or object as it was found: one row of `document_sources`, with its progress.

    Attributes:
        state: a state of `document_progress`.
        superseded_by: the partition of the file's next version, where this one has no result.
        container_key: of a part, the partition of the document that holds it; `container_name` is that
            document's file name.
        document_uuid: None until the sighting is registered.
        latest_stage: the stage of its latest attempt; None before the first. The times after it are
            those of that attempt.
        now: the database's time when all this was read.
    """

    partition_key: str
    original_file_name: str
    state: str
    kind: str
    source_uri: str
    superseded_by: str | None
    container_key: str | None
    container_name: str | None
    size_bytes: int
    discovered_at: datetime
    document_uuid: UUID | None
    latest_stage: str | None
    heartbeat_at: datetime | None
    finished_at: datetime | None
    now: datetime


class Document(NamedTuple):
    """The row of a document, and what each stage stored of it; None where a stage stored nothing yet.

    Attributes:
        partition_key: that of the sighting which registered the document.
        upload_timestamp: when the object was verified.
        mean_confidence: 0 to 1; None if no page was read by optical character recognition.
    """

    document_uuid: UUID
    partition_key: str
    original_file_name: str
    mime_type: str
    sha256: str
    created_at: datetime
    s3_bucket: str
    s3_key: str
    upload_timestamp: datetime | None
    ocr_engine: str | None
    ocr_engine_version: str | None
    recognised_at: datetime | None
    page_count: int | None
    char_count: int | None
    mean_confidence: float | None
    chunk_count: int | None
    chunked_at: datetime | None
    entity_engine: str | None
    entity_engine_version: str | None
    extracted_at: datetime | None
    mention_count: int | None


class Note(NamedTuple):
    """One row of `document_notes`: what a person should know of how the document was read.

    Attributes:
        page_number: from 1; None if it concerns the whole document.
        leaves_out: whether some of what a person sees on the page is missing from the text.
    """

    kind: str
    page_number: int | None
    sentence: str
    leaves_out: bool


class OtherSighting(NamedTuple):
    """Another file or object with the same bytes."""

    partition_key: str
    source_uri: str


class Inner(NamedTuple):
    """A document inside the document, at whatever depth.

    Attributes:
        depth: 1 for what lies in the document itself.
        error_message: why it has no result, where it has none.
    """

    depth: int
    partition_key: str
    part_path: str
    state: str
    error_message: str | None


class Attempt(NamedTuple):
    """One row of `stage_attempts`."""

    stage: str
    attempt: int
    status: str
    run_id: str
    started_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None
    error_class: str | None
    error_code: str | None
    error_message: str | None
    error_remedy: str | None


class Job(NamedTuple):
    """One start of an Amazon Textract job: one row of `textract_jobs`.

    Attributes:
        first_page: the page of the document that the job reads first; jobs of one long document
            begin at different pages.
        job_id: None until Amazon has named the job.
        pages: how many pages the job read; None until it has ended.
        cost_usd: what those pages cost, estimated.
    """

    created_at: datetime
    attempt: int
    first_page: int
    status: str
    job_id: str | None
    pages: int | None
    cost_usd: Decimal | None
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True)
class History:
    """All that is known of one sighting.

    Attributes:
        document: None until the sighting is registered, or if the document's row is gone.
        other_sightings: the first twenty files and objects with the same bytes.
        other_sightings_count: how many there are.
        inner: the first documents that lie inside it, each behind its container, at most a hundred.
        inner_count: how many there are.
        attempts: in the order in which they began.
        next_step: what happens next, or what a person has to do, in a sentence.
    """

    sighting: Sighting
    document: Document | None
    other_sightings: Sequence[OtherSighting]
    other_sightings_count: int
    inner: Sequence[Inner]
    inner_count: int
    notes: Sequence[Note]
    textract_jobs: Sequence[Job]
    attempts: Sequence[Attempt]
    next_step: str


class Candidate(NamedTuple):
    """One of several sightings that a person may mean."""

    partition_key: str
    state: str
    original_file_name: str
    source_uri: str


class Named(NamedTuple):
    """A document that goes by a name.

    Attributes:
        document_uuid: None for sightings of which nothing is stored.
        partition_key: that of its first sighting by this name; `source_uri` is where that was.
        sightings: how many there are by this name.
    """

    document_uuid: UUID | None
    partition_key: str
    source_uri: str
    sightings: int


@dataclass(frozen=True)
class Candidates:
    """No document, or more than one, that goes by what was asked for.

    Attributes:
        listed: the first twenty.
        more: whether there are more than these.
    """

    listed: Sequence[Candidate]
    more: bool


def history(database: Database, wanted: str, rules: RetryRules) -> History | Candidates:
    """Read the history of the one document that `wanted` names.

    Args:
        wanted: a UUID, a partition key, a file name or a part of one; it is looked for in this order.
        rules: when the sensor `retry_failed` tries documents again.

    Returns:
        `Candidates` if no document or more than one goes by that name.
    """
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        keys = _find(wanted, reader)
        if len(keys) != 1:
            return _candidates(keys, reader)
        return _history(keys[0], rules, reader)


def find_whole(connection: Connection, wanted: str) -> Sequence[Named]:
    """The documents that `wanted` names as `history` does, but by no mere part of a file name."""
    for condition, value in _conditions(wanted.replace("\x00", "\\0"), in_part=False):
        rows = connection.execute(
            text(f"""
                SELECT document_uuid, (array_agg(partition_key ORDER BY sequence_number))[1],
                       (array_agg(source_uri ORDER BY sequence_number))[1], count(*)
                FROM ingest.document_sources AS source
                WHERE {condition} GROUP BY document_uuid ORDER BY min(sequence_number)
            """),  # noqa: S608 - the conditions below; the value is a parameter
            {"value": value},
        )
        if found := [Named(*row) for row in rows]:
            return found
    return []


def _find(wanted: str, connection: Connection) -> Sequence[str]:
    """Partition keys by the first condition that any source meets; at most one more than are listed."""
    for condition, value in _conditions(wanted.replace("\x00", "\\0"), in_part=True):
        keys = connection.execute(
            text(f"""
                SELECT partition_key FROM ingest.document_sources AS source
                WHERE {condition} ORDER BY sequence_number LIMIT {LISTED + 1}
            """),  # noqa: S608 - the conditions below; the value is a parameter
            {"value": value},
        ).scalars()
        if found := keys.all():
            return found
    return []


def _conditions(wanted: str, *, in_part: bool) -> Iterator[tuple[str, object]]:
    with suppress(ValueError):
        # A document may have been seen many times; its UUID stands for the sighting that registered it.
        yield (
            """partition_key = coalesce(
                (SELECT partition_key FROM ingest.source_documents WHERE document_uuid = :value),
                (SELECT min(partition_key) FROM ingest.document_sources WHERE document_uuid = :value))
            """,
            UUID(wanted),
        )
    yield "partition_key = :value", wanted
    # Percent-encoded, as it is printed, or as other programs write it.
    yield "source_uri = :value", wanted
    if wanted.startswith("s3://") and "/" in wanted.removeprefix("s3://"):
        bucket, _, key = wanted.removeprefix("s3://").partition("/")
        yield "source_uri = :value", s3_uri(bucket, key)
    yield "original_file_name = :value", wanted
    if in_part:
        escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        yield "original_file_name ILIKE :value", f"%{escaped}%"


def _candidates(keys: Sequence[str], connection: Connection) -> Candidates:
    rows = connection.execute(
        text("""
            SELECT partition_key, state, progress.original_file_name, source_uri
            FROM ingest.document_progress AS progress
            JOIN ingest.document_sources AS source USING (partition_key)
            WHERE partition_key = ANY(:keys)
            ORDER BY progress.original_file_name, progress.discovered_at
        """),
        {"keys": list(keys[:LISTED])},
    )
    return Candidates([Candidate(*row) for row in rows], more=len(keys) > LISTED)


def _history(partition_key: str, rules: RetryRules, connection: Connection) -> History:
    sighting = Sighting(
        *connection.execute(
            text("""
                SELECT source.partition_key, progress.original_file_name, state, kind, source_uri,
                       superseded_by, container.partition_key, container.original_file_name, size_bytes,
                       progress.discovered_at, progress.document_uuid, latest_stage, heartbeat_at,
                       finished_at, now()
                FROM ingest.document_progress AS progress
                JOIN ingest.document_sources AS source USING (partition_key)
                LEFT JOIN ingest.source_documents AS container
                    ON container.document_uuid = source.parent_uuid
                WHERE source.partition_key = :key
            """),
            {"key": partition_key},
        ).one()
    )
    attempts = connection.execute(
        text(f"""
            SELECT {", ".join(Attempt._fields)} FROM ingest.stage_attempts
            WHERE partition_key = :key ORDER BY attempt_id
        """),  # noqa: S608 - names of this module
        {"key": partition_key},
    )
    document: Document | None = None
    others: Sequence[OtherSighting] = ()
    notes: Sequence[Note] = ()
    inner: Sequence[Inner] = ()
    jobs: Sequence[Job] = ()
    count = inner_count = 0
    if sighting.document_uuid:
        document = _document(sighting.document_uuid, connection)
        others, count = _other_sightings(sighting, connection)
        inner, inner_count = _inner(sighting.document_uuid, connection)
        notes = _notes(sighting.document_uuid, connection)
        jobs = _textract_jobs(sighting.document_uuid, connection)
    return History(
        sighting=sighting,
        document=document,
        other_sightings=others,
        other_sightings_count=count,
        inner=inner,
        inner_count=inner_count,
        notes=notes,
        textract_jobs=jobs,
        attempts=[Attempt(*row) for row in attempts],
        next_step=_next_step(
            sighting,
            failure_of(connection, rules, partition_key),
            {withheld.sensor: f" {withheld}" for withheld in withheld_launches(connection)},
        ),
    )


def _document(document_uuid: UUID, connection: Connection) -> Document | None:
    row: Any = connection.execute(
        text("""
            SELECT document_uuid, document.partition_key, document.original_file_name, mime_type,
                   sha256, document.created_at, s3_bucket, s3_key, upload_timestamp,
                   recognised.engine, recognised.engine_version, recognised_at,
                   recognised.page_count, char_count, mean_confidence, chunk_count,
                   chunked_at, extraction.engine, extraction.engine_version, extracted_at,
                   mention_count
            FROM ingest.source_documents AS document
            LEFT JOIN ingest.document_texts AS recognised USING (document_uuid)
            LEFT JOIN ingest.document_chunkings AS chunking USING (document_uuid)
            LEFT JOIN ingest.document_extractions AS extraction USING (document_uuid)
            WHERE document_uuid = :uuid
        """),
        {"uuid": document_uuid},
    ).one_or_none()
    return Document(*row) if row is not None else None


def _other_sightings(sighting: Sighting, connection: Connection) -> tuple[Sequence[OtherSighting], int]:
    rows = connection.execute(
        text(f"""
            SELECT partition_key, source_uri, count(*) OVER () AS total
            FROM ingest.document_sources
            WHERE document_uuid = :uuid AND partition_key <> :key
            ORDER BY sequence_number LIMIT {LISTED}
        """),  # noqa: S608 - a constant of this module
        {"uuid": sighting.document_uuid, "key": sighting.partition_key},
    ).all()
    others = [OtherSighting(row.partition_key, row.source_uri) for row in rows]
    return others, rows[0].total if rows else 0


def _inner(document_uuid: UUID, connection: Connection) -> tuple[Sequence[Inner], int]:
    """What lies inside a document; an archive that holds itself is not followed again."""
    rows = connection.execute(
        text(f"""
            WITH RECURSIVE inside AS (
                SELECT source.partition_key, source.part_path, source.document_uuid, 1 AS depth,
                       ARRAY[source.sequence_number] AS place,
                       ARRAY[CAST(:uuid AS uuid)] AS above
                FROM ingest.document_sources AS source WHERE source.parent_uuid = :uuid
                UNION ALL
                SELECT source.partition_key, source.part_path, source.document_uuid, inside.depth + 1,
                       inside.place || source.sequence_number, inside.above || inside.document_uuid
                FROM inside
                JOIN ingest.document_sources AS source ON source.parent_uuid = inside.document_uuid
                WHERE inside.document_uuid <> ALL(inside.above)
            ), counted AS (
                SELECT *, count(*) OVER () AS total FROM inside ORDER BY place LIMIT {INNER_LISTED}
            )
            SELECT depth, partition_key, part_path, state, error_message, total
            FROM counted JOIN ingest.document_progress USING (partition_key) ORDER BY place
        """),  # noqa: S608 - a constant of this module
        {"uuid": document_uuid},
    ).all()
    return [Inner(*row[:-1]) for row in rows], rows[0].total if rows else 0


def _notes(document_uuid: UUID, connection: Connection) -> list[Note]:
    rows = connection.execute(
        text(f"""
            SELECT {", ".join(Note._fields)} FROM ingest.document_notes
            WHERE document_uuid = :uuid ORDER BY note_number
        """),  # noqa: S608 - names of this module
        {"uuid": document_uuid},
    )
    return [Note(*row) for row in rows]


def _textract_jobs(document_uuid: UUID, connection: Connection) -> list[Job]:
    rows = connection.execute(
        text(f"""
            SELECT {", ".join(Job._fields)} FROM ingest.textract_jobs
            WHERE document_uuid = :uuid ORDER BY attempt
        """),  # noqa: S608 - names of this module
        {"uuid": document_uuid},
    )
    return [Job(*row) for row in rows]


_DONE = {
    "completed": "nothing; it is done.",
    "duplicate": "nothing; it is done.",
    "no_text": "nothing; it is done, and has no text. If it should have one, look at the original.",
}


def _next_step(  # noqa: PLR0911  # One sentence each.
    sighting: Sighting, failure: Failure | None, withheld: Mapping[str, str]
) -> str:
    launch = f"materialise partition {sighting.partition_key} in Dagit"
    if sighting.state in _DONE:
        return _DONE[sighting.state]
    if sighting.state == "superseded":
        later = sighting.superseded_by
        found = f"is partition {later}" if later else "is found as a new source when it has settled"
        return f"nothing; the file as it is now {found}."
    if failure is not None:
        return _after_failure(sighting, failure, launch, withheld.get("retry_failed", ""))
    if sighting.latest_stage is None or sighting.heartbeat_at is None:
        return (
            f"it waits until a person launches a backfill: {launch}."
            if sighting.kind == "s3"
            else "it waits for the next run that the sensor `input_directory` launches."
            + withheld.get("input_directory", "")
        )
    if sighting.finished_at is not None:
        following = [*STAGES, "the rest"][STAGES.index(sighting.latest_stage) + 1]
        return f"its {sighting.latest_stage} is done; its run goes on with {following}."
    if (sighting.now - sighting.heartbeat_at).total_seconds() > SIGN_OF_LIFE_SECONDS:
        return (
            "the process that worked on it is gone; a sensor launches another run, which closes this "
            "attempt and begins a new one." + withheld.get("input_directory", "")
        )
    return f"a run is working on it ({sighting.latest_stage})."


def _after_failure(sighting: Sighting, failure: Failure, launch: str, withheld: str) -> str:
    left = "it was left unfinished; " if sighting.state == "in_progress" else ""
    if failure.due_at is not None:
        when = (
            "now"
            if failure.due_at <= sighting.now
            else f"after {failure.due_at.astimezone():%Y-%m-%d %H:%M:%S}"
        )
        return (
            f"{left}the sensor `retry_failed` tries it again {when} (runs that failed: "
            f"{failure.runs}); or {launch}.{withheld}"
        )
    if failure.error_code == UNREADABLE:
        return "it waits for the right to read the file; then the sensor `retry_failed` tries it again."
    if sighting.state == "rejected":
        return (
            "nothing; it is no document. If it should be one, do what the last attempt says; then "
            f"{launch}."
        )
    if failure.error_class == "permanent":
        return f"it waits for a person: do what the last attempt says; then {launch}."
    return (
        f"{left}it waits for a person: {failure.runs} runs failed at its {failure.stage}, and no "
        f"sensor launches another. When the cause is mended, {launch}, or use `ingest-assets retry`."
    )
