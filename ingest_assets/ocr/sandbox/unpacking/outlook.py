"""Outlook's own messages: attachments of MSG, and `winmail.dat` (TNEF), which is read as MSG.

Belongs here: giving each attachment a name and its bytes. Does not belong here: properties (`msg`).
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ingest_assets.ocr.sandbox import msg
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError, damaged
from ingest_assets.ocr.sandbox.unpacking.objects import file_in, title_of
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file
from ingest_assets.ocr.sandbox.unpacking.tnef import message_in


def read_tnef(path: Path) -> FlowingDocument:
    """Read a message that Outlook has packed beside a mail.

    The mail itself is the message of the table of messages: its headers are not returned twice.
    """
    return replace(msg.document_of(_as_msg(path)), message=None)


def unpack_tnef(path: Path, contents: Contents, name: str) -> None:
    """Take out what was attached to a message that Outlook has packed beside a mail."""
    _take_out(_as_msg(path), contents)


def unpack_msg(path: Path, contents: Contents, name: str) -> None:
    """Take the attachments out of an Outlook message."""
    _take_out(path, contents)


def _as_msg(path: Path) -> BinaryIO:
    return io.BytesIO(ole_file(message_in(path.read_bytes())))


def _take_out(file: Path | BinaryIO, contents: Contents) -> None:
    with msg.opened(file) as message, suppress(TooManyPartsError):
        for number, attachment in enumerate(message.attachments(), 1):
            title = attachment.name
            if attachment.data is not None:
                contents.add(title or f"part {number}.dat", [attachment.data])
            elif attachment.message is not None:
                title = (title or f"message {number}").removesuffix(".msg").replace("/", "_")
                contents.add(f"{title}.msg", (ole_file(one) for one in [attachment.message]))
            elif attachment.storage is not None:
                found = file_in(attachment.storage)
                contents.add(title_of(found, title or f"object {number}"), [found.data])
            else:
                contents.refuse(title or f"part {number}", damaged(f"{attachment.reason}."))
