"""PDF files as wholes: repairing them, and taking pages out of them.

Belongs here: what is done to a file before, or instead of, reading its pages. Does not belong here:
pages.
"""

from __future__ import annotations

import errno
import mmap
import re
from io import BytesIO
from pathlib import Path

import pikepdf

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import check_page_count, corrupt

_OBJECT = re.compile(rb"\b(\d{1,9})\s+(\d{1,5})\s+obj\b")
_MAX_LEVELS = 32
_PAGE = re.compile(rb"/Type\s*/Page(?!\w)")


def repair(path: Path, repaired: Path) -> bool:
    """Write a PDF that PDFium refuses anew, from whatever objects can still be found in it.

    Returns:
        Whether that mended anything: what was only encrypted, without asking for a password, is whole.

    Raises:
        PermanentError: `encrypted`, `no_pages`, or `corrupt_document` where nothing is left to
            save.
    """
    try:
        with _salvaged(path) as pdf:
            check_page_count(len(pdf.pages))
            pdf.save(repaired)
            return not (pdf.is_encrypted and not pdf.get_warnings())
    except pikepdf.PasswordError as error:
        raise encrypted() from error
    except (pikepdf.PdfError, OSError, ValueError, RuntimeError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise  # The disk is full, which says nothing about the document.
        raise corrupt("it is not a PDF, and cannot be repaired") from error


def is_cut_off(path: Path) -> bool:
    """Tell whether objects follow the last list of objects: an addition that was not written whole.

    PDFium and qpdf show such a file as it was before.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        last = content.rfind(b"startxref")
        return last >= 0 and _OBJECT.search(content, last) is not None


def _salvaged(path: Path) -> pikepdf.Pdf:
    """Open a damaged file, by its own lists of objects and pages where they are whole."""
    if not is_cut_off(path):
        try:
            pdf = pikepdf.open(path)
            if len(pdf.pages):
                return pdf
            pdf.close()
        except pikepdf.PasswordError:
            raise
        except (pikepdf.PdfError, ValueError, RuntimeError):
            if mentions_encryption(path):
                raise  # What is needed to decrypt it would be lost.
    content = path.read_bytes()
    # A list that is not there makes qpdf look for all objects.
    nowhere = b"\nstartxref\n0\n%%EOF\n"
    try:
        pdf = pikepdf.open(BytesIO(content + nowhere))
        if len(pdf.pages):
            return pdf
        pdf.close()
    except (pikepdf.PdfError, ValueError, RuntimeError):
        pass  # Its list of pages is lost, too.
    found = _with_lone_pages(content, nowhere)
    return pikepdf.open(path) if found is None else found


def _with_lone_pages(content: bytes, nowhere: bytes) -> pikepdf.Pdf | None:
    """Open a file whose list of pages is lost, by the pages that are among its objects, if any are.

    Args:
        nowhere: an end of a file that has qpdf look for all objects.
    """
    heads = [(int(head[1]), head.end()) for head in _OBJECT.finditer(content)]
    pages = dict.fromkeys(
        number
        for number, start in heads
        if _PAGE.search(content, start, max(start, content.find(b"endobj", start)))
    )
    if not pages:
        return None
    new = max(number for number, _ in heads) + 1
    empty = b"\n%d 0 obj\n<</Type/Catalog/Pages %d 0 R>>\nendobj\n" % (new, new + 1)
    # Without a page qpdf opens nothing.
    empty += b"%d 0 obj\n<</Type/Pages/Count 1/Kids[%d 0 R]>>\nendobj\n" % (new + 1, new + 2)
    empty += b"%d 0 obj\n<</Type/Page/Parent %d 0 R/MediaBox[0 0 1 1]>>\nendobj\n" % (new + 2, new + 1)
    trailer = b"trailer\n<</Size %d/Root %d 0 R>>" % (new + 3, new)
    header = b"" if content.startswith(b"%PDF-") else b"%PDF-1.7\n"
    body = content.replace(b"trailer", b"       ")
    pdf = pikepdf.open(BytesIO(header + body + empty + trailer + nowhere))
    for number in pages:
        page = pdf.get_object(number, 0)
        if isinstance(page, pikepdf.Dictionary):
            _inherit(page)
            pdf.pages.append(pikepdf.Page(page))
    del pdf.pages[0]
    return pdf


def _inherit(page: pikepdf.Object) -> None:
    """Give a page what it has from the lists that it is no longer in (ISO 32000-1, 7.7.3.4)."""
    level = page.get("/Parent")
    for _ in range(_MAX_LEVELS):
        if not isinstance(level, pikepdf.Dictionary):
            return
        for key in ("/MediaBox", "/CropBox", "/Resources", "/Rotate"):
            if key in level and key not in page:
                page[key] = level[key]
        level = level.get("/Parent")


def split(path: Path, first: int, last: int, part: Path) -> None:
    """Write pages `first` to `last`, counted from 1, as a PDF of their own.

    The same pages of the same file always give the same bytes.

    Raises:
        PermanentError: `encrypted`, or `corrupt_document` where the pages cannot be taken out.
    """
    try:
        with pikepdf.open(path) as whole, pikepdf.new() as pdf:
            pdf.pages.extend(whole.pages[first - 1 : last])
            # What only other pages use is left behind.
            pdf.remove_unreferenced_resources()
            pdf.save(part, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    except pikepdf.PasswordError as error:
        raise encrypted() from error
    except (pikepdf.PdfError, OSError, ValueError, RuntimeError) as error:
        raise corrupt(f"pages {first} to {last} cannot be taken out of it") from error


def mentions_encryption(path: Path) -> bool:
    """Tell whether a file has the trailer's entry without which no PDF is encrypted."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"/Encrypt") >= 0


def encrypted() -> PermanentError:
    """Return the error for a PDF that asks for a password."""
    return PermanentError("encrypted", "The PDF cannot be opened without its password.")
