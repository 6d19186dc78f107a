"""Adaptive temperature: it comes to the target rate, and then it stays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from samplers import Gibbs, MetropolisHastings
from samplers.composites.adaptive_temperature import AdaptedState, AdaptiveTemperature
from tests.reference import metropolis_hastings
from tests.samplers.laws import FAULT, Case, fault_p_value
from tests.samplers.test_invariance import MIXTURE, MODEL, OBJECTIVE
from tests.samplers.toys import TOYS
from textsearch import generate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee

TOY = TOYS["replace"]
CHAIN = MetropolisHastings(TOY.proposal)
# what little the temperature moves at the one step of warm-up cannot be seen
CASE = Case(
    TOY,
    AdaptiveTemperature(CHAIN, warm_up=1, gain=1e-12),
    lambda: TOY.chain.matrix,
    {"not frozen": AdaptiveTemperature(CHAIN, target=0.9, warm_up=1000, gain=3.0)},
    Guarantee.BIASED,
)


def rate(temperature: float) -> float:
    """How often Metropolis-Hastings changes a text of the toy, on the target, by enumeration."""
    matrix = metropolis_hastings(TOY.law, TOY.states, TOY.energies, temperature).matrix
    law = np.exp(-(TOY.energies - TOY.energies.min()) / temperature)
    return float((law / law.sum()) @ (1 - matrix.diagonal()))


@pytest.fixture(scope="module")
def settled() -> tuple[AdaptedState[ChainState], AdaptiveTemperature[ChainState]]:
    """300 chains after warm-up, for the rate at temperature 0.7."""
    sampler = AdaptiveTemperature(CHAIN, target=rate(0.7), warm_up=150)
    state, rng = sampler.init(TOY.objective, TOY.batch([0] * 300)), Rng.start(4, 300)
    with torch.inference_mode():
        for step in range(150):
            state, _ = sampler.step(TOY.objective, state, rng.at(step))
    return state, sampler


def test_it_settles_where_the_rate_is_the_target(
    settled: tuple[AdaptedState[ChainState], AdaptiveTemperature[ChainState]],
) -> None:
    state, sampler = settled
    assert rate(0.5) < sampler.target - 0.04 < sampler.target + 0.04 < rate(1.0)
    rates = [rate(temperature) for temperature in state.temperature.tolist()]
    assert abs(np.mean(rates) - sampler.target) < 0.03
    assert abs(math.log(float(state.temperature.median()) / 0.7)) < 0.2


def test_it_is_frozen_after_warm_up(
    settled: tuple[AdaptedState[ChainState], AdaptiveTemperature[ChainState]],
) -> None:
    """From then on each chain is the sampler's own at its temperature, bit for bit."""
    state, sampler = settled
    plain, heat, rng = state.inner, state.temperature, Rng.start(5, 300)
    for step in range(150, 155):
        plain, _ = CHAIN.step(TOY.objective, plain, rng.at(step), 0.7 * heat)
        state, info = sampler.step(TOY.objective, state, rng.at(step), 0.7)
        assert info.recorded["temperature"].tolist() == (0.7 * heat).tolist()
    assert state.temperature.tolist() == heat.tolist()
    assert state.batch.token_lists() == plain.batch.token_lists()


def test_adaptation_that_goes_on_leaves_the_target() -> None:
    """Even where the rate is on the target from the start: the temperature follows what happens to the text."""
    going_on = AdaptiveTemperature(CHAIN, target=rate(1.0), warm_up=1000, gain=2.0)
    assert fault_p_value(TOY, going_on, steps=6) < FAULT


def test_moves_that_change_nothing_do_not_count() -> None:
    """A text of one word that only one token fits: every move is accepted and none does anything."""
    model = MODEL
    batch = model.vocabulary.encode([""])
    sampler = AdaptiveTemperature(Gibbs(model, 2), warm_up=3)
    state = sampler.init(OBJECTIVE, batch)
    state, _ = sampler.step(OBJECTIVE, state, Rng.start(0, 1))
    assert state.temperature.tolist() == [math.exp(0.3)]


def test_the_bounds_hold() -> None:
    sampler = AdaptiveTemperature(CHAIN, target=0.99, warm_up=20, hottest=3.0)
    state = sampler.init(TOY.objective, TOY.batch([0] * 20))
    for step in range(20):
        state, _ = sampler.step(TOY.objective, state, Rng.start(0, 20).at(step))
    assert ((state.temperature > 2.5) & (state.temperature <= 3.0)).all()


def test_a_run_records_the_temperatures() -> None:
    sampler = AdaptiveTemperature(MetropolisHastings(MIXTURE), warm_up=4)
    result = generate(OBJECTIVE, sampler, ["abc"], steps=8, seed=0, chains=3, warm_up=4)
    temperature = result.recorded["temperature"]
    assert temperature.shape == (8, 3)
    assert (temperature[0] == 1).all()
    assert (temperature[1:5] != temperature[:4]).all()
    assert (temperature[4:] == temperature[4]).all()
    assert result.guarantee is Guarantee.BIASED


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"target": 0.0}, r"target=0\.0 must be an acceptance rate"),
        ({"target": math.nan}, "target=nan must be an acceptance rate"),
        ({"warm_up": 0}, "warm_up=0 must be at least 1"),
        ({"gain": math.inf}, "gain=inf must be a positive number"),
        ({"coldest": 0.0}, r"coldest=0\.0 must be above 0"),
        ({"hottest": 0.5}, r"hottest=0\.5 must be above 0"),
    ],
)
def test_constructor_names_value_and_remedy(wrong: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        AdaptiveTemperature(CHAIN, **wrong)  # type: ignore[arg-type]
