"""Latency of full-text search over many chunks, with the plan that Postgres chose.

    eval "$(ingest-assets env)"; python bench/search.py DIRECTORY_OF_PDFS --chunks 1000000

Fills a database of its own beside the documents' and drops it. The chunks are those of the documents'
text layers, repeated; each repetition has words of its own, so that rare words stay rare while common
ones match as large a part of the chunks as they do in the documents.
"""

from __future__ import annotations

import os
import secrets
import statistics
import time
from pathlib import Path

import click
import psycopg2
import pypdfium2
from psycopg2.extras import execute_values
from sqlalchemy import make_url

from ingest_assets.extraction.chunks import Chunker
from ingest_assets.store.database import migrate

_QUERIES = (
    ("one rare word", "word4242x"),
    ("a rare and a common word", "word4242x agreement"),
    ("a phrase", '"trade secrets of the other party"'),
    ("three words", "injunctive relief delaware"),
    ("or, and not", "arbitration or mediation -court"),
    ("a word in most chunks", "agreement"),
    ("nothing", "xylophone"),
)
_REPEATS = 5
_INDEX = "CREATE INDEX ix_document_chunks_search ON ingest.document_chunks USING gin (search)"


def read_chunks(directory: Path) -> list[str]:
    chunks = []
    for path in sorted(directory.glob("*.pdf")):
        document = pypdfium2.PdfDocument(path)
        text = "\n\n".join(page.get_textpage().get_text_bounded() for page in document)
        document.close()
        text = text.replace("\x00", "")
        chunks += [text[chunk.start : chunk.end] for chunk in Chunker().split(text)]
    return chunks


def fill(url: str, chunks: list[str], count: int) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        # What it takes to load much at once: the index afterwards, keys unchecked.
        cursor.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 2")
        cursor.execute("DROP INDEX ingest.ix_document_chunks_search")
        cursor.execute("CREATE TEMP TABLE original (n int, text text)")
        execute_values(cursor, "INSERT INTO original VALUES %s", list(enumerate(chunks)))
        cursor.execute("ALTER TABLE ingest.document_chunks ALTER COLUMN search DROP EXPRESSION")
        # Parsing a million chunks takes far longer than the search that is measured, so that each
        # original is parsed once, and the words of its own are joined to it.
        cursor.execute(
            """
            CREATE TEMP TABLE parsed AS
            SELECT n, text, ingest.search_vector('english', text) AS search FROM original;
            INSERT INTO ingest.document_chunks
                (document_uuid, chunk_index, text, char_start, char_end, page_start, page_end, search)
            SELECT (lpad(to_hex(copy), 8, '0') || '-0000-4000-8000-000000000000')::uuid, n,
                   parsed.text || own.word, 0, char_length(parsed.text || own.word), 1, 1,
                   parsed.search || setweight(to_tsvector('simple', own.word), 'D')
            FROM generate_series(0, %(count)s / (SELECT count(*) FROM parsed)) AS copy
            CROSS JOIN parsed
            CROSS JOIN LATERAL (
                SELECT format(' word%%sx', (copy * 7919 + n) %% 100000) AS word
            ) AS own
            WHERE copy * (SELECT count(*) FROM parsed) + n < %(count)s;
            INSERT INTO ingest.source_documents (document_uuid, sha256, original_file_name, s3_bucket,
                object_name, file_size_bytes, mime_type, partition_key)
            SELECT DISTINCT document_uuid, encode(sha256(document_uuid::text::bytea), 'hex'),
                   document_uuid || '.pdf', 'bucket', 'file.pdf', 1, 'application/pdf', 'bench'
            FROM ingest.document_chunks;
            """,
            {"count": count},
        )
        cursor.execute(_INDEX)
    connection.close()
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute("VACUUM ANALYZE ingest.document_chunks")
    connection.close()


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--chunks", "count", default=1_000_000, show_default=True)
def main(directory: Path, count: int) -> None:
    """Fill, search, and show the plan."""
    server = make_url(os.environ["INGEST_DATABASE_URL"])
    name = f"bench_{secrets.token_hex(4)}"
    admin = psycopg2.connect(server.render_as_string(hide_password=False))
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {name}")
    url = server.set(database=name).render_as_string(hide_password=False)
    try:
        migrate(url)
        started = time.perf_counter()
        fill(url, read_chunks(directory), count)
        connection = psycopg2.connect(url)
        cursor = connection.cursor()
        cursor.execute(
            "SELECT count(*), pg_size_pretty(pg_table_size('ingest.document_chunks')),"
            " pg_size_pretty(pg_relation_size('ingest.ix_document_chunks_search'))"
            " FROM ingest.document_chunks"
        )
        ((rows, table, index),) = cursor.fetchall()
        print(f"{rows:,} chunks, {table}, index {index}, in {time.perf_counter() - started:.0f} s")
        for title, words in _QUERIES:
            seconds = []
            for _ in range(_REPEATS):
                started = time.perf_counter()
                cursor.execute("SELECT * FROM ingest.search_chunks(%s)", (words,))
                found = cursor.fetchall()
                seconds.append(time.perf_counter() - started)
            matches = found[0][-1] if found else 0
            print(
                f"  {title:<32} {words:<38} {matches:>7,} ranked  first {1000 * seconds[0]:6.1f} ms"
                f"  then {1000 * statistics.median(seconds[1:]):6.1f} ms"
            )
        cursor.execute("LOAD 'auto_explain'")
        cursor.execute("SET auto_explain.log_min_duration = 0")
        cursor.execute("SET auto_explain.log_nested_statements = on")
        cursor.execute("SET auto_explain.log_analyze = on")
        cursor.execute("SET client_min_messages = log")
        cursor.execute("SELECT * FROM ingest.search_chunks(%s)", (_QUERIES[3][1],))
        print("".join(connection.notices))
        connection.close()
    finally:
        admin.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.close()


if __name__ == "__main__":
    main()
