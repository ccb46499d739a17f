"""A folder as it lies on a share: 300 files, with litter, types, copies and faults.

    python -m bench.mixed_folder DIRECTORY

Writes the files, which are the same at each call, into a directory that is made. What becomes of
them is in docs/mixed-folder.md.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ingest_assets_tests.support import evil
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.made_files import made

_FILES = 300
_SAMPLES = Path(__file__).parents[1] / "examples" / "documents"
# What scanners, synchronisation, browsers and operating systems leave.
_LITTER = (
    "@eaDir/letter 001.pdf/SYNOFILE_THUMB_M.png",
    "@EADIR/letter 002.pdf/SYNOFILE_THUMB_M.png",
    "#recycle/old lease.pdf",
    "@Recycle/older lease.pdf",
    "$RECYCLE.BIN/S-1-5-21/$R0FMSC5.pdf",
    "System Volume Information/tracking.log",
    ".Trash-1000/files/draft.pdf",
    "lost+found/#1187",
    "__MACOSX/._letter.pdf",
    "Thumbs.db",
    "scans/thumbs.DB",
    "desktop.ini",
    "Icon\r",
    ".DS_Store",
    "~$agreement.docx",
    "film.!ut",
    "paper.aria2",
    "report.pdf.crdownload",
    "report.pdf.part",
    ".stfolder/marker",
)
_FAULTS = (
    "corrupt.pdf",
    "header only.pdf",
    "user password.pdf",
    "zero pages.pdf",
    "bomb.png",
    "entities.docx",
    "external entity.docx",
)
_NO_DOCUMENTS = ("program.pdf", "empty.pdf", "pipe.pdf", "loop.pdf", "socket.pdf")


def write(root: Path) -> int:
    """Write the folder; returns the number of its files."""
    root.mkdir(parents=True)
    for place in _LITTER:
        _put(root / place, pdf("A letter that nobody filed."))
    for number in range(4):
        _put(root / "faults" / f"{number}", b"")  # Of no type and empty.
    for number in range(3):
        _put(root / "faults" / f"contract {number}, locked.pdf", evil.encrypted(f"u{number}", "o"))
    evil.make_all(root / "faults", [*_FAULTS, *_NO_DOCUMENTS])
    (root / "faults" / "loop").symlink_to(".")
    _put(root / "faults" / "nobody may read this.pdf", pdf("Wages."))
    (root / "faults" / "nobody may read this.pdf").chmod(0)
    _put(root / "faults" / "in the future.pdf", pdf("From a camera whose clock runs ahead."))
    os.utime(root / "faults" / "in the future.pdf", (4_000_000_000, 4_000_000_000))
    shutil.copytree(_SAMPLES, root / "scans", dirs_exist_ok=True)
    shutil.copytree(_SAMPLES, root / "scans, copied")
    for one in made():
        _put(root / "all types" / one.name, one.data)
    for name, content in islice(_letters(), _FILES - _count(root)):
        _put(root / "letters" / name, content)
    return _count(root)


def _letters() -> Iterator[tuple[str, bytes]]:
    number = 0
    while True:
        number += 1
        yield (
            f"letter {number:03}.pdf",
            pdf(f"Letter {number} to Acme, Inc. about its lease in Boston."),
        )


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _count(root: Path) -> int:
    return sum(not path.is_dir() or path.is_symlink() for path in root.rglob("*"))


if __name__ == "__main__":
    print(f"{write(Path(sys.argv[1]))} files")
