"""Thinning: several steps of a sampler as one (Link and Eaton, "On thinning of chains in MCMC", 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, final

import torch
from torch import Tensor

from samplers.composites.wrapped import StepWrapper
from textsearch.checks import keep, whole
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info, Sampler, State

S = TypeVar("S", bound=State)


@final
@dataclass(frozen=True)
class Thinned(StepWrapper[S]):
    """`every` steps of `sampler` as one: the chain is the same, and a run looks at each `every`-th text only.

    As exact as the sampler; a step costs `every` of its steps. The temperature does not change within a step, so thin
    the sampler inside `SimulatedAnnealing` or `ParallelTempering` to get several steps at each temperature, or between
    exchanges. The best text of a run is the best of those it looks at; where thinning is only to save space,
    `generate(..., thin=...)` loses nothing.

    A step is accepted if any of its `every` was. Its kind and `log_ratio` are those of the last accepted, or of the
    last if none was; what is recorded is what the last records.

    Attributes:
        sampler: the kernel.
        every: steps of the sampler in one step of this one.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0)))
    >>> few_a = FunctionObjective(lambda texts: [5.0 * text.count("a") for text in texts], name="few a")
    >>> thin = generate(few_a, Thinned(chain, every=10), ["aaa"], steps=5, seed=0)
    >>> thin.trace.tolist() == generate(few_a, chain, ["aaa"], steps=50, seed=0).trace[9::10].tolist()
    True
    """

    sampler: Sampler[S]
    every: int

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, every=whole("every", self.every, 1, unit="step"))

    @property
    def guarantee(self) -> Guarantee:
        """What the sampler within promises: thinning changes nothing."""
        return self.sampler.guarantee

    def step(self, objective: Objective, state: S, rng: Rng, temperature: float | Tensor = 1.0) -> tuple[S, Info]:
        """`every` steps at one temperature."""
        first = rng.moment * self.every
        total = None if rng.total is None else rng.total * self.every
        state, told = self.sampler.step(objective, state, rng.at(first, total=total), temperature)
        for ahead in range(1, self.every):
            state, info = self.sampler.step(objective, state, rng.at(first + ahead, total=total), temperature)
            newer = info.accepted | ~told.accepted
            told = Info(
                told.accepted | info.accepted,
                torch.where(newer, info.kind, told.kind),
                torch.where(newer, info.log_ratio, told.log_ratio),
                info.recorded,
            )
        return state, told
