"""A headless Chromium of the system's, driven by Playwright, where both are installed."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120_000
"""Milliseconds that anything may take: the pictures are made by the processor."""
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser for the length of a block."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of a browser that nobody visited before.

    Attributes:
        page: Playwright's.
        complaints: errors and warnings of its console, and exceptions that nobody caught.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning") and "GPU stall" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def expect(self, selector: str) -> Any:
        """What is expected of an element, waiting for it."""
        from playwright.sync_api import expect

        return expect(self.page.locator(selector))

    def ask(self, smiles: str, button: str = "#predict") -> None:
        """Type a SMILES and press a button."""
        self.page.fill("#smiles", smiles)
        self.page.click(button)


@contextlib.contextmanager
def visiting(browser: Any, address: str, **options: Any) -> Iterator[Visit]:
    """The service's page for the length of a block, once it knows its models."""
    size = {"viewport": {"width": 900, "height": 600}}
    with contextlib.closing(browser.new_context(**size | options)) as context:
        visit = Visit(context.new_page())
        visit.page.goto(address)
        visit.expect("#version").not_to_be_empty()
        visit.expect("#models article h3").not_to_have_count(0)
        yield visit
