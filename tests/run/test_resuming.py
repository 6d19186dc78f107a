"""A run that was stopped and gone on with is the unbroken run, bit for bit."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from samplers import SimulatedAnnealing
from samplers.composites.wrapped import StepWrapper
from tests.run.kept import ADAPTIVE, SETTINGS, Kept, apart, killed, of_kernel
from tests.run.toys import INPUTS, QUICK, TOTAL, WALK
from tests.samplers.kernels import KERNELS
from textsearch import FunctionObjective, Generations, Progress, generate, partial_result, resume
from textsearch.run.keeper import Keeper
from textsearch.run.until import Budget, Reached, Settled
from textsearch.sampler import Guarantee
from textsearch.schedule import geometric, over


def stops_at(*steps: int) -> Any:
    return lambda progress: progress.step in steps


@pytest.mark.parametrize("name", KERNELS)
def test_every_sampler_goes_on_as_if_nothing_had_been(name: str, tmp_path: Path) -> None:
    kept = of_kernel(name)
    whole = kept.run()
    folder = tmp_path / "run"
    first = kept.run(checkpoint=folder, every=0, callbacks=[stops_at(4)])
    assert first.interrupted and first.steps == 4

    # a killed process leaves what lay there at that moment
    def copied(progress: Progress) -> None:
        shutil.copytree(folder, tmp_path / f"after {progress.step}")

    second = kept.run(checkpoint=folder, every=0, callbacks=[copied, stops_at(9)])
    assert second.steps == 9
    result = resume(folder, kept.objective, kept.sampler)
    assert not result.interrupted and apart(whole, result) == []
    assert apart(whole, resume(tmp_path / "after 8", kept.objective, kept.sampler)) == []


@pytest.mark.parametrize("lost", ["adaptation", "moves", "best", "record"])
def test_a_checkpoint_that_forgets_something_is_caught(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what a state holds must all come back."""
    whole = ADAPTIVE.run()
    ADAPTIVE.run(checkpoint=tmp_path, callbacks=[stops_at(6)])
    begin = Keeper.begin

    def forgetful(keeper: Keeper, start: Any, *more: Any) -> Any:
        run = begin(keeper, start, *more)
        parts = {
            "adaptation": run.chains.temperature[-1:],
            "moves": run.moves[0],
            "best": run.lowest[:1],
            "record": run.batch.lengths[:0],
        }
        parts[lost].fill_(-9 if lost == "best" else 1)
        if lost == "record":
            keeper.recorder.settled(6)
            stored, _ = keeper.recorder._kept
            assert stored is not None
            stored.columns["terms"].path.write_bytes(b"\0" * stored.columns["terms"].path.stat().st_size)
        return run

    monkeypatch.setattr(Keeper, "begin", forgetful)
    assert apart(whole, resume(tmp_path, ADAPTIVE.objective, ADAPTIVE.sampler)) != []


def slow(texts: list[str]) -> list[float]:
    time.sleep(0.002)
    return [0.1 * len(text) for text in texts]


SLOW = Kept(TOTAL + FunctionObjective(slow), ADAPTIVE.sampler, INPUTS)


def survive(kills: int, seed: int, folder: Path, **settings: Any) -> int:
    """Kill a run so often, going on each time; how many of the kills came before its end."""
    rng, hit = random.Random(seed), 0
    whole = SLOW.run(**settings)
    for number in range(kills):
        place = folder / str(number // 8)
        code = killed(partial(SLOW.run, checkpoint=place, every=0.02, **settings), rng.uniform(0.0, 0.25))
        assert code in (0, -signal.SIGKILL)
        hit += code == -signal.SIGKILL
        if number % 8 == 7 or number + 1 == kills:
            assert apart(whole, SLOW.run(checkpoint=place, **settings)) == []
    return hit


def test_killed_at_random_moments(tmp_path: Path) -> None:
    assert survive(8, 0, tmp_path, steps=120) > 5


@pytest.mark.reliability
def test_killed_fifty_times(tmp_path: Path) -> None:
    assert survive(50, 1, tmp_path, steps=120) > 25


def test_sigterm_writes_a_checkpoint_and_ends(tmp_path: Path) -> None:
    whole = SLOW.run(steps=60)
    code = killed(lambda: SLOW.run(steps=60, checkpoint=tmp_path), 0.15, signal.SIGTERM)
    assert code in (128 + signal.SIGTERM, -signal.SIGTERM)
    steps: list[int] = []
    result = SLOW.run(steps=60, checkpoint=tmp_path, callbacks=[lambda progress: steps.append(progress.step)])
    assert apart(whole, result) == []
    # no state was due for a minute: that of the end is what was gone on with
    assert code == -signal.SIGTERM or steps[0] > 1


def test_sigterm_is_given_back(tmp_path: Path) -> None:
    seen: list[Any] = []
    ADAPTIVE.run(checkpoint=tmp_path / "a", callbacks=[lambda _: seen.append(signal.getsignal(signal.SIGTERM))])
    assert seen[0] not in (signal.SIG_DFL, None) and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    mine = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        handler = signal.getsignal(signal.SIGTERM)
        ADAPTIVE.run(checkpoint=tmp_path / "b", callbacks=[lambda _: seen.append(signal.getsignal(signal.SIGTERM))])
        assert seen[-1] is handler is signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_control_c_writes_a_checkpoint(tmp_path: Path) -> None:
    def struck(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    first = ADAPTIVE.run(checkpoint=tmp_path, callbacks=[struck])
    assert first.interrupted and first.steps == 5
    assert apart(ADAPTIVE.run(), resume(tmp_path, ADAPTIVE.objective, ADAPTIVE.sampler)) == []


def test_control_c_while_the_last_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textsearch.run.checkpoint import Checkpoint

    save, calls = Checkpoint.save, 0

    def struck(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls in (2, 3):
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(Checkpoint, "save", struck)
    assert ADAPTIVE.run(checkpoint=tmp_path).steps == SETTINGS["steps"]
    assert calls == 4
    assert apart(ADAPTIVE.run(), ADAPTIVE.run(checkpoint=tmp_path)) == []


def test_an_error_leaves_a_checkpoint_and_the_result(tmp_path: Path) -> None:
    def bad(progress: Progress) -> None:
        if progress.step == 5:
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad") as caught:
        ADAPTIVE.run(checkpoint=tmp_path, callbacks=[bad])
    partial = partial_result(caught.value)
    assert partial is not None and partial.steps == 5
    assert apart(ADAPTIVE.run(), resume(tmp_path, ADAPTIVE.objective, ADAPTIVE.sampler)) == []


def test_more_steps_are_more_of_the_same(tmp_path: Path) -> None:
    ADAPTIVE.run(checkpoint=tmp_path, steps=5)
    longer = resume(tmp_path, ADAPTIVE.objective, ADAPTIVE.sampler, steps=11)
    assert apart(ADAPTIVE.run(steps=11), longer) == []
    # it was last asked for 11
    assert resume(tmp_path, ADAPTIVE.objective, ADAPTIVE.sampler).steps == 11
    assert apart(ADAPTIVE.run(steps=20), ADAPTIVE.run(checkpoint=tmp_path, steps=20)) == []
    with pytest.raises(ValueError, match="steps=10 is less than the 20 that the run in"):
        resume(tmp_path, ADAPTIVE.objective, ADAPTIVE.sampler, steps=10)


def test_callbacks_and_rules_go_on_counting(tmp_path: Path) -> None:
    def told(run: list[Any], stop: int) -> Any:
        def look(progress: Progress) -> bool:
            trace = [row.tolist() for row in progress.trace]
            assert len(trace) == len(progress.trace) == progress.step
            assert [row.tolist() for row in progress.trace[2:5]] == trace[2:5]
            assert progress.trace[-1].equal(progress.energies)
            seen = (progress.best_steps.tolist(), progress.best.texts(), progress.best_energy, progress.acceptance)
            run.append((progress.step, progress.steps, trace, *seen))
            return progress.step == stop

        return look

    whole: list[Any] = []
    pieces: list[Any] = []
    ADAPTIVE.run(callbacks=[told(whole, 0)])
    for stop in (3, 4, 9, 0):
        ADAPTIVE.run(checkpoint=tmp_path, callbacks=[told(pieces, stop)])
    assert pieces == whole


@pytest.mark.parametrize("rule", [Settled(4), Reached(-2.0), Budget(seconds=1e-9)])
def test_a_run_that_its_rule_ended_is_over(rule: Any, tmp_path: Path) -> None:
    kept = Kept(TOTAL, WALK, INPUTS[:2])
    whole = kept.run(steps=200, until=rule)
    assert 0 < whole.steps < 200
    first = kept.run(steps=200, until=rule, checkpoint=tmp_path)
    again = kept.run(steps=200, until=rule, checkpoint=tmp_path)
    assert apart(whole, first) == apart(whole, again) == []
    # without the rule there is more to do
    assert kept.run(steps=30 + whole.steps, checkpoint=tmp_path).steps == 30 + whole.steps


def test_what_it_cost_is_added_up(tmp_path: Path) -> None:
    whole = ADAPTIVE.run()
    ADAPTIVE.run(checkpoint=tmp_path, callbacks=[stops_at(6)])
    result = ADAPTIVE.run(checkpoint=tmp_path)
    assert result.usage == whole.usage
    assert ADAPTIVE.run(checkpoint=tmp_path).seconds == pytest.approx(result.seconds, abs=0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 6}, "seed: 5 in the checkpoint, 6 now"),
        ({"chains": 2}, "chains: 3 in the checkpoint, 2 now"),
        ({"temperature": 0.5}, "temperature: 1.0 in the checkpoint, 0.5 now"),
        ({"warm_up": 0}, "warm_up: 3 in the checkpoint, 0 now"),
        ({"thin": None}, "thin: 2 in the checkpoint, None now"),
        ({"numbers": [7, 1, 2, 3, 4, 5, 6]}, r"numbers\[0\]: 0 in the checkpoint, 7 now"),
    ],
)
def test_another_run_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    ADAPTIVE.run(checkpoint=tmp_path, steps=2)
    with pytest.raises(ValueError, match=f"is another one: {said}"):
        ADAPTIVE.run(checkpoint=tmp_path, **change)


def refused(inputs: Sequence[str], objective: Any, sampler: Any, folder: Path) -> str:
    with pytest.raises(ValueError, match="is another one") as caught:
        generate(objective, sampler, inputs, checkpoint=folder, **SETTINGS)
    return str(caught.value)


def test_other_texts_terms_and_kernels_are_refused(tmp_path: Path) -> None:
    kept = Kept(TOTAL, QUICK, INPUTS)
    kept.run(checkpoint=tmp_path, steps=2)
    assert "inputs[1]: 'c' in the checkpoint, 'b' now" in refused(["abc", "b", *INPUTS[2:]], TOTAL, QUICK, tmp_path)
    assert "numbers: list of 7 in the checkpoint, list of 2 now" in refused(INPUTS[:2], TOTAL, QUICK, tmp_path)
    weights = 3.0 * TOTAL.parts[0][1] + TOTAL.parts[1][1]
    said = "objective.terms[0].weight: 2.0 in the checkpoint, 3.0 now"
    assert said in refused(INPUTS, weights, QUICK, tmp_path)
    with pytest.raises(ValueError, match="sampler: Gibbs in the checkpoint, MetropolisHastings now"):
        resume(tmp_path, TOTAL, WALK)


def test_calls_that_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not there: generate"):
        resume(tmp_path / "none", TOTAL, WALK)
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="holds no run to go on with"):
        resume(tmp_path, TOTAL, WALK)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"holds no run, but 'letter.txt'"):
        ADAPTIVE.run(checkpoint=tmp_path)
    with pytest.raises(TypeError, match="checkpoint=3 is a number, not the name of a folder"):
        ADAPTIVE.run(checkpoint=3)
    with pytest.raises(ValueError, match="every=-1 must be a number of seconds"):
        ADAPTIVE.run(checkpoint=tmp_path, every=-1)


def test_a_start_that_is_refused_leaves_no_run(tmp_path: Path) -> None:
    forbids = FunctionObjective(lambda texts: [float("inf")] * len(texts), name="never")
    with pytest.raises(ValueError, match="forbidden"):
        generate(forbids, WALK, ["ab"], checkpoint=tmp_path, **SETTINGS)
    assert ADAPTIVE.run(checkpoint=tmp_path).steps == SETTINGS["steps"]


def test_without_a_step(tmp_path: Path) -> None:
    assert apart(ADAPTIVE.run(steps=0), ADAPTIVE.run(steps=0, checkpoint=tmp_path)) == []
    assert apart(ADAPTIVE.run(steps=0), ADAPTIVE.run(steps=0, checkpoint=tmp_path)) == []
    assert apart(ADAPTIVE.run(), ADAPTIVE.run(checkpoint=tmp_path)) == []


@pytest.mark.parametrize("inner", [QUICK, WALK])
def test_a_raised_run_keeps_its_schedule(inner: Any, tmp_path: Path) -> None:
    """It was made for 20 steps: those are the same, and what comes behind them is at its end."""

    def run(schedule: Any, **changes: Any) -> Generations:
        return generate(TOTAL, SimulatedAnnealing(inner, schedule), INPUTS, seed=1, chains=4, **changes)

    cooling = geometric(4.0, 0.1)
    first = run(cooling, steps=20, checkpoint=tmp_path)
    raised = run(cooling, steps=30, checkpoint=tmp_path)
    assert first.steps == 20 and raised.steps == 30
    assert (raised.trace[:20] == first.trace).all()
    # a schedule of 20 steps of its own stays at its end, however long the run is
    assert apart(run(geometric(4.0, 0.1, 20), steps=30), raised) == []
    # the control: a run that is made for 30 cools more slowly
    assert apart(run(cooling, steps=30), raised) != []
    assert not (run(cooling, steps=30).trace[:20] == first.trace).all()
    # it is still so once it is raised again, by the folder alone
    again = resume(tmp_path, TOTAL, SimulatedAnnealing(inner, cooling), steps=40)
    assert apart(run(geometric(4.0, 0.1, 20), steps=40), again) == []


def test_the_temperatures_of_a_raised_run(tmp_path: Path) -> None:
    """As the kernel hears them."""
    heard: list[float] = []

    @dataclass(frozen=True)
    class Listening(StepWrapper[Any]):
        sampler: Any
        guarantee: ClassVar = Guarantee.BIASED

        def step(self, objective: Any, state: Any, rng: Any, temperature: Any = 1.0) -> Any:
            heard.append(float(temperature))
            return self.sampler.step(objective, state, rng, temperature)

    sampler = SimulatedAnnealing(Listening(QUICK), geometric(4.0, 0.1))
    for steps in (20, 30, 45):
        generate(TOTAL, sampler, INPUTS, steps=steps, seed=1, checkpoint=tmp_path)
    cooled = over(geometric(4.0, 0.1), 20)
    assert heard == [cooled(step) for step in range(45)]
    assert heard[20:] == [0.1] * 25 and heard[19] > 0.1
