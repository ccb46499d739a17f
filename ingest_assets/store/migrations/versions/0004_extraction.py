"""Chunks and entities of documents, full-text search over them, and progress that includes them.

Revision ID: 0004

The one place that says how it is known that a stage's result is stored is the view `document_stages`;
a new stage replaces it, and is named in `stage_names.STAGES` and in `document_progress`.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ingest.document_chunkings (
            document_uuid uuid
                CONSTRAINT pk_document_chunkings PRIMARY KEY
                CONSTRAINT fk_document_chunkings_document_uuid
                    REFERENCES ingest.document_texts (document_uuid) ON DELETE CASCADE,
            text_sha256 text NOT NULL,
            chunker text NOT NULL,
            chunk_count bigint NOT NULL,
            digest text NOT NULL,
            chunked_at timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE ingest.document_chunks (
            document_uuid uuid NOT NULL
                CONSTRAINT fk_document_chunks_document_uuid
                    REFERENCES ingest.document_chunkings (document_uuid) ON DELETE CASCADE,
            chunk_index bigint NOT NULL
                CONSTRAINT ck_document_chunks_chunk_index CHECK (chunk_index >= 0),
            text text NOT NULL,
            char_start bigint NOT NULL,
            char_end bigint NOT NULL,
            page_start bigint NOT NULL,
            page_end bigint NOT NULL,
            search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', text)) STORED,
            CONSTRAINT pk_document_chunks PRIMARY KEY (document_uuid, chunk_index),
            CONSTRAINT ck_document_chunks_characters
                CHECK (0 <= char_start AND char_end - char_start = char_length(text)),
            CONSTRAINT ck_document_chunks_pages
                CHECK (1 <= page_start AND page_start <= page_end)
        );
        CREATE INDEX ix_document_chunks_search ON ingest.document_chunks USING gin (search);

        CREATE TABLE ingest.document_extractions (
            document_uuid uuid
                CONSTRAINT pk_document_extractions PRIMARY KEY
                CONSTRAINT fk_document_extractions_document_uuid
                    REFERENCES ingest.document_chunkings (document_uuid) ON DELETE CASCADE,
            text_sha256 text NOT NULL,
            engine text NOT NULL,
            engine_version text NOT NULL,
            mention_count bigint NOT NULL,
            digest text NOT NULL,
            extracted_at timestamptz NOT NULL DEFAULT now()
        );

        CREATE TABLE ingest.entities (
            entity_uuid uuid CONSTRAINT pk_entities PRIMARY KEY,
            entity_type text NOT NULL,
            name text NOT NULL,
            CONSTRAINT uq_entities_entity_type_name UNIQUE (entity_type, name)
        );

        CREATE TABLE ingest.entity_names (
            entity_type text NOT NULL,
            normalised text NOT NULL,
            block text,
            entity_uuid uuid NOT NULL
                CONSTRAINT fk_entity_names_entity_uuid REFERENCES ingest.entities (entity_uuid),
            CONSTRAINT pk_entity_names PRIMARY KEY (entity_type, normalised),
            CONSTRAINT uq_entity_names_entity_uuid_entity_type_normalised
                UNIQUE (entity_uuid, entity_type, normalised)
        );
        CREATE INDEX ix_entity_names_block ON ingest.entity_names (block) WHERE block IS NOT NULL;

        CREATE TABLE ingest.entity_mentions (
            document_uuid uuid NOT NULL
                CONSTRAINT fk_entity_mentions_document_uuid
                    REFERENCES ingest.document_extractions (document_uuid) ON DELETE CASCADE,
            char_start bigint NOT NULL,
            char_end bigint NOT NULL,
            entity_type text NOT NULL,
            text text NOT NULL,
            normalised text NOT NULL,
            entity_uuid uuid NOT NULL,
            page_number bigint NOT NULL,
            confidence double precision
                CONSTRAINT ck_entity_mentions_confidence CHECK (confidence BETWEEN 0 AND 1),
            engine text NOT NULL,
            CONSTRAINT pk_entity_mentions
                PRIMARY KEY (document_uuid, char_start, char_end, entity_type),
            CONSTRAINT fk_entity_mentions_name
                FOREIGN KEY (entity_uuid, entity_type, normalised)
                REFERENCES ingest.entity_names (entity_uuid, entity_type, normalised)
                ON UPDATE CASCADE,
            CONSTRAINT ck_entity_mentions_characters
                CHECK (0 <= char_start AND char_end - char_start = char_length(text)
                       AND char_end > char_start)
        );
        CREATE INDEX ix_entity_mentions_entity_uuid_entity_type_normalised
            ON ingest.entity_mentions (entity_uuid, entity_type, normalised);
    """)
    # Ranking has to look at every chunk that matches, and a word like "agreement" matches most of
    # them: so many are ranked at most, and `matches` says when there were more.
    op.execute("""
        CREATE FUNCTION ingest.search_chunks(
            words text, top bigint DEFAULT 10, ranked_at_most bigint DEFAULT 20000
        )
        RETURNS TABLE (
            document_uuid uuid, original_file_name text, chunk_index bigint, page_start bigint,
            page_end bigint, rank real, snippet text, matches bigint
        )
        LANGUAGE sql STABLE PARALLEL SAFE
        BEGIN ATOMIC
            WITH matching AS MATERIALIZED (
                SELECT chunk.document_uuid, chunk.chunk_index,
                       ts_rank_cd(chunk.search, websearch_to_tsquery('english', words), 32) AS rank
                FROM ingest.document_chunks AS chunk
                WHERE chunk.search @@ websearch_to_tsquery('english', words)
                LIMIT ranked_at_most
            ), best AS (
                SELECT matching.*, (SELECT count(*) FROM matching) AS matches FROM matching
                ORDER BY matching.rank DESC, matching.document_uuid, matching.chunk_index
                LIMIT top
            )
            SELECT best.document_uuid, document.original_file_name, best.chunk_index,
                   chunk.page_start, chunk.page_end, best.rank,
                   ts_headline('english', chunk.text, websearch_to_tsquery('english', words),
                               'StartSel=«, StopSel=», MaxFragments=2, MaxWords=24, MinWords=12,'
                               'FragmentDelimiter=" … "'),
                   best.matches
            FROM best
            JOIN ingest.document_chunks AS chunk USING (document_uuid, chunk_index)
            JOIN ingest.source_documents AS document USING (document_uuid)
            ORDER BY best.rank DESC, best.document_uuid, best.chunk_index;
        END;

        CREATE FUNCTION ingest.search_documents(
            words text, top bigint DEFAULT 10, ranked_at_most bigint DEFAULT 2000
        )
        RETURNS TABLE (
            document_uuid uuid, original_file_name text, rank real, snippet text, matches bigint
        )
        LANGUAGE sql STABLE PARALLEL SAFE
        BEGIN ATOMIC
            WITH matching AS MATERIALIZED (
                SELECT recognised.document_uuid,
                       ts_rank_cd(to_tsvector('english', left(recognised.text, 200000)),
                                  websearch_to_tsquery('english', words), 32) AS rank
                FROM ingest.document_texts AS recognised
                WHERE to_tsvector('english', left(recognised.text, 200000))
                      @@ websearch_to_tsquery('english', words)
                LIMIT ranked_at_most
            ), best AS (
                SELECT matching.*, (SELECT count(*) FROM matching) AS matches FROM matching
                ORDER BY matching.rank DESC, matching.document_uuid
                LIMIT top
            )
            SELECT best.document_uuid, document.original_file_name, best.rank,
                   ts_headline('english', left(recognised.text, 200000),
                               websearch_to_tsquery('english', words),
                               'StartSel=«, StopSel=», MaxFragments=3, MaxWords=24, MinWords=12,'
                               'FragmentDelimiter=" … "'),
                   best.matches
            FROM best
            JOIN ingest.document_texts AS recognised USING (document_uuid)
            JOIN ingest.source_documents AS document USING (document_uuid)
            ORDER BY best.rank DESC, best.document_uuid;
        END;
    """)
    op.execute("""
        CREATE VIEW ingest.entity_relations AS
        WITH placed AS (
            SELECT mention.entity_uuid, mention.document_uuid, chunk.chunk_index
            FROM ingest.entity_mentions AS mention
            JOIN ingest.document_chunks AS chunk
                ON chunk.document_uuid = mention.document_uuid
                AND chunk.char_start <= mention.char_start AND mention.char_end <= chunk.char_end
        )
        SELECT
            one.entity_uuid,
            other.entity_uuid AS other_uuid,
            count(DISTINCT (one.document_uuid, one.chunk_index)) AS chunks,
            count(DISTINCT one.document_uuid) AS documents
        FROM placed AS one
        JOIN placed AS other USING (document_uuid, chunk_index)
        WHERE one.entity_uuid <> other.entity_uuid
        GROUP BY one.entity_uuid, other.entity_uuid;

        CREATE VIEW ingest.document_stages AS
        SELECT
            document.document_uuid,
            document.partition_key,
            recognised.char_count,
            CASE
                WHEN extracted.document_uuid IS NOT NULL THEN 5
                WHEN chunked.document_uuid IS NOT NULL THEN 4
                WHEN recognised.document_uuid IS NOT NULL THEN 3
                WHEN document.upload_timestamp IS NOT NULL THEN 2
                ELSE 1
            END AS stages
        FROM ingest.source_documents AS document
        LEFT JOIN ingest.document_texts AS recognised USING (document_uuid)
        LEFT JOIN ingest.document_chunkings AS chunked USING (document_uuid)
        LEFT JOIN ingest.document_extractions AS extracted USING (document_uuid);

        DROP VIEW ingest.document_progress;
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
            latest.finished_at
        FROM ingest.document_sources AS source
        LEFT JOIN ingest.document_stages AS passed USING (document_uuid)
        LEFT JOIN LATERAL (
            SELECT * FROM ingest.stage_attempts AS attempt
            WHERE attempt.partition_key = source.partition_key
            ORDER BY attempt.attempt_id DESC
            LIMIT 1
        ) AS latest ON true;
    """)
    # What was finished before has two more stages to pass: the sensor launches it again.
    op.execute("UPDATE ingest.document_sources SET reported_at = NULL WHERE reported_at IS NOT NULL")


def downgrade() -> None:
    op.execute("""
        UPDATE ingest.document_sources SET reported_at = now()
        WHERE document_uuid IN (SELECT document_uuid FROM ingest.document_texts);
        DROP VIEW ingest.document_progress;
        DROP VIEW ingest.document_stages;
        DROP VIEW ingest.entity_relations;
        DROP FUNCTION ingest.search_chunks, ingest.search_documents;
        DROP TABLE ingest.entity_mentions, ingest.entity_names, ingest.entities,
            ingest.document_extractions, ingest.document_chunks, ingest.document_chunkings;
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
