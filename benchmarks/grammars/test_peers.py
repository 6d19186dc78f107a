"""Jobs of the comparison with peers: what a process wrote is read as far as it came; no peer runs here."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.grammars.peers import environment, figures, jobs
from textsearch.testing import letters

JOB = jobs.Job("toy", jobs.THEIR_AWRS, "model", "Say a.", "a|b", 3, 4, 2, 1.0, seed=7)


def line(tokens: list[int], log_weight: float | None, group: int = 0, ended: bool = True) -> dict[str, Any]:
    return {"tokens": tokens, "log_weight": log_weight, "group": group, "ended": ended}


def mark(drawn: int, seconds: float, read: int) -> dict[str, Any]:
    return {"drawn": drawn, "seconds": seconds, "read": read}


def written(*lines: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, lines))


def peer(tmp_path: Path, body: str) -> Path:
    """A Python in place of the peers': a shell that does `body`, where $3 is the file of draws."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    python.chmod(0o755)
    return python


def test_what_belongs_to_no_whole_group_is_left_out() -> None:
    lines = written({"compiling": 0.5}, line([1], -1.5), line([2], None), mark(2, 2.0, 9), line([1], 0.0, 1))
    found = jobs.drawn(lines, "stopped")
    assert found.draws == (jobs.Draw((1,), -1.5, 0, True), jobs.Draw((2,), -math.inf, 0, True))
    assert (found.compiling, found.first, found.seconds, found.read, found.trouble) == (0.5, 2.0, 2.0, 9, "stopped")
    assert jobs.drawn("").draws == ()


def test_a_method_that_nobody_has_is_refused() -> None:
    with pytest.raises(ValueError, match="beam"):
        jobs.Job("toy", "beam", "", "", "", 1, 1, 1, 1.0, 0)


def test_a_process_that_fails_says_so_and_its_draws_stay(tmp_path: Path) -> None:
    text = written({"compiling": 0.5}, line([1], 0.0), mark(1, 1.0, 3))
    found = jobs.run(
        JOB, peer(tmp_path, f"echo '{text}' > \"$3\"; echo no such language >&2; exit 3"), tmp_path / "own"
    )
    assert len(found.draws) == 1 and found.trouble == "exit 3: no such language"
    [asked] = (tmp_path / "own").glob("*.json")
    assert jobs.Job(**json.loads(asked.read_text(encoding="utf-8"))) == JOB


def test_a_process_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ALONE", -1.8)
    found = jobs.run(JOB, peer(tmp_path, "exec sleep 60"), tmp_path)
    assert found.trouble == "broken off after 0.2 s" and not found.draws


def test_an_environment_is_made_for_its_packages_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def run(command: list[str], **_: Any) -> Any:
        made.append(command[2])
        tmp_path.joinpath("env").mkdir(exist_ok=True)
        return SimpleNamespace(returncode=int(command[2] == "pip" and len(made) > 2), stderr="no such package")

    monkeypatch.setattr(subprocess, "run", run)
    python = environment.interpreter(tmp_path / "env")
    assert python.parent.parent == tmp_path / "env" and made == ["venv", "pip"]
    assert environment.interpreter(tmp_path / "env") == python and made == ["venv", "pip"]
    # other packages make it anew, and one that cannot be had is named
    monkeypatch.setattr(environment, "PACKAGES", ("other==1",))
    with pytest.raises(RuntimeError, match="other==1 failed: no such package"):
        environment.interpreter(tmp_path / "env")


def test_figures_count_what_is_valid_by_its_weight() -> None:
    vocabulary = letters("ab")
    truth: Any = SimpleNamespace(
        numbers={"a": 0, "b": 1}, strings=("a", "b"), law=np.array([0.5, 0.5]), log_probs=np.log([0.1, 0.1])
    )
    a, b = (tuple(row) for row in vocabulary.encode(["a", "b"]).token_lists())
    draws = [
        jobs.Draw(a, 0.0, 0, True),
        jobs.Draw(b, math.log(3.0), 0, True),
        jobs.Draw(b, -math.inf, 1, True),  # died
        jobs.Draw(a, 0.0, 1, False),  # has no end
        jobs.Draw((*a, *b), 0.0, 1, True),  # of no language
    ]
    row = figures.record(truth, vocabulary, jobs.THEIR_SMC, jobs.Drawn(tuple(draws), seconds=2.0))
    assert (row["draws"], row["valid"], row["canonical"]) == (5, 0.4, 1.0)
    assert row["effective"] == pytest.approx(16 / 10) and row["tv"] == pytest.approx(0.25)
    # two shares of a half, a quarter off: (1 - 1/2) / (2 / 16)
    assert row["worth"] == pytest.approx(4.0)
    none = figures.record(truth, vocabulary, jobs.THEIR_SMC, jobs.Drawn((), trouble="broken off"))
    assert (none["draws"], none["effective"], none["tv"], none["stopped"]) == (0, 0.0, None, "broken off")
