"""Gibbs on candidate sets against an enumerated transition matrix, and its broken twins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers.gibbs import Gibbs, Scan, random_scan, systematic_scan
from samplers.proposals import SpanEdit
from tests.reference import MASK, Floats, Language, State
from tests.samplers.laws import p_value
from tests.samplers.toys import TOYS, Toy, language_of, span_toy
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Objective, evaluate
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info
from textsearch.testing import TableMaskedLM, letters

RUNS = 4096
STEP = 2
"""Of the transitions that are counted: a systematic scan visits the third site, or the first of two."""


def model_of(toy: Toy) -> TableMaskedLM:
    assert isinstance(toy.proposal, SpanEdit)
    assert isinstance(toy.proposal.model, TableMaskedLM)
    return toy.proposal.model


def with_model(toy: Toy, model: TableMaskedLM) -> Toy:
    """The same texts and energies under another model."""
    assert isinstance(toy.proposal, SpanEdit)
    return replace(toy, proposal=replace(toy.proposal, model=model))


def sites(language: Language, state: State) -> list[int]:
    """The places of the tokens of words without a frozen piece."""
    free = [is_free for word, is_free in zip(language.words(state), language.free(state), strict=True) for _ in word]
    return [at for at, is_free in enumerate(free) if is_free]


def candidates(language: Language, tokens: tuple[int, ...], places: tuple[int, ...], count: int) -> list[list[int]]:
    """The likeliest tokens at each of the places, all of them masked, among those of the old token's role."""
    masked = tuple(MASK if at in places else token for at, token in enumerate(tokens))
    sets = []
    for place in places:
        law = language.conditional(masked, place)
        fits = language.fits(begins=not language.continues[tokens[place]])
        sets.append(sorted(fits, key=lambda token: (-law[token], token))[:count])
    return sets


def gibbs_matrix(toy: Toy, count: int, block: int = 1, step: int | None = None) -> Floats:
    """(S, S) of a random scan, or of a systematic one at `step`."""
    language = language_of(model_of(toy))
    number = {state: i for i, state in enumerate(toy.states)}
    matrix = np.zeros((len(toy.states), len(toy.states)))
    for i, state in enumerate(toy.states):
        free = sites(language, state)
        starts = [at for at in free if all(at + ahead in free for ahead in range(block))]
        if starts and step is not None:
            starts = [starts[step % len(starts)]]
        if not starts:
            matrix[i, i] = 1.0
        for start in starts:
            places = tuple(range(start, start + block))
            fills = list(itertools.product(*candidates(language, state.tokens, places, count)))
            before, old, after = (
                state.tokens[:start],
                state.tokens[start : start + block],
                state.tokens[start + block :],
            )
            if old not in fills or math.isinf(toy.energies[i]):
                matrix[i, i] += 1 / len(starts)
                continue
            reached = [number[State((*before, *fill, *after), state.frozen)] for fill in fills]
            weights = np.exp(-toy.energies[reached] / toy.temperature)
            matrix[i, reached] += weights / weights.sum() / len(starts)
    return matrix


PAIR = span_toy("abc", "ab", {(1, 1): 1.0})


def tied() -> Toy:
    """All tokens equally likely everywhere: the set is decided by ties alone."""
    toy = PAIR
    model = model_of(toy)
    return with_model(toy, replace(model, table=0 * model.table, by_length=0 * model.by_length))


@dataclass(frozen=True, eq=False)
class Case:
    """A Gibbs sampler on a toy."""

    toy: Toy
    count: int
    block: int = 1
    scan: Scan = random_scan

    def sampler(self) -> Gibbs:
        return Gibbs(model_of(self.toy), self.count, self.block, self.scan)

    def matrix(self) -> Floats:
        return gibbs_matrix(self.toy, self.count, self.block, STEP if self.scan is systematic_scan else None)


FROZEN = span_toy("abc", "a!bc", {(1, 1): 1.0}, forbidden=0.2, temperature=0.8)
PIECES = span_toy("abCD", "aC", {(1, 1): 1.0}, (0.6, 0.4), 3, forbidden=0.1)

CASES: dict[str, Case] = {
    "all tokens": Case(PAIR, 3),
    "two of three tokens": Case(TOYS["replace"], 2),
    "ties": Case(tied(), 2),
    "forbidden texts": Case(span_toy("abc", "ab", {(1, 1): 1.0}, forbidden=0.3, temperature=0.7), 2),
    "systematic scan": Case(PAIR, 2, scan=systematic_scan),
    "frozen": Case(FROZEN, 2),
    "frozen, systematic scan": Case(FROZEN, 3, scan=systematic_scan),
    "many pieces": Case(PIECES, 2),
    "more candidates than fit": Case(PIECES, 3),
    "a word frozen by one piece": Case(TOYS["a word frozen by one piece"], 2),
    "texts without sites": Case(TOYS["insert and delete, frozen"], 2),
    "pairs": Case(PAIR, 2, block=2),
    "pairs, frozen": Case(span_toy("ab", "ab!aba", {(1, 1): 1.0}, max_length=5, forbidden=0.2), 2, block=2),
    "pairs, many pieces, systematic scan": Case(PIECES, 2, block=2, scan=systematic_scan),
    "blocks of three": Case(span_toy("ab", "abb", {(1, 1): 1.0}), 2, block=3),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@every_case
def test_reference_leaves_the_target_as_it_is(case: Case) -> None:
    matrix, target = case.matrix(), case.toy.target
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
    flow = target[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-12)
    assert np.abs(target @ matrix - target).max() < 1e-10
    assert (matrix.diagonal() < 1).any()


@every_case
def test_kernel_moves_with_the_reference_s_probabilities(case: Case) -> None:
    toy, sampler = case.toy, case.sampler()
    here = [number for number, energy in enumerate(toy.energies) if energy < math.inf]
    with torch.inference_mode():
        batch = toy.batch(here).repeat(RUNS)
        state = sampler.init(toy.objective, batch)
        after, info = sampler.step(toy.objective, state, Rng.start(11, len(batch)).at(STEP), toy.temperature)
    reached = toy.number(after.batch)
    assert reached.min() >= 0
    counts = np.zeros((len(here), len(toy.states)))
    np.add.at(counts, (np.repeat(np.arange(len(here)), RUNS), reached), 1)
    expected = case.matrix()[here]
    error = np.sqrt(np.clip(expected * (1 - expected), 0, None) / RUNS)
    assert (np.abs(counts / RUNS - expected) < 7 * error + 0.003).all()
    assert not counts[expected == 0].any()
    # what is reported: a change is an acceptance, and the energies are those of the texts
    assert info.accepted.tolist() == (reached != np.repeat(here, RUNS)).tolist()
    assert (info.log_ratio[info.accepted] == 0).all()
    assert after.evaluation.energy.tolist() == toy.energies[reached].tolist()
    assert after.evaluation.terms[:, 0].tolist() == after.evaluation.energy.tolist()


@every_case
def test_chains_stay_on_the_target(case: Case) -> None:
    assert p_value(case.toy, case.sampler(), steps=2) > 1e-4


def test_each_row_may_have_its_own_temperature() -> None:
    toy, sampler = TOYS["replace"], Gibbs(model_of(TOYS["replace"]), 3)
    rng = Rng.start(4, 64)
    before = sampler.init(toy.objective, toy.batch([5] * 64))
    ladder = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(32)
    both, _ = sampler.step(toy.objective, before, rng, ladder)
    for start, temperature in ((0, 0.5), (1, 2.0)):
        alone, _ = sampler.step(toy.objective, before, rng, temperature)
        assert alone.batch.token_lists()[start::2] == both.batch.token_lists()[start::2]


def test_the_current_energy_is_not_asked_again_and_the_rest_come_in_one_batch() -> None:
    asked: list[list[str]] = []

    def listen(texts: list[str]) -> list[float]:
        asked.append(texts)
        return [0.0] * len(texts)

    sampler = Gibbs(TableMaskedLM.random(letters("abc"), seed=0), 3)
    objective = FunctionObjective(listen)
    state = sampler.init(objective, sampler.vocabulary.encode(["ab", "c", ""]))
    sampler.step(objective, state, Rng.start(0, 3))
    (_, texts) = asked
    assert len(texts) == 2 * 2
    assert not {"ab", "c", ""} & set(texts)


def test_a_row_without_a_choice_stays() -> None:
    vocabulary = letters("abC")
    sampler = Gibbs(TableMaskedLM.random(vocabulary, seed=0), 2)
    batch = vocabulary.encode(["", "ab", "ab"])
    batch = batch.frozen(torch.tensor([[False, False], [True, True], [False, False]]))
    # the third row is forbidden however its site is filled
    forbid = FunctionObjective(lambda texts: [math.inf if "ab" not in text else 1.0 for text in texts], name="ab")
    state = ChainState(batch, evaluate(forbid, batch))
    after, info = sampler.step(forbid, state, Rng.start(0, 3))
    assert after.batch.texts() == ["", "ab", "ab"]
    assert after.evaluation.energy.tolist() == state.evaluation.energy.tolist()
    assert info.log_ratio.tolist()[:2] == [-math.inf, -math.inf]
    assert not info.log_ratio.isnan().any()
    empty = vocabulary.encode([""])
    same, _ = sampler.step(forbid, ChainState(empty, evaluate(forbid, empty)), Rng.start(0, 1))
    assert same.batch.texts() == [""]


def test_chains_do_not_depend_on_the_rest_of_the_batch() -> None:
    vocabulary = letters("abcDE")
    fewer = FunctionObjective(lambda texts: [math.inf if "cc" in t else 0.7 * t.count("a") for t in texts], name="few")
    batch = vocabulary.encode(["abc", "", "aDb", "cbaEDc", "b", "aDEaDE", "ab", "bacbac"]).repeat(8)
    frozen = torch.zeros_like(batch.editable)
    frozen[::3, 1] = True
    batch = batch.frozen(frozen)
    rng = Rng.start(21, len(batch))
    for block, scan in itertools.product((1, 2), (random_scan, systematic_scan)):
        sampler = Gibbs(TableMaskedLM.random(vocabulary, seed=0), 2, block, scan)

        def run(
            rows: list[int], width: int = 0, sampler: Gibbs = sampler
        ) -> tuple[list[list[int]], list[float], list[bool]]:
            state = sampler.init(fewer, batch.rows(rows).widen(width))
            for step in range(6):
                state, info = sampler.step(fewer, state, rng.rows(rows).at(step), 1.3)
            return state.batch.token_lists(), state.evaluation.energy.tolist(), info.accepted.tolist()

        whole = run(list(range(64)))
        order = torch.randperm(64, generator=torch.Generator().manual_seed(1)).tolist()
        for rows in ([0], [5], [11], [62], list(range(7)), list(range(20, 53)), order):
            assert run(rows) == tuple([part[row] for row in rows] for part in whole)
        assert run(list(range(64)), width=13) == whole


def test_constructor_names_value_and_remedy() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    with pytest.raises(ValueError, match="candidates=1 must be at least 2"):
        Gibbs(model, 1)
    with pytest.raises(ValueError, match=r"candidates=3 must be .* at most 2"):
        Gibbs(model, 3)
    with pytest.raises(ValueError, match="block=0 must be at least 1"):
        Gibbs(model, 2, block=0)
    assert Gibbs(model, 2).guarantee == Guarantee.EXACT
    assert Gibbs(model, 2).kinds == ("gibbs",)


Choose = Callable[[Tensor, Tensor], Tensor]
Weigh = Callable[[Tensor, Tensor], Tensor]


def likeliest(log_probs: Tensor, old: Tensor) -> Tensor:
    """The honest rule: does not look at the old token."""
    return log_probs.topk(2).indices


def old_forced_in(log_probs: Tensor, old: Tensor) -> Tensor:
    """The old token takes the last place unless it has one."""
    best = log_probs.topk(2).indices
    return torch.stack([best[:, 0], torch.where((best == old[:, None]).any(1), best[:, 1], old)], 1)


def old_and_the_likeliest_other(log_probs: Tensor, old: Tensor) -> Tensor:
    others = log_probs.scatter(1, old[:, None], -math.inf)
    return torch.stack([others.argmax(1), old], 1)


def target_alone(log_target: Tensor, log_probs: Tensor) -> Tensor:
    """The honest weight."""
    return log_target


def target_times_model(log_target: Tensor, log_probs: Tensor) -> Tensor:
    return log_target + log_probs


@dataclass(frozen=True, eq=False)
class PlainGibbs:
    """Gibbs on two candidates, for words of one piece, whose parts can be broken one at a time."""

    model: TableMaskedLM
    choose: Choose = likeliest
    weigh: Weigh = target_alone
    masks: bool = True
    stays: bool = True
    guarantee: Guarantee = Guarantee.BIASED
    kinds: tuple[str, ...] = ("plain",)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.model.vocabulary

    def init(self, objective: Objective, batch: Batch) -> ChainState:
        return ChainState(batch, evaluate(objective, batch))

    def step(
        self, objective: Objective, state: ChainState, rng: Rng, temperature: float | Tensor = 1.0
    ) -> tuple[ChainState, Info]:
        batch, rows = state.batch, torch.arange(len(state.batch))
        site = (rng.uniform(0) * batch.lengths).floor().long()
        old = batch.tokens[rows, site]
        log_probs = self.model.log_probs(batch.with_tokens(site, torch.zeros_like(site)), rows, site)
        if not self.masks:
            # what stands at the site sways what may stand there
            log_probs = log_probs + self.model.table[0, old]
        log_probs = log_probs.masked_fill(~self.vocabulary.allowed, -math.inf)
        tokens = self.choose(log_probs, old).sort(1).values
        fills = [batch.with_tokens(site, column) for column in tokens.unbind(1)]
        evaluations = [evaluate(objective, fill) for fill in fills]
        log_target = -torch.stack([each.energy for each in evaluations], 1) / temperature
        choice = categorical(self.weigh(log_target, log_probs.gather(1, tokens)), rng.uniform(1))
        stay = ~(tokens == old[:, None]).any(1) & self.stays
        after, evaluation = state.batch, state.evaluation
        for column, (fill, each) in enumerate(zip(fills, evaluations, strict=True)):
            take = (choice == column) & ~stay
            after, evaluation = after.where(take, fill), evaluation.where(take, each)
        return ChainState(after, evaluation), Info(~stay, torch.zeros_like(site), torch.zeros_like(log_target[:, 0]))


REPLACE = TOYS["replace"]
MODEL = model_of(REPLACE)

TWINS: dict[str, PlainGibbs] = {
    "old token forced into the candidates": PlainGibbs(MODEL, choose=old_forced_in),
    "old token and the likeliest other": PlainGibbs(MODEL, choose=old_and_the_likeliest_other),
    "candidates from the unmasked text": PlainGibbs(MODEL, masks=False),
    "an old token that is no candidate is replaced": PlainGibbs(MODEL, stays=False),
    "weights times the model's probability": PlainGibbs(MODEL, weigh=target_times_model),
}


@pytest.mark.parametrize("broken", TWINS.values(), ids=TWINS.keys())
def test_broken_twin_is_caught(broken: PlainGibbs) -> None:
    assert p_value(REPLACE, broken, steps=2) < 1e-9


def test_honest_twin_is_the_engine_s_chain() -> None:
    """So that a twin differs from the engine by its one fault."""
    plain, engine = PlainGibbs(MODEL), Gibbs(MODEL, 2)
    assert p_value(REPLACE, plain, steps=3) > 1e-4
    one, other = (sampler.init(REPLACE.objective, REPLACE.batch(range(27)).repeat(20)) for sampler in (plain, engine))
    for step in range(5):
        rng = Rng.start(0, 27 * 20).at(step)
        one, _ = plain.step(REPLACE.objective, one, rng)
        other, _ = engine.step(REPLACE.objective, other, rng)
    assert one.batch.token_lists() == other.batch.token_lists()
