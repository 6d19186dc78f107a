"""One value for all inputs, or one for each: the rule itself; `tests/objectives/test_table.py` walks its users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from samplers.proposals import Copy, FromLeft, SuffixResampling
from textsearch.batch import Batch
from textsearch.checks import string, whole
from textsearch.per_input import PerInput, list_per_input, number_per_input, paired, text_per_input
from textsearch.testing import TableCausalLM, TableMaskedLM, letters

BATCH = letters("ab").encode(["a", "b", "ab"])


def test_rows_get_their_input_s_value() -> None:
    each, one = PerInput("mean", (3, 5, 7)), PerInput("mean", (3,))
    mixed = BATCH.rows(torch.tensor([2, 0, 2]))
    assert (each.rows(mixed), each.index(mixed).tolist(), each.one_or_rows(mixed)) == ([7, 3, 7], [2, 0, 2], [7, 3, 7])
    assert (one.rows(mixed), one.index(mixed).tolist(), one.one_or_rows(mixed)) == ([3, 3, 3], [0, 0, 0], 3)
    assert one.map(str).values == ("3",) and one.map(str).name == "mean"
    assert each.rows(BATCH.rows([])) == []


def test_fewer_values_than_inputs_are_refused_and_more_are_not() -> None:
    few = PerInput("mean", (3, 5))
    for ask in (few.check, few.rows, few.one_or_rows):
        with pytest.raises(
            ValueError, match=r"^mean has 2 values, but there are 3 inputs: pass one for each input, or"
        ):
            ask(BATCH)
    few.check(BATCH.rows([0, 1]))
    PerInput("mean", (3, 5, 7, 9)).check(BATCH)
    PerInput("mean", (3,)).check(BATCH)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: text_per_input("prompt", []), "prompt is empty: pass one for all inputs, or one for each"),
        (lambda: text_per_input("prompt", 3), "prompt=3 is a number; pass a list of texts"),
        (lambda: text_per_input("prompt", b"a"), "prompt=b'a' is one string; pass a list of texts"),
        (lambda: text_per_input("prompt", {"a", "b"}), "is a set, which has no order; pass a list of texts"),
        (lambda: text_per_input("prompt", ["a", None]), r"prompt\[1\]=None is no string; pass a list of texts"),
        (lambda: number_per_input("low", "3", whole), "low='3' must be a whole number"),
        (lambda: number_per_input("low", [3, -1], whole), r"low\[1\]=-1 must be at least 0"),
        (lambda: list_per_input("words", "a", string), r"words='a' is one string; pass a list of words, \['a'\]"),
        (lambda: list_per_input("words", ["a", ["b"]], string), "mixes words and lists of them"),
        (lambda: list_per_input("words", [["a"], []], string), r"words\[1\] is empty: each input needs at least one"),
        (lambda: list_per_input("words", [["a", 3]], string), r"words\[0\]\[1\]=3 is a number, not a string"),
        (lambda: paired(PerInput("a", (1, 2)), PerInput("b", (1, 2, 3))), "a has 2 values, but b has 3: pass one of"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(make: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_any_sequence_will_do() -> None:
    assert text_per_input("prompt", (text for text in "ab")).values == ("a", "b")
    assert number_per_input("low", np.array([1, 2]), whole).values == (1, 2)
    assert number_per_input("low", np.array(1), whole).values == (1,)
    assert list_per_input("words", np.array(["a", "b"]), string).values == (("a", "b"),)
    assert list_per_input("words", [[], ["a"]], string, none=True).values == ((), ("a",))
    given = text_per_input("prompt", ["a", "b"])
    assert text_per_input("prompt", given) == given


PROPOSALS: dict[str, Callable[[Any], Any]] = {
    "Copy": lambda values: Copy(TableMaskedLM.random(letters("ab"), seed=0), values),
    "SuffixResampling": lambda values: SuffixResampling(TableCausalLM.random(letters("ab"), seed=0), values),
    "FromLeft": lambda values: FromLeft(TableCausalLM.random(letters("ab"), seed=0), values),
}


@pytest.mark.parametrize("make", PROPOSALS.values(), ids=PROPOSALS.keys())
def test_proposals_keep_the_rule(make: Callable[[Any], Any]) -> None:
    batch: Batch = BATCH
    for values in ("a", ["a"], ["a", "b", "ab"], ["a", "b", "ab", "b"]):
        make(values).check(batch)
    with pytest.raises(ValueError, match=r"^\w+ has 2 values, but there are 3 inputs: pass one for each input, or"):
        make(["a", "b"]).check(batch)
    with pytest.raises(ValueError, match=r"^\w+ is empty: pass one for all inputs, or one for each"):
        make([])
