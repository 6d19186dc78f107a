"""Tuned ladders: even exchange rates, against rates worked out by enumeration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from samplers import MetropolisHastings, ParallelTempering
from samplers.composites.ladder import evened, tuned
from samplers.composites.tempering import log_partition, round_trips, swap_rates
from tests.reference import Floats
from tests.samplers.test_invariance import MIXTURE, OBJECTIVE, start
from tests.samplers.toys import TOYS
from textsearch import FunctionObjective, generate

TOY = TOYS["insert and delete"]
CHAIN = MetropolisHastings(TOY.proposal)
Rule = Callable[[tuple[float, ...], Floats], tuple[float, ...]]
UNEVEN: tuple[float, ...] = (1.0, 1.1, 1.3, 8.0, 9.0, 40.0)


def exact_rates(ladder: Sequence[float], energies: Floats = TOY.energies) -> Floats:
    """(R - 1,) mean probability of an exchange, each rung on its own target."""
    laws = [np.exp(-(energies - energies.min()) / rung) for rung in ladder]
    laws = [law / law.sum() for law in laws]
    rates = []
    for low in range(len(ladder) - 1):
        gap = (1 / ladder[low] - 1 / ladder[low + 1]) * (energies[:, None] - energies[None])
        rates.append(float((np.outer(laws[low], laws[low + 1]) * np.exp(np.minimum(gap, 0))).sum()))
    return np.array(rates)


def spread(rates: Floats) -> float:
    return float(rates.max() - rates.min())


def after_rounds(rule: Rule, rounds: int = 6) -> float:
    """How uneven the rates are after some rounds of a rule, each fed the exact rates."""
    ladder = UNEVEN
    for _ in range(rounds):
        ladder = rule(ladder, exact_rates(ladder, 3 * TOY.energies))
    return spread(exact_rates(ladder, 3 * TOY.energies))


def accepted_for_refused(ladder: tuple[float, ...], rates: Floats) -> tuple[float, ...]:
    """A broken twin: rungs move to where exchanges are taken."""
    return evened(ladder, 1 - rates)


def turned_round(ladder: tuple[float, ...], rates: Floats) -> tuple[float, ...]:
    """A broken twin: the rates are read from the hot end."""
    return evened(ladder, rates[::-1])


def left_alone(ladder: tuple[float, ...], rates: Floats) -> tuple[float, ...]:
    return ladder


def test_the_rule_comes_to_even_rates() -> None:
    assert after_rounds(evened) < 0.01


@pytest.mark.parametrize("rule", [accepted_for_refused, turned_round, left_alone])
def test_ladders_tuned_the_wrong_way_stay_uneven(rule: Rule) -> None:
    assert after_rounds(rule) > 0.2


def test_the_rule_keeps_the_ends_and_rises() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        ladder = (1.0, *(1 + rng.exponential(3.0, 4).cumsum() + 1e-3))
        moved = evened(ladder, rng.random(4))
        assert (moved[0], moved[-1], len(moved)) == (1.0, ladder[-1], 5)
        assert (np.diff(moved) > 0).all()


def test_rates_that_are_even_move_nothing() -> None:
    ladder = (1.0, 2.0, 5.0, 9.0)
    np.testing.assert_allclose(evened(ladder, (0.4, 0.4, 0.4)), ladder, rtol=1e-6)
    assert evened(ladder, (1.0, 1.0, 1.0)) == ladder
    assert len(evened(ladder, (0.0, 1.0, 1.0))) == 4


def test_a_ladder_is_tuned_by_what_it_measures() -> None:
    objective = TOY.table(3 * TOY.energies)
    ladder = ParallelTempering(CHAIN, UNEVEN)
    inputs = TOY.batch([0] * 40)
    result = tuned(ladder, objective, inputs, steps=10, seed=0, rounds=3, temperature=1.0)
    assert result.temperatures.shape == (3, 6)
    assert result.swap_rates.shape == (3, 5)
    assert result.temperatures[0].tolist() == list(UNEVEN)
    assert result.sampler.sampler is CHAIN
    before, after = (exact_rates(rungs, 3 * TOY.energies) for rungs in (UNEVEN, result.sampler.temperatures))
    assert spread(before) > 0.6
    assert spread(after) < 0.15
    # what was measured is what is true of the ladder that it was measured on
    last = exact_rates(result.temperatures[-1].tolist(), 3 * TOY.energies)
    np.testing.assert_allclose(result.swap_rates[-1], last, atol=0.05)
    assert result.barrier == pytest.approx((1 - last).sum(), abs=0.2)


def test_the_temperature_of_the_run_counts() -> None:
    """Twice the energies at twice the temperature are the same chains and the same ladder."""
    ladder, inputs = ParallelTempering(CHAIN, (1.0, 2.0, 9.0)), TOY.batch([0] * 10)
    one = tuned(ladder, TOY.objective, inputs, steps=8, seed=1, rounds=2)
    other = tuned(ladder, TOY.table(2 * TOY.energies), inputs, steps=8, seed=1, rounds=2, temperature=2.0)
    np.testing.assert_allclose(one.swap_rates, other.swap_rates, rtol=1e-9)
    assert one.sampler.temperatures == pytest.approx(other.sampler.temperatures)


def test_chains_of_all_inputs_share_the_ladder() -> None:
    ladder = ParallelTempering(MetropolisHastings(MIXTURE), (1.0, 3.0))
    result = tuned(ladder, OBJECTIVE, start().rows([0, 3, 5]), steps=2, seed=0, rounds=1, chains=4)
    assert result.sampler.temperatures == (1.0, 3.0)
    assert result.swap_rates.shape == (1, 1)


def test_what_a_run_recorded_can_be_handed_over_as_it_is() -> None:
    ladder = ParallelTempering(CHAIN, (1.0, 2.0, 5.0))
    result = generate(TOY.objective, ladder, TOY.batch([0] * 5), steps=30, seed=0, temperature=1.5)
    energies, rungs, walkers = (result.recorded[name] for name in ("rung energies", "rung temperatures", "walkers"))
    assert energies.shape == rungs.shape == walkers.shape == (30, 5, 3)
    plain = torch.tensor([1.5, 3.0, 7.5])
    assert torch.allclose(swap_rates(energies, rungs), swap_rates(torch.tensor(energies), plain))
    assert torch.allclose(swap_rates(energies, (1.5, 3.0, 7.5)), swap_rates(energies, rungs))
    assert torch.allclose(log_partition(energies, rungs), log_partition(torch.tensor(energies), plain))
    assert round_trips(walkers).tolist() == round_trips(torch.tensor(walkers)).tolist()
    assert int(round_trips(walkers).sum()) > 0


@pytest.mark.parametrize("name", ["steps", "rounds", "chains"])
def test_counts_must_be_positive(name: str) -> None:
    flat = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    wrong = {"steps": 1, "rounds": 1, "chains": 1, name: 0}
    with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
        tuned(ParallelTempering(CHAIN, (1.0, 2.0)), flat, TOY.batch([0]), seed=0, **wrong)
