"""`generate_each` in a folder: whatever stops it, the same call gives what the unbroken one would have."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from samplers import SimulatedAnnealing
from tests.run.toys import INPUTS, QUICK, SAMPLERS, STEPS, TOTAL, WALK, by_number, flow, own_end
from textsearch import Answer, Objective, Progress, generate, generate_each, resume
from textsearch.batch import Batch
from textsearch.run import folders, keeper
from textsearch.schedule import geometric
from textsearch.tree import rows


@dataclass
class Fuse:
    """Blows once the energy has been asked so often; as good as a power cut if nothing may be written any more."""

    left: int


class Fused(Objective):
    """An energy that is cut off in the middle of the run."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse

    @property
    def name(self) -> str:
        return "fused"

    def energy(self, batch: Batch) -> Tensor:
        self._fuse.left -= 1
        if self._fuse.left == 0:
            raise KeyboardInterrupt
        return TOTAL.energy(batch)


def broken_off(sampler: Any, folder: Path, often: int = 6, **changes: Any) -> tuple[Any, int]:
    """The answers of the call that came to its end, and how often others had to begin before it."""
    settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "chains": 2, "batch_inputs": 3, "until": own_end} | changes
    for attempt in range(100):
        fuse = Fuse(often)
        answers = list(generate_each(Fused(fuse), sampler, INPUTS, checkpoint=folder, every=0.0, **settings))
        if fuse.left > 0:
            return by_number(answers), attempt
    raise AssertionError("no attempt came to its end")


def told(answer: Answer) -> dict[str, Any]:
    """All that an answer says but for what it cost, as plain values."""
    result = answer.result
    assert result is not None
    arrays = ("energies", "best_energies", "trace", "length_trace")
    tables = ("terms", "best_terms", "term_traces", "recorded")
    return {
        **{name: getattr(result, name).tolist() for name in arrays},
        **{name: {key: each.tolist() for key, each in getattr(result, name).items()} for name in tables},
        "texts": (result.texts, result.best_texts, result.sources),
        "moves": dict(result.acceptance),
        "steps": (result.steps, result.warm_up, result.interrupted),
    }


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_inputs_go_on_where_they_were_left(name: str, tmp_path: Path) -> None:
    sampler = SAMPLERS[name]
    answers, attempts = broken_off(sampler, tmp_path / "run")
    assert attempts > 0
    unbroken = flow(sampler, objective=Fused(Fuse(10**6)))
    assert {number: told(answer) for number, answer in answers.items()} == {
        number: told(answer) for number, answer in unbroken.items()
    }


def test_answers_that_were_there_cost_nothing(tmp_path: Path) -> None:
    broken_off(WALK, tmp_path / "run", often=10**6)
    fuse = Fuse(10**6)
    again = by_number(
        generate_each(
            Fused(fuse), WALK, INPUTS, steps=STEPS, seed=3, chains=2, until=own_end, checkpoint=tmp_path / "run"
        )
    )
    assert fuse.left == 10**6 and len(again) == len(INPUTS)


def test_a_state_that_mixes_up_its_chains_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    real = keeper.gone_on_with

    def swapped(saved: Any, template: Any) -> Any:
        run, *others = real(saved, template)
        return rows(run, run.steps.argsort(stable=True).flip(0)), *others

    monkeypatch.setattr(folders, "gone_on_with", swapped)
    answers, _ = broken_off(WALK, tmp_path / "run")
    unbroken = flow(WALK, objective=Fused(Fuse(10**6)))
    assert any(told(answer) != told(unbroken[number]) for number, answer in answers.items())


def test_a_rule_that_fails_where_an_input_was_left_is_its_answer(tmp_path: Path) -> None:
    broken_off(WALK, tmp_path / "run", often=10**6)

    def fails(progress: Progress) -> bool:
        raise ZeroDivisionError("by a rule")

    settings: dict[str, Any] = {"steps": STEPS + 1, "seed": 3, "chains": 2, "until": fails}
    answers = by_number(generate_each(Fused(Fuse(0)), WALK, INPUTS, checkpoint=tmp_path / "run", **settings))
    assert sorted(answers) == list(range(len(INPUTS)))
    assert all(answer.error and answer.partial for answer in answers.values())


def test_a_damaged_input_costs_no_other_its_answer(tmp_path: Path) -> None:
    broken_off(WALK, tmp_path / "run", often=10**6)
    for state in (tmp_path / "run" / "input-2").glob("state-*"):
        state.write_bytes(b"nothing")
    settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "chains": 2, "until": own_end}
    answers = by_number(generate_each(Fused(Fuse(0)), WALK, INPUTS, checkpoint=tmp_path / "run", **settings))
    assert [number for number, answer in answers.items() if answer.error] == [2]
    assert "damaged" in str(answers[2].error)


def test_whoever_stops_asking_loses_no_step(tmp_path: Path) -> None:
    """The steps of the inputs under way are written when the first answer was enough."""
    settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "chains": 2, "batch_inputs": 3, "until": own_end}
    found = generate_each(Fused(Fuse(0)), WALK, INPUTS, checkpoint=tmp_path / "run", **settings)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert len(list((tmp_path / "run").glob("input-*/state-*"))) >= 3


def test_numbers_go_with_inputs_that_cannot_be_read(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 3, "seed": 3, "numbers": [7, 9]}
    answers = by_number(generate_each(TOTAL, WALK, ["ab", "%"], checkpoint=tmp_path / "run", **settings))
    plain = generate_each(TOTAL, WALK, ["ab"], steps=3, seed=3, numbers=[7])
    assert answers[1].error and told(answers[0]) == told(next(plain))


def test_another_call_is_refused(tmp_path: Path) -> None:
    broken_off(WALK, tmp_path / "run", often=10**6)
    with pytest.raises(ValueError, match="begun by generate_each, not by generate: go on with generate_each"):
        generate(Fused(Fuse(0)), WALK, INPUTS, steps=STEPS, seed=3, chains=2, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="begun by generate_each"):
        resume(tmp_path / "run", Fused(Fuse(0)), WALK)
    with pytest.raises(ValueError, match="seed: 3 in the checkpoint, 4 now"):
        list(generate_each(Fused(Fuse(0)), WALK, INPUTS, steps=STEPS, seed=4, chains=2, checkpoint=tmp_path / "run"))


def test_a_raised_call_keeps_its_schedule(tmp_path: Path) -> None:
    """It was made for 6 steps of each input: those are the same, and what comes behind them is at its end."""

    def told_of(schedule: Any, steps: int, folder: Path | None = None, until: Any = None) -> dict[int, Any]:
        found = flow(SimulatedAnnealing(QUICK, schedule), steps=steps, checkpoint=folder, until=until, thin=1)
        return {number: told(answer) for number, answer in found.items()}

    def begun(answers: dict[int, Any]) -> dict[int, Any]:
        return {number: each["trace"][:6] for number, each in answers.items()}

    cooling, place = geometric(5.0, 0.1), tmp_path / "run"
    # some of them had been stopped by a rule
    stopped = told_of(cooling, 6, place, own_end)
    assert len({len(each["trace"]) for each in stopped.values()}) > 1
    first = told_of(cooling, 6, place)
    assert first == told_of(cooling, 6)
    raised = told_of(cooling, 11, place)
    assert begun(raised) == begun(first)
    assert raised == told_of(geometric(5.0, 0.1, 6), 11)
    # the control: a call that is made for 11 cools more slowly
    assert begun(told_of(cooling, 11)) != begun(first)
    # raised again, and in a folder where one input had not begun
    shutil.rmtree(place / "input-3")
    assert told_of(cooling, 14, place) == told_of(geometric(5.0, 0.1, 6), 14)


def test_fewer_steps_than_were_taken_are_refused(tmp_path: Path) -> None:
    """As in `generate`."""
    flow(WALK, steps=8, until=None, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"steps=5 is less than the 8 that input 0 in .* has taken"):
        flow(WALK, steps=5, until=None, checkpoint=tmp_path)
