"""Populations: rows in their places, resampled as often as they weigh."""

from __future__ import annotations

import math

import numpy as np
import torch

from samplers.populations import Populations, effective_share, log_sum, systematic


def test_rows_are_sorted_into_populations_by_input_and_chain() -> None:
    found = Populations.of(torch.tensor([4, 2, 4, 2, 4]), torch.tensor([9, 8, 1, 3, 5]))
    assert found.rows.tolist() == [[3, 1, 3], [2, 4, 0]]
    assert found.present.tolist() == [[True, True, False], [True, True, True]]
    assert found.size.tolist() == [2, 3]
    values = torch.tensor([10.0, 11.0, 12.0, 13.0, 14.0])
    table = found.table(values, -1.0)
    assert table.tolist() == [[13.0, 11.0, -1.0], [12.0, 14.0, 10.0]]
    assert found.each(table).tolist() == values.tolist()


def test_particles_are_resampled_as_often_as_they_weigh_on_average() -> None:
    rng = np.random.default_rng(0)
    weights = rng.exponential(size=(3, 7)) * (rng.random((3, 7)) < 0.8)
    weights[2, 5:] = 0  # a smaller population, and padding
    size, teeth = np.array([7, 7, 5]), 20_000
    uniform = (np.arange(teeth) + 0.5) / teeth
    expected = weights / weights.sum(1, keepdims=True) * size[:, None]
    for row in range(3):
        ancestors = systematic(
            torch.tensor(weights[row]).log().expand(teeth, -1),
            torch.tensor(uniform),
            torch.full((teeth,), float(size[row]), dtype=torch.float64),
        )
        ancestors = ancestors[:, : size[row]]
        counts = torch.nn.functional.one_hot(ancestors, 7).sum(1).double().numpy()
        assert np.abs(counts.mean(0) - expected[row]).max() < 2 / teeth * 7
        assert np.abs(counts - expected[row]).max() < 1
        assert not counts[:, weights[row] == 0].any()
    # the ends of the comb
    for edge in (2.0**-53, 1 - 2.0**-53):
        ends = systematic(torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]]), torch.tensor([edge]), torch.tensor([4.0]))
        assert set(ends.flatten().tolist()) == {1, 2}
    even = systematic(torch.zeros(1, 1000), torch.tensor([0.3]), torch.tensor([1000.0]))
    assert even.flatten().tolist() == list(range(1000))


def test_effective_share_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(1)
    log_weights, log_change = rng.normal(size=(2, 5, 9))
    weights, factors = np.exp(log_weights), np.exp(log_change)
    expected = (weights * factors).sum(1) ** 2 / (weights * factors**2).sum(1) / weights.sum(1)
    found = effective_share(torch.tensor(log_weights), torch.tensor(log_change))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_sums_do_not_depend_on_what_follows() -> None:
    values = torch.tensor(np.random.default_rng(3).normal(size=(4, 13)))
    for more in (1, 2, 5, 40):
        padded = torch.nn.functional.pad(values, (0, more), value=-math.inf)
        assert torch.equal(log_sum(padded), log_sum(values))
    torch.testing.assert_close(log_sum(values), values.logsumexp(1), rtol=0, atol=1e-12)
