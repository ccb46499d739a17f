"""The questions of the verification checklist, each with the SQL that finds the documents that fail it.

Belongs here: the questions. Does not belong here: reading what they are asked about (`engine`), and
how the answers are printed (`cli.render`, `defs.checks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, text

from ingest_assets.errors import IngestError
from ingest_assets.operations.left_out import left_out
from ingest_assets.operations.reconcile.inventory import Class, Finding, Inventory
from ingest_assets.operations.reconcile.plan import WHAT_TO_DO
from ingest_assets.stage_names import STAGES
from ingest_assets.text import counted

NAMED = 20


@dataclass(frozen=True)
class Named:
    """A document that a check names, by those of its names that are known, and why it names it."""

    why: str
    partition_key: str | None = None
    original_file_name: str | None = None
    document_uuid: UUID | None = None
    s3_key: str | None = None

    def __str__(self) -> str:
        names = [repr(self.original_file_name)] if self.original_file_name else []
        names += [f"partition {self.partition_key}"] if self.partition_key else []
        names += [f"document {self.document_uuid}"] if self.document_uuid else []
        names += [f"object {self.s3_key!r}"] if self.s3_key and not self.document_uuid else []
        return ", ".join(names)


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        count: how many documents fail.
        failing: the first twenty of them.
        explained: documents without a result whose reason is stored, so that they do not fail.
        note: a sentence about those.
    """

    count: int = 0
    failing: Sequence[Named] = ()
    explained: Sequence[Named] = ()
    note: str = ""


@dataclass(frozen=True)
class Snapshot:
    """What the questions are asked about: one snapshot of the database, and one inventory.

    Attributes:
        connection: its temporary table `shown` holds what Dagster shows of each partition, its
            temporary table `unfinished` the sources that lack a stage's result.
        cutoff: what is younger is in flight.
        inventory: the comparison of the bucket with the database; the error if the bucket could not
            be read, None if no question needs it.
        inbox: why the inbox in S3 cannot be looked at; None if it can, or is a directory, which need
            not be where the questions are asked.
    """

    connection: Connection
    cutoff: datetime
    inventory: Inventory | IngestError | None
    inbox: IngestError | None = None


@dataclass(frozen=True)
class Check:
    """One question of the checklist.

    Attributes:
        name: stable; the asset check in Dagster has the same name.
        question: a sentence; the answer yes means that all is well.
        remedy: what to do if the answer is no.
        ask: finds the documents that fail.
        needs_inventory: whether it needs a listing of the bucket.
        warns: whether a no only warns: it is nothing that has to be mended.
    """

    name: str
    question: str
    remedy: str
    ask: Callable[[Snapshot], Answer]
    needs_inventory: bool = False
    warns: bool = False


def _named(snapshot: Snapshot, sql: str) -> tuple[int, list[Named]]:
    """Count the rows of a query and name the first twenty.

    Args:
        sql: selects `partition_key`, `document_uuid`, `original_file_name`, `why`; may use the
            parameter `cutoff`.
    """
    rows = snapshot.connection.execute(
        text(f"""
            SELECT partition_key, document_uuid, original_file_name, why, count(*) OVER () AS total
            FROM ({sql}) AS failing ORDER BY partition_key, document_uuid LIMIT {NAMED}
        """),  # noqa: S608 - the queries below, and nothing from outside
        {"cutoff": snapshot.cutoff} if ":cutoff" in sql else {},
    ).all()
    return (
        rows[0].total if rows else 0,
        [Named(r.why, r.partition_key, r.original_file_name, r.document_uuid) for r in rows],
    )


def _ask(sql: str) -> Callable[[Snapshot], Answer]:
    return lambda snapshot: Answer(*_named(snapshot, sql))


# How far an unfinished document came, in a sentence.
_HOW_FAR = """
    CASE
        WHEN state = 'discovered' THEN
            format('Seen at %s; nothing has worked on it.',
                   to_char(discovered_at, 'YYYY-MM-DD HH24:MI:SS'))
        WHEN finished_at IS NULL THEN
            format('Its %s began at %s; the last sign of life was at %s.', latest_stage,
                   to_char(started_at, 'YYYY-MM-DD HH24:MI:SS'),
                   to_char(heartbeat_at, 'YYYY-MM-DD HH24:MI:SS'))
        ELSE format('Its %s ended well at %s; then nothing followed.', latest_stage,
                    to_char(finished_at, 'YYYY-MM-DD HH24:MI:SS'))
    END
"""

_WITHOUT_ROW = f"""
    SELECT partition_key, document_uuid, original_file_name, {_HOW_FAR} AS why
    FROM pg_temp.unfinished
    WHERE document_uuid IS NULL AND state IN ('discovered', 'in_progress') AND NOT in_flight
"""  # noqa: S608 - constants of this module

_TWO_UUIDS = """
    SELECT document.partition_key, document.document_uuid, document.original_file_name,
           format('The source that registered it names document %s.',
                  coalesce(source.document_uuid::text, 'none')) AS why
    FROM ingest.source_documents AS document
    LEFT JOIN ingest.document_sources AS source USING (partition_key)
    WHERE source.document_uuid IS DISTINCT FROM document.document_uuid
    UNION ALL
    SELECT partition_key, document_uuid, original_file_name, format('Its key is %s.', s3_key)
    FROM ingest.source_documents
    WHERE NOT starts_with(s3_key, 'documents/' || document_uuid || '/')
    UNION ALL
    SELECT DISTINCT ON (partition_key) partition_key, source.document_uuid, original_file_name,
           format('Attempt %s at %s names document %s.', attempt.attempt, attempt.stage,
                  coalesce(attempt.document_uuid::text, 'none'))
    FROM ingest.stage_attempts AS attempt
    JOIN ingest.document_sources AS source USING (partition_key)
    WHERE attempt.document_uuid IS DISTINCT FROM source.document_uuid
      AND (attempt.document_uuid IS NOT NULL OR attempt.status = 'succeeded')
"""

_UNKNOWN_UUIDS = """
    SELECT source.partition_key, source.document_uuid, source.original_file_name,
           'Its source names a document that has no row.' AS why
    FROM ingest.document_sources AS source
    LEFT JOIN ingest.source_documents AS document USING (document_uuid)
    WHERE source.document_uuid IS NOT NULL AND document.document_uuid IS NULL
    UNION ALL
    SELECT attempt.partition_key, attempt.document_uuid, source.original_file_name,
           CASE WHEN source.partition_key IS NULL
               THEN format('Attempt %s at %s is of a partition without a source.',
                           attempt.attempt, attempt.stage)
               ELSE format('Attempt %s at %s names a document that has no row.',
                           attempt.attempt, attempt.stage)
           END
    FROM ingest.stage_attempts AS attempt
    LEFT JOIN ingest.document_sources AS source USING (partition_key)
    LEFT JOIN ingest.source_documents AS document
        ON document.document_uuid = attempt.document_uuid
    WHERE source.partition_key IS NULL
       OR attempt.document_uuid IS NOT NULL AND document.document_uuid IS NULL
    UNION ALL
    SELECT NULL, document_uuid, NULL, 'There is a text of a document that has no row.'
    FROM ingest.document_texts AS recognised
    LEFT JOIN ingest.source_documents AS document USING (document_uuid)
    WHERE document.document_uuid IS NULL
"""

# `stage_attempts` keeps such an attempt for ever: it counts until a later attempt has succeeded.
_NOT_FOUND = """
    SELECT DISTINCT ON (partition_key) partition_key, source.document_uuid,
           source.original_file_name,
           format('Attempt %s ended with %s: %s', attempt.attempt, attempt.error_code,
                  attempt.error_message) AS why
    FROM ingest.stage_attempts AS attempt
    JOIN ingest.document_sources AS source USING (partition_key)
    WHERE attempt.stage = 'document_text'
      AND attempt.error_code IN ('object_missing', 'upstream_missing', 'source_unknown')
      AND NOT EXISTS (
          SELECT 1 FROM ingest.stage_attempts AS later
          WHERE later.partition_key = attempt.partition_key AND later.stage = attempt.stage
            AND later.attempt > attempt.attempt
            AND (later.status = 'succeeded'
                 OR later.status = 'running' AND later.heartbeat_at > :cutoff))
    ORDER BY partition_key, attempt.attempt_id DESC
"""

_STAGE_NOT_PASSED = f"""
    SELECT partition_key, document_uuid, original_file_name, {_HOW_FAR} AS why
    FROM pg_temp.unfinished
    WHERE document_uuid IS NOT NULL AND state IN ('discovered', 'in_progress') AND NOT in_flight
    UNION ALL
    SELECT document.partition_key, document_uuid, document.original_file_name,
           'It has a text, but its object was never verified.'
    FROM ingest.document_texts JOIN ingest.source_documents AS document USING (document_uuid)
    WHERE document.upload_timestamp IS NULL
"""  # noqa: S608 - constants of this module

_HAS_A_REASON = (
    "state IN ('failed', 'rejected', 'superseded') AND error_code > '' AND error_message > ''"
)

_WITH_A_REASON = f"""
    SELECT partition_key, document_uuid, original_file_name,
           format('%s at %s (%s, %s): %s %s', state, latest_stage, error_class, error_code,
                  error_message, error_remedy) AS why
    FROM pg_temp.unfinished WHERE {_HAS_A_REASON}
"""  # noqa: S608 - constants of this module

_WITHOUT_A_REASON = f"""
    SELECT partition_key, document_uuid, original_file_name,
           CASE WHEN state IN ('failed', 'rejected', 'superseded')
               THEN format('Its attempt at %s failed without a code and a sentence.', latest_stage)
               ELSE format('Dagster shows it failed at %s; the database knows no reason.', failed_at)
           END AS why
    FROM pg_temp.unfinished LEFT JOIN pg_temp.shown USING (partition_key)
    WHERE state IN ('failed', 'rejected', 'superseded') AND NOT coalesce({_HAS_A_REASON}, false)
       OR state IN ('discovered', 'in_progress') AND NOT in_flight AND failed_at IS NOT NULL
"""  # noqa: S608 - constants of this module

# A document with an attempt after the cutoff is passed over: its run may have stored a result after
# Dagster was asked.
_DISAGREEING = """
    SELECT partition_key, document_uuid, original_file_name, why
    FROM (
        SELECT source.partition_key, source.document_uuid, source.original_file_name,
               CASE
                   WHEN shown.partition_key IS NULL AND source.discovered_at > :cutoff THEN NULL
                   WHEN shown.partition_key IS NULL THEN 'It has no partition.'
                   -- An outcome without results is materialised at all assets.
                   WHEN ended.state IN ('rejected', 'superseded') THEN NULL
                   WHEN shown.furthest > reached.stages THEN
                       format('Dagster calls its %s materialised; the database does not hold it.',
                              (:stages)[shown.furthest])
                   WHEN reached.stages < cardinality(:stages) OR shown.in_progress THEN NULL
                   WHEN shown.failed_at IS NOT NULL THEN
                       format('Dagster shows it failed at %s; its results are stored.', shown.failed_at)
                   WHEN shown.furthest < reached.stages THEN
                       format('Its results are stored; Dagster does not show its %s.',
                              (:stages)[shown.furthest + 1])
               END AS why
        FROM ingest.document_sources AS source
        LEFT JOIN pg_temp.shown USING (partition_key)
        LEFT JOIN pg_temp.unfinished AS ended USING (partition_key)
        LEFT JOIN ingest.document_stages AS passed
            ON passed.document_uuid = source.document_uuid
        CROSS JOIN LATERAL (SELECT coalesce(passed.stages, 0) AS stages) AS reached
    ) AS compared
    WHERE why IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM ingest.stage_attempts AS attempt
        WHERE attempt.partition_key = compared.partition_key
          AND greatest(attempt.heartbeat_at, attempt.finished_at) > :cutoff)
    UNION ALL
    SELECT shown.partition_key, NULL, NULL, 'It is a partition without a source.'
    FROM pg_temp.shown LEFT JOIN ingest.document_sources AS source USING (partition_key)
    WHERE source.partition_key IS NULL
""".replace(":stages", f"ARRAY{list(STAGES)}")


# A part that was rejected for a stored reason has an outcome, too.
_PARTS_WITHOUT_OUTCOME = f"""
    SELECT partition_key, document_uuid, original_file_name,
           format('It is part of %s. ', container_name) || {_HOW_FAR} AS why
    FROM pg_temp.unfinished
    JOIN (SELECT source.partition_key, container.original_file_name AS container_name
          FROM ingest.document_sources AS source
          JOIN ingest.source_documents AS container
              ON container.document_uuid = source.parent_uuid) AS part USING (partition_key)
    WHERE state IN ('discovered', 'in_progress') AND NOT in_flight
    UNION ALL
    SELECT document.partition_key, document_uuid, document.original_file_name,
           format('%s parts were found in it, and %s are recorded.', container.part_count, found.parts)
    FROM ingest.document_containers AS container
    JOIN ingest.source_documents AS document USING (document_uuid)
    CROSS JOIN LATERAL (
        SELECT count(*) AS parts FROM ingest.document_sources AS source
        WHERE source.parent_uuid = container.document_uuid
    ) AS found
    WHERE found.parts < container.part_count
"""  # noqa: S608 - constants of this module

_NOT_GONE = """
    SELECT document.partition_key, document.document_uuid, document.original_file_name,
           format('It was to be forgotten on %s, and its rows are there.', begun_at::date) AS why
    FROM ingest.forgotten_documents AS tombstone
    JOIN ingest.source_documents AS document USING (sha256)
    UNION ALL
    SELECT NULL, NULL, NULL,
           format('The removal of %s was begun on %s and has not ended.', left(sha256, 12), begun_at)
    FROM ingest.forgotten_documents
    WHERE finished_at IS NULL AND begun_at < :cutoff AND coalesce(locked_until < now(), true)
      AND sha256 NOT IN (SELECT sha256 FROM ingest.source_documents)
"""

# Only the latest documents are looked at, because Postgres reads the whole text anew for each place
# that is cut out of it. That is enough: a constraint refuses a row whose length is not that of its
# place, so a fault in the code would show in each new document.
_LATEST = 200
_OTHER_WORDS = f"""
    WITH latest AS (
        SELECT document_uuid, recognised.text, partition_key, original_file_name
        FROM (SELECT document_uuid FROM ingest.document_chunkings
              ORDER BY chunked_at DESC LIMIT {_LATEST}) AS chunking
        JOIN ingest.document_texts AS recognised USING (document_uuid)
        JOIN ingest.source_documents USING (document_uuid)
        WHERE char_length(recognised.text) < 200000
    )
    SELECT DISTINCT ON (document_uuid) partition_key, document_uuid, original_file_name,
           format('%s at characters %s to %s does not say what the text says there.', what, char_start,
                  char_end) AS why
    FROM latest
    CROSS JOIN LATERAL (
        SELECT 'Its chunk' AS what, char_start, char_end, place.text
        FROM ingest.document_chunks AS place WHERE place.document_uuid = latest.document_uuid
        UNION ALL
        SELECT 'Its mention', char_start, char_end, place.text
        FROM ingest.entity_mentions AS place WHERE place.document_uuid = latest.document_uuid
    ) AS place
    WHERE place.text <> substr(latest.text, char_start::int + 1, (char_end - char_start)::int)
    ORDER BY document_uuid, char_start
"""  # noqa: S608 - a constant of this module


def _left_out(snapshot: Snapshot) -> Answer:
    found = left_out(snapshot.connection, NAMED)
    return Answer(
        found.incomplete,
        [
            Named(
                document.first_note
                + (f" (and {document.notes - 1} more)" if document.notes > 1 else ""),
                document.partition_key,
                document.original_file_name,
                document.document_uuid,
            )
            for document in found.latest
        ],
    )


def _not_found(snapshot: Snapshot) -> Answer:
    count, failing = _named(snapshot, _NOT_FOUND)
    mended: int = (
        snapshot.connection.execute(
            text("""
            SELECT count(DISTINCT partition_key) FROM ingest.stage_attempts
            WHERE stage = 'document_text'
              AND error_code IN ('object_missing', 'upstream_missing', 'source_unknown')
        """)
        ).scalar_one()
        - count
    )
    note = f"Once ended so, and tried again since: {counted(mended, 'document')}." if mended > 0 else ""
    return Answer(count, failing, note=note)


def _stages_passed(snapshot: Snapshot) -> Answer:
    count, failing = _named(snapshot, _STAGE_NOT_PASSED)
    explained, documents = _named(snapshot, _WITH_A_REASON)
    note = (
        f"Not past every stage, each with its stored reason: {counted(explained, 'document')}."
        if explained
        else ""
    )
    return Answer(count, failing, documents, note)


def _inbox(snapshot: Snapshot) -> Answer:
    fault = snapshot.inbox
    return Answer() if fault is None else Answer(1, [Named(str(fault))])


def _objects(kinds: Sequence[Class], snapshot: Snapshot) -> Answer:
    """The documents or objects that the inventory put into one of these classes."""
    inventory = snapshot.inventory
    if inventory is None:
        raise ValueError("this check needs an inventory")
    if isinstance(inventory, IngestError):
        return Answer(1, [Named(f"The bucket could not be read: {inventory}")])
    found = [finding for kind in kinds for finding in inventory.samples[kind]][:NAMED]
    names = _names(snapshot.connection, found)
    failing = [
        Named(
            finding.detail,
            *names.get(finding.document_uuid, (None, None)),
            document_uuid=finding.document_uuid,
            s3_key=finding.key,
        )
        for finding in found
    ]
    return Answer(sum(inventory.counts[kind] for kind in kinds), failing)


def _names(
    connection: Connection, found: Sequence[Finding]
) -> Mapping[UUID | None, tuple[str | None, str | None]]:
    """Partition key and file name of the documents that these findings name, by document UUID."""
    rows = connection.execute(
        text("""
            SELECT document_uuid, partition_key, original_file_name
            FROM ingest.source_documents WHERE document_uuid = ANY(:uuids)
        """),
        {"uuids": [finding.document_uuid for finding in found if finding.document_uuid]},
    )
    return {row[0]: (row[1], row[2]) for row in rows}


CHECKS: Sequence[Check] = (
    Check(
        "sources_have_rows",
        "Does every source have a row, or a stated reason for having none?",
        "Launch a run of these partitions: in Dagit, materialise all assets of documents for them.",
        _ask(_WITHOUT_ROW),
    ),
    Check(
        "one_uuid",
        "Is a document's UUID the same in its row, its key, its text and its attempts?",
        "Somebody wrote into the tables by hand: find out who, and set right what the sentence names.",
        _ask(_TWO_UUIDS),
    ),
    Check(
        "no_document_not_found",
        'Did no attempt to recognise a document end with "document not found"?',
        "Materialise document_row, document_object and document_text of these partitions, in one run.",
        _not_found,
    ),
    Check(
        "known_uuids",
        "Do sources, attempts and texts name only documents that exist?",
        "The foreign keys of schema ingest are broken: restore them, and the rows from a backup; "
        "`ingest-assets rebuild-db` restores rows from the bucket.",
        _ask(_UNKNOWN_UUIDS),
    ),
    Check(
        "stages_passed",
        "Has every document passed every stage, or a stored reason why not?",
        "Launch a run of these partitions: what is done already is skipped.",
        _stages_passed,
    ),
    Check(
        "parts_have_outcomes",
        "Has every part of every document an outcome of its own?",
        "Launch a run of these partitions. Where parts are not recorded, delete the document's row of "
        "ingest.document_containers first, so that the run looks into it again.",
        _ask(_PARTS_WITHOUT_OUTCOME),
    ),
    Check(
        "places_fit",
        "Do chunks and mentions say what the text says at their place?",
        "Somebody wrote into the tables by hand: delete these documents' rows of document_chunkings, "
        "and materialise document_chunks and document_entities.",
        _ask(_OTHER_WORDS),
    ),
    Check(
        "inbox_can_be_listed",
        "Can the prefix in S3 that INGEST_INPUT_DIR names be looked at, where it is one?",
        "Until then no new object is found. Check INGEST_INPUT_DIR, its bucket, the credentials and "
        "their rights.",
        _inbox,
    ),
    Check(
        "objects_have_rows",
        "Does every object under documents/ have a row, or a source that names it?",
        WHAT_TO_DO["orphan"],
        partial(_objects, ("orphan",)),
        needs_inventory=True,
    ),
    Check(
        "rows_have_objects",
        "Does every stored document have its object, with the bytes that its row says?",
        f"Lost: {WHAT_TO_DO['lost']} Other bytes: {WHAT_TO_DO['differs']} "
        f"Not readable: {WHAT_TO_DO['unreadable']}",
        partial(_objects, ("lost", "differs", "unreadable")),
        needs_inventory=True,
    ),
    Check(
        "failures_have_reasons",
        "Does every failed partition have a stored reason?",
        "Their run ended before it could say why: look at its log, then launch these partitions again.",
        _ask(_WITHOUT_A_REASON),
    ),
    Check(
        "partitions_agree",
        "Do Dagster's partitions and the database say the same?",
        "Materialise these partitions again: the run skips what is done, and reports it to Dagster. "
        "Delete partitions that have no source.",
        _ask(_DISAGREEING),
    ),
    Check(
        "forgotten_is_gone",
        "Is all gone that was to be forgotten?",
        "`ingest-assets forget --resume` removes the rest.",
        _ask(_NOT_GONE),
    ),
    Check(
        "nothing_left_out",
        "Was all that a person sees in the documents read as text?",
        "Look at the notes of these documents: `ingest-assets why`, or ingest.document_notes. They say "
        "what was left out, where and why; docs/errors.md says what to do about each kind.",
        _left_out,
        warns=True,
    ),
)
