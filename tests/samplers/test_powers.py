"""Tempering over powers of one term: every rung on its own law, exchanges by that term alone, at no cost."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives import Fluency
from samplers import MetropolisHastings, PowerTempering
from samplers.composites import powers, tempering
from samplers.composites.powers import PowerState
from tests.reference import Floats, metropolis_hastings, target_law
from tests.samplers.laws import Case, Numbers
from tests.samplers.test_tempering import TINY, product
from tests.samplers.toys import Toy, span_toy
from textsearch import FunctionObjective, generate
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Info
from textsearch.testing import TableCausalLM, letters
from textsearch.tree import concatenate

WEIGHT = 2.0
MODEL = TableCausalLM.random(letters("ab"), seed=4)
FLUENCY = Fluency(MODEL)


@dataclass(frozen=True, eq=False)
class Powers:
    """All states of a ladder on a toy: one text for each rung, numbered with the first rung as the first digit."""

    toy: Toy
    shares: tuple[float, ...]

    @property
    def temperature(self) -> float:
        return self.toy.temperature

    @cached_property
    def raised(self) -> Floats:
        """(S,) of each text, without its weight."""
        return np.asarray(FLUENCY.energy(self.toy.batch(range(len(self.toy.states)))).numpy(), dtype=np.float64)

    def energies(self, share: float) -> Floats:
        return np.asarray(self.toy.energies + WEIGHT * share * self.raised, dtype=np.float64)

    @cached_property
    def objective(self) -> Objective:
        return self.toy.objective + WEIGHT * FLUENCY

    @cached_property
    def target(self) -> Floats:
        return product([target_law(self.energies(share), self.temperature) for share in self.shares])

    def begin(self, sampler: Any, numbers: Numbers, width: int = 0) -> PowerState:
        digits = np.unravel_index(numbers, (len(self.toy.states),) * len(self.shares))
        each = [sampler.init(self.objective, self.toy.batch(digit).widen(width)) for digit in digits]
        rungs = tuple(state.rungs[rung] for rung, state in enumerate(each))
        values = torch.stack([state.values[:, rung] for rung, state in enumerate(each)], 1)
        return PowerState(rungs, each[0].walkers, values)

    def find(self, state: Any) -> Numbers:
        size = len(self.toy.states)
        rungs = self.toy.number(concatenate(state.rungs).batch).reshape(len(self.shares), -1)
        assert rungs.min() >= 0
        for share, rung, own in zip(self.shares, rungs, state.energies.T.numpy(), strict=True):
            np.testing.assert_allclose(own, self.energies(share)[rung], rtol=1e-13)
        assert np.array_equal(state.values.T.flatten().numpy(), self.raised[rungs.flatten()])
        return np.asarray(np.ravel_multi_index(tuple(rungs), (size,) * len(rungs)), dtype=np.int64)


def matrix(space: Powers, step: int) -> Floats:
    """(S, S) every rung by itself, then the exchanges of neighbours."""
    toy, heat, size = space.toy, space.temperature, len(space.toy.states)
    whole = product([metropolis_hastings(toy.law, toy.states, space.energies(s), heat).matrix for s in space.shares])
    for low in range(step % 2, len(space.shares) - 1, 2):
        exchange = np.zeros_like(whole)
        for state in itertools.product(range(size), repeat=len(space.shares)):
            gap = space.raised[state[low]] - space.raised[state[low + 1]]
            chance = math.exp(min(0.0, WEIGHT * (space.shares[low] - space.shares[low + 1]) * gap / heat))
            turned = (*state[:low], state[low + 1], state[low], *state[low + 2 :])
            source, goal = (sum(d * size**k for k, d in enumerate(reversed(text))) for text in (state, turned))
            exchange[source, goal] += chance
            exchange[source, source] += 1 - chance
        whole = whole @ exchange
    return whole


@dataclass(frozen=True, eq=False)
class Broken:
    """The sampler with another rule of exchanges."""

    honest: PowerTempering
    fault: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "honest"), name)

    def step(self, objective: Objective, state: Any, rng: Rng, temperature: Any = 1.0) -> tuple[Any, Info]:
        with patch.object(powers, "exchanges", self.fault):
            return self.honest.step(objective, state, rng, temperature)


def inverted(energies: Tensor, temperatures: Tensor, rng: Rng) -> Tensor:
    return tempering.exchanges(-energies, temperatures, rng)


def always(energies: Tensor, temperatures: Tensor, rng: Rng) -> Tensor:
    return tempering.exchanges(torch.zeros_like(energies), temperatures, rng)


def case(toy: Toy, shares: tuple[float, ...], step: int) -> Case:
    space = Powers(toy, shares)
    sampler = PowerTempering((MetropolisHastings(toy.proposal),), shares)
    return Case(space, sampler, lambda: matrix(space, step), reversible=False, step=step, steps=4)


SMALL = span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=2)
HONEST = case(SMALL, (1.0, 0.25), 2)
CASE = replace(
    HONEST,
    twins={"ratio inverted": Broken(HONEST.sampler, inverted), "always exchanged": Broken(HONEST.sampler, always)},  # type: ignore[arg-type]
)
VARIANTS = {
    "three rungs, odd pairs": case(TINY, (1.0, 0.6, 0.25), 3),
}


def test_exchanges_cost_nothing_and_every_rung_knows_its_energies() -> None:
    lm = TableCausalLM.random(letters("ab"), seed=4)
    asked: list[int] = []

    def counted(texts: list[str]) -> list[float]:
        asked.append(len(texts))
        return [0.3 * text.count("a") for text in texts]

    objective = FunctionObjective(counted, name="few a") + 4.0 * Fluency(lm)
    sampler = PowerTempering((MetropolisHastings(SMALL.proposal),), (1.0, 0.5, 0.25))
    state = sampler.init(objective, SMALL.vocabulary.encode(["a"] * 20))
    swaps = 0
    for step in range(20):
        asked.clear()
        after, _ = sampler.step(objective, state, Rng.start(3, 20).at(step))
        assert sum(asked) <= 60  # no more than a text for each rung
        swaps += int((after.walkers != state.walkers).sum())
        state = after
    assert swaps > 40
    for share, rung in zip(sampler.shares, state.rungs, strict=True):
        law = FunctionObjective(counted, name="few a") + (4.0 * share) * Fluency(lm)
        assert rung.evaluation.energy.equal(law.energy(rung.batch))


def test_a_run_gives_the_draws_of_the_whole_term() -> None:
    result = generate(
        WEIGHT * FLUENCY + SMALL.objective, CASE.sampler, ["a"], steps=3, seed=0, temperature=SMALL.temperature
    )
    assert result.recorded["rung energies"].shape == (3, 1, 2)
    assert result.trace[-1, 0] == result.recorded["rung energies"][-1, 0, 0]


def test_errors_name_value_and_remedy() -> None:
    chain = MetropolisHastings(SMALL.proposal)
    with pytest.raises(ValueError, match=r"shares=\(0.5, 1.0\) must begin with 1 and fall"):
        PowerTempering((chain,), (0.5, 1.0))
    with pytest.raises(ValueError, match=r"3 samplers for 2 shares: pass one for all, or one for each"):
        PowerTempering((chain, chain, chain), (1.0, 0.5))
    with pytest.raises(ValueError, match=r"term='fluency' is none of the objective's, 'table'"):
        PowerTempering((chain,), (1.0, 0.5)).init(SMALL.objective, SMALL.vocabulary.encode(["a"]))
