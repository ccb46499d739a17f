"""What is inside mail stores, messages and Office documents: each part has its own bytes and name."""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import olefile
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets.identification import identify
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.sandbox.unpacking import unpack
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file
from ingest_assets.ocr.unpacking import PartLimits
from ingest_assets.workers.pool import Limits
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.outlook import BINARY, TEXT, TIME, Winmail, winmail
from ingest_assets_tests.support.packages import mail, mailbox
from ingest_assets_tests.support.pst import StoredMail, pst
from ingest_assets_tests.support.reading import read, unpacked
from ingest_assets_tests.support.scans import stored

NOTE = b"A note that stands in another document."
PACKAGE = "\x01Ole10Native"


def packaged(name: str, content: bytes) -> bytes:
    """A file as the packager of Windows stores it in a stream."""
    path = rf"C:\Temp\{name}".encode("cp1252", "replace") + b"\0"
    data = struct.pack("<H", 2) + name.encode("cp1252", "replace") + b"\0" + path
    data += struct.pack("<II", 0x30000, len(path)) + path + struct.pack("<I", len(content)) + content
    for text in (rf"C:\Temp\{name}", name, rf"C:\Temp\{name}"):
        data += struct.pack("<I", len(text)) + text.encode("utf-16-le")
    return struct.pack("<I", len(data)) + data


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def test_an_ole_file_is_read_by_another_program_with_small_large_and_nested_streams() -> None:
    large = bytes(range(256)) * 40_000
    tree: dict[str, Any] = {"Large": large, "Empty": b"", "Deep": {"Deeper": {"Small": b"few bytes"}}}
    tree |= {f"Number {number}": struct.pack("<I", number) * number for number in range(40)}
    with olefile.OleFileIO(io.BytesIO(ole_file(tree, b"0123456789abcdef"))) as file:
        assert file.openstream("Large").read() == large
        assert file.openstream("Deep/Deeper/Small").read() == b"few bytes"
        for number in range(40):
            assert file.openstream(f"Number {number}").read() == tree[f"Number {number}"]
        assert file.root.clsid == "33323130-3534-3736-3839-616263646566"
        assert not file.parsing_issues


STORE = pst(
    {
        "Inbox": [
            StoredMail("The lease", "It ends in May.", attached={"note.txt": NOTE}),
            StoredMail("Forwarded", attached={"inner": StoredMail("Inner", "An inner text.")}),
        ],
        "Sent/2024": [StoredMail("Größe & Prüfung", "The rest.")],
    }
)


def test_the_mails_of_a_mail_store_are_messages_of_their_own_in_its_folders() -> None:
    found = unpacked(STORE)
    assert list(found.parts) == [
        "Inbox/00001 The lease.msg",
        "Inbox/00002 Forwarded.msg",
        "Sent_2024/00001 Größe & Prüfung.msg",
    ]
    assert unpacked(STORE) == found
    lease = found.parts["Inbox/00001 The lease.msg"]
    assert read(lease).text == (
        "From: Ada <ada@example.org>\nTo: Ben <ben@example.org>\n"
        "Date: Fri, 03 May 2024 09:41:00 +0000\nSubject: The lease\n\nIt ends in May."
    )
    assert unpacked(lease).parts == {"note.txt": NOTE}
    assert read(lease).message == {
        "message_id": f"<{b'The lease'.hex()}@example.org>",
        "in_reply_to": None,
        "from_address": "ada@example.org",
        "to_addresses": ["ben@example.org"],
        "cc_addresses": [],
        "sent_at": "2024-05-03T09:41:00+00:00",
        "subject": "The lease",
    }


def test_a_message_that_a_mail_store_does_not_give_is_named_with_its_reason() -> None:
    problems = unpacked(unpacked(STORE).parts["Inbox/00002 Forwarded.msg"]).problems
    assert problems["inner"][0] == "part_damaged"
    assert "kept within this one" in problems["inner"][1]


def test_a_damaged_mail_store_fails_with_its_reason() -> None:
    with pytest.raises(Exception, match="mail store that can be opened"):
        unpacked(STORE[:600] + bytes(len(STORE) - 600))


def test_a_message_in_a_message_is_a_part_that_is_read() -> None:
    inner = {
        "__properties_version1.0": bytes(24) + struct.pack("<HHIQ", 0x40, 0x39, 6, 133592028600000000),
        "__substg1.0_0037001F": wide("The inner subject"),
        "__substg1.0_1000001F": wide("The inner text."),
    }
    outer: dict[str, Any] = {
        "__properties_version1.0": bytes(32),
        "__nameid_version1.0": {"__substg1.0_00030102": bytes(8)},
        "__substg1.0_0037001F": wide("Outer"),
        "__substg1.0_007D001F": wide(
            "Message-ID: <a@b>\r\nFrom: Ada <Ada@Example.org>\r\nTo: b@c\r\n\r\n"
        ),
        "__attach_version1.0_#00000000": {
            "__properties_version1.0": bytes(8),
            "__substg1.0_3001001F": wide("The inner subject"),
            "__substg1.0_3701000D": inner,
        },
        "__attach_version1.0_#00000001": {
            "__substg1.0_3001001F": wide("Sheet"),
            "__substg1.0_3701000D": {PACKAGE: packaged("list.pdf", pdf("A list."))},
        },
    }
    found = unpacked(ole_file(outer))
    assert list(found.parts) == ["The inner subject.msg", "list.pdf"]
    assert found.parts["list.pdf"] == pdf("A list.")
    assert read(found.parts["The inner subject.msg"]).text == (
        "Date: Fri, 03 May 2024 09:41:00 +0000\nSubject: The inner subject\n\nThe inner text."
    )
    # What Outlook does not say itself is in the headers that the message came with.
    headers = read(ole_file(outer)).message
    assert headers is not None
    assert (headers["message_id"], headers["from_address"]) == ("<a@b>", "ada@example.org")
    assert headers["to_addresses"] == ["b@c"]


def test_an_appointment_and_a_contact_show_their_fields() -> None:
    ticks = 133_592_028_600_000_000
    names = struct.pack("<IHH", 0x820D, 0, 0) + struct.pack("<IHH", 0x8208, 0, 1)
    appointment: dict[str, Any] = {
        "__properties_version1.0": bytes(32) + struct.pack("<HHIQ", 0x40, 0x8000, 6, ticks),
        "__nameid_version1.0": {"__substg1.0_00030102": names},
        "__substg1.0_001A001F": wide("IPM.Appointment"),
        "__substg1.0_0037001F": wide("Meeting"),
        "__substg1.0_8001001F": wide("The lighthouse"),
    }
    assert read(ole_file(appointment)).text == (
        "Subject: Meeting\nStart: Fri, 03 May 2024 09:41:00 +0000\nLocation: The lighthouse"
    )
    contact = {
        "__properties_version1.0": bytes(32),
        "__substg1.0_001A001F": wide("IPM.Contact"),
        "__substg1.0_0037001F": wide("Ada"),
        "__substg1.0_3A16001F": wide("Engines & Co."),
        "__substg1.0_3A08001F": wide("+44 20 7946 0000"),
    }
    assert read(ole_file(contact)).text.endswith(
        "Company: Engines & Co.\nBusiness phone: +44 20 7946 0000"
    )


OBJECT = ole_file({PACKAGE: packaged("Größe.txt", NOTE), "\x01CompObj": b"x"})
WORKBOOK = ole_file({"Workbook": bytes(5000)})


@pytest.mark.parametrize(
    ("folder", "content", "mime_type"),
    [
        ("word", "word/document.xml", formats.DOCX.mime_type),
        ("xl", "xl/workbook.xml", formats.XLSX.mime_type),
        ("ppt", "ppt/presentation.xml", formats.PPTX.mime_type),
    ],
)
def test_a_wrapper_in_an_office_package_comes_out_as_the_file_in_it(
    folder: str, content: str, mime_type: str
) -> None:
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/{content}" ContentType="{mime_type}.main+xml"/></Types>'
    )
    found = unpacked(
        zipped(
            {
                "[Content_Types].xml": types,
                content: "<x/>",
                f"{folder}/embeddings/oleObject1.bin": OBJECT,
                f"{folder}/embeddings/oleObject2.bin": WORKBOOK,
                f"{folder}/embeddings/oleObject3.bin": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 damaged",
            }
        )
    )
    assert found.parts["Größe.txt"] == NOTE
    assert found.parts["oleObject2.xls"] == WORKBOOK
    assert found.parts["oleObject3.bin"].endswith(b"damaged")


def test_objects_of_an_open_document_come_out_and_what_is_shown_in_it_does_not() -> None:
    found = unpacked(
        zipped(
            {
                "mimetype": formats.ODT.mime_type,
                "content.xml": "<x/>",
                "META-INF/manifest.xml": "<x/>",
                "Pictures/a.png": b"PNG",
                "Object 1/content.xml": "<x/>",
                "Object 1/Pictures/b.png": b"PNG",
                "Object 2": OBJECT,
                "Media/talk.mp4": b"a film",
                "ObjectReplacements/Object 2": b"a picture",
            }
        )
    )
    assert found.parts == {"Größe.txt": NOTE, "talk.mp4": b"a film"}


def test_a_book_names_and_gives_what_is_no_page() -> None:
    book = zipped(
        {
            "mimetype": formats.EPUB.mime_type,
            "META-INF/container.xml": '<c><rootfile full-path="a.opf"/></c>',
            "a.opf": '<p xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml" '
            'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></p>',
            "a.xhtml": "<p>A page.</p>",
            "files/table.pdf": pdf("A table."),
        }
    )
    assert "attachment_unread" in read(book).kinds
    assert unpacked(book).parts == {"table.pdf": pdf("A table.")}


def test_objects_of_old_office_documents_come_out() -> None:
    pool = {"_1": {PACKAGE: packaged("note.txt", NOTE)}, "_2": {"WordDocument": bytes(600)}}
    document = ole_file({"WordDocument": bytes(5000), "ObjectPool": pool})
    found = unpacked(document)
    assert found.parts["note.txt"] == NOTE
    assert read(document, formats.DOC.mime_type).kinds >= {"attachment_unread"}
    with olefile.OleFileIO(io.BytesIO(found.parts["object 2.doc"])) as inner:
        assert inner.openstream("WordDocument").read() == bytes(600)
    equation: dict[str, Any] = {"Workbook": bytes(5000), "MBD00000001": {"Equation Native": b"x"}}
    found = unpacked(ole_file({**equation, "MBD00000002": {"CONTENTS": pdf("A PDF in a sheet.")}}))
    assert found.parts == {"object 2.pdf": pdf("A PDF in a sheet.")}
    assert [kind for kind, _ in found.notes] == ["object_unread"]


def test_objects_of_an_old_presentation_come_out_packed_or_not() -> None:
    def record(packed: int, data: bytes) -> bytes:
        return struct.pack("<HHI", packed << 4, 0x1011, len(data)) + data

    squeezed = struct.pack("<I", len(OBJECT)) + zlib.compress(OBJECT)
    slides = record(1, squeezed) + record(1, squeezed) + record(0, WORKBOOK)
    found = unpacked(ole_file({"PowerPoint Document": slides, "Current User": bytes(20)}))
    assert found.parts == {"Größe.txt": NOTE, "object 3.xls": WORKBOOK}


def test_objects_of_an_rtf_document_come_out_and_its_text_is_unchanged() -> None:
    def packed(kind: bytes, data: bytes) -> bytes:
        head = struct.pack("<III", 0x501, 2, len(kind) + 1) + kind + b"\0" + bytes(8)
        return (head + struct.pack("<I", len(data)) + data).hex().encode()

    first = packed(b"Package", packaged("note.txt", NOTE)[4:])
    second = packed(b"Excel.Sheet.8", WORKBOOK)
    rtf = rb"{\rtf1 before {\object\objemb{\*\objclass Package}{\*\objdata " + first + rb"}"
    rtf += rb"{\result shown}} between {\object{\*\objdata " + second + rb"}} after\par}"
    found = unpacked(rtf)
    assert found.parts == {"note.txt": NOTE, "object 2.xls": WORKBOOK}
    assert read(rtf).text.split() == ["before", "shown", "between", "after"]
    assert "attachment_unread" in read(rtf).kinds


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_bytes_a_mail_store_has_it_is_opened_or_refused_with_its_reason(
    data: st.DataObject,
) -> None:
    store = bytearray(STORE)
    for place in data.draw(st.lists(st.integers(0, len(store) - 1), min_size=1, max_size=40)):
        store[place] = data.draw(st.integers(0, 255))
    with suppress(PermanentError):
        unpacked(
            bytes(store[: data.draw(st.integers(600, len(store)))]), mime_type=formats.PST.mime_type
        )


def test_a_member_of_an_archive_without_a_name_is_passed_over() -> None:
    data = zipped({"x": b"nameless", "b.txt": b"named"}).replace(b"\1\0\0\0x", b"\0\0\0\0x")
    entry = data.index(b"PK\1\2")
    data = data[: entry + 28] + b"\0\0" + data[entry + 30 : entry + 46] + data[entry + 47 :]
    end = data.rindex(b"PK\5\6")
    size = struct.pack("<I", struct.unpack_from("<I", data, end + 12)[0] - 1)
    assert unpacked(data[: end + 12] + size + data[end + 16 :]).parts == {"b.txt": b"named"}


def test_what_outlook_packs_beside_a_mail_is_read_as_its_message() -> None:
    html = "<p>The <b>Größe</b> is agreed.</p>".encode()
    ticks = struct.pack("<Q", 133_592_028_600_000_000)
    inner = Winmail("Minutes", {0x1000: (TEXT, wide("They met in May."))}, attached={"b.txt": b"B\0"})
    data = winmail(
        Winmail(
            "Agreement",
            {0x1013: (BINARY, html), 0x001A: (TEXT, wide("IPM.Appointment"))},
            named={0x820D: (TIME, ticks), 0x8208: (TEXT, wide("Quay 3"))},
            recipients=["Ben", "Dora"],
            attached={"Zürich – note.txt": NOTE, "Minutes": inner},
        )
    )
    found = read(data)
    assert found.mime_type == formats.TNEF.mime_type
    assert found.text == (
        "To: Ben, Dora\nDate: Fri, 03 May 2024 09:41:00 +0000\nSubject: Agreement\n"
        "Start: Fri, 03 May 2024 09:41:00 +0000\nLocation: Quay 3\n\nThe Größe is agreed."
    )
    assert found.kinds == {"attachment_unread"}
    inside = unpacked(data)
    assert list(inside.parts) == ["Zürich – note.txt", "Minutes.msg"]
    assert inside.parts["Zürich – note.txt"] == NOTE
    assert read(inside.parts["Minutes.msg"]).text.endswith("They met in May.")
    assert unpacked(inside.parts["Minutes.msg"]).parts == {"b.txt": b"B\0"}


def test_the_plain_body_of_an_old_winmail_is_read_and_damage_has_a_reason() -> None:
    data = winmail(Winmail("Old", body="Größe".encode("cp1252"), attached={"note.txt": NOTE}))
    assert read(data).text.endswith("Subject: Old\n\nGröße")
    for end in (5, 45, len(data) // 2, len(data) - 30):
        with pytest.raises(PermanentError, match="damaged"):
            read(data[:end], formats.TNEF.mime_type)


def test_what_is_left_of_an_archive_without_its_directory_is_taken_out() -> None:
    whole = zipped({"a.txt": NOTE, "b.txt": NOTE * 2, "c.txt": NOTE})
    for data in (whole[: whole.index(b"PK\1\2")], b"PK\7\10" + whole[: whole.index(b"PK\1\2")]):
        found = unpacked(data)
        assert found.parts == {"a.txt": NOTE, "b.txt": NOTE * 2, "c.txt": NOTE}
        assert [kind for kind, _ in found.notes] == ["container_damaged"]


@pytest.mark.parametrize("pack", [zstd.compress, partial(lzma.compress, format=lzma.FORMAT_ALONE)])
def test_files_packed_alone_in_newer_and_older_ways_are_parts(pack: Callable[[bytes], bytes]) -> None:
    assert unpacked(pack(NOTE), "note.txt.zst").parts == {"note.txt": NOTE}
    with pytest.raises(PermanentError, match="damaged"):
        unpacked(pack(NOTE)[:9], "note.txt.zst", identify(io.BytesIO(pack(NOTE))).mime_type)


def in_steps(
    data: bytes, most_parts: int = 100
) -> tuple[list[tuple[str, bytes]], list[list[str]], int]:
    """Unpack, a part a step: the paths and bytes of the parts, the notes, and the number of steps."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "document")
        path.write_bytes(data)
        kind = identify(io.BytesIO(data)).mime_type
        limits = {"parts": most_parts, "bytes": 1 << 20, "seconds": 0}
        parts: list[tuple[str, bytes]] = []
        notes: list[list[str]] = []
        steps, more = 0, None
        while not steps or more is not None:
            found = unpack(str(path), kind, "document", folder, limits, more)
            for part in found["parts"]:
                file = Path(folder, str(len(parts) + 1))
                parts.append((part["path"], file.read_bytes() if file.exists() else b""))
            notes, more = notes + found["notes"], found["more"]
            steps += 1
    return parts, notes, steps


def test_many_parts_are_unpacked_in_steps_and_come_out_the_same() -> None:
    members = {f"{number}.txt": b"%d" % number for number in range(9)}
    archive = zipped({**members, "large": bytes(2 << 20), "last.txt": b"last"})
    parts, notes, steps = in_steps(archive)
    assert steps == 11
    assert parts == [*members.items(), ("large", b""), ("last.txt", b"last")]
    assert [kind for kind, _ in notes] == ["parts_left_out"]
    assert "1 of its 11 parts" in notes[0][1]
    assert in_steps(archive, most_parts=4)[0] == parts[:4]
    for data in (STORE, mailbox(mail("One"), mail("Two"), mail("Two"))):
        parts, _, steps = in_steps(data)
        assert steps == 3
        assert parts == list(unpacked(data).parts.items())


@pytest.mark.slow  # It has to compute longer than a worker may: the kernel counts in whole seconds.
def test_a_large_mail_store_is_unpacked_though_all_of_it_takes_longer_than_a_worker_may() -> None:
    mails = [StoredMail(f"Mail {number}", "Some words. " * 50) for number in range(20)]
    store = stored(pst({f"Folder {number}": mails for number in range(250)}), formats.PST.mime_type)
    for seconds, expected in ((0.2, 5000), (1000, 0)):
        limits = PartLimits(step_seconds=seconds)
        with closing(LocalEngine(1, Limits(cpu_seconds=1), part_limits=limits)) as engine:
            if expected:
                with engine.contents(store) as contents:
                    assert len(contents.parts) == expected
                    assert all(part.file and part.file.stat().st_size for part in contents.parts)
            else:
                with pytest.raises(PermanentError, match="of computing"), engine.contents(store):
                    pass
