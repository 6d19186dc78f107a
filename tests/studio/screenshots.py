"""Pictures of the page with the default models: python -m tests.studio.screenshots FOLDER, or make screenshots."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.studio.browser import chromium, visitor
from tests.studio.serve import served

STEPS = "30"


def wait(page: Any, count: int = 1) -> None:
    """Until so many runs are done."""
    page.wait_for_function(
        f"document.querySelectorAll('.run .state[data-state=done]').length === {count}", timeout=240_000
    )
    page.wait_for_function("document.querySelectorAll('[data-chart=rhat] svg').length > 0", timeout=60_000)
    time.sleep(0.5)


def main(folder: Path) -> None:
    """Two sizes, light and dark, English and Chinese, one run and two side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs, served(Path(runs), real=True) as (address, _), chromium() as browser:
        page = visitor(browser, viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.on("console", lambda message: print("console:", message.text))
        page.on("pageerror", lambda error: print("page error:", error))
        page.goto(address)
        page.select_option("#field-kind", "energy")
        page.fill("#field-steps", STEPS)
        page.click("button[type=submit].lead")
        page.wait_for_selector(".chain", timeout=120_000)
        wait(page)
        page.screenshot(path=folder / "studio.png")
        page.screenshot(path=folder / "studio_whole.png", full_page=True)
        page.emulate_media(color_scheme="dark")
        page.click("#language")
        page.screenshot(path=folder / "studio_dark.png")
        page.emulate_media(color_scheme="light")
        page.click("#language")
        page.set_viewport_size({"width": 400, "height": 860})
        page.evaluate("document.getElementById('new').open = false; document.getElementById('runs').scrollIntoView()")
        page.screenshot(path=folder / "studio_phone.png")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400, f"the page is {wide} pixels wide"
        page.set_viewport_size({"width": 1500, "height": 900})
        page.evaluate("document.getElementById('new').open = true")
        page.select_option("#field-second", "multiple-try")
        page.click("button[type=submit].lead")
        page.wait_for_selector("#runs.pair")
        wait(page, 2)
        page.screenshot(path=folder / "studio_pair.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
