"""Texts that are written token by token from left to right, many at once: what particle samplers share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.beginnings import Beginnings
from textsearch.models.protocols import TokenLM
from textsearch.models.reading.suffixes import with_suffixes
from textsearch.objective import Evaluation, Objective, evaluate, impossible_by, next_allowed_by

CHUNK = 128
"""Rows of log-probabilities of the whole vocabulary that are worked out at once."""


@final
@dataclass(frozen=True, eq=False)
class Unfinished:
    """K texts, of which some have come to their end.

    Attributes:
        base: K rows; what a text keeps of its row are the tokens before its cut.
        cuts: (K,) int64, tokens that are kept.
        written: (K, W) int64, the tokens behind them.
        counts: (K,) int64, how many these are.
        ended: (K,) bool.
    """

    base: Batch
    cuts: Tensor
    written: Tensor
    counts: Tensor
    ended: Tensor

    @staticmethod
    def start(base: Batch, cuts: Tensor, room: int) -> Unfinished:
        """Nothing is written yet, and no text will grow by more than `room` tokens."""
        written = torch.zeros(len(base), room, dtype=torch.int64, device=base.device)
        return Unfinished(base, cuts, written, torch.zeros_like(cuts), cuts < 0)

    def rows(self, index: Tensor) -> Unfinished:
        """The texts that `index` picks, in its order."""
        return Unfinished(
            self.base.rows(index), self.cuts[index], self.written[index], self.counts[index], self.ended[index]
        )

    def copied(self, source: Tensor) -> Unfinished:
        """What text `source[k]` has written, on row k; both keep the same tokens."""
        return replace(self, written=self.written[source], counts=self.counts[source], ended=self.ended[source])

    def grown(self, index: Tensor, tokens: Tensor, end: int) -> Unfinished:
        """The texts under `index` (J,) with a token (J,) more each, or at their end."""
        ended, counts, written = self.ended.clone(), self.counts.clone(), self.written.clone()
        ended[index] = tokens == end
        on, new = index[tokens != end], tokens[tokens != end]
        written[on, counts[on]] = new
        counts[on] += 1
        return replace(self, ended=ended, counts=counts, written=written)

    def token_lists(self) -> list[list[int]]:
        """K lists of token ids: all of a text so far."""
        rows = zip(
            self.base.tokens.tolist(), self.cuts.tolist(), self.written.tolist(), self.counts.tolist(), strict=True
        )
        return [[*kept[:cut], *new[:count]] for kept, cut, new, count in rows]

    def batch(self) -> Batch:
        """The texts as they stand."""
        return with_suffixes(self.base, self.cuts, self.written, self.counts)


def beginnings(lm: TokenLM, rows: Sequence[Sequence[int]], numbers: Sequence[int]) -> Beginnings:
    """The rows as an objective is asked about them."""
    return Beginnings(lm.vocabulary, lm.eos, rows, numbers)


def writable(lm: TokenLM, device: torch.device) -> Tensor:
    """(V,) bool, the tokens that a text may hold, and its end."""
    # the end is a special token, which a text may not hold
    found = lm.vocabulary.allowed.to(device).clone()
    found[lm.eos] = True
    return found


def next_laws(
    lm: TokenLM, texts: Unfinished, prompts: Sequence[str], exponents: Tensor, most: int
) -> Iterator[tuple[list[list[int]], list[int], Tensor]]:
    """What may come next, a part of the texts at a time.

    Args:
        lm: reads them.
        texts: K that go on.
        prompts: K.
        exponents: (K,) float64.
        most: tokens of a text; one that holds so many can but end.

    Yields:
        The tokens so far of J texts, the numbers of their inputs, and (J, V) float64 exponents times log p of the token
        that follows, -inf for what no text may hold. They are not normalised.
    """
    may = writable(lm, texts.base.device)
    for part in chunks(torch.arange(len(texts.cuts), device=texts.base.device)):
        here = texts.rows(part)
        rows = here.token_lists()
        full = here.cuts + here.counts >= most
        more = max((most - len(row) for row in rows), default=0)
        law = lm.log_probs_after(rows, [prompts[i] for i in part.tolist()], more).to(texts.base.device)
        law = (exponents[part, None] * law).masked_fill(~may, -math.inf)
        law[full] = law[full].masked_fill(torch.arange(len(may), device=law.device) != lm.eos, -math.inf)
        yield rows, here.base.inputs.tolist(), law


def finish(
    objective: Objective, texts: Unfinished, ended: Tensor, evaluation: Evaluation, log_weights: Tensor
) -> tuple[Evaluation, Tensor]:
    """The energies of texts that have just come to their end: (J,) `ended` of K.

    A forbidden one has weight 0 at once. What else its end weighs counts when all have ended: texts that go on have
    their own ends to pay for, and whoever is first must not look worse for it.
    """
    if not len(ended):
        return evaluation, log_weights
    found = evaluate(objective, texts.rows(ended).batch())
    return (
        Evaluation(
            evaluation.energy.index_put((ended,), found.energy), evaluation.terms.index_put((ended,), found.terms)
        ),
        log_weights.index_fill(0, ended[found.energy == math.inf], -math.inf),
    )


def inside(objective: Objective | None, lm: TokenLM, batch: Batch, first: Tensor) -> Tensor:
    """(B,) bool, whether each text could be written from place `first` (B,) on to its end, under the mask if any.

    Runs no model.
    """
    places, which = alike(batch, first)
    rows, numbers = batch.rows(places).token_lists(), batch.inputs[places].tolist()
    starts, may = first[places].tolist(), writable(lm, torch.device("cpu")).tolist()
    found = [all(may[token] for token in row[start:]) for row, start in zip(rows, starts, strict=True)]
    for place in range(max(map(len, rows), default=-1) + 1):
        if objective is None:
            break
        going = [i for i, row in enumerate(rows) if found[i] and starts[i] <= place <= len(row)]
        for begins in range(0, len(going), CHUNK):
            part = going[begins : begins + CHUNK]
            asked = beginnings(lm, [rows[i][:place] for i in part], [numbers[i] for i in part])
            allowed = next_allowed_by(objective, asked)
            if allowed is None:
                continue
            following = torch.tensor([[*rows[i], lm.eos][place] for i in part], device=allowed.device)
            for i, fits in zip(part, allowed.gather(1, following[:, None])[:, 0].tolist(), strict=True):
                found[i] = fits
    return torch.tensor(found, dtype=torch.bool, device=batch.device)[which]


def proven(objective: Objective, lm: TokenLM, texts: Unfinished) -> Tensor:
    """(K,) bool, the texts whose every ending is proven to be forbidden."""
    batch = texts.batch()
    places, which = alike(batch)
    part = batch.rows(places)
    found = impossible_by(objective, beginnings(lm, part.token_lists(), part.inputs.tolist()))
    return which < 0 if found is None else found.to(batch.device)[which]


def chunks(index: Tensor, size: int = CHUNK) -> Iterator[Tensor]:
    """`index` (K,) in parts of at most `size`; none of nothing."""
    for start in range(0, len(index), size):
        yield index[start : start + size]


def alike(batch: Batch, *others: Tensor) -> tuple[Tensor, Tensor]:
    """(D,) a row for each text, input and `others` (B,) that there are, and (B,) which of these each row is like.

    >>> from textsearch.testing import letters
    >>> batch = letters("ab").encode(["ab", "b", "ab"])
    >>> alike(replace(batch, inputs=torch.tensor([7, 7, 7])))
    (tensor([0, 1]), tensor([0, 1, 0]))
    """
    keys = [batch.lengths, batch.inputs, *(one.view(torch.int64) if one.is_floating_point() else one for one in others)]
    table = torch.cat([batch.tokens, torch.stack(keys, 1)], 1)
    _, which = torch.unique(table, dim=0, return_inverse=True)
    first = torch.full((int(which.max()) + 1 if len(which) else 0,), len(batch), device=batch.device)
    row = torch.arange(len(batch), device=batch.device)
    return first.scatter_reduce(0, which, row, "amin"), which


def drawn(laws: Tensor, which: Tensor, uniform: Tensor) -> Tensor:
    """(K, M) tokens, M from law `which[k]` of `laws` (D, V), logs, for text k: as `categorical`, each law summed once.

    `uniform` is (K, M) in (0, 1). A law that is -inf all over gives token 0.

    >>> laws = torch.tensor([[0.5, 0.5], [1.0, 0.0]]).log()
    >>> drawn(laws, torch.tensor([1, 0, 1]), torch.tensor([[0.7], [0.7], [0.2]])).tolist()
    [[0], [1], [0]]
    """
    order = which.argsort(stable=True)
    sizes = torch.bincount(which, minlength=len(laws))
    rank = torch.empty_like(which)
    rank[order] = torch.arange(len(which), device=which.device) - (sizes.cumsum(0) - sizes)[which[order]]
    most, count = int(sizes.max()) if len(which) else 0, uniform.shape[1]
    cumulative = (laws - laws.amax(1).nan_to_num(neginf=0.0)[:, None]).exp().cumsum(1)
    total = cumulative[:, -1:].contiguous()
    thresholds = torch.zeros(len(laws), most, count, dtype=torch.float64, device=laws.device)
    thresholds[which, rank] = uniform.to(torch.float64)
    found = torch.searchsorted(cumulative, thresholds.flatten(1) * total, right=True)
    # rounding may carry a number past the last token that is possible
    found = torch.minimum(found, (cumulative < total).sum(1, keepdim=True))
    return found.view(len(laws), most, count)[which, rank]


def effective_size(log_weights: Tensor) -> Tensor:
    """(P,) effective sample size, (sum of w)^2 / sum of w^2, of log-weights (P, N); 0 where no weight is above 0.

    >>> effective_size(torch.tensor([[0.0, 0.0, -math.inf], [-math.inf] * 3])).tolist()
    [2.0, 0.0]
    """
    top = log_weights.amax(1, keepdim=True)
    weights = (log_weights - top.where(top > -math.inf, 0.0)).exp().cumsum(1)
    squares = (2 * (log_weights - top.where(top > -math.inf, 0.0))).exp().cumsum(1)
    # cumsum adds from left to right: what -inf follows changes no bit
    return (weights[:, -1].square() / squares[:, -1]).nan_to_num(nan=0.0)
