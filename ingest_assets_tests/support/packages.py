"""Mails, mailboxes and TAR archives that tests make; ZIP archives are made in `containers`."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Mapping
from datetime import datetime, timezone
from email.message import EmailMessage
from email.utils import format_datetime

from ingest_assets_tests.support.office import ODF_NAMES


def mail(
    subject: str, text: str = "See what is attached.", attached: Mapping[str, bytes] | None = None
) -> bytes:
    """A mail with attachments; what is called `.eml` is attached as a mail."""
    message = EmailMessage()
    message["From"] = "Ada Lovelace <Ada@Example.ORG>"
    message["To"] = "Ben <ben@example.org>, Chris <chris@example.org>"
    message["Cc"] = "dora@example.org"
    message["Date"] = format_datetime(datetime(2024, 5, 3, 9, 41, tzinfo=timezone.utc))
    message["Subject"] = subject
    message["Message-ID"] = f"<{subject.encode().hex()}@example.org>"
    message.set_content(text)
    for name, content in (attached or {}).items():
        kind = ("application", "pdf") if name.endswith(".pdf") else ("application", "octet-stream")
        message.add_attachment(content, *kind, filename=name)
    return message.as_bytes()


def tarred(members: Mapping[str, bytes], links: Mapping[str, str], mode: str = "w:gz") -> bytes:
    """A TAR archive with files and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


def mailbox(*messages: bytes) -> bytes:
    """A mailbox of mails."""
    return b"\n".join(b"From ada@example.org Fri May  3 09:41:00 2024\n" + one for one in messages)


def flat_package(parts: Mapping[str, str], files: Mapping[str, bytes] | None = None) -> bytes:
    """An Office document in one XML file: its parts, by name, and files that are no XML."""
    packed = "".join(
        f'<pkg:part pkg:name="{name}"><pkg:xmlData>{content}</pkg:xmlData></pkg:part>'
        for name, content in parts.items()
    ) + "".join(
        f'<pkg:part pkg:name="{name}" pkg:compression="store"><pkg:binaryData>'
        f"{base64.encodebytes(content).decode()}</pkg:binaryData></pkg:part>"
        for name, content in (files or {}).items()
    )
    return (
        '<?xml version="1.0" standalone="yes"?>\n<?mso-application progid="Word.Document"?>\n'
        f'<pkg:package xmlns:pkg="http://schemas.microsoft.com/office/2006/xmlPackage">{packed}</pkg:package>'
    ).encode()


def flat_open_document(kind: str, body: str, styles: str = "") -> bytes:
    """An OpenDocument file in one XML file: `kind` as in its media type."""
    tag = "drawing" if kind == "graphics" else kind
    names = " ".join(f'xmlns:{name}="{address}"' for name, address in ODF_NAMES.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document {names} '
        f'office:mimetype="application/vnd.oasis.opendocument.{kind}" office:version="1.3">'
        f"<office:master-styles>{styles}</office:master-styles>"
        f"<office:body><office:{tag}>{body}</office:{tag}></office:body></office:document>"
    ).encode()
