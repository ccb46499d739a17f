"""Attachments of Outlook's own messages (MSG).

Belongs here: giving each attachment a name and its bytes. Does not belong here: properties (`msg`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ingest_assets.ocr.sandbox import msg
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError, damaged


def unpack_msg(path: Path, contents: Contents, name: str) -> None:
    """Take the attachments out of an Outlook message."""
    with suppress(TooManyPartsError):
        for number, (title, data) in enumerate(msg.attachments(path), 1):
            if data is not None:
                contents.add(title or f"part {number}.dat", [data])
            else:
                contents.refuse(
                    title or f"message {number}",
                    damaged("It is a message that Outlook keeps as part of this one, and no file."),
                )
