"""Statistical laws that a correct sampler obeys, as p-values."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray

from tests.reference import Floats
from tests.samplers.toys import Toy
from textsearch.rng import Rng
from textsearch.sampler import Sampler


def run_from_target(
    toy: Toy,
    sampler: Sampler[Any],
    *,
    steps: int,
    chains: int = 20_000,
    seed: int = 0,
    temperature: float | None = None,
) -> NDArray[np.int64]:
    """(chains,) state numbers after `steps` steps of chains that start on the target, drawn exactly."""
    starts = np.random.default_rng(seed).choice(len(toy.states), size=chains, p=toy.target)
    rng = Rng.start(seed + 100, chains)
    with torch.inference_mode():
        state = sampler.init(toy.objective, toy.batch(starts))
        for step in range(steps):
            temperature = toy.temperature if temperature is None else temperature
            state, _ = sampler.step(toy.objective, state, rng.at(step), temperature)
    return toy.number(state.batch)


def chi_square(numbers: NDArray[np.int64], law: Floats) -> float:
    """p-value of draws `numbers` under `law`; states expected fewer than 10 times are pooled."""
    if (law[numbers] == 0).any():
        return 0.0
    counts, expected = np.bincount(numbers, minlength=len(law)), len(numbers) * law
    rare = expected < 10
    if expected[rare].sum() >= 10:
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    else:
        counts, expected = counts[~rare], expected[~rare] * counts[~rare].sum() / expected[~rare].sum()
    return float(scipy.stats.chisquare(counts, expected).pvalue)


def p_value(toy: Toy, sampler: Sampler[Any], *, steps: int, seed: int = 0, temperature: float | None = None) -> float:
    """p-value of the law after `steps` steps: small if the sampler leaves the target."""
    numbers = run_from_target(toy, sampler, steps=steps, seed=seed, temperature=temperature)
    assert numbers.min() >= 0, "a chain left the space of states"
    return chi_square(numbers, toy.target)
