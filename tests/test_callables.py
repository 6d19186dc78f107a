"""Every function and part that a user can give may raise in the middle of a run, and the run is not lost."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch

from objectives import Closeness, WholeWords, ngram_likeness
from samplers import (
    AnnealedSMC,
    Cycle,
    DelayedAcceptance,
    Ensemble,
    Gibbs,
    ImportanceSampling,
    MetropolisHastings,
    MultipleTry,
    ParallelTempering,
    Restarts,
    RestartsWhenStuck,
    SimulatedAnnealing,
    Thinned,
    from_start,
    systematic_scan,
)
from samplers.proposals import LocallyBalanced, Mixture, Replace, Uniform
from samplers.proposals.informed import barker
from textsearch import FunctionObjective, Generations, Progress, generate, generate_each, partial_result
from textsearch.objective import Objective
from textsearch.schedule import geometric
from textsearch.testing import TableMaskedLM, letters

MODEL = TableMaskedLM.random(letters("abc"), seed=0)
ARMED = 3
"""Steps taken before the part begins to fail."""


class Trap:
    """Makes functions and parts that fail from some moment on."""

    def __init__(self) -> None:
        self.armed = False
        self.error = RuntimeError("the disk is full")

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def given_by_the_user(*arguments: Any, **settings: Any) -> Any:
            if self.armed:
                raise self.error
            return function(*arguments, **settings)

        return given_by_the_user

    def part(self, inner: Any, method: str) -> Any:
        return Part(self, inner, method)

    def arm(self, progress: Progress) -> bool:
        self.armed = progress.step >= ARMED
        return False


class Part:
    """A sampler, proposal or model with a method that fails."""

    def __init__(self, trap: Trap, inner: Any, method: str) -> None:
        self.__dict__.update(inner=inner, **{method: trap.around(getattr(inner, method))})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["inner"], name)


class Own(Objective):
    """A term of a user's own class."""

    def __init__(self, judge: Callable[..., Any]) -> None:
        self.judge = judge

    def energy(self, batch: Any) -> torch.Tensor:
        return torch.as_tensor(self.judge(batch.texts()), dtype=torch.float64)


def count(texts: list[str]) -> list[float]:
    return [0.5 * text.count("a") for text in texts]


def edit(old: str | None, new: str | None) -> float:
    return 1.0


PLAIN = FunctionObjective(count, name="a")
WALK = MetropolisHastings(Replace(MODEL))
BESIDE = FunctionObjective(lambda texts: [0.1 * len(text) for text in texts], name="length")


TERMS: dict[str, Callable[[Trap], Objective]] = {
    "a function": lambda trap: FunctionObjective(trap.around(count), name="a"),
    "a function in a sum": lambda trap: BESIDE + 2.0 * FunctionObjective(trap.around(count), name="a"),
    "a class of its own": lambda trap: Own(trap.around(count)),
    "segment": lambda trap: WholeWords([["a"]] * 3, trap.around(list)),
    "costs of edits": lambda trap: PLAIN + Own(lambda texts: [trap.around(edit)("a", "b") for _ in texts]),
}
SAMPLERS: dict[str, Callable[[Trap], Any]] = {
    "sampler": lambda trap: trap.part(WALK, "step"),
    "sampler within": lambda trap: Thinned(trap.part(WALK, "step"), 2),
    "sampler in turns": lambda trap: Cycle([WALK, trap.part(WALK, "step")]),
    "sampler at many temperatures": lambda trap: ParallelTempering(trap.part(WALK, "step"), (1.0, 2.0)),
    "proposal": lambda trap: MetropolisHastings(trap.part(Replace(MODEL), "propose")),
    "proposal in a mixture": lambda trap: MetropolisHastings(
        Mixture({trap.part(Replace(MODEL), "propose"): 1.0, Replace(MODEL): 1e-9})
    ),
    "proposal of many tries": lambda trap: MultipleTry(trap.part(Replace(MODEL), "propose"), 3),
    "model": lambda trap: MetropolisHastings(Replace(trap.part(MODEL, "log_probs"))),
    "independent proposal": lambda trap: ImportanceSampling(trap.part(Uniform(MODEL.vocabulary), "draw")),
    "law of an independent proposal": lambda trap: ImportanceSampling(Weighed(trap)),
    "moves of a population": lambda trap: AnnealedSMC(Uniform(MODEL.vocabulary), trap.part(WALK, "step")),
    "member of an ensemble": lambda trap: Ensemble(trap.part(WALK, "step"), ngram_likeness),
    "repulsion": lambda trap: Ensemble(WALK, trap.around(ngram_likeness)),
    "schedule": lambda trap: SimulatedAnnealing(WALK, trap.around(geometric(1.0, 0.1, 9))),
    "restart": lambda trap: Restarts(WALK, ARMED, trap.around(from_start)),
    "restart when stuck": lambda trap: RestartsWhenStuck(WALK, 1, trap.around(from_start)),
    "scan": lambda trap: Gibbs(MODEL, 2, scan=trap.around(systematic_scan)),
    "balance": lambda trap: MetropolisHastings(LocallyBalanced(MODEL, trap.around(barker))),
    "cheap energy": lambda trap: DelayedAcceptance(Replace(MODEL), FunctionObjective(trap.around(count), name="a")),
}


class Weighed(Part):
    """Draws that ask their own law."""

    def __init__(self, trap: Trap) -> None:
        uniform = Uniform(MODEL.vocabulary)
        law = trap.around(uniform.log_prob)
        super().__init__(trap, uniform, "log_prob")
        self.__dict__["draw"] = lambda batch, rng: (uniform.draw(batch, rng)[0], law(uniform.draw(batch, rng)[0]))


GIVEN = [*TERMS, *SAMPLERS, "callback", "rule"]
COME_AND_GO = [name for name in [*TERMS, *SAMPLERS] if "population" not in name and "restart" not in name]


def parts(name: str, trap: Trap) -> tuple[Objective, Any]:
    objective = TERMS[name](trap) if name in TERMS else PLAIN
    return objective, SAMPLERS[name](trap) if name in SAMPLERS else WALK


def run(name: str, trap: Trap, **changes: Any) -> Generations:
    objective, sampler = parts(name, trap)
    late = trap.around(lambda progress: False)
    settings: dict[str, Any] = {"callbacks": [late, trap.arm] if name == "callback" else [trap.arm]}
    if name == "rule":
        settings["until"] = late
        settings["callbacks"] = [lambda progress: trap.arm(progress) if progress.step > ARMED else False]
    settings |= {"steps": 9, "seed": 1, "chains": 4, "thin": 1} | changes
    return generate(objective, sampler, ["abc", "bca", "ccc"], **settings)


@pytest.mark.parametrize("name", GIVEN)
def test_the_run_comes_with_the_error(name: str) -> None:
    trap = Trap()
    with pytest.raises(RuntimeError, match="the disk is full") as caught:
        run(name, trap)
    assert caught.value is trap.error and caught.value.__cause__ is None
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "given_by_the_user"
    partial = partial_result(caught.value)
    assert partial is not None and partial.interrupted
    # callbacks and rules are asked once a step has been taken
    steps = partial.steps
    assert ARMED <= steps <= ARMED + 3
    before = run(name, Trap(), steps=steps, callbacks=[], until=None)
    assert (partial.texts, partial.best_texts, partial.samples) == (before.texts, before.best_texts, before.samples)
    assert partial.trace.tolist() == before.trace.tolist()


@pytest.mark.parametrize("name", [name for name in COME_AND_GO if name != "sampler at many temperatures"])
def test_each_input_comes_with_the_error(name: str) -> None:
    trap = Trap()
    objective, sampler = parts(name, trap)
    settings: dict[str, Any] = {"steps": 9, "seed": 1, "chains": 4, "batch_inputs": 2, "until": trap.arm}
    answers = list(generate_each(objective, sampler, ["abc", "bca"], **settings))
    assert [answer.number for answer in answers] == [0, 1]
    whole = run(name, Trap(), callbacks=[], until=None)
    for number, answer in enumerate(answers):
        assert answer.cause is trap.error and answer.error == "RuntimeError: the disk is full"
        assert answer.partial is not None and answer.partial.interrupted
        steps = answer.partial.steps
        assert steps >= ARMED
        assert answer.partial.trace.tolist() == whole.trace[:steps, 4 * number : 4 * number + 4].tolist()


def test_costs_of_edits_fail_too() -> None:
    """Those of a text that was met are remembered."""
    trap = Trap()
    trap.armed = True
    with pytest.raises(RuntimeError, match="the disk is full"):
        Closeness(["abc"], trap.around(edit)).energy(MODEL.vocabulary.encode(["bc"]))
