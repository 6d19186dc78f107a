"""Cycles of samplers: they stay on the target, take their turns, and keep their counts apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from torch import Tensor

from samplers import IteratedResampling, MetropolisHastings, Rejection, SimulatedAnnealing
from samplers.composites.cycle import Cycle
from samplers.composites.tempering import ParallelTempering
from samplers.proposals import InsertDelete, Mixture, Replace, Swap, Uniform
from tests.reference import Floats, MixtureLaw, metropolis_hastings
from tests.samplers.laws import Case
from tests.samplers.test_invariance import EDIT, INFILL, OBJECTIVE, REPLACE, STEPS, VOCABULARY, run, start
from tests.samplers.toys import TOYS, Toy
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.schedule import constant
from textsearch.testing import TableMaskedLM, letters


def parts(toy: Toy) -> list[MetropolisHastings]:
    """A sampler for each proposal of the toy's mixture."""
    assert isinstance(toy.proposal, Mixture)
    return [MetropolisHastings(part) for part in toy.proposal.parts]


TOY = TOYS["mixture"]
TURNS = Cycle([MetropolisHastings(REPLACE), MetropolisHastings(EDIT), MetropolisHastings(INFILL)])
FLAT = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")


@dataclass(frozen=True)
class TurnsByLength:
    """The broken twin: the text says whose turn it is."""

    even: MetropolisHastings
    odd: MetropolisHastings
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.even.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.even.kinds

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return self.even.init(objective, batch)

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        one, info = self.even.step(objective, state, rng.fold(0), temperature)
        other, _ = self.odd.step(objective, state, rng.fold(1), temperature)
        odd = state.batch.lengths % 2 == 1
        return ChainState(one.batch.where(odd, other.batch), one.evaluation.where(odd, other.evaluation)), info


def turn_matrix(toy: Toy, number: int) -> Floats:
    """(S, S) of the sampler whose turn it is."""
    assert isinstance(toy.law, MixtureLaw)
    law, _ = toy.law.parts[number]
    return metropolis_hastings(law, toy.states, toy.energies, toy.temperature).matrix


def case(toy: Toy, sampler: Cycle, number: int) -> Case:
    """A cycle of the parts of a mixture, of which part `number` has the turn at step 2."""
    return Case(toy, sampler, lambda: turn_matrix(toy, number), step=2, steps=5)


FIRST, SECOND, *OTHERS = parts(TOY)
CASE = replace(case(TOY, Cycle(parts(TOY)), 2), twins={"the text says whose turn it is": TurnsByLength(FIRST, SECOND)})
VARIANTS: dict[str, Case] = {
    "frozen": case(TOYS["mixture, frozen"], Cycle(parts(TOYS["mixture, frozen"])), 2),
    "within a cycle": case(TOY, Cycle([Cycle([FIRST, *OTHERS]), SECOND]), 2),
}


def test_samplers_take_turns_and_are_counted_apart() -> None:
    model = TableMaskedLM.random(letters("abc"), seed=0)
    replaces, edits = MetropolisHastings(Replace(model)), MetropolisHastings(InsertDelete(model))
    turns = Cycle([replaces, edits, MetropolisHastings(Swap(model.vocabulary))])
    assert turns.kinds == (*replaces.kinds, *edits.kinds, "swap")
    result = generate(FLAT, turns, ["abcab"], steps=30, seed=0, chains=3)
    counts = {kind: count.proposed for kind, count in result.acceptance.items()}
    assert counts["replace"] == counts["swap"] == counts["insert"] + counts["delete"] == 30


def test_kinds_of_one_name_are_counted_together() -> None:
    model = TableMaskedLM.random(letters("abc"), seed=0)
    swaps, replaces = MetropolisHastings(Swap(model.vocabulary)), MetropolisHastings(Replace(model))
    turns = Cycle([replaces, swaps, MetropolisHastings(Replace(model, max_length=9))])
    assert turns.kinds == ("replace", "swap")
    result = generate(FLAT, turns, ["abcab"], steps=30, seed=0)
    assert (result.acceptance["replace"].proposed, result.acceptance["swap"].proposed) == (20, 10)


def test_every_sampler_of_a_cycle_within_has_its_turn() -> None:
    """Were the step handed on as it is, the inner cycle would only ever see odd ones."""
    model = TableMaskedLM.random(letters("abc"), seed=0)
    replaces, edits = MetropolisHastings(Replace(model)), MetropolisHastings(InsertDelete(model))
    turns = Cycle([replaces, Cycle([edits, MetropolisHastings(Swap(model.vocabulary))])])
    counts = {
        kind: count.proposed for kind, count in generate(FLAT, turns, ["abcab"], steps=40, seed=0).acceptance.items()
    }
    assert (counts["replace"], counts["swap"], counts["insert"] + counts["delete"]) == (20, 10, 10)


def test_samplers_draw_numbers_of_their_own() -> None:
    """The same sampler three times over would repeat itself if its turns shared their random numbers."""
    one = MetropolisHastings(REPLACE)
    turns, state, ratios = Cycle([one, one, one]), one.init(OBJECTIVE, start()), []
    rng = Rng.start(2, 64)
    for step in range(6):
        _, info = turns.step(OBJECTIVE, state, rng.at(step))
        ratios.append(tuple(info.log_ratio.tolist()))
    assert len(set(ratios)) == 6


def test_a_run_can_be_cut_in_two() -> None:
    rng = Rng.start(26, 64)
    state = TURNS.init(OBJECTIVE, start())
    for step in range(STEPS):
        state = TURNS.init(OBJECTIVE, state.batch)
        state, _ = TURNS.step(OBJECTIVE, state, rng.at(step), 1.3)
    assert state.batch.token_lists() == run(TURNS, start(), rng).tokens


def test_a_cycle_can_be_tempered() -> None:
    ladder = ParallelTempering(TURNS, (1.0, 2.0))
    result = generate(OBJECTIVE, ladder, ["abc"], steps=6, seed=0, chains=3)
    assert tuple(result.acceptance) == TURNS.kinds
    assert result.energies.tolist() == evaluate(OBJECTIVE, result.batch).energy.tolist()


def test_it_promises_the_least_of_what_the_samplers_do() -> None:
    exact = MetropolisHastings(REPLACE)
    assert Cycle([exact, exact]).guarantee is Guarantee.EXACT
    assert Cycle([exact, SimulatedAnnealing(exact, constant(1.0))]).guarantee is Guarantee.BIASED


def test_what_is_no_cycle() -> None:
    with pytest.raises(ValueError, match="samplers is empty"):
        Cycle([])
    other = MetropolisHastings(Swap(letters("abcDE")))
    with pytest.raises(ValueError, match=r"samplers\[1\] has another vocabulary"):
        Cycle([MetropolisHastings(REPLACE), other])


def test_a_start_that_one_sampler_refuses_is_refused() -> None:
    short = MetropolisHastings(Replace(REPLACE.mlm, max_length=2))
    with pytest.raises(ValueError, match="max_length"):
        Cycle([MetropolisHastings(REPLACE), short]).init(OBJECTIVE, VOCABULARY.encode(["abc"]))


def test_states_of_another_kind_are_refused() -> None:
    tempered: Any = ParallelTempering(MetropolisHastings(REPLACE), (1.0, 2.0))
    with pytest.raises(TypeError, match="state of ParallelTempering is a LadderState"):
        Cycle([MetropolisHastings(REPLACE), tempered]).init(OBJECTIVE, start())


def test_turns_may_record_different_shapes_under_one_name() -> None:
    """Two kernels record log-weights of one draw and of several: a run keeps what is alike at every step."""
    vocabulary = letters("ab")
    few = FunctionObjective(lambda texts: [0.5 * text.count("a") for text in texts], name="few a")
    turns = Cycle([Rejection(Uniform(vocabulary), 3.0), IteratedResampling(Uniform(vocabulary), 4)])
    result = generate(few, turns, vocabulary.encode(["__"]), steps=4, seed=0, chains=3)
    assert set(result.recorded) == {"accepted"}
    assert result.trace.shape == (4, 3)
