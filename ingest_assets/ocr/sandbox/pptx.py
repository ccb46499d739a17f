"""PPTX: what slides show, and the speaker's notes.

Belongs here: PresentationML. Does not belong here: text, charts and diagrams in it (`docx.drawings`),
and the archive (`docx.package`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.docx import drawings
from ingest_assets.ocr.sandbox.docx.names import MC, A, M, R
from ingest_assets.ocr.sandbox.docx.package import Package
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument, Shown, read_package
from ingest_assets.text import MAX_TEXT_BYTES, too_much_text

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_SHAPES = {f"{P}sp", f"{P}cxnSp"}
_CHARTS = ("chart", "chartEx")
_OTHERS = {
    "oleObject": Note("attachment_unread", "a file of another program is embedded in it"),
    "package": Note("attachment_unread", "a file of another program is embedded in it"),
    "video": Note("object_unread", "a film or a sound, which was not listened to"),
    "audio": Note("object_unread", "a film or a sound, which was not listened to"),
}
# Placeholders of the notes' page that show something other than notes.
_NO_NOTES = ("sldImg", "sldNum", "hdr", "dt")


def read_pptx(file: Path | bytes) -> IllustratedDocument:
    """Open a presentation: a page for each slide, then its pictures."""
    return read_package(Package(file, "PPTX"), _contents_of)


def _contents_of(package: Package) -> Shown:
    story = _Story(package)
    story.read()
    return Shown(story.pages or [""], story.pictures, dict.fromkeys(story.notes))


class _Story:
    """What is shown."""

    def __init__(self, package: Package) -> None:
        self.pages: list[str] = []
        self.pictures: dict[str, None] = {}
        self.notes: list[Note] = []
        self._package = package
        self._shown: set[str] = set()

    def read(self) -> None:
        """Read all slides in their order."""
        package = self._package
        main = package.main_part()
        root = package.xml(main)
        if root is None:
            raise corrupt("the PPTX has no main part that can be read")
        relations = package.relations(main)
        size = 0
        for entry in root.iter(f"{P}sldId"):
            relation = relations.get(entry.get(f"{R}id", ""))
            if relation is None or relation.target not in package:
                self.notes.append(Note("page_unreadable", "a slide that the file does not hold"))
                continue
            self.pages.append("\n".join(self._slide(relation.target)))
            size += len(self.pages[-1])
            if size > MAX_TEXT_BYTES:
                raise too_much_text()
        if any(package.related(main, "vbaProject")):
            self.notes.append(Note("not_shown", "macros, which were not read"))

    def _slide(self, name: str) -> list[str]:
        lines = self._part(name)
        for layout in self._package.related(name, "slideLayout"):
            for behind in (layout, *self._package.related(layout, "slideMaster")):
                if behind not in self._shown:  # What stands on many slides is shown once.
                    self._shown.add(behind)
                    lines += self._part(behind, is_behind=True)
        for notes in self._package.related(name, "notesSlide"):
            lines += self._part(notes, without=_NO_NOTES)
        for comments in self._package.related(name, "comments"):
            root = self._package.xml(comments)
            if root is not None:
                lines += (text.text or "" for text in root.iter(f"{P}text"))
                lines += drawings.paragraphs(root)
        return lines

    def _part(self, name: str, *, is_behind: bool = False, without: tuple[str, ...] = ()) -> list[str]:
        """Return what a slide, or what is behind it, shows.

        Args:
            is_behind: fields to fill in show nothing.
            without: kinds of fields that are left out.
        """
        root = self._package.xml(name)
        tree = None if root is None else root.find(f".//{P}spTree")
        if tree is None:
            if not is_behind:
                self.notes.append(Note("page_unreadable", f"the slide {name} is damaged"))
            return []
        lines: list[str] = []
        for element in _shown(tree):
            if element.tag in _SHAPES:
                field = element.find(f".//{P}nvPr/{P}ph")
                if field is None or not (is_behind or field.get("type") in without):
                    lines += _with_equations(element)
            elif element.tag == f"{A}tbl":
                lines += (
                    "\t".join(" ".join(drawings.paragraphs(cell)) for cell in row.iter(f"{A}tc"))
                    for row in element.iter(f"{A}tr")
                )
        lines += drawings.drawn_diagrams(self._package, name)
        self._find_pictures(name)
        for relation in self._package.relations(name).values():
            if relation.target not in self._package:
                continue
            if relation.kind in _CHARTS:
                of_chart = drawings.chart_of(self._package, relation.target)
                lines += of_chart
                self._find_pictures(relation.target)
                self.notes += [] if of_chart else [Note(*drawings.EMPTY_CHART)]
            elif relation.kind == "diagramData":
                diagram = self._package.xml(relation.target)
                lines += [] if diagram is None else drawings.diagram(diagram)
        self.notes += (
            _OTHERS[relation.kind]
            for relation in self._package.relations(name).values()
            if relation.kind in _OTHERS
        )
        return lines

    def _find_pictures(self, name: str) -> None:
        pictures, notes = self._package.pictures(name)
        self.pictures |= pictures
        self.notes += notes


def _shown(element: Element) -> Iterator[Element]:
    """Yield the elements below one; those for programs that know less only where others say nothing."""
    is_said = any(child.tag == f"{MC}Choice" and _has_words(child) for child in element)
    for child in element:
        about = child.find(f"*/{P}cNvPr")
        if (is_said and child.tag == f"{MC}Fallback") or (
            about is not None and about.get("hidden") in ("1", "true")
        ):
            continue
        yield child
        if child.tag not in _SHAPES and child.tag != f"{A}tbl":
            yield from _shown(child)


def _has_words(element: Element) -> bool:
    return any((text.text or "").strip() for tag in (A, M) for text in element.iter(f"{tag}t"))


def _with_equations(shape: Element) -> Iterator[str]:
    yield from drawings.paragraphs(shape)
    for equation in shape.iter(f"{M}oMath"):
        yield "".join(text.text or "" for text in equation.iter(f"{M}t"))
