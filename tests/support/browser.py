"""A headless Chromium without a network, for tests that look at pages; they are skipped where none is installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PATH = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
WAIT = 60_000  # milliseconds, for a machine that does much else


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser."""
    if PATH is None:
        pytest.skip("no Chromium here; apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        yield running
        running.close()


@contextmanager
def opened(running: Browser, address: str, width: int = 1280, dark: bool = False) -> Iterator[Page]:
    """Open a page without a network; whatever it asks for elsewhere, and every error in it, fails the test."""
    context = running.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", offline=True
    )
    page, wrong = context.new_page(), []
    page.set_default_timeout(WAIT)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(("file:", "blob:")) else wrong.append(asked.url))
    page.goto(address)
    yield page
    context.close()
    assert not wrong
