"""Coherence: what a context says of a text."""

from __future__ import annotations

import pytest
import torch

from objectives import Coherence
from tests.models.tiny import TEXTS, Tiny
from tests.models.tiny import tiny as tiny
from textsearch.objective import Cost
from textsearch.testing import check_objective

CONTEXTS = ["The dog ran.", "It was hot in London.", "No!"]


def test_the_laws_hold(tiny: Tiny) -> None:
    batch = tiny.masked().vocabulary.encode(TEXTS)
    lm = tiny.causal()
    for information in (True, False):
        check_objective(Coherence(lm, CONTEXTS[0], information=information), batch)
    check_objective(Coherence(lm, [CONTEXTS[i % 3] for i in range(len(TEXTS))]), batch)


def test_it_is_the_mutual_information(tiny: Tiny) -> None:
    batch = tiny.masked().vocabulary.encode(TEXTS)
    lm = tiny.causal()
    for context in CONTEXTS:
        given, alone = lm.score(batch, context + "\n").log_prob, lm.score(batch).log_prob
        torch.testing.assert_close(Coherence(lm, context).energy(batch), alone - given)
        torch.testing.assert_close(Coherence(lm, context, information=False).energy(batch), -given)
    # the control: another context says something else
    one, other = (Coherence(lm, context).energy(batch) for context in CONTEXTS[:2])
    assert not torch.allclose(one, other)


def test_costs_and_wrong_values(tiny: Tiny) -> None:
    lm = tiny.causal()
    assert Coherence(lm, "a").cost == Cost.HEAVY
    assert Coherence(lm, "a", information=False).cost == Cost.MODEL
    with pytest.raises(ValueError, match="says nothing in places"):
        Coherence(lm, ["a", " "])
