"""Mail and web archives, as they come from programs of all ages."""

from __future__ import annotations

import base64
import io
import time
from email.message import EmailMessage

import pytest
from asn1crypto import cms

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets.identification import identify
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.reading import read, unpacked
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


def test_a_mail_of_pictures_that_are_elsewhere_says_so() -> None:
    picture = '<a href="x"><img width="600" src="https://example.org/sale.png"></a>'
    assert read(mail(html=picture, text=" ").as_bytes()).kinds == {"image_unreadable"}
    assert read(mail(html=f"<p>Sale!</p>{picture}", text=" ").as_bytes()).notes == ()


def test_raw_bytes_and_broken_words_in_headers_are_read() -> None:
    subject = "Subject: Kündigung =?utf-8?b?R3LDvMOfZQ==?= =?x-none?q?a=FCb?=\r\n\r\nText.".encode(
        "latin-1"
    )
    text = read(HEAD.encode() + subject).text
    assert "Kündigung" in text
    assert "Grüße" in text


def test_a_subject_that_is_folded_within_an_encoded_word_is_read() -> None:
    subject = "Subject: =?utf-8?q?End_der_Stra=C3\r\n =9Fe?= =?utf-8?b?R3LDvA==?=\r\n\r\nText."
    assert "Subject: End der StraßeGrü\n" in read(f"{HEAD}{subject}".encode()).text


@pytest.mark.parametrize(
    "kind", ["multipart/mixed", "multipart/alternative; boundary=B", "multipart/related; boundary=B"]
)
def test_a_mail_that_lacks_the_parts_it_is_said_to_have_is_its_text(kind: str) -> None:
    found = read(raw(kind, "The keel is laid in May."))
    assert found.text.endswith("\n\nThe keel is laid in May.")
    assert found.kinds == set()


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


def raw(kind: str, body: bytes | str, head: str = HEAD) -> bytes:
    body = body if isinstance(body, bytes) else body.replace("\n", "\r\n").encode()
    return f"{head}Content-Type: {kind}\r\n\r\n".encode() + body


def parts(*inner: str) -> str:
    return "".join(f"--B\n{one}\n" for one in inner) + "--B--\n"


@pytest.mark.parametrize(
    ("stated", "written", "text"),
    [
        ("gb2312", "gb18030", "镕基 合同已签署 瞭望"),
        ("iso-8859-1", "cp1252", "“Quoted” – €5"),
        ("x-sjis", "cp932", "契約書①を添付します。"),
        ("ks_c_5601-1987", "cp949", "계약서를 첨부합니다. 똠방"),
        ("iso-8859-8-i", "cp1255", "חוזה שכירות"),
        ("us-ascii", "utf-8", "Größe „Müller“"),
        ("iso-2022-jp", "iso-2022-jp", "契約書を添付します。"),
        ("gb2312", "utf-8", "合同编号与签字日期一起保存，甲方乙方"),
        ("gb2312", "gb18030", "联通"),  # Its bytes are UTF-8, too.
        ("ibm850", "utf-8", "Größe für Müller"),
        ("utf-16", "utf-8", "The keel is laid in May."),
        ("utf-16le", "utf-16-le", "散步吧。合同编"),
    ],
)
def test_what_programs_write_under_the_name_of_another_encoding_is_read(
    stated: str, written: str, text: str
) -> None:
    found = read(raw(f"text/plain; charset={stated}", text.encode(written)))
    assert found.text.partition("\n\n")[2] == text


def test_japanese_with_the_characters_of_windows_is_read() -> None:
    body = b"\x1b$B-!7@Ls=q-j\x1b(B No. 1"
    assert read(raw("text/plain; charset=iso-2022-jp", body)).text.endswith("①契約書㈱ No. 1")


def test_forms_of_a_body_that_say_different_things_are_both_read() -> None:
    def both(plain: str, html: str) -> str:
        kind = 'multipart/alternative; boundary="B"'
        text = "Content-Type: text/plain\n\n" + plain
        return read(raw(kind, parts(text, "Content-Type: text/html\n\n" + html))).text

    plain = "Your program does not show this. Open it in a browser to see the offer that we made."
    found = both(plain, "<p>Lot 12 costs 4,400 EUR.</p>")
    assert plain in found
    assert "Lot 12 costs 4,400 EUR." in found
    assert both("Lot 12 costs 4,400 EUR.", "<p>Lot <b>12</b> costs 4,400 EUR.</p>").count("Lot") == 1


def test_lines_that_were_broken_to_send_them_are_joined() -> None:
    body = "A lea \nse that flows \n\n> quoted \n> text\n-- \nAda\n"
    found = read(raw("text/plain; format=flowed; delsp=yes", body)).text
    assert found.partition("\n\n")[2] == "A lease that flows\n> quotedtext\n--\nAda"
    assert "A lea se" in read(raw("text/plain; format=flowed", body)).text


def test_reports_of_servers_and_bodies_in_rich_text_are_read() -> None:
    notification = parts(
        "Content-Type: text/plain\n\nIt was read.",
        "Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; carl@example.org\n"
        "Disposition: manual-action; displayed\n",
    )
    found = read(raw('multipart/report; boundary="B"', notification)).text
    assert "It was read." in found
    assert "Disposition: manual-action; displayed" in found
    assert read(raw("text/enriched", "<bold>Due</bold> in <<May>")).text.endswith("Due in <May>")
    assert read(raw("text/rtf", "{\\rtf1 Due \\b now\\b0 .}")).text.endswith("Due now.")
    assert "content_unreadable" in read(raw("message/partial; number=1", "From: a@b\n\nHalf.")).kinds


def test_the_part_that_shows_the_others_is_the_body_wherever_it_stands() -> None:
    body = parts(
        "Content-Type: image/png; name=a.png\nContent-ID: <a>\n\nPNG",
        "Content-Type: text/html\nContent-ID: <page>\n\n<p>The page.</p>",
    )
    for kind in ('multipart/related; start="<page>"', "multipart/related"):
        assert read(raw(f'{kind}; boundary="B"', body)).text.endswith("The page.")


def test_a_sealed_mail_says_so_and_names_what_it_is() -> None:
    found = read(raw("application/pkcs7-mime; name=smime.p7m", "MIAG"))
    assert found.kinds == {"content_unreadable", "attachment_unread"}


def test_a_file_in_yenc_comes_out_of_the_text() -> None:
    packed = bytes((byte + 42) % 256 for byte in b"Forty herrings").replace(b"=", b"=}")
    body = b"Before.\r\n=ybegin line=128 size=14 name=list.txt\r\n" + packed + b"\r\n=yend size=14\r\n"
    data = raw("text/plain", body + b"After.")
    assert read(data).text.partition("\n\n")[2].split() == ["Before.", "After."]
    assert unpacked(data).parts == {"list.txt": b"Forty herrings"}


def test_names_of_attachments_are_read_in_all_their_ways() -> None:
    names = (
        "filename*0*=UTF-8''Vertrag%20%E2%80%93%20;\n filename*1=Sohn.txt",
        "filename*=iso-8859-1'de'Stra%DFe.txt",
        'filename="=?iso-8859-1?Q?K=FCndigung?= =?iso-8859-1?Q?_neu.txt?="',
        "filename=über.txt",
        "",
    )
    body = parts(
        *(
            "Content-Type: application/octet-stream\n"
            f"Content-Disposition: attachment; {name}\n\n{number}"
            for number, name in enumerate(names)
        )
    )
    found = unpacked(raw('multipart/mixed; boundary="B"', body)).parts
    assert list(found) == [
        "Vertrag – Sohn.txt",
        "Straße.txt",
        "Kündigung neu.txt",
        "über.txt",
        "part 5.bin",
    ]


def test_what_is_only_said_to_be_attached_is_named_with_its_reason() -> None:
    body = parts(
        'Content-Type: message/external-body; access-type=URL; URL="http://x"\n\n'
        "Content-Type: image/png\n\n",
        "Content-Type: application/pdf; name=a.pdf\nX-Apple-Content-Length: 48220\n\n",
    )
    problems = unpacked(raw('multipart/mixed; boundary="B"', body)).problems
    assert [code for code, _ in problems.values()] == ["part_damaged"] * 2
    assert "Apple" in problems["a.pdf"][1]


@pytest.mark.parametrize("between", ["", "\n"])
def test_a_mailbox_parts_its_mails_and_not_their_texts(between: str) -> None:
    first = "From a@b Fri May  3 09:41:00 2024\nSubject: one\n\nFrom Monday 09:41 on\n>From here.\n"
    found = unpacked((first + between + first.replace("one", "two")).encode()).parts
    assert list(found) == ["00001 one.eml", "00002 two.eml"]
    assert found["00001 one.eml"].endswith(b"From Monday 09:41 on\nFrom here.\n")


def test_headers_without_end_are_cut_and_noted() -> None:
    words = "=?utf-8?B?R3LDtsOfZSA=?=\n " * 400_000
    started = time.process_time()
    found = read(f"From: a@b.c\nMIME-Version: 1.0\nSubject: {words}\n\nThe body.\n".encode())
    assert time.process_time() - started < 5
    assert found.text.endswith("The body.")
    assert "Größe Größe" in found.text
    assert found.kinds == {"content_unreadable"}


def test_a_file_in_a_web_archive_that_is_no_part_of_a_page_is_named_and_comes_out() -> None:
    body = parts(
        "Content-Type: text/html\n\n<p>The page.</p>",
        "Content-Type: text/css\n\np{}",
        "Content-Type: application/pdf; name=a.pdf\n\n%PDF-1.4 a file",
    )
    head = "Snapshot-Content-Location: http://x/\r\nMIME-Version: 1.0\r\n"
    data = raw('multipart/related; boundary="B"', body, head)
    assert (read(data).text, read(data).kinds) == ("The page.", {"attachment_unread"})
    assert list(unpacked(data).parts) == ["a.pdf"]


def signed_by_nobody(content: bytes | None) -> bytes:
    """What a signature is wrapped around, without the signature; None where that is elsewhere."""
    inside = {"content_type": "data", **({} if content is None else {"content": content})}
    signed = {"version": "v1", "digest_algorithms": [{"algorithm": "sha256"}], "signer_infos": []}
    message = {"content_type": "signed_data", "content": {**signed, "encap_content_info": inside}}
    return bytes(cms.ContentInfo(message).dump())


def sealed_for_nobody() -> bytes:
    """What is encrypted with a key that nobody has."""
    inside = {
        "content_type": "data",
        "content_encryption_algorithm": {"algorithm": "tripledes_3key", "parameters": b"12345678"},
        "encrypted_content": b"secret",
    }
    sealed = {"version": "v0", "recipient_infos": [], "encrypted_content_info": inside}
    return bytes(cms.ContentInfo({"content_type": "enveloped_data", "content": sealed}).dump())


INSIDE = parts(
    "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nDie Größe steht fest.",
    "Content-Type: text/plain; name=list.txt\nContent-Disposition: attachment\n\nForty herrings",
)
SIGNED_MAIL = signed_by_nobody(b'Content-Type: multipart/mixed; boundary="B"\r\n\r\n' + INSIDE.encode())


@pytest.mark.parametrize("disposition", ["attachment; filename=smime.p7m", "inline"])
def test_a_mail_within_its_signature_is_read_as_the_mail_that_it_is(disposition: str) -> None:
    head = f"application/pkcs7-mime; smime-type=signed-data\nContent-Disposition: {disposition}"
    data = raw(f"{head}\nContent-Transfer-Encoding: base64", base64.encodebytes(SIGNED_MAIL))
    assert read(data).text.endswith("Die Größe steht fest.")
    assert read(data).kinds == {"attachment_unread"}
    assert unpacked(data).parts == {"list.txt": b"Forty herrings"}


@pytest.mark.parametrize(
    "data",
    [
        SIGNED_MAIL,
        base64.encodebytes(SIGNED_MAIL),
        b"-----BEGIN PKCS7-----\n" + base64.encodebytes(SIGNED_MAIL) + b"-----END PKCS7-----\n",
    ],
    ids=["bytes", "Base64", "PEM"],
)
def test_a_file_that_is_a_signed_mail_holds_the_mail(data: bytes) -> None:
    (inner,) = unpacked(data, "letter.p7m").parts.items()
    assert inner[0] == "letter.eml"
    assert read(inner[1]).text == "Die Größe steht fest."
    assert unpacked(inner[1]).parts == {"list.txt": b"Forty herrings"}


def test_a_document_within_its_signature_is_a_part() -> None:
    document = pdf("The lease.")
    wrapped = signed_by_nobody(document)
    assert unpacked(wrapped, "lease.pdf.p7m").parts == {"lease.pdf": document}
    attached = parts(
        "Content-Type: text/plain\n\nSee the lease.",
        "Content-Type: application/pkcs7-mime; name=lease.pdf.p7m\n"
        f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(wrapped).decode()}",
    )
    data = raw('multipart/mixed; boundary="B"', attached)
    assert read(data).kinds == {"attachment_unread"}
    assert unpacked(data).parts == {"lease.pdf.p7m": wrapped}


def test_what_is_encrypted_and_a_signature_alone_have_names_of_their_own() -> None:
    sealed = sealed_for_nobody()
    assert identify(io.BytesIO(sealed)) is formats.SEALED
    assert identify(io.BytesIO(base64.encodebytes(sealed))) is formats.SEALED
    assert identify(io.BytesIO(signed_by_nobody(None))) is formats.SIGNATURE
    head = "application/pkcs7-mime; name=smime.p7m\nContent-Disposition: attachment"
    data = raw(f"{head}\nContent-Transfer-Encoding: base64", base64.encodebytes(sealed))
    assert read(data).kinds == {"content_unreadable", "attachment_unread"}
