"""Quasi-rejection sampling against the enumerated law min(rho, beta q), and its figures against exact ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from samplers.proposals import Fill, Uniform, template
from samplers.quasi_rejection import Divergence, QuasiRejection, tvd_and_acceptance
from samplers.rejection import Rejection, accepted_texts
from tests.reference import Floats
from tests.samplers.fresh_toys import FRESH, Fresh, every_fresh, fill_toy
from tests.samplers.laws import FAULT, chi_square, fault_p_value, p_value
from textsearch import generate
from textsearch.objective import FunctionObjective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee
from textsearch.testing import TableMaskedLM, letters

BELOW = (0.7, 1.5, 3.0)
"""How far, in nats, log beta is below the bound."""


def quasi_law(fresh: Fresh, log_beta: float) -> tuple[Floats, float, float]:
    """(S,) the law of what is taken, the share of draws taken, and the distance to the target."""
    mass = np.minimum(np.exp(-fresh.toy.energies / fresh.toy.temperature), math.exp(log_beta) * fresh.law)
    law = mass / mass.sum()
    return law, float(mass.sum()) / math.exp(log_beta), float(np.abs(law - fresh.toy.target).sum()) / 2


def pool(fresh: Fresh, draws: int, seed: int = 3) -> Floats:
    """Log-weights of draws, straight from the enumerated law, failed draws among them."""
    rng = np.random.default_rng(seed)
    law = np.append(fresh.law, max(0.0, 1 - fresh.law.sum()))
    with np.errstate(divide="ignore"):
        log_weights = np.log(np.append(fresh.weights, 0.0))
    return np.asarray(log_weights[rng.choice(len(law), draws, p=law / law.sum())], dtype=np.float64)


def taken(fresh: Fresh, log_beta: float, chains: int = 6_000) -> tuple[NDArray[np.int64], float, Floats]:
    """State numbers of the draws taken in two steps from the start, their share, and all recorded log-weights."""
    sampler = QuasiRejection(fresh.proposal, log_beta)
    start = fresh.toy.batch([fresh.toy.states.index(fresh.toy.state(fresh.toy.start))] * chains)
    numbers, weights, count = [], [], 0
    with torch.inference_mode():
        state = sampler.init(fresh.toy.objective, start)
        for step in range(2):
            rng = Rng.start(6, chains).at(step)
            state, info = sampler.step(fresh.toy.objective, state, rng, fresh.toy.temperature)
            numbers.append(fresh.toy.number(state.batch)[info.accepted.numpy()])
            weights.append(info.recorded["draw log weights"].numpy())
            count += int(info.accepted.sum())
    return np.concatenate(numbers), count / (2 * chains), np.concatenate(weights)


@every_fresh
@pytest.mark.parametrize("below", [0.0, 1.5])
def test_law_and_figures_are_those_of_the_enumeration(fresh: Fresh, below: float) -> None:
    log_beta = fresh.log_bound - below
    law, acceptance, tvd = quasi_law(fresh, log_beta)
    numbers, share, log_weights = taken(fresh, log_beta)
    assert chi_square(numbers, law) > 1e-4
    assert abs(share - acceptance) < 4.5 * math.sqrt(acceptance * (1 - acceptance) / 12_000)
    [found] = tvd_and_acceptance(log_weights, [log_beta])
    assert abs(found.acceptance.value - acceptance) < 4 * found.acceptance.error
    assert abs(found.tvd.value - tvd) <= 4 * found.tvd.error + 1e-12
    if below == 0:
        assert (found.tvd.value, found.tvd.error) == pytest.approx((0, 0), abs=1e-9)


@pytest.mark.parametrize("name", ["fill", "fill, many pieces"])
def test_reported_errors_cover(name: str) -> None:
    """The exact figures are within 1.96 reported errors 95 times in 100, and errors have a spread of 1."""
    fresh = FRESH[name]
    log_betas = [fresh.log_bound - below for below in BELOW]
    exact = np.array([quasi_law(fresh, log_beta)[1:] for log_beta in log_betas])
    off = []
    for log_weights in pool(fresh, 600_000).reshape(300, 2000):
        figures = tvd_and_acceptance(log_weights, log_betas)
        values = np.array([(found.acceptance.value, found.tvd.value) for found in figures])
        errors = np.array([(found.acceptance.error, found.tvd.error) for found in figures])
        off.append((values - exact) / errors)
    covered = (np.abs(np.array(off)) < 1.96).mean(0)
    assert (covered > 0.9).all(), covered
    spread = np.array(off).std(0)
    assert (np.abs(spread - 1) < 0.25).all(), spread


def not_normalised(log_weights: Floats, log_beta: float) -> float:
    """The distance as though what is taken added up to Z."""
    weights = np.exp(log_weights)
    return float(np.abs(weights - np.minimum(weights, math.exp(log_beta))).mean() / weights.mean() / 2)


def to_the_proposal(log_weights: Floats, log_beta: float) -> float:
    """The distance from the target to q."""
    weights = np.exp(log_weights)
    return float(np.abs(weights / weights.mean() - 1).mean() / 2)


@pytest.mark.parametrize("broken", [not_normalised, to_the_proposal])
def test_a_broken_distance_is_caught(broken: object) -> None:
    fresh, log_beta = FRESH["fill, many pieces"], FRESH["fill, many pieces"].log_bound - 1.5
    log_weights = pool(fresh, 20_000)
    [found] = tvd_and_acceptance(log_weights, [log_beta])
    exact = quasi_law(fresh, log_beta)[2]
    assert callable(broken)
    assert abs(broken(log_weights, log_beta) - exact) > 10 * found.tvd.error


def test_the_smaller_beta_the_more_is_taken_and_the_farther_it_is() -> None:
    fresh = FRESH["fill"]
    figures = tvd_and_acceptance(pool(fresh, 5000), [fresh.log_bound - below for below in BELOW])
    assert [found.tvd.value for found in figures] == sorted(found.tvd.value for found in figures)
    assert [found.acceptance.value for found in figures] == sorted(found.acceptance.value for found in figures)
    assert all(isinstance(found, Divergence) for found in figures)


@pytest.mark.parametrize("name", ["fill", "from left, frozen"])
def test_it_leaves_the_target_unless_the_bound_holds(name: str) -> None:
    """Why it is labelled biased: the broken twin of rejection, on purpose."""
    fresh = FRESH[name]
    assert p_value(fresh.toy, QuasiRejection(fresh.proposal, fresh.log_bound), steps=2) > 1e-4
    assert fault_p_value(fresh.toy, QuasiRejection(fresh.proposal, fresh.log_bound - 2), steps=2) < FAULT
    assert QuasiRejection(fresh.proposal, 0.0).guarantee == Guarantee.BIASED


def test_under_a_bound_that_holds_it_is_rejection() -> None:
    fresh = fill_toy("abc", "ab", temperature=0.8, forbidden=0.2)
    runs = [
        generate(fresh.toy.objective, sampler, ["ab"], steps=30, seed=0, chains=8, temperature=0.8, thin=1)
        for sampler in (
            QuasiRejection(fresh.proposal, fresh.log_bound),
            Rejection(fresh.proposal, fresh.log_bound),
        )
    ]
    assert runs[0].samples == runs[1].samples
    assert accepted_texts(runs[0]) == accepted_texts(runs[1])
    assert len(accepted_texts(runs[0])[0]) > 10


def test_a_template_is_no_text() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    likes_masks = FunctionObjective(lambda texts: [-100.0 * ("_" in text) for text in texts], name="likes masks")
    sampler = QuasiRejection(Fill(model), -9.0)
    result = generate(likes_masks, sampler, template(model.vocabulary, ["a__"]), steps=1, seed=0)
    assert "_" not in result.best_texts[0]


def test_errors_name_value_and_remedy() -> None:
    with pytest.raises(ValueError, match="log_beta=nan must be a finite number"):
        QuasiRejection(Uniform(letters("ab")), math.nan)
    for weights in ([0.0], [-math.inf] * 3, []):
        with pytest.raises(ValueError, match=f"{len(weights)} draws, the largest log-weight .*: take at least 2"):
            tvd_and_acceptance(weights, [0.0])


def test_numbers_far_below_what_a_float_can_hold() -> None:
    [near] = tvd_and_acceptance([0.0, math.log(3)] * 500, [0.0])
    [far] = tvd_and_acceptance([-2000.0, math.log(3) - 2000.0] * 500, [-2000.0])
    assert far.tvd == pytest.approx(near.tvd, abs=1e-9)
    assert far.acceptance == pytest.approx(near.acceptance)
    [tiny] = tvd_and_acceptance([0.0, 1.0], [-3000.0])
    assert tiny.acceptance.value == 1.0


def test_chains_do_not_depend_on_the_rest_of_the_batch() -> None:
    fresh = FRESH["fill"]
    sampler = QuasiRejection(fresh.proposal, fresh.log_bound - 1)
    batch, rng = fresh.toy.batch(np.arange(64) % 9), Rng.start(21, 64)

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[bool]]:
        state = sampler.init(fresh.toy.objective, batch.rows(rows).widen(width))
        for step in range(4):
            state, info = sampler.step(fresh.toy.objective, state, rng.rows(rows).at(step))
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.accepted.tolist()

    whole = run(list(range(64)))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([5], list(range(20, 53)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(64)), width=9) == whole
