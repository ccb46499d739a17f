"""What Amazon Textract would cost for the documents that have no text yet.

Belongs here: counting their pages, or estimating them from their size. Does not belong here: what was
spent already (`textract_jobs.cost_usd`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import text

from ingest_assets import formats
from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.formats import FORMATS, by_mime_type
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.operations.reconcile.inventory import Finding
from ingest_assets.store.database import Database
from ingest_assets.store.names import s3_location
from ingest_assets.store.object_store import ObjectStore

_TYPES = {format_.extension: format_.mime_type for format_ in FORMATS.values() if format_.read} | {
    ".tiff": formats.TIFF.mime_type,
    ".jpeg": formats.JPEG.mime_type,
}
_OF_ONE_PAGE = (formats.PNG.mime_type, formats.JPEG.mime_type)
# Assumed while no PDF or TIFF has been read whose pages and bytes could be divided.
_BYTES_PER_PAGE = 25_000


@dataclass(frozen=True)
class Unread:
    """A document without a text.

    Attributes:
        mime_type: None if neither its content nor its name shows it.
        pages: None if they were not counted.
        key: of its object; None for a file that is not stored yet.
    """

    name: str
    size_bytes: int
    mime_type: str | None
    pages: int | None
    key: str | None


@dataclass(frozen=True)
class Estimate:
    """How many pages Textract would read, and at what price.

    Attributes:
        estimated: how many documents' pages were estimated from their size and not counted.
        bytes_per_page: bytes for which a page was assumed.
        cost_usd: US dollars for all pages, at INGEST_TEXTRACT_PRICE_PER_PAGE.
    """

    documents: int
    pages: int
    estimated: int
    bytes_per_page: int
    cost_usd: float


def unread(database: Database, partition_keys: Collection[str] | None = None) -> Iterator[Unread]:
    """Documents that have no text and may still get one. Equal contents are yielded once.

    Args:
        partition_keys: only documents of these partitions; by default, of all.
    """
    chosen = "" if partition_keys is None else "AND progress.partition_key = ANY(:keys)"
    with database.engine.connect() as connection:
        rows = connection.execution_options(yield_per=5_000).execute(
            text(f"""
                SELECT DISTINCT ON (coalesce(source.document_uuid::text, source.partition_key))
                       source.original_file_name, source.size_bytes, document.mime_type,
                       coalesce(document.page_count, (
                           SELECT max(job.first_page + job.pages - 1) FROM ingest.textract_jobs AS job
                           WHERE job.document_uuid = document.document_uuid)) AS pages,
                       CASE WHEN document.upload_timestamp IS NOT NULL THEN document.s3_key END AS key,
                       CASE WHEN source.kind = 's3' THEN source.source_uri END AS uri
                FROM ingest.document_progress AS progress
                JOIN ingest.document_sources AS source USING (partition_key)
                LEFT JOIN ingest.source_documents AS document
                    ON document.document_uuid = source.document_uuid
                WHERE progress.state IN ('discovered', 'in_progress', 'failed')
                  AND NOT EXISTS (SELECT FROM ingest.document_texts AS recognised
                                  WHERE recognised.document_uuid = source.document_uuid)
                  AND progress.error_class IS DISTINCT FROM 'permanent' {chosen}
            """),  # noqa: S608 - constants; values are parameters
            {} if partition_keys is None else {"keys": list(partition_keys)},
        )
        for row in rows:
            yield Unread(
                row.original_file_name,
                row.size_bytes,
                row.mime_type or _type_of(row.original_file_name),
                row.pages,
                row.key or (s3_location(row.uri)[1] if row.uri else None),
            )


def orphaned(findings: Iterable[Finding]) -> Iterator[Unread]:
    """The uploads without a row that a plan lists; none of them has a text."""
    for found in findings:
        yield Unread(found.key, found.size_bytes, _type_of(found.key), None, found.key)


def count_pages(
    documents: Iterable[Unread], objects: ObjectStore, reader: LocalEngine, workers: int
) -> Iterator[Unread]:
    """Fetch the documents whose pages are not known, and count them.

    A document that is not in the bucket, or that cannot be opened, is yielded as it was.

    Args:
        reader: opens documents in processes of its own.
        workers: how many documents are fetched and opened at a time.
    """

    def count(document: Unread) -> Unread:
        if document.pages is not None or document.key is None or document.mime_type is None:
            return document
        # Where the reader's processes may read.
        with reader.scratch_folder() as folder:
            path = Path(folder, "document")
            try:
                with path.open("wb") as file:
                    objects.download(document.key, file)
                found = reader.ask("survey", path=str(path), mime_type=document.mime_type)
            except ConfigurationError:
                raise
            except IngestError:
                return document
        return replace(document, pages=found["page_count"])

    with ThreadPoolExecutor(workers, "count-pages") as pool:
        yield from pool.map(count, documents)


def estimate(documents: Iterable[Unread], database: Database, price_per_page: float) -> Estimate:
    """Add up pages and price. Formats that hold text and no pages are left out: Textract never reads
    them.

    Args:
        price_per_page: US dollars.
    """
    bytes_per_page = _bytes_per_page(database)
    count = pages = estimated = 0
    for document in documents:
        if document.mime_type is not None and by_mime_type(document.mime_type).local:
            continue
        count += 1
        if document.pages is not None:
            pages += document.pages
        elif document.mime_type in _OF_ONE_PAGE:
            pages += 1
        else:
            estimated += 1
            pages += max(1, round(document.size_bytes / bytes_per_page))
    return Estimate(count, pages, estimated, bytes_per_page, pages * price_per_page)


def _bytes_per_page(database: Database) -> int:
    """The average over the PDFs and TIFFs whose pages are known."""
    with database.engine.connect() as connection:
        found = connection.execute(
            text("""
                SELECT round(sum(file_size_bytes) / nullif(sum(page_count), 0))
                FROM ingest.source_documents WHERE mime_type IN ('application/pdf', 'image/tiff')
                AND page_count IS NOT NULL
            """)
        ).scalar_one()
    return max(1, int(found)) if found is not None else _BYTES_PER_PAGE


def _type_of(name: str) -> str | None:
    return _TYPES.get(Path(name).suffix.lower())
