"""The log-probability of a word at every place of a text is what one place after another gives."""

from __future__ import annotations

import math

import pytest
import torch

from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch.models.reading.insertions import next_at_places

TEXTS = ["the old dog", "", "cat", "the cat sat and the old dog ran"]


@pytest.mark.parametrize("prompt", ["", "dog", "the old red cat"])
def test_place_by_place(tiny: Tiny, prompt: str) -> None:
    lm = tiny.words()
    batch = lm.vocabulary.encode(TEXTS)
    wanted = [[1, 4], [2], [3, 5, 7], [8]]
    found = next_at_places(lm, batch, wanted, [prompt] * 4)
    assert found.shape == (4, batch.width + 1, 3)
    for row, text in enumerate(TEXTS):
        words = text.split()
        for place in range(len(words) + 1):
            alone = lm.next_log_probs([" ".join(words[:place])], prompt)[0, wanted[row]].double()
            torch.testing.assert_close(found[row, place, : len(wanted[row])], alone, atol=1e-5, rtol=0)
        assert bool((found[row, len(words) + 1 :] == -math.inf).all())
        assert bool((found[row, :, len(wanted[row]) :] == -math.inf).all())


def test_neither_order_nor_company_matters(tiny: Tiny) -> None:
    lm = tiny.words()
    batch, wanted = lm.vocabulary.encode(TEXTS), [[1, 4], [2], [3, 5, 7], [8]]
    whole = next_at_places(lm, batch, wanted, ["dog"] * 4)
    for row in range(4):
        alone = next_at_places(lm, batch.rows([row]), [wanted[row]], ["dog"])
        assert alone[0, :, : len(wanted[row])].equal(whole[row, :, : len(wanted[row])])
