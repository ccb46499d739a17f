"""Mail, mailboxes and web archives: what is packed for its way, as a person reads it.

Belongs here: RFC 5322 and MIME. Does not belong here: Outlook's own files (`msg`), and what is
attached: that is named only, and becomes documents of its own (`unpacking.mail`).
"""

from __future__ import annotations

import contextlib
import email
import email.header
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.encodings import Decoded, decode
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.illustrated import IllustratedDocument
from ingest_assets.ocr.sandbox.web_page import decode_html, html_text
from ingest_assets.text import clean_text

HEADERS = ("From", "Sender", "To", "Cc", "Bcc", "Date", "Subject")

# Apple's EMLX: the mail's length before it, a property list behind it.
_EMLX_LENGTH = re.compile(rb"\s*(\d{1,10})\s*\r?\n")
_SEPARATOR = re.compile(rb"From \S+.*\d\d:\d\d.*")
_QUOTED_SEPARATOR = re.compile(rb"^>(>*From )", re.MULTILINE)
# A file within a text, as programs packed it before there was MIME.
_UUENCODED = re.compile(r"^begin [0-7]{3,4} (.+)\n(?:[!-`].*\n)+`?\s*\nend$", re.MULTILINE)
# Of two forms of a body the plain one is read, unless it says less than this share of the other.
_LEAST_PLAIN = 0.5


@dataclass
class Mail:
    """What a mail says.

    Attributes:
        texts: its headers, then its body's parts.
        attachments: the parts of the mail that are files or mails of their own.
        packed: files within its text: the name, and the text that they are packed as.
    """

    texts: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    attachments: list[Message] = field(default_factory=list)
    packed: list[tuple[str, str]] = field(default_factory=list)

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
    mail = _read_message(without_emlx(path.read_bytes()))
    return FlowingDocument((mail.text,), mail.all_notes())


def read_web_archive(path: Path) -> IllustratedDocument:
    """Read a web page that was saved with its parts: it, its frames and its pictures are pages."""
    parts = [part for part in _walk(parse(path.read_bytes())) if not part.is_multipart()]
    pages = [
        part for part in parts if part.get_content_type() in ("text/html", "application/xhtml+xml")
    ]
    if not pages:
        raise corrupt("the web archive holds no web page")
    texts = [_characters(page, is_html=True) for page in pages]
    pictures = {
        f"{number}": part for number, part in enumerate(parts) if part.get_content_maintype() == "image"
    }
    notes = [note for text in texts for note in text.notes]
    return IllustratedDocument(
        [html_text(text.text) for text in texts],
        pictures,
        lambda name: payload(pictures[name]),
        lambda: notes,
    )


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
    """Return a mail without what Apple's Mail writes around it."""
    length = _EMLX_LENGTH.match(data)
    return data if length is None else data[length.end() :][: int(length[1])]


def messages(path: Path) -> Iterator[bytes]:
    """Yield the mails of a mailbox."""
    lines: list[bytes] = []
    before = b"\n"
    with path.open("rb") as file:
        for line in file:
            if not before.strip() and _SEPARATOR.match(line):
                if lines:
                    yield _QUOTED_SEPARATOR.sub(rb"\1", b"".join(lines))
                lines = []
            else:
                lines.append(line)
            before = line
    if lines:
        yield _QUOTED_SEPARATOR.sub(rb"\1", b"".join(lines))


def header(message: Message, name: str) -> str:
    """Return a header as a person reads it, all of its lines in one; empty where there is none."""
    values = (value for key, value in message.raw_items() if key.lower() == name.lower())
    return ", ".join(filter(None, (_unpacked(str(value)) for value in values)))


def attachments(message: Message) -> tuple[list[Message], list[tuple[str, str]]]:
    """Return what is attached to a mail, and what is packed in its text: see `Mail`."""
    mail = Mail()
    try:
        _read_part(message, mail)
    except RecursionError as error:
        raise corrupt("the parts of the mail are nested too deeply") from error
    return mail.attachments, mail.packed


def file_name(part: Message) -> str:
    """Return the file name of a part; empty where it states none."""
    with contextlib.suppress(ValueError, TypeError, LookupError, AssertionError):
        return _unpacked(str(part.get_filename() or ""))
    return ""


def payload(part: Message) -> bytes:
    """Return the bytes of a part, unpacked as far as they can be."""
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def attachment_name(part: Message) -> str:
    """Return what a person calls an attachment: its file name, or its subject or type."""
    name = part.get_filename()
    if name:
        return _unpacked(str(name))
    if part.get_content_type() == "message/rfc822" and part.is_multipart():
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


def _read_message(data: bytes) -> Mail:
    try:
        message = parse(data)
        mail = Mail()
        stated = ((name, header(message, name)) for name in HEADERS)
        mail.texts.append("\n".join(f"{name}: {value}" for name, value in stated if value))
        _read_part(message, mail)
    except RecursionError as error:
        raise corrupt("the parts of the mail are nested too deeply") from error
    return mail


def _read_part(part: Message, mail: Mail) -> None:
    """Read one part into a mail, and those in it."""
    kind = part.get_content_type()
    if part.get_content_disposition() == "attachment" or kind == "message/rfc822":
        mail.attachments.append(part)
    elif kind == "multipart/alternative":
        _read_alternatives(_children(part), mail)
    elif kind == "multipart/related":
        for child in _children(part)[:1]:
            _read_part(child, mail)
        mail.attachments += _children(part)[1:]
    elif kind == "multipart/encrypted":
        mail.notes.append(Note("content_unreadable", "the mail is encrypted"))
    elif kind == "message/delivery-status":
        mail.texts += (
            "\n".join(f"{key}: {_unpacked(str(value))}" for key, value in block.raw_items())
            for block in _children(part)
        )
    elif part.is_multipart():
        for child in _children(part):
            _read_part(child, mail)
    elif part.get_content_maintype() != "text" or part.get_filename():
        mail.attachments.append(part)
    else:
        _read_text(part, mail)


def _read_text(part: Message, mail: Mail) -> None:
    if part.get_content_type() == "text/html":
        decoded = _characters(part, is_html=True)
        mail.texts.append(html_text(decoded.text))
    else:
        decoded = _characters(part)
        text = decoded.text.replace("\r\n", "\n")
        mail.packed += ((found[1], found[0]) for found in _UUENCODED.finditer(text))
        mail.texts.append(_UUENCODED.sub("", text))
    mail.notes += decoded.notes
    if any("Base64" in type(defect).__name__ for defect in part.defects):
        mail.notes.append(Note("content_unreadable", "part of it is damaged: its Base64 is not whole"))


def _read_alternatives(parts: list[Message], mail: Mail) -> None:
    """Read one of several forms of the same: the plain one, unless another says much more."""
    forms: list[tuple[Message, Mail]] = []
    for part in parts:
        form = Mail()
        _read_part(part, form)
        if form.text or form.attachments:
            forms.append((part, form))
    invitations = [form for part, form in forms if part.get_content_type() == "text/calendar"]
    bodies = [form for _, form in forms if form not in invitations]
    enough = _LEAST_PLAIN * max((len(form.text) for form in bodies), default=0)
    body = [form for form in bodies if len(form.text) >= enough][:1]
    for form in (*body, *invitations):
        mail.texts += form.texts
        mail.notes += form.notes
    for _, form in forms:
        mail.attachments += form.attachments
        mail.packed += form.packed


def _characters(part: Message, *, is_html: bool = False) -> Decoded:
    """Return the text of a part in the encoding that it states, where that is true of its bytes."""
    data = payload(part)
    stated = part.get_content_charset()
    if stated:
        with contextlib.suppress(LookupError, UnicodeDecodeError, ValueError):
            return Decoded(data.decode(stated))
    return decode_html(data) if is_html else decode(data)


def _unpacked(value: str) -> str:
    """Return a header's value with its encoded words (RFC 2047) and its raw bytes as characters."""
    raw = value.encode("utf-8", "surrogateescape")
    value = decode(raw).text if not raw.isascii() else value
    pieces: list[str] = []
    try:
        words = email.header.decode_header(value)
    except (email.errors.HeaderParseError, ValueError):
        words = [(value, None)]
    for word, charset in words:
        if isinstance(word, str):
            pieces.append(word)
            continue
        try:
            pieces.append(word.decode(charset or "raw_unicode_escape"))
        except (LookupError, UnicodeDecodeError):
            pieces.append(decode(word).text)
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
