"""A run that is killed at any point of a job's life: no job is started twice, and none is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import text

from ingest_assets_tests.crash.site import PROCESSES
from ingest_assets_tests.ocr.textract.conftest import Runs
from ingest_assets_tests.support import textract_child
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.stand_in import StandIn

pytestmark = pytest.mark.usefixtures("forks")

DOCUMENTS = 2
# Over a thousand blocks, so that its results come in two answers.
LONG = "\n".join(f"Line {number} of a document with many words in it." for number in range(120))


@contextmanager
def locked(runs: Runs, table: str) -> Iterator[None]:
    """Make every statement that writes into the table wait."""
    with runs.pipeline.database.engine.connect() as connection:
        connection.execute(text(f"LOCK TABLE {table} IN SHARE MODE"))
        yield
        connection.rollback()


def kill(runs: Runs, textract: StandIn, reached: Callable[[], bool]) -> None:
    """Run in a process, and kill that when a point is reached."""
    runs.pipeline.requests()
    keys = runs.pipeline.instance.get_dynamic_partitions("documents")
    arguments = (textract.url, runs.pipeline.objects.bucket, runs.pipeline.input_dir, *keys)
    process = PROCESSES.Process(target=textract_child.run, args=(dict(os.environ), *arguments))
    process.start()
    try:
        deadline = time.monotonic() + 240
        while not reached():
            assert process.exitcode is None, "the run ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize(
    ("hold", "reached"),
    [
        ("start", lambda runs, textract: textract.calls.get("held at start", 0) == DOCUMENTS),
        ("started", lambda runs, textract: textract.calls.get("held at started", 0) == DOCUMENTS),
        ("", lambda runs, textract: _waiting(runs) == DOCUMENTS),
        ("get", lambda runs, textract: textract.calls.get("held at get", 0) > 0),
        ("page", lambda runs, textract: textract.calls.get("held at page", 0) == DOCUMENTS),
    ],
    ids=["before the job", "before its id", "in progress", "before the results", "between results"],
)
def test_killed_while_textract_has_it(
    runs: Runs, textract: StandIn, hold: str, reached: Callable[[Runs, StandIn], bool]
) -> None:
    _fill(runs)
    textract.faults(hold=hold, stay=not hold)
    kill(runs, textract, lambda: reached(runs, textract))
    textract.faults()
    _finish_and_count(runs, textract)


@pytest.mark.parametrize("table", ["ingest.textract_jobs", "ingest.document_texts"])
def test_killed_while_the_result_is_on_its_way(runs: Runs, textract: StandIn, table: str) -> None:
    """Between the answers in S3 and the job's row, and between that and the text."""
    _fill(runs)
    textract.faults(stay=True)
    with ExitStack() as stack:

        def reached() -> bool:
            if _waiting(runs) == DOCUMENTS and not textract_may_end:
                textract_may_end.append(True)
                stack.enter_context(locked(runs, table))
                textract.faults()
            kept = [f for f in runs.pipeline.objects.listing("derived/") if "/textract/" in f.key]
            written = [job["status"] for job in runs.jobs()] == ["succeeded"] * DOCUMENTS
            return len(kept) == DOCUMENTS and (written or table == "ingest.textract_jobs")

        textract_may_end: list[bool] = []
        kill(runs, textract, reached)
    _finish_and_count(runs, textract)


def _fill(runs: Runs) -> None:
    for number in range(DOCUMENTS):
        runs.pipeline.put(f"{number}.pdf", pdf(f"Document {number}.", LONG))


def _waiting(runs: Runs) -> int:
    return sum(job["status"] == "in_progress" for job in runs.jobs())


def _finish_and_count(runs: Runs, textract: StandIn) -> None:
    assert [outcome.error for outcome in runs.run()] == [None] * DOCUMENTS
    assert len(textract.jobs) == DOCUMENTS
    assert [(job["status"], job["attempt"]) for job in runs.jobs()] == [("succeeded", 1)] * DOCUMENTS
    for name, found in runs.texts().items():
        assert f"Document {name[0]}." in found.text
    assert len(runs.texts()) == DOCUMENTS
