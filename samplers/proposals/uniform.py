"""Templates filled afresh at random: the proposal that knows nothing, for tests and as a yardstick."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from samplers.proposals.sites import check_sites, sites
from textsearch.batch import Batch, Vocabulary
from textsearch.rng import Rng


@final
@dataclass(frozen=True, eq=False)
class Uniform:
    """Fill every site with one of the allowed tokens of its role, each as likely as the others.

    Sites and roles are those of `Fill`; log q = -sum over the sites of the log of how many tokens there are to choose
    from.

    Attributes:
        vocabulary: the tokens.

    >>> from textsearch.testing import letters
    >>> uniform = Uniform(letters("abC"))
    >>> uniform.log_prob(uniform.vocabulary.encode(["ab", "aC"])).exp().tolist()
    [0.25, 0.5]
    """

    vocabulary: Vocabulary

    def check(self, batch: Batch) -> None:
        """Refuse a site that no allowed token may take."""
        check_sites(self.vocabulary, batch)

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """Every row filled afresh, and (B,) log q."""
        open_sites, continues = sites(batch), self.vocabulary.continues.to(batch.device)
        roles, tokens = continues[batch.tokens], batch.tokens.clone()
        for column in range(batch.width):
            number = rng.uniform(column)
            for role in (False, True):
                choices = self._choices(role, batch.device)
                if len(choices):
                    rank = (number * len(choices)).floor().to(torch.int64).clamp(max=len(choices) - 1)
                    here = open_sites[:, column] & (roles[:, column] == role)
                    tokens[:, column] = torch.where(here, choices[rank], tokens[:, column])
        drawn = replace(batch, tokens=tokens)
        return drawn, self.log_prob(drawn)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log q of what stands at the sites; -inf with a token among them that is not allowed."""
        open_sites = sites(batch)
        goes_on = self.vocabulary.continues.to(batch.device)[batch.tokens]
        log_prob = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        for role in (False, True):
            choices = self._choices(role, batch.device)
            count = (open_sites & (goes_on == role)).sum(1).to(torch.float64)
            log_prob = log_prob - count * math.log(max(len(choices), 1))
        strange = open_sites & ~self.vocabulary.allowed.to(batch.device)[batch.tokens]
        return log_prob.masked_fill(strange.any(1), -math.inf)

    def _choices(self, role: bool, device: torch.device) -> Tensor:
        """The allowed tokens that begin a word, or that go on one."""
        fits = self.vocabulary.allowed & (self.vocabulary.continues == role)
        return fits.nonzero().squeeze(-1).to(device)
