"""Stage `document_text`: the stored object is read, page by page, into text; what is inside is found.

Reads from S3, never from the input directory, so that the text is that of the stored bytes. A document
that has a text keeps it, because recognition costs time and money; only a run that asks for it reads
documents again that another engine, or another version of the engine, has read.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import fmean
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from ingest_assets.errors import PermanentError
from ingest_assets.failpoints import failpoint
from ingest_assets.formats import by_mime_type
from ingest_assets.language import UNKNOWN
from ingest_assets.markdown import partition_link, table
from ingest_assets.notes import Note
from ingest_assets.ocr.engine import Recognition
from ingest_assets.stages import document_object, parts
from ingest_assets.stages.source import stored_object
from ingest_assets.stages.stage import (
    Document,
    Known,
    Markdown,
    Result,
    Services,
    Source,
    Text,
    known_document,
    require_document,
)
from ingest_assets.store.models import (
    DocumentContainer,
    DocumentNote,
    DocumentPage,
    DocumentText,
    SearchLanguage,
)

NAME = "document_text"
CODE_VERSION = "1"

PAGE_SEPARATOR = "\n\n"
_PREVIEW_CHARACTERS = 600
_NOTES_SHOWN = 20
_PARTS_SHOWN = 20

# Made once: to make a statement takes SQLAlchemy longer than to send it.
_INSERT = insert(DocumentText).on_conflict_do_nothing().returning(DocumentText.document_uuid)
_INSERT_PAGES = insert(DocumentPage)
_NOTE_LANGUAGES = insert(SearchLanguage).on_conflict_do_nothing()
_COUNT_PAGES = text("""
    UPDATE ingest.source_documents AS document SET page_count = found.page_count
    FROM unnest(CAST(:uuids AS uuid[]), CAST(:counts AS integer[]))
        AS found (document_uuid, page_count)
    WHERE document.document_uuid = found.document_uuid
""")


@dataclass(frozen=True)
class _Facts:
    """What Dagit shows of a text, whether this run read it or an earlier one."""

    sha256: str
    beginning: str
    characters: int
    engine: str
    engine_version: str
    page_count: int
    origins: Mapping[str, int]
    mean_confidence: float | None
    notes: Sequence[Any]
    thumbnail: bytes | None
    parts: Sequence[parts.PartRow] | None


@dataclass
class Reading:
    """A document's new text, which is to be stored.

    Attributes:
        replaced: when the text was made that this one replaces; None if it replaces none.
        inside: what was found inside the document; None where it was not looked into.
        kept: the text that another run stored meanwhile, and that is kept instead.
    """

    source: Source
    document: Document
    recognition: Recognition
    text: Text
    page_ends: Sequence[int]
    replaced: datetime | None
    services: Services
    known: Known
    inside: parts.Inside | None = None
    kept: _Facts | None = None

    def result(self) -> Result:
        """The text that is stored now: this one, or the one that was kept."""
        return _result(self.source, self.document, self.services, self.kept or self._facts())

    @property
    def mean_confidence(self) -> float | None:
        """Mean confidence of the pages that were recognised, 0 to 1; None if none was."""
        pages = self.recognition.pages
        confidences = [page.confidence for page in pages if page.confidence is not None]
        return fmean(confidences) if confidences else None

    @property
    def notes(self) -> list[Note]:
        """Notes on the whole document, then page by page: the engine adds them in any order."""
        return sorted(self.recognition.notes, key=lambda note: note.page or 0)

    def _facts(self) -> _Facts:
        recognition = self.recognition
        return _Facts(
            sha256=self.text.sha256,
            beginning=self.text.content[:_PREVIEW_CHARACTERS],
            characters=len(self.text.content),
            engine=recognition.engine,
            engine_version=recognition.engine_version,
            page_count=len(recognition.pages),
            origins=Counter(page.origin for page in recognition.pages),
            mean_confidence=self.mean_confidence,
            notes=[(note.page, note.sentence, note.leaves_out) for note in self.notes],
            thumbnail=recognition.thumbnail,
            parts=self.inside.parts if self.inside else None,
        )


def work(source: Source, services: Services, known: Known) -> Result | Reading:
    """Recognise the document, unless it has a text that it keeps."""
    document = known_document(source, services, known)
    if document.upload_timestamp is None:
        raise PermanentError(
            "upstream_missing",
            f"Document {document.document_uuid} ({document.original_file_name}) has no stored object.",
            "Materialise document_object first.",
        )
    row = None
    if not known.is_new:
        # Recognition may take minutes, and many documents are recognised at a time: without
        # connections.
        with services.database.engine.connect() as connection:
            row = _row(document.document_uuid, connection)
            if row is not None and not _is_to_be_read_again(row, document, services):
                return _result(source, document, services, _read(row, services, connection))
    failpoint("text.recognising")
    recognition, inside = _recognise(document, services)
    failpoint("text.recognised")
    if recognition.thumbnail:
        services.objects.put_derived(
            _thumbnail_key(document.document_uuid), recognition.thumbnail, "image/jpeg"
        )
        failpoint("thumbnail.stored")
    content, ends = _joined(recognition)
    return Reading(
        source,
        document,
        recognition,
        content,
        ends,
        row and row.recognised_at,
        services,
        known,
        inside,
    )


def save(connection: Connection, works: Sequence[Reading]) -> None:
    """Store texts, pages and notes; a document that got a text meanwhile keeps that one."""
    if replaced := [
        (one.document.document_uuid, one.replaced) for one in works if one.replaced is not None
    ]:
        columns = DocumentText.__table__.columns
        connection.execute(
            delete(DocumentText).where(
                tuple_(columns.document_uuid, columns.recognised_at).in_(replaced)
            )
        )
    note_languages(connection, [one.text for one in works])
    inserted = set(connection.execute(_INSERT, [_text_row(one) for one in works]).scalars())
    stored = [one for one in works if one.document.document_uuid in inserted]
    for one in works:
        if one in stored:
            one.known.text, one.kept = one.text, None
        else:
            # The connection to Postgres was lost for a while, and with it the document's lock: another
            # run
            # has stored a text.
            one.known.text = None
            row = _row(one.document.document_uuid, connection)
            assert row is not None  # noqa: S101  # It was there, and its lock is held again.
            one.kept = _read(row, one.services, connection)
    if pages := [row for one in stored for row in _page_rows(one)]:
        connection.execute(_INSERT_PAGES, pages)
    if notes := [row for one in stored for row in _note_rows(one)]:
        connection.execute(insert(DocumentNote), notes)
    parts.save(connection, [one.inside for one in works if one.inside is not None])
    connection.execute(
        _COUNT_PAGES,
        {
            "uuids": [str(one.document.document_uuid) for one in stored],
            "counts": [len(one.recognition.pages) for one in stored],
        },
    )
    failpoint("text.inserted")


def code_version(engine: str, version: str) -> str:
    """The code version that Dagit compares: that of the stage and of its engine.

    Args:
        version: what `OcrEngine.reads_as` returns for documents that have to be recognised.
    """
    return f"{CODE_VERSION}; {engine}: {version}"


def known_text(source: Source, services: Services, known: Known) -> Text:
    """The text of the source's document: from `known`, or read from the database.

    Raises:
        PermanentError: the document has no text yet.
    """
    if known.text is None:
        document_uuid = require_document(source)
        with services.database.engine.connect() as connection:
            content = connection.execute(
                select(DocumentText.text).where(DocumentText.document_uuid == document_uuid)
            ).scalar_one_or_none()
            starts = connection.execute(
                select(DocumentPage.char_start)
                .where(DocumentPage.document_uuid == document_uuid)
                .order_by(DocumentPage.page_number)
            ).scalars()
            if content is None:
                raise PermanentError(
                    "upstream_missing",
                    f"Document {document_uuid} has no stored text.",
                    f"Materialise {NAME} first.",
                )
            known.text = Text(content, _sha256(content), list(starts))
    return known.text


def note_languages(connection: Connection, texts: Iterable[Text]) -> None:
    """Note the languages of texts: from now on each search is done in these languages, too."""
    if languages := {text.language for text in texts} - {UNKNOWN}:
        connection.execute(_NOTE_LANGUAGES, [{"language": language} for language in sorted(languages)])


def _recognise(document: Document, services: Services) -> tuple[Recognition, parts.Inside | None]:
    """Read a document, and look into it if it may hold others. An archive is only looked into."""
    if by_mime_type(document.mime_type).holds == "only":
        return parts.read_archive(document, services)
    recognition = services.engine.recognise(stored_object(document, services.objects))
    inside = parts.look_inside(document, recognition, services)
    if inside is None:
        return recognition, None
    notes = recognition.notes
    if inside.rows:
        notes = parts.without_readers_notes(notes)
    return replace(recognition, notes=(*notes, *inside.notes)), inside


def _reads_as(document: Document, services: Services) -> tuple[str, str]:
    if by_mime_type(document.mime_type).holds == "only":
        return parts.reads_as()
    return services.engine.reads_as(document.mime_type)


def _is_to_be_read_again(row: Row[Any], document: Document, services: Services) -> bool:
    if parts.is_out_of_date(document, row.unpacked_by):
        return True
    reads_as = _reads_as(document, services)
    if services.read_again == "other-engine":
        return bool(row.engine != reads_as[0])
    return services.read_again == "other-version" and not _is_by(reads_as, row)


def _is_by(reads_as: tuple[str, str], text: Row[Any] | _Facts) -> bool:
    """Whether a text was read by this engine in this version."""
    engine, version = reads_as
    return bool(text.engine == engine and text.engine_version.endswith(version))


def _thumbnail_key(document_uuid: UUID) -> str:
    return f"derived/{document_uuid}/thumbnail.jpg"


def _joined(recognition: Recognition) -> tuple[Text, Sequence[int]]:
    """The pages as one text, and where each of them ends in it."""
    # A document whose pages have no letter and no digit is stored as one without text.
    if not any(character.isalnum() for page in recognition.pages for character in page.text):
        nowhere = [0] * len(recognition.pages)
        return Text("", _sha256(""), nowhere), nowhere
    content = PAGE_SEPARATOR.join(page.text for page in recognition.pages)
    starts, ends = [], []
    start = 0
    for page in recognition.pages:
        starts.append(start)
        ends.append(start + len(page.text))
        start = ends[-1] + len(PAGE_SEPARATOR)
    return Text(content, _sha256(content), starts), ends


def _sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _text_row(one: Reading) -> dict[str, Any]:
    return {
        "document_uuid": one.document.document_uuid,
        "text": one.text.content,
        "engine": one.recognition.engine,
        "engine_version": one.recognition.engine_version,
        "page_count": len(one.recognition.pages),
        "mean_confidence": one.mean_confidence,
        "language": one.text.language,
    }


def _page_rows(one: Reading) -> Iterator[dict[str, Any]]:
    for page, start, end in zip(
        one.recognition.pages, one.text.page_starts, one.page_ends, strict=True
    ):
        yield {
            "document_uuid": one.document.document_uuid,
            "page_number": page.number,
            "char_start": start,
            "char_end": end,
            "origin": page.origin,
            "confidence": page.confidence,
        }


def _note_rows(one: Reading) -> Iterator[dict[str, Any]]:
    for number, note in enumerate(one.notes, 1):
        yield {
            "document_uuid": one.document.document_uuid,
            "note_number": number,
            "page_number": note.page,
            "kind": note.kind,
            "sentence": note.sentence,
            "leaves_out": note.leaves_out,
        }


def _row(document_uuid: UUID, connection: Connection) -> Row[Any] | None:
    """The row of a text, without the text itself."""
    columns = DocumentText.__table__.columns
    container = DocumentContainer.__table__.columns
    return connection.execute(
        select(
            select(container.unpacked_by)
            .where(container.document_uuid == columns.document_uuid)
            .scalar_subquery()
            .label("unpacked_by"),
            func.left(columns.text, _PREVIEW_CHARACTERS).label("beginning"),
            func.encode(func.sha256(func.convert_to(columns.text, "UTF8")), "hex").label("sha256"),
            *(column for column in columns if column.name != "text"),
        ).where(columns.document_uuid == document_uuid)
    ).one_or_none()


def _read(row: Row[Any], services: Services, connection: Connection) -> _Facts:
    """The stored text of a document."""
    pages, notes = DocumentPage.__table__.columns, DocumentNote.__table__.columns
    origins = connection.execute(
        select(pages.origin, func.count())
        .where(pages.document_uuid == row.document_uuid)
        .group_by(pages.origin)
    ).all()
    noted = connection.execute(
        select(notes.page_number, notes.sentence, notes.leaves_out)
        .where(notes.document_uuid == row.document_uuid)
        .order_by(notes.note_number)
    ).all()
    return _Facts(
        sha256=row.sha256,
        beginning=row.beginning,
        characters=row.char_count,
        engine=row.engine,
        engine_version=row.engine_version,
        page_count=row.page_count,
        origins=dict(origins),
        mean_confidence=row.mean_confidence,
        notes=noted,
        thumbnail=services.objects.get_derived(_thumbnail_key(row.document_uuid)),
        parts=parts.recorded(connection, row.document_uuid) if row.unpacked_by else None,
    )


def _result(source: Source, document: Document, services: Services, facts: _Facts) -> Result:
    return Result(
        document.document_uuid,
        facts.sha256,
        {document_object.NAME: document.sha256},
        {
            "document_uuid": str(document.document_uuid),
            "file_name": source.original_file_name,
            "dagster/uri": services.objects.uri(document.s3_key),
            "outcome": "text" if facts.characters else "no_text: nothing readable was found",
            "pages": facts.page_count,
            "pages_with_text_layer": facts.origins.get("text-layer", 0),
            "pages_recognised": facts.origins.get("ocr", 0),
            "characters": facts.characters,
            "mean_confidence": facts.mean_confidence,
            "engine": f"{facts.engine}: {facts.engine_version}",
            "complete": not any(leaves_out for _, _, leaves_out in facts.notes),
            "notes": _listed(facts.notes),
            "parts": None if facts.parts is None else len(facts.parts),
            "parts_listed": _parts_listed(facts.parts),
            "preview": Markdown(_fenced(facts.beginning)),
            "page_1": _picture(facts.thumbnail),
        },
        # The version that read the text, where it is not the engine's now: Dagit shows the text as out
        # of date then.
        None
        if _is_by(_reads_as(document, services), facts)
        else code_version(facts.engine, facts.engine_version),
    )


def _listed(notes: Sequence[Any]) -> Markdown | None:
    """The first notes as a table."""
    if not notes:
        return None
    rows = [
        (page or "", sentence, "left out" if leaves_out else "")
        for page, sentence, leaves_out in notes[:_NOTES_SHOWN]
    ]
    if len(notes) > _NOTES_SHOWN:
        rows.append(("…", f"and {len(notes) - _NOTES_SHOWN} more, in ingest.document_notes", ""))
    return Markdown(table(("page", "note", ""), rows))


def _parts_listed(found: Sequence[parts.PartRow] | None) -> Markdown | None:
    """The first parts as a table, each with a link to its partition."""
    if not found:
        return None
    rows: list[tuple[object, ...]] = [
        (part.part_path, f"{part.size_bytes:,}", partition_link(part.partition_key))
        for part in found[:_PARTS_SHOWN]
    ]
    if len(found) > _PARTS_SHOWN:
        rows.append(("…", "", f"and {len(found) - _PARTS_SHOWN} more, in ingest.document_sources"))
    return Markdown(table(("part", "bytes", "partition"), rows))


def _fenced(text: str) -> str:
    """The text in a Markdown fence, so that Dagit shows what a document says and never renders it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _picture(jpeg: bytes | None) -> Markdown | None:
    """Markdown with the picture's bytes in it, because Dagit cannot read the bucket."""
    return Markdown(f"![page 1](data:image/jpeg;base64,{b64encode(jpeg).decode()})") if jpeg else None
