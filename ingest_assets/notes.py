"""Notes: what a person should know of how a document was read, above all what was left out of its text.

Belongs here: what a note is, and the catalogue of its kinds. Does not belong here: finding out that
something was left out; that is done by what reads the document.

A document that is `completed` or `no_text` has all the text that a person sees on its pages, or notes
that say what is missing, where and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What notes of one kind have in common.

    Attributes:
        meaning: one sentence: what it says of the document.
        what_to_do: one sentence: what a person can do about it.
        leaves_out: whether text that a person sees may be missing or wrong, so that the document is
            not complete.
    """

    meaning: str
    what_to_do: str
    leaves_out: bool = True


KINDS: Mapping[str, Kind] = {
    # What could not be read.
    "unread_ink": Kind(
        "A page shows something that could not be read as text: handwriting, a drawing, a photograph, "
        "or print that is too faint.",
        "Look at the page. If there is text on it, scan it again, darker and at 300 dpi.",
    ),
    "low_confidence": Kind(
        "What was recognised on a page is too unsure to be kept as text, so it was left out.",
        "Look at the page. Scan it again at 300 dpi, or set INGEST_OCR_LANGUAGES to its language.",
    ),
    "unsure_words": Kind(
        "A page is blurred, noisy or badly copied: many of the words that were recognised on it may be "
        "wrong.",
        "Compare the text with the page. Scan it again at 300 dpi if that can be done.",
    ),
    "other_script": Kind(
        "A page, or part of it, is in a script that none of the set languages uses, so it was not "
        "recognised.",
        "Add its language to INGEST_OCR_LANGUAGES, then read the document again.",
    ),
    "other_language": Kind(
        "A page is written in a language that is not set: letters with accents may be wrong.",
        "Add its language to INGEST_OCR_LANGUAGES, then read the document again.",
    ),
    "page_unreadable": Kind(
        "A page is damaged and could not be read at all.",
        "Get an undamaged copy of the document from its source.",
    ),
    "doubtful_text": Kind(
        "The text that the file gives for a page looks like no language, and could not be checked "
        "against what the page shows.",
        "Look at the page. If its text is wrong, print it to a new PDF as an image and ingest that.",
    ),
    "image_unreadable": Kind(
        "A picture on a page is damaged, too large, or of a kind that cannot be decoded.",
        "Open the document; print it to a new PDF if the picture shows text.",
    ),
    "content_unreadable": Kind(
        "Part of a page's content is damaged or packed in a way that is not known, so it was not read.",
        "Open the document in another program; print it to a new PDF if that shows more.",
    ),
    "repaired": Kind(
        "The file was damaged and was read from a repaired copy: text may be missing or doubled.",
        "Compare the text with the document, or get an undamaged copy.",
    ),
    "form_unread": Kind(
        "The document is an interactive form (XFA) whose values are not stored on its pages.",
        "Open it in Adobe Reader and print it to a new PDF.",
    ),
    "attachment_unread": Kind(
        "The document holds files that were not read as part of it.",
        "Take the files out and ingest them.",
    ),
    "parts_left_out": Kind(
        "Not all that is inside the document became a document of its own, because a limit on depth, "
        "number or bytes was reached.",
        "Unpack it yourself and ingest what matters of it, or raise the setting (INGEST_PARTS_…).",
    ),
    "parts_unread": Kind(
        "What is inside the document could not be taken out.",
        "Take the files out with the program that made it, and ingest them.",
    ),
    "container_damaged": Kind(
        "The archive is damaged: what stands before the damaged place was taken out.",
        "Get a whole copy; it is found as a new source.",
    ),
    "object_unread": Kind(
        "The document holds an embedded object (a chart, an equation, another program's data) whose "
        "text could not be read.",
        "Open the document; save it as PDF if the object shows text.",
    ),
    "bytes_replaced": Kind(
        "Some bytes of a text file are no characters in its encoding; each stands as U+FFFD.",
        "Look at the places; save the file as UTF-8 from the program that wrote it.",
    ),
    "pages_left_out": Kind(
        "The service that read the document left out pages or warned about them.",
        "Look at the pages named; read the document again, or print them to a new PDF.",
    ),
    # How it was read; nothing is missing for it.
    "encoding_guessed": Kind(
        "A text file does not say its encoding, and it was guessed.",
        "If letters are wrong, save the file as UTF-8 from the program that wrote it.",
        leaves_out=False,
    ),
    "turned": Kind(
        "A page was turned or cleaned before it was recognised.",
        "Nothing.",
        leaves_out=False,
    ),
    "low_resolution": Kind(
        "A huge page or picture was recognised at a lower resolution than others.",
        "Look whether its small print was read.",
        leaves_out=False,
    ),
    "not_shown": Kind(
        "The document holds what a person does not see: text outside a page's edges, invisible text, "
        "macros. It was left out, or is marked.",
        "Nothing, unless that matters to you.",
        leaves_out=False,
    ),
    "no_thumbnail": Kind(
        "No picture of page 1 could be made for Dagit.",
        "Nothing: the text does not depend on it.",
        leaves_out=False,
    ),
    "split": Kind(
        "The document was split into parts for the service that read it.",
        "Nothing.",
        leaves_out=False,
    ),
    "earlier_version": Kind(
        "A note that an earlier version of this program wrote; it did not say of which kind.",
        "Read the document again to have it judged anew.",
        leaves_out=False,
    ),
}


@dataclass(frozen=True)
class Note:
    """One thing to know of how a document, or one page of it, was read.

    Attributes:
        kind: one of `KINDS`.
        sentence: what was found, where and why, in words for a person: no secret, and at most some
            words of the document itself.
        page: counted from 1; None where it is true of the whole document.

    Example:
        >>> str(Note("turned", "turned by 90° before it was recognised", 3))
        'page 3: turned by 90° before it was recognised'
    """

    kind: str
    sentence: str
    page: int | None = None

    def __post_init__(self) -> None:
        """Refuse a kind that is not in the catalogue: nobody could look up what it means."""
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of note")

    @property
    def leaves_out(self) -> bool:
        """Whether text that a person sees may be missing or wrong."""
        return KINDS[self.kind].leaves_out

    def __str__(self) -> str:
        """The sentence, with the page before it."""
        return f"page {self.page}: {self.sentence}" if self.page else self.sentence
