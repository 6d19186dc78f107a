"""Pictures of the page with the default models: python -m tests.studio.screenshots FOLDER, or make screenshots."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.studio.browser import chromium, visitor
from tests.studio.serve import served

PATIENCE = 240_000  # milliseconds: models are loaded


def begin(page: Any, steps: int, second: str = "") -> None:
    """Start the energy that the form begins with, and wait for its end."""
    page.fill("#field-steps", str(steps))
    page.select_option("#field-second", second)
    page.click("button[type=submit].lead")
    count = 2 if second else 1
    page.wait_for_function(f"document.querySelectorAll('.run').length === {count}")
    for what in (".run .state[data-state=done]", "[data-chart=r_hat] svg"):
        page.wait_for_function(f"document.querySelectorAll('{what}').length === {count}", timeout=PATIENCE)
    page.wait_for_timeout(500)


def main(folder: Path) -> None:
    """Two sizes, light and dark, English and Chinese, one run and two side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs, served(Path(runs), real=True) as (address, _), chromium() as browser:
        page = visitor(browser, viewport={"width": 1280, "height": 1000}, color_scheme="light")
        page.goto(address)
        page.select_option("#field-kind", "energy")
        begin(page, 60)
        page.screenshot(path=folder / "studio.png")
        page.emulate_media(color_scheme="dark")
        page.click("#language")
        page.locator("[data-chart=energies]").scroll_into_view_if_needed()
        page.screenshot(path=folder / "studio_dark.png")
        page.emulate_media(color_scheme="light")
        page.click("#language")
        page.set_viewport_size({"width": 400, "height": 860})
        page.evaluate("document.getElementById('new').open = false; document.getElementById('runs').scrollIntoView()")
        page.screenshot(path=folder / "studio_phone.png")
        page.set_viewport_size({"width": 1500, "height": 1000})
        page.evaluate("document.getElementById('new').open = true; scrollTo(0, 0)")
        begin(page, 40, "multiple-try")
        page.screenshot(path=folder / "studio_pair.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
