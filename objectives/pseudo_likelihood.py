"""Pseudo-likelihood under a masked language model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Cost, Objective


@final
@dataclass(frozen=True)
class PseudoLikelihood(Objective):
    """-sum_i log c(x_i | all other tokens) in nats (Besag, 1975; Salazar et al., 2020, for masked models).

    A product of conditionals, not a probability of the text: it adds up to no particular number over texts. One masked
    copy of a text for each of its tokens, so it costs as many rows as the text has tokens.

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

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        row, column = batch.present.nonzero(as_tuple=True)
        energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        if len(row) == 0:
            return energy
        masked = batch.rows(row)
        tokens = masked.tokens.scatter(1, column[:, None], self.model.vocabulary.mask_id)
        log_probs = self.model.log_probs(
            replace(masked, tokens=tokens), torch.arange(len(row), device=batch.device), column
        )
        each = log_probs.gather(1, batch.tokens[row, column][:, None])[:, 0].to(torch.float64)
        grid = torch.zeros(batch.tokens.shape, dtype=torch.float64, device=batch.device)
        grid[row, column] = each
        # one column at a time: the order of the sum does not depend on the padding
        for value in grid.unbind(1):
            energy = energy - value
        return energy

    def check(self, batch: Batch) -> None:
        """The batch must be in the model's tokens."""
        if batch.vocabulary is not self.model.vocabulary:
            raise ValueError(
                "pseudo-likelihood needs the batch in its model's own tokens: use the same masked model in the sampler"
            )
