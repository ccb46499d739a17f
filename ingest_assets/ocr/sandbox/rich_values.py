"""Values of data types in cells of XLSX: pictures within cells, companies, places.

Belongs here: the parts that say what such a cell shows ([MS-XLSX], 2.2.4 and 2.6); the cell itself has
`#VALUE!`, for programs that know less. Does not belong here: sheets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from xml.etree.ElementTree import Element

from ingest_assets.ocr.sandbox.any_namespace import named
from ingest_assets.ocr.sandbox.docx.package import Package

# Parts with pictures that stand in cells: those that were put in, and those of the function IMAGE.
PICTURES_IN_CELLS = ("richValueRel", "rdRichValueWebImage")
_SHOWN, _ERROR = "_DisplayString", "_error"


def shown_by_data_types(package: Package, main: str) -> list[str | None]:
    """Return what cells show whose `vm` is 1, 2 and so on: no text for a picture.

    None stands for an error, which the cell holds itself.
    The list is empty where the parts are damaged.
    """

    def first(kind: str) -> Element | None:
        return next((package.xml(part) for part in package.related(main, kind)), None)

    metadata = first("sheetMetadata")
    listed = next(named(metadata, "valueMetadata"), None)
    with suppress(IndexError, ValueError):
        values = [*_values(first("rdRichValue"), first("rdRichValueStructure"))]
        numbers = [int(entry.get("i", "")) for entry in named(metadata, "rvb")]
        return [values[numbers[int(cell.get("v", ""))]] for cell in named(listed, "rc")]
    return []


def _values(listed: Element | None, structures: Element | None) -> Iterator[str | None]:
    kinds = [
        (kind.get("t"), [key.get("n") for key in named(kind, "k")]) for kind in named(structures, "s")
    ]
    for value in named(listed, "rv"):
        kind, keys = kinds[int(value.get("s", ""))]
        said = dict(zip(keys, (one.text or "" for one in named(value, "v")), strict=False))
        yield None if kind == _ERROR else said.get(_SHOWN, "")
