"""Office documents that are one XML file: OpenDocument's flat form, Word's of 2003 and of 2007.

Belongs here: making the package of them that the same program writes, so that they are read as it is.
Does not belong here: what packages say (`open_document`, `docx`, `xlsx`, `pptx`).
"""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from ingest_assets import formats
from ingest_assets.identification import identify
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.docx import read_docx
from ingest_assets.ocr.sandbox.docx.names import R, V, W
from ingest_assets.ocr.sandbox.docx.package import xml_root
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.open_document import DRAW, HREF, OFFICE, read_open_document
from ingest_assets.ocr.sandbox.pptx import read_pptx
from ingest_assets.ocr.sandbox.xlsx import read_xlsx

_READERS = {
    formats.DOCX: read_docx,
    formats.XLSX: read_xlsx,
    formats.PPTX: read_pptx,
    formats.ODT: read_open_document,
    formats.ODS: read_open_document,
    formats.ODP: read_open_document,
    formats.ODG: read_open_document,
}
_PKG = "{http://schemas.microsoft.com/office/2006/xmlPackage}"
_WORD_2003 = b"http://schemas.microsoft.com/office/word/2003/wordml"
_HINTS = "{http://schemas.microsoft.com/office/word/2003/auxHint}"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MARGINS = {f"{W}hdr": "header", f"{W}ftr": "footer"}


def read_flat(path: Path) -> IllustratedDocument:
    """Read a document as its program's package."""
    package = package_of(path)
    return _READERS[identify(io.BytesIO(package))](package)


def package_of(path: Path) -> bytes:
    """Return the package of a document, a ZIP archive.

    Raises:
        PermanentError: `corrupt_document`, `too_much_text`.
    """
    data = path.read_bytes().replace(_WORD_2003, W.strip("{}").encode())
    try:
        parts = dict(_parts(xml_root(data)))
    except RecursionError as error:
        raise corrupt("its XML is nested too deeply") from error
    except (ValueError, LookupError) as error:
        raise corrupt(f"its XML cannot be read ({str(error)[:100]})") from error
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    if identify(package) not in _READERS:
        raise corrupt("it holds no document")
    return package.getvalue()


def _parts(root: Element) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of the package, each with its name."""
    if root.tag == f"{_PKG}package":
        for part in root.iter(f"{_PKG}part"):
            yield part.get(f"{_PKG}name", "").lstrip("/"), _stored(part)
    elif root.tag == f"{OFFICE}document":
        yield "mimetype", root.get(f"{OFFICE}mimetype", "").encode()
        yield from _open_document(root, "")
    else:
        yield from _word_2003(root)


def _stored(part: Element) -> bytes:
    xml = part.find(f"{_PKG}xmlData")
    if xml is not None and len(xml):
        return tostring(xml[0])
    return base64.b64decode(part.findtext(f"{_PKG}binaryData") or "")


def _open_document(root: Element, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of a document; pictures and documents in it become parts of their own."""
    for number, element in enumerate(root.iter()):
        name = f"Object {number}"
        if (packed := element.find(f"{OFFICE}binary-data")) is not None:
            if element.tag != f"{DRAW}object-ole":
                name = f"Pictures/{number}"
            element.remove(packed)
            element.set(HREF, name)
            yield f"{folder}{name}", base64.b64decode(packed.text or "")
        elif (inner := element.find(f"{OFFICE}document")) is not None and element.tag.startswith(DRAW):
            element.remove(inner)
            element.set(HREF, name)
            yield from _open_document(inner, f"{folder}{name}/")
    styles = Element(f"{OFFICE}document-styles")
    styles.extend(child for child in root if child.tag != f"{OFFICE}body")
    yield f"{folder}content.xml", tostring(root)
    yield f"{folder}styles.xml", tostring(styles)


def _word_2003(root: Element) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of a document of Word 2003, which has all of them in one tree."""
    relations: dict[str, tuple[str, str]] = {}
    for number, packed in enumerate(root.iter(f"{W}binData")):
        stated = packed.get(f"{W}name", "")
        name = f"media/{number}{Path(stated).suffix}"
        relations[stated] = ("image", name)
        yield f"word/{name}", base64.b64decode(packed.text or "")
        packed.text = None
    for picture in root.iter(f"{V}imagedata"):
        if (source := picture.get("src", "")) in relations:
            picture.set(f"{R}id", source)
    for paragraph in root.iter(f"{W}p"):
        _label(paragraph)
    for number, margin in enumerate(one for one in root.iter() if one.tag in _MARGINS):
        kind = _MARGINS[margin.tag]
        relations[f"margin{number}"] = (kind, f"{kind}{number}.xml")
        yield f"word/{kind}{number}.xml", tostring(margin)
    if (styles := root.find(f"{W}styles")) is not None:
        relations["styles"] = ("styles", "styles.xml")
        yield "word/styles.xml", tostring(styles)
    body = root.find(f"{W}body")
    document = Element(f"{W}document")
    document.extend([] if body is None else [body])
    yield "word/document.xml", tostring(document)
    yield "word/_rels/document.xml.rels", _listed(relations)


def _label(paragraph: Element) -> None:
    """Show the number of an item of a list, which Word has stored beside it."""
    label = paragraph.find(f"{W}pPr/{W}listPr/{_HINTS}t")
    if label is not None and (number := label.get(f"{_HINTS}val")):
        run = Element(f"{W}r")
        SubElement(run, f"{W}t").text = f"{number} "
        paragraph.insert(1, run)


def _listed(relations: Mapping[str, tuple[str, str]]) -> bytes:
    root = Element(f"{{{_RELATIONS}}}Relationships")
    for identifier, (kind, target) in relations.items():
        stated = {"Id": identifier, "Type": f"{_KINDS}/{kind}", "Target": target}
        SubElement(root, f"{{{_RELATIONS}}}Relationship", stated)
    return tostring(root)
