"""Metropolis-Hastings over texts (Metropolis et al., 1953; Hastings, 1970)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from samplers.one_proposal import MoveSampler
from samplers.proposals.usual import EDITS
from textsearch.batch import Batch
from textsearch.objective import Limit, Objective, evaluate
from textsearch.proposal import Proposal, propose
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Info, Weighed
from textsearch.watching import tell


@final
@dataclass(frozen=True)
class MetropolisHastings(MoveSampler[ChainState]):
    """Propose a move, take it with probability min(1, p(x') q(x|x') / p(x) q(x'|x)), p = exp(-E / T).

    Exact: leaves p invariant. A step costs the passes of the proposal, and the energy of each new text. The uniform
    number that decides is drawn first, so it is known how low the energy must be: a text that a constraint forbids is
    refused before any language model sees it, and one that part of its energy puts above that limit before the rest is
    worked out. The chain is the same, bit for bit; the log ratio of such a text is told as -inf.

    Attributes:
        proposal: draws x' and gives log q both ways; by default the usual edits, `Edits`.

    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> sampler = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> generate(few_a, sampler, ["aaa"], steps=50, seed=0).best_texts
    ['bbb']
    """

    proposal: Proposal = EDITS

    starts_anywhere: ClassVar = False

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        """The texts with their energies, which must be finite."""
        self.proposal.check(batch)
        return ChainState.start(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        """One proposal a row, taken or not."""
        move = propose(self.proposal, state.batch, rng.fold(0))
        same = move.batch.same_text(state.batch)
        possible = move.log_backward > -math.inf
        log_uniform = rng.fold(1).uniform(0).log()
        highest = state.evaluation.energy + temperature * (move.log_backward - move.log_forward - log_uniform)
        # a little above, so that rounding decides nothing
        limit = Limit(highest + 1e-6 * (1 + highest.abs()), state.batch)
        # a row that did not change keeps its energy; one that cannot come back is refused whatever its energy
        proposed = evaluate(objective, move.batch, possible & ~same, limit)
        proposed = proposed.where(same, state.evaluation)
        tell(Weighed(state.batch, state.evaluation, move, proposed))
        log_ratio = (state.evaluation.energy - proposed.energy) / temperature + move.log_backward - move.log_forward
        # from one forbidden text, where a search may stand, to another: inf - inf
        log_ratio = log_ratio.masked_fill(proposed.energy == math.inf, -math.inf)
        accepted = possible & (log_uniform < log_ratio)
        after = state.where(accepted, ChainState(move.batch, proposed))
        return after, Info(accepted, move.kind, log_ratio)
