"""What a person sees and does in Dagit, in a browser; one `dev` for all of it, in this order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.operations.verification.questions import CHECKS
from ingest_assets_tests.browser.dagit import CHROMIUM, Dagit, dagit
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.embedded import cli, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium."),
]
SECONDS = 300


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagit]:
    with dagit(tmp_path_factory.mktemp("browser")) as found:
        yield found


def status(opened: Dagit) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli(opened.directory, "status", "--json").stdout)
    return found


def test_what_is_dropped_materialises_and_shows_what_it_is(opened: Dagit) -> None:
    (opened.input / "agreement.pdf").write_bytes(pdf("Between Acme, Inc. and Bolt, LLC.", "Signed."))
    (opened.input / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    assert wait_until(lambda: status(opened)["by_state"]["failed"] == 1, SECONDS, 1)
    assert wait_until(lambda: status(opened)["by_state"]["completed"] == 1, SECONDS, 1)
    page = opened.go("assets/document_text?view=partitions", "Failed (1)")
    page.get_by_text("Materialized (1)").wait_for()
    page.get_by_text("agreement-").first.click()
    # The event of the partition: where it is, and the beginning of its text.
    page.get_by_text("Between Acme, Inc.").first.wait_for()
    # And its first page, as a picture.
    picture = page.locator("img[src^='data:image']").first
    picture.wait_for()
    assert picture.evaluate("one => one.naturalWidth") > 100
    opened.picture("document-in-browser")


def test_a_backfill_of_failed_ones_tries_these_and_no_others(opened: Dagit) -> None:
    opened.launch_failed("document_text")

    def tried() -> bool:
        return "document_text, attempt 2: failed" in cli(opened.directory, "why", "broken.pdf").stdout

    assert wait_until(tried, SECONDS, 1), cli(opened.directory, "why", "broken.pdf").stdout
    assert "attempt 2" not in cli(opened.directory, "why", "agreement.pdf").stdout


def test_the_report_has_pictures_and_the_checks_have_answers(opened: Dagit) -> None:
    opened.materialise("ingest_report")
    page = opened.show_markdown("ingest_report", "report")
    pictures = page.locator("img[src^='data:image/png']")
    pictures.first.wait_for()
    assert pictures.count() == 4
    widths = [picture.evaluate("one => one.naturalWidth") for picture in pictures.all()]
    assert all(width > 400 for width in widths), widths
    page.get_by_text("corrupt_document (permanent)").first.wait_for()
    opened.picture("report")
    opened.go("assets/ingest_report?view=checks", CHECKS[0].name)
    opened.picture("checks")


def test_the_report_as_a_page_is_drawn_without_network(opened: Dagit, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    written = cli(opened.directory, "report", "--html", str(file))
    assert written.returncode == 0, written.stderr
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url))
    opened.page.goto(file.as_uri())
    pictures = opened.page.locator("img")
    assert pictures.count() == 4
    assert all(picture.evaluate("one => one.naturalWidth") > 400 for picture in pictures.all())
    assert opened.page.get_by_text("broken.pdf").count() == 1
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
