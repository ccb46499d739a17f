"""How well the local engine reads, measured against known text.

Usage: python bench/ocr_accuracy.py CORPUS_DIR [--documents 20] [--pages 2]

CORPUS_DIR holds `nda/*.pdf` (PDFs with a text layer, which is the truth for their rendered pages),
`receipts/NNN.jpg` with the truth in `receipts/NNN.txt`, and `awkward/*.pdf` without truth; what is
missing is left out.

- Character error rate (CER): edit distance over the length of the truth, a page, after all white
  space became one space and typographic quotes and dashes their ASCII forms.
- Lines lost: lines of the truth of which less than half of the words stand in the result.
- Doubted: pages with a note that something was left out or is unsure. On pages that are read right,
  each is a false alarm.
- Words (receipts): runs of letters and digits, capitals aside, counted as bags. Recall is the share
  of the truth's words that were read, precision that of the read words that are in the truth.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pypdfium2
from local_files import stored_bytes, stored_file
from PIL import Image

from ingest_assets.errors import IngestError
from ingest_assets.ocr.engine import Recognition
from ingest_assets.ocr.local import LocalEngine

_ASCII = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00ad": "-"})  # noqa: RUF001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--documents", type=int, default=20, help="PDFs to render")
    parser.add_argument("--pages", type=int, default=2, help="pages of each, at most")
    arguments = parser.parse_args()
    engine = LocalEngine(workers=os.cpu_count() or 1)
    try:
        print(engine.version, "\n")
        _rendered(engine, arguments.corpus / "nda", arguments.documents, arguments.pages)
        _receipts(engine, arguments.corpus / "receipts")
        _awkward(engine, arguments.corpus / "awkward")
    finally:
        engine.close()


def _rendered(engine: LocalEngine, folder: Path, documents: int, pages: int) -> None:
    files = sorted(folder.glob("*.pdf"))
    sample = list(_pages(files[:: max(1, len(files) // documents)][:documents], pages))
    if not sample:
        return
    print("| rendered at 200 dpi, and | pages | CER mean | CER median | worst | lines lost | doubted |")
    print("|---|---|---|---|---|---|---|")
    changes: dict[str, Callable[[Image.Image], Image.Image]] = {
        "as it is": lambda image: image,
        "skewed 1.6°": lambda image: _skewed(image, 1.6),
        "skewed -2°": lambda image: _skewed(image, -2),
        "skewed 5°": lambda image: _skewed(image, 5),
        "turned 90°": lambda image: image.rotate(90, expand=True),
        "turned 180°": lambda image: image.rotate(180),
    }
    for name, change in changes.items():
        results = _read_all(engine, [change(image) for image, _ in sample])
        texts = [result.pages[0].text for result in results]
        rates = [
            character_error_rate(truth, text) for (_, truth), text in zip(sample, texts, strict=True)
        ]
        lost = [_lines_lost(truth, text) for (_, truth), text in zip(sample, texts, strict=True)]
        lines = sum(len(truth.splitlines()) for _, truth in sample)
        print(
            f"| {name} | {len(rates)} | {statistics.mean(rates):.2%} "
            f"| {statistics.median(rates):.2%} | {max(rates):.2%} | {sum(lost)} of {lines} "
            f"| {sum(map(_is_doubted, results))} |",
            flush=True,
        )


def _pages(files: Sequence[Path], pages: int) -> Iterator[tuple[Image.Image, str]]:
    for file in files:
        pdf = pypdfium2.PdfDocument(file)
        for index in range(min(pages, len(pdf))):
            text = pdf[index].get_textpage().get_text_range().replace("\ufffe", "-\n")
            if len(text) > 200:
                image = pdf[index].render(scale=200 / 72, grayscale=True).to_pil().copy()
                yield image, text.replace("\r\n", "\n")
        pdf.close()


def _skewed(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def _read_all(engine: LocalEngine, images: Sequence[Image.Image]) -> list[Recognition]:
    def read(image: Image.Image) -> Recognition:
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=1, dpi=(200, 200))
        return engine.recognise(stored_bytes(out.getvalue(), "image/png"))

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(read, images))


def _is_doubted(result: Recognition) -> bool:
    return any(note.kind != "turned" for note in result.notes)


def character_error_rate(truth: str, text: str) -> float:
    truth, text = (" ".join(either.translate(_ASCII).split()) for either in (truth, text))
    return _edit_distance(truth, text) / len(truth)


def _edit_distance(one: str, other: str) -> int:
    """Levenshtein's distance, a row at a time."""
    letters = np.array([ord(letter) for letter in other], dtype=np.int64)
    steps = np.arange(len(other) + 1)
    row = steps.copy()
    for count, letter in enumerate(one, start=1):
        best = np.minimum(row[:-1] + (letters != ord(letter)), row[1:] + 1)
        best = np.concatenate(([count], best))
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def _lines_lost(truth: str, text: str) -> int:
    found = set(_words(text))
    lines = [words for line in truth.splitlines() if (words := _words(line))]
    return sum(sum(word in found for word in words) < len(words) / 2 for words in lines)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+(?:[.,][0-9]+)*", text.lower())


def _receipts(engine: LocalEngine, folder: Path) -> None:
    files = sorted(folder.glob("*.jpg"))
    if not files:
        return
    hits = true = read = doubted = 0
    confidences = []
    start = time.monotonic()
    for file in files:
        result = engine.recognise(stored_file(file))
        (page,) = result.pages
        doubted += _is_doubted(result)
        truth = Counter(_words(file.with_suffix(".txt").read_text("utf-8", errors="replace")))
        words = Counter(_words(page.text))
        hits += (truth & words).total()
        true += truth.total()
        read += words.total()
        confidences.append(page.confidence or 0)
    seconds = (time.monotonic() - start) / len(files)
    print("\n| receipts | word recall | precision | F1 | mean confidence | s each | doubted |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {len(files)} | {hits / true:.1%} | {hits / read:.1%} "
        f"| {2 * hits / (true + read):.1%} | {statistics.mean(confidences):.2f} | {seconds:.2f} "
        f"| {doubted} |"
    )


def _awkward(engine: LocalEngine, folder: Path) -> None:
    files = sorted(folder.glob("*.pdf"))
    if not files:
        return
    print("\n| awkward PDF | outcome | pages | characters | confidence | s | notes |")
    print("|---|---|---|---|---|---|---|")
    for file in files:
        start = time.monotonic()
        outcome = _outcome(engine, file)
        print(f"| {file.name} | {outcome.replace('SECONDS', f'{time.monotonic() - start:.2f}')} |")


def _outcome(engine: LocalEngine, file: Path) -> str:
    try:
        result = engine.recognise(stored_file(file))
    except IngestError as error:
        return f"{error.error_class}: {error.code} | | | | SECONDS | {error}"
    characters = sum(len(page.text) for page in result.pages)
    origins = " and ".join(sorted({page.origin for page in result.pages}))
    confidences = [page.confidence for page in result.pages if page.confidence is not None]
    confidence = f"{statistics.mean(confidences):.2f}" if confidences else ""
    outcome = origins if characters else "no text"
    notes = "; ".join(map(str, result.notes))
    return f"{outcome} | {len(result.pages)} | {characters} | {confidence} | SECONDS | {notes}"


if __name__ == "__main__":
    main()
