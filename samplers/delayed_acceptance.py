"""Delayed acceptance (Christen and Fox, 2005): a cheap energy refuses moves before the expensive one is asked.

With the target p = exp(-E / T), a surrogate p~ = exp(-E~ / T) and a proposal q, a move from x to y is taken with

    stage 1: min(1, p~(y) q(x|y) / p~(x) q(y|x)),
    stage 2: min(1, [p(y) / p(x)] [p~(x) / p~(y)]).

Stage 1 alone is reversible for p~, so p~(x) P~(x, y) is the same both ways; stage 2 is Metropolis-Hastings for p with
P~ as its proposal. Whatever the surrogate, the chain is exact; a bad one only refuses more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

from samplers.one_proposal import MoveSampler
from textsearch.batch import Batch
from textsearch.kinds import OBJECTIVE, instance
from textsearch.objective import Evaluation, Limit, Objective, evaluate
from textsearch.proposal import Proposal, propose
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Info, Weighed
from textsearch.watching import tell

_SURROGATE, _TARGET = range(2)  # draws


@final
@dataclass(frozen=True, eq=False)
class DelayedState:
    """The texts of the chains, their energies, and their energies under the surrogate."""

    batch: Batch
    evaluation: Evaluation
    surrogate: Evaluation


@final
@dataclass(frozen=True)
class DelayedAcceptance(MoveSampler[DelayedState]):
    """Metropolis-Hastings in two stages: only texts that a cheap surrogate lets pass are given to the objective.

    Exact: leaves exp(-E / T) invariant, for the energy E of the objective, under any surrogate that forbids no text
    that the objective allows. A surrogate that forbids such a text keeps the chain from it. A step costs the passes of
    the proposal, the surrogate's energy of each new text, and the objective's of those that pass.

    The uniform numbers of both stages are drawn first, so either energy is worked out only until it is known to be
    too high, as by `MetropolisHastings`, and the chain is the same, bit for bit. Early rejection alone saves much
    of what a surrogate could save, so measure before you use one.

    An accepted step has passed both stages. Its `log_ratio` is that of the stage that decided: the first for a text
    that was refused there, the second for the others; -inf for a text whose energy was not worked out to the end.

    Attributes:
        proposal: draws moves and gives log q both ways.
        surrogate: a cheap energy that resembles the objective's, on the same scale: the objective's cheap terms, a
            smaller language model, ...

    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> no_a = FunctionObjective(lambda texts: [4.0 * ("a" in text) for text in texts], name="no a")
    >>> sampler = DelayedAcceptance(Replace(TableMaskedLM.random(letters("ab"), seed=0)), surrogate=no_a)
    >>> generate(few_a, sampler, ["aaa"], steps=50, seed=0).best_texts
    ['bbb']
    """

    proposal: Proposal
    surrogate: Objective

    def __post_init__(self) -> None:
        super().__post_init__()
        instance("surrogate", self.surrogate, OBJECTIVE)

    def init(self, objective: Objective, batch: Batch) -> DelayedState:
        """The batch with its energies; a text that the surrogate forbids is refused, as no move could leave it.

        Raises:
            ValueError: the surrogate forbids a starting text.
        """
        self.proposal.check(batch)
        self.surrogate.check(batch)
        surrogate = evaluate(self.surrogate, batch)
        forbidden = surrogate.energy == math.inf
        if bool(forbidden.any()):
            text = batch.rows(forbidden).texts()[0]
            raise ValueError(
                f"the surrogate {self.surrogate.name!r} forbids {int(forbidden.sum())} of {len(batch)} starting texts, "
                f"the first {text!r}; change the text, or take a surrogate of finite energy there"
            )
        return DelayedState(batch, ChainState.start(objective, batch).evaluation, surrogate)

    def step(
        self, objective: Objective, state: DelayedState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[DelayedState, Info]:
        """One proposal a row, taken or not."""
        move = propose(self.proposal, state.batch, rng.fold(0))
        same = move.batch.same_text(state.batch)
        possible = move.log_backward > -math.inf
        log_proposal = move.log_backward - move.log_forward
        log_uniform = [rng.fold(1).uniform(draw).log() for draw in (_SURROGATE, _TARGET)]

        highest = state.surrogate.energy + temperature * (log_proposal - log_uniform[_SURROGATE])
        surrogate = evaluate(self.surrogate, move.batch, possible & ~same, _limit(highest, state.batch))
        surrogate = surrogate.where(same, state.surrogate)
        log_surrogate = (state.surrogate.energy - surrogate.energy) / temperature
        log_first = log_surrogate + log_proposal
        passed = possible & (log_uniform[_SURROGATE] < log_first)

        # of a row that did not pass, what follows says nothing, and may be inf - inf
        highest = state.evaluation.energy - temperature * (log_surrogate + log_uniform[_TARGET])
        proposed = evaluate(objective, move.batch, passed & ~same, _limit(highest, state.batch))
        proposed = proposed.where(same, state.evaluation)
        tell(Weighed(state.batch, state.evaluation, move, proposed))
        log_second = (state.evaluation.energy - proposed.energy) / temperature - log_surrogate
        log_ratio = log_second.where(passed, log_first)
        accepted = passed & (log_uniform[_TARGET] < log_second)
        after = DelayedState(
            state.batch.where(accepted, move.batch),
            state.evaluation.where(accepted, proposed),
            state.surrogate.where(accepted, surrogate),
        )
        return after, Info(accepted, move.kind, log_ratio)


def _limit(highest: Tensor, before: Batch) -> Limit:
    """A little above, so that rounding decides nothing."""
    return Limit(highest + 1e-6 * (1 + highest.abs()), before)
