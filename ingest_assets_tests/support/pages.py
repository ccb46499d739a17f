"""PDFs built instruction by instruction: what no program for writing PDFs would write on purpose."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pikepdf
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont
from fpdf import FPDF
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageFont

from ingest_assets_tests.support.scans import LINES, page_image

A4 = (595, 842)

Change = Callable[[pikepdf.Pdf], object]


class Page:
    """A page under construction; `saved` returns the PDF that has nothing else.

    Attributes:
        content: its instructions so far.
    """

    def __init__(self, size: tuple[float, float] = A4) -> None:
        self.pdf = pikepdf.new()
        self.content = b""
        self._size = size
        self._fonts: dict[str, pikepdf.Object] = {
            "/F": Dictionary(
                Type=Name.Font,
                Subtype=Name.Type1,
                BaseFont=Name.Helvetica,
                Encoding=Name.WinAnsiEncoding,
            )
        }
        self._objects: dict[str, pikepdf.Object] = {}
        self.entries: dict[str, pikepdf.Object | float] = {}

    def text(
        self,
        lines: Sequence[str],
        *,
        at: tuple[float, float] = (60, 780),
        size: float = 11,
        before: str = "",
        font: str = "F",
    ) -> Page:
        """Show lines from a point of the page down; `before` sets colour or mode."""
        shown = " ".join(f"({_escaped(line)}) Tj T*" for line in lines)
        return self.draw(
            f"q {before} BT /{font} {size} Tf {1.6 * size} TL {at[0]} {at[1]} Td {shown} ET Q"
        )

    def draw(self, instructions: str) -> Page:
        """Add instructions."""
        self.content += instructions.encode("latin-1") + b"\n"
        return self

    def image(self, image: Image.Image, at: tuple[float, float, float, float] | None = None) -> Page:
        """Draw an image at left, bottom, width, height; over all of the page by default."""
        left, bottom, width, height = at or (0, 0, *self._size)
        name = self.add(image_object(self.pdf, image))
        return self.draw(f"q {width} 0 0 {height} {left} {bottom} cm {name} Do Q")

    def add(self, drawn: pikepdf.Object) -> str:
        """Add an image or a form for `Do`; returns its name."""
        name = f"/X{len(self._objects)}"
        self._objects[name] = drawn
        return name

    def add_font(self, name: str, font: pikepdf.Object) -> Page:
        """Add a font."""
        self._fonts[f"/{name}"] = font
        return self

    @property
    def resources(self) -> Dictionary:
        """What the instructions refer to."""
        return Dictionary(Font=Dictionary(self._fonts), XObject=Dictionary(self._objects))

    def saved(self, change: Change | None = None) -> bytes:
        """Return the PDF, changed at the last moment."""
        self.pdf.add_blank_page(page_size=self._size)
        page = self.pdf.pages[0].obj
        page.Contents = self.pdf.make_stream(self.content)
        page.Resources = self.resources
        for key, value in self.entries.items():
            page[key] = value
        if change is not None:
            change(self.pdf)
        return as_bytes(self.pdf)


def as_bytes(pdf: pikepdf.Pdf, **options: Any) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        # Fields that no form lists are what some pages are made for.
        warnings.simplefilter("ignore", pikepdf.exceptions.PageCopyWarning)
        pdf.save(out, **options)
    return out.getvalue()


def changed(data: bytes, change: Change, **options: Any) -> bytes:
    """Return a PDF with something of it changed."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        change(pdf)
        return as_bytes(pdf, **options)


def image_object(pdf: pikepdf.Pdf, image: Image.Image, **entries: Any) -> pikepdf.Object:
    """An image in grey, as a stream of the PDF."""
    grey = image.convert("L")
    return pdf.make_stream(
        grey.tobytes(),
        Dictionary(
            Type=Name.XObject,
            Subtype=Name.Image,
            Width=grey.width,
            Height=grey.height,
            ColorSpace=Name.DeviceGray,
            BitsPerComponent=8,
            **entries,
        ),
    )


def form(
    pdf: pikepdf.Pdf,
    instructions: str,
    resources: Dictionary | None = None,
    box: tuple[float, float, float, float] = (0, 0, *A4),
) -> pikepdf.Object:
    """A form: instructions that `Do` carries out, or an annotation's appearance."""
    return pdf.make_stream(
        instructions.encode("latin-1"),
        Dictionary(
            Type=Name.XObject,
            Subtype=Name.Form,
            BBox=Array(box),
            Resources=resources if resources is not None else Dictionary(),
        ),
    )


def annotation(
    kind: str, rectangle: tuple[float, float, float, float] = (60, 60, 300, 100), **entries: Any
) -> Dictionary:
    """An annotation of a page."""
    return Dictionary(Type=Name.Annot, Subtype=Name(f"/{kind}"), Rect=Array(rectangle), F=4, **entries)


def appearance(pdf: pikepdf.Pdf, words: str, width: float = 240, height: float = 40) -> Dictionary:
    """An appearance that shows some words, for an annotation's `AP`."""
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    return Dictionary(
        N=form(
            pdf,
            f"BT /F 12 Tf 4 12 Td ({_escaped(words)}) Tj ET",
            Dictionary(Font=Dictionary(F=font)),
            (0, 0, width, height),
        )
    )


def scan(lines: Sequence[str] = LINES, dpi: int = 200) -> Image.Image:
    """A page of lines as a scanner gives it."""
    return page_image(lines, dpi)


class _PathPen(BasePen):  # type: ignore[misc]  # Not typed.
    """Writes a glyph as instructions; quadratic curves reach it as cubic ones."""

    def __init__(self, glyphs: object, left: float) -> None:
        super().__init__(glyphs)
        self.instructions: list[str] = []
        self._left = left

    def _add(self, operator: str, *points: tuple[float, float]) -> None:
        numbers = " ".join(f"{x + self._left} {y}" for x, y in points)
        self.instructions.append(f"{numbers} {operator}")

    def _moveTo(self, pt: tuple[float, float]) -> None:
        self._add("m", pt)

    def _lineTo(self, pt: tuple[float, float]) -> None:
        self._add("l", pt)

    def _curveToOne(
        self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]
    ) -> None:
        self._add("c", pt1, pt2, pt3)

    def _closePath(self) -> None:
        self._add("h")


def outlines(line: str, at: tuple[float, float], size: float) -> str:
    """The letters of a line as filled paths."""
    font = TTFont(io.BytesIO(_font_bytes()))
    glyphs, names = font.getGlyphSet(), font.getBestCmap()
    scale = size / font["head"].unitsPerEm
    parts = [f"q {scale} 0 0 {scale} {at[0]} {at[1]} cm"]
    left = 0.0
    for letter in line:
        pen = _PathPen(glyphs, left)
        glyphs[names[ord(letter)]].draw(pen)
        parts += [*pen.instructions, "f"]
        left += glyphs[names[ord(letter)]].width
    return " ".join([*parts, "Q"])


def drawn_font(
    pdf: pikepdf.Pdf, codes: Mapping[int, str], names: Mapping[int, str], **entries: Any
) -> Dictionary:
    """A font of Type 3: of each code the letter that it draws, and what its glyph is called."""
    font = TTFont(io.BytesIO(_font_bytes()))
    glyphs, glyph_of, size = font.getGlyphSet(), font.getBestCmap(), font["head"].unitsPerEm
    procedures, differences, widths = {}, [], [0] * 256
    for code, letter in codes.items():
        glyph, pen = glyphs[glyph_of[ord(letter)]], _PathPen(glyphs, 0)
        glyph.draw(pen)
        filled = " ".join([f"{glyph.width} 0 d0", *pen.instructions, "f"])
        procedures[f"/{names[code]}"] = pdf.make_stream(filled.encode())
        differences += [code, Name(f"/{names[code]}")]
        widths[code] = glyph.width
    return Dictionary(
        Type=Name.Font,
        Subtype=Name.Type3,
        FontBBox=Array([0, -size, size, size]),
        FontMatrix=Array([1 / size, 0, 0, 1 / size, 0, 0]),
        CharProcs=Dictionary(procedures),
        Encoding=Dictionary(Type=Name.Encoding, Differences=Array(differences)),
        FirstChar=0,
        LastChar=255,
        Widths=Array(widths),
        Resources=Dictionary(),
        **entries,
    )


def _font_bytes() -> bytes:
    """Pillow's own font, which is there wherever the tests run."""
    font = ImageFont.load_default(size=12)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return bytes(font.font_bytes)


def embedded_font_pdf(
    lines: Sequence[str], change_font: Callable[[pikepdf.Pdf, pikepdf.Object], None]
) -> bytes:
    """A page in a font whose glyphs have numbers (`Identity-H`), the font changed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "font.ttf")
        path.write_bytes(_font_bytes())
        document = FPDF()
        document.add_page()
        document.add_font("Own", fname=path)
        document.set_font("Own", size=12)
        for line in lines:
            document.cell(text=line, new_x="LMARGIN", new_y="NEXT", h=9)
        data = bytes(document.output())

    def change(pdf: pikepdf.Pdf) -> None:
        for font in pdf.pages[0].resources.Font.as_dict().values():
            change_font(pdf, font)

    return changed(data, change)


def to_unicode(mapping: Mapping[int, str], code_bytes: int = 1) -> bytes:
    """What a font says its codes stand for."""
    lines = "\n".join(
        f"<{code:0{2 * code_bytes}x}> <{text.encode('utf-16-be').hex()}>"
        for code, text in mapping.items()
    )
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        f"1 begincodespacerange <{'00' * code_bytes}> <{'ff' * code_bytes}> endcodespacerange\n"
        f"{len(mapping)} beginbfchar\n{lines}\nendbfchar\nendcmap end end"
    ).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
