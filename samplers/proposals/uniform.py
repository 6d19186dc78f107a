"""Templates filled uniformly at random: for tests, and as a baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from samplers.proposals.sites import check_sites, sites, tokens_by_role
from textsearch.batch import Batch, Vocabulary
from textsearch.kinds import VOCABULARY, instance
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class Uniform:
    """Fill every site with one of the allowed tokens of its role, each as likely as the others.

    Sites and roles are those of `Fill`; log q = -sum over the sites of the log of how many tokens there are to choose
    from. Runs no model.

    Attributes:
        vocabulary: the tokens.

    >>> from textsearch.testing import letters
    >>> uniform = Uniform(letters("abC"))
    >>> uniform.log_prob(uniform.vocabulary.encode(["ab", "aC"])).exp().tolist()
    [0.25, 0.5]
    """

    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        instance("vocabulary", self.vocabulary, VOCABULARY)

    def check(self, batch: Batch) -> None:
        """Refuse a site that no allowed token may take."""
        check_sites(self.vocabulary, batch)

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """A new text for each row, and (B,) log q."""
        open_sites, goes_on = sites(batch), self.vocabulary.continues.to(batch.device)[batch.tokens]
        choices = [fitting.nonzero().squeeze(-1) for fitting in tokens_by_role(self.vocabulary, batch.device)]
        tokens = batch.tokens.clone()
        for column in range(batch.width):
            number = rng.uniform(column)
            for role, own in enumerate(choices):
                if len(own):
                    rank = (number * len(own)).floor().to(torch.int64).clamp(max=len(own) - 1)
                    here = open_sites[:, column] & (goes_on[:, column] == role)
                    tokens[:, column] = torch.where(here, own[rank], tokens[:, column])
        drawn = replace(batch, tokens=tokens)
        return drawn, self.log_prob(drawn)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log q of what stands at the sites; -inf with a token among them that is not allowed."""
        open_sites, goes_on = sites(batch), self.vocabulary.continues.to(batch.device)[batch.tokens]
        log_prob = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        for role, choices in enumerate(tokens_by_role(self.vocabulary, batch.device).sum(1).tolist()):
            count = (open_sites & (goes_on == role)).sum(1).to(torch.float64)
            log_prob = log_prob - count * math.log(max(choices, 1))
        strange = open_sites & ~self.vocabulary.allowed.to(batch.device)[batch.tokens]
        return log_prob.masked_fill(strange.any(1), -math.inf)
