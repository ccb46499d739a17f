"""The report: its numbers, its page, and that nothing is slowed by what draws it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from dagster import AssetKey, MarkdownMetadataValue, materialize

from ingest_assets.defs.ingest_report import ingest_report
from ingest_assets.operations.pictures import draw
from ingest_assets.operations.report import page, read_report
from ingest_assets_tests.fixtures import NewPipeline
from ingest_assets_tests.operations.verification.test_engine import change
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.pipeline import Pipeline

NAME = '<script>alert("x")<script> & <img src=http:x>.pdf'


@pytest.fixture(scope="module")
def mixed(new_pipeline: NewPipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Documents that ended, one that failed, one that waits, and one that ended two days ago."""
    with (
        pytest.MonkeyPatch.context() as patch,
        new_pipeline(tmp_path_factory.mktemp("mixed"), patch) as pipeline,
    ):
        pipeline.put("agreement.pdf", pdf("Between two parties.", "Signed."))
        pipeline.put("old.pdf", pdf("Long ago."))
        pipeline.put(NAME, b"%PDF-1.4 broken")
        pipeline.put("empty.pdf", b"")
        pipeline.ingest()
        pipeline.put("waiting.pdf", pdf("Waits."))
        pipeline.tick()
        change(
            pipeline,
            "UPDATE ingest.document_sources SET discovered_at = now() - interval '50 h'"
            " WHERE original_file_name = 'old.pdf'",
            "UPDATE ingest.stage_attempts SET started_at = now() - interval '49 h',"
            " finished_at = now() - interval '49 h' WHERE partition_key LIKE 'old-%'",
            "UPDATE ingest.document_pages SET origin = 'ocr', confidence = 0.65 WHERE page_number = 2",
        )
        yield pipeline


def test_numbers_of_the_last_day_and_month(mixed: Pipeline) -> None:
    report = read_report(mixed.database)
    assert len(report.day) == 24
    assert len(report.month) == 30
    assert {b.begin - a.begin for a, b in zip(report.day, report.day[1:], strict=False)} == {
        timedelta(hours=1)
    }
    assert report.day[-1].begin <= report.at < report.day[-1].begin + timedelta(hours=1)
    today = [sum(span[1:4]) for span in report.day]
    # Within the last hour or, at its turn, two: four were found, two ended and one failed.
    assert sum(today[-2:]) == sum(today) == 4 + 2 + 1
    assert (report.day[0].backlog, report.day[-1].backlog) == (0, 1)
    month = [sum(numbers) for numbers in zip(*(span[1:4] for span in report.month), strict=True)]
    assert month == [5, 3, 1]
    assert report.month[-1].backlog == 1
    assert report.pages == {"text-layer": 2, "ocr": 1}
    assert {limit: count for limit, count in report.confidence.items() if count} == {0.7: 1}
    ((error_class, code, stage, documents, _),) = report.faults
    assert (error_class, code, stage, documents) == (
        "permanent",
        "corrupt_document",
        "document_text",
        1,
    )
    assert "undamaged" in report.faults[0].what_to_do


class _Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_shows_names_as_they_are(
    mixed: Pipeline, tmp_path: Path
) -> None:
    report = read_report(mixed.database)
    pictures = draw(report)
    made = page(report, pictures)
    shown = _Page(made)
    assert NAME.replace("/", "") in shown.text
    assert not shown.tags & {"script", "link", "iframe", "object"}
    assert len(shown.addresses) == len(pictures) == 4
    assert all(address.startswith("data:image/png;base64,") for address in shown.addresses)
    assert not re.search(r"https?://", made)
    assert all(png.startswith(b"\x89PNG") and len(png) < 40_000 for png in pictures.values())
    assert "corrupt_document (permanent)" in shown.text


def test_an_empty_report_is_drawn(pipeline: Pipeline) -> None:
    report = read_report(pipeline.database)
    assert "0 of 0 documents done" in page(report, draw(report))


def test_dagit_is_given_the_report_and_not_too_much(mixed: Pipeline) -> None:
    result = materialize(
        [ingest_report],
        instance=mixed.instance,
        resources={"database": (mixed.defs.resources or {})["database"]},
    )
    (event,) = result.asset_materializations_for_node("ingest_report")
    assert event.asset_key == AssetKey("ingest_report")
    shown = event.metadata["report"]
    assert isinstance(shown, MarkdownMetadataValue)
    assert shown.value.count("](data:image/png;base64,") == 4
    assert "<script>" not in shown.value
    assert len(shown.value) < 200_000
    assert event.metadata["state_failed"].value == 1
