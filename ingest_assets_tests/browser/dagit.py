"""Dagit in a browser, as a person has it, over a running `ingest-assets dev`.

Belongs here: what tests do in Dagit, and how they keep pictures of it and of a terminal. Does not
belong here: what they expect of it.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from rich.console import Console
from rich.text import Text

from ingest_assets_tests.embedded.test_dev import Dev
from ingest_assets_tests.support.embedded import cli, processes_of, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CHROMIUM = shutil.which("chromium")
# A busy machine takes long to draw a page.
_PATIENCE_MS = 120_000
_WIDTH, _HEIGHT = 1500, 1250
_TERMINAL_WIDTH, _TERMINAL_COLUMNS = 1200, 110


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

    def go(self, path: str, await_text: str, width: int = _WIDTH, height: int = _HEIGHT) -> Page:
        """Open a page in a window of that size, and wait for a text on it.

        A graph that is open does not move into a window that becomes smaller.
        """
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.goto(f"{self.url}/{path}")
        self.page.get_by_text(await_text).first.wait_for()
        return self.page

    def partition(self, asset: str, file_name: str) -> Page:
        """Open the partition of a document on the page of an asset."""
        story = cli(self.directory, "why", file_name).stdout
        found = re.search(r"partition +(\S+)", story)
        assert found, story
        return self.go(f"assets/{asset}?view=partitions&partition={found.group(1)}", "document_uuid")

    def picture(self, name: str) -> None:
        """Keep what the window shows, as `NAME.png`, where pictures are kept."""
        if _pictures_directory():
            self.page.wait_for_timeout(2000)  # Dialogues and graphs move into their places.
            _keep(name, self.page)

    def picture_of(self, name: str, part: Locator) -> None:
        """Keep a part of the page, as `NAME.png`, where pictures are kept."""
        if _pictures_directory():
            self.page.wait_for_timeout(2000)
            _keep(name, part)

    def printed(self, *words: str) -> str:
        """A command and what it prints in a terminal, in its colours."""
        columns = str(_TERMINAL_COLUMNS)
        printed = cli(self.directory, *words, FORCE_COLOR="1", COLUMNS=columns).stdout
        return f"$ ingest-assets {shlex.join(words)}\n{printed}"

    def picture_of_terminal(self, name: str, printed: str) -> None:
        """Keep what `printed` gave, as `NAME.png`, where pictures are kept."""
        if not _pictures_directory():
            return
        console = Console(record=True, width=_TERMINAL_COLUMNS, file=io.StringIO())
        console.print(Text.from_ansi(printed))
        self.page.set_viewport_size({"width": _TERMINAL_WIDTH, "height": _HEIGHT})
        self.page.set_content(f'<body style="margin: 0">{console.export_svg(title="")}</body>')
        _keep(name, self.page.locator("svg"))

    def launch_backfill(self, page: str, preset: str) -> None:
        """Launch a backfill of what a page shows, by the dialogue that a person uses.

        Args:
            preset: which partitions: the dialogue's button, `Failed` or `Missing`.
        """
        self.go(page, "Materialize").get_by_role("button", name="Materialize").first.click()
        self.page.get_by_role("button", name=preset, exact=True).click()
        self.page.get_by_role("button", name="Launch").last.click()
        self.page.get_by_role("button", name="Launch backfill").wait_for(state="detached")

    def launch_job(self, job: str) -> None:
        """Launch a job with its default configuration, and wait until it has succeeded."""
        page = self.go(f"locations/ingest_assets/jobs/{job}/playground", "Launchpad")
        page.get_by_role("button", name="Launch run").click()
        page.get_by_text("RUN_SUCCESS").first.wait_for()

    def materialise(self, asset: str) -> None:
        """Materialise an asset without partitions, with its checks, and wait for its event.

        A page that is open may show the former event until it is loaded again.
        """
        former = self._last_event(asset)
        self.go(f"assets/{asset}", asset).get_by_role("button", name="Materialize").first.click()
        self.page.get_by_text("Launched run").first.wait_for()
        assert wait_until(lambda: self._last_event(asset) != former, pause=1)

    def _last_event(self, asset: str) -> object:
        query = """query ($key: AssetKeyInput!) {
            assetNodeOrError(assetKey: $key) {
                ... on AssetNode { assetMaterializations(limit: 1) { timestamp } } } }"""
        body = {"query": query, "variables": {"key": {"path": [asset]}}}
        answer = self.page.request.post(f"{self.url}/graphql", data=body).json()
        return answer["data"]["assetNodeOrError"]["assetMaterializations"]

    def show_markdown(self, asset: str, key: str) -> Page:
        """Show a Markdown value of the latest event of an asset."""
        page = self.go(f"assets/{asset}?view=events", "Show Markdown")
        row = page.locator("tr", has=page.get_by_text(key, exact=True))
        row.get_by_text("Show Markdown").first.click()
        return page


def _pictures_directory() -> str:
    return os.environ.get("INGEST_SCREENSHOTS", "")


def _keep(name: str, shown: Page | Locator) -> None:
    """Write a picture, with as few colours as a page of Dagit needs: a third of the bytes."""
    with Image.open(io.BytesIO(shown.screenshot())) as picture:
        few = picture.convert("RGB").quantize(128)
        few.save(Path(_pictures_directory()) / f"{name}.png", optimize=True)


@contextmanager
def dagit(directory: Path) -> Iterator[Dagit]:
    """A `dev` over an empty input directory, and a browser that looks at it.

    Objects that were uploaded a moment ago count as orphans at once.
    """
    # Imported here, because the tests that need it are slow ones, which most sessions leave out.
    from playwright.sync_api import expect, sync_playwright

    (directory / "input").mkdir()
    try:
        dev = Dev(directory, INGEST_IN_FLIGHT_SECONDS="0")
        url = dev.wait_for_dagit()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
            page.set_default_timeout(_PATIENCE_MS)
            page.set_default_navigation_timeout(_PATIENCE_MS)
            expect.set_options(timeout=_PATIENCE_MS)
            yield Dagit(page, url, directory)
            browser.close()
        dev.process.terminate()
        dev.process.wait(90)
    finally:
        for process in processes_of(directory):
            process.kill()
