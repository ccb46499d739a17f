"""Pages, Numbers and Keynote: the preview that Apple's programs store beside what only they read.

Belongs here: which members are the preview. Does not belong here: the archive (`docx.package`), and a
preview in PDF, which is taken out as a document of its own (`unpacking.embedded`).
"""

from __future__ import annotations

import posixpath
from pathlib import Path

from ingest_assets.errors import PermanentError
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package
from ingest_assets.ocr.sandbox.mail import attached

# Of all pages, and of the first one; smaller pictures of that are beside it.
WHOLE_PREVIEW, _FIRST_PAGE = "preview.pdf", ("preview.jpg", "thumbnail.jpg")


def read_iwork(path: Path) -> IllustratedDocument:
    """Open a document of Apple's programs: the picture of its first page, with a note.

    Raises:
        PermanentError: `unsupported_type` where it was saved without a preview.
    """
    return read_package(Package(path, "document"), _contents_of)


def is_whole_preview(name: str) -> bool:
    """Tell whether a member of the archive shows all pages."""
    return posixpath.basename(name).casefold() == WHOLE_PREVIEW


def _contents_of(package: Package) -> Shown:
    by_name = {posixpath.basename(name).casefold(): name for name in package.names()}
    pictures = [by_name[name] for name in _FIRST_PAGE if name in by_name][:1]
    previews = [posixpath.basename(name) for name in package.names() if is_whole_preview(name)]
    if not (pictures or previews):
        raise PermanentError(
            "unsupported_type",
            "It is a Pages, Numbers or Keynote document without a preview, which is all that is read.",
            "Export it to PDF with the program that made it, and ingest that.",
        )
    note = Note(
        "content_unreadable",
        "of a Pages, Numbers or Keynote document only the preview was read, mostly its first page",
    )
    return Shown([""], pictures, (note, *attached(previews)))
