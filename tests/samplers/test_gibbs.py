"""Gibbs on candidate sets: its transition matrix by enumeration, its broken twins, and what is its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from samplers.gibbs import Gibbs, Scan, random_scan, systematic_scan
from samplers.proposals import SpanEdit
from tests.reference import MASK, Floats, Language, State
from tests.samplers.laws import Case, p_value
from tests.samplers.toys import TOYS, Toy, language_of, span_toy
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective, Objective, evaluate
from textsearch.rng import Rng, categorical
from textsearch.sampler import ChainState, Guarantee, Info, Sampler
from textsearch.testing import TableMaskedLM, letters

STEP = 2
"""Of the transitions that are counted: a systematic scan visits the third site, or the first of two."""


def model_of(toy: Toy) -> TableMaskedLM:
    assert isinstance(toy.proposal, SpanEdit)
    assert isinstance(toy.proposal.mlm, TableMaskedLM)
    return toy.proposal.mlm


def with_model(toy: Toy, model: TableMaskedLM) -> Toy:
    """The same texts and energies under another model."""
    assert isinstance(toy.proposal, SpanEdit)
    return replace(toy, proposal=replace(toy.proposal, mlm=model))


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


def case(toy: Toy, count: int, block: int = 1, scan: Scan = random_scan) -> Case:
    """A Gibbs sampler on a toy."""
    step = STEP if scan is systematic_scan else None
    return Case(
        toy,
        Gibbs(model_of(toy), count, block, scan),
        lambda: gibbs_matrix(toy, count, block, step),
        step=STEP,
    )


FROZEN = span_toy("abc", "a!bc", {(1, 1): 1.0}, forbidden=0.2, temperature=0.8)
PIECES = span_toy("abCD", "aC", {(1, 1): 1.0}, (0.6, 0.4), 3, forbidden=0.1)


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


def test_constructor_names_value_and_remedy() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    with pytest.raises(ValueError, match="candidates=1 must be at least 2"):
        Gibbs(model, 1)
    with pytest.raises(ValueError, match=r"candidates=3 must be at most 2"):
        Gibbs(model, 3).check(model.vocabulary.encode(["a"]))
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

TWINS: dict[str, Sampler[Any]] = {
    "old token forced into the candidates": PlainGibbs(MODEL, choose=old_forced_in),
    "old token and the likeliest other": PlainGibbs(MODEL, choose=old_and_the_likeliest_other),
    "candidates from the unmasked text": PlainGibbs(MODEL, masks=False),
    "an old token that is no candidate is replaced": PlainGibbs(MODEL, stays=False),
    "weights times the model's probability": PlainGibbs(MODEL, weigh=target_times_model),
}


CASE = replace(case(REPLACE, 2), twins=TWINS)
VARIANTS: dict[str, Case] = {
    "all tokens": case(PAIR, 3),
    "ties": case(tied(), 2),
    "forbidden texts": case(span_toy("abc", "ab", {(1, 1): 1.0}, forbidden=0.3, temperature=0.7), 2),
    "systematic scan": case(PAIR, 2, scan=systematic_scan),
    "frozen": case(FROZEN, 2),
    "frozen, systematic scan": case(FROZEN, 3, scan=systematic_scan),
    "many pieces": case(PIECES, 2),
    "more candidates than fit": case(PIECES, 3),
    "a word frozen by one piece": case(TOYS["a word frozen by one piece"], 2),
    "texts without sites": case(TOYS["insert and delete, frozen"], 2),
    "pairs": case(PAIR, 2, block=2),
    "pairs, frozen": case(span_toy("ab", "ab!aba", {(1, 1): 1.0}, max_length=5, forbidden=0.2), 2, block=2),
    "pairs, many pieces, systematic scan": case(PIECES, 2, block=2, scan=systematic_scan),
    "blocks of three": case(span_toy("ab", "abb", {(1, 1): 1.0}), 2, block=3),
}


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
