"""Texts of masks, and masked-LM resampling from there: burn-in, scans, and what a text with masks is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from samplers import Gibbs, MaskedResampling, systematic_scan
from samplers.starts.masks import all_masks, random_lengths
from tests.reference import MASK, Floats
from tests.samplers.laws import chi_square
from tests.samplers.toys import language_of
from textsearch import FunctionObjective, generate
from textsearch.rng import Rng
from textsearch.testing import TableMaskedLM, letters

VOCABULARY = letters("abC")
MODEL = TableMaskedLM.random(VOCABULARY, seed=3)
LENGTH = FunctionObjective(lambda texts: [len(text) for text in texts], name="length")


def test_texts_are_masks_of_the_lengths_and_may_be_written() -> None:
    batch = all_masks(VOCABULARY, [2, 1, 4])
    assert batch.texts() == ["__", "_", "____"]
    assert (batch.editable == batch.present).all()
    assert batch.inputs.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"lengths\[1\]=0 must be at least 1 token"):
        all_masks(VOCABULARY, [2, 0])


def test_lengths_are_uniform_and_each_is_its_own() -> None:
    lengths = random_lengths(6000, 3, 7, seed=1)
    assert chi_square(np.array(lengths) - 3, np.full(5, 0.2)) > 1e-4
    assert random_lengths(10, 3, 7, seed=1) == lengths[:10]
    assert random_lengths(10, 3, 7, seed=2) != lengths[:10]
    assert random_lengths(4, 3, 3, seed=2) == [3] * 4
    for wrong in ((0, 4), (5, 4)):
        with pytest.raises(ValueError, match=f"shortest={wrong[0]}"):
            random_lengths(2, *wrong, seed=0)


def test_lengths_are_not_those_numbers_that_a_run_draws() -> None:
    """Else short texts would all be written from the left."""
    lengths = (np.array(random_lengths(500, 1, 1000, seed=4)) - 1) / 1000
    assert np.abs(lengths - Rng.start(4, 500).uniform(0).numpy()).mean() > 0.25


def fill_law(top_k: int | None) -> Floats:
    """(4,) law of the texts "aa", "ab", "ba", "bb" that come of two masks written from left to right."""
    language, law = language_of(MODEL), []

    def chance(tokens: tuple[int, ...], place: int) -> Floats:
        # what takes the place of a mask begins a word
        fits = language.fits(begins=True)
        weights = language.conditional(tokens, place)
        best = sorted(fits, key=lambda token: -weights[token])[:top_k]
        kept = np.array([weights[token] if token in best else 0.0 for token in range(len(weights))])
        return np.asarray(kept / kept.sum(), dtype=np.float64)

    for first in (1, 2):
        law += list(chance((MASK, MASK), 0)[first] * chance((first, MASK), 1)[[1, 2]])
    return np.array(law)


def fills(sampler: MaskedResampling, first_step: int = 0) -> list[int]:
    """The numbers of the texts after two steps from two masks, 5,000 times."""
    state = sampler.init(LENGTH, all_masks(VOCABULARY, [2] * 5000))
    for step in (first_step, first_step + 1):
        state, _ = sampler.step(LENGTH, state, Rng.start(7, 5000).at(step))
    return [["aa", "ab", "ba", "bb"].index(text) for text in state.batch.texts()]


@pytest.mark.parametrize(
    ("top_k", "burn_in", "first_step", "law"),
    [(None, 0, 0, None), (1, 2, 0, None), (1, 0, 0, 1), (1, 2, 2, 1)],
    ids=["all tokens", "during burn-in", "no burn-in", "after burn-in"],
)
def test_masks_are_filled_with_the_conditionals_from_left_to_right(
    top_k: int | None, burn_in: int, first_step: int, law: int | None
) -> None:
    written = fills(MaskedResampling(MODEL, top_k, burn_in, systematic_scan), first_step)
    assert chi_square(np.array(written), fill_law(law)) > 1e-4


def test_a_burn_in_that_is_left_out_is_caught() -> None:
    """The control: the likeliest tokens from the first step on have another law."""
    written = fills(MaskedResampling(MODEL, 1, 0, systematic_scan))
    assert chi_square(np.array(written), fill_law(None)) < 1e-9


def test_a_random_order_comes_to_all_masks() -> None:
    result = generate(LENGTH, MaskedResampling(MODEL), all_masks(VOCABULARY, [3] * 50), steps=40, seed=0)
    assert {len(text) for text in result.texts} == {3}
    assert not any("_" in text or "C" in text for text in result.texts)


def test_a_text_with_masks_is_no_text_yet() -> None:
    """Its energy is +inf, no objective sees it, and it is never the best."""
    seen: list[str] = []

    def worth(texts: list[str]) -> list[float]:
        seen.extend(texts)
        return [float(text.count("a")) for text in texts]

    sampler = MaskedResampling(MODEL, scan=systematic_scan)
    result = generate(FunctionObjective(worth, name="a"), sampler, all_masks(VOCABULARY, [3] * 8), steps=9, seed=0)
    assert (result.trace[:2] == math.inf).all()
    assert (result.trace[2:] < math.inf).all()
    assert not any("_" in text for text in seen)
    assert not any("_" in text for text in result.best_texts)
    assert result.best_energies.tolist() == result.trace.min(0).tolist()


def test_chains_from_masks_do_not_depend_on_the_rest_of_the_batch() -> None:
    batch, rng = all_masks(VOCABULARY, random_lengths(40, 2, 6, seed=0)), Rng.start(2, 40)
    sampler = MaskedResampling(MODEL, 2, 3)

    def run(rows: list[int], width: int = 0) -> list[list[int]]:
        state = sampler.init(LENGTH, batch.rows(rows).widen(width))
        for step in range(6):
            state, _ = sampler.step(LENGTH, state, rng.rows(rows).at(step))
        return state.batch.token_lists()

    whole = run(list(range(40)))
    for rows in ([3], [7, 1, 30, 22]):
        assert run(rows) == [whole[row] for row in rows]
    assert run(list(range(40)), width=11) == whole


def test_other_samplers_may_go_on_from_there() -> None:
    from_left = MaskedResampling(MODEL, scan=systematic_scan)
    written = generate(LENGTH, from_left, all_masks(VOCABULARY, [3] * 4), steps=3, seed=0)
    result = generate(LENGTH, Gibbs(MODEL, 2), written.batch, steps=3, seed=1)
    assert (result.energies == 3).all()


def test_constructor_names_value_and_remedy() -> None:
    with pytest.raises(ValueError, match="burn_in=-1 must be at least 0 steps"):
        MaskedResampling(MODEL, 2, -1)
    with pytest.raises(ValueError, match="burn_in=5 changes nothing without top_k"):
        MaskedResampling(MODEL, burn_in=5)
    assert torch.equal(MODEL.vocabulary.allowed, torch.tensor([False, True, True, True]))
