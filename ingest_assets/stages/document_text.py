"""Stage `document_text`: the stored object is read, page by page, into text.

Reads from S3, never from the input directory, so that the text is that of what is kept. A document
that has a text keeps it: recognition is paid for once. Only where a run asks for it, one that another
engine, or another version of it, has read is read again.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from statistics import fmean
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, CursorResult, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.errors import PermanentError
from ingest_assets.failpoints import failpoint
from ingest_assets.language import UNKNOWN, search_language
from ingest_assets.markdown import table
from ingest_assets.notes import Note
from ingest_assets.ocr.engine import Page, Recognition, StoredObject
from ingest_assets.stages import document_object
from ingest_assets.stages.stage import Markdown, Result, Services, Source, require_document
from ingest_assets.store.models import (
    DocumentNote,
    DocumentPage,
    DocumentText,
    SearchLanguage,
    SourceDocument,
)

NAME = "document_text"
CODE_VERSION = "1"

PAGE_SEPARATOR = "\n\n"
_SHA256 = func.encode(func.sha256(func.convert_to(DocumentText.text, "UTF8")), "hex")
_PREVIEW_CHARACTERS = 600
_NOTES_SHOWN = 20


def run(source: Source, services: Services, connection: Connection) -> Result:
    """Recognise the document, unless it has a text already."""
    document_uuid = require_document(source)
    with connection.begin():
        document = connection.execute(
            select(SourceDocument.__table__).where(SourceDocument.document_uuid == document_uuid)
        ).one()
        text = _text(document_uuid, connection).one_or_none()
    if document.upload_timestamp is None:
        raise PermanentError(
            "upstream_missing",
            f"Document {document_uuid} ({document.original_file_name}) has no stored object.",
            "Materialise document_object first.",
        )
    # Recognition may take minutes, of many documents at a time: none of them keeps a connection.
    connection.close()
    if text is None or _is_to_be_read_again(text, document, services):
        failpoint("text.recognising")
        recognition = services.engine.recognise(_stored_object(document, services))
        failpoint("text.recognised")
        if recognition.thumbnail:
            services.objects.put_derived(
                _thumbnail_key(document_uuid), recognition.thumbnail, "image/jpeg"
            )
            failpoint("thumbnail.stored")
        with services.database.engine.begin() as writer:
            _store(document_uuid, recognition, writer, text)
            failpoint("text.inserted")
        failpoint("text.committed")
    with services.database.engine.connect() as reader:
        return _result(source, document, services, reader)


def code_version(engine: str, version: str) -> str:
    """The version that Dagster compares: that of the stage, and of the engine that reads.

    Args:
        version: as `OcrEngine.reads_as` gives it for documents that have to be recognised.
    """
    return f"{CODE_VERSION}; {engine}: {version}"


def text_sha256(document_uuid: UUID, connection: Connection) -> str:
    """Hex digest of the stored text, which is the data version of this stage's result.

    Raises:
        PermanentError: the document has no text yet.
    """
    sha256: str | None = connection.execute(
        select(_SHA256).where(DocumentText.document_uuid == document_uuid)
    ).scalar_one_or_none()
    if sha256 is None:
        raise PermanentError(
            "upstream_missing",
            f"Document {document_uuid} has no stored text.",
            f"Materialise {NAME} first.",
        )
    return sha256


def stored_text(document_uuid: UUID, connection: Connection) -> str:
    """The text of a document that has one."""
    text: str = connection.execute(
        select(DocumentText.text).where(DocumentText.document_uuid == document_uuid)
    ).scalar_one()
    return text


def known_language(text: str, connection: Connection) -> str:
    """The language in which a text is searched; from now on, questions are asked in it, too."""
    language = search_language(text)
    if language != UNKNOWN:
        connection.execute(insert(SearchLanguage).values(language=language).on_conflict_do_nothing())
    return language


def page_starts(document_uuid: UUID, connection: Connection) -> Sequence[int]:
    """Where each page begins in the text, in characters, ascending: that of page 1 comes first.

    `bisect_right(starts, place)` is the number of the page that a character is on.
    """
    return (
        connection.execute(
            select(DocumentPage.char_start)
            .where(DocumentPage.document_uuid == document_uuid)
            .order_by(DocumentPage.page_number)
        )
        .scalars()
        .all()
    )


def _is_to_be_read_again(text: Row[Any], document: Row[Any], services: Services) -> bool:
    reads_as = services.engine.reads_as(document.mime_type)
    if services.read_again == "other-engine":
        return bool(text.engine != reads_as[0])
    return services.read_again == "other-version" and not _is_by(reads_as, text)


def _is_by(reads_as: tuple[str, str], text: Row[Any]) -> bool:
    """Whether a text was read by this engine in this version."""
    engine, version = reads_as
    return bool(text.engine == engine and text.engine_version.endswith(version))


def _thumbnail_key(document_uuid: UUID) -> str:
    return f"derived/{document_uuid}/thumbnail.jpg"


def _stored_object(document: Row[Any], services: Services) -> StoredObject:
    return StoredObject(
        document_uuid=document.document_uuid,
        bucket=document.s3_bucket,
        key=document.s3_key,
        size_bytes=document.file_size_bytes,
        mime_type=document.mime_type,
        download=lambda target: services.objects.download(document.s3_key, target),
    )


def _store(
    document_uuid: UUID,
    recognition: Recognition,
    connection: Connection,
    replaced: Row[Any] | None,
) -> None:
    """Insert text, pages and notes in the caller's transaction; a document with a text keeps it.

    Args:
        replaced: the text that makes room, if there is one.
    """
    if replaced is not None:
        connection.execute(
            delete(DocumentText).where(
                DocumentText.document_uuid == document_uuid,
                DocumentText.recognised_at == replaced.recognised_at,
            )
        )
    # Blank space and stray marks are no text: such a document is kept as one without any.
    readable = any(character.isalnum() for page in recognition.pages for character in page.text)
    text = PAGE_SEPARATOR.join(page.text for page in recognition.pages) if readable else ""
    confidences = [page.confidence for page in recognition.pages if page.confidence is not None]
    inserted = connection.execute(
        insert(DocumentText)
        .values(
            document_uuid=document_uuid,
            text=text,
            engine=recognition.engine,
            engine_version=recognition.engine_version,
            page_count=len(recognition.pages),
            mean_confidence=fmean(confidences) if confidences else None,
            language=known_language(text, connection),
        )
        .on_conflict_do_nothing()
    )
    if not inserted.rowcount:
        # Postgres was gone for a while, and the document's lock with it: another run was faster.
        return
    connection.execute(
        insert(DocumentPage), _page_rows(document_uuid, recognition.pages, readable=readable)
    )
    if recognition.notes:
        connection.execute(insert(DocumentNote), _note_rows(document_uuid, recognition.notes))
    connection.execute(
        update(SourceDocument)
        .where(SourceDocument.document_uuid == document_uuid)
        .values(page_count=len(recognition.pages))
    )


def _page_rows(document_uuid: UUID, pages: tuple[Page, ...], *, readable: bool) -> list[dict[str, Any]]:
    rows, start = [], 0
    for page in pages:
        end = start + len(page.text) if readable else 0
        rows.append(
            {
                "document_uuid": document_uuid,
                "page_number": page.number,
                "char_start": start,
                "char_end": end,
                "origin": page.origin,
                "confidence": page.confidence,
            }
        )
        start = end + len(PAGE_SEPARATOR) if readable else 0
    return rows


def _note_rows(document_uuid: UUID, notes: tuple[Note, ...]) -> list[dict[str, Any]]:
    # Those of the whole document first, then page by page: tasks end in any order.
    return [
        {
            "document_uuid": document_uuid,
            "note_number": number,
            "page_number": note.page,
            "kind": note.kind,
            "sentence": note.sentence,
            "leaves_out": note.leaves_out,
        }
        for number, note in enumerate(sorted(notes, key=lambda note: note.page or 0), 1)
    ]


def _text(document_uuid: UUID, connection: Connection) -> CursorResult[Any]:
    columns = DocumentText.__table__.columns
    return connection.execute(
        select(
            func.left(columns.text, _PREVIEW_CHARACTERS).label("beginning"),
            _SHA256.label("sha256"),
            *(column for column in columns if column.name != "text"),
        ).where(columns.document_uuid == document_uuid)
    )


def _result(source: Source, document: Row[Any], services: Services, connection: Connection) -> Result:
    text = _text(document.document_uuid, connection).one()
    origins = dict(
        connection.execute(
            select(DocumentPage.origin, func.count())
            .where(DocumentPage.document_uuid == document.document_uuid)
            .group_by(DocumentPage.origin)
        ).all()
    )
    notes = _notes(document.document_uuid, connection)
    return Result(
        document.document_uuid,
        text.sha256,
        {document_object.NAME: document.sha256},
        {
            "document_uuid": str(document.document_uuid),
            "file_name": source.original_file_name,
            "dagster/uri": services.objects.uri(document.s3_key),
            "outcome": "text" if text.char_count else "no_text: nothing readable was found",
            "pages": text.page_count,
            "pages_with_text_layer": origins.get("text-layer", 0),
            "pages_recognised": origins.get("ocr", 0),
            "characters": text.char_count,
            "mean_confidence": text.mean_confidence,
            "engine": f"{text.engine}: {text.engine_version}",
            "complete": not any(note.leaves_out for note in notes),
            "notes": _listed(notes),
            "preview": Markdown(_fenced(text.beginning)),
            "page_1": _picture(services.objects.get_derived(_thumbnail_key(document.document_uuid))),
        },
        # What an earlier version read is not this version's result, whichever run says so.
        None
        if _is_by(services.engine.reads_as(document.mime_type), text)
        else code_version(text.engine, text.engine_version),
    )


def _notes(document_uuid: UUID, connection: Connection) -> Sequence[Any]:
    columns = DocumentNote.__table__.columns
    return connection.execute(
        select(columns.page_number, columns.sentence, columns.leaves_out)
        .where(columns.document_uuid == document_uuid)
        .order_by(columns.note_number)
    ).all()


def _listed(notes: Sequence[Any]) -> Markdown | None:
    """The first notes as a table."""
    if not notes:
        return None
    rows = [
        (note.page_number or "", note.sentence, "left out" if note.leaves_out else "")
        for note in notes[:_NOTES_SHOWN]
    ]
    if len(notes) > _NOTES_SHOWN:
        rows.append(("…", f"and {len(notes) - _NOTES_SHOWN} more, in ingest.document_notes", ""))
    return Markdown(table(("page", "note", ""), rows))


def _fenced(text: str) -> str:
    """The text in a Markdown fence: what a document says is shown, never rendered."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _picture(jpeg: bytes | None) -> Markdown | None:
    """The picture itself inside the Markdown: Dagit has no right to read the bucket."""
    return Markdown(f"![page 1](data:image/jpeg;base64,{b64encode(jpeg).decode()})") if jpeg else None
