"""Attachments of Outlook's own messages (MSG).

Belongs here: giving each attachment a name and its bytes. Does not belong here: properties (`msg`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ingest_assets.ocr.sandbox import msg
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError, damaged
from ingest_assets.ocr.sandbox.unpacking.objects import file_in, title_of
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file


def unpack_msg(path: Path, contents: Contents, name: str) -> None:
    """Take the attachments out of an Outlook message."""
    with msg.opened(path) as message, suppress(TooManyPartsError):
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
