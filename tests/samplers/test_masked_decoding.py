"""Masked decoding against the law of the mask, which is not the target's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from samplers import ImportanceSampling, MaskedDecoding, accepted_texts, importance_summary, tvd_and_acceptance
from samplers.proposals import FromLeft
from tests.reference import Floats
from tests.samplers.laws import Case
from tests.samplers.test_adaptive_rejection import SAMPLER, SPACE
from tests.samplers.test_masked_suffix import NARROW, RIGHT, MaskedSuffixLaw
from tests.samplers.toys import UnderLaw
from textsearch import generate
from textsearch.sampler import Guarantee
from textsearch.testing import TableCausalLM, letters

assert isinstance(SPACE.law, MaskedSuffixLaw)
DRAWN = np.array([SPACE.law.masked(state.tokens, 0) for state in SPACE.states]) * (SPACE.target > 0)
LM: Any = SAMPLER.lm


def matrix() -> Floats:
    """A text of the language by the mask's law; or nothing comes of it."""
    return np.asarray(DRAWN[None] + np.eye(len(DRAWN)) * (1 - DRAWN.sum()), dtype=np.float64)


CASE = Case(
    UnderLaw(SPACE, DRAWN / DRAWN.sum()),
    MaskedDecoding(LM, NARROW, "ab", max_length=3),
    matrix,
    {"exact draws, so the target's own law": SAMPLER},
    Guarantee.BIASED,
    steps=1,
)


def test_it_is_far_from_the_target_and_weights_tell_how_far() -> None:
    sampler = MaskedDecoding(LM, RIGHT, "ab", max_length=3)
    result = generate(SPACE.objective, sampler, [""], steps=100, seed=0, chains=40, temperature=SPACE.temperature)
    [found] = tvd_and_acceptance(result.recorded["draw log weights"], [30.0])
    assert found.tvd.value < 0.01  # below so high a bound all is refused alike: the target's own law
    law = np.array([SPACE.law.masked(state.tokens, 0) for state in SPACE.states])  # type: ignore[attr-defined]
    assert np.abs(law / law.sum() - SPACE.target).sum() / 2 > 0.1


def test_the_same_draws_with_weights_are_exact() -> None:
    proposal = FromLeft(LM, "ab", 1.0, 3, RIGHT, free=0.0)
    result = generate(
        SPACE.objective, ImportanceSampling(proposal), [""], steps=200, seed=0, chains=20,
        temperature=SPACE.temperature, thin=1,
    )  # fmt: skip
    [found] = importance_summary(result)
    exact = float(np.log(np.exp(-SPACE.energies / SPACE.temperature).sum()))
    assert abs(found.log_z.value - exact) < 4 * found.log_z.error


def test_a_mask_without_a_way_on_keeps_the_text() -> None:
    lm = TableCausalLM.random(letters("ab"), seed=0)
    result = generate(RIGHT, MaskedDecoding(lm, RIGHT, max_length=1), ["ba"], steps=40, seed=0, thin=1)
    assert set(accepted_texts(result)[0]) <= {"a", "ba"}
    with pytest.raises(TypeError, match=r"constraint=None is not an objective"):
        MaskedDecoding(lm, None)  # type: ignore[arg-type]
