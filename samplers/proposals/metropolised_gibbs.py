"""Metropolised Gibbs (Liu, 1996) over all sites at once: always another token, first where the text surprises.

A Gibbs step draws the token of a site from its conditional c_i(. | x_-i), and mostly draws the one that stands there.
Liu leaves that one out. Here the site is drawn as well, in proportion to how likely the Gibbs step would change it, to
a power b:

    Q(i, v | x) = s_i(x)^b / Z(x) * c_i(v | x_-i) / s_i(x),    s_i(x) = 1 - c_i(x_i | x_-i),    Z(x) = sum of s_i(x)^b.

For b = 1 these are the rates of heat-bath dynamics without waiting times (Bortz, Kalos and Lebowitz, 1975), balanced
in the sense of Zanella (2020) as far as c is the target's own; for b = 0 all sites are alike, as with Liu. As c_i does
not depend on the token at i, it is the same at x and at the changed text y, and for b = 1 the acceptance ratio is

    pi(y) / pi(x) * c_i(x_i) / c_i(v) * Z(x) / Z(y).

Of the text y no more is read than the probabilities of its own tokens: what its pseudo-likelihood reads, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.populations import log_sum
from samplers.proposals.informed import changeable, draw_column, log_total
from samplers.proposals.sites import fits
from textsearch.batch import Batch
from textsearch.checks import keep, real
from textsearch.models.protocols import MaskedLM, needs_mask, token_log_probs
from textsearch.proposal import Move
from textsearch.rng import Rng, categorical

_SITE, _VALUE = range(2)  # draws

_LEAST_LOG_PROB = -1e3  # nats; what a model holds for impossible can go and come
_LEAST_DOUBT = 1e-6  # 1 - c is not known better from float32 logits; a site that a model is sure of can change, too


@final
@dataclass(frozen=True, eq=False)
class MetropolisedGibbs(OfMaskedLM):
    """Change one token to another: the site where the model doubts what stands there, the value as it expects.

    A step reads what `PseudoLikelihood` under the same model reads of the new text, so with it, or a multiple of it, in
    the energy a step costs no more than the energy: one pass of a model that needs no mask, such as a
    `text_autoencoder`, and else a pass for each site. Words keep their number of pieces and texts their length; mix
    with moves that change them.

    Attributes:
        mlm: gives the conditionals. A model that needs a mask reads each site masked.
        power: of the doubt 1 - c by which sites are drawn; 0 for all alike.

    >>> from samplers import MetropolisHastings
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(MetropolisedGibbs(TableMaskedLM.random(letters("abc"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=50, seed=0).best_energies.tolist()
    [0.0]
    """

    mlm: MaskedLM
    power: float = 1.0

    kinds: ClassVar = ("metropolised gibbs",)

    def __post_init__(self) -> None:
        super().__post_init__()
        must = "be a finite number of at least 0: the larger, the more often doubtful sites are drawn"
        keep(self, power=real("power", self.power, must, lambda x: 0 <= x < math.inf))

    def propose(self, batch: Batch, rng: Rng) -> Move:
        """One change a row; rows without sites stay."""
        rows = changeable(batch).any(1).nonzero().squeeze(-1)
        tokens = batch.tokens.clone()
        log_forward = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        log_backward = torch.full_like(log_forward, -math.inf)
        if len(rows):
            tokens[rows], log_forward[rows], log_backward[rows] = self._draw(batch.rows(rows), rng.rows(rows))
        return Move(replace(batch, tokens=tokens), log_forward, log_backward, torch.zeros_like(batch.lengths))

    def _draw(self, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
        here = self._log_sites(batch)
        site = draw_column(here, rng.uniform(_SITE))
        law = self._law(batch, site)
        old = batch.tokens.gather(1, site[:, None])
        others = law.scatter(1, old, -math.inf)
        value = categorical(others, rng.uniform(_VALUE))[:, None]
        new = batch.with_tokens(site, value[:, 0])
        there = self._log_sites(new)
        return (
            new.tokens,
            _log_site(here, site) + _log_value(others, value),
            _log_site(there, site) + _log_value(law.scatter(1, value, -math.inf), old),
        )

    def _log_sites(self, batch: Batch) -> Tensor:
        """(B, N) float64 log s_i^b; -inf where there is no site."""
        rows, columns = changeable(batch).nonzero().unbind(1)
        wanted = batch.tokens[rows, columns]
        doubt = -token_log_probs(self.mlm, *self._read(batch, rows, columns), columns, wanted).double().expm1()
        log_sites = torch.full(batch.tokens.shape, -math.inf, dtype=torch.float64, device=batch.device)
        return log_sites.index_put((rows, columns), self.power * doubt.clamp(min=_LEAST_DOUBT).log())

    def _law(self, batch: Batch, site: Tensor) -> Tensor:
        """(B, V) float64 log c of what may stand at `site` (B,), of no particular sum; -inf for what may not."""
        rows = torch.arange(len(batch), device=batch.device)
        log_probs = self.mlm.log_probs(*self._read(batch, rows, site), site).double().clamp(min=_LEAST_LOG_PROB)
        return log_probs.masked_fill(~fits(self.mlm.vocabulary, batch.tokens[rows, site]), -math.inf)

    def _read(self, batch: Batch, rows: Tensor, columns: Tensor) -> tuple[Batch, Tensor]:
        """The texts that tell the conditionals at (`rows`, `columns`), each (K,), and which of them is for which."""
        if not needs_mask(self.mlm):
            return batch, rows
        each = batch.rows(rows).with_tokens(columns, torch.full_like(columns, self.vocabulary.mask_id))
        return each, torch.arange(len(rows), device=batch.device)


def _log_site(log_sites: Tensor, site: Tensor) -> Tensor:
    """(B,) log-probability of drawing `site` (B,)."""
    return log_sites.gather(1, site[:, None])[:, 0] - log_total(log_sites)


def _log_value(law: Tensor, value: Tensor) -> Tensor:
    """(B,) log-probability of drawing `value` (B, 1) in proportion to exp(`law`) (B, V)."""
    return law.gather(1, value)[:, 0] - log_sum(law)
