"""PDF: pages, their text layer, their pictures, and repair.

Belongs here: all that knows PDFium or pikepdf. Does not belong here: recognition.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import math
import mmap
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import (
    MAX_PIXELS,
    PageContent,
    Picture,
    check_decoded_size,
    check_page_count,
    corrupt,
    is_blank,
)
from ingest_assets.text import clean_text

# 300 costs 1.3 times as much and reads no better, but on small pages, whose print is small.
RENDER_DPI = 200
_SMALL_PAGE_DPI = 300
_SMALL_PAGE_POINTS = 300

# At less than this even a poster's headline is a smear; 200 inches are drawn at 30.
_MIN_DPI = 20

# Tesseract takes no longer side.
_MAX_SIDE = 32_000

# A page with fewer visible characters than this may be a scan with a stamp on it.
_THIN_TEXT = 250

# An image on so much of a page with little text may hold the rest of it. (A lone word does.)
_SCAN_COVERAGE = 0.002

# So many lines and curves on a page with next to no text are its letters, drawn.
_DRAWN_LETTERS = 300

# Controls, private use, "no such character": what a font without a mapping leaves.
_UNMAPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]")

_FORM_FIELDS_WITH_TEXT = (
    pdfium.FPDF_FORMFIELD_TEXTFIELD,
    pdfium.FPDF_FORMFIELD_COMBOBOX,
    pdfium.FPDF_FORMFIELD_LISTBOX,
    pdfium.FPDF_FORMFIELD_CHECKBOX,
    pdfium.FPDF_FORMFIELD_RADIOBUTTON,
)


class PdfDocument:
    """A PDF, opened by PDFium."""

    pictured = True

    def __init__(self, path: Path) -> None:
        try:
            self._pdf = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            refused = error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
            # The code may be that of an earlier document: PDFium sets none where this one has no pages.
            if refused and _mentions_encryption(path):
                raise _encrypted() from error
            raise corrupt("it is not a PDF that can be opened") from error
        self.page_count = check_page_count(len(self._pdf))
        form = self._pdf.get_formtype()
        if form != pdfium.FORMTYPE_NONE:
            self._pdf.init_forms()
        self.notes: tuple[Note, ...] = ()
        if form in (pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND):
            self.notes = (
                Note("form_unread", "an XFA form: only the pages stored for other viewers were read"),
            )

    def page(self, number: int) -> PageContent:
        """Return the page's text layer if it is good, else its picture."""
        with self._page(number) as page:
            text = _text_layer(page)
            if not _is_trustworthy(text, page):
                return PageContent((lambda: self.picture(number),))
            return PageContent((clean_text(text), self._form_text(page)))

    def picture(self, number: int) -> Picture:
        """Render the page at 200 dpi, more where it is small and less where it is huge."""
        with self._page(number) as page:
            width, height = _size_in_points(page)
            small = max(width, height) <= _SMALL_PAGE_POINTS
            wanted = (_SMALL_PAGE_DPI if small else RENDER_DPI) / 72
            scale = min(
                wanted, math.sqrt(MAX_PIXELS / (width * height)), _MAX_SIDE / max(width, height)
            )
            dpi = round(scale * 72)
            if dpi < _MIN_DPI:
                raise PermanentError(
                    "page_too_large",
                    f"Page {number} is {width / 72:,.0f} by {height / 72:,.0f} inches, too large to "
                    "be drawn so that it can be read.",
                )
            notes: tuple[Note, ...] = ()
            if scale != wanted:
                notes = (Note("low_resolution", f"a huge page, recognised at {dpi} dpi"),)
            image = _render(page, scale, grey=True)
            if is_blank(image):
                _check_images(page, number)
            return Picture(image, dpi, notes)

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Render page 1, small."""
        with self._page(1) as page:
            return _render(page, longest_side / max(_size_in_points(page)), grey=False)

    def close(self) -> None:
        """Close the file."""
        self._pdf.close()

    @contextmanager
    def _page(self, number: int) -> Iterator[pypdfium2.PdfPage]:
        try:
            page = self._pdf[number - 1]
        except pypdfium2.PdfiumError as error:
            raise corrupt(f"page {number} cannot be read") from error
        try:
            yield page
        finally:
            page.close()

    def _form_text(self, page: pypdfium2.PdfPage) -> str:
        """Return the filled-in fields of a form, a line each: they are not in the text layer."""
        if self._pdf.formenv is None:
            return ""
        lines = []
        for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
            annotation = pdfium.FPDFPage_GetAnnot(page, index)
            kind = pdfium.FPDFAnnot_GetFormFieldType(self._pdf.formenv, annotation)
            if kind in _FORM_FIELDS_WITH_TEXT:
                name = self._form_string(pdfium.FPDFAnnot_GetFormFieldName, annotation)
                value = self._form_string(pdfium.FPDFAnnot_GetFormFieldValue, annotation)
                if value and value != "Off":
                    lines.append(clean_text(f"{name}: {value}"))
            pdfium.FPDFPage_CloseAnnot(annotation)
        return "\n".join(lines)

    def _form_string(self, getter: Callable[..., int], annotation: object) -> str:
        size = getter(self._pdf.formenv, annotation, None, 0)
        buffer = ctypes.create_string_buffer(size)
        getter(
            self._pdf.formenv,
            annotation,
            ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)),
            size,
        )
        return buffer.raw.decode("utf-16-le", errors="replace").rstrip("\x00")


def repair(path: Path, repaired: Path) -> None:
    """Write a PDF that PDFium refuses anew, from whatever objects can still be found in it.

    Raises:
        PermanentError: `encrypted`, `no_pages`, or `corrupt_document` where nothing is left to
            save.
    """
    try:
        with pikepdf.open(path) as pdf:
            check_page_count(len(pdf.pages))
            pdf.save(repaired)
    except pikepdf.PasswordError as error:
        raise _encrypted() from error
    except (pikepdf.PdfError, OSError, ValueError, RuntimeError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise  # The disk is full, which says nothing about the document.
        raise corrupt("it is not a PDF, and cannot be repaired") from error


def _mentions_encryption(path: Path) -> bool:
    """Tell whether a file has the trailer's entry without which no PDF is encrypted."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"/Encrypt") >= 0


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
        raise _encrypted() from error
    except (pikepdf.PdfError, OSError, ValueError, RuntimeError) as error:
        raise corrupt(f"pages {first} to {last} cannot be taken out of it") from error


def _encrypted() -> PermanentError:
    return PermanentError("encrypted", "The PDF cannot be opened without its password.")


def _text_layer(page: pypdfium2.PdfPage) -> str:
    textpage = page.get_textpage()
    try:
        # U+FFFE is how PDFium says "hyphen at the end of a line".
        text: str = textpage.get_text_range().replace("\ufffe", "-\n")
        return text
    finally:
        textpage.close()


def _is_trustworthy(text: str, page: pypdfium2.PdfPage) -> bool:
    """Tell whether a text layer is all that can be read on its page."""
    visible = sum(map(len, text.split()))
    if not _is_mapped(text):
        return False
    if visible >= _THIN_TEXT:
        return True
    images, drawings = _survey(page)
    if not visible:
        return not images and not drawings
    return images < _SCAN_COVERAGE and not (visible < 100 and drawings >= _DRAWN_LETTERS)


def _is_mapped(text: str) -> bool:
    return len(_UNMAPPED.findall(text)) <= 0.1 * len(text)


def _survey(page: pypdfium2.PdfPage) -> tuple[float, int]:
    """Return the share of a page that images cover, 0 to 1 or a little more, and its drawings."""
    width, height = _size_in_points(page)
    covered, drawings = 0.0, 0
    for item in itertools.islice(page.get_objects(max_depth=1), 5000):
        if item.type == pdfium.FPDF_PAGEOBJ_TEXT:
            continue
        if item.type == pdfium.FPDF_PAGEOBJ_IMAGE or _holds_image(item):
            left, bottom, right, top = item.get_bounds()
            covered += max(0.0, min(right, width) - max(left, 0)) * max(
                0.0, min(top, height) - max(bottom, 0)
            )
        drawings += 1
    return covered / (width * height), drawings


def _check_images(page: pypdfium2.PdfPage, number: int) -> None:
    """Find out whether a page is blank only because PDFium passes over images that it cannot decode.

    Raises:
        PermanentError: `image_too_large`, `corrupt_document`.
    """
    for item in itertools.islice(page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3), 100):
        width, height = item.get_px_size()
        check_decoded_size(width, height)
        try:
            item.get_bitmap()
        except pypdfium2.PdfiumError as error:
            raise corrupt(f"an image on page {number} cannot be decoded") from error


def _holds_image(item: pypdfium2.PdfObject) -> bool:
    if item.type != pdfium.FPDF_PAGEOBJ_FORM:
        return False
    return any(
        pdfium.FPDFPageObj_GetType(pdfium.FPDFFormObj_GetObject(item, index))
        == pdfium.FPDF_PAGEOBJ_IMAGE
        for index in range(min(pdfium.FPDFFormObj_CountObjects(item), 1000))
    )


def _size_in_points(page: pypdfium2.PdfPage) -> tuple[float, float]:
    width, height = page.get_size()
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise corrupt("a page has no size")
    return width, height


def _render(page: pypdfium2.PdfPage, scale: float, *, grey: bool) -> Image.Image:
    bitmap = page.render(scale=scale, grayscale=grey)
    try:
        image: Image.Image = bitmap.to_pil()
        # A copy, because the bitmap's memory goes with it.
        return image.convert("L" if grey else "RGB").copy()
    finally:
        bitmap.close()
