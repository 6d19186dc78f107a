"""Populations of weighted particles: which rows of a batch belong together, their weights, and how they resample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch


@final
@dataclass(frozen=True, eq=False)
class Populations:
    """Which rows are the particles of which population: those of one input, in the order of their chains.

    Attributes:
        rows: (P, N) int64, the rows of each population; N is the size of the largest, past the end of the others
            stands their first row again.
        present: (P, N) bool, False past the end.
        size: (P,) float64, particles.
        number: (B,) int64, the population of each row.
        place: (B,) int64, its place there.

    >>> two = Populations.of(inputs=torch.tensor([7, 5, 7]), chain=torch.tensor([3, 1, 2]))
    >>> two.rows.tolist(), two.present.tolist()
    ([[1, 1], [2, 0]], [[True, False], [True, True]])
    """

    rows: Tensor
    present: Tensor
    size: Tensor
    number: Tensor
    place: Tensor

    @staticmethod
    def of(inputs: Tensor, chain: Tensor) -> Populations:
        """Rows grouped by `inputs` (B,), in the order of `chain` (B,)."""
        order = chain.argsort(stable=True)
        order = order[inputs[order].argsort(stable=True)]
        _, number, sizes = torch.unique(inputs, return_inverse=True, return_counts=True)
        first = sizes.cumsum(0) - sizes
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device) - first[number[order]]
        slot = torch.arange(int(sizes.max()), device=order.device)
        present = slot < sizes[:, None]
        rows = order[first[:, None] + slot.where(present, 0)]
        return Populations(rows, present, sizes.to(torch.float64), number, place)

    @property
    def even(self) -> Tensor:
        """(P, N) log-weights that are all the same."""
        return torch.zeros(self.present.shape, dtype=torch.float64, device=self.present.device).masked_fill(
            ~self.present, -math.inf
        )

    def table(self, values: Tensor, past_the_end: float) -> Tensor:
        """(P, N) the `values` (B,) by population."""
        return values[self.rows].masked_fill(~self.present, past_the_end)

    def each(self, table: Tensor) -> Tensor:
        """(B,) what stands in `table` (P, N) for each row."""
        return table[self.number, self.place]


def check_alike(batch: Batch) -> None:
    """Refuse rows of one input with other texts or frozen tokens: they are the particles of one population."""
    populations = Populations.of(batch.inputs, torch.arange(len(batch), device=batch.device))
    leader = batch.rows(populations.rows[:, 0][populations.number])
    strange = ~batch.same_text(leader) | (batch.editable != leader.editable).any(1)
    if bool(strange.any()):
        row = int(strange.nonzero()[0])
        raise ValueError(
            f"input {int(batch.inputs[row])} has several starting texts, {leader.rows([row]).texts()[0]!r} and "
            f"{batch.rows([row]).texts()[0]!r} (or other frozen tokens): the rows of one input are one "
            "population; give each text its own number in batch.inputs"
        )


def log_sum(log_values: Tensor) -> Tensor:
    """(P,) log of the sums of exp over each row of (P, N), -inf where all of it is.

    No bit depends on other rows, or on how much of what -inf stands for follows.

    >>> log_sum(torch.tensor([[0.0, 0.0, -math.inf], [-math.inf] * 3])).exp().tolist()
    [2.0, 0.0]
    """
    top = log_values.amax(1).nan_to_num(neginf=0.0)
    # sum pairs terms by the shape of the whole; cumsum adds from left to right
    return (log_values - top[:, None]).exp().cumsum(1)[:, -1].log() + top


def effective_share(log_weights: Tensor, log_change: Tensor) -> Tensor:
    """(P,) conditional effective sample size over N when weights w, (P, N) logs, change by factors u: (0, 1].

    (sum of W u)^2 / (sum of W u^2) with W = w / sum of w; for even w the effective sample size of the weights u.

    >>> effective_share(torch.zeros(1, 4), torch.tensor([[0.0, 0.0, -math.inf, -math.inf]])).tolist()
    [0.5]
    """
    once, twice = log_sum(log_weights + log_change), log_sum(log_weights + 2 * log_change)
    return (2 * once - twice - log_sum(log_weights)).exp()


def systematic(log_weights: Tensor, uniform: Tensor, size: Tensor) -> Tensor:
    """(P, N) int64 ancestors, in rising order: a particle is taken w over the mean of w times, on average.

    Carpenter, Clifford and Fearnhead (1999). A comb of `size` (P,) teeth, one `uniform` (P,) for its place, is laid on
    the weights end to end: a particle is taken the floor or the ceiling of that number, and never with weight 0.

    >>> weights = torch.tensor([[1.0, 1.0, 2.0]])
    >>> systematic(weights.log(), torch.tensor([0.25]), torch.tensor([3.0])).tolist()
    [[0, 1, 2]]
    """
    cumulative = (log_weights - log_weights.amax(1, keepdim=True)).exp().cumsum(1)
    total = cumulative[:, -1:].contiguous()
    tooth = torch.arange(log_weights.shape[1], device=log_weights.device) + uniform[:, None]
    ancestor = torch.searchsorted(cumulative, tooth / size[:, None] * total, right=True)
    # rounding may put the last tooth on the very end
    return torch.minimum(ancestor, (cumulative < total).sum(1, keepdim=True))
