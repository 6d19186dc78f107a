"""Delayed acceptance against an enumerated transition matrix, and its broken twins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers.delayed_acceptance import DelayedAcceptance
from samplers.metropolis_hastings import MetropolisHastings
from samplers.proposals import BlockInfill, InsertDelete, Mixture, Replace, Swap
from tests.reference import Floats, orders
from tests.samplers.laws import p_value
from tests.samplers.toys import TOYS, Toy, mixture_toy, span_toy, swap_toy
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Objective, evaluate
from textsearch.proposal import Proposal
from textsearch.rng import Rng
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.testing import TableMaskedLM, letters

RUNS = 4096


def rough_energies(toy: Toy) -> Floats:
    """(S,) a surrogate with faults of its own; it forbids about half of what the toy forbids, and nothing else."""
    rng = np.random.default_rng(8)
    energies = np.where(np.isinf(toy.energies), 0.0, toy.energies)
    by_text = {toy.text(state): (rng.normal(), rng.random()) for state in toy.states}
    noise, chance = np.array([by_text[toy.text(state)] for state in toy.states]).T
    rough = 0.6 * energies + 0.7 * noise
    return np.asarray(np.where(np.isinf(toy.energies) & (chance < 0.5), math.inf, rough), dtype=np.float64)


def surrogate_of(toy: Toy) -> FunctionObjective:
    energies = {toy.text(state): energy for state, energy in zip(toy.states, rough_energies(toy), strict=True)}
    return FunctionObjective(lambda texts: [energies[text] for text in texts], name="rough")


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
every_toy = pytest.mark.parametrize("toy", MATRIX_TOYS.values(), ids=MATRIX_TOYS.keys())


@every_toy
def test_reference_obeys_detailed_balance(toy: Toy) -> None:
    matrix, target = delayed_matrix(toy), toy.target
    assert matrix.min() >= -1e-12
    flow = target[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    assert np.abs(target @ matrix - target).max() < 1e-10
    # the price of asking a surrogate first: never more likely to move than the undivided test
    assert (matrix - toy.chain.matrix)[~np.eye(len(matrix), dtype=bool)].max() < 1e-12


@every_toy
def test_kernel_moves_with_the_reference_s_probabilities(toy: Toy) -> None:
    here = [number for number, energy in enumerate(toy.energies) if energy < math.inf]
    sampler = DelayedAcceptance(toy.proposal, surrogate_of(toy))
    with torch.inference_mode():
        batch = toy.batch(here).repeat(RUNS)
        state = sampler.init(toy.objective, batch)
        after, info = sampler.step(toy.objective, state, Rng.start(11, len(batch)).at(2), toy.temperature)
    reached = toy.number(after.batch)
    assert reached.min() >= 0
    counts = np.zeros((len(here), len(toy.states)))
    np.add.at(counts, (np.repeat(np.arange(len(here)), RUNS), reached), 1)
    expected = delayed_matrix(toy)[here]
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / RUNS)
    assert (np.abs(counts / RUNS - expected) < 7 * error + 0.003).all()
    assert not counts[expected <= 1e-15].any()
    # what is reported and kept
    assert after.evaluation.energy.tolist() == toy.energies[reached].tolist()
    assert after.surrogate.energy.tolist() == rough_energies(toy)[reached].tolist()
    assert not info.log_ratio.isnan().any()
    assert not info.accepted[info.log_ratio == -math.inf].any()


@every_toy
def test_chains_stay_on_the_target(toy: Toy) -> None:
    assert p_value(toy, DelayedAcceptance(toy.proposal, surrogate_of(toy)), steps=2) > 1e-4


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


def test_each_row_may_have_its_own_temperature() -> None:
    toy = MATRIX_TOYS["mixture"]
    sampler = DelayedAcceptance(toy.proposal, surrogate_of(toy))
    ladder = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(32)
    before = sampler.init(toy.objective, toy.batch([0] * 64))
    for step in range(4):
        rng = Rng.start(4, 64).at(step)
        both, _ = sampler.step(toy.objective, before, rng, ladder)
        for start, temperature in ((0, 0.5), (1, 2.0)):
            alone, _ = sampler.step(toy.objective, before, rng, temperature)
            assert alone.batch.token_lists()[start::2] == both.batch.token_lists()[start::2]
        before = both


def test_chains_do_not_depend_on_the_rest_of_the_batch() -> None:
    vocabulary = letters("abcDE")
    model = TableMaskedLM.random(vocabulary, seed=0)
    pieces = (0.7, 0.3)
    mixture = Mixture(
        {
            Replace(model, pieces=pieces, max_length=7): 1.0,
            Mixture({InsertDelete(model, pieces=pieces, max_length=7): 1.0, Swap(vocabulary): 1.0}): 2.0,
            BlockInfill(model, pieces=pieces, max_length=7): 1.0,
        }
    )
    rough = FunctionObjective(lambda texts: [math.inf if "ccc" in t else 0.1 * len(t) for t in texts], name="rough")
    fewer = FunctionObjective(lambda texts: [math.inf if "cc" in t else 0.7 * t.count("a") for t in texts], name="few")
    sampler = DelayedAcceptance(mixture, rough)
    batch = vocabulary.encode(["abc", "", "aDb", "cbaEDc", "b", "aDEaDE", "ab", "bacbac"]).repeat(8)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 1] = True
    batch = batch.frozen(frozen)
    rng = Rng.start(21, len(batch))

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[float]]:
        state = sampler.init(fewer, batch.rows(rows).widen(width))
        for step in range(5):
            state, info = sampler.step(fewer, state, rng.rows(rows).at(step), 1.3)
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.log_ratio.tolist()

    whole = run(list(range(64)))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([5], [11], [62], list(range(20, 53)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(64)), width=13) == whole


def test_errors_name_value_and_remedy() -> None:
    vocabulary = letters("ab")
    proposal = Replace(TableMaskedLM.random(vocabulary, seed=0))
    with pytest.raises(TypeError, match="surrogate=3 is no Objective; wrap"):
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

TWINS: dict[str, Stages] = {
    "surrogate not taken out again": lambda rough, target, q: (rough + q, target),
    "surrogate put in twice": lambda rough, target, q: (rough + q, target + rough),
    "proposal put in twice": lambda rough, target, q: (rough + q, target - rough + q),
    "proposal in neither stage": lambda rough, target, q: (rough, target - rough),
    "stage 1 alone": lambda rough, target, q: (rough + q, torch.zeros_like(q)),
    "whole ratio again in stage 2": lambda rough, target, q: (rough + q, target + q),
}


@pytest.mark.parametrize("stages", TWINS.values(), ids=TWINS.keys())
def test_broken_twin_is_caught(stages: Stages) -> None:
    assert p_value(EDIT, PlainStages(EDIT.proposal, surrogate_of(EDIT), stages), steps=2) < 1e-9


def test_honest_twin_passes() -> None:
    honest = PlainStages(EDIT.proposal, surrogate_of(EDIT), lambda rough, target, q: (rough + q, target - rough))
    assert p_value(EDIT, honest, steps=3) > 1e-4
