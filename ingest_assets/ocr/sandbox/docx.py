"""DOCX: the text of Word's XML in reading order.

Belongs here: what of the XML shows. Does not belong here: anything that needs a page layout.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.text import clean_text, too_much_text

# XML that one part of a DOCX may unpack to, in bytes. Its tree takes about ten times as much.
_MAX_PART_BYTES = 32_000_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_DRAWN_AS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
# What a reader of the document does not see: deleted text, field codes, and the second copy of a
# drawing for old programs.
_NOT_SHOWN = {f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}delText", f"{_MC}Fallback"}


def read_docx(path: Path) -> FlowingDocument:
    """Read a DOCX as one page: headers, body with its tables, notes, footers."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [_body_part(archive)]
            names = _related_parts(archive, parts[0])
            order = (*names["header"], *parts, *names["footnotes"], *names["endnotes"])
            order = (*order, *names["footer"])
            texts = [_text_of_blocks(_parse(archive, name)) for name in order]
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise corrupt("it is not a whole DOCX archive") from error
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise corrupt("the XML in the DOCX cannot be read") from error
    except RecursionError as error:
        raise corrupt("the XML in the DOCX is nested too deeply") from error
    except RuntimeError as error:  # How zipfile says that a member is encrypted.
        raise PermanentError("encrypted", "The DOCX cannot be opened without its password.") from error
    return FlowingDocument((clean_text("\n".join(filter(None, texts))),))


def _body_part(archive: zipfile.ZipFile) -> str:
    for relation in _parse(archive, "_rels/.rels").iter(_RELATIONSHIP):
        if relation.get("Type", "").endswith("/officeDocument"):
            return relation.get("Target", "").lstrip("/")
    raise corrupt("the DOCX names no main part")


def _related_parts(archive: zipfile.ZipFile, body: str) -> dict[str, list[str]]:
    """Return the names of the parts that belong to the body, by kind, each once."""
    found: dict[str, list[str]] = {"header": [], "footer": [], "footnotes": [], "endnotes": []}
    folder, name = posixpath.split(body)
    relations = f"{folder}/_rels/{name}.rels".lstrip("/")
    if relations not in archive.namelist():
        return found
    for relation in _parse(archive, relations).iter(_RELATIONSHIP):
        kind = relation.get("Type", "").rsplit("/", 1)[-1]
        target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", "")))
        if kind in found and target.lstrip("/") in archive.namelist():
            found[kind].append(target.lstrip("/"))
    return {kind: sorted(set(names)) for kind, names in found.items()}


def _parse(archive: zipfile.ZipFile, name: str) -> Element:
    with archive.open(name) as part:
        data = part.read(_MAX_PART_BYTES + 1)  # What the directory says of its size may be a lie.
    if len(data) > _MAX_PART_BYTES:
        raise too_much_text()
    root: Element = fromstring(data, forbid_dtd=True)
    return root


def _text_of_blocks(element: Element) -> str:
    """Return the paragraphs and tables in an element, a line each paragraph or row."""
    return "\n".join(_blocks(element))


def _blocks(element: Element) -> Iterator[str]:
    for child in element:
        if child.tag in _NOT_SHOWN:
            continue
        if child.tag == f"{_W}p":
            yield _paragraph(child)
        elif child.tag == f"{_W}tr":
            cells = (_text_of_blocks(cell) for cell in _cells(child))
            yield "\t".join(" ".join(cell.split()) for cell in cells)
        else:
            yield from _blocks(child)


def _cells(row: Element) -> Iterator[Element]:
    """The cells of a row, not those of the tables in its cells."""
    for child in row:
        if child.tag == f"{_W}tc":
            yield child
        elif child.tag not in _NOT_SHOWN:  # A content control, say, around a cell.
            yield from _cells(child)


def _paragraph(paragraph: Element) -> str:
    """Return a paragraph's own text, then that of the text boxes anchored in it."""
    boxes: list[str] = []

    def inline(element: Element) -> Iterator[str]:
        for child in element:
            if child.tag in _NOT_SHOWN:
                continue
            if child.tag == f"{_W}t":
                yield child.text or ""
            elif child.tag in _DRAWN_AS:
                yield _DRAWN_AS[child.tag]
            elif child.tag == f"{_W}txbxContent":
                boxes.append(_text_of_blocks(child))
            else:
                yield from inline(child)

    return "\n".join(("".join(inline(paragraph)), *boxes))
