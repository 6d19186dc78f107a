"""Iterated sampling importance resampling: a chain of choices among fresh draws.

Tjelmeland, "Using all Metropolis-Hastings proposals to estimate mean values", 2004; Andrieu, Lee and Vihola, "Uniform
ergodicity of the iterated conditional SMC and geometric ergodicity of particle Gibbs samplers", 2018. With x_1 the
current text and x_2 .. x_N fresh ones from q, the next is x_i with probability w_i / sum of w, w = exp(-E / T) / q.

Why this is exact: let k be uniform over the N places, x_k ~ exp(-E / T) and the others from q. The joint law is in
proportion to w(x_k) times the product of all q(x_i), so that given the N texts k falls on i in proportion to w_i;
choosing k anew leaves the joint law, and so that of x_k, as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers import independent_draws
from samplers.one_proposal import DrawSampler
from samplers.rejection import DRAW_LOG_WEIGHTS
from textsearch.checks import MAX_CHAINS, keep, whole
from textsearch.objective import Objective
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info

_PROPOSE, _PICK = range(2)  # tags


@final
@dataclass(frozen=True)
class IteratedResampling(DrawSampler):
    """Draw N - 1 fresh texts and pick among them and the current one, in proportion to exp(-E / T) / q.

    Exact: leaves exp(-E / T) invariant. All N - 1 draws of a step are made and evaluated in one batch, and log q of the
    current text is worked out again, 1 part in N of the work: the state is a text and its energy and nothing more, so
    this sampler takes turns with others in a `Cycle` and climbs the ladder of `ParallelTempering`.

    A forbidden start, such as a template, is replaced by the first draw of weight above 0. A text with q = 0 that
    another sampler of a `Cycle` or `Mixture` wrote is kept: its weight is infinite.

    An accepted step is one that picked a fresh draw; `log_ratio` is the log of the probability of that.

    Attributes:
        proposal: draws the texts and knows log q.
        draws: N, texts to choose from, the current one among them.

    >>> from samplers.proposals import Uniform
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import letters
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> sampler = IteratedResampling(Uniform(letters("ab")), draws=4)
    >>> generate(few_a, sampler, ["___"], steps=20, seed=0).best_texts
    ['bbb']
    """

    proposal: IndependentProposal
    draws: int

    kinds: ClassVar = ("iterated resampling",)
    guarantee: ClassVar = Guarantee.EXACT

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, draws=whole("draws", self.draws, 2, MAX_CHAINS, remedy=": the current text and a fresh one"))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """Choose one of `draws` texts for each row."""
        batch, count = state.batch, self.draws - 1
        row = torch.arange(len(batch), device=batch.device)
        source = row.repeat_interleave(count)
        heat = torch.as_tensor(temperature, dtype=torch.float64, device=batch.device).expand(len(batch))
        each = rng.fold(_PROPOSE).split(count)
        drawn, log_fresh = independent_draws.draw_weighted(
            self.proposal, objective, batch.repeat(count), each, heat[source]
        )

        log_fresh = log_fresh.reshape(-1, count)
        energy = state.evaluation.energy
        # a forbidden text or a template has weight 0: its log q is not needed
        log_current = torch.full_like(energy, -math.inf)
        possible = (energy < math.inf).nonzero().squeeze(-1)
        if len(possible):
            log_prob = independent_draws.log_prob(self.proposal, batch.rows(possible))
            log_current[possible] = -energy[possible] / heat[possible] - log_prob
        log_weights = torch.cat([log_current[:, None], log_fresh], 1)
        # nothing weighs as much as a text that q never draws; where nothing weighs anything the text stays
        stuck = (log_current == math.inf) | (log_weights == -math.inf).all(1)
        choice = categorical(log_weights.where(~stuck[:, None], 0.0), rng.fold(_PICK).uniform(0))
        accepted = ~stuck & (choice > 0)
        log_ratio = log_fresh.logsumexp(1) - log_weights.logsumexp(1)
        after = state.where(accepted, drawn.rows(row * count + (choice - 1).clamp(min=0)))
        log_ratio = log_ratio.masked_fill(stuck, -math.inf)
        return after, Info(accepted, torch.zeros_like(batch.lengths), log_ratio, {DRAW_LOG_WEIGHTS: log_fresh})
