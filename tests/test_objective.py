"""Objectives: sums, weights, names, stages, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from textsearch.batch import Batch
from textsearch.objective import Cost, FunctionObjective, Limit, Objective, Sum, evaluate, term_names
from textsearch.testing import letters

VOCABULARY = letters("abc")
TEXTS = ["abc", "", "aab", "ccc", "ba"]


@dataclass(frozen=True, eq=False)
class Counting(Objective):
    """An objective that keeps the texts it is asked about."""

    label: str
    stage: Cost
    function: Callable[[str], float]
    asked: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.label

    @property
    def cost(self) -> Cost:
        return self.stage

    def energy(self, batch: Batch) -> Tensor:
        self.asked.extend(batch.texts())
        return torch.tensor([self.function(text) for text in batch.texts()], dtype=torch.float64)

    def freeze(self, batch: Batch) -> Batch:
        return batch.frozen(batch.tokens == 1 if self.label == "hard" else batch.tokens == 2)

    def check(self, batch: Batch) -> None:
        self.asked.append(f"check {self.label}")


def forbid(letter: str) -> Callable[[str], float]:
    return lambda text: math.inf if letter in text else 0.0


def length(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


LENGTH = FunctionObjective(length)
A = FunctionObjective(lambda texts: [text.count("a") for text in texts], name="a")


def test_sums_and_weights() -> None:
    total = LENGTH + 2.0 * A + A * 3
    batch = VOCABULARY.encode(TEXTS)
    expected = [len(text) + 5.0 * text.count("a") for text in TEXTS]
    assert total.energy(batch).tolist() == expected
    assert (0.5 * total).energy(batch).tolist() == [0.5 * energy for energy in expected]
    assert [weight for weight, _ in (2.0 * (LENGTH + 3.0 * A)).parts] == [2.0, 6.0]
    evaluation = evaluate(total, batch)
    assert evaluation.energy.dtype == evaluation.terms.dtype == torch.float64
    assert evaluation.terms.sum(1).tolist() == expected


def test_names_are_unique() -> None:
    assert term_names(LENGTH) == ("length",)
    assert term_names(LENGTH + A + 2.0 * LENGTH) == ("length 1", "a", "length 2")
    assert (LENGTH + A).name == "length + a"
    assert FunctionObjective(lambda texts: [0.0 for _ in texts]).name == "lambda"


def test_numbering_makes_no_name_twice() -> None:
    """A second term of the same name would hide the first one's column in results."""
    names = term_names(A + A + FunctionObjective(length, name="a 1"))
    assert len(set(names)) == 3


def test_default_name_is_the_class_s() -> None:
    @dataclass(frozen=True)
    class Rhyme(Objective):
        def energy(self, batch: Batch) -> Tensor:
            return torch.zeros(len(batch), dtype=torch.float64)

    assert Rhyme().name == "rhyme"
    assert Rhyme().cost == Cost.CHEAP
    assert Rhyme().parts == ((1.0, Rhyme()),)


@pytest.mark.parametrize("weight", [0, 0.0, -1.0, math.inf, math.nan])
def test_weights_must_be_positive(weight: float) -> None:
    with pytest.raises(ValueError, match=f"weight={weight} of 'a'"):
        weight * A


@pytest.mark.parametrize("other", ["2", None, True, [1.0]])
def test_only_numbers_weigh_and_only_objectives_add(other: Any) -> None:
    with pytest.raises(TypeError):
        A * other
    with pytest.raises(TypeError):
        A + other


def test_cost_of_a_sum_is_the_most_expensive() -> None:
    cheap, heavy = (Counting(cost.name, cost, lambda text: 0.0) for cost in (Cost.CHEAP, Cost.HEAVY))
    assert (cheap + heavy).cost == Cost.HEAVY
    assert Sum(()).cost == Cost.HARD


def test_forbidden_rows_go_no_further() -> None:
    model = Counting("model", Cost.MODEL, lambda text: -1.0)
    hard = Counting("hard", Cost.HARD, forbid("c"))
    heavy = Counting("heavy", Cost.HEAVY, lambda text: 2.0)
    cheap = Counting("cheap", Cost.CHEAP, forbid("aa"))
    evaluation = evaluate(model + hard + 2.0 * heavy + cheap, VOCABULARY.encode(TEXTS))
    assert hard.asked == TEXTS
    assert cheap.asked == ["", "aab", "ba"]
    assert model.asked == heavy.asked == ["", "ba"]
    inf, nan = math.inf, math.nan
    assert evaluation.energy.tolist() == [inf, 3.0, inf, inf, 3.0]
    np.testing.assert_equal(
        evaluation.terms.numpy(),
        [[nan, inf, nan, nan], [-1, 0, 4, 0], [nan, 0, nan, inf], [nan, inf, nan, nan], [-1, 0, 4, 0]],
    )


def test_nothing_is_asked_when_all_is_forbidden() -> None:
    model = Counting("model", Cost.MODEL, lambda text: 0.0)
    evaluate(Counting("hard", Cost.HARD, lambda text: math.inf) + model, VOCABULARY.encode(TEXTS))
    assert model.asked == []


def test_unwanted_rows_cost_nothing() -> None:
    term = Counting("hard", Cost.HARD, lambda text: 1.0)
    wanted = torch.tensor([True, False, False, True, False])
    evaluation = evaluate(term, VOCABULARY.encode(TEXTS), wanted)
    assert term.asked == ["abc", "ccc"]
    assert evaluation.energy.tolist() == [1.0, math.inf, math.inf, 1.0, math.inf]
    assert evaluation.terms.isnan()[:, 0].tolist() == [False, True, True, False, True]


def test_an_evaluation_does_not_depend_on_the_batch() -> None:
    total = Counting("hard", Cost.HARD, forbid("cc")) + 0.1 * LENGTH + 0.7 * A
    batch = VOCABULARY.encode(TEXTS)
    whole = evaluate(total, batch)
    for index in ([0], [4, 1], [2, 2, 3], [4, 3, 2, 1, 0]):
        part = evaluate(total, batch.rows(index).widen(9))
        np.testing.assert_equal(part.energy.numpy(), whole.energy[index].numpy())
        np.testing.assert_equal(part.terms.numpy(), whole.terms[index].numpy())


def test_nan_names_term_text_and_row() -> None:
    strange = FunctionObjective(lambda texts: [math.nan if text == "aab" else 0.0 for text in texts], name="strange")
    batch = VOCABULARY.encode(TEXTS)
    with pytest.raises(ValueError, match=r"'strange' gave nan for row 2, 'aab'"):
        evaluate(LENGTH + strange, batch)
    # the row is that of the whole batch, even where the term saw part of it
    with pytest.raises(ValueError, match=r"'strange' gave nan for row 2, 'aab'"):
        evaluate(Counting("hard", Cost.HARD, forbid("bc")) + strange, batch)


def test_minus_infinity_is_no_energy() -> None:
    """A text of energy -inf would be the whole of the law, and no chain would ever leave it."""
    strange = FunctionObjective(lambda texts: [-math.inf if text == "aab" else 0.0 for text in texts], name="strange")
    batch = VOCABULARY.encode(TEXTS)
    told = r"'strange' gave -inf for row 2, 'aab'; an energy is a finite number of nats.*return \+inf to forbid a text"
    for total in (strange, LENGTH + 2.0 * strange, Counting("hard", Cost.HARD, forbid("bc")) + strange):
        with pytest.raises(ValueError, match=told):
            evaluate(total, batch)
        with pytest.raises(ValueError, match=told):
            evaluate(total, batch, limit=Limit(torch.full((len(TEXTS),), 50.0, dtype=torch.float64), batch))
    # nor is what a weight, or a sum, makes of a number
    low = FunctionObjective(lambda texts: [-1e308] * len(texts), name="low")
    for total in (10.0 * low, low + low):
        with pytest.raises(ValueError, match=r"'low' gave -1e\+308, which times its weight .* for row 0, 'abc'"):
            evaluate(total, batch)
    # what is forbidden already is not asked
    hard = Counting("hard", Cost.HARD, forbid("aa"))
    assert evaluate(hard + strange, batch).energy.tolist() == [0.0, 0.0, math.inf, 0.0, 0.0]


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([1.0], r"\(1,\)"),
        ([], r"\(0,\)"),
        ([[1.0]] * 5, r"\(5, 1\)"),
        (np.zeros(4), r"\(4,\)"),
        (torch.zeros(6), r"\(6,\)"),
        (3.0, r"\(\)"),
        (torch.zeros(5, 1), r"\(5, 1\)"),
        (torch.zeros(1, 5), r"\(1, 5\)"),
    ],
)
def test_a_function_of_the_wrong_shape_is_named(values: Any, shape: str) -> None:
    wrong = FunctionObjective(lambda texts: values, name="wrong")
    with pytest.raises(ValueError, match=rf"'wrong' gave values of shape {shape} for 5 texts"):
        evaluate(wrong, VOCABULARY.encode(TEXTS))


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5],
        (1.0, 2.0, 3.0, 4.0, 5.0),
        np.arange(1, 6),
        np.arange(1, 6, dtype=np.float32),
        torch.arange(1, 6),
        [True, 2, 3.0, np.float64(4), torch.tensor(5)],
    ],
    ids=["list", "tuple", "int array", "float array", "tensor", "mixed"],
)
def test_functions_may_return_any_numbers(values: Iterable[float]) -> None:
    energy = FunctionObjective(lambda texts: values).energy(VOCABULARY.encode(TEXTS))
    assert energy.dtype == torch.float64
    assert energy.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_function_may_be_a_generator() -> None:
    energy = FunctionObjective(lambda texts: (len(text) for text in texts)).energy(VOCABULARY.encode(TEXTS))
    assert energy.tolist() == [3.0, 0.0, 3.0, 3.0, 2.0]


@pytest.mark.parametrize("values", [{1.0, 2.0, 3.0, 4.0, 5.0}, {1.0: 0, 2.0: 0, 3.0: 0, 4.0: 0, 5.0: 0}])
def test_what_has_no_order_is_no_energy(values: Any) -> None:
    """A set of five numbers has the right length, and says of no number which text it is of."""
    with pytest.raises(TypeError, match="return one number for each text"):
        FunctionObjective(lambda texts: values).energy(VOCABULARY.encode(TEXTS))
    assert FunctionObjective(lambda texts: list(values)).energy(VOCABULARY.encode(TEXTS)).tolist() == [1, 2, 3, 4, 5]


def test_an_energy_of_a_trained_function_is_plain() -> None:
    weight = torch.ones((), requires_grad=True)
    energy = FunctionObjective(lambda texts: weight * torch.ones(len(texts))).energy(VOCABULARY.encode(TEXTS))
    assert energy.numpy().tolist() == [1.0] * 5


def test_who_goes_through_a_batch_is_told_where_its_texts_are() -> None:
    batch: Any = VOCABULARY.encode(TEXTS)
    with pytest.raises(TypeError, match=r"a Batch is no list of texts: take batch.texts\(\)"):
        [len(text) for text in batch]


def test_what_cannot_be_called_is_refused() -> None:
    not_a_function: Any = "length"
    with pytest.raises(TypeError, match="function='length' cannot be called"):
        FunctionObjective(not_a_function)


def test_an_objective_of_the_wrong_shape_is_named() -> None:
    """By its name, rather than by an error from the inside of the sum."""

    @dataclass(frozen=True)
    class Lump(Objective):
        def energy(self, batch: Batch) -> Tensor:
            return torch.zeros(1, dtype=torch.float64)

    with pytest.raises(ValueError, match=r"'lump'.*\(1,\)"):
        evaluate(Lump(), VOCABULARY.encode(TEXTS))


def test_sums_freeze_and_check_what_their_terms_do() -> None:
    hard, other = (Counting(name, Cost.HARD, lambda text: 0.0) for name in ("hard", "other"))
    total = hard + other
    assert total.freeze(VOCABULARY.encode(["abca"])).editable.tolist() == [[False, False, True, False]]
    total.check(VOCABULARY.encode(["abca"]))
    assert hard.asked + other.asked == ["check hard", "check other"]


def test_a_plain_objective_freezes_nothing() -> None:
    batch = VOCABULARY.encode(["abca"])
    A.check(batch)
    assert A.freeze(batch) is batch


def test_where_takes_terms_along_with_energies() -> None:
    one, other = (evaluate(term + A, VOCABULARY.encode(["ab", "c"])) for term in (LENGTH, 2.0 * LENGTH))
    mixed = one.where(torch.tensor([False, True]), other)
    assert mixed.energy.tolist() == [3.0, 2.0]
    assert mixed.terms.tolist() == [[2.0, 1.0], [2.0, 0.0]]


def test_a_function_that_raises_is_named() -> None:
    """Its own error comes through, with a note: among several terms a traceback of a lambda names none."""
    broken = FunctionObjective(lambda texts: [float(text.index("z")) for text in texts], name="place of z")
    with pytest.raises(ValueError, match="substring not found") as caught:
        evaluate(A + broken, VOCABULARY.encode(["ab"]))
    assert caught.value.__notes__ == [
        "from the function of objective 'place of z', which was given the list ['ab']: a function of a list of texts "
        "returns one number for each"
    ]
