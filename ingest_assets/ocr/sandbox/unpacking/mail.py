"""Attachments of mails, their headers, and the messages of a mailbox.

Belongs here: what of a mail is a part of its own. Its body, all `text/plain` and `text/html` without a
file name, is the mail's text, which its reader reads. Does not belong here: limits and names.
"""

from __future__ import annotations

import base64
import binascii
import email
import email.errors
import email.header
import email.policy
import email.utils
import mimetypes
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timezone
from email.message import Message
from pathlib import Path
from typing import IO, Any

from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError
from ingest_assets.text import clean_text

_BODY = ("text/plain", "text/html", "text/enriched")
_ADDRESSES_KEPT = 1000
_FROM_LINE = re.compile(rb"From \S+.*\d\d:\d\d")
_HEADERS_BYTES = 1 << 20
_SPACES = re.compile(r"\s+")
# Types that the system's list may lack, so that a name does not depend on the machine.
_EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/plain": ".txt",
    "text/html": ".html",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/pkcs7-mime": ".p7m",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "application/pgp-signature": ".asc",
    "application/ms-tnef": ".dat",
}


def unpack_mail(path: Path, contents: Contents, name: str) -> None:
    """Take the attachments out of a mail, pictures in its text included, and read its headers."""
    data = path.read_bytes()
    first, _, rest = data.partition(b"\n")
    if (
        first.strip().isdigit()
    ):  # EMLX: the length of the mail stands before it, a property list behind.
        data = rest[: int(first)]
    mail = email.message_from_bytes(data, policy=email.policy.compat32)
    contents.message = _headers(mail)
    with suppress(TooManyPartsError):
        for number, part in enumerate(_attachments(mail), 1):
            kind = part.get_content_type()
            if kind == "message/rfc822":
                inner = _forwarded(part)
                title = _header(email.message_from_bytes(inner[:_HEADERS_BYTES]), "subject")
                contents.add(_file_name(part) or f"{title or f'message {number}'}.eml", [inner])
            else:
                contents.add(_file_name(part) or f"part {number}{_extension(kind)}", _content(part))


def unpack_mailbox(path: Path, contents: Contents, name: str) -> None:
    """Take the messages out of a mailbox, each called by its number and its subject."""
    with path.open("rb") as file, suppress(TooManyPartsError):
        number = 0
        for number, data in enumerate(_messages(file), 1):
            headers = email.message_from_bytes(data[:_HEADERS_BYTES], policy=email.policy.compat32)
            title = _header(headers, "subject").replace("/", "_")[:100]
            contents.add(f"{number:05} {title}".strip() + ".eml", [data])
        if not number:
            raise corrupt("no message was found in the mailbox")


def _attachments(mail: Message) -> Iterator[Message]:
    """Yield the parts that are no text of the mail itself, those of forwarded mails excepted."""
    kind = mail.get_content_type()
    if kind == "message/rfc822" and mail.is_multipart():
        yield mail
    elif mail.is_multipart():
        for part in mail.get_payload():
            if isinstance(part, Message):
                yield from _attachments(part)
    elif kind not in _BODY or mail.get_content_disposition() == "attachment" or _file_name(mail):
        yield mail


def _content(part: Message) -> Iterator[bytes]:
    data = part.get_payload(decode=True)
    yield data if isinstance(data, bytes) else b""


def _forwarded(part: Message) -> bytes:
    """Return a mail that is part of another one; some programs encode it, though they must not."""
    inner = part.get_payload()
    message = inner[0] if isinstance(inner, list) and inner else part
    if not isinstance(message, Message):
        return b""
    if not message.keys() and str(part["content-transfer-encoding"]).strip().lower() == "base64":
        with suppress(binascii.Error, ValueError):
            return base64.b64decode(str(message.get_payload()))
    return message.as_bytes(policy=email.policy.compat32)


def _file_name(part: Message) -> str:
    with suppress(ValueError, TypeError, LookupError, AssertionError):
        return _line(part.get_filename())
    return ""


def _extension(kind: str) -> str:
    return _EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or ".dat"


def _headers(mail: Message) -> dict[str, Any]:
    return {
        "message_id": _header(mail, "message-id") or None,
        "in_reply_to": _header(mail, "in-reply-to") or None,
        "from_address": next(iter(_addresses(mail, "from")), None),
        "to_addresses": _addresses(mail, "to"),
        "cc_addresses": _addresses(mail, "cc"),
        "sent_at": _sent_at(mail),
        "subject": _header(mail, "subject") or None,
    }


def _addresses(mail: Message, header: str) -> list[str]:
    """Return the addresses in a header, in lower case, each once."""
    stated = [_line(value) for value in _raw(mail, header)]
    found = (address.strip().lower() for _, address in email.utils.getaddresses(stated))
    return list(dict.fromkeys(address for address in found if address))[:_ADDRESSES_KEPT]


def _sent_at(mail: Message) -> str | None:
    with suppress(TypeError, ValueError, IndexError, OverflowError):
        date = email.utils.parsedate_to_datetime(str(mail["date"]))
        # A date without a zone, or with "-0000", is taken for UTC.
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).isoformat()
    return None


def _header(mail: Message, name: str) -> str:
    return next((_line(value) for value in _raw(mail, name)), "")


def _raw(mail: Message, name: str) -> list[str]:
    """Return a header's values as they stand in the mail; `Message` drops bytes that are not ASCII."""
    return [str(value) for header, value in mail.raw_items() if header.lower() == name]


def _line(value: str | None) -> str:
    """Return a header's value as one line, its encoded words undone."""
    if value is None:
        return ""
    data = value.encode("utf-8", "surrogateescape")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    with suppress(ValueError, LookupError, email.errors.MessageError):
        text = "".join(
            part.decode(charset or "ascii", "replace") if isinstance(part, bytes) else part
            for part, charset in email.header.decode_header(text)
        )
    return clean_text(_SPACES.sub(" ", text)).strip()


def _messages(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the messages of a mailbox, each behind a line that begins with "From "."""
    lines: list[bytes] | None = None
    empty = True
    for line in file:
        if empty and _FROM_LINE.match(line):
            if lines is not None:
                yield _joined(lines)
            lines = []
        elif lines is not None:
            # A line of the message that looked like the beginning of another had a mark before it.
            lines.append(line[1:] if re.match(rb">+From ", line) else line)
        empty = not line.strip()
    if lines is not None:
        yield _joined(lines)


def _joined(lines: list[bytes]) -> bytes:
    """Return a message without the empty line that parts it from the next."""
    if lines and not lines[-1].strip():
        lines = lines[:-1]
    return b"".join(lines)
