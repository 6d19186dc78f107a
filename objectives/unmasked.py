"""Unmasked likelihood: a masked language model's probabilities of a text from one pass, without masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.kinds import MASKED, instance
from textsearch.models.defaults import DEFAULT_MASKED_LM
from textsearch.models.protocols import MaskedLM, token_log_probs
from textsearch.objective import Cost, Objective


@final
@dataclass(frozen=True)
class UnmaskedLikelihood(Objective):
    """-sum_i log c(x_i | the whole text, x_i itself included) in nats (Kaneko and Bollegala, 2022, "AUL").

    A cheap relative of the pseudo-likelihood (Salazar et al., 2020): one row a text instead of one a token. It is not a
    likelihood, because the model sees each token that it is asked for; a model that copies its input gives 0 for all
    texts. Use it to approximate a more expensive energy, as the surrogate of `samplers.DelayedAcceptance`, with a
    weight: its differences are smaller than those of the energy that it stands for.

    Attributes:
        mlm: reads the texts; the batch must be in its vocabulary. By default the one that comes with textsearch.

    >>> from textsearch.testing import TableMaskedLM, letters
    >>> model = TableMaskedLM.random(letters("ab"), seed=0)
    >>> objective = UnmaskedLikelihood(model)
    >>> energy = objective.energy(model.vocabulary.encode(["ab", ""]))
    >>> bool(energy[0] > 0), float(energy[1])
    (True, 0.0)
    """

    mlm: MaskedLM = DEFAULT_MASKED_LM

    def __post_init__(self) -> None:
        instance("mlm", self.mlm, MASKED)

    @property
    def name(self) -> str:
        """The term's name in results."""
        return "unmasked likelihood"

    @property
    def cost(self) -> Cost:
        """One row."""
        return Cost.MODEL

    @property
    def lower_bound(self) -> float:
        """No conditional probability is above 1."""
        return 0.0

    def energy(self, batch: Batch) -> Tensor:
        """(B,) nats a text."""
        row, place = batch.present.nonzero(as_tuple=True)
        found = token_log_probs(self.mlm, batch, row, place, batch.tokens[row, place])
        terms = torch.zeros(batch.tokens.shape, dtype=torch.float64, device=batch.device)
        terms = terms.index_put((row, place), -found)
        energy = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        # one column at a time: the order of the sum does not depend on the padding
        for column in terms.unbind(1):
            energy = energy + column
        return energy

    def check(self, batch: Batch) -> None:
        """The batch must be in the model's tokens.

        Raises:
            ValueError: it is in others.
        """
        if batch.vocabulary is not self.mlm.vocabulary:
            raise ValueError(
                "the unmasked likelihood needs the batch in its model's own tokens: use the same masked model in the "
                "sampler"
            )
