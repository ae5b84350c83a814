"""The browser of all tests here."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.chromium import CHROMIUM, launched


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; without it or without playwright, the test is skipped."""
    pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'goemo[dev]'")
    if CHROMIUM is None:
        pytest.skip("needs Chromium on PATH: apt-get install chromium")
    with launched() as browser:
        yield browser
