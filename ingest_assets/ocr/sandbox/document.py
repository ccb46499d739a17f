"""What a format has to offer: the protocol that PDF, image, text and DOCX keep.

Belongs here: the types between a format and the operations on it, and the limits that all formats
share. Does not belong here: anything that one format alone needs, and choosing a format (`formats`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note

# Size of a picture that goes to recognition, in pixels: more than 200 dpi make of an A1 sheet.
MAX_PIXELS = 36_000_000

# Memory that one decoded image may take, in bytes: 75 megapixels in colour, 300 in black and white.
MAX_DECODED_BYTES = 300_000_000

# A page count above this is a lie or an attack.
MAX_PAGES = 50_000


@dataclass(frozen=True)
class Picture:
    """A page as an image.

    Attributes:
        image: mode `L`: 8 bits of grey a pixel.
        dpi: dots per inch, as far as known.
        notes: what a person should know about how it was made; without the page.
    """

    image: Image.Image
    dpi: int
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class PageContent:
    """What a page holds.

    Attributes:
        parts: in reading order: text that the document carries, and what makes a picture to recognise,
            for pictures take time and memory that a reader of text does not need.
        notes: what a person should know of it; without the page.
        doubt: where it is set, the parts are what holds if nothing can be recognised to settle it.
    """

    parts: tuple[str | Callable[[], Picture], ...]
    notes: tuple[Note, ...] = ()
    doubt: Doubt | None = None

    @property
    def own_text(self) -> str | None:
        """The text, or None where something has to be recognised."""
        texts = [part for part in self.parts if isinstance(part, str)]
        if self.doubt is not None or len(texts) < len(self.parts):
            return None
        return "\n".join(filter(None, texts))


@dataclass(frozen=True)
class Doubt:
    """A question that a look at part of a page answers: is the text that it carries what it shows?

    Attributes:
        picture: makes the picture of that part.
        settle: takes what was recognised on it, text and confidence (0 to 1, or None where nothing was
            found), and returns what the page holds.
        at_a_glance: whether whole words are compared, for which one reading will do; letters need more.
    """

    picture: Callable[[], Picture]
    settle: Callable[[str, float | None], PageContent]
    at_a_glance: bool = False


class Document(Protocol):
    """An open document. Pages are counted from 1; `pictured` says that they have pictures.

    Methods raise `PermanentError` for what will never read; other errors are faults of the code.
    """

    pictured: bool

    @property
    def page_count(self) -> int:
        """The number of pages, at least 1."""
        ...

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a person should know about the whole document."""
        ...

    def page(self, number: int) -> PageContent:
        """Return what a page holds."""
        ...

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Return page 1 as a small image."""
        ...

    def close(self) -> None:
        """Release files and memory."""
        ...


def corrupt(what: str) -> PermanentError:
    """Return the error for a document whose bytes make no sense."""
    return PermanentError("corrupt_document", f"The document is damaged: {what}.")


def check_page_count(count: int) -> int:
    """Return the count of pages, or raise `PermanentError` where there are none or too many."""
    if count < 1:
        raise PermanentError("no_pages", "The document has no pages.")
    if count > MAX_PAGES:
        raise PermanentError(
            "too_many_pages",
            f"The document says that it has {count} pages; at most {MAX_PAGES} are read.",
        )
    return count


def check_decoded_size(width: int, height: int, bytes_a_pixel: int = 1) -> None:
    """Raise `PermanentError` where an image takes more memory than is spent on one."""
    if width * height * bytes_a_pixel > MAX_DECODED_BYTES:
        raise PermanentError(
            "image_too_large", f"The image is {width} by {height} pixels, more than is decoded."
        )


def is_blank(image: Image.Image) -> bool:
    """Tell whether a grey image shows nothing at all."""
    darkest, lightest = image.reduce(max(1, min(image.size) // 1000)).getextrema()
    return float(lightest) - float(darkest) < 16  # type: ignore[arg-type]  # mode L: two numbers
