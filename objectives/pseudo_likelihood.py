"""Pseudo-likelihood under a masked language model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.kinds import MASKED, instance
from textsearch.models.defaults import DEFAULT_MASKED_LM
from textsearch.models.protocols import MaskedLM, needs_mask, remembers, token_log_probs
from textsearch.objective import Cost, Limit, Objective

_ROUND, _FEWEST = 256, 2  # tokens that are read, and tokens of each text, before it is asked whether to go on


@final
@dataclass(frozen=True)
class PseudoLikelihood(Objective):
    """-sum_i log c(x_i | all other tokens) in nats (Besag, 1975; Salazar et al., 2020, for masked models).

    A product of conditionals, not a probability of the text: it adds up to no particular number over texts. One masked
    copy of a text for each of its tokens, so it costs as many rows as the text has tokens; where there is a limit,
    fewer: every conditional adds to the energy, so a few of them can show that a text lies above it. Of a model that
    needs no mask, such as a `text_autoencoder`, it costs one row.

    Attributes:
        mlm: gives the conditionals; the batch must be in its vocabulary. By default the one that comes with
            textsearch.

    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> objective = PseudoLikelihood(model)
    >>> energy = objective.energy(model.vocabulary.encode(["ab", ""]))
    >>> bool(energy[0] > 0), float(energy[1])
    (True, 0.0)
    """

    mlm: MaskedLM = DEFAULT_MASKED_LM

    def __post_init__(self) -> None:
        instance("mlm", self.mlm, MASKED)

    @property
    def name(self) -> str:
        """With a hyphen."""
        return "pseudo-likelihood"

    @property
    def cost(self) -> Cost:
        """As many rows as tokens, or one."""
        return Cost.HEAVY if needs_mask(self.mlm) else Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """No conditional probability is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        return _sum(self._terms(batch, batch.present))

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        """(B,) nats a text, +inf for one that some of its tokens put above the limit already.

        What is new in a text comes first, then what cost most in the text before it, a few tokens of all texts that
        are still within their limits at a time. What one pass tells is told at once.
        """
        if not needs_mask(self.mlm):
            return self.energy(batch)
        order = self._likely_costs(batch, limit.before).argsort(dim=1, descending=True, stable=True)
        terms = torch.zeros(batch.tokens.shape, dtype=torch.float64, device=batch.device)
        within = torch.ones(len(batch), dtype=torch.bool, device=batch.device)
        done = 0
        while done < batch.width:
            size = max(_FEWEST, _ROUND // max(int(batch.lengths[within].sum()), 1))
            wanted = torch.zeros_like(batch.present).scatter(1, order[:, done : done + size], True)
            wanted &= batch.present & within[:, None]
            if not bool(wanted.any()):
                break
            terms += self._terms(batch, wanted)
            # summed as the whole is: then no part of it is above it, to the last bit
            within &= _sum(terms) <= limit.energy
            done += size
        return _sum(terms).masked_fill(~within, math.inf)

    def _terms(self, batch: Batch, wanted: Tensor) -> Tensor:
        """(B, N) float64 -log c of the tokens under `wanted` (B, N), given all other tokens of their rows; else 0."""
        row, place = wanted.nonzero(as_tuple=True)
        told = batch.tokens[row, place]
        if needs_mask(self.mlm):
            masked = batch.rows(row)
            tokens = masked.tokens.scatter(1, place[:, None], self.mlm.vocabulary.mask_id)
            one_each = torch.arange(len(row), device=batch.device)
            found = token_log_probs(self.mlm, replace(masked, tokens=tokens), one_each, place, told)
        else:
            found = token_log_probs(self.mlm, batch, row, place, told)
        return torch.zeros(wanted.shape, dtype=torch.float64, device=batch.device).index_put((row, place), -found)

    def _likely_costs(self, batch: Batch, before: Batch) -> Tensor:
        """(B, N) what each token cost in the text before, +inf for one that is new; for its order alone."""
        width = max(batch.width, before.width)
        mine, theirs = batch.widen(width), before.widen(width)
        column = torch.arange(width, device=batch.device).expand(len(batch), -1)
        first, shift = mine.first_change(theirs)[:, None], (before.lengths - batch.lengths)[:, None]
        source = torch.where(column < first, column, column + shift).clamp(0, max(width - 1, 0))
        old = mine.tokens == theirs.tokens.gather(1, source)
        if remembers(self.mlm):
            costs = self._terms(theirs, theirs.present).gather(1, source)
        else:
            costs = -(column - first).abs().to(torch.float64)
        costs = costs.masked_fill(~old, math.inf).masked_fill(~mine.present, -math.inf)
        return costs[:, : batch.width]

    def check(self, batch: Batch) -> None:
        """The batch must be in the model's tokens.

        Raises:
            ValueError: it is in others.
        """
        if batch.vocabulary is not self.mlm.vocabulary:
            raise ValueError(
                "pseudo-likelihood needs the batch in its model's own tokens: use the same masked model in the sampler"
            )


def _sum(terms: Tensor) -> Tensor:
    """(B,) of (B, N), one column at a time: the order of the sum does not depend on the padding."""
    energy = torch.zeros(len(terms), dtype=torch.float64, device=terms.device)
    for value in terms.unbind(1):
        energy = energy + value
    return energy
