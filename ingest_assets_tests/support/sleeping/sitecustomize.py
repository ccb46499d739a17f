"""Processes with this directory in PYTHONPATH read documents by sleeping, without recognition.

A document is a text whose first word is the number of seconds that it takes. So the recognition of many
machines fits one: it takes no computing. Each run reads INGEST_OCR_WORKERS documents at a time.

Belongs here: this engine, which exists for measurements and tests of many workers alone.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ingest_assets import wiring

if TYPE_CHECKING:
    from ingest_assets.ocr.engine import Contents, Recognition, StoredObject
    from ingest_assets.settings import OcrSettings


class SleepingEngine:
    """Keeps the protocol `OcrEngine`."""

    name = "sleeping"
    version = "1"
    documents_at_a_time: int | None = None

    def __init__(self, settings: OcrSettings) -> None:
        self._cores = threading.BoundedSemaphore(settings.ocr_workers)

    def recognise(self, document: StoredObject) -> Recognition:
        """Sleep as long as the document says."""
        from ingest_assets.ocr.engine import Page, Recognition

        content = io.BytesIO()
        document.download(content)
        text = content.getvalue().decode()
        with self._cores:
            time.sleep(float(text.split()[0]))
        return Recognition((Page(1, text, "ocr", 1.0),), self.name, self.version)

    @contextmanager
    def contents(self, document: StoredObject) -> Iterator[Contents]:
        """Nothing is inside."""
        from ingest_assets.ocr.engine import Contents

        yield Contents(())

    def reads_as(self, mime_type: str) -> tuple[str, str]:
        """The same for all."""
        return self.name, self.version

    def let_go(self) -> None:
        """Nothing waits outside this machine."""

    def close(self) -> None:
        """There is nothing to end."""


wiring.local_reader = SleepingEngine  # type: ignore[assignment]
