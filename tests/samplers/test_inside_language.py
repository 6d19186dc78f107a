"""Edits of a masked model inside a language: what leaves it is refused before a model reads it, hints find the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np
import pytest
import torch
from torch import Tensor

from objectives import Choices
from samplers import DelayedAcceptance, Gibbs, MetropolisHastings, MultipleTry
from samplers.proposals import BlockInfill, Edits, InsertDelete, LocallyBalanced, Replace, SpanEdit, Swap
from samplers.proposals.usual import TABLE
from tests import reference
from tests.reference import Floats
from tests.samplers.laws import Case
from tests.samplers.toys import Toy
from textsearch import generate
from textsearch.batch import Batch, Vocabulary
from textsearch.models.constrained import ConstrainedMaskedLM
from textsearch.models.protocols import MaskedLM
from textsearch.objective import Cost, Objective
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng
from textsearch.sampler import Sampler
from textsearch.testing import ByteVocabulary, TableMaskedLM, check_allowed, letters

PENALTY = 2.5
LETTERS = letters("ab")
TEXTS = ["", "a", "ab", "ba", "bb", "aba", "abb", "bba"]
LANGUAGE = Choices(TEXTS)
MODEL = TableMaskedLM.random(LETTERS, seed=0)
EVERY = [tuple(row) for row in LETTERS.encode(TEXTS).token_lists()]


@dataclass
class WithinLanguage(reference.Language):
    """A token that makes the row none of the language, whatever stands for masks, has e^-PENALTY of its probability."""

    def conditional(self, tokens: tuple[int, ...], place: int) -> Floats:
        law = super().conditional(tokens, place).copy()
        fitting = {
            text[place]
            for text in EVERY
            if len(text) == len(tokens)
            and all(
                at == place or here in (reference.MASK, there)
                for at, (here, there) in enumerate(zip(tokens, text, strict=True))
            )
        }
        law[[token not in fitting for token in range(len(law))]] *= math.exp(-PENALTY)
        return np.asarray(law / law.sum(), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class LanguageToy(Toy):
    """All texts of a length, of which those outside of the language are forbidden by a term that is no table."""

    @cached_property
    def energies(self) -> Floats:
        rng, inside = np.random.default_rng(4), set(EVERY)
        return np.array([0.9 * rng.normal() if state.tokens in inside else math.inf for state in self.states])

    @cached_property
    def objective(self) -> Objective:
        return LANGUAGE + self.table(np.where(np.isinf(self.energies), 0.0, self.energies))


def proposal(penalty: float) -> SpanEdit:
    return SpanEdit(ConstrainedMaskedLM(MODEL, LANGUAGE, penalty), TABLE, (1.0,), max_length=3)


TOY = LanguageToy(
    proposal(PENALTY),
    reference.SpanEditLaw(
        WithinLanguage(MODEL.table.numpy(), MODEL.by_length.numpy(), LETTERS.continues.tolist()), TABLE, (1.0,), 3
    ),
    LETTERS,
    "ab",
)


@dataclass(frozen=True, eq=False)
class HintOneWay:
    """A broken twin: the hint decides what is drawn, and the way back is priced without it."""

    informed: SpanEdit
    plain: SpanEdit

    @property
    def vocabulary(self) -> Vocabulary:
        return self.plain.vocabulary

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.plain.kinds

    def check(self, batch: Batch) -> None:
        self.plain.check(batch)

    def propose(self, batch: Batch, rng: Rng) -> Move:
        # the same place and the same old words: they are priced in a context without the new ones
        move, plain = self.informed.propose(batch, rng), self.plain.propose(batch, rng)
        return replace(move, log_backward=plain.log_backward)


CASE = Case(
    TOY,
    MetropolisHastings(TOY.proposal),
    lambda: TOY.chain.matrix,
    {"the way back priced without the hint": MetropolisHastings(HintOneWay(proposal(PENALTY), proposal(1e-9)))},
    steps=4,
)


@final
@dataclass(frozen=True, eq=False)
class Reads(Objective):
    """A language model that remembers what it was asked to read."""

    texts: list[str]

    @property
    def cost(self) -> Cost:
        return Cost.MODEL

    def energy(self, batch: Batch) -> Tensor:
        self.texts.extend(batch.texts())
        return 0.3 * batch.lengths.double()


MOVES: dict[str, Proposal] = {
    "replace": Replace(MODEL, max_length=4),
    "insert and delete": InsertDelete(MODEL, max_length=4),
    "infill": BlockInfill(MODEL, words=(2,), max_length=4),
    "swap": Swap(LETTERS),
    "usual edits": Edits(MODEL, max_length=4),
    "informed": proposal(12.0),
    "balanced": LocallyBalanced(MODEL),
}


SAMPLERS: dict[str, Sampler[Any]] = {
    **{name: MetropolisHastings(move) for name, move in MOVES.items()},
    "multiple try": MultipleTry(MOVES["usual edits"], 3),
    "delayed acceptance": DelayedAcceptance(MOVES["usual edits"], Reads([])),
    "gibbs": Gibbs(MODEL, 2),
}


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_what_leaves_the_language_is_refused_before_a_model_reads_it(sampler: Sampler[Any]) -> None:
    read: list[str] = []
    result = generate(LANGUAGE + Reads(read), sampler, ["ab", "bba"], steps=12, seed=0, chains=8, thin=1)
    assert {text for texts in result.samples for text in texts} <= set(TEXTS)
    assert len(set(read)) > 2
    assert set(read) <= set(TEXTS)
    # the control: without the language the same moves are read outside of it
    free: list[str] = []
    generate(Reads(free), sampler, ["ab", "bba"], steps=12, seed=0, chains=8)
    assert not set(free) <= set(TEXTS)


def test_hints_of_choices_see_the_other_tokens_and_forbid_nothing_that_fits() -> None:
    report = check_allowed(LANGUAGE, LETTERS.encode([text for text in TEXTS if text] + ["bab", "aa", "b"]))
    assert len(report.laws) == 5
    per_input = Choices([["ab", "bb"], ["aba", "abb"]])
    batch = LETTERS.encode(["ab", "ba", "abb", "a__"])
    check_allowed(per_input, replace(batch, inputs=torch.tensor([0, 0, 1, 1])))


def test_hints_of_choices_are_exact() -> None:
    pieces = ByteVocabulary((b"_", b"a", b"b", b"ab"))
    texts = ["aab", "bab", "bb", "ab"]
    batch = pieces.encode(["aab", "ab", "bb"])  # "a", "ab"; "ab"; "b", "b"
    rows, places = batch.present.nonzero(as_tuple=True)
    found = Choices(texts).allowed(replace(batch, inputs=torch.zeros(3, dtype=torch.int64)), rows, places)
    fits = [{i for i, fit in enumerate(row) if fit} for row in found.tolist()]
    assert fits == [{1, 2}, {3}, {3}, {2}, {2, 3}]


def test_informed_edits_stay_inside_more_often() -> None:
    def inside(mlm: MaskedLM) -> float:
        moves = SpanEdit(mlm, {(1, 1): 0.5, (0, 1): 0.25, (1, 0): 0.25}, (1.0,), max_length=3)
        move = moves.propose(LETTERS.encode(TEXTS * 100), Rng.start(0, 100 * len(TEXTS)))
        real = move.log_backward > -math.inf
        return float((LANGUAGE.energy(move.batch)[real] == 0).double().mean())

    plain, informed = inside(MODEL), inside(ConstrainedMaskedLM(MODEL, LANGUAGE))
    assert informed > plain + 0.1
