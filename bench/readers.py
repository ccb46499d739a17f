"""What other libraries read of the files of a folder, beside what this project's readers read.

    python bench/readers.py FOLDER [--only PATTERN] [--texts DIRECTORY]

Prints a table by type: how many files there are, and for each reader how many it refused, the words
that it read, how many of the words that any reader found are missing in it, and seconds of computing.
Other libraries are tried where they are installed: kreuzberg, python-calamine, python-pptx, odfpy,
striprtf, extract-msg, trafilatura. Nothing is recognised: pictures give no words to any of them.

A word is a run of letters and digits, counted once a file. `missing` has the words that at least one
other reader found and this one did not; other readers also give what nobody sees (raw values of
cells, codes of fields, addresses of links, markup), so look at the words (`--texts` writes them).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import logging
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ingest_assets import formats
from ingest_assets.formats import Format
from ingest_assets.identification import identify
from ingest_assets.ocr.sandbox.formats import open_document

OWN = "ingest_assets"
_WORD = re.compile(r"\w+")
_OFFICE = (formats.XLSX, formats.XLS, formats.XLSB, formats.ODS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*", help="shell pattern of names")
    parser.add_argument("--texts", type=Path, help="where to write which words are missing")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    found: dict[str, dict[str, list[tuple[str, set[str] | None, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    readers = [reader for reader in READERS if reader[1] is None or _is_installed(reader[1])]
    for path in sorted(path for path in options.folder.rglob(options.only) if path.is_file()):
        with path.open("rb") as file:
            format_ = identify(file)
        for name, _, types, read in readers:
            if format_.read and format_.holds != "only" and (types is None or format_ in types):
                found[format_.name][name].append((path.name, *_timed(read, path, format_)))
    print(
        "| type | files | reader | refused | words | missing | CPU s |\n|---|---|---|---|---|---|---|"
    )
    for kind, by_reader in sorted(found.items()):
        known: dict[str, set[str]] = defaultdict(set)
        for outcomes in by_reader.values():
            for name, words, _ in outcomes:
                known[name] |= words or set()
        if not any(known.values()):
            continue
        for reader, outcomes in by_reader.items():
            missing = {name: known[name] - (words or set()) for name, words, _ in outcomes}
            print(
                f"| {kind} | {len(outcomes)} | {reader} | {sum(one[1] is None for one in outcomes)}"
                f" | {sum(len(one[1] or ()) for one in outcomes)} | {sum(map(len, missing.values()))}"
                f" | {sum(one[2] for one in outcomes):.2f} |"
            )
            if options.texts:
                options.texts.mkdir(exist_ok=True)
                with (options.texts / f"{reader}.txt").open("a") as file:
                    file.writelines(
                        f"{name}: {' '.join(sorted(words))}\n"
                        for name, words in missing.items()
                        if words
                    )


def _timed(
    read: Callable[[Path, Format], str], path: Path, format_: Format
) -> tuple[set[str] | None, float]:
    """The words of a file, None where the reader refuses it, and seconds of computing."""
    started = time.process_time()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            text = read(path, format_)
    except Exception:  # noqa: BLE001  # Each library has its own errors, and some raise any.
        return None, time.process_time() - started
    return set(_WORD.findall(text.casefold())), time.process_time() - started


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _own(path: Path, format_: Format) -> str:
    with contextlib.closing(open_document(path, format_.mime_type)) as document:
        pages = (document.page(number + 1) for number in range(document.page_count))
        return "\n".join(page.own_text or "" for page in pages)


def _kreuzberg(path: Path, format_: Format) -> str:
    import kreuzberg  # noqa: PLC0415

    return str(kreuzberg.extract_file_sync(path, format_.mime_type).content)


def _calamine(path: Path, format_: Format) -> str:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415

    book = CalamineWorkbook.from_path(path)
    rows = (row for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python())
    return "\n".join([*book.sheet_names, *("\t".join(map(str, row)) for row in rows)])


def _pptx(path: Path, format_: Format) -> str:
    from pptx import Presentation  # noqa: PLC0415

    def texts(shapes: Any) -> Iterator[str]:
        for shape in shapes:
            if shape.has_text_frame:
                yield shape.text_frame.text
            elif getattr(shape, "has_table", False):
                yield from (cell.text for row in shape.table.rows for cell in row.cells)
            elif hasattr(shape, "shapes"):
                yield from texts(shape.shapes)

    slides = Presentation(str(path)).slides
    notes = (slide.notes_slide.notes_text_frame.text for slide in slides if slide.has_notes_slide)
    return "\n".join([*(text for slide in slides for text in texts(slide.shapes)), *notes])


def _odf(path: Path, format_: Format) -> str:
    from odf import teletype, text  # noqa: PLC0415
    from odf.opendocument import load  # noqa: PLC0415

    paragraphs = (
        *load(str(path)).getElementsByType(text.P),
        *load(str(path)).getElementsByType(text.H),
    )
    return "\n".join(map(teletype.extractText, paragraphs))


def _rtf(path: Path, format_: Format) -> str:
    from striprtf.striprtf import rtf_to_text  # noqa: PLC0415

    return str(rtf_to_text(path.read_text("cp1252", "replace")))


def _msg(path: Path, format_: Format) -> str:
    import extract_msg  # noqa: PLC0415

    with extract_msg.openMsg(path) as message:
        said = (message.sender, message.to, message.cc, message.subject, message.body)
        return "\n".join(str(one) for one in said if one)


def _trafilatura(path: Path, format_: Format) -> str:
    import trafilatura  # noqa: PLC0415

    return trafilatura.extract(path.read_bytes(), favor_recall=True) or ""


# Name, the module that it needs, the types that it reads (None: whatever it can), what reads.
READERS: tuple[
    tuple[str, str | None, tuple[Format, ...] | None, Callable[[Path, Format], str]], ...
] = (
    (OWN, None, None, _own),
    ("kreuzberg", "kreuzberg", None, _kreuzberg),
    ("python-calamine", "python_calamine", _OFFICE, _calamine),
    ("python-pptx", "pptx", (formats.PPTX,), _pptx),
    ("odfpy", "odf", (formats.ODT, formats.ODS, formats.ODP), _odf),
    ("striprtf", "striprtf", (formats.RTF,), _rtf),
    ("extract-msg", "extract_msg", (formats.MSG,), _msg),
    ("trafilatura", "trafilatura", (formats.HTML,), _trafilatura),
)


if __name__ == "__main__":
    main()
