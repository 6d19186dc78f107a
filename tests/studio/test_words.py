"""What the page is told in English is told in Chinese too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import objectives
from samplers.proposals import Copy, Swap
from samplers.proposals.spans import _name
from textsearch.service import Limits
from textsearch.service.summaries import StepCounts
from textsearch.service.terms import TERMS
from textsearch.studio import words
from textsearch.studio.choices import choices
from textsearch.tasks.paraphrasing import EDITS

PACKAGE = Path(__file__).parent.parent.parent / "textsearch"
CHINESE = re.compile("[\u4e00-\u9fff]")


def untold(both: object) -> bool:
    """Whether a pair of labels is not English and Chinese."""
    return not (isinstance(both, list | tuple) and len(both) == 2 and both[0] and CHINESE.search(both[1]))


def test_every_setting_and_term_has_two_labels() -> None:
    offered = choices(Limits(), folders=True)
    fields = [one for task in offered["tasks"] for one in (*task["settings"], *task["fields"])]
    assert [one["name"] for one in fields if untold(one["says"])] == []
    pairs = [each["says"] for kind in ("tasks", "terms", "samplers") for each in offered[kind]]
    assert [pair for pair in pairs if untold(pair)] == []
    assert untold(("drafts", "drafts")) and untold("drafts")


def waits() -> Iterator[str]:
    """What tasks say while they are waited for."""
    for file in (*(PACKAGE / "tasks").rglob("*.py"), PACKAGE / "run" / "generation.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "waiting":
                told = node.args[0]
                assert isinstance(told, ast.Constant), f"{file.name}, line {node.lineno}: say it in one literal"
                yield str(told.value)


def test_what_is_waited_for_is_told_in_chinese() -> None:
    assert set(waits()) == set(words.WAITING)


def test_moves_and_terms_are_told_in_chinese() -> None:
    kinds = [*(_name(old, new) for old, new in EDITS), *Copy.kinds, *Swap.kinds.fget(None), "suffix"]  # type: ignore[attr-defined]
    assert {re.split(r" \d", kind)[0] for kind in kinds} <= set(words.MOVES)
    names = {getattr(objectives, name).name.fget(object.__new__(getattr(objectives, name))) for name in TERMS}
    assert names <= set(words.TERMS)


def test_a_missing_chart_is_excused_in_chinese() -> None:
    counts = StepCounts()
    assert not untold(counts.convergence()["why"]) and not untold(words.ARVIZ)
    for chains in (1, 2):
        counts = StepCounts()
        counts.take(
            [{"search": 0, "step": 1, "chains": [{"move": "replace", "accepted": True, "energy": 1.0}] * chains}]
        )
        assert not untold(counts.convergence()["why"])
