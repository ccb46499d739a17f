"""How exactly the local engine reads text layers, measured against PDFium's plain text of them.

Usage: python bench/text_layers.py FOLDER_OF_PDFS [--documents 400] [--sample 7]

The engine looks for places where a layer does not say what a page shows, and changes what it finds; of
documents whose layers are right it must change nothing. Names each document whose pages differ from
their layers by more than 0.2 % of the characters (CER as in `ocr_accuracy.py`), with its notes, then
prints the totals. A difference is no fault by itself: look at the page. Pages without a layer are left
out.
"""

from __future__ import annotations

import argparse
import random
import statistics
from contextlib import closing
from pathlib import Path

import pypdfium2
from local_files import stored_file
from ocr_accuracy import character_error_rate

from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine

# Layers with fewer characters are those of page numbers and stamps on scans.
_FEWEST_CHARACTERS = 20
_WORTH_NAMING = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--sample", type=int, default=7, help="seed of the choice of documents")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.pdf"))
    random.Random(arguments.sample).shuffle(files)
    rates: list[float] = []
    pages = recognised = 0
    with closing(LocalEngine(workers=1)) as engine:
        for file in files[: arguments.documents]:
            result = engine.recognise(stored_file(file))
            if (rate := _difference(file, result)) is None:
                continue
            rates.append(rate)
            pages += len(result.pages)
            recognised += sum(page.origin == "ocr" for page in result.pages)
            if rate > _WORTH_NAMING:
                print(f"{file.name}: {rate:.2%}; {'; '.join(map(str, result.notes[:4]))}", flush=True)
    if rates:
        print("| documents | pages | recognised in part | the same | CER mean | median | worst |")
        print("|---|---|---|---|---|---|---|")
        print(
            f"| {len(rates)} | {pages} | {recognised} | {sum(rate == 0 for rate in rates)} "
            f"| {statistics.mean(rates):.3%} | {statistics.median(rates):.3%} | {max(rates):.2%} |"
        )


def _difference(file: Path, result: Recognition) -> float | None:
    """Return the mean of the pages' CER against their layers; None where no page has a layer."""
    rates = []
    with closing(pypdfium2.PdfDocument(file)) as pdf:
        for index, page in enumerate(result.pages):
            layer = pdf[index].get_textpage().get_text_range().replace("\ufffe", "-\n")
            if len(layer) > _FEWEST_CHARACTERS:
                same = page.text.split() == layer.split()
                rates.append(0.0 if same else character_error_rate(layer, page.text))
    return statistics.mean(rates) if rates else None


if __name__ == "__main__":
    main()
