"""Office documents made by hand: their XML is what a test says, and no more."""

# ruff: noqa: E501  # Markup is clearer in one line.

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest_assets_tests.support.containers import zipped

RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/{}/2006/main"
_ODF = "urn:oasis:names:tc:opendocument:xmlns:{}:1.0"
ODF_NAMES = {
    **{name: _ODF.format(name) for name in ("office", "text", "table", "style", "presentation")},
    "draw": _ODF.format("drawing"),
    "xlink": "http://www.w3.org/1999/xlink",
    "dc": "http://purl.org/dc/elements/1.1/",
}


def related(**targets: str) -> str:
    """Relations, by identifier: the last word of the type, then the target."""
    entries = "".join(
        f'<Relationship Id="{name}" Type="{RELATIONS}/{stated.split()[0]}" Target="{stated.split()[1]}"/>'
        for name, stated in targets.items()
    )
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f"{entries}</Relationships>"
    )


def package(main: str, kind: str, parts: Mapping[str, str | bytes]) -> bytes:
    """A package of Office Open XML, with its main part's content type."""
    types = (
        f'<Types><Override PartName="/{main}" ContentType="application/vnd.'
        f'openxmlformats-officedocument.{kind}.main+xml"/></Types>'
    )
    top = related(r1=f"officeDocument {main}")
    return zipped({"[Content_Types].xml": types, "_rels/.rels": top, **parts})


def slide(shapes: str, *, root: str = "sld") -> str:
    """A slide of some shapes."""
    return (
        f'<p:{root} xmlns:p="{MAIN.format("presentationml")}" xmlns:a="{MAIN.format("drawingml")}" '
        f'xmlns:r="{RELATIONS}"><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{root}>'
    )


def shape(text: str, field: str = "") -> str:
    """A shape with a paragraph of text, which may be a field to fill in."""
    place = f"<p:nvPr>{field}</p:nvPr>"
    return f"<p:sp><p:nvSpPr>{place}</p:nvSpPr><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"


def pptx(*slides: str, parts: Mapping[str, str | bytes] | None = None) -> bytes:
    """A presentation of slides; `parts` are further parts, such as a slide's relations."""
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{number}" r:id="s{number}"/>' for number in reversed(numbers))
    main = (
        f'<p:presentation xmlns:p="{MAIN.format("presentationml")}" xmlns:r="{RELATIONS}">'
        f"<p:sldIdLst>{listed}</p:sldIdLst></p:presentation>"
    )
    return package(
        "ppt/presentation.xml",
        "presentationml.presentation",
        {
            "ppt/presentation.xml": main,
            "ppt/_rels/presentation.xml.rels": related(
                **{f"s{number}": f"slide slides/slide{number}.xml" for number in numbers}
            ),
            **{f"ppt/slides/slide{n}.xml": one for n, one in zip(numbers, slides, strict=True)},
            **(parts or {}),
        },
    )


def open_document(
    kind: str, body: str, *, styles: str = "", parts: Mapping[str, str | bytes] | None = None
) -> bytes:
    """An OpenDocument file: `kind` is `text`, `spreadsheet`, `presentation` or `graphics`."""
    tag = "drawing" if kind == "graphics" else kind
    names = " ".join(f'xmlns:{name}="{address}"' for name, address in ODF_NAMES.items())
    members: dict[str, str | bytes] = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": (
            f"<office:document-content {names}><office:body><office:{tag}>{body}</office:{tag}>"
            "</office:body></office:document-content>"
        ),
        **(parts or {}),
    }
    if styles:
        members["styles.xml"] = f"<office:document-styles {names}>{styles}</office:document-styles>"
    return zipped(members)


def epub(pages: Mapping[str, str], parts: Mapping[str, str | bytes] | None = None) -> bytes:
    """A book of pages in the order of their names' appearance."""
    items = "".join(
        f'<item id="i{number}" href="{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(pages)
    ) + "".join(
        f'<item id="{re.sub("[^a-z]", "", name)}" href="{name}" media-type="image/png"/>'
        for name in parts or {}
        if name.endswith(".png")
    )
    spine = "".join(f'<itemref idref="i{number}"/>' for number in range(len(pages)))
    members: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": (
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
        ),
        "OEBPS/book.opf": (
            f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
            f"<spine>{spine}</spine></package>"
        ),
        **{f"OEBPS/{name}": page for name, page in pages.items()},
        **{f"OEBPS/{name}": part for name, part in (parts or {}).items()},
    }
    return zipped(members)
