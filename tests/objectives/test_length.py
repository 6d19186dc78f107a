from __future__ import annotations

import math
from typing import Any

import pytest
import scipy.stats
import torch
from torch import Tensor

from objectives.length import Length, LengthBetween
from textsearch.batch import Batch
from textsearch.objective import Cost, Objective, evaluate
from textsearch.testing import check_objective, letters

from .laws import ENGLISH, TEXTS, energies

INF = math.inf
# words: "dogs" is one of two pieces, a mark of punctuation is one of its own
WORDS = [3, 14, 1, 0, 6, 4, 3, 6]
TOKENS = [3, 14, 2, 0, 8, 4, 3, 6]


class Relative(Objective):
    """A broken twin: judges a row by the rest of its batch."""

    def energy(self, batch: Batch) -> Tensor:
        return (batch.lengths - batch.lengths.to(torch.float64).mean()).abs()


class Padded(Objective):
    """A broken twin: counts the padding."""

    def energy(self, batch: Batch) -> Tensor:
        return torch.full((len(batch),), float(batch.width), dtype=torch.float64)


@pytest.mark.parametrize(
    "objective",
    [
        Length(4, 2),
        Length(4.5, 0.5, tokens=True),
        Length([1, 2, 3, 4, 5, 6, 7, 8], 2),
        LengthBetween(2, 4),
        LengthBetween(3, tokens=True),
        LengthBetween(high=5),
    ],
)
def test_rows_do_not_mix(objective: Objective) -> None:
    check_objective(objective, ENGLISH.encode(TEXTS))


@pytest.mark.parametrize("broken", [Relative(), Padded()])
def test_the_law_catches_rows_that_mix(broken: Objective) -> None:
    with pytest.raises(AssertionError):
        check_objective(broken, ENGLISH.encode(TEXTS))


def test_length_is_a_normal_log_density_up_to_a_constant() -> None:
    normal = scipy.stats.norm(4.0, 1.5)
    batch = ENGLISH.encode(TEXTS)
    for tokens, counts in ((False, WORDS), (True, TOKENS)):
        energy = Length(4, 1.5, tokens=tokens).energy(batch).numpy()
        log_density = normal.logpdf(counts)
        assert energy - energy[0] == pytest.approx(log_density[0] - log_density)


def test_length_is_lowest_at_the_mean_of_the_rows_own_input() -> None:
    batch = letters("ab").encode(["a", "aa", "aaa"])
    objective = Length([2, 2, 3], sd=1)
    assert objective.energy(batch).tolist() == [0.5, 0.0, 0.0]
    assert objective.energy(batch.rows([2, 0])).tolist() == [0.0, 0.5]
    assert objective.energy(batch.repeat(2)).tolist() == [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]


def test_length_between_includes_both_bounds() -> None:
    assert energies(LengthBetween(3, 6)) == [0 if 3 <= n <= 6 else INF for n in WORDS]
    assert energies(LengthBetween(3, 6, tokens=True)) == [0 if 3 <= n <= 6 else INF for n in TOKENS]
    assert energies(LengthBetween(4)) == [0 if n >= 4 else INF for n in WORDS]
    assert energies(LengthBetween(high=0)) == [0 if n == 0 else INF for n in WORDS]


def test_bounds_come_before_the_prior() -> None:
    assert Length(3, 1).cost == Cost.CHEAP
    assert LengthBetween(3).cost == Cost.HARD
    evaluation = evaluate(Length(3, 1) + LengthBetween(4), ENGLISH.encode(TEXTS[:2]))
    assert math.isnan(evaluation.terms[0, 0])
    assert evaluation.energy.tolist() == [INF, 60.5]


def test_names_and_equality() -> None:
    assert Length(3, 1).name == "length"
    assert LengthBetween(3).name == "length between"
    assert Length([1, 2], 1) == Length((1, 2), 1)
    assert len({Length([1, 2], 1), Length((1, 2), 1)}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": -1, "sd": 1}, "mean=-1 must be a number of words, at least 0"),
        ({"mean": [3, math.nan], "sd": 1}, r"mean\[1\]=nan must be"),
        ({"mean": [], "sd": 1}, "mean is empty"),
        ({"mean": "3", "sd": 1}, "mean='3' must be a number"),
        ({"mean": 3, "sd": 0}, "sd=0 must be a positive number of words; for an exact length use LengthBetween"),
        ({"mean": 3, "sd": -2, "tokens": True}, "sd=-2 must be a positive number of tokens"),
        ({"mean": 3, "sd": INF}, "sd=inf must be"),
    ],
)
def test_length_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Length(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": -1}, "low=-1 must be at least 0"),
        ({"low": 1.5}, r"low=1\.5 must be a whole number"),
        ({"low": None, "high": 2}, "low=None must be a whole number"),
        ({"high": -2}, "high=-2 must be at least 0"),
        ({"high": True}, "high=True must be a whole number"),
        ({"low": 5, "high": 3}, "low=5 is above high=3"),
        ({}, "allows every length"),
    ],
)
def test_length_between_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LengthBetween(**arguments)


def test_length_checks_that_each_input_has_a_mean() -> None:
    batch = ENGLISH.encode(TEXTS)
    Length(3, 1).check(batch)
    Length([3] * 8, 1).check(batch)
    Length([3], 1).check(batch.rows(torch.arange(0)))
    with pytest.raises(ValueError, match="mean has 7 values, but there are 8 inputs"):
        Length([3] * 7, 1).check(batch)


def test_nothing_is_frozen() -> None:
    batch = ENGLISH.encode(TEXTS)
    assert Length(3, 1).freeze(batch) is batch
    assert LengthBetween(3).freeze(batch) is batch
