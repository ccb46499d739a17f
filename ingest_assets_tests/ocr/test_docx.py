"""DOCX: everything that Word shows, once, in reading order; what is left out is noted."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import docx
import pytest
from docx.enum.text import WD_BREAK
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_assets.errors import IngestError, PermanentError
from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.ocr.sandbox.numerals import written
from ingest_assets_tests.support.containers import ole, zipped
from ingest_assets_tests.support.documents import pdf, picture
from ingest_assets_tests.support.scans import DOCX, stored

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{name}"'
    for prefix, name in {
        "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
        "r": f"{OFFICE}/relationships",
        "m": f"{OFFICE}/math",
        "a": f"{DRAWING}/main",
        "c": f"{DRAWING}/chart",
        "dgm": f"{DRAWING}/diagram",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "v": "urn:schemas-microsoft-com:vml",
        "o": "urn:schemas-microsoft-com:office:office",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
    }.items()
)


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def relations(targets: Mapping[str, tuple[str, str]], mode: str = "") -> str:
    """Relationships: identifier to kind and target."""
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        + "".join(
            f'<Relationship Id="{name}" Type="{OFFICE}/relationships/{kind}" Target="{target}"{mode}/>'
            for name, (kind, target) in targets.items()
        )
        + "</Relationships>"
    )


def package(
    body: str | bytes,
    parts: Mapping[str, tuple[str, str | bytes]] | None = None,
    main: str = "word/document.xml",
) -> bytes:
    """A DOCX with a body, and parts that it refers to: identifier (also the name) to kind and content."""
    parts = parts or {}
    if isinstance(body, str):
        body = f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>"
    folder, _, name = main.rpartition("/")
    members: dict[str, bytes | str] = {
        "_rels/.rels": relations({"a": ("officeDocument", main)}),
        main: body,
        f"{folder}/_rels/{name}.rels".lstrip("/"): relations(
            {part: (kind, f"parts/{part}") for part, (kind, _) in parts.items()}
        ),
        **{f"{folder}/parts/{part}".lstrip("/"): content for part, (_, content) in parts.items()},
    }
    return zipped(members)


def read(engine: LocalEngine, data: bytes) -> tuple[list[str], list[str]]:
    """The lines of the text, and the kinds of the notes."""
    result = engine.recognise(stored(data, DOCX))
    return _lines(result), [note.kind for note in result.notes]


def _lines(result: Recognition) -> list[str]:
    return [line for page in result.pages for line in page.text.splitlines() if line]


def test_reading_order(engine: LocalEngine) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Harbour office"
    document.sections[0].footer.paragraphs[0].text = "Page foot"
    document.add_heading("Rules of the rock")
    document.add_paragraph("First paragraph,\twith a tab.").add_run().add_break(WD_BREAK.PAGE)
    table = document.add_table(rows=2, cols=2)
    for row, cells in enumerate((("lamp", "12"), ("flag", "7"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    document.add_paragraph("One.", style="List Number")
    document.add_paragraph("Two.", style="List Number")
    document.add_paragraph("Oil.", style="List Bullet")
    out = io.BytesIO()
    document.save(out)
    assert read(engine, out.getvalue()) == (
        [
            *("Harbour office", "Rules of the rock", "First paragraph,\twith a tab."),
            *("lamp\t12", "flag\t7", "1. One.", "2. Two.", "• Oil.", "Page foot"),
        ],
        [],
    )


@pytest.mark.parametrize(
    "main", ["word/document2.xml", "document.xml", "word/Main Part.xml", "word/Main%20Part.xml"]
)
def test_the_main_part_may_have_any_name(engine: LocalEngine, main: str) -> None:
    data = package(paragraph("Forty apple trees."), main=main)
    assert read(engine, data) == (["Forty apple trees."], [])


def test_the_strict_form(engine: LocalEngine) -> None:
    data = package(paragraph("Forty apple trees.") + "<m:oMath><m:r><m:t>E=m</m:t></m:r></m:oMath>")
    strict = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(strict, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for space in ("wordprocessingml", "officeDocument", "drawingml"):
                content = content.replace(
                    f"http://schemas.openxmlformats.org/{space}/2006/".encode(),
                    f"http://purl.oclc.org/ooxml/{space}/".encode(),
                )
            new.writestr(name, content)
    assert b"purl.oclc.org" in zipfile.ZipFile(strict).read("word/document.xml")
    assert read(engine, strict.getvalue()) == (["Forty apple trees.", "E=m"], [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "utf-8-sig"])
def test_encodings_of_parts(engine: LocalEngine, encoding: str) -> None:
    stated = encoding.removesuffix("-le").removesuffix("-sig").replace("cp", "windows-")
    body = (
        f'<?xml version="1.0" encoding="{stated}"?><w:document {NAMESPACES}><w:body>'
        f"{paragraph('Grüße')}</w:body></w:document>"
    )
    assert read(engine, package(body.encode(encoding))) == (["Grüße"], [])


@pytest.mark.parametrize("trailing", [b"\r\n", bytes(300_000), b"PK\x05\x06 or what looks like it"])
def test_bytes_behind_the_archive(engine: LocalEngine, trailing: bytes) -> None:
    lines, notes = read(engine, package(paragraph("Whole.")) + trailing)
    assert lines == ["Whole."]
    assert notes in ([], ["repaired"])


def test_an_archive_that_is_cut_is_read_as_far_as_it_goes(engine: LocalEngine) -> None:
    body = f"<w:document {NAMESPACES}><w:body>" + "".join(
        paragraph(f"Line {number * 7919 % 10_007} of the log.") for number in range(3000)
    )
    data = package(body.encode())
    lines, notes = read(engine, data[: len(data) * 2 // 3])
    assert lines[:2] == ["Line 0 of the log.", "Line 7919 of the log."]
    assert 500 < len(lines) < 3000
    assert set(notes) == {"repaired", "content_unreadable"}


@pytest.mark.parametrize("illegal", ["&#x0;", "&#x1F;", "&#11;", "&#x0B;", "\x03", "\0"])
def test_characters_that_xml_may_not_have_lose_no_text(engine: LocalEngine, illegal: str) -> None:
    body = paragraph(f"Before{illegal}after.") + paragraph("Forty apples & pears&nbsp;remain.")
    lines, notes = read(engine, package(body))
    assert lines == ["Before after.", "Forty apples & pears&nbsp;remain."]
    assert notes == []


def test_pictures_that_fill_a_shape_are_read(engine: LocalEngine) -> None:
    fills = '<v:fill color2="red"/><v:fill r:id="x"/>'
    body = f"<w:p><w:r><w:pict><v:shape>{fills}</v:shape></w:pict></w:r></w:p>"
    result = engine.recognise(
        stored(package(body, {"x": ("image", picture("LEDGER OF THE LIGHTHOUSE 1881"))}), DOCX)
    )
    assert "LIGHTHOUSE 1881" in "".join(page.text for page in result.pages)


def test_4000_pictures(engine: LocalEngine) -> None:
    pictures = {f"{number}.png": ("image", b"") for number in range(4000)}
    assert read(engine, package(paragraph("Text."), pictures)) == (["Text."], [])


CHUNKS: dict[str, tuple[str | bytes, list[str], list[str]]] = {
    "html": ("<html><body><p>The <b>whole</b> letter</p></body></html>", ["The whole letter"], []),
    "txt": ("The whole letter", ["The whole letter"], []),
    "docx": (package(paragraph("The whole letter")), ["The whole letter"], []),
    "mht": (
        "From: <Saved by Word>\nTo: x\nSubject: y\nMIME-Version: 1.0\nContent-Type: text/html; "
        "charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>The whole l=65tter</p>",
        ["The whole letter"],
        [],
    ),
    "rtf": ("{\\rtf1 The whole letter\\par And more}", ["The whole letter", "And more"], []),
    "docx that is broken": (zipped({"word/document.xml": "<"}), [], ["attachment_unread"]),
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_documents_that_were_put_in_whole(engine: LocalEngine, kind: str) -> None:
    content, lines, notes = CHUNKS[kind]
    data = package('<w:altChunk r:id="chunk"/>', {"chunk": ("aFChunk", content)})
    assert read(engine, data) == (lines, notes)


BEGIN, SEPARATE, END = (
    f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end")
)
FALLBACK = (
    '<w:p><w:r><mc:AlternateContent><mc:Choice Requires="{}">{}</mc:Choice>'
    "<mc:Fallback>{}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
)
BOX = "<wps:txbx><w:txbxContent>{}</w:txbxContent></wps:txbx>"
VML = "<w:pict><v:shape><v:textbox><w:txbxContent>{}</w:txbxContent></v:textbox></v:shape></w:pict>"
SHOWN = {
    "equation": (
        "<w:p><w:r><w:t>Energy is </w:t></w:r><m:oMath><m:r><m:t>E=m</m:t></m:r><m:sSup><m:e><m:r>"
        "<m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p>",
        ["Energy is E=mc²"],
    ),
    "fraction and root": (
        "<m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den>"
        "</m:f><m:rad><m:deg/><m:e><m:r><m:t>x</m:t></m:r></m:e></m:rad></m:oMath>",
        ["(a+b)/2√x"],
    ),
    "sum": (
        '<m:oMath><m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub><m:r><m:t>i=1</m:t></m:r>'
        "</m:sub><m:sup><m:r><m:t>n</m:t></m:r></m:sup><m:e><m:d><m:e><m:r><m:t>i</m:t></m:r></m:e>"
        "</m:d></m:e></m:nary></m:oMath>",
        ["∑_(i=1)ⁿ (i)"],
    ),
    "box, of two forms": (
        FALLBACK.format("wps", BOX.format(paragraph("boxed")), VML.format(paragraph("boxed"))),
        ["boxed"],
    ),
    "fallback only": (FALLBACK.format("x", "<x/>", VML.format(paragraph("fallback"))), ["fallback"]),
    "fallback between paragraphs": (
        f"<mc:AlternateContent><mc:Choice Requires='x'/><mc:Fallback>{paragraph('fallback')}"
        "</mc:Fallback></mc:AlternateContent>",
        ["fallback"],
    ),
    "word art": ('<w:p><w:r><w:pict><v:textpath string="DRAFT"/></w:pict></w:r></w:p>', ["DRAFT"]),
    "shape": ("<w:p><w:r><a:txBody><a:p><a:r><a:t>in a shape</a:t></a:r></a:p></a:txBody></w:r></w:p>",
              ["in a shape"]),
    "result of a field": (
        '<w:p><w:fldSimple w:instr="DATE"><w:r><w:t>1 May</w:t></w:r></w:fldSimple><w:r>'
        "<w:instrText>PAGE</w:instrText></w:r></w:p>",
        ["1 May"],
    ),
    "button": (
        f"<w:p>{BEGIN}<w:r><w:instrText> MACROBUTTON NoMacro Click </w:instrText></w:r>"
        f"<w:r><w:instrText>here </w:instrText></w:r>{END}</w:p>",
        ["Click here"],
    ),
    "symbols": (
        f"<w:p>{BEGIN}<w:r><w:instrText> SYMBOL 128 \\* MERGEFORMAT</w:instrText></w:r>{END}"
        f"{BEGIN}<w:r><w:instrText> SYMBOL 8470 \\u </w:instrText></w:r>{END}"
        f"{BEGIN}<w:r><w:instrText> SYMBOL 97 \\f Symbol \\s 12 </w:instrText></w:r>{END}"
        f"{BEGIN}<w:r><w:instrText> SYMBOL 169 \\f &quot;Arial&quot; </w:instrText></w:r>{END}</w:p>",
        ["€№α©"],
    ),
    "field in the code of a field": (
        f"<w:p>{BEGIN}<w:r><w:instrText> IF </w:instrText></w:r>{BEGIN}<w:r><w:instrText>MERGEFIELD City"
        f"</w:instrText></w:r>{SEPARATE}<w:r><w:t>Ashby</w:t></w:r>{END}{SEPARATE}<w:r><w:t>shown</w:t>"
        f"</w:r>{END}</w:p>",
        ["shown"],
    ),
    "field without an end": (
        f"<w:p>{BEGIN}<w:r><w:instrText> IF </w:instrText><w:t>still shown</w:t></w:r></w:p>",
        ["still shown"],
    ),
    "equation in a field": (
        f"<w:p>{BEGIN}<w:r><w:instrText> EQ \\f(rent;12) </w:instrText></w:r>{END}</w:p>",
        ["(rent;12)"],
    ),
    "fields of forms": (
        "<w:p><w:r><w:fldChar><w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox>"
        "</w:ffData></w:fldChar></w:r><w:r><w:t> agreed </w:t></w:r><w:r><w:fldChar><w:ffData><w:ddList>"
        "<w:result w:val='1'/><w:listEntry w:val='red'/><w:listEntry w:val='blue'/></w:ddList>"
        "</w:ffData></w:fldChar></w:r></w:p>",
        ["☒ agreed blue"],
    ),
    "content control": (
        f"<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val='1'/></w14:checkbox></w:sdtPr><w:sdtContent>"
        f"{paragraph('☒ yes')}</w:sdtContent></w:sdt>",
        ["☒ yes"],
    ),
    "ruby": (
        "<w:p><w:r><w:ruby><w:rubyPr/><w:rt><w:r><w:t>とう</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>東"
        "</w:t></w:r></w:rubyBase></w:ruby></w:r><w:r><w:t>京</w:t></w:r></w:p>",
        ["東京", "とう"],
    ),
    "signs": (
        '<w:p><w:r><w:sym w:font="Wingdings" w:char="F0FE"/><w:sym w:font="Symbol" w:char="F061"/></w:r>'
        '<w:r><w:rPr><w:rFonts w:ascii="Symbol"/></w:rPr><w:t>b\uf067</w:t></w:r></w:p>',
        ["☑αβγ"],
    ),
    "hyphens": (
        "<w:p><w:r><w:t>E</w:t><w:noBreakHyphen/><w:t>Mail, Ver</w:t><w:softHyphen/><w:t>trag</w:t>"
        "</w:r></w:p>",
        ["E-Mail, Vertrag"],
    ),
    "changes": (
        "<w:p><w:ins><w:r><w:t>950</w:t></w:r></w:ins><w:del><w:r><w:delText>900</w:delText></w:r></w:del>"
        "<w:moveTo><w:r><w:t> moved</w:t></w:r></w:moveTo><w:moveFrom><w:r><w:t>from</w:t></w:r>"
        "</w:moveFrom></w:p>",
        ["950 moved"],
    ),
    "row that was deleted": (
        f"<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc>{paragraph('gone')}</w:tc></w:tr>"
        f"<w:tr><w:tc>{paragraph('here')}</w:tc></w:tr></w:tbl>",
        ["here"],
    ),
    "table in a cell": (
        f"<w:tbl><w:tr><w:tc>{paragraph('a')}<w:tbl><w:tr><w:tc>{paragraph('b')}</w:tc></w:tr></w:tbl>"
        f"</w:tc><w:sdt><w:sdtContent><w:tc>{paragraph('c')}</w:tc></w:sdtContent></w:sdt></w:tr></w:tbl>",
        ["a b\tc"],
    ),
    "drop cap": (
        "<w:p><w:pPr><w:framePr w:dropCap='drop' w:lines='3'/></w:pPr><w:r><w:t>T</w:t></w:r></w:p>"
        f"{paragraph('he keeper')}",
        ["The keeper"],
    ),
    "right to left": (
        "<w:p><w:pPr><w:bidi/></w:pPr><w:bdo w:val='rtl'><w:r><w:rPr><w:rtl/></w:rPr><w:t>שלום</w:t></w:r>"
        "</w:bdo></w:p>",
        ["שלום"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown(engine: LocalEngine, name: str) -> None:
    body, lines = SHOWN[name]
    assert read(engine, package(body)) == (lines, [])


def test_hidden_text_is_left_out_and_noted(engine: LocalEngine) -> None:
    styles = (
        f"<w:styles {NAMESPACES}><w:style w:type='character' w:styleId='base'><w:rPr><w:vanish/></w:rPr>"
        "</w:style><w:style w:type='character' w:styleId='child'><w:basedOn w:val='base'/></w:style>"
        "<w:style w:type='character' w:styleId='loop'><w:basedOn w:val='loop'/></w:style></w:styles>"
    )
    runs = "".join(
        f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"
        for properties, text in (
            ("<w:vanish/>", "secret"),
            ('<w:rStyle w:val="child"/>', "secret"),
            ('<w:rStyle w:val="loop"/>', "seen"),
            ('<w:rStyle w:val="child"/><w:vanish w:val="0"/>', " too"),
        )
    )
    data = package(f"<w:p>{runs}</w:p>", {"styles.xml": ("styles", styles)})
    assert read(engine, data) == (["seen too"], ["not_shown"])


@pytest.mark.parametrize(
    ("form", "count", "shown"),
    [
        ("ordinal", 1, "1st"),
        ("ordinal", 112, "112th"),
        ("cardinalText", 21, "Twenty-one"),
        ("cardinalText", 1243, "One thousand two hundred forty-three"),
        ("ordinalText", 20, "Twentieth"),
        ("ordinalText", 103, "One hundred third"),
        ("decimalEnclosedCircle", 3, "③"),
        ("chicago", 6, "††"),
    ],
)
def test_numbers_of_lists_in_words_and_signs(form: str, count: int, shown: str) -> None:
    assert written(form, count) == shown


def test_numbers_before_paragraphs(engine: LocalEngine) -> None:
    levels = "".join(
        f"<w:lvl w:ilvl='{depth}'><w:start w:val='{start}'/><w:numFmt w:val='{form}'/>"
        f"<w:lvlText w:val='{text}'/></w:lvl>"
        for depth, (start, form, text) in enumerate(
            ((1, "decimal", "%1."), (3, "lowerLetter", "%1.%2)"), (4, "upperRoman", "(%3)"))
        )
    )
    numbering = (
        f"<w:numbering {NAMESPACES}><w:abstractNum w:abstractNumId='7'>{levels}</w:abstractNum>"
        "<w:num w:numId='1'><w:abstractNumId w:val='7'/></w:num><w:num w:numId='2'><w:abstractNumId "
        "w:val='7'/><w:lvlOverride w:ilvl='0'><w:startOverride w:val='9'/></w:lvlOverride></w:num>"
        "</w:numbering>"
    )
    body = "".join(
        f"<w:p><w:pPr><w:numPr><w:ilvl w:val='{depth}'/><w:numId w:val='{number}'/></w:numPr></w:pPr>"
        f"<w:r><w:t>{text}</w:t></w:r></w:p>"
        for number, depth, text in (
            *((1, 0, "a"), (1, 1, "b"), (1, 2, "c"), (1, 1, "d"), (1, 0, "e"), (1, 1, "f")),
            *((2, 0, "g"), (0, 0, "h"), (99, 0, "i")),
        )
    )
    lines, _ = read(engine, package(body, {"numbering.xml": ("numbering", numbering)}))
    assert lines == ["1. a", "1.c) b", "(IV) c", "1.d) d", "2. e", "2.c) f", "9. g", "h", "i"]


CHART = (
    f"<c:chartSpace {NAMESPACES}><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Harvest</a:t></a:r></a:p>"
    "</c:rich></c:tx></c:title><c:plotArea>{}</c:plotArea></c:chart></c:chartSpace>"
)
SERIES = (
    "<c:ser><c:tx><c:strRef><c:strCache><c:pt><c:v>apples</c:v></c:pt></c:strCache></c:strRef></c:tx>"
    "<c:cat><c:strRef><c:strCache><c:pt><c:v>May</c:v></c:pt><c:pt><c:v>June</c:v></c:pt></c:strCache>"
    "</c:strRef></c:cat><c:val><c:numRef><c:numCache><c:pt><c:v>12</c:v></c:pt><c:pt><c:v>7</c:v></c:pt>"
    "</c:numCache></c:numRef></c:val></c:ser>"
)


def test_charts_and_diagrams(engine: LocalEngine) -> None:
    data = package(
        '<w:p><w:r><w:drawing><c:chart r:id="chart"/></w:drawing></w:r></w:p><w:p><w:r><w:drawing>'
        '<dgm:relIds r:dm="diagram"/></w:drawing></w:r></w:p>',
        {
            "chart": ("chart", CHART.format(SERIES)),
            "diagram": (
                "diagramData",
                f"<dgm:dataModel {NAMESPACES}><dgm:ptLst><dgm:pt><dgm:t><a:p><a:r><a:t>mid</a:t></a:r>"
                "<a:r><a:t>dle</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>",
            ),
        },
    )
    assert read(engine, data) == (["Harvest", "May\tJune", "apples\t12\t7", "middle"], [])


def test_notes_and_comments(engine: LocalEngine) -> None:
    def part(kind: str, attributes: str = "") -> str:
        return f"<w:x {NAMESPACES}><w:{kind} {attributes}>{paragraph(kind)}</w:{kind}></w:x>"

    data = package(
        paragraph("body"),
        {
            "comments.xml": ("comments", part("comment", 'w:author="Ann"')),
            "endnotes.xml": ("endnotes", part("endnote")),
            "footnotes.xml": ("footnotes", part("footnote")),
            "header1.xml": ("header", part("hdr")),
        },
    )
    assert read(engine, data)[0] == ["hdr", "body", "footnote", "endnote", "[Ann] comment"]


# The head of a PNG of 50,000 x 50,000 pixels.
BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xc3\x50\0\0\xc3\x50\x08\2\0\0\0\xc4\xcd\xaa\x9d"
BLIP = '<w:p><w:r><w:drawing><a:blip r:embed="{}"/></w:drawing></w:r></w:p>'


def test_pictures_are_recognised_once(engine: LocalEngine) -> None:
    body = paragraph("Before.") + BLIP.format("scan.png") * 2 + BLIP.format("rule.png")
    scan = picture("LEDGER OF THE LIGHTHOUSE 1881", "OIL AND WICKS")
    small = {"rule.png": ("image", _rule())}
    result = engine.recognise(stored(package(body, {"scan.png": ("image", scan), **small}), DOCX))
    assert [page.origin for page in result.pages] == ["text-layer", "ocr"]
    assert "LIGHTHOUSE 1881" in result.pages[1].text
    alone = engine.recognise(stored(package(BLIP.format("s"), {"s": ("image", scan)}), DOCX))
    assert [page.origin for page in alone.pages] == ["ocr"]


@pytest.mark.parametrize("scan", [b"\x89PNG\r\n\x1a\n", picture("LEDGER")[:60], BOMB])
def test_a_picture_that_cannot_be_decoded_does_not_keep_the_text_from_being_read(
    engine: LocalEngine, scan: bytes
) -> None:
    data = package(paragraph("Text.") + BLIP.format("scan.png"), {"scan.png": ("image", scan)})
    assert read(engine, data) == (["Text."], ["image_unreadable"])


def _rule() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (1000, 4)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "parts", "kind"),
    [
        ('<w:object><o:OLEObject ProgID="AcroExch" r:id="x"/></w:object>', pdf("in it"), "attachment_unread"),
        ('<w:object><o:OLEObject ProgID="Excel" r:id="x"/></w:object>', ole("Workbook"), "attachment_unread"),
        ('<w:drawing><a:blip r:embed="x"/></w:drawing>', b"\1\0\0\0\x6c\0\0\0" + bytes(32) + b" EMF",
         "image_unreadable"),
        ('<w:drawing><a:blip r:embed="nowhere"/></w:drawing>', b"", None),
        ('<w:drawing><c:chart r:id="x"/></w:drawing>', CHART.format("").replace("Harvest", ""), "object_unread"),
        ('<w:subDoc r:id="x"/>', b"", "object_unread"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_noted(
    engine: LocalEngine, body: str, parts: bytes | str, kind: str | None
) -> None:
    data = package(f"<w:p><w:r><w:t>Text.</w:t>{body}</w:r></w:p>", {"x": ("any", parts)})
    assert read(engine, data) == (["Text."], [kind] if kind else [])


def test_parts_are_found_however_their_names_are_written(engine: LocalEngine) -> None:
    data = package(
        paragraph("Text."), {"a.xml": ("header", f"<w:hdr {NAMESPACES}>{paragraph('H')}</w:hdr>")}
    )
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("word/", "Word\\"), old.read(name))
    assert read(engine, changed.getvalue()) == (["H", "Text."], [])


def test_bomb(engine: LocalEngine) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(package(b"<a>" + b" " * 40_000_000 + b"</a>"), DOCX))
    assert caught.value.code == "too_much_text"


@pytest.mark.parametrize("depth", [2_000, 30_000])
def test_nested_without_end(engine: LocalEngine, depth: int) -> None:
    deep = "<w:x>" * depth + paragraph("x") + "</w:x>" * depth
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(package(deep), DOCX))
    assert caught.value.code in ("corrupt_document", "parser_crashed")


def test_entities_are_refused(engine: LocalEngine) -> None:
    body = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(package(body), DOCX))
    assert caught.value.code == "corrupt_document"


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", package(b"")[:200], package(b"<a")[:60]],
    ids=["empty", "signature", "head", "shorter head"],  # The archives' times differ between processes.
)
def test_damaged(engine: LocalEngine, data: bytes) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(data, DOCX))
    assert caught.value.code == "corrupt_document"


SEED = package(
    paragraph("Text.") + SHOWN["box, of two forms"][0] + SHOWN["equation"][0],
    {"chart": ("chart", CHART.format(SERIES)), "h.xml": ("header", f"<w:hdr {NAMESPACES}/>")},
)


@settings(deadline=None, max_examples=30)
@given(changes=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=9)), max_size=9))
def test_any_damage_ends_well(engine: LocalEngine, changes: list[tuple[float, bytes]]) -> None:
    data = bytearray(SEED)
    for place, change in changes:
        at = int(place * len(data))
        data[at : at + len(change)] = change
    try:
        engine.recognise(stored(bytes(data), DOCX))
    except IngestError as error:
        assert error.code not in ("reader_failed", "parser_crashed")  # noqa: PT017


@settings(deadline=None, max_examples=30)
@given(
    pieces=st.lists(
        st.sampled_from([body for body, _ in SHOWN.values()] + ["</w:p>", "<w:p>", "<w:r>", "&", "<"]),
        max_size=8,
    )
)
def test_any_xml_ends_well(engine: LocalEngine, pieces: list[str]) -> None:
    try:
        engine.recognise(stored(package("".join(pieces)), DOCX))
    except IngestError as error:
        assert error.code not in ("reader_failed", "parser_crashed")  # noqa: PT017


def test_unknown_type(engine: LocalEngine) -> None:
    with pytest.raises(PermanentError) as caught:
        engine.recognise(stored(b"Rar!", "application/vnd.rar"))
    assert caught.value.code == "unsupported_type"
