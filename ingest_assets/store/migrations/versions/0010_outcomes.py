"""Outcomes that ask nothing of a person: what is no document, and what was replaced while it was read.

Revision ID: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NO_DOCUMENT = (
    "latest.error_code IN ('empty', 'forgotten', 'link_loop', 'not_a_file', 'unsupported_type')"
)
_BEFORE = "latest.stage = 'document_row' AND latest.error_class = 'permanent'"

_PROGRESS = """
    CREATE VIEW ingest.document_progress AS
    SELECT
        source.partition_key,
        source.document_uuid,
        source.original_file_name,
        (ARRAY['discovered', 'document_row', 'document_object', 'document_text',
               'document_chunks', 'document_entities'])[coalesce(passed.stages, 0) + 1] AS stage,
        CASE
            WHEN coalesce(passed.stages, 0) < 5 THEN
                CASE
                    WHEN latest.status IS NULL THEN 'discovered'
                    WHEN latest.status <> 'failed' THEN 'in_progress'{superseded}
                    WHEN {rejected} THEN 'rejected'
                    ELSE 'failed'
                END
            WHEN passed.partition_key <> source.partition_key THEN 'duplicate'
            WHEN passed.char_count = 0 THEN 'no_text'
            ELSE 'completed'
        END AS state,
        latest.stage AS latest_stage,
        latest.error_class,
        latest.error_code,
        latest.error_message,
        latest.error_remedy,
        coalesce(latest.attempt, 0) AS attempts,
        latest.run_id,
        source.discovered_at,
        latest.started_at,
        latest.heartbeat_at,
        latest.finished_at,
        CASE WHEN passed.stages >= 3 THEN NOT EXISTS (
            SELECT FROM ingest.document_notes AS note
            WHERE note.document_uuid = source.document_uuid AND note.leaves_out
        ) END AS complete{superseded_by}
    FROM ingest.document_sources AS source
    LEFT JOIN ingest.document_stages AS passed USING (document_uuid)
    LEFT JOIN LATERAL (
        SELECT * FROM ingest.stage_attempts AS attempt
        WHERE attempt.partition_key = source.partition_key
        ORDER BY attempt.attempt_id DESC
        LIMIT 1
    ) AS latest ON true{later}
"""
# The next sighting at the same place. Looked for only where the latest attempt failed.
_LATER = """
    LEFT JOIN LATERAL (
        SELECT later.partition_key FROM ingest.document_sources AS later
        WHERE latest.status = 'failed' AND coalesce(passed.stages, 0) < 5 AND source.kind <> 'part'
          AND later.source_uri = source.source_uri
          AND later.sequence_number > source.sequence_number
        ORDER BY later.sequence_number
        LIMIT 1
    ) AS later ON true"""
_SUPERSEDED = """
                    WHEN latest.error_code = 'superseded' OR later.partition_key IS NOT NULL
                        THEN 'superseded'"""


def upgrade() -> None:
    op.execute("DROP VIEW ingest.document_progress;")
    op.execute(
        _PROGRESS.format(
            rejected=_NO_DOCUMENT,
            superseded=_SUPERSEDED,
            superseded_by=",\n        later.partition_key AS superseded_by",
            later=_LATER,
        )
    )
    op.execute("""
        CREATE INDEX ix_stage_attempts_no_document ON ingest.stage_attempts (partition_key)
            WHERE error_code IN ('empty', 'forgotten', 'link_loop', 'not_a_file', 'unsupported_type');
    """)


def downgrade() -> None:
    op.execute("""
        DROP INDEX ingest.ix_stage_attempts_no_document;
        DROP VIEW ingest.document_progress;
    """)
    op.execute(_PROGRESS.format(rejected=_BEFORE, superseded="", superseded_by="", later=""))
