"""The catalogue of types and that of their readers say the same, and so do the notes."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from importlib.metadata import version

import pytest

from ingest_assets import formats
from ingest_assets.notes import KINDS
from ingest_assets.ocr import local
from ingest_assets.ocr.sandbox.formats import READERS, Reader
from ingest_assets_tests.support.made_files import judge, made
from ingest_assets_tests.support.reading import read


def test_each_type_that_is_read_has_one_reader() -> None:
    counted = Counter(format_.mime_type for reader in READERS for format_ in reader.types)
    with_text = (found for found in formats.FORMATS.values() if found.read and found.holds != "only")
    assert counted == {found.mime_type: 1 for found in with_text}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.place)
def test_a_reader_is_there_and_its_notes_are_of_kinds_that_there_are(reader: Reader) -> None:
    module, _, function = reader.place.rpartition(".")
    assert callable(getattr(import_module(f"ingest_assets.ocr.sandbox.{module}"), function))
    assert set(reader.leaves) - {""} <= set(KINDS)


def test_textract_takes_four_types_and_all_others_are_read_here() -> None:
    here = {found for found in formats.FORMATS.values() if found.read and not found.local}
    assert here == {formats.PDF, formats.PNG, formats.JPEG, formats.TIFF}


def test_the_engines_version_names_the_programs_that_read() -> None:
    for program in ("selectolax", "pillow", "pi-heif", "xlrd", "olefile", "compressed-rtf"):
        assert f"{program} {version(program)}" in local.version()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_of_text_is_read_in_any_delimiter_and_encoding(delimiter: str, encoding: str) -> None:
    rows = [["Straße", "Größe", "Name"], ["Königsallee", "12,5", "Müller & Söhne"]]
    table = "\r\n".join(delimiter.join(row) for row in rows)
    found = read(table.encode(encoding))
    assert found.mime_type == formats.TEXT.mime_type
    assert found.text == table.replace("\r\n", "\n")
    assert not any(note.leaves_out for note in found.notes)


def test_markdown_is_text() -> None:
    page = "# Ebb und Flut\n\n- [Wetter](https://example.org)\n- *Wind*\n\n<br/>\n"
    assert read(page.encode()).text == page.rstrip("\n")


def test_nothing_of_files_of_all_types_is_left_out_silently() -> None:
    verdicts = {one.name: judge(one) for one in made()}
    assert len(verdicts) > 140
    assert not {
        name: why for name, (verdict, why) in verdicts.items() if verdict in ("silent", "wrong")
    }


CARD = (
    "BEGIN:VCARD\r\nVERSION:2.1\r\n"
    "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6=\r\nrg\r\n"
    "TEL;WORK:+49 30 123\r\n 456\r\nNOTE:One\\, two\\nthree\r\n"
    "PHOTO;ENCODING=b;TYPE=PNG:iVBORw0KGgo\r\n"
    " AAAANSU\r\nEND:VCARD\r\n"
)


def test_contacts_are_unfolded_and_decoded_and_their_pictures_are_noted() -> None:
    found = read(CARD.encode())
    assert found.mime_type == formats.CONTACTS.mime_type
    assert found.text.splitlines() == [
        *("BEGIN: VCARD", "VERSION: 2.1", "N: Müller;Jörg", "TEL;WORK: +49 30 123456"),
        *("NOTE: One, two", "three", "END: VCARD"),
    ]
    assert [(note.kind, note.sentence) for note in found.notes] == [
        ("content_unreadable", "files within it: PHOTO")
    ]


def test_a_calendar_is_unfolded() -> None:
    event = "BEGIN:VEVENT\r\nSUMMARY;LANGUAGE=de:Die Grö\r\n ße\r\nEND:VEVENT"
    found = read(f"BEGIN:VCALENDAR\r\n{event}\r\nEND:VCALENDAR".encode())
    assert found.mime_type == formats.CALENDAR.mime_type
    assert "SUMMARY;LANGUAGE=de: Die Größe" in found.text
