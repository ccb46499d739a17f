"""What the local engine makes of each file of a folder: one JSON object a line.

    python bench/replays.py FOLDER [--only PATTERN] [--workers N] > outcomes.jsonl

Each line has `name`, `state` (as `document_progress` would say), `code` of the error or null, `text`,
`notes` (kind, page, sentence) and `seconds` of wall time. No database and no S3: only the type by
content and the engine, so that the readers can be tried on thousands of files.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from ingest_assets import formats
from ingest_assets.errors import IngestError
from ingest_assets.ocr.engine import StoredObject
from ingest_assets.ocr.local import LocalEngine
from ingest_assets.stages.content import examine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*", help="shell pattern of names")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    files = sorted(path for path in options.folder.glob(options.only) if path.is_file())
    with closing(LocalEngine(options.workers)) as engine, ThreadPoolExecutor(options.workers) as pool:
        for outcome in pool.map(lambda path: _outcome(engine, path), files):
            print(json.dumps(outcome, ensure_ascii=False), flush=True)


def _outcome(engine: LocalEngine, path: Path) -> dict[str, Any]:
    started = time.monotonic()
    outcome: dict[str, Any] = {"name": path.name, "code": None, "text": None, "notes": []}
    try:
        outcome |= _read(engine, path)
    except IngestError as error:
        outcome |= {"state": "failed", "code": error.code, "notes": [["error", None, str(error)]]}
    return {**outcome, "seconds": round(time.monotonic() - started, 2)}


def _read(engine: LocalEngine, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        found = examine(file, path.stat().st_size)
    if not found.format.read:
        encrypted = found.format in (formats.ENCRYPTED_OFFICE, formats.SEALED, formats.PGP_MESSAGE)
        code = "encrypted" if encrypted else "unsupported_type"
        return {"state": "rejected", "code": code, "notes": [["error", None, found.format.name]]}
    result = engine.recognise(
        StoredObject(
            uuid4(), "", "", found.size_bytes, found.format.mime_type, lambda to: _copy(path, to)
        )
    )
    text = "\n\n".join(page.text for page in result.pages)
    return {
        "state": "completed" if any(map(str.isalnum, text)) else "no_text",
        "text": text,
        "notes": [[note.kind, note.page, note.sentence] for note in result.notes],
    }


def _copy(path: Path, target: BinaryIO) -> None:
    with path.open("rb") as file:
        shutil.copyfileobj(file, target)


if __name__ == "__main__":
    main()
