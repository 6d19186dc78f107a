"""Templates filled by a masked language model, one site after another.

The chain rule over conditionals that are of no one joint law ("BERT has a mouth", Wang and Cho, 2019) is still a law,
and one whose probabilities are known: with the sites s_1 < s_2 < ... all masked at first,

    q(text | template) = prod_t c(x_(s_t) | frozen tokens, x_(s_1) .. x_(s_(t-1)), masks at s_t, s_(t+1), ...).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.sites import check_sites, conditionals, place_of, sites
from textsearch.batch import Batch
from textsearch.models.protocols import MaskedLM
from textsearch.rng import Rng, categorical

_MOST = 2**24  # log-probabilities at a time, rows times V


@final
@dataclass(frozen=True, eq=False)
class Fill(OfMaskedLM):
    """Mask every site, then fill the sites from left to right, each given everything that is filled so far.

    A site is a token of a word without frozen pieces, and keeps its role: texts keep their length and the places where
    words begin. A text of S sites takes S passes to draw, and S passes for its probability.

    Attributes:
        mlm: fills the sites; the nearer it is to the target, the more even the weights.

    >>> from samplers.proposals import template
    >>> from textsearch.rng import Rng
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> fill = Fill(TableMaskedLM.random(letters("ab"), seed=0))
    >>> drawn, log_prob = fill.draw(template(fill.vocabulary, ["a__"]), Rng.start(seed=1, chains=1))
    >>> drawn.texts(), bool((log_prob == fill.log_prob(drawn)).all())
    (['aaa'], True)
    """

    mlm: MaskedLM

    def check(self, batch: Batch) -> None:
        """Refuse a site that no allowed token may take."""
        check_sites(self.vocabulary, batch)

    def draw(self, batch: Batch, rng: Rng) -> tuple[Batch, Tensor]:
        """A new text for each row, and (B,) log q."""
        return self._fill(batch, rng)

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) log q of what stands at the sites; -inf with a mask among them."""
        return self._fill(batch, None)[1]

    def _fill(self, batch: Batch, rng: Rng | None) -> tuple[Batch, Tensor]:
        """The sites filled from `rng`, or without it with what stands there already."""
        open_sites = sites(batch)
        count = open_sites.sum(1)
        tokens = batch.tokens.masked_fill(open_sites, self.vocabulary.mask_id)
        log_prob = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        most = max(1, _MOST // self.vocabulary.size)
        for number in range(1, int(count.max()) + 1 if len(batch) else 0):
            place = place_of(open_sites, torch.full_like(count, number - 1))
            old = batch.tokens.gather(1, place[:, None])
            uniform = None if rng is None else rng.uniform(number)
            for rows in torch.split((count >= number).nonzero().squeeze(-1), most):
                masked = replace(batch.rows(rows), tokens=tokens[rows])
                log_probs = conditionals(self.mlm, masked, place[rows, None], old[rows])[:, 0]
                log_probs = log_probs.to(torch.float64).log_softmax(-1)
                new = old[rows, 0] if uniform is None else categorical(log_probs, uniform[rows])
                log_prob[rows] += log_probs.gather(1, new[:, None])[:, 0]
                tokens[rows, place[rows]] = new
        return replace(batch, tokens=tokens), log_prob
