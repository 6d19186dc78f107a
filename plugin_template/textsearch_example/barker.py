"""Barker's acceptance (Barker, "Monte Carlo calculations of the radial distribution functions", 1965)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

from textsearch import Batch, Guarantee, Info, Objective, Proposal, Rng
from textsearch.batch import Vocabulary
from textsearch.objective import evaluate
from textsearch.sampler import ChainState


@final
@dataclass(frozen=True)
class Barker:
    """Propose a move, take it with probability r / (1 + r), r = p(x') q(x|x') / p(x) q(x'|x).

    Exact: leaves exp(-E / T) invariant.

    Attributes:
        proposal: draws x' and gives log q both ways.
    """

    proposal: Proposal

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the proposal."""
        return self.proposal.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the moves."""
        return self.proposal.kinds

    @property
    def guarantee(self) -> Guarantee:
        """Draws are from exp(-E / T) once the chain has forgotten its start."""
        return Guarantee.EXACT

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The state of chains that start at these texts."""
        self.proposal.check(batch)
        return ChainState.start(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One step of each chain."""
        move = self.proposal.propose(state.batch, rng.fold(0))
        # -inf: there is no way back, so no energy is needed
        possible = move.log_backward > -math.inf
        proposed = ChainState(move.batch, evaluate(objective, move.batch, wanted=possible))
        log_target = (state.evaluation.energy - proposed.evaluation.energy) / temperature
        log_ratio = log_target + move.log_backward - move.log_forward
        # u < r / (1 + r), in logarithms
        accepted = possible & (rng.fold(1).uniform(0).logit() < log_ratio)
        return state.where(accepted, proposed), Info(accepted, move.kind, log_ratio)
