"""The order of lines against Textract's own, on documents whose text Textract has returned.

    python bench/textract_text.py DIRECTORY_OF_PDFS TEXTS.tsv.xz

The file has a line a document: its name, and what Textract returned, with `\\n` between lines. Each of
Textract's lines is looked up in the document's text layer, which says where on the page it stands. Of
those boxes, shuffled, and the lines in them blocks are made as Textract returns them. What the engine
reads in them is compared with Textract's own order. Lines that the text layer does not have, because
Textract read them otherwise or joined them otherwise, are left out on both sides.
"""

from __future__ import annotations

import lzma
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pypdfium2

from ingest_assets.ocr.textract.blocks import BlockReader


def located(path: Path, lines: list[str]) -> Iterator[tuple[int, str, tuple[float, ...]]]:
    """Lines with their page and box (left, top, width, height), as far as they are found in order."""
    document = pypdfium2.PdfDocument(path)
    try:
        number, after = 0, 0
        for line in lines:
            for page_number in range(number, min(number + 2, len(document))):
                page = document[page_number]
                textpage = page.get_textpage()
                start = after if page_number == number else 0
                found = textpage.search(line, index=start, match_case=True).get_next()
                if found:
                    index, count = found
                    rects = [textpage.get_rect(n) for n in range(textpage.count_rects(index, count))]
                    width, height = page.get_size()
                    left, right = min(r[0] for r in rects), max(r[2] for r in rects)
                    bottom, top = min(r[1] for r in rects), max(r[3] for r in rects)
                    number, after = page_number, index + count
                    # More than a line is high: the text layer breaks it elsewhere.
                    if top - bottom < 0.03 * height:
                        yield (
                            page_number + 1,
                            line,
                            (
                                left / width,
                                1 - top / height,
                                (right - left) / width,
                                (top - bottom) / height,
                            ),
                        )
                    break
    finally:
        document.close()


def read(found: list[tuple[int, str, tuple[float, ...]]], pages: int) -> list[str]:
    """What the engine makes of blocks of these lines, in any order."""
    blocks: list[dict[str, Any]] = [
        {
            "BlockType": "LINE",
            "Page": page,
            "Text": line,
            "Geometry": {
                "BoundingBox": dict(zip(("Left", "Top", "Width", "Height"), box, strict=True))
            },
        }
        for page, line, box in found
    ]
    random.Random(1).shuffle(blocks)
    reader = BlockReader()
    reader.add({"DocumentMetadata": {"Pages": pages}, "Blocks": blocks})
    return [line for page in reader.pages() for line in page.text.split("\n") if line]


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--differences", default=0, help="Show so many of the places that differ.")
def main(directory: Path, texts: Path, differences: int) -> None:
    documents = same = total = used = in_order = 0
    with lzma.open(texts, "rt", encoding="utf-8") as file:
        for row in file:
            name, _, returned = row.rstrip("\n").partition("\t")
            lines = [" ".join(line.split()) for line in returned.split("\\n") if line.strip()]
            found = list(located(directory / name, lines))
            expected = [line for _, line, _ in found]
            got = read(found, max((page for page, _, _ in found), default=1))
            documents += 1
            same += got == expected
            total += len(lines)
            used += len(expected)
            in_order += sum(a == b for a, b in zip(expected, got, strict=True))
            if got != expected and differences:
                differences -= 1
                place = next(n for n, line in enumerate(got) if line != expected[n])
                click.echo(f"{name}, line {place}:")
                for kind, side in (("Textract", expected), ("engine", got)):
                    click.echo(f"  {kind}: {side[max(0, place - 1) : place + 4]}")
    click.echo(f"{documents} documents; {used} of {total} lines found in the text layers")
    click.echo(f"the same text: {same} documents; lines at their place: {in_order / used:.2%}")


if __name__ == "__main__":
    main()
