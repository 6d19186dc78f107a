"""Restarts: chains that begin again, from their start or from the best text found so far.

Restarting a cooled chain is one of the oldest remedies of simulated annealing (Johnson et al., "Optimization by
simulated annealing: an experimental evaluation", 1989), restarting one that is stuck of local search (Lourenço,
Martin and Stützle, "Iterated local search", 2003).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from samplers.composites.wrapped import Wrapper, plain_start
from textsearch.batch import Batch
from textsearch.checks import function, keep, whole
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler

Restart = Callable[[ChainState, ChainState], ChainState]
"""(start, best so far) -> where chains begin again, `from_start` or `from_best`."""


def from_start(start: ChainState, best: ChainState) -> ChainState:
    """Each chain from its first text.

    Args:
        start: the chains as they began.
        best: with the best text of each so far.
    """
    return start


def from_best(start: ChainState, best: ChainState) -> ChainState:
    """Each chain from its best text so far.

    Args:
        start: the chains as they began.
        best: with the best text of each so far.
    """
    return best


@final
@dataclass(frozen=True, eq=False)
class RestartState:
    """The chains, where they started, and the best texts that they met.

    Attributes:
        chain: the texts of the chains with their energies.
        start: those at the start.
        best: those of the lowest energy so far.
        lowest: (B,) float64, the lowest energy since a chain last began.
        stale: (B,) int64, steps since it got lower.
    """

    chain: ChainState
    start: ChainState
    best: ChainState
    lowest: Tensor
    stale: Tensor

    @staticmethod
    def begin(chain: ChainState) -> RestartState:
        """Before the first step."""
        return RestartState(chain, chain, chain, chain.evaluation.energy, torch.zeros_like(chain.batch.lengths))

    @property
    def batch(self) -> Batch:
        """The texts of the chains."""
        return self.chain.batch

    @property
    def evaluation(self) -> Evaluation:
        """Their energies."""
        return self.chain.evaluation

    def again(self, which: Tensor, restart: Restart) -> RestartState:
        """The chains `which` (B,) bool begin again."""
        chain = self.chain.where(which, restart(self.start, self.best))
        lowest = torch.where(which, chain.evaluation.energy, self.lowest)
        return RestartState(chain, self.start, self.best, lowest, self.stale.masked_fill(which, 0))

    def after(self, chain: ChainState) -> RestartState:
        """One step on."""
        energy = chain.evaluation.energy
        best = self.best.where(energy < self.best.evaluation.energy, chain)
        stale = torch.where(energy < self.lowest, 0, self.stale + 1)
        return RestartState(chain, self.start, best, torch.minimum(self.lowest, energy), stale)


@final
@dataclass(frozen=True)
class Restarts(Wrapper[ChainState, RestartState]):
    """Run `sampler` in rounds of `every` steps, and begin each round again from the start or from the best text.

    A search: biased. The steps of a round are numbered from 0, so a schedule within, such as that of
    `SimulatedAnnealing`, restarts with each round and goes over it; each round has its own random numbers. Costs
    nothing beyond the sampler's steps, because the energies of the texts to go back to are kept.

    Attributes:
        sampler: the kernel, whose state is texts and energies only.
        every: steps of a round.
        restart: where the chains begin again, `from_best` or `from_start`.

    >>> from samplers import MetropolisHastings, SimulatedAnnealing
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.schedule import geometric
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0), max_length=4))
    >>> # no way from "aa" to "bb" but through texts of energy 20
    >>> apart = FunctionObjective(lambda texts: [{"aa": 1, "bb": 0}.get(text, 20) for text in texts], name="apart")
    >>> again = Restarts(SimulatedAnnealing(chain, geometric(30.0, 0.1)), every=10)
    >>> "bb" in generate(apart, again, ["aa"], steps=40, seed=0, chains=20).best_texts
    True
    """

    sampler: Sampler[ChainState]
    every: int
    restart: Restart = from_best

    guarantee: ClassVar = Guarantee.BIASED

    def __post_init__(self) -> None:
        super().__post_init__()
        function("restart", self.restart, "a rule of where to begin again", "from_start or from_best")
        keep(self, every=whole("every", self.every, 1, unit="step"))

    def init(self, objective: Objective, batch: Batch) -> RestartState:
        """The texts with their energies, which must be finite."""
        return RestartState.begin(plain_start(self.sampler, objective, batch, "Restarts"))

    def step(
        self, objective: Objective, state: RestartState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[RestartState, Info]:
        """One step of the round; before the first step of a round the chains begin again."""
        number, step = divmod(rng.step, self.every)
        if number and step == 0:
            state = state.again(torch.ones_like(state.stale, dtype=torch.bool), self.restart)
        # the same steps over again must not draw the same numbers
        own = rng.fold(number).at(step, total=self.every)
        chain, info = self.sampler.step(objective, state.chain, own, temperature)
        return state.after(chain), info


@final
@dataclass(frozen=True)
class RestartsWhenStuck(Wrapper[ChainState, RestartState]):
    """Run `sampler`, and begin a chain again once its energy has not got lower for `patience` steps.

    A search: biased. The lowest energy since the chain last began is what counts, so a chain that begins again from its
    start has time to come down. Chains begin again at different steps, but all count the steps of the run: a schedule
    within does not restart. For that see `Restarts`.

    Attributes:
        sampler: the kernel, whose state is texts and energies only.
        patience: steps without a lower energy after which a chain begins again.
        restart: where it does, `from_best` or `from_start`.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0), max_length=4))
    >>> few_a = FunctionObjective(lambda texts: [text.count("a") for text in texts], name="few a")
    >>> generate(few_a, RestartsWhenStuck(chain, patience=5), ["aaaa"], steps=40, seed=0).best_texts
    ['bbbb']
    """

    sampler: Sampler[ChainState]
    patience: int
    restart: Restart = from_best

    guarantee: ClassVar = Guarantee.BIASED

    def __post_init__(self) -> None:
        super().__post_init__()
        function("restart", self.restart, "a rule of where to begin again", "from_start or from_best")
        keep(self, patience=whole("patience", self.patience, 1, unit="step"))

    def init(self, objective: Objective, batch: Batch) -> RestartState:
        """The texts with their energies, which must be finite."""
        return RestartState.begin(plain_start(self.sampler, objective, batch, "RestartsWhenStuck"))

    def step(
        self, objective: Objective, state: RestartState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[RestartState, Info]:
        """One step; a chain that is stuck begins again before it."""
        state = state.again(state.stale >= self.patience, self.restart)
        chain, info = self.sampler.step(objective, state.chain, rng, temperature)
        return state.after(chain), info
