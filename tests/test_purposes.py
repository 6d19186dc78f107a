"""Whoever draws from a seed says for what, and no two say the same: seen in the source of all packages."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("textsearch", "samplers", "objectives", "benchmarks", "demos", "training")


def purposes(source: str) -> list[str | None]:
    """The purpose that each call of `Rng.start` and `Rng.of` names in letters; None where it names none.

    A stage of a task names its own, and hands it on as `stage.name`.
    """
    found: list[str | None] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("Rng"), attr="start" | "of"), keywords=named):
                told = next((each.value for each in named if each.arg == "purpose"), None)
                if not (isinstance(told, ast.Attribute) and ast.unparse(told) == "stage.name"):
                    found.append(told.value if isinstance(told, ast.Constant) and isinstance(told.value, str) else None)
            case ast.Call(func=ast.Name("Stage"), args=given, keywords=named):
                told = next((each.value for each in named if each.arg == "name"), given[0] if given else None)
                found.append(told.value if isinstance(told, ast.Constant) and isinstance(told.value, str) else None)
    return found


def test_every_user_of_a_seed_has_a_purpose_of_its_own() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    named = [(purpose, file) for file in files for purpose in purposes(file.read_text(encoding="utf-8"))]
    assert len(named) > 15
    assert [file for purpose, file in named if purpose is None] == []
    assert [purpose for purpose, count in Counter(purpose for purpose, _ in named).items() if count > 1] == []


def test_a_call_without_a_purpose_is_found() -> None:
    source = "Rng.start(seed, 3)\nRng.of(seed, inputs, purpose='fill')\nRng.start(seed, 1, purpose=name)\n"
    assert purposes(source) == [None, "fill", None]
    stages = (
        "Stage('again', objective)\nStage(name='once more')\nStage(name=name)\nRng.start(0, 0, purpose=stage.name)\n"
    )
    assert purposes(stages) == ["again", "once more", None]


def test_nobody_draws_from_elsewhere_in_the_engine() -> None:
    """No generator is seeded but by `Rng`, except for the weights of toys and the folds of a classifier."""
    seeded = ("default_rng(", "manual_seed(")
    homes = {"textsearch/rng.py", "textsearch/models/classifier.py"}
    strange = [
        name
        for folder in ("textsearch", "samplers", "objectives")
        for file in (ROOT / folder).rglob("*.py")
        if (name := file.relative_to(ROOT).as_posix()) not in homes and not name.startswith("textsearch/testing/")
        for line in file.read_text(encoding="utf-8").splitlines()
        if any(word in line for word in seeded) and ">>>" not in line
    ]
    assert strange == []
