"""MSG: Outlook's messages.

Belongs here: its properties ([MS-OXMSG], [MS-OXPROPS]). Does not belong here: the file's streams
(`ole`), and what is attached: that is named only, and becomes documents of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import compressed_rtf

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.encodings import decode
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.mail import attached
from ingest_assets.ocr.sandbox.ole import OleFile
from ingest_assets.ocr.sandbox.rtf import parse_rtf
from ingest_assets.ocr.sandbox.web_page import decode_html, html_text
from ingest_assets.text import clean_text

_PROPERTIES = "__properties_version1.0"
_RECIPIENT, _ATTACHMENT = "__recip_version1.0_", "__attach_version1.0_"
_SUBJECT, _BODY, _HTML, _RTF = "0037", "1000", "1013", "1009"
_FROM_NAMES, _FROM_ADDRESSES = ("0C1A", "0042"), ("5D01", "5D02", "0C1F", "0065")
_NAMES, _ADDRESSES, _FILES = ("3001",), ("39FE", "3003"), ("3707", "3704", "3001")
_DATA = "3701"
_SENT, _DELIVERED, _RECIPIENT_TYPE, _CODE_PAGES = 0x0039, 0x0E06, 0x0C15, (0x3FFD, 0x3FDE)
_RECIPIENT_TYPES = {1: "To", 2: "Cc", 3: "Bcc"}
_DISPLAYED = {"To": "0E04", "Cc": "0E03", "Bcc": "0E02"}


def read_msg(path: Path) -> FlowingDocument:
    """Read an Outlook message."""
    with OleFile(path) as file:
        message = _Message(file)
        try:
            text, notes = message.text(), message.notes
        except struct.error as error:
            raise corrupt(f"the MSG's properties cannot be read ({error})") from error
    return FlowingDocument((text,), tuple(dict.fromkeys(notes)))


def attachments(path: Path) -> list[tuple[str, bytes | None]]:
    """Return names and bytes of what is attached; None for a message that is stored in the message."""
    with OleFile(path) as file:
        try:
            message = _Message(file)
            return list(message.attachments())
        except struct.error as error:
            raise corrupt(f"the MSG's properties cannot be read ({error})") from error


class _Message:
    """A message that is being read."""

    def __init__(self, file: OleFile) -> None:
        self._file = file
        self.notes: list[Note] = []
        self._top = dict(self._fixed("", 32))
        pages = (self._number(page) for page in _CODE_PAGES)
        self._encoding = next((f"cp{page}" for page in pages if page), "")

    def text(self) -> str:
        """Return the headers, then the body."""
        recipients = self._recipients()
        sent = self._time(_SENT) or self._time(_DELIVERED)
        sender = _address(self._first("", _FROM_NAMES), self._first("", _FROM_ADDRESSES))
        headers = {"From": sender, **recipients, "Date": sent, "Subject": self._string("", _SUBJECT)}
        head = "\n".join(f"{name}: {value}" for name, value in headers.items() if value)
        names = (self._first(f"{folder}/", _FILES) for folder in self._folders(_ATTACHMENT))
        self.notes += attached(name or "a part without a name" for name in names)
        return clean_text(f"{head}\n\n{clean_text(self._body())}")

    def attachments(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield names and bytes of what is attached."""
        for folder in self._folders(_ATTACHMENT):
            data = f"{folder}/__substg1.0_{_DATA}0102"
            yield (
                self._first(f"{folder}/", _FILES),
                self._file.read(data) if data in self._file else None,
            )

    def _body(self) -> str:
        if plain := self._string("", _BODY).strip():
            return plain
        html = self._file.read(f"__substg1.0_{_HTML}0102")
        if html:
            return html_text(decode_html(html).text)
        if html_string := self._string("", _HTML):
            return html_text(html_string)
        packed = self._file.read(f"__substg1.0_{_RTF}0102")
        if not packed:
            return ""
        try:
            return parse_rtf(compressed_rtf.decompress(packed)).text
        except Exception as error:  # noqa: BLE001  # It raises any kind on bad bytes.
            sentence = f"its text is packed in a way that cannot be undone ({str(error)[:100]})"
            self.notes.append(Note("content_unreadable", sentence))
            return ""

    def _recipients(self) -> dict[str, str]:
        """Return the recipients of each kind."""
        found: dict[str, list[str]] = {kind: [] for kind in _DISPLAYED}
        for folder in self._folders(_RECIPIENT):
            kinds = dict(self._fixed(f"{folder}/", 8))
            kind = struct.unpack_from("<i", kinds.get(_RECIPIENT_TYPE, b"\1\0\0\0"))[0] & 0xF
            name, address = (self._first(f"{folder}/", one) for one in (_NAMES, _ADDRESSES))
            found[_RECIPIENT_TYPES.get(kind, "To")].append(_address(name, address))
        return {
            kind: ", ".join(filter(None, people)) or self._string("", _DISPLAYED[kind]).strip("\0")
            for kind, people in found.items()
        }

    def _folders(self, prefix: str) -> list[str]:
        return sorted({path[0] for path in self._file.names() if path[0].startswith(prefix)})

    def _fixed(self, folder: str, head: int) -> Iterator[tuple[int, bytes]]:
        """Yield the properties of a fixed size: number and value.

        Args:
            head: bytes before the first of them.
        """
        data = self._file.read(f"{folder}{_PROPERTIES}")
        for place in range(head, len(data) - 15, 16):
            yield struct.unpack_from("<H", data, place + 2)[0], data[place + 8 : place + 16]

    def _number(self, number: int) -> int:
        return int.from_bytes(self._top.get(number, b"")[:4], "little")

    def _time(self, number: int) -> str:
        ticks = int.from_bytes(self._top.get(number, b""), "little")  # Of 100 ns, since 1601.
        if not ticks:
            return ""
        try:
            moment = datetime(1601, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return format_datetime(moment.replace(microsecond=0))

    def _first(self, folder: str, numbers: tuple[str, ...]) -> str:
        return next(filter(None, (self._string(folder, number) for number in numbers)), "")

    def _string(self, folder: str, number: str) -> str:
        name = f"{folder}__substg1.0_{number}"
        if wide := self._file.read(f"{name}001F"):
            return wide.decode("utf-16-le", "replace").strip("\0")
        data = self._file.read(f"{name}001E").strip(b"\0")
        try:
            return data.decode(self._encoding)
        except (LookupError, UnicodeDecodeError):
            return decode(data).text if data else ""


def _address(name: str, address: str) -> str:
    name, address = name.strip(), address.strip()
    if not address or address.casefold() == name.casefold() or address.startswith("/"):
        return name or address
    return f"{name} <{address}>" if name else address
