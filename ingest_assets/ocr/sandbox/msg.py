"""MSG: Outlook's messages.

Belongs here: its properties ([MS-OXMSG], [MS-OXPROPS]). Does not belong here: the file's streams
(`ole`), and what is attached: that is named only, and becomes documents of its own.
"""

from __future__ import annotations

import email.message
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any, BinaryIO

import compressed_rtf

from ingest_assets.notes import Note
from ingest_assets.ocr.sandbox import mail
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.encodings import decode
from ingest_assets.ocr.sandbox.flowing import FlowingDocument
from ingest_assets.ocr.sandbox.mail import attached, says_more
from ingest_assets.ocr.sandbox.ole import OleFile, Storage
from ingest_assets.ocr.sandbox.rtf import parse_rtf
from ingest_assets.ocr.sandbox.web_page import decode_html, html_text
from ingest_assets.text import clean_text

PROPERTIES, NAMED = "__properties_version1.0", "__nameid_version1.0"
RECIPIENT, ATTACHMENT, STREAM = "__recip_version1.0_", "__attach_version1.0_", "__substg1.0_"
# Of an attachment: its bytes, or the storage of a message or of another program's object.
DATA, OBJECT = "37010102", "3701000D"
_SUBJECT, _BODY, _HTML, _RTF, _CLASS = "0037", "1000", "1013", "1009", "001A"
_FROM_NAMES, _FROM_ADDRESSES = ("0C1A", "0042"), ("5D01", "5D02", "0C1F", "0065")
_NAMES, _ADDRESSES, _FILES = ("3001",), ("39FE", "3003"), ("3707", "3704", "3001")
_PLACES = ("370D", "3708")
_METHOD, _A_MESSAGE = 0x3705, 5  # How an attachment is kept.
_IDENTIFIER, _IN_REPLY_TO, _TRANSPORT_HEADERS = "1035", "1042", "007D"
_SENT, _DELIVERED, _RECIPIENT_TYPE, _CODE_PAGES = 0x0039, 0x0E06, 0x0C15, (0x3FFD, 0x3FDE)
_RECIPIENT_TYPES = {1: "To", 2: "Cc", 3: "Bcc"}
_DISPLAYED = {"To": "0E04", "Cc": "0E03", "Bcc": "0E02"}
# Before the properties of a message that is a file stand so many bytes, before those in it fewer.
_HEAD, _HEAD_INSIDE, _HEAD_OF_PART = 32, 24, 8
_FIRST_NAMED = 0x8000

# What Outlook's other items say in fields of their own, by the class of the item: number and label of
# each; numbers from 0x8000 on are names in the message's own list ([MS-OXPROPS]).
_FIELDS = {
    "IPM.APPOINTMENT": ((0x820D, "Start"), (0x820E, "End"), (0x8208, "Location")),
    "IPM.SCHEDULE": ((0x820D, "Start"), (0x820E, "End"), (0x8208, "Location")),
    "IPM.TASK": ((0x8104, "Start"), (0x8105, "Due")),
    "IPM.CONTACT": (
        *((0x3001, "Name"), (0x3A16, "Company"), (0x3A18, "Department"), (0x3A17, "Title")),
        *((0x3A08, "Business phone"), (0x3A1B, "Business phone"), (0x3A09, "Home phone")),
        *((0x3A1C, "Mobile phone"), (0x3A24, "Fax"), (0x8083, "E-mail"), (0x8093, "E-mail")),
        *((0x80A3, "E-mail"), (0x801B, "Business address"), (0x801A, "Home address")),
        *((0x801C, "Other address"), (0x3A15, "Address"), (0x3A51, "Web page")),
    ),
}
_UNREAD = {"IPM.DISTLIST": Note("content_unreadable", "the members of a list of addresses")}


@dataclass(frozen=True)
class Attachment:
    """What is attached to a message; of what it is one at most is set.

    Attributes:
        name: its file name, or what it is called; may be empty.
        data: the bytes of a file.
        message: the streams of a message, as they are in a file of its own.
        storage: what another program keeps in an OLE storage.
        reason: why there is nothing of it.
    """

    name: str
    data: bytes | None = None
    message: Storage | None = None
    storage: Storage | None = None
    reason: str = ""


def read_msg(path: Path) -> FlowingDocument:
    """Read an Outlook message."""
    return document_of(path)


def document_of(file: Path | BinaryIO) -> FlowingDocument:
    """Return what a message says; `opened` tells the rest."""
    with opened(file) as message:
        text, headers = message.text(), message.headers()
        return FlowingDocument((text,), tuple(dict.fromkeys(message.notes)), headers)


@contextmanager
def opened(path: Path | BinaryIO) -> Iterator[Message]:
    """Open a message, given by its path or its bytes.

    Raises:
        PermanentError: `corrupt_document`, in the block, too.
    """
    with OleFile(path) as file:
        try:
            yield Message(file)
        except struct.error as error:
            raise corrupt(f"the MSG's properties cannot be read ({error})") from error


def plain_subject(subject: str) -> str:
    """Return a subject without what a mail store writes before it: a mark, and a length."""
    return subject[2:] if subject.startswith("\1") else subject


class Message:
    """An open message.

    Attributes:
        notes: what to know of how it was read; `text` adds to them.
    """

    def __init__(self, file: OleFile) -> None:
        self._file = file
        self.notes: list[Note] = []
        self._top = dict(self._fixed("", _HEAD))
        pages = (self._number(page) for page in _CODE_PAGES)
        self._encoding = next((f"cp{page}" for page in pages if page), "")

    def text(self) -> str:
        """Return the headers, then the body."""
        headers = {
            "From": self.sender(),
            **self.recipients(),
            "Date": self._shown_time(self._sent()),
            "Subject": self.subject(),
        }
        lines = [f"{name}: {value}" for name, value in headers.items() if value]
        lines += self._fields()
        names = (self._first(f"{folder}/", _FILES) for folder in self._folders(ATTACHMENT))
        self.notes += attached(name or "a part without a name" for name in names)
        return clean_text("\n".join(lines) + f"\n\n{clean_text(self._body())}")

    def headers(self) -> dict[str, Any]:
        """Return the headers as values: what Outlook says, else what the message was delivered with."""
        delivered = mail.headers(self.transport_headers())
        stated = {
            "message_id": self.identifier(),
            "in_reply_to": self.in_reply_to(),
            "from_address": next(iter(self.addresses("From")), None),
            "to_addresses": self.addresses("To"),
            "cc_addresses": self.addresses("Cc"),
            "sent_at": self.sent_at(),
            "subject": self.subject(),
        }
        return {name: value or delivered[name] for name, value in stated.items()}

    def subject(self) -> str:
        """Return the subject."""
        return plain_subject(self._string("", _SUBJECT))

    def sender(self) -> str:
        """Return who sent it, as a header says it."""
        return _address(self._first("", _FROM_NAMES), self._address_of("", _FROM_ADDRESSES))

    def addresses(self, kind: str) -> list[str]:
        """Return the addresses of a kind of people: `From`, `To`, `Cc` or `Bcc`."""
        if kind == "From":
            found = [self._address_of("", _FROM_ADDRESSES)]
        else:
            found = [
                self._address_of(f"{folder}/", _ADDRESSES)
                for folder, stated in self._people()
                if stated == kind
            ]
        return list(dict.fromkeys(one.strip().lower() for one in found if "@" in one))

    def sent_at(self) -> str | None:
        """Return when it was sent, in ISO 8601; None where it does not say."""
        moment = self._sent()
        return moment.isoformat() if moment else None

    def identifier(self) -> str:
        """Return its `Message-ID`."""
        return self._string("", _IDENTIFIER)

    def in_reply_to(self) -> str:
        """Return the `Message-ID` of the message that it answers."""
        return self._string("", _IN_REPLY_TO)

    def transport_headers(self) -> email.message.Message:
        """Return the headers with which it was delivered; of one that was not, there are none."""
        return mail.parse(self._string("", _TRANSPORT_HEADERS).encode("utf-8", "surrogateescape"))

    def attachments(self) -> Iterator[Attachment]:
        """Yield what is attached, in the order of the message."""
        for folder in self._folders(ATTACHMENT):
            name = self._first(f"{folder}/", _FILES)
            data, inside = f"{folder}/{STREAM}{DATA}", f"{folder}/{STREAM}{OBJECT}"
            if data in self._file:
                yield Attachment(name, data=self._file.read(data))
            elif f"{inside}/{PROPERTIES}" in self._file:
                yield Attachment(name, message=self._as_file(self._file.storage(inside)))
            elif inside in self._file:
                yield Attachment(name, storage=self._file.storage(inside))
            else:
                yield Attachment(name, reason=self._why_empty(folder))

    def _why_empty(self, folder: str) -> str:
        method = dict(self._fixed(f"{folder}/", _HEAD_OF_PART)).get(_METHOD, b"\0")[0]
        if method == _A_MESSAGE:
            return "It is a message that was kept within this one, and that is not there"
        if place := self._first(f"{folder}/", _PLACES):
            return f"The message only says where it is: {place[:300]}"
        return "The message holds nothing of it but its name"

    def _as_file(self, message: Storage) -> Storage:
        """Return a message within this one as it is in a file of its own."""
        properties = message[PROPERTIES]
        assert isinstance(properties, bytes)  # noqa: S101  # It is a stream.
        head = properties[:_HEAD_INSIDE].ljust(_HEAD, b"\0")
        names = self._file.storage(NAMED)  # They stand once, for all messages in the file.
        own = {PROPERTIES: head + properties[_HEAD_INSIDE:]}
        return {**({NAMED: names} if names else {}), **message, **own}

    def _fields(self) -> Iterator[str]:
        """Yield what an appointment or a contact says in its fields."""
        kind = self._string("", _CLASS).upper()
        self.notes += (note for start, note in _UNREAD.items() if kind.startswith(start))
        fields = next((fields for start, fields in _FIELDS.items() if kind.startswith(start)), ())
        names = self._named() if fields else {}
        for number, label in fields:
            place = names.get(number, 0) if number >= _FIRST_NAMED else number
            value = self._string("", f"{place:04X}") or self._shown_time(self._time(place))
            if value := " ".join(value.split()):
                yield f"{label}: {value}"

    def _named(self) -> dict[int, int]:
        """Return the numbers of properties that have a name which is a number."""
        data = self._file.read(f"{NAMED}/{STREAM}00030102")
        entries = (struct.unpack_from("<IHH", data, place) for place in range(0, len(data) - 7, 8))
        return {name: _FIRST_NAMED + number for name, kind, number in entries if not kind & 1}

    def _body(self) -> str:
        plain, laid_out = self._string("", _BODY).strip(), self._web_page().strip()
        if laid_out and says_more(laid_out, plain):
            return f"{plain}\n\n{laid_out}" if says_more(plain, laid_out) else laid_out
        return plain or self._rich_text()

    def _web_page(self) -> str:
        if html := self._file.read(f"{STREAM}{_HTML}0102"):
            return html_text(decode_html(html).text)
        return html_text(self._string("", _HTML))

    def _rich_text(self) -> str:
        packed = self._file.read(f"{STREAM}{_RTF}0102")
        if not packed:
            return ""
        try:
            found = parse_rtf(compressed_rtf.decompress(packed))
        except Exception as error:  # noqa: BLE001  # It raises any kind on bad bytes.
            sentence = f"its text is packed in a way that cannot be undone ({str(error)[:100]})"
            self.notes.append(Note("content_unreadable", sentence))
            return ""
        self.notes += found.notes
        if found.pictures:
            sentence = "pictures in its text, which were not looked at"
            self.notes.append(Note("image_unreadable", sentence))
        return found.text

    def recipients(self) -> dict[str, str]:
        """Return the recipients of each kind, as headers say them."""
        found: dict[str, list[str]] = {kind: [] for kind in _DISPLAYED}
        for folder, kind in self._people():
            address = self._address_of(f"{folder}/", _ADDRESSES)
            found[kind].append(_address(self._first(f"{folder}/", _NAMES), address))
        return {
            kind: ", ".join(filter(None, people)) or self._string("", _DISPLAYED[kind]).strip("\0")
            for kind, people in found.items()
        }

    def _people(self) -> Iterator[tuple[str, str]]:
        """Yield the recipients: where each is, and its kind."""
        for folder in self._folders(RECIPIENT):
            kinds = dict(self._fixed(f"{folder}/", _HEAD_OF_PART))
            kind = struct.unpack_from("<i", kinds.get(_RECIPIENT_TYPE, b"\1\0\0\0"))[0] & 0xF
            yield folder, _RECIPIENT_TYPES.get(kind, "To")

    def _folders(self, prefix: str) -> list[str]:
        return sorted({path[0] for path in self._file.names() if path[0].startswith(prefix)})

    def _fixed(self, folder: str, head: int) -> Iterator[tuple[int, bytes]]:
        """Yield the properties of a fixed size: number and value.

        Args:
            head: bytes before the first of them.
        """
        data = self._file.read(f"{folder}{PROPERTIES}")
        for place in range(head, len(data) - 15, 16):
            yield struct.unpack_from("<H", data, place + 2)[0], data[place + 8 : place + 16]

    def _number(self, number: int) -> int:
        return int.from_bytes(self._top.get(number, b"")[:4], "little")

    def _sent(self) -> datetime | None:
        return self._time(_SENT) or self._time(_DELIVERED)

    def _time(self, number: int) -> datetime | None:
        ticks = int.from_bytes(self._top.get(number, b""), "little")  # Of 100 ns, since 1601.
        if not ticks:
            return None
        try:
            moment = datetime(1601, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return None
        return moment.replace(microsecond=0)

    def _shown_time(self, moment: datetime | None) -> str:
        return format_datetime(moment) if moment else ""

    def _address_of(self, folder: str, numbers: tuple[str, ...]) -> str:
        """Return the address of a person, that of the internet before that of Exchange."""
        found = list(filter(None, (self._string(folder, number) for number in numbers)))
        return next((address for address in found if "@" in address), found[0] if found else "")

    def _first(self, folder: str, numbers: tuple[str, ...]) -> str:
        return next(filter(None, (self._string(folder, number) for number in numbers)), "")

    def _string(self, folder: str, number: str) -> str:
        name = f"{folder}{STREAM}{number}"
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
    return f"{_quoted(name)} <{address}>" if name else address


def _quoted(name: str) -> str:
    """Return a name as headers have it: a comma in it does not part two people."""
    return f'"{name}"' if "," in name and '"' not in name else name
