"""Masked-LM resampling without correction (Wang and Cho, 2019: "BERT has a mouth, and it must speak").

A site is drawn uniformly, masked, and filled from the model's conditional; the new token is always kept. The
conditionals of a masked language model belong in general to no joint distribution (Goyal et al., 2022), so the chain
has a stationary law of its own, which no energy describes. A baseline, and a way to shake up starting texts.

The generator of the paper starts from texts of masks alone (see `all_masks`), draws from the whole conditional until
the burn-in is over, and from then on from its likeliest tokens, or takes the likeliest one (`top_k=1`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.gibbs import Scan, random_scan, top
from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.sites import conditionals, masks, place_of, sites
from textsearch.batch import Batch
from textsearch.checks import function, keep, whole
from textsearch.models.defaults import DEFAULT_MASKED_LM
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info

_TOKEN = 1  # draw; the scan has draw 0


@final
@dataclass(frozen=True, eq=False)
class MaskedResampling(OfMaskedLM):
    """Draw a site from the masked language model's conditional, and keep whatever was drawn.

    Biased: the objective and the temperature change nothing. Energies are computed for the record and for the best
    text. The chain visits texts of energy +inf like any other, so meet hard constraints by frozen tokens or another
    sampler. A site is a token of a word without frozen pieces. It keeps its role: a token that begins a word is
    replaced by one that begins a word. A text without sites stays as it is. A step is one pass of the model and one
    energy a row.

    A mask in a text stands for a word of one piece. A text with masks is not finished: its energy is +inf, and the
    objective is not evaluated.

    A step is accepted if a token was drawn, even if it is the old one.

    Attributes:
        mlm: gives the conditionals; by default the one that comes with textsearch.
        top_k: tokens to draw from, the likeliest ones; all if None.
        burn_in: steps at the start that draw from all tokens, whatever `top_k`.
        scan: which site a step visits, `random_scan` or `systematic_scan`.

    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MaskedResampling(TableMaskedLM.random(letters("abc"), seed=0), top_k=2)
    >>> length = FunctionObjective(lambda texts: [len(text) for text in texts], name="length")
    >>> generate(length, sampler, ["aaa"], steps=10, seed=0).acceptance["resample"].accepted
    10
    """

    mlm: MaskedLM = DEFAULT_MASKED_LM
    top_k: int | None = None
    burn_in: int = 0
    scan: Scan = random_scan

    kinds: ClassVar = ("resample",)
    guarantee: ClassVar = Guarantee.BIASED
    starts_anywhere: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        function("scan", self.scan, "a scan", "random_scan or systematic_scan")
        if self.top_k is not None:
            keep(self, top_k=whole("top_k", self.top_k, 1, remedy="; leave it at None to draw from all"))
        keep(self, burn_in=whole("burn_in", self.burn_in, unit="steps"))
        if self.burn_in and self.top_k is None:
            raise ValueError(
                f"burn_in={self.burn_in} changes nothing without top_k: give the number of tokens to draw from after it"
            )

    def check(self, batch: Batch) -> None:
        """Any text will do, but there must be as many tokens as `top_k`; a default model is not asked before."""
        if self.top_k is not None:
            why = ": this vocabulary allows no more tokens; leave it at None to draw from all"
            whole("top_k", self.top_k, 1, int(self.vocabulary.allowed.sum()), remedy=why)

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies; those of texts with masks are +inf."""
        self.check(batch)
        return ChainState(batch, evaluate(objective, batch, wanted=_written(batch)))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """Resample one token in each row, whatever the energy and the temperature."""
        whole = state.batch
        open_sites = sites(whole)
        drawn = open_sites.any(1)
        rows = drawn.nonzero().squeeze(-1)
        batch = whole
        if len(rows):
            batch = replace(
                whole, tokens=whole.tokens.index_put((rows,), self._resampled(whole, open_sites, rng, rows))
            )
        same = batch.same_text(whole)
        evaluation = evaluate(objective, batch, wanted=~same & _written(batch)).where(same, state.evaluation)
        log_ratio = torch.zeros_like(evaluation.energy).masked_fill(~drawn, -math.inf)
        return ChainState(batch, evaluation), Info(drawn, torch.zeros_like(whole.lengths), log_ratio)

    def _resampled(self, whole: Batch, open_sites: Tensor, rng: Rng, rows: Tensor) -> Tensor:
        """(b, N) the tokens of `rows`, one of them drawn from its conditional."""
        batch, open_sites, rng = whole.rows(rows), open_sites[rows], rng.rows(rows)
        site = place_of(open_sites, self.scan(open_sites.sum(1), rng))
        old = batch.tokens.gather(1, site[:, None])
        masked = batch.with_tokens(site, torch.full_like(site, self.vocabulary.mask_id))
        log_probs = conditionals(self.mlm, masked, site[:, None], old)[:, 0]
        # a token that the vocabulary forbids may stand where nothing else fits: it stays
        possible = (log_probs > -math.inf).any(1)
        log_probs = log_probs.where(possible[:, None], 0.0)
        if self.top_k is not None and rng.step >= self.burn_in:
            tokens, _ = top(log_probs, self.top_k)
            log_probs = torch.full_like(log_probs, -math.inf).scatter(1, tokens, log_probs.gather(1, tokens))
        token = categorical(log_probs, rng.uniform(_TOKEN))[:, None].where(possible[:, None], old)
        return batch.tokens.scatter(1, site[:, None], token)


def _written(batch: Batch) -> Tensor:
    """(B,) bool, whether no mask is left."""
    return ~masks(batch).any(1)
