"""What kind of document a ZIP archive or an OLE file is, by the names inside it.

Belongs here: finding the names. Does not belong here: opening what has them; that is done in a process
with limits. All that is read has a bound, and nothing that the bytes say is trusted.
"""

from __future__ import annotations

import codecs
import re
import struct
import zlib
from collections.abc import Iterator, Mapping

from ingest_assets import formats
from ingest_assets.formats import Format
from ingest_assets.identification.sample import Sample

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK\x03\x04")
OLE_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

# The directory stands at the end, and other bytes may follow it.
_TRAILING_BYTES = 2 << 20
# 50,000 entries; what decides is among the first of them or the last.
_DIRECTORY_BYTES = 4 << 20
_TYPES_BYTES = 1 << 20
_CONTAINER_BYTES, _OF_BOOKS = 10_000, b"application/oebps-package+xml"
_LOCAL = re.compile(rb"PK\x03\x04.{22}(?P<length>..).{2}", re.DOTALL)
_ENTRY = re.compile(rb"PK\x01\x02.{24}(?P<length>..).{12}(?P<offset>.{4})", re.DOTALL)

_BY_CONTENT_TYPE = (
    # The main part's type, in [Content_Types].xml, whatever the part is called.
    (b"wordprocessingml.", formats.DOCX),
    (b"ms-word.", formats.DOCX),
    (b"ms-excel.sheet.binary.", formats.XLSB),
    (b"spreadsheetml.", formats.XLSX),
    (b"ms-excel.", formats.XLSX),
    (b"presentationml.", formats.PPTX),
    (b"ms-powerpoint.", formats.PPTX),
    (b"ms-visio.", formats.VSDX),
    (b"ms-package.xps-", formats.XPS),
)
_BY_NAME = (
    (b"word/document.xml", formats.DOCX),
    (b"xl/workbook.bin", formats.XLSB),
    (b"xl/workbook.xml", formats.XLSX),
    (b"ppt/presentation.xml", formats.PPTX),
    (b"visio/document.xml", formats.VSDX),
    (b"fixeddocseq.fdseq", formats.XPS),
    (b"index/document.iwa", formats.IWORK),
    (b"index.zip", formats.IWORK),
    (b"index.apxl", formats.IWORK),
    (b"buildversionhistory.plist", formats.IWORK),  # Of 2009.
    (b"androidmanifest.xml", formats.APK),
    (b"meta-inf/manifest.mf", formats.JAR),
)
_BY_FOLDER = ((b"word/", formats.DOCX), (b"xl/", formats.XLSX), (b"ppt/", formats.PPTX))
_MAIN_PART = re.compile(rb"application/vnd\.([a-z0-9.-]+)\.main[+\"']")
# What is said of all parts whose names end alike: some programs say of "bin" what it is in an XLSB.
_OF_ENDINGS = re.compile(rb"<(?:[\w.-]+:)?default\b[^>]*>")
_XPS_PART = re.compile(rb"application/vnd\.(ms-package\.xps-fixeddocumentsequence)\+xml")
_OPEN_DOCUMENT = {
    format_.mime_type.encode(): format_
    for format_ in (
        formats.ODT,
        formats.ODS,
        formats.ODP,
        formats.ODG,
        formats.ODC,
        formats.ODF,
        formats.EPUB,
    )
}
# OpenOffice 1 wrote nearly the same.
_OPEN_DOCUMENT |= {
    b"application/vnd.sun.xml.writer": formats.ODT,
    b"application/vnd.sun.xml.calc": formats.ODS,
    b"application/vnd.sun.xml.impress": formats.ODP,
    b"application/vnd.sun.xml.draw": formats.ODG,
    b"application/hwp+zip": formats.HWP,
}

_OLE_BY_STREAM = (
    ("EncryptedPackage", formats.ENCRYPTED_OFFICE),
    ("\tDRMContent", formats.ENCRYPTED_OFFICE),
    ("__properties_version1.0", formats.MSG),
    ("PowerPoint Document", formats.PPT),
    ("WordDocument", formats.DOC),
    ("Workbook", formats.XLS),
    ("Book", formats.XLS),
    ("VisioDocument", formats.VSD),
    ("MatOST", formats.WORKS),
    ("MN0", formats.WORKS),
    ("Quill", formats.PUB),
    ("HwpSummaryInformation", formats.HWP),
    ("BodyText", formats.HWP),
    ("Props12", formats.MPP),
    ("Props9", formats.MPP),
    ("Props14", formats.MPP),
)
_DIRECTORY_SECTORS = 256
_END_OF_CHAIN = 0xFFFFFFFA  # and above it, the other marks that are no sector


def zip_format(sample: Sample) -> Format:
    """Return which kind of document a ZIP archive is."""
    members = _members(sample)
    names = {name.replace(b"\\", b"/").lstrip(b"/").lower(): offset for name, offset in members}
    if (stated := _stated_type(sample, names)) is not None:
        return stated
    if (offset := names.get(b"[content_types].xml")) is not None:
        types = _member(sample, offset, _TYPES_BYTES).replace(b"\0", b"").lower()
        of_parts = _OF_ENDINGS.sub(b"", types)
        main = _MAIN_PART.search(of_parts) or _MAIN_PART.search(types) or _XPS_PART.search(types)
        for sign, found in _BY_CONTENT_TYPE:
            if main and sign in main[1] + b".":
                return found
    for name, found in _BY_NAME:
        if name in names:
            return found
    if b"[content_types].xml" in names or b"_rels/.rels" in names:
        for folder, found in _BY_FOLDER:
            if any(name.startswith(folder) for name in names):
                return found
    return formats.ZIP


def _stated_type(sample: Sample, names: Mapping[bytes, int]) -> Format | None:
    """Return the type that the member `mimetype` states; without it a book has still its container."""
    if (offset := names.get(b"mimetype")) is not None:
        stated = _member(sample, offset, 200).removeprefix(codecs.BOM_UTF8).lstrip()
        for mime_type, found in _OPEN_DOCUMENT.items():
            if stated.startswith(mime_type):  # Templates say more behind it.
                return found
    container = names.get(b"meta-inf/container.xml")  # Of other types, too.
    if container is not None and _OF_BOOKS in _member(sample, container, _CONTAINER_BYTES):
        return formats.EPUB
    return None


def _members(sample: Sample) -> list[tuple[bytes, int]]:
    """Return the members' names, each with the place of its local header.

    From the directory at the end, or from the headers in the first 64 KiB where there is none: the file
    was cut short.
    """
    start = max(0, sample.size - _TRAILING_BYTES)
    tail = sample.at(start, _TRAILING_BYTES)
    end = tail.rfind(b"PK\x05\x06")
    if end >= 0 and len(tail) >= end + 22:
        length, offset = struct.unpack_from("<II", tail, end + 12)
        place = start + end - length
        if place >= 0 and (directory := sample.at(place, min(length, _DIRECTORY_BYTES))):
            before = max(0, place - offset)  # Bytes that stand before the archive.
            found = [
                (name, before + struct.unpack("<I", entry["offset"])[0])
                for entry, name in _named(_ENTRY, directory)
            ]
            if found:
                return found
    return [(name, entry.start()) for entry, name in _named(_LOCAL, sample.head)]


def _named(entry: re.Pattern[bytes], data: bytes) -> Iterator[tuple[re.Match[bytes], bytes]]:
    for match in entry.finditer(data):
        length = struct.unpack("<H", match["length"])[0]
        yield match, data[match.end() : match.end() + length]


def _member(sample: Sample, place: int, most: int) -> bytes:
    """Return the first bytes of a member; none where it is packed in a way that is not the usual."""
    header = sample.at(place, 30)
    if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
        return b""
    method, size = struct.unpack_from("<H8xI", header, 8)
    name, extra = struct.unpack_from("<HH", header, 26)
    data = sample.at(place + 30 + name + extra, min(size, most) if size else most)
    if method == 0:
        return data
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, most) if method == 8 else b""
    except zlib.error:
        return b""


def ole_format(sample: Sample) -> Format:
    """Return which kind of document an OLE file is, by the streams at its top."""
    names = set(_ole_names(sample))
    folded = {name.casefold() for name in names}
    for name, found in _OLE_BY_STREAM:
        if name.casefold() in folded:
            return found
    # Installers write their streams' names in a code of their own, in a block that holds no letters.
    if any("\u3800" <= name[:1] <= "\u4840" for name in names):
        return formats.MSI
    return formats.OLE


def _ole_names(sample: Sample) -> Iterator[str]:
    """Yield the names of the streams and storages in the root, not those of embedded objects."""
    directory = b"".join(_ole_directory(sample))
    entries = [directory[place : place + 128] for place in range(0, len(directory) - 127, 128)]
    to_see, seen = [struct.unpack_from("<I", entries[0], 76)[0]] if entries else [], set()
    while to_see:
        number = to_see.pop()
        if number in seen or number >= len(entries):
            continue
        seen.add(number)
        length = struct.unpack_from("<H", entries[number], 64)[0]
        yield entries[number][: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
        to_see += struct.unpack_from("<II", entries[number], 68)


def _ole_directory(sample: Sample) -> Iterator[bytes]:
    """Yield the sectors of the directory, at most so many; see [MS-CFB], 2.2 to 2.6."""
    if len(sample.head) < 512:
        return
    bytes_a_sector = 4096 if struct.unpack_from("<H", sample.head, 30)[0] == 12 else 512
    numbers_a_sector = bytes_a_sector // 4
    sector = struct.unpack_from("<I", sample.head, 48)[0]
    tables = list(struct.unpack_from("<109I", sample.head, 76))
    more_tables = struct.unpack_from("<I", sample.head, 68)[0]

    def read(number: int) -> bytes:
        return sample.at((number + 1) * bytes_a_sector, bytes_a_sector)

    for _ in range(_DIRECTORY_SECTORS):
        if sector >= _END_OF_CHAIN or not (data := read(sector)):
            return
        yield data
        index = sector // numbers_a_sector
        while index >= len(tables) and more_tables < _END_OF_CHAIN:
            block = read(more_tables)
            if len(block) < bytes_a_sector or len(tables) > 100_000:
                return
            *numbers, more_tables = struct.unpack(f"<{numbers_a_sector}I", block)
            tables += numbers
        table = read(tables[index]) if index < len(tables) else b""
        place = 4 * (sector % numbers_a_sector)
        if len(table) < place + 4:
            return
        sector = struct.unpack_from("<I", table, place)[0]
