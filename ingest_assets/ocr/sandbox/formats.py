"""Which reader opens which type of document.

Belongs here: the one place where a MIME type meets its reader. Does not belong here: how a format is
read, and how the type was found.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import Document

_READERS = {
    formats.PDF.mime_type: ("pdf.document", "PdfDocument"),
    **{format_.mime_type: ("images", "ImageDocument") for format_ in formats.PICTURES},
    formats.TEXT.mime_type: ("plain_text", "read_plain_text"),
    formats.HTML.mime_type: ("web_page", "read_web_page"),
    formats.MAIL.mime_type: ("mail", "read_mail"),
    formats.MBOX.mime_type: ("mail", "read_mailbox"),
    formats.WEB_ARCHIVE.mime_type: ("mail", "read_web_archive"),
    formats.DOCX.mime_type: ("docx", "read_docx"),
    formats.XLSX.mime_type: ("xlsx", "read_xlsx"),
    formats.DOC.mime_type: ("doc", "read_doc"),
    formats.PPT.mime_type: ("ppt", "read_ppt"),
    formats.MSG.mime_type: ("msg", "read_msg"),
    formats.RTF.mime_type: ("rtf", "read_rtf"),
    formats.XLS.mime_type: ("xls", "read_xls"),
    formats.PPTX.mime_type: ("pptx", "read_pptx"),
    formats.ODT.mime_type: ("open_document", "read_open_document"),
    formats.ODS.mime_type: ("open_document", "read_open_document"),
    formats.ODP.mime_type: ("open_document", "read_open_document"),
    formats.EPUB.mime_type: ("epub", "read_epub"),
    formats.SVG.mime_type: ("web_page", "read_svg"),
}


def open_document(path: Path, mime_type: str) -> Document:
    """Open a document by its type.

    Raises:
        PermanentError: `unsupported_type`, `corrupt_document`, `encrypted`, `no_pages`, and what
            else the format finds.
    """
    if mime_type not in _READERS:
        raise PermanentError("unsupported_type", f"Documents of type {mime_type} cannot be read.")
    # Imported when needed: a worker that reads PDFs only never loads an XML parser.
    module, reader = _READERS[mime_type]
    opened: Document = getattr(import_module(f"ingest_assets.ocr.sandbox.{module}"), reader)(path)
    return opened
