"""Web pages and SVG drawings that are files: their text, and the pictures in their markup.

Belongs here: finding the pictures, and saying what is not in the file. Does not belong here: which
elements show (`web_page`), and fetching anything; a page is read as it is in its file.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote_to_bytes

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.encodings import decode
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.web_page import as_html, decode_html, html_text, svg_text
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

_SCRIPT, _IMAGE = (re.compile(rf"<{tag}\b", re.IGNORECASE) for tag in ("script", "img"))
_FRAME_SET = re.compile(r"</?(?:frameset|noframes)\b[^>]*>|<frame\b[^>]*>", re.IGNORECASE)
# In attributes of elements, and in styles.
_PICTURE = re.compile(
    r"data:image/(?!svg)[^,\"'()\s]{1,60};base64,\s*([A-Za-z0-9+/=%\s]+)", re.IGNORECASE
)
_DRAWING = re.compile(
    r"""(?:(?P<name>src|href)\s*=\s*|\()(["'])data:image/svg\+xml[^,"']*?(?P<packed>;base64)?,(?P<data>.*?)\2""",
    re.IGNORECASE | re.DOTALL,
)
_FILE = re.compile(r"""<(?:embed|object|iframe)\b[^<>]*?=\s*["']?data:application/""", re.IGNORECASE)
_XHTML = re.compile(r"\s*<\?xml\b|<!DOCTYPE[^>]*\bXHTML\b|<html[^>]*\bxmlns\s*=", re.IGNORECASE)
_XHTML_WITHIN = 2000


def read_web_page(path: Path) -> IllustratedDocument:
    """Read a web page as one page of text, and a page for each picture that is within it."""
    if path.stat().st_size > 2 * MAX_TEXT_BYTES:
        raise too_much_text()
    decoded = decode_html(path.read_bytes())
    pictures = pictures_within(decoded.text)
    is_xml = _XHTML.search(decoded.text[:_XHTML_WITHIN]) is not None
    html = as_html(decoded.text) if is_xml else decoded.text
    text, notes = html_text(html), list(decoded.notes)
    if not text and _FRAME_SET.search(html):
        text = html_text(_FRAME_SET.sub("", html))
        notes.append(Note("not_shown", "its frames are pages of their own, which are not within it"))
    if not text and (text := html_text(html, is_styled=False)):
        notes.append(
            Note("not_shown", "styles hide all of it until a script shows it: it was read without them")
        )
    if not text:
        notes += _not_within(html, len(pictures))
    if _FILE.search(html):
        notes.append(Note("attachment_unread", "a file of another type, within its markup"))
    return IllustratedDocument([text], pictures, pictures.__getitem__, lambda: notes)


def _not_within(html: str, pictures: int) -> Iterator[Note]:
    """Yield what a page without words may show for all that."""
    if _SCRIPT.search(html):
        yield Note("content_unreadable", "what it shows is made by a script, which was not run")
    if len(_IMAGE.findall(html)) > pictures:
        yield Note("image_unreadable", "pictures that are not within the file")


def read_svg(path: Path) -> IllustratedDocument:
    """Read a drawing's words; a note says where it has none, for letters may be drawn as shapes."""
    if path.stat().st_size > 2 * MAX_TEXT_BYTES:
        raise too_much_text()
    decoded = decode(path.read_bytes())
    text, pictures = svg_text(decoded.text), pictures_within(decoded.text)
    notes = list(decoded.notes)
    if not text and not pictures:
        notes.append(Note("unread_ink", "a drawing without words; its shapes were not looked at"))
    elif decoded.text.count("<image") > len(pictures):
        notes.append(Note("image_unreadable", "a picture that is not within the file"))
    return IllustratedDocument([text], pictures, pictures.__getitem__, lambda: notes)


def pictures_within(markup: str) -> dict[str, bytes]:
    """Return the pictures that stand in a page's own markup (RFC 2397).

    Drawings without words are pictures where they are elements; in styles they are icons.
    """
    found: dict[str, bytes] = {}
    for packed in _PICTURE.finditer(markup):
        with contextlib.suppress(ValueError):
            found[str(len(found))] = base64.b64decode(unquote_to_bytes(packed[1]))
    for drawing in _DRAWING.finditer(markup):
        data = unquote_to_bytes(unescape(drawing["data"]))
        with contextlib.suppress(ValueError):
            data = base64.b64decode(data) if drawing["packed"] else data
            if drawing["name"] or b"<text" in data:
                found[str(len(found))] = data
    return found
