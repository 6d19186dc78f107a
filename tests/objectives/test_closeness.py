from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from objectives import Closeness
from textsearch.batch import Batch
from textsearch.objective import Cost, Objective
from textsearch.testing import check_objective, letters

LETTERS = letters("abc")
TEXTS = ["", "a", "ab", "ba", "abc", "cab", "abab", "ccc"]


def cost(old: str | None, new: str | None) -> float:
    """Uneven on purpose: a symmetric one could not tell an edit from its reverse."""
    if old is None:
        return 0.25 + ord(new or "a") % 3
    return 1.5 if new is None else 0.5 + (ord(old) - ord(new)) % 5


def reference(old: str, new: str) -> float:
    """The definition, without a table: the best first edit and what remains."""
    if not old or not new:
        return sum(cost(a, None) for a in old) + sum(cost(None, b) for b in new)
    return min(
        cost(old[0], None) + reference(old[1:], new),
        cost(None, new[0]) + reference(old, new[1:]),
        (0.0 if old[0] == new[0] else cost(old[0], new[0])) + reference(old[1:], new[1:]),
    )


class Backwards(Objective):
    """A broken twin: the distance from the text to the source."""

    def energy(self, batch: Batch) -> Tensor:
        return torch.tensor([reference(text, "abc") for text in batch.texts()], dtype=torch.float64)


def differences(objective: Objective) -> float:
    energies = objective.energy(LETTERS.encode(TEXTS))
    return float((energies - torch.tensor([reference("abc", text) for text in TEXTS], dtype=torch.float64)).abs().max())


def test_the_distance_is_the_least_sum_of_costs() -> None:
    assert differences(Closeness(["abc"], cost)) < 1e-12
    assert differences(Backwards()) > 0.5


def test_every_pair_of_short_texts() -> None:
    pairs = list(itertools.product(TEXTS, TEXTS))
    objective = Closeness([old for old, _ in pairs], cost)
    energies = objective.energy(LETTERS.encode([new for _, new in pairs])).tolist()
    assert energies == pytest.approx([reference(old, new) for old, new in pairs], abs=1e-12)


def test_a_number_counts_edits() -> None:
    assert Closeness(["abc"], 2.0).energy(LETTERS.encode(["abc", "acb", "abcab"])).tolist() == [0.0, 4.0, 4.0]


@pytest.mark.parametrize("edit", [1.5, cost])
def test_laws(edit: float) -> None:
    check_objective(Closeness(["abcab"], edit), LETTERS.encode(TEXTS))
    check_objective(Closeness(TEXTS, edit), LETTERS.encode(TEXTS[::-1]))


def test_each_row_is_held_against_the_source_of_its_input() -> None:
    batch = LETTERS.encode(["ab", "c"]).repeat(2)
    objective = Closeness(LETTERS.encode(["ab", "ab"]))
    assert objective.energy(batch).tolist() == [0.0, 0.0, 2.0, 2.0]
    assert objective.energy(batch.rows([3, 0])).tolist() == [2.0, 0.0]


def test_each_input_has_its_scale() -> None:
    batch = LETTERS.encode(["abc", "b", "acb"]).repeat(2)
    assert Closeness(["abc"], 2.0, 0.5).energy(batch).tolist() == [0.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    assert Closeness("abc", 2.0, [1.0, 0.5, 3.0]).energy(batch).tolist() == [0.0, 0.0, 2.0, 2.0, 12.0, 12.0]
    with pytest.raises(ValueError, match="scale has 2 values"):
        Closeness("abc", 2.0, [1.0, 0.5]).check(batch)


def test_it_needs_no_model() -> None:
    assert Closeness(["a"]).cost is Cost.CHEAP


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3,), "sources=3 is a number; pass a list of texts"),
        (([],), "is empty"),
        ((["a"], 0.0), "edit=0.0 must be"),
        ((["a"], float("inf")), "edit=inf must be"),
        ((["a"], 1.0, 0.0), "scale=0.0 must be"),
    ],
)
def test_arguments_that_cannot_be_meant(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Closeness(*arguments)  # type: ignore[arg-type]


def test_a_cost_below_zero() -> None:
    with pytest.raises(ValueError, match=r"edit\('a', 'b'\) = -1.0"):
        Closeness(["a"], lambda old, new: -1.0 if (old, new) == ("a", "b") else 1.0).energy(LETTERS.encode(["b"]))
