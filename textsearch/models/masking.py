"""Masks of texts that are written from left to right: two laws from the same logits, and their mixture.

A mask leaves out the tokens that a constraint does not allow next, and renormalises over the others. Whether every text
that the constraint permits can be written so is up to the mask, and masks are often too narrow: they may forbid a token
that begins within one word of a grammar and ends in the next. Proposals that must reach every text therefore draw whole
suffixes from a mixture, which is priced at no extra pass:

    q(x) = (1 - free) * prod_t p(x_t | x_<t) 1[allowed] / p(allowed | x_<t)  +  free * prod_t p(x_t | x_<t)

What is proven to begin no text of the constraint (`Objective.impossible`) is not written on, with the mask or without:
such a text has no end, and q is 0. So a text without the mask, which most often is none, costs but its first tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from textsearch.batch import Vocabulary
from textsearch.beginnings import Beginnings
from textsearch.models.protocols import TokenLM
from textsearch.objective import Objective, impossible_by, next_allowed_by
from textsearch.rng import Rng

FREE = 0.05
"""The share of suffixes that are drawn without the mask, unless told."""

_UNMASKED = 0  # tag


def next_laws(lm: TokenLM, rows: Sequence[Sequence[int]], prompts: Sequence[str], temperature: float) -> Tensor:
    """(K, V) float64 log-probabilities of what a model writes next, as a `SuffixLM` does.

    p^(1 / temperature), renormalised over the tokens that the vocabulary allows and the end.
    """
    law = lm.log_probs_after(rows, prompts).to(torch.float64) / temperature
    may = lm.vocabulary.allowed.to(law.device).clone()
    # the end is a special token, which a text may not hold
    may[lm.eos] = True
    return law.masked_fill(~may, -torch.inf).log_softmax(-1)


def masked(log_probs: Tensor, constraint: Objective, beginnings: Beginnings) -> Tensor:
    """(K, V) log-probabilities of what comes next, renormalised over what `constraint` allows after each beginning.

    As they were where it knows nothing; all -inf where it allows nothing that has a probability, a dead end.

    >>> from textsearch.objective import FunctionObjective
    >>> from textsearch.testing import letters
    >>> anything = FunctionObjective(lambda texts: [0.0] * len(texts))
    >>> masked(torch.tensor([[0.5, 0.5]]).log(), anything, Beginnings(letters("a"), 0, [[1]], [0])).exp().tolist()
    [[0.5, 0.5]]
    """
    allowed = next_allowed_by(constraint, beginnings)
    if allowed is None:
        return log_probs
    left = log_probs.masked_fill(~allowed.to(log_probs.device), -math.inf)
    dead = left.amax(-1, keepdim=True) == -math.inf
    # a softmax adds each row up in one order, whatever the number of rows; a dead end would be -inf - -inf
    return left.log_softmax(-1).masked_fill(dead, -math.inf)


def dead(constraint: Objective, beginnings: Beginnings) -> list[bool]:
    """For each of K beginnings whether it is proven to be that of no text."""
    found = impossible_by(constraint, beginnings) if len(beginnings) else None
    return [False] * len(beginnings) if found is None else found.tolist()


def dead_behind(
    constraint: Objective,
    vocabulary: Vocabulary,
    end: int,
    rows: Sequence[Sequence[int]],
    cuts: Sequence[int],
    numbers: Sequence[int],
) -> list[bool]:
    """For each of B texts whether any of its beginnings longer than its cut is proven to be that of no text.

    Args:
        constraint: proves it.
        vocabulary: of the tokens.
        end: the token that ends a text.
        rows: B rows of tokens.
        cuts: B numbers of tokens.
        numbers: B numbers of the inputs.
    """
    places = [(i, size) for i, row in enumerate(rows) for size in range(cuts[i] + 1, len(row) + 1)]
    begun = Beginnings(vocabulary, end, [rows[i][:size] for i, size in places], [numbers[i] for i, _ in places])
    found = {i for (i, _), gone in zip(places, dead(constraint, begun), strict=True) if gone}
    return [i in found for i in range(len(rows))]


def mixed(log_masked: Tensor, log_free: Tensor, free: float) -> Tensor:
    """log((1 - free) q_masked + free q_free), nats.

    >>> mixed(torch.tensor([0.5]).log(), torch.tensor([0.1]).log(), 0.25).exp().tolist()
    [0.4000000059604645]
    """
    if free <= 0:
        return log_masked
    if free >= 1:
        return log_free
    return torch.logaddexp(log_masked + math.log1p(-free), log_free + math.log(free))


def unmasked_rows(rng: Rng, free: float) -> Tensor:
    """(B,) bool, the rows whose suffix is drawn without the mask: each with probability `free`."""
    return rng.fold(_UNMASKED).uniform(0) < free
