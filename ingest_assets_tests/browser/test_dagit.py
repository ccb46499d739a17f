"""What a person sees and does in Dagit, in a browser; one `dev` for all of it, in this order.

Where INGEST_SCREENSHOTS names a directory (`make screenshots`), the pictures of README.md and docs/ are
written into it, each where its test has seen what it shows.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.operations.verification.questions import CHECKS
from ingest_assets_tests.browser.dagit import CHROMIUM, Dagit, dagit
from ingest_assets_tests.support.containers import zipped
from ingest_assets_tests.support.documents import pdf
from ingest_assets_tests.support.embedded import PROJECT, cli, wait_until
from ingest_assets_tests.support.packages import mail

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium."),
]
SECONDS = 300
SAMPLES = PROJECT / "examples" / "documents"
BROKEN = "contract, signed twice and scanned.pdf"
UPLOADS = 40
GROUP = "locations/ingest_assets/asset-groups/documents/lineage"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagit]:
    with dagit(tmp_path_factory.mktemp("browser")) as found:
        yield found


def by_state(opened: Dagit) -> dict[str, int]:
    found: dict[str, Any] = json.loads(cli(opened.directory, "status", "--json").stdout)
    return {state: count for state, count in found["by_state"].items() if count}


def test_what_is_dropped_materialises_and_shows_what_it_is(opened: Dagit) -> None:
    shutil.copytree(SAMPLES, opened.input, dirs_exist_ok=True)
    lease = mail("The lease", attached={"agreement.pdf": pdf("Between Acme, Inc. and Bolt, LLC.")})
    papers = zipped({"2024/lease.eml": lease, "2024/note.txt": "Call on Monday.\n"})
    (opened.input / "papers.eml").write_bytes(mail("Papers", attached={"papers.zip": papers}))
    (opened.input / BROKEN).write_bytes(b"%PDF-1.7 broken")
    expected = {"completed": 7 + 5, "no_text": 1, "failed": 1}
    assert wait_until(lambda: by_state(opened) == expected, SECONDS, 1), by_state(opened)
    page = opened.go("assets/document_text?view=partitions", "Failed (1)")
    page.get_by_text("Materialized (13)").wait_for()
    page = opened.partition("document_text", "letter, scanned askew.pdf")
    # The event of the partition: where it is, and how it was read.
    page.get_by_text("/letter_scanned_askew.pdf").first.wait_for()
    page.get_by_text("mean_confidence").first.wait_for()
    page.get_by_text("Dear Ms Brandt").first.wait_for()
    opened.picture("document")
    # And its first page, as a picture.
    page.locator("tr", has=page.get_by_text("page_1", exact=True)).get_by_text("Show Markdown").click()
    picture = page.locator("img[src^='data:image']").first
    picture.wait_for()
    assert picture.evaluate("one => one.naturalWidth") > 100
    page = opened.partition("document_text", "papers.zip")
    page.get_by_role("link", name="lease-").first.wait_for()
    opened.picture_of("parts", page.locator("table", has=page.get_by_text("parts_listed")).last)
    opened.picture_of_terminal("why", opened.printed("why", BROKEN))


def test_a_backfill_of_failed_ones_tries_these_and_no_others(opened: Dagit) -> None:
    opened.launch_backfill("assets/document_text?view=partitions", "Failed")

    def tried() -> bool:
        return "document_text, attempt 2: failed" in cli(opened.directory, "why", BROKEN).stdout

    assert wait_until(tried, SECONDS, 1), cli(opened.directory, "why", BROKEN).stdout
    assert "attempt 2" not in cli(opened.directory, "why", "letter.png").stdout


def test_uploads_without_a_row_are_shown_and_ingested_by_a_backfill(opened: Dagit) -> None:
    from playwright.sync_api import expect

    texts = opened.directory / "texts"
    texts.mkdir()
    for number in range(UPLOADS - 1):
        (texts / f"letter {number}.txt").write_text(f"Order {number} has arrived in Boston.\n")
    seed = [sys.executable, str(PROJECT / "bench" / "seed_orphans.py"), str(texts)]
    words = ["exec", *seed, "--count", str(UPLOADS), "--not-a-document"]
    seeded = cli(opened.directory, *words)
    assert seeded.returncode == 0, seeded.stderr
    opened.materialise("storage_inventory")
    opened.go("assets/storage_inventory?view=overview", f"{UPLOADS} orphan", height=1000)
    opened.picture("inventory")
    opened.launch_job("register_orphans")
    status = [opened.printed("status")]
    opened.launch_backfill(GROUP, "Missing")
    while "are worked on" in status[-1]:
        status.append(opened.printed("status"))
    opened.picture_of_terminal("status", status[-2])
    done = {"completed": 7 + 5 + UPLOADS - 1, "no_text": 1, "failed": 1, "rejected": 1}
    assert wait_until(lambda: by_state(opened) == done, SECONDS, 1), by_state(opened)
    page = opened.go("runs?view=backfills", f"{UPLOADS} partitions", height=620)
    page.locator("a[href*='/runs/b/']").first.click()
    # Of the backfill and of the column that counts: what is no document is none that failed.
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(2)
    assert page.get_by_text("100% completed").count() == 5
    opened.picture("backfill")
    opened.go(GROUP, f"{14 + UPLOADS} partitions", width=1900, height=520)
    opened.picture("asset-graph")


def test_checks_are_executed_from_their_page(opened: Dagit) -> None:
    page = opened.go("assets/ingest_report?view=checks", CHECKS[0].name)
    page.get_by_role("button", name="Execute all").click()
    page.wait_for_function("() => !/Not evaluated|In progress|Running/i.test(document.body.innerText)")
    # Each question with its answer: nothing is wrong but that a document failed, which has its reason.
    page.get_by_text("failures_have_reasons").first.click()
    page.get_by_text("Does every failed partition have a stored reason? Yes.").wait_for()
    assert page.get_by_text("Succeeded", exact=True).count() == len(CHECKS)


def test_the_report_has_pictures(opened: Dagit) -> None:
    opened.materialise("ingest_report")
    page = opened.show_markdown("ingest_report", "report")
    pictures = page.locator("img[src^='data:image/png']")
    pictures.first.wait_for()
    assert pictures.count() == 4
    widths = [picture.evaluate("one => one.naturalWidth") for picture in pictures.all()]
    assert all(width > 400 for width in widths), widths
    page.get_by_text("corrupt_document (permanent)").first.wait_for()
    opened.picture("report")


def test_the_report_as_a_page_is_drawn_without_network(opened: Dagit, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    written = cli(opened.directory, "report", "--html", str(file))
    assert written.returncode == 0, written.stderr
    opened.page.goto("about:blank")  # Dagit's page asks again and again.
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url))
    opened.page.goto(file.as_uri())
    pictures = opened.page.locator("img")
    assert pictures.count() == 4
    assert all(picture.evaluate("one => one.naturalWidth") > 400 for picture in pictures.all())
    assert opened.page.get_by_text(BROKEN).count() == 1
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
