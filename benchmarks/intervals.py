"""Figures with confidence intervals by the bootstrap (Efron, 1979)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Figure = Callable[[NDArray[np.int64]], float]
"""A number from the chosen items, given by their indices."""

Interval = tuple[float, float, float]
"""A figure, and the ends of its 95 % interval."""


def mean_of(values: ArrayLike) -> Figure:
    """The mean of the chosen values."""
    array = np.asarray(values, dtype=np.float64)
    return lambda chosen: float(array[chosen].mean())


def interval(count: int, figure: Figure, seed: int, draws: int = 1000) -> Interval:
    """`figure` of all `count` items, with the 2.5 % and 97.5 % points over samples of them with replacement.

    >>> interval(3, mean_of([2.0, 2.0, 2.0]), seed=0)
    (2.0, 2.0, 2.0)
    """
    rng = np.random.default_rng(seed)
    again = [figure(rng.integers(0, count, count)) for _ in range(draws)]
    low, high = np.quantile(again, (0.025, 0.975))
    return figure(np.arange(count)), float(low), float(high)


def shown(value: Interval, digits: int = 1) -> str:
    """As text.

    >>> shown((1.0, 0.5, 1.25), 2)
    '1.00 [0.50, 1.25]'
    """
    middle, low, high = value
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
