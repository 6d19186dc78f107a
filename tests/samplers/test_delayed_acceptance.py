"""Delayed acceptance: its transition matrix by enumeration, its broken twins, and what is its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers.delayed_acceptance import DelayedAcceptance
from samplers.metropolis_hastings import MetropolisHastings
from samplers.proposals import Replace
from tests.reference import Floats, orders
from tests.samplers.laws import Case, p_value
from tests.samplers.test_early_rejection import MOVES, OBJECTIVES, PSEUDO, WORDS, Hasty, Unlimited
from tests.samplers.toys import TOYS, Toy, mixture_toy, span_toy, swap_toy
from textsearch import Generations, generate, generate_each
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Limit, Objective, evaluate
from textsearch.proposal import Proposal
from textsearch.rng import Rng
from textsearch.run.until import Settled
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.testing import TableMaskedLM, letters


def rough_energies(toy: Toy) -> Floats:
    """(S,) a surrogate with faults of its own; it forbids about half of what the toy forbids, and nothing else."""
    rng = np.random.default_rng(8)
    energies = np.where(np.isinf(toy.energies), 0.0, toy.energies)
    by_text = {toy.text(state): (rng.normal(), rng.random()) for state in toy.states}
    noise, chance = np.array([by_text[toy.text(state)] for state in toy.states]).T
    rough = 0.6 * energies + 0.7 * noise
    return np.asarray(np.where(np.isinf(toy.energies) & (chance < 0.5), math.inf, rough), dtype=np.float64)


def surrogate_of(toy: Toy) -> Objective:
    return toy.table(rough_energies(toy), "rough")


def delayed_matrix(toy: Toy) -> Floats:
    """(S, S) by enumeration of orders and paths."""
    rough, number, every = rough_energies(toy), {state: i for i, state in enumerate(toy.states)}, orders(toy.law)
    matrix = np.zeros((len(toy.states), len(toy.states)))
    for order in every:
        going = [{path.key: path for path in toy.law.paths(state, order)} for state in toy.states]
        for i, paths in enumerate(going):
            for path in paths.values():
                j = number[path.target]
                back = None if path.back is None else going[j].get(path.back)
                if back is None or math.inf in (toy.energies[i], toy.energies[j], rough[j]):
                    continue
                first = math.exp((rough[i] - rough[j]) / toy.temperature) * back.probability / path.probability
                second = math.exp((toy.energies[i] - toy.energies[j] - rough[i] + rough[j]) / toy.temperature)
                matrix[i, j] += path.probability / len(every) * min(1, first) * min(1, second)
    matrix[np.diag_indices(len(toy.states))] += 1 - matrix.sum(1)
    return matrix


MATRIX_TOYS: dict[str, Toy] = {
    "replace": span_toy("abc", "ab", {(1, 1): 1.0}),
    "replace, forbidden texts": span_toy("abc", "ab", {(1, 1): 1.0}, forbidden=0.3, temperature=0.7),
    "insert and delete": span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=3),
    "insert and delete, frozen": TOYS["insert and delete, frozen"],
    "infill, many pieces": span_toy("aC", "aCa", {(2, 2): 0.7, (1, 1): 0.3}, (0.6, 0.4), 4),
    "swap, frozen": swap_toy("abC", "ab!aCa"),
    "mixture": mixture_toy("ab", "", temperature=0.8, forbidden=0.3),
}


def test_the_objective_itself_as_surrogate_gives_metropolis_hastings() -> None:
    """Stage 1 then decides as Metropolis-Hastings does, and stage 2 takes all."""
    toy = MATRIX_TOYS["mixture"]
    batch = toy.batch([0] * 200)
    delayed, plain = DelayedAcceptance(toy.proposal, toy.objective), MetropolisHastings(toy.proposal)
    one, other = delayed.init(toy.objective, batch), plain.init(toy.objective, batch)
    for step in range(10):
        one, _ = delayed.step(toy.objective, one, Rng.start(0, 200).at(step))
        other, _ = plain.step(toy.objective, other, Rng.start(0, 200).at(step))
    assert one.batch.token_lists() == other.batch.token_lists()


def test_only_survivors_are_asked_of_the_objective() -> None:
    toy = MATRIX_TOYS["replace"]
    asked: list[str] = []

    def listen(texts: list[str]) -> list[float]:
        asked.extend(texts)
        return [0.0] * len(texts)

    objective = FunctionObjective(listen)
    sampler = DelayedAcceptance(toy.proposal, surrogate_of(toy))
    state = sampler.init(objective, toy.batch(range(9)).repeat(50))
    rng = Rng.start(0, 450)
    move = toy.proposal.propose(state.batch, rng.fold(0))
    rough = rough_energies(toy)
    change = torch.from_numpy(rough[toy.number(state.batch)] - rough[toy.number(move.batch)])
    passed = rng.fold(1).uniform(0).log() < change + move.log_backward - move.log_forward
    asked.clear()
    sampler.step(objective, state, rng)
    assert asked == move.batch.rows(passed & ~move.batch.same_text(state.batch)).texts()
    assert 0 < len(asked) < 300


def test_errors_name_value_and_remedy() -> None:
    vocabulary = letters("ab")
    proposal = Replace(TableMaskedLM.random(vocabulary, seed=0))
    with pytest.raises(TypeError, match="surrogate=3 is a number, not an objective: take"):
        DelayedAcceptance(proposal, 3)  # type: ignore[arg-type]
    no_b = FunctionObjective(lambda texts: [math.inf if "b" in text else 0.0 for text in texts], name="no b")
    anything = FunctionObjective(lambda texts: [0.0] * len(texts), name="anything")
    sampler = DelayedAcceptance(proposal, no_b)
    with pytest.raises(ValueError, match="surrogate 'no b' forbids 1 of 2 starting texts, the first 'ab'"):
        sampler.init(anything, vocabulary.encode(["aa", "ab"]))
    assert sampler.guarantee == Guarantee.EXACT
    assert sampler.kinds == ("replace",)


Stages = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class PlainStages:
    """Two stages without shortcuts, whose ratios can be broken.

    Attributes:
        stages: (log p~(y) / p~(x), log p(y) / p(x), log q(x|y) / q(y|x)) -> log-ratios of the two stages.
    """

    proposal: Proposal
    surrogate: Objective
    stages: Stages
    guarantee: Guarantee = Guarantee.BIASED

    @property
    def vocabulary(self) -> Vocabulary:
        return self.proposal.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.proposal.kinds

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        move = self.proposal.propose(state.batch, rng.fold(0))
        proposed = evaluate(objective, move.batch)
        log_surrogate = self.surrogate.energy(state.batch) - self.surrogate.energy(move.batch)
        log_target = state.evaluation.energy - proposed.energy
        first, second = self.stages(
            log_surrogate / temperature, log_target / temperature, move.log_backward - move.log_forward
        )
        uniform = rng.fold(1)
        accepted = (uniform.uniform(0).log() < first) & (uniform.uniform(1).log() < second)
        after = ChainState(state.batch.where(accepted, move.batch), state.evaluation.where(accepted, proposed))
        return after, Info(accepted, move.kind, second)


EDIT = MATRIX_TOYS["insert and delete"]

STAGES: dict[str, Stages] = {
    "surrogate not taken out again": lambda rough, target, q: (rough + q, target),
    "surrogate put in twice": lambda rough, target, q: (rough + q, target + rough),
    "proposal put in twice": lambda rough, target, q: (rough + q, target - rough + q),
    "proposal in neither stage": lambda rough, target, q: (rough, target - rough),
    "stage 1 alone": lambda rough, target, q: (rough + q, torch.zeros_like(q)),
    "whole ratio again in stage 2": lambda rough, target, q: (rough + q, target + q),
}
TWINS: dict[str, Sampler[Any]] = {
    name: PlainStages(EDIT.proposal, surrogate_of(EDIT), stages) for name, stages in STAGES.items()
}


def case(toy: Toy) -> Case:
    return Case(toy, DelayedAcceptance(toy.proposal, surrogate_of(toy)), lambda: delayed_matrix(toy))


CASE = replace(case(EDIT), twins=TWINS)
VARIANTS: dict[str, Case] = {name: case(toy) for name, toy in MATRIX_TOYS.items() if toy is not EDIT}


@pytest.mark.parametrize("toy", MATRIX_TOYS.values(), ids=MATRIX_TOYS.keys())
def test_never_more_likely_to_move_than_the_undivided_test(toy: Toy) -> None:
    """The price of asking a surrogate first."""
    apart = ~np.eye(len(toy.states), dtype=bool)
    assert (delayed_matrix(toy) - toy.chain.matrix)[apart].max() < 1e-12


def test_the_surrogate_s_energies_are_those_of_the_texts() -> None:
    sampler = DelayedAcceptance(EDIT.proposal, surrogate_of(EDIT))
    state = sampler.init(EDIT.objective, EDIT.batch(np.arange(len(EDIT.states))).repeat(20))
    for step in range(3):
        state, _ = sampler.step(EDIT.objective, state, Rng.start(1, len(state.batch)).at(step))
    assert state.surrogate.energy.tolist() == rough_energies(EDIT)[EDIT.number(state.batch)].tolist()


def test_honest_twin_passes() -> None:
    honest = PlainStages(EDIT.proposal, surrogate_of(EDIT), lambda rough, target, q: (rough + q, target - rough))
    assert p_value(EDIT, honest, steps=3) > 1e-4


FEW_C = FunctionObjective(lambda texts: [0.3 * text.count("c") for text in texts], name="few c")
ROUGH = FEW_C + 0.8 * PSEUDO


def run(objective: Objective, surrogate: Objective, temperature: float = 1.0, steps: int = 15) -> Generations:
    sampler = DelayedAcceptance(MOVES, surrogate)
    return generate(objective, sampler, WORDS, seed=3, chains=4, temperature=temperature, steps=steps, thin=1)


@pytest.mark.parametrize(("name", "temperature"), [*((name, 0.5) for name in OBJECTIVES), ("with a bonus", 2.0)])
def test_the_chain_is_that_of_full_energies(name: str, temperature: float) -> None:
    """Either stage gives up what is too high already, and decides as it would have."""
    objective = OBJECTIVES[name]
    early = run(objective, ROUGH, temperature)
    full = run(Unlimited(objective), Unlimited(ROUGH), temperature)
    assert early.samples == full.samples
    assert early.trace.tolist() == full.trace.tolist()
    assert early.best_texts == full.best_texts


def test_giving_up_too_early_is_caught_in_both_stages() -> None:
    full = run(Unlimited(PSEUDO), Unlimited(ROUGH))
    assert run(Hasty(PSEUDO), ROUGH).samples != full.samples
    assert run(PSEUDO, FEW_C + 0.8 * Hasty(PSEUDO)).samples != full.samples


@dataclass(frozen=True, eq=False)
class Overheard(Objective):
    """Listens to the limits."""

    whole: Objective
    limits: list[Tensor]

    def energy(self, batch: Batch) -> Tensor:
        return self.whole.energy(batch)

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        self.limits.append(limit.energy)
        return self.whole.energy_within(batch, limit)


def test_survivors_come_with_the_highest_energy_that_would_be_taken() -> None:
    """By the two ratios of the paper, worked out in plain Python from the texts."""
    toy, rough = MATRIX_TOYS["replace"], rough_energies(MATRIX_TOYS["replace"])
    limits: list[Tensor] = []
    sampler = DelayedAcceptance(toy.proposal, surrogate_of(toy))
    state = sampler.init(toy.objective, toy.batch(range(9)).repeat(20))
    rng = Rng.start(0, 180)
    move = toy.proposal.propose(state.batch, rng.fold(0))
    sampler.step(Overheard(toy.objective, limits), state, rng, 0.7)
    old, new = toy.number(state.batch).tolist(), toy.number(move.batch).tolist()
    ratios = (move.log_backward - move.log_forward).tolist()
    first, second = (rng.fold(1).uniform(draw).tolist() for draw in (0, 1))
    wanted = [
        toy.energies[i] - rough[i] + rough[j] - 0.7 * math.log(second[row])
        for row, (i, j) in enumerate(zip(old, new, strict=True))
        if i != j and first[row] < math.exp((rough[i] - rough[j]) / 0.7 + ratios[row])
    ]
    assert len(limits) == 1 and 10 < len(wanted) < 150
    assert limits[0].tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_chains_come_and_go() -> None:
    """In any company they are those of a run of all inputs; under other numbers they would not be."""
    texts = [*WORDS, "abc", "dd"]
    sampler = DelayedAcceptance(MOVES, ROUGH)
    whole = generate(PSEUDO, sampler, texts, steps=12, seed=1, chains=2, thin=1)
    assert whole.samples is not None
    found = {
        answer.number: answer.result
        for answer in generate_each(
            PSEUDO, sampler, texts, steps=12, seed=1, chains=2, batch_inputs=2, thin=1, until=Settled(4)
        )
    }
    ends = set()
    for number, result in found.items():
        assert result is not None
        ends.add(result.steps)
        rows = slice(2 * number, 2 * number + 2)
        assert result.samples == [step[rows] for step in whole.samples[: result.steps]]
        assert result.trace.tolist() == whole.trace[: result.steps, rows].tolist()
    assert sorted(found) == list(range(len(texts))) and len(ends) > 1
