"""Visio's drawings and XPS: text that stands in places of a page."""

# ruff: noqa: E501  # Markup is clearer in one line.

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ingest_assets import formats
from ingest_assets.errors import PermanentError
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.office import RELATIONS
from ingest_assets_tests.support.reading import read, unpacked
from ingest_assets_tests.support.scans import encoded, page_image

VISIO = "http://schemas.microsoft.com/office/visio/2012/main"
XPS = "http://schemas.microsoft.com/xps/2005/06"


def relations(**targets: str) -> str:
    """Relations, by identifier: the last word of the type, then the target."""
    listed = "".join(
        f'<Relationship Id="{name}" Type="http://x/{stated.split()[0]}" Target="{stated.split()[1]}"/>'
        for name, stated in targets.items()
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{listed}</Relationships>'


def vsdx(page: str, master: str = "", parts: Mapping[str, str | bytes] | None = None) -> bytes:
    """A drawing of one page and one master; `parts` are further parts, such as the page's relations."""
    names = f'xmlns="{VISIO}" xmlns:r="{RELATIONS}"'
    return zipped(
        {
            "[Content_Types].xml": '<Types><Override PartName="/visio/document.xml" ContentType="application/vnd.ms-visio.drawing.main+xml"/></Types>',
            "_rels/.rels": relations(a="document visio/document.xml"),
            "visio/document.xml": f"<VisioDocument {names}/>",
            "visio/_rels/document.xml.rels": relations(
                p="pages pages/pages.xml", m="masters masters/masters.xml", c="comments comments.xml"
            ),
            "visio/comments.xml": f"<Comments {names}><CommentList><CommentEntry>Move it.</CommentEntry></CommentList></Comments>",
            "visio/masters/masters.xml": f'<Masters {names}><Master ID="2"><Rel r:id="m"/></Master></Masters>',
            "visio/masters/_rels/masters.xml.rels": relations(m="master master1.xml"),
            "visio/masters/master1.xml": f"<MasterContents {names}><Shapes>{master}</Shapes></MasterContents>",
            "visio/pages/pages.xml": f'<Pages {names}><Page Name="Quays"><Rel r:id="p"/></Page><Page Name="Lost"><Rel r:id="q"/></Page></Pages>',
            "visio/pages/_rels/pages.xml.rels": relations(p="page page1.xml"),
            "visio/pages/page1.xml": f"<PageContents {names}><Shapes>{page}</Shapes></PageContents>",
            **(parts or {}),
        }
    )


def test_a_visio_drawing_shows_the_words_of_its_shapes_and_of_their_masters() -> None:
    master = '<Shape ID="5"><Text>Berth</Text><Shapes><Shape ID="6"><Text>Depth</Text></Shape></Shapes></Shape>'
    page = (
        '<Shape ID="1"><Text><cp IX="0"/>Pier <fld IX="0">7</fld></Text></Shape>'
        '<Shape ID="2" Master="2"><Shapes><Shape ID="3" MasterShape="6"/></Shapes></Shape>'
        '<Shape ID="4" Master="2"><Text>Slip</Text></Shape>'
        '<Shape ID="5"><Cell N="HideText" V="1"/><Text>Hidden</Text></Shape>'
    )
    data = vsdx(
        page,
        master,
        {
            "visio/pages/_rels/page1.xml.rels": relations(
                i="image ../media/a.png", o="package ../embeddings/dues.pdf"
            ),
            "visio/media/a.png": encoded(page_image(), "PNG"),
            "visio/embeddings/dues.pdf": b"%PDF-1.7 of nothing",
        },
    )
    found = read(data)
    assert found.mime_type == formats.VSDX.mime_type
    assert found.pages == ["Quays\nPier 7\nBerth\nDepth\nSlip", "Move it.", None]
    assert found.kinds == {"page_unreadable", "attachment_unread"}
    assert unpacked(data).parts == {"dues.pdf": b"%PDF-1.7 of nothing"}


def test_a_visio_page_without_words_is_noted() -> None:
    assert "unread_ink" in read(vsdx('<Shape ID="1"/>')).kinds


def test_the_pictures_of_a_visio_master_are_read() -> None:
    parts: dict[str, str | bytes] = {
        "visio/masters/_rels/master1.xml.rels": relations(i="image ../media/a.png"),
        "visio/media/a.png": encoded(page_image(["PILOT"]), "PNG"),
    }
    assert read(vsdx('<Shape ID="1"><Text>Pier</Text></Shape>', parts=parts)).pages[-1] is None


def glyphs(text: str, x: float, y: float = 100, more: str = "") -> str:
    return (
        f'<Glyphs UnicodeString="{text}" OriginX="{x}" OriginY="{y}" FontRenderingEmSize="10" {more}/>'
    )


def xps(*pages: str, namespace: str = XPS, parts: dict[str, bytes] | None = None) -> bytes:
    """A document of some pages."""
    listed = "".join(f'<PageContent Source="Pages/{number}.fpage"/>' for number in range(len(pages)))
    return zipped(
        {
            "[Content_Types].xml": '<Types><Override PartName="/a.fdseq" ContentType="application/vnd.ms-package.xps-fixeddocumentsequence+xml"/></Types>',
            "_rels/.rels": relations(a="fixedrepresentation /a.fdseq"),
            "a.fdseq": f'<FixedDocumentSequence xmlns="{namespace}"><DocumentReference Source="/Documents/1/a.fdoc"/></FixedDocumentSequence>',
            "Documents/1/a.fdoc": f'<FixedDocument xmlns="{namespace}">{listed}</FixedDocument>',
            **{
                f"Documents/1/Pages/{number}.fpage": f'<FixedPage xmlns="{namespace}">{page}</FixedPage>'
                for number, page in enumerate(pages)
            },
            **(parts or {}),
        }
    )


@pytest.mark.parametrize("namespace", [XPS, "http://schemas.openxps.org/oxps/v1.0"])
def test_an_xps_shows_its_runs_in_lines(namespace: str) -> None:
    advances = 'Indices="1,50;2,50;3,50;4,50"'
    turned = "".join(
        f'<Canvas RenderTransform="0,-1,1,0,{x},700">{glyphs(text, 0, 0)}</Canvas>'
        for x, text in ((50, "On its side,"), (62, "two lines"))
    )
    page = (
        glyphs("Quay", 10, more=advances)
        + glyphs("side", 30, more=advances)
        + glyphs("dues", 54, more=advances)
        + glyphs("{}{12}", 300)
        + '<Canvas><Canvas.RenderTransform><MatrixTransform Matrix="2,0,0,2,0,0"/></Canvas.RenderTransform>'
        + f"{glyphs('Grüße ', 5, 60)}{glyphs('from', 35, 60)}</Canvas>"
        + turned
    )
    found = read(xps(page, namespace=namespace))
    assert found.mime_type == formats.XPS.mime_type
    assert (found.pages, found.notes) == (
        ["Quayside dues\t{12}\nGrüße from\nOn its side,\ntwo lines"],
        (),
    )


def test_what_an_xps_shows_without_characters_is_recognised_or_noted() -> None:
    scan = '<Path><Path.Fill><ImageBrush ImageSource="/Resources/a.png"/></Path.Fill></Path>'
    picture = {"Resources/a.png": encoded(page_image(), "PNG")}
    assert read(xps(scan, parts=picture)).pages == [None]
    assert read(xps(glyphs("", 5, more='Indices="7;8"'))).kinds == {"content_unreadable"}
    assert read(xps('<Path Data="M 0,0 L 9,9"/>')).kinds == {"unread_ink"}
    ruled = glyphs("Tides", 9) + '<Path Data="M 0,0 L 9,9"/>'
    assert read(xps(ruled)).notes == ()
    assert read(xps(ruled + '<Path Data="F1 M 0,0 C 1,2 3,4 5,6 Z"/>')).kinds == {"unread_ink"}
    letters = "<Path.Data><PathGeometry><ArcSegment/></PathGeometry></Path.Data>"
    assert read(xps(f"{ruled}<Path>{letters}</Path>")).kinds == {"unread_ink"}
    with pytest.raises(PermanentError, match="no list of its pages"):
        read(xps())
