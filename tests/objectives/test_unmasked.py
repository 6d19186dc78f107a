"""Unmasked likelihood: the sum over a text's tokens of what a masked model says of each, all of them in sight."""

from __future__ import annotations

import pytest
import torch

from objectives import UnmaskedLikelihood
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from tests.objectives.test_pseudo_likelihood import one_by_one
from textsearch.objective import Cost
from textsearch.testing import letters


def test_the_sum_over_a_text_that_is_all_in_sight(tiny: Tiny) -> None:
    lm = tiny.masked()
    energy = UnmaskedLikelihood(lm).energy(lm.vocabulary.encode(TEXTS))
    wanted = torch.tensor([one_by_one(lm, text, masked=False) for text in TEXTS], dtype=torch.float64)
    torch.testing.assert_close(energy, wanted, atol=1e-4, rtol=0)
    assert energy[TEXTS.index("")] == 0


def test_masking_the_token_is_caught(tiny: Tiny) -> None:
    lm = tiny.masked()
    energy = UnmaskedLikelihood(lm).energy(lm.vocabulary.encode(["The old dog sat."]))
    assert abs(float(energy) - one_by_one(lm, "The old dog sat.", masked=True)) > 0.1


def test_each_text_costs_a_row(tiny: Tiny) -> None:
    lm = tiny.masked()
    batch = lm.vocabulary.encode(TEXTS)
    objective = UnmaskedLikelihood(lm)
    different = {tuple(row) for row in batch.token_lists() if row}
    for _ in range(2):
        objective.energy(batch)
        assert lm.usage.rows == len(different)
    assert objective.cost == Cost.MODEL


def test_another_vocabulary_is_refused(tiny: Tiny) -> None:
    lm = tiny.masked()
    with pytest.raises(ValueError, match="in its model's own tokens: use the same masked model in the sampler"):
        UnmaskedLikelihood(lm).check(letters("ab").encode(["a"]))
