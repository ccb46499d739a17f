"""Jobs of Amazon Textract, and the pace at which all runs together call it.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.textract_jobs (
            client_request_token text
                CONSTRAINT pk_textract_jobs PRIMARY KEY
                CONSTRAINT ck_textract_jobs_client_request_token
                    CHECK (client_request_token = document_uuid || '-' || attempt),
            document_uuid uuid NOT NULL
                CONSTRAINT fk_textract_jobs_document_uuid
                    REFERENCES ingest.source_documents (document_uuid),
            attempt bigint NOT NULL,
            first_page bigint NOT NULL,
            region text NOT NULL,
            s3_bucket text NOT NULL,
            s3_key text NOT NULL,
            s3_version text,
            job_id text,
            status text NOT NULL DEFAULT 'starting'
                CONSTRAINT ck_textract_jobs_status CHECK (status IN (
                    'starting', 'in_progress', 'succeeded', 'partial_success', 'failed',
                    'start_failed', 'expired')),
            pages bigint,
            warnings jsonb,
            model_version text,
            cost_usd numeric,
            raw_key text,
            error_class text
                CONSTRAINT ck_textract_jobs_error_class
                    CHECK (error_class IN ('transient', 'permanent', 'configuration')),
            error_code text,
            error_message text,
            created_at timestamptz NOT NULL DEFAULT now(),
            started_at timestamptz,
            heartbeat_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            CONSTRAINT uq_textract_jobs_document_uuid_attempt UNIQUE (document_uuid, attempt),
            CONSTRAINT ck_textract_jobs_failed CHECK (
                (status IN ('failed', 'start_failed', 'expired')) = (error_class IS NOT NULL)),
            CONSTRAINT ck_textract_jobs_finished CHECK (
                (status IN ('starting', 'in_progress')) = (finished_at IS NULL))
        );
        CREATE UNIQUE INDEX uq_textract_jobs_open ON ingest.textract_jobs (document_uuid, first_page)
            WHERE status IN ('starting', 'in_progress');
        CREATE INDEX ix_textract_jobs_in_flight ON ingest.textract_jobs (heartbeat_at)
            WHERE status IN ('starting', 'in_progress');

        CREATE TABLE ingest.textract_pace (
            region text NOT NULL,
            operation text NOT NULL
                CONSTRAINT ck_textract_pace_operation CHECK (operation IN ('start', 'get')),
            per_second double precision NOT NULL,
            in_flight double precision NOT NULL,
            next_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_textract_pace PRIMARY KEY (region, operation)
        );
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ingest.textract_jobs, ingest.textract_pace;")
