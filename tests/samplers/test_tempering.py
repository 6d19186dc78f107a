"""Parallel tempering: rungs that start on their targets stay there, independent, and lead over barriers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from samplers import MetropolisHastings, SimulatedAnnealing
from samplers.composites.tempering import (
    LadderState,
    ParallelTempering,
    exchanges,
    log_partition,
    round_trips,
    swap_rates,
)
from samplers.proposals import Replace
from tests.reference import Floats, metropolis_hastings, target_law
from tests.samplers.laws import FEW, Case, p_value
from tests.samplers.test_invariance import MIXTURE, OBJECTIVE, STEPS, start
from tests.samplers.toys import TOYS, Toy, span_toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Evaluation, Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.schedule import constant
from textsearch.testing import TableMaskedLM, letters
from textsearch.tree import concatenate

Numbers = NDArray[np.int64]
Ratio = Callable[[Tensor, Tensor], Tensor]

EDIT, MIXED = TOYS["insert and delete"], TOYS["mixture"]
LADDER = (1.0, 1.8, 4.0)
CHAINS = 20_000


def honest_ratio(inverse_gap: Tensor, energy_gap: Tensor) -> Tensor:
    return inverse_gap * energy_gap


def inverted_ratio(inverse_gap: Tensor, energy_gap: Tensor) -> Tensor:
    return -inverse_gap * energy_gap


def always(inverse_gap: Tensor, energy_gap: Tensor) -> Tensor:
    return torch.zeros_like(energy_gap)


@dataclass(frozen=True, eq=False)
class PlainLadder:
    """Parallel tempering, one pair of rungs after another, whose parts can be broken."""

    sampler: Sampler[ChainState]
    temperatures: tuple[float, ...]
    ratio: Ratio = honest_ratio
    energies_go_along: bool = True
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.sampler.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.sampler.kinds

    def init(self, objective: Objective, batch: Batch) -> LadderState:
        return ParallelTempering(self.sampler, self.temperatures).init(objective, batch)

    def step(
        self, objective: Objective, state: LadderState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[LadderState, Info]:
        width, rungs = state.walkers.shape
        each = rng.fold(0).split(rungs).rows(torch.cat([torch.arange(width) * rungs + rung for rung in range(rungs)]))
        ladder = torch.tensor(self.temperatures, dtype=torch.float64).repeat_interleave(width) * temperature
        after, info = self.sampler.step(objective, concatenate(state.rungs), each, ladder)
        uniform = rng.fold(1).uniform(0, rungs - 1)
        tokens, lengths, editable = (x.clone() for x in (after.batch.tokens, after.batch.lengths, after.batch.editable))
        energy, terms = after.evaluation.energy.clone(), after.evaluation.terms.clone()
        for low in range(rng.step % 2, rungs - 1, 2):
            one, other = (torch.arange(width) + rung * width for rung in (low, low + 1))
            gap = self.ratio(1 / ladder[one] - 1 / ladder[other], energy[one] - energy[other])
            swap = uniform[:, low].log() < gap
            here, there = torch.cat([one[swap], other[swap]]), torch.cat([other[swap], one[swap]])
            for part in (tokens, lengths, editable, *([energy, terms] if self.energies_go_along else [])):
                part[here] = part[there]
        batch = replace(after.batch, tokens=tokens, lengths=lengths, editable=editable)
        return rungs_of(ChainState(batch, Evaluation(energy, terms)), rungs), info


def rungs_of(chains: ChainState, rungs: int) -> LadderState:
    """Rung after rung, (R * B) rows, as a ladder whose walkers are where they began."""
    parts = torch.arange(len(chains.batch)).chunk(rungs)
    return LadderState(tuple(chains.rows(part) for part in parts), torch.arange(rungs).repeat(len(parts[0]), 1))


def rung_laws(toy: Toy, ladder: tuple[float, ...]) -> list[Floats]:
    """The target of each rung."""
    return [target_law(toy.energies, toy.temperature * rung) for rung in ladder]


def on_target(toy: Toy, ladder: tuple[float, ...], chains: int = CHAINS, seed: int = 0) -> LadderState:
    """Ladders drawn exactly: each rung on its own target, independent of the others."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([rng.choice(len(toy.states), size=chains, p=law) for law in rung_laws(toy, ladder)])
    batch = toy.batch(starts)
    return rungs_of(ChainState(batch, evaluate(toy.objective, batch)), len(ladder))


def product(parts: Sequence[Floats]) -> Floats:
    """The law, or the transition matrix, of independent parts together."""
    whole: Floats = np.ones(1)
    for part in parts:
        whole = np.asarray(np.kron(whole, part), dtype=np.float64)
    return whole


@dataclass(frozen=True, eq=False)
class Ladders:
    """All states of a ladder on a toy: one text for each rung, numbered with the coldest rung as the first digit.

    Attributes:
        toy: the texts and energies of each rung.
        temperatures: the ladder.
    """

    toy: Toy
    temperatures: tuple[float, ...]

    @property
    def objective(self) -> Objective:
        return self.toy.objective

    @property
    def temperature(self) -> float:
        return self.toy.temperature

    @cached_property
    def target(self) -> Floats:
        """The rungs are independent, each on its own target."""
        return product(rung_laws(self.toy, self.temperatures))

    def digits(self, numbers: Numbers) -> Numbers:
        """(R, B) state numbers of the rungs."""
        return np.stack(np.unravel_index(numbers, (len(self.toy.states),) * len(self.temperatures)))

    def begin(self, sampler: Sampler[Any], numbers: Numbers, width: int = 0) -> LadderState:
        batch = self.toy.batch(self.digits(numbers).flatten()).widen(width)
        return rungs_of(ChainState(batch, evaluate(self.objective, batch)), len(self.temperatures))

    def find(self, state: Any) -> Numbers:
        rungs = self.toy.number(concatenate(state.rungs).batch).reshape(len(self.temperatures), -1)
        assert rungs.min() >= 0
        # plain truth values: pytest would write out in full where long lists differ, which takes hours
        assert np.array_equal(rungs[0], self.toy.number(state.batch))
        # energies and texts go together at every rung
        assert np.array_equal(state.energies.T.flatten().numpy(), self.toy.energies[rungs.flatten()])
        return np.asarray(np.ravel_multi_index(tuple(rungs), (len(self.toy.states),) * len(rungs)), dtype=np.int64)


def tempering_matrix(space: Ladders, step: int) -> Floats:
    """(S, S) every rung by itself, then the exchanges of neighbours, from the lowest pair whose turn it is."""
    toy = space.toy
    heats = [toy.temperature * rung for rung in space.temperatures]
    each = [metropolis_hastings(toy.law, toy.states, toy.energies, heat).matrix for heat in heats]
    matrix = product(each)
    size = len(toy.states)
    for low in range(step % 2, len(heats) - 1, 2):
        exchange = np.zeros_like(matrix)
        for state in itertools.product(range(size), repeat=len(heats)):
            here, there = toy.energies[state[low]], toy.energies[state[low + 1]]
            gap = 0.0 if here == there else (1 / heats[low] - 1 / heats[low + 1]) * (here - there)
            chance = math.exp(min(0.0, gap))
            turned = (*state[:low], state[low + 1], state[low], *state[low + 2 :])
            source, goal = (sum(d * size**k for k, d in enumerate(reversed(text))) for text in (state, turned))
            exchange[source, goal] += chance
            exchange[source, source] += 1 - chance
        matrix = matrix @ exchange
    return matrix


def case(toy: Toy, ladder: tuple[float, ...], step: int = 2) -> Case:
    space = Ladders(toy, ladder)
    sampler = ParallelTempering(MetropolisHastings(toy.proposal), ladder)
    return Case(space, sampler, lambda: tempering_matrix(space, step), reversible=False, step=step)


SMALL = span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=2)
TWO = (1.0, 3.0)
TWINS: dict[str, Sampler[Any]] = {
    "ratio inverted": PlainLadder(MetropolisHastings(SMALL.proposal), TWO, inverted_ratio),
    "always exchanged": PlainLadder(MetropolisHastings(SMALL.proposal), TWO, always),
}

CASE = replace(case(SMALL, TWO), twins=TWINS)
TINY = span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=1)
BARRED = span_toy("ab", "ab", {(1, 1): 1.0}, forbidden=0.3)
VARIANTS: dict[str, Case] = {
    "three rungs, even pairs": case(TINY, LADDER, 2),
    "three rungs, odd pairs": case(TINY, LADDER, 3),
    "forbidden texts": case(BARRED, LADDER, 3),
}


def test_energies_that_stay_behind_are_caught() -> None:
    broken = PlainLadder(MetropolisHastings(SMALL.proposal), TWO, energies_go_along=False)
    with pytest.raises(AssertionError):
        p_value(CASE.space, broken, steps=3, chains=FEW)


def test_plain_ladder_is_the_engine_s_ladder() -> None:
    """Bit for bit, so that a twin differs from the engine by its one fault."""
    chain = MetropolisHastings(MIXED.proposal)
    engine = plain = on_target(MIXED, (*LADDER, 9.0), chains=300)
    honest, twin = ParallelTempering(chain, (*LADDER, 9.0)), PlainLadder(chain, (*LADDER, 9.0))
    rng = Rng.start(3, 300)
    for step in range(10):
        engine, _ = honest.step(MIXED.objective, engine, rng.at(step), 0.8)
        plain, _ = twin.step(MIXED.objective, plain, rng.at(step), 0.8)
    for one, other in zip(engine.rungs, plain.rungs, strict=True):
        assert one.batch.token_lists() == other.batch.token_lists()
    assert engine.energies.tolist() == plain.energies.tolist()
    assert engine.evaluation.energy.tolist() == engine.energies[:, 0].tolist()
    assert (engine.walkers != torch.arange(4)).any(0).all()


def test_rungs_draw_numbers_of_their_own() -> None:
    """At one temperature all rungs would walk alike if they shared their random numbers."""
    nearly_one = (1.0, 1.0 + 1e-12, 1.0 + 2e-12)
    sampler = ParallelTempering(MetropolisHastings(MIXTURE), nearly_one)
    state = sampler.init(OBJECTIVE, start())
    rng = Rng.start(5, 64)
    for step in range(STEPS):
        state, _ = sampler.step(OBJECTIVE, state, rng.at(step))
    energies = state.energies.T
    for low, high in ((0, 1), (1, 2), (0, 2)):
        assert (energies[low] != energies[high]).double().mean() > 0.5


def test_generate_gives_the_same_chains_however_they_are_split() -> None:
    sampler = ParallelTempering(MetropolisHastings(MIXTURE), LADDER)
    together = generate(OBJECTIVE, sampler, ["abc", "aDb"], steps=STEPS, seed=3, chains=4)
    first = generate(OBJECTIVE, sampler, ["abc"], steps=STEPS, seed=3, chains=4)
    assert together.texts[:4] == first.texts
    assert together.trace[:, :4].tolist() == first.trace.tolist()
    assert len(together) == 8
    assert sum(count.proposed for count in together.acceptance.values()) == 8 * STEPS
    assert together.guarantee is Guarantee.EXACT


@dataclass(frozen=True)
class Still:
    """A sampler that stays where it is."""

    vocabulary: Vocabulary
    kinds: tuple[str, ...] = ("stay",)
    guarantee: Guarantee = Guarantee.EXACT

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        nothing = torch.zeros(len(state.batch))
        return state, Info(nothing.bool(), nothing.long(), nothing.double())


def test_exchanges_carry_texts_energies_and_walkers_together() -> None:
    """With nothing else going on, a walker keeps the text that it began with, and its terms."""
    sampler = ParallelTempering(Still(EDIT.vocabulary), (1.0, 1.8, 4.0, 9.0, 20.0))
    first = state = on_target(EDIT, sampler.temperatures, chains=50)
    rng = Rng.start(0, 50)
    visited = torch.zeros(5, 5, dtype=torch.bool)
    for step in range(30):
        state, _ = sampler.step(EDIT.objective, state, rng.at(step))
        assert state.walkers.sort(1).values.tolist() == torch.arange(5).repeat(50, 1).tolist()
        rows = (state.walkers.T * 50 + torch.arange(50)).flatten()
        every, began = concatenate(state.rungs), concatenate(first.rungs)
        assert every.batch.token_lists() == began.batch.rows(rows).token_lists()
        assert every.evaluation.energy.tolist() == began.evaluation.energy[rows].tolist()
        assert every.evaluation.terms.tolist() == began.evaluation.terms[rows].tolist()
        visited |= (state.walkers[:, :, None] == torch.arange(5)).any(0)
    assert visited.all()


def test_even_and_odd_pairs_take_turns() -> None:
    # the colder, the worse: every exchange that is offered happens
    falling = torch.arange(5.0, 0.0, -1.0, dtype=torch.float64)[None]
    ladder = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])
    rng = Rng.start(0, 1)
    assert exchanges(falling, ladder, rng.at(6)).flatten().tolist() == [1, 0, 3, 2, 4]
    assert exchanges(falling, ladder, rng.at(7)).flatten().tolist() == [0, 2, 1, 4, 3]
    assert exchanges(falling[:, :2], ladder[:, :2], rng.at(7)).flatten().tolist() == [0, 1]


def test_forbidden_texts_go_up_and_never_down() -> None:
    energies = torch.tensor([[math.inf, 1.0, math.inf], [1.0, math.inf, math.inf]], dtype=torch.float64)
    ladder = torch.tensor([1.0, 2.0]).expand(3, 2)
    for step in range(0, 20, 2):
        source = exchanges(energies.T, ladder, Rng.start(0, 3).at(step)).T
        assert source[:, :2].tolist() == [[1, 0], [0, 1]]
        # of two forbidden ones it does not matter which is where
        assert source[:, 2].tolist() == [1, 0]
    assert not swap_rates(energies.T[None], ladder[0]).isnan().any()


def barrier(texts: list[str]) -> list[float]:
    """Two wells, "aaaa" and, half a nat above, "bbbb", with 16 nats between them."""
    return [8.0 * min(text.count("a"), text.count("b")) + 0.5 * (text.count("b") > 2) for text in texts]


def test_the_ladder_leads_over_a_barrier_that_stops_a_single_chain() -> None:
    chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0, scale=0.2)))
    wells, chains = FunctionObjective(barrier, name="wells"), 100
    single = generate(wells, chain, ["aaaa"], steps=60, seed=0, chains=chains)
    assert not any(text.count("b") > 2 for text in single.texts + single.best_texts)
    ladder = ParallelTempering(chain, (1.0, 4.0, 12.0))
    result = generate(wells, ladder, ["aaaa"], steps=160, seed=0, chains=chains)
    share = sum(text.count("b") > 2 for text in result.texts) / chains
    weights = [math.exp(-energy) for energy in barrier(["aaaa", "aaab", "aabb", "abbb", "bbbb"])]
    a, b = weights[0] + 4 * weights[1], weights[4] + 4 * weights[3]
    expected = b / (a + b + 6 * weights[2])
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / chains)


def test_log_partition_and_swap_rates_are_those_of_the_enumerated_toy() -> None:
    ladder = (1.0, 1.8, 3.0)
    draws = on_target(EDIT, ladder).energies[:, None]  # every chain a draw
    temperatures = torch.tensor(ladder, dtype=torch.float64)
    exact = [float(np.log(np.exp(-EDIT.energies / rung).sum())) for rung in ladder]
    assert abs(float(log_partition(draws, temperatures)) - (exact[0] - exact[2])) < 0.03
    rates, laws = swap_rates(draws, temperatures), rung_laws(EDIT, ladder)
    for low in range(2):
        gap = (1 / ladder[low] - 1 / ladder[low + 1]) * (EDIT.energies[:, None] - EDIT.energies[None])
        expected = float((np.outer(laws[low], laws[low + 1]) * np.exp(np.minimum(gap, 0))).sum())
        # a mean of 20,000 numbers between 0 and 1
        assert abs(float(rates[low]) - expected) < 5 * 0.5 / math.sqrt(CHAINS)


def test_round_trips_are_counted() -> None:
    walkers = torch.stack([torch.rand(4, 3, generator=torch.Generator().manual_seed(i)).argsort(1) for i in range(60)])
    for chain in range(4):
        trips = 0
        for walker in range(3):
            at = [int((walkers[t, chain] == walker).nonzero()) for t in range(60)]
            ends = [rung for rung in at if rung != 1]
            turns = [rung for i, rung in enumerate(ends) if i == 0 or rung != ends[i - 1]]
            turns = turns[turns.index(0) :] if 0 in turns else []
            trips += sum(rung == 0 for rung in turns[1:])
        assert int(round_trips(walkers)[chain]) == trips > 0


@pytest.mark.parametrize(
    ("ladder", "complaint"),
    [
        ((1.0,), "at least 2 rungs"),
        ((), "at least 2 rungs"),
        ((2.0, 4.0), "must start at 1"),
        ((math.nan, 2.0), "must start at 1"),
        ((1.0, 3.0, 2.0), "must rise"),
        ((1.0, 1.0), "must rise"),
        ((1.0, math.nan, 3.0), "must rise"),
        ((1.0, math.inf), "be finite"),
    ],
)
def test_what_is_no_ladder(ladder: tuple[float, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"temperatures=.*{complaint}"):
        ParallelTempering(MetropolisHastings(EDIT.proposal), ladder)


def test_a_list_will_do_for_a_ladder() -> None:
    temperatures: Any = [1, 2]
    assert ParallelTempering(MetropolisHastings(EDIT.proposal), temperatures).temperatures == (1, 2)


def test_states_of_another_kind_are_refused() -> None:
    inner: Any = ParallelTempering(MetropolisHastings(EDIT.proposal), (1.0, 2.0))
    with pytest.raises(TypeError, match="state of ParallelTempering is a LadderState"):
        ParallelTempering(inner, (1.0, 2.0)).init(EDIT.objective, EDIT.batch([0, 1]))


def test_it_promises_what_the_sampler_does() -> None:
    exact = ParallelTempering(MetropolisHastings(EDIT.proposal), (1.0, 2.0))
    assert (exact.guarantee, exact.kinds) == (Guarantee.EXACT, EDIT.proposal.kinds)
    search = ParallelTempering(SimulatedAnnealing(MetropolisHastings(EDIT.proposal), constant(1.0)), (1.0, 2.0))
    assert search.guarantee is Guarantee.BIASED
    assert search.vocabulary is EDIT.vocabulary
