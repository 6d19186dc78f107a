"""Informed proposals (Zanella, 2020): what they share, the ratios of all changes of one token, from one pass.

A masked language model that reads a text x as it stands, no token masked, says of each site i which tokens v would
suit there. In place of the target's own ratios, which would take a pass for each (i, v), the informed proposals look at

    log r_iv = log c_i(v | x) - log c_i(x_i | x).

Grathwohl et al. (2021) get theirs from a gradient, also in one pass. As c_i sees the token x_i itself, the ratios at a
changed text y are others, even at the sites that changed: the way back takes a second pass, at y.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import final

import torch
from torch import Tensor

from samplers.proposals.sites import fits, sites, tokens_by_role
from textsearch.batch import Batch
from textsearch.checks import positive
from textsearch.models.protocols import MaskedLM
from textsearch.proposal import Move
from textsearch.rng import Rng

ENTRIES = 2**24
"""Ratios in memory at a time, 64 MiB of float32 for each table of them: more rows are taken in several parts."""

_LEAST = -1e3
"""Nats, the least log-probability that a model can give a token here."""

Balance = Callable[[Tensor], Tensor]
"""log g for log t, elementwise. Any g leaves the chain exact; one with g(t) = t g(1/t) is locally balanced."""


def barker(log_ratio: Tensor) -> Tensor:
    """g(t) = t / (1 + t): changes for the better are all about as likely as one another.

    Args:
        log_ratio: log of the ratio t of two probabilities, nats.

    >>> barker(torch.tensor([0.0, 40.0, -40.0]).double()).exp().tolist()[:2]
    [0.5, 1.0]
    """
    return torch.nn.functional.logsigmoid(log_ratio)


def square_root(log_ratio: Tensor) -> Tensor:
    """g(t) = sqrt(t): the better, the likelier.

    Args:
        log_ratio: log of the ratio t of two probabilities, nats.

    >>> square_root(torch.tensor(4.0).log()).exp().item()
    2.0
    """
    return 0.5 * log_ratio


def check_power(power: float) -> float:
    """Refuse a power of the ratios that is no positive number."""
    why = ": below 1 it evens the ratios out, above 1 it sharpens them"
    return float(positive("power", power, remedy=why))


def changeable(batch: Batch) -> Tensor:
    """(B, N) bool, the sites where another token of the same role could stand, and the old one be written again.

    A change of some leaves them all as they are. A token that the vocabulary does not allow is none of them.
    """
    tokens = tokens_by_role(batch.vocabulary, batch.device)
    usable = (tokens & (tokens.sum(1, keepdim=True) > 1)).any(0)
    return sites(batch) & usable[batch.tokens]


def moves(batch: Batch, rng: Rng, draw: Callable[[Batch, Rng], tuple[Tensor, Tensor, Tensor]]) -> Move:
    """One move a row, as `draw` makes them of rows with sites: (b, N) tokens, and (b,) log q forward and backward.

    Rows without sites are null moves. Memory is bounded: `draw` gets as many rows at a time as `ENTRIES` allows.
    """
    counts = changeable(batch).sum(1)
    tokens = batch.tokens.clone()
    log_forward = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
    log_backward = torch.full_like(log_forward, -math.inf)
    for rows in _parts(counts * batch.vocabulary.size):
        tokens[rows], log_forward[rows], log_backward[rows] = draw(batch.rows(rows), rng.rows(rows))
    return Move(replace(batch, tokens=tokens), log_forward, log_backward, torch.zeros_like(batch.lengths))


def _parts(sizes: Tensor) -> Iterator[Tensor]:
    """The rows of some size, in parts of at most `ENTRIES` and one row more."""
    rows = sizes.nonzero().squeeze(-1)
    part = sizes[rows].cumsum(0) // ENTRIES
    for number in torch.unique(part):
        yield rows[part == number]


def log_ratios(mlm: MaskedLM, batch: Batch, rows: Tensor, columns: Tensor) -> Tensor:
    """(K, V) log r_iv in nats at K sites: 0 for the token that stands there, whatever may stand there.

    The rows are read as they stand, once each; the ratios are as precise as the model's answers.
    """
    log_probs = mlm.log_probs(batch, rows, columns)
    log_probs = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32))
    # what a model holds for impossible is taken as very unlikely: no sum is empty, and every change has a way back
    ratios = log_probs.clamp(min=_LEAST)
    ratios -= ratios.gather(1, batch.tokens[rows, columns, None])
    return ratios


def unfit(mlm: MaskedLM, batch: Batch, rows: Tensor, columns: Tensor) -> Tensor:
    """(K, V) bool, what may not stand at K sites."""
    return ~fits(mlm.vocabulary, batch.tokens[rows, columns])


@final
@dataclass(frozen=True, eq=False)
class Changes:
    """The weights g(r_iv^power) of all changes of one token, of each row.

    Attributes:
        log_values: (K, V), of the value v at each of the K sites of all rows; -inf for the token that stands
            there, and for what may not stand there.
        log_sites: (B, N) float64, their sums over v; -inf where there is no site.
        number: (B, N) int64, which of the K sites lies there.
    """

    log_values: Tensor
    log_sites: Tensor
    number: Tensor

    @staticmethod
    def of(mlm: MaskedLM, batch: Batch, balance: Balance, power: float) -> Changes:
        """One pass over the rows."""
        rows, columns = changeable(batch).nonzero().unbind(1)
        log_values = balance(power * log_ratios(mlm, batch, rows, columns))
        log_values = log_values.masked_fill(unfit(mlm, batch, rows, columns), -math.inf)
        log_values = log_values.scatter(1, batch.tokens[rows, columns, None], -math.inf)
        log_sites = torch.full(batch.tokens.shape, -math.inf, dtype=torch.float64, device=batch.device)
        number = torch.zeros_like(batch.tokens)
        return Changes(
            log_values,
            log_sites.index_put((rows, columns), _log_sums(log_values)),
            number.index_put((rows, columns), torch.arange(len(rows), device=batch.device)),
        )

    def at(self, columns: Tensor) -> Tensor:
        """(..., V) float64 log-weights of the values at the sites in `columns`, (B,) or (B, R)."""
        rows = torch.arange(len(columns), device=columns.device)
        return self.log_values[self.number[rows if columns.ndim == 1 else rows[:, None], columns]].double()


def _log_sums(log_values: Tensor) -> Tensor:
    """(K,) float64 log of the sums of exp over each row of (K, V); no bit depends on other rows."""
    top, place = log_values.max(1, keepdim=True)
    # the one way to sum a row that reads it where it lies, in its own precision, and by itself
    return (top - log_values.log_softmax(1).gather(1, place))[:, 0].double()


def log_total(log_weights: Tensor) -> Tensor:
    """(...) log of the sum of exp over (..., N) columns."""
    top, running = _running(log_weights)
    return top + running[..., -1].log()


def draw_column(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """(B,) a column drawn in proportion to exp(`log_weights`) (B, N)."""
    _, running = _running(log_weights)
    return (running <= uniform[:, None] * running[:, -1:]).sum(1).clamp(max=log_weights.shape[1] - 1)


def _running(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest log-weight (...) and the running sum of the weights (..., N) in its units."""
    top = log_weights.amax(-1)
    weights = (log_weights - top[..., None]).exp()
    # one column at a time: the order of the sum, and so its last bit, does not depend on the padding
    return top, torch.stack(list(accumulate(weights.unbind(-1))), -1)
