"""Whoever runs make through a pipe sees what is waited for, and all that it installs is locked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WAITS = re.compile(r"-m pip install|textsearch keywords")


def silent(commands: str) -> list[str]:
    """Commands that take their time, and before which nothing was said since the one before that takes its own."""
    found, said = [], False
    for line in commands.splitlines():
        if line.startswith("echo "):
            said = True
        elif WAITS.search(line) and not said:
            found.append(line)
        elif re.match(r"touch ", line):
            said = False
    return found


@pytest.mark.parametrize("target", ["demo", "test", "docs", "test-browser"])
def test_each_wait_is_told_in_a_line(target: str, tmp_path: Path) -> None:
    run = subprocess.run(
        ["make", "--dry-run", target, f"ENV={tmp_path}/env"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.count("echo ") >= 2
    assert silent(run.stdout) == []
    assert silent(re.sub(r"(?m)^echo .*\n", "", run.stdout)) != []


NEEDS = {"textsearch keywords": "tasks", "--grammar": "grammar", "textsearch studio": "studio"}
"""What README shows -> the extra that it needs."""


def of_demo(text: str) -> set[str]:
    """The extras that `make demo` installs."""
    target = re.search(r"(?m)^\$\(ENV\)/demo:(?:.*\n\t)+?.*'\.\[(?P<extras>[\w,-]+)\]'", text)
    assert target is not None
    return set(target["extras"].split(","))


def test_what_readme_shows_runs_after_make_demo() -> None:
    text, readme = (ROOT / "Makefile").read_text("utf-8"), (ROOT / "README.md").read_text("utf-8")
    needed = {extra for shown, extra in NEEDS.items() if shown in readme}
    assert needed == set(NEEDS.values()) <= of_demo(text)
    assert not needed <= of_demo(text.replace(",grammar,studio]", "]", 1))
    for page in ("docs/models.md", "docs/index.md"):
        said = re.search(r"pip install '\.\[([\w,-]+)\]'", (ROOT / page).read_text("utf-8"))
        assert said is not None and set(said[1].split(",")) == of_demo(text), page


def test_every_extra_that_make_installs_is_locked() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    installed = {one for extras in re.findall(r"\$\(LOCK\).*'\.\[([\w,-]+)\]'", text) for one in extras.split(",")}
    assert {"docs", "browser", "dev"} <= installed <= set(re.findall(r"--extra ([\w-]+)", text))
