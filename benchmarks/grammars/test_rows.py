"""Rows outlive a run that is broken off; what went wrong has a name in the tables."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from benchmarks.grammars import hard_report, infinite, methods, patterns
from benchmarks.grammars.infinite import Effort
from benchmarks.grammars.rows import Clock, OverTimeError, Rows, within
from objectives import Pattern
from textsearch.testing import letters


def test_a_torn_line_costs_its_own_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    first = Rows(path, {"draws": 1})
    first.add(("a", "x"), {"valid": 1})
    first.add(("b", "x"), {"valid": 2})
    path.write_bytes(path.read_bytes()[:-9])  # broken off while the second was written
    again = Rows(path, {"draws": 1})
    assert list(again.known) == [("a", "x")]
    again.add(("b", "x"), {"valid": 3})
    assert {name: row["valid"] for name, row in Rows(path, {"draws": 1}).known.items()} == {
        ("a", "x"): 1,
        ("b", "x"): 3,
    }
    assert not Rows(path, {"draws": 2}).known


def test_what_takes_too_long_is_broken_off() -> None:
    with pytest.raises(OverTimeError, match=r"broken off after 0\.05 s"), within(0.05):
        while time.process_time() >= 0:
            pass
    assert Clock(0.0).over and not Clock(None).over


def test_patterns_are_run_once_and_troubles_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm: Any = SimpleNamespace(vocabulary=letters("ab"), eos=0, ask=lambda request: request)
    given = [patterns.Problem(name, name, "who?", 6, False) for name in ("[ab]+", "(", "a+")]
    good = {"texts": ["ab", "b"], "valid": 2, "distinct": 1, "seconds": 4.0, "tokens": 30}
    bad = {"texts": [], "valid": 0, "distinct": 0, "seconds": 2.0, "tokens": 10, "error": "took longer"}

    def record(method: str, setting: methods.Setting, effort: Effort, seed: int) -> dict[str, Any]:
        return dict(good if setting.constraint == Pattern("[ab]+", full=True) else bad)

    monkeypatch.setattr(infinite, "record", record)
    told: list[str] = []
    names = tuple(infinite.METHODS)
    for _ in range(2):
        rows = Rows(tmp_path / "rows.jsonl", {})
        patterns.run(given, names, lm, rows, effort=Effort(2, 1, 1, 5.0), seed=0, clock=Clock(None), tell=told.append)
    assert len(told) == len(rows.known) == 3 * len(infinite.METHODS)
    other = Rows(tmp_path / "other", {})
    patterns.run(given, names, lm, other, effort=Effort(2, 1, 1, 5.0), seed=0, clock=Clock(0.0), tell=told.append)
    assert not (tmp_path / "other").exists()
    out = io.StringIO()
    for table in hard_report.pattern_tables(given, rows.known):
        Console(file=out, width=250).print(table)
    shown = out.getvalue()
    assert "is no regular expression" in shown and "took longer" in shown and "2 of 3" in shown
    # a pattern that failed has its cost, too: 40 tokens for two valid draws
    assert "20 [15, inf]" in shown and "0.50 [0.50, 0.50]" in shown
