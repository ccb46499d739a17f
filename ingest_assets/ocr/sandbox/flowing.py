"""Documents whose text flows: they are their text, without pictures of pages.

Belongs here: what their readers return. Does not belong here: how one format is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import PageContent


@dataclass(frozen=True)
class FlowingDocument:
    """A document that is its text.

    Attributes:
        message: the headers of a mail, by the names of the columns of `messages`; None of other types.
    """

    pages: tuple[str, ...]
    notes: tuple[Note, ...] = ()
    message: Mapping[str, Any] | None = None
    pictured = False

    @property
    def page_count(self) -> int:
        """The number of pages, at least one."""
        return len(self.pages)

    def page(self, number: int) -> PageContent:
        """Return the text of a page."""
        return PageContent((self.pages[number - 1],))

    def thumbnail(self, longest_side: int) -> Image.Image:
        """Refuse: there is no picture."""
        raise NotImplementedError

    def close(self) -> None:
        """Do nothing: the file was read whole."""
