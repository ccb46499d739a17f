"""Files of all types with the habits of the programs that write them, and what was put into each.

Belongs here: making them, and judging what was read. A file is *right* where all phrases that it shows
were read, and none that it hides; *noted* where one is missing and a note, or the error of a part, says
so; *refused* where it has to be, under the name of its type; *silent* where a phrase is missing and
nothing says so, and *wrong* where something is read or refused that should not be.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import compressed_rtf
import openpyxl
import py7zr
import xlwt
from backports import zstd
from docx import Document
from inflate64 import Deflater
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment

from ingest_assets.errors import IngestError
from ingest_assets.identification import identify
from ingest_assets.ocr.sandbox.unpacking.ole_file import ole_file
from ingest_assets_tests.support.containers import ole, zipped
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.office import (
    MAIN,
    RELATIONS,
    epub,
    open_document,
    package,
    pptx,
    related,
    shape,
    slide,
)
from ingest_assets_tests.support.outlook import TEXT, Winmail, winmail
from ingest_assets_tests.support.packages import flat_open_document, mail, mailbox
from ingest_assets_tests.support.pst import StoredMail, pst
from ingest_assets_tests.support.reading import read, unpacked

MARKUP = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
VERDICTS = ("right", "noted", "refused", "silent", "wrong")
_DEEPEST = 6


@dataclass(frozen=True)
class Made:
    """A file, and what was put into it.

    Attributes:
        kind: the line of the table.
        shows: phrases that a person who opens it sees, or finds in what is inside it.
        hides: phrases that nobody sees.
        refused: part of the name under which it has to be refused; empty where it has to be read.
    """

    kind: str
    name: str
    data: bytes
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    refused: str = ""


@dataclass
class Seen:
    """What was read of a file, with what is inside it."""

    text: str = ""
    notes: str = ""
    refused: str = ""


HEAD = "From: Ada <ada@example.org>\nTo: ben@example.org\nDate: Fri, 3 May 2024 09:41:00 +0000\n"


def eml(body: str | bytes, head: str = "", subject: str = "A subject") -> bytes:
    """A mail whose body, with its own headers, is as it is given."""
    top = f"{HEAD}Subject: {subject}\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n{head}".encode()
    body = body.encode() if isinstance(body, str) else body
    return (top + body).replace(b"\n", b"\r\n")


def multipart(kind: str, *parts: str) -> str:
    inside = "".join(f"--B\n{part}\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="B"\n\n{inside}--B--\n'


def mails() -> Iterator[Made]:
    plain, html = "Content-Type: text/plain\n\n", "Content-Type: text/html; charset=utf-8\n\n"
    lease = "The keel is laid in May."
    yield Made("EML", "plain.eml", eml(plain + lease), (lease, "A subject", "ada@example.org"))
    yield Made("EML", "only-html.eml", eml(multipart("alternative", f"{html}<p>{lease}</p>")), (lease,))
    yield Made(
        "EML",
        "empty-plain-beside-html.eml",
        eml(multipart("alternative", plain, f"{html}<p>{lease}</p><script>evil()</script>")),
        (lease,),
        ("evil",),
    )
    yield Made(
        "EML",
        "view-in-browser.eml",
        eml(multipart("alternative", plain + "Your client shows no HTML.", f"{html}<p>{lease}</p>")),
        (lease,),
    )
    name = "filename*0*=UTF-8''Vertrag%20%C3%BC;\n filename*1*=ber%20Boote.txt"
    yield Made(
        "EML",
        "rfc2231.eml",
        eml(
            multipart(
                "mixed",
                plain + "See below.",
                f"Content-Type: text/plain\nContent-Disposition: attachment; {name}\n\n{lease}",
            )
        ),
        (lease, "Vertrag über Boote.txt"),
    )
    words = "=?utf-8?B?R3LDtsOf?= =?utf-8?Q?e_der?= =?iso-8859-1?Q?_K=FCste?="
    yield Made("EML", "rfc2047.eml", eml(plain + lease, subject=words), ("Größe der Küste",))
    yield Made(
        "EML",
        "rfc2047-wrong-charset.eml",
        eml(plain + lease, subject="=?us-ascii?Q?Gr=C3=B6=C3=9Fe?= =?x-unknown?Q?_und_Form?="),
        ("Größe", "und Form"),
    )
    split = "=?utf-8?B?R3LD?= =?utf-8?B?tsOfZQ==?="
    yield Made("EML", "rfc2047-split-character.eml", eml(plain + lease, subject=split), ("Größe",))
    chinese = f"=?gb2312?B?{base64.b64encode('港口镕'.encode('gbk')).decode()}?="
    yield Made("EML", "wider-than-stated.eml", eml(plain + lease, subject=chinese), ("港口镕",))
    yield Made("EML", "8-bit-headers.eml", eml(plain + lease, subject="Größe"), ("Größe",))
    yield Made(
        "EML",
        "latin-1-headers.eml",
        eml(plain + lease, subject="GROESSE").replace(b"GROESSE", "Größe".encode("latin-1")),
        ("Größe",),
    )
    inner = mail("Inner subject", lease, {"list.txt": b"Forty herrings"}).decode()
    forwarded = f"Content-Type: message/rfc822\n\n{inner}"
    yield Made(
        "EML",
        "nested.eml",
        eml(multipart("mixed", plain + "See below.", forwarded)),
        (lease, "Inner subject", "Forty herrings"),
    )
    deep = mail("Level 3", lease)
    for level in (2, 1):
        deep = mail(f"Level {level}", "See below.", {"inner.eml": deep})
    yield Made("EML", "nested-as-files.eml", deep, (lease, "Level 3"))
    packed = b"begin 644 list.txt\n" + binascii.b2a_uu(b"Forty herrings") + b"`\nend\n"
    yield Made("EML", "uuencode.eml", eml(plain + "Before.\n" + packed.decode()), ("Forty herrings",))
    y = bytes((byte + 42) % 256 for byte in b"Forty herrings").replace(b"=", b"=}")
    news = b"\nBefore.\n=ybegin line=128 size=14 name=list.txt\n" + y + b"\n=yend size=14\n"
    yield Made("EML", "yenc.eml", eml(news, plain[:-1]), ("Before.", "Forty herrings"))
    flowed = "Content-Type: text/plain; format=flowed\n\nThe keel is \nlaid in May.\n"
    yield Made("EML", "flowed.eml", eml(flowed), (lease,))
    broken = "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nThe keel is=\n laid in May.=20\nGr=C3=B6=C3=9Fe"
    yield Made("EML", "quoted-printable.eml", eml(broken), (lease, "Größe"))
    event = (
        "BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REQUEST\nBEGIN:VEVENT\nDTSTART:20240503T094100Z\n"
        "SUMMARY:Laying the keel\\, with\n  cake\nLOCATION:Quay 3\nDESCRIPTION:Bring a hat.\\nAnd rope\n"
        "ORGANIZER;CN=Ada:mailto:ada@example.org\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    invitation = f"Content-Type: text/calendar; method=REQUEST\n\n{event}"
    yield Made(
        "EML",
        "invitation.eml",
        eml(multipart("alternative", plain + "You are invited.", invitation)),
        ("You are invited.", "Laying the keel", "Quay 3", "Bring a hat."),
    )
    yield Made("ICS, VCF", "event.ics", event.encode(), ("Laying the keel", "with cake", "Quay 3"))
    card = (
        "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\n"
        "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg M=C3=BCller\n"
        "TEL;WORK:+49 30 123456\nEND:VCARD\n"
    )
    yield Made("ICS, VCF", "card-2.1.vcf", card.encode(), ("Jörg Müller", "+49 30 123456"))
    card = "BEGIN:VCARD\nVERSION:4.0\nFN:Jörg Müller\nNOTE:He likes\\, as all do\\, boats\nEND:VCARD\n"
    yield Made("ICS, VCF", "card-4.0.vcf", card.encode(), ("Jörg Müller", "He likes"))
    yield Made("EML", "utf-16-body.eml", eml(
        "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(lease.encode("utf-16")).decode()), (lease,))  # fmt: skip
    yield Made("EML", "wrong-charset.eml", eml(
        "Content-Type: text/plain; charset=us-ascii\n\nGröße"), ("Größe",))  # fmt: skip
    report = (
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\n"
        "Final-Recipient: rfc822; carl@example.org\nDiagnostic-Code: smtp; 550 mailbox full\n"
    )
    yield Made("EML", "bounce.eml", eml(multipart("report", plain + "It failed.", report)),
               ("It failed.", "550 mailbox full"))  # fmt: skip
    picture = "Content-Type: image/png; name=keel.png\nContent-ID: <a>\n\nnot a png"
    yield Made("EML", "related.eml", eml(
        multipart("related", f'{html}<p>{lease}</p><img src="cid:a" alt="a keel">', picture)),
        (lease, "a keel"))  # fmt: skip
    attached = {"Sheet.xlsx": workbook()}
    yield Made("EML", "workbook-attached.eml", mail("With a sheet", lease, attached), (lease, "Quay 7"))
    emlx = eml(plain + lease)
    yield Made("EML", "apple.emlx", f"{len(emlx)}\n".encode() + emlx + b"<?xml version='1.0'?><plist/>",
               (lease,))  # fmt: skip
    yield Made("EML", "no-final-boundary.eml", eml(
        multipart("mixed", plain + lease, plain + "And more.").replace("--B--\n", "")),
        (lease, "And more."))  # fmt: skip
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ada <a@b.org>", "c@d.org", "Tagged"
    message.set_content(lease, cte="base64")
    yield Made("EML", "base64-text.eml", bytes(message), (lease,))
    pgp = multipart(
        "encrypted; protocol=application/pgp-encrypted",
        "Content-Type: application/pgp-encrypted\n\nVersion: 1",
    )
    yield Made("EML", "pgp-encrypted.eml", eml(pgp), ("What only Ben can read.",))
    herrings = multipart(
        "mixed", plain + lease, "Content-Type: text/plain; name=list.txt\n\nForty herrings"
    )
    marked = "Content-Transfer-Encoding: 8bit\n" + herrings
    for name, encoding in (("bom.eml", "utf-8-sig"), ("utf-16.eml", "utf-16")):
        wide = eml(marked, subject="Größe").decode().encode(encoding)
        yield Made("EML", name, wide, (lease, "Subject: Größe", "Forty herrings"), ("Message-ID",))
    amp = f"Content-Type: text/x-amp-html\n\n<html amp4email><p>{lease}</p></html>"
    yield Made("EML", "amp.eml", eml(multipart("alternative", plain, amp)), (lease,), ("amp4email",))
    armour = "-----BEGIN PGP MESSAGE-----\n\nhQEMA5\n=abcd\n-----END PGP MESSAGE-----\n"
    yield Made("EML", "pgp-in-text.eml", eml(plain + armour), ("What only Ben can read.",))
    spaced = "Content-Type: text/plain\nContent-Transfer-Encoding: BASE64 \n\n"
    yield Made("EML", "base64-and-a-space.eml", eml(spaced + base64.b64encode(lease.encode()).decode()),
               (lease,))  # fmt: skip
    drawn = base64.b64encode(b"P1 1 1 0").decode()
    yield Made("EML", "picture-in-html.eml", eml(f'{html}<img src="data:image/png;base64,{drawn}">'),
               ("What the picture shows.",))  # fmt: skip
    cut_off = packed.decode().partition("`")[0]
    yield Made("EML", "uuencode-cut-short.eml", eml(plain + cut_off), ("Forty herrings",))
    yield Made("EML", "binhex.eml", eml(plain + "(This file must be converted with BinHex 4.0)\n\n:$f*TEQK:\n"),
               ("Forty herrings",))  # fmt: skip
    quoted = mail("First", "It was said.\n>From here to there.\n").replace(b"\r\n", b"\n")
    second = mail("Second", lease).replace(b"\r\n", b"\n")
    yield Made("MBOX", "quoted-from.mbox", mailbox(quoted, second),
               ("From here to there.", lease, "Second"), (">From here",))  # fmt: skip
    yield Made("MBOX", "crlf.mbox", mailbox(quoted, second).replace(b"\n", b"\r\n"), (lease, "First"))
    yield Made("PST", "store.pst", pst({"Inbox": [StoredMail("Kept", lease, attached={"a.txt": b"Forty herrings"})]}),
               (lease, "Kept", "Forty herrings"))  # fmt: skip
    inside = StoredMail("Inner", "An inner text.")
    yield Made("PST", "message-in-message.pst", pst({"In": [StoredMail("Outer", lease, attached={"inner": inside})]}),
               (lease, "An inner text."))  # fmt: skip
    wide = lease.encode("utf-16-le")
    yield Made("MSG", "message.msg", ole_file({
        "__properties_version1.0": bytes(32), "__substg1.0_1000001F": wide,
        "__substg1.0_0037001F": "A subject".encode("utf-16-le")}), (lease, "A subject"))  # fmt: skip
    top = {"__properties_version1.0": bytes(32)}
    rich = (
        rb"{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf no1\htmlrtf0 " + lease.encode() + rb"{\pict 00}}"
    )
    packed_rtf = compressed_rtf.compress(rich, False)
    yield Made(
        "MSG",
        "rtf-of-html.msg",
        ole_file({**top, "__substg1.0_10090102": packed_rtf}),
        (lease,),
        ("no1",),
    )
    yield Made("MSG", "picture-in-rtf.msg", ole_file({**top, "__substg1.0_10090102": packed_rtf}),
               ("What the picture shows.",))  # fmt: skip
    yield Made("MSG", "stub-beside-html.msg", ole_file({
        **top, "__substg1.0_1000001F": "Your client shows no HTML.".encode("utf-16-le"),
        "__substg1.0_10130102": f"<p>{lease}".encode()}), (lease,))  # fmt: skip
    yield Made("TNEF", "winmail.dat", winmail(Winmail("Beside", {0x1000: (TEXT, wide)}, attached={"a.txt": b"Forty herrings"})),
               (lease, "Forty herrings"))  # fmt: skip


def web() -> Iterator[Made]:
    page = "<!DOCTYPE html><html><head><title>Tab</title>{}</head><body>{}</body></html>"
    yield Made("HTML", "meta-contradicts.html", page.format(
        '<meta charset="iso-8859-1">', "<p>Größe — Maß</p>").encode(), ("Größe — Maß",))  # fmt: skip
    yield Made("HTML", "utf-16.html", page.format('<meta charset="utf-8">', "<p>Größe</p>").encode("utf-16"),
               ("Größe",))  # fmt: skip
    yield Made("HTML", "hidden.html", page.format("<style>p{color:red}</style>", (
        '<p>Shown words.</p><p style="display:none">no1</p><p hidden>no2</p><template>no3</template>'
        "<script>no4</script><noscript>no5</noscript><p style='visibility: hidden'>no6</p>"
        '<p aria-hidden="true">Seen by eyes.</p><input type=hidden value=no7><!-- no8 -->'
    )).encode(), ("Shown words.", "Seen by eyes."), tuple(f"no{n}" for n in range(1, 9)))  # fmt: skip
    sheet = (
        "/* .a{display:none} */ .a, #b .no:hover{color:red} .no{DISPLAY : none!important} #b .i{visibility:hidden}"
        "@media print{.a{display:none}} @media (max-width:600px){.a{display:none}} @media screen{.s{display:none}}"
        ".r{list-style:upper-roman} .j{list-style-type:inherit} .l span{display:block} .d{display:none} p.e.d{display:block} .a::after{display:none}"
        ".a:not(:hover){display:none}"
    )
    yield Made("HTML", "style-sheet.html", page.format(f"<style>{sheet}</style><noscript>no0</noscript>", (
        '<p class=a>Seen words.</p><p class=no style="display:block">no1</p><div id=b><p class=i>no2 <b '
        'style="visibility:visible">But this.</b></p></div><p class=s>no3</p><p class="d e">Back again.</p>'
        "<p class=d>no4</p><ol class=r start=4><li>Fourth</ol><div class=l><span>One</span><span>Two</span></div>"
        "<nav style=display:flex><a>Ebb</a><a>Flow</a></nav><ol class=j><li>First</ol><dialog>no5</dialog><div popover>no6</div><button>Yes</button><button>No</button>"
        "<math><mfrac><mn>1</mn><mn>2</mn></mfrac><annotation>no7</annotation></math>"
    )).encode(), ("Seen words.", "But this.", "Back again.", "IV. Fourth", "1. First", "One\nTwo", "Ebb\nFlow", "Yes No", "1/2"),
        tuple(f"no{n}" for n in range(8)))  # fmt: skip
    yield Made("HTML", "frames.html", page.format("", (
        '<iframe srcdoc="&lt;p&gt;Inside the frame.&lt;/p&gt;"></iframe><details><summary>More</summary>'
        "Folded away.</details><select><option>Ebb<option selected>Flow</select>"
        '<img src=x alt="a lighthouse"><textarea>Typed in.</textarea><input value="A field">'
        '<button>Press me</button><object data="x.swf">Instead of it.</object>'
    )).encode(), ("Inside the frame.", "Folded away.", "Ebb", "Flow", "a lighthouse", "Typed in.",
                  "A field", "Press me", "Instead of it."))  # fmt: skip
    packed = base64.b64encode(b"<p>A packed frame</p>").decode()
    within = (
        '<div><template shadowrootmode="open"><p>In the shadow.</p></template></div>'
        f'<iframe src="data:text/html;base64,{packed}"></iframe>'
        '<iframe src="data:text/html,<p>A%20plain%20frame</p>"></iframe>'
        '<select><optgroup label="Group A"><option label="One label"></option></optgroup></select>'
    )
    yield Made(
        "HTML",
        "within.html",
        page.format("", within).encode(),
        ("In the shadow.", "A packed frame", "A plain frame", "Group A", "One label"),
    )
    beside = (
        '.n::before{content:"Note: "} .q:after{content:" (EUR" ")" / "no1"} .l:before{content: attr(data-l) ": "}'
        ".e::before{content:'\\201C'} .h:after{content:'no2';visibility:hidden} .i:before{content:'\\f101'}"
        "body{counter-reset:part 2} h2{counter-increment:part;counter-reset:item}"
        "h2::before{content:counter(part, upper-roman) '. '} ul{counter-reset:item}"
        "li::before{counter-increment:item;content:counters(item,'.') ' '} .x::after{content:none}"
        ".g::before{content:'no3'} .g.g::before{content:'Seen '!important} .g::before{content:'no4'}"
    )
    yield Made("HTML", "beside.html", page.format(f"<style>{beside}</style>", (
        "<p class=n>Fee</p><p class=q>Said</p><p class=l data-l=Label>value</p><p class=e>Quoted<p class=h>x<p class=i>y"
        "<h2>Scope</h2><h2>Term</h2><ul style='list-style:none'><li>Keel<ul style='list-style:none'><li>Ebb</li><li>"
        "Flow</ul></li><li>Mast</ul><p class=g>words</p><textarea placeholder='A hint'></textarea>"
        "<input type=image alt='Send it'>"
    )).encode(), ("Note: Fee", "Said (EUR)", "Label: value", "\u201cQuoted", "III. Scope", "IV. Term", "1 Keel", "1.1 Ebb",
                  "1.2 Flow", "2 Mast", "Seen words", "A hint", "Send it"), tuple(f"no{n}" for n in range(1, 5)))  # fmt: skip
    yield Made(
        "HTML",
        "cdata.xhtml",
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p><![CDATA[a < b]]></p>'
        b"</body></html>",
        ("a < b",),
    )
    yield Made("HTML", "frameset.html", b"<html><head><title>x</title></head><frameset cols='1,2'>"
               b"<frame src='a.html'><noframes><body>Your browser shows no frames.</body></noframes>"
               b"</frameset></html>")  # fmt: skip
    yield Made("HTML", "table.html", page.format("", (
        "<table><caption>Dues</caption><tr><th>Quay<td>7<tr><td>Tide<td>3&nbsp;m</table>"
        "<ruby>港<rt>みなと</rt></ruby><svg><text>Drawn word</text></svg><p>a&shy;b &amp; c &euro;</p>"
    )).encode(), ("Dues", "Quay\t7", "港", "みなと", "Drawn word", "& c €"))  # fmt: skip
    yield Made("HTML", "xhtml.xhtml", (
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><script src="a"/>'
        b"<title/></head><body><p>After a short script.</p></body></html>"
    ), ("After a short script.",))  # fmt: skip
    yield Made(
        "HTML",
        "fragment.html",
        b"<div class=a><p>Only a part.</p></div>",
        ("Only a part.",),
        ("class",),
    )
    yield Made(
        "HTML",
        "broken.html",
        b"<html><body><p>Not closed <b>bold<p>Next <i>words",
        ("Not closed bold", "Next words"),
    )
    chrome = (
        "From: <Saved by Blink>\nSnapshot-Content-Location: https://example.org/\nSubject: Page\n"
        'MIME-Version: 1.0\nContent-Type: multipart/related; type="text/html"; boundary="B"\n\n'
        "--B\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n"
        "Content-Location: https://example.org/\n\n<html><body><p>Saved by Chr=\nome.<i>no1</i></p></body></html>\n"
        "--B\nContent-Type: text/css\n\np{color:red} i{display:none}\n--B--\n"
    )
    yield Made("MHTML", "chrome.mhtml", chrome.encode(), ("Saved by Chrome.",), ("color:red", "no1"))
    word = (
        'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="B"\n\nThis document is a Single File '
        "Web Page, also known as a Web Archive file.\n\n--B\nContent-Location: file:///C:/a.htm\n"
        'Content-Transfer-Encoding: quoted-printable\nContent-Type: text/html; charset="windows-1252"\n\n'
        '<html xmlns:w=3D"urn:schemas-microsoft-com:office:word"><body><p>Gr=F6=DFe from Word.</p>'
        "</body></html>\n--B\nContent-Location: file:///C:/filelist.xml\nContent-Type: text/xml\n\n<xml/>\n--B--\n"
    )
    yield Made("MHTML", "word.mht", word.encode(), ("Größe from Word.",), ("xmlns",))
    yield Made("SVG", "words.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><title>no1</title><text x="1">A drawn '
               b'<tspan>word</tspan></text><style>no2</style></svg>', ("A drawn word",), ("no2",))  # fmt: skip
    xhtml = "<html xmlns='http://www.w3.org/1999/xhtml'><body>{}</body></html>"
    yield Made("EPUB", "book-2.epub", epub({"b.xhtml": xhtml.format("<p>First chapter.</p>"),
               "a.xhtml": xhtml.format("<p>Second chapter.</p>")}), ("First chapter.", "Second chapter."))  # fmt: skip
    styled = '<head><link rel="stylesheet" href="s/a.css"/></head><body><p class="n">Scene</p><p class="h">no1</p></body>'
    style_sheet = {"s/a.css": '.n::before{content:"Act I: "} .h{display:none}'}
    yield Made("EPUB", "styled.epub", epub({"a.xhtml": xhtml.replace("<body>{}</body>", styled)}, style_sheet),
               ("Act I: Scene",), ("no1",))  # fmt: skip
    nav = xhtml.format(
        "<nav epub:type='toc' xmlns:epub='x'><ol><li><a href='b.xhtml'>Chapter one</a></li></ol></nav>"
    )
    yield Made("EPUB", "book-3.epub", epub({"nav.xhtml": nav, "b.xhtml": xhtml.format("<p>It begins.</p>")}),
               ("Chapter one", "It begins."))  # fmt: skip


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Berths"
    sheet["A1"], sheet["B1"], sheet["A2"] = "Quay 7", 45415, 0.125
    sheet["B1"].number_format, sheet["A2"].number_format = "dd.mm.yyyy", "0.0%"
    sheet["C2"] = "=SUM(A2:A9)"
    sheet["A1"].comment = Comment("Too low", "Ada")
    sheet.merge_cells("A4:C4")
    sheet["A4"] = "Across three"
    hidden = book.create_sheet("Kept back")
    hidden.sheet_state = "hidden"
    hidden["A1"] = "A hidden sheet"
    sheet.oddHeader.center.text = "Port of Leith"
    chart = BarChart()
    chart.title = "Tides"
    chart.add_data(Reference(sheet, min_col=1, min_row=2, max_row=2))
    sheet.add_chart(chart, "E5")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def sheets() -> Iterator[Made]:
    yield Made("XLSX", "workbook.xlsx", workbook(), ("Quay 7", "03.05.2024", "12.5%", "=SUM(A2:A9)", "Too low",
               "Across three", "A hidden sheet", "Port of Leith", "Tides"))  # fmt: skip
    sheets_part = f'<sheets><sheet name="Dues" r:id="s1" xmlns:r="{RELATIONS}"/></sheets>'
    names = f'xmlns="{MAIN.format("spreadsheetml")}"'
    parts = {
        "xl/workbook.xml": f"<workbook {names}>{sheets_part}</workbook>",
        "xl/_rels/workbook.xml.rels": related(
            s1="worksheet worksheets/sheet1.xml", st="styles styles.xml"
        ),
        "xl/styles.xml": f'<styleSheet {names}><numFmts><numFmt numFmtId="164" formatCode=";;;"/><numFmt '
        'numFmtId="165" formatCode="# ?/?"/><numFmt numFmtId="166" formatCode="# ?/8"/></numFmts><cellXfs>'
        '<xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'<worksheet {names}><sheetData><row><c s="0"><v>99</v></c><c s="1"><v>2.5'
        '</v></c><c s="2"><v>0.25</v></c></row></sheetData></worksheet>',
        "xl/worksheets/_rels/sheet1.xml.rels": related(v="vmlDrawing ../drawings/a.vml"),
        "xl/drawings/a.vml": "<xml><v:shape><v:textbox><div>Press<br>here</div></v:textbox></v:shape></xml>",
    }
    yield Made("XLSX", "button.xlsx", package("xl/workbook.xml", "spreadsheetml.sheet", parts),
               ("Press\nhere", "2 1/2", "2/8"), ("99",))  # fmt: skip
    old = xlwt.Workbook()
    sheet = old.add_sheet("Berths")
    sheet.write(0, 0, "Quay 7")
    sheet.write(1, 0, 45415, xlwt.easyxf(num_format_str="DD.MM.YYYY"))
    sheet.write_merge(2, 2, 0, 2, "Across three")
    out = io.BytesIO()
    old.save(out)
    yield Made("XLS", "workbook.xls", out.getvalue(), ("Quay 7", "03.05.2024", "Across three"))
    cell = (
        '<table:table-cell table:number-columns-repeated="3"><text:p>3,50</text:p></table:table-cell>'
    )
    empty = '<table:table-cell table:number-columns-repeated="16000"/>'
    rows = (
        f"<table:table-row>{cell}{empty}</table:table-row>"
        f'<table:table-row table:number-rows-repeated="1000000">{empty}</table:table-row>'
    )
    yield Made("ODS", "repeated.ods", open_document("spreadsheet", f'<table:table table:name="Dues">{rows}</table:table>'),
               ("Dues", "3,50\t3,50\t3,50"))  # fmt: skip
    yield Made("ODS", "flat.fods", flat_open_document("spreadsheet", f'<table:table table:name="Dues">{rows}</table:table>'),
               ("Dues", "3,50\t3,50\t3,50"), ("office:",))  # fmt: skip
    row = 'Quay;"12,5";"Müller; Söhne ""Boote""\nzweite Zeile"\n'
    yield Made("CSV, TSV", "semicolons.csv", row.encode("cp1252"), ("Müller; Söhne", "12,5"))
    yield Made(
        "CSV, TSV", "tabs.tsv", "Quay\t7\tMüller\nTide\t3\tKüste\n".encode(), ("Quay\t7\tMüller",)
    )
    yield Made(
        "CSV, TSV", "excel-unicode.csv", "Quay\t7\tMüller\r\n".encode("utf-16"), ("Quay\t7\tMüller",)
    )
    yield Made("CSV, TSV", "sep.csv", b"sep=;\r\nQuay;7\r\n", ("Quay;7",))


def texts() -> Iterator[Made]:
    document = Document()
    document.add_heading("The lease", 1)
    document.add_paragraph("Keel", style="List Number")
    document.add_table(1, 2).cell(0, 1).text = "Quay 7"
    document.sections[0].header.paragraphs[0].text = "A margin above"
    document.sections[0].footer.paragraphs[0].text = "A margin below"
    out = io.BytesIO()
    document.save(out)
    yield Made(
        "DOCX",
        "document.docx",
        out.getvalue(),
        ("The lease", "1. Keel", "Quay 7", "A margin above", "A margin below"),
    )
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    main = f"<w:document {w}><w:body>{{}}</w:body></w:document>"
    body = (
        "<w:p><w:r><w:t>Before</w:t></w:r><w:del><w:r><w:delText>no1</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t> inserted</w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>no2</w:t></w:r>"
        '<w:r><w:footnoteReference w:id="2"/></w:r></w:p><w:sdt><w:sdtContent><w:p><w:r><w:t>In a control'
        "</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    )
    button = "<w:p><w:r><w:instrText> MACROBUTTON NoMacro [Click here] </w:instrText></w:r></w:p>"
    for code in (
        "SYMBOL 0xFC \\f Wingdings",
        "SYMBOL 97 \\f &quot;Symbol&quot; \\s 12",
        "QUOTE &quot; Said&quot;",
    ):
        button += f'<w:p><w:fldSimple w:instr=" {code} "/></w:p>'
    ordinal = (
        f'<w:numbering {w}><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="ordinal"/>'
        '<w:lvlText w:val="%1"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
        "</w:numbering>"
    )
    item = '<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr><w:r><w:t>Keel</w:t></w:r></w:p>'
    yield Made("DOCX", "button.docx", package("word/document.xml", "wordprocessingml.document", {
        "word/document.xml": main.format(button)}), ("[Click here]", "✓", "α", " Said"), ("NoMacro", "Wing"))  # fmt: skip
    yield Made("DOCX", "ordinal.docx", package("word/document.xml", "wordprocessingml.document", {
        "word/document.xml": main.format(item), "word/numbering.xml": ordinal,
        "word/_rels/document.xml.rels": related(r1="numbering numbering.xml")}), ("1st Keel",))  # fmt: skip
    notes = f'<w:footnotes {w}><w:footnote w:id="2"><w:p><w:r><w:t>A foot note</w:t></w:r></w:p></w:footnote></w:footnotes>'
    yield Made("DOCX", "changes.docx", package("word/document.xml", "wordprocessingml.document", {
        "word/document.xml": main.format(body), "word/footnotes.xml": notes,
        "word/_rels/document.xml.rels": related(r1="footnotes footnotes.xml")}),
        ("Before inserted", "In a control", "A foot note"), ("no1", "no2"))  # fmt: skip
    yield bound()
    table = (
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>Quay</a:t></a:r></a:p>"
        "</a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>seven</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl>"
        "</a:graphicData></a:graphic></p:graphicFrame>"
    )
    deck = pptx(
        slide(shape("The keel") + f"<p:grpSp>{shape('Grouped words')}</p:grpSp>" + table),
        parts={
            "ppt/slides/_rels/slide1.xml.rels": related(n="notesSlide ../notesSlides/notesSlide1.xml"),
            "ppt/notesSlides/notesSlide1.xml": slide(shape("Say it slowly"), root="notes"),
        },
    )
    yield Made(
        "PPTX", "deck.pptx", deck, ("The keel", "Grouped words", "Quay", "seven", "Say it slowly")
    )
    numbered = '<a:lstStyle><a:lvl1pPr><a:buAutoNum type="arabicPeriod"/></a:lvl1pPr></a:lstStyle>'
    unseen = '<p:sp><p:nvSpPr><p:cNvPr id="2" name="a" hidden="1"/></p:nvSpPr>'
    deck = pptx(slide(shape("Ebb").replace("<p:txBody>", f"<p:txBody>{numbered}")
                      + shape("no1").replace("<p:sp>", unseen)))  # fmt: skip
    yield Made("PPTX", "list-styles.pptx", deck, ("1. Ebb",), ("no1",))
    choice = f"<mc:AlternateContent {MARKUP}><mc:Choice><p:pic/></mc:Choice><mc:Fallback>{shape('Said otherwise')}"
    choice += f"</mc:Fallback></mc:AlternateContent><mc:AlternateContent {MARKUP}><mc:Choice>{shape('Ebb')}</mc:Choice>"
    choice += f"<mc:Fallback>{shape('no1')}</mc:Fallback></mc:AlternateContent>"
    drawn = (
        '<d:drawing xmlns:d="http://schemas.microsoft.com/office/drawing/2008/diagram" xmlns:a="http://schemas.'
        'openxmlformats.org/drawingml/2006/main"><a:p><a:r><a:t>Drawn words</a:t></a:r></a:p></d:drawing>'
    )
    deck = pptx(slide(choice), parts={
        "ppt/slides/_rels/slide1.xml.rels": related(d="diagramDrawing ../diagrams/drawing1.xml"),
        "ppt/diagrams/drawing1.xml": drawn})  # fmt: skip
    yield Made("PPTX", "otherwise.pptx", deck, ("Said otherwise", "Ebb", "Drawn words"), ("no1",))
    form = (
        rb"{\rtf1{\fonttbl{\f0 Arial;}{\f1\fcharset2 Symbol;}}\f1\'61\'62\f0  keel {\field{\*\fldinst FORMCHECKBOX {"
        rb"\*\formfield{\fftype1\ffres25\ffdefres1}}}{\fldrslt}} Agreed {\field{\*\fldinst FORMDROPDOWN {\*\formfield{"
        rb"\fftype2\ffres1{\*\ffl no1}{\*\ffl Flow}}}}{\fldrslt}}}"
    )
    yield Made("RTF", "form.rtf", form, ("αβ keel", "☒ Agreed Flow"), ("no1",))
    yield Made("RTF", "stand-ins.rtf", rb"{\rtf1\uc1 a\u8211\endash b{\upr{no1}{\*\ud{Gr\u246 o\u223 se}}}}",
               ("a–bGröße",), ("no1",))  # fmt: skip
    levels = rb"{\*\listtable{\list{\listlevel\levelnfc0}}}"
    yield Made("RTF", "uncounted.rtf", rb"{\rtf1" + levels + rb"\ls1 First\par}", ("1. First",))
    yield Made("RTF", "plain.rtf", rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\*\generator no1;}\f0 Gr\'f6\'dfe \u8364? "
               rb"{\v no2}\par Next{\footnote A foot note}\par{\header A margin}}", ("Größe €", "Next", "A foot note", "A margin"),
               ("no1", "no2", "Arial"))  # fmt: skip
    art = rb"{\shp{\*\shpinst{\sp{\sn shapeType}{\sv 136}}{\sp{\sn gtextUNICODE}{\sv Harbour fair}}}}"
    yield Made(
        "RTF",
        "word-art.rtf",
        rb"{\rtf1\ansi Before " + art + rb" after\par}",
        ("Before", "Harbour fair", "after"),
    )
    text = '<text:p>The anchor<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>A foot note</text:p></text:note-body></text:note></text:p><text:tracked-changes><text:p>no1</text:p></text:tracked-changes>'
    hidden_style = (
        '<office:styles><style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
        "</office:styles><office:master-styles><style:master-page><style:header><text:p>Above</text:p>"
        '</style:header><style:header-left style:display="false"><text:p>no4</text:p></style:header-left>'
        "</style:master-page></office:master-styles>"
    )
    body = (
        '<text:p>Seen <text:span text:style-name="H">no1 </text:span>words<text:variable-set text:display="none">'
        'no6</text:variable-set></text:p><text:p text:style-name="H">'
        'no2</text:p><text:p><text:hidden-paragraph text:is-hidden="true"/>no3</text:p><text:p><text:ruby>'
        "<text:ruby-base>港</text:ruby-base><text:ruby-text>みなと</text:ruby-text></text:ruby></text:p>"
        '<office:forms xmlns:form="urn:oasis:names:tc:opendocument:xmlns:form:1.0"><form:button form:label="Send"/>'
        '<form:text form:current-value="Typed in"/><form:hidden form:current-value="no5"/></office:forms>'
    )
    yield Made("ODT", "hidden.odt", open_document("text", body, styles=hidden_style),
               ("Seen words", "Above", "港", "みなと", "Send", "Typed in"), tuple(f"no{n}" for n in range(1, 7)))  # fmt: skip
    footer = (
        '<presentation:footer-decl presentation:name="f">Port of Leith</presentation:footer-decl>'
        '<presentation:footer-decl presentation:name="g">no1</presentation:footer-decl>'
        '<draw:page presentation:use-footer-name="f"/>'
    )
    yield Made("ODP", "footer.odp", open_document("presentation", footer), ("Port of Leith",), ("no1",))
    yield Made("ODT", "text.odt", open_document("text", text), ("The anchor", "A foot note"), ("no1",))
    yield Made(
        "ODT",
        "flat.fodt",
        flat_open_document("text", text),
        ("The anchor", "A foot note"),
        ("no1", "text:p"),
    )
    yield Made(
        "ODT",
        "old.sxw",
        open_office_1("writer", "<text:p>Keel<text:tab-stop/>May</text:p>"),
        ("Keel\tMay",),
        ("office:",),
    )
    row = "<table:table-row><table:table-cell><text:p>Quay 7</text:p></table:table-cell></table:table-row>"
    old = open_office_1("calc", f'<table:table table:name="Dues">{row}</table:table>', "spreadsheet")
    yield Made("ODS", "old.sxc", old, ("Dues", "Quay 7"), ("office:",))
    page = "<draw:page><draw:frame><draw:text-box><text:p>Ebb</text:p></draw:text-box></draw:frame><presentation:notes><draw:frame><draw:text-box><text:p>Say it</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"
    yield Made("ODP", "slides.odp", open_document("presentation", page), ("Ebb", "Say it"))
    yield Made("PDF", "text.pdf", pdf("The keel is laid in May."), ("The keel is laid in May.",))
    yield Made("Text", "markdown.md", b"# Keel\n\n- *laid* in May\n", ("# Keel", "*laid* in May"))
    yield Made(
        "Text",
        "latin-2.txt",
        "Zażółć gęślą jaźń, proszę. Łódź leży nad rzeką.\n".encode("iso-8859-2") * 4,
        ("Łódź leży",),
    )
    yield Made(
        "Text",
        "shift-jis.txt",
        ("港の使用料は毎月末日までに支払うものとする。\n" * 4).encode("shift_jis"),
        ("港の使用料",),
    )


def bound() -> Made:
    """A document with controls that show what other parts of its package hold."""
    w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    store = "{16BB3F27-6769-43F1-94EF-38FF097B8F79}"

    def control(kind: str, path: str, content: str, item: str = store) -> str:
        names = "xmlns:t='https://example.org/t' xmlns:dc='http://purl.org/dc/elements/1.1/'"
        binding = f'<w:dataBinding w:prefixMappings="{names}" w:xpath="{path}" w:storeItemID="{item}"/>'
        return (
            f"<w:sdt><w:sdtPr>{binding}{kind}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"
        )

    def run(text: str) -> str:
        return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'

    plain, choices = (
        "<w:text/>",
        '<w:dropDownList><w:listItem w:displayText="Ebb tide" w:value="2"/></w:dropDownList>',
    )
    body = (
        f"<w:p>{run('Title: ')}{control(plain, '/t:lease/t:part[2]', run('no1 ') + run('no2'))}{run(' ends')}</w:p>"
        + control(plain, "/t:lease/@t:berth", "<w:p/>")
        + control(choices, "/t:lease/t:tide", f"<w:p>{run('no3')}</w:p>")
        + control(plain, "/t:lease/t:empty", f"<w:p>{run('A hint')}</w:p>")
        + control(plain, "/t:lease/t:part[9]", f"<w:p>{run('Not found')}</w:p>")
        + control(plain, "/t:lease/t:quay/text()[1]", f"<w:p>{run('no6')}</w:p>")
        + control("<w:date/>", "/t:lease/t:part", f"<w:p>{run('3 May 2024')}</w:p>")
        + control(
            plain,
            "/dc:properties/dc:title[1]",
            f"<w:p>{run('no4')}</w:p>",
            "{6C3C8BC8-F283-45AE-878A-BAB7291924A1}",
        )
    )
    parts = {
        "word/document.xml": f"<w:document {w}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": related(c="customXml ../customXml/item1.xml"),
        "customXml/item1.xml": '<t:lease xmlns:t="https://example.org/t" t:berth="Quay 7"><t:part>no5</t:part>'
        "<t:part>The harbour</t:part><t:tide>2</t:tide><t:quay>North</t:quay><t:empty/></t:lease>",
        "customXml/_rels/item1.xml.rels": related(p="customXmlProps itemProps1.xml"),
        "customXml/itemProps1.xml": f'<a:datastoreItem a:itemID="{store}" '
        'xmlns:a="http://schemas.openxmlformats.org/officeDocument/2006/customXml"/>',
        "docProps/core.xml": '<d:properties xmlns:d="http://purl.org/dc/elements/1.1/"><d:title>A core title'
        "</d:title></d:properties>",
        "_rels/.rels": related(
            m="officeDocument word/document.xml", p="core-properties docProps/core.xml"
        ),
    }
    shown = (
        "Title: The harbour ends",
        "Quay 7",
        "Ebb tide",
        "A hint",
        "Not found",
        "North",
        "3 May 2024",
        "A core title",
    )
    data = package("word/document.xml", "wordprocessingml.document", parts)
    return Made("DOCX", "bound.docx", data, shown, tuple(f"no{n}" for n in range(1, 7)))


def open_office_1(kind: str, body: str, shown_as: str = "text") -> bytes:
    """A document as OpenOffice 1 wrote it, before there was OpenDocument."""
    names = " ".join(
        f'xmlns:{name}="http://openoffice.org/2000/{name}"' for name in ("office", "text", "table")
    )
    return zipped(
        {
            "mimetype": f"application/vnd.sun.xml.{kind}",
            "content.xml": '<?xml version="1.0"?><!DOCTYPE office:document-content PUBLIC "-//OpenOffice.org//DTD '
            f'OfficeDocument 1.0//EN" "office.dtd"><office:document-content {names} office:class="{shown_as}">'
            f"<office:body>{body}</office:body></office:document-content>",
        }
    )


def archives() -> Iterator[Made]:
    inside = b"Forty herrings lie on the quay."
    found = ("Forty herrings",)
    name = "Prüfung.txt"
    yield Made("ZIP", "plain.zip", zipped({"a/b.txt": inside}), (*found, "a/b.txt"))
    cp437 = zipped({"Prufung.txt": inside}).replace(b"Prufung", "Prüfung".encode("cp437"))
    yield Made("ZIP", "cp437.zip", cp437, (*found, name))
    yield Made(
        "ZIP",
        "utf-8-unsaid.zip",
        zipped({"Pru:fung.txt": inside}).replace(b"Pru:fung", "Prüfung".encode()),
        (*found, name),
    )
    shift_jis = zipped({"xxxxxx.txt": inside}).replace(b"xxxxxx", "港湾料".encode("shift_jis"))
    yield Made("ZIP", "shift-jis-names.zip", shift_jis, found)
    yield Made("ZIP", "stored-lzma.zip", zipped({"b.txt": inside}, zipfile.ZIP_LZMA), found)
    yield Made("ZIP", "bzip2.zip", zipped({"b.txt": inside}, zipfile.ZIP_BZIP2), found)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("b.txt", "w", force_zip64=True) as member:
        member.write(inside)
    yield Made("ZIP", "zip64.zip", out.getvalue(), found)
    yield Made("ZIP", "program-before.exe.zip", b"MZ" + bytes(200) + zipped({"b.txt": inside}), found)
    yield Made(
        "ZIP",
        "in-zip.zip",
        zipped({"inner.zip": zipped({"mail.eml": mail("In a zip", "A deep text.")})}),
        ("A deep text.",),
    )
    cut = zipped({f"{number}.txt": inside * 50 for number in range(9)}, zipfile.ZIP_STORED)
    yield Made("ZIP", "split.z01", b"PK\7\10" + cut[:3000], found)
    yield Made("ZIP", "cut-short.zip", cut[:3000], found)
    deflated = Deflater()
    for number, packed in (
        (9, deflated.deflate(inside) + deflated.flush()),
        (93, zstd.compress(inside)),
        (95, lzma.compress(inside)),
    ):
        stored = bytearray(zipped({"b.txt": packed}, zipfile.ZIP_STORED))
        for place in (0, stored.index(b"PK\1\2") + 2):  # The method, the checksum, the size.
            stored[place + 8] = number
            stored[place + 14 : place + 18] = binascii.crc32(inside).to_bytes(4, "little")
            stored[place + 22 : place + 26] = len(inside).to_bytes(4, "little")
        yield Made("ZIP", f"method-{number}.zip", bytes(stored), found)
        stored[35 + len(packed) // 2] ^= 1
        yield Made("ZIP", f"method-{number}-damaged.zip", bytes(stored), ("What is damaged.",))
    aes = bytearray(zipped({"b.txt": inside}))
    for place in (6, aes.index(b"PK\1\2") + 8):  # Flags, then the method.
        aes[place], aes[place + 2] = 1, 99
    yield Made("ZIP", "aes.zip", bytes(aes), found)
    for kind, filters in (
        ("lzma2", None),
        ("deflate", [{"id": py7zr.FILTER_DEFLATE}]),
        ("zstd", [{"id": py7zr.FILTER_ZSTD}]),
    ):
        yield Made(
            "7z",
            f"{kind}.7z",
            seven_zip({"a.txt": b"Before.", "b/ü.txt": inside}, filters),
            (*found, "b/ü.txt"),
        )
    yield Made("7z", "password.7z", seven_zip({"b.txt": inside}, password="secret"), found)
    for kind, form in (
        ("gnu", tarfile.GNU_FORMAT),
        ("pax", tarfile.PAX_FORMAT),
        ("ustar", tarfile.USTAR_FORMAT),
    ):
        long = (
            "/".join(["a long name of a folder"] * (3 if form == tarfile.USTAR_FORMAT else 9))
            + "/ü.txt"
        )
        yield Made("TAR", f"{kind}.tar", tarred({long: inside}, form), (*found, "ü.txt"))
    yield Made("TAR", "old.tar", tarred({"b.txt": inside}, tarfile.USTAR_FORMAT, is_old=True), found)
    for end, pack in (
        ("gz", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("zst", zstd.compress),
    ):
        yield Made(
            "TAR", f"packed.tar.{end}", pack(tarred({"b.txt": inside}, tarfile.PAX_FORMAT)), found
        )
        yield Made("Packed alone", f"note.txt.{end}", pack(inside), (*found, "note.txt"))
    yield Made("Packed alone", "note.txt.lzma", lzma.compress(inside, lzma.FORMAT_ALONE), found)
    yield Made("Packed alone", "twice.txt.gz.gz", gzip.compress(gzip.compress(inside)), found)
    yield Made(
        "Packed alone", "joined.gz", gzip.compress(inside[:9]) + gzip.compress(inside[9:]), found
    )


def seven_zip(members: Mapping[str, bytes], filters: Any = None, password: str | None = None) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", filters=filters, password=password) as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    return out.getvalue()


def tarred(members: Mapping[str, bytes], form: int, *, is_old: bool = False) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    data = bytearray(out.getvalue())
    if is_old:  # Of Unix, version 7: without a mark.
        data[257:512] = bytes(255)
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def refused() -> Iterator[Made]:
    with tempfile.NamedTemporaryFile(suffix=".sqlite") as file:
        with closing(sqlite3.connect(file.name)) as database:
            database.execute("CREATE TABLE a (b TEXT)")
            database.commit()
        sqlite = Path(file.name).read_bytes()
    iso = bytes(32769) + b"CD001\1" + bytes(4000)
    heads: Mapping[str, tuple[str, bytes]] = {
        "archive.rar": ("RAR archive", b"Rar!\x1a\7\1\0" + bytes(60)),
        "old.rar": ("RAR archive", b"Rar!\x1a\7\0" + bytes(60)),
        "book.djvu": ("DjVu document", b"AT&TFORM\0\0\1\0DJVUINFO\0\0\0\n" + bytes(60)),
        "sound.mp3": ("MP3 sound", b"ID3\3\0\0\0\0\0\0" + b"\xff\xfb\x90\0" + bytes(400)),
        "sound.wav": ("WAV sound", b"RIFF\x24\1\0\0WAVEfmt \x10\0\0\0\1\0\1\0" + bytes(60)),
        "sound.flac": ("FLAC sound", b"fLaC\0\0\0\x22" + bytes(60)),
        "sound.ogg": ("Ogg", b"OggS\0\2" + bytes(20) + b"\1\x1e\1vorbis" + bytes(60)),
        "film.mp4": ("MP4 video", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(60)),
        "film.mov": ("QuickTime video", b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(60)),
        "film.mkv": ("Matroska video", b"\x1aE\xdf\xa3\x93B\x82\x88matroska" + bytes(60)),
        "film.avi": ("AVI video", b"RIFF\0\1\0\0AVI LIST" + bytes(60)),
        "disc.iso": ("CD or DVD", iso),
        "font.ttf": (
            "TrueType",
            b"\0\1\0\0\0\x0f\0\x80\0\3\0\x70" + b"DSIG" + bytes(12) + b"OS/2" + bytes(60),
        ),
        "font.otf": ("OpenType font", b"OTTO\0\x0b\0\x80\0\3\0\x30CFF " + bytes(60)),
        "font.woff2": ("font", b"wOF2\0\1\0\0" + bytes(60)),
        "base.sqlite": ("SQLite database", sqlite),
        "table.parquet": ("Parquet table", b"PAR1" + bytes(60) + b"PAR1"),
        "sheet.wk1": ("Lotus 1-2-3", b"\0\0\2\0\6\4\6\0\x08\0\0\0\0\0" + bytes(60)),
        "letter.wpd": ("WordPerfect", b"\xffWPC\x10\0\0\0\1\x0a\2\1\0\0\0\2" + bytes(60)),
        "picture.wmf": (
            "Windows metafile",
            b"\xd7\xcd\xc6\x9a\0\0\0\0\0\0\x10\x0f\x10\x0f\xe8\3\0\0\0\0\x5a\x57\1\0\x09\0\0\3"
            + bytes(range(256)) * 4,
        ),
        "mails.dbx": (
            "Outlook Express",
            bytes.fromhex("cfad12fec5fd746f66e3d1119a4e00c04fa309d4") + bytes(range(256)),
        ),
        "film.swf": ("Flash film", b"FWS\x06\x40\0\0\0" + bytes(60)),
        "packed.hqx": ("BinHex", b"(This file must be converted with BinHex 4.0)\n\n:$f*TEQK:\n"),
        "letter.wps": ("Microsoft Works", ole("MM", "MN0", "MatOST")),
        "sheet.wks": ("Microsoft Works", b"\xff\0\2\0\4\4\5\0" + bytes(60)),
        "sheet.123": ("Lotus 1-2-3", b"\0\0\x1a\0\3\x10\4\0" + bytes(60)),
        "notes.onetoc2": ("OneNote", bytes.fromhex("a12ff743d9ef764c9ee210ea5722765f") + bytes(60)),
        "text.hwpx": ("Hangul", zipped({"mimetype": "application/hwp+zip"})),
        "plan.dwf": ("DWF", b"(DWF V06.00)PK\3\4" + bytes(60)),
        "drawing.eps": ("EPS drawing", b"\xc5\xd0\xd3\xc6" + bytes(60)),
        "leaflet.qxd": ("QuarkXPress", b"\0\0MMXPR3" + bytes(60)),
        "book.indd": ("InDesign", bytes.fromhex("0606edf5d81d46e5bd31efe7fe74b71d") + bytes(60)),
        "notes.nsf": ("Lotus Notes", b"\x1a\0\0\4\0\0" + bytes(range(256))),
        "leaflet.pub": ("Publisher document", ole("Quill", "Contents")),
        "plan.vsd": ("Visio drawing", ole("VisioDocument")),
        "notes.one": ("OneNote section", bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(60)),
        "base.mdb": ("Access database", b"\0\1\0\0Standard Jet DB\0\1\0\0\0" + bytes(60)),
        "base.accdb": ("Access database", b"\0\1\0\0Standard ACE DB\0\2\0\0\0" + bytes(60)),
        "plan.dwg": ("AutoCAD drawing", b"AC1027\0\0\0\0\0\0" + bytes(60)),
        "shot.cr2": ("Canon", b"II*\0\x10\0\0\0CR\2\0" + bytes(60)),
        "icon.ico": (
            "Windows icon",
            b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x68\4\0\0\x16\0\0\0" + bytes(60),
        ),
        "setup.exe": (
            "Windows program",
            b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8"
            + bytes(43)
            + b"\x40\0\0\0PE\0\0\x4c\1\1\0"
            + bytes(12)
            + b"\xe0\0\2\1\x0b\1"
            + bytes(300),
        ),
        "packed.lz4": ("LZ4 archive", b'\4"M\x18\x64\x40\xa7' + bytes(60)),
        "archive.cab": (
            "CAB archive",
            b"MSCF\0\0\0\0\x40\0\0\0\0\0\0\0\x2c\0\0\0\0\0\0\0\3\1\1\0\1\0\0\0" + bytes(60),
        ),
        "help.chm": ("Windows help file", b"ITSF\3\0\0\0\x60\0\0\0\1\0\0\0" + bytes(80)),
        "plan.mpp": ("Project plan", ole("Props14")),
        "secret.docx": ("password", ole("EncryptionInfo", "EncryptedPackage")),
        "secret.asc": (
            "PGP",
            b"-----BEGIN PGP MESSAGE-----\n\nhQEMA5\n=abcd\n-----END PGP MESSAGE-----\n",
        ),
        "page.ps": ("PostScript", b"%!PS-Adobe-3.0\n/Helvetica findfont\nshowpage\n"),
        "book.mobi": ("Mobipocket book", b"A book".ljust(60, b"\0") + b"BOOKMOBI" + bytes(60)),
        "capture.pcap": (
            "network traffic",
            bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"),
        ),
        "table.dbf": (
            "dBase table",
            b"\3\x7c\5\3\1\0\0\0\x41\0\x0b\0"
            + bytes(20)
            + b"NAME\0\0\0\0\0\0\0C"
            + bytes(4)
            + b"\x0a"
            + bytes(15)
            + b"\r Ada        \x1a",
        ),
        "random.bin": ("not known", bytes((7 * n * n + 3 * n) % 251 for n in range(4000))),
        "key.p7s": (
            "signature",
            bytes.fromhex(
                "3080 0609 2a864886f70d010702 a080 3080 020101 3100 3080 0609 2a864886f70d010701 0000"
            )
            + bytes(40),
        ),
    }
    for name, (shown, data) in heads.items():
        yield Made("Refused types", name, data, refused=shown)


def made() -> Iterator[Made]:
    for family in (mails, web, sheets, texts, archives, refused):
        yield from family()


def look(data: bytes, name: str, depth: int = 0) -> Seen:
    """Read a file, and all that is inside it."""
    seen = Seen()
    found = identify(io.BytesIO(data))
    if not found.read:
        return Seen(refused=found.name)
    try:
        if found.holds != "only":
            document = read(data)
            seen.text = document.text
            seen.notes = " ".join(f"{note.kind}: {note.sentence}" for note in document.notes)
            if None in document.pages:
                seen.notes += " has pictures"
        if found.holds != "never" and depth < _DEEPEST:
            inside = unpacked(data, name)
            seen.notes += " ".join(f"{kind}: {sentence}" for kind, sentence in inside.notes)
            seen.notes += " ".join(" ".join(problem) for problem in inside.problems.values())
            for path, content in inside.parts.items():
                part = look(content, path.rpartition("/")[2], depth + 1)
                seen.text += f"\n{path}\n{part.text}"
                seen.notes += f" {part.notes} {part.refused}"
    except IngestError as error:
        return Seen(refused=f"{error.code}: {error.message}")
    return seen


def judge(one: Made) -> tuple[str, str]:
    """Return the verdict on a file, and why."""
    seen = look(one.data, one.name)
    if one.refused:
        return ("refused" if one.refused in seen.refused else "wrong"), seen.refused or "it was read"
    missing = [phrase for phrase in one.shows if phrase not in seen.text]
    shown = [phrase for phrase in one.hides if phrase in seen.text]
    if shown:
        return "wrong", f"shows {shown}"
    if not missing:
        return "right", ""
    reason = seen.refused or seen.notes.strip()
    return ("noted" if reason else "silent"), f"lacks {missing}: {reason or seen.text[:200]!r}"
