"""The files that peers read and write; no peer runs here."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from benchmarks.grammars.peers import environment, jobs

JOB = jobs.Job("toy", "genlm AWRS", "Say a.", {"regex": "a|b"}, 4, 2, 3, 1.0, seed=7)


def test_jobs_are_written_as_they_are(tmp_path: Path) -> None:
    jobs.write(tmp_path / "jobs.json", Path("model"), [JOB])
    found = json.loads((tmp_path / "jobs.json").read_text(encoding="utf-8"))
    assert found["model"] == "model"
    assert jobs.Job(**found["jobs"][0]) == JOB


def test_a_method_that_no_peer_has_is_refused() -> None:
    with pytest.raises(ValueError, match="beam"):
        jobs.Job("toy", "beam", "", {}, 1, 1, 1, 1.0, 0)


def test_draws_come_back_with_their_weights_and_errors(tmp_path: Path) -> None:
    lines = [
        {
            "number": 1,
            "draws": [[[5, 6], -1.5, 0, True], [[], None, 0, False]],
            "seconds": 2.0,
            "tokens": 9,
            "passes": 3,
        },
        {"number": 0, "error": "ValueError: no such language"},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    first, second, third = jobs.read(path, [JOB, JOB, JOB])
    assert first.error == "ValueError: no such language"
    assert second.draws == (jobs.Draw((5, 6), -1.5, 0, True), jobs.Draw((), -math.inf, 0, False))
    assert (second.seconds, second.tokens, second.passes, second.error) == (2.0, 9, 3, "")
    assert third.error == "no answer"


def test_a_process_that_fails_says_so(tmp_path: Path) -> None:
    # a Python without any of the peers' packages; -S has no site-packages
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    [answer] = jobs.run(python, tmp_path / "work", tmp_path, [JOB], 60.0)
    assert "torch" in answer.error


def test_an_environment_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "ready").write_text("", encoding="utf-8")
    assert environment.interpreter(tmp_path).parent.parent == tmp_path
