"""Descents: a local minimum over the likeliest edits, whatever stands beside a text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from samplers.proposals import Clusters, Corrections
from textsearch import FunctionObjective
from textsearch.batch import Batch
from textsearch.language.confusions import ListedConfusions
from textsearch.objective import Objective, evaluate
from textsearch.tasks.descending import descended
from textsearch.testing import TableMaskedLM, letters

ROWS = [["a", "b", "a"], ["b", "c"], ["c", "c", "a", "b"], ["a"]]
LISTED = ListedConfusions(
    {"a": {"ab": "spelling", "c": "confusion"}, "b": {"a": "confusion"}, "c": {"b": "spelling", "a": "confusion"}},
    inserted=("b", "a"),
)
MOVES = Corrections(TableMaskedLM.random(letters("abc"), seed=3), Clusters.of(ROWS, LISTED))
START = MOVES.vocabulary.batch(ROWS)
ALL = 1000
"""More than a text has edits."""


def priced(texts: Sequence[str]) -> list[float]:
    """Rough energies: no two texts of these lengths are alike to the last digit."""
    return [sum(1.7 * (hash_of(text[at:]) % 97) / 97 for at in range(len(text))) for text in texts]


def hash_of(text: str) -> int:
    value = 7
    for letter in text:
        value = (value * 31 + ord(letter)) % 10_007
    return value


ENERGY: Objective = FunctionObjective(priced, name="rough") + 0.1 * FunctionObjective(
    lambda texts: [abs(6.0 - len(text)) for text in texts], name="six letters"
)


def by_hand(one: Batch, count: int, most: int) -> str:
    """The same for one text, edit by edit."""
    energy = float(evaluate(ENERGY, one).energy)
    for _ in range(most):
        near, _ = MOVES.likeliest(one, count)
        lowest = evaluate(ENERGY, near).energy
        if not float(lowest.min()) < energy:
            break
        energy, one = float(lowest.min()), near.rows([int(lowest.argmin())])
    return one.texts()[0]


@pytest.mark.parametrize(("count", "most"), [(1, 3), (4, 2), (4, 20), (ALL, 20)])
def test_each_text_goes_its_own_way(count: int, most: int) -> None:
    found = descended(ENERGY, START, MOVES, count, most)
    assert found.texts() == [by_hand(START.rows([row]), count, most) for row in range(len(ROWS))]
    assert bool((evaluate(ENERGY, found).energy <= evaluate(ENERGY, START).energy).all())
    assert found.inputs.tolist() == START.inputs.tolist()


def left(found: Batch) -> float:
    """By how many nats the best edit of any text would lower its energy."""
    near, owner = MOVES.likeliest(found, ALL)
    return float((evaluate(ENERGY, found).energy[owner] - evaluate(ENERGY, near).energy).max())


def test_no_edit_is_left_that_lowers_the_energy() -> None:
    assert left(descended(ENERGY, START, MOVES, ALL, 50)) <= 0.0
    # the controls: one edit only, and only the likeliest
    assert left(descended(ENERGY, START, MOVES, ALL, 1)) > 0.0
    assert left(descended(ENERGY, START, MOVES, 1, 50)) > 0.0


def test_the_likeliest_edits_are_the_proposals_own() -> None:
    near, owner = MOVES.likeliest(START, ALL)
    for row in range(len(ROWS)):
        alone, _ = MOVES.likeliest(START.rows([row]), 3)
        own = [text for text, at in zip(near.texts(), owner.tolist(), strict=True) if at == row]
        assert alone.texts() == own[:3]
        assert START.texts()[row] not in own


def test_words_that_stay_are_not_edited() -> None:
    kept = START.frozen(torch.ones_like(START.editable))
    found = descended(ENERGY, kept, MOVES, ALL, 5).texts()
    assert found != START.texts(), "words may be put in"
    for text, own in zip(found, ROWS, strict=True):
        words = iter(text.split())
        assert all(word in words for word in own), "in their order"
