"""Which reader opens which type of document.

Belongs here: the one place where a MIME type meets its reader. Does not belong here: how a format is
read, and how the type was found.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import Document


def open_document(path: Path, mime_type: str) -> Document:
    """Open a document by its type.

    Raises:
        PermanentError: `unsupported_type`, `corrupt_document`, `encrypted`, `no_pages`, and what
            else the format finds.
    """
    opener = _opener(mime_type)
    if opener is None:
        raise PermanentError("unsupported_type", f"Documents of type {mime_type} cannot be read.")
    return opener(path)


def _opener(mime_type: str) -> Callable[[Path], Document] | None:
    # Imported when needed: a worker that reads PDFs only never loads an XML parser.
    if mime_type == "application/pdf":
        from ingest_assets.ocr.sandbox.pdf.document import PdfDocument  # noqa: PLC0415

        return PdfDocument
    if mime_type in ("image/png", "image/jpeg", "image/tiff"):
        from ingest_assets.ocr.sandbox.images import ImageDocument  # noqa: PLC0415

        return ImageDocument
    if mime_type == "text/plain":
        from ingest_assets.ocr.sandbox.flowing import read_plain_text  # noqa: PLC0415

        return read_plain_text
    if mime_type == "application/vnd.openxmlformats-officedocument.wordprocessingml.document":
        from ingest_assets.ocr.sandbox.flowing import read_docx  # noqa: PLC0415

        return read_docx
    return None
