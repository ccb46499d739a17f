"""Views with the numbers of /metrics and the report, and tallies of rows that are gone.

`forget` deletes attempts and Textract jobs. A counter that went down with them would mean a restart to
Prometheus, which would count everything once more: so triggers add what is deleted to tallies, which
hold numbers and no names.

Revision ID: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Attempts by kind, and how many of a kind took at most so many seconds. The counts are columns, because
# Postgres would sort half a million rows to group by a bucket that it computes.
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_ATTEMPTS = f"""
    SELECT stage, status, coalesce(error_class, '') AS error_class,
        coalesce(error_code, '') AS error_code,
        count(*) AS attempts, extract(epoch FROM sum(finished_at - started_at))::float AS seconds,
        ARRAY[{
    ", ".join(f"count(*) FILTER (WHERE finished_at - started_at <= '{s} s')" for s in _SECONDS)
}] AS within
    FROM {{}} WHERE status <> 'running'
    GROUP BY stage, status, stage_attempts.error_class, stage_attempts.error_code
"""  # noqa: S608
# Amazon counts pages when a job is accepted; what was refused costs nothing.
_TEXTRACT = """
    SELECT status, count(*) AS jobs, coalesce(sum(pages), 0)::bigint AS pages,
        coalesce(sum(cost_usd) FILTER (WHERE status <> 'start_failed'), 0) AS cost_usd
    FROM {} WHERE finished_at IS NOT NULL GROUP BY 1
"""


def upgrade() -> None:
    op.execute(f"""
        CREATE TABLE ingest.deleted_attempts (
            stage text NOT NULL,
            status text NOT NULL,
            error_class text NOT NULL,
            error_code text NOT NULL,
            attempts bigint NOT NULL,
            seconds float NOT NULL,
            within bigint[] NOT NULL
        );
        CREATE FUNCTION ingest.count_deleted_attempts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO ingest.deleted_attempts {_ATTEMPTS.format("deleted AS stage_attempts")};
            RETURN NULL;
        END $$;
        CREATE TRIGGER count_deleted AFTER DELETE ON ingest.stage_attempts
            REFERENCING OLD TABLE AS deleted
            FOR EACH STATEMENT EXECUTE FUNCTION ingest.count_deleted_attempts();

        CREATE TABLE ingest.deleted_textract_jobs (
            status text NOT NULL,
            jobs bigint NOT NULL,
            pages bigint NOT NULL,
            cost_usd numeric NOT NULL
        );
        CREATE FUNCTION ingest.count_deleted_textract_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO ingest.deleted_textract_jobs {_TEXTRACT.format("deleted")};
            RETURN NULL;
        END $$;
        CREATE TRIGGER count_deleted AFTER DELETE ON ingest.textract_jobs
            REFERENCING OLD TABLE AS deleted
            FOR EACH STATEMENT EXECUTE FUNCTION ingest.count_deleted_textract_jobs();

        CREATE VIEW ingest.statistics_attempts AS
        WITH counted AS (
            {_ATTEMPTS.format("ingest.stage_attempts")}
            UNION ALL SELECT * FROM ingest.deleted_attempts
        )
        SELECT stage, status, error_class, error_code, at_most_seconds, sum(took)::bigint AS attempts,
            sum(CASE WHEN at_most_seconds = 'Infinity' THEN seconds ELSE 0 END) AS seconds
        FROM counted, unnest(
            within || attempts, ARRAY[{", ".join(map(str, _SECONDS))}, 'Infinity']::float[]
        ) AS buckets (took, at_most_seconds)
        GROUP BY 1, 2, 3, 4, 5;

        CREATE VIEW ingest.statistics_textract AS
        SELECT status, sum(jobs)::bigint AS jobs, sum(pages)::bigint AS pages, sum(cost_usd) AS cost_usd
        FROM ({_TEXTRACT.format("ingest.textract_jobs")}
              UNION ALL SELECT * FROM ingest.deleted_textract_jobs) AS counted
        GROUP BY 1;

        -- Of a document that has passed all stages the latest attempt does not matter, and looking it
        -- up is most of what `document_progress` costs.
        CREATE VIEW ingest.statistics_states AS
        SELECT state, sum(documents)::bigint AS documents FROM (
            SELECT CASE WHEN document.partition_key <> source.partition_key THEN 'duplicate'
                        WHEN recognised.char_count = 0 THEN 'no_text'
                        ELSE 'completed' END AS state,
                count(*) AS documents
            FROM ingest.document_sources AS source
            JOIN ingest.source_documents AS document USING (document_uuid)
            JOIN ingest.document_texts AS recognised USING (document_uuid)
            JOIN ingest.document_extractions USING (document_uuid)
            GROUP BY 1
            UNION ALL
            SELECT state, count(*) FROM ingest.document_progress AS progress
            WHERE NOT EXISTS (SELECT FROM ingest.document_extractions AS last
                              WHERE last.document_uuid = progress.document_uuid)
            GROUP BY 1
        ) AS counted GROUP BY 1;

        -- Sources that no run has begun with; those of kind s3 wait for a person's backfill.
        CREATE VIEW ingest.statistics_waiting AS
        SELECT kind, count(*) AS documents, min(discovered_at) AS oldest
        FROM ingest.document_sources AS source
        WHERE reported_at IS NULL AND NOT EXISTS (
            SELECT FROM ingest.stage_attempts AS attempt
            WHERE attempt.partition_key = source.partition_key)
        GROUP BY 1;

        CREATE VIEW ingest.statistics_pages AS
        SELECT origin,
            -- width_bucket counts those of the numbers that the first is not below: here all limits
            -- from the confidence on.
            (ARRAY[0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1])[7 - width_bucket(
                -confidence, ARRAY[-0.95, -0.9, -0.8, -0.7, -0.6, -0.5]::float[])]::float
                AS at_most_confidence,
            count(*) AS pages, sum(confidence) AS confidence
        FROM ingest.document_pages GROUP BY 1, 2;

        -- By the hour: what was found, what came to an outcome, and what had none at the hour's end.
        CREATE VIEW ingest.statistics_hours AS
        SELECT hour, found, ended, failed,
            sum(found - ended - failed) OVER (ORDER BY hour)::bigint AS backlog
        FROM (
            SELECT hour, sum(found)::bigint AS found, sum(ended)::bigint AS ended,
                sum(failed)::bigint AS failed
            FROM (
                SELECT date_trunc('hour', discovered_at) AS hour, count(*) AS found, 0 AS ended,
                    0 AS failed
                FROM ingest.document_sources GROUP BY 1
                UNION ALL
                SELECT date_trunc('hour', finished_at), 0, count(*) FILTER (WHERE state <> 'failed'),
                    count(*) FILTER (WHERE state = 'failed')
                FROM ingest.document_progress
                WHERE state NOT IN ('discovered', 'in_progress') AND finished_at IS NOT NULL GROUP BY 1
            ) AS counted GROUP BY 1
        ) AS hours;

        -- The documents that have failed, by reason: what waits for a person or for another try.
        CREATE VIEW ingest.statistics_faults AS
        SELECT error_class, error_code, latest_stage AS stage, count(*) AS documents,
            max(finished_at) AS latest
        FROM ingest.document_progress AS progress
        WHERE state = 'failed' AND NOT EXISTS (
            SELECT FROM ingest.document_extractions AS last
            WHERE last.document_uuid = progress.document_uuid)
        GROUP BY 1, 2, 3;
    """)  # noqa: S608


def downgrade() -> None:
    op.execute("""
        DROP VIEW ingest.statistics_faults, ingest.statistics_hours, ingest.statistics_pages,
            ingest.statistics_waiting, ingest.statistics_states, ingest.statistics_textract,
            ingest.statistics_attempts;
        DROP TRIGGER count_deleted ON ingest.textract_jobs;
        DROP TRIGGER count_deleted ON ingest.stage_attempts;
        DROP FUNCTION ingest.count_deleted_textract_jobs, ingest.count_deleted_attempts;
        DROP TABLE ingest.deleted_textract_jobs, ingest.deleted_attempts;
    """)
