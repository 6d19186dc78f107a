"""Schedules: their values, and what they refuse."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from textsearch.schedule import Schedule, constant, geometric, linear, logarithmic, over, piecewise

COOLING = {"linear": linear, "geometric": geometric, "logarithmic": logarithmic}
every_cooling = pytest.mark.parametrize("cooling", COOLING.values(), ids=COOLING.keys())


def test_constant_stays() -> None:
    assert {constant(0.7)(step) for step in (0, 1, 10**9)} == {0.7}


@every_cooling
@pytest.mark.parametrize(("start", "end", "steps"), [(5.0, 0.01, 100), (0.5, 2.0, 7), (1.0, 1.0, 3), (3, 1, 1)])
def test_goes_from_start_to_end_and_stays(
    cooling: Callable[[float, float, int], Schedule], start: float, end: float, steps: int
) -> None:
    schedule = cooling(start, end, steps)
    values = [schedule(step) for step in range(steps + 3)]
    assert math.isclose(values[0], start)
    assert values[steps:] == [end] * 3
    falls = [a - b for a, b in pairwise(values)]
    assert all(fall * (start - end) >= 0 for fall in falls)
    assert all(value > 0 for value in values)


def test_linear_has_equal_differences() -> None:
    values = [linear(3.0, 0.5, 20)(step) for step in range(21)]
    assert [a - b for a, b in pairwise(values)] == pytest.approx([0.125] * 20)


def test_geometric_has_equal_ratios() -> None:
    values = [geometric(8.0, 0.25, 10)(step) for step in range(11)]
    assert [a / b for a, b in pairwise(values)] == pytest.approx([math.sqrt(2)] * 10)


def test_logarithmic_has_the_form_of_geman_and_geman() -> None:
    """T = C / log(1 + step) where the start is far above: T * log(1 + step) stays the same."""
    schedule = logarithmic(1e12, 0.5, 1000)
    for step in (1, 2, 10, 100, 999):
        assert schedule(step) * math.log(1 + step) == pytest.approx(0.5 * math.log(1001))


def test_logarithmic_has_equal_differences_of_one_over_t_in_the_logarithm() -> None:
    schedule = logarithmic(4.0, 0.25, 15)
    # log2(1 + step) is 0, 1, 2, 3, 4
    values = [1 / schedule(step) for step in (0, 1, 3, 7, 15)]
    assert [b - a for a, b in pairwise(values)] == pytest.approx([(4 - 0.25) / 4] * 4)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_temperatures_must_be_positive(value: float) -> None:
    with pytest.raises(ValueError, match=f"temperature={value}"):
        constant(value)


@every_cooling
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_both_ends_must_be_positive(cooling: Callable[[float, float, int], Schedule], value: float) -> None:
    with pytest.raises(ValueError, match=f"start={value}"):
        cooling(value, 1.0, 3)
    with pytest.raises(ValueError, match=f"end={value}"):
        cooling(1.0, value, 3)


@every_cooling
@pytest.mark.parametrize("steps", [0, -3, math.nan, math.inf])
def test_steps_must_be_positive(cooling: Callable[[float, float, Any], Schedule], steps: float) -> None:
    with pytest.raises(ValueError, match=f"steps={steps}"):
        cooling(2.0, 1.0, steps)


@every_cooling
def test_without_steps_a_schedule_goes_over_the_run(cooling: Callable[..., Schedule]) -> None:
    whole, own = cooling(5.0, 0.1), cooling(5.0, 0.1, 7)
    assert [over(whole, 7)(step) for step in range(9)] == [own(step) for step in range(9)]
    assert [over(own, 99)(step) for step in range(9)] == [own(step) for step in range(9)]
    for unknown in (whole, over(whole, None)):
        with pytest.raises(ValueError, match=r"start=5.0, end=0.1.* goes over the whole run, and nobody said how many"):
            unknown(0)


def test_functions_of_the_step_and_what_stays_ask_for_no_length() -> None:
    assert over(lambda step: 1.0 + step, None)(3) == 4.0
    assert over(constant(2.0), None)(3) == 2.0


def test_piecewise_goes_through_its_points_in_equal_ratios() -> None:
    values = [over(piecewise({0.5: 0.5, 0: 8.0, 1: 2.0}), 8)(step) for step in range(10)]
    assert values == pytest.approx([8, 4, 2, 1, 0.5, 0.5 * 2**0.5, 1, 2**0.5, 2, 2])
    assert [piecewise({0: 4, 1: 1}, steps=2)(step) for step in range(4)] == [4, 2, 1, 1]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({0: 2.0}, "must say how to begin, at 0, and how to end, at 1"),
        ({0.1: 2.0, 1: 1.0}, "must say how to begin, at 0"),
        ({0: 2.0, 100: 1.0}, "share=100 must be a share of the run, from 0 to 1"),
        ({0: 2.0, 1: 0}, r"temperatures\[1\]=0 must be a positive number"),
        ([(0, 2.0), (1, 1.0)], "is a list; pass a dictionary of temperatures by shares of the run"),
    ],
)
def test_wrong_points_are_refused(points: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        piecewise(points)


def test_schedules_are_values() -> None:
    for one, other in (
        (geometric(2, 1), geometric(2, 1, 5)),
        (linear(2, 1, 5), geometric(2, 1, 5)),
        (piecewise({0: 2, 1: 1}), piecewise({0: 2, 1: 2})),
        (constant(2.0), constant(1.0)),
    ):
        assert pickle.loads(pickle.dumps(one)) == one != other
        assert hash(one) != hash(other)
