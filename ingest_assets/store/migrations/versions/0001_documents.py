"""Sources, documents, attempts, texts, pages, and the view of their progress.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.document_sources (
            partition_key text CONSTRAINT pk_document_sources PRIMARY KEY
                CONSTRAINT ck_document_sources_partition_key
                    CHECK (partition_key ~ '^[a-z0-9-]{14,61}$'),
            source_uri text NOT NULL,
            kind text NOT NULL
                CONSTRAINT ck_document_sources_kind CHECK (kind IN ('file', 's3')),
            original_file_name text NOT NULL,
            size_bytes bigint NOT NULL
                CONSTRAINT ck_document_sources_size_bytes CHECK (size_bytes >= 0),
            source_version text NOT NULL,
            discovered_at timestamptz NOT NULL DEFAULT now(),
            batch_id uuid NOT NULL,
            sequence_number bigint NOT NULL GENERATED ALWAYS AS IDENTITY
                CONSTRAINT uq_document_sources_sequence_number UNIQUE,
            document_uuid uuid,
            CONSTRAINT uq_document_sources_source_uri_size_bytes_source_version
                UNIQUE (source_uri, size_bytes, source_version)
        );
        CREATE INDEX ix_document_sources_document_uuid ON ingest.document_sources (document_uuid);
        CREATE INDEX ix_document_sources_batch_id ON ingest.document_sources (batch_id);

        CREATE TABLE ingest.source_documents (
            document_uuid uuid DEFAULT gen_random_uuid()
                CONSTRAINT pk_source_documents PRIMARY KEY,
            sha256 text NOT NULL
                CONSTRAINT uq_source_documents_sha256 UNIQUE
                CONSTRAINT ck_source_documents_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
            original_file_name text NOT NULL,
            s3_bucket text NOT NULL,
            object_name text NOT NULL
                CONSTRAINT ck_source_documents_object_name CHECK (object_name ~ '^[^/]+$'),
            s3_key text NOT NULL
                GENERATED ALWAYS AS ('documents/' || document_uuid || '/' || object_name) STORED
                CONSTRAINT uq_source_documents_s3_key UNIQUE,
            s3_etag text,
            file_size_bytes bigint NOT NULL
                CONSTRAINT ck_source_documents_file_size_bytes CHECK (file_size_bytes > 0),
            file_size_mb numeric NOT NULL
                GENERATED ALWAYS AS (round(file_size_bytes / 1048576.0, 3)) STORED,
            mime_type text NOT NULL
                CONSTRAINT ck_source_documents_mime_type CHECK (mime_type IN (
                    'application/pdf', 'image/png', 'image/jpeg', 'image/tiff', 'text/plain',
                    'application/vnd.openxmlformats-officedocument.wordprocessingml.document')),
            page_count bigint,
            partition_key text NOT NULL
                CONSTRAINT fk_source_documents_partition_key
                    REFERENCES ingest.document_sources (partition_key),
            created_at timestamptz NOT NULL DEFAULT now(),
            upload_timestamp timestamptz,
            CONSTRAINT ck_source_documents_s3_key
                CHECK (starts_with(s3_key, 'documents/' || document_uuid || '/'))
        );
        CREATE INDEX ix_source_documents_partition_key ON ingest.source_documents (partition_key);
        ALTER TABLE ingest.document_sources
            ADD CONSTRAINT fk_document_sources_document_uuid
                FOREIGN KEY (document_uuid) REFERENCES ingest.source_documents (document_uuid);

        CREATE TABLE ingest.stage_attempts (
            attempt_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_stage_attempts PRIMARY KEY,
            partition_key text NOT NULL
                CONSTRAINT fk_stage_attempts_partition_key
                    REFERENCES ingest.document_sources (partition_key),
            document_uuid uuid
                CONSTRAINT fk_stage_attempts_document_uuid
                    REFERENCES ingest.source_documents (document_uuid),
            stage text NOT NULL,
            attempt bigint NOT NULL,
            status text NOT NULL DEFAULT 'running'
                CONSTRAINT ck_stage_attempts_status
                    CHECK (status IN ('running', 'succeeded', 'failed')),
            error_class text
                CONSTRAINT ck_stage_attempts_error_class
                    CHECK (error_class IN ('transient', 'permanent', 'configuration')),
            error_code text,
            error_message text,
            error_remedy text,
            run_id text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now(),
            heartbeat_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            CONSTRAINT uq_stage_attempts_partition_key_stage_attempt
                UNIQUE (partition_key, stage, attempt),
            CONSTRAINT ck_stage_attempts_failed
                CHECK ((status = 'failed') = (error_class IS NOT NULL)),
            CONSTRAINT ck_stage_attempts_finished
                CHECK ((status = 'running') = (finished_at IS NULL))
        );
        CREATE INDEX ix_stage_attempts_latest
            ON ingest.stage_attempts (partition_key, attempt_id DESC);
        CREATE INDEX ix_stage_attempts_running
            ON ingest.stage_attempts (heartbeat_at) WHERE status = 'running';

        CREATE TABLE ingest.document_texts (
            document_uuid uuid
                CONSTRAINT pk_document_texts PRIMARY KEY
                CONSTRAINT fk_document_texts_document_uuid
                    REFERENCES ingest.source_documents (document_uuid),
            text text NOT NULL,
            engine text NOT NULL,
            engine_version text NOT NULL,
            page_count bigint NOT NULL,
            char_count bigint NOT NULL GENERATED ALWAYS AS (char_length(text)) STORED,
            mean_confidence double precision
                CONSTRAINT ck_document_texts_mean_confidence CHECK (mean_confidence BETWEEN 0 AND 1),
            notes text[] NOT NULL DEFAULT '{}',
            recognised_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX ix_document_texts_search ON ingest.document_texts
            USING gin (to_tsvector('english', left(text, 200000)));

        CREATE TABLE ingest.document_pages (
            document_uuid uuid NOT NULL
                CONSTRAINT fk_document_pages_document_uuid
                    REFERENCES ingest.document_texts (document_uuid) ON DELETE CASCADE,
            page_number bigint NOT NULL
                CONSTRAINT ck_document_pages_page_number CHECK (page_number >= 1),
            char_start bigint NOT NULL,
            char_end bigint NOT NULL,
            origin text NOT NULL
                CONSTRAINT ck_document_pages_origin CHECK (origin IN ('text-layer', 'ocr')),
            confidence double precision
                CONSTRAINT ck_document_pages_confidence CHECK (confidence BETWEEN 0 AND 1),
            CONSTRAINT pk_document_pages PRIMARY KEY (document_uuid, page_number),
            CONSTRAINT ck_document_pages_characters
                CHECK (0 <= char_start AND char_start <= char_end)
        );
    """)
    op.execute("""
        CREATE VIEW ingest.document_progress AS
        SELECT
            source.partition_key,
            source.document_uuid,
            source.original_file_name,
            CASE
                WHEN recognised.document_uuid IS NOT NULL THEN 'document_text'
                WHEN document.upload_timestamp IS NOT NULL THEN 'document_object'
                WHEN source.document_uuid IS NOT NULL THEN 'document_row'
                ELSE 'discovered'
            END AS stage,
            CASE
                WHEN recognised.document_uuid IS NULL THEN
                    CASE
                        WHEN latest.status IS NULL THEN 'discovered'
                        WHEN latest.status <> 'failed' THEN 'in_progress'
                        WHEN latest.stage = 'document_row' AND latest.error_class = 'permanent'
                            THEN 'rejected'
                        ELSE 'failed'
                    END
                WHEN document.partition_key <> source.partition_key THEN 'duplicate'
                WHEN recognised.char_count = 0 THEN 'no_text'
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
            latest.finished_at
        FROM ingest.document_sources AS source
        LEFT JOIN ingest.source_documents AS document USING (document_uuid)
        LEFT JOIN ingest.document_texts AS recognised USING (document_uuid)
        LEFT JOIN LATERAL (
            SELECT * FROM ingest.stage_attempts AS attempt
            WHERE attempt.partition_key = source.partition_key
            ORDER BY attempt.attempt_id DESC
            LIMIT 1
        ) AS latest ON true;
    """)


def downgrade() -> None:
    op.execute("""
        DROP VIEW ingest.document_progress;
        DROP TABLE ingest.document_pages, ingest.document_texts, ingest.stage_attempts;
        ALTER TABLE ingest.document_sources DROP CONSTRAINT fk_document_sources_document_uuid;
        DROP TABLE ingest.source_documents, ingest.document_sources;
    """)
