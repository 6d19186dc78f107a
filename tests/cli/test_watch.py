"""`textsearch watch` and `textsearch run`: a run of the page in the terminal, and the same run without the page."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.stub import call
from tests.service.toys import MODEL, asked, build, over
from textsearch.cli.watch import FORBIDDEN, NONE_YET, screen
from textsearch.service import Service, Submission
from textsearch.service import problems as building
from textsearch.service.reading import View
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


def test_a_run_without_an_allowed_text_says_so() -> None:
    """Chains that draw begin at a text of energy +inf."""
    chain = {"text": "", "energy": "inf", "terms": {"form": "inf"}, "accepted": False, "move": "draw", "length": 0}
    chain |= {"log_ratio": None, "before": None, "proposals": [], "best": "", "best_energy": "inf"}
    found = chain | {"best": "yes", "best_energy": 1.25}
    for chains, said, unsaid in (([chain], NONE_YET, "inf"), ([chain, found], FORBIDDEN, "inf")):
        step = {"step": 1, "steps": 9, "search": 0, "seconds": 1.0, "tokens": 1, "chains": chains}
        console = Console(width=100, file=io.StringIO(), record=True)
        console.print(screen(View("a run", "running", "", [step])))
        text = console.export_text()
        assert said in text and unsaid not in text
        assert ("1.25  yes" in text) is (found in chains)


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


def test_a_run_that_is_interrupted_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "build", partial(build, wait=0.01))
    said = ["run", json.dumps(asked(steps=300)), "--jsonl", "--checkpoint", str(tmp_path)]
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    found = call(*said)
    timer.join()
    assert found.exit_code == 130, found.output
    assert "of 300 steps were taken; run the same command again to go on" in found.stderr
    assert len(found.stdout.splitlines()) == 2


def test_a_checkpoint_that_is_being_replaced_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textsearch.models.defaults.default_masked_lm", lambda: MODEL)
    monkeypatch.setattr("textsearch.cli.watch._POLL", 0.01)
    solve(build(Submission.of(asked(steps=3))), checkpoint=tmp_path)
    (plan,) = tmp_path.rglob("run.json")
    whole, half = plan.read_bytes(), plan.read_bytes()[:20]
    plan.write_bytes(half)
    timer = threading.Timer(0.05, plan.write_bytes, (whole,))
    timer.start()
    assert "step 3 of 3" in call("watch", str(tmp_path)).output
    timer.join()
    plan.write_bytes(half)
    found = call("watch", str(tmp_path))
    assert found.exit_code == 2 and "damaged" in found.output


@pytest.mark.parametrize(
    ("said", "told"),
    [("{", "no JSON"), ("nowhere.json", "cannot read"), ('{"task": "dream"}', "no task"), ("{}", "name a task")],
)
def test_a_wrong_submission_is_refused(said: str, told: str) -> None:
    found = call("run", said)
    assert found.exit_code == 2 and told in found.output
