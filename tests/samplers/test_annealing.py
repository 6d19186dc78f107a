"""Simulated annealing: the step sets the temperature, and a falling one leads to the lowest energies."""

from __future__ import annotations

from dataclasses import replace

from samplers import MetropolisHastings, SimulatedAnnealing
from tests.samplers.laws import Case, run_from_target
from tests.samplers.toys import TOYS, UnderLaw
from textsearch.rng import Rng
from textsearch.sampler import Guarantee
from textsearch.schedule import constant, geometric


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
