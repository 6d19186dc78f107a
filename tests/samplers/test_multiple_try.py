"""Multiple-try Metropolis against an enumerated transition matrix, and its broken twins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers.multiple_try import MultipleTry
from samplers.proposals import BlockInfill, InsertDelete, Mixture, Replace, Swap
from tests.reference import Floats, orders
from tests.samplers.laws import p_value
from tests.samplers.toys import Toy, mixture_toy, span_toy, swap_toy
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Objective, evaluate
from textsearch.proposal import Proposal
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.testing import TableMaskedLM, letters

RUNS = 4096


@dataclass(frozen=True, eq=False)
class Ways:
    """The paths from one state.

    Attributes:
        target: (P,) state numbers.
        probability: (P,), an order of filling being part of the path; they add up to 1.
        weight: (P,) sqrt of the Metropolis-Hastings ratio of the path and its reverse, 0 if it has none.
    """

    target: Sequence[int]
    probability: Floats
    weight: Floats

    def sums(self, count: int) -> tuple[Floats, Floats]:
        """The possible sums of the weights of `count` draws, and their probabilities."""
        value: Floats = np.zeros(1)
        chance: Floats = np.ones(1)
        for _ in range(count):
            value, chance = (value[:, None] + self.weight).ravel(), (chance[:, None] * self.probability).ravel()
            value, group = np.unique(value.round(12), return_inverse=True)
            chance = np.bincount(group, chance).astype(np.float64)
        return value, chance


def multiple_try_matrix(toy: Toy, tries: int) -> Floats:
    """(S, S) by enumeration of all sets of draws, forward and back."""
    number = {state: i for i, state in enumerate(toy.states)}
    every = orders(toy.law)
    lists: list[list[tuple[int, float, float]]] = [[] for _ in toy.states]
    for order in every:
        going = [{path.key: path for path in toy.law.paths(state, order)} for state in toy.states]
        for i, paths in enumerate(going):
            for path in paths.values():
                j = number[path.target]
                back = None if path.back is None else going[j].get(path.back)
                weight = 0.0
                if back is not None and math.inf not in (toy.energies[i], toy.energies[j]):
                    ratio = math.exp((toy.energies[i] - toy.energies[j]) / toy.temperature)
                    weight = math.sqrt(ratio * back.probability / path.probability)
                lists[i].append((j, path.probability / len(every), weight))
    columns = [list(zip(*entries, strict=True)) for entries in lists]
    ways = [Ways(target, np.array(probability), np.array(weight)) for target, probability, weight in columns]
    others = [way.sums(tries - 1) for way in ways]
    matrix = np.zeros((len(ways), len(ways)))
    for i, way in enumerate(ways):
        for j, probability, weight in zip(way.target, way.probability, way.weight, strict=True):
            if weight > 0:
                forward, references = weight + others[i][0][:, None], 1 / weight + others[j][0]
                taken = weight / forward * np.minimum(1, forward / references)
                # which of the draws is picked does not matter: each of them, in turn
                matrix[i, j] += tries * probability * (others[i][1] @ taken @ others[j][1])
    matrix[np.diag_indices(len(ways))] += 1 - matrix.sum(1)
    return matrix


TOYS: dict[str, tuple[Toy, int]] = {
    "replace": (span_toy("abc", "ab", {(1, 1): 1.0}), 3),
    "replace, forbidden texts": (span_toy("ab", "aba", {(1, 1): 1.0}, forbidden=0.3, temperature=0.7), 4),
    "replace, old word of too many pieces": (span_toy("abC", "aCCb", {(1, 1): 1.0}, (0.6, 0.4), 4), 2),
    "insert and delete": (span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=2), 3),
    "insert and delete, frozen": (
        span_toy("ab", "a!ba", {(0, 1): 0.4, (1, 0): 0.6}, max_length=3, forbidden=0.2),
        2,
    ),
    "infill, many orders": (span_toy("ab", "aba", {(2, 2): 0.6, (1, 1): 0.4}), 2),
    "infill, many pieces": (span_toy("aC", "aCa", {(2, 2): 0.7, (1, 1): 0.3}, (0.6, 0.4), 4), 2),
    "swap, many paths to one text": (swap_toy("ab", "aab"), 3),
    "mixture, frozen": (mixture_toy("ab", "a!b", forbidden=0.1, temperature=0.8), 2),
}
every_toy = pytest.mark.parametrize(("toy", "tries"), TOYS.values(), ids=TOYS.keys())


@every_toy
def test_reference_obeys_detailed_balance(toy: Toy, tries: int) -> None:
    matrix, target = multiple_try_matrix(toy, tries), toy.target
    assert matrix.min() >= -1e-12
    flow = target[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-10)
    assert np.abs(target @ matrix - target).max() < 1e-10
    np.testing.assert_allclose(multiple_try_matrix(toy, 1), toy.chain.matrix, atol=1e-12)


@every_toy
def test_kernel_moves_with_the_reference_s_probabilities(toy: Toy, tries: int) -> None:
    here = [number for number, energy in enumerate(toy.energies) if energy < math.inf]
    sampler = MultipleTry(toy.proposal, tries)
    with torch.inference_mode():
        batch = toy.batch(here).repeat(RUNS)
        state = sampler.init(toy.objective, batch)
        after, info = sampler.step(toy.objective, state, Rng.start(11, len(batch)).at(2), toy.temperature)
    reached = toy.number(after.batch)
    assert reached.min() >= 0
    counts = np.zeros((len(here), len(toy.states)))
    np.add.at(counts, (np.repeat(np.arange(len(here)), RUNS), reached), 1)
    expected = multiple_try_matrix(toy, tries)[here]
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / RUNS)
    assert (np.abs(counts / RUNS - expected) < 7 * error + 0.003).all()
    assert not counts[expected <= 1e-15].any()
    # what is reported
    assert after.evaluation.energy.tolist() == toy.energies[reached].tolist()
    assert not info.log_ratio.isnan().any()
    assert info.accepted[info.log_ratio > 0].all()
    assert not info.accepted[info.log_ratio == -math.inf].any()
    chance = info.log_ratio.clamp(max=0).exp().numpy()
    assert abs((info.accepted.numpy() - chance).sum()) < 5 * math.sqrt((chance * (1 - chance)).sum()) + 1e-9


@every_toy
def test_chains_stay_on_the_target(toy: Toy, tries: int) -> None:
    assert p_value(toy, MultipleTry(toy.proposal, tries), steps=2) > 1e-4


def test_more_tries_move_more() -> None:
    toy, _ = TOYS["replace"]
    stay = [1 - float(toy.target @ multiple_try_matrix(toy, tries).diagonal()) for tries in (1, 2, 3)]
    assert stay == sorted(stay)


def test_each_row_may_have_its_own_temperature() -> None:
    toy, tries = TOYS["mixture, frozen"]
    sampler = MultipleTry(toy.proposal, tries)
    rng = Rng.start(4, 64)
    before = sampler.init(toy.objective, toy.batch([0] * 64))
    ladder = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(32)
    both, _ = sampler.step(toy.objective, before, rng, ladder)
    for start, temperature in ((0, 0.5), (1, 2.0)):
        alone, _ = sampler.step(toy.objective, before, rng, temperature)
        assert alone.batch.token_lists()[start::2] == both.batch.token_lists()[start::2]


def test_a_row_without_a_way_out_stays() -> None:
    vocabulary = letters("ab")
    sampler = MultipleTry(Replace(TableMaskedLM.random(vocabulary, seed=0)), 3)
    batch = vocabulary.encode(["", "ab", "ab"])
    batch = batch.frozen(torch.tensor([[False, False], [True, True], [False, False]]))
    only = FunctionObjective(lambda texts: [math.inf if text == "bb" else 0.0 for text in texts], name="no bb")
    state = sampler.init(only, batch)
    for step in range(5):
        state, info = sampler.step(only, state, Rng.start(0, 3).at(step))
        assert state.batch.texts()[:2] == ["", "ab"]
        assert info.log_ratio[:2].tolist() == [-math.inf, -math.inf]
        assert not info.log_ratio.isnan().any()


def test_all_tries_are_evaluated_in_two_batches() -> None:
    asked: list[int] = []

    def listen(texts: list[str]) -> list[float]:
        asked.append(len(texts))
        return [0.0] * len(texts)

    vocabulary = letters("ab")
    sampler = MultipleTry(InsertDelete(TableMaskedLM.random(vocabulary, seed=0), insert=0.99), 4)
    objective = FunctionObjective(listen)
    state = sampler.init(objective, vocabulary.encode(["ab", "ba", "a"]))
    sampler.step(objective, state, Rng.start(0, 3))
    assert len(asked) == 3
    assert asked[1] <= 12
    assert asked[2] <= 9


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
    sampler = MultipleTry(mixture, 3)
    fewer = FunctionObjective(lambda texts: [math.inf if "cc" in t else 0.7 * t.count("a") for t in texts], name="few")
    batch = vocabulary.encode(["abc", "", "aDb", "cbaEDc", "b", "aDEaDE", "ab", "bacbac"]).repeat(8)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 1] = True
    batch = batch.frozen(frozen)
    rng = Rng.start(21, len(batch))

    def run(rows: list[int], width: int = 0) -> tuple[list[list[int]], list[float], list[float]]:
        state = sampler.init(fewer, batch.rows(rows).widen(width))
        for step in range(3):
            state, info = sampler.step(fewer, state, rng.rows(rows).at(step), 1.3)
        return state.batch.token_lists(), state.evaluation.energy.tolist(), info.log_ratio.tolist()

    whole = run(list(range(64)))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in ([5], [11], [62], list(range(20, 53)), order):
        assert run(rows) == tuple([part[row] for row in rows] for part in whole)
    assert run(list(range(64)), width=13) == whole


def test_constructor_names_value_and_remedy() -> None:
    proposal = Replace(TableMaskedLM.random(letters("ab"), seed=0))
    with pytest.raises(ValueError, match=r"tries=1 must be at least 2; .* use MetropolisHastings"):
        MultipleTry(proposal, 1)
    assert MultipleTry(proposal, 2).guarantee == Guarantee.EXACT
    assert MultipleTry(proposal, 2).kinds == ("replace",)


def balanced(log_ratio: Tensor) -> Tensor:
    """The honest weight."""
    return 0.5 * log_ratio


def sums(forward: Tensor, references: Tensor, back: Tensor, log_ratio: Tensor) -> Tensor:
    """The honest rule: the way back is one of the references."""
    return forward.logsumexp(1) - torch.cat([references[:, 1:], back[:, None]], 1).logsumexp(1)


@dataclass(frozen=True, eq=False)
class PlainTries:
    """Multiple tries without shortcuts, whose parts can be broken one at a time.

    Attributes:
        weigh: log Metropolis-Hastings ratio -> log-weight.
        rule: (log-weights of the tries, of `tries` draws from y, of the way back, log-ratio of the move) -> log-ratio.
        from_y: whether the references are drawn from y, not from x.
    """

    proposal: Proposal
    tries: int
    weigh: Callable[[Tensor], Tensor] = balanced
    rule: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = sums
    from_y: bool = True
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
        ends, ratios, kinds = self.draws(objective, state, rng.fold(1), temperature)
        weights = self.weigh(ratios)
        possible = (weights > -math.inf).any(1)
        choice = categorical(weights.where(possible[:, None], 0.0), rng.uniform(0))
        proposed = state
        for number, end in enumerate(ends):
            take = possible & (choice == number)
            proposed = ChainState(
                proposed.batch.where(take, end.batch), proposed.evaluation.where(take, end.evaluation)
            )
        log_ratio = ratios.gather(1, choice[:, None])[:, 0]
        _, references, _ = self.draws(objective, proposed if self.from_y else state, rng.fold(2), temperature)
        log_ratio = self.rule(weights, self.weigh(references), self.weigh(-log_ratio), log_ratio)
        accepted = possible & (rng.uniform(1).log() < log_ratio)
        after = ChainState(
            state.batch.where(accepted, proposed.batch), state.evaluation.where(accepted, proposed.evaluation)
        )
        return after, Info(accepted, kinds.gather(1, choice[:, None])[:, 0], log_ratio)

    def draws(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor
    ) -> tuple[list[ChainState], Tensor, Tensor]:
        ends, ratios, kinds = [], [], []
        for number in range(self.tries):
            move = self.proposal.propose(state.batch, rng.fold(number))
            evaluation = evaluate(objective, move.batch, wanted=move.log_backward > -math.inf)
            log_target = (state.evaluation.energy - evaluation.energy) / temperature
            ends.append(ChainState(move.batch, evaluation))
            ratios.append(log_target + move.log_backward - move.log_forward)
            kinds.append(move.kind)
        return ends, torch.stack(ratios, 1), torch.stack(kinds, 1)


def no_references(forward: Tensor, references: Tensor, back: Tensor, log_ratio: Tensor) -> Tensor:
    """The pick taken as though it were the only try."""
    return log_ratio


def always(forward: Tensor, references: Tensor, back: Tensor, log_ratio: Tensor) -> Tensor:
    return torch.zeros_like(log_ratio)


def way_back_left_out(forward: Tensor, references: Tensor, back: Tensor, log_ratio: Tensor) -> Tensor:
    return forward.logsumexp(1) - references.logsumexp(1)


REPLACE, _ = TOYS["replace"]
EDIT = span_toy("ab", "a", {(0, 1): 0.3, (1, 0): 0.7}, max_length=3)

TWINS: dict[str, tuple[Toy, PlainTries]] = {
    "no references, replace": (REPLACE, PlainTries(REPLACE.proposal, 2, rule=no_references)),
    "no references, insert and delete": (EDIT, PlainTries(EDIT.proposal, 2, rule=no_references)),
    "the pick always taken": (EDIT, PlainTries(EDIT.proposal, 2, rule=always)),
    "way back left out of the references": (EDIT, PlainTries(EDIT.proposal, 2, rule=way_back_left_out)),
    "references drawn from the old text": (EDIT, PlainTries(EDIT.proposal, 2, from_y=False)),
    "the ratio itself for a weight": (EDIT, PlainTries(EDIT.proposal, 2, weigh=lambda log_ratio: log_ratio)),
}


@pytest.mark.parametrize(("toy", "broken"), TWINS.values(), ids=TWINS.keys())
def test_broken_twin_is_caught(toy: Toy, broken: PlainTries) -> None:
    assert p_value(toy, broken, steps=2) < 1e-9


@pytest.mark.parametrize("toy", [REPLACE, EDIT])
def test_honest_twin_passes(toy: Toy) -> None:
    assert p_value(toy, PlainTries(toy.proposal, 2), steps=2) > 1e-4


def test_another_balanced_weight_would_do() -> None:
    """What counts is g(r) = r g(1/r), here for r / (1 + r): the controls fail for want of it alone."""

    def weigh(log_ratio: Tensor) -> Tensor:
        return -torch.nn.functional.softplus(-log_ratio)

    assert p_value(EDIT, PlainTries(EDIT.proposal, 2, weigh=weigh), steps=2) > 1e-4
