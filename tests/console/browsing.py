"""A real browser for the tests: Debian's Chromium, headless, on the console of a real server."""

from __future__ import annotations

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

from tests.system.running_server import TOP

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
PICTURES = Path(os.environ.get("XIAOZHI_SCREENSHOTS") or TOP / "build" / "screenshots")
"""Where a run keeps what it saw."""
PATIENCE_MS = 30_000
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
SERIOUS = ("serious", "critical")
_AXE = files("axe_playwright_python") / "axe.min.js"


def launch(playwright: Playwright, *arguments: str) -> Browser:
    """``arguments``: further switches, such as those of the fake microphone."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *arguments])


def new_context(browser: Browser, base_url: str, **options: Any) -> BrowserContext:
    """A visitor without a past. What goes wrong in his pages fails the test that calls `complaints`."""
    context = browser.new_context(base_url=base_url, **{"locale": "en-US", "viewport": WIDE, **options})
    context.set_default_timeout(PATIENCE_MS)
    return context


class Visit:
    """One page of a visitor, with what its scripts complained of."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        # A refused request is said there too; what is shown to the person is what counts.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


def keep_picture(page: Page, name: str) -> Path:
    """The whole page as it is now, as ``<name>.png``."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=True, animations="disabled")
    return path


def keep_view(page: Page, name: str) -> Path:
    """What its window shows of the page now, as ``<name>.png``."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    return path


def accessibility_faults(page: Page) -> list[str]:
    """What axe finds of serious or critical weight, one sentence each."""
    page.evaluate(_AXE.read_text("utf-8"))
    findings = page.evaluate("async () => JSON.stringify((await axe.run()).violations)")
    return [
        f"{finding['id']} ({finding['impact']}): {finding['help']}: {[node['html'][:160] for node in finding['nodes']][:3]}"
        for finding in json.loads(findings)
        if finding["impact"] in SERIOUS
    ]


def overflow_pixels(page: Page) -> int:
    """By how much the page is wider than its window: a person would have to scroll sideways."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth"))
