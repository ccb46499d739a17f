"""PDF files as wholes: repairing them, and taking pages out of them.

Belongs here: what is done to a file before, or instead of, reading its pages. Does not belong here:
pages.
"""

from __future__ import annotations

import errno
import mmap
from pathlib import Path

import pikepdf

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import check_page_count, corrupt


def repair(path: Path, repaired: Path) -> bool:
    """Write a PDF that PDFium refuses anew, from whatever objects can still be found in it.

    Returns:
        Whether that mended anything: what was only encrypted, without asking for a password, is whole.

    Raises:
        PermanentError: `encrypted`, `no_pages`, or `corrupt_document` where nothing is left to
            save.
    """
    try:
        with pikepdf.open(path) as pdf:
            check_page_count(len(pdf.pages))
            pdf.save(repaired)
            return not (pdf.is_encrypted and not pdf.get_warnings())
    except pikepdf.PasswordError as error:
        raise encrypted() from error
    except (pikepdf.PdfError, OSError, ValueError, RuntimeError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise  # The disk is full, which says nothing about the document.
        raise corrupt("it is not a PDF, and cannot be repaired") from error


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
