"""Notes of what was left out of a text, one a row, and whether a document is complete.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

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
                    WHEN latest.status <> 'failed' THEN 'in_progress'
                    WHEN latest.stage = 'document_row' AND latest.error_class = 'permanent'
                        THEN 'rejected'
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
        latest.finished_at{complete}
    FROM ingest.document_sources AS source
    LEFT JOIN ingest.document_stages AS passed USING (document_uuid)
    LEFT JOIN LATERAL (
        SELECT * FROM ingest.stage_attempts AS attempt
        WHERE attempt.partition_key = source.partition_key
        ORDER BY attempt.attempt_id DESC
        LIMIT 1
    ) AS latest ON true
"""
# Null as long as there is no text to be judged.
_COMPLETE = """,
        CASE WHEN passed.stages >= 3 THEN NOT EXISTS (
            SELECT FROM ingest.document_notes AS note
            WHERE note.document_uuid = source.document_uuid AND note.leaves_out
        ) END AS complete"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.document_notes (
            document_uuid uuid NOT NULL
                CONSTRAINT fk_document_notes_document_uuid
                    REFERENCES ingest.document_texts (document_uuid) ON DELETE CASCADE,
            note_number bigint NOT NULL,
            page_number bigint
                CONSTRAINT ck_document_notes_page_number CHECK (page_number >= 1),
            kind text NOT NULL,
            sentence text NOT NULL,
            leaves_out boolean NOT NULL,
            CONSTRAINT pk_document_notes PRIMARY KEY (document_uuid, note_number)
        );
        CREATE INDEX ix_document_notes_leaves_out ON ingest.document_notes (document_uuid)
            WHERE leaves_out;
        INSERT INTO ingest.document_notes
            (document_uuid, note_number, kind, sentence, leaves_out)
        SELECT document_uuid, note.number, 'earlier_version', note.sentence, false
        FROM ingest.document_texts, unnest(notes) WITH ORDINALITY AS note (sentence, number);
        ALTER TABLE ingest.document_texts DROP COLUMN notes;
        DROP VIEW ingest.document_progress;
    """)
    op.execute(_PROGRESS.format(complete=_COMPLETE))


def downgrade() -> None:
    op.execute("""
        ALTER TABLE ingest.document_texts ADD COLUMN notes text[] NOT NULL DEFAULT '{}';
        UPDATE ingest.document_texts AS recognised
        SET notes = ARRAY(
            SELECT coalesce('page ' || page_number || ': ', '') || sentence
            FROM ingest.document_notes AS note
            WHERE note.document_uuid = recognised.document_uuid
            ORDER BY note_number
        );
        DROP VIEW ingest.document_progress;
        DROP TABLE ingest.document_notes;
    """)
    op.execute(_PROGRESS.format(complete=""))
