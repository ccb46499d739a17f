"""The order in which the types are tried.

Belongs here: signatures of the types that are read, and what decides between two that fit. Does not
belong here: what is inside containers (`containers`), and whether bytes are text (`characters`).
"""

from __future__ import annotations

import base64
import codecs
import re
from functools import cache
from typing import BinaryIO

from ingest_assets import formats
from ingest_assets.formats import Format
from ingest_assets.identification import characters, containers
from ingest_assets.identification.sample import Sample

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": formats.PNG,
    b"\xff\xd8\xff": formats.JPEG,
    b"II*\x00\x10\x00\x00\x00CR": formats.CANON_RAW,
    b"II*\x00": formats.TIFF,
    b"MM\x00*": formats.TIFF,
    b"II+\x00": formats.TIFF,  # BigTIFF
    b"MM\x00+": formats.TIFF,
    b"%!PS": formats.POSTSCRIPT,
    b"-----BEGIN PGP MESSAGE-----": formats.PGP_MESSAGE,
    b"7z\xbc\xaf\x27\x1c": formats.SEVEN_ZIP,
    b"\x1f\x8b\x08": formats.GZIP,
    b"\xfd7zXZ\0": formats.XZ,
    b"\x1a\x00\x00\x04\x00\x00": formats.LOTUS_NOTES,
    b"\x28\xb5\x2f\xfd": formats.ZSTANDARD,
    b"!BDN": formats.PST,
    b"\x78\x9f\x3e\x22": formats.TNEF,
    b"\x09\x00\x04\x00": formats.XLS,  # Of Excel 2, 3 and 4, which are no OLE files.
    b"\x09\x02\x06\x00": formats.XLS,
    b"\x09\x04\x06\x00": formats.XLS,
    b"\xff\x00\x02\x00\x04\x04": formats.WORKS,
    b"\x00\x00\x1a\x00": formats.LOTUS_123,
    b"(This file must be converted with BinHex": formats.BINHEX,
    bytes.fromhex("a12ff743d9ef764c9ee210ea5722765f"): formats.ONENOTE,  # Its table of contents.
    b"(DWF V": formats.DWF,
    b"\xc5\xd0\xd3\xc6": formats.EPS,
    b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5": formats.INDESIGN,
}
# Apple's property lists, in their two forms, with the page of a saved one.
_SAFARI = re.compile(
    rb"(?:bplist00|<\?xml\b[^>]*>\s*<!DOCTYPE plist\b).{0,5000}?\bWebMainResource\b", re.DOTALL
)
# Behind "BZh" and the level stands the mark of the first block, or that of the end.
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_TAR = re.compile(rb".{257}ustar", re.DOTALL)
# Of the content of a PKCS #7 message, in DER or BER: OBJECT IDENTIFIER 1.2.840.113549.1.7, RFC 5652, 3;
# then that of what is signed, with nothing behind it where the signature is all there is.
_PKCS7 = re.compile(
    rb"0[\x00-\x84].{0,4}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07([\x01-\x06])", re.DOTALL
)
_SIGNED, _DETACHED = (
    b"\x02",
    re.compile(rb"0(?:(\x0b)|\x80)\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01(?(1)|\x00\x00)"),
)
# The same as text: between marks, or as a mail has it, without them.
_ARMOURED = re.compile(
    rb"\s*(?:-----BEGIN (?:PKCS ?#?7|CMS)[A-Z0-9# ]*-----\s+)?(M[A-P][A-Za-z0-9+/\s]{60,2000})"
)
_RTF = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\\rtf")
_NETPBM = re.compile(rb"P[1-6]\s+(?:#[^\n]*\n\s*){0,20}\d+\s+\d+\s")
_FLASH, _QUARK = re.compile(rb"[FCZ]WS[\x01-\x32]"), re.compile(rb"..(?:MM|II)XPR", re.DOTALL)
# Source text in C, of which nothing but the pixels is to be read.
_XBM = re.compile(
    rb"\s*#define[ \t]+\S*_width[ \t]+\d+\s+#define[ \t]+\S*_height[ \t]+\d+\s+"
    rb"(?:#define[^\n]*_hot[^\n]*\s+)*static\s[\w\s]{4,40}_bits\[\]"
)
_XPM = re.compile(rb"\s*(?:/\* XPM \*/|! XPM2)\s")
_PDF_OBJECT = re.compile(rb"\d\s+\d+\s+obj\b")
# A file that begins so is one even if nothing else of a PDF is left in it: better a document that fails
# as damaged than one that is green with its bytes as text.
_PDF_HEADER = re.compile(rb"%PDF-\d\.\d\s")
_PATTERNS = (
    (_PDF_HEADER, formats.PDF),
    (_RTF, formats.RTF),
    (_NETPBM, formats.NETPBM),
    (_BZIP2, formats.BZIP2),
    (_TAR, formats.TAR),
    (_FLASH, formats.FLASH),
    (_XPM, formats.XPM),
    (_XBM, formats.XBM),
    (_SAFARI, formats.SAFARI),
    (_QUARK, formats.QUARK),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .()/+-]{2,59}")
# A zip archive may stand behind other bytes: a program that unpacks it, or what a server sent before.
_ZIP_WITHIN_BYTES = 4096


def identify(file: BinaryIO) -> Format:
    """Return the type of a file that can be read at any place; `formats.UNKNOWN` where none fits.

    Reads at most 8 MB, whatever the size of the file.
    """
    sample = Sample(file)
    return _by_signature(sample) or _by_content(sample)


def _by_signature(sample: Sample) -> Format | None:
    """Return the type of a file whose first bytes say it."""
    head = sample.head
    for signature, found in _SIGNATURES.items():
        if head.startswith(signature):
            return found
    if head.startswith(containers.OLE_SIGNATURE):
        return containers.ole_format(sample)
    if head.startswith(containers.ZIP_SIGNATURES):
        return containers.zip_format(sample)
    if (sealed := _pkcs7(head)) is not None:
        return sealed
    return next((found for pattern, found in _PATTERNS if pattern.match(head)), None)


def _pkcs7(head: bytes) -> Format | None:
    """Return which kind of message of PKCS #7 a file is, if it is one."""
    if (armoured := _ARMOURED.match(head)) is not None:
        text = b"".join(armoured[1].split())
        head = base64.b64decode(text[: len(text) // 4 * 4])
    found = _PKCS7.match(head)
    if found is None:
        return None
    if found[1] != _SIGNED:
        return formats.SEALED
    return formats.SIGNATURE if _DETACHED.search(head, 0, 500) else formats.SIGNED


def _by_content(sample: Sample) -> Format:
    """Return the type by more than the first bytes."""
    head = sample.head
    is_text = characters.is_text(sample)
    if _is_pdf(sample, is_text):
        # Archives that are not packed show the heads of the files in them.
        container = None if head.startswith(b"%PDF-") else _by_library(head)
        return container or formats.PDF
    text = characters.text_format(sample) if is_text else None
    if text is not None and not characters.is_doubtful(sample):
        return text
    known = _by_library(head)
    if known in (None, formats.ZIP) and b"PK\x03\x04" in head[:_ZIP_WITHIN_BYTES]:
        known = containers.zip_format(sample)
    if text is None or 2 * head.count(0) > len(head):
        return known or text or formats.UNKNOWN
    return known if known is not None and known.mime_type in formats.FORMATS else text


def _is_pdf(sample: Sample, is_text: bool) -> bool:
    """Tell a PDF, even one behind other bytes or without its header, from a text about PDFs."""
    start = sample.head.find(b"%PDF-")  # Not with a proper header at 0: that is a signature.
    has_objects = bool(_PDF_OBJECT.search(sample.head) or _PDF_OBJECT.search(sample.tail))
    if not is_text:
        # Readers look for the header in the first kilobyte (PDF 1.7, implementation note 13), and
        # without it a file can be repaired as long as it has objects and the trailer's keyword.
        return 0 <= start < 1024 or (has_objects and (start > 0 or b"startxref" in sample.tail))
    # What is printable all through has to have a PDF's first line, its objects and its end.
    before = sample.head[: max(start, 0)].removeprefix(codecs.BOM_UTF8).strip()
    if start >= 0 and not before:
        return has_objects or bool(_PDF_HEADER.match(sample.head, start))
    at_line = start < 0 or sample.head[start - 1 : start] in (b"\r", b"\n")
    ends = sample.tail.rstrip(b"\0\t\n\r ").endswith(b"%%EOF") and b"startxref" in sample.tail
    return has_objects and ends and at_line


def _by_library(head: bytes) -> Format | None:
    """Return the type by libmagic's rules; None for text and for what they do not know."""
    library = _library()
    if library is None:
        return None
    try:
        found = library.first_magic_buffer(head)
    except ValueError:  # Some of its rules call each other without end on some bytes.
        return None
    mime_type = found.mime_type.strip()
    if mime_type.startswith("text/") or mime_type == formats.PDF.mime_type:
        return None  # That is decided by more than a head.
    if mime_type != formats.UNKNOWN.mime_type:
        return formats.by_mime_type(mime_type)
    # Its sentence begins with the type's name, and goes on with what the file says of itself.
    name = _NAME.match(found.message.strip())
    return None if name is None or name[0] == "data" else Format(mime_type, f"a file of type {name[0]}")


@cache
def _library():  # type: ignore[no-untyped-def]  # it has no types where it is not installed
    """Load libmagic's rules, 25 MB, when a file needs them first."""
    try:
        from pure_magic_rs import MagicDb  # noqa: PLC0415
    except ImportError:  # No wheel: Python 3.10 on macOS. What is refused has no name there.
        return None
    return MagicDb()
