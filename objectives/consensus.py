"""Consensus: how much of its wording a text shares with other draws.

Minimum Bayes risk (Kumar and Byrne, 2004) as an energy: with draws r of a law, each with a weight, the text of highest
expected BLEU under that law is the one of lowest energy. Words that one draw alone has cost energy; words that many
share are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from objectives.diversity import Grams, bleu_of, grams, plain_words
from textsearch.batch import Batch
from textsearch.checks import keep, real, string
from textsearch.objective import Cost, Objective
from textsearch.per_input import PerInput, list_per_input, paired

_REMEMBERED = 50_000  # values


@final
@dataclass(frozen=True)
class Consensus(Objective):
    """1 - sum_r w_r BLEU(x, r): 0 for a text that agrees with all draws, 1 for one that shares no word with any.

    A weight of C makes .1 of expected BLEU worth C / 10 nats.

    Attributes:
        draws: texts, one list for all inputs or one for each: row r is judged by `draws[batch.inputs[r]]`.
        weights: of the draws, one list for all inputs or one for each, in any unit; by default all alike.

    Raises:
        ValueError: an input without draws, or weights that do not suit the draws.

    >>> from textsearch.testing import letters
    >>> batch = letters("abcd ").encode(["a b c d", "a b d c", "d"])
    >>> objective = Consensus(["a b c d", "a b d c"], [3.0, 1.0])
    >>> [round(float(energy), 2) for energy in objective.energy(batch)]
    [0.2, 0.6, 0.99]
    """

    draws: Sequence[str] | Sequence[Sequence[str]]
    weights: Sequence[float] | Sequence[Sequence[float]] | None = None
    _counted: PerInput[tuple[tuple[float, Grams], ...]] = field(init=False, repr=False, compare=False)
    _known: dict[tuple[int, tuple[str, ...]], float] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        draws = list_per_input("draws", self.draws, string, "texts")
        weights = draws.map(lambda texts: (1.0,) * len(texts))
        if self.weights is not None:
            weights = list_per_input("weights", self.weights, _weight, "numbers")
        keep(self, draws=draws.values, weights=None if self.weights is None else weights.values)
        keep(self, _counted=paired(draws, weights).map(lambda pair: _counted(*pair)))

    @property
    def cost(self) -> Cost:
        """Counts of words."""
        return Cost.CHEAP

    def energy(self, batch: Batch) -> Tensor:
        """(B,) between 0 and 1."""
        keys = [
            (number, tuple(plain_words(text)))
            for text, number in zip(batch.texts(), batch.inputs.tolist(), strict=True)
        ]
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        for key in keys:
            if key not in self._known:
                own = grams(key[1])
                agreed = math.fsum(share * bleu_of(own, other) for share, other in self._counted.of(key[0]))
                self._known[key] = min(max(1.0 - agreed, 0.0), 1.0)
        return torch.tensor([self._known[key] for key in keys], dtype=torch.float64, device=batch.device)

    def check(self, batch: Batch) -> None:
        """Each input has its draws."""
        self._counted.check(batch)


def _weight(name: str, value: float) -> float:
    return float(real(name, value, "be a finite number of at least 0", lambda x: 0 <= x < 1e300))


def _counted(texts: Sequence[str], weights: Sequence[float]) -> tuple[tuple[float, Grams], ...]:
    """The shares of the draws, and their n-grams."""
    total = math.fsum(weights)
    if len(texts) != len(weights) or not 0 < total < math.inf:
        raise ValueError(f"weights={list(weights)} do not suit {len(texts)} draws: give each one of at least 0")
    pairs = zip(texts, weights, strict=True)
    return tuple((weight / total, grams(tuple(plain_words(text)))) for text, weight in pairs if weight)
