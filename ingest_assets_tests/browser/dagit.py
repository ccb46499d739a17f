"""Dagit in a browser, as a person has it, over a running `ingest-assets dev`.

Belongs here: what tests and `screenshots` do in Dagit. Does not belong here: what they expect of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from ingest_assets_tests.embedded.test_dev import Dev
from ingest_assets_tests.support.embedded import processes_of

CHROMIUM = shutil.which("chromium")
# A busy machine takes long to draw a page.
_PATIENCE_MS = 120_000


class Dagit:
    """A page of Dagit.

    Args:
        url: where Dagit is.
        directory: of the `dev` that runs it: its input directory and its data are in it.
    """

    def __init__(self, page: Page, url: str, directory: Path) -> None:
        self.page = page
        self.url = url
        self.directory = directory
        self.input = directory / "input"

    def go(self, path: str, await_text: str) -> Page:
        """Open a page, and wait for a text on it."""
        self.page.goto(f"{self.url}/{path}")
        self.page.get_by_text(await_text).first.wait_for()
        return self.page

    def picture(self, name: str) -> None:
        """Keep what is shown as `NAME.png`, where INGEST_SCREENSHOTS names a directory."""
        if directory := os.environ.get("INGEST_SCREENSHOTS"):
            self.page.wait_for_timeout(1000)  # Dialogues open with a movement.
            self.page.screenshot(path=Path(directory) / f"{name}.png")

    def launch_failed(self, asset: str) -> None:
        """Launch a backfill of an asset's failed partitions, by the dialogue that a person uses."""
        page = self.go(f"assets/{asset}?view=partitions", "Partitions")
        page.get_by_role("button", name="Materialize").first.click()
        page.get_by_role("button", name="Failed", exact=True).click()
        page.get_by_role("button", name="Launch").last.click()
        page.get_by_role("button", name="Launch backfill").wait_for(state="detached")

    def materialise(self, asset: str) -> None:
        """Materialise an asset without partitions, with its checks."""
        self.go(f"assets/{asset}", asset).get_by_role("button", name="Materialize").first.click()
        self.page.get_by_text("Launched run").first.wait_for()

    def show_markdown(self, asset: str, key: str) -> Page:
        """Show a Markdown value of the latest event of an asset."""
        page = self.go(f"assets/{asset}?view=events", "Show Markdown")
        row = page.locator("tr", has=page.get_by_text(key, exact=True))
        row.get_by_text("Show Markdown").first.click()
        return page


@contextmanager
def dagit(directory: Path) -> Iterator[Dagit]:
    """A `dev` over an empty input directory, and a browser that looks at it."""
    (directory / "input").mkdir()
    try:
        dev = Dev(directory)
        url = dev.wait_for_dagit()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            page = browser.new_page(viewport={"width": 1500, "height": 1250})
            page.set_default_timeout(_PATIENCE_MS)
            page.set_default_navigation_timeout(_PATIENCE_MS)
            yield Dagit(page, url, directory)
            browser.close()
        dev.process.terminate()
        dev.process.wait(90)
    finally:
        for process in processes_of(directory):
            process.kill()
