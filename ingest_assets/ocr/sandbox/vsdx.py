"""VSDX: the words of Visio's drawings.

Belongs here: Visio's XML ([MS-VSDX]), whose namespace has changed. Does not belong here: the archive
(`docx.package`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.any_namespace import local_name, named
from ingest_assets.ocr.sandbox.docx.names import R
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package

_MAIN = "visio/document.xml"
_OF_PROGRAMS = ("oleObject", "package")


def read_vsdx(path: Path) -> IllustratedDocument:
    """Open a drawing: a page for each of its pages and of what lies behind them, then its pictures."""
    return read_package(Package(path, "VSDX"), _contents_of)


def _contents_of(package: Package) -> Shown:
    drawing = _Drawing(package)
    drawing.read()
    return Shown(drawing.pages or [""], drawing.pictures, dict.fromkeys(drawing.notes))


class _Drawing:
    """What is shown."""

    def __init__(self, package: Package) -> None:
        self.pages: list[str] = []
        self.pictures: dict[str, None] = {}
        self.notes: list[Note] = []
        self._package = package
        # Of shapes in masters, by the master and the shape; that of the whole master has no shape.
        self._texts: dict[tuple[str, str], str] = {}

    def read(self) -> None:
        """Read all pages, with the comments behind the last one."""
        package = self._package
        main = next(package.related("", "document"), _MAIN)
        for master, part in self._parts(main, "masters", "Master"):
            self._read_master(master.get("ID", ""), part)
        for page, part in self._parts(main, "pages", "Page"):
            root = package.xml(part)
            lines = [] if root is None else [*self._lines(root, "")]
            self.pages.append("\n".join([page.get("Name", ""), *lines]))
            has_pictures = self._find_objects(part)
            if not lines and not has_pictures:
                self.notes.append(Note("unread_ink", "a page without words; its shapes were not read"))
        comments = [
            "".join(entry.itertext())
            for part in package.related(main, "comments")
            for entry in named(package.xml(part), "CommentEntry")
        ]
        if comments:
            self.pages.append("\n".join(comments))
        if any(package.related(main, "vbaProject")):
            self.notes.append(Note("not_shown", "macros, which were not read"))

    def _parts(self, main: str, kind: str, tag: str) -> Iterator[tuple[Element, str]]:
        """Yield the entries of a list of pages or masters, each with its part."""
        for listed in self._package.related(main, kind):
            relations = self._package.relations(listed)
            for entry in named(self._package.xml(listed), tag):
                identifiers = (reference.get(f"{R}id", "") for reference in named(entry, "Rel"))
                relation = relations.get(next(identifiers, ""))
                if relation is None or relation.target not in self._package:
                    self.notes.append(Note("page_unreadable", "a part that the file does not hold"))
                else:
                    yield entry, relation.target

    def _read_master(self, master: str, part: str) -> None:
        for shape in named(self._package.xml(part), "Shape"):
            text = _text(shape) or ""
            self._texts.setdefault((master, ""), text)
            self._texts[master, shape.get("ID", "")] = text
        self._find_objects(part)

    def _lines(self, element: Element, master: str) -> Iterator[str]:
        """Yield the texts of shapes; one without a text of its own shows that of its master."""
        for child in element:
            if local_name(child) != "Shape":
                yield from self._lines(child, master)
                continue
            of_shape = child.get("Master", master)
            text = _text(child)
            if text is None and ("Master" in child.attrib or "MasterShape" in child.attrib):
                text = self._texts.get((of_shape, child.get("MasterShape", "")))
            if text:
                yield text
            yield from self._lines(child, of_shape)

    def _find_objects(self, part: str) -> bool:
        """Find the pictures of a page or a master; tell whether it has any."""
        pictures = dict.fromkeys(self._package.related(part, "image"))
        self.pictures |= pictures
        if any(relation.kind in _OF_PROGRAMS for relation in self._package.relations(part).values()):
            self.notes.append(Note("attachment_unread", "a file of another program is embedded in it"))
        return bool(pictures)


def _text(shape: Element) -> str | None:
    """Return the text of a shape; None where it has none of its own, an empty one where it hides."""
    found = None
    for child in shape:
        if local_name(child) == "Cell" and child.get("N") == "HideText" and child.get("V") == "1":
            return ""
        if local_name(child) == "Text":
            found = "".join(child.itertext()).strip()
    return found
