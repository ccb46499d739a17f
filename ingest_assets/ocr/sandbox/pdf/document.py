"""An open PDF: its pages as they are shown, and what each of them holds.

Belongs here: the order in which a page is read, mended, merged with its annotations and looked at. Does
not belong here: each of these steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import letters, mixed_up
from ingest_assets.ocr.sandbox.document import PageContent, Picture, check_page_count, corrupt
from ingest_assets.ocr.sandbox.pdf import drawing, files, layer, overlaps, xfa
from ingest_assets.ocr.sandbox.pdf.annotations import Annotations, annotations_of, hide, merge
from ingest_assets.ocr.sandbox.pdf.copies import as_drawn, mended, outlined
from ingest_assets.ocr.sandbox.pdf.images import breaks_off, is_of_two_colours, sizes_with_masks
from ingest_assets.ocr.sandbox.pdf.instructions import Instructions, Survey
from ingest_assets.ocr.sandbox.pdf.judgement import (
    FEW_CHARACTERS,
    GAPS,
    Judgement,
    says_other,
    visible,
)
from ingest_assets.ocr.sandbox.pdf.layer import Word
from ingest_assets.ocr.sandbox.pdf.places import Box, Frame
from ingest_assets.ocr.sandbox.pdf.view import View, hide_text
from ingest_assets.text import clean_text

# Share of a page's characters that may stand for none: bullets.
_MOST_UNMAPPED = 0.1

# Operators that show text for one character that is read; at more the others were lost.
_MOST_SHOWS = 4

# A font that mixes up letters shows it in so many characters.
_MUCH_TEXT = 1000

# What an object that has no number of its own has for one.
_NO_OBJECT = (0, 0)

# A page that shows nothing may still be told to show some spaces.
_FEW_SHOWS = 5


@dataclass
class _Shown:
    """A page as it is shown.

    Attributes:
        own_characters: how many characters of its text are not from annotations; None if all are.
    """

    page: pypdfium2.PdfPage
    frame: Frame
    survey: Survey
    annotations: Annotations
    own_characters: int | None


class PdfDocument:
    """A PDF, opened by PDFium for what it shows and by qpdf for how it is made."""

    pictured = True

    def __init__(self, path: Path) -> None:
        try:
            self._pdf = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            refused = error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)
            # The code may be that of an earlier document: PDFium sets none where this one has no pages.
            if refused and files.mentions_encryption(path):
                raise files.encrypted() from error
            raise corrupt("it is not a PDF that can be opened") from error
        self.page_count = check_page_count(len(self._pdf))
        if files.is_cut_off(path):
            raise corrupt("what was added to it last breaks off")
        self._first_page: pypdfium2.PdfPage | None = None
        self._mended: dict[int, pypdfium2.PdfDocument] = {}
        self._drawn: dict[int, pypdfium2.PdfDocument | None] = {}
        self._proven_fonts: set[tuple[int, int]] = set()
        self._structure: pikepdf.Pdf | None = None
        self._instructions: Instructions | None = None
        try:
            self._structure = pikepdf.open(path)
            instructions = Instructions(self._structure)
        except (pikepdf.PdfError, RuntimeError, ValueError):
            # PDFium alone reads it, with nothing to say what it passes over.
            if not _shows_something(self._pdf):
                raise corrupt("its pages cannot be found") from None
            return
        if len(instructions.pages) > self.page_count or not instructions.pages:
            raise corrupt("its list of pages is wrong")
        if len(instructions.pages) == self.page_count:
            self._instructions = instructions

    def page(self, number: int) -> PageContent:
        """Return what a page holds, read as far as it can be trusted."""
        try:
            with self._shown(number) as shown:
                return self._content(number, shown)
        except _UnreadablePageError as error:
            if self.page_count == 1:
                raise corrupt("its only page cannot be read") from error
            return PageContent((), (Note("page_unreadable", "the page is damaged and was left out"),))

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What the document holds beside its pages."""
        if self._structure is None:
            return ()
        notes = []
        if names := _attachments(self._structure):
            what = (
                f"{len(names)} attached files were not read"
                if len(names) > 1
                else "an attached file was not read"
            )
            notes.append(Note("attachment_unread", f"{what}: {', '.join(names[:20])}"))
        if self._form.is_left_out:
            notes.append(
                Note(
                    "form_unread",
                    "an XFA form: its labels and values were read, but not as they are laid out",
                )
            )
        return tuple(notes)

    def pinned(self) -> Iterator[Note]:
        """Yield a note if files are pinned to pages; reading these pages notes each file."""
        if self._structure is None:
            return
        for number, page in enumerate(self._structure.pages, 1):
            annotations = page.obj.get("/Annots")
            for one in annotations if isinstance(annotations, pikepdf.Array) else ():
                if isinstance(one, pikepdf.Dictionary) and one.get("/Subtype") == "/FileAttachment":
                    yield Note("attachment_unread", f"a file attached to page {number} was not read")
                    return

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Draw page 1, small. It stays loaded, because it may be read next."""
        self._first_page = self._loaded(1)
        if self._first_page is None:
            raise corrupt("page 1 cannot be read")
        return drawing.thumbnail(self._first_page, longest_side)

    def close(self) -> None:
        """Close the file."""
        if self._first_page is not None:
            self._first_page.close()
        for pdf in (*self._mended.values(), *self._drawn.values(), self._pdf):
            if pdf is not None:
                pdf.close()
        if self._structure is not None:
            self._structure.close()

    @cached_property
    def _form(self) -> xfa.Form:
        return xfa.read(self._structure) if self._structure is not None else xfa.Form()

    @contextmanager
    def _shown(self, number: int) -> Iterator[_Shown]:
        """Open a page, mended where that is needed, with its annotations merged into it.

        Raises:
            _UnreadablePageError: there is no way to open it.
        """
        survey = Survey(is_plain=False, resources=None)
        annotations = Annotations(has_appearances=True)
        unit = 1.0
        if self._instructions is not None:
            structure = self._instructions.pages[number - 1]
            survey = self._instructions.survey(number)
            annotations = annotations_of(structure, self._instructions.layers)
            unit = _unit(structure)
        pdf, index, page = self._opened(number, survey)
        try:
            own_characters = None
            hide(page, annotations.undrawn)
            if annotations.has_appearances:
                own_characters = _count_characters(page)
                if merge(page):
                    page.close()
                    page = pdf[index]
                else:
                    own_characters = None
            yield _Shown(page, Frame(page, unit), survey, annotations, own_characters)
        finally:
            page.close()

    def _opened(
        self, number: int, survey: Survey
    ) -> tuple[pypdfium2.PdfDocument, int, pypdfium2.PdfPage]:
        """Open a page, or its mended copy where that shows more."""
        page = None
        if survey.replaces and (drawn := self._drawn_copy(number)) is not None:
            return drawn, 0, drawn[0]
        if not (survey.damaged or survey.has_columns or survey.lacks_colours):
            page = self._loaded(number)
            shows_something = page is not None and pdfium.FPDFPage_CountObjects(page) > 0
            if page is not None and (shows_something or survey.is_empty):
                return self._pdf, number - 1, page
        copy = self._mended_copy(number, outlined if survey.has_columns else mended)
        if copy is not None and (healed := _loaded(copy, 0)) is not None:
            if page is not None:
                page.close()
            return copy, 0, healed
        page = page or self._loaded(number)
        if page is None:
            raise _UnreadablePageError
        return self._pdf, number - 1, page

    def _loaded(self, number: int) -> pypdfium2.PdfPage | None:
        if number == 1 and self._first_page is not None:
            page, self._first_page = self._first_page, None
            return page
        return _loaded(self._pdf, number - 1)

    def _mended_copy(
        self, number: int, mend: Callable[[pikepdf.Page], pikepdf.Pdf]
    ) -> pypdfium2.PdfDocument | None:
        if number not in self._mended and self._instructions is not None:
            try:
                with mend(self._instructions.pages[number - 1]) as pdf:
                    file = BytesIO()
                    pdf.save(file)
                self._mended[number] = pypdfium2.PdfDocument(file.getvalue())
            except (pikepdf.PdfError, pypdfium2.PdfiumError, RuntimeError, ValueError):
                return None
        return self._mended.get(number)

    def _drawn_copy(self, number: int) -> pypdfium2.PdfDocument | None:
        """Return a page without the words that its file gives in place of what it draws.

        Returns:
            None where these are the same but for some letters, or a font leaves unsaid what it draws.
        """
        if number not in self._drawn and self._instructions is not None:
            self._drawn[number] = None
            try:
                with as_drawn(self._instructions.pages[number - 1]) as pdf:
                    file = BytesIO()
                    pdf.save(file)
                copy = pypdfium2.PdfDocument(file.getvalue())
                given, drawn = _text(self._pdf, number - 1), _text(copy, 0)
            except (pikepdf.PdfError, pypdfium2.PdfiumError, RuntimeError, ValueError):
                return None
            if letters.unmapped(drawn) == (0, False) and letters.are_natural(drawn) is not False:
                self._drawn[number] = copy if says_other(given, drawn) else None
            if self._drawn[number] is None:
                copy.close()
        return self._drawn.get(number)

    def _content(self, number: int, shown: _Shown) -> PageContent:
        textpage = shown.page.get_textpage()
        try:
            text = layer.whole_text(textpage, shown.survey.shows)
            notes = [
                *shown.annotations.notes,
                *(Note("content_unreadable", what) for what in dict.fromkeys(shown.survey.damaged)),
            ]
            if self._drawn.get(number) is not None:
                what = "words that the file gives in place of those that it shows were left out"
                notes.append(Note("not_shown", what))
            beside = [*_missing(shown.annotations.boxes, text), *shown.annotations.fields]
            beside += shown.annotations.comments
            if number == 1:
                beside += self._form.lines
            doubted = self._letters_in_doubt(text, shown.survey)
            as_it_is = PageContent((clean_text(text), *beside), tuple(notes))
            lacks_letters = (
                shown.survey.has_false_spaces or layer.shows_any(textpage, text, shown.survey.nameless)
            ) and layer.lacks_letters(textpage)
            is_plain = not (doubted or lacks_letters) and _is_beyond_doubt(textpage, text, shown)
            if textpage.count_chars() > layer.MOST_CHARACTERS or (
                is_plain and not shown.survey.may_be_hidden
            ):
                return as_it_is
            if shown.survey.images and not shown.survey.shows and not text.strip():
                # A scan: whether it shows anything is seen when it is drawn for recognition.
                return PageContent((lambda: self._scan(number), *beside), tuple(notes))
            own = shown.own_characters
            lines = layer.lines(textpage, shown.frame, 0, own, lacks_letters=lacks_letters)
            added = [] if own is None else layer.lines(textpage, shown.frame, own)
            words = [word for line in (*lines, *added) for word in line.words]
            overlapping = overlaps.groups(textpage, words) if shown.survey.may_be_hidden else ()
        finally:
            textpage.close()
        masked = sizes_with_masks(shown.survey.images)
        may_be_pale = own is not None or shown.survey.is_half_transparent
        view = View(shown.page, shown.frame, masked, in_colour=may_be_pale)
        covered = [word for group in overlapping for word in view.same_without(shown.page, group)]
        is_layered = any(map(view.is_over_image, words))
        bare = None
        if is_layered or shown.survey.may_be_hidden:
            bare = view.without_text(shown.page)
        unseen = [*view.unseen(words, bare), *covered]
        if is_plain and not unseen:
            return as_it_is
        notes += _of_images(view, shown.survey)
        if not text.strip() and shown.survey.shows > _FEW_SHOWS and view.is_blank(shown.frame.box):
            notes.append(Note("content_unreadable", "its text can be neither read nor drawn"))

        def draw(box: Box | None, without: Sequence[Word], *, text: bool = True) -> Picture:
            with self._shown(number) as again:
                if not text:
                    hide_text(again.page)
                return drawing.draw(again.page, number, view, box, without)

        return Judgement(
            text=clean_text(text),
            lines=lines,
            added=added,
            beside=beside,
            notes=notes,
            view=view,
            draw=draw,
            fonts_are_there=shown.survey.fonts_are_there,
            doubted=doubted,
            beneath=bare if is_layered else None,
            unseen=unseen,
        ).content()

    def _letters_in_doubt(self, text: str, survey: Survey) -> frozenset[str]:
        if survey.fonts and survey.fonts <= self._proven_fonts:
            return frozenset(survey.disputed)
        in_words = mixed_up.letters_in_doubt(text)
        if layer.may_be_in_pieces(text):
            in_words |= {GAPS}
        if not in_words and len(text) >= _MUCH_TEXT:
            self._proven_fonts |= survey.fonts - {_NO_OBJECT}
        return in_words | survey.disputed

    def _scan(self, number: int) -> Picture:
        """Draw a page that has no text; what shows nothing is blank."""
        with self._shown(number) as shown:
            images = shown.survey.images
            in_colour = not any(map(is_of_two_colours, images)) or shown.survey.is_half_transparent
            view = View(shown.page, shown.frame, sizes_with_masks(images), in_colour=in_colour)
            picture = Picture(Image.new("L", (1, 1), 255), 72)
            if view.unread(()):
                picture = drawing.draw(shown.page, number, view)
            return replace(picture, notes=(*picture.notes, *_of_images(view, shown.survey)))


class _UnreadablePageError(Exception):
    """There is no way to open a page."""


def _of_images(view: View, survey: Survey) -> Iterator[Note]:
    """Yield a note where images of a page cannot be seen whole."""
    if undecoded := sum(not image.decodes for image in view.images):
        yield Note("image_unreadable", f"{undecoded} pictures on the page cannot be decoded")
    elif broken := sum(map(breaks_off, survey.images)):
        yield Note("image_unreadable", f"the data of {broken} pictures on the page break off")


def _shows_something(pdf: pypdfium2.PdfDocument) -> bool:
    """Tell whether anything is drawn on page 1."""
    page = _loaded(pdf, 0)
    if page is None:
        return False
    try:
        return bool(pdfium.FPDFPage_CountObjects(page) > 0)
    finally:
        page.close()


def _loaded(pdf: pypdfium2.PdfDocument, index: int) -> pypdfium2.PdfPage | None:
    try:
        page = pdf[index]
        if min(page.get_size()) > 0:
            return page
        # Its crop box leaves nothing of it: viewers then show the page as if it had none.
        page.set_cropbox(*page.get_mediabox())
        page.close()
        return pdf[index]
    except pypdfium2.PdfiumError:
        return None


def _is_beyond_doubt(textpage: pypdfium2.PdfTextPage, text: str, shown: _Shown) -> bool:
    """Tell whether a text layer is all that its page shows, as far as can be told without looking."""
    if not shown.survey.is_plain or shown.own_characters is not None:
        return False
    unmapped, word_is_lost = letters.unmapped(text)
    if word_is_lost or unmapped > _MOST_UNMAPPED:
        return False
    is_language, has_odd_line = letters.judge(text)
    if (
        is_language is False
        or has_odd_line
        or (is_language is None and visible(text) >= FEW_CHARACTERS)
    ):
        return False
    if shown.survey.shows > _MOST_SHOWS * (len(text) + 1):
        return False
    if not text.strip():
        return shown.survey.is_empty
    return layer.is_all_inside(textpage, shown.frame)


def _text(pdf: pypdfium2.PdfDocument, index: int) -> str:
    page = pdf[index]
    textpage = page.get_textpage()
    try:
        return layer.whole_text(textpage, 0)
    finally:
        textpage.close()
        page.close()


def _count_characters(page: pypdfium2.PdfPage) -> int:
    textpage = page.get_textpage()
    try:
        count: int = textpage.count_chars()
        return count
    finally:
        textpage.close()


def _missing(texts: Sequence[str], layer_text: str) -> list[str]:
    """Return the texts that a layer does not hold, white space aside."""
    if not texts:
        return []
    held = "".join(layer_text.split())
    return [text for text in texts if "".join(text.split()) not in held]


def _unit(page: pikepdf.Page) -> float:
    unit = page.obj.get("/UserUnit", 1)
    try:
        return min(max(float(unit), 0.1), 1000.0)
    except (TypeError, ValueError):
        return 1.0


def _attachments(pdf: pikepdf.Pdf) -> list[str]:
    try:
        return [clean_text(name) for name in pdf.attachments]
    except (pikepdf.PdfError, ValueError, RuntimeError, TypeError):
        return ["their list is damaged"]
