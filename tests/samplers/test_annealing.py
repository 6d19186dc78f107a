"""Simulated annealing: the step sets the temperature, and a falling one leads to the lowest energies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from samplers import (
    AdaptiveTemperature,
    Cycle,
    MetropolisHastings,
    Mixture,
    ParallelTempering,
    Restarts,
    RestartsWhenStuck,
    SimulatedAnnealing,
    Thinned,
)
from samplers.proposals import Replace
from tests.samplers.laws import Case, run_from_target
from tests.samplers.toys import TOYS, UnderLaw
from textsearch import FunctionObjective, generate, generate_each
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import Schedule, constant, geometric
from textsearch.testing import TableMaskedLM, letters


def case(name: str) -> Case:
    """Half the temperature of twice the target's, which is the target's own."""
    toy = replace(TOYS[name], temperature=2 * TOYS[name].temperature)
    honest = MetropolisHastings(toy.proposal)
    return Case(
        UnderLaw(toy, TOYS[name].target),
        SimulatedAnnealing(honest, constant(0.5)),
        lambda: TOYS[name].chain.matrix,
        {"schedule left out": honest},
        Guarantee.BIASED,
    )


CASE = case("insert and delete")


def test_the_schedule_is_asked_for_each_step() -> None:
    toy = TOYS["insert and delete"]
    honest = MetropolisHastings(toy.proposal)
    sampler = SimulatedAnnealing(honest, lambda step: 1.0 + step)
    state = plain = sampler.init(toy.objective, toy.batch([0] * 200))
    for step in range(5):
        rng = Rng.start(0, 200).at(step)
        state, _ = sampler.step(toy.objective, state, rng, 0.5)
        plain, _ = honest.step(toy.objective, plain, rng, 0.5 * (1 + step))
        assert state.batch.token_lists() == plain.batch.token_lists()


def test_annealing_ends_in_the_lowest_energies() -> None:
    toy = TOYS["all in one table"]
    sampler = SimulatedAnnealing(MetropolisHastings(toy.proposal), geometric(3.0, 0.02, 60))
    ends = run_from_target(toy, sampler, steps=70, chains=100)
    lowest = toy.energies.argmin()
    assert (ends == lowest).mean() > 0.9


CHAIN = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0), max_length=4))
FEW = FunctionObjective(lambda texts: [2.0 * text.count("a") for text in texts], name="few a")
COOL = geometric(8.0, 0.1)
STEPS = 13


def cooled(steps: int | None) -> SimulatedAnnealing[ChainState]:
    return SimulatedAnnealing(CHAIN, COOL if steps is None else geometric(8.0, 0.1, steps))


COMPOSITES: dict[str, tuple[Callable[[int | None], Sampler[Any]], int]] = {
    "alone": (cooled, STEPS),
    "first of a cycle": (lambda steps: Cycle([cooled(steps), CHAIN, CHAIN]), 5),
    "second of a cycle": (lambda steps: Cycle([CHAIN, cooled(steps), CHAIN]), 4),
    "cycle in a cycle": (lambda steps: Cycle([CHAIN, Cycle([cooled(steps), CHAIN])]), 3),
    "mixture": (lambda steps: Mixture({cooled(steps): 0.5, CHAIN: 0.5}), STEPS),
    "thinned": (lambda steps: Thinned(cooled(steps), 3), 3 * STEPS),
    "thinned within": (lambda steps: SimulatedAnnealing(Thinned(cooled(steps), 2), constant(0.5)), 2 * STEPS),
    "rounds": (lambda steps: Restarts(cooled(steps), 4), 4),
    "when stuck": (lambda steps: RestartsWhenStuck(cooled(steps), 3), STEPS),
    "rungs": (lambda steps: ParallelTempering(cooled(steps), (1, 2)), STEPS),
    "adapted": (lambda steps: AdaptiveTemperature(cooled(steps), warm_up=5), STEPS),
    "annealed twice": (lambda steps: SimulatedAnnealing(cooled(steps), COOL), STEPS),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_schedule_of_the_run_goes_over_the_steps_that_its_sampler_takes(name: str) -> None:
    make, own = COMPOSITES[name]
    settings: dict[str, Any] = {"steps": STEPS, "seed": 3, "chains": 12}
    whole, counted = (generate(FEW, make(steps), ["abab", "aa"], **settings) for steps in (None, own))
    assert whole.trace.tolist() == counted.trace.tolist()
    # that another length would have been noticed
    shorter = generate(FEW, make(max(own // 2, 1)), ["abab", "aa"], **settings)
    assert shorter.trace.tolist() != whole.trace.tolist()


def test_each_input_has_the_whole_schedule() -> None:
    """Chains at different steps of their own, each cooled over all of them."""
    texts = ["abab", "a", "ba", "aab"]
    together = generate(FEW, cooled(None), texts, steps=STEPS, seed=3)
    stops: Any = lambda progress: progress.step > 2 and "bb" in progress.batch.texts()  # noqa: E731
    for until in (None, stops):
        answers = generate_each(FEW, cooled(None), texts, steps=STEPS, seed=3, batch_inputs=2, until=until)
        for answer in answers:
            assert answer.result is not None
            trace = answer.result.trace[:, 0].tolist()
            assert trace == together.trace[: len(trace), answer.number].tolist()


def test_a_run_that_goes_on_stays_at_the_end_of_its_schedule() -> None:
    """More steps are more of the same chain only if the schedule is still that of the steps it was made with."""
    state = CHAIN.init(FEW, CHAIN.vocabulary.encode(["abab"] * 20))
    rng = Rng.start(0, 20)
    ends: list[Any] = []
    watched = SimulatedAnnealing(Watched(CHAIN, ends.append), COOL)
    for step in range(STEPS + 3):
        state, _ = watched.step(FEW, state, rng.at(step, total=STEPS))
    assert ends[0] == 8.0 and ends[STEPS:] == [0.1] * 3 and ends[STEPS - 1] > 0.1


@dataclass(frozen=True)
class Watched:
    """Tells at which temperature it was asked for a step; counts steps anew without saying how many there are."""

    sampler: Sampler[ChainState]
    tell: Callable[[Any], None]
    forgets: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "sampler"), name)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        self.tell(temperature)
        return self.sampler.step(objective, state, rng.at(rng.step) if self.forgets else rng, temperature)


def test_who_counts_steps_anew_and_does_not_say_how_many_is_told() -> None:
    outer: Any = Watched(cooled(None), lambda _: None, forgets=True)
    with pytest.raises(ValueError, match=r"goes over the whole run, and nobody said .* rng.at\(step, total=steps\)"):
        generate(FEW, outer, ["abab"], steps=3, seed=0)
    counted: Any = Watched(cooled(3), lambda _: None, forgets=True)
    plain: Schedule = lambda step: 1.0 + step  # noqa: E731
    other: Any = Watched(SimulatedAnnealing(CHAIN, plain), lambda _: None, forgets=True)
    for sampler in (counted, other):
        assert len(generate(FEW, sampler, ["abab"], steps=3, seed=0).trace) == 3


def test_no_number_depends_on_the_length_of_the_run() -> None:
    rng = Rng.start(5, 4).at(torch.tensor([0, 3, 1, 2]))
    told = Rng.start(5, 4).at(torch.tensor([0, 3, 1, 2]), total=9)
    assert rng.fold(1).split(2).uniform(0).equal(told.fold(1).split(2).uniform(0))
    parts = (told.fold(1), told.rows([1, 2]), told.split(3))
    assert [part.total for part in parts] == [9] * 3
