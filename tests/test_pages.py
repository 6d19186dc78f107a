"""Pages that are one program each: their blocks of code run in order, and print what the page says they print."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
# a block of code, and the block of output that may follow at once
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n\n```\n(?P<output>.*?)```)?", re.DOTALL)


@pytest.mark.parametrize(("name", "plain"), [("plugins.md", 0), ("tasks.md", 1), ("runs.md", 0)])
def test_the_page_says_what_its_code_does(name: str, plain: int) -> None:
    """`plain` blocks are no part of the program."""
    page = (DOCS / name).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(page))
    assert len(blocks) >= 3
    assert page.count("```") == 2 * (plain + sum(1 + (block["output"] is not None) for block in blocks))
    # dataclasses look up the module that they are written in
    names: dict[str, Any] = {"__name__": __name__}
    for block in blocks:
        line = page[: block.start()].count("\n") + 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + block["code"], str(DOCS / name), "exec", dont_inherit=True), names)
        assert printed.getvalue() == (block["output"] or ""), f"{name}, line {line}"


LINK = re.compile(r"\]\((?!https?:|#)(?P<path>[^)#\s]+)(?:#[^)]*)?\)")


def broken(page: Path) -> list[str]:
    """Links of a page to files that are not there."""
    return [
        link["path"] for link in LINK.finditer(page.read_text("utf-8")) if not (page.parent / link["path"]).exists()
    ]


def test_links_lead_somewhere(tmp_path: Path) -> None:
    root = DOCS.parent
    pages = [*root.glob("*.md"), *DOCS.rglob("*.md")]
    assert {str(page.relative_to(root)): broken(page) for page in pages if broken(page)} == {}
    (tmp_path / "control.md").write_text("[a](nowhere.md) [b](control.md#part) [c](https://example.org)")
    assert broken(tmp_path / "control.md") == ["nowhere.md"]
