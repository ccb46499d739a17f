"""The evil set: files that were made, or have happened, to break the programs that read them.

Belongs here: making them, and what should become of each. Nothing binary is kept in the repository.
Does not belong here: running them; the tests and `bench/hostile_files.py` do.
"""

from __future__ import annotations

import io
import os
import random
import socket
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pikepdf
from PIL import Image

from ingest_assets_tests.support.documents import pdf, picture

Make = Callable[[Path], None]
_DOCX = "word/document.xml"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


@dataclass(frozen=True)
class Evil:
    """One file of the set.

    Attributes:
        what: in words, for the table in the documentation.
        outcomes: states or error codes that are right for it.
        make: puts it at a path; raises OSError where this machine cannot.
    """

    what: str
    outcomes: frozenset[str]
    make: Make


def make_all(directory: Path, names: Iterable[str | bytes] | None = None) -> dict[str, Evil]:
    """Put the set into a directory; what this machine cannot make is left out.

    Returns:
        What was made, by path relative to the directory.
    """
    made = {}
    for name in EVIL if names is None else names:
        path = directory / os.fsdecode(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            EVIL[name].make(path)
        except PermissionError:  # Devices are root's to make.
            continue
        made[os.fsdecode(name)] = EVIL[name]
    return made


def _bytes(content: bytes | Callable[[], bytes]) -> Make:
    return lambda path: void(path.write_bytes(content if isinstance(content, bytes) else content()))


def void(_: object) -> None:
    """Forget a value: makers return nothing."""


# PDF


def _raw_pdf(*objects: bytes) -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer <</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _one_page(
    content: bytes, *, entries: bytes = b"", more: Iterable[bytes] = (), box: bytes = b"0 0 612 792"
) -> bytes:
    """A PDF of one page: 4 is its content stream with its dictionary, `more` are 5 and following."""
    return _raw_pdf(
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        b"<</Type /Page /Parent 2 0 R /MediaBox [%s] /Contents 4 0 R %s>>" % (box, entries),
        content,
        *more,
    )


def _stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(data), entries, data)


def _deflated(size: int, byte: int = 0) -> bytes:
    """So many equal bytes, deflated: one block of a megabyte, again and again, and the checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes([byte]) * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    low = (1 + byte * size) % 65521
    high = (size + byte * size * (size + 1) // 2) % 65521  # Adler-32, RFC 1950.
    return b"\x78\xda" + block * (size >> 20) + b"\x03\x00" + struct.pack(">HH", high, low)


def flate_bomb() -> bytes:
    """A content stream of 3 GB in 3 MB."""
    return _one_page(_stream(_deflated(3 << 30, 32), b"/Filter /FlateDecode"))


def nested_filters() -> bytes:
    """The same in a few kilobytes: a stream that was deflated three times."""
    data = zlib.compress(zlib.compress(_deflated(3 << 30, 32), 9), 9)
    return _one_page(_stream(data, b"/Filter [/FlateDecode /FlateDecode /FlateDecode]"))


def drawing_bomb() -> bytes:
    """Forms that draw forms ten times each, eight levels deep: 100,000,000 squares."""
    forms = []
    for level in range(8):
        draws = b"/F Do " * 10 if level < 7 else b"0 0 9 9 re f " * 10
        inner = b"/Resources <</XObject <</F %d 0 R>>>>" % (6 + level) if level < 7 else b""
        head = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] " + inner
        forms.append(_stream(draws, head))
    return _one_page(_stream(b"/F Do"), entries=b"/Resources <</XObject <</F 5 0 R>>>>", more=forms)


def slow_drawing() -> bytes:
    """60,000 half-transparent squares over the whole page: minutes of work in a kilobyte."""
    content = zlib.compress(b"/G gs\n" + b"0 0 612 792 re f\n" * 60_000, 9)
    return _one_page(
        _stream(content, b"/Filter /FlateDecode"),
        entries=b"/Resources <</ExtGState <</G <</ca 0.5 /BM /Multiply>>>>>>",
    )


def form_loop() -> bytes:
    """A form that draws itself."""
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources <</XObject <</F 5 0 R>>>>"
    return _one_page(
        _stream(b"/F Do"),
        entries=b"/Resources <</XObject <</F 5 0 R>>>>",
        more=[_stream(b"/F Do", form)],
    )


def image_bomb_in_pdf() -> bytes:
    """An image of 60,000 by 60,000 pixels on a page."""
    image = _stream(
        _deflated(64 << 20),
        b"/Type /XObject /Subtype /Image /Width 60000 /Height 60000 /BitsPerComponent 8"
        b" /ColorSpace /DeviceRGB /Filter /FlateDecode",
    )
    return _one_page(
        _stream(b"612 0 0 792 0 0 cm /I Do"),
        entries=b"/Resources <</XObject <</I 5 0 R>>>>",
        more=[image],
    )


def deep_arrays() -> bytes:
    """Arrays in arrays, 200,000 deep, where a page's content should be."""
    return _one_page(b"[" * 200_000 + b"]" * 200_000)


def _saved(change: Callable[[pikepdf.Pdf], object], source: bytes | None = None) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(source or pdf("A page.", "And another."))) as document:
        options = change(document)
        document.save(out, **(options if isinstance(options, dict) else {}))
    return out.getvalue()


def encrypted(user: str, owner: str) -> bytes:
    """A PDF with passwords."""
    return _saved(lambda _: {"encryption": pikepdf.Encryption(user=user, owner=owner)})


def zero_pages() -> bytes:
    """A whole PDF with nothing in it."""
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.save(out)
    return out.getvalue()


def many_pages(count: int) -> bytes:
    """A PDF of so many pages, each a line of its own."""
    pages = []
    for number in range(count):
        place = 4 + 2 * number
        pages.append(
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents %d 0 R"
            b" /Resources <</Font <</F 3 0 R>>>>>>" % (place + 1)
        )
        pages.append(_stream(b"BT /F 12 Tf 20 200 Td (Page %d of many.) Tj ET" % (number + 1)))
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(count))
    return _raw_pdf(
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [%s] /Count %d>>" % (kids, count),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
        *pages,
    )


def one_page_many_times(count: int) -> bytes:
    """A page tree that names one page again and again, in few bytes."""
    return _raw_pdf(
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [%s] /Count %d>>" % (b"3 0 R " * count, count),
        b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 300 300]>>",
    )


def page_tree_loop() -> bytes:
    """A page tree whose root is its own child."""

    def change(document: pikepdf.Pdf) -> None:
        document.Root.Pages.Kids.append(document.Root.Pages)
        document.Root.Pages.Count = 3

    return _saved(change)


def only_a_loop() -> bytes:
    """A page tree that is nothing but a loop."""
    return _raw_pdf(b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [2 0 R] /Count 1>>")


def huge_page() -> bytes:
    """A page of 200 by 200 inches with a line of text drawn as a picture would be."""
    square = b"0 0 m 14400 14400 l S 7000 7000 400 400 re f"
    return _one_page(_stream(square), box=b"0 0 14400 14400")


def absurd_page() -> bytes:
    """A page of 10^9 points, and one that is not a number."""
    return _one_page(_stream(b"0 0 9 9 re f"), box=b"0 0 1000000000 1000000000")


def with_script_and_attachment() -> bytes:
    """JavaScript that runs on opening, a launch action and an attached program."""

    def change(document: pikepdf.Pdf) -> None:
        document.Root.OpenAction = document.make_indirect(
            pikepdf.Dictionary(
                S=pikepdf.Name.JavaScript,
                JS="while (true) { app.alert('owned'); }",
                Next=pikepdf.Dictionary(S=pikepdf.Name.Launch, F="/bin/sh"),
            )
        )
        document.attachments["evil.exe"] = b"MZ\x90\x00" + bytes(1000)

    return _saved(change)


def truncated_pdf() -> bytes:
    """A PDF that lost its end."""
    whole = pdf("The first page.", "The second page.")
    return whole[: whole.rindex(b"xref") - 20]


def scrambled_pdf() -> bytes:
    """A PDF whose middle was overwritten with noise."""
    whole = bytearray(pdf("A page."))
    whole[60:-60] = random.Random(7).randbytes(len(whole) - 120)
    return bytes(whole)


# Images


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_bomb() -> bytes:
    """50,000 by 50,000 pixels of nothing: 7.5 GB from 60 KB."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _png_chunk(b"IHDR", header)
        + _png_chunk(b"IDAT", _deflated(64 << 20))
        + _png_chunk(b"IEND", b"")
    )


def halved_png() -> bytes:
    """A picture that lost its lower half."""
    whole = picture("UPPER HALF", "LOWER HALF")
    return whole[: len(whole) // 2]


def png_text_bomb() -> bytes:
    """A small picture with a comment that unpacks to 256 MB."""
    whole = picture("CAPTION")
    comment = _png_chunk(b"zTXt", b"Comment\x00\x00" + _deflated(256 << 20))
    return whole[:33] + comment + whole[33:]


def jpeg_of_65535() -> bytes:
    """A JPEG that says it is 65,535 by 65,535."""
    whole = bytearray(picture("SMALL", kind="JPEG"))
    frame = whole.index(b"\xff\xc0") + 5
    whole[frame : frame + 4] = b"\xff\xff\xff\xff"
    return bytes(whole)


def _tiff(
    sizes: Iterable[tuple[int, int]],
    *,
    strip: bytes = bytes(8),
    compression: int = 1,
    last_followed_by: int = 0,
) -> bytes:
    """A bilevel TIFF with a directory for each size; all share one strip. The first is at its end."""
    first = 8 + len(strip) + len(strip) % 2
    out = bytearray(b"II*\x00" + struct.pack("<I", first) + strip.ljust(first - 8, b"\0"))
    listed = list(sizes)
    for number, (width, height) in enumerate(listed, 1):
        entries = (
            (256, 4, width), (257, 4, height), (258, 3, 1), (259, 3, compression), (262, 3, 0),
            (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(strip)),
        )  # fmt: skip
        following = len(out) + 2 + 12 * len(entries) + 4
        out += struct.pack("<H", len(entries))
        out += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
        out += struct.pack("<I", following if number < len(listed) else last_followed_by)
    return bytes(out)


def tiff_of_many_huge_pages() -> bytes:
    """5,000 pages of A0 at 600 dpi, 558 megapixels each, in 1 MB."""
    return _tiff([(19_866, 28_087)] * 5000)


def tiff_of_many_large_pages() -> bytes:
    """Ten blank pages, each as large as is decoded at all, in a few kilobytes."""
    # In Group 4 coding a line that is like the one above is a single bit; then comes the end of all.
    strip = b"\xff" * (17_000 // 8) + b"\x00\x10\x01"
    return _tiff([(17_000, 17_000)] * 10, strip=strip, compression=4)


def tiff_of_too_many_pages() -> bytes:
    """60,000 pages of one pixel."""
    return _tiff([(1, 1)] * 60_000)


# Word


def _zip(**parts: bytes | str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def docx(document: bytes | str) -> bytes:
    """A DOCX with this as its main part."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r" Type="{kind}" Target="{_DOCX}"/></Relationships>'
    )
    return _zip(**{"_rels/.rels": relations, _DOCX: document})


def docx_zip_bomb() -> bytes:
    """A main part of 256 MB in 256 KB."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(docx("")), "r") as small,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr("_rels/.rels", small.read("_rels/.rels"))
        with archive.open(_DOCX, "w", force_zip64=True) as part:
            for _ in range(256):
                part.write(b" " * (1 << 20))
    return out.getvalue()


def docx_entities() -> bytes:
    """A billion laughs."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE d [<!ENTITY l0 "ha">{entities}]>'
    return docx(f'{doctype}<w:document xmlns:w="{_W}"><w:p><w:t>&l9;</w:t></w:p></w:document>')


def docx_external_entity() -> bytes:
    """XML that asks for a file of the machine."""
    doctype = '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    return docx(f'{doctype}<w:document xmlns:w="{_W}"><w:p><w:t>&e;</w:t></w:p></w:document>')


def docx_deep(levels: int = 50_000) -> bytes:
    """Elements in elements, 50,000 deep."""
    inside = f"{'<w:sdt>' * levels}{'</w:sdt>' * levels}"
    return docx(f'<w:document xmlns:w="{_W}">{inside}</w:document>')


def docx_nested_tables(levels: int = 60) -> bytes:
    """Tables in the cells of tables, sixty deep, with a word at the bottom."""
    down, up = "<w:tbl><w:tr><w:tc>" * levels, "</w:tc></w:tr></w:tbl>" * levels
    body = f"{down}<w:p><w:r><w:t>innermost</w:t></w:r></w:p>{up}"
    return docx(f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>')


def docx_many_elements() -> bytes:
    """Eight million empty elements: 30 MB of XML, a gigabyte as a tree."""
    return docx(f'<w:document xmlns:w="{_W}">{"<a/>" * 7_900_000}</w:document>')


# Text


def text_of_many_pages() -> bytes:
    """A form feed behind every letter: fifteen million pages of one letter."""
    return b"a\f" * 15_000_000


def text_for_the_index() -> bytes:
    """Words that a full-text index takes apart into twice as many."""
    letters = [chr(code) for code in range(0x20000, 0x20000 + 40_000)]
    random.Random(3).shuffle(letters)
    words = ("-".join(letters[n : n + 20]) for n in range(0, 39_000, 20))
    return " ".join(words).encode() * 3


def text_with_nul() -> bytes:
    """Text in UTF-16 whose letters are controls, lone surrogates and reserved code points."""
    return b"\xff\xfe" + "before \u0001\u202e\ufffe after \x1b[2J\x07".encode("utf-16-le") + b"\x00\xd8"


# Polyglots


def pdf_and_zip() -> bytes:
    """A PDF that is a ZIP archive as well."""
    return pdf("A page in front of an archive.") + _zip(**{"evil.txt": "evil"})


def zip_and_pdf() -> bytes:
    """The same the other way round."""
    return _zip(**{"evil.txt": "evil"}) + pdf("A page behind an archive.")


def gifar() -> bytes:
    """A GIF that is a Java archive as well."""
    out = io.BytesIO()
    Image.new("P", (8, 8)).save(out, "GIF")
    return out.getvalue() + _zip(**{"META-INF/MANIFEST.MF": "Main-Class: Evil"})


def html_and_pdf() -> bytes:
    """A page of the web that is a PDF as well."""
    return b"<html><script>alert(1)</script><!--\n" + pdf("A page inside of a page.") + b"-->"


# What is no file, or not one that can be read


def _link(target: str) -> Make:
    return lambda path: path.symlink_to(target)


def _socket(path: Path) -> None:
    # The address of a socket is at most 108 bytes; that of a test's directory may be longer.
    directory = os.open(path.parent, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def _device(kind: int, major: int, minor: int) -> Make:
    return lambda path: os.mknod(path, kind | 0o666, os.makedev(major, minor))


def _hard_link(path: Path) -> None:
    original = path.with_name("original of the hard link.txt")
    original.write_bytes(b"A file with two names.")
    path.hardlink_to(original)


def _sparse(size: int, head: bytes) -> Make:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(head)
            file.truncate(size)

    return make


def _directory(path: Path) -> None:
    path.mkdir()
    (path / "inside a directory.txt").write_bytes(b"A document inside of it.")


def _deep(path: Path) -> None:
    """A file below directories whose path is longer than the system takes (4,096 bytes)."""
    directory = os.open(path.parent, os.O_RDONLY)
    for _ in range(24):
        os.mkdir("d" * 200, dir_fd=directory)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = inner
    os.close(os.open(path.name, os.O_CREAT | os.O_WRONLY, dir_fd=directory))
    os.close(directory)


def _file(what: str, content: bytes | Callable[[], bytes], *outcomes: str) -> Evil:
    return Evil(what, frozenset(outcomes), _bytes(content))


def _other(what: str, make: Make, *outcomes: str) -> Evil:
    return Evil(what, frozenset(outcomes), make)


_TOO_MUCH = ("parser_crashed", "out_of_memory", "page_timeout", "corrupt_document")

EVIL: dict[str | bytes, Evil] = {
    # PDF
    "corrupt.pdf": _file("PDF, its middle overwritten with noise", scrambled_pdf, "corrupt_document"),
    "header only.pdf": _file("nothing but the header", b"%PDF-1.7\n", "corrupt_document", "no_pages"),
    "truncated.pdf": _file("PDF that lost its end", truncated_pdf, "completed"),
    "user password.pdf": _file("PDF with a user password", lambda: encrypted("u", "o"), "encrypted"),
    "owner password.pdf": _file(
        "PDF with an owner password only", lambda: encrypted("", "o"), "completed"
    ),
    "zero pages.pdf": _file("PDF without pages", zero_pages, "no_pages"),
    "10,000 pages.pdf": _file("PDF of 10,000 pages", lambda: many_pages(10_000), "completed"),
    "one page 60,000 times.pdf": _file(
        "PDF that names one page 60,000 times", lambda: one_page_many_times(60_000), "too_many_pages"
    ),
    "200 inches.pdf": _file("page of 200 x 200 inches", huge_page, "no_text", "completed"),
    "absurd page.pdf": _file("page of 10⁹ x 10⁹ points", absurd_page, "page_too_large", "no_text"),
    "flate bomb.pdf": _file("3 GB of content in 3 MB", flate_bomb, *_TOO_MUCH, "no_text"),
    "nested filters.pdf": _file("3 GB, deflated three times", nested_filters, *_TOO_MUCH, "no_text"),
    "drawing bomb.pdf": _file("forms in forms: 10⁸ squares", drawing_bomb, *_TOO_MUCH),
    "slow drawing.pdf": _file("60,000 transparent squares", slow_drawing, "page_timeout"),
    "form loop.pdf": _file("a form that draws itself", form_loop, "no_text", "corrupt_document"),
    "image bomb.pdf": _file("60,000 x 60,000 image", image_bomb_in_pdf, "image_too_large", "no_text"),
    "deep arrays.pdf": _file("arrays 200,000 deep", deep_arrays, "no_text", *_TOO_MUCH),
    "page tree loop.pdf": _file("page tree with a loop", page_tree_loop, "completed"),
    "only a loop.pdf": _file(
        "page tree that is only a loop", only_a_loop, "no_pages", "corrupt_document"
    ),
    "script.pdf": _file(
        "JavaScript, launch action, attachment", with_script_and_attachment, "completed"
    ),
    # Images
    "truncated.png": _file("PNG cut in half", halved_png, "corrupt_document", "completed"),
    "bomb.png": _file("PNG of 50,000 x 50,000", png_bomb, "image_too_large"),
    "comment bomb.png": _file(
        "PNG with a 256 MB comment", png_text_bomb, "completed", "corrupt_document"
    ),
    "65,535.jpg": _file(
        "JPEG of 65,535 x 65,535", jpeg_of_65535, "image_too_large", "corrupt_document"
    ),
    "huge pages.tif": _file("TIFF: 5,000 pages of 558 MP", tiff_of_many_huge_pages, "image_too_large"),
    "large pages.tif": _file(
        "TIFF: 10 blank pages of 289 MP in 3 KB", tiff_of_many_large_pages, "no_text"
    ),
    "absurd.tif": _file(
        "TIFF of 4 x 10⁹ pixels a side",
        _tiff([(0xFFFFFFFF, 0xFFFFFFFF)]),
        "image_too_large",
        "corrupt_document",
    ),
    "60,000 pages.tif": _file(
        "TIFF of 60,000 pages", tiff_of_too_many_pages, "too_many_pages", "page_timeout"
    ),
    "loop.tif": _file(
        "TIFF whose directory follows itself", _tiff([(8, 8)], last_followed_by=16), "no_text"
    ),
    # DOCX
    "zip bomb.docx": _file("DOCX: 256 MB in 256 KB", docx_zip_bomb, "too_much_text"),
    "entities.docx": _file("DOCX: XML entity bomb", docx_entities, "corrupt_document"),
    "external entity.docx": _file(
        "DOCX that asks for /etc/passwd", docx_external_entity, "corrupt_document"
    ),
    "deep.docx": _file("DOCX: elements 50,000 deep", docx_deep, "corrupt_document"),
    "nested tables.docx": _file("DOCX: tables in tables, 60 deep", docx_nested_tables, "completed"),
    "many elements.docx": _file(
        "DOCX: 7,900,000 elements", docx_many_elements, "out_of_memory", "page_timeout", "no_text"
    ),
    # Text
    "15 million pages.txt": _file("text: 15 million pages", text_of_many_pages, "too_many_pages"),
    "index.txt": _file("text that a search index swells", text_for_the_index, "completed"),
    "controls.txt": _file(
        "text of controls and surrogates", text_with_nul, "completed", "unsupported_type"
    ),
    "40 MB.txt": _file(
        "40 MB of text", lambda: b"All work and no play.\n" * 1_900_000, "too_much_text"
    ),
    # Polyglots and false names
    "pdf and zip.pdf": _file("PDF, and ZIP behind it", pdf_and_zip, "completed"),
    "zip and pdf.pdf": _file("ZIP, and PDF behind it", zip_and_pdf, "unsupported_type", "completed"),
    "gifar.gif": _file("GIF and Java archive", gifar, "no_text"),
    "html and pdf.html": _file("HTML and PDF", html_and_pdf, "completed", "no_text"),
    "a.pdf": _file("PNG that is called PDF", lambda: picture("NAMED WRONGLY"), "completed"),
    "program.pdf": _file(
        "program that is called PDF", b"\x7fELF\x02\x01\x01" + bytes(99), "unsupported_type"
    ),
    # Sizes
    "empty.pdf": _file("0 bytes", b"", "empty"),
    "sparse.bin": _other("10 GB of zeros, sparse", _sparse(10 << 30, b""), "too_large"),
    "sparse.pdf": _other(
        "10 GB, sparse, a PDF's header", _sparse(10 << 30, b"%PDF-1.7\n"), "too_large"
    ),
    # Not a file, or elsewhere
    "pipe.pdf": _other("named pipe", os.mkfifo, "not_a_file"),
    "socket.pdf": _other("socket", _socket, "not_a_file"),
    "zero.pdf": _other("device /dev/zero", _device(stat.S_IFCHR, 1, 5), "not_a_file"),
    "disk.pdf": _other("block device", _device(stat.S_IFBLK, 7, 0), "not_a_file"),
    "directory.pdf": _other("directory with a document inside", _directory, "directory"),
    "dangling.pdf": _other("link to nothing", _link("nothing"), "source_missing"),
    "passwd.txt": _other("link to /etc/passwd", _link("/etc/passwd"), "outside_input_directory"),
    "root.pdf": _other("link to /", _link("/"), "outside_input_directory"),
    "loop.pdf": _other("link to itself", _link("loop.pdf"), "link_loop"),
    "zero link.pdf": _other("link to /dev/zero", _link("/dev/zero"), "outside_input_directory"),
    "link to a directory.pdf": _other("link to a directory", _link("directory.pdf"), "not_a_file"),
    "hard link.txt": _other("second name of a file", _hard_link, "completed", "duplicate"),
    # Names
    "new\nline.txt": _file("a line break in its name", b"named 1", "completed"),
    "\x1b[31mred\x07.txt": _file("terminal codes in its name", b"named 2", "completed"),
    b"not utf-8 \xff\xfe.txt": _file("a name that is not UTF-8", b"named 3", "completed"),
    "n" * 251 + ".txt": _file("a name of 255 bytes", b"named 4", "completed"),
    b"\xff" * 251 + b".txt": _file("the same, not UTF-8", b"named 5", "completed"),
    "invoice \u202efdp.exe.txt": _file("a name that reads backwards", b"named 6", "completed"),
    "'; DROP TABLE ingest.document_sources; --.txt": _file("SQL for a name", b"named 7", "completed"),
    "<img src=x onerror=alert(1)>.txt": _file("HTML for a name", b"named 8", "completed"),
    "$(reboot) `reboot`.txt": _file("commands for a name", b"named 9", "completed"),
    "deep/file.txt": _other("file below a path of 4,900 bytes", _deep, "directory"),
}
