"""Search by what a person sees: one form of each letter, whole words, in the document's language.

Revision ID: 0006

Texts are stored as they were read. What is searched is made of them by `searchable`: compatibility
forms are undone (the ligature "ﬁ" is "fi", an accent that stands apart joins its letter), what nobody
sees (soft hyphens, zero-width characters) is left out, and a word that a hyphen parts at the end of a
line is found both whole and hyphenated. The table of chunks is rewritten once, and locked meanwhile.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# U+00AD soft hyphen, with the end of the line that it parted a word at; then zero-width space, joiners,
# word joiner and byte order mark. Hyphens: U+002D, U+2010 (NFKC makes it of U+2011).
_FUNCTIONS = r"""
    CREATE FUNCTION ingest.searchable(content text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(
        translate(normalize(regexp_replace(content, E'\u00AD([ \t]*\n[ \t]*)?', '', 'g'), NFKC),
                  E'\u200B\u200C\u200D\u2060\uFEFF', ''),
        E'(\\w)[-\u2010][ \t]*\n[ \t]*(\\w)', '\1\2', 'g');

    CREATE FUNCTION ingest.hyphenated(content text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN content ~ E'\\w[-\u2010][ \t]*\n' THEN (
        SELECT string_agg(parted[1] || '-' || parted[2], E'\n')
        FROM regexp_matches(
            normalize(content, NFKC), E'(\\w+)[-\u2010][ \t]*\n[ \t]*(\\w+)', 'g') AS parted)
    END;

    CREATE FUNCTION ingest.search_vector(language regconfig, content text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector(language, ingest.searchable(content))
        || to_tsvector(language, coalesce(ingest.hyphenated(content), ''));
"""

# The languages that occur, so that a question is asked in each of them and in no other.
_TABLES = """
    CREATE TABLE ingest.search_languages (
        language regconfig CONSTRAINT pk_search_languages PRIMARY KEY
    );
    INSERT INTO ingest.search_languages VALUES ('english');

    DROP FUNCTION ingest.search_chunks, ingest.search_documents;
    DROP INDEX ingest.ix_document_texts_search;
    DROP INDEX ingest.ix_document_chunks_search;
    ALTER TABLE ingest.document_texts
        ADD COLUMN language regconfig NOT NULL DEFAULT 'english';
    ALTER TABLE ingest.document_chunks
        DROP COLUMN search,
        ADD COLUMN language regconfig NOT NULL DEFAULT 'english',
        ADD COLUMN search tsvector NOT NULL
            GENERATED ALWAYS AS (ingest.search_vector(language, text)) STORED;
    CREATE INDEX ix_document_chunks_search ON ingest.document_chunks USING gin (search);
    CREATE INDEX ix_document_texts_search ON ingest.document_texts
        USING gin (ingest.search_vector(language, left(text, 200000)));
"""

# One part for each language, each with a question of its own that an index can answer: `-without` has
# to exclude what it means in that language. `format` puts in names of configurations alone.
_SEARCH = """
    CREATE FUNCTION ingest.search_chunks(
        words text, top bigint DEFAULT 10, ranked_at_most bigint DEFAULT 20000
    )
    RETURNS TABLE (
        document_uuid uuid, original_file_name text, chunk_index bigint, page_start bigint,
        page_end bigint, rank real, snippet text, matches bigint
    )
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
    DECLARE
        parts text;
    BEGIN
        SELECT string_agg(format($part$
            SELECT chunk.document_uuid, chunk.chunk_index, chunk.language,
                   ts_rank_cd(chunk.search, websearch_to_tsquery(%1$L, $1), 32) AS rank
            FROM ingest.document_chunks AS chunk
            WHERE chunk.search @@ websearch_to_tsquery(%1$L, $1)
              AND chunk.language = %1$L::regconfig
        $part$, language), ' UNION ALL ') INTO parts FROM ingest.search_languages;
        RETURN QUERY EXECUTE format($query$
            WITH matching AS MATERIALIZED (
                SELECT * FROM (%s) AS part LIMIT $3
            ), best AS (
                SELECT matching.*, (SELECT count(*) FROM matching) AS matches FROM matching
                ORDER BY matching.rank DESC, matching.document_uuid, matching.chunk_index
                LIMIT $2
            )
            SELECT best.document_uuid, document.original_file_name, best.chunk_index,
                   chunk.page_start, chunk.page_end, best.rank,
                   ts_headline(best.language, ingest.searchable(chunk.text),
                               websearch_to_tsquery(best.language, $1),
                               'StartSel=«, StopSel=», MaxFragments=2, MaxWords=24, MinWords=12,'
                               'FragmentDelimiter=" … "'),
                   best.matches
            FROM best
            JOIN ingest.document_chunks AS chunk USING (document_uuid, chunk_index)
            JOIN ingest.source_documents AS document USING (document_uuid)
            ORDER BY best.rank DESC, best.document_uuid, best.chunk_index
        $query$, parts) USING ingest.searchable(words), top, ranked_at_most;
    END
    $function$;

    CREATE FUNCTION ingest.search_documents(
        words text, top bigint DEFAULT 10, ranked_at_most bigint DEFAULT 2000
    )
    RETURNS TABLE (
        document_uuid uuid, original_file_name text, rank real, snippet text, matches bigint
    )
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
    DECLARE
        parts text;
    BEGIN
        SELECT string_agg(format($part$
            SELECT recognised.document_uuid, recognised.language,
                   ts_rank_cd(ingest.search_vector(recognised.language, left(recognised.text, 200000)),
                              websearch_to_tsquery(%1$L, $1), 32) AS rank
            FROM ingest.document_texts AS recognised
            WHERE ingest.search_vector(recognised.language, left(recognised.text, 200000))
                  @@ websearch_to_tsquery(%1$L, $1)
              AND recognised.language = %1$L::regconfig
        $part$, language), ' UNION ALL ') INTO parts FROM ingest.search_languages;
        RETURN QUERY EXECUTE format($query$
            WITH matching AS MATERIALIZED (
                SELECT * FROM (%s) AS part LIMIT $3
            ), best AS (
                SELECT matching.*, (SELECT count(*) FROM matching) AS matches FROM matching
                ORDER BY matching.rank DESC, matching.document_uuid
                LIMIT $2
            )
            SELECT best.document_uuid, document.original_file_name, best.rank,
                   ts_headline(best.language, ingest.searchable(left(recognised.text, 200000)),
                               websearch_to_tsquery(best.language, $1),
                               'StartSel=«, StopSel=», MaxFragments=3, MaxWords=24, MinWords=12,'
                               'FragmentDelimiter=" … "'),
                   best.matches
            FROM best
            JOIN ingest.document_texts AS recognised USING (document_uuid)
            JOIN ingest.source_documents AS document USING (document_uuid)
            ORDER BY best.rank DESC, best.document_uuid
        $query$, parts) USING ingest.searchable(words), top, ranked_at_most;
    END
    $function$;
"""


def upgrade() -> None:
    for statements in (_FUNCTIONS, _TABLES, _SEARCH):
        # As it is: a percent sign and a colon are Postgres's here, and no placeholders.
        op.get_bind().exec_driver_sql(statements.replace("%", "%%"))


def downgrade() -> None:
    op.execute("""
        DROP FUNCTION ingest.search_chunks, ingest.search_documents;
        DROP INDEX ingest.ix_document_texts_search;
        ALTER TABLE ingest.document_texts DROP COLUMN language;
        ALTER TABLE ingest.document_chunks
            DROP COLUMN search,
            DROP COLUMN language,
            ADD COLUMN search tsvector NOT NULL
                GENERATED ALWAYS AS (to_tsvector('english', text)) STORED;
        CREATE INDEX ix_document_chunks_search ON ingest.document_chunks USING gin (search);
        CREATE INDEX ix_document_texts_search ON ingest.document_texts
            USING gin (to_tsvector('english', left(text, 200000)));
        DROP TABLE ingest.search_languages;
        DROP FUNCTION ingest.search_vector, ingest.searchable, ingest.hyphenated;
    """)
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
