"""Masked-LM resampling: its law is that of the raw conditionals, and not the target's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from samplers.masked_resampling import MaskedResampling
from samplers.metropolis_hastings import MetropolisHastings
from samplers.proposals import SpanEdit
from tests.reference import MASK, Floats, State
from tests.samplers.laws import FAULT, Case, chi_square, fault_p_value, run_from_target
from tests.samplers.toys import TOYS, Toy, UnderLaw, language_of, span_toy
from textsearch.objective import FunctionObjective
from textsearch.rng import Rng
from textsearch.sampler import Guarantee
from textsearch.testing import TableMaskedLM, letters


def model_of(toy: Toy) -> TableMaskedLM:
    assert isinstance(toy.proposal, SpanEdit)
    assert isinstance(toy.proposal.mlm, TableMaskedLM)
    return toy.proposal.mlm


def resampling_matrix(toy: Toy, top_k: int | None) -> Floats:
    """(S, S) of the raw conditionals at a random place."""
    language = language_of(model_of(toy))
    number = {state: i for i, state in enumerate(toy.states)}
    matrix = np.zeros((len(toy.states), len(toy.states)))
    for i, state in enumerate(toy.states):
        words, free = language.words(state), language.free(state)
        marks = [is_free for word, is_free in zip(words, free, strict=True) for _ in word]
        places = [place for place, is_free in enumerate(marks) if is_free]
        if not places:
            matrix[i, i] = 1.0
        for place in places:
            before, old, after = state.tokens[:place], state.tokens[place], state.tokens[place + 1 :]
            law = language.conditional((*before, MASK, *after), place)
            fits = language.fits(begins=not language.continues[old])
            fits = sorted(fits, key=lambda token, law=law: (-law[token], token))[:top_k]  # type: ignore[misc]
            for token in fits:
                j = number[State((*before, token, *after), state.frozen)]
                matrix[i, j] += law[token] / sum(law[fits]) / len(places)
    return matrix


def long_run(matrix: Floats) -> Floats:
    """(S,) the law that chains from everywhere come to."""
    return np.asarray(np.linalg.matrix_power(matrix, 1000).mean(0), dtype=np.float64)


def case(toy: Toy, top_k: int | None = None) -> Case:
    """A resampler on a toy, held against the law of its own."""
    matrix = resampling_matrix(toy, top_k)
    return Case(
        UnderLaw(toy, long_run(matrix)),
        MaskedResampling(model_of(toy), top_k=top_k),
        lambda: matrix,
        guarantee=Guarantee.BIASED,
        reversible=False,
    )


CASE = replace(
    case(TOYS["replace"]),
    twins={"the energy has a say": MetropolisHastings(TOYS["replace"].proposal)},
)
VARIANTS: dict[str, Case] = {
    "two of three tokens": case(TOYS["replace"], 2),
    "forbidden texts": case(TOYS["replace, forbidden texts"]),
    "frozen": case(span_toy("abc", "a!bc", {(1, 1): 1.0}), 2),
    "many pieces": case(span_toy("abCD", "aC", {(1, 1): 1.0}, (0.6, 0.4), 3)),
    "more than fit": case(span_toy("abCD", "aC", {(1, 1): 1.0}, (0.6, 0.4), 3), 3),
    "a word frozen by one piece": case(TOYS["a word frozen by one piece"]),
    "texts without sites": case(TOYS["insert and delete, frozen"]),
}


def test_the_law_in_the_long_run_is_that_of_the_matrix_and_far_from_the_target() -> None:
    """Negative control: what is always kept does not follow the energy."""
    toy = TOYS["replace"]
    matrix = resampling_matrix(toy, None)
    law = np.linalg.matrix_power(matrix, 1000)[0]
    np.testing.assert_allclose(law @ matrix, law, atol=1e-12)
    ends = run_from_target(toy, MaskedResampling(model_of(toy)), steps=30, chains=5000)
    assert chi_square(ends, law) > 1e-4
    assert chi_square(ends, toy.target) < 1e-9
    assert np.abs(law - toy.target).sum() / 2 > 0.2
    assert fault_p_value(toy, MaskedResampling(model_of(toy)), steps=3) < FAULT


def test_the_conditionals_are_those_of_no_joint_law() -> None:
    """The order of visits matters to the law in the long run, as it cannot where a joint law exists."""
    toy = span_toy("abc", "ab", {(1, 1): 1.0})
    matrix = resampling_matrix(toy, None)
    law = np.linalg.matrix_power(matrix, 1000)[0]
    flow = law[:, None] * matrix
    assert np.abs(flow - flow.T).max() > 1e-3


def test_neither_objective_nor_temperature_has_a_say() -> None:
    vocabulary = letters("abC")
    sampler = MaskedResampling(TableMaskedLM.random(vocabulary, seed=0))
    batch = vocabulary.encode(["abC", "bb", ""]).repeat(20)
    forbid_b = FunctionObjective(lambda texts: [math.inf if "b" in text else 0.0 for text in texts], name="no b")
    length = FunctionObjective(lambda texts: [len(text) for text in texts], name="length")
    rng = Rng.start(3, len(batch))
    one, _ = sampler.step(forbid_b, sampler.init(forbid_b, batch), rng, 0.1)
    other, _ = sampler.step(length, sampler.init(length, batch), rng, torch.full((60,), 5.0))
    assert one.batch.token_lists() == other.batch.token_lists()
    assert not one.evaluation.energy.isnan().any()
    assert (one.evaluation.energy == math.inf).any()


def test_constructor_names_value_and_remedy() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    for top_k in (0, 3):
        with pytest.raises(ValueError, match=f"top_k={top_k} must be at (least 1|most 2)"):
            MaskedResampling(model, top_k=top_k).check(model.vocabulary.encode(["a"]))
    assert MaskedResampling(model).guarantee == Guarantee.BIASED
    assert MaskedResampling(model).kinds == ("resample",)
