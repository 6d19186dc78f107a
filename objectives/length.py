"""Length: how long a text should be, softly or within bounds.

A word is what `Batch.word_starts` counts, a token together with the pieces that go on it; so a mark of punctuation that
is a token of its own counts as a word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.objective import Cost, Objective


@final
@dataclass(frozen=True)
class Length(Objective):
    """A normal prior on the length n of a text: (n - mean)^2 / (2 sd^2) nats.

    Attributes:
        mean: words; one number for all inputs, or one for each: row r is judged by `mean[batch.inputs[r]]`.
        sd: standard deviation, words.
        tokens: count tokens instead of words, in n, `mean` and `sd`.

    Raises:
        ValueError: a mean below 0, an empty sequence of them, or an sd that is not positive.

    >>> from textsearch.testing import letters
    >>> batch = letters("aB").encode(["aaa", "aBBa", ""])
    >>> Length(3, sd=1).energy(batch).tolist()
    [0.0, 0.5, 4.5]
    >>> Length([3, 4, 5], sd=0.5, tokens=True).energy(batch).tolist()
    [0.0, 0.0, 50.0]
    """

    mean: float | Sequence[float]
    sd: float
    _: KW_ONLY
    tokens: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.mean, Sequence):
            object.__setattr__(self, "mean", tuple(self.mean))
            if not self.mean:
                raise ValueError("mean is empty: pass one number, or one for each input")
        for mean in self.mean if isinstance(self.mean, tuple) else (self.mean,):
            if isinstance(mean, str) or not (mean >= 0 and math.isfinite(mean)):
                raise ValueError(f"mean={mean!r} must be a number of {self._unit}, at least 0")
        if not (self.sd > 0 and math.isfinite(self.sd)):
            raise ValueError(
                f"sd={self.sd} must be a positive number of {self._unit}; for an exact length use LengthBetween"
            )

    @property
    def cost(self) -> Cost:
        """A count."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) squared distance from the mean in units of the standard deviation, halved."""
        mean = torch.tensor(self.mean, dtype=torch.float64, device=batch.device)
        if mean.dim():
            mean = mean[batch.inputs]
        return ((_count(batch, self.tokens) - mean) / self.sd).square() / 2

    def check(self, batch: Batch) -> None:
        """Refuse an input without a mean."""
        inputs = int(batch.inputs.max()) + 1 if len(batch) else 0
        if isinstance(self.mean, tuple) and inputs > len(self.mean):
            raise ValueError(
                f"mean has {len(self.mean)} values, but there are {inputs} inputs: "
                "pass one for each input, or a single number for all of them"
            )

    @property
    def _unit(self) -> str:
        return "tokens" if self.tokens else "words"


@final
@dataclass(frozen=True)
class LengthBetween(Objective):
    """Bounds on the length of a text, both included: energy 0, or +inf outside.

    Attributes:
        low: the fewest words.
        high: the most words; None for no bound.
        tokens: count tokens instead of words.

    Raises:
        ValueError: bounds that are negative, not whole, in the wrong order, or allow every length.

    >>> from textsearch.testing import letters
    >>> batch = letters("aB").encode(["aaa", "aBBa", ""])
    >>> LengthBetween(1, 2).energy(batch).tolist()
    [inf, 0.0, inf]
    >>> LengthBetween(high=3, tokens=True).energy(batch).tolist()
    [0.0, inf, 0.0]
    """

    low: int = 0
    high: int | None = None
    _: KW_ONLY
    tokens: bool = False

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            whole = isinstance(bound, int) and not isinstance(bound, bool) and bound >= 0
            if not whole and not (name == "high" and bound is None):
                raise ValueError(f"{name}={bound!r} must be a whole number of at least 0")
        if self.high is None and self.low == 0:
            raise ValueError("LengthBetween(0, None) allows every length: give low, high or both")
        if self.high is not None and self.low > self.high:
            raise ValueError(f"low={self.low} is above high={self.high}: no text could be that long; exchange them")

    @property
    def name(self) -> str:
        """Two words."""
        return "length between"

    @property
    def cost(self) -> Cost:
        """0 or +inf."""
        return Cost.HARD

    def energy(self, batch: Batch) -> Tensor:
        """(B,) 0 within the bounds, +inf outside."""
        count = _count(batch, self.tokens)
        high = math.inf if self.high is None else self.high
        energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        return energy.masked_fill((count < self.low) | (count > high), math.inf)


def _count(batch: Batch, tokens: bool) -> Tensor:
    """(B,) float64, words or tokens."""
    return (batch.lengths if tokens else batch.word_starts.sum(1)).to(torch.float64)
