"""Gibbs sampling over texts (Geman and Geman, 1984), with a few candidate tokens for each site.

A masked language model names the K likeliest tokens at a site, given the other tokens. The site is resampled from the
target restricted to these. With C(x_-i) that set, and x_i kept where it is not in C,

    P(x_i = v | x_-i) = exp(-E(x_-i, v) / T) / sum over u in C of exp(-E(x_-i, u) / T)    for v in C.

This leaves the target invariant for any C that does not depend on x_i; adding x_i to C would break that. The language
model decides which tokens are tried, the energy alone which of them is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.one_masked_lm import OfMaskedLM
from samplers.proposals.sites import conditionals, place_of, sites
from textsearch.batch import Batch
from textsearch.checks import function, keep, whole
from textsearch.models.defaults import DEFAULT_MASKED_LM
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info

_SITE, _TOKEN = range(2)  # draws
_MAX_WAYS = 100_000

Scan = Callable[[Tensor, Rng], Tensor]
"""(B,) which of the sites to visit, its rank among `count` (B,) of them; it may look at nothing else of the text."""


def random_scan(count: Tensor, rng: Rng) -> Tensor:
    """Each site as likely as the others.

    Args:
        count: (B,) sites of each row.
        rng: of the step, a stream for each row.
    """
    return (rng.uniform(_SITE) * count).floor().to(torch.int64)


def systematic_scan(count: Tensor, rng: Rng) -> Tensor:
    """Site after site from left to right, one a step, and again from the left.

    Args:
        count: (B,) sites of each row.
        rng: of the step, a stream for each row.
    """
    return torch.remainder(rng.steps, count)


@final
@dataclass(frozen=True, eq=False)
class Gibbs(OfMaskedLM):
    """Resample a site from exp(-E / T), restricted to the K tokens that a masked language model finds likeliest there.

    Exact: leaves exp(-E / T) invariant. A site is a token of an editable word. It keeps its role: a token that begins a
    word is replaced by one that begins a word. So words keep their number of pieces, and texts their length; mix with
    moves that change these to reach every text. A step is one pass of the model and K energies a row, all in one batch.
    A text without sites, or whose token is not among the K, stays as it is.

    An accepted step is one that changed the text. Its `log_ratio` is 0 where a draw was made, -inf where not.

    Attributes:
        mlm: names the candidates from the masked text; by default the one that comes with textsearch.
        candidates: K, tokens to choose from at each site.
        block: adjacent sites to draw at once, from the product of their candidates: K^block energies a row.
        scan: which site a step visits, `random_scan` or `systematic_scan`.

    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = Gibbs(TableMaskedLM.random(letters("abc"), seed=0), candidates=3)
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=50, seed=0).best_energies.tolist()
    [0.0]
    """

    mlm: MaskedLM = DEFAULT_MASKED_LM
    candidates: int = 8
    block: int = 1
    scan: Scan = random_scan

    kinds: ClassVar = ("gibbs",)
    guarantee: ClassVar = Guarantee.EXACT
    starts_anywhere: ClassVar = False

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(
            self,
            candidates=whole("candidates", self.candidates, 2, remedy=": 2 leave a choice"),
            block=whole("block", self.block, 1, unit="site"),
        )
        # 1 at least for a candidate: any number of sites is too many for a power
        if self.block * math.log(self.candidates) > math.log(_MAX_WAYS):
            raise ValueError(
                f"block={self.block} sites of candidates={self.candidates} tokens can be filled in more than "
                f"{_MAX_WAYS:,} ways, each an energy of every row: lower one of them"
            )
        function("scan", self.scan, "a scan", "random_scan or systematic_scan")

    def check(self, batch: Batch) -> None:
        """Any text will do, but there must be as many tokens as candidates; a default model is not asked before."""
        known = int(self.vocabulary.allowed.sum())
        whole("candidates", self.candidates, 2, known, remedy=": this vocabulary allows no more")

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, which must be finite."""
        self.check(batch)
        return ChainState.start(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """Resample one block of sites in each row."""
        whole, before = state.batch, state.evaluation
        starts = _blocks(whole, self.block)
        rows = starts.any(1).nonzero().squeeze(-1)
        log_ratio = torch.full_like(before.energy, -math.inf)
        kind = torch.zeros_like(whole.lengths)
        if len(rows) == 0:
            return state, Info(log_ratio > 0, kind, log_ratio)

        batch, rng = whole.rows(rows), rng.rows(rows)
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=batch.device).expand(len(whole))[rows]
        block = place_of(starts[rows], self.scan(starts[rows].sum(1), rng))[:, None] + _range(self.block, batch)
        old = batch.tokens.gather(1, block)
        masked = replace(batch, tokens=batch.tokens.scatter(1, block, self.vocabulary.mask_id))
        # (b, block, K), and every way to combine them, (b, K^block, block)
        tokens, known = top(conditionals(self.mlm, masked, block, old), self.candidates)
        ways = torch.cartesian_prod(*[_range(self.candidates, batch)] * self.block).reshape(-1, self.block)
        tokens, known = (part[:, _range(self.block, batch), ways] for part in (tokens, known))
        known = known.all(2)
        unchanged = (known & (tokens == old[:, None]).all(2)).flatten()

        many = len(ways)
        fills = batch.repeat(many)
        fills = replace(fills, tokens=fills.tokens.scatter(1, block.repeat_interleave(many, 0), tokens.flatten(0, 1)))
        source = rows.repeat_interleave(many)
        current = before.rows(source)
        fresh = evaluate(objective, fills, wanted=known.flatten() & ~unchanged).where(unchanged, current)
        log_weights = -fresh.energy.reshape(-1, many) / heat[:, None]
        # whether the old tokens are candidates must decide, not be arranged; forbidden in every way is no choice either
        possible = unchanged.reshape(-1, many).any(1) & (log_weights > -math.inf).any(1)
        choice = categorical(log_weights.where(possible[:, None], 0.0), rng.uniform(_TOKEN))
        picked = _range(len(rows), batch) * many + choice

        moved, drawn = rows[possible], picked[possible]
        after = ChainState(
            replace(whole, tokens=whole.tokens.index_put((moved,), fills.tokens[drawn])),
            Evaluation(
                before.energy.index_put((moved,), fresh.energy[drawn]),
                before.terms.index_put((moved,), fresh.terms[drawn]),
            ),
        )
        log_ratio = log_ratio.index_fill(0, moved, 0.0)
        return after, Info(~after.batch.same_text(whole), kind, log_ratio)


def _blocks(batch: Batch, size: int) -> Tensor:
    """(B, N) bool, where `size` adjacent sites begin."""
    starts = free = sites(batch)
    for ahead in range(1, size):
        starts = starts & torch.nn.functional.pad(free, (0, ahead))[:, ahead:]
    return starts


def top(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` likeliest tokens, (..., count) int64 in the order of their ids, and whether each is possible at all.

    Of tokens that tie for the last place, those of the lowest ids are taken.
    """
    least = log_probs.topk(count).values[..., -1:]
    above, level = log_probs > least, log_probs == least
    taken = above | (level & (level.cumsum(-1) <= count - above.sum(-1, keepdim=True)))
    tokens = taken.nonzero()[:, -1].reshape(*log_probs.shape[:-1], count)
    return tokens, log_probs.gather(-1, tokens) > -math.inf


def _range(count: int, batch: Batch) -> Tensor:
    return torch.arange(count, device=batch.device)
