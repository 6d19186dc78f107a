"""Commands that pages, help and notebooks print: each option is one that the command has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from textsearch.cli import app

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "Makefile",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.ipynb")),
    *sorted((ROOT / "textsearch" / "cli").glob("*.py")),
]


def unknown(text: str) -> list[str]:
    """Options of the printed commands of a text that their commands do not have."""
    commands = vars(typer.main.get_command(app))["commands"]
    found = []
    for name, rest in re.findall(rf"textsearch ({'|'.join(commands)})\b((?:(?!textsearch)[^`\n])*)", text):
        has = {one for option in commands[name].params for one in (*option.opts, *option.secondary_opts)} | {"--help"}
        # what stands between quotes is an input
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"'[^']*'|\\?\"[^\"]*\"", " ", rest)):
            found += [] if option in has else [f"textsearch {name} {option}"]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_printed_commands_have_their_options(page: Path) -> None:
    assert unknown(page.read_text(encoding="utf-8")) == []


def test_an_option_that_is_none_is_found() -> None:
    assert unknown('`textsearch keywords "dog --x" --seed 1 --chain 4`') == ["textsearch keywords --chain"]
