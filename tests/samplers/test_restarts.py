"""Restarts: rounds begin where they should, anew, and with numbers of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from samplers import MetropolisHastings, ParallelTempering, SimulatedAnnealing
from samplers.composites.restarts import Restarts, RestartState, RestartsWhenStuck, from_best, from_start
from samplers.proposals import Replace
from tests.samplers.laws import Case
from tests.samplers.test_invariance import MIXTURE, OBJECTIVE, STEPS, run, start
from tests.samplers.toys import TOYS
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.schedule import geometric
from textsearch.testing import TableMaskedLM, letters

TOY = TOYS["insert and delete"]
HONEST = MetropolisHastings(TOY.proposal)
# chains that begin on the target begin on it again; those that begin again from the best do not
CASE = Case(
    TOY,
    Restarts(HONEST, every=2, restart=from_start),
    lambda: TOY.chain.matrix,
    {"from the best": Restarts(HONEST, every=2, restart=from_best)},
    Guarantee.BIASED,
)
STUCK = Case(
    TOY,
    RestartsWhenStuck(HONEST, patience=5),
    lambda: TOY.chain.matrix,
    {"no patience": RestartsWhenStuck(HONEST, patience=1)},
    Guarantee.BIASED,
)


@dataclass(frozen=True, eq=False)
class Count:
    """A sampler that adds a letter at each step, and says at which step of its own and of which numbers."""

    vocabulary: Vocabulary
    heard: list[tuple[int, float, list[str]]]
    kinds: tuple[str, ...] = ("count",)
    guarantee: Guarantee = Guarantee.EXACT

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        self.heard.append((rng.step, float(rng.uniform(0)[0]), state.batch.texts()))
        batch = self.vocabulary.encode([text + "a" for text in state.batch.texts()])
        nothing = torch.zeros(len(batch))
        return ChainState(batch, evaluate(objective, batch)), Info(nothing.bool(), nothing.long(), nothing.double())


# the third letter is the best
VALLEY = FunctionObjective(lambda texts: [abs(len(text) - 3.0) for text in texts], name="valley")


def heard_of(
    wrap: Callable[[Count], Restarts | RestartsWhenStuck], starts: list[str], steps: int
) -> list[tuple[int, float, list[str]]]:
    sampler = Count(letters("a"), [])
    wrapped, rng = wrap(sampler), Rng.start(0, len(starts))
    state = wrapped.init(VALLEY, sampler.vocabulary.encode(starts))
    for step in range(steps):
        state, _ = wrapped.step(VALLEY, state, rng.at(step))
    return sampler.heard


def test_each_round_begins_from_the_start_or_from_the_best() -> None:
    again = heard_of(lambda each: Restarts(each, 5, from_start), ["", "aa"], 11)
    assert [step for step, _, _ in again] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]
    assert [texts for step, _, texts in again if step == 0] == [["", "aa"]] * 3
    best = heard_of(lambda each: Restarts(each, 5), ["", "aa"], 11)
    assert [texts for step, _, texts in best if step == 0] == [["", "aa"], ["aaa", "aaa"], ["aaa", "aaa"]]
    assert best[-2][2] == ["aaaaaaa", "aaaaaaa"]


@dataclass(frozen=True)
class SameNumbers:
    """The broken twin: all rounds draw the same numbers."""

    sampler: Any
    every: int
    restart: Any = from_start

    def init(self, objective: Objective, batch: Batch) -> RestartState:
        return RestartState.begin(self.sampler.init(objective, batch))

    def step(
        self, objective: Objective, state: RestartState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[RestartState, Info]:
        step = rng.step % self.every
        if step == 0:
            state = state.again(torch.ones_like(state.stale, dtype=torch.bool), self.restart)
        chain, info = self.sampler.step(objective, state.chain, rng.at(step), temperature)
        return state.after(chain), info


def distinct_rounds(wrap: Any) -> int:
    """How many of 4 rounds from the same start went another way than the others."""
    sampler = wrap(MetropolisHastings(MIXTURE), 3, from_start)
    state, rng, ways = sampler.init(OBJECTIVE, start().rows(range(8))), Rng.start(0, 8), []
    for step in range(12):
        state, _ = sampler.step(OBJECTIVE, state, rng.at(step))
        if step % 3 == 2:
            ways.append(str(state.batch.token_lists()))
    return len(set(ways))


def test_rounds_draw_numbers_of_their_own() -> None:
    assert distinct_rounds(Restarts) == 4
    assert distinct_rounds(SameNumbers) == 1
    numbers = [number for _, number, _ in heard_of(lambda each: Restarts(each, 3), ["a"], 12)]
    assert len(set(numbers)) == 12


def test_a_schedule_within_begins_anew() -> None:
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return geometric(3.0, 0.1, 3)(step)

    generate(OBJECTIVE, Restarts(SimulatedAnnealing(MetropolisHastings(MIXTURE), schedule), 3), ["a"], steps=7, seed=0)
    assert asked == [0, 1, 2, 0, 1, 2, 0]


def test_each_chain_that_is_stuck_begins_again_by_itself() -> None:
    """From "" the third step is the best and the two after it are stale; "aaa" is stale from the first step on."""
    heard = heard_of(lambda each: RestartsWhenStuck(each, 2, from_start), ["", "aaa"], 8)
    first = [texts[0] for _, _, texts in heard]
    second = [texts[1] for _, _, texts in heard]
    assert first == ["", "a", "aa", "aaa", "aaaa", "", "a", "aa"]
    assert second == ["aaa", "aaaa"] * 4
    assert [step for step, _, _ in heard] == list(range(8))


def test_a_chain_that_begins_again_has_time_to_come_down() -> None:
    """What counts is the best since then: against the best of all, the round would end before it got anywhere."""
    heard = heard_of(lambda each: RestartsWhenStuck(each, 1, from_start), [""], 9)
    assert [texts[0] for _, _, texts in heard] == ["", "a", "aa", "aaa", "", "a", "aa", "aaa", ""]


def test_best_texts_keep_their_frozen_tokens_and_energies() -> None:
    sampler = Restarts(SimulatedAnnealing(MetropolisHastings(MIXTURE), geometric(3.0, 0.2, 4)), 4)
    state, rng = sampler.init(OBJECTIVE, start()), Rng.start(1, 64)
    lowest = state.evaluation.energy
    for step in range(10):
        state, _ = sampler.step(OBJECTIVE, state, rng.at(step))
        lowest = torch.minimum(lowest, state.evaluation.energy)
        assert state.evaluation.energy.tolist() == evaluate(OBJECTIVE, state.batch).energy.tolist()
        assert state.best.evaluation.energy.tolist() == lowest.tolist()
    assert state.best.evaluation.energy.tolist() == evaluate(OBJECTIVE, state.best.batch).energy.tolist()
    frozen = (~start().editable & start().present).sum(1)
    assert (~state.best.batch.editable & state.best.batch.present).sum(1).tolist() == frozen.tolist()


def test_a_round_is_the_sampler_s_own_run() -> None:
    """Round 1 from the start is a run of the sampler under the numbers of that round."""
    chain = MetropolisHastings(MIXTURE)
    sampler, rng = Restarts(chain, STEPS, from_start), Rng.start(8, 8)
    state = sampler.init(OBJECTIVE, start().rows(range(8)))
    for step in range(2 * STEPS):
        state, _ = sampler.step(OBJECTIVE, state, rng.at(step), 1.3)
    assert state.batch.token_lists() == run(chain, start().rows(range(8)), rng.fold(1)).tokens


def test_restarts_find_what_one_long_run_does_not() -> None:
    """A well that a cooled chain seldom falls into: cooling again and again finds it more often than cooling once."""
    chain = MetropolisHastings(Replace(TableMaskedLM.random(letters("ab"), seed=0, scale=0.2), max_length=4))
    wells = FunctionObjective(lambda texts: [{"aa": 1.0, "bb": 0.0}.get(text, 9.0) for text in texts], name="wells")
    once = SimulatedAnnealing(chain, geometric(9.0, 0.1, 10))
    found = [
        generate(wells, sampler, ["aa"], steps=40, seed=0, chains=60).best_energies.mean()
        for sampler in (once, Restarts(once, 10))
    ]
    assert found[1] < found[0] - 0.2


def test_constructors_name_value_and_remedy() -> None:
    with pytest.raises(ValueError, match="every=0 must be at least 1 step"):
        Restarts(HONEST, 0)
    with pytest.raises(ValueError, match="patience=0 must be at least 1 step"):
        RestartsWhenStuck(HONEST, 0)
    tempered: Any = ParallelTempering(HONEST, (1.0, 2.0))
    for sampler in (Restarts(tempered, 2), RestartsWhenStuck(tempered, 2)):
        with pytest.raises(TypeError, match="state of ParallelTempering is a LadderState"):
            sampler.init(TOY.objective, TOY.batch([0]))
    assert Restarts(HONEST, 2).guarantee is RestartsWhenStuck(HONEST, 2).guarantee is Guarantee.BIASED
