"""A queue of runs: paused, stepped, stopped, taken in turns, killed and gone on with, and each the run of `solve`."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.service.toys import asked, build, in_two, over, until
from textsearch import Batch, Objective, load
from textsearch.service import Limits, Service, Submission, Term
from textsearch.service.summaries import OF_SEVERAL, StepCounts
from textsearch.studio.downloads import download
from textsearch.tasks.problem import Problem, solve


def test_a_run_is_the_one_that_solve_makes(tmp_path: Path) -> None:
    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked()))
        assert run.state == "done", run.status()
    whole = solve(build(Submission.of(asked())))
    steps = [event for event in run.events.read(0) if event["kind"] == "step"]
    assert [[one["energy"] for one in event["chains"]] for event in steps] == whole.trace.tolist()
    assert (load(run.folder / "result").trace == whole.trace).all()
    assert run.answers() == whole.to_records()


def test_what_a_ratio_was_made_of(tmp_path: Path) -> None:
    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked(steps=30)))
    accepted = 0
    for event in run.events.read(0):
        for chain in event["chains"]:
            (proposal,), before = chain["proposals"], chain["before"]
            accepted += chain["accepted"]
            assert chain["text"] == (proposal["text"] if chain["accepted"] else before["text"])
            if proposal["whole"] and proposal["energy"] != "inf":
                made = before["energy"] - proposal["energy"] + proposal["log_backward"] - proposal["log_forward"]
                assert made == pytest.approx(chain["log_ratio"])
                assert sum(proposal["terms"].values()) == pytest.approx(proposal["energy"])
    assert 0 < accepted < 60


@pytest.mark.parametrize("sampler", ["multiple-try", "parallel-tempering", "simulated-annealing", "restarts"])
def test_every_sampler_tells_its_steps(sampler: str, tmp_path: Path) -> None:
    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked(sampler=sampler)))
    assert run.state == "done", run.status()
    proposals = {len(chain["proposals"]) for event in run.events.read(0) for chain in event["chains"]}
    assert proposals == {"multiple-try": {4}, "parallel-tempering": {0}}.get(sampler, {1})


def test_pause_step_resume_stop(tmp_path: Path) -> None:
    with Service(tmp_path, make=partial(build, wait=0.002)) as service:
        run = service.submit(asked(steps=80), paused=True)
        assert run.state == "paused" and len(run.events) == 0
        for count in (1, 2):
            run.proceed(steps=1)
            until(lambda count=count: run.state == "paused" and len(run.events) == count)  # type: ignore[misc]
        run.proceed()
        until(lambda: len(run.events) > 5)
        run.pause()
        until(lambda: run.state == "paused")
        taken = len(run.events)
        assert run.explain("ab") == {"a": 1.0, "b": 2.0}
        run.stop()
        assert over(run).state == "stopped" and len(run.events) == taken
        assert run.answers()
        # what was stopped has its checkpoints, and can be gone on with
        run.proceed(steps=3)
        until(lambda: len(run.events) == taken + 3 and run.state == "paused")
        run.stop()
        over(run)
    whole = solve(build(Submission.of(asked(steps=80))))
    assert [[c["energy"] for c in e["chains"]] for e in run.events.read(0)] == whole.trace[: taken + 3].tolist()


def test_runs_stand_in_line_and_a_paused_one_gives_its_place_away(tmp_path: Path) -> None:
    with Service(tmp_path, make=partial(build, wait=0.002), limits=Limits(running=1, runs=3)) as service:
        first = service.submit(asked(steps=2000))
        until(lambda: first.state == "running")
        second, third = service.submit(asked(steps=5)), service.submit(asked(steps=5))
        until(lambda: third.status()["before"] == 1)
        assert second.status()["before"] == 0 and second.state == "queued"
        with pytest.raises(ValueError, match="3 runs wait, run or are paused"):
            service.submit(asked())
        first.pause()
        assert over(third).state == over(second).state == "done"
        assert first.state == "paused"


def test_those_that_run_take_turns(tmp_path: Path) -> None:
    with Service(tmp_path, make=partial(build, wait=0.002)) as service:
        first, second = (service.submit(asked(steps=24, seed=seed)) for seed in (0, 1))
        until(lambda: len(second.events) > 8)
        assert len(first.events) < 24 or not second.live
        over(first), over(second)
    for seed, run in enumerate((first, second)):
        whole = solve(build(Submission.of(asked(steps=24, seed=seed))))
        assert [[c["energy"] for c in e["chains"]] for e in run.events.read(0)] == whole.trace.tolist()


def test_a_service_goes_on_with_what_the_last_one_left(tmp_path: Path) -> None:
    slow = partial(build, wait=0.002)
    with Service(tmp_path, make=slow) as service:
        run, resting = service.submit(asked(steps=40)), service.submit(asked(), paused=True)
        until(lambda: len(run.events) > 6)
        with pytest.raises(ValueError, match="another service has the folder"):
            Service(tmp_path)
    # as a killed process leaves it: half a line
    with (run.folder / "events.jsonl").open("a") as file:
        file.write('{"kind": "st')
    with Service(tmp_path, make=slow) as service:
        again = over(service.run(run.name))
        assert again.state == "done" and service.run(resting.name).state == "paused"
    whole = solve(build(Submission.of(asked(steps=40))))
    assert [[c["energy"] for c in e["chains"]] for e in again.events.read(0)] == whole.trace.tolist()
    assert [event["step"] for event in again.events.read(0)] == list(range(1, 41))


def test_steps_are_those_of_the_whole_run(tmp_path: Path) -> None:
    """Of all its searches, over a pause and a service that ended in the second one."""
    with Service(tmp_path, make=in_two) as service:
        run = service.submit(asked(steps=20), paused=True)
        run.proceed(17)
        until(lambda: run.state == "paused")
    with Service(tmp_path, make=in_two) as service:
        run = service.run(run.name)
        run.proceed()
        over(run)
    events = run.events.read(0)
    assert [(event["step"], event["steps"], event["search"]) for event in events] == [
        (step, 20, int(step > 15)) for step in range(1, 21)
    ]
    for name in ("seconds", "tokens"):
        counted = [event[name] for event in events]
        assert counted == sorted(counted)
    assert run.answers() == solve(in_two(Submission.of(asked(steps=20)))).to_records()


@pytest.mark.parametrize("steps", [7, 17])
def test_a_stopped_run_is_made_again_in_any_of_its_searches(steps: int, tmp_path: Path) -> None:
    with Service(tmp_path, make=in_two) as service:
        run = service.submit(asked(steps=20), paused=True)
        run.proceed(steps)
        until(lambda: run.state == "paused")
        run.stop()
        over(run)
    assert f"--stop-after {steps} " in download(run, "command.txt").decode()
    assert f"callbacks=[lambda progress: next(steps) == {steps}]" in download(run, "run.py").decode()
    taken = count(1)
    again = solve(in_two(run.submission), callbacks=[lambda progress: next(taken) == steps])
    assert run.answers() == again.to_records()
    assert load(run.folder / "result").texts == again.texts
    assert again.steps < solve(in_two(run.submission)).steps


def test_an_error_is_told(tmp_path: Path) -> None:
    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked(inputs=["bad"])))
        assert run.state == "failed" and run.status()["error"] == "bad is no text of letters"
        # what made it fail may have been mended: it can be told to go on, and fails again if not
        run.proceed()
        assert over(run).state == "failed"


def test_what_failed_goes_on_once_it_is_mended(tmp_path: Path) -> None:
    mended = False

    def sometimes(submission: Submission) -> Problem:
        if not mended:
            raise OSError("the disk is full")
        return build(submission)

    with Service(tmp_path, make=sometimes) as service:
        run = over(service.submit(asked()))
        assert run.state == "failed" and run.status()["error"] == "OSError: the disk is full"
        mended = True
        run.proceed()
        assert over(run).state == "done" and run.status()["error"] is None
        with pytest.raises(ValueError, match="is done: submit it again"):
            run.proceed()


def test_two_who_resume_at_once_start_one_thread(tmp_path: Path) -> None:
    with Service(tmp_path, make=partial(build, wait=0.002)) as service:
        run = service.submit(asked(steps=30), paused=True)
        run.stop()
        over(run)
        asking = [threading.Thread(target=run.proceed) for _ in range(8)]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
        assert sum(one.name == f"run {run.name}" for one in threading.enumerate()) == 1
        assert over(run).state == "done"
    assert [event["step"] for event in run.events.read(0)] == list(range(1, 31))


def test_a_text_is_explained_for_the_input_that_it_is_for(tmp_path: Path) -> None:
    class Times(Objective):
        """The number of letters, times that of the input."""

        def energy(self, batch: Batch) -> Tensor:
            return batch.lengths * (batch.inputs + 1.0)

    def two(submission: Submission) -> Problem:
        problem = build(submission)
        return replace(problem, objective=Times(), start=replace(problem.start, inputs=torch.tensor([0, 1])))

    with Service(tmp_path, make=two) as service:
        run = service.submit(asked(steps=500), paused=True)
        run.proceed(1)
        until(lambda: run.state == "paused" and len(run.events) == 1)
        assert [list(run.explain("abb", 0, own).values()) for own in (0, 1)] == [[3.0], [6.0]]
        for given, told in (((1, 0), "search=1 is none of the 1"), ((0, 2), "input=2 is none of the 2")):
            with pytest.raises(ValueError, match=told):
                run.explain("a", *given)


def test_a_folder_that_is_opened_is_not_opened_by_another_service(tmp_path: Path) -> None:
    with Service(tmp_path / "one", make=build) as service:
        folder = over(service.submit(asked())).folder
    with Service(tmp_path / "two", make=build) as service:
        service.open(str(folder))
        with pytest.raises(ValueError, match="another service has the folder"):
            Service(tmp_path / "one")
    Service(tmp_path / "one").close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "name a task, or terms"),
        ({"task": "dream", "inputs": ["a"]}, "no task 'dream'"),
        ({"task": "keywords", "inputs": "dog"}, "must be a list"),
        ({"task": "keywords", "inputs": [""]}, "must be words"),
        ({"task": "correct", "inputs": ["a"], "steps": 10**6}, "steps=1,000,000 is above the limit of 2,000"),
        ({"task": "correct", "inputs": ["a"], "chains": 0}, "chains=0"),
        ({"task": "correct", "inputs": ["a"], "settings": {"keep": "/etc/passwd"}}, "must be true, false or a list"),
        ({"task": "correct", "inputs": ["a"], "settings": {"listed": "/etc/passwd"}}, "must be a list of lines"),
        ({"task": "correct", "inputs": ["a" * 3000]}, "3,000 characters, above the limit of 2,000"),
        ({"task": "sample", "inputs": ["a"], "settings": {"regex": r"(a)\1"}}, "only be searched for by backtracking"),
        ({"task": "write", "inputs": [{"regex": "(?>a+)b"}]}, "only be searched for by backtracking"),
        ({"task": "write", "inputs": [{"prefiks": "a"}]}, "did you mean 'prefix'"),
        ({"terms": [{"name": "Pattern", "arguments": {"pattern": "("}}]}, "no regular expression"),
        ({"terms": [{"name": "Length", "arguments": {"mean": "long"}}]}, "Length.mean='long' must be a number"),
        ({"terms": [{"name": "Length", "weight": -1}]}, "weight of Length=-1"),
        ({"terms": [{"name": "Nice"}]}, "no term 'Nice'"),
        (
            {"terms": [{"name": "Keywords"}]},
            'Keywords needs keywords, and is told none: write such as {"keywords": "dog',
        ),
        ({"terms": [{"name": "Keywords", "arguments": {"keywords": " , "}}]}, "Keywords needs keywords"),
        ({"terms": [{"name": "Length"}]}, "Length needs mean"),
        ({"terms": [{"name": "Template", "arguments": {"template": ""}}]}, "Template needs template"),
        ({"terms": 5}, "terms=5 must be a list"),
        ({"terms": [5]}, "5 is no term: write {'name': 'Length'"),
        ({"terms": [{"weight": 2}]}, "{'weight': 2} is no term"),
        ({"terms": [{"name": "Fluency", "weigth": 2}]}, "a term has no 'weigth': choose from name, weight, arguments"),
        ({"task": "keywords", "inputs": ["dog"], "settings": 5}, "settings=5 must be a mapping"),
        ({"task": "keywords", "inputs": ["dog"], "settings": []}, "settings=[] must be a mapping"),
        ({"terms": [{"name": "Fluency"}] * 33}, "terms=33 is above the limit of 32"),
        ({"terms": [{"name": "Fluency"}], "sampler": "magic"}, "no sampler 'magic'"),
        ({"terms": [{"name": "Fluency"}], "speed": 3}, "no 'speed'"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError) as error:
        Submission.of(given).check(Limits())
    assert told in str(error.value)


def test_a_submission_is_plain_data() -> None:
    submission = Submission(terms=[Term("Keywords", 2.0, {"keywords": "dog, hot park"})], steps=3)
    assert Submission.of(json.loads(json.dumps(submission.plain()))) == submission
    submission = Submission(task="keywords", inputs=["dog park"], sampler="multiple-try", settings={"drafts": 8})
    assert Submission.of(json.loads(json.dumps(submission.plain()))) == submission


def test_the_page_of_the_guide_says_what_its_code_does(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "studio.md").read_text(encoding="utf-8")
    code, output = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL)[0]
    exec(compile(code, "studio.md", "exec"), {"__name__": __name__})
    assert capsys.readouterr().out == output


def test_chains_of_several_inputs_are_not_compared() -> None:
    def told(inputs: list[int]) -> dict[str, object]:
        counts = StepCounts()
        for step in range(1, 13):
            chains = [
                {"input": own, "move": "replace", "accepted": True, "energy": (step * 7 + own) % 5} for own in inputs
            ]
            counts.take([{"search": 0, "step": step, "chains": chains}])
        return counts.convergence()

    assert told([0, 1]) == {"points": [], "why": OF_SEVERAL}
    assert told([0, 0])["points"]
