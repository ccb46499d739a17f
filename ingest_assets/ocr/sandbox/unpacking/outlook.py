"""Attachments of Outlook's own messages (MSG), and their headers as values.

Belongs here: giving each attachment a name and its bytes. Does not belong here: properties (`msg`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ingest_assets.ocr.sandbox import msg
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError, damaged
from ingest_assets.ocr.sandbox.unpacking.mail import headers
from ingest_assets.ocr.sandbox.unpacking.objects import file_in, title_of
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file


def unpack_msg(path: Path, contents: Contents, name: str) -> None:
    """Take the attachments out of an Outlook message, and read its headers."""
    with msg.opened(path) as message, suppress(TooManyPartsError):
        contents.message = _headers(message)
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


def _headers(message: msg.Message) -> dict[str, object]:
    """Return the headers as values: what Outlook says, else what the message was delivered with."""
    delivered = headers(message.transport_headers())
    stated = {
        "message_id": message.identifier(),
        "in_reply_to": message.in_reply_to(),
        "from_address": next(iter(message.addresses("From")), None),
        "to_addresses": message.addresses("To"),
        "cc_addresses": message.addresses("Cc"),
        "sent_at": message.sent_at(),
        "subject": message.subject(),
    }
    return {name: value or delivered[name] for name, value in stated.items()}
