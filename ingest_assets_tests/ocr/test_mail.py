"""Mail and web archives, as they come from programs of all ages."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from ingest_assets.errors import PermanentError
from ingest_assets_tests.support.reading import read
from ingest_assets_tests.support.scans import encoded, page_image

HEAD = (
    "From: Ada <ada@example.org>\r\nTo: ben@example.org\r\nDate: Fri, 3 May 2024 09:41:00 +0000\r\n"
    "Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
)


def mail(*, html: str | None = None, text: str = "The keel is laid in May.") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Jörg Ånström <joerg@example.org>"
    message["To"] = "Ben <ben@example.org>, carl@example.org"
    message["Cc"] = "Dora <dora@example.org>"
    message["Date"] = "Fri, 03 May 2024 09:41:00 +0000"
    message["Subject"] = "Größe & Prüfung: " + "ein langer Betreff " * 6
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


def test_headers_and_body_are_text_and_attachments_are_named() -> None:
    message = mail(html="<p>The keel is <b>laid</b> in May.</p>")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Vertrag ü.pdf")
    message.add_attachment(mail(), filename=None)

    found = read(message.as_bytes())

    assert found.text.splitlines()[0] == "From: Jörg Ånström <joerg@example.org>"
    assert "To: Ben <ben@example.org>, carl@example.org" in found.text
    assert "Cc: Dora <dora@example.org>" in found.text
    assert "Subject: Größe & Prüfung: ein langer Betreff ein langer" in found.text
    assert found.text.count("The keel is laid in May.") == 1
    (note,) = found.notes
    assert note.leaves_out
    assert "Vertrag ü.pdf" in note.sentence
    assert "the mail “Größe & Prüfung" in note.sentence


def test_of_a_body_in_two_forms_the_one_that_says_more_is_read() -> None:
    long = "<p>The mast is stepped in June, and the sails are bent on in July.</p>"
    assert "stepped in June" in read(mail(html=long, text=" ").as_bytes()).text
    assert "stepped in June" in read(mail(html=long, text="See the web.").as_bytes()).text


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-8", "windows-1252", "no-such-charset", ""])
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_transfer_encodings_are_undone_and_characters_are_right(charset: str, encoding: str) -> None:
    body = "Die Kündigung gilt für die Straße.\r\nMit freundlichen Grüßen".encode(
        charset if charset in ("utf-8", "windows-1252") else "iso-8859-1"
    )
    packed = {
        "8bit": body,
        "base64": base64.encodebytes(body),
        "quoted-printable": b"".join(
            b"=%02X" % byte if byte > 126 or byte == 61 else bytes([byte]) for byte in body
        ),
    }[encoding]
    kind = f"Content-Type: text/plain{f'; charset={charset}' if charset else ''}\r\n"
    head = f"{HEAD}{kind}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()

    found = read(head + packed)

    assert "Die Kündigung gilt für die Straße.\nMit freundlichen Grüßen" in found.text


def test_raw_bytes_and_broken_words_in_headers_are_read() -> None:
    subject = "Subject: Kündigung =?utf-8?b?R3LDvMOfZQ==?= =?x-none?q?a=FCb?=\r\n\r\nText.".encode(
        "latin-1"
    )
    text = read(HEAD.encode() + subject).text
    assert "Kündigung" in text
    assert "Grüße" in text


def test_an_emlx_is_a_mail_with_something_around_it() -> None:
    inner = mail().as_bytes()
    found = read(b"%-10d\n" % len(inner) + inner + b'<?xml version="1.0"?><plist>flags</plist>')
    assert "The keel is laid in May." in found.text
    assert "flags" not in found.text


def test_a_file_within_the_text_is_named_and_its_bytes_are_no_text() -> None:
    packed = "begin 644 plan.doc\n#0V%T\n`\nend\n"
    found = read((HEAD + "Subject: old\r\n\r\nSee the plan.\n" + packed + "Bye.").encode())
    assert "#0V%T" not in found.text
    assert "See the plan." in found.text
    assert "Bye." in found.text
    assert "plan.doc" in found.notes[0].sentence


def test_damaged_base64_is_noted_and_the_rest_is_read() -> None:
    body = base64.encodebytes(b"The anchor is weighed.")[:-3]
    kind = "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    found = read((HEAD + kind).encode() + body)
    assert "The anchor is" in found.text
    assert found.kinds == {"content_unreadable"}


def test_an_encrypted_mail_says_so() -> None:
    kind = 'Content-Type: multipart/encrypted; boundary="b"\r\n\r\n--b\r\n\r\nx\r\n--b--'
    assert read((HEAD + kind).encode()).kinds == {"content_unreadable"}


def test_mails_nested_without_end_are_refused() -> None:
    deep = HEAD + "".join(
        f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n'
        for level in range(3000)
    )
    with pytest.raises(PermanentError, match="nested too deeply"):
        read(deep.encode())


def test_a_web_archive_is_its_pages_and_its_pictures() -> None:
    picture = base64.encodebytes(encoded(page_image(), "PNG")).decode()
    archive = (
        "From: <Saved by Blink>\r\nSnapshot-Content-Location: https://example.org/\r\nSubject: x\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/related; type="text/html"; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "<style>p {}</style><p>Tide tables für May</p><script>hidden()</script>\r\n"
        f"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n{picture}\r\n"
        "--b\r\nContent-Type: text/css\r\n\r\nbody { margin: 0 }\r\n--b--\r\n"
    ).encode()
    found = read(archive)
    assert found.mime_type == "application/x-mimearchive"
    assert found.pages == ["Tide tables für May", None]
