"""`textsearch watch` and `textsearch run`: a run of the page in the terminal, and the same run without the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.stub import call
from tests.service.toys import MODEL, asked, build, over
from textsearch.service import Service, Submission
from textsearch.service import problems as building
from textsearch.tasks.problem import solve
from textsearch.testing import TableMaskedLM, letters


def test_a_run_is_shown(tmp_path: Path) -> None:
    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked(steps=12)))
    for folder in (tmp_path, run.folder):
        shown = call("watch", str(folder))
        assert shown.exit_code == 0, shown.output
        assert all(
            said in shown.output for said in ("step 12 of 12", "done", "best so far", "log r =", "E = ", "replace")
        )
    assert call("watch", str(tmp_path / "nothing")).exit_code == 2


def test_checkpoints_of_any_run_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textsearch.models.defaults.default_masked_lm", lambda: MODEL)
    solve(build(Submission.of(asked(steps=7))), checkpoint=tmp_path / "one")
    shown = call("watch", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    result = solve(build(Submission.of(asked(steps=7))))
    for said in ("step 7 of 7", "done", "MetropolisHastings", "all moves", *result.texts, *result.best_texts):
        assert said in shown.output, shown.output
    other = TableMaskedLM.random(letters("xyz"), seed=0)
    monkeypatch.setattr("textsearch.models.defaults.default_masked_lm", lambda: other)
    assert "(4 tokens of another vocabulary)" in call("watch", str(tmp_path)).output


def test_a_watcher_writes_nothing(tmp_path: Path) -> None:
    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked(steps=3)))
    path = run.folder / "events.jsonl"
    # a line that is under way
    path.write_bytes(path.read_bytes() + b'{"kind"')
    before = path.read_bytes()
    assert "step 3 of 3" in call("watch", str(run.folder)).output
    assert path.read_bytes() == before


def test_the_same_run_without_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "build", build)
    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked(sampler="multiple-try")))
    for said in (json.dumps(asked(sampler="multiple-try")), str(run.folder)):
        found = call("run", said, "--jsonl", "--quiet")
        assert found.exit_code == 0, found.output
        assert [json.loads(line) for line in found.output.splitlines()] == run.answers()


@pytest.mark.parametrize(
    ("said", "told"),
    [("{", "no JSON"), ("nowhere.json", "cannot read"), ('{"task": "dream"}', "no task"), ("{}", "name a task")],
)
def test_a_wrong_submission_is_refused(said: str, told: str) -> None:
    found = call("run", said)
    assert found.exit_code == 2 and told in found.output
