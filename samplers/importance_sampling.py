"""Importance sampling over texts: independent draws, weighted (Kahn and Marshall, 1953)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers import independent_draws
from samplers.one_proposal import DrawSampler
from samplers.weights import KIND, LOG_WEIGHTS
from textsearch.batch import Batch
from textsearch.objective import Objective, evaluate
from textsearch.proposal import IndependentProposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info


@final
@dataclass(frozen=True)
class ImportanceSampling(DrawSampler):
    """A fresh text from q every step, with the weight exp(-E / T) / q(text) recorded.

    Consistent: the weighted draws of T steps of B chains, T * B independent ones, converge to exp(-E / T). The texts by
    themselves are draws from q; `resampled_texts` makes equally weighted ones of them. `importance_summary` says how
    far the weights can be trusted, `weighted_mean` what they say of a quantity. A step costs a draw and its energy.

    The starting text is used as a template only: it is not evaluated, and may be forbidden. A step is accepted if its
    draw has weight above 0. Every step replaces the text by a new draw. In a `Cycle` or `Mixture` the other samplers
    would move the draws and the weights would no longer belong to them, so nothing is guaranteed there.

    Attributes:
        proposal: draws the texts and knows log q; it must be able to draw every text of energy below +inf.

    >>> from samplers import importance_summary, resampled_texts
    >>> from samplers.proposals import Uniform
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import letters
    >>> few_a = FunctionObjective(lambda texts: [text.count("a") for text in texts], name="few a")
    >>> sampler = ImportanceSampling(Uniform(letters("ab")))
    >>> result = generate(few_a, sampler, ["__"], steps=100, seed=0, chains=4, thin=1)
    >>> [found] = importance_summary(result)
    >>> abs(found.log_z.value - 2 * math.log(1 + math.exp(-1))) < 4 * found.log_z.error
    True
    >>> [texts] = resampled_texts(result, count=8, seed=0)
    >>> texts
    ['ab', 'ab', 'ba', 'ba', 'bb', 'bb', 'bb', 'bb']
    """

    proposal: IndependentProposal

    kinds: ClassVar = (KIND,)
    guarantee: ClassVar = Guarantee.CONSISTENT

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The starting texts, with energy +inf because they are not draws."""
        self.check(batch)
        return ChainState(batch, evaluate(objective, batch, wanted=torch.zeros_like(batch.lengths, dtype=torch.bool)))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """A fresh text in every row."""
        after, log_weights = independent_draws.draw_weighted(self.proposal, objective, state.batch, rng, temperature)
        kind = torch.zeros_like(after.batch.lengths)
        return after, Info(log_weights > -math.inf, kind, log_weights, recorded={LOG_WEIGHTS: log_weights})
