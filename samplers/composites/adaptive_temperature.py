"""A temperature of its own for each chain, adapted to an acceptance rate and then frozen (Robbins and Monro, 1951).

During warm-up, with a_t 1 if step t was accepted and changed the text, and 0 if not,

    log T_(t+1) = log T_t + gain / (t + 1)^0.6 (target - a_t);

afterwards T stays. The gains add up to infinity and their squares do not, so T settles where the rate is the target
(Andrieu and Thoms, "A tutorial on adaptive MCMC", 2008). Were it to go on adapting, it would follow the text: the
temperature of a step would depend on where the chain stands, and no law exp(-E / T) would be left invariant.

Moves that leave the text as it is count as refused: a language model often proposes the word that is there, which is
accepted at any temperature and says nothing about it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar, final

import torch
from torch import Tensor

from samplers.composites.wrapped import Wrapper
from textsearch.batch import Batch
from textsearch.checks import keep, positive, real, whole
from textsearch.objective import Evaluation, Objective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee, Info, Sampler, State

S = TypeVar("S", bound=State)

_POWER = 0.6
"""Exponent of the gain, between 1/2 and 1; closer to 1/2 it forgets the start sooner."""


@final
@dataclass(frozen=True, eq=False)
class AdaptedState(Generic[S]):
    """The state of the sampler, and (B,) float64 temperatures in units of that of the run."""

    inner: S
    temperature: Tensor

    @property
    def batch(self) -> Batch:
        """The texts of the chains."""
        return self.inner.batch

    @property
    def evaluation(self) -> Evaluation:
        """Their energies."""
        return self.inner.evaluation


@final
@dataclass(frozen=True)
class AdaptiveTemperature(Wrapper[S, AdaptedState[S]]):
    """Run `sampler` at the temperature, one for each chain, at which it accepts a given share of its proposals.

    A search tool for energies whose scale is not known. Biased: after `warm_up` steps a chain is as exact as the
    sampler, but at the temperature that it settled on, which differs from chain to chain and from the temperature of
    the run. Each step records its temperatures as "temperature" (B,). Give `generate` the same `warm_up`.

    Meant for samplers that change a text more often at a higher temperature. Where no temperature reaches the target,
    it ends near `coldest` or `hottest`. Costs nothing beyond the sampler's steps.

    Attributes:
        sampler: the kernel.
        target: share of the steps that should change the text.
        warm_up: steps during which the temperature moves.
        gain: change of log T at the first step for an acceptance rate that is off by 1.
        coldest: the least temperature, in units of that of the run, from which it starts.
        hottest: the greatest.

    >>> from samplers import MetropolisHastings
    >>> from samplers.proposals import Replace
    >>> from textsearch import FunctionObjective, generate
    >>> from textsearch.testing import TableMaskedLM, letters
    >>> chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0), max_length=4))
    >>> steep = FunctionObjective(lambda texts: [50.0 * text.count("a") for text in texts], name="steep")
    >>> search = AdaptiveTemperature(chain, target=0.3, warm_up=80)
    >>> result = generate(steep, search, ["aaa"], steps=100, warm_up=80, seed=0)
    >>> temperature = result.recorded["temperature"][:, 0]
    >>> bool(temperature[0] == 1), bool(temperature[80] > 5), bool((temperature[80:] == temperature[80]).all())
    (True, True, True)
    """

    sampler: Sampler[S]
    target: float = 0.3
    warm_up: int = 200
    gain: float = 1.0
    coldest: float = 0.01
    hottest: float = 100.0

    guarantee: ClassVar = Guarantee.BIASED

    def __post_init__(self) -> None:
        super().__post_init__()
        must = "be above 0 and finite, {} 1, the temperature of the run"
        keep(
            self,
            target=real(
                "target", self.target, "be an acceptance rate between 0 and 1, such as 0.3", lambda x: 0 < x < 1
            ),
            warm_up=whole("warm_up", self.warm_up, 1, unit="step", remedy=", during which the temperature adapts"),
            gain=positive("gain", self.gain, "number, such as 1.0"),
            coldest=real("coldest", self.coldest, must.format("at most"), lambda x: 0 < x <= 1),
            hottest=real("hottest", self.hottest, must.format("at least"), lambda x: 1 <= x < math.inf),
        )

    def init(self, objective: Objective, batch: Batch) -> AdaptedState[S]:
        """The sampler's start, at the temperature of the run."""
        return AdaptedState(
            self.sampler.init(objective, batch), torch.ones(len(batch), dtype=torch.float64, device=batch.device)
        )

    def step(
        self, objective: Objective, state: AdaptedState[S], rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[AdaptedState[S], Info]:
        """One step at each chain's own temperature, in units of `temperature`."""
        heat = temperature * state.temperature
        inner, info = self.sampler.step(objective, state.inner, rng, heat)
        changed = info.accepted & ~inner.batch.same_text(state.batch)
        adapted = state.temperature
        if rng.step < self.warm_up:
            gain = self.gain / (rng.step + 1) ** _POWER
            moved = adapted.log() + gain * (self.target - changed.to(torch.float64))
            adapted = moved.exp().clamp(self.coldest, self.hottest)
        return AdaptedState(inner, adapted), replace(info, recorded={**info.recorded, "temperature": heat})
