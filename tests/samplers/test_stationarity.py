"""Chains that start exactly on the target stay on it: no burn-in to argue about (Gandy and Scott, 2020)."""

from __future__ import annotations

import pytest
import torch

from samplers import MetropolisHastings, SimulatedAnnealing
from tests.samplers.laws import p_value, run_from_target
from tests.samplers.toys import TOYS, Toy
from textsearch.rng import Rng
from textsearch.schedule import constant, geometric

every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())


@every_toy
def test_chains_stay_on_the_target(toy: Toy) -> None:
    assert p_value(toy, MetropolisHastings(toy.proposal), steps=2) > 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_any_seed_stays_on_the_target(seed: int) -> None:
    toy = TOYS["mixture"]
    assert p_value(toy, MetropolisHastings(toy.proposal), steps=2, seed=seed) > 1e-4


def test_targets_are_skewed() -> None:
    """A target near the uniform one would hide most faults."""
    for toy in TOYS.values():
        assert toy.target.max() > 1.5 / (toy.target > 0).sum()
        assert toy.target[toy.target > 0].min() < 0.7 / (toy.target > 0).sum()


def test_the_step_sets_the_temperature_of_annealing() -> None:
    """Temperature times schedule: half of it twice over is the target's own."""
    toy = TOYS["insert and delete"]
    sampler = SimulatedAnnealing(MetropolisHastings(toy.proposal), constant(0.5))
    assert p_value(toy, sampler, steps=3, temperature=2.0) > 1e-4
    assert p_value(toy, sampler, steps=3, temperature=1.0) < 1e-9


def test_each_row_may_have_its_own_temperature() -> None:
    toy = TOYS["mixture"]
    sampler = MetropolisHastings(toy.proposal)
    batch = toy.batch([0] * 64)
    rng = Rng.start(4, 64)
    state = sampler.init(toy.objective, batch)
    ladder = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(32)
    for step in range(5):
        before = state
        state, _ = sampler.step(toy.objective, before, rng.at(step), ladder)
        for start, temperature in ((0, 0.5), (1, 2.0)):
            alone, _ = sampler.step(toy.objective, before, rng.at(step), temperature)
            assert alone.batch.token_lists()[start::2] == state.batch.token_lists()[start::2]


def test_annealing_ends_in_the_lowest_energies() -> None:
    toy = TOYS["all in one table"]
    sampler = SimulatedAnnealing(MetropolisHastings(toy.proposal), geometric(3.0, 0.02, 60))
    ends = run_from_target(toy, sampler, steps=70, chains=100)
    lowest = toy.energies.argmin()
    assert (ends == lowest).mean() > 0.9
