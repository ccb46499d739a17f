"""Web pages as Safari saves them: a property list of the page, its frames and its files.

Belongs here: the property list (WebKit's `WebArchive`). Does not belong here: what a page shows
(`web_page`).
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.encodings import decode_stated
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.web_documents import pictures_within
from ingest_assets.ocr.sandbox.web_page import decode_html, html_text
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

_MOST_BYTES = 300_000_000
_MOST_FRAMES = 100


def read_safari_archive(path: Path) -> IllustratedDocument:
    """Read a saved page and its frames as a page of text each, and a page for each of its pictures."""
    if path.stat().st_size > _MOST_BYTES:
        raise too_much_text()
    try:
        archive = plistlib.loads(path.read_bytes())
    except (plistlib.InvalidFileException, ExpatError, ValueError, RecursionError) as error:
        raise corrupt(f"it is not a property list that can be read ({str(error)[:100]})") from error
    texts: list[str] = []
    pictures: dict[str, bytes] = {}
    to_read = [archive]
    while to_read and len(texts) < _MOST_FRAMES:
        page = to_read.pop(0)
        beside = [*_files(_entry(page, "WebSubresources"))]
        for main in _files([_entry(page, "WebMainResource")]):
            html = _text(main)
            sheets = [_text(one) for one in beside if one.get("WebResourceMIMEType") == "text/css"]
            texts.append(html_text(html, sheets))
            pictures |= {f"{len(texts)} {name}": data for name, data in pictures_within(html).items()}
        pictures |= {
            str(one.get("WebResourceURL", len(pictures))): one["WebResourceData"]
            for one in beside
            if str(one.get("WebResourceMIMEType")).startswith("image/")
        }
        frames = _entry(page, "WebSubframeArchives")
        to_read += frames if isinstance(frames, list) else []
        if sum(map(len, texts)) > MAX_TEXT_BYTES:
            raise too_much_text()
    if not texts:
        raise corrupt("the archive of a web page has no page")
    return IllustratedDocument(texts, pictures, pictures.__getitem__)


def _entry(archive: object, name: str) -> Any:
    return archive.get(name) if isinstance(archive, dict) else None


def _files(listed: object) -> Iterator[dict[str, Any]]:
    """Yield the entries of a list that are files."""
    for one in listed if isinstance(listed, list) else ():
        if isinstance(_entry(one, "WebResourceData"), bytes):
            yield one


def _text(resource: dict[str, Any]) -> str:
    data: bytes = resource["WebResourceData"]
    stated = decode_stated(data, str(resource.get("WebResourceTextEncodingName", "")))
    return decode_html(data).text if stated is None else stated
