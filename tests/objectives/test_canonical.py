"""Spelling: the law over texts, by enumeration, in a vocabulary that can spell some of them in two ways."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from objectives import Canonical
from samplers import Cycle, Gibbs, MetropolisHastings, MultipleTry, ParallelTempering
from samplers.proposals import BlockInfill, Copy, InsertDelete, LocallyBalanced, Replace
from tests.objectives.laws import PieceVocabulary
from tests.samplers.laws import chi_square
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch
from textsearch.objective import Objective, evaluate
from textsearch.rng import Rng
from textsearch.sampler import Sampler
from textsearch.spelling import canonical
from textsearch.testing import LawBroken, TableMaskedLM, check_sampler


@dataclass(frozen=True, eq=False)
class Careless:
    """The broken twin of a vocabulary: it says that no text has two spellings."""

    vocabulary: Any
    one_spelling = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.vocabulary, name)

    def encode(self, texts: Any) -> Batch:
        batch: Batch = self.vocabulary.encode(texts)
        return replace(batch, vocabulary=self)


VOCABULARY: Any = PieceVocabulary(("[MASK]", "a", "b", "ab", "##b"))
TEXTS = ["", "a", "b", "ab", "bb", "abb", "a a", "a b", "b a", "b b", "ab a", "ab b", "a ab", "b ab", "ab ab"]
"""All of two tokens at most. "ab" is one token, or two."""
ENERGIES = {text: 0.9 * math.sin(5.0 * place) for place, text in enumerate(TEXTS)}
ON_TEXTS = FunctionObjective(lambda texts: [ENERGIES[text] for text in texts], name="table")


def samplers(vocabulary: Any) -> dict[str, Sampler[Any]]:
    """Of every family that can write several pieces, in the given vocabulary."""
    model = TableMaskedLM.random(vocabulary, seed=1)
    edits = InsertDelete(model, pieces=(0.5, 0.5), max_length=2)
    return {
        "moves": Cycle([MetropolisHastings(Replace(model, max_length=2)), MetropolisHastings(edits)]),
        "tries, and Gibbs": Cycle(
            [
                MultipleTry(edits, 2),
                Gibbs(model, 2),
                MetropolisHastings(BlockInfill(model, words=(1,), pieces=(0.5, 0.5), max_length=2)),
            ]
        ),
        "copies": MetropolisHastings(Copy(model, "ab b a", pieces=(0.5, 0.5), max_length=2)),
        "informed, and edits": Cycle([MetropolisHastings(LocallyBalanced(model)), MetropolisHastings(edits)]),
        "rungs": ParallelTempering(MetropolisHastings(edits), (1.0, 2.0)),
    }


SAMPLERS, TWINS = samplers(VOCABULARY), samplers(Careless(VOCABULARY))


def p_value(sampler: Sampler[Any], objective: Objective, steps: int = 6) -> float:
    """Of the law over texts, of chains that start on it."""
    law = np.exp(-np.array(list(ENERGIES.values())))
    law /= law.sum()
    starts = np.random.default_rng(0).choice(len(law), 6_000, p=law)
    with torch.inference_mode():
        state = sampler.init(objective, sampler.vocabulary.encode(TEXTS).rows(torch.from_numpy(starts)))
        for step in range(steps):
            state, _ = sampler.step(objective, state, Rng.start(4, len(starts)).at(step))
    return chi_square(np.array([TEXTS.index(text) for text in state.batch.texts()]), law)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_text_of_two_spellings_has_the_share_of_one(name: str) -> None:
    assert p_value(SAMPLERS[name], ON_TEXTS) > 1e-4
    # the twin: it weighs twice
    assert p_value(TWINS[name], ON_TEXTS, 14) < 1e-9
    # said by a term instead
    if name == "moves":
        assert p_value(TWINS[name], ON_TEXTS + Canonical()) > 1e-4


def test_the_laws_are_those_of_texts() -> None:
    sampler, twin = SAMPLERS["moves"], TWINS["moves"]
    check_sampler(sampler, TEXTS, chains=3_000)
    with pytest.raises(LawBroken, match=r"a chain came to '.*', which is not listed"):
        check_sampler(twin, TEXTS, chains=3_000)
    other = VOCABULARY.encode(["a", "a b"]).with_tokens(torch.tensor([0, 1]), torch.tensor([1, 4]))
    with pytest.raises(ValueError, match="'ab' is listed in another spelling than its vocabulary's"):
        check_sampler(sampler, other)


def test_another_spelling_costs_no_energy() -> None:
    asked: list[str] = []

    def energies(texts: list[str]) -> list[float]:
        asked.extend(texts)
        return [0.0] * len(texts)

    own = FunctionObjective(energies, name="own")
    batch = VOCABULARY.encode(["a b", "ab"])
    other = batch.with_tokens(torch.tensor([1, 0]), torch.tensor([4, 3]))
    assert other.texts() == ["ab", "ab"]
    found = evaluate(own, other.rows([0, 1, 0]))
    assert found.energy.tolist() == [math.inf, 0.0, math.inf]
    assert asked == ["ab"]
    assert canonical(other).tolist() == [False, True]
    # the sum of terms is of the text, whoever asks for it
    assert (own + own).energy(other).tolist() == [0.0, 0.0]


def test_a_start_in_another_spelling_is_refused() -> None:
    batch = VOCABULARY.encode(["a b"])
    other = batch.with_tokens(torch.tensor([1]), torch.tensor([4]))
    with pytest.raises(ValueError, match="row 0 spells 'ab' in other tokens than its vocabulary does"):
        generate(ON_TEXTS, SAMPLERS["moves"], other, steps=1, seed=0)


def test_what_the_vocabulary_cannot_write_is_no_text() -> None:
    class Strict(PieceVocabulary):  # type: ignore[misc]
        def encode(self, texts: Any) -> Any:
            if "abb" in texts:
                raise ValueError("no pieces")
            return super().encode(texts)

    strict: Any = Strict(VOCABULARY.pieces)
    batch = super(Strict, strict).encode(["ab", "abb", "a b"])
    assert Canonical().energy(batch).tolist() == [0.0, math.inf, 0.0]
    assert canonical(batch).tolist() == [True, False, True]
    assert Canonical().energy(batch.rows([])).tolist() == []
