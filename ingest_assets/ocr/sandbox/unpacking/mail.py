"""Attachments of mails, and the messages of a mailbox.

Belongs here: giving each attachment a name and its bytes. Does not belong here: what of a mail is an
attachment, and what its text and its headers (`ocr.sandbox.mail`), limits and names.
"""

from __future__ import annotations

import base64
import binascii
import email.policy
import mimetypes
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from pathlib import Path

from ingest_assets.ocr.sandbox import signed
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.mail import (
    attachment_name,
    attachments,
    file_name,
    header,
    is_no_part_of_a_page,
    messages,
    parse,
    payload,
    without_emlx,
)
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError, damaged

_HEADERS_BYTES = 1 << 20
_TITLE_CHARACTERS = 100
_YENC = bytes((byte - 42) % 256 for byte in range(256))
_YENC_ESCAPED = bytes((byte - 64 - 42) % 256 for byte in range(256))
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
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/pkcs7-mime": ".p7m",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-signature": ".p7s",
    "application/pgp-signature": ".asc",
    "application/ms-tnef": ".dat",
}


def unpack_mail(path: Path, contents: Contents, name: str) -> None:
    """Take the attachments out of a mail, pictures in its text included."""
    parts, packed = attachments(parse(without_emlx(path.read_bytes())))
    with suppress(TooManyPartsError):
        for number, part in enumerate(parts, 1):
            kind = part.get_content_type()
            if kind == "message/external-body":
                contents.refuse(
                    attachment_name(part),
                    damaged("The mail only says where it is, and does not hold it."),
                )
            elif part.get("X-Apple-Content-Length") and not payload(part):
                contents.refuse(
                    attachment_name(part),
                    damaged("Apple's Mail kept it in a file beside that of the mail."),
                )
            elif kind.startswith("message/"):
                inner = _forwarded(part)
                contents.add(file_name(part) or f"{_title(inner) or f'message {number}'}.eml", [inner])
            elif part.is_multipart():
                contents.add(f"part {number}.eml", [part.as_bytes(policy=email.policy.compat32)])
            else:
                contents.add(file_name(part) or f"part {number}{_extension(kind)}", [payload(part)])
        for title, data in packed:
            contents.add(title, _ydecoded(data) if data.startswith(b"=ybegin") else _uudecoded(data))


def unpack_signed(path: Path, contents: Contents, name: str) -> None:
    """Take out what a signature is wrapped around, called as the file without the signature's name."""
    try:
        content = signed.content_of(path.read_bytes())
    except ValueError as error:
        raise corrupt(f"what is signed in it cannot be found ({error})") from error
    if content is None:
        raise corrupt("what is signed is not in it")
    stem = name.rpartition(".")[0] if name.lower().endswith((".p7m", ".p7s", ".p7b", ".pem")) else name
    if signed.is_mail(content):
        # Of a mail, often only the body is signed, which has too few headers to be known by them.
        contents.add(f"{stem or 'mail'}.eml", [b"MIME-Version: 1.0\r\n", content.lstrip()])
    else:
        contents.add(stem or "content", [content])


def unpack_web_archive(path: Path, contents: Contents, name: str) -> None:
    """Take out of a saved web page the files that are no part of a page."""
    with suppress(TooManyPartsError):
        for number, part in enumerate(parse(path.read_bytes()).walk(), 1):
            if not part.is_multipart() and is_no_part_of_a_page(part):
                title = file_name(part) or f"part {number}{_extension(part.get_content_type())}"
                contents.add(title, [payload(part)])


def unpack_mailbox(path: Path, contents: Contents, name: str) -> None:
    """Take the messages out of a mailbox, each called by its number and its subject."""
    number = 0
    with suppress(TooManyPartsError):
        for number, data in enumerate(messages(path), 1):
            # An empty line parts it from the next.
            whole = data[: -len(end)] if data.endswith(2 * (end := b"\r\n")) else data
            whole = data[:-1] if data.endswith(b"\n\n") else whole
            contents.add(f"{number:05} {_title(data)}".strip() + ".eml", [whole])
    if not number:
        raise corrupt("no message was found in the mailbox")


def _title(message: bytes) -> str:
    """Return a mail's subject as part of a file's name."""
    return header(parse(message[:_HEADERS_BYTES]), "Subject").replace("/", "_")[:_TITLE_CHARACTERS]


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


def _uudecoded(packed: bytes) -> Iterator[bytes]:
    """Unpack a file that stands in a text: each line begins with its length."""
    for line in packed.splitlines()[1:-1]:
        yield binascii.a2b_uu(line)


def _ydecoded(packed: bytes) -> Iterator[bytes]:
    """Unpack a file that stands in a text as yEnc has it, byte by byte."""
    lines = (line for line in packed.splitlines() if not line.startswith(b"=y"))
    for line in lines:
        head, *escaped = line.split(b"=")
        yield head.translate(_YENC)
        for piece in escaped:
            yield piece[:1].translate(_YENC_ESCAPED) + piece[1:].translate(_YENC)


def _extension(kind: str) -> str:
    return _EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or ".dat"
