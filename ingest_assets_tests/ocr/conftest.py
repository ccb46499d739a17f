from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest_assets.ocr.local import LocalEngine


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(workers=2)
    yield engine
    engine.close()
