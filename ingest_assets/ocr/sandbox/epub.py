"""EPUB: a book of web pages.

Belongs here: the order of a book's parts (EPUB 3, OPF). Does not belong here: what a page shows
(`web_page`).
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from ingest_assets.errors import PermanentError
from ingest_assets.formats import PDF, PICTURES
from ingest_assets.identification import identify
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.any_namespace import named
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.encodings import decode
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package
from ingest_assets.ocr.sandbox.mail import attached
from ingest_assets.ocr.sandbox.web_page import as_html, decode_html, html_text
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

_CONTAINER = "META-INF/container.xml"
_SHEET = re.compile(r"""<link\b[^>]*?\bhref\s*=\s*["']([^"']+\.css)["']""", re.IGNORECASE)
_MOST_OF_SHEET = 1_000_000
_ENCRYPTED = "META-INF/encryption.xml"
# What pages are made of, and what says how they show.
_OF_PAGES = re.compile(
    r"mimetype|META-INF/.*|.*\.(?:x?html?|xht|xml|opf|ncx|css|js|smil|pls|json|otf|ttf|woff2?|png|jpe?g"
    r"|gif|svg|webp|bmp|tiff?|xpgt|plist|txt|DS_Store)",
    re.IGNORECASE | re.DOTALL,
)
_PAGES = ("application/xhtml+xml", "text/html")
_LOST = Note("page_unreadable", "a part that the file does not hold")


def is_file_of_its_own(name: str) -> bool:
    """Tell whether a member of the archive is no part of a page: a film, a sound, another document."""
    return _OF_PAGES.fullmatch(name) is None


def read_epub(path: Path) -> IllustratedDocument:
    """Open a book: a page for each of its parts, in the order of reading, then its pictures."""
    return read_package(Package(path, "EPUB"), _contents_of)


def _contents_of(package: Package) -> Shown:
    listed, pictures = _contents(package)
    parts = [part for part in listed if part in package]
    texts = []
    for part in parts:
        data = package.read(part, MAX_TEXT_BYTES) or b""
        if len(data) > MAX_TEXT_BYTES:
            raise too_much_text()
        if identify(io.BytesIO(data)) in (PDF, *PICTURES):
            continue  # The order of reading may have pictures, and files of other types.
        page = decode_html(data).text
        texts.append(html_text(as_html(page), _sheets(package, part, page)))
        if sum(map(len, texts)) > MAX_TEXT_BYTES:
            raise too_much_text()
    files = [posixpath.basename(name) for name in package.names() if is_file_of_its_own(name)]
    notes = [*attached(files), *([_LOST] if len(parts) < len(listed) else [])]
    return Shown([text for text in texts if text] or [""], pictures, notes)


def _sheets(package: Package, part: str, page: str) -> Iterator[str]:
    """Yield the style sheets that a page refers to."""
    for link in _SHEET.finditer(page):
        name = posixpath.join(posixpath.dirname(part), unquote(link[1]))
        data = package.read(posixpath.normpath(name), _MOST_OF_SHEET) or b""
        yield decode(data[:_MOST_OF_SHEET]).text


def _contents(package: Package) -> tuple[list[str], list[str]]:
    """Return the names of a book's parts, and of its pictures."""
    container = package.xml(_CONTAINER)
    places = [] if container is None else [one.get("full-path") for one in container.iter()]
    place = next(filter(None, places), "")
    book = package.xml(place) if place else None
    if book is None:
        raise corrupt("the EPUB has no list of its parts")
    items = {item.get("id"): item for item in named(book, "item")}
    folder = posixpath.dirname(place)

    def name(identifier: str | None) -> str:
        item = items.get(identifier)
        href = "" if item is None else unquote(item.get("href", ""))
        return posixpath.normpath(posixpath.join(folder, href.partition("#")[0]))

    parts = [name(ref.get("idref")) for ref in named(book, "itemref")]
    locked = package.xml(_ENCRYPTED)
    references = [] if locked is None else [unquote(one.get("URI", "")) for one in locked.iter()]
    if set(references) & set(parts):
        raise PermanentError("encrypted", "The EPUB is protected against copying (DRM).")
    pictures = [
        name(identifier)
        for identifier, item in items.items()
        if item.get("media-type", "").startswith("image/")
    ]
    pages = (name(one.get("id")) for one in items.values() if one.get("media-type") in _PAGES)
    return list(dict.fromkeys(parts or pages)), pictures
