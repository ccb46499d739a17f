"""What type a file is: by content, from more than its head, whatever its name."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from email.message import EmailMessage
from random import Random

import docx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_assets import formats
from ingest_assets.formats import Format
from ingest_assets.identification import identify
from ingest_assets_tests.support.containers import ole, zipped
from ingest_assets_tests.support.documents import pdf, picture

BYTES = bytes(range(256))
SEVEN = formats.by_mime_type("application/x-7z-compressed")
TYPES = "[Content_Types].xml"
MAIN = '<Types><Override PartName="/{}" ContentType="application/vnd.{}.main+xml"/></Types>'
WORD = "openxmlformats-officedocument.wordprocessingml.document"
SHEET = "openxmlformats-officedocument.spreadsheetml.sheet"
SLIDES = "openxmlformats-officedocument.presentationml.presentation"


def word() -> bytes:
    file = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("A paragraph.")
    document.save(file)
    return file.getvalue()


def mail() -> bytes:
    message = EmailMessage()
    message["From"] = "keeper@rock.example"
    message["To"] = "harbour@rock.example"
    message["Subject"] = "Oil"
    message.set_content("The lamp needs oil.\n")
    return message.as_bytes()


def tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


LATE = "word/document.xml"
CUT_SHORT = zipped({LATE: "<w/>", "word/media/1.png": BYTES * 8}, zipfile.ZIP_STORED)
TYPE_OF = {
    # PDF, with what may stand around it.
    "pdf": (pdf("text"), formats.PDF),
    "pdf behind junk": (b"\n\n" + pdf("text"), formats.PDF),
    "pdf behind a mark": (b"\xef\xbb\xbf" + pdf("text"), formats.PDF),
    "pdf behind http": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 3000 + b"\r\n\r\n" + pdf("t"), formats.PDF),
    "pdf without header": (pdf("text").replace(b"%PDF-1.3", b"XXXX-XXX"), formats.PDF),
    "pdf that is cut": (pdf("text")[:200], formats.PDF),
    "text about pdf": (b"A file begins with %PDF-1.7 and ends with startxref and %%EOF.", formats.TEXT),
    "text that begins so": (b"%PDF- begins the header; 1 0 R refers to an object.", formats.TEXT),
    "pdf of which hardly more than the header is left": (b"%PDF-1.7 broken", formats.PDF),
    "pdf in a tar": (tar({"a.pdf": pdf("text")}), formats.by_mime_type("application/x-tar")),
    # Images.
    "png": (picture("text"), formats.PNG),
    "jpeg": (picture("text", kind="JPEG"), formats.JPEG),
    "tiff": (picture("text", kind="TIFF"), formats.TIFF),
    "bigtiff": (b"II+\x00\x08\x00\x00\x00" + bytes(20), formats.TIFF),
    "gif": (picture("text", kind="GIF"), formats.by_mime_type("image/gif")),
    "webp": (picture("text", kind="WEBP"), formats.by_mime_type("image/webp")),
    "ppm": (b"P6\n# made\n16 16\n255\n" + b"\xff" * 768, formats.NETPBM),
    "pgm of ascii": (b"P2 2 2 255\n0 255\n255 0\n", formats.NETPBM),
    # Office, by what is inside.
    "docx": (word(), formats.DOCX),
    "docx, more behind it": (word() + b"\r\n" * 150_000, formats.DOCX),
    "docx of 4000 pictures": (
        zipped({LATE: "<w/>", **{f"word/media/{n}.png": b"" for n in range(4000)}}),
        formats.DOCX,
    ),
    "docx of word online": (
        zipped({TYPES: MAIN.format("word/document2.xml", WORD), "word/document2.xml": ""}),
        formats.DOCX,
    ),
    "docx, types last": (zipped({"a.xml": "", TYPES: MAIN.format("a.xml", WORD)}), formats.DOCX),
    "docm": (
        zipped({TYPES: MAIN.format("x.xml", "ms-word.document.macroEnabled"), "x.xml": ""}),
        formats.DOCX,
    ),
    "docx in utf-16": (
        zipped({TYPES: MAIN.format("x.xml", WORD).encode("utf-16"), "x.xml": ""}),
        formats.DOCX,
    ),
    "docx from windows": (zipped({"word\\Document.xml": "<w/>"}), formats.DOCX),
    "docx cut short": (CUT_SHORT[:-300], formats.DOCX),
    "docx behind junk": (b"\r\n" + word(), formats.DOCX),
    "xlsx": (zipped({TYPES: MAIN.format("xl/workbook.xml", SHEET), "xl/w.xml": ""}), formats.XLSX),
    "xlsx that says of bin what it is elsewhere": (
        zipped(
            {
                TYPES: MAIN.format("xl/workbook.xml", SHEET).replace(
                    "<Override",
                    '<Default Extension="bin" '
                    'ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/><Override',
                ),
                "xl/workbook.xml": "",
            }
        ),
        formats.XLSX,
    ),
    "pptx": (zipped({TYPES: MAIN.format("ppt/p.xml", SLIDES), "ppt/p.xml": ""}), formats.PPTX),
    "zip of a docx": (zipped({"a.docx": word()}, zipfile.ZIP_STORED), formats.ZIP),
    "zip": (zipped({"readme.txt": "only a zip file"}), formats.ZIP),
    "empty zip": (zipped({}), formats.ZIP),
    "odt": (
        zipped({"mimetype": "application/vnd.oasis.opendocument.text"}, zipfile.ZIP_STORED),
        formats.ODT,
    ),
    "epub": (zipped({"mimetype": "application/epub+zip"}, zipfile.ZIP_STORED), formats.EPUB),
    "epub whose type has a mark before it": (
        zipped({"mimetype": b"\xef\xbb\xbfapplication/epub+zip"}),
        formats.EPUB,
    ),
    "epub that does not state its type": (
        zipped({"META-INF/container.xml": '<rootfile media-type="application/oebps-package+xml"/>'}),
        formats.EPUB,
    ),
    "music in a container as books have": (
        zipped({"META-INF/container.xml": '<rootfile full-path="score.xml"/>'}),
        formats.ZIP,
    ),
    "jar": (zipped({"META-INF/MANIFEST.MF": "", "A.class": ""}), formats.JAR),
    "doc": (ole("1Table", "WordDocument"), formats.DOC),
    "xls with a doc in it": (ole("Workbook", inside="WordDocument"), formats.XLS),
    "ppt": (ole("Pictures", "Current User", "PowerPoint Document"), formats.PPT),
    "msg, its names late": (
        ole("__nameid_version1.0", *"abcdef", "__properties_version1.0", sectors_before=40),
        formats.MSG,
    ),
    "docx with a password": (ole("EncryptionInfo", "EncryptedPackage"), formats.ENCRYPTED_OFFICE),
    "ole of another kind": (ole("Contents"), formats.OLE),
    "ole cut short": (ole("WordDocument")[:600], formats.OLE),
    # Text, with all that text files hold.
    "text": (b"plain", formats.TEXT),
    "pixels in C": (b'/* XPM */\nstatic char *x[] = {"2 1 1 1", "a c black", "aa"};', formats.XPM),
    "utf-8": ("ünïcödé\r\n".encode(), formats.TEXT),
    "latin-1": ("Gerichtsstand ist Köln.".encode("latin-1"), formats.TEXT),
    "utf-16": ("sixteen".encode("utf-16"), formats.TEXT),
    "utf-16 without mark": ("Der Käufer überweist.\r\n".encode("utf-16-be"), formats.TEXT),
    "russian in utf-16": ("Мир и труд.\r\n".encode("utf-16-le"), formats.TEXT),
    "utf-32": ("thirty-two, über".encode("utf-32"), formats.TEXT),
    "utf-32 without mark": ("thirty-two, über".encode("utf-32-le"), formats.TEXT),
    "ebcdic": ("ALL HUMAN BEINGS ARE BORN FREE AND EQUAL".encode("cp500"), formats.TEXT),
    "korean in seven bits": (("한글로 쓴 계약서이다.\n" * 3).encode("iso2022_kr"), formats.TEXT),
    "end of dos": (b"INVENTORY\r\n12 sacks\r\n\x1a", formats.TEXT),
    "vertical tab": (b"Dear Ms Achterberg,\x0bnine crates", formats.TEXT),
    "stx": (b"\x02HEADER of a message\x03", formats.TEXT),
    "overstruck": (b"N\x08NA\x08AM\x08ME\x08E _\x08a\n", formats.TEXT),
    "colours of a terminal": (b"\x1b[31mred\x1b[0m\n", formats.TEXT),
    "padded with nul": (b"A report.\r\n" + bytes(5000), formats.TEXT),
    "fields of nul": (b"Anna".ljust(40, b"\0") + b"Berta".ljust(40, b"\0"), formats.TEXT),
    "patch": (b"--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n", formats.TEXT),
    "picture of white paper, not packed": (
        b"\x01\xda\x00\x01\x00\x02\x00\x40\x00\x40".ljust(512, b"\0") + b"\xff" * 4000,
        formats.by_mime_type("image/x-sgi"),
    ),
    "html": (b"<!-- x -->\n<!DOCTYPE html>\n<p>Hello", formats.HTML),
    "opml": (b"<opml version='2.0'><head/><body><outline text='x'/></body></opml>", formats.TEXT),
    "docbook": (b'<article xmlns="http://docbook.org/ns/docbook"><p>x</p></article>', formats.TEXT),
    "docbook 4": (
        b'<?xml version="1.0"?><!DOCTYPE article PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN">'
        b"<article><title>x</title></article>",
        formats.TEXT,
    ),
    "tei": (b'<?xml version="1.0"?><TEI><text><body><head>x</head></body></text></TEI>', formats.TEXT),
    "part of a page in xml": (
        b'<?xml version="1.0"?><div xmlns="http://www.w3.org/1999/xhtml">x</div>',
        formats.HTML,
    ),
    "html of office": (b'<html xmlns="http://www.w3.org/TR/REC-html40"><body>x', formats.HTML),
    "html behind its encoding": (b'<meta charset="koi8-r">Hello', formats.HTML),
    "xml": (b'<?xml version="1.0"?><note>x</note>', formats.TEXT),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', formats.SVG),
    "rtf": (b"{\\rtf1 rich}", formats.RTF),
    "rtf behind a mark and a space": (b"\xef\xbb\xbf\r\n{\\rtf1 rich}", formats.RTF),
    "postscript": (b"%!PS-Adobe-3.0\nshowpage\n", formats.POSTSCRIPT),
    "mail": (mail(), formats.MAIL),
    "mail of apple": (b"1234      \n" + mail(), formats.MAIL),
    "mailbox": (b"From a@b.example Thu Jan  1 00:00:00 2026\n" + mail(), formats.MBOX),
    "letter": (b"Dear Sir,\nFrom: the harbour\nTo: the rock\nSubject: oil\n", formats.TEXT),
    # What is no document.
    "rar": (b"Rar!\x1a\x07\x01\x00" + BYTES, formats.by_mime_type("application/vnd.rar")),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", formats.by_mime_type("video/mp4")),
    "mkv, its head alone": (
        b"\x1aE\xdf\xa3" + bytes(500),
        formats.Format(formats.UNKNOWN.mime_type, "a file of type EBML file"),
    ),
    "gzip": (gzip.compress(b"text" * 99), formats.by_mime_type("application/gzip")),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(range(99)), SEVEN),
    "bytes": (Random(7).randbytes(3000), formats.UNKNOWN),
    "zeros": (bytes(9000), formats.UNKNOWN),
    "script, a program behind it": (b"#!/bin/sh\n" * 20_000 + BYTES * 1000, formats.UNKNOWN),
}  # fmt: skip


@pytest.mark.parametrize("name", TYPE_OF)
def test_type(name: str) -> None:
    content, expected = TYPE_OF[name]
    assert identify(io.BytesIO(content)) == expected


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "sentence",
    [
        *("人人生而自由。\r\n", "すべての人間は、自由である。\n", "모든 인간은 자유롭다.\n"),
        "人人生而自由在尊嚴和權利上一律平等。",
        "すべての人間は、自由である。",
        "모든인간은자유롭다。",
    ],
)
def test_wide_encodings_of_east_asia(encoding: str, sentence: str) -> None:
    assert identify(io.BytesIO((sentence * 3).encode(encoding))) == formats.TEXT


class Counted(io.BytesIO):
    """A file that counts what is read of it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("head", [b"text ", b"PK\x03\x04", ole("Contents"), b"\x00\x01"])
def test_a_large_file_is_not_read_whole(head: bytes) -> None:
    file = Counted(head + b" and so on" * 4_000_000)
    identify(file)
    assert file.count < 8 << 20


SEEDS = [content[:5000] for content, _ in TYPE_OF.values()]


@settings(deadline=2000)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), max_size=8),
    cut=st.floats(0, 1),
)
@example(seed=ole("Contents")[:76] + b"\xff\xff\xff\xf0" + bytes(432), changes=[], cut=1.0)
def test_any_bytes_have_a_type(seed: bytes, changes: list[tuple[float, bytes]], cut: float) -> None:
    data = bytearray(seed)
    for place, change in changes:
        at = int(place * len(data))
        data[at : at + len(change)] = change
    assert isinstance(identify(io.BytesIO(bytes(data[: int(cut * len(data))]))), Format)


def test_the_catalogue_is_whole() -> None:
    for format_ in formats.FORMATS.values():
        assert format_.name.split()[0] in ("a", "an", "plain", "part")
        assert not format_.local or format_.read
