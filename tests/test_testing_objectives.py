"""`check_objective`: what is right passes, and every broken twin is named with its law."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import pytest
import torch
from torch import Tensor

from objectives import Fluency, Keywords, Length
from tests.objectives.laws import ENGLISH, TEXTS
from textsearch.batch import Batch
from textsearch.objective import FunctionObjective, Limit, Objective
from textsearch.testing import LawBroken, TableCausalLM, check_objective, letters


@pytest.mark.parametrize(
    "objective",
    [
        FunctionObjective(lambda texts: [len(text) for text in texts], name="length"),
        Fluency(TableCausalLM.random(letters("abc"), seed=0)),
        FunctionObjective(lambda texts: [math.inf if "a" in text else 0.0 for text in texts], name="no a") * 2.0,
    ],
    ids=["function", "model", "forbidden"],
)
def test_right_objectives_pass(objective: Objective) -> None:
    report = check_objective(objective, letters("abc").encode(["abc", "", "a", "cab", "bb"]))
    assert len(report.laws) == 11
    assert str(report).startswith(type(objective).__name__)


def test_an_energy_that_is_no_tensor_is_told() -> None:
    @final
    @dataclass(frozen=True)
    class Listed(Objective):
        def energy(self, batch: Batch) -> Tensor:
            return [0.0] * len(batch)  # type: ignore[return-value]

    with pytest.raises(LawBroken, match=r"'shape and type': energy\(\) gave a list, \[0.0, 0.0\], not a tensor; write"):
        check_objective(Listed(), ["a", "ab"])


def test_objectives_of_a_package_pass() -> None:
    check_objective(Keywords(["dog"]) + 0.5 * Length(mean=4, sd=2), ENGLISH.encode(TEXTS))


@dataclass(frozen=True, eq=False)
class By(Objective):
    """An objective from a function of the whole batch."""

    function: Callable[[Batch], Tensor]

    def energy(self, batch: Batch) -> Tensor:
        return self.function(batch)


def lengths(batch: Batch) -> Tensor:
    return batch.lengths.to(torch.float64)


def in_place(batch: Batch) -> Tensor:
    # nothing that the other laws would see
    batch.tokens[:, :1] = batch.tokens[:, :1].clamp(min=1) * batch.present[:, :1]
    batch.inputs.zero_()
    return lengths(batch)


def into_the_marks(batch: Batch) -> Tensor:
    batch.closed.fill_(3)
    return lengths(batch)


def longest_so_far(batch: Batch) -> Tensor:
    return lengths(batch).cummax(0).values if len(batch) else lengths(batch)


CALLS = itertools.count()

OBJECTIVE_TWINS: dict[str, tuple[str, Callable[[Batch], Tensor]]] = {
    "single precision": ("shape and type", lambda batch: batch.lengths.float()),
    "a column": ("shape and type", lambda batch: lengths(batch)[:, None]),
    "not a number": ("energies", lambda batch: lengths(batch).log() * 0),
    "infinitely good": ("energies", lambda batch: lengths(batch).log()),
    "counts its calls": ("repeated call", lambda batch: lengths(batch) + next(CALLS)),
    "less the mean of the batch": ("alone", lambda batch: lengths(batch) - lengths(batch).mean()),
    "by the number of the row": ("alone", lambda batch: torch.arange(len(batch), dtype=torch.float64)),
    "the longest so far": ("order and copies", longest_so_far),
    "counts the padding": ("padding", lambda batch: batch.tokens.eq(0).sum(1).double()),
    "counts what may be edited": ("frozen marks", lambda batch: batch.editable.sum(1).double()),
    "one energy for no texts": ("no rows", lambda batch: lengths(batch) if len(batch) else torch.zeros(1).double()),
    "writes into its input": ("input untouched", in_place),
    "writes into the marks": ("input untouched", into_the_marks),
}


@pytest.mark.parametrize(("law", "function"), OBJECTIVE_TWINS.values(), ids=OBJECTIVE_TWINS.keys())
def test_broken_objectives_are_caught(law: str, function: Callable[[Batch], Tensor]) -> None:
    # one padding for all, or lengths that rise, so that a row alone is none the wiser
    texts = ["abc", "abb", "bca"] if law == "padding" else ["", "b", "abc"]
    with pytest.raises(LawBroken, match=f"By breaks the law of {law!r}"):
        check_objective(By(function), letters("abc").encode(texts))


@final
@dataclass(frozen=True, eq=False)
class Hasty(Objective):
    """Nats of the letters, given up at `factor` times the limit."""

    factor: float = 1.0
    floor: float = 0.0

    @property
    def lower_bound(self) -> float:
        return self.floor

    def energy(self, batch: Batch) -> Tensor:
        return lengths(batch)

    def energy_within(self, batch: Batch, limit: Limit) -> Tensor:
        energy = lengths(batch)
        return energy.masked_fill(energy > self.factor * limit.energy, math.inf)


def test_limits_that_are_kept_pass() -> None:
    texts = letters("abc").encode(["abc", "", "a", "cab", "bb"])
    assert len(check_objective(Hasty(), texts).laws) == 11


@pytest.mark.parametrize(
    ("broken", "law"),
    [(Hasty(factor=0.9), "limits"), (Hasty(floor=1.0), "lower bound")],
    ids=["gives up early", "too low"],
)
def test_broken_limits_are_caught(broken: Objective, law: str) -> None:
    with pytest.raises(LawBroken, match=f"Hasty breaks the law of {law!r}"):
        check_objective(broken, letters("abc").encode(["abc", "", "a", "cab", "bb"]))


def test_the_message_names_text_and_values() -> None:
    spread = By(lambda batch: lengths(batch) - lengths(batch).mean())
    with pytest.raises(LawBroken, match=r"'a' has energy -1\.0, but 0\.0 when asked alone"):
        check_objective(spread, ["a", "abc"])
    nan = FunctionObjective(lambda texts: [math.nan if text == "b" else 0.0 for text in texts])
    with pytest.raises(LawBroken, match=r"'b' has energy nan; it must be a number"):
        check_objective(nan, ["a", "b"])


def test_a_tolerance_is_in_nats() -> None:
    rough = By(lambda batch: lengths(batch) + 1e-6 * len(batch))
    with pytest.raises(LawBroken):
        check_objective(rough, ["a", "bc"])
    assert check_objective(rough, ["a", "bc"], tolerance=1e-4).laws[3].bound == "0.0001 nats"
