"""Which reader opens which type of document, and what it makes of it.

Belongs here: the one place where a type meets its reader; `docs/formats.md` is made of it. Does not
belong here: how a format is read, how the type was found (`identification`), and archives, which have
no text of their own (`unpacking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets.formats import Format
from ingest_assets.ocr.sandbox.document import Document


@dataclass(frozen=True)
class Reader:
    """What opens documents of some types.

    Attributes:
        place: module in this package, and function or class in it, with a dot between.
        known_by: what a file is recognised by as one of the types.
        reads: what becomes text.
        leaves: what does not, by the kind of the note that says so; without a note where the kind is
            empty, because nobody sees it.
        programs: what it uses besides Python itself.
    """

    types: tuple[Format, ...]
    place: str
    known_by: str
    reads: str
    leaves: Mapping[str, str]
    programs: str = ""


_SHEETS = "a page for each sheet: its name, its cells as they show, row by row, and comments"
_PICTURES = {"image_unreadable": "pictures of other kinds, and those after the hundredth"}
_FILES = {"attachment_unread": "embedded files of other programs", "not_shown": "macros"}
_OOXML = "ZIP archive; the content type of the main part"
_OLE = "OLE file; the names of its streams"
_OFFICE = {**_PICTURES, **_FILES, "content_unreadable": "damaged parts"}

_NO_RESULTS = "results of formulas that are not in the file"
_NAMES = "names of months and days in languages other than English"
_SHEETS_LEAVE = {**_OFFICE, "content_unreadable": f"damaged parts; {_NO_RESULTS}"}
_WORKBOOKS_LEAVE = {
    **_SHEETS_LEAVE,
    "content_unreadable": f"damaged parts; {_NO_RESULTS}; {_NAMES}",
    "object_unread": "slicers and timelines",
    "page_unreadable": "a damaged sheet from the damage on",
}

READERS = (
    Reader(
        (formats.PDF,),
        "pdf.document.PdfDocument",
        "`%PDF-` in the first kilobyte, or objects and a trailer",
        "text layers that agree with what the page shows; what else the page shows is recognised; form "
        "fields, notes",
        {
            "unread_ink": "drawings, handwriting",
            "attachment_unread": "attached files",
            "form_unread": "XFA forms",
        },
        "PDFium, pikepdf, Tesseract",
    ),
    Reader(
        formats.PICTURES,
        "images.ImageDocument",
        "first bytes",
        "print, recognised; each frame of a TIFF or an animation that shows something else is a page",
        {"unread_ink": "handwriting, drawings", "image_unreadable": "damaged parts of a picture"},
        "Pillow, libheif (HEIC), Tesseract",
    ),
    Reader(
        (formats.TEXT,),
        "plain_text.read_plain_text",
        "nothing but characters, in any encoding; CSV, TSV, Markdown and source code are text",
        "all of it, as it is; form feeds part pages",
        {"bytes_replaced": "bytes that are no characters"},
        "chardet",
    ),
    Reader(
        (formats.CALENDAR, formats.CONTACTS),
        "cards.read_cards",
        "first line",
        "all lines, unfolded and decoded",
        {"content_unreadable": "pictures and files within them"},
        "chardet",
    ),
    Reader(
        (formats.HTML,),
        "web_documents.read_web_page",
        "text that begins with HTML, or with part of a page",
        "what a browser shows without scripts; pictures within the file are recognised",
        {
            **_PICTURES,
            "content_unreadable": "what a script makes, where there are no words",
            "attachment_unread": "files of other types within the markup",
            "": "scripts, styles, hidden parts, and what is not within the file, where there are words",
        },
        "lexbor (selectolax), Tesseract",
    ),
    Reader(
        (formats.SVG,),
        "web_documents.read_svg",
        "text that begins with an `svg` element",
        "words; pictures within the file are recognised",
        {**_PICTURES, "unread_ink": "shapes, where there are no words"},
        "lexbor (selectolax), Tesseract",
    ),
    Reader(
        (formats.MAIL,),
        "mail.read_mail",
        "text that begins with headers of a mail, or with the length that EMLX has before them",
        "From, Sender, Reply-To, To, Cc, Bcc, Date, Subject, then the body: plain, or HTML where that "
        "says more; reports of servers",
        {
            "attachment_unread": "attachments",
            "image_unreadable": "pictures elsewhere, where the HTML has no words",
            "content_unreadable": "encrypted or damaged parts; headers after 100,000 characters",
        },
        "lexbor (selectolax), chardet",
    ),
    Reader(
        (formats.MSG,),
        "msg.read_msg",
        _OLE,
        "From, To, Cc, Bcc, Date, Subject, fields of appointments, tasks and contacts, then the body: "
        "text, HTML or RTF",
        {
            "attachment_unread": "attachments",
            "content_unreadable": "a body that cannot be unpacked; members of a list of addresses",
        },
        "olefile, compressed-rtf, lexbor (selectolax)",
    ),
    Reader(
        (formats.TNEF,),
        "unpacking.outlook.read_tnef",
        "first bytes",
        "what an Outlook message says, as above",
        {"attachment_unread": "attachments", "content_unreadable": "a body that cannot be unpacked"},
        "olefile, compressed-rtf, lexbor (selectolax)",
    ),
    Reader(
        (formats.WEB_ARCHIVE,),
        "mail.read_web_archive",
        "a mail that a browser wrote",
        "the page, its frames; its pictures are recognised",
        {**_PICTURES, "attachment_unread": "files that are no part of a page"},
        "lexbor (selectolax), Tesseract",
    ),
    Reader(
        (formats.SAFARI,),
        "safari.read_safari_archive",
        "a property list of Apple's; its first entries",
        "the page, its frames; its pictures are recognised",
        _PICTURES,
        "lexbor (selectolax), Tesseract",
    ),
    Reader(
        (formats.DOCX,),
        "docx.read_docx",
        f"{_OOXML}; DOCM and DOTX too",
        "headers, text with its numbers, tables, boxes, charts, diagrams, equations, notes, comments, "
        "footers; pictures are recognised",
        {**_OFFICE, "object_unread": "objects whose text cannot be read"},
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.DOC,),
        "doc.read_doc",
        _OLE,
        "text with its numbers, tables, results of fields, notes, headers, footers, comments, boxes; "
        "pictures are recognised",
        {**_PICTURES, **_FILES},
        "olefile, Tesseract",
    ),
    Reader(
        (formats.RTF,),
        "rtf.read_rtf",
        "`{\\rtf`",
        "text, tables, notes, headers, footers, comments, boxes; pictures are recognised",
        {**_PICTURES, "attachment_unread": _FILES["attachment_unread"]},
        "Tesseract",
    ),
    Reader(
        (formats.ODT, formats.ODS, formats.ODP, formats.ODG, formats.ODC, formats.ODF),
        "open_document.read_open_document",
        "ZIP archive; its member `mimetype`; files of OpenOffice 1 (SXW, SXC, SXI, SXD), too",
        "text with its numbers, tables, notes, comments, headers, footers, embedded charts and "
        "equations; a page for each sheet, slide and drawing; pictures are recognised",
        {
            **_SHEETS_LEAVE,
            "object_unread": "objects of other programs",
            "unread_ink": "shapes of drawings, where there are no words",
        },
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.XLSX,),
        "xlsx.read_xlsx",
        f"{_OOXML}; XLSM too",
        f"{_SHEETS}, headers, footers, boxes, charts, diagrams; pictures are recognised",
        _WORKBOOKS_LEAVE,
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.XLSB,),
        "xlsb.read_xlsb",
        _OOXML,
        f"{_SHEETS}, headers, footers, boxes, charts, diagrams; pictures are recognised",
        _WORKBOOKS_LEAVE,
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.XLS,),
        "xls.read_xls",
        _OLE,
        f"{_SHEETS}; headers, footers and boxes on a page of their own; pictures are recognised",
        {
            "object_unread": "charts",
            "content_unreadable": f"{_NO_RESULTS}; {_NAMES}",
            **_PICTURES,
            **_FILES,
        },
        "xlrd, olefile, Tesseract",
    ),
    Reader(
        (formats.PPTX,),
        "pptx.read_pptx",
        f"{_OOXML}; PPTM, PPSX and POTX too",
        "a page for each slide: its text with its numbers, tables, charts, diagrams, what stands "
        "behind it (once), the speaker's notes, comments; pictures are recognised",
        {**_OFFICE, "object_unread": "films and sounds", "page_unreadable": "lost and damaged slides"},
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.VSDX,),
        "vsdx.read_vsdx",
        f"{_OOXML}; VSDM and VSTX too",
        "a page for each page: its name, the words of its shapes; comments; pictures are recognised",
        {
            **_OFFICE,
            "unread_ink": "shapes, where a page has no words",
            "page_unreadable": "lost pages",
        },
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.XPS,),
        "xps.read_xps",
        f"{_OOXML}; OpenXPS too",
        "a page for each page: its characters in lines; pictures are recognised",
        {
            **_PICTURES,
            "content_unreadable": "damaged parts; glyphs for which the file has no characters",
            "unread_ink": "shapes with curves; all shapes, where a page has no words",
            "page_unreadable": "lost and damaged pages",
        },
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.PPT,),
        "ppt.read_ppt",
        _OLE,
        "a page for each slide: its text, what stands behind it (once), the speaker's notes, comments; "
        "pictures are recognised",
        {"content_unreadable": "numbers before paragraphs", **_PICTURES, **_FILES},
        "olefile, Tesseract",
    ),
    Reader(
        (
            formats.FODT,
            formats.FODS,
            formats.FODP,
            formats.FODG,
            formats.FLAT_OFFICE,
            formats.WORD_2003,
        ),
        "flat.read_flat",
        "XML; the name of its root",
        "as of the package that the same program writes",
        {**_OFFICE, "object_unread": "objects of other programs"},
        "defusedxml, Tesseract",
    ),
    Reader(
        (formats.EXCEL_2003,),
        "spreadsheet_2003.read_spreadsheet_2003",
        "XML; the name of its root",
        f"{_SHEETS}, headers, footers",
        {
            "content_unreadable": _NO_RESULTS,
            "": "charts and pictures, which the type cannot hold",
        },
        "defusedxml",
    ),
    Reader(
        (formats.IWORK,),
        "iwork.read_iwork",
        "ZIP archive; the names of its members",
        "the preview that the program stored: a picture of the first page, recognised",
        {
            "content_unreadable": "all that the preview does not show",
            "attachment_unread": "a preview in PDF",
        },
        "Tesseract",
    ),
    Reader(
        (formats.EPUB,),
        "epub.read_epub",
        "ZIP archive; its member `mimetype`",
        "a page for each part, in the order of reading; pictures are recognised",
        {**_PICTURES, "content_unreadable": "damaged parts", "page_unreadable": "lost parts"},
        "defusedxml, lexbor (selectolax), Tesseract",
    ),
)
_BY_TYPE = {format_.mime_type: reader for reader in READERS for format_ in reader.types}


def open_document(path: Path, mime_type: str) -> Document:
    """Open a document by its type.

    Raises:
        PermanentError: `unsupported_type`, `corrupt_document`, `encrypted`, `no_pages`, and what
            else the format finds.
    """
    if mime_type not in _BY_TYPE:
        raise PermanentError("unsupported_type", f"Documents of type {mime_type} cannot be read.")
    # Imported when needed: a worker that reads PDFs only never loads an XML parser.
    module, _, function = _BY_TYPE[mime_type].place.rpartition(".")
    opened: Document = getattr(import_module(f"ingest_assets.ocr.sandbox.{module}"), function)(path)
    return opened
