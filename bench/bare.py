"""What ingestion costs without a pipeline: a serial script with the same libraries, and no history.

    eval "$(ingest-assets env)"; python bench/bare.py DIRECTORY --stages 5 --documents 406

Three stages: digest, row, object, text by PDFium alone. Five stages: all the work that the pipeline
does, by the readers' own functions in this process: digest, row, object, text, thumbnail, chunks,
entities. The rows go into tables like the pipeline's, with their indexes, in two transactions a
document: one names it before its object is put, one stores the rest.

Prints JSON: wall and CPU seconds of the script, without its start.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import boto3
import click
import psycopg2
import pypdfium2
from psycopg2.extras import execute_values

from ingest_assets.extraction.chunks import Chunker
from ingest_assets.extraction.sandbox.operations import entities
from ingest_assets.extraction.similar import block, entity_uuid
from ingest_assets.formats import PDF
from ingest_assets.identification import identify
from ingest_assets.ocr.languages import find_languages
from ingest_assets.ocr.sandbox import operations
from ingest_assets.ocr.sandbox.unpacking import unpack
from ingest_assets.stages.content import examine

TABLES = (
    "source_documents", "document_texts", "document_pages", "document_chunks", "entities",
    "entity_names", "entity_mentions",
)  # fmt: skip


_PARTS = {"parts": 10_000, "bytes": 100_000_000}


class Script:
    """One connection, one client, one document after the other."""

    def __init__(self) -> None:
        self._client = boto3.client("s3")
        self._bucket = os.environ["INGEST_S3_BUCKET"]
        self._connection = psycopg2.connect(os.environ["INGEST_DATABASE_URL"])
        self._chunker = Chunker()
        self._scratch = tempfile.mkdtemp()
        self._languages = list(find_languages("eng", None).files)
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS bench")
            for table in TABLES:
                cursor.execute(f"DROP TABLE IF EXISTS bench.{table}")
                cursor.execute(f"CREATE TABLE bench.{table} (LIKE ingest.{table} INCLUDING ALL)")

    def drop_tables(self) -> None:
        """Drop the script's tables, or autovacuum would analyse them while the next is measured."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA bench CASCADE")

    def three_stages(self, path: Path) -> None:
        """Digest, row, object, text: of a PDF by PDFium alone, of other types by the readers."""
        content = path.read_bytes()
        document_uuid, mime_type = self._row(path, content)
        self._put(f"bench/{document_uuid}", content)
        if mime_type == PDF.mime_type:
            document = pypdfium2.PdfDocument(content)
            pages = [page.get_textpage().get_text_bounded().replace("\x00", "") for page in document]
            document.close()
        else:
            pages, *_ = self._read(path, mime_type)
        with self._connection, self._connection.cursor() as cursor:
            self._store_text(cursor, document_uuid, pages)

    def five_stages(self, path: Path) -> None:
        """The same, as the readers read it, and thumbnail, chunks, entities."""
        content = path.read_bytes()
        document_uuid, mime_type = self._row(path, content)
        self._put(f"bench/{document_uuid}", content)
        pages, thumbnail, has_files = self._read(path, mime_type)
        if has_files:
            with tempfile.TemporaryDirectory() as folder:
                unpack(str(path), mime_type, path.name, folder, _PARTS)
        if thumbnail:
            self._put(f"bench/{document_uuid}.jpg", base64.b64decode(thumbnail))
        with self._connection, self._connection.cursor() as cursor:
            text, starts = self._store_text(cursor, document_uuid, pages)
            chunks = list(self._chunker.split(text))
            execute_values(
                cursor,
                "INSERT INTO bench.document_chunks (document_uuid, chunk_index, text, char_start,"
                " char_end, page_start, page_end) VALUES %s",
                [
                    (
                        *(document_uuid, index, text[chunk.start : chunk.end], *chunk),
                        *(bisect_right(starts, chunk.start), bisect_left(starts, chunk.end)),
                    )
                    for index, chunk in enumerate(chunks)
                ],
            )
            self._store_mentions(cursor, document_uuid, text, starts)

    def _row(self, path: Path, content: bytes) -> tuple[str, str]:
        found = examine(io.BytesIO(content), len(content))
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO bench.source_documents (sha256, original_file_name, object_name,"
                " s3_bucket, file_size_bytes, mime_type, partition_key)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING document_uuid",
                (
                    *(found.sha256, path.name, path.name, self._bucket, found.size_bytes),
                    *(found.format.mime_type, hashlib.sha256(path.name.encode()).hexdigest()[:20]),
                ),
            )
            ((document_uuid,),) = cursor.fetchall()
        return document_uuid, found.format.mime_type

    def _put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content)

    def _read(self, path: Path, mime_type: str) -> tuple[list[str], str | None, bool]:
        found = operations.inspect(str(path), mime_type, str(Path(self._scratch, "repaired")))
        pages = found["pages"]
        while len(pages) < found["page_count"]:
            pages += operations.read(found["path"], mime_type, len(pages) + 1, found["page_count"])
        texts = [
            operations.recognise(found["path"], mime_type, page["number"], self._languages)["text"]
            if page["text"] is None
            else page["text"]
            for page in pages
        ]
        has_files = any(kind == "attachment_unread" for kind, _ in found["notes"])
        return texts, found["thumbnail"], has_files

    def _store_text(self, cursor: Any, document_uuid: str, pages: list[str]) -> tuple[str, list[int]]:
        text = "\n\n".join(pages)
        starts = [0, *accumulate(len(page) + 2 for page in pages)][:-1]
        cursor.execute(
            "INSERT INTO bench.document_texts (document_uuid, text, engine, engine_version, page_count)"
            " VALUES (%s, %s, '', '', %s)",
            (document_uuid, text, len(pages)),
        )
        execute_values(
            cursor,
            "INSERT INTO bench.document_pages"
            " (document_uuid, page_number, char_start, char_end, origin) VALUES %s",
            [
                (document_uuid, number, start, start + len(page), "text-layer")
                for number, (start, page) in enumerate(zip(starts, pages, strict=True), 1)
            ],
        )
        return text, starts

    def _store_mentions(self, cursor: Any, document_uuid: str, text: str, starts: list[int]) -> None:
        mentions = entities(text)
        names = sorted({(mention[0], mention[3]) for mention in mentions})
        uuids = {name: str(entity_uuid(*name)) for name in names}
        execute_values(
            cursor,
            "INSERT INTO bench.entities (entity_uuid, entity_type, name) VALUES %s"
            " ON CONFLICT DO NOTHING",
            [(uuids[name], *name) for name in names],
        )
        execute_values(
            cursor,
            "INSERT INTO bench.entity_names (entity_type, normalised, block, entity_uuid) VALUES %s"
            " ON CONFLICT DO NOTHING",
            [(*name, block(*name), uuids[name]) for name in names],
        )
        execute_values(
            cursor,
            "INSERT INTO bench.entity_mentions (document_uuid, char_start, char_end, entity_type, text,"
            " normalised, entity_uuid, page_number, confidence, engine) VALUES %s",
            [
                (
                    *(document_uuid, start, end, kind, text[start:end], normalised),
                    *(uuids[kind, normalised], bisect_right(starts, start), confidence, engine),
                )
                for kind, start, end, normalised, confidence, engine in mentions
            ],
        )


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--stages", type=click.Choice(["3", "5"]), default="5", show_default=True)
@click.option("--documents", default=406, show_default=True)
def main(directory: Path, stages: str, documents: int) -> None:
    """Measure one of the scripts."""
    files = sorted(path for path in directory.iterdir() if path.is_file())[:documents]
    script = Script()
    work: Callable[[Path], None] = script.three_stages if stages == "3" else script.five_stages
    with files[0].open("rb") as file:
        operations.inspect(str(files[0]), identify(file).mime_type, os.devnull)
    entities("The first text takes longer: expressions are compiled. 1 U.S. 1")
    wall, cpu = time.perf_counter(), time.process_time()
    for path in files:
        work(path)
    print(json.dumps({"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}))
    script.drop_tables()


if __name__ == "__main__":
    main()
