"""The story of one document, in plain words: seen, stored, read, what went wrong, what comes next.

Belongs here: finding a document by whatever name a person has of it, and telling. Does not belong
here: judging all documents (`verification`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from ingest_assets.operations.retry_policy import Failure, RetryRules, failure_of
from ingest_assets.operations.status import SIGN_OF_LIFE_SECONDS
from ingest_assets.stage_names import STAGES
from ingest_assets.store.database import Database
from ingest_assets.store.textract_jobs import jobs_of

_LISTED = 20


@dataclass(frozen=True)
class Told:
    """What is to be printed, and whether it is the story of exactly one document."""

    found: bool
    text: str


def tell(database: Database, wanted: str, dagit: str, rules: RetryRules) -> Told:
    """Tell of the one document that `wanted` names.

    Args:
        wanted: UUID, partition key, file name or part of a file name, in this order.
        dagit: address of Dagit, for the links of runs.
        rules: when documents are tried again by themselves.
    """
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        keys = _find(wanted, reader)
        if not keys:
            return Told(False, f"No document has {wanted!r} as its UUID, partition key or name.")
        if len(keys) > 1:
            return Told(False, "\n".join(_several(wanted, keys, reader)))
        return Told(True, "\n".join(_story(keys[0], dagit, rules, reader)))


def _find(wanted: str, connection: Connection) -> Sequence[str]:
    """Partition keys of the first way of naming that names anything; one more than are listed."""
    for condition, value in _namings(wanted.replace("\x00", "\\0")):
        keys = connection.execute(
            text(f"""
                SELECT partition_key FROM ingest.document_sources AS source
                WHERE {condition} ORDER BY sequence_number LIMIT {_LISTED + 1}
            """),  # noqa: S608 - the conditions below; the value is a parameter
            {"value": value},
        ).scalars()
        if found := keys.all():
            return found
    return []


def _namings(wanted: str) -> Iterator[tuple[str, object]]:
    with suppress(ValueError):
        # A document may have been seen often; its story is that of the sighting which registered it.
        yield (
            """partition_key = coalesce(
                (SELECT partition_key FROM ingest.source_documents WHERE document_uuid = :value),
                (SELECT min(partition_key) FROM ingest.document_sources WHERE document_uuid = :value))
            """,
            UUID(wanted),
        )
    yield "partition_key = :value", wanted
    yield "original_file_name = :value", wanted
    escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    yield "original_file_name ILIKE :value", f"%{escaped}%"


def _several(wanted: str, keys: Sequence[str], connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        text("""
            SELECT partition_key, original_file_name, state FROM ingest.document_progress
            WHERE partition_key = ANY(:keys) ORDER BY original_file_name, discovered_at
        """),
        {"keys": list(keys[:_LISTED])},
    )
    count = f"More than {_LISTED}" if len(keys) > _LISTED else str(len(keys))
    yield f"{count} documents have {wanted!r} in their file name; ask for one by its partition key:"
    for row in rows:
        yield f"  {row.partition_key}  {row.state:<11}  {row.original_file_name!r}"


def _story(partition_key: str, dagit: str, rules: RetryRules, connection: Connection) -> Iterator[str]:
    source = connection.execute(
        text("""
            SELECT progress.*, source.kind, source.source_uri, source.size_bytes,
                   source.source_version, now() AS now
            FROM ingest.document_progress AS progress
            JOIN ingest.document_sources AS source USING (partition_key)
            WHERE partition_key = :key
        """),
        {"key": partition_key},
    ).one()
    attempts = connection.execute(
        text("""
            SELECT * FROM ingest.stage_attempts WHERE partition_key = :key ORDER BY attempt_id
        """),
        {"key": partition_key},
    ).all()
    yield f"{source.original_file_name!r}: {source.state.replace('_', ' ')}"
    yield f"  partition  {partition_key}"
    yield f"  document   {source.document_uuid or 'none yet'}"
    yield ""
    yield (
        f"Seen at {_time(source.discovered_at)} as {source.source_uri} ({source.size_bytes:,} bytes)."
    )
    if source.document_uuid:
        yield from _document(source, connection)
    yield ""
    yield from _attempts(attempts, source, dagit)
    yield ""
    yield f"What happens next: {_next(source, failure_of(connection, rules, partition_key))}"


def _document(source: Row[Any], connection: Connection) -> Iterator[str]:
    document = connection.execute(
        text("""
            SELECT document.*, recognised.engine, recognised.engine_version, recognised.char_count,
                   recognised.mean_confidence, recognised.recognised_at,
                   recognised.page_count AS pages, chunking.chunk_count, chunking.chunked_at,
                   extraction.mention_count, extraction.extracted_at,
                   extraction.engine AS entity_engine,
                   extraction.engine_version AS entity_engine_version
            FROM ingest.source_documents AS document
            LEFT JOIN ingest.document_texts AS recognised USING (document_uuid)
            LEFT JOIN ingest.document_chunkings AS chunking USING (document_uuid)
            LEFT JOIN ingest.document_extractions AS extraction USING (document_uuid)
            WHERE document_uuid = :uuid
        """),
        {"uuid": source.document_uuid},
    ).one_or_none()
    if document is None:
        yield f"It names document {source.document_uuid}, which has no row: `ingest-assets verify`."
        return
    yield (
        f"It is document {document.document_uuid}, {document.mime_type}, registered at "
        f"{_time(document.created_at)}, SHA-256 {document.sha256}."
    )
    if document.partition_key != source.partition_key:
        yield (
            f"It is a duplicate: {document.original_file_name!r} (partition {document.partition_key}) "
            "has the same bytes and was registered first."
        )
    yield from _other_sightings(source, connection)
    where = f"s3://{document.s3_bucket}/{document.s3_key}"
    if document.upload_timestamp:
        yield f"Its object is {where}, verified at {_time(document.upload_timestamp)}."
    else:
        yield f"It has no verified object yet; its place is {where}."
    if document.engine is None:
        yield "It has no text yet."
    elif document.char_count == 0:
        yield (
            f"It was read at {_time(document.recognised_at)} by {document.engine} "
            f"({document.engine_version}): {document.pages} pages, nothing readable on them."
        )
    else:
        confidence = document.mean_confidence
        yield (
            f"Its text, read at {_time(document.recognised_at)} by {document.engine} "
            f"({document.engine_version}): {document.pages} pages, {document.char_count:,} characters"
            + (f", mean confidence {confidence:.2f}." if confidence is not None else ".")
        )
        if document.chunk_count is not None:
            yield f"It has {document.chunk_count:,} chunks, cut at {_time(document.chunked_at)}."
        if document.mention_count is not None:
            yield (
                f"It mentions entities {document.mention_count:,} times, found at "
                f"{_time(document.extracted_at)} by {document.entity_engine} "
                f"({document.entity_engine_version})."
            )
    yield from _notes(source.document_uuid, connection)
    yield from _textract_jobs(source.document_uuid, connection)


def _notes(document_uuid: UUID, connection: Connection) -> Iterator[str]:
    for note in connection.execute(
        text("""
            SELECT page_number, kind, sentence, leaves_out FROM ingest.document_notes
            WHERE document_uuid = :uuid ORDER BY note_number
        """),
        {"uuid": document_uuid},
    ):
        where = f"page {note.page_number}: " if note.page_number else ""
        yield f"  {'Left out' if note.leaves_out else 'Note'} ({note.kind}): {where}{note.sentence}"


def _textract_jobs(document_uuid: UUID, connection: Connection) -> Iterator[str]:
    for job in jobs_of(document_uuid, connection):
        first = f" from page {job.first_page} on" if job.first_page > 1 else ""
        cost = "" if job.cost_usd is None else f", {job.pages} pages, about ${job.cost_usd:.4f}"
        yield (
            f"  {_time(job.created_at)}  Textract, start {job.attempt}{first}: "
            f"{job.status.replace('_', ' ')}{cost}; job {job.job_id or 'not named yet'}"
        )
        if job.error_message:
            yield f"    {job.error_message} ({job.error_code})"


def _other_sightings(source: Row[Any], connection: Connection) -> Iterator[str]:
    others = connection.execute(
        text(f"""
            SELECT partition_key, source_uri, count(*) OVER () AS total
            FROM ingest.document_sources
            WHERE document_uuid = :uuid AND partition_key <> :key
            ORDER BY sequence_number LIMIT {_LISTED}
        """),  # noqa: S608 - a constant of this module
        {"uuid": source.document_uuid, "key": source.partition_key},
    ).all()
    if others:
        yield f"The same bytes were seen elsewhere, too ({others[0].total:,}):"
        yield from (f"  {other.source_uri} (partition {other.partition_key})" for other in others)


def _attempts(attempts: Sequence[Row[Any]], source: Row[Any], dagit: str) -> Iterator[str]:
    if not attempts:
        yield "Nothing has been tried."
        return
    yield "What was tried:"
    for attempt in attempts:
        end = attempt.finished_at
        took = f", {(end - attempt.started_at).total_seconds():.1f} s" if end else ""
        reason = f" ({attempt.error_class}, {attempt.error_code})" if attempt.error_class else ""
        yield (
            f"  {_time(attempt.started_at)}  {attempt.stage}, attempt {attempt.attempt}: "
            f"{attempt.status}{reason}{took}  {dagit}/runs/{attempt.run_id}"
        )
        if attempt.status == "running":
            yield f"    Last sign of life {_ago(attempt.heartbeat_at, source.now)}."
        if attempt.error_message:
            yield f"    {attempt.error_message}"
        if attempt.error_remedy:
            yield f"    What to do: {attempt.error_remedy}"


_DONE = {
    "completed": "nothing; it is done.",
    "duplicate": "nothing; it is done.",
    "no_text": "nothing; it is done, and has no text. If it should have one, look at the original.",
}


def _next(source: Row[Any], failure: Failure | None) -> str:
    """What happens by itself, and what waits for a person."""
    launch = f"materialise partition {source.partition_key} in Dagit"
    if source.state in _DONE:
        return _DONE[source.state]
    if failure is not None:
        return _after_failure(source, failure, launch)
    if source.state == "discovered":
        if source.kind == "s3":
            return f"it waits for a run; it is begun when somebody launches a backfill: {launch}."
        return "it waits for a run; it is begun by the next run that `input_directory` launches."
    if source.finished_at is not None:
        following = STAGES[STAGES.index(source.latest_stage) + 1 :]
        return (
            f"its {source.latest_stage} is done; {following[0] if following else 'the rest'} follows."
        )
    silent = (source.now - source.heartbeat_at).total_seconds() > SIGN_OF_LIFE_SECONDS
    return (
        "the process that worked on it is gone; it is soon begun again, and this attempt closed."
        if silent
        else f"a run is working on it ({source.latest_stage})."
    )


def _after_failure(source: Row[Any], failure: Failure, launch: str) -> str:
    left = "it was left unfinished and " if source.state == "in_progress" else ""
    if failure.due_at is not None:
        when = "now" if failure.due_at <= source.now else f"after {_time(failure.due_at)}"
        return (
            f"{left}it is tried again {when} by the sensor `retry_failed` (runs that failed: "
            f"{failure.runs}); or {launch}."
        )
    if failure.error_class == "permanent":
        leave = ", or leave it" if source.state == "rejected" else ""
        return f"it waits for a person: do what the last attempt says{leave}; then {launch}."
    return (
        f"{left}it waits for a person: {failure.runs} runs failed at its {failure.stage}, and none is "
        f"launched by itself. When the cause is mended, {launch}, or use `ingest-assets retry`."
    )


def _time(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _ago(moment: datetime, now: datetime) -> str:
    return f"{(now - moment).total_seconds():.0f} s ago"
