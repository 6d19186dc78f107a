"""Importance sampling against exact values: weights, log Z, means, their errors; and its broken twins."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from samplers.importance_sampling import ImportanceSampling
from samplers.proposals import Fill, Uniform, template
from samplers.quasi_rejection import QuasiRejection
from samplers.weights import (
    Estimate,
    Weights,
    effective_sample_size,
    importance_summary,
    log_normaliser,
    pareto_shape,
    resampled_texts,
    systematic_resampling,
    weighted_mean,
)
from tests.reference import Floats
from tests.samplers.fresh_toys import FRESH, Fresh, every_fresh, fill_toy
from tests.samplers.laws import chi_square
from textsearch import generate
from textsearch.objective import FunctionObjective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee
from textsearch.testing import TableMaskedLM, letters

DRAWS = 10_000


def quantity(fresh: Fresh) -> Floats:
    """(S,) something of each text that its weight knows nothing of."""
    return np.array([sum((at + 1) * token for at, token in enumerate(state.tokens)) for state in fresh.toy.states])


def pool(fresh: Fresh, draws: int = DRAWS, seed: int = 3) -> tuple[NDArray[np.int64], Floats]:
    """State numbers, -1 for failed draws, and log-weights of one step from the start."""
    sampler = ImportanceSampling(fresh.proposal)
    start = fresh.toy.batch([fresh.toy.states.index(fresh.toy.state(fresh.toy.start))] * draws)
    with torch.inference_mode():
        state = sampler.init(fresh.toy.objective, start)
        after, info = sampler.step(fresh.toy.objective, state, Rng.start(seed, draws).at(1), fresh.toy.temperature)
    log_weights = info.recorded["log weights"]
    assert info.accepted.tolist() == (log_weights > -math.inf).tolist()
    return fresh.toy.number(after.batch), log_weights.numpy()


def log_normaliser_off(fresh: Fresh, log_weights: Floats) -> float:
    """Standard errors between the estimate of log Z and the exact one."""
    value, error = log_normaliser(log_weights)
    return abs(value - math.log(fresh.normaliser)) / error


def mean_off(fresh: Fresh, numbers: NDArray[np.int64], log_weights: Floats) -> float:
    """Standard errors between the estimate of the mean of `quantity` and the exact one."""
    value, error = weighted_mean(log_weights, quantity(fresh)[numbers])
    return abs(value - float(fresh.toy.target @ quantity(fresh))) / error


@every_fresh
def test_weights_are_the_reference_s_and_estimates_are_right(fresh: Fresh) -> None:
    numbers, log_weights = pool(fresh)
    found = log_weights > -math.inf
    np.testing.assert_allclose(np.exp(log_weights[found]), fresh.weights[numbers[found]], rtol=1e-9)
    exact = min(1.0, float(fresh.law @ (fresh.weights > 0)))
    assert abs(found.mean() - exact) < 4.5 * math.sqrt(exact * (1 - exact) / DRAWS) + 1e-9
    assert log_normaliser_off(fresh, log_weights) < 4
    assert mean_off(fresh, numbers, log_weights) < 4
    exact_ess = fresh.normaliser**2 / float(fresh.law @ fresh.weights**2)
    assert abs(effective_sample_size(log_weights) / DRAWS - exact_ess) < 0.1 * exact_ess


@pytest.mark.parametrize("name", ["fill, forbidden texts", "from left, frozen"])
def test_reported_errors_cover(name: str) -> None:
    """Of 200 draws each: the exact value is within 1.96 reported errors 95 times in 100, if not fewer."""
    fresh = FRESH[name]
    numbers, log_weights = pool(fresh, 60_000, seed=8)
    pairs = list(zip(numbers.reshape(-1, 200), log_weights.reshape(-1, 200), strict=True))
    off = np.array([[log_normaliser_off(fresh, own), mean_off(fresh, drawn, own)] for drawn, own in pairs])
    covered = (off < 1.96).mean(0)
    assert (covered > 0.9).all(), covered
    assert (covered < 0.985).all(), covered


Weigh = Callable[[Fresh, NDArray[np.int64], Floats], Floats]


def inverted(fresh: Fresh, numbers: NDArray[np.int64], log_weights: Floats) -> Floats:
    """log q added, not taken away."""
    return np.asarray(log_weights + 2 * np.log(fresh.law[numbers]), dtype=np.float64)


def q_forgotten(fresh: Fresh, numbers: NDArray[np.int64], log_weights: Floats) -> Floats:
    return log_weights + np.log(fresh.law[numbers])


def temperature_forgotten(fresh: Fresh, numbers: NDArray[np.int64], log_weights: Floats) -> Floats:
    return np.asarray(log_weights + fresh.toy.energies[numbers] * (1 / fresh.toy.temperature - 1), dtype=np.float64)


def zeros_dropped(fresh: Fresh, numbers: NDArray[np.int64], log_weights: Floats) -> Floats:
    """Draws of weight 0 count, too: without them Z is too large."""
    return np.asarray(log_weights[log_weights > -math.inf], dtype=np.float64)


TWINS: list[tuple[str, Weigh]] = [
    ("fill, frozen", inverted),
    ("fill, frozen", q_forgotten),
    ("fill, frozen", temperature_forgotten),
    ("fill, forbidden texts", zeros_dropped),
    ("from left", zeros_dropped),
]


@pytest.mark.parametrize(("name", "weigh"), TWINS)
def test_broken_twin_is_caught(name: str, weigh: Weigh) -> None:
    fresh = FRESH[name]
    numbers, log_weights = pool(fresh)
    assert log_normaliser_off(fresh, weigh(fresh, numbers, log_weights)) > 10
    if weigh in (inverted, q_forgotten):
        assert mean_off(fresh, numbers, weigh(fresh, numbers, log_weights)) > 10


SKEWED = fill_toy("abc", "ab", temperature=0.8, forbidden=0.2)


def test_a_run_and_what_it_came_to() -> None:
    fresh, sampler = SKEWED, ImportanceSampling(SKEWED.proposal)
    inputs = fresh.toy.vocabulary.encode(["ab", "cc"])
    result = generate(
        fresh.toy.objective, sampler, inputs, steps=60, seed=0, chains=40, temperature=0.8, warm_up=10, thin=1
    )
    assert result.guarantee == Guarantee.CONSISTENT
    assert result.recorded["log weights"].shape == (60, 80)
    found = importance_summary(result)
    assert [weights.input for weights in found] == [0, 1]
    for weights in found:
        own = result.recorded["log weights"][10:, result.inputs == weights.input]
        assert weights.draws == 2000
        assert weights.possible == (own > -math.inf).mean()
        assert weights.log_z == log_normaliser(own)
        assert abs(weights.log_z.value - math.log(fresh.normaliser)) < 4 * weights.log_z.error
        assert weights.ess == effective_sample_size(own)
        assert weights.largest == pytest.approx(np.exp(own).max() / np.exp(own).sum())
        assert not weights.warning
    # energies and lengths lie side by side with the weights
    own = result.recorded["log weights"]
    exact = float(fresh.toy.target @ np.nan_to_num(fresh.toy.energies, posinf=0.0))
    mean = weighted_mean(own, result.trace)
    assert abs(mean.value - exact) < 4 * mean.error
    assert weighted_mean(own, result.length_trace).value == pytest.approx(2)
    for texts in resampled_texts(result, 1000, seed=1):
        assert len(texts) == 1000
        counts = Counter(texts)
        for state, share in zip(fresh.toy.states, fresh.toy.target, strict=True):
            # two thousand weighted draws, stratified by text
            assert abs(counts[fresh.toy.text(state)] / 1000 - share) < 0.06
            assert share > 0 or counts[fresh.toy.text(state)] == 0
    assert resampled_texts(result, 3, seed=1) == resampled_texts(result, 3, seed=1)


def test_resampled_texts_have_the_target_s_law() -> None:
    numbers, log_weights = pool(SKEWED, 30_000)
    pools = zip(numbers.reshape(-1, 50), log_weights.reshape(-1, 50), strict=True)
    picked = [own[systematic_resampling(weights, 1, seed)[0]] for seed, (own, weights) in enumerate(pools)]
    assert chi_square(np.array(picked), SKEWED.toy.target) > 1e-4
    assert chi_square(numbers[:600], SKEWED.toy.target) < 1e-9


def test_systematic_resampling_rounds_up_or_down() -> None:
    log_weights = np.random.default_rng(0).normal(size=50)
    log_weights[::7] = -math.inf
    share = np.exp(log_weights) / np.exp(log_weights).sum()
    total = np.zeros(50)
    for seed in range(225):
        counts = np.bincount(systematic_resampling(log_weights, 120, seed), minlength=50)
        assert counts.sum() == 120
        assert (np.abs(counts - 120 * share) < 1 + 1e-9).all()
        total += counts
    assert np.abs(total / 225 - 120 * share).max() < 5 * 0.5 / 15
    assert systematic_resampling(log_weights, 0, 0).tolist() == []


def test_a_template_is_no_text() -> None:
    """It must not be the best, however the energy likes it."""
    model = TableMaskedLM.random(letters("ab"), seed=0)
    likes_masks = FunctionObjective(lambda texts: [-100.0 * ("_" in text) for text in texts], name="likes masks")
    start = template(model.vocabulary, ["a__", "_bb"])
    result = generate(likes_masks, ImportanceSampling(Fill(model)), start, steps=5, seed=0, chains=3, thin=1)
    assert not [text for texts in (*result.samples, result.best_texts) for text in texts if "_" in text]
    assert all(text[0] == "a" for texts in result.samples for text in texts[:3])
    assert (result.best_energies == 0).all()


def test_no_start_is_needed_and_forbidden_draws_weigh_nothing() -> None:
    never = FunctionObjective(lambda texts: [math.inf] * len(texts), name="never")
    result = generate(never, ImportanceSampling(Uniform(letters("ab"))), ["ab"], steps=3, seed=0, thin=1)
    [found] = importance_summary(result)
    assert (found.possible, found.ess, found.largest, found.log_z) == (0, 0, 0, (-math.inf, math.inf))
    assert "no draw has a weight above 0" in found.warning
    with pytest.raises(ValueError, match="none of 3 draws has a weight above 0"):
        resampled_texts(result, 1, seed=0)


def test_each_row_may_have_its_own_temperature() -> None:
    fresh, sampler = SKEWED, ImportanceSampling(SKEWED.proposal)
    state = sampler.init(fresh.toy.objective, fresh.toy.batch([0] * 64))
    ladder = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(32)
    both = sampler.step(fresh.toy.objective, state, Rng.start(4, 64), ladder)[1].log_ratio
    for start, temperature in ((0, 0.5), (1, 2.0)):
        alone = sampler.step(fresh.toy.objective, state, Rng.start(4, 64), temperature)[1].log_ratio
        assert alone[start::2].tolist() == both[start::2].tolist()


def test_errors_in_weights() -> None:
    with pytest.raises(ValueError, match="log_weights is empty"):
        effective_sample_size([])
    with pytest.raises(ValueError, match="log_weights holds nan"):
        log_normaliser([0.0, math.nan])
    with pytest.raises(ValueError, match="log_weights holds inf"):
        log_normaliser([0.0, math.inf])
    with pytest.raises(ValueError, match=r"values of shape \(3,\) for weights of shape \(2,\)"):
        weighted_mean([0.0, 0.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="none of 2 draws has a weight above 0, so there is no mean"):
        weighted_mean([-math.inf] * 2, [1.0, 2.0])
    with pytest.raises(ValueError, match="none of 2 draws has a weight above 0: there is none to keep"):
        systematic_resampling([-math.inf] * 2, 1, 0)
    with pytest.raises(ValueError, match="count=-1 must be at least 0"):
        systematic_resampling([0.0], -1, 0)
    few_a = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")
    sampler = ImportanceSampling(Uniform(letters("ab")))
    with pytest.raises(ValueError, match=r"recorded no log-weights of independent draws, but \['accepted', 'draw log"):
        importance_summary(generate(few_a, QuasiRejection(Uniform(letters("ab")), 0.0), ["ab"], steps=2, seed=0))
    with pytest.raises(ValueError, match=r"recorded no log-weights of independent draws, but \[\]"):
        importance_summary(generate(few_a, sampler, ["ab"], steps=0, seed=0))
    with pytest.raises(ValueError, match="no texts were kept"):
        resampled_texts(generate(few_a, sampler, ["ab"], steps=2, seed=0), 1, seed=0)


def test_numbers_far_below_what_a_float_can_hold() -> None:
    log_weights = np.array([-2000.0, -2000.0 + math.log(3), -math.inf])
    assert effective_sample_size(log_weights) == pytest.approx(16 / 10)
    assert log_normaliser(log_weights).value == pytest.approx(-2000 + math.log(4 / 3))
    assert log_normaliser(torch.from_numpy(log_weights)) == log_normaliser(log_weights)
    assert weighted_mean(log_weights, [0.0, 4.0, math.nan]) == pytest.approx((3.0, math.sqrt(2 * 0.75**2)))
    assert log_normaliser([1.0]) == (1.0, math.inf)


def test_heavy_tails_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    tail = np.random.default_rng(0).exponential(size=2000)
    light, heavy = 0.2 * tail, 1.2 * tail
    assert pareto_shape(light) == pytest.approx(0.2, abs=0.2)
    assert pareto_shape(heavy) == pytest.approx(1.2, abs=0.3)
    # weights of 0 are no part of the tail
    assert pareto_shape(np.append(heavy, np.full(500, -math.inf))) == pareto_shape(heavy)
    assert math.isnan(pareto_shape(heavy[:20]))
    assert math.isnan(pareto_shape(np.zeros(500)))

    def weights(k_hat: float, ess: float = 100.0) -> Weights:
        return Weights(0, 2000, 1.0, ess, 0.1, Estimate(0.0, 0.1), k_hat)

    assert weights(0.4).warning == ""
    assert "k_hat=0.80 is above 0.70" in weights(0.8).warning
    assert "ess=3.0 is below 10" in weights(0.4, ess=3.0).warning
    assert weights(math.nan).warning == ""
    monkeypatch.setitem(sys.modules, "arviz", None)
    assert math.isnan(pareto_shape(heavy))


def test_chains_do_not_depend_on_the_rest_of_the_batch() -> None:
    fresh, sampler = SKEWED, ImportanceSampling(SKEWED.proposal)
    batch, rng = fresh.toy.batch(np.arange(64) % 9), Rng.start(21, 64)

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[float]]:
        state = sampler.init(fresh.toy.objective, batch.rows(rows).widen(width))
        for step in range(3):
            state, info = sampler.step(fresh.toy.objective, state, rng.rows(rows).at(step), 1.3)
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.recorded["log weights"].tolist()

    whole = run(list(range(64)))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([5], list(range(20, 53)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(64)), width=9) == whole
