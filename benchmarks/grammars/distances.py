"""How far draws are from an exact law, and how far as many exact draws would be."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln


def total_variation(one: ArrayLike, other: ArrayLike) -> float:
    """Between two laws: half of the sum of their differences.

    >>> total_variation([0.5, 0.5], [1.0, 0.0])
    0.5
    """
    return float(np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)).sum() / 2)


def divergence(one: ArrayLike, other: ArrayLike) -> float:
    """KL of `one` from `other`, nats: the sum of p log(p / q), +inf where q is 0 and p is not.

    >>> divergence([1.0, 0.0], [0.5, 0.5]) == math.log(2.0), divergence([0.5, 0.5], [1.0, 0.0])
    (True, inf)
    """
    p, q = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    some = p > 0
    if bool((q[some] == 0).any()):
        return math.inf
    return float((p[some] * (np.log(p[some]) - np.log(q[some]))).sum())


def noise(law: NDArray[np.float64], draws: float) -> float:
    """The total variation that so many exact draws have by chance, on average.

    Half of the sum of the mean deviations of binomials, by the formula of de Moivre (1730).

    >>> noise(np.array([0.5, 0.5]), 1), noise(np.array([1.0, 0.0]), 10)
    (0.5, 0.0)
    """
    count = max(1, round(draws))
    p = law[(law > 0) & (law < 1)]
    m = np.floor(count * p)
    log_ways = gammaln(count + 1) - gammaln(m + 2) - gammaln(count - m)
    deviations = 2 * (m + 1) * np.exp(log_ways + (m + 1) * np.log(p) + (count - m) * np.log1p(-p)) / count
    return float(deviations.sum() / 2)


def worth(part: NDArray[np.float64], law: NDArray[np.float64]) -> float:
    """How many exact draws are as far from a law, in mean square, as the shares of given ones are.

    Of n exact draws the squared differences add up to (1 - sum of p^2) / n on average. What is not of the law stops
    being worth more, however many there are.

    >>> law = np.array([0.25, 0.75])
    >>> draws = np.random.default_rng(0).multinomial(100, law, size=2000) / 100
    >>> 90 < 1 / float(np.mean([1 / worth(own, law) for own in draws])) < 110
    True
    """
    return float((1 - (law**2).sum()) / max(((part - law) ** 2).sum(), 1e-12))


def exact_draws(law: NDArray[np.float64], draws: int, seed: int, times: int = 20) -> dict[str, float]:
    """What so many exact draws have, on average over some tries: total variation and KL from the law."""
    shares = np.random.default_rng(seed).multinomial(draws, law / law.sum(), size=times) / draws
    return {
        "tv": float(np.mean([total_variation(own, law) for own in shares])),
        "kl": float(np.mean([divergence(own, law) for own in shares])),
    }


def shares(numbers: ArrayLike, size: int, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """(size,) the share of each number among draws, or of their weight; draws of number -1 are left out.

    >>> shares([0, 2, 2, -1], 3).round(2).tolist()
    [0.33, 0.0, 0.67]
    """
    own = np.asarray(numbers, dtype=np.int64)
    worth = np.ones(len(own)) if weights is None else np.asarray(weights, dtype=np.float64)
    inside = own >= 0
    found = np.bincount(own[inside], weights=worth[inside], minlength=size)
    return np.asarray(found / max(found.sum(), 1e-300), dtype=np.float64)
