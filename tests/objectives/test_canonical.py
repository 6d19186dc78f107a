"""Canonical rows: the law over texts, by enumeration, with the term and without it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from objectives import Canonical
from samplers import Cycle, Gibbs, MetropolisHastings, MultipleTry
from samplers.proposals import BlockInfill, InsertDelete, Replace
from tests.objectives.laws import PieceVocabulary
from tests.samplers.laws import chi_square
from textsearch import FunctionObjective, generate
from textsearch.objective import Objective
from textsearch.rng import Rng
from textsearch.sampler import Sampler
from textsearch.testing import TableMaskedLM

VOCABULARY: Any = PieceVocabulary(("[MASK]", "a", "b", "ab", "##b"))
MODEL = TableMaskedLM.random(VOCABULARY, seed=1)
TEXTS = ["", "a", "b", "ab", "bb", "abb", "a a", "a b", "b a", "b b", "ab a", "ab b", "a ab", "b ab", "ab ab"]
"""All of two tokens at most. "ab" is one token, or two."""
ENERGIES = {text: 0.9 * math.sin(5.0 * place) for place, text in enumerate(TEXTS)}
ON_TEXTS = FunctionObjective(lambda texts: [ENERGIES[text] for text in texts], name="table")

SAMPLERS: dict[str, Sampler[Any]] = {
    "moves": Cycle(
        [MetropolisHastings(Replace(MODEL, max_length=2)), MetropolisHastings(InsertDelete(MODEL, max_length=2))]
    ),
    "tries, and Gibbs": Cycle(
        [
            MultipleTry(InsertDelete(MODEL, pieces=(0.5, 0.5), max_length=2), 2),
            Gibbs(MODEL, 2),
            MetropolisHastings(BlockInfill(MODEL, words=(1,), pieces=(0.5, 0.5), max_length=2)),
        ]
    ),
}


def p_value(sampler: Sampler[Any], objective: Objective) -> float:
    """Of the law over texts, of chains that start on it."""
    law = np.exp(-np.array(list(ENERGIES.values())))
    law /= law.sum()
    starts = np.random.default_rng(0).choice(len(law), 6_000, p=law)
    with torch.inference_mode():
        state = sampler.init(objective, VOCABULARY.encode(TEXTS).rows(torch.from_numpy(starts)))
        for step in range(6):
            state, _ = sampler.step(objective, state, Rng.start(4, len(starts)).at(step))
    return chi_square(np.array([TEXTS.index(text) for text in state.batch.texts()]), law)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_a_text_of_two_spellings_has_the_share_of_one(sampler: Sampler[Any]) -> None:
    assert p_value(sampler, ON_TEXTS + Canonical()) > 1e-4
    # the twin: it weighs twice
    assert p_value(sampler, ON_TEXTS) < 1e-9


def test_a_start_in_another_spelling_is_refused() -> None:
    batch = VOCABULARY.encode(["a b"])
    other = batch.with_tokens(torch.tensor([1]), torch.tensor([4]))
    assert other.texts() == ["ab"]
    with pytest.raises(ValueError, match="1 of 1 starting texts are forbidden, the first by canonical: 'ab'"):
        generate(ON_TEXTS + Canonical(), SAMPLERS["moves"], other, steps=1, seed=0)


def test_what_the_vocabulary_cannot_write_is_no_text() -> None:
    class Strict(PieceVocabulary):  # type: ignore[misc]
        def encode(self, texts: Any) -> Any:
            if "abb" in texts:
                raise ValueError("no pieces")
            return super().encode(texts)

    strict: Any = Strict(VOCABULARY.pieces)
    batch = super(Strict, strict).encode(["ab", "abb", "a b"])
    assert Canonical().energy(batch).tolist() == [0.0, math.inf, 0.0]
    assert Canonical().energy(batch.rows([])).tolist() == []
