"""Headless Chromium, from Debian's package, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    path = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert path is not None, "chromium is not installed: make test-browser installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def visitor(browser: Any, *, locale: str = "en-GB", **options: Any) -> Any:
    """A page in a window of its own, with nothing of any other."""
    # Playwright waits by evaluating strings, which the page allows nobody
    page = browser.new_page(locale=locale, bypass_csp=True, **options)
    page.set_default_timeout(40_000)
    return page
