"""Messages of Outlook's mail stores (PST, OST), each as the MSG that Outlook would save.

Belongs here: folders, and what libpff gives of an item. Does not belong here: the format of the store,
which libpff reads, and what the properties mean (`ocr.sandbox.msg`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pypff

from ingest_assets.errors import PermanentError
from ingest_assets.ocr.sandbox.document import corrupt
from ingest_assets.ocr.sandbox.msg import NAMED, STREAM, plain_subject
from ingest_assets.ocr.sandbox.ole import Storage
from ingest_assets.ocr.sandbox.unpacking.contents import Contents, TooManyPartsError
from ingest_assets.ocr.sandbox.unpacking.msg_file import (
    BINARY,
    IN_PART,
    Property,
    message,
    properties,
)
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file

_SUBJECT_CHARACTERS = 80
_DEEPEST_FOLDER = 40
_NAME_STREAMS = (2, 3, 4)
# What libpff raises of damaged items; the second where it forgets to say that it has raised something.
_BROKEN = (OSError, SystemError, ValueError)


def unpack_pst(path: Path, contents: Contents, name: str) -> None:
    """Take the messages out of a mail store, in the order of its folders."""
    store = pypff.file()
    try:
        store.open(str(path))
        root = store.get_root_folder()
    except (*_BROKEN, MemoryError) as error:
        raise corrupt(f"it is not a mail store that can be opened ({error})") from error
    if root is None:
        raise corrupt("the mail store has no folders")
    names = _names(store)
    with suppress(TooManyPartsError):
        for folder, number, item in _messages(root, contents):
            contents.add(folder + _title(number, item), _packed(item, names))
        for number in range(_count(store, "number_of_orphan_items")):
            try:
                item = store.get_orphan_item(number)
            except _BROKEN as error:
                contents.refuse(f"lost/{number + 1:05}", _damaged(error))
                continue
            if isinstance(item, pypff.message):
                contents.add("lost/" + _title(number + 1, item), _packed(item, names))


def _messages(root: Any, contents: Contents) -> Iterator[tuple[str, int, Any]]:
    """Yield the messages of all folders: the folder's path, the number in it, and the message."""
    waiting = [("", root, 0)]
    while waiting:
        path, folder, depth = waiting.pop()
        for number in range(_count(folder, "number_of_sub_messages")):
            try:
                yield path, number + 1, folder.get_sub_message(number)
            except _BROKEN as error:
                contents.refuse(f"{path}{number + 1:05}.msg", _damaged(error))
        inner = []
        for number in range(_count(folder, "number_of_sub_folders")):
            try:
                found = folder.get_sub_folder(number)
                title = (found.get_name() or f"folder {number + 1}").replace("/", "_")
            except _BROKEN as error:
                contents.note(
                    "container_damaged", f"a folder in {path or 'it'} cannot be read ({error})"
                )
            else:
                inner.append((f"{path}{title}/", found, depth + 1))
        if depth < _DEEPEST_FOLDER:
            waiting += reversed(inner)
        elif inner:
            contents.note(
                "parts_left_out", f"folders more than {_DEEPEST_FOLDER} deep were not opened: {path}"
            )


def _packed(item: Any, names: Storage) -> Iterator[bytes]:
    """Yield a message as MSG; it is made when the one before it was written."""
    yield ole_file({**_message(item), **names})


def _message(item: Any) -> Storage:
    """Return the storage of a message: its properties, those of its recipients, its attachments."""
    attachments = map(item.get_attachment, range(_count(item, "number_of_attachments")))
    return message(
        _properties(_entries(item)),
        map(_properties, _sets(item.recipients)),
        # Of a message within a message libpff gives Python the name alone.
        (properties(_properties(_entries(one)), IN_PART) for one in attachments),
    )


def _properties(entries: Iterable[Any]) -> Iterator[Property]:
    """Yield what is stated of an item."""
    return (
        Property(entry.entry_type, entry.value_type, entry.data or b"")
        for entry in entries
        if entry.entry_type and entry.value_type is not None
    )


def _names(store: Any) -> Storage:
    """Return the names of properties that programs have added; they are the same for all messages."""
    streams: dict[str, bytes] = {}
    with suppress(*_BROKEN):
        for entry in _entries(store.get_name_to_id_map()):
            if entry.entry_type in _NAME_STREAMS and entry.value_type == BINARY:
                streams[f"{STREAM}{entry.entry_type:04X}{BINARY:04X}"] = entry.data or b""
    return {NAMED: streams} if streams else {}


def _entries(item: Any) -> Iterator[Any]:
    for entries in _sets(item):
        yield from entries
        return  # An item has one set; recipients have one each.


def _sets(item: Any) -> Iterator[list[Any]]:
    if item is None:
        return
    for number in range(_count(item, "number_of_record_sets")):
        found = item.get_record_set(number)
        yield [found.get_entry(place) for place in range(found.number_of_entries)]


def _count(item: Any, name: str) -> int:
    """Return a count; libpff raises where the item does not say it."""
    with suppress(*_BROKEN):
        return int(getattr(item, name))
    return 0


def _title(number: int, item: Any) -> str:
    """Return the name of a message's file: its number in the folder, and its subject."""
    subject = ""
    with suppress(*_BROKEN):
        subject = plain_subject(item.get_subject() or "")[:_SUBJECT_CHARACTERS]
    return f"{number:05} {subject}".strip().replace("/", "_") + ".msg"


def _damaged(error: Exception) -> PermanentError:
    return PermanentError("part_damaged", f"It cannot be read: {error}.")
