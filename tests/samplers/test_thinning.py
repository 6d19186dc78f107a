"""Thinned chains: the same chain, looked at less often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from torch import Tensor

from samplers import Gibbs, MetropolisHastings, ParallelTempering, SimulatedAnnealing, systematic_scan
from samplers.composites.thinning import Thinned
from tests.reference import Floats
from tests.samplers.laws import Case
from tests.samplers.test_invariance import MIXTURE, MODEL, OBJECTIVE, start
from tests.samplers.toys import TOYS
from textsearch import generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import constant, geometric


@dataclass(frozen=True, eq=False)
class BestOfSeveral:
    """The broken twin: of the steps in between, the best is kept."""

    sampler: Sampler[ChainState]
    every: int
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.sampler.kinds

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return self.sampler.init(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        first, info = self.sampler.step(objective, state, rng.at(rng.step * self.every), temperature)
        best = first
        for ahead in range(1, self.every):
            at = rng.at(rng.step * self.every + ahead)
            first, info = self.sampler.step(objective, first, at, temperature)
            best = best.where(first.evaluation.energy < best.evaluation.energy, first)
        return best, info


TOY = TOYS["mixture"]
HONEST = MetropolisHastings(TOY.proposal)


def power(times: int) -> Floats:
    """(S, S) of several steps of Metropolis-Hastings."""
    return np.asarray(np.linalg.matrix_power(TOY.chain.matrix, times), dtype=np.float64)


CASE = Case(
    TOY,
    Thinned(HONEST, 3),
    lambda: power(3),
    {"the best of the steps is kept": BestOfSeveral(HONEST, 3)},
    steps=2,
)
VARIANTS: dict[str, Case] = {"every step": Case(TOY, Thinned(HONEST, 1), lambda: power(1))}


def test_it_is_the_chain_itself_at_every_third_step() -> None:
    texts = start().rows(range(24))
    sampler = MetropolisHastings(MIXTURE)
    rng, state, thin = Rng.start(3, 24), sampler.init(OBJECTIVE, texts), sampler.init(OBJECTIVE, texts)
    for step in range(3):
        infos = []
        for ahead in range(3):
            state, info = sampler.step(OBJECTIVE, state, rng.at(3 * step + ahead), 1.3)
            infos.append(info)
        thin, told = Thinned(sampler, 3).step(OBJECTIVE, thin, rng.at(step), 1.3)
        assert thin.batch.token_lists() == state.batch.token_lists()
        assert thin.evaluation.energy.tolist() == state.evaluation.energy.tolist()
        for row in range(24):
            taken = [info for info in infos if info.accepted[row]]
            last = taken[-1] if taken else infos[-1]
            assert bool(told.accepted[row]) == bool(taken)
            assert told.kind[row] == last.kind[row]
            assert told.log_ratio[row] == last.log_ratio[row]


def test_a_scan_within_goes_on() -> None:
    """Were each step's number handed on as it is, only one site would ever be visited between two looks."""
    sampler = Gibbs(MODEL, 2, scan=systematic_scan)
    batch = MODEL.vocabulary.encode(["abcab"] * 8)
    seen = generate(OBJECTIVE, sampler, batch, steps=20, seed=1)
    thin = generate(OBJECTIVE, Thinned(sampler, 5), batch, steps=4, seed=1)
    assert thin.trace.tolist() == seen.trace[4::5].tolist()
    assert thin.texts == seen.texts


def test_the_temperature_stays_within_a_step() -> None:
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return geometric(3.0, 0.5, 4)(step)

    annealed = SimulatedAnnealing(Thinned(MetropolisHastings(MIXTURE), 4), schedule)
    generate(OBJECTIVE, annealed, ["abc"], steps=3, seed=0)
    assert asked == [0, 1, 2]


def test_what_the_sampler_records_is_recorded() -> None:
    ladder = Thinned(ParallelTempering(MetropolisHastings(MIXTURE), (1.0, 2.0)), 2)
    result = generate(OBJECTIVE, ladder, ["abc"], steps=4, seed=0, chains=3)
    assert result.recorded["rung energies"].shape == (4, 3, 2)
    assert result.recorded["rung energies"][-1, :, 0].tolist() == result.energies.tolist()


def test_it_promises_what_the_sampler_does_and_names_value_and_remedy() -> None:
    assert Thinned(HONEST, 2).guarantee is Guarantee.EXACT
    assert Thinned(SimulatedAnnealing(HONEST, constant(1.0)), 2).guarantee is Guarantee.BIASED
    with pytest.raises(ValueError, match="every=0 must be at least 1 step"):
        Thinned(HONEST, 0)
