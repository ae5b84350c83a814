"""Pages in Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.waiting import GUARD_SECONDS, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def launched() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=list(QUIET), timeout=1000 * GUARD_SECONDS
        )
        yield browser
        browser.close()


def opened(browser: Any, **options: Any) -> Any:
    """A page that waits for its events however slow the machine is."""
    page = browser.new_page(**options)
    page.set_default_timeout(1000 * GUARD_SECONDS)
    return page


def until(page: Any, expression: str) -> None:
    """Wait until an expression holds in the page, whose policy forbids Playwright's own way of asking again."""
    wait_for(lambda: page.evaluate(expression))
