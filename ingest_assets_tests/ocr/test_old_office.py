"""Word's, PowerPoint's and Outlook's binary files, and RTF: made by hand, byte by byte."""

# ruff: noqa: E501  # Records are clearer in one line.
from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache

import compressed_rtf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets_tests.support.containers import ole_with
from ingest_assets_tests.support.reading import read
from ingest_assets_tests.support.scans import encoded, page_image

PICTURE = encoded(page_image(), "PNG")


def blip(picture: bytes) -> bytes:
    """A picture as Office stores it."""
    return struct.pack("<HHI", 0x6E0, 0xF01E, len(picture) + 17) + bytes(17) + picture


def doc(
    body: str, footnotes: str = "", margins: str = "", *, flags: int = 0, data: bytes = b""
) -> bytes:
    """A Word document whose text lies in two pieces: of one byte a character, then of two."""
    half = len(body) // 2
    narrow, wide = body[:half].encode("cp1252"), (body[half:] + footnotes + margins).encode("utf-16-le")
    head = bytearray(2048)
    struct.pack_into("<HH6xH", head, 0, 0xA5EC, 193, flags)
    struct.pack_into("<8i", head, 0x4C, len(body), len(footnotes), len(margins), 0, 0, 0, 0, 0)
    starts = struct.pack("<III", 0, half, len(body) + len(footnotes) + len(margins))
    pieces = struct.pack("<HIH", 0, 2 * 2048 | 0x4000_0000, 0)
    pieces += struct.pack("<HIH", 0, 2048 + len(narrow), 0)
    table = b"\x01\x02\x00\xff\xff\x02" + struct.pack("<I", len(starts + pieces)) + starts + pieces
    struct.pack_into("<II", head, 0x1A2, 0, len(table))
    return ole_with({"WordDocument": bytes(head) + narrow + wide, "0Table": table, "Data": data})


def test_a_word_document_shows_its_fields_results_tables_notes_and_margins() -> None:
    body = (
        'Harbour dues\rsee \x13 HYPERLINK "http://x" \x14the \x13 PAGE \x144\x15th list\x15 '
        "and \x13 TOC \x15more\rShip\x07Dues\x07\x07Ærø \x0bnon\x1ebreaking\r"
    )
    found = read(doc(body, "\x02 A note: čeština\r", "The footer\r"))
    assert found.mime_type == formats.DOC.mime_type
    assert found.pages == [
        "Harbour dues\nsee the 4th list and more\nShip\tDues\nÆrø\nnon-breaking\n\n A note: čeština\n\nThe footer"
    ]
    assert found.notes == ()


READING = r" EQ \* jc2 \* hps10 \o\ad(\s\up 9(とうきょう),東京)"


def test_words_in_the_code_of_a_field_that_has_no_result_are_shown() -> None:
    in_word = read(
        doc(f"Now \x13 MACROBUTTON Go click on the button\x15 to go on in\x13{READING}\x15\r")
    )
    assert in_word.pages == ["Now click on the button to go on in東京(とうきょう)"]
    code = READING.replace("\\", "\\\\").encode("cp932")
    rtf = b"{\\rtf1\\ansicpg932 From {\\field{\\*\\fldinst {%s}}{\\fldrslt }} on.}" % code
    assert read(rtf).pages == ["From 東京(とうきょう) on."]


def test_equations_of_rtf_are_written_in_a_line() -> None:
    fraction = rb"{\mf{\*\mfPr{\mtype bar}}{\mnum{\mr\mscr0 p}}{\mden{\mr\u946?q}}}"
    root = rb"{\mrad{\mradPr{\mdegHide 1}}{\mdeg}{\me{\mr z}}}"
    pict = rb"{\mmathPict{\*\shppict{\pict\pngblip 8950}}}"
    equation = rb"{\mmath{\*\moMath " + fraction + rb"{\mr =}" + root + rb"}" + pict + rb"}"
    found = read(rb"{\rtf1 Here " + equation + rb" there.}")
    assert (found.pages, found.notes) == (["Here p/βq=√z there."], ())
    deep = read(rb"{\rtf1 Here {\*\moMath " + rb"{\me" * 50_000 + rb"}" * 50_000 + rb"} there.}")
    assert (deep.pages, deep.kinds) == (["Here  there."], {"content_unreadable"})


def test_a_word_document_shows_the_numbers_of_its_lists_signs_and_not_what_was_deleted() -> None:
    text = "Dues\rFirst\rSecond DELETED stays\rUnder it\rPlain HIDDEN\rThird (b\r"

    def runs(marks: list[int], said: list[bytes], size: int) -> bytes:
        """A page of the file: where each run ends, and what is said of it."""
        page = bytearray(512)
        struct.pack_into(f"<{len(marks)}I", page, 0, *(2048 + mark for mark in marks))
        place = 510
        for number, one in enumerate(said):
            if one:
                place = (place - len(one)) & ~1
                page[place : place + len(one)] = one
                page[4 * len(marks) + size * number] = place // 2
        page[511] = len(said)
        return bytes(page)

    deleted, hidden = (text.index(word) for word in ("DELETED ", " HIDDEN"))
    sign = text.index(
        "("
    )  # So does the character stand for any sign; the letter is in a font of signs.
    signs = [struct.pack("<BHHH", 6, 0x6A09, 0, 0xF061), struct.pack("<BHH", 4, 0x4A4F, 0)]
    characters = runs(
        [0, deleted, deleted + 8, hidden, hidden + 7, sign, sign + 1, sign + 2, len(text)],
        [b"", b"\3\0\x08\1", b"", b"\3\x3c\x08\1", b"", *signs, b""],
        1,
    )
    font = bytes(39) + "Symbol\0".encode("utf-16-le")
    ends = [0, *(place + 1 for place, character in enumerate(text) if character == "\r")]
    in_list = [struct.pack("<BHHHHB", 5, 0, 0x460B, 1, 0x260A, depth) for depth in (0, 1)]
    of_style = struct.pack("<BH", 2, 1) + b"\0"  # Its style has the list.
    said = [b"\1\0\0", in_list[0], in_list[0], in_list[1], b"\1\0\0", of_style]
    paragraphs = runs(ends, said, 13)
    levels = b"".join(
        struct.pack("<iBB9xBII", start, form, 0, 0, 0, 0)
        + bytes(4)
        + struct.pack("<H", len(label))
        + label.encode("utf-16-le")
        for start, form, label in ((1, 0, "§ \0."), (1, 4, "(\0\1)"), *([(1, 23, "o")] * 7))
    )
    style = (
        struct.pack("<HHHHH", 0, 1 | 0xFFF << 4, 2, 0, 0) + struct.pack("<HH", 1, ord("L")) + bytes(2)
    )
    style += struct.pack("<HHHH", 6, 0, 0x460B, 1)
    table = bytearray()
    head = bytearray(4096)
    struct.pack_into("<HH6xH", head, 0, 0xA5EC, 193, 0)
    struct.pack_into("<8i", head, 0x4C, len(text), *([0] * 7))
    head[2048 : 2048 + len(text)] = text.encode("cp1252")
    head[3072:3584], head[3584:4096] = characters, paragraphs
    lists = struct.pack("<Hii18xBB", 1, 77, 0, 0, 0)
    for where, data, behind in (
        (
            0x1A2,
            struct.pack("<BIII", 2, 16, 0, len(text))
            + struct.pack("<HIH", 0, 2 * 2048 | 0x4000_0000, 0),
            b"",
        ),
        (0xFA, struct.pack("<III", 2048, 2048 + len(text), 6), b""),
        (0x102, struct.pack("<III", 2048, 2048 + len(text), 7), b""),
        (
            0xA2,
            struct.pack("<HHH", 4, 2, 10)
            + struct.pack("<H", 0)
            + struct.pack("<H", len(style))
            + style,
            b"",
        ),
        (0x112, struct.pack("<HHB", 1, 0, len(font)) + font, b""),
        (0x2E2, lists, levels),
        (0x2EA, struct.pack("<Ii12x", 1, 77), b""),
    ):
        struct.pack_into("<II", head, where, len(table), len(data))
        table += data + behind
    found = read(ole_with({"WordDocument": bytes(head), "0Table": bytes(table)}))
    assert found.pages == ["Dues\n§ 1. First\n§ 2. Second stays\n(2a) Under it\nPlain\n§ 3. Third αβ"]


def test_pictures_of_a_word_document_are_pages_or_noted() -> None:
    assert read(doc("See \x01\r", data=blip(PICTURE))).pages == ["See", None]
    assert read(doc("See \x01\r")).kinds == {"image_unreadable"}


def test_a_word_document_with_a_password_is_encrypted() -> None:
    with pytest.raises(PermanentError) as caught:
        read(doc("secret", flags=0x100))
    assert caught.value.code == "encrypted"


def record(kind: int, *inner: bytes, instance: int = 0) -> bytes:
    """A record of PowerPoint's that holds others."""
    content = b"".join(inner)
    return struct.pack("<HHI", 0xF | instance << 4, kind, len(content)) + content


def atom(kind: int, content: bytes, instance: int = 0) -> bytes:
    return struct.pack("<HHI", instance << 4, kind, len(content)) + content


def text(words: str) -> bytes:
    return atom(4000, words.encode("utf-16-le"))


def ppt(*, token: int = 0xE391C05F, pictures: bytes = b"", styles: bytes = b"") -> bytes:
    """Two slides, the second shown first, with a master, notes and a comment."""
    comment = record(
        12000, atom(4026, "Ada".encode("utf-16-le"), 0), atom(4026, "Check.".encode("utf-16-le"), 1)
    )
    tags = record(5000, record(5002, atom(5003, comment)))
    slide = [atom(1007, bytes(12) + struct.pack("<II", 9, notes) + bytes(4)) for notes in (0, 7)]
    master = record(
        1016,
        record(0xF004, text("Port office")),
        record(0xF004, atom(3011, b""), text("Click to edit")),
    )
    parts = [
        record(1006, slide[0], record(0xF004, text("Herring"), text("*"), styles)),
        record(1006, slide[1], record(0xF004, atom(4008, b"Cod")), tags),
        master,
        record(1008, record(0xF004, text("Say it slowly."))),
    ]
    places, stream = {}, b""
    for number, part in enumerate(parts, 2):
        places[number] = len(stream)
        stream += part
    entry = [
        atom(1011, struct.pack("<IIII", number, 0, 0, name) + bytes(4))
        for number, name in ((2, 1), (3, 2), (4, 9), (5, 7))
    ]
    document = record(
        1000,
        record(4080, entry[2], instance=1),
        record(4080, entry[1], text("In the outline"), entry[0]),
        record(4080, entry[3], instance=2),
    )
    places[1] = len(stream)
    stream += document
    directory = len(stream)
    stream += atom(6002, struct.pack("<I5I", 1 | 5 << 20, *(places[number] for number in range(1, 6))))
    edit = len(stream)
    stream += atom(4085, struct.pack("<IIIIII", 0, 0, 0, directory, 1, 6))
    user = atom(4086, struct.pack("<III", 20, token, edit))
    return ole_with({"PowerPoint Document": stream, "Current User": user, "Pictures": pictures})


def test_numbers_before_paragraphs_of_slides_are_noted() -> None:
    def styles(is_counted: int) -> bytes:
        paragraph = struct.pack("<IHHH", 0x03000000, is_counted, 3, 1) + bytes(8)
        return record(5000, record(5002, atom(5003, atom(4012, paragraph))))

    assert read(ppt(styles=styles(1))).kinds == {"content_unreadable"}
    assert read(ppt(styles=styles(0))).kinds == set()


def test_slides_are_pages_in_the_order_of_the_show() -> None:
    found = read(ppt(pictures=blip(PICTURE)))
    assert found.mime_type == formats.PPT.mime_type
    assert found.pages == [
        "In the outline\nCod\nCheck.\nPort office\nSay it slowly.",
        "Herring",
        None,
    ]
    assert found.notes == ()


def test_a_presentation_with_a_password_is_encrypted() -> None:
    with pytest.raises(PermanentError) as caught:
        read(ppt(token=0xF3D1C4DF))
    assert caught.value.code == "encrypted"


def msg(**bodies: bytes) -> bytes:
    """A message with recipients, two attachments and a body in the forms that are given."""

    def wide(words: str) -> bytes:
        return words.encode("utf-16-le")

    def fixed(head: int, *values: tuple[int, bytes]) -> bytes:
        return bytes(head) + b"".join(
            struct.pack("<HHI", 3, number, 6) + value.ljust(8, b"\0") for number, value in values
        )

    ticks = 133_592_028_600_000_000  # 2024-05-03 09:41 UTC
    streams = {
        "__properties_version1.0": fixed(
            32, (0x39, struct.pack("<Q", ticks)), (0x3FFD, struct.pack("<I", 1251))
        ),
        "__substg1.0_0037001F": wide("Größe & Prüfung"),
        "__substg1.0_0C1A001F": wide("Jörg"),
        "__substg1.0_0C1F001F": wide("/O=EXCHANGE/CN=JOERG"),
        "__substg1.0_5D01001F": wide("joerg@example.org"),
        "__recip_version1.0_#00000000/__properties_version1.0": fixed(8, (0xC15, b"\1")),
        "__recip_version1.0_#00000000/__substg1.0_3001001F": wide("Ben"),
        "__recip_version1.0_#00000000/__substg1.0_39FE001F": wide("ben@example.org"),
        "__recip_version1.0_#00000001/__properties_version1.0": fixed(8, (0xC15, b"\2")),
        "__recip_version1.0_#00000001/__substg1.0_3001001F": wide("carl@example.org"),
        "__attach_version1.0_#00000000/__substg1.0_3707001F": wide("Vertrag ü.pdf"),
        **{f"__substg1.0_{name}": content for name, content in bodies.items()},
    }
    return ole_with(streams)


HEAD = (
    "From: Jörg <joerg@example.org>\nTo: Ben <ben@example.org>\nCc: carl@example.org\n"
    "Date: Fri, 03 May 2024 09:41:00 +0000\nSubject: Größe & Prüfung\n\n"
)


@pytest.mark.parametrize(
    "form",
    [
        {"1000001F": "Договор подписан.".encode("utf-16-le")},
        {"1000001E": "Договор подписан.".encode("cp1251")},
        {"10130102": '<meta charset="koi8-r"><p>Договор <b>подписан</b>.</p>'.encode("koi8-r")},
        {
            "10090102": compressed_rtf.compress(
                rb"{\rtf1\ansi\ansicpg1251\fromhtml1{\*\htmltag64 <p>}\htmlrtf{\htmlrtf0 "
                + "".join(f"\\'{byte:02x}" for byte in "Договор подписан.".encode("cp1251")).encode()
                + rb"}}"
            )
        },
    ],
    ids=["text", "text of 8 bits", "HTML", "RTF"],
)
def test_an_outlook_message_shows_its_headers_and_its_body(form: dict[str, bytes]) -> None:
    found = read(msg(**form))
    assert found.mime_type == formats.MSG.mime_type
    assert found.text == HEAD + "Договор подписан."
    assert [note.kind for note in found.notes] == ["attachment_unread"]
    assert "Vertrag ü.pdf" in found.notes[0].sentence


def test_a_body_that_cannot_be_unpacked_is_noted() -> None:
    assert "content_unreadable" in read(msg(**{"10090102": b"no RTF at all, for sure"})).kinds


RTF = rb"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}
{\f2\fcharset128 Mincho;}}{\colortbl;\red0;}{\stylesheet{\s1 Heading;}}{\info{\author Ada}}
{\header Port office\par}{\*\generator Word;}
Gr\'fc\'dfe \u8364? \'93quoted\'94 {\f1 \'c4\'ee\'e3\'ee\'e2\'ee\'f0} {\f2\'93\'fa}\par
{\field{\*\fldinst HYPERLINK "http://x"}{\fldrslt the list}}{\v hidden}{\deleted gone}\line
Ship\cell Dues\cell\row
text{\footnote A note.}{\*\annotation A comment.}\par
{\*\shppict{\pict\pngblip PNG}}{\nonshppict{\pict\wmetafile8 0102}}
{\shp{\*\shpinst{\shptxt In a box.\par}}}{\object{\*\objdata 0105}{\result Shown}}{\footer Form 7\par}
\u55357?\u56842?}"""


def test_an_rtf_shows_its_text_margins_notes_and_pictures() -> None:
    found = read(RTF.replace(b"PNG", PICTURE.hex().encode()))
    assert found.mime_type == formats.RTF.mime_type
    page, picture = found.pages
    assert picture is None
    assert page is not None
    lines = page.split("\n")
    assert lines[0] == "Port office"
    assert lines[1] == "Grüße € “quoted” Договор 日"
    assert lines[2:4] == ["the list", "Ship\tDues"]
    for shown in ("A note.", "A comment.", "In a box.", "Shown", "Form 7", "😊"):
        assert shown in page
    for not_shown in ("hidden", "gone", "HYPERLINK", "Heading", "Ada", "0105", "Word"):
        assert not_shown not in page
    assert found.kinds == {"attachment_unread"}


def test_a_font_of_rtf_may_say_its_code_page() -> None:
    fonts = rb"{\fonttbl{\f0\fnil\cpg1251 Arial;}{\f1\fcharset204\cpg1252 Arial;}{\f2 Arial;}}"
    text = read(rb"{\rtf1\ansi" + fonts + rb"\f0 \'c4\'e0\f1\'c4\'e0\f2\'fc}").text
    assert text == "ДаДаü"


@cache
def samples() -> list[tuple[bytes, str]]:
    return [
        (doc("Harbour dues\r"), formats.DOC.mime_type),
        (ppt(), formats.PPT.mime_type),
        (msg(**{"1000001F": b"a\0"}), formats.MSG.mime_type),
        (RTF, formats.RTF.mime_type),
    ]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_bytes_end_as_text_or_with_a_reason(data: st.DataObject) -> None:
    whole, kind = data.draw(st.sampled_from(samples()))
    place = data.draw(st.integers(0, len(whole)))
    changed = whole[:place] + data.draw(st.binary(max_size=20)) + whole[place + 1 :]
    with suppress(PermanentError):
        assert read(changed[: data.draw(st.integers(0, len(whole)))], kind).pages
    with suppress(PermanentError):
        assert read(changed, kind).pages


def test_braces_nested_without_end_are_read() -> None:
    assert read(rb"{\rtf1 " + b"{" * 50_000 + b"deep", formats.RTF.mime_type).text == "deep"


def test_properties_of_shapes_in_an_rtf_are_no_text() -> None:
    shape = rb"{\rtf1 before {\shp{\*\shpinst{\sp{\sn shapeType}{\sv 202}}{\shptxt in a box}}} after}"
    assert read(shape).text.split() == ["before", "in", "a", "box", "after"]


def test_word_art_in_an_rtf_shows_its_words_on_a_line_of_their_own() -> None:
    art = rb"{\sp{\sn gtextUNICODE}{\sv Harbour \u8364? fair}}{\sp{\sn gtextFont}{\sv Arial}}"
    found = read(rb"{\rtf1 before {\shp{\*\shpinst" + art + rb"}}after}")
    assert found.text.split("\n") == ["before", "Harbour € fair", "after"]
