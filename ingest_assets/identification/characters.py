"""Whether bytes are text, and which kind of text.

Belongs here: telling text from data. Does not belong here: its exact encoding, which the reader finds
out (`ocr.sandbox.encodings`).
"""

from __future__ import annotations

import codecs
import re
import unicodedata

from ingest_assets import formats
from ingest_assets.formats import Format
from ingest_assets.identification.sample import Sample

# The paper of a picture that is not packed; as a letter, no text has so much of it.
_WHITE, _MOST_WHITE = 0xFF, 0.3

_MARKS = (
    # The longer ones first: that of UTF-16 is the beginning of that of UTF-32.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Control characters that text files hold: tab, line feed, vertical tab, form feed, carriage return;
# backspace and escape, as printers and terminals take them; and substitute, which ends files of DOS.
_CONTROLS_OF_TEXT = b"\b\t\n\v\f\r\x1a\x1b"
_CONTROLS = bytes(set(range(1, 32)) - set(_CONTROLS_OF_TEXT))
_KOREAN, _SHIFTS = b"\x1b$)C", b"\x0e\x0f"
# Shares of a text: control characters that its program meant something by, and fields filled with NUL.
_MOST_CONTROLS = 0.03
_FEW_CONTROLS = 3
_MOST_NULS = 0.1
_MOST_NULS_IN_FIELDS = 0.8

# First bytes of characters in UTF-16: kana and punctuation, Chinese, Hangul, full width. Fewer
# characters than that many say nothing.
_EAST_ASIAN_BLOCKS = bytes((0x30, *range(0x4E, 0xA0), *range(0xAC, 0xD8), 0xFF))
_FEWEST_EAST_ASIAN = 16

# Letters, digits, punctuation and spaces of EBCDIC in any of its code pages, with its ends of lines.
_EBCDIC = b"\x05\x0d\x15\x25\x40\xc0\xd0" + bytes(
    byte
    for first, last in (
        *((0x4A, 0x50), (0x5A, 0x61), (0x6A, 0x6F), (0x79, 0x7F), (0x81, 0x89), (0x91, 0x99)),
        *((0xA1, 0xA9), (0xC1, 0xC9), (0xD1, 0xD9), (0xE2, 0xE9), (0xF0, 0xF9)),
    )
    for byte in range(first, last + 1)
)

_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_META = re.compile(r"<meta\s", re.IGNORECASE)
_ANY_ROOT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)([^<>]*)>")
_SHOWING = r"h[1-6]|p|div|span|table|ul|ol|dl|center|font|article|section|main|title|style"
_OF_PAGES = re.compile(rf"html|head|body|meta|link|{_SHOWING}", re.IGNORECASE)
_DOCTYPE = re.compile(r"<!DOCTYPE\s+([\w:.-]+)", re.IGNORECASE)
_NAMESPACE = re.compile(r"\bxmlns\s*=\s*[\"']([^\"']*)")
# Part of a page, as programs store it: it begins with an element that shows something.
_FRAGMENT = re.compile(
    rf"<({_SHOWING})(?:\s[^<>]*)?>.*?</\1\s*>",
    re.IGNORECASE | re.DOTALL,
)
_SVG = re.compile(r"<(?:\w+:)?svg[\s>]", re.IGNORECASE)
PROLOGUE = re.compile(
    r"\s*(?:<\?(?:xml|mso-)[^>]*>|<!--.*?-->|<!DOCTYPE[^>[]*(?:\[[^\]]*\])?>|\s)*", re.DOTALL
)
# Of documents of Office that are one XML file: how the root is called, and what it has to say.
_ROOTS = (
    ("wordDocument", "office/word/2003/wordml", formats.WORD_2003),
    ("Workbook", "urn:schemas-microsoft-com:office:spreadsheet", formats.EXCEL_2003),
    ("package", "office/2006/xmlPackage", formats.FLAT_OFFICE),
    ("document", f'mimetype="{formats.OPEN_DOCUMENT}text', formats.FODT),
    ("document", f'mimetype="{formats.OPEN_DOCUMENT}spreadsheet', formats.FODS),
    ("document", f'mimetype="{formats.OPEN_DOCUMENT}presentation', formats.FODP),
    ("document", f'mimetype="{formats.OPEN_DOCUMENT}graphics', formats.FODG),
)
_ROOT = re.compile(r"<(?:\w+:)?(\w+)\s[^>]*>")
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,40}):(?:[ \t]|\r?\n)")
_SURE_MAIL_HEADERS = frozenset(
    ("message-id", "mime-version", "return-path", "received", "delivered-to")
)
_MAIL_HEADERS = _SURE_MAIL_HEADERS | {
    *("from", "to", "cc", "bcc", "subject", "date", "reply-to", "sender", "newsgroups"),
    *("content-type", "content-transfer-encoding", "dkim-signature"),
}
_FIRST_LINE = re.compile(
    r"\s*BEGIN:(?:(?P<vcalendar>VCALENDAR)|(?P<vcard>VCARD))\s*[\r\n]"
    r"|(?P<mbox>(?-i:From)) \S+.*\d\d:\d\d.*\r?\n(?=[A-Za-z-]+: )",
    re.IGNORECASE,
)
_BY_FIRST_LINE = {"VCALENDAR": formats.CALENDAR, "VCARD": formats.CONTACTS, "MBOX": formats.MBOX}
# How browsers write a page that they save; a mail with pictures in it looks much the same.
_WEB_ARCHIVE = re.compile(r"^(?:Snapshot-Content-Location:|From:.*\bsaved by\b)", re.M | re.I)


def wide_encoding(data: bytes) -> tuple[str, int] | None:
    """Return UTF-8, 16 or 32 as the data's mark says it, or 16 or 32 as its bytes show it.

    Returns:
        A name that Python knows, and the number of bytes of the mark; None where there is neither.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark) and (encoding == "utf-8" or _reads(data[len(mark) :], encoding)):
            return encoding, len(mark)
    sample = data[:65_536]
    if 0 in sample[:4096].strip(b"\0"):
        for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
            if _is_wide(sample, encoding) and _reads(sample, encoding):
                return encoding, 0
    return _east_asian_encoding(sample)


def _is_wide(data: bytes, encoding: str) -> bool:
    """Tell whether NULs stand where ASCII characters in an encoding have them, and nowhere else."""
    width = 4 if "32" in encoding else 2
    lanes = [data[lane::width] for lane in range(width)]
    if encoding.endswith("be"):
        lanes.reverse()
    low, high = lanes[0], lanes[-1]
    if width == 4:
        return not any(high) and max(lanes[2]) <= 0x10
    nuls = [place for place, byte in enumerate(lanes[1]) if byte == 0]
    # Of Latin text nearly each character has one, of Chinese the spaces and the ends of lines.
    printable = data.isascii() and not data.translate(None, bytes(range(32, 127)) + b"\0\t\n\r")
    least = 0.9 if printable else 0.005
    if len(nuls) < len(lanes[1]) * least or low.count(0) > 0.01 * len(low):
        return False
    beside = bytes(low[place] for place in nuls if place < len(low))
    odd = len(beside) - len(beside.translate(None, _CONTROLS + b"\0"))
    return odd <= 0.01 * len(beside)


def _east_asian_encoding(data: bytes) -> tuple[str, int] | None:
    """Return UTF-16 where no NUL of an ASCII character shows it: Chinese without spaces or lines.

    One byte of each character is that of an East Asian block, and the other one may be anything, also
    what is a control character or a space elsewhere: encodings of two bytes do not have these.
    """
    lanes = data[0::2], data[1::2]
    for encoding, (low, high) in (("utf-16-le", lanes), ("utf-16-be", lanes[::-1])):
        others = len(high.translate(None, _EAST_ASIAN_BLOCKS))
        below_letters = len(low) - len(low.translate(None, bytes(range(0x30))))
        if (
            len(low) >= _FEWEST_EAST_ASIAN
            and others <= 0.02 * len(high)
            and below_letters >= 0.05 * len(low)
            and not data.isascii()
            and _reads(data, encoding)
        ):
            return encoding, 0
    return None


def _reads(data: bytes, encoding: str) -> bool:
    """Tell whether the first characters are such as text has."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(data[:8192])
    bad = sum(
        character == "\ufffd"
        or unicodedata.category(character) in ("Cn", "Co", "Cs")
        or (character < " " and character.encode() not in _CONTROLS_OF_TEXT)
        for character in text
    )
    return bad <= 0.02 * len(text)


def is_ebcdic(data: bytes) -> bool:
    """Tell whether data is text of a mainframe: its space is 0x40, and ASCII's spaces are not there."""
    sample = data[:65_536]
    if len(sample) < 16 or sample.count(0x40) < 0.04 * len(sample):
        return False
    others = len(sample.translate(None, _EBCDIC))
    ascii_spaces = sample.count(0x20) + sample.count(0x0A)
    return ascii_spaces <= 0.005 * len(sample) and others <= 0.2 * len(sample)


def is_text(sample: Sample) -> bool:
    """Tell whether a file is text in some encoding, by parts from all over it."""
    if wide_encoding(sample.head) or is_ebcdic(sample.head):
        return True
    size = controls = nuls = white = 0
    for place, part in sample.parts():
        data = part.rstrip(b"\0") if place + len(part) >= sample.size else part
        data = data if place else data.lstrip(b"\0")
        of_part = len(data) - len(data.translate(None, _odd_controls(sample)))
        if of_part > 0.1 * max(1000, len(data)):
            return False  # A script with a program packed behind it.
        size, controls, nuls = size + len(data), controls + of_part, nuls + data.count(0)
        white += data.count(_WHITE)
    most_nuls = _MOST_NULS if controls else _MOST_NULS_IN_FIELDS
    most_controls = _MOST_CONTROLS * size
    if not nuls and size >= 20:
        most_controls = max(_FEW_CONTROLS, most_controls)
    if white > _MOST_WHITE * size:
        return False
    return size > 0 and controls <= most_controls and nuls <= most_nuls * size


def is_doubtful(sample: Sample) -> bool:
    """Tell whether text has controls that another type may explain."""
    head = sample.head
    if wide_encoding(head) or is_ebcdic(head):
        return False
    return len(head) != len(head.translate(None, _odd_controls(sample) + b"\0"))


def _odd_controls(sample: Sample) -> bytes:
    """Return the control characters that no text has; Korean in seven bits shifts by two of them."""
    return _CONTROLS.translate(None, _SHIFTS) if _KOREAN in sample.head else _CONTROLS


def text_format(sample: Sample) -> Format:
    """Return which kind of text a text is: mail, a web page, or no more than text."""
    wide = wide_encoding(sample.head)
    encoding, mark = wide or ("latin-1", 0)
    start = sample.head[mark:].decode(encoding, "replace").replace("\0", "").lstrip("\ufeff")
    if (first := _FIRST_LINE.match(start)) is not None:
        return _BY_FIRST_LINE[(first.lastgroup or "").upper()]
    if _is_mail(start):
        return formats.WEB_ARCHIVE if _WEB_ARCHIVE.search(start) else formats.MAIL
    markup = start[PROLOGUE.match(start).end() :]  # type: ignore[union-attr]  # it matches nothing too
    if (known := _xml_format(markup)) is not None:
        return known
    if (
        start.lstrip().startswith("<")
        and not _is_other_xml(start[: len(start) - len(markup)], markup)
        and (_HTML.search(start[:8192]) or _META.match(markup) or _FRAGMENT.match(markup))
    ):
        return formats.HTML
    return formats.TEXT


def _xml_format(markup: str) -> Format | None:
    """Return which kind of drawing or document XML is, by its root."""
    if _SVG.match(markup):
        return formats.SVG
    root = _ROOT.match(markup)
    known = (
        found
        for name, stated, found in _ROOTS
        if root is not None and root[1] == name and stated in root[0]
    )
    return next(known, None)


def _is_other_xml(prologue: str, markup: str) -> bool:
    """Tell XML that is no page, though elements in it have names of a page's: DocBook, TEI, OPML."""
    root = _ANY_ROOT.match(markup)
    if root is None or root[1].lower() == "html":
        return False
    if (stated := _DOCTYPE.search(prologue)) is not None:
        return stated[1].lower() != "html"
    if (stated := _NAMESPACE.search(root[2])) is not None:
        return "html" not in stated[1].lower()
    is_xml = prologue.lstrip().startswith("<?xml") or "version=" in root[2]
    return is_xml and _OF_PAGES.fullmatch(root[1]) is None


def _is_mail(start: str) -> bool:
    """Tell whether a text begins with the headers of a mail; before them EMLX has the mail's length."""
    lines = start.lstrip().splitlines()[:60]
    if lines and lines[0].strip().isdigit():
        lines = lines[1:]
    found = set()
    for line in lines:
        if not line.strip():
            break
        header = _HEADER.match(line + "\n")
        if header is not None:
            found.add(header[1].lower())
        elif not line[0].isspace():
            return False
    known = found & _MAIL_HEADERS
    return len(known) >= 3 or (len(known) >= 2 and bool(known & _SURE_MAIL_HEADERS))
