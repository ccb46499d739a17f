"""Mail, mailboxes and web archives: what is packed for its way, as a person reads it.

Belongs here: RFC 5322 and MIME. Does not belong here: Outlook's own files (`msg`), and what is
attached: that is named only, and becomes documents of its own (`unpacking.mail`).
"""

from __future__ import annotations

import base64
import contextlib
import email
import email.header
import email.utils
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timezone
from email.message import Message
from pathlib import Path
from typing import Any

from ingest_assets.identification.characters import wide_encoding
from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import signed
from ingest_assets.ocr.sandbox.cards import cards_text
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.encodings import Decoded, decode, decode_stated
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.rtf import parse_rtf
from ingest_assets.ocr.sandbox.web_documents import pictures_within
from ingest_assets.ocr.sandbox.web_page import decode_html, html_text
from ingest_assets.text import clean_text

HEADERS = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Subject")

# A picture that whoever reads the mail would fetch.
_ELSEWHERE = re.compile(r"""<img\b[^<>]*?\bsrc\s*=\s*["']?https?:""", re.IGNORECASE)

# Apple's EMLX: the mail's length before it, a property list behind it.
_EMLX_LENGTH = re.compile(rb"\s*(\d{1,10})\s*\r?\n")
_SEPARATOR = re.compile(rb"From \S+.*\d\d:\d\d.*")
_HEADER_LINE = re.compile(rb"[A-Za-z][!-9;-~]*:")
_QUOTED_SEPARATOR = re.compile(rb"^>(>*From )", re.MULTILINE)
# A file within a text, as programs packed it before there was MIME.
_UUENCODED = re.compile(r"^begin [0-7]{3,4} (.+)\n(?:[!-`].*\n)+`?\s*\nend$", re.MULTILINE)
# The same for news (http://www.yenc.org): one byte of the file is one or two of the text.
_YENC = re.compile(
    rb"^=ybegin [^\r\n]*?name=([^\r\n]+)\r?\n.*?^=yend[^\r\n]*", re.MULTILINE | re.DOTALL
)
# What stays packed in a text: its end is missing, or it is packed as Macintosh does it (RFC 1741).
_CUT_SHORT = re.compile(r"^begin [0-7]{3,4} (.+)\n[ -`]{5,}$", re.MULTILINE)
_BINHEX = re.compile(r"^\(This file must be converted with BinHex", re.MULTILINE)
_ENRICHED = re.compile(r"<<|<param>.*?</param>|</?[a-z-]{1,60}>", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"\w+")
# Of two forms of a body both are read where more than this share of the words of each is missing in the
# other; the words of links and fields of a form make some difference.
_MOST_OF_LAYOUT = 0.05
_WHOLE_MESSAGES = ("message/rfc822", "message/global", "message/news", "message/external-body")
# What pages are made of besides text and pictures.
_OF_PAGES = frozenset(
    f"application/{kind}"
    for kind in (
        *("javascript", "x-javascript", "ecmascript", "json", "ld+json", "xhtml+xml", "xml", "rss+xml"),
        *("font-woff", "font-woff2", "x-font-woff", "x-font-ttf", "vnd.ms-fontobject", "octet-stream"),
        *("font-sfnt", "x-font-otf", "manifest+json", "x-mso", "x-mspublisher"),
    )
)
# Some programs fold headers within such a word (RFC 2047).
_ENCODED_WORD, _FOLD = (
    re.compile(r"=\?[^?\s]+\?[bq]\?[^?]*\?=", re.IGNORECASE),
    re.compile(r"\r?\n[ \t]+"),
)
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted")
_HTML = ("text/html", "text/x-amp-html", "text/watch-html")
_PGP = re.compile(r"^-----BEGIN PGP MESSAGE-----", re.MULTILINE)
_CARDS = ("text/calendar", "text/vcard", "text/x-vcard", "text/directory")
# Of a header's value. A header that is as long as a book is an attack, or a list that nobody reads.
_LONGEST_HEADER = 100_000
_ADDRESSES_KEPT = 1000


@dataclass
class Mail:
    """What a mail says.

    Attributes:
        texts: its headers, then its body's parts.
        attachments: the parts of the mail that are files or mails of their own.
        packed: files within its text: the name, and what they are packed as.
    """

    texts: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    attachments: list[Message] = field(default_factory=list)
    packed: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it."""
        return clean_text("\n\n".join(filter(None, map(clean_text, self.texts))))

    def all_notes(self) -> tuple[Note, ...]:
        """What to know of how it was read, with the names of what is attached."""
        names = [*map(attachment_name, self.attachments), *(name for name, _ in self.packed)]
        return (*dict.fromkeys(self.notes), *attached(names))


def read_mail(path: Path) -> FlowingDocument:
    """Read a mail: EML or EMLX."""
    message = parse(without_emlx(path.read_bytes()))
    mail = _read_message(message)
    return FlowingDocument((mail.text,), mail.all_notes(), headers(message))


def read_web_archive(path: Path) -> IllustratedDocument:
    """Read a web page that was saved with its parts: it, its frames and its pictures are pages."""
    parts = [part for part in _walk(parse(path.read_bytes())) if not part.is_multipart()]
    pages = [
        part for part in parts if part.get_content_type() in ("text/html", "application/xhtml+xml")
    ]
    if not pages:
        raise corrupt("the web archive holds no web page")
    texts = [_characters(page, payload(page), is_html=True) for page in pages]
    sheets = [
        _characters(part, payload(part)).text for part in parts if part.get_content_type() == "text/css"
    ]
    pictures = {
        f"{number}": part for number, part in enumerate(parts) if part.get_content_maintype() == "image"
    }
    notes = [note for text in texts for note in text.notes]
    notes += attached(attachment_name(part) for part in parts if is_no_part_of_a_page(part))
    return IllustratedDocument(
        [html_text(text.text, sheets) for text in texts],
        pictures,
        lambda name: payload(pictures[name]),
        lambda: notes,
    )


def is_no_part_of_a_page(part: Message) -> bool:
    """Tell whether a part of a web archive is a file of its own."""
    kind = part.get_content_type()
    return not (kind.startswith(("text/", "image/", "font/", "multipart/")) or kind in _OF_PAGES)


def parse(data: bytes) -> Message:
    """Return the tree of a message, whatever its bytes are.

    Raises:
        PermanentError: `corrupt_document` where parts are nested too deeply.
    """
    try:
        return email.message_from_bytes(data.lstrip())
    except RecursionError as error:
        raise corrupt("the parts of the mail are nested too deeply") from error


def without_emlx(data: bytes) -> bytes:
    """Return a mail without what Apple's Mail writes around it, and without what editors do to text."""
    if (wide := wide_encoding(data)) is not None:
        encoding, mark = wide
        data = data[mark:]
        data = data if encoding == "utf-8" else data.decode(encoding, "replace").encode()
    length = _EMLX_LENGTH.match(data)
    return data if length is None else data[length.end() :][: int(length[1])]


def messages(path: Path) -> Iterator[bytes]:
    """Yield the mails of a mailbox."""
    lines: list[bytes] = []
    separator = b""
    with path.open("rb") as file:
        for line in file:
            if separator and _HEADER_LINE.match(line):
                if lines:
                    yield _QUOTED_SEPARATOR.sub(rb"\1", b"".join(lines))
                lines = []
            elif separator:  # It is part of a text.
                lines.append(separator)
            separator = line if _SEPARATOR.match(line) else b""
            if not separator:
                lines.append(line)
    if lines:
        yield _QUOTED_SEPARATOR.sub(rb"\1", b"".join(lines))


def header(message: Message, name: str) -> str:
    """Return a header as a person reads it, all of its lines in one; empty where there is none."""
    values = (value for key, value in message.raw_items() if key.lower() == name.lower())
    return ", ".join(filter(None, (_unpacked(str(value)) for value in values)))


def headers(mail: Message) -> dict[str, Any]:
    """Return the headers of a mail, by the names of the columns of `messages`."""
    return {
        "message_id": header(mail, "Message-ID") or None,
        "in_reply_to": header(mail, "In-Reply-To") or None,
        "from_address": next(iter(addresses(header(mail, "From"))), None),
        "to_addresses": addresses(header(mail, "To")),
        "cc_addresses": addresses(header(mail, "Cc")),
        "sent_at": _sent_at(mail),
        "subject": header(mail, "Subject") or None,
    }


def addresses(stated: str) -> list[str]:
    """Return the addresses in a header's value, in lower case, each once."""
    found = (address.strip().lower() for _, address in email.utils.getaddresses([stated]))
    return list(dict.fromkeys(address for address in found if address))[:_ADDRESSES_KEPT]


def _sent_at(mail: Message) -> str | None:
    with contextlib.suppress(TypeError, ValueError, IndexError, OverflowError):
        date = email.utils.parsedate_to_datetime(header(mail, "Date"))
        # A date without a zone, or with "-0000", is taken for UTC.
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).isoformat()
    return None


def attachments(message: Message) -> tuple[list[Message], list[tuple[str, bytes]]]:
    """Return what is attached to a mail, and what is packed in its text: see `Mail`."""
    mail = Mail()
    try:
        _read_part(message, mail)
    except RecursionError as error:
        raise corrupt("the parts of the mail are nested too deeply") from error
    return mail.attachments, mail.packed


def file_name(part: Message) -> str:
    """Return the file name of a part; empty where it states none."""
    for header_name in ("Content-Disposition", "Content-Type"):
        raw = next((str(v) for key, v in part.raw_items() if key.lower() == header_name.lower()), "")
        if not raw.isascii():  # Not as it should be written; as characters it is read all the same.
            part = Message()
            part[header_name] = " ".join(_unpacked(raw).split())
            break
    with contextlib.suppress(ValueError, TypeError, LookupError, AssertionError):
        return _unpacked(str(part.get_filename() or ""))
    return ""


def payload(part: Message) -> bytes:
    """Return the bytes of a part, unpacked as far as they can be."""
    stated = str(part.get("Content-Transfer-Encoding", ""))
    if stated != (encoding := stated.partition("(")[0].strip().rstrip(";")):
        part.replace_header("Content-Transfer-Encoding", encoding)
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def attachment_name(part: Message) -> str:
    """Return what a person calls an attachment: its file name, or its subject or type."""
    if name := file_name(part):
        return name
    if part.get_content_type() in _WHOLE_MESSAGES and part.is_multipart():
        inner = part.get_payload(0)
        if isinstance(inner, Message) and (subject := header(inner, "Subject")):
            return f"the mail “{subject}”"
    return f"a part of type {part.get_content_type()}"


def attached(names: Iterable[str]) -> Iterator[Note]:
    """Yield a note that names what is attached to a document, if anything is."""
    names = [" ".join(name.split())[:200] for name in names]
    if names:
        more = f", and {len(names) - 20} more" if len(names) > 20 else ""
        yield Note("attachment_unread", f"not read as part of it: {', '.join(names[:20])}{more}")


def _read_message(message: Message) -> Mail:
    mail = Mail()
    try:
        stated = [(name, header(message, name)) for name in HEADERS]
        if any(len(str(value)) > _LONGEST_HEADER for _, value in message.raw_items()):
            mail.notes.append(
                Note("content_unreadable", f"a header was read to its {_LONGEST_HEADER:,}th character")
            )
        mail.texts.append("\n".join(f"{name}: {value}" for name, value in stated if value))
        _read_part(message, mail)
    except RecursionError as error:
        raise corrupt("the parts of the mail are nested too deeply") from error
    return mail


def _read_part(part: Message, mail: Mail) -> None:
    """Read one part into a mail, and those in it."""
    kind = _kind_of(part)
    if kind in _SEALED:
        _read_sealed(part, mail)
    elif part.get_content_disposition() == "attachment" or kind in _WHOLE_MESSAGES:
        mail.attachments.append(part)
    elif kind == "multipart/alternative":
        _read_alternatives(_children(part), mail)
    elif kind == "multipart/related":
        root = _root_of(part)
        for child in _children(part):
            if child is root:
                _read_part(child, mail)
            else:
                mail.attachments.append(child)
    elif kind.startswith("message/"):
        _read_report(part, mail)
    elif part.is_multipart():
        for child in _children(part):
            _read_part(child, mail)
    elif not kind.startswith("text/") or part.get_filename():
        mail.attachments.append(part)
    else:
        _read_text(part, mail)


def _kind_of(part: Message) -> str:
    """Return the type of a part; that of a text where it is said to have parts, and none are found."""
    kind = part.get_content_type()
    has_none = kind.startswith("multipart/") and not part.is_multipart()
    return "text/plain" if has_none else kind


def _read_sealed(part: Message, mail: Mail) -> None:
    """Read what stands within a signature; a file in one is attached, as is what is encrypted."""
    if part.is_multipart():
        mail.notes.append(Note("content_unreadable", "the mail is encrypted"))
        return
    content = None
    with contextlib.suppress(ValueError):
        content = signed.content_of(payload(part))
    if content is not None and signed.is_mail(content):
        _read_part(parse(content), mail)
        return
    mail.attachments.append(part)
    if content is None:
        mail.notes.append(
            Note("content_unreadable", f"{attachment_name(part)} is encrypted, or is damaged")
        )


def _root_of(related: Message) -> Message | None:
    """Return which of several parts shows the others: the one that is stated, or the first of text."""
    parts = _children(related)
    start = related.get_param("start")
    stated = (part for part in parts if start and part.get("Content-ID", "").strip() == start)
    shown = (part for part in parts if part.get_content_maintype() in ("text", "multipart"))
    return next(stated, None) or next(shown, None) or next(iter(parts), None)


def _read_report(part: Message, mail: Mail) -> None:
    """Read what servers say of a delivery, in blocks of headers, and parts of mails that were cut."""
    if part.get_content_type() == "message/partial":
        mail.notes.append(
            Note("content_unreadable", "only one part of a mail that was sent in several")
        )
    for block in _children(part):
        mail.texts.append(
            "\n".join(
                f"{key}: {_unpacked(str(value))}"
                for key, value in block.raw_items()
                if not key.lower().startswith(("content-", "mime-"))
            )
        )
        if block.get_payload():
            _read_part(block, mail)


def _read_text(part: Message, mail: Mail) -> None:
    kind, data = part.get_content_type(), payload(part)
    if kind in _HTML:
        decoded = _characters(part, data, is_html=True)
        mail.texts.append(html_text(decoded.text))
        if not mail.texts[-1] and _ELSEWHERE.search(decoded.text):
            mail.notes.append(Note("image_unreadable", "pictures that are not within the file"))
        mail.attachments += _as_attached(pictures_within(decoded.text).values())
    elif kind in ("text/rtf", "text/richtext") and data.lstrip().startswith(b"{\\rtf"):
        found = parse_rtf(data)
        decoded = Decoded(found.text, tuple(found.notes))
        mail.texts.append(decoded.text)
        mail.attachments += _as_attached(found.pictures)
    else:
        mail.packed += (
            (found[1].decode("utf-8", "replace"), found[0]) for found in _YENC.finditer(data)
        )
        decoded = _characters(part, _YENC.sub(b"", data))
        text = decoded.text.replace("\r\n", "\n")
        mail.packed += ((found[1], found[0].encode()) for found in _UUENCODED.finditer(text))
        text = _UUENCODED.sub("", text)
        mail.notes += _not_unpacked(text)
        if kind == "text/enriched":
            text = _ENRICHED.sub(lambda tag: "<" if tag[0] == "<<" else "", text)
        elif kind in _CARDS:
            found_cards = cards_text(text)
            text, decoded = found_cards.text, Decoded("", (*decoded.notes, *found_cards.notes))
        elif str(part.get_param("format", "")).lower() == "flowed":
            text = _unfolded(text, is_glued=str(part.get_param("delsp", "")).lower() == "yes")
        if _PGP.search(text):
            mail.notes.append(Note("content_unreadable", "part of it is encrypted with PGP"))
        mail.texts.append(text)
    mail.notes += decoded.notes
    if any("Base64" in type(defect).__name__ for defect in part.defects):
        mail.notes.append(Note("content_unreadable", "part of it is damaged: its Base64 is not whole"))


def _as_attached(pictures: Iterable[bytes]) -> Iterator[Message]:
    """Yield pictures that stand in the text of a mail as if they were attached to it."""
    for number, data in enumerate(pictures, 1):
        part = Message()
        part["Content-Type"] = "application/octet-stream"
        part["Content-Transfer-Encoding"] = "base64"
        part.add_header("Content-Disposition", "attachment", filename=f"picture {number}")
        part.set_payload(base64.b64encode(data).decode())
        yield part


def _not_unpacked(text: str) -> Iterator[Note]:
    """Yield what to say of files that stay packed in a text."""
    if found := _CUT_SHORT.search(text):
        sentence = f"the file {found[1][:100]}, which is packed in its text, is not whole"
        yield Note("content_unreadable", sentence)
    if _BINHEX.search(text):
        yield Note("content_unreadable", "a file is packed in its text as Macintosh does it (BinHex)")


def _unfolded(text: str, *, is_glued: bool) -> str:
    """Join the lines of paragraphs that were broken to send them (RFC 3676).

    Args:
        is_glued: whether the space at which a line was broken was put there to break it.
    """
    lines: list[str] = []
    depth_before, flows = 0, False
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content[1:] if content.startswith(" ") else content
        if flows and depth == depth_before and content != "-- ":
            lines[-1] = (lines[-1][:-1] if is_glued else lines[-1]) + content
        else:
            lines.append(f"{'>' * depth} {content}" if depth else content)
        depth_before, flows = depth, content.endswith(" ") and content != "-- "
    return "\n".join(lines)


def _read_alternatives(parts: list[Message], mail: Mail) -> None:
    """Read one of several forms of the same, the plain one, and others that say what it does not."""
    forms: list[tuple[Message, Mail]] = []
    for part in parts:
        form = Mail()
        _read_part(part, form)
        if form.text or form.attachments or form.notes:
            forms.append((part, form))
    invitations = [form for part, form in forms if part.get_content_type() == "text/calendar"]
    shown: list[Mail] = []
    for _, form in forms:
        if form in invitations or not form.text:
            continue
        if all(says_more(form.text, other.text) for other in shown):
            shown = [other for other in shown if says_more(other.text, form.text)]
            shown.append(form)
    said = [*shown, *invitations] or [form for _, form in forms]
    for form in said:
        mail.texts += form.texts
        mail.notes += form.notes
    for _, form in forms:
        mail.attachments += form.attachments
        mail.packed += form.packed


def says_more(form: str, other: str) -> bool:
    """Tell whether a form of a mail's body has words that another lacks, beyond those of its layout."""
    words, known = set(_WORD.findall(form.casefold())), set(_WORD.findall(other.casefold()))
    return len(words - known) > _MOST_OF_LAYOUT * len(words)


def _characters(part: Message, data: bytes, *, is_html: bool = False) -> Decoded:
    """Return the text of a part in the encoding that it states, where that is true of its bytes."""
    stated = part.get_content_charset()
    text = decode_stated(data, stated) if stated else None
    if text is not None:
        return Decoded(text)
    return decode_html(data) if is_html else decode(data)


def _unpacked(value: str) -> str:
    """Return a header's value with its encoded words (RFC 2047) and its raw bytes as characters."""
    raw = value[:_LONGEST_HEADER].encode("utf-8", "surrogateescape")
    value = value[:_LONGEST_HEADER]
    value = decode(raw).text if not raw.isascii() else value
    value = _ENCODED_WORD.sub(lambda word: _FOLD.sub("", word[0]), value)
    pieces: list[str] = []
    try:
        words = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):
        words = [(value, None)]
    for word, charset in words:
        if isinstance(word, str):
            pieces.append(word)
            continue
        known = decode_stated(word, charset or "raw_unicode_escape")
        pieces.append(decode(word).text if known is None else known)
    return " ".join("".join(pieces).split())


def _children(part: Message) -> list[Message]:
    found = part.get_payload()
    return [child for child in found if isinstance(child, Message)] if isinstance(found, list) else []


def _walk(message: Message) -> Iterator[Message]:
    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(_children(part))
