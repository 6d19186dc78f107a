"""Pseudo-likelihood under a masked language model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Cost, Limit, Objective


@final
@dataclass(frozen=True)
class PseudoLikelihood(Objective):
    """-sum_i log c(x_i | all other tokens) in nats (Besag, 1975; Salazar et al., 2020, for masked models).

    A product of conditionals, not a probability of the text: it adds up to no particular number over texts. One masked
    copy of a text for each of its tokens, so it costs as many rows as the text has tokens; where there is a limit,
    fewer: every conditional adds to the energy, so a few of them can show that a text lies above it.

    Attributes:
        model: gives the conditionals; the batch must be in its vocabulary.

    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> objective = PseudoLikelihood(model)
    >>> energy = objective.energy(model.vocabulary.encode(["ab", ""]))
    >>> bool(energy[0] > 0), float(energy[1])
    (True, 0.0)
    """

    model: MaskedLM

    @property
    def name(self) -> str:
        """With a hyphen."""
        return "pseudo-likelihood"

    @property
    def cost(self) -> Cost:
        """As many rows as tokens."""
        return Cost.HEAVY

    @property
    def lower_bound(self) -> float:
        """No conditional probability is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        everywhere = torch.zeros_like(batch.lengths)
        return self.energy_within(batch, Limit(torch.full_like(everywhere, math.inf, dtype=torch.float64), everywhere))

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        """(B,) nats a text, +inf for one that some of its tokens put above the limit already.

        The tokens nearest to `limit.near` come first, in rounds of 1, 2, 4, ... tokens of all texts that are still
        within their limits.
        """
        column = torch.arange(batch.width, device=batch.device)
        distance = (column - limit.near[:, None]).abs().masked_fill(~batch.present, batch.width)
        nearest = distance.argsort(dim=1, stable=True)
        log_probs = torch.zeros(batch.tokens.shape, dtype=torch.float64, device=batch.device)
        within = torch.ones(len(batch), dtype=torch.bool, device=batch.device)
        done, size = 0, 1 if bool((limit.energy < math.inf).any()) else max(batch.width, 1)
        while done < batch.width:
            wanted = torch.zeros_like(batch.present).scatter(1, nearest[:, done : done + size], True)
            row, place = (wanted & batch.present & within[:, None]).nonzero(as_tuple=True)
            if len(row) == 0:
                break
            log_probs[row, place] = self._conditionals(batch, row, place)
            within = -log_probs.sum(1) <= limit.energy
            done, size = done + size, 2 * size
        energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        # one column at a time: the order of the sum does not depend on the padding
        for value in log_probs.unbind(1):
            energy = energy - value
        return energy.masked_fill(~within, math.inf)

    def _conditionals(self, batch: Batch, row: Tensor, place: Tensor) -> Tensor:
        """(K,) log c of the token at `place` of `row`, given all other tokens of the row."""
        masked = batch.rows(row)
        tokens = masked.tokens.scatter(1, place[:, None], self.model.vocabulary.mask_id)
        log_probs = self.model.log_probs(
            replace(masked, tokens=tokens), torch.arange(len(row), device=batch.device), place
        )
        return log_probs.gather(1, batch.tokens[row, place][:, None])[:, 0].to(torch.float64)

    def check(self, batch: Batch) -> None:
        """The batch must be in the model's tokens."""
        if batch.vocabulary is not self.model.vocabulary:
            raise ValueError(
                "pseudo-likelihood needs the batch in its model's own tokens: use the same masked model in the sampler"
            )
